"""Rows of Form 8949 of slices that stand for themselves, spelled by the column: the same texts that form8949.py makes.

Rules of this file:
- A row per slice in cents, no Form 1099-DA, no name that needs quoting: that is nearly every report, and it has hundreds of
  thousands of rows. Whatever is not like that is made by the RowMaker and `csv_row`, row by row.
- Both ways count in the RowMaker's own tallies, so totals do not depend on who made a row. A test draws slices and compares.
"""

from __future__ import annotations

from decimal import Decimal
from operator import sub
from typing import NamedTuple

from arbot.domain.units import fmt
from arbot.ledger.jurisdictions.days import QUARTER_NS
from arbot.ledger.jurisdictions.us.amounts import all_cents
from arbot.ledger.jurisdictions.us.boxes import NOT_REPORTED
from arbot.ledger.jurisdictions.us.form8949 import Dates, RowMaker
from arbot.tax.bundle.columns import Columns

BEGINS = {term: f"{box.letter},{box.part}," for term, box in NOT_REPORTED.items()}
WORDS = {term: box.term for term, box in NOT_REPORTED.items()}


class Rows(NamedTuple):
    """What a batch of slices gives: lines of form8949.csv, and lines of the statements by box and account."""

    form: list[str]
    statements: dict[tuple[str, str], list[str]]


class LotRows:
    """Spells rows and counts them in the tallies of `maker`. `dates` are the taxpayer's, as the form wants them."""

    def __init__(self, maker: RowMaker, dates: Dates) -> None:
        self._maker = maker
        self._dates = _ByQuarter(dates)

    def can_make(self, given: Columns) -> bool:
        """Return whether the rows of these slices are of the plain kind."""
        return given.is_bare and self._maker.has_bare_rows

    def of(self, given: Columns) -> Rows:
        """Return the rows of slices, in their order."""
        proceeds, basis = all_cents(given.proceeds), all_cents(given.basis)
        by_quarter = self._dates
        acquired = [by_quarter[ts_ns // QUARTER_NS] for ts_ns in given.acquired_ns]
        sold = [by_quarter[ts_ns // QUARTER_NS] for ts_ns in given.sold_ns]
        units = [text if text[-1] != "0" else fmt(qty) for text, qty in zip(given.qty_text, given.qty, strict=True)]
        gain = map(str, map(sub, proceeds, basis))
        money = [
            f"{acquired_on},{sold_on},{shown!s},{shown_basis!s},"
            for acquired_on, sold_on, shown, shown_basis in zip(acquired, sold, proceeds, basis, strict=True)
        ]
        self._count(given, proceeds, basis)
        return _rows(given, units, money, list(gain))

    def _count(self, given: Columns, proceeds: list[Decimal], basis: list[Decimal]) -> None:
        tally_of = self._maker.tally_of
        tallies = {key: tally_of(*key) for key in dict.fromkeys(zip(given.account, given.term, strict=True))}
        keys = zip(given.account, given.term, strict=True)
        for key, exact, exact_basis, shown, shown_basis in zip(
            keys, given.proceeds, given.basis, proceeds, basis, strict=True
        ):
            tally = tallies[key]
            tally.rows += 1
            tally.proceeds_exact += exact
            tally.cost_basis_exact += exact_basis
            tally.proceeds += shown
            tally.cost_basis += shown_basis


class _ByQuarter(dict[int, str]):
    """Dates by quarter of an hour: a date cannot change within one (days.py)."""

    def __init__(self, dates: Dates) -> None:
        super().__init__()
        self._dates = dates

    def __missing__(self, quarter: int) -> str:
        text = self[quarter] = self._dates(quarter * QUARTER_NS)
        return text


def _rows(given: Columns, units: list[str], money: list[str], gain: list[str]) -> Rows:
    """Return the rows as text; `money` is columns (b) to (e) with a comma behind each."""
    form = [
        f"{BEGINS[term]}{qty} {asset},{qty},{asset},,{amounts},0.00,{gained},{WORDS[term]},{account},{lot},{disposal},{method},"
        f"{identified},{seq}"
        for term, qty, asset, amounts, gained, account, lot, disposal, method, identified, seq in zip(
            given.term, units, given.asset, money, gain, given.account, given.lot, given.disposal, given.method,
            given.identified, given.seq, strict=True,
        )
    ]  # fmt: skip
    lines: dict[tuple[str, str], list[str]] = {key: [] for key in zip(given.term, given.account, strict=True)}
    keys = zip(given.term, given.account, strict=True)
    for key, qty, asset, disposal, amounts, gained in zip(
        keys, units, given.asset, given.disposal, money, gain, strict=True
    ):
        lines[key].append(f'"{qty} {asset}, {disposal.removesuffix(":fee")}",{amounts},,{gained}')
    return Rows(form, {(NOT_REPORTED[term].letter, account): rows for (term, account), rows in lines.items()})
