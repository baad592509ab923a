"""A real demo, scraped while it runs and when it has settled: every number of a step's groups is there and can be explained."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbot.observe.catalogue import execution, opportunities, risk, treasury
from arbot.observe.status import Status
from arbot.runtime.daemon import Daemon
from arbot.runtime.modes import Options, run_daemon
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.runtime.tax_count import counting
from arbot.settings.defaults import demo
from arbot.sim.market import SeededSpec
from tests.support.observed import STRATEGY, Counts

BUSY = SeededSpec(jumps_per_minute=60.0)
SECONDS = 14.0
LATER = {  # of the catalogue, and why a quiet demo of some seconds has no series of it
    "arbot_transfers_total": "no transfer was asked for",
    "arbot_transfer_duration_seconds": "no transfer was asked for",
    "arbot_transfers_in_transit": "no transfer was asked for",
    "arbot_stablecoin_price_ratio": "no stablecoin is traded",
    "arbot_stablecoin_off_peg": "no stablecoin is traded",
    "arbot_exposure": "the demo's venues may stand on nothing that the registry knows",
    "arbot_exposure_limit": "the demo's venues may stand on nothing that the registry knows",
}


class Scraped:
    """A service that scrapes once a second and keeps the last text beside what the daemon itself says."""

    def __init__(self) -> None:
        self.counts: Counts | None = None
        self.status: Status | None = None
        self.scrapes = 0

    @asynccontextmanager
    async def __call__(self, daemon: Daemon) -> Any:
        """Scrape for as long as the context lasts."""
        task = daemon.supervisor.spawn(self._scrape(daemon), "scrape")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _scrape(self, daemon: Daemon) -> None:
        while True:
            await daemon.wiring.clock.sleep(1.0)
            while daemon.engine.state.active_arbs():  # a moment at rest: two looks apart see the same
                await daemon.wiring.clock.sleep(0.02)
            status = daemon.status()
            counts = Counts((await daemon.metrics()).decode())
            if daemon.status().totals == status.totals and daemon.problems_ready() == ():
                self.counts, self.status = counts, status
                self.scrapes += 1


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Scraped:
    """Run a demo on a busy market and return its last scrape."""

    async def play(folder: Path) -> Scraped:
        settings = demo(folder, {"execution": {"order_deadline_ms": 1_500, "visibility_lag_ms": 1_500}})
        options = msgspec.structs.replace(sim_options(settings), market=BUSY)
        watch = Scraped()
        async with SimProcess(settings, options) as process:
            told = process.settings()
            await asyncio.wait_for(run_daemon(told, Options(duration_s=SECONDS, services=(watch, counting(told)))), 90)
        return watch

    found = asyncio.run(play(tmp_path_factory.mktemp("demo")))
    assert found.scrapes > 0
    return found


@pytest.mark.parametrize(
    "group", [opportunities, execution, treasury, risk], ids=lambda group: group.__name__.split(".")[-1]
)
def test_every_metric_of_a_step_has_a_series(group: Any, scraped: Scraped) -> None:
    """Find a series of each metric, but for those that this demo has nothing to say of, each with its reason."""
    missing = [row.name for row in group.ROWS if not scraped.counts.rows(row.name) and row.name not in LATER]

    assert [] == missing


def test_the_scrape_says_what_the_status_says(scraped: Scraped) -> None:
    """Count arbs, fills, volume and profit as the daemon's own totals do."""
    counts, status = scraped.counts, scraped.status
    totals = status.totals
    assert totals.arbs_opened > 0
    assert totals.arbs_opened == counts.sum("arbot_trades_total") + counts.sum("arbot_trades_in_flight")
    assert totals.fills == counts.sum("arbot_fills_total")
    assert totals.arbs_missed == counts.sum("arbot_trades_total", outcome="unfilled")
    assert pytest.approx(float(totals.pnl_net)) == counts.sum("arbot_pnl_net")
    assert pytest.approx(float(totals.volume_quote)) == counts.sum("arbot_traded_notional_total")
    assert totals.opportunities_declined == {
        reason: count for reason, count in counts.by("arbot_routes_declined_total", "reason").items() if count
    }


def test_the_sums_hold(scraped: Scraped) -> None:
    """Add up outcomes, reasons and orders as the catalogue promises, on the real wire."""
    counts = scraped.counts
    assert counts.sum("arbot_opportunities_total", outcome="rejected") == counts.sum("arbot_opportunity_rejects_total")
    assert counts.sum("arbot_opportunities_total", outcome="taken") == counts.sum("arbot_trades_total") + counts.sum(
        "arbot_trades_in_flight"
    )
    ended = counts.sum("arbot_orders_total") - counts.sum("arbot_orders_total", outcome="unknown")
    assert counts.sum("arbot_orders_sent_total") == ended + counts.sum("arbot_open_orders")
    for once_an_arb in (
        "arbot_decision_latency_seconds",
        "arbot_decision_book_age_seconds",
        "arbot_opportunity_edge_ratio",
    ):
        assert counts.sum("arbot_opportunities_total", outcome="taken") == counts.sum(once_an_arb, strategy=STRATEGY)


def test_money_adds_up(scraped: Scraped) -> None:
    """Have equity as the sum of balances at their values, no drawdown beyond it, and both venues as far off as each other."""
    counts = scraped.counts
    assert pytest.approx(counts.sum("arbot_balance_value")) == counts.sum("arbot_equity")
    assert 0 <= counts.sum("arbot_drawdown_ratio") < 0.01
    deviations = [value for labels, value in counts.rows("arbot_inventory_deviation_ratio") if labels["asset"] == "BTC"]
    assert 2 == len(deviations)
    assert pytest.approx(0, abs=1e-9) == sum(deviations)


def test_the_tax_year_was_counted(scraped: Scraped) -> None:
    """Have lots of what the demo holds, counted by a child after the start, and no word of an export."""
    counts = scraped.counts
    assert counts.sum("arbot_tax_counted_timestamp_seconds") > 0
    assert counts.sum("arbot_tax_open_lots", asset="BTC") >= 2
    assert 0 == counts.sum("arbot_tax_export_last_success_timestamp_seconds")


def test_nothing_stops_trading_and_agreement_is_fresh(scraped: Scraped) -> None:
    """Have no reason against trading, and ledger and venue in agreement since the start."""
    counts, started_s = scraped.counts, scraped.status.started_ts_ns / 1e9
    assert 1 == counts.sum("arbot_trading_enabled")
    assert 0 == counts.sum("arbot_trading_blocked")
    for _, agreed_s in counts.rows("arbot_reconciliation_last_success_timestamp_seconds"):
        assert agreed_s > started_s
