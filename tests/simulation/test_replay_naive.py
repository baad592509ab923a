"""Does the fast replay trade exactly what a naive one does that shares nothing with it but the engine?"""

from __future__ import annotations

import pytest

from arbot.backtest.replay import Replay
from arbot.backtest.result import Scenario
from tests.support.naive_replay import NaiveReplay
from tests.support.tape_world import a_backtest, a_tape, terms

MS = 1_000_000
CERTAIN = {
    "latency": "fixed",
    "request_ms": "15",
    "answer_ms": "5",
    "reject_share": "0",
    "timeout_share": "0",
    "orders_per_second": "10000",
    "orders_burst": 10_000,
}


def both(tape, settings, scenario=Scenario.REALISTIC, delays=(15 * MS, 5 * MS)):
    """Replay twice; return what each sent and what each filled."""
    naive = NaiveReplay(tape, terms(settings, scenario), *delays)
    naive.run()
    column = Replay(tape, terms(settings, scenario)).run()
    return naive, column


def rows_of(naive: NaiveReplay) -> list[tuple]:
    """Return the naive fills as the report would list them."""
    return sorted(
        (fill.client_order_id, fill.venue, fill.side.value, fill.qty, fill.price, fill.fee.number)
        for _, fill in naive.fills
    )


@pytest.mark.parametrize("scenario", [Scenario.NAIVE, Scenario.REALISTIC])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_fill_the_same(seed: int, scenario: Scenario) -> None:
    """Send and fill the same, order by order, on generated tapes of two symbols."""
    tape = a_tape(rows=20_000, seed=seed, symbols=2, share=0.1)
    settings = a_backtest(run={"symbols": ["BTC/USD", "ETH/USD"]}, backtest=CERTAIN)
    delays = (0, 0) if scenario is Scenario.NAIVE else (15 * MS, 5 * MS)

    naive, column = both(tape, settings, scenario, delays)

    assert rows_of(naive) == sorted(
        (fill.client_order_id, fill.venue, fill.side, fill.qty, fill.price, fill.fee) for fill in column.fills
    )
    assert len(naive.orders) == column.orders
    assert column.orders > 1
