"""Golden cases of the United Kingdom: HMRC's worked examples, own cases, and the net gain of whole arbitrage years."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from arbot.domain.history import NS_PER_S, HistoryLine, Placed, parse_ts
from arbot.ledger.jurisdictions.base import CountryOptions
from arbot.ledger.jurisdictions.days import LocalDays, day_of, day_text
from arbot.ledger.jurisdictions.rounding import WHOLE, in_favour
from arbot.ledger.jurisdictions.uk import LONDON, UkRun, year_label
from arbot.ledger.jurisdictions.uk_matching import POOLED, SAME_DAY, THIRTY_DAY, Matching
from arbot.ledger.lots.words import Dispose, Why
from tests.support.tax_golden import golden_cases, golden_lines

CLOSE = Decimal("0.000001")


def run_of(rows: list[dict], fx: str) -> UkRun:
    """Feed canonical lines to a run that takes `fx` where a line has no rate."""
    run = UkRun(CountryOptions(rate_default=Decimal(fx)))
    for seq, row in enumerate(rows):
        line = msgspec.convert(row, HistoryLine, strict=False)
        run.feed(Placed(line, parse_ts(line.ts), seq))
    run.finish()
    return run


def matched(ops: list[dict]) -> tuple[list[tuple], Matching]:
    """Match operations in order of time; return (asset, day, slice) and the match itself."""
    days, matching, found = LocalDays(LONDON), Matching(), []
    timed = [(parse_ts(op.get("ts") or f"{op['date']}T12:00:00Z"), seq, op) for seq, op in enumerate(ops)]
    for ts_ns, seq, op in sorted(timed, key=lambda each: each[:2]):
        day = days.of(ts_ns)
        found += matching.turn_to(day)
        qty, value = Decimal(op["qty"]), Decimal(op["value"])
        token = matching.token(op["asset"])
        if op["op"] == "acq":
            token.acquire(day, ts_ns, qty, value)
        else:
            token.dispose(day, ts_ns, Dispose(f"d{seq}", "any", op["asset"], qty, value, Why.SELL), seq)
    found += matching.finish()
    return found, matching


def check(told: dict[tuple[str, str], dict], pools: dict[str, tuple[Decimal, Decimal]], expected: dict) -> None:
    """Compare what a case asserts of disposals and pools."""
    assert sorted((row["asset"], row["date"]) for row in expected["disposals"]) == sorted(told)
    for row in expected["disposals"]:
        ours = told[row["asset"], row["date"]]
        for field in ("qty", "proceeds", "cost", "gain"):
            if row.get(field) is not None:
                assert pytest.approx(Decimal(row[field]), abs=Decimal("0.00001")) == ours[field], (row, field)
        for rule, qty in (row.get("rules") or {}).items():
            assert Decimal(qty) == ours["rules"][rule]
    for row in expected["pools"]:
        qty, cost = pools.get(row["asset"], (Decimal(0), Decimal(0)))
        assert Decimal(row["qty"]) == qty
        assert abs(Decimal(row["cost"]) - cost) < CLOSE


@pytest.mark.parametrize("case", golden_cases("pool", jurisdiction="UK"))
def test_operations_match_as_the_case_says(case: dict) -> None:
    """Disposals, rules used, pools and tax years of each case come out; a disposal of nothing is a shortfall."""
    found, matching = matched(case["ops"])
    expected = case["expected"]
    if expected.get("error"):
        assert matching.shortfalls
        return
    assert [] == matching.shortfalls
    told: dict[tuple[str, str], dict] = {}
    for day, part in found:
        row = told.setdefault(
            (part.asset, day_text(day)),
            {"qty": 0, "proceeds": 0, "cost": 0, "gain": 0, "rules": dict.fromkeys((SAME_DAY, THIRTY_DAY, POOLED), 0)},
        )
        row["qty"] += part.qty
        row["proceeds"] += part.proceeds
        row["cost"] += part.basis
        row["gain"] += part.proceeds - part.basis
        row["rules"][part.method] += part.qty
    check(told, {token.asset: (token.pool_qty, token.pool_cost) for token in matching.settled()}, expected)
    by_year: dict[str, Decimal] = {}
    for (_, date), row in told.items():
        year = year_label(day_of(date))
        by_year[year] = by_year.get(year, Decimal(0)) + row["gain"]
    for year, gain in (expected.get("tax_years") or {}).items():
        assert Decimal(gain) == by_year[year]
    published = expected.get("published") or {}
    if "gain" in published and len(told) == 1:
        (row,) = told.values()
        _, cost, gain = in_favour(row["proceeds"], row["cost"], WHOLE)
        assert (Decimal(published["cost"]), Decimal(published["gain"])) == (cost, gain)


@pytest.mark.parametrize("case", golden_cases("uk-canonical", jurisdiction="UK"))
def test_lines_come_out_as_the_case_says(case: dict) -> None:
    """Fees of trades and transfers are allocated and matched in pounds as each case says."""
    run = run_of(case["events"], case["fx"])
    assert [] == run.open_items()
    told = {
        (each.asset, day_text(each.day)): {
            "qty": each.qty,
            "proceeds": each.proceeds,
            "cost": each.basis,
            "gain": each.gain,
            "rules": each.qty_by_rule,
        }
        for each in run.disposals()
    }
    check(told, {left.asset: (left.qty, left.basis) for left in run.remaining()}, case["expected"])


@pytest.mark.parametrize("case", golden_cases("file", jurisdiction="UK"))
def test_net_gain_of_an_arbitrage_year(case: dict) -> None:
    """The net gain of each tax year is that of the case to half a penny."""
    run = run_of(golden_lines(case["file"]), case["fx"])
    assert [] == run.open_items()
    by_year: dict[str, Decimal] = {}
    for each in run.disposals():
        year = year_label(each.day)
        by_year[year] = by_year.get(year, Decimal(0)) + each.gain
    expected = {year: Decimal(gain) for year, gain in case["expected"]["uk_net_gain"].items()}
    assert sorted(expected) == sorted(by_year)
    for year, gain in expected.items():
        assert abs(gain - by_year[year]) <= Decimal("0.005"), year


def test_a_day_is_a_day_of_london() -> None:
    """Half past eleven at night in UTC is the next day in a London summer and the same day in winter."""
    days = LocalDays(LONDON)
    assert day_of("2025-07-01") == days.of(parse_ts("2025-06-30T23:30:00Z"))
    assert day_of("2025-01-01") == days.of(parse_ts("2025-01-01T23:59:59.999999999Z"))
    assert parse_ts("2025-06-30T23:00:00Z") == days.begin_ns(day_of("2025-07-01"))
    assert 23 * 3600 * NS_PER_S == days.begin_ns(day_of("2025-03-31")) - days.begin_ns(day_of("2025-03-30"))
