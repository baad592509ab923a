"""Stablecoins across venues: USDT, USDC and whatever else `coins` names, against each other and against money.

Two kinds of edge:
    (a) the coin itself, bought on one venue and sold on another for the same quote;
    (b) anything bought for one of coin and money and sold for the other, with the conversion where it is cheapest.

Parameters ([strategy.params]):
    edge_net_bps_min  the least net edge in bps of the buying price, after all taker fees at the account's own tiers
    coins             the stablecoins
    look_ms           look at most this often: an edge can open by any of its books

No coin is assumed to be worth anything: every rate is a live book's. What an issuer, a peg or a venue may cost stands in
front of every proposal, in the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from arbot.domain.decisions import OpportunityDeclined
from arbot.domain.ids import InstrumentId
from arbot.engine.strategy import Context, Params, Proposal

DEFAULTS: Mapping[str, object] = {
    "edge_net_bps_min": "1",
    "coins": ("USDT", "USDC"),  # parity-ok: which coins to look at, not what they are worth
    "look_ms": 50,
}

Look = Proposal | OpportunityDeclined | None


class Stablecoin:
    """The price of a promise, at several desks."""

    name = "stablecoin"

    def __init__(self, params: Mapping[str, object]) -> None:
        read = Params(params, DEFAULTS)
        self._edge_net_bps_min = read.above_zero("edge_net_bps_min")
        self._coins = read.names("coins")
        if not self._coins:
            read.wrong('coins must name at least one, such as ["USDT"]')
        self._look_ms = read.whole("look_ms")
        read.done()

    @property
    def edge_net_bps_min(self) -> Decimal:
        """The least net edge worth waking for."""
        return self._edge_net_bps_min

    @property
    def look_ms(self) -> int:
        """Woken by any book, but not more often than this."""
        return self._look_ms

    def on_books(self, changed: Sequence[InstrumentId], context: Context) -> Iterator[Proposal | OpportunityDeclined]:
        """Yield what clears, the widest net edge first, and the declines."""
        found: list[Proposal] = []
        for look in self._looks(changed, context):
            if isinstance(look, Proposal):
                found.append(look)
            elif look is not None:
                yield look
        yield from sorted(found, key=lambda proposal: -proposal.edge_net_bps)

    def _looks(self, changed: Sequence[InstrumentId], context: Context) -> Iterator[Look]:
        for buy, sell in context.routes(changed):
            if buy.base in self._coins and buy.quote == sell.quote:
                yield context.opportunity(buy, sell, self._edge_net_bps_min)
        for triangle in context.triangles(changed):
            conversion = triangle.conversion
            if conversion.base in self._coins or conversion.quote in self._coins:
                yield context.round_trip(triangle, self._edge_net_bps_min)


strategy = Stablecoin
