"""A whole backtest: one replay a scenario, all over the same rows, put together into one result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import msgspec

from arbot import __version__
from arbot.backtest import scenario as scenarios
from arbot.backtest.measured import answer_times
from arbot.backtest.progress import Progress, Silent
from arbot.backtest.replay import Replay, Terms
from arbot.backtest.result import Replayed, Result, Scanned, Scenario
from arbot.backtest.stock import Stock
from arbot.domain.ids import VenueId
from arbot.domain.units import fmt
from arbot.runtime.clock import SystemClock
from arbot.runtime.strategy_loader import load_strategy
from arbot.settings.model import Settings
from arbot.settings.show import digest

NS_PER_S = 1_000_000_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to replay, and from when; earlier rows only fill the books."""

    settings: Settings
    stock: Stock
    scenarios: tuple[Scenario, ...] = tuple(Scenario)
    tapes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    first_ts_ns: int = 0
    latencies: Mapping[VenueId, tuple[int, ...]] = {}


def plan(
    settings: Settings,
    stock: Stock,
    *,
    chosen: Sequence[Scenario] = tuple(Scenario),
    tapes: Sequence[str] = (),
    warnings: Sequence[str] = (),
    first_ts_ns: int = 0,
) -> Plan:
    """Return the plan of a backtest, with latencies measured where the settings want that. Raises: UserError."""
    return Plan(
        settings=settings,
        stock=stock,
        scenarios=tuple(chosen),
        tapes=tuple(tapes),
        warnings=tuple(warnings),
        first_ts_ns=first_ts_ns,
        latencies=answer_times(
            settings.store_url(),
            scenarios.measured_venues(settings),
            now_ns=SystemClock().now_ns,
            run_id=settings.backtest.latency_run,
        ),
    )


def run(planned: Plan, progress: Progress | None = None) -> Result:
    """Replay every scenario and return the result. Raises: UserError for damaged tapes, InvariantBroken for our own faults."""
    progress = progress or Silent()
    columns: list[Replayed] = []
    scanned: Scanned | None = None
    for one in planned.scenarios:
        replay = Replay(planned.stock, terms(planned, one))
        columns.append(replay.run(progress))
        scanned = scanned or replay.scanned()
    settings = planned.settings
    scanned = scanned or Replay(planned.stock, terms(planned, Scenario.NAIVE)).scanned()
    return Result(
        name=settings.run.name,
        ccy=settings.run.ccy,
        tapes=planned.tapes,
        config_digest=digest(settings),
        code_version=__version__,
        seed=settings.backtest.seed,
        scanned=scanned,
        columns=tuple(columns),
        warnings=(*planned.warnings, *planned.stock.repaired()),
        settings=assumptions(settings),
    )


def run_column(planned: Plan, scenario: Scenario, progress: Progress | None = None) -> Replayed:
    """Replay one scenario and return its column."""
    return Replay(planned.stock, terms(planned, scenario)).run(progress)


def terms(planned: Plan, scenario: Scenario) -> Terms:
    """Return what the replay of a scenario is told."""
    settings = planned.settings
    seed = settings.backtest.seed
    return Terms(
        config=settings.engine_config(),
        strategy=load_strategy(settings.strategy.name, settings.strategy.params, Path.cwd()),
        config_digest=digest(settings),
        models=scenarios.models(settings, scenario, planned.latencies),
        balances=scenarios.balances(settings),
        scenario=scenario,
        seed=seed,
        sample_ns=settings.backtest.sample_s * NS_PER_S,
        funding=scenarios.funding(settings, Random(f"{seed}:transfers")),  # noqa: S311 - of a model, not a secret
        first_ts_ns=planned.first_ts_ns,
    )


def assumptions(settings: Settings) -> dict[str, str]:
    """Return what a reader of the report has to know was assumed, in words."""
    table = settings.backtest
    said = {
        "strategy": settings.strategy.name + "".join(f" {key}={one}" for key, one in settings.strategy.params.items()),
        "latency": f"{table.latency}: request {fmt(table.request_ms)} ms (p99 {fmt(table.request_ms_p99)} ms), "
        f"answer {fmt(table.answer_ms)} ms",
        "rejects": f"{fmt(table.reject_share)} of orders, answers lost for {fmt(table.timeout_share)}",
        "rate limit": f"{fmt(table.orders_per_second)} orders/s, {table.orders_burst} at once",
        "pessimistic": f"delays x {fmt(table.latency_factor)}, {fmt(table.depth_share)} of each level left, best level "
        f"gone for {fmt(table.rival_share)} of orders, rejects x {fmt(table.reject_factor)}",
        "limits": f"{fmt(settings.engine_config().limits.notional_per_arb_max)} {settings.run.ccy} an arb",
    }
    if table.rebalance_every_h:
        said["transfers"] = f"every {fmt(table.rebalance_every_h)} h, {fmt(table.transfer_minutes)} min under way"
    return said
