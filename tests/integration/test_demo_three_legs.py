"""The demos of three legs, whole: simulator process, real wire protocols, and books that agree to the last unit."""

from __future__ import annotations

import asyncio
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from arbot.journal.store import SqlStore
from arbot.runtime.clock import SystemClock
from arbot.runtime.modes import Options, ours_equal, run_daemon
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.settings.load import parse
from arbot.sim.market import SeededSpec

CONFIG = Path(__file__).resolve().parents[2] / "config"
BUSY = SeededSpec(jumps_per_minute=30.0)


@pytest.mark.parametrize("name", ["demo-triangular", "demo-stablecoin"])
async def test_three_legs_close_and_every_unit_is_accounted_for(tmp_path: Path, name: str) -> None:
    """Arbs with a conversion are opened and end; ledger and simulator agree on every asset at every venue."""
    file = CONFIG / f"{name}.toml"
    document = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    document["run"]["state_dir"] = str(tmp_path / "state")
    document["execution"] = {"order_deadline_ms": 1_500, "visibility_lag_ms": 1_500}
    settings = parse(document, base=CONFIG, source=file.name, text=file.read_text(encoding="utf-8"))
    options = msgspec.structs.replace(sim_options(settings), market=BUSY)
    async with SimProcess(settings, options) as process:
        report = await asyncio.wait_for(run_daemon(process.settings(), Options(duration_s=8.0)), 90)
        truth = await process.truth()
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        ours = {venue: dict(store.balances(f"assets:{venue}")) for venue in truth}
        assert () == store.verify()
        legs = {trade.fill.instrument.partition("@")[0] for trade in store.trades()}
    finally:
        store.close()

    assert ours_equal(ours, truth)
    assert set(document["run"]["symbols"]) == legs
    assert report.as_document()["arbs_opened"] > 0
