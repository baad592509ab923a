"""One run of the daemon, from the first event to the last commit, whatever the mode wired into it.

Start: what outlived the last process, then every venue by itself (recover.py), each with its feed as soon as its
instruments are known. End: drain (finish, hedge or unwind what is open, within a limit), then let no order leave, cancel
all and verify it, catch up with the last fills, and write the end down. A failure skips the draining, not the rest.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from decimal import Decimal
from functools import partial
from typing import Protocol

import msgspec
import structlog

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import Outcome, TransferMoved, TransferRefused
from arbot.domain.errors import VenueError
from arbot.domain.events import (
    AdjustmentRecorded,
    DeclineCount,
    Envelope,
    FeesLoaded,
    InstrumentsLoaded,
    LotOrderRecorded,
    LotsPicked,
    OperatorRequested,
    RunEnded,
    RunStarted,
    Stream,
    TransferRejected,
    TransferRequested,
    Verb,
)
from arbot.domain.history import LotMethod
from arbot.domain.ids import VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.transfer import TransferId
from arbot.engine.config import EngineConfig
from arbot.engine.engine import Engine
from arbot.engine.strategy import Strategy
from arbot.engine.transit import awaits
from arbot.journal.store import SqlStore
from arbot.ledger.posting import Ledger
from arbot.market.books import Books
from arbot.observe.collect.words import FeedCounters, Readings
from arbot.observe.metrics import Durations
from arbot.observe.risk import RiskView, look_at_risk
from arbot.observe.slices import Look, at_once, in_slices
from arbot.observe.status import About, Status
from arbot.observe.summary import Summary
from arbot.observe.watch import Watch
from arbot.ports import Account, Feed, VenueConfig
from arbot.runtime import figures
from arbot.runtime.budget import BudgetWatch
from arbot.runtime.clock import NS_PER_S, SystemClock
from arbot.runtime.dispatch import Dispatch
from arbot.runtime.feed_delays import FeedDelays
from arbot.runtime.gc_policy import PERIOD_S as GC_PERIOD_S
from arbot.runtime.gc_policy import GcPolicy
from arbot.runtime.lot_orders import order_to_record
from arbot.runtime.onlookers import Onlookers
from arbot.runtime.pollers import poll_venue
from arbot.runtime.reconcile import Reconciler
from arbot.runtime.recover import recover_venue, restore
from arbot.runtime.request_counts import RequestCounts
from arbot.runtime.screening import BookScreen
from arbot.runtime.sequencer import Sequencer
from arbot.runtime.supervisor import Supervisor

KILL_WATCH_S = 0.5
ANCHOR_S = 120.0
LAST_REQUESTS_S = 10.0
SHORT_S, LONG_S = 10.0, 30.0  # silences beyond its pace after which a task of the daemon's own is late
VENUE_SILENCE_S_MAX = 900.0  # one request waits a minute for its turn, and a history has many pages
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

_log = structlog.get_logger("arbot.daemon")


class CountedFeed(Feed, Protocol):
    """A feed that counts what it receives, by stream."""

    @property
    def stats(self) -> Mapping[Stream, FeedCounters]:
        """Return the live counters of each stream."""
        ...


Numbers = Mapping[str, Mapping[tuple[str, ...], float]]
"""Gauges and counters by name of the metric and values of its labels."""
Timings = Mapping[str, Mapping[tuple[str, ...], Durations]]
"""Histograms, the same."""
MakeFeed = Callable[["Daemon", VenueConfig, tuple[Instrument, ...]], CountedFeed]
Service = Callable[["Daemon"], AbstractAsyncContextManager[object]]


class Wiring(msgspec.Struct, frozen=True, kw_only=True):
    """What a mode decides: everything a daemon is made of."""

    mode: str
    clock: SystemClock
    store: SqlStore
    started: RunStarted
    config: EngineConfig
    venues: tuple[VenueConfig, ...]
    strategy: Strategy
    books: Books
    gateways: Mapping[VenueId, Account]
    book_depths: Mapping[VenueId, int]  # levels a side that each venue streams; 0 = all
    make_feed: MakeFeed
    run_name: str
    requests: RequestCounts = msgspec.field(default_factory=RequestCounts)  # what the gateways sent
    allow_withdraw: bool = False
    lot_method: LotMethod = LotMethod.FIFO  # as configured
    shares: Mapping[str, Mapping[str, Decimal]] = {}  # [rebalance]: where assets should lie, by venue and asset
    services: tuple[Service, ...] = ()
    witnesses: tuple[Service, ...] = ()  # services that see everything, from the first event to RunEnded: the recorder


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `failure` is what stopped it against its will; `open_orders` -1 means that nobody could say."""

    reason: str
    failure: BaseException | None
    open_orders: int
    stranded: int

    @property
    def is_clean(self) -> bool:
        """Whether the run ended in good order, with nothing left behind."""
        return self.failure is None and self.open_orders == 0


