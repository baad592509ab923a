"""Lines with the lots they moved, for programs that take lots and not only events (rules of the United States).

Rules of this file:
- The same effects and the same run as the report: what is exported is what is filed.
- Lots per account only, or one pool for a what-if; the change of 2025 is for the report.
- Effects are those of the regulation (us/effects.py); what is withheld from what was received is netted by the writers, since
  other programs would take it from another lot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.history import HistoryLine, Placed
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.lots.parcels import Piece
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import LotEffect, OpenItem, Send, Slice


class Moved(NamedTuple):
    """So much of a lot: what came, or set off for another account."""

    lot: str
    acquired_ns: int
    qty: Decimal
    basis: Decimal


class Matched(NamedTuple):
    """A line, what it means for lots, and which lots it took and moved."""

    line: HistoryLine
    ts_ns: int
    effects: tuple[LotEffect, ...]
    slices: list[Slice]
    moved: list[Moved]


class Matching:
    """One pass over a history by the run of the report."""

    def __init__(self, policy: LotPolicy, timezone: str) -> None:
        """Begin a pass by the clock of a time zone. Raises: UserError when it is unknown."""
        self.days = LocalDays(timezone)
        self._effects: tuple[LotEffect, ...] = ()
        self._moved: list[Moved] = []
        self._run = UsRun(policy, timezone, self._hear_effects, self._hear_move)

    def each(self, lines: Iterable[Placed]) -> Iterator[Matched]:
        """Yield every line with its lots. What cannot be matched is an open item afterwards."""
        feed = self._run.feed
        for placed in lines:
            self._moved = []
            slices = feed(placed)
            yield Matched(placed.line, placed.ts_ns, self._effects, slices, self._moved)
        self._run.finish()

    def open_items(self) -> list[OpenItem]:
        """Return what was refused, in the order it was met."""
        return self._run.open_items()

    def _hear_effects(self, effects: tuple[LotEffect, ...]) -> None:
        self._effects = effects

    def _hear_move(self, effect: Send, pieces: list[Piece]) -> None:
        del effect
        self._moved += [Moved(parcel.lot, parcel.acquired_ns, qty, basis) for parcel, qty, basis in pieces]
