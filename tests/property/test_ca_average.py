"""Does Canada's average cost lose nothing, and deny what the formula says?"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from arbot.ledger.jurisdictions.ca_average import CoinAverage, Settled
from arbot.ledger.lots.words import Dispose, Why

FIRST = 739_000
CLOSE = Fraction(1, 10**12)

Op = tuple[int, bool, int, int]
"""(days after the first, is a purchase, thousandths of a coin, cents)."""

ops = st.lists(
    st.tuples(st.integers(0, 120), st.booleans(), st.integers(1, 5_000), st.integers(0, 90_000)),
    min_size=1,
    max_size=30,
).map(lambda some: [(0, True, 100_000, 1_234_567), *sorted(some, key=lambda op: op[0])])


def played(some: list[Op]) -> tuple[CoinAverage, list[Settled]]:
    """Settle operations of one coin."""
    coin, settled = CoinAverage("X"), list[Settled]()
    for seq, (after, is_purchase, qty, value) in enumerate(some):
        day = FIRST + after
        coin.settle(day, settled)
        if is_purchase:
            coin.acquire(day, seq, Decimal(qty) / 1000, Decimal(value) / 100)
        else:
            effect = Dispose(f"d{seq}", "any", "X", Decimal(qty) / 1000, Decimal(value) / 100, Why.SELL)
            coin.dispose(day, seq, effect, seq)
    coin.settle(None, settled)
    return coin, settled


def naive(some: list[Op]) -> tuple[list[tuple[Fraction, Fraction]], Fraction]:
    """Return (gain after denial, denied) of each sale, and the cost left, in fractions and by looking at everything."""
    gains, qty, cost, carried = [], Fraction(0), Fraction(0), Fraction(0)
    for after, is_purchase, thousandths, cents in some:
        units, value = Fraction(thousandths, 1000), Fraction(cents, 100)
        if is_purchase:
            qty, cost, carried = qty + units, cost + value + carried, Fraction(0)
            continue
        taken = min(units, qty)
        if not taken:
            continue
        proceeds, part = value * taken / units, cost * taken / qty
        qty, cost = qty - taken, cost - part
        denied = Fraction(0)
        if proceeds < part:
            bought = sum(Fraction(n, 1000) for day, is_in, n, _ in some if is_in and abs(day - after) <= 30)
            held = sum(Fraction(n if is_in else -n, 1000) for day, is_in, n, _ in some if day <= after + 30)
            denied = (part - proceeds) * min(taken, bought, max(held, Fraction(0))) / taken
        cost, carried = (cost + denied, carried) if qty else (cost, carried + denied)
        gains.append((proceeds - part + denied, denied))
    return gains, cost


@given(ops)
def test_gains_and_denials_are_those_of_the_formula(some: list[Op]) -> None:
    """Each sale's gain and denied loss, and the cost left, are those of a reference that looks at the whole history."""
    coin, settled = played(some)
    expected, cost = naive(some)
    ours = [(each.slice, each.denied) for each in settled if each.slice is not None]
    assert len(expected) == len(ours)
    for (gain, denied), (part, denied_ours) in zip(expected, ours, strict=True):
        assert abs(gain - Fraction(part.proceeds) + Fraction(part.basis)) <= CLOSE
        assert abs(denied - Fraction(denied_ours)) <= CLOSE
    assert abs(cost - Fraction(coin.cost)) <= CLOSE


@given(ops)
def test_cost_and_quantity_are_conserved_exactly(some: list[Op]) -> None:
    """What was paid is what slices took plus what is left; a denied loss stays in the cost."""
    coin, settled = played(some)
    slices = [each.slice for each in settled if each.slice is not None]
    bought = [(Decimal(qty) / 1000, Decimal(value) / 100) for _, is_in, qty, value in some if is_in]
    assert sum(qty for qty, _ in bought) == coin.qty + sum(each.qty for each in slices)
    assert sum(value for _, value in bought) == coin.cost + coin.carried + sum(each.basis for each in slices)


@given(ops)
def test_a_gain_is_never_denied(some: list[Op]) -> None:
    """Denial only ever makes a loss smaller, at most to nothing."""
    for each in played(some)[1]:
        if each.denied:
            assert each.slice is not None
            assert each.slice.proceeds <= each.slice.basis
