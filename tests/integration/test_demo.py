"""The demo, whole: simulator process, real wire protocols, real clients, and books that agree to the last unit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbot.domain.errors import UserError
from arbot.journal.store import SqlStore
from arbot.observe.status import Status
from arbot.runtime.clock import SystemClock
from arbot.runtime.daemon import Daemon
from arbot.runtime.modes import Options, Report, ours_equal, run_daemon, run_scan
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.settings.defaults import demo
from arbot.settings.load import parse
from arbot.settings.model import Mode
from arbot.settings.show import as_document
from arbot.sim.market import SeededSpec
from arbot.tax.history import open_history
from tests.support.journal_world import balances_of
from tests.support.postgres import Cluster

BUSY = SeededSpec(jumps_per_minute=40.0)


async def play(tmp_path: Path, seconds: float, **sim: Any) -> tuple[Report, dict[str, Any], dict[str, Any]]:
    """Run a demo on a busy market and return its report, the simulator's books, and the faults it met."""
    settings = demo(tmp_path, {"sim": sim, "execution": {"order_deadline_ms": 1_500, "visibility_lag_ms": 1_500}})
    options = msgspec.structs.replace(sim_options(settings), market=BUSY)
    async with SimProcess(settings, options) as process:
        report = await asyncio.wait_for(run_daemon(process.settings(), Options(duration_s=seconds)), 90)
        truth, books, hits = await process.truth(), await process.books(), await process.fault_hits()
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        ours = {venue: dict(store.balances(f"assets:{venue}")) for venue in truth}
        assert store.verify() == ()
        assert_history_ties(store, truth)
        assert fills_of(books) == sorted((fill.fill.venue_order_id, fill.fill.trade_id) for fill in store.trades())
    finally:
        store.close()
    return msgspec.structs.replace(report, ledger_matches_venues=ours_equal(ours, truth)), books, hits


def assert_history_ties(store: SqlStore, truth: Mapping[str, Mapping[str, Decimal]]) -> None:
    """Check that the lines of the journal add up to what the simulator holds, of everything priced, to the last digit."""
    history = open_history(store)
    sums = balances_of(history.lines())
    assert history.open_items() == []
    assert {key: number for key, number in sums.items() if number != truth[key[0]].get(key[1])} == {}
    assert {asset for _, asset in sums} == {"BTC", "USD"}


