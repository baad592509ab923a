"""kill -9 while an order of ours rests: the next start cancels it at the venue, and hedges what had filled.

The simulator is a process of its own and goes on living; others trade against what rests while nobody looks after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
from tests.simulation.test_kill9 import start

STRATEGY = {
    "name": "strategies.maker_taker",
    "params": {"notional": 500, "edge_net_bps_min": "0.5", "edge_margin_bps": 1, "move_bps": 3, "look_ms": 100},
}
BALANCES = {"USD": "100000", "BTC": "2"}
FEES = {"maker_bps": 0, "taker_bps": 1}
LAST_RUN_S = 8.0


async def until(sim: SimProcess, found: Callable[[list[dict[str, Any]]], object], what: str) -> list[dict[str, Any]]:
    """Wait (at most 25 s) for something in the venues' own lists of orders, and return them."""
    for _ in range(1_000):
        orders = [one for account in (await sim.books()).values() for one in account["orders"]]
        if found(orders):
            return orders
        await asyncio.sleep(0.025)
    raise AssertionError(f"{what}: {orders}")


@pytest.mark.timeout(180)
async def test_what_rests_is_taken_off_and_hedged(tmp_path: Path):
    """Kill the daemon over a resting order: the next one cancels it at once, and all three stories are the same."""
    settings = demo(
        tmp_path,
        {
            "sim": {"seed": 7},
            "strategy": STRATEGY,
            "paper": {"venues": {name: {**FEES, "balances": BALANCES} for name in ("kraken", "coinbase")}},
            "limits": {"notional_per_arb_max": 1_000, "arbs_open_max": 8},
            "execution": {"order_deadline_ms": 1_000, "visibility_lag_ms": 1_000},
        },
    )
    options = msgspec.structs.replace(sim_options(settings), market=SeededSpec(jumps_per_minute=30.0))
    async with SimProcess(settings, options) as sim:
        config = tmp_path / "demo.toml"
        config.write_text(show(sim.settings()))
        daemon = await start(config, 60)
        resting = await until(sim, lambda orders: [one for one in orders if is_open(one)], "an order that rests")
        daemon.kill()
        await daemon.communicate()
        left = [one["order_id"] for one in resting if is_open(one)]
        await asyncio.sleep(1.5)  # nobody looks after it
        daemon = await start(config, LAST_RUN_S)
        await until(sim, lambda orders: all(not is_open(one) for one in orders if one["order_id"] in left), "its end")
        is_running = daemon.returncode is None
        _, told = await asyncio.wait_for(daemon.communicate(), 90)
        truth, books = await sim.truth(), await sim.books()
    assert is_running  # the order was taken off by the start, not by the end
    assert daemon.returncode == 0, told.decode()
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        booked = [(fill.fill.venue_order_id, fill.fill.trade_id) for fill in store.trades()]
        ours = {venue: dict(store.balances(f"assets:{venue}")) for venue in truth}
        found = (store.verify(), [order.intent.client_order_id for order in store.unsettled_orders()])
    finally:
        store.close()
    orders = {one["order_id"]: one for account in books.values() for one in account["orders"]}
    assert [] == [one for one in orders.values() if is_open(one)]
    assert sorted(booked) == sorted(
        (fill["order_id"], fill["trade_id"]) for account in books.values() for fill in account["fills"]
    )
    assert ours_equal(ours, truth), (ours, truth)
    assert found == ((), [])


def is_open(order: dict[str, Any]) -> bool:
    """Whether a venue's row is of an order that rests."""
    return order["status"] == "open" and order.get("tif") != "ioc"
