"""Taker-taker arbitrage: buy at the asks of one venue, sell at the bids of another, both at once.

Parameters ([strategy.params]): `edge_net_bps_min`, the least net edge in bps of the buying price after both taker fees,
at the account's own tier. The quantity is all that clears it; the engine's limits and balances cut it down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from arbot.domain.decisions import OpportunityDeclined
from arbot.domain.ids import InstrumentId
from arbot.domain.units import parse_decimal
from arbot.engine.strategy import Context, Proposal

DEFAULTS: Mapping[str, object] = {"edge_net_bps_min": "2"}


class CrossVenue:
    """The strategy arbot is named for."""

    name = "cross_venue"
    look_ms = 0

    def __init__(self, params: Mapping[str, object]) -> None:
        unknown = [name for name in params if name not in DEFAULTS]
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0]!r}; known: {', '.join(DEFAULTS)}")
        self._edge_net_bps_min = parse_decimal(str({**DEFAULTS, **params}["edge_net_bps_min"]))
        if self._edge_net_bps_min <= 0:
            raise ValueError("edge_net_bps_min must be above zero: at zero every arb would only pay the venues")

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
