"""A full replay as a sweep asks for it: a document and a part in, statistics out. Runs in workers, so it opens all by itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from arbot.backtest.replay import Replay, Terms
from arbot.backtest.result import Replayed, Scenario
from arbot.backtest.scenario import balances, funding, models
from arbot.backtest.stock import Stock
from arbot.backtest.sweep_parts import StockUntil
from arbot.backtest.sweep_pass import Part
from arbot.backtest.sweep_space import Measured, digest_of
from arbot.backtest.sweep_store import Outcome
from arbot.domain.order import Purpose
from arbot.domain.units import ZERO
from arbot.runtime.clock import NS_PER_S
from arbot.runtime.strategy_loader import load_strategy
from arbot.settings.load import parse
from arbot.settings.model import Settings

_WORKED = (Purpose.HEDGE, Purpose.UNWIND)

OpenStock = Callable[[Settings], Stock]
"""Opens the tape for a setting. Picklable; a worker in another process calls it anew."""


def evaluate(
    document: dict[str, Any], part: Part, *, folder: Path, open_stock: OpenStock, measured: Measured
) -> Outcome:
    """Replay a setting in full on a part, as [backtest] models the world. Raises: UserError."""
    settings = parse(document, base=folder)
    terms = Terms(
        config=settings.engine_config(),
        strategy=load_strategy(settings.strategy.name, settings.strategy.params, folder),
        config_digest=digest_of(settings),
        models=models(settings, Scenario.REALISTIC, measured),
        balances=balances(settings),
        scenario=Scenario.REALISTIC,
        seed=settings.backtest.seed,
        sample_ns=settings.backtest.sample_s * NS_PER_S,
        funding=funding(settings, Random(settings.backtest.seed)),  # noqa: S311 - of a model, not a secret
        first_ts_ns=part.first_ts_ns,
    )
    return outcome_of(Replay(StockUntil(open_stock(settings), part.stop_ts_ns), terms).run())


def outcome_of(replayed: Replayed) -> Outcome:
    """Return a replay's result as a sweep ranks it: what trading earned, without what holdings gained or lost."""
    split = replayed.split
    net = split.edge + split.slippage + split.unwinds - split.fees - split.transfer_costs
    # as in the compiled pass: a leg filled so much less than the other that there was something to work off
    worked = {fill.arb_id for fill in replayed.fills if fill.purpose in _WORKED}
    one_sided = worked | {arb.arb_id for arb in replayed.arbs if arb.state == "stranded"}
    realised = [ZERO, *(sample.realised for sample in replayed.samples)]
    drawdown = max(peak - now for peak, now in zip(accumulate(realised, max), realised, strict=True))
    # statistics to rank by, not money
    return Outcome(
        net=float(net),
        edge=float(split.edge),
        slippage=float(split.slippage),
        unwinds=float(split.unwinds),
        fees=float(split.fees),
        drawdown=float(drawdown),
        arbs=len(replayed.arbs),
        missed=sum(arb.state == "missed" for arb in replayed.arbs),
        one_sided=len(one_sided),
        stranded=sum(arb.state == "stranded" for arb in replayed.arbs),
    )