class Daemon:
    """The parts of one run, connected."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        clock, store = wiring.clock, wiring.store
        self.summary = Summary()
        self.about = About(
            version=wiring.started.code_version,
            mode=wiring.mode,
            run_name=wiring.run_name,
            pid=os.getpid(),
            started_ts_ns=clock.now_ns(),
        )
        self.engine = Engine(wiring.config, wiring.strategy, wiring.books)
        self._watch = Watch(
            self.about, wiring.venues, self.engine.state, strategy=wiring.strategy.name, shares=wiring.shares
        )
        self.supervisor = Supervisor(clock)
        self.onlookers = Onlookers(self.supervisor.exceptions, self._alerted)
        self.gc = GcPolicy(clock.now_ns)
        self.ledger = Ledger(store.all_balances(), store.transaction)
        self.screen = BookScreen(wiring.books, wiring.book_depths, wiring.strategy.edge_net_bps_min)
        self.dispatch = Dispatch(clock=clock, gateways=wiring.gateways, supervisor=self.supervisor, alert=self._alerted)
        self.sequencer = Sequencer(
            clock=clock,
            engine=self.engine,
            ledger=self.ledger,
            store=store,
            screen=self.screen,
            dispatch=self.dispatch,
            observe=self._observe,
            broken=lambda error: self.supervisor.fail(error, "sequencer"),
            look_ms=wiring.strategy.look_ms,
            edges=self.onlookers.guarded(self._watch.lifetimes),
        )
        self.feeds: dict[VenueId, CountedFeed] = {}
        self.dispatch.connect(self.sequencer, self.feeds, lambda venue: self.reconcilers[venue].catch_up_transfers())
        self.reconcilers = {
            venue.venue: Reconciler(
                gateway=wiring.gateways[venue.venue],
                sink=self.sequencer,
                store=store,
                ledger=self.ledger,
                clock=clock,
                order_steps=lambda: self.sequencer.order_steps,
                alert=self._alerted,
                is_awaited=lambda one: awaits(self.engine.state, one.venue, one.asset, one.theirs - one.ours),
            )
            for venue in wiring.venues
        }
        self.partners: list[Callable[[Envelope, Outcome], None]] = []  # told first: what fails in one ends the run
        self.observers: list[Callable[[Envelope, Outcome], None]] = []  # told of every step, after all others
        self.alert_observers: list[
            Callable[[RaiseAlert], None]
        ] = []  # told of the shell's own alerts: no step has them
        self.numbers: list[Callable[[], Numbers]] = []  # metrics that services keep
        self.durations: list[Callable[[], Timings]] = []  # the same for histograms
        self.delays = FeedDelays(wiring.books, self._skew_ms)
        self._budget = BudgetWatch(wiring.gateways, self._instruments, self.sequencer)
        self.page_url = ""  # where people look; empty while there is no page
        self._signals = 0
        self.ending: Ending | None = None  # None until the run has ended
        self._ending_ns = 0  # when the run was asked to end; 0 before
        self._reconciled: set[VenueId] = set()

    # --- what others may ask for ----------------------------------------------------------------------------------------

    def request(self, verb: Verb, actor: str, reason: str = "", argument: str = "") -> None:
        """Pass on what a person wants; it is durable when this returns."""
        self.sequencer.submit((OperatorRequested(verb=verb, actor=actor, reason=reason, argument=argument),))

    def adjust(self, adjustment: AdjustmentRecorded) -> None:
        """Book a difference that a person explained; it is durable when this returns, and compared again at once."""
        self.sequencer.submit((adjustment,))
        self.reconcilers[adjustment.venue].wake()

    def choose_lots(self, chosen: LotOrderRecorded | LotsPicked) -> None:
        """Put a choice of lots into the books; it is durable when this returns."""
        self.sequencer.submit((chosen,))

    def transfer(self, wanted: TransferRequested) -> TransferMoved | TransferRefused:
        """Pass on that money is to be moved, and return what came of it; it is durable when this returns."""
        answers: list[TransferMoved | TransferRefused] = []

        def note(envelope: Envelope, outcome: Outcome) -> None:
            if envelope.event is wanted:
                answers.extend(one for one in outcome.decisions if isinstance(one, TransferMoved | TransferRefused))

        self.observers.append(note)
        try:
            self.sequencer.submit((wanted,))
        finally:
            self.observers.remove(note)
        return answers[0]

    def close_transfer(self, transfer: TransferId, detail: str) -> None:
        """Pass on a person's word that a transfer never began; it is durable when this returns."""
        self.sequencer.submit((TransferRejected(transfer=transfer, detail=detail, reason="closed_by_hand"),))

    def status(self) -> Status:
        """Return how the run stands, all at once: for who looks seldom, and when the run is over."""
        return self._truthful(at_once(self._look()))

    async def look(self) -> Status:
        """Return how the run stands, without holding the loop for long."""
        return self._truthful(await in_slices(self._look()))

    def _truthful(self, status: Status) -> Status:
        return msgspec.structs.replace(status, impaired=tuple(self.onlookers.impaired))

    async def risk(self) -> RiskView:
        """Return what the risk engine believes and counts."""
        return await in_slices(look_at_risk(self.engine.state))

    def latency_us(self) -> dict[str, float]:
        """Return the quantiles of frame received to decision made."""
        return {name: self.sequencer.latency.quantile_us(share) for name, share in _QUANTILES.items()}

    async def metrics(self) -> bytes:
        """Return the text for /metrics."""
        return await self._watch.exposition(self._readings)

    def problems_live(self) -> tuple[str, ...]:
        """Return what has stopped that only a restart brings back."""
        silent = (f"{name}: silent for {age_ms} ms" for name, age_ms in self.supervisor.late().items())
        broken = ("the sequencer is broken",) if self.sequencer.is_broken else ()
        failed = (self.supervisor.reason,) if self.supervisor.failure is not None else ()
        return (*broken, *failed, *silent)

    def problems_ready(self) -> tuple[str, ...]:
        """Return why no arb would be opened now."""
        return (*self.problems_live(), *(reason.value for reason in self.engine.blocked_by))

    def stop_at_once(self, error: Exception, where: str) -> None:
        """Let no order leave from this moment, and end the run: cancel all without writing anything first."""
        self.dispatch.halt_submits()
        self.supervisor.fail(error, where)

    def shutdown_seconds(self) -> float:
        """Return for how long the run has been ending; 0 before it was asked to."""
        return (self.wiring.clock.now_ns() - self._ending_ns) / NS_PER_S if self._ending_ns else 0.0

    def _look(self) -> Look[Status]:
        return self._watch.look(
            now_ns=self.wiring.clock.now_ns(),
            state=self.engine.state,
            summary=self.summary,
            latency_us=self.latency_us(),
        )

    def _skew_ms(self, venue: VenueId) -> int | None:
        known = self.engine.state.venues.get(venue)
        return None if known is None else known.skew_ms

    def _instruments(self) -> Iterable[Instrument]:
        return self.engine.state.instruments.values()

    def _readings(self) -> Readings:
        return Readings(
            now_ns=self.wiring.clock.now_ns(),
            state=self.engine.state,
            summary=self.summary,
            recent=self._watch.recent,
            feeds={
                (venue, stream.value): stats
                for venue, feed in self.feeds.items()
                for stream, stats in feed.stats.items()
            },
            durations=self._durations(),
            numbers=self._numbers(),
        )

    def _durations(self) -> dict[str, Mapping[tuple[str, ...], Durations]]:
        own = figures.durations(self)
        for durations in self.durations:
            for name, by_labels in durations().items():
                own[name] = {**own.get(name, {}), **by_labels}
        return own

    def _numbers(self) -> dict[str, dict[tuple[str, ...], float]]:
        own = figures.numbers(self)
        own["arbot_reconciliation_last_success_timestamp_seconds"] = {
            (venue,): (one.equal_ts_ns or self.about.started_ts_ns) / NS_PER_S
            for venue, one in self.reconcilers.items()
        }
        for numbers in self.numbers:
            for name, by_labels in numbers().items():
                kept = own.setdefault(name, {})  # several services may keep a part of one metric each, or of one count
                for labels, number in by_labels.items():
                    kept[labels] = kept.get(labels, 0.0) + number
        read_ts_s = self.about.started_ts_ns / NS_PER_S  # the config: at the start, unless a service reads it anew
        own.setdefault("arbot_config_last_reload_successful", {(): 1.0})
        own.setdefault("arbot_config_last_reload_success_timestamp_seconds", {(): read_ts_s})
        return own

    # --- the run --------------------------------------------------------------------------------------------------------

    async def run(self, duration_s: float | None = None) -> Ending:
        """Run until asked to stop, until `duration_s` have passed, or until something fails; leave nothing open."""
        self.supervisor.watch_loop()
        self._take_signals()
        try:
            async with AsyncExitStack() as witnesses:
                for witness in self.wiring.witnesses:
                    await witnesses.enter_async_context(witness(self))
                restore(self.wiring.store, self.sequencer, self.wiring.started, self.wiring.clock.now_ns())
                order = order_to_record(self.wiring.store, self.wiring.lot_method)
                if order is not None:  # before any venue is reached, so before the first order leaves
                    self.choose_lots(order)
                self.gc.start()
                await self._serve(list(self.wiring.services), duration_s)
                self.ending = await self._end()
                return self.ending
        finally:
            self.gc.stop()
            await self.supervisor.close()

    async def _serve(self, services: list[Service], duration_s: float | None) -> None:
        if services:
            async with services[0](self):
                await self._serve(services[1:], duration_s)
            return
        spawn = self.supervisor.spawn
        clock, beat = self.wiring.clock, self.supervisor.beat
        for name, work, silent_s_max in (
            ("lag", self.supervisor.measure_lag(), SHORT_S),
            ("gc", self.gc.run(clock, beat), GC_PERIOD_S + LONG_S),
            ("kill-switch", self._watch_kill_switch(), SHORT_S),
            ("anchor", self._anchor(), ANCHOR_S + LONG_S),
            ("budget", self._budget.run(clock, beat), SHORT_S),
            ("delays", self.delays.run(clock, beat), LONG_S),
            *((f"venue:{venue.venue}", self._tend_venue(venue), VENUE_SILENCE_S_MAX) for venue in self.wiring.venues),
        ):
            spawn(work, name, is_endless=True, silent_s_max=silent_s_max)
        if duration_s is not None:
            spawn(self._stop_after(duration_s), "duration")
        await self.supervisor.stopping.wait()

    async def _tend_venue(self, venue: VenueConfig) -> None:
        reconciler = self.reconcilers[venue.venue]
        beat = partial(self.supervisor.beat, f"venue:{venue.venue}")
        await recover_venue(reconciler, allow_withdraw=self.wiring.allow_withdraw, beat=beat)
        self._reconciled.add(venue.venue)
        self.gc.settle()
        _log.info("venue reconciled", venue=venue.venue)
        await poll_venue(
            reconciler,
            interval_ms=venue.poll_interval_ms,
            beat=beat,
        )

    async def catch_up(self, venue: VenueId) -> None:
        """Ask a venue for what its account stream did not tell while it was down. Raises: VenueError.

        At the start recovery asks the same, and the engine asks after restored orders when the stream comes up.
        """
        if venue not in self._reconciled:
            return
        await self.reconcilers[venue].query_unsettled()
        await self.reconcilers[venue].catch_up_fills()

    def _alerted(self, alert: RaiseAlert) -> None:
        """Tell everybody of an alert of the shell's own."""
        for tell in (*self._watch.alert_observers, *self.alert_observers):
            self.onlookers.show(tell, alert)

    def _observe(self, envelope: Envelope, outcome: Outcome) -> None:
        event = envelope.event
        for take in self.partners:
            take(envelope, outcome)
        if isinstance(event, InstrumentsLoaded | FeesLoaded):
            self.screen.follow(event)
        if isinstance(event, InstrumentsLoaded) and event.venue not in self.feeds:
            config = next(venue for venue in self.wiring.venues if venue.venue == event.venue)
            feed = self.wiring.make_feed(self, config, event.instruments)
            self.feeds[event.venue] = feed
            self.supervisor.spawn(feed.run(), f"feed:{event.venue}", is_endless=True)
        for observe in (self.summary.observe, *self._watch.observers, *self.observers):
            self.onlookers.show(observe, envelope, outcome)

    # --- its end --------------------------------------------------------------------------------------------------------

    def drain(self, actor: str, reason: str) -> None:
        """Ask the engine to finish what is open and to stop; the run ends by itself when it takes too long."""
        execution = self.wiring.config.execution
        self._ending_ns = self._ending_ns or self.wiring.clock.now_ns()
        self.request(Verb.DRAIN, actor, reason)
        limit_s = execution.leg_deadline_ms / 1000 + execution.hedge_seconds_max + 5
        self.supervisor.spawn(self._stop_later(limit_s), "drain-limit")

    async def _stop_after(self, seconds: float) -> None:
        await self.wiring.clock.sleep(seconds)
        self.drain("duration", f"{seconds:g} s are over")

    async def _stop_later(self, seconds: float) -> None:
        await self.wiring.clock.sleep(seconds)
        self.supervisor.stop(f"not drained after {seconds:g} s")

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        # A terminal that closed asks for the end, too, unless whoever started us said nohup.
        is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        for number in (signal.SIGTERM, signal.SIGINT, *(() if is_nohup else (signal.SIGHUP,))):
            loop.add_signal_handler(number, self._on_signal, signal.Signals(number).name)

    def _on_signal(self, name: str) -> None:
        self._signals += 1
        if self._signals == 1 and not self.sequencer.is_broken:
            _log.warning("draining", signal=name)
            self.drain(name, "signal")
        else:
            self.supervisor.stop(f"{name} again: cancelling without draining")

    async def _end(self) -> Ending:
        """Let no order leave, cancel all, learn the last fills, and write the end down."""
        failure, reason = self.supervisor.failure, self.supervisor.reason
        self._ending_ns = self._ending_ns or self.wiring.clock.now_ns()
        _log.info("ending", reason=reason)
        self.dispatch.halt_submits()
        if failure is not None and not self.sequencer.is_broken:
            try:
                self.request(Verb.HALT, "supervisor", reason)
            # a journal that cannot be written: the supervisor has been told, and cancelling does not wait for it
            except Exception:  # noqa: BLE001
                _log.error("the end is not in the journal", reason=reason)
        await self.supervisor.cancel("venue:")  # what the venues still allow us is for cancelling
        await self.supervisor.finish("submit:", LAST_REQUESTS_S)
        left = await asyncio.gather(*(self._leave(venue) for venue in self.wiring.gateways))
        open_orders = -1 if min(left, default=0) < 0 else sum(left)
        if not self.sequencer.is_broken:
            declined = self.summary.totals(self.wiring.clock.now_ns()).opportunities_declined
            ended = RunEnded(
                reason=reason,
                open_orders=max(open_orders, 0),
                digest=self.engine.digest(),
                declined=tuple(DeclineCount(reason=reason, count=count) for reason, count in declined.items()),
            )
            self.sequencer.submit((ended,))
            self.sequencer.flush()
            self.dispatch.timers.clear()
            self.wiring.store.end_run()
        _log.info("stopped", reason=reason, open_orders=open_orders, seconds=round(self.shutdown_seconds(), 3))
        return Ending(
            reason=reason,
            failure=self.supervisor.failure,
            open_orders=open_orders,
            stranded=self.engine.state.stranded_arbs(),
        )

    async def _leave(self, venue: VenueId) -> int:
        """Cancel all at a venue, then book what had filled; return how many orders are left, -1 when nobody can say."""
        if venue not in self.feeds:  # never reached: nothing of this run can be there, only of the one before
            return -1 if self.reconcilers[venue].unsettled() else 0
        left = await self.dispatch.cancel_all(venue)
        if not self.sequencer.is_broken and self.reconcilers[venue].unsettled():
            try:
                await self.catch_up(venue)
            except VenueError as error:
                _log.warning("last fills not asked for", venue=venue, error=error.detail)
        return left

    # --- watchmen -------------------------------------------------------------------------------------------------------

    async def _watch_kill_switch(self) -> None:
        """Obey a kill switch that was thrown by another process."""
        while True:
            await self.wiring.clock.sleep(KILL_WATCH_S)
            if self.wiring.store.is_killed() and not self.engine.state.standing.killed:
                thrown = self.wiring.store.last_throw()
                by = "" if thrown is None else f" by {thrown.actor}: {thrown.reason}"
                self.request(Verb.KILL, "kill switch", f"thrown outside this process{by}")
            self.supervisor.beat("kill-switch")

    async def _anchor(self) -> None:
        while True:
            await self.wiring.clock.sleep(ANCHOR_S)
            self.wiring.store.write_anchor()
            self.supervisor.beat("anchor")
