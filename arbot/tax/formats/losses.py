"""What a format cannot say: counted while rows are made, told to the user at the end, never dropped in silence.

Rules of this file:
- A loss has a code, how often it came, and the first few lines it came from; the words are one table.
- A loss never changes what is booked here: it is about the other program's file only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

SHOWN_MAX: Final = 3

WORDS: Final[Mapping[str, str]] = {
    "digits": "amounts were rounded, half even, to the decimals that the format takes",
    "in_flight": "transfers had not arrived: only the leaving side is written",
    "opening_bought": "opening lots were written as a purchase on the day they were acquired, with a deposit of its price",
    "opening_free": "opening lots with no basis were written as a deposit of no value",
    "rebate_row": "rebates are rows of their own, as income; here they are part of what the trade brought",
    "no_label": "the format has no label for why this was received or paid: written without one",
    "no_value": "the line has no price: the value is left to the other program",
    "no_gbp": "the line has no GBP rate (fx): the value is left to the other program",
    "seconds": "times were cut to the second",
    "minutes": "times were cut to the minute: the order inside a minute is lost",
    "milliseconds": "times were cut to the millisecond",
    "not_a_trade": "lines that are not fills are not in this file: make rotki-events too",
    "a_trade": "fills are not in this file: make rotki-trades too",
    "location": "accounts that rotki does not know are written as `external`",
    "accounts_mixed": "the format has no column for the account: name a folder with --out for a file per account",
    "worthless": "units came or went for nothing or less; the program takes no such row: it is left out",
    "too_small": "the quantity or its value is zero in the decimals of the program: the row is left out",
    "cash_only": "cash has no lots in this program: the line is left out",
    "other_year": "entries of other years were left out; most programs need the whole history to compute basis",
    "universal": "the program keeps one pool over all accounts: what it computes is not lots per account",
}
"""What each code means, said after how often it came."""


class Loss(msgspec.Struct):
    """One thing that could not be said: how often, and for which lines first."""

    code: str
    count: int = 0
    first: list[str] = []

    def __str__(self) -> str:
        shown = ", ".join(self.first) + (", ..." if self.count > len(self.first) else "")
        return f"{self.count} x {self.code}: {WORDS[self.code]} ({shown})"


class Losses:
    """The losses of one export, in the order in which they were first met."""

    def __init__(self) -> None:
        self._losses: dict[str, Loss] = {}

    def note(self, code: str, where: str) -> None:
        """Count one more loss at a line. Raises: KeyError for a code that has no words."""
        loss = self._losses.get(code)
        if loss is None:
            _ = WORDS[code]
            loss = self._losses[code] = Loss(code, first=[])
        loss.count += 1
        if len(loss.first) < SHOWN_MAX:
            loss.first.append(where)

    def told(self) -> list[Loss]:
        """Return what was met, in the order in which it was first met."""
        return list(self._losses.values())
