"""Do independent engines find the same gain for every disposal, and leave the same units at the same cost?

What is compared where, and every known difference by its rule: docs/guide/tax-differences.md.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.history import LotMethod, Placed
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.lots.policy import LotPolicy, Pool
from arbot.ledger.lots.words import Slice, Why
from tests.support.arb_year import placed_year
from tests.support.rival_legs import ask_rival, rival_legs, rival_legs_by_account

TOLERANCE = Decimal("0.000001")
FILLS = 300


def ours(
    history: list[Placed], method: str, pool: Pool
) -> tuple[dict[str, Decimal], dict[str, tuple[Decimal, Decimal]]]:
    """Return our gain per disposal, without withheld units, and what is left per asset and account."""
    run = UsRun(LotPolicy(method=LotMethod(method), pool=pool))
    slices: list[Slice] = [one for placed in history for one in run.feed(placed)] + run.finish()
    assert run.open_items() == []
    gains: dict[str, Decimal] = defaultdict(Decimal)
    for one in slices:
        if one.why is not Why.WITHHELD:
            gains[one.disposal] += one.proceeds - one.basis
    left: dict[str, tuple[Decimal, Decimal]] = defaultdict(lambda: (Decimal(0), Decimal(0)))
    for lot in run.remaining():
        name = f"{lot.asset}@{lot.account}"
        left[name] = (left[name][0] + lot.qty, left[name][1] + lot.basis)
    return gains, left


def agree(gains: dict[str, Decimal], left: dict[str, tuple[Decimal, Decimal]], theirs: dict) -> None:
    """Compare with an engine's answer: each disposal, then what is left."""
    assert set(gains) == set(theirs["gains"])
    apart = {
        name: (gain, theirs["gains"][name])
        for name, gain in gains.items()
        if abs(gain - Decimal(theirs["gains"][name])) > TOLERANCE
    }
    assert {} == apart
    told = {name: (Decimal(qty), Decimal(cost)) for name, (qty, cost) in theirs["left"].items() if Decimal(qty)}
    assert {name: qty for name, (qty, _) in left.items()} == {name: qty for name, (qty, _) in told.items()}
    assert {} == {
        name: (cost, told[name][1]) for name, (_, cost) in left.items() if abs(cost - told[name][1]) > TOLERANCE
    }


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo", "lofo"])
@pytest.mark.parametrize("seed", [11, 12])
def test_one_pool_equals_rp2(method: str, seed: int, tmp_path: Path):
    """RP2's engine and ours agree on lots over all accounts, in all four orders."""
    history = list(placed_year(FILLS, seed=seed))
    gains, left = ours(history, method, Pool.UNIVERSAL)
    agree(gains, left, ask_rival("rp2_engine", method, rival_legs(history), tmp_path))


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo"])
@pytest.mark.parametrize("seed", [21, 22])
def test_lots_per_account_equal_beancount(method: str, seed: int, tmp_path: Path):
    """Beancount's booking and ours agree on lots per account that move with transfers."""
    history = list(placed_year(FILLS, seed=seed))
    gains, left = ours(history, method, Pool.ACCOUNT)
    agree(gains, left, ask_rival("beancount_booking", method, rival_legs_by_account(history), tmp_path))
