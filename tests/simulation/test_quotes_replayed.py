"""Can a replay of quotes be believed? The same moments however the rows are walked, queues respected, books that tie."""

from __future__ import annotations

import pytest

from arbot.backtest.result import Replayed, Scenario
from tests.support.tape_world import a_backtest, a_tape, replayed, stock, trades

PARAMS = {
    "notional": "5000", "edge_net_bps_min": "1", "edge_margin_bps": "1", "move_bps": "3", "look_ms": "50",
    "makers": "kraken", "hedges": "coinbase",
}  # fmt: skip
STRATEGY = {"name": "strategies.maker_taker", "params": PARAMS}
ACCOUNT = {"USD": "1000000", "BTC": "20", "ETH": "300"}
CHEAP = {
    "venues": {
        "kraken": {"balances": ACCOUNT, "maker_bps": "-1", "taker_bps": "10"},
        "coinbase": {"balances": ACCOUNT, "maker_bps": "0", "taker_bps": "1"},
    }
}


def quoted(
    scenario: Scenario = Scenario.REALISTIC, *, wakes_always: bool = False, chunk_rows: int = 1 << 20
) -> Replayed:
    """Replay a small tape on which quotes are filled."""
    tape = a_tape(rows=12_000, seed=1, share=0.05)
    if chunk_rows < 1 << 20:
        (rows,) = tape.chunks()
        tape = stock(rows, tape.streams, chunk_rows=chunk_rows)
    return replayed(tape, a_backtest(strategy=STRATEGY, paper=CHEAP), scenario, wakes_always=wakes_always)


@pytest.mark.parametrize("scenario", list(Scenario))
def test_choosing_the_moments_compiled_or_one_by_one_changes_nothing(scenario: Scenario) -> None:
    """Place, move and fill the same quotes at the same nanoseconds whether the scan or Python paces the looks."""
    chosen, every = (quoted(scenario, wakes_always=always) for always in (False, True))

    assert trades(chosen) == trades(every)
    assert chosen.order_hash == every.order_hash
    assert chosen.orders > 0


def test_chunks_change_nothing() -> None:
    """Give the same result however the rows are cut."""
    assert quoted() == quoted(chunk_rows=1_000)


@pytest.mark.parametrize("scenario", list(Scenario))
def test_the_ledger_ties_and_nothing_stays_open(scenario: Scenario) -> None:
    """End with every quote ended, every fill hedged or carried, and books that agree to the last digit."""
    column = quoted(scenario)

    assert column.ledger_matches_venues
    assert column.totals.orders_unknown == 0
    assert {arb.state for arb in column.arbs} <= {"flat", "flush"}


def test_quotes_are_filled_as_makers_and_hedged_as_takers() -> None:
    """Pay the maker's rate, here a rebate, on what rested, and the taker's on what hedged it."""
    column = quoted(Scenario.NAIVE)
    kinds = {(fill.purpose, fill.liquidity) for fill in column.fills}

    assert {("leg", "maker"), ("hedge", "taker")} <= kinds
    assert all(fill.fee < 0 for fill in column.fills if fill.liquidity == "maker")
