"""The golden cases of lots, fees, identification, terms and whole histories, for the United States."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest

from arbot.domain.history import LotMethod, parse_ts
from arbot.domain.units import EXACT
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.jurisdictions.us.terms import Terms
from arbot.ledger.lots.book import LotBook
from arbot.ledger.lots.policy import LotPolicy, Pool
from arbot.ledger.lots.words import Why
from tests.support.arb_year import placed
from tests.support.lot_cases import assert_close, left_of, legs_of, policy_of, rows_of
from tests.support.tax_golden import golden_cases, golden_lines

ZERO = Decimal(0)


def check(case, slices, remaining, open_items):
    """Compare what came out with what a case expects."""
    expected = case["expected"]
    if expected.get("error"):
        assert open_items
        return
    assert open_items == []
    if expected["rows"] is not None:
        actual = rows_of(slices)
        by_name = {(disposal, lot, is_withheld): term for disposal, lot, term, is_withheld in actual}
        rows = {}
        for row in expected["rows"]:
            is_withheld = row.get("why") == "withheld"
            term = row["term"] or by_name[row["disposal"], row["lot"], is_withheld]
            numbers = {name: row[name] for name in ("qty", "proceeds", "basis", "gain")}
            rows[row["disposal"], row["lot"], term, is_withheld] = numbers
        assert_close(rows, actual)
    left = {
        (row["account"], row["asset"], row["lot"]): {"qty": row["qty"], "basis": row["basis"]}
        for row in expected["remaining"]
    }
    assert_close(left, left_of(remaining))


@pytest.mark.parametrize("case", golden_cases("lots"))
def test_lot_case(case):
    """A case told in effects gives the expected rows and lots left, or is refused."""
    book = LotBook(policy_of(case))
    as_of = parse_ts(case["as_of"]) if case.get("as_of") else None
    slices = []
    for seq, tx in enumerate(case["tx"], start=1):
        ts_ns = parse_ts(tx["ts"])
        if as_of is None or ts_ns <= as_of:
            slices += book.apply(legs_of(tx), ts_ns, seq)
    if as_of is None:
        book.finish()
    else:
        book.advance(as_of)

    check(case, slices, book.remaining(), book.open_items())


@pytest.mark.parametrize("case", golden_cases("canonical"))
def test_fee_case(case):
    """A case told in canonical lines has its fees allocated by regulation."""
    run = UsRun(policy_of(case))
    slices = [part for line in placed(case["events"]) for part in run.feed(line)]
    slices += run.finish()

    check(case, slices, run.remaining(), run.open_items())


@pytest.mark.parametrize("case", golden_cases("term"))
def test_term_case(case):
    """Short or long is judged by local dates."""
    actual = Terms(case["timezone"]).of(parse_ts(case["acquired"]), parse_ts(case["sold"]))

    assert case["expected"]["term"] == actual


@pytest.mark.parametrize("case", golden_cases("file"))
def test_history_case(case):
    """A whole history gives the expected totals, lots left and coins held, under every pool and method named."""
    lines = golden_lines(case["file"])
    terms = Terms()
    for told in case["expected"]["lots"]:
        run = UsRun(LotPolicy(method=LotMethod(told["method"]), pool=Pool(told["pool"])))
        totals = defaultdict(lambda: dict.fromkeys(("proceeds", "basis", "gain"), ZERO))
        for line in placed(lines):
            for part in run.feed(line):
                if part.why is not Why.WITHHELD:
                    total = totals[f"{line.line.ts[:4]}/{part.asset}/{terms.of(part.acquired_ns, part.sold_ns)}"]
                    gain = EXACT.subtract(part.proceeds, part.basis)
                    for name, number in (("proceeds", part.proceeds), ("basis", part.basis), ("gain", gain)):
                        total[name] = EXACT.add(total[name], number)
        run.finish()
        remaining = defaultdict(lambda: {"qty": ZERO, "basis": ZERO})
        for left in run.remaining():
            kept = remaining[f"{left.asset}@{left.account}"]
            kept["qty"], kept["basis"] = EXACT.add(kept["qty"], left.qty), EXACT.add(kept["basis"], left.basis)

        assert run.open_items() == []
        assert_close(told["totals"], totals)
        assert_close(told["remaining"], remaining)
        assert_close({"": {"gain": told["total_gain"]}}, {"": {"gain": sum(t["gain"] for t in totals.values())}})
        if told["pool"] == "account":
            coins = {key: qty for key, qty in case["expected"]["balances"].items() if key in remaining}
            assert {key: Decimal(qty) for key, qty in coins.items()} == {
                key: left["qty"] for key, left in remaining.items()
            }
