"""What a bundle of a country with tables of its own has besides disposals and lots: those tables, and the flows.

Rules of this file:
- A table goes to its file whole. The summary page shows the columns that the country names, of short tables only; of totals
  by tax year, the year of the report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from arbot.domain.history import Placed
from arbot.ledger.cells import cells
from arbot.ledger.jurisdictions.base import Country, Table, no_long_term
from arbot.ledger.lots.words import LotRun, OpenItem
from arbot.tax.bundle.columns import Columns
from arbot.tax.bundle.disposals import Totals
from arbot.tax.bundle.flows import Flows
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.local_words import Local
from arbot.tax.bundle.parts import ROWS_SHOWN, assets_grid, money
from arbot.tax.bundle.passing import Marks, Span, Writer
from arbot.tax.bundle.told import Grid

TAX_YEAR = "tax_year"
WORDS = frozenset({TAX_YEAR, "date", "asset", "account"})  # columns that are no amounts; a country names them first
NET_WORDS = "Here proceeds are after the costs of sale; the gain is the same."
_is_money = re.compile(r"-?\d+\.\d\d").fullmatch


class LocalPart:
    """The tables a country makes itself, and income, fees, transfers and evidence with amounts in its currency."""

    by_slice: Sequence[Callable[[Columns], None]] = ()

    def __init__(self, folder: Folder, country: Country, year: int, span: Span, rate_default: Decimal | None) -> None:
        self._folder = folder
        self._country = country
        self._year = year
        self._flows = Flows(folder, span, Local(country.ccy, rate_default))
        self.by_line: Sequence[Writer] = [self._flows]
        self.every_line: Sequence[Callable[[Placed], None]] = [self._flows.any_line]

    def close(self, marks: Marks, totals: Totals, run: LotRun) -> list[Grid]:
        """Write the tables; the short ones are shown."""
        self._flows.close()
        name = self._country.year_name(self._year)
        grids = [_written(self._folder, table, name) for table in self._country.tables(run, self._year)]
        has_terms = self._country.term is not no_long_term
        shown = [grid for grid in grids if grid.title and 0 < len(grid.rows) <= ROWS_SHOWN]
        return [*shown, assets_grid(totals, marks.at_end, has_terms=has_terms, note=NET_WORDS)]

    def open_items(self) -> list[OpenItem]:
        """Return nothing: the country's run has its own."""
        return []


def _written(folder: Folder, table: Table, year_name: str) -> Grid:
    """Write a table and return what of it may be shown: at most one row more than there is room for."""
    sheet = folder.sheet(f"{table.name}.csv", cells(*table.header))
    is_by_year = table.header[0] == TAX_YEAR
    columns = [table.header.index(name) for name in table.shown]
    kept: list[tuple[str, ...]] = []
    for row in table.rows:
        sheet.put(cells(*row))
        if len(kept) <= ROWS_SHOWN and (not is_by_year or row[0] == year_name):
            kept.append(tuple(_shown(row[at]) for at in columns))
    sheet.flush()
    header = tuple(name.replace("_", " ") for name in table.shown)
    words = sum(name in WORDS for name in table.shown)
    return Grid(table.title, header, tuple(kept), words=words, has_total=False)


def _shown(text: str) -> str:
    return money(Decimal(text)) if _is_money(text) else text
