"""Taker-taker arbitrage: buy at the asks of one venue, sell at the bids of another, both at once.

Parameters ([strategy.params]): `edge_net_bps_min`, the least net edge in bps of the buying price after both taker fees,
at the account's own tier. The quantity is all that clears it; the engine's limits and balances cut it down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from arbot.domain.decisions import OpportunityDeclined
from arbot.domain.ids import InstrumentId
from arbot.engine.strategy import Context, Params, Proposal

DEFAULTS: Mapping[str, object] = {"edge_net_bps_min": "2"}


class CrossVenue:
    """The strategy arbot is named for."""

    name = "cross_venue"
    look_ms = 0

    def __init__(self, params: Mapping[str, object]) -> None:
        read = Params(params, DEFAULTS)
        self._edge_net_bps_min = read.above_zero("edge_net_bps_min")
        read.done()

    @property
    def edge_net_bps_min(self) -> Decimal:
        """The least net edge worth waking for."""
        return self._edge_net_bps_min

    def on_books(self, changed: Sequence[InstrumentId], context: Context) -> Iterator[Proposal | OpportunityDeclined]:
        """Yield every route that clears, the widest net edge first, and the declines."""
        found: list[Proposal] = []
        for buy, sell in context.routes(changed):
            look = context.opportunity(buy, sell, self._edge_net_bps_min)
            if isinstance(look, Proposal):
                found.append(look)
            elif look is not None:
                yield look
        yield from sorted(found, key=lambda proposal: -proposal.edge_net_bps)


strategy = CrossVenue
