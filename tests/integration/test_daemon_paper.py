"""The whole daemon on pretend venues: it opens its ledger, arbitrages, drains on request, and comes back to the same books."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np

from arbot.domain.commands import SubmitOrder
from arbot.domain.decisions import ArbOpened, Outcome
from arbot.domain.errors import InvariantBroken
from arbot.domain.events import (
    Envelope,
    FeedConnected,
    LotOrderRecorded,
    OrderFilled,
    OrderSent,
    RunStarted,
    Stream,
    Verb,
)
from arbot.domain.history import LotMethod
from arbot.domain.ids import Asset, InstrumentId, RunId, VenueId, instrument_id
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.engine.config import EngineConfig, NewsPolicy
from arbot.journal.store import SqlStore
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.lots.words import Slice
from arbot.market.books import Books
from arbot.observe.collect.words import FeedCounters
from arbot.ports import VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.runtime.daemon import Daemon, Ending, Wiring
from arbot.sim.paper import PaperGateway
from arbot.tax.history import History, open_history
from strategies.cross_venue import CrossVenue
from tests.support.journal_world import balances_of

VENUES = (VenueId("one"), VenueId("two"))
CENT = Decimal("0.01")


def instrument(venue: VenueId) -> Instrument:
    return Instrument(
        id=instrument_id("BTC/USD", venue),
        venue=venue,
        symbol="BTC/USD",
        venue_symbol="BTC/USD",
        base=Asset("BTC"),
        quote=Asset("USD"),
        tick_size=CENT,
        qty_step=Decimal("0.0001"),
        price_decimals=2,
        qty_decimals=8,
        qty_min=Decimal("0.0001"),
    )


class WobblingFeed:
    """Moves one venue's book every few milliseconds so that an edge opens and closes."""

    def __init__(self, daemon: Daemon, venue: VenueId) -> None:
        self.venue = venue
        self.stats: dict[Stream, FeedCounters] = {}
        self._daemon = daemon
        self._book = daemon.wiring.books.index(InstrumentId(f"BTC/USD@{venue}"))
        self._phase = VENUES.index(venue)

    async def run(self) -> None:
        for stream in Stream:
            self._daemon.sequencer.submit((FeedConnected(venue=self.venue, stream=stream),))
        books, clock = self._daemon.wiring.books, self._daemon.wiring.clock
        for turn in range(10_000_000):
            middle = 100_000_00 + (2_000_00 if (turn + self._phase * 5) % 10 < 3 else 0)
            bids = np.array([[middle - 50, 50_000_000], [middle - 150, 50_000_000]], np.int64)
            asks = np.array([[middle + 50, 50_000_000], [middle + 150, 50_000_000]], np.int64)
            now_ns = clock.now_ns()
            books.apply_snapshot(self._book, bids, asks, now_ns, now_ns)
            if books.validate(self._book):
                self._daemon.sequencer.book_moved(self._book)
            await clock.sleep(0.02)

    def resync(self, instrument: str) -> None:
        raise AssertionError(instrument)


def wire(path: Path, latency_ms: int = 5, lot_method: LotMethod = LotMethod.FIFO, order_method: str = "") -> Daemon:
    clock = SystemClock()
    store = SqlStore.open(f"sqlite:///{path / 'arbot.sqlite'}", now_ns=clock.now_ns)
    epoch = store.begin_run(run_id="run", mode="paper", code_version="test", config_digest="test")
    books = Books()
    gateways = {}
    for venue in VENUES:
        held = store.balances(f"assets:{venue}") or ((Asset("BTC"), Decimal("0.2")), (Asset("USD"), Decimal(20_000)))
        gateways[venue] = PaperGateway(
            venue=venue,
            market=books,
            clock=clock,
            instruments=(instrument(venue),),
            fees=(FeeRate(instrument=instrument(venue).id, maker=Decimal(0), taker=Decimal("0.001")),),
            balances=tuple(Balance(asset=asset, total=total) for asset, total in held),
            latency_ms=latency_ms,
        )
    started = RunStarted(run_id=RunId("run"), epoch=epoch, code_version="test", config_digest="test", mode="paper")
    return Daemon(
        Wiring(
            mode="paper",
            run_name="test",
            clock=clock,
            store=store,
            started=started,
            config=EngineConfig(
                ccy=Asset("USD"),
                venues=VENUES,
                instruments=tuple(instrument(venue).id for venue in VENUES),
                news=NewsPolicy(edge_news_bps=Decimal(300)),  # the gap of these feeds never closes
                lot_method=order_method,
            ),
            venues=tuple(
                VenueConfig(venue=venue, adapter="kraken", symbols=("BTC/USD",), poll_interval_ms=500)
                for venue in VENUES
            ),
            strategy=CrossVenue({}),
            books=books,
            gateways=gateways,
            book_depths=dict.fromkeys(VENUES, 10),
            make_feed=lambda daemon, config, _: WobblingFeed(daemon, config.venue),
            lot_method=lot_method,
        )
    )


