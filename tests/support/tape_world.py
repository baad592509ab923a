"""Small generated tapes and the settings to replay them with: many windows, venues that answer at human speed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from arbot.backtest import scenario as scenarios
from arbot.backtest.replay import Replay, Terms
from arbot.backtest.result import Replayed, Scenario
from arbot.backtest.stock import Listed, Made
from arbot.market.stream import IS_LAST, Rows
from arbot.runtime.strategy_loader import load_strategy
from arbot.settings.defaults import DEMO
from arbot.settings.load import merged, parse
from arbot.settings.model import Settings
from arbot.settings.show import digest
from arbot.tape.generate import TapeSpec, generate_rows

ROOT = Path(__file__).resolve().parents[2]
_ACCOUNT = {"USD": "1000000", "BTC": "20", "ETH": "300"}
OVERRIDES: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "venues": {
            "kraken": {"balances": _ACCOUNT, "maker_bps": "5", "taker_bps": "10"},
            "coinbase": {"balances": _ACCOUNT, "maker_bps": "5", "taker_bps": "15"},
        }
    },
    "limits": {
        "notional_per_arb_max": 40_000,
        "inventory_notional_max": 5_000_000,
        "loss_day_max": 100_000,
        "drawdown_max": 100_000,
        "net_delta_notional_max": 100_000,
        "orders_per_minute_max": 600,
    },
    "execution": {"cool_down_ms": 250, "hedge_loss_max": 1_000},
    "backtest": {"reject_share": "0.05", "timeout_share": "0.02", "orders_per_second": "100", "orders_burst": 100},
}


def a_backtest(**tables: Mapping[str, Any]) -> Settings:
    """Return the demo's settings with deep pockets, low fees and the given tables changed."""
    return parse(merged(merged(DEMO, OVERRIDES), tables), base=ROOT, source="a test")


@lru_cache(maxsize=8)
def a_tape(rows: int = 60_000, seed: int = 3, symbols: int = 1, share: float = 0.02) -> Made:
    """Return a generated tape in which `share` of the messages lie in a window."""
    columns, metas = generate_rows(TapeSpec(rows=rows, seed=seed, symbols=symbols, opportunity_share=share))
    return stock(columns, tuple(Listed(meta.instrument, meta.depth) for meta in metas))


def stock(columns: Rows, streams: tuple[Listed, ...], chunk_rows: int = 1 << 20) -> Made:
    """Return rows as a stock that is fed in chunks of whole messages."""

    def chunks() -> list[Rows]:
        ends = np.flatnonzero(columns.tag & IS_LAST) + 1
        cuts = [0]
        while cuts[-1] < len(columns):
            at = int(np.searchsorted(ends, cuts[-1] + chunk_rows, side="right"))
            cuts.append(int(ends[max(at - 1, int(np.searchsorted(ends, cuts[-1], side="right")))]))
        return [columns.part(first, stop) for first, stop in itertools.pairwise(cuts)]

    return Made(streams, len(columns), "test", lambda: iter(chunks()))


def terms(settings: Settings, scenario: Scenario = Scenario.REALISTIC, *, wakes_always: bool = False) -> Terms:
    """Return what a replay of these settings is told."""
    seed = settings.backtest.seed
    return Terms(
        config=settings.engine_config(),
        strategy=load_strategy(settings.strategy.name, settings.strategy.params, ROOT),
        config_digest=digest(settings),
        models=scenarios.models(settings, scenario, {}),
        balances=scenarios.balances(settings),
        scenario=scenario,
        seed=seed,
        sample_ns=settings.backtest.sample_s * 1_000_000_000,
        funding=scenarios.funding(settings, Random(seed)),
        wakes_always=wakes_always,
    )


def replayed(
    made: Made, settings: Settings, scenario: Scenario = Scenario.REALISTIC, *, wakes_always: bool = False
) -> Replayed:
    """Replay and return the column."""
    return Replay(made, terms(settings, scenario, wakes_always=wakes_always)).run()


def trades(column: Replayed) -> tuple[Any, ...]:
    """Return what was traded, when, and what it came to."""
    return (column.arbs, column.fills, column.split, column.equity_end)
