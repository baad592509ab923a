"""What goes wrong between us and the venues is in the metrics, exactly and by its real reason, in a run on faulty venues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from arbot.domain.events import Stream
from arbot.observe.catalogue.words import ENDPOINTS
from arbot.runtime.daemon import Daemon
from arbot.runtime.modes import Options, run_daemon
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.settings.defaults import demo
from arbot.settings.load import parse
from arbot.settings.model import Settings
from arbot.settings.show import as_document

FAULTS = (
    "bad-checksum:at_ms=0,every_ms=60000,count=1,venue=kraken",
    "seq-gap:at_ms=0,every_ms=60000,count=1,venue=coinbase",
    "ws-cut:at_ms=0,every_ms=60000,count=1,venue=bitstamp",
)
SETTLE_S, POLL_S, VENUES = 40.0, 0.2, 3
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def settings_of(folder: Path) -> Settings:
    """Return a demo of three venues, one through ccxt, that records what it sees."""
    document = as_document(demo(folder))
    document["venues"]["bitstamp"] = {"adapter": "ccxt:bitstamp", "poll_interval_ms": 5_000}
    document["paper"]["venues"]["bitstamp"] = document["paper"]["venues"]["kraken"]
    document["tape"] |= {"record": True, "dir": str(folder / "tape")}
    return parse(document, base=folder, source="test")


def is_whole(daemon: Daemon) -> bool:
    """Return whether every venue is compared and has its streams, and every book may be traded on."""
    venues = daemon.engine.state.venues.values()
    return (
        len(daemon.feeds) == VENUES
        and all(one.is_market_up and one.is_account_up and one.is_reconciled for one in venues)
        and all(daemon.wiring.books.state(one).is_valid for one in daemon.engine.state.instruments)
    )


async def scraped(folder: Path) -> tuple[Samples, tuple[str, ...]]:
    """Return the samples of a daemon that has met each fault and is well again, and what /livez would complain of."""
    texts: list[str] = []
    problems: list[str] = []

    @asynccontextmanager
    async def watching(daemon: Daemon) -> AsyncIterator[None]:
        async def until(reached: Callable[[], object]) -> None:
            async with asyncio.timeout(SETTLE_S):
                while not reached():
                    await daemon.wiring.clock.sleep(POLL_S)

        async def look() -> None:
            await until(lambda: is_whole(daemon))
            market = {venue: feed.stats[Stream.MARKET] for venue, feed in daemon.feeds.items()}
            await process.pull("faults", {"faults": list(FAULTS)})
            await until(lambda: all(stats.resyncs_for for stats in market.values()) and is_whole(daemon))
            await daemon.wiring.clock.sleep(2)  # for what is read once a second
            texts.append((await daemon.metrics()).decode())
            problems.extend(daemon.problems_live())
            daemon.drain("test", "seen enough")

        daemon.supervisor.spawn(look(), "look")
        yield

    settings = settings_of(folder)
    async with SimProcess(settings, sim_options(settings)) as process:
        report = await asyncio.wait_for(run_daemon(process.settings(), Options(services=(watching,))), 90)
    assert report.ending.is_clean
    families = text_string_to_metric_families(texts[0])
    samples = {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}
    return samples, tuple(problems)


async def test_each_fault_is_counted_by_its_own_reason(tmp_path: Path):
    """A wrong checksum, a gap and a cut each show once, where they belong, and nothing else does."""
    samples, problems = await scraped(tmp_path)

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    assert problems == ()
    for venue, reason in (("kraken", "checksum"), ("coinbase", "gap"), ("bitstamp", "reconnect")):
        resyncs = {
            labels: number
            for (name, labels), number in samples.items()
            if name == "arbot_book_resyncs_total" and ("venue", venue) in labels and number
        }
        assert {frozenset({("venue", venue), ("reason", reason)}): 1.0} == resyncs
    assert value("arbot_book_checksums_total", venue="kraken", outcome="mismatch") == 1
    updates = value("arbot_book_updates_total", venue="kraken", symbol="BTC/USD")
    assert value("arbot_book_checksums_total", venue="kraken", outcome="ok") == updates - 1
    for venue, lost_by in (("coinbase", "sequence_gap"), ("bitstamp", "closed")):
        assert value("arbot_ws_connects_total", venue=venue, channel="market", reason="first") == 1
        assert value("arbot_ws_connects_total", venue=venue, channel="market", reason=lost_by) == 1
    for venue in ("kraken", "coinbase", "bitstamp"):
        assert value("arbot_venue_state", venue=venue, arbot_venue_state="live") == 1
        assert value("arbot_feed_latency_seconds_count", venue=venue) > 0
        assert value("arbot_ws_received_bytes_total", venue=venue) > 0
        for endpoint in ENDPOINTS:
            answered = value("arbot_rest_requests_total", venue=venue, endpoint=endpoint, status="2xx")
            assert 0 < answered <= value("arbot_rest_request_duration_seconds_count", venue=venue, endpoint=endpoint)
    tasks = {dict(labels)["task"] for name, labels in samples if name == "arbot_task_last_beat_timestamp_seconds"}
    streams = {
        f"feed:{venue}:{stream}" for venue in ("kraken", "coinbase", "bitstamp") for stream in ("market", "account")
    }
    own = {"anchor", "budget", "delays", "disk", "gc", "kill-switch", "lag", "tape"}
    assert streams | own | {"venue:kraken", "venue:coinbase", "venue:bitstamp"} <= tasks
    assert value("arbot_disk_free_bytes") > 0
    assert value("arbot_queue_wait_seconds_count", queue="tape") > 0
    assert value("arbot_event_loop_tasks") > len(tasks)
    assert value("arbot_journal_errors_total") == 0
    assert not any(number for (name, _), number in samples.items() if name == "arbot_exceptions_total")
    assert {bucket for name, labels in samples if name == "arbot_rate_limit_used_ratio" for key, bucket in labels if key == "bucket"} == {
        "rest", "engine", "public", "private", "all",
    }  # fmt: skip
