"""Triangular arbitrage: buy an asset in one quote, sell it in another, turn that quote back, all three at once.

Parameters ([strategy.params]):
    edge_net_bps_min  the least net edge in bps of the buying price, after three taker fees at the account's own tiers
    across            false: all three legs on one venue; true: on any venues, where each is cheapest
    assets            base assets to look at; without it all that are listed
    look_ms           look at most this often: a triangle can open by any of its three books

Rates come from books alone, never from what an asset ought to be worth. The engine sizes all three legs together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from arbot.domain.decisions import OpportunityDeclined
from arbot.domain.ids import InstrumentId
from arbot.engine.strategy import Context, Params, Proposal

DEFAULTS: Mapping[str, object] = {"edge_net_bps_min": "2", "across": False, "assets": (), "look_ms": 50}


class Triangular:
    """Three books, two prices of the same thing."""

    name = "triangular"

    def __init__(self, params: Mapping[str, object]) -> None:
        read = Params(params, DEFAULTS)
        self._edge_net_bps_min = read.above_zero("edge_net_bps_min")
        self._is_across = read.yes("across")
        self._assets = read.names("assets")
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
        """Yield every triangle that clears, the widest net edge first, and the declines."""
        found: list[Proposal] = []
        for triangle in context.triangles(changed):
            if not self._is_across and not triangle.is_on_one_venue:
                continue
            if self._assets and triangle.buy.base not in self._assets:
                continue
            look = context.round_trip(triangle, self._edge_net_bps_min)
            if isinstance(look, Proposal):
                found.append(look)
            elif look is not None:
                yield look
        yield from sorted(found, key=lambda proposal: -proposal.edge_net_bps)


strategy = Triangular
