"""Rows of Form 8949 out of slices, one after the other, with totals at the end.

Rules of this file (2025 Form 8949 with instructions; rounding in amounts.py, boxes and codes in boxes.py):
- LOTS: a row per slice. SALE: a row per sale and term; units bought on different days get VARIOUS in (b), short and long
  stay apart. The slices of one disposal have to come one after the other, as a lot run gives them.
- A sale that a Form 1099-DA tells of is one row per term in either mode, since the form is compared row by row. Where the
  form covers both terms, its amounts are split by units.
- Column (a): exact units, asset, and the sale's transaction id if there is one.
- Exception 2: `summary` gives one row per account and box with code M, whose statement the other rows are.
- Money is rounded per row; what is added up are the rows. In whole dollars every amount of a row is one, while totals
  are still added in cents.
- What may go to line 1a or 8a without a row gives none, and is in the totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from arbot.domain.history import format_ts
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.cells import FORMULA_SIGNS, cells
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.jurisdictions.us.amounts import NO_CENTS, cents, column_h, whole_dollars
from arbot.ledger.jurisdictions.us.boxes import (
    BOXES,
    LONG,
    NOT_REPORTED,
    SHORT,
    Columns,
    Reported,
    columns,
    said_by_term,
)
from arbot.ledger.jurisdictions.us.schedule_d import ScheduleD, Tally, schedule_d
from arbot.ledger.lots.words import Slice

HEADER_8949: Final = (
    "box,part,description,units,asset,sale_txid,date_acquired,date_sold,proceeds,cost_basis,code,adjustment,gain,term,"
    "account,lot_id,disposal_id,method,identified_at,ledger_seq"
)
VARIOUS: Final = "VARIOUS"
_COMMAS: Final = HEADER_8949.count(",")

IsLong = Callable[[int, int], bool]
"""From two instants in ns, acquired and sold, to whether units were held for more than a year (terms.py)."""
Dates = Callable[[int], str]
"""From an instant in ns to the taxpayer's local date, MM/DD/YYYY."""


class RowMode(StrEnum):
    """How many rows a sale gets."""

    LOTS = "lots"
    SALE = "sale"


class FormRow(msgspec.Struct, frozen=True, gc=False):
    """One row; money as printed, so that gain = proceeds - cost_basis + adjustment. Some fields are for tracing only."""

    box: str
    line: str  # of Schedule D
    description: str  # column (a)
    units: str
    asset: str
    sale_txid: str
    date_acquired: str
    date_sold: str
    proceeds: Decimal
    cost_basis: Decimal
    code: str
    adjustment: Decimal
    gain: Decimal
    account: str
    lot_id: str  # "" when the row stands for several lots
    disposal_id: str
    method: str
    identified_at: str  # "" for FIFO by default
    ledger_seq: int

    @property
    def part(self) -> str:
        """Return "I" or "II"."""
        return BOXES[self.box].part

    @property
    def term(self) -> str:
        """Return "short" or "long"."""
        return BOXES[self.box].term


