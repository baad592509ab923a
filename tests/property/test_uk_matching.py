"""Does United Kingdom matching agree with a slow reference, and lose nothing on the way?"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.history import HistoryLine, Placed, parse_ts
from arbot.ledger.jurisdictions.base import CountryOptions
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.jurisdictions.uk import LONDON, UkRun, year_label
from arbot.ledger.jurisdictions.uk_matching import Matching
from arbot.ledger.lots.words import Dispose, Why
from tests.support.arb_year import arb_year
from tests.support.naive_uk import events_of, matched

FIRST = date(2025, 2, 20).toordinal()
CLOSE = Fraction(1, 10**12)

Op = tuple[int, bool, int, int]
"""(days after the first, is a purchase, thousandths of a unit, pence)."""

ops = st.lists(
    st.tuples(st.integers(0, 90), st.booleans(), st.integers(1, 5_000), st.integers(0, 90_000)), min_size=1, max_size=40
).map(lambda some: [(0, True, 1_000_000, 123_457), *sorted(some, key=lambda op: op[0])])


def played(some: list[Op]) -> tuple[list, Matching]:
    """Match operations on one token; return (day, slice) and the match."""
    matching, found = Matching(), []
    for seq, (after, is_purchase, qty, value) in enumerate(some):
        found += matching.turn_to(FIRST + after)
        token, units, pounds = matching.token("X"), Decimal(qty) / 1000, Decimal(value) / 100
        if is_purchase:
            token.acquire(FIRST + after, seq, units, pounds)
        else:
            token.dispose(FIRST + after, seq, Dispose(f"d{seq}", "any", "X", units, pounds, Why.SELL), seq)
    return found + matching.finish(), matching


def by_day(found: list) -> dict[int, dict[str, Fraction]]:
    """Return proceeds, cost and quantity by rule of each day."""
    told: dict[int, dict[str, Fraction]] = {}
    for day, part in found:
        row = told.setdefault(day, dict.fromkeys(("proceeds", "cost", "same-day", "30-day", "s104"), Fraction(0)))
        row["proceeds"] += Fraction(part.proceeds)
        row["cost"] += Fraction(part.basis)
        row[part.method] += Fraction(part.qty)
    return told


@given(ops)
def test_every_day_matches_as_the_reference_says(some: list[Op]) -> None:
    """Proceeds, cost and quantity by rule of each day, and the pool, are those of the slow reference."""
    found, matching = played(some)
    events = [
        ("X", date.fromordinal(FIRST + after), is_purchase, Fraction(qty, 1000), Fraction(value, 100))
        for after, is_purchase, qty, value in some
    ]
    told, pools = matched(events)
    ours = by_day(found)
    assert sorted(day.toordinal() for _, day in told) == sorted(ours)
    for (_, day), row in told.items():
        for name, expected in row.items():
            assert abs(expected - ours[day.toordinal()][name]) <= CLOSE, (day, name)
    (left,) = matching.settled()
    assert pools["X"][0] == Fraction(left.pool_qty)
    assert abs(pools["X"][1] - Fraction(left.pool_cost)) <= CLOSE


@given(ops)
def test_quantity_and_cost_are_conserved_exactly(some: list[Op]) -> None:
    """What was bought is what was sold plus the pool, in units and in pounds, to the last digit."""
    found, matching = played(some)
    (left,) = matching.settled()
    assert sum(Decimal(qty) / 1000 for _, is_in, qty, _ in some if is_in) == left.pool_qty + sum(
        part.qty for _, part in found
    )
    assert sum(Decimal(value) / 100 for _, is_in, _, value in some if is_in) == left.pool_cost + sum(
        part.basis for _, part in found
    )
    assert sum(Decimal(value) / 100 for _, is_in, _, value in some if not is_in) == sum(
        part.proceeds for _, part in found
    )


@given(ops, st.randoms(use_true_random=False))
def test_the_order_inside_a_day_changes_nothing(some: list[Op], chance) -> None:
    """Lines of one day in another order give the same sums of each day."""
    shuffled = list(some)
    chance.shuffle(shuffled)
    first, second = by_day(played(some)[0]), by_day(played(sorted(shuffled, key=lambda op: op[0]))[0])
    assert sorted(first) == sorted(second)
    for day, row in first.items():
        for name, value in row.items():
            assert abs(value - second[day][name]) <= CLOSE


@settings(max_examples=30)
@given(ops, st.integers(0, 40))
def test_what_is_left_can_be_asked_on_the_way(some: list[Op], at: int) -> None:
    """Asking for the pools in the middle is as if history ended there, and changes nothing of what follows."""
    early, _ = played(some[: at + 1])
    matching, found = Matching(), []
    for seq, (after, is_purchase, qty, value) in enumerate(some):
        found += matching.turn_to(FIRST + after)
        token, units, pounds = matching.token("X"), Decimal(qty) / 1000, Decimal(value) / 100
        if is_purchase:
            token.acquire(FIRST + after, seq, units, pounds)
        else:
            token.dispose(FIRST + after, seq, Dispose(f"d{seq}", "any", "X", units, pounds, Why.SELL), seq)
        if seq == at:
            (left,) = matching.settled()
            bought = sum(Decimal(v) / 100 for _, is_in, _, v in some[: at + 1] if is_in)
            assert bought - sum(part.basis for _, part in early) == left.pool_cost
    assert played(some)[0] == found + matching.finish()


@pytest.mark.parametrize(("seed", "has_fx"), [(1, True), (2, False), (3, True)])
def test_an_arbitrage_year_is_taxed_as_the_reference_says(seed: int, *, has_fx: bool) -> None:
    """Lines of every kind and fee come to the reference's disposals and pools, and tax years add up to them."""
    rows = list(arb_year(600, seed=seed, has_fx=has_fx))
    run, slices = UkRun(CountryOptions(rate_default=Decimal("0.79"))), []
    for seq, row in enumerate(rows):
        line = msgspec.convert(row, HistoryLine, strict=False)
        slices += run.feed(Placed(line, parse_ts(line.ts), seq))
    slices += run.finish()
    assert [] == run.open_items()
    told, pools = matched(events_of(rows, "0.79"))
    ours = {(each.asset, date.fromordinal(each.day)): each for each in run.disposals()}
    assert sorted(told) == sorted(ours)
    for key, row in told.items():
        assert abs(row["proceeds"] - Fraction(ours[key].proceeds)) <= CLOSE
        assert abs(row["cost"] - Fraction(ours[key].basis)) <= CLOSE
        assert {rule: row[rule] for rule in ("same-day", "30-day", "s104")} == ours[key].qty_by_rule
    left = {each.asset: each for each in run.remaining()}
    assert sorted(asset for asset, (qty, _) in pools.items() if qty) == sorted(left)
    for asset, each in left.items():
        assert pools[asset][0] == Fraction(each.qty)
        assert abs(pools[asset][1] - Fraction(each.basis)) <= CLOSE
    totals = next(table for table in run.tables(2025) if table.name == "uk-tax-years")
    net = {row[0]: Decimal(row[-1]) for row in totals.rows}
    days, by_year = LocalDays(LONDON), dict[str, Decimal]()
    for part in slices:
        year = year_label(days.of(part.sold_ns))
        by_year[year] = by_year.get(year, Decimal(0)) + part.proceeds - part.basis
    assert by_year == net
