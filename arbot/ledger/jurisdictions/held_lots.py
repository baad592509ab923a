"""A run for countries that keep lots per account and ask how long units were held: Germany, Australia.

Rules of this file:
- Lots are those of arbot/ledger/lots, per account; an own transfer carries lots with their time. FIFO, and units named in
  time by a pick. Values and fees are those of local_effects.py.
- Slices are certain at once. For the tables only sums per tax year are kept, by asset: gains and losses, held long or not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import msgspec

from arbot.domain.history import LotMethod, Placed
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.jurisdictions.base import CountryOptions, Table, TermJudge
from arbot.ledger.jurisdictions.days import LocalDays, is_beyond_year, tax_year_of
from arbot.ledger.jurisdictions.local_effects import LocalEffects
from arbot.ledger.jurisdictions.rounding import nearest, text
from arbot.ledger.lots.book import LotBook
from arbot.ledger.lots.policy import Custody, LotPolicy
from arbot.ledger.lots.words import Dispose, OpenItem, Remaining, Slice

_plus, _minus = EXACT.add, EXACT.subtract


class YearSums(msgspec.Struct, gc=False):
    """Disposals of one tax year, exact. Proceeds are before `costs` of sale; losses are positive numbers."""

    slices: int = 0
    proceeds: Decimal = ZERO
    costs: Decimal = ZERO
    basis: Decimal = ZERO
    gains: Decimal = ZERO
    losses: Decimal = ZERO
    gains_long: Decimal = ZERO
    losses_long: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """Return gains less losses of what was not held long."""
        return _minus(self.gains, self.losses)

    @property
    def net_long(self) -> Decimal:
        """Return gains less losses of what was held long."""
        return _minus(self.gains_long, self.losses_long)

    def add(self, part: Slice, *, is_long: bool) -> None:
        """Count a slice."""
        gain = _minus(part.proceeds, part.basis)
        self.slices += 1
        self.proceeds = _plus(self.proceeds, part.proceeds)
        self.basis = _plus(self.basis, part.basis)
        if gain >= 0:
            if is_long:
                self.gains_long = _plus(self.gains_long, gain)
            else:
                self.gains = _plus(self.gains, gain)
        elif is_long:
            self.losses_long = _minus(self.losses_long, gain)
        else:
            self.losses = _minus(self.losses, gain)

    def plus(self, other: YearSums) -> YearSums:
        """Return both together."""
        return YearSums(
            self.slices + other.slices,
            *(_plus(getattr(self, name), getattr(other, name)) for name in self.__struct_fields__[1:]),
        )


YearTable = Callable[[int, dict[str, YearSums], dict[int, YearSums]], list[Table]]
"""(tax year, its sums by asset, all tax years) -> tables."""


class HeldFrame(msgspec.Struct, frozen=True):
    """What tells one such country from another."""

    code: str
    ccy: str
    year_begins: tuple[int, int]
    year_tables: YearTable


class HeldRun:
    """One pass over a history with lots per account."""

    def __init__(
        self,
        policy: LotPolicy,
        options: CountryOptions,
        frame: HeldFrame,
    ) -> None:
        self._days = days = LocalDays(options.timezone)
        self._name = frame.code
        self._effects = LocalEffects(
            frame.ccy, options.rate_default, is_transfer_fee_allowable=options.is_transfer_fee_allowable
        )
        self._year_begins = frame.year_begins
        self._year_tables = frame.year_tables
        lots = LotPolicy(method=LotMethod.FIFO, picks=policy.picks, custody_default=Custody.SELF)
        self._book = LotBook(lots, lambda year: days.begin_ns(date(year, 1, 1).toordinal()))
        self._sums: dict[tuple[int, str], YearSums] = {}

    def feed(self, placed: Placed) -> list[Slice]:
        """Take the next line and return the slices of its disposals."""
        effects = self._effects.of(placed)
        slices = self._book.apply(effects, placed.ts_ns, placed.seq)
        if not slices:
            return slices
        sold_day = self._days.of(placed.ts_ns)
        year = tax_year_of(sold_day, self._year_begins)
        for part in slices:
            is_long = is_beyond_year(self._days.of(part.acquired_ns), sold_day)
            self._of(year, part.asset).add(part, is_long=is_long)
        for effect in effects:
            if type(effect) is Dispose and effect.costs:
                sums = self._of(year, effect.asset)
                sums.costs = _plus(sums.costs, effect.costs)
                sums.proceeds = _plus(sums.proceeds, effect.costs)
        return slices

    def finish(self) -> list[Slice]:
        """Take history as complete; nothing waits, so no slices come."""
        self._book.finish()
        return []

    def remaining(self) -> list[Remaining]:
        """Return what is left, sorted by account, asset, time and lot."""
        return self._book.remaining()

    def open_items(self) -> list[OpenItem]:
        """Return missing prices and rates, and what the lot book refused."""
        return [*self._effects.open_items(), *self._book.open_items()]

    def notes(self, year: int) -> list[OpenItem]:
        """Return picks that came too late, and that other money was taken as cash, in every year."""
        del year
        return [*self._book.notes(), *self._effects.notes()]

    def tables(self, year: int) -> list[Table]:
        """Return the country's tables for a tax year, and what each account holds at the end of history."""
        by_asset = {asset: sums for (of_year, asset), sums in sorted(self._sums.items()) if of_year == year}
        by_year: dict[int, YearSums] = {}
        for (of_year, _), sums in sorted(self._sums.items()):
            by_year[of_year] = by_year.get(of_year, YearSums()).plus(sums)
        return [*self._year_tables(year, by_asset, by_year), _holdings(self._name, self.remaining())]

    def _of(self, year: int, asset: str) -> YearSums:
        sums = self._sums.get((year, asset))
        if sums is None:
            sums = self._sums[year, asset] = YearSums()
        return sums


def _holdings(code: str, left: list[Remaining]) -> Table:
    """Return a table of what each account holds, lots added up."""
    sums: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for each in left:
        qty, basis = sums.get((each.account, each.asset), (ZERO, ZERO))
        sums[each.account, each.asset] = (_plus(qty, each.qty), _plus(basis, each.basis))
    rows = ((*key, fmt(qty), text(nearest(basis))) for key, (qty, basis) in sorted(sums.items()))
    header = ("account", "asset", "quantity", "cost")
    return Table(f"{code}-wallets", header, rows, "Held by account at the end of history", header)


def beyond_year(timezone: str) -> TermJudge:
    """Return the judge that calls held for more than a year, by local days, long."""
    days = LocalDays(timezone)
    return lambda acquired_ns, sold_ns: is_beyond_year(days.of(acquired_ns), days.of(sold_ns))