class RowMaker:
    """Makes rows from the slices of one tax year. Feed them with `take`, then `finish`, then ask for the totals.

    `reported` holds what Forms 1099-DA say, by disposal: one for the whole sale, or one per term (form1099da matching).
    `sale_txid` names a sale for column (a); where it gives nothing, the id on the Form 1099-DA is used.
    """

    def __init__(
        self,
        is_long: IsLong,
        dates: Dates,
        mode: RowMode = RowMode.LOTS,
        *,
        is_in_dollars: bool = False,
        is_total_enough: bool = False,
        reported: Mapping[str, Sequence[Reported]] | None = None,
        sale_txid: Callable[[str], str] | None = None,
    ) -> None:
        self._is_long = is_long
        self._dates = dates
        self._is_in_dollars = is_in_dollars
        self._is_total_enough = is_total_enough
        self._reported = reported or {}
        self._sale_txid = sale_txid
        self._is_row_per_slice = mode is RowMode.LOTS
        self._tallies: dict[tuple[str, str, str], Tally] = {}
        self._waiting: list[Slice] = []

    def take(self, part: Slice) -> Sequence[FormRow]:
        """Take the next slice and return the rows that are complete."""
        waiting = self._waiting
        if waiting and waiting[0].disposal != part.disposal:
            return [*self._sale_rows(), *self.take(part)]
        if self._is_row_per_slice and part.disposal not in self._reported:
            return (self._slice_row(part),)
        waiting.append(part)
        return ()

    def finish(self) -> Sequence[FormRow]:
        """Return the rows of the last sale."""
        return self._sale_rows()

    def summary(self) -> list[FormRow]:
        """Return the rows that stand for a statement: one per account and box, code M with those that occur in it."""
        found = [tally for tally in self._tallies.values() if tally.rows and tally.line == BOXES[tally.box].line]
        return [self._summary_row(tally) for tally in sorted(found, key=lambda tally: (tally.box, tally.account))]

    def schedule_d(self) -> ScheduleD:
        """Return the totals of all rows made so far, and of what needed none."""
        return schedule_d(list(self._tallies.values()), is_in_dollars=self._is_in_dollars)

    @property
    def has_bare_rows(self) -> bool:
        """Return whether each slice is a row by itself, in cents, and nothing is known of it from outside."""
        return self._is_row_per_slice and not (self._is_in_dollars or self._reported or self._sale_txid)

    def tally_of(self, account: str, term: str) -> Tally:
        """Return the running sums of rows without a Form 1099-DA, for who makes such rows by himself (`has_bare_rows`)."""
        box = NOT_REPORTED[term]
        return self._tally((account, box.letter, box.line))

    def _slice_row(self, part: Slice) -> FormRow:
        box = NOT_REPORTED[LONG if self._is_long(part.acquired_ns, part.sold_ns) else SHORT]
        proceeds, basis = cents(part.proceeds), cents(part.basis)
        key = (part.account, box.letter, box.line)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tally(key)
        tally.add_exact(part.proceeds, part.basis)
        tally.add_row(proceeds, basis, "", NO_CENTS)
        adjustment = NO_CENTS
        if self._is_in_dollars:
            proceeds, basis, adjustment = whole_dollars(proceeds), whole_dollars(basis), ZERO
        units = _units(part.qty)
        txid = self._sale_txid(part.disposal) if self._sale_txid else ""
        return FormRow(
            box.letter,
            box.line,
            f"{units} {part.asset}, {txid}" if txid else f"{units} {part.asset}",
            units,
            part.asset,
            txid,
            self._dates(part.acquired_ns),
            self._dates(part.sold_ns),
            proceeds,
            basis,
            "",
            adjustment,
            proceeds - basis,
            part.account,
            part.lot,
            part.disposal,
            part.method,
            _identified(part.identified_ns) if part.identified_ns else "",
            part.seq,
        )

    def _sale_rows(self) -> list[FormRow]:
        parts, self._waiting = self._waiting, []
        if not parts:
            return []
        if len(parts) == 1 and parts[0].disposal not in self._reported:
            return [self._slice_row(parts[0])]
        by_term: dict[str, list[Slice]] = {}
        for part in parts:
            term = LONG if self._is_long(part.acquired_ns, part.sold_ns) else SHORT
            by_term.setdefault(term, []).append(part)
        units = {term: _sum(part.qty for part in of_term) for term, of_term in by_term.items()}
        said = said_by_term(self._reported.get(parts[0].disposal, ()), units)
        made = (self._sale_row(term, of_term, said.get(term)) for term, of_term in by_term.items())
        return [row for row in made if row is not None]

    def _sale_row(self, term: str, parts: list[Slice], said: Reported | None) -> FormRow | None:
        proceeds, basis = _sum(part.proceeds for part in parts), _sum(part.basis for part in parts)
        entry = columns(term, proceeds, basis, said, is_total_enough=self._is_total_enough)
        first = parts[0]
        tally = self._tally((first.account, entry.box.letter, entry.line))
        tally.add_exact(proceeds, basis)
        tally.add_row(entry.proceeds, entry.basis, entry.code, entry.adjustment)
        if entry.line != entry.box.line:
            return None
        days = list(dict.fromkeys(self._dates(part.acquired_ns) for part in parts))
        lots = list(dict.fromkeys(part.lot for part in parts))
        txid = (self._sale_txid(first.disposal) if self._sale_txid else "") or (said.sale_txid if said else "")
        units = _units(_sum(part.qty for part in parts))
        printed, printed_basis, adjustment, gain = self._printed(entry)
        return FormRow(
            box=entry.box.letter,
            line=entry.line,
            description=f"{units} {first.asset}, {txid}" if txid else f"{units} {first.asset}",
            units=units,
            asset=first.asset,
            sale_txid=txid,
            date_acquired=days[0] if len(days) == 1 else VARIOUS,
            date_sold=self._dates(first.sold_ns),
            proceeds=printed,
            cost_basis=printed_basis,
            code=entry.code,
            adjustment=adjustment,
            gain=gain,
            account=first.account,
            lot_id=lots[0] if len(lots) == 1 else "",
            disposal_id=first.disposal,
            method=first.method,
            identified_at=_identified(max(part.identified_ns for part in parts)),
            ledger_seq=first.seq,
        )

    def _printed(self, entry: Columns) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        if not self._is_in_dollars:
            return entry.proceeds, entry.basis, entry.adjustment, entry.gain
        proceeds, basis = whole_dollars(entry.proceeds), whole_dollars(entry.basis)
        adjustment = whole_dollars(entry.adjustment)
        return proceeds, basis, adjustment, column_h(proceeds, basis, adjustment)

    def _summary_row(self, tally: Tally) -> FormRow:
        code = "".join(sorted({"M", *tally.codes}))
        gain = column_h(tally.proceeds, tally.cost_basis, tally.adjustment)
        entry = Columns(BOXES[tally.box], tally.line, tally.proceeds, tally.cost_basis, code, tally.adjustment, gain)
        proceeds, basis, adjustment, gain = self._printed(entry)
        return FormRow(
            box=tally.box,
            line=tally.line,
            description=f"{tally.account} see attached statement",
            units="",
            asset="",
            sale_txid="",
            date_acquired="",
            date_sold="",
            proceeds=proceeds,
            cost_basis=basis,
            code=code,
            adjustment=adjustment,
            gain=gain,
            account=tally.account,
            lot_id="",
            disposal_id="",
            method="",
            identified_at="",
            ledger_seq=0,
        )

    def _tally(self, key: tuple[str, str, str]) -> Tally:
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(*key)
        return tally


