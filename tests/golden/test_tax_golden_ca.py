"""Golden cases of Canada: average cost and superficial losses."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.ledger.jurisdictions.ca_average import CoinAverage, Settled
from arbot.ledger.jurisdictions.days import day_of
from arbot.ledger.lots.words import Dispose, Why
from tests.support.tax_golden import golden_cases

HALF_CENT = Decimal("0.005")


@pytest.mark.parametrize("case", golden_cases("average-cost", jurisdiction="CA"))
def test_gains_and_what_is_left(case: dict) -> None:
    """Gains after denial in the order of the sales, and quantity and cost left, are those of the case."""
    coin, settled, day = CoinAverage("X"), list[Settled](), day_of("2020-01-01")
    for seq, op in enumerate(case["ops"]):
        day = day_of(op["date"]) if "date" in op else day + 100
        coin.settle(day, settled)
        qty, value = Decimal(op["qty"]), Decimal(op["value"])
        if op["op"] == "buy":
            coin.acquire(day, seq, qty, value)
        else:
            coin.dispose(day, seq, Dispose(f"d{seq}", "any", "X", qty, value, Why.SELL), seq)
    coin.settle(None, settled)
    gains = [each.slice.proceeds - each.slice.basis for each in settled if each.slice is not None]
    assert len(case["expected"]["gains"]) == len(gains)
    for expected, gain in zip(case["expected"]["gains"], gains, strict=True):
        assert abs(Decimal(expected) - gain) <= HALF_CENT
    left = case["expected"]["left"]
    assert Decimal(left["qty"]) == coin.qty
    assert abs(Decimal(left["cost"]) - coin.cost) <= HALF_CENT
