"""Puts a running daemon behind the page, for as long as the run lasts.

It keeps what the page shows of the past (observe/live_log.py) from the moment the daemon serves, and the curve of P&L, a point
every few seconds, whether or not somebody looks.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import structlog

from arbot.api.app import Adjustment, Closing, Desk, Request, TransferWish
from arbot.api.assets import Assets, load_assets
from arbot.api.guard import Counts
from arbot.api.pace import Pace
from arbot.api.server import LOOPBACK_NAMES, serve
from arbot.api.stream import Stream
from arbot.api.token import operator_token
from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import TransferMoved, TransferRefused
from arbot.domain.events import AdjustmentRecorded, LotOrderRecorded, LotsPicked, TransferRequested, Verb
from arbot.domain.ids import VenueId
from arbot.domain.redact import redactor
from arbot.domain.transfer import Network, TransferId
from arbot.domain.units import parse_decimal
from arbot.observe import logs
from arbot.observe.live import Rates, Source, sections
from arbot.observe.live_log import NS_PER_MS, Act, LiveLog
from arbot.runtime import operating
from arbot.runtime.daemon import Daemon
from arbot.runtime.lot_orders import mistakes_of
from arbot.runtime.state_dir import DaemonInfo, StateDir
from arbot.settings.model import Settings

POINT_S, POINT_MAX_S = 2.0, 10.0
CURVE_SHARE_MAX = 0.0025  # of the loop's time for rates: on a very large desk they are asked less often
_log = structlog.get_logger("arbot.page")


def page(settings: Settings) -> Callable[[Daemon], AbstractAsyncContextManager[object]]:
    """Return the service that serves the page of a daemon and says in the state folder where it is."""
    assets = load_assets()  # here, before there is a loop to hold up

    @asynccontextmanager
    async def served(daemon: Daemon) -> AsyncIterator[str]:
        with operator_token(settings.run.state_dir, settings.http.token_file) as (token, token_file):
            logs.blot_out(redactor([token]))
            live = _Live(daemon, settings)
            desk = _desk(daemon, live, settings, token, assets)
            async with live.following(), serve(desk, bind=settings.http.bind, port=settings.http.port) as url:
                StateDir(settings.run.state_dir).announce(
                    DaemonInfo(pid=os.getpid(), mode=daemon.wiring.mode, url=url, token_file=str(token_file))
                )
                _log.info("page", url=url, token_file=str(token_file))
                daemon.page_url = url
                yield url

    return served


class _Live:
    """What the page is told of one daemon, and the tasks that keep it fresh."""

    def __init__(self, daemon: Daemon, settings: Settings) -> None:
        state, clock = daemon.engine.state, daemon.wiring.clock
        self._daemon = daemon
        self.log = LiveLog()
        self.rates = Rates(state)
        self.counts = Counts()
        self.source = Source(
            about=daemon.about,
            state=state,
            log=self.log,
            now_ns=clock.now_ns,
            blocked_by=lambda: daemon.engine.blocked_by,
            problems=daemon.problems_live,
            impaired=lambda: tuple(daemon.onlookers.impaired),
            latency_us=daemon.latency_us,
            shares=daemon.wiring.shares,
            realised_at_start=state.standing.realised_total,
            is_read_only=settings.http.read_only,
        )
        self.stream = Stream(lambda: sections(self.source, self.rates), now_ns=clock.now_ns, sleep=clock.sleep)

        self._remember_the_kill()

    def _remember_the_kill(self) -> None:
        """Say who killed before this run, and why: the switch outlives a process, and its answer is in the store."""
        thrown = self._daemon.wiring.store.last_throw() if self.source.state.standing.killed else None
        if thrown is not None and thrown.killed:
            act = Act(ts_ms=thrown.ts_ns // NS_PER_MS, actor=thrown.actor, reason=thrown.reason)
            self.log.acts[Verb.KILL.value] = act

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Observe the daemon and keep the pages fresh for as long as the context lasts."""
        daemon = self._daemon
        daemon.observers.append(self.log.observe)
        daemon.alert_observers.append(self._alerted)
        daemon.numbers.append(self._numbers)
        keep = daemon.supervisor.keep  # trading does not depend on them
        tasks = [keep(self.stream.run, "page"), keep(self._draw_curve, "curve")]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            daemon.observers.remove(self.log.observe)
            daemon.alert_observers.remove(self._alerted)
            daemon.numbers.remove(self._numbers)

    def _alerted(self, alert: RaiseAlert) -> None:
        self.log.alerted(alert, self.source.now_ns() // NS_PER_MS)

    async def _draw_curve(self) -> None:
        sleep, now_ns = self._daemon.wiring.clock.sleep, self.source.now_ns
        pace = Pace(period_s=POINT_S, period_s_max=POINT_MAX_S, loop_share_max=CURVE_SHARE_MAX)
        while True:
            began_ns, spent_ns = now_ns(), 0
            for _ in self.rates.refresh():
                spent_ns += now_ns() - began_ns
                await sleep(0)
                began_ns = now_ns()
            self.log.curve.add(self.rates.point(self.source))
            pace.took(spent_ns)
            await sleep(pace.period_s)

    def _numbers(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        requests: Counter[tuple[str, ...]] = Counter(self.counts.requests)
        return {
            "arbot_sse_clients": {(): self.stream.clients},
            "arbot_http_requests_total": requests,
            "arbot_control_commands_total": Counter(self.counts.commands),
            "arbot_queue_dropped_total": {("page", "conflated"): self.stream.conflated},
        }


def _choose(daemon: Daemon, chosen: LotOrderRecorded | LotsPicked) -> None:
    """Record a choice of lots that can count. Raises: ValueError for one that cannot."""
    wrong = mistakes_of(chosen, daemon.wiring.store, daemon.reconcilers)
    if wrong:
        raise ValueError("; ".join(f"{one.where}: {one.what}: {one.remedy}" for one in wrong))
    daemon.choose_lots(chosen)


def _desk(daemon: Daemon, live: _Live, settings: Settings, token: str, assets: Assets) -> Desk:
    def operate(asked: Request) -> None:
        operating.operate(daemon, asked.verb, asked.actor, asked.reason, asked.argument)

    def adjust(asked: Adjustment) -> None:
        if asked.venue not in daemon.reconcilers:
            raise ValueError(f"there is no venue {asked.venue!r}; there are {', '.join(daemon.reconcilers)}")
        daemon.adjust(
            AdjustmentRecorded(
                venue=VenueId(asked.venue),
                asset=asked.asset,
                qty=parse_decimal(asked.qty),
                reason=asked.reason,
                actor=asked.actor,
            )
        )

    def transfer(asked: TransferWish) -> TransferMoved | TransferRefused:
        for venue in (asked.source, asked.target):
            if venue not in daemon.reconcilers:
                raise ValueError(f"there is no venue {venue!r}; there are {', '.join(daemon.reconcilers)}")
        return daemon.transfer(
            TransferRequested(
                source=VenueId(asked.source),
                target=VenueId(asked.target),
                asset=asked.asset,
                network=Network(asked.network),
                qty=parse_decimal(asked.qty),
                actor=asked.actor,
                reason=asked.reason,
                is_confirmed=asked.is_confirmed,
                request_key=asked.request_key,
            )
        )

    def close(asked: Closing) -> None:
        known = daemon.engine.state.transfers.get(TransferId(asked.transfer))
        if known is None or known.state.is_terminal:
            raise ValueError(f"no transfer named {asked.transfer!r} is under way; look at `arbot transfers list`")
        if known.venue_transfer_id or known.tx_id or known.is_listed:
            raise ValueError(f"{known.source} has it in its history: it began, and only its history ends it")
        daemon.close_transfer(known.id, f"{asked.actor}: {asked.reason}")

    return Desk(
        status=daemon.look,
        risk=daemon.risk,
        metrics=daemon.metrics,
        problems_live=daemon.problems_live,
        problems_ready=daemon.problems_ready,
        operate=operate,
        adjust=adjust,
        transfer=transfer,
        close=close,
        order_lots=lambda asked: _choose(daemon, LotOrderRecorded(**msgspec.structs.asdict(asked))),
        pick_lots=lambda asked: _choose(daemon, LotsPicked(**msgspec.structs.asdict(asked))),
        now_ns=daemon.wiring.clock.now_ns,
        token=token,
        hosts=LOOPBACK_NAMES | {settings.http.bind, *settings.http.hosts},
        stream=live.stream,
        assets=assets,
        counts=live.counts,
        is_read_only=settings.http.read_only,
    )