def rows_of(maker: RowMaker, slices: Iterable[Slice]) -> Iterator[FormRow]:
    """Return all rows of a year, as they are made."""
    for part in slices:
        yield from maker.take(part)
    yield from maker.finish()


def form_dates(timezone: str) -> Dates:
    """Return what turns instants into local dates as the form wants them. Raises: UserError on an unknown time zone."""
    day_of = LocalDays(timezone).of
    return lambda ts_ns: _form_date(day_of(ts_ns))


def csv_row(row: FormRow) -> str:
    """Return the row under HEADER_8949, without line end; RFC 4180 quoting, minus sign for negatives.

    `ledger_seq` is empty in a summary row, which stands for no single disposal.
    """
    box = BOXES[row.box]
    seq = str(row.ledger_seq) if row.disposal_id else ""
    text = (
        f"{row.box},{box.part},{row.description},{row.units},{row.asset},{row.sale_txid},{row.date_acquired},"
        f"{row.date_sold},{row.proceeds!s},{row.cost_basis!s},{row.code},{row.adjustment!s},{row.gain!s},{box.term},"
        f"{row.account},{row.lot_id},{row.disposal_id},{row.method},{row.identified_at},{seq}"
    )
    is_plain = text.count(",") == _COMMAS and '"' not in text and "\n" not in text and "\r" not in text
    if is_plain and FORMULA_SIGNS.isdisjoint((row.sale_txid[:1], row.lot_id[:1], row.disposal_id[:1])):
        return text
    fields = (
        row.box, box.part, row.description, row.units, row.asset, row.sale_txid, row.date_acquired, row.date_sold,
        str(row.proceeds), str(row.cost_basis), row.code, str(row.adjustment), str(row.gain), box.term, row.account,
        row.lot_id, row.disposal_id, row.method, row.identified_at, seq,
    )  # fmt: skip
    return cells(*fields)


def on_form(amount: Decimal) -> str:
    """Return an amount as the paper form shows it: negative ones in parentheses."""
    return f"({-amount})" if amount < 0 else str(amount)


def _units(qty: Decimal) -> str:
    text = str(qty)  # the usual case is as it should be, and four times as fast
    return fmt(qty) if text[-1] == "0" or "E" in text else text


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


@lru_cache(maxsize=65_536)
def _form_date(day: int) -> str:
    return date.fromordinal(day).strftime("%m/%d/%Y")


@lru_cache(maxsize=4096)
def _identified(ns: int) -> str:
    return format_ts(ns) if ns else ""
