"""The sweep's approximation beside the full engine, on a generated tape with fixed latencies."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from arbot.backtest.stock import Listed, Made
from arbot.backtest.sweep_engine import evaluate
from arbot.backtest.sweep_parts import span_of, split
from arbot.backtest.sweep_pass import judge
from arbot.backtest.sweep_space import Base, candidate, grid, parse_axes, points
from arbot.market.stream import KIND_MASK, Kind
from arbot.runtime.strategy_loader import load_strategy
from arbot.tape.generate import TapeSpec, generate_rows

ACCOUNT = {"balances": {"USD": 2_000_000, "BTC": 30}, "maker_bps": 5, "taker_bps": 10}
DOCUMENT = {
    "run": {"name": "swept", "symbols": ["BTC/USD"]},
    "venues": {"kraken": {"adapter": "kraken"}, "coinbase": {"adapter": "coinbase"}},
    "paper": {"venues": {"kraken": ACCOUNT, "coinbase": ACCOUNT}},
    "limits": {"inventory_notional_max": 100_000_000, "counterparty_share_max": Decimal(1)},
    "risk": {"prior_legs": 100_000},  # what legs teach is left to the engine
    "backtest": {"latency": "fixed", "answer_ms": 5, "reject_share": Decimal(0), "timeout_share": Decimal(0)},
}
HERE = Path()


@pytest.fixture(scope="module")
def stock():
    rows, metas = generate_rows(TapeSpec(rows=150_000, seed=3, opportunity_share=0.05))
    return Made(tuple(Listed(meta.instrument, meta.depth) for meta in metas), len(rows), "made", lambda: iter([rows]))


@pytest.mark.parametrize("latency", ["fixed", "lognormal"])
def test_kernel_decides_what_the_engine_decides(stock, latency):
    """Without rejects the one pass opens the engine's arbs at the engine's prices and moments, and earns the same within 3 %."""
    base = Base({**DOCUMENT, "backtest": {**DOCUMENT["backtest"], "latency": latency}}, HERE, "here")
    texts = ["strategy.edge_net_bps_min=1,8", "backtest.request_ms=5,40", "venues.coinbase.taker_bps=8,15"]
    axes = parse_axes(texts, is_random=False)
    asked = points(base, axes, grid(axes))
    made = [candidate(point.settings, stock.streams, {}, load_strategy, HERE) for point in asked]
    parts = split(span_of(stock), 0.3)
    scores = judge(stock, made, parts)
    arbs = 0
    for number in (0, 3, 6):
        for part in parts:
            kernel = scores[part.name][number]
            engine = evaluate(
                asked[number].document, part, folder=HERE, open_stock=lambda _settings: stock, measured={}
            )
            arbs += engine.arbs
            assert (engine.arbs, engine.missed, engine.one_sided) == (kernel.arbs, kernel.missed, kernel.one_sided)
            assert pytest.approx(engine.edge, rel=1e-6) == kernel.edge
            assert pytest.approx(engine.slippage, abs=0.05) == kernel.slippage
            assert pytest.approx(engine.net, rel=0.03, abs=0.5) == kernel.net
    assert arbs > 40


def test_held_out_part_begins_with_warm_books(stock):
    """Books on the held-out part are those that earlier rows left, for the one pass and the engine: without them nobody trades."""
    base = Base(DOCUMENT, HERE, "here")
    axes = parse_axes(["strategy.edge_net_bps_min=1"], is_random=False)
    (point,) = points(base, axes, grid(axes))
    made = [candidate(point.settings, stock.streams, {}, load_strategy, HERE)]
    parts = split(span_of(stock), 0.3)
    held_out = parts[1]
    (rows,) = stock.chunks()
    first = int(np.searchsorted(rows.recv_ts_ns, held_out.first_ts_ns))
    cold = Made(stock.streams, len(rows) - first, "cold", lambda: iter([rows.part(first, len(rows))]))

    def arbs(fed):
        by_engine = evaluate(point.document, held_out, folder=HERE, open_stock=lambda _settings: fed, measured={})
        return judge(fed, made, (held_out,))[held_out.name][0].arbs, by_engine.arbs

    after_tuned = judge(stock, made, parts)[held_out.name][0]
    assert not np.any(rows.tag[first:] & KIND_MASK == Kind.SNAPSHOT)
    assert arbs(stock) == (after_tuned.arbs, after_tuned.arbs)
    assert after_tuned.arbs > 5
    assert arbs(cold) == (0, 0)
