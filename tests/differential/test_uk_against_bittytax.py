"""Does BittyTax match the same units on the same days, at the same gain, and leave the same pools?"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.history import OpeningLine, Placed, format_ts
from arbot.ledger.jurisdictions.base import CountryOptions
from arbot.ledger.jurisdictions.days import day_text
from arbot.ledger.jurisdictions.local_effects import LocalEffects
from arbot.ledger.jurisdictions.uk import UkRun
from arbot.ledger.lots.words import Acquire, Dispose
from tests.support.arb_year import placed_year
from tests.support.rival_legs import RivalLeg, ask_rival

RATE = Decimal("0.78")
TOLERANCE = Decimal("0.000001")


def pound_legs(history: list[Placed]) -> list[RivalLeg]:
    """Return what each line buys and sells in pounds, fees allocated; an opening counts from when it was acquired."""
    values = LocalEffects("GBP", RATE, given_share=Decimal("0.5"))
    told = []
    for placed in history:
        for effect in values.of(placed):
            if isinstance(effect, Acquire):
                at_ns = effect.acquired_ns if isinstance(placed.line, OpeningLine) else placed.ts_ns
                told.append(("acquire", effect.lot, at_ns, effect.asset, effect.qty, effect.basis))
            elif isinstance(effect, Dispose):
                told.append(("dispose", effect.disposal, placed.ts_ns, effect.asset, effect.qty, effect.proceeds))
    names = ("t", "id", "ts", "asset", "qty", "value")
    rows = (
        (kind, name, format_ts(at_ns), asset, f"{qty:f}", f"{value:f}") for kind, name, at_ns, asset, qty, value in told
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize(("seed", "fills"), [(31, 60), (32, 150), (33, 400)])
def test_days_and_pools_equal_bittytax(seed: int, fills: int, tmp_path: Path):
    """Gain of each token and day, and units and cost of each pool, agree over a year with few and with many trades."""
    history = list(placed_year(fills, seed=seed))
    run = UkRun(CountryOptions(rate_default=RATE))
    for placed in history:
        run.feed(placed)
    run.finish()
    assert run.open_items() == []
    theirs = ask_rival("bittytax_engine", "uk", pound_legs(history), tmp_path)
    gains = {f"{one.asset} {day_text(one.day)}": one.gain for one in run.disposals()}
    assert set(gains) == set(theirs["gains"])
    assert {} == {
        name: (gain, theirs["gains"][name])
        for name, gain in gains.items()
        if abs(gain - Decimal(theirs["gains"][name])) > TOLERANCE
    }
    pools = {f"{lot.asset}@*": (lot.qty, lot.basis) for lot in run.remaining()}
    told = {name: (Decimal(qty), Decimal(cost)) for name, (qty, cost) in theirs["left"].items() if Decimal(qty)}
    assert {name: qty for name, (qty, _) in pools.items()} == {name: qty for name, (qty, _) in told.items()}
    assert all(abs(cost - told[name][1]) <= TOLERANCE for name, (_, cost) in pools.items())
    rules = {rule for one in run.disposals() for rule, qty in one.qty_by_rule.items() if qty}
    assert {"same-day", "30-day", "s104"} >= rules
    assert "30-day" in rules
    assert "s104" in rules
