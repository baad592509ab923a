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
from arbot.domain.units import parse_decimal
from arbot.engine.strategy import Context, Proposal

DEFAULTS: Mapping[str, object] = {"edge_net_bps_min": "2", "across": False, "assets": (), "look_ms": 50}


class Triangular:
    """Three books, two prices of the same thing."""

    name = "triangular"

    def __init__(self, params: Mapping[str, object]) -> None:
        unknown = [name for name in params if name not in DEFAULTS]
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0]!r}; known: {', '.join(DEFAULTS)}")
        given = {**DEFAULTS, **params}
        self._edge_net_bps_min = parse_decimal(str(given["edge_net_bps_min"]))
        if self._edge_net_bps_min <= 0:
            raise ValueError("edge_net_bps_min must be above zero: at zero every arb would only pay the venues")
        across, assets, look_ms = given["across"], given["assets"], given["look_ms"]
        if not isinstance(across, bool):
            raise ValueError("across must be true or false")  # noqa: TRY004 - a mistake in a file, told as the others
        if not isinstance(assets, list | tuple):
            raise ValueError('assets must be a list of names, such as ["ETH"]')  # noqa: TRY004
        if not isinstance(look_ms, int) or isinstance(look_ms, bool) or look_ms < 1:
            raise ValueError("look_ms must be a whole number of milliseconds, 1 or more")
        self._is_across = across
        self._assets = frozenset(str(asset) for asset in assets)
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
