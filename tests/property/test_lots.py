"""Lots over drawn histories: two readings of the rules agree, nothing is lost, and order of life changes nothing."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from arbot.domain.history import CASH, FillLine, LotMethod, PickedLot
from arbot.domain.units import EXACT
from arbot.ledger.jurisdictions.us.effects import us_effects
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.jurisdictions.us.terms import Terms
from arbot.ledger.lots.policy import LotPolicy, Pick, Pool
from arbot.ledger.lots.words import Acquire, Why
from tests.support.arb_year import arb_year, placed
from tests.support.drawn_history import ACCOUNTS, COINS, KINDS, histories
from tests.support.naive_lots import NaiveLots, moment, naive_term

METHODS = [method for method in LotMethod if method is not LotMethod.AVERAGE]
ZERO = Decimal(0)
CLOSE = Fraction(1, 10**12)


def total(numbers):
    """Return an exact sum."""
    result = ZERO
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def run_of(rows, policy=None):
    """Return a finished run and its slices."""
    run = UsRun(policy or LotPolicy())
    slices = [part for line in placed(rows) for part in run.feed(line)]
    run.finish()
    return run, slices


def basis_held(run):
    """Return the basis of everything left."""
    return total(left.basis for left in run.remaining())


def summed(slices):
    """Return quantity, proceeds and basis by what identifies a slice; parts of one lot taken one after the other are one."""
    found = {}
    for *names, qty, proceeds, basis in slices:
        sums = found.get(tuple(names), (0, 0, 0))
        found[tuple(names)] = tuple(
            one + Fraction(other) for one, other in zip(sums, (qty, proceeds, basis), strict=True)
        )
    return found


def assert_same(naive, run, slices):
    """Check that both readings took the same units from the same lots, in the same order, for the same money."""
    assert run.open_items() == []
    expected = summed(
        (s.disposal, s.lot, s.asset, s.account, s.acquired, s.sold, s.why, s.method, s.qty, s.proceeds, s.basis)
        for s in naive.slices
    )
    actual = summed(
        (
            s.disposal,
            s.lot,
            s.asset,
            s.account,
            s.acquired_ns,
            s.sold_ns,
            s.why.value,
            s.method,
            s.qty,
            s.proceeds,
            s.basis,
        )
        for s in slices
    )
    assert list(expected) == list(actual)
    for key, (qty, *money) in expected.items():
        assert qty == actual[key][0]
        assert all(abs(one - other) < CLOSE for one, other in zip(money, actual[key][1:], strict=True))
    remaining = {(left.account, left.asset, left.lot): left for left in run.remaining()}
    assert sorted(naive.left()) == sorted(remaining)
    for key, (qty, basis) in naive.left().items():
        assert qty == Fraction(remaining[key].qty)
        assert abs(basis - Fraction(remaining[key].basis)) < CLOSE


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from(METHODS), st.sampled_from((Pool.ACCOUNT, Pool.UNIVERSAL)))
def test_engine_and_naive_reading_agree(rows, method, pool):
    """The engine takes the same units from the same lots for the same money as the plain reading of the rules."""
    naive = NaiveLots(method.value, pooled=pool is Pool.UNIVERSAL).run(rows)
    run, slices = run_of(rows, LotPolicy(method=method, pool=pool))

    assert_same(naive, run, slices)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pool", [Pool.ACCOUNT, Pool.UNIVERSAL])
def test_engine_and_naive_reading_agree_on_a_year(method, pool):
    """So they do on a made-up arbitrage year with transfers, fees in every asset and rebates."""
    rows = list(arb_year(120, seed=5, start="2024-06-01"))
    naive = NaiveLots(method.value, pooled=pool is Pool.UNIVERSAL).run(rows)
    run, slices = run_of(rows, LotPolicy(method=method, pool=pool))

    assert_same(naive, run, slices)


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from(METHODS), st.data())
def test_picks_agree_with_naive_reading(rows, method, data):
    """Units named in time are the units taken, by both readings; what the pick leaves open goes in order."""
    leaving = [n for n, row in enumerate(rows) if row["kind"] in {"spend", "transfer"} or row.get("side") == "sell"]
    assume(leaving)
    index = data.draw(st.sampled_from(leaving))
    row = rows[index]
    account, asset = row.get("venue", row.get("src")), row.get("base", row.get("asset"))
    before = NaiveLots(method.value).run([])
    for earlier in rows[:index]:
        before.land(moment(earlier["ts"]))
        getattr(before, "on_" + earlier["kind"])(earlier)
    before.land(moment(row["ts"]))
    here = [lot for lot in before.lots if (lot["account"], lot["asset"]) == (account, asset)]
    fee = Fraction(row["fee"]) if row["kind"] == "transfer" else 0
    qtys = {lot["lot"]: sum(other["qty"] for other in here if other["lot"] == lot["lot"]) for lot in here}
    named = [
        {"lot": lot, "qty": qtys[lot] / 2 if fee else qtys[lot]}
        for lot in data.draw(st.lists(st.sampled_from(sorted(qtys)), min_size=1, max_size=2, unique=True))
    ]
    assume(not fee or fee <= min(each["qty"] for each in named))
    picked = tuple(PickedLot(p["lot"], Decimal(p["qty"].numerator) / p["qty"].denominator) for p in named)

    naive = NaiveLots(method.value, picks={row["id"]: named}).run(rows)
    run, slices = run_of(rows, LotPolicy(method=method, picks={row["id"]: Pick(lots=picked, recorded_ns=1)}))

    assert_same(naive, run, slices)
    assert run.notes() == []


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from(METHODS), st.sampled_from((Pool.ACCOUNT, Pool.UNIVERSAL)))
def test_quantity_and_basis_are_conserved(rows, method, pool):
    """What was acquired is what went out plus what is left, to the last digit, in units and in basis, for every asset."""
    run, slices = run_of(rows, LotPolicy(method=method, pool=pool))
    effects = [
        effect for line in placed(rows) for effect in us_effects(line.line, line.ts_ns) if isinstance(effect, Acquire)
    ]

    for coin in COINS:
        came, gone, left = (
            [each for each in some if each.asset == coin] for some in (effects, slices, run.remaining())
        )
        assert total(effect.qty for effect in came) == EXACT.add(total(s.qty for s in gone), total(r.qty for r in left))
        assert total(effect.basis for effect in came) == EXACT.add(
            total(s.basis for s in gone), total(r.basis for r in left)
        )


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from(METHODS))
def test_gain_is_change_in_basis_and_cash(rows, method):
    """Fill by fill the gains are the change in total basis held plus the change in cash; else the value spent comes on top."""
    run = UsRun(LotPolicy(method=method))
    for line in placed(rows):
        before = basis_held(run)
        slices = run.feed(line)
        gain = total(EXACT.subtract(part.proceeds, part.basis) for part in slices)
        change = EXACT.subtract(basis_held(run), before)
        if isinstance(line.line, FillLine):
            assert gain == EXACT.add(change, cash_change(line.line))
        elif slices:
            assert gain == EXACT.add(change, total(part.proceeds for part in slices))


def cash_change(line):
    """Return what a fill did to cash, in USD."""
    sign = -1 if line.side == "buy" else 1
    moved = [(line.quote, line.cost * sign), (line.fee_ccy, -line.fee)]
    return total(EXACT.multiply(qty, line.px.get(asset, Decimal(1))) for asset, qty in moved if asset in CASH)


@settings(max_examples=30, deadline=None)
@given(histories())
def test_gain_of_full_liquidation_is_the_same_by_every_method(rows):
    """Sell all that is left at one price: the order in which units went changes no total."""
    gains = []
    for method in METHODS:
        for pool in (Pool.ACCOUNT, Pool.UNIVERSAL):
            run, slices = run_of(rows, LotPolicy(method=method, pool=pool))
            for place, asset, qty in sorted(holdings(run)):
                sale = {"kind": "spend", "id": f"end-{place}-{asset}", "ts": "2040-01-01T00:00:00Z", "venue": place}
                sale |= {"asset": asset, "amount": str(qty), "why": "other", "px": {asset: "5"}}
                slices += run.feed(next(placed([sale])))
            assert run.remaining() == []
            assert run.open_items() == []
            gains.append(total(EXACT.subtract(part.proceeds, part.basis) for part in slices))

    assert len(set(gains)) == 1


def holdings(run):
    """Return (account, asset, quantity) of what is left."""
    left = run.remaining()
    keys = {(r.account, r.asset) for r in left}
    return {
        (place, asset, total(r.qty for r in left if (r.account, r.asset) == (place, asset))) for place, asset in keys
    }


@settings(max_examples=30, deadline=None)
@given(histories(tuple(kind for kind in KINDS if kind != "move")), st.sampled_from(METHODS), st.sampled_from(ACCOUNTS))
def test_accounts_do_not_touch_each_other(rows, method, account):
    """Without transfers, an account's slices are the same when the others never existed."""
    _, together = run_of(rows, LotPolicy(method=method))
    _, alone = run_of([row for row in rows if row["venue"] == account], LotPolicy(method=method))

    def told(slices):
        return [(s.disposal, s.lot, s.qty, s.proceeds, s.basis) for s in slices if s.account == account]

    assert told(alone) == told(together)


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from(METHODS), st.integers(0, 60))
def test_a_second_pass_and_a_prefix_give_the_same(rows, method, length):
    """A replay from the start gives the same slices; what comes later changes nothing that is past; looking changes nothing."""
    _, slices = run_of(rows, LotPolicy(method=method))
    _, prefix = run_of(rows[:length], LotPolicy(method=method))
    watched = UsRun(LotPolicy(method=method))
    seen = []
    for line in placed(rows):
        watched.advance(line.ts_ns)
        watched.remaining()
        seen += watched.feed(line)

    assert prefix == slices[: len(prefix)]
    assert seen == slices


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2 * 10**9),
    st.integers(360 * 86_400, 370 * 86_400),
    st.sampled_from(("UTC", "America/New_York", "Asia/Kathmandu")),
)
def test_terms_agree_with_the_calendar(acquired_s, held_s, timezone):
    """Short or long is what walking the calendar says, around the first anniversary, in any time zone."""
    acquired_ns, sold_ns = acquired_s * 10**9, (acquired_s + held_s) * 10**9

    assert naive_term(acquired_ns, sold_ns, timezone) == Terms(timezone).of(acquired_ns, sold_ns)


@settings(max_examples=30, deadline=None)
@given(histories())
def test_withheld_units_have_no_gain(rows):
    """Fee units withheld from what was received come out of that lot, for exactly their basis."""
    _, slices = run_of(rows)

    for part in slices:
        if part.why is Why.WITHHELD:
            assert part.lot == part.disposal.removesuffix(":fee")
            assert part.proceeds == part.basis
