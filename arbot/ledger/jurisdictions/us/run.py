"""The United States' pass over a history: lines become effects by the fee rules, effects become slices in the lot book.

Rules of this file:
- Lots and terms are the law's as long as the policy is what was recorded; anything else is a what-if, which the report says.
- Years begin by the taxpayer's clock: 2025 ends the pool, 2027 asks for a word to the broker.
- A line that cannot be valued is an open item. The run goes on, so that all open items of a history are told at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from arbot.domain.history import HistoryLine, OpeningLine, Placed, TransferLine
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.jurisdictions.us.effects import PriceMissing, unpriced_effects, us_effects
from arbot.ledger.lots import refusals
from arbot.ledger.lots.book import LotBook
from arbot.ledger.lots.parcels import Piece
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import Acquire, LotEffect, OpenItem, Remaining, Send, Slice


class UsRun:
    """One pass. Slices are certain as soon as their line is fed."""

    def __init__(
        self,
        policy: LotPolicy,
        timezone: str = "UTC",
        hear_effects: Callable[[tuple[LotEffect, ...]], None] | None = None,
        hear_move: Callable[[Send, list[Piece]], None] | None = None,
    ) -> None:
        """Begin a pass by the clock of a time zone. Who asks is told the effects of each line and the lots that set off.

        Raises: UserError when the time zone is unknown.
        """
        days = LocalDays(timezone)
        self._book = LotBook(policy, lambda year: days.begin_ns(date(year, 1, 1).toordinal()), hear_move)
        self._hear_effects = hear_effects

    def feed(self, placed: Placed) -> list[Slice]:
        """Take the next line and return the slices of its disposals."""
        line, ts_ns, seq = placed
        try:
            effects = us_effects(line, ts_ns)
        except PriceMissing as missing:
            self._book.refuse(refusals.price_missing(line.id, _account(line), missing.asset, ts_ns))
            effects = unpriced_effects(line)
        if self._hear_effects is not None:
            self._hear_effects(effects)
        if type(line) is OpeningLine and line.allocation:
            for effect in effects:
                if isinstance(effect, Acquire):
                    self._book.allocate(effect, ts_ns)
            return []
        return self._book.apply(effects, ts_ns, seq)

    def advance(self, ts_ns: int) -> None:
        """Let time pass up to an instant, such as the end of a year, before asking what is left."""
        self._book.advance(ts_ns)

    def finish(self) -> list[Slice]:
        """Take history as complete; nothing waits, so no slices come."""
        self._book.finish()
        return []

    def remaining(self) -> list[Remaining]:
        """Return what is left, sorted by account, asset, time and lot."""
        return self._book.remaining()

    def open_items(self) -> list[OpenItem]:
        """Return what was refused, in the order it was met."""
        return self._book.open_items()

    def notes(self) -> list[OpenItem]:
        """Return what is told and blocks nothing: picks that came too late."""
        return self._book.notes()


def _account(line: HistoryLine) -> str:
    return line.src if isinstance(line, TransferLine) else line.venue
