"""Canada, experimental: average cost over all accounts and superficial losses, in Canadian dollars at the time.

Rules of this file:
- What a purchase and a loss come to is in ca_average.py. The basis of a slice is the average cost less what was denied, so
  its gain is the one that counts; the denied part stays in the cost of what is left, and is told apart in the tables.
- Slices come 30 days late. Fees of an exchange of coins are a cost of the coin given up (our reading).
- Frequent trading is likely to be business income (secondary source): these figures are capital gains only.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from arbot.domain.history import LotMethod, OpeningLine, Placed
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.jurisdictions.base import Country, CountryOptions, Rule, Table, no_long_term
from arbot.ledger.jurisdictions.ca_average import WINDOW_DAYS, CoinAverage, Settled
from arbot.ledger.jurisdictions.days import LocalDays, day_text, tax_year_days, tax_year_of
from arbot.ledger.jurisdictions.findings import history_ends_early, no_basis, opening_late
from arbot.ledger.jurisdictions.local_effects import LocalEffects
from arbot.ledger.jurisdictions.rounding import nearest, text
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import Acquire, Dispose, OpenItem, Remaining, Remove, Slice

YEAR_BEGINS: Final = (1, 1)

_plus, _minus = EXACT.add, EXACT.subtract


class DaySale(msgspec.Struct, gc=False):
    """All disposals of one coin on one day. Exact; `basis` is what counts, after denial."""

    asset: str
    day: int
    qty: Decimal = ZERO
    proceeds: Decimal = ZERO
    costs: Decimal = ZERO
    basis: Decimal = ZERO
    denied: Decimal = ZERO
    gains: Decimal = ZERO
    losses: Decimal = ZERO


class CaRun:
    """One pass over a history under the rules of Canada."""

    def __init__(self, options: CountryOptions) -> None:
        self._days = LocalDays(options.timezone)
        self._effects = LocalEffects(
            "CAD", options.rate_default, is_transfer_fee_allowable=options.is_transfer_fee_allowable
        )
        self._coins: dict[str, CoinAverage] = {}
        self._sales: dict[tuple[str, int], DaySale] = {}
        self._found: list[OpenItem] = []
        self._uncovered: dict[int, int] = {}
        self._today = 0

    def feed(self, placed: Placed) -> list[Slice]:
        """Take the next line; return the slices whose 30 days it ended."""
        day = self._days.of(placed.ts_ns)
        settled: list[Settled] = []
        if day != self._today:
            self._today = day
            for asset in sorted(self._coins):
                self._coins[asset].settle(day, settled)
        for effect in self._effects.of(placed):
            if type(effect) is Dispose or type(effect) is Remove:
                self._coin(effect.asset).dispose(day, placed.ts_ns, effect, placed.seq)
            elif type(effect) is Acquire:
                self._acquire(effect, day, placed.ts_ns, is_opening=type(placed.line) is OpeningLine)
        return self._told(settled)

    def finish(self) -> list[Slice]:
        """Return the slices that waited for their 30 days."""
        settled: list[Settled] = []
        for asset in sorted(self._coins):
            self._coins[asset].settle(None, settled)
        for each in settled:
            part = each.slice
            if (
                part is not None
                and each.day + WINDOW_DAYS >= self._today
                and (part.proceeds < part.basis or each.denied)
            ):
                self._uncovered[each.day] = self._uncovered.get(each.day, 0) + 1
        return self._told(settled)

    def remaining(self) -> list[Remaining]:
        """Return the pool of each coin, as if history ended now."""
        return [
            Remaining("*", coin.asset, f"{coin.asset}:acb", coin.qty, coin.cost, coin.pool_ns)
            for coin in self._settled_coins()
            if coin.qty
        ]

    def open_items(self) -> list[OpenItem]:
        """Return missing prices and rates, late openings, and disposals without a purchase."""
        return [*self._effects.open_items(), *self._found]

    def notes(self, year: int) -> list[OpenItem]:
        """Return that other money was taken as cash, and which losses of the year may still be denied."""
        days = tax_year_days(year, YEAR_BEGINS)
        early = sorted(day for day in self._uncovered if day in days)
        notes = self._effects.notes()
        if early:
            count = sum(self._uncovered[day] for day in early)
            effect = "what is bought and held by then decides how much of their loss is denied"
            notes.append(history_ends_early(early, count, self._today, WINDOW_DAYS, effect))
        return notes

    def tables(self, year: int) -> list[Table]:
        """Return the sales of the year with what was denied, the pools, and the totals of every tax year."""
        days = tax_year_days(year, YEAR_BEGINS)
        sales = sorted(self._sales.values(), key=lambda each: (each.day, each.asset))
        pools = ((coin.asset, fmt(coin.qty), text(nearest(coin.cost))) for coin in self._settled_coins() if coin.qty)
        by_day = (_sale_row(each) for each in sales if each.day in days)
        return [
            Table("ca-tax-years", _TAX_YEARS, _tax_year_rows(sales), "The tax year", _TAX_YEARS_SHOWN),
            Table("ca-disposals", _SALES, by_day, "Disposals by asset and day", _SALES_SHOWN),
            Table("ca-pools", _POOLS, pools, "Pools at the end of history", _POOLS),
        ]

    def _acquire(self, effect: Acquire, today: int, ts_ns: int, *, is_opening: bool) -> None:
        coin = self._coin(effect.asset)
        if not is_opening:
            coin.acquire(today, ts_ns, effect.qty, effect.basis)
            return
        bought_day = self._days.of(effect.acquired_ns)
        if bought_day != today and coin.sold_day_last + WINDOW_DAYS >= bought_day:
            self._found.append(opening_late(effect, bought_day, today, coin.sold_day_last))
            bought_day = today
        coin.acquire(today, effect.acquired_ns, effect.qty, effect.basis, bought_day=bought_day)

    def _told(self, settled: list[Settled]) -> list[Slice]:
        slices = []
        for day, part, denied, missing, effect in settled:
            if missing:
                self._found.append(no_basis(effect.disposal, effect.account, missing, effect.asset, day))
            if part is None:
                continue
            key = (part.asset, day)
            sale = self._sales.get(key)
            if sale is None:
                sale = self._sales[key] = DaySale(part.asset, day)
            gain = _minus(part.proceeds, part.basis)
            sale.qty = _plus(sale.qty, part.qty)
            sale.proceeds = _plus(sale.proceeds, part.proceeds)
            sale.costs = _plus(sale.costs, effect.costs)
            sale.basis = _plus(sale.basis, part.basis)
            sale.denied = _plus(sale.denied, denied)
            if gain > 0:
                sale.gains = _plus(sale.gains, gain)
            else:
                sale.losses = _minus(sale.losses, gain)
            slices.append(part)
        return slices

    def _coin(self, asset: str) -> CoinAverage:
        coin = self._coins.get(asset)
        if coin is None:
            coin = self._coins[asset] = CoinAverage(asset)
        return coin

    def _settled_coins(self) -> list[CoinAverage]:
        twins = [self._coins[asset].copy() for asset in sorted(self._coins)]
        for twin in twins:
            twin.settle(None, [])
        return twins


_AMOUNTS = ("proceeds", "outlays", "adjusted_cost_base", "denied_loss", "gains", "losses", "net_gain")
_SALES = ("asset", "date", "quantity", *_AMOUNTS)
_SALES_SHOWN = ("date", "asset", "quantity", "proceeds", "adjusted_cost_base", "denied_loss", "net_gain")
_POOLS = ("asset", "quantity", "adjusted_cost_base")
_TAX_YEARS = ("tax_year", *_AMOUNTS, "net_gain_exact")
_TAX_YEARS_SHOWN = ("tax_year", "proceeds", "outlays", "adjusted_cost_base", "denied_loss", "net_gain")


def _amounts(sales: list[DaySale]) -> tuple[Decimal, ...]:
    """Return the sums of _AMOUNTS: proceeds before outlays, cost before denial."""
    gross = costs = cost = denied = gains = losses = ZERO
    for each in sales:
        gross = _plus(gross, _plus(each.proceeds, each.costs))
        costs = _plus(costs, each.costs)
        cost = _plus(cost, _plus(each.basis, each.denied))
        denied = _plus(denied, each.denied)
        gains, losses = _plus(gains, each.gains), _plus(losses, each.losses)
    return gross, costs, cost, denied, gains, losses, _minus(gains, losses)


def _sale_row(each: DaySale) -> tuple[str, ...]:
    return (each.asset, day_text(each.day), fmt(each.qty), *(text(nearest(cell)) for cell in _amounts([each])))


def _tax_year_rows(sales: list[DaySale]) -> Iterator[tuple[str, ...]]:
    by_year: dict[int, list[DaySale]] = {}
    for each in sales:
        by_year.setdefault(tax_year_of(each.day, YEAR_BEGINS), []).append(each)
    for year, members in by_year.items():
        amounts = _amounts(members)
        yield (str(year), *(text(nearest(cell)) for cell in amounts), fmt(amounts[-1]))


def _begin(_policy: LotPolicy, options: CountryOptions) -> CaRun:
    return CaRun(options)


_READ = "2026-11-22"

CANADA: Final = Country(
    code="ca",
    name="Canada",
    ccy="CAD",
    timezone="America/Toronto",
    year_begins=YEAR_BEGINS,
    methods=(LotMethod.AVERAGE,),
    method_default=LotMethod.AVERAGE,
    run=_begin,
    term=no_long_term,
    is_experimental=True,
    rules=(
        Rule("Average cost over identical property; a disposal leaves the average", "secondary sources", _READ),
        Rule("Superficial loss: denied = loss * min(S, P, B) / S, added to the cost left", "secondary sources", _READ),
        Rule("Each sale at a loss is judged by itself", "our reading", _READ),
        Rule("The fee of an exchange of coins is an outlay of the coin given up", "our reading", _READ),
        Rule("Frequent trading is likely business income, which this is not", "secondary sources", _READ),
    ),
)
