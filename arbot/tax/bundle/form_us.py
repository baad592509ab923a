"""The forms of the United States: rows of Form 8949, the statement to attach, the summary rows, Schedule D.

Rules of this file (2025 forms and instructions):
- form8949.csv has every row with what traces it; statements/ has the same rows as the attachment of Exception 2 shows them,
  one file per box and account with its totals; form8949-summary.csv is what then stands on the form itself, code M.
- Money is rounded by the rules of jurisdictions/us/amounts.py, nowhere here. The total of a statement is the row that stands
  for it on the form: in whole dollars, the sum of cents rounded once.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from arbot.ledger.cells import cells
from arbot.ledger.jurisdictions.us.boxes import BOXES
from arbot.ledger.jurisdictions.us.form8949 import HEADER_8949, Dates, FormRow, RowMaker, csv_row
from arbot.ledger.jurisdictions.us.schedule_d import ScheduleD
from arbot.tax.bundle.columns import Columns
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.lot_rows import LotRows
from arbot.tax.bundle.sheet import Sheet
from arbot.tax.bundle.texts import plain

HEADER_STATEMENT = (
    '"(a) description of property","(b) date acquired","(c) date sold or disposed of","(d) proceeds",'
    '"(e) cost or other basis","(f) code","(g) adjustment","(h) gain or loss"'
)
HEADER_SCHEDULE_D = "line,part,box,rows,proceeds,cost_basis,adjustment,gain,proceeds_exact,cost_basis_exact,gain_exact,rounding_drift,where"
PER_BOX = {
    **{box.line: (box, f"total of Form 8949 with box {box.letter} checked") for box in BOXES.values()},
    **{
        box.line_without_rows: (box, f"total of sales of box {box.letter} that need no row")
        for box in BOXES.values()
        if box.line_without_rows
    },
}


class Statement:
    """The rows of one box and account."""

    def __init__(self, sheet: Sheet) -> None:
        self.put = sheet.put
        self.put_all = sheet.put_all

    def row(self, row: FormRow) -> None:
        """Write a row."""
        adjustment = str(row.adjustment) if row.code else ""
        ident = row.sale_txid or row.disposal_id.removesuffix(":fee")
        if '"' in ident:
            ident = ident.replace('"', '""')
        self.put(
            f'"{row.units} {row.asset}, {ident}",{row.date_acquired},{row.date_sold},{row.proceeds!s},{row.cost_basis!s},'
            f"{row.code},{adjustment},{row.gain!s}"
        )

    def close(self, total: FormRow) -> None:
        """Write the totals of columns (d), (e), (g), (h), as they stand on the form."""
        self.put(f"Total,,,{total.proceeds},{total.cost_basis},,{total.adjustment},{total.gain}")


class FormFiles:
    """Writes the forms' files while slices pass by."""

    def __init__(self, folder: Folder, maker: RowMaker, dates: Dates) -> None:
        self._folder = folder
        self._maker = maker
        self._lot_rows = LotRows(maker, dates)
        self._form = folder.sheet("form8949.csv", HEADER_8949)
        self._statements: dict[tuple[str, str], Statement] = {}

    def slices(self, given: Columns) -> None:
        """Write the rows that these slices complete."""
        if self._lot_rows.can_make(given):
            rows = self._lot_rows.of(given)
            self._form.put_all(rows.form)
            for (box, account), lines in rows.statements.items():
                self._statement(box, account).put_all(lines)
            return
        take = self._maker.take
        for one in given.slices:
            made = take(one)
            if made:
                self._write(made)

    def close(self) -> ScheduleD:
        """Write the last rows, the totals, the summary and Schedule D; return the latter."""
        self._write(self._maker.finish())
        summary = self._folder.sheet("form8949-summary.csv", HEADER_8949)
        for row in self._maker.summary():
            summary.put(csv_row(row))
            self._statements[row.box, row.account].close(row)
        made = self._maker.schedule_d()
        _write_schedule_d(self._folder, made)
        return made

    def _write(self, rows: Iterable[FormRow]) -> None:
        put = self._form.put
        for row in rows:
            put(csv_row(row))
            self._statement(row.box, row.account).row(row)

    def _statement(self, box: str, account: str) -> Statement:
        statement = self._statements.get((box, account))
        if statement is None:
            name = "all-accounts" if account == "*" else account
            sheet = self._folder.sheet(f"statements/{box}-{name}.csv", HEADER_STATEMENT)
            statement = self._statements[box, account] = Statement(sheet)
        return statement


def _write_schedule_d(folder: Folder, schedule: ScheduleD) -> None:
    sheet = folder.sheet("schedule-d.csv", HEADER_SCHEDULE_D)
    for line in schedule.lines:
        box, words = PER_BOX[line.line]
        sheet.put(
            cells(
                line.line,
                box.part,
                box.letter,
                str(line.rows),
                *_numbers(line.proceeds, line.cost_basis, line.adjustment, line.gain),
                *_numbers(line.proceeds_exact, line.cost_basis_exact, line.gain_exact, line.drift),
                words,
            )
        )


def _numbers(*amounts: Decimal) -> list[str]:
    return [plain(amount) for amount in amounts]
