"""Messages as part of a daemon: from its first event to its last word (Wiring.witnesses), on whatever way is configured.

What is told is seen by observing; nothing of trading waits for it, and no mistake in it reaches the sequencer. Each channel
is a kept task. At the end what still waits is sent, within CLOSE_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import aiohttp
import structlog

from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import ArbState, Outcome
from arbot.domain.events import Envelope
from arbot.domain.units import fmt
from arbot.notify.channels import Apprise, Bot, Channel, Telegram, Webhook
from arbot.notify.message import Kind, Sender, moment
from arbot.notify.notifier import QUEUE, Notifier, Terms
from arbot.notify.teller import Teller, ended, failing, message_of
from arbot.observe import logs
from arbot.runtime.clock import NS_PER_MS, NS_PER_S, Scheduler
from arbot.runtime.daemon import Daemon
from arbot.runtime.daily import Day, seconds_until
from arbot.runtime.latency import LatencyHistogram
from arbot.runtime.notify_secrets import Secrets, make_apprise
from arbot.settings.model import Notify

REQUEST_S = 10.0
CLOSE_S = 5.0
COMPLAIN_NS = 60 * NS_PER_S
LOOK_S = 2.0  # between two looks at what is unhedged
_log = structlog.get_logger("arbot.notify")


class Notifying:
    """A service of the daemon; `notifier` is there once the daemon has started it."""

    def __init__(self, table: Notify, secrets: Secrets) -> None:
        self._table = table
        self._secrets = secrets
        self.notifier: Notifier

    def __call__(self, daemon: Daemon) -> AbstractAsyncContextManager[object]:
        """Tell people for as long as the context lasts."""
        return self._telling(daemon)

    @asynccontextmanager
    async def _telling(self, daemon: Daemon) -> AsyncIterator[None]:
        wiring = daemon.wiring
        sender = Sender(run_name=wiring.run_name, mode=wiring.mode, version=wiring.started.code_version)
        waits = LatencyHistogram()
        self.notifier = notifier = Notifier(
            terms(self._table), wiring.clock, redact=logs.redact, run_id=wiring.started.run_id, waited=waits.add
        )
        teller = Teller(
            notifier.tell,
            mode=wiring.mode,
            version=wiring.started.code_version,
            venues=tuple(config.venue for config in wiring.venues),
        )
        day = Day(daemon.engine.state, teller.alerts, wiring.clock.now_ns())

        harmless = _Harmless(wiring.clock.now_ns)

        def observe(envelope: Envelope, outcome: Outcome) -> None:
            with harmless:
                teller.observe(envelope, outcome)
                day.observe(envelope, outcome)

        def alerted(alert: RaiseAlert) -> None:
            with harmless:
                teller.alerted(alert)

        daemon.durations.append(lambda: {"arbot_queue_wait_seconds": {(QUEUE,): waits}})
        daemon.numbers.append(notifier.numbers)  # every series from the start, also where nobody is told
        async with aiohttp.ClientSession() as session:
            notifier.connect(make_channels(self._table, self._secrets, session, sender, wiring.clock))
            daemon.observers.append(observe)
            daemon.alert_observers.append(alerted)
            keep = daemon.supervisor.keep
            tasks = [keep(partial(notifier.run, name), f"notify:{name}") for name in notifier.channels]
            tasks.append(keep(lambda: _tell_failure(daemon, notifier), "notify:failure"))
            tasks.append(keep(lambda: _tell_unhedged(daemon, notifier), "notify:unhedged"))
            if self._table.daily_summary_at:
                tasks.append(keep(lambda: self._tell_days(day, wiring.clock), "notify:day"))
            try:
                yield
            finally:
                _tell_end(daemon, notifier)
                await notifier.close(CLOSE_S)
                daemon.observers.remove(observe)
                daemon.alert_observers.remove(alerted)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell_days(self, day: Day, clock: Scheduler) -> None:
        while True:
            await clock.sleep(seconds_until(self._table.daily_summary_at, clock.now_ns()))
            self.notifier.tell(day.take(clock.now_ns()))


class _Harmless:
    """Keeps a mistake in telling away from the sequencer and from whoever raised an alert; the log has it once a minute."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._told_ns = 0
        self._times = 0

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        self._times += 1
        if self._now_ns() - self._told_ns > COMPLAIN_NS:  # it may happen with every step
            self._told_ns = self._now_ns()
            _log.error("messages cannot be made", times=self._times, error=repr(error), exc_info=error)
        return True


def terms(table: Notify) -> Terms:
    """Return what is told, as the file has it. A test of the channels and a summary that was asked for are always told."""
    return Terms(
        kinds=frozenset((*(Kind(name) for name in table.events), Kind.SUMMARY, Kind.TEST)),
        dedupe_s=table.dedupe_s,
        per_minute_max=table.per_minute_max,
        queue_max=table.queue_max,
    )


def make_channels(
    table: Notify, secrets: Secrets, session: aiohttp.ClientSession, sender: Sender, clock: Scheduler
) -> Mapping[str, Channel]:
    """Return the configured channels by name."""
    channels: dict[str, Channel] = {}
    if secrets.webhook_url.reveal():
        channels["webhook"] = Webhook(
            session, secrets.webhook_url, secrets.webhook_key, sender, clock.now_ns, timeout_s=REQUEST_S
        )
    if secrets.telegram_token.reveal():
        bot = Bot(session, table.telegram_api_url, secrets.telegram_token)
        channels["telegram"] = Telegram(bot, table.telegram_chat_id, sender, timeout_s=REQUEST_S)
    for notify in make_apprise(secrets.apprise_urls) if secrets.apprise_urls else ():
        channels["apprise"] = Apprise(notify, sender, timeout_s=3 * REQUEST_S)
    return channels


async def _tell_failure(daemon: Daemon, notifier: Notifier) -> None:
    """Tell at once what ends the run against its will: cancelling all may take a minute."""
    await daemon.supervisor.stopping.wait()
    failure = daemon.supervisor.failure
    if failure is not None:
        notifier.tell(failing(failure, daemon.supervisor.reason))


async def _tell_unhedged(daemon: Daemon, notifier: Notifier) -> None:
    """Tell of arbs that are unhedged for longer than legs and hedging may take together, and are not given up yet."""
    policy, state = daemon.wiring.config.execution, daemon.engine.state
    limit_ns = policy.leg_deadline_ms * NS_PER_MS + policy.hedge_seconds_max * NS_PER_S
    while True:
        await daemon.wiring.clock.sleep(LOOK_S)
        for arb in state.unfinished.values():
            since_ns = arb.unhedged_since_ns
            if since_ns and daemon.wiring.clock.now_ns() - since_ns > limit_ns and arb.state is not ArbState.STRANDED:
                residuals = ((state.residual(arb, asset), asset) for asset in arb.assets)
                left = " and ".join(f"{fmt(number)} {asset}" for number, asset in residuals if number)
                text = f"arb {arb.id} is {arb.state.value} with {left}, unhedged since {moment(since_ns)}"
                notifier.tell(message_of(RaiseAlert(severity=Severity.CRITICAL, code="unhedged", text=text)))


def _tell_end(daemon: Daemon, notifier: Notifier) -> None:
    ending = daemon.ending
    totals = daemon.summary.totals(daemon.wiring.clock.now_ns())
    notifier.tell(
        ended(
            reason=daemon.supervisor.reason or "the run ended before it began",
            failure=ending is None or ending.failure is not None,
            open_orders=-1 if ending is None else ending.open_orders,
            stranded=daemon.engine.state.stranded_arbs(),
            unknown=totals.orders_unknown,
        )
    )