async def alerts_of(daemon: Daemon) -> int:
    """Return how many alerts a run has raised, by its own metrics."""
    lines = (await daemon.metrics()).decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("arbot_alerts_total{"))


async def run(daemon: Daemon, seconds: float, then: Callable[[], None] = lambda: None) -> Ending:
    asyncio.get_running_loop().call_later(seconds / 2, then)
    try:
        return await asyncio.wait_for(daemon.run(seconds), 30)
    finally:
        daemon.wiring.store.close()


async def test_it_trades_drains_and_comes_back(tmp_path: Path):
    """Arbs end flat, ledger and venues agree to the last unit, and a second run starts from the first one's books."""
    daemon = wire(tmp_path, lot_method=LotMethod.HIFO)
    ending = await run(daemon, 2.0)
    totals = daemon.summary.totals(daemon.wiring.clock.now_ns())
    assert (ending.is_clean, ending.open_orders, await alerts_of(daemon)) == (True, 0, 0)
    assert totals.arbs_opened >= 1
    assert totals.arbs_flat == totals.arbs_opened
    assert totals.fills >= 2
    status = daemon.status()
    assert (len(status.books), len(status.edges), status.totals) == (2, 2, totals)
    assert b"arbot_trades_total" in await daemon.metrics()
    for venue, gateway in daemon.wiring.gateways.items():
        assert daemon.ledger.compare(venue, await gateway.fetch_balances()) == ()

    again = wire(tmp_path, lot_method=LotMethod.HIFO)
    before = again.ledger.balances()
    assert before == daemon.ledger.balances()
    ending = await run(again, 1.0)
    assert (ending.is_clean, await alerts_of(again)) == (True, 0)
    assert again.wiring.started.epoch == daemon.wiring.started.epoch + 1
    assert again.summary.totals(again.wiring.clock.now_ns()).arbs_opened >= 1
    verified = SqlStore.open(f"sqlite:///{tmp_path / 'arbot.sqlite'}", now_ns=SystemClock().now_ns)
    try:
        assert verified.verify() == ()
        assert_lots_were_fixed_before(verified)
        history = open_history(verified)
        assert history.open_items() == []
        for venue, gateway in again.wiring.gateways.items():
            sums = balances_of(history.lines())
            assert {b.asset: b.total for b in await gateway.fetch_balances()} == {
                asset: number for (account, asset), number in sums.items() if account == venue
            }
    finally:
        verified.close()


def assert_lots_were_fixed_before(store: SqlStore) -> None:
    """Check that the configured order is in the journal once, before the first order of the first run left."""
    entries = list(store.iter_journal())
    fixed = [entry.seq for entry in entries if isinstance(entry.record.envelope.event, LotOrderRecorded)]
    sent = [entry.seq for entry in entries if isinstance(entry.record.envelope.event, OrderSent)]
    assert len(fixed) == 1
    assert fixed[0] < min(sent)


async def test_orders_take_the_lots_that_the_journal_says(tmp_path: Path):
    """A new standing order counts for later disposals only; what an order itself said goes before it, as of its intent."""
    began_ns, epochs = [], []
    for lot_method, order_method in ((LotMethod.HIFO, ""), (LotMethod.LIFO, ""), (LotMethod.LIFO, "fifo")):
        daemon = wire(tmp_path, lot_method=lot_method, order_method=order_method)
        began_ns.append(daemon.wiring.clock.now_ns())
        epochs.append(daemon.wiring.started.epoch)
        assert (await run(daemon, 1.2)).is_clean
    store = SqlStore.open(f"sqlite:///{tmp_path / 'arbot.sqlite'}", now_ns=SystemClock().now_ns)
    try:
        assert store.verify() == ()
        entries = list(store.iter_journal())
        slices = sold(open_history(store))
    finally:
        store.close()
    fixed = [entry for entry in entries if isinstance(entry.record.envelope.event, LotOrderRecorded)]
    intents = {
        command.approved.intent.decided_ts_ns
        for entry in entries
        for command in entry.record.outcome.commands
        if isinstance(command, SubmitOrder) and command.approved.intent.lot_method
    }
    assert [entry.epoch for entry in fixed] == epochs[:2]
    assert [{part.method for part in slices if a <= part.sold_ns < b} for a, b in pairwise([*began_ns, 1 << 62])] == [
        {"hifo"},
        {"lifo"},
        {"fifo"},
    ]
    assert {part.identified_ns for part in slices if part.sold_ns < began_ns[2]} == {
        entry.record.envelope.ts_ns for entry in fixed
    }
    assert {part.identified_ns for part in slices if part.sold_ns >= began_ns[2]} <= intents
    assert all(part.identified_ns < part.sold_ns for part in slices)


def sold(history: History) -> list[Slice]:
    """Return every disposal of coins, as the United States take it."""
    passing = UsRun(history.policy())
    return [part for placed in history.lines() for part in passing.feed(placed)]


