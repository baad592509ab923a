"""Lines with the lots they moved, for programs that take lots and not only events (rules of the United States).

Rules of this file:
- The same legs and the same book as the report: what is exported is what is filed.
- Lots per account only, or one pool for a what-if; the change of 2025 is for the report.
- Legs are those of the regulation (us/legs.py); what is withheld from what was received is netted by the writers, since
  other programs would take it from another lot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.history import HistoryLine, OpeningLine, Placed
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.jurisdictions.us.legs import PriceMissing, unpriced_legs, us_legs
from arbot.ledger.lots import refusals
from arbot.ledger.lots.book import LotBook
from arbot.ledger.lots.parcels import Piece
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import Acquire, Leg, OpenItem, Send, Slice


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
    legs: tuple[Leg, ...]
    slices: list[Slice]
    moved: list[Moved]


class Matching:
    """One pass over a history by the lot book of the report."""

    def __init__(self, policy: LotPolicy, timezone: str) -> None:
        """Begin a pass by the clock of a time zone. Raises: UserError when it is unknown."""
        self.days = LocalDays(timezone)
        self._moved: list[Moved] = []
        self._book = LotBook(policy, lambda year: self.days.begin_ns(date(year, 1, 1).toordinal()), self._hear)

    def each(self, lines: Iterable[Placed]) -> Iterator[Matched]:
        """Yield every line with its lots. What cannot be matched is an open item afterwards."""
        book = self._book
        for line, ts_ns, seq in lines:
            try:
                legs = us_legs(line, ts_ns)
            except PriceMissing as missing:
                account = getattr(line, "venue", "") or getattr(line, "src", "")
                book.refuse(refusals.price_missing(line.id, account, missing.asset, ts_ns))
                legs = unpriced_legs(line)
            self._moved = []
            if isinstance(line, OpeningLine) and line.allocation:
                for leg in legs:
                    if isinstance(leg, Acquire):
                        book.allocate(leg, ts_ns)
                slices = []
            else:
                slices = book.apply(legs, ts_ns, seq)
            yield Matched(line, ts_ns, legs, slices, self._moved)

    def open_items(self) -> list[OpenItem]:
        """Return what was refused, in the order it was met."""
        return self._book.open_items()

    def _hear(self, leg: Send, pieces: list[Piece]) -> None:
        del leg
        self._moved += [Moved(parcel.lot, parcel.acquired_ns, qty, basis) for parcel, qty, basis in pieces]