def fills_of(books: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((fill["order_id"], fill["trade_id"]) for account in books.values() for fill in account["fills"])


def open_orders(books: Mapping[str, Any]) -> list[str]:
    return [order["order_id"] for account in books.values() for order in account["orders"] if order["status"] == "open"]


async def test_it_trades_and_every_unit_is_accounted_for(tmp_path: Path):
    """Arbs are made and closed; no order is left open; ledger, journal and simulator agree on every fill and unit."""
    report, books, _ = await play(tmp_path, 9.0)
    told = report.as_document()
    assert report.ending.is_clean
    assert told["arbs_opened"] >= 1
    assert told["arbs_flat"] == told["arbs_opened"]
    assert (told["arbs_stranded"], told["orders_unknown"]) == (0, 0)
    assert told["ledger_matches_venues"] is True
    assert open_orders(books) == []
    assert report.totals.pnl_net == report.totals.pnl_gross - report.totals.fees


@pytest.mark.parametrize(
    "fault",
    [
        "leg2-reject:rate=1",
        "timeout-after-accept:rate=0.8,every_ms=0,ms=8000",
        "http-502-after-accept:rate=0.8,every_ms=0",
        "cut-after-accept:rate=0.8,every_ms=0",
        "request-lost:rate=0.6,every_ms=0",
        "ws-cut:at_ms=1000,every_ms=1500",
        "latency",
        "dup-fill:rate=1",
        "late-fill:rate=0.5",
    ],
)
async def test_nothing_is_lost_under_a_fault(tmp_path: Path, fault: str):
    """With one thing going wrong all the time, all is still booked once and nothing stays open or unknown in silence."""
    report, books, hits = await play(tmp_path, 5.0, faults=[fault])
    assert sum(hits.values()) >= 1, hits
    assert report.totals.arbs_opened >= 1
    assert report.ending.open_orders == 0
    assert report.ending.failure is None
    assert report.ledger_matches_venues is True
    assert open_orders(books) == []


async def test_a_third_venue_trades_through_ccxt_beside_the_two(tmp_path: Path):
    """Bitstamp, which arbot has no code of its own for, is a venue like the others: books, orders, fills, exact ledger."""
    base = demo(tmp_path)
    document = as_document(base)
    document["venues"]["bitstamp"] = {"adapter": "ccxt:bitstamp", "poll_interval_ms": 5_000}
    document["paper"]["venues"]["bitstamp"] = document["paper"]["venues"]["kraken"]
    settings = parse(document, base=tmp_path, source="test")
    async with SimProcess(settings, msgspec.structs.replace(sim_options(settings), market=BUSY)) as process:
        report = await asyncio.wait_for(run_daemon(process.settings(), Options(duration_s=10.0)), 90)
        truth, books = await process.truth(), await process.books()
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        ours = {venue: dict(store.balances(f"assets:{venue}")) for venue in truth}
        fills = sorted((fill.fill.venue_order_id, fill.fill.trade_id) for fill in store.trades())
    finally:
        store.close()
    assert report.ending.is_clean
    assert report.totals.arbs_opened >= 1
    assert books["bitstamp"]["fills"]
    assert fills_of(books) == fills
    assert ours_equal(ours, truth)


async def test_it_trades_on_postgresql_as_on_sqlite(tmp_path: Path, postgres: Cluster):
    """With the store in a real PostgreSQL the same run trades, verifies and ties to the last unit."""
    settings = demo(tmp_path, {"store": {"url": postgres.create()}})
    async with SimProcess(settings, msgspec.structs.replace(sim_options(settings), market=BUSY)) as process:
        report = await asyncio.wait_for(run_daemon(process.settings(), Options(duration_s=5.0)), 90)
        truth, books = await process.truth(), await process.books()
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        ours = {venue: dict(store.balances(f"assets:{venue}")) for venue in truth}
        assert store.verify() == ()
        assert fills_of(books) == sorted((fill.fill.venue_order_id, fill.fill.trade_id) for fill in store.trades())
    finally:
        store.close()
    assert report.ending.is_clean
    assert report.totals.arbs_opened >= 1
    assert ours_equal(ours, truth)


async def test_paper_trades_on_the_venues_books_without_keys(tmp_path: Path):
    """On paper the public streams are the venues' own, the fills are pretend, and a second run goes on from the ledger."""
    settings = demo(tmp_path)
    options = msgspec.structs.replace(sim_options(settings), market=BUSY)
    async with SimProcess(settings, options) as process:
        pointed = process.settings()
        paper = pointed.model_copy(update={"run": pointed.run.model_copy(update={"mode": Mode.PAPER})})
        keyless = {name: venue.model_copy(update={"key_file": None}) for name, venue in paper.venues.items()}
        paper = paper.model_copy(update={"venues": keyless})
        first = await asyncio.wait_for(run_daemon(paper, Options(duration_s=5.0)), 60)
        second = await asyncio.wait_for(run_daemon(paper, Options(duration_s=2.0)), 60)
        books = await process.books()
    assert (first.ending.is_clean, second.ending.is_clean) == (True, True)
    assert first.totals.arbs_flat >= 1
    assert [account["orders"] for account in books.values()] == [[], []]


async def test_a_scan_looks_and_sends_nothing(tmp_path: Path):
    """A scan shows both routes with their edges, needs no keys, opens nothing and leaves no file."""
    settings = demo(tmp_path)
    seen: list[Status] = []

    @asynccontextmanager
    async def watch(daemon: Daemon) -> AsyncIterator[None]:
        yield
        seen.append(daemon.status())

    async with SimProcess(settings, msgspec.structs.replace(sim_options(settings), market=BUSY)) as process:
        pointed = process.settings()
        scan = pointed.model_copy(update={"run": pointed.run.model_copy(update={"mode": Mode.PAPER})})
        await asyncio.wait_for(run_scan(scan, Options(duration_s=3.0, services=(watch,))), 60)
    assert [(edge.buy, edge.sell) for edge in seen[0].edges] == [("kraken", "coinbase"), ("coinbase", "kraken")]
    assert all(book.is_valid for book in seen[0].books)
    assert seen[0].totals.arbs_opened == 0
    assert not settings.run.state_dir.exists()


async def test_a_wrong_key_ends_the_start_with_what_to_mend(tmp_path: Path):
    """A key the venue does not know is the user's to mend: no order, no endless retry."""
    settings = demo(tmp_path)
    async with SimProcess(settings) as process:
        pointed = process.settings()
        key_file = pointed.venues["kraken"].key_file
        key_file.write_text('{"key": "wrong", "secret": "d3Jvbmc="}')
        with pytest.raises(UserError, match="the venue refused us"):
            await asyncio.wait_for(run_daemon(pointed, Options(duration_s=20.0)), 60)


async def test_a_venue_that_is_down_at_the_start_is_waited_for(tmp_path: Path):
    """With one venue unreachable nothing is traded and nothing fails; the run ends cleanly when asked to."""
    settings = demo(tmp_path)
    async with SimProcess(settings) as process:
        pointed = process.settings()
        down = pointed.venues["coinbase"].model_copy(update={"rest_url": "http://127.0.0.1:9"})
        pointed = pointed.model_copy(update={"venues": {**pointed.venues, "coinbase": down}})
        report = await asyncio.wait_for(run_daemon(pointed, Options(duration_s=3.0)), 60)
    assert report.ending.is_clean
    assert report.totals.arbs_opened == 0
