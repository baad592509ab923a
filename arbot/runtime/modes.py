"""The wirings of the daemon, each on one screen: what events come from, where orders go, and what is compared at the end.

live   venue sessions        -> the venues' own gateways
paper  venue sessions        -> pretend gateways on the live books
record venue sessions        -> nobody: nothing is looked for, what the books take in goes to a tape
demo   sessions on loopback  -> the real gateways, against the simulator (a process of its own)
scan   venue sessions        -> nobody: proposals are looked at and never carried out
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from arbot import __version__
from arbot.domain.decisions import OpportunityDeclined, Outcome
from arbot.domain.errors import Mistake, UserError, VenueRefused, VenueUnavailable
from arbot.domain.events import BooksMoved, Envelope, RunStarted, TradePrinted
from arbot.domain.history import LotMethod
from arbot.domain.ids import Asset, InstrumentId, RunId, VenueId
from arbot.domain.instrument import Balance, FeeRate
from arbot.domain.units import bps_to_rate
from arbot.engine.strategy import Context, Proposal, Quote, Strategy
from arbot.journal.database import account_in
from arbot.journal.store import SqlStore
from arbot.ledger.accounts import venue_assets
from arbot.market.books import Books
from arbot.observe.summary import Totals
from arbot.ports import Account
from arbot.runtime.clock import SystemClock
from arbot.runtime.daemon import Daemon, Ending, Service, Wiring
from arbot.runtime.disk_watch import disk_watched
from arbot.runtime.notify_secrets import Secrets, hide, read_secrets
from arbot.runtime.notifying import Notifying
from arbot.runtime.recording import Recording
from arbot.runtime.recover import refusal
from arbot.runtime.request_counts import RequestCounts
from arbot.runtime.sim_process import SimProcess
from arbot.runtime.state_dir import StateDir
from arbot.runtime.strategy_loader import load_strategy
from arbot.runtime.telegram_desk import TelegramDesk
from arbot.runtime.venue_parts import make_feed, make_gateways
from arbot.settings.model import PAPER_MAKER_BPS, PAPER_TAKER_BPS, Mode, PretendAccount, Settings
from arbot.settings.show import digest_of_decisions
from arbot.sim.paper import PaperGateway
from arbot.venues import factory

T = TypeVar("T")
IN_MEMORY = "sqlite://"
_log = structlog.get_logger("arbot.modes")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a command adds to the settings. `services` run beside the daemon: the page, the live table."""

    is_live: bool = False
    duration_s: float | None = None
    services: tuple[Service, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to."""

    ending: Ending
    totals: Totals
    decision_latency_us: dict[str, float]
    gc_pause_ms_max: float
    books_moved: int
    books_without_edge: int
    ledger_matches_venues: bool | None = None  # None where nobody has a truth to compare with

    def as_document(self) -> dict[str, Any]:
        """Return the flat object that `arbot demo --json` prints."""
        compared = {} if self.ledger_matches_venues is None else {"ledger_matches_venues": self.ledger_matches_venues}
        return {
            **msgspec.structs.asdict(self.totals),
            **compared,
            "decision_latency_us": self.decision_latency_us,
            "gc_pause_ms_max": self.gc_pause_ms_max,
            "books_moved": self.books_moved,
            "books_without_edge": self.books_without_edge,
            "open_orders": self.ending.open_orders,
            "ended": self.ending.reason,
        }


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one of the functions below to its end, on uvloop where that exists."""
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415 - not there on Windows

    return uvloop.run(work)


async def run_daemon(settings: Settings, options: Options) -> Report:
    """Run paper, live, or a demo whose venues are served elsewhere. Raises: UserError."""
    _demand_locks(settings, is_live=options.is_live)
    known = read_secrets(settings.notify)
    with StateDir(settings.run.state_dir):
        async with _ground(settings, settings.store_url()) as ground:
            if settings.run.mode is Mode.PAPER:
                await _pretend(ground)
            else:
                ground.gateways.update(make_gateways(settings, ground.clock, os.environ, ground.requests))
            wiring = _with_disk(_wiring(ground, options, _strategy(settings)), settings)
            daemon = Daemon(_with_messages(wiring, settings, known))
            return _report(daemon, await daemon.run(options.duration_s))


async def run_demo(settings: Settings, options: Options) -> Report:
    """Serve the pretend venues in a process of their own, run the daemon on them, and compare with their truth."""
    _forget_old_demo(settings)
    async with SimProcess(settings) as sim:
        report = await run_daemon(sim.settings(), options)
        truth, books = await sim.truth(), await sim.books()
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        ours = {venue: dict(store.balances(venue_assets(VenueId(venue)))) for venue in truth}
    finally:
        store.close()
    reached = {venue: held for venue, held in truth.items() if ours[venue] or books[venue]["orders"]}
    return msgspec.structs.replace(report, ledger_matches_venues=ours_equal(ours, reached))


async def run_scan(settings: Settings, options: Options) -> None:
    """Look at the venues' public books until interrupted; needs no keys, keeps no state, sends nothing.

    Raises: whatever ended it against its will.
    """
    async with _ground(settings, IN_MEMORY) as ground:
        await _pretend(ground)
        ending = await Daemon(_wiring(ground, options, OnlyLooking(_strategy(settings)))).run(options.duration_s)
    if ending.failure is not None:
        raise ending.failure


async def run_record(settings: Settings, options: Options, recording: Recording) -> Ending:
    """Write the venues' public streams to a tape until interrupted; needs no keys, sends nothing.

    A config whose venues are pretend ones has them served for as long as it lasts. Raises: UserError, TapeFailed.
    """
    async with AsyncExitStack() as stack:
        if settings.simulates_venues():
            settings = (await stack.enter_async_context(SimProcess(settings))).settings()
        ground = await stack.enter_async_context(_ground(_on_paper(settings), IN_MEMORY))
        await _pretend(ground)
        wiring = _wiring(ground, options, NothingSought())
        daemon = Daemon(
            msgspec.structs.replace(
                wiring, witnesses=(recording,), make_feed=partial(make_feed, with_trades=recording.with_trades)
            )
        )
        ending = await daemon.run(options.duration_s)
    if isinstance(ending.failure, UserError):
        raise ending.failure
    recording.demand_whole()
    return ending


# --- parts ----------------------------------------------------------------------------------------------------------------


class OnlyLooking:
    """A strategy that keeps its declines and swallows its proposals."""

    def __init__(self, strategy: Strategy) -> None:
        self.name = strategy.name
        self.look_ms = strategy.look_ms
        self._strategy = strategy

    @property
    def edge_net_bps_min(self) -> Decimal:
        """The least net edge worth waking for."""
        return self._strategy.edge_net_bps_min

    def on_books(
        self, changed: Sequence[InstrumentId], context: Context
    ) -> Iterator[Proposal | Quote | OpportunityDeclined]:
        """Yield the declines."""
        for found in self._strategy.on_books(changed, context):
            if isinstance(found, OpportunityDeclined):
                yield found


class NothingSought:
    """A strategy that has no opinion: for recording."""

    name = "nothing_sought"
    look_ms = 0
    edge_net_bps_min = Decimal(10_000)

    def __init__(self, params: Mapping[str, object] | None = None) -> None:
        """Take no parameters."""

    def on_books(
        self, changed: Sequence[InstrumentId], context: Context
    ) -> Iterator[Proposal | Quote | OpportunityDeclined]:
        """Yield nothing."""
        del changed, context
        yield from ()


def ours_equal(ours: Mapping[str, Mapping[Any, Decimal]], truth: Mapping[str, Mapping[str, Decimal]]) -> bool:
    """Return whether ledger and venues hold the same of everything, to the last digit; what is missing counts as zero."""
    return all(
        ours[venue].get(asset, Decimal(0)) == truth[venue].get(asset, Decimal(0))
        for venue in truth
        for asset in {*ours[venue], *truth[venue]}
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every mode stands on; closed together."""

    settings: Settings
    clock: SystemClock
    store: SqlStore
    books: Books
    gateways: dict[VenueId, Account]
    requests: RequestCounts


@asynccontextmanager
async def _ground(settings: Settings, url: str) -> AsyncIterator[_Ground]:
    clock = SystemClock()
    ground = _Ground(settings, clock, SqlStore.open(url, now_ns=clock.now_ns), Books(), {}, RequestCounts())
    try:
        yield ground
    finally:
        await asyncio.gather(*(gateway.close() for gateway in ground.gateways.values()))
        ground.store.close()


def _strategy(settings: Settings) -> Strategy:
    return load_strategy(settings.strategy.name, settings.strategy.params, Path.cwd())


def _wiring(ground: _Ground, options: Options, strategy: Strategy) -> Wiring:
    settings, store = ground.settings, ground.store
    run_id = RunId(f"{settings.run.name}-{secrets.token_hex(4)}")
    config_digest, mode = digest_of_decisions(settings), settings.run.mode.value
    epoch = store.begin_run(run_id=run_id, mode=mode, code_version=__version__, config_digest=config_digest)
    is_paper = settings.run.mode is Mode.PAPER
    return Wiring(
        mode=mode,
        run_name=settings.run.name,
        clock=ground.clock,
        store=store,
        started=RunStarted(
            run_id=run_id, epoch=epoch, code_version=__version__, config_digest=config_digest, mode=mode
        ),
        config=settings.engine_config(),
        venues=settings.venue_configs(),
        strategy=strategy,
        books=ground.books,
        gateways=ground.gateways,
        requests=ground.requests,
        book_depths={config.venue: factory.book_depth(config) for config in settings.venue_configs()},
        make_feed=partial(
            make_feed,
            # what rests on paper is filled by prints too
            with_trades=(settings.tape.record and settings.tape.with_trades) or bool(is_paper and strategy.look_ms),
        ),
        allow_withdraw=settings.transfers.enabled,
        lot_method=LotMethod(settings.tax.lot_method),
        shares=settings.rebalance.shares,
        services=(_resting_on_paper, *options.services) if is_paper else options.services,
        witnesses=(Recording.of(settings.tape),) if settings.tape.record else (),
    )


def _with_disk(wiring: Wiring, settings: Settings) -> Wiring:
    """Return the wiring with an eye on the room that is left for what the daemon keeps."""
    return msgspec.structs.replace(wiring, services=(*wiring.services, disk_watched(settings.run.state_dir)))


def _with_messages(wiring: Wiring, settings: Settings, known: Secrets) -> Wiring:
    """Return the wiring with people told of it, and with what they may ask for over a chat; hides its secrets from now on."""
    hide(known, settings, wiring.clock)
    table = settings.notify
    desk = (TelegramDesk(table, known.telegram_token, settings.run.state_dir),) if table.telegram_verbs else ()
    return msgspec.structs.replace(
        wiring, services=(*wiring.services, *desk), witnesses=(Notifying(table, known), *wiring.witnesses)
    )


def _on_paper(settings: Settings) -> Settings:
    """Return settings with a pretend account, empty unless the file fills it, at every venue."""
    empty = PretendAccount(balances={settings.run.ccy: Decimal(0)})
    accounts = {name: settings.paper.venues.get(name, empty) for name in settings.venues}
    return settings.model_copy(
        update={
            "run": settings.run.model_copy(update={"mode": Mode.PAPER}),
            "paper": settings.paper.model_copy(update={"venues": accounts}),
        }
    )


async def _pretend(ground: _Ground) -> None:
    """Give every venue a pretend account on its real instruments; what it holds goes on from the ledger."""
    settings, clock = ground.settings, ground.clock
    real = make_gateways(settings, clock, os.environ, ground.requests, with_keys=False)
    try:
        for venue, gateway in real.items():
            account = settings.paper.venues[venue]
            instruments = await _patiently(gateway.load_instruments, clock)
            held = ground.store.balances(venue_assets(venue)) or account.balances.items()
            rates_bps = account.rates_bps() or (PAPER_MAKER_BPS, PAPER_TAKER_BPS)
            maker, taker = (bps_to_rate(bps) for bps in rates_bps)
            ground.gateways[venue] = PaperGateway(
                venue=venue,
                market=ground.books,
                clock=clock,
                instruments=instruments,
                fees=[FeeRate(instrument=instrument.id, maker=maker, taker=taker) for instrument in instruments],
                balances=[Balance(asset=Asset(asset), total=total) for asset, total in held],
                latency_ms=settings.paper.latency_ms,
            )
    finally:
        await asyncio.gather(*(gateway.close() for gateway in real.values()))


@asynccontextmanager
async def _resting_on_paper(daemon: Daemon) -> AsyncIterator[None]:
    """Show what rests on paper the prints and the books that moved, and tell what came of it."""

    def show(envelope: Envelope, _outcome: Outcome) -> None:
        event = envelope.event
        if isinstance(event, TradePrinted):
            shown: tuple[InstrumentId, ...] = (event.instrument,)
        elif isinstance(event, BooksMoved):
            shown = event.instruments
        else:
            return
        for instrument in shown:
            gateway = daemon.wiring.gateways[VenueId(instrument.rpartition("@")[2])]
            if isinstance(gateway, PaperGateway):
                is_print = isinstance(event, TradePrinted)
                told = gateway.on_trade(event) if is_print else gateway.on_book(instrument)
                if told:
                    daemon.sequencer.submit(told)

    daemon.partners.append(show)  # the venues of this run: one that fails ends it
    try:
        yield
    finally:
        daemon.partners.remove(show)


async def _patiently(call: Callable[[], Coroutine[Any, Any, T]], clock: SystemClock) -> T:
    while True:
        try:
            return await call()
        except VenueRefused as error:
            raise refusal(error) from error
        except VenueUnavailable as error:
            _log.warning("venue cannot be reached, trying again", venue=error.venue, error=error.detail)
            await clock.sleep(2)


def _report(daemon: Daemon, ending: Ending) -> Report:
    if isinstance(ending.failure, UserError):
        raise ending.failure
    return Report(
        ending=ending,
        totals=daemon.summary.totals(daemon.wiring.clock.now_ns()),
        decision_latency_us=daemon.latency_us(),
        gc_pause_ms_max=daemon.gc.pause_max_ms(),
        books_moved=daemon.sequencer.books_moved,
        books_without_edge=daemon.sequencer.books_moved - daemon.sequencer.books_awake,
    )


def _demand_locks(settings: Settings, *, is_live: bool) -> None:
    """Refuse to trade with money unless it was asked for in both places. Raises: UserError."""
    mistakes = []
    if settings.run.mode is Mode.LIVE and not is_live:
        mistakes.append(Mistake("--live", "the config says live, the command does not", "add --live, or use paper"))
    if is_live and settings.run.mode is not Mode.LIVE:
        mistakes.append(Mistake("run.mode", f"--live with mode {settings.run.mode.value}", 'set run.mode = "live"'))
    if (is_live or settings.run.mode is Mode.LIVE) and not settings.run.live:
        mistakes.append(Mistake("run.live", "the config does not allow live trading", "set run.live = true"))
    if mistakes:
        raise UserError(*mistakes)


def _forget_old_demo(settings: Settings) -> None:
    """Remove the store of an earlier demo: its venues are gone, and their order numbers begin anew. Raises: UserError.

    No other is ever removed: a demo may be started with the folder of a desk by mistake.
    """
    if settings.run.mode is not Mode.DEMO or settings.store.url:
        return
    with StateDir(settings.run.state_dir) as state:
        store = state.path / "arbot.sqlite"
        holds = account_in(store) if store.exists() else ""
        if holds not in ("", Mode.DEMO):
            what = "imported history" if holds == "history" else f"a {holds} account"
            raise UserError(
                Mistake(
                    str(store),
                    f"holds {what}, and a demo begins its ledger anew",
                    "name another [run] state_dir for the demo",
                )
            )
        for end in ("", "-wal", "-shm", ".anchor", ".lock"):
            store.with_name(store.name + end).unlink(missing_ok=True)
