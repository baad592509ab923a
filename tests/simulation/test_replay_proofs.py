"""Can a replay be believed? The proofs that its speed changes nothing and that it cannot see the future."""

from __future__ import annotations

import decimal
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from arbot.backtest.replay import Replay
from arbot.backtest.result import Scenario
from arbot.market.stream import IS_LAST
from tests.support.tape_world import ROOT, a_backtest, a_tape, replayed, stock, terms, trades

SEEDS = (1, 2, 3, 4)
COARSE_NS = 20_000_000


@pytest.mark.parametrize("scenario", list(Scenario))
@pytest.mark.parametrize("seed", SEEDS)
def test_waking_the_engine_at_every_message_changes_nothing(seed: int, scenario: Scenario) -> None:
    """Trade the same orders at the same nanoseconds whether the scanner chooses the moments or the engine sees all."""
    tape, settings = a_tape(rows=20_000, seed=seed, symbols=2), a_backtest(run={"symbols": ["BTC/USD", "ETH/USD"]})

    chosen, every = (replayed(tape, settings, scenario, wakes_always=always) for always in (False, True))

    assert trades(chosen) == trades(every)
    assert chosen.order_hash == every.order_hash
    assert len(chosen.arbs) > 0


@pytest.mark.parametrize("scenario", [Scenario.NAIVE, Scenario.REALISTIC])
@pytest.mark.parametrize("seed", SEEDS)
def test_that_holds_too_where_many_messages_share_a_time(seed: int, scenario: Scenario) -> None:
    """Do what is due at a moment after all of its messages, whichever of them were worth a look: clocks may be coarse."""
    tape = a_tape(rows=20_000, seed=seed, share=0.1)
    (rows,) = tape.chunks()
    coarse = stock(rows.having(recv_ts_ns=rows.recv_ts_ns // COARSE_NS * COARSE_NS), tape.streams)
    settings = a_backtest(backtest={"latency": "fixed", "request_ms": "60", "answer_ms": "20"})

    chosen, every = (replayed(coarse, settings, scenario, wakes_always=always) for always in (False, True))

    assert trades(chosen) == trades(every)
    assert len(chosen.arbs) > 0


def test_another_process_gets_the_same_digest() -> None:
    """Depend on nothing but tape, config and seed: not on hashing, the process, or what ran before."""
    code = (
        "from tests.support.tape_world import a_backtest, a_tape, replayed;"
        "print(replayed(a_tape(rows=30_000), a_backtest()).digest)"
    )
    ours = replayed(a_tape(rows=30_000), a_backtest()).digest

    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert ours == done.stdout.strip()


def test_the_decimal_context_of_others_changes_nothing() -> None:
    """Give the same column whatever rounding and precision somebody else has set."""
    tape, settings = a_tape(rows=60_000), a_backtest()
    expected = replayed(tape, settings)
    with decimal.localcontext(decimal.Context(prec=9, rounding=decimal.ROUND_UP)):
        assert expected == replayed(tape, settings)


def test_another_seed_gives_another_digest() -> None:
    """Draw the luck of orders from the seed."""
    tape = a_tape(rows=60_000)

    assert replayed(tape, a_backtest()).digest != replayed(tape, a_backtest(backtest={"seed": 8})).digest


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_what_comes_later_changes_nothing_earlier(share: float) -> None:
    """Trade the same up to a moment whether or not the tape goes on after it."""
    tape, settings = a_tape(rows=200_000), a_backtest()
    (rows,) = tape.chunks()
    cut = int(len(rows) * share)
    while not rows.tag[cut - 1] & IS_LAST:
        cut += 1
    until_ns = int(rows.recv_ts_ns[cut - 1])

    whole, short = replayed(tape, settings), replayed(stock(rows.part(0, cut), tape.streams), settings)

    assert [fill for fill in whole.fills if fill.ts_ns <= until_ns] == [
        fill for fill in short.fills if fill.ts_ns <= until_ns
    ]
    assert any(fill.ts_ns <= until_ns for fill in whole.fills)
    opened = [[arb.arb_id for arb in one.arbs if arb.opened_ts_ns <= until_ns] for one in (whole, short)]
    assert opened[0] == opened[1]


def test_chunks_change_nothing() -> None:
    """Give the same result however the rows are cut."""
    tape, settings = a_tape(rows=60_000), a_backtest()
    (rows,) = tape.chunks()

    assert replayed(tape, settings) == replayed(stock(rows, tape.streams, chunk_rows=1_000), settings)


@pytest.mark.parametrize("scenario", list(Scenario))
def test_the_ledger_ties_to_the_venues_and_nothing_stays_open(scenario: Scenario) -> None:
    """End with every arb closed, every unknown order resolved, and books that agree to the last digit."""
    column = replayed(a_tape(rows=200_000), a_backtest(), scenario)

    assert column.ledger_matches_venues
    assert column.totals.orders_unknown == 0
    assert {arb.state for arb in column.arbs} <= {"flat", "missed"}
    assert len(column.arbs) > 5


def test_latency_costs_money_and_rivals_cost_fills() -> None:
    """Earn less with latency than without, and fill less of the legs with rivals, on a tape full of short windows."""
    tape, settings = a_tape(rows=200_000), a_backtest()
    naive, realistic, pessimistic = (replayed(tape, settings, scenario) for scenario in Scenario)

    assert naive.totals.pnl_net > max(realistic.totals.pnl_net, pessimistic.totals.pnl_net)
    assert naive.fill_ratio > realistic.fill_ratio > pessimistic.fill_ratio


def test_a_deposit_and_transfers_are_neither_profit_nor_loss_but_for_their_fees() -> None:
    """Keep money that moves apart from money that was made; the network's fees are told by themselves."""
    tape = a_tape(rows=60_000)
    moved = a_backtest(
        backtest={
            "deposits": [{"after_s": 5, "venue": "kraken", "asset": "USD", "qty": "5000"}],
            "rebalance_every_h": "0.003",
            "transfer_minutes": "0.01",
            "transfer_minutes_p99": "0.02",
            "transfer_fee": {"USD": "3"},
        },
    )
    column = replayed(tape, moved)
    split = column.split

    assert column.deposits == 5000
    assert column.ledger_matches_venues
    assert column.equity_end - column.equity_start - column.deposits == (
        split.edge + split.slippage + split.unwinds - split.fees - split.transfer_costs + split.inventory
    )
    assert msgspec.structs.asdict(split)["transfer_costs"] >= 0


def test_earlier_rows_fill_the_books_and_are_not_counted() -> None:
    """Start in the middle with books as they stood then, and report what came from there on."""
    tape, settings = a_tape(rows=60_000), a_backtest()
    (rows,) = tape.chunks()
    first_ts_ns = int(rows.recv_ts_ns[len(rows) // 2]) + 1
    replay = Replay(tape, msgspec.structs.replace(terms(settings), first_ts_ns=first_ts_ns))
    column = replay.run()
    later = int(np.count_nonzero(rows.recv_ts_ns >= first_ts_ns))

    assert replay.scanned().rows == later
    assert replay.scanned().messages == int(
        np.count_nonzero((rows.recv_ts_ns >= first_ts_ns) & (rows.tag & IS_LAST > 0))
    )
    assert min(window.start_ts_ns for window in column.windows) >= first_ts_ns
    assert all(arb.opened_ts_ns >= first_ts_ns for arb in column.arbs)
    assert len(column.arbs) > 0
