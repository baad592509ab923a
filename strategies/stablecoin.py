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
from arbot.domain.units import parse_decimal
from arbot.engine.strategy import Context, Proposal

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
        unknown = [name for name in params if name not in DEFAULTS]
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0]!r}; known: {', '.join(DEFAULTS)}")
        given = {**DEFAULTS, **params}
        self._edge_net_bps_min = parse_decimal(str(given["edge_net_bps_min"]))
        if self._edge_net_bps_min <= 0:
            raise ValueError("edge_net_bps_min must be above zero: at zero every arb would only pay the venues")
        coins, look_ms = given["coins"], given["look_ms"]
        if not isinstance(coins, list | tuple) or not coins:
            raise ValueError('coins must be a list of names, such as ["USDT"]')
        if not isinstance(look_ms, int) or isinstance(look_ms, bool) or look_ms < 1:
            raise ValueError("look_ms must be a whole number of milliseconds, 1 or more")
        self._coins = frozenset(str(coin) for coin in coins)
        self._look_ms = look_ms

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
