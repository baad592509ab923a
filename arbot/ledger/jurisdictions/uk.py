"""United Kingdom, individuals: one pool per token over all accounts, in pounds at the time, by London days.

Rules of this file:
- Which purchase meets which disposal is in uk_matching.py, what a fee means in local_effects.py.
- A disposal belongs to the tax year of its own day, also when the purchase it meets comes after the year's end. Its slices
  come up to 30 days late; disposals whose 30 days history does not cover are told in the notes.
- An opening is a purchase on the day it was acquired. It can only be so when no disposal of the token was taken in on that
  day, later, or in the 30 days before; else it is an open item and counts as bought on the day of its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from arbot.domain.history import LotMethod, OpeningLine, Placed
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.jurisdictions.base import Country, CountryOptions, Rule, Table, no_long_term, year_name
from arbot.ledger.jurisdictions.days import LocalDays, day_text, tax_year_days, tax_year_of
from arbot.ledger.jurisdictions.findings import history_ends_early, no_basis, opening_late
from arbot.ledger.jurisdictions.local_effects import LocalEffects
from arbot.ledger.jurisdictions.rounding import WHOLE, down, in_favour, text, up
from arbot.ledger.jurisdictions.uk_matching import (
    POOLED,
    SAME_DAY,
    THIRTY_DAY,
    WINDOW_DAYS,
    DaySlice,
    Matching,
    TokenMatch,
)
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import Acquire, Dispose, OpenItem, Remaining, Remove, Slice

YEAR_BEGINS: Final = (4, 6)
LONDON: Final = "Europe/London"
_HALF = Decimal("0.5")

_plus, _minus = EXACT.add, EXACT.subtract


class DayDisposal(msgspec.Struct, gc=False):
    """All disposals of one token on one day: the unit HMRC counts. Pounds, exact; proceeds are net of `costs` of sale."""

    asset: str
    day: int
    proceeds: Decimal = ZERO
    costs: Decimal = ZERO
    basis: Decimal = ZERO
    qty_by_rule: dict[str, Decimal] = msgspec.field(
        default_factory=lambda: {SAME_DAY: ZERO, THIRTY_DAY: ZERO, POOLED: ZERO}
    )

    @property
    def gain(self) -> Decimal:
        """Return proceeds less cost."""
        return _minus(self.proceeds, self.basis)

    @property
    def qty(self) -> Decimal:
        """Return the units disposed of."""
        same, near, pooled = self.qty_by_rule.values()
        return _plus(_plus(same, near), pooled)


class UkRun:
    """One pass over a history under the rules of the United Kingdom."""

    def __init__(self, options: CountryOptions) -> None:
        self._days = LocalDays(options.timezone or LONDON)
        self._effects = LocalEffects(
            "GBP",
            options.rate_default,
            given_share=_HALF,
            is_transfer_fee_allowable=options.is_transfer_fee_allowable,
        )
        self._matching = Matching()
        self._disposals: dict[tuple[str, int], DayDisposal] = {}
        self._late: list[OpenItem] = []
        self._uncovered: dict[int, int] = {}  # day of disposals -> how many history ended too early for

    def feed(self, placed: Placed) -> list[Slice]:
        """Take the next line; return the slices that its day made certain."""
        matching = self._matching
        day = self._days.of(placed.ts_ns)
        slices = self._told(matching.turn_to(day)) if day != matching.today else []
        for effect in self._effects.of(placed):
            if type(effect) is Dispose:
                matching.token(effect.asset).dispose(day, placed.ts_ns, effect, placed.seq)
                if effect.costs:
                    told = self._disposal(effect.asset, day)
                    told.costs = _plus(told.costs, effect.costs)
            elif type(effect) is Acquire:
                if type(placed.line) is OpeningLine:
                    self._open(effect, day)
                else:
                    matching.token(effect.asset).acquire(day, placed.ts_ns, effect.qty, effect.basis)
            elif type(effect) is Remove:
                matching.token(effect.asset).remove(day, placed.ts_ns, effect)
        return slices

    def finish(self) -> list[Slice]:
        """Return the slices of disposals that waited for a purchase within 30 days."""
        matching = self._matching
        found = matching.finish()
        for each in found:
            if each.day + WINDOW_DAYS >= matching.today and each.slice.method == POOLED:
                self._uncovered[each.day] = self._uncovered.get(each.day, 0) + 1
        return self._told(found)

    def remaining(self) -> list[Remaining]:
        """Return the pool of each token, as if history ended now."""
        return [
            Remaining("*", token.asset, f"{token.asset}:pool", token.pool_qty, token.pool_cost, token.pool_ns)
            for token in self._matching.settled()
            if token.pool_qty
        ]

    def open_items(self) -> list[OpenItem]:
        """Return missing prices and rates, openings that come too late, and disposals without a purchase."""
        short = (no_basis(*each) for each in self._matching.shortfalls)
        return [*self._effects.open_items(), *self._late, *short]

    def disposals(self) -> list[DayDisposal]:
        """Return the disposals by day and token."""
        return sorted(self._disposals.values(), key=lambda each: (each.day, each.asset))

    def tables(self, year: int) -> list[Table]:
        """Return the disposals of the year, the pools, and the totals of every tax year."""
        days = tax_year_days(year, YEAR_BEGINS)
        disposals = self.disposals()
        by_day = (_disposal_row(each) for each in disposals if each.day in days)
        pools = (_pool_row(token) for token in self._matching.settled() if token.pool_qty)
        return [
            Table("uk-tax-years", _TAX_YEARS, _tax_year_rows(disposals), "The tax year", _TAX_YEARS_SHOWN),
            Table("uk-disposals", _DISPOSALS, by_day, "Disposals by token and day", _DISPOSALS_SHOWN),
            Table("uk-pools", _POOLS, pools, "Section 104 pools at the end of history", _POOLS),
        ]

    def notes(self, year: int) -> list[OpenItem]:
        """Return that other money was taken as cash, and which disposals of the year may still meet a purchase."""
        days = tax_year_days(year, YEAR_BEGINS)
        uncovered = sorted(day for day in self._uncovered if day in days)
        notes = self._effects.notes()
        if uncovered:
            count = sum(self._uncovered[day] for day in uncovered)
            effect = "they are matched with the pool, and a purchase still to come would change that"
            notes.append(history_ends_early(uncovered, count, self._matching.today, WINDOW_DAYS, effect))
        return notes

    def _open(self, effect: Acquire, today: int) -> None:
        token = self._matching.token(effect.asset)
        day = self._days.of(effect.acquired_ns)
        if day == today:
            token.acquire(today, effect.acquired_ns, effect.qty, effect.basis)
        elif token.sold_day_last + WINDOW_DAYS < day:
            token.join_pool(effect.acquired_ns, effect.qty, effect.basis)
        else:
            token.acquire(today, effect.acquired_ns, effect.qty, effect.basis)
            self._late.append(opening_late(effect, day, today, token.sold_day_last))

    def _told(self, found: list[DaySlice]) -> list[Slice]:
        slices = []
        for day, part in found:
            told = self._disposal(part.asset, day)
            told.proceeds = _plus(told.proceeds, part.proceeds)
            told.basis = _plus(told.basis, part.basis)
            told.qty_by_rule[part.method] = _plus(told.qty_by_rule[part.method], part.qty)
            slices.append(part)
        return slices

    def _disposal(self, asset: str, day: int) -> DayDisposal:
        told = self._disposals.get((asset, day))
        if told is None:
            told = self._disposals[(asset, day)] = DayDisposal(asset, day)
        return told


_DISPOSALS = (
    "asset", "date", "tax_year", "quantity", "same_day", "thirty_day", "section_104",
    "proceeds", "allowable_costs", "gain", "gain_exact",
)  # fmt: skip
_DISPOSALS_SHOWN = ("date", "asset", "quantity", "proceeds", "allowable_costs", "gain")
_POOLS = ("asset", "quantity", "cost")
_TAX_YEARS = (
    "tax_year", "first_day", "last_day", "disposals", "proceeds", "allowable_costs", "gains", "losses", "net_gain",
    "proceeds_pounds", "allowable_costs_pounds", "gains_pounds", "losses_pounds", "net_gain_exact",
)  # fmt: skip
_TAX_YEARS_SHOWN = ("tax_year", "disposals", "proceeds", "allowable_costs", "gains", "losses", "net_gain")


def _disposal_row(each: DayDisposal) -> tuple[str, ...]:
    gross = _plus(each.proceeds, each.costs)
    proceeds, costs, gain = in_favour(gross, _plus(each.basis, each.costs))
    return (
        each.asset,
        day_text(each.day),
        year_label(each.day),
        fmt(each.qty),
        *(fmt(qty) for qty in each.qty_by_rule.values()),
        text(proceeds),
        text(costs),
        text(gain),
        fmt(each.gain),
    )


def _pool_row(token: TokenMatch) -> tuple[str, ...]:
    return (token.asset, fmt(token.pool_qty), text(up(token.pool_cost)))


def _tax_year_rows(disposals: list[DayDisposal]) -> Iterator[tuple[str, ...]]:
    by_year: dict[int, list[DayDisposal]] = {}
    for each in disposals:
        by_year.setdefault(tax_year_of(each.day, YEAR_BEGINS), []).append(each)
    for year, members in by_year.items():
        gross = costs = gains = losses = ZERO
        for each in members:
            gross = _plus(gross, _plus(each.proceeds, each.costs))
            costs = _plus(costs, _plus(each.basis, each.costs))
            gain = each.gain
            gains, losses = (_plus(gains, gain), losses) if gain > 0 else (gains, _minus(losses, gain))
        net = _minus(gains, losses)
        days = tax_year_days(year, YEAR_BEGINS)
        yield (
            year_name(year, YEAR_BEGINS),
            day_text(days[0]),
            day_text(days[-1]),
            str(len(members)),
            *(text(cell) for cell in (down(gross), up(costs), down(gains), up(losses), down(net))),
            *(text(cell) for cell in (down(gross, WHOLE), up(costs, WHOLE), down(gains, WHOLE), up(losses, WHOLE))),
            fmt(net),
        )


def year_label(day: int) -> str:
    """Return the tax year of a London day: "2024/2025"."""
    return year_name(tax_year_of(day, YEAR_BEGINS), YEAR_BEGINS)


def _begin(_policy: LotPolicy, options: CountryOptions) -> UkRun:
    return UkRun(options)


_READ = "2026-11-22"

UNITED_KINGDOM: Final = Country(
    code="uk",
    name="United Kingdom",
    ccy="GBP",
    timezone=LONDON,
    is_timezone_fixed=True,
    year_begins=YEAR_BEGINS,
    methods=(LotMethod.AVERAGE,),
    method_default=LotMethod.AVERAGE,
    run=_begin,
    term=no_long_term,
    rules=(
        Rule("One pool per token over all accounts", "TCGA 1992 s.104; HMRC CRYPTO22200, read as a copy", _READ),
        Rule("Purchases of the same day are matched first", "TCGA 1992 s.105; HMRC CRYPTO22252", _READ),
        Rule("Then purchases of the next 30 days, earliest first", "TCGA 1992 s.106A(5); HMRC CRYPTO22253", _READ),
        Rule("Then the section 104 pool at average cost", "TCGA 1992 s.104; HMRC CRYPTO22251", _READ),
        Rule("Tokens for tokens: proceeds and cost are the value in pounds at the time", "HMRC CRYPTO22257", _READ),
        Rule("A fee paid in tokens is a disposal, and its value a cost of the trade", "HMRC CRYPTO22280", _READ),
        Rule(
            "The fee of a trade of tokens is shared half and half",
            "HMRC CRYPTO22150, token row as quoted by a guide",
            _READ,
        ),
        Rule("A rebate in tokens is a purchase at its value and leaves the trade as it is", "our reading", _READ),
        Rule("Moving own tokens is no disposal; the fee is one, and no cost unless chosen", "secondary source", _READ),
        Rule("Rounding in favour of the taxpayer", "HMRC CRYPTO22252", _READ),
    ),
)
