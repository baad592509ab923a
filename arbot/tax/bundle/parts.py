"""What a bundle has besides disposals and lots: the forms of the United States. Other countries: part_local.py.

Rules of this file:
- A part gives the pass its listeners and, when history has ended, its files and what the summary page shows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from arbot.domain.history import Placed
from arbot.domain.units import ZERO
from arbot.ledger.jurisdictions.us.amounts import cents
from arbot.ledger.jurisdictions.us.form8949 import Dates, RowMaker
from arbot.ledger.jurisdictions.us.schedule_d import ScheduleD
from arbot.ledger.lots.policy import Pool
from arbot.ledger.lots.words import LotRun, OpenItem, Remaining
from arbot.tax.bundle.bridge import GAIN, UNEXPLAINED, WORDS, Bridge, Row, write_bridge
from arbot.tax.bundle.columns import Columns
from arbot.tax.bundle.disposals import Totals
from arbot.tax.bundle.flows import Flows
from arbot.tax.bundle.folder import Folder
from arbot.tax.bundle.form_us import FormFiles
from arbot.tax.bundle.passing import Marks, Span, Writer
from arbot.tax.bundle.told import Grid

ROWS_SHOWN = 8
DRIFT_WORDS = "Rows are rounded to cents; the exact gain is {exact}, the rounding {drift}."


class Part(Protocol):
    """Files of one country."""

    by_line: Sequence[Writer]
    by_slice: Sequence[Callable[[Columns], None]]
    every_line: Sequence[Callable[[Placed], None]]

    def close(self, marks: Marks, totals: Totals, run: LotRun) -> list[Grid]:
        """Write what is left to write and return what the summary shows."""
        ...

    def open_items(self) -> list[OpenItem]:
        """Return what the part itself found open; ask after `close`."""
        ...


class UnitedStatesPart:
    """Form 8949 and all that stands behind it."""

    def __init__(self, folder: Folder, span: Span, pool: Pool, maker: RowMaker, dates: Dates) -> None:
        self._folder = folder
        self._flows = Flows(folder, span)
        self._bridge = Bridge(pool)
        self._forms = FormFiles(folder, maker, dates)
        self._unexplained = ZERO
        self.by_line: Sequence[Writer] = [self._flows, self._bridge]
        self.by_slice: Sequence[Callable[[Columns], None]] = [self._forms.slices]
        self.every_line: Sequence[Callable[[Placed], None]] = [self._flows.any_line]

    def close(self, marks: Marks, totals: Totals, run: LotRun) -> list[Grid]:
        """Write totals, transfers and the bridge."""
        del run
        schedule = self._forms.close()
        self._flows.close()
        self._bridge.hold(marks.at_start, marks.at_end)
        rows = write_bridge(self._folder, self._bridge, totals)
        self._unexplained = next(row.amount for row in rows if row.step == UNEXPLAINED)
        return [_lines_grid(schedule), assets_grid(totals, marks.at_end), _bridge_grid(rows), self._beside()]

    def _beside(self) -> Grid:
        below = [(step, words, money(amount)) for step, amount, words in self._bridge.below()]
        open_row = (
            "transfers under way",
            "not arrived by the year's end: transfers.csv",
            f"{self._flows.transfers_open:,} moves",
        )
        return Grid("Beside the gain", ("", "what it is", "USD"), (open_row, *below), words=2)

    def open_items(self) -> list[OpenItem]:
        """Return that the bridge does not close, if so: then some figure is wrong."""
        if not self._unexplained:
            return []
        what = f"gain and flows differ by {self._unexplained:f} USD"
        remedy = "settle the other open items first; if none is left, report it with `arbot ledger export`"
        return [OpenItem("bridge_open", "reconciliation.csv", what, remedy)]


def money(amount: Decimal) -> str:
    """Return an amount as the summary shows it: cents, thousands apart, negatives in parentheses."""
    rounded = cents(amount)
    return f"({-rounded:,})" if rounded < 0 else f"{rounded:,}"


def assets_grid(totals: Totals, left: Sequence[Remaining], *, has_terms: bool = True, note: str = "") -> Grid:
    """Return the totals of each asset, those with the largest proceeds first, the others together."""
    basis: dict[str, Decimal] = {}
    for lot in left:
        basis[lot.asset] = basis.get(lot.asset, ZERO) + lot.basis
    sums = {asset: totals.of(asset=asset) for asset in sorted({*totals.assets(), *basis})}
    ranked = sorted(sums, key=lambda asset: (-sums[asset].proceeds, asset))
    shown, others = ranked[:ROWS_SHOWN], ranked[ROWS_SHOWN:]
    rows = [_asset_row(asset, [asset], totals, basis, has_terms=has_terms) for asset in shown]
    if others:
        rows.append(_asset_row(f"{len(others)} others", others, totals, basis, has_terms=has_terms))
    rows.append(_asset_row("all", ranked, totals, basis, has_terms=has_terms))
    gains = ("short gain", "long gain") if has_terms else ("gain",)
    header = ("asset", "disposals", "proceeds", "basis", *gains, "basis held")
    return Grid("By asset, exact sums shown in cents", header, tuple(rows), note=note)


def _asset_row(
    name: str, assets: Sequence[str], totals: Totals, basis: dict[str, Decimal], *, has_terms: bool
) -> tuple[str, ...]:
    count = 0
    proceeds = cost = short = long = held = ZERO
    for asset in assets:
        whole = totals.of(asset=asset)
        gain_long = totals.of(asset=asset, term="L").gain
        count += whole.count
        proceeds, cost = proceeds + whole.proceeds, cost + whole.basis
        short, long = short + whole.gain - gain_long, long + gain_long
        held += basis.get(asset, ZERO)
    gains = (money(short), money(long)) if has_terms else (money(short + long),)
    return (name, f"{count:,}", money(proceeds), money(cost), *gains, money(held))


def _lines_grid(schedule: ScheduleD) -> Grid:
    rows = [
        (f"line {one.line}", f"{one.rows:,}", *map(money, (one.proceeds, one.cost_basis, one.adjustment, one.gain)))
        for one in schedule.lines
    ]
    rows.append(("short-term gain", "", "", "", "", money(schedule.gain_short)))
    rows.append(("long-term gain", "", "", "", "", money(schedule.gain_long)))
    rows.append(("both", "", "", "", "", money(schedule.gain)))
    exact = sum((one.gain_exact for one in schedule.lines), ZERO)
    note = DRIFT_WORDS.format(exact=money(exact), drift=money(schedule.drift))
    header = ("Schedule D", "rows", "(d) proceeds", "(e) basis", "(g) adjustment", "(h) gain")
    return Grid("What goes on Schedule D", header, tuple(rows), note=note)


def _bridge_grid(rows: Sequence[Row]) -> Grid:
    shown = [row for row in rows if not row.asset and (row.step != UNEXPLAINED or row.amount)]
    cells_shown = [(row.step, WORDS[row.step], money(row.amount)) for row in shown]
    return Grid(f"From trading to {GAIN}", ("step", "what it is", "USD"), tuple(cells_shown), words=2)
