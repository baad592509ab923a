"""kill -9 at any moment: the next start finds every order and fill, once, and the ledger equals the venues' truth.

The simulator is a process of its own and goes on living; the daemon is killed several times, at seeded moments, some of
them the very moment a venue has taken a new order. ARBOT_SEEDS says how many seeds are played (3 unless told).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbot.journal.store import SqlStore
from arbot.runtime.clock import SystemClock
from arbot.runtime.modes import ours_equal
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.settings.defaults import demo
from arbot.settings.show import show
from arbot.sim.market import SeededSpec

SEEDS = range(int(os.environ.get("ARBOT_SEEDS", "3")))
DAEMON = """
import sys
from pathlib import Path
from arbot.runtime.modes import Options, run, run_daemon
from arbot.settings.load import load
report = run(run_daemon(load(Path(sys.argv[1])), Options(duration_s=float(sys.argv[2]))))
sys.exit(0 if report.ending.is_clean and not report.ending.stranded else 1)
"""
KILLS = 3
LAST_RUN_S = 5.0
FAULTS = ((), ("cut-after-accept:rate=0.3,every_ms=0",), ("latency:ms=80",), ("late-fill:rate=0.3,ms=500", "dup-fill"))


async def start(config: Path, seconds: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, str(config), str(seconds), stderr=asyncio.subprocess.PIPE
    )


def orders_seen(books: dict[str, Any]) -> int:
    return sum(len(account["orders"]) for account in books.values())


async def moment_of_a_new_order(sim: SimProcess, chance: random.Random) -> None:
    """Wait until a venue has taken one more order (at most 6 s), and then a few milliseconds."""
    before = orders_seen(await sim.books())
    for _ in range(600):
        await asyncio.sleep(0.01)
        if orders_seen(await sim.books()) > before:
            break
    await asyncio.sleep(chance.uniform(0, 0.08))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_and_nothing_doubled(seed: int, tmp_path: Path):
    """After three kills and a clean last run, journal, ledger and simulator tell the same story to the last unit."""
    chance = random.Random(seed)
    settings = demo(
        tmp_path,
        {
            "sim": {"seed": seed, "faults": list(FAULTS[seed % len(FAULTS)])},
            "execution": {"order_deadline_ms": 1_000, "visibility_lag_ms": 1_000},
        },
    )
    options = msgspec.structs.replace(sim_options(settings), market=SeededSpec(jumps_per_minute=60.0))
    async with SimProcess(settings, options) as sim:
        config = tmp_path / "demo.toml"
        config.write_text(show(sim.settings()))
        for _ in range(KILLS):
            daemon = await start(config, 60)
            if chance.random() < 0.7:
                await moment_of_a_new_order(sim, chance)
            else:
                await asyncio.sleep(chance.uniform(0.2, 3.5))
            daemon.kill()
            await daemon.communicate()
        daemon = await start(config, LAST_RUN_S)
        _, told = await asyncio.wait_for(daemon.communicate(), 120)
        truth, books = await sim.truth(), await sim.books()
    assert daemon.returncode == 0, told.decode()
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        booked = [(fill.fill.venue_order_id, fill.fill.trade_id) for fill in store.trades()]
        ours = {venue: dict(store.balances(f"assets:{venue}")) for venue in truth}
        problems = store.verify()
        unsettled = [order.intent.client_order_id for order in store.unsettled_orders()]
    finally:
        store.close()
    theirs = [(fill["order_id"], fill["trade_id"]) for account in books.values() for fill in account["fills"]]
    assert sorted(booked) == sorted(theirs)
    assert ours_equal(ours, truth), (ours, truth)
    assert (problems, unsettled) == ((), [])
    assert orders_seen(books) >= 2
    assert [one for account in books.values() for one in account["orders"] if one["status"] == "open"] == []
