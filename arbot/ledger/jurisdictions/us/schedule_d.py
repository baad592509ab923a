"""Totals for the lines of Schedule D, added up while rows pass by.

Rules of this file (2025 Schedule D and its instructions; rounding of Form 8949):
- Each line is the sum of its rows in cents; whole dollars are rounded at the total only, and column (h) of a line is worked
  out from its printed columns.
- Beside each printed total stands the exact one, and the drift: printed gain less exact gain. Rounding is shown, not hidden.
- Lines 1a and 8a take sales that need no row on Form 8949.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from arbot.domain.units import EXACT, ZERO
from arbot.ledger.jurisdictions.us.amounts import NO_CENTS, column_h, whole_dollars

LINES: Final = ("1a", "1b", "2", "3", "8a", "8b", "9", "10")
SHORT_LINES: Final = frozenset({"1a", "1b", "2", "3"})


class LineTotal(msgspec.Struct, frozen=True, kw_only=True):
    """One line: columns as printed, and the exact gain in USD they stand for."""

    line: str
    rows: int
    proceeds: Decimal
    cost_basis: Decimal
    adjustment: Decimal
    gain: Decimal
    proceeds_exact: Decimal
    cost_basis_exact: Decimal

    @property
    def gain_exact(self) -> Decimal:
        """Return the gain before any rounding."""
        return EXACT.subtract(self.proceeds_exact, self.cost_basis_exact)

    @property
    def drift(self) -> Decimal:
        """Return what rounding made of it: printed gain less exact gain."""
        return EXACT.subtract(self.gain, self.gain_exact)


class ScheduleD(msgspec.Struct, frozen=True):
    """The lines that digital assets reach, those with rows only, in the order of the form."""

    lines: tuple[LineTotal, ...]

    @property
    def gain_short(self) -> Decimal:
        """Return the printed gain of lines 1a to 3; carryovers and other forms are not in it."""
        return sum((total.gain for total in self.lines if total.line in SHORT_LINES), NO_CENTS)

    @property
    def gain_long(self) -> Decimal:
        """Return the printed gain of lines 8a to 10; carryovers and other forms are not in it."""
        return sum((total.gain for total in self.lines if total.line not in SHORT_LINES), NO_CENTS)

    @property
    def gain(self) -> Decimal:
        """Return both together."""
        return self.gain_short + self.gain_long

    @property
    def drift(self) -> Decimal:
        """Return printed less exact over all lines."""
        total = ZERO
        for line in self.lines:
            total = EXACT.add(total, line.drift)
        return total


class Tally:
    """Running sums of the rows of one account in one line."""

    __slots__ = (
        "account", "adjustment", "box", "codes", "cost_basis", "cost_basis_exact", "line", "proceeds", "proceeds_exact", "rows",
    )  # fmt: skip

    def __init__(self, account: str, box: str, line: str) -> None:
        self.account = account
        self.box = box
        self.line = line
        self.rows = 0
        self.codes: dict[str, None] = {}  # letters met, kept in order of appearance
        self.proceeds = self.cost_basis = self.adjustment = NO_CENTS
        self.proceeds_exact = self.cost_basis_exact = ZERO

    def add_exact(self, proceeds: Decimal, basis: Decimal) -> None:
        """Take the exact amounts of a slice."""
        self.proceeds_exact = EXACT.add(self.proceeds_exact, proceeds)
        self.cost_basis_exact = EXACT.add(self.cost_basis_exact, basis)

    def add_row(self, proceeds: Decimal, basis: Decimal, code: str, adjustment: Decimal) -> None:
        """Take a row in cents."""
        self.rows += 1
        self.proceeds += proceeds
        self.cost_basis += basis
        if code:
            self.adjustment += adjustment
            self.codes.update(dict.fromkeys(code))


def schedule_d(tallies: list[Tally], *, is_in_dollars: bool = False) -> ScheduleD:
    """Return the totals of all lines that have rows."""
    found = {line: [tally for tally in tallies if tally.line == line and tally.rows] for line in LINES}
    return ScheduleD(tuple(_total(line, parts, is_in_dollars) for line, parts in found.items() if parts))


def _total(line: str, parts: list[Tally], is_in_dollars: bool) -> LineTotal:
    proceeds = sum((part.proceeds for part in parts), NO_CENTS)
    basis = sum((part.cost_basis for part in parts), NO_CENTS)
    adjustment = sum((part.adjustment for part in parts), NO_CENTS)
    proceeds_exact = basis_exact = ZERO
    for part in parts:
        proceeds_exact = EXACT.add(proceeds_exact, part.proceeds_exact)
        basis_exact = EXACT.add(basis_exact, part.cost_basis_exact)
    if is_in_dollars:
        proceeds, basis, adjustment = whole_dollars(proceeds), whole_dollars(basis), whole_dollars(adjustment)
    return LineTotal(
        line=line,
        rows=sum(part.rows for part in parts),
        proceeds=proceeds,
        cost_basis=basis,
        adjustment=adjustment,
        gain=column_h(proceeds, basis, adjustment),
        proceeds_exact=proceeds_exact,
        cost_basis_exact=basis_exact,
    )