async def test_sigterm_drains_and_leaves_nothing_open(tmp_path: Path):
    """SIGTERM opens nothing more, finishes what is open and ends cleanly."""
    daemon = wire(tmp_path)
    ending = await run(daemon, 60.0 / 30, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert (ending.is_clean, ending.reason) == (True, "drained")
    assert list(daemon.engine.state.live) == []
    assert daemon.shutdown_seconds() > 0
    assert b"arbot_shutdown_seconds 0.0\n" not in await daemon.metrics()


async def test_a_pause_opens_nothing_and_survives_the_process(tmp_path: Path):
    """After `pause` no arb is opened, in this run and in the next."""
    daemon = wire(tmp_path)
    asyncio.get_running_loop().call_later(0.01, daemon.request, Verb.PAUSE, "test")
    ending = await run(daemon, 1.0)
    assert ending.is_clean
    opened = daemon.summary.totals(0).arbs_opened
    again = wire(tmp_path)
    await run(again, 1.0)
    totals = again.summary.totals(0)
    assert (opened, totals.arbs_opened) == (0, 0)
    assert totals.opportunities_declined["paused"] >= 1


async def test_a_kill_from_outside_is_obeyed_and_survives(tmp_path: Path):
    """The kill switch thrown in the store by another process stops trading and is still on at the next start."""
    daemon = wire(tmp_path)
    daemon.wiring.store.set_killed(killed=True, actor="test", reason="test")
    ending = await run(daemon, 1.5)
    assert ending.is_clean
    assert daemon.summary.totals(0).arbs_opened == 0
    again = wire(tmp_path)
    await run(again, 0.5)
    assert again.engine.state.standing.killed


async def test_a_failing_task_stops_the_run_with_its_cause(tmp_path: Path):
    """A bug in a feed halts: no order stays open and the ending carries the failure."""
    daemon = wire(tmp_path)
    asyncio.get_running_loop().call_later(0.5, daemon.feeds.clear)

    def plant() -> None:
        raise RuntimeError("planted")

    ending = await run(daemon, 4.0, plant)
    assert isinstance(ending.failure, RuntimeError)
    assert not ending.is_clean


async def test_a_broken_promise_of_the_engine_stops_everything(tmp_path: Path):
    """InvariantBroken in a step: nothing more is decided, all venues are told to cancel, and the ending says why."""
    daemon = wire(tmp_path)
    cancelled: list[str] = []
    for venue, gateway in daemon.wiring.gateways.items():

        async def cancel_all(venue: str = venue) -> int:
            cancelled.append(venue)
            return 0

        gateway.cancel_all = cancel_all  # type: ignore[method-assign]
    step = daemon.engine.step

    def break_on_a_fill(envelope: Envelope) -> Outcome:
        if isinstance(envelope.event, OrderFilled):
            raise InvariantBroken("planted")
        return step(envelope)

    daemon.engine.step = break_on_a_fill  # type: ignore[method-assign]
    ending = await run(daemon, 10.0)
    assert isinstance(ending.failure, InvariantBroken)
    assert sorted(cancelled) == ["one", "two"]
    assert daemon.summary.totals(0).fills == 0


async def test_sigterm_in_the_middle_of_an_arb_finishes_it(tmp_path: Path):
    """Orders on their way when SIGTERM comes are waited for: the arb ends flat and its fills are booked."""
    daemon = wire(tmp_path, latency_ms=400)
    observe = daemon.summary.observe

    def kill_on_sight(envelope: Envelope, outcome: Outcome) -> None:
        observe(envelope, outcome)
        if any(isinstance(decision, ArbOpened) for decision in outcome.decisions):
            os.kill(os.getpid(), signal.SIGTERM)

    daemon.summary.observe = kill_on_sight  # type: ignore[method-assign]
    ending = await run(daemon, 20.0)
    totals = daemon.summary.totals(0)
    assert (ending.is_clean, ending.reason, totals.arbs_opened, totals.arbs_flat) == (True, "drained", 1, 1)
    assert list(daemon.engine.state.unfinished) == []


async def test_a_second_signal_does_not_wait_for_the_drain(tmp_path: Path):
    """SIGTERM twice: no more hedging, but answers on their way are still booked and nothing stays open."""
    daemon = wire(tmp_path, latency_ms=1_500)
    observe = daemon.summary.observe

    def kill_on_sight(envelope: Envelope, outcome: Outcome) -> None:
        observe(envelope, outcome)
        if any(isinstance(decision, ArbOpened) for decision in outcome.decisions):
            loop = asyncio.get_running_loop()
            for seconds in (0.0, 0.2):
                loop.call_later(seconds, os.kill, os.getpid(), signal.SIGTERM)

    daemon.summary.observe = kill_on_sight  # type: ignore[method-assign]
    ending = await run(daemon, 20.0)
    assert (ending.is_clean, ending.reason) == (True, "SIGTERM again: cancelling without draining")
    for venue, gateway in daemon.wiring.gateways.items():
        assert daemon.ledger.compare(venue, await gateway.fetch_balances()) == ()
