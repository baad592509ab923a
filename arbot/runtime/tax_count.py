"""The figures of the tax year for the metrics, counted by a child process so that the loop never waits for a history.

Rules of this file:
- A count begins shortly after the start and then every `tax.count_every_h` hours; one at a time, at idle priority.
- One that fails is logged, and the figures stay those of the last that succeeded: their age is told by
  `arbot_tax_counted_timestamp_seconds`. A count never stops a run.
- When a report or an export was last made is read from the stamp that the command leaves in the state folder.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import NamedTuple

import msgspec
import structlog

from arbot.runtime.clock import NS_PER_S
from arbot.runtime.daemon import Daemon, Numbers, Service
from arbot.runtime.state_dir import tax_export_ns
from arbot.settings.model import Settings

FIRST_S = 5.0  # after the start: trading goes first
LOOK_S = 30.0  # between two looks at the stamp
COUNT_S_MAX = 3_600.0
PROGRAM = "arbot.tax.figures"
CCY = {"us": "USD", "uk": "GBP", "de": "EUR", "ca": "CAD", "au": "AUD"}  # as the countries' own rules have it

_log = structlog.get_logger("arbot.tax")


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What the child tells, as far as the metrics need it."""

    ccy: str
    open_lots: dict[str, int]
    gain_short: Decimal
    gain_long: Decimal
    unpriced: int
    unmatched: dict[str, Decimal]


class CountFailed(NamedTuple):
    """Why there are no new figures, in one line."""

    why: str


class TaxCount:
    """A service of the daemon: keeps the figures, and has them counted anew."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last = Counted(
            ccy=CCY[settings.tax.country], open_lots={}, gain_short=Decimal(0), gain_long=Decimal(0), unpriced=0,
            unmatched={},
        )  # fmt: skip
        self._assets: dict[str, None] = {}  # told once, told for ever: of what is gone there are no lots
        self._counted_ns = 0
        self._exported_ns = 0

    def __call__(self, daemon: Daemon) -> AbstractAsyncContextManager[object]:
        """Count for as long as the context lasts."""
        return self._counting(daemon)

    @asynccontextmanager
    async def _counting(self, daemon: Daemon) -> AsyncIterator[None]:
        self._know(part for venue in daemon.wiring.venues for one in venue.symbols for part in one.split("/"))
        daemon.numbers.append(self.numbers)
        task = daemon.supervisor.keep(lambda: self._run(daemon), "tax-count")
        try:
            yield
        finally:
            daemon.numbers.remove(self.numbers)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def numbers(self) -> Numbers:
        """Return the gauges of the last count."""
        last = self._last
        return {
            "arbot_tax_open_lots": {(asset,): last.open_lots.get(asset, 0) for asset in self._assets},
            "arbot_tax_realized_gain": {
                ("short", last.ccy): float(last.gain_short),
                ("long", last.ccy): float(last.gain_long),
            },
            "arbot_tax_unpriced_events": {(): last.unpriced},
            "arbot_tax_unmatched_quantity": {
                (asset,): float(last.unmatched.get(asset, Decimal(0))) for asset in self._assets
            },
            "arbot_tax_counted_timestamp_seconds": {(): self._counted_ns / NS_PER_S},
            "arbot_tax_export_last_success_timestamp_seconds": {(): self._exported_ns / NS_PER_S},
        }

    async def _run(self, daemon: Daemon) -> None:
        clock, every_ns = daemon.wiring.clock, int(self._settings.tax.count_every_h * 3_600) * NS_PER_S
        due_ns = clock.now_ns() + round(FIRST_S * NS_PER_S)
        while True:
            self._exported_ns = await asyncio.to_thread(tax_export_ns, self._settings.run.state_dir)
            if every_ns and clock.now_ns() >= due_ns:
                await self._count(daemon)
                due_ns = clock.now_ns() + every_ns
            left_s = (due_ns - clock.now_ns()) / NS_PER_S if every_ns else LOOK_S
            await clock.sleep(min(max(left_s, 0.0), LOOK_S))

    async def _count(self, daemon: Daemon) -> None:
        began_ns = daemon.wiring.clock.now_ns()
        found = await count_apart(request(self._settings))
        took_ms = (daemon.wiring.clock.now_ns() - began_ns) // 1_000_000
        if isinstance(found, CountFailed):
            _log.warning("the tax year could not be counted; the last figures stand", why=found.why)
            return
        self._last, self._counted_ns = found, began_ns
        self._know((*found.open_lots, *found.unmatched))
        _log.info("tax year counted", lots=sum(found.open_lots.values()), unpriced=found.unpriced, took_ms=took_ms)

    def _know(self, assets: Iterable[str]) -> None:
        self._assets |= dict.fromkeys(assets)


def counting(settings: Settings) -> Service:
    """Return the service that counts the tax year of a daemon."""
    return TaxCount(settings)


def request(settings: Settings) -> bytes:
    """Return what the child is told, on its stdin: the address of a store may have a password."""
    tax = settings.tax
    return msgspec.json.encode(
        {
            "url": settings.store_url(),
            "country": tax.country,
            "pool": tax.pool,
            "custody": tax.custody,
            "allocation_completed_ns": tax.allocation_completed_ns,
        }
    )


async def count_apart(
    wanted: bytes, program: tuple[str, ...] = (sys.executable, "-m", PROGRAM)
) -> Counted | CountFailed:
    """Have a child count, and return what it found. The child is started and awaited in threads: a fork takes its time."""
    pipe = subprocess.PIPE
    try:
        child = await asyncio.to_thread(
            lambda: subprocess.Popen(  # noqa: S603 - a module of our own
                program, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        )
    except OSError as error:
        return CountFailed(f"no process could be started: {error.strerror}")
    try:
        told, complaint = await asyncio.to_thread(child.communicate, wanted, COUNT_S_MAX)
    except subprocess.TimeoutExpired:
        return CountFailed(f"not done after {COUNT_S_MAX:g} s")
    finally:
        if child.poll() is None:  # too slow, or the run ends: nobody waits for it
            child.kill()
    if child.returncode:
        lines = complaint.decode(errors="replace").strip().splitlines() or [f"ended with {child.returncode}"]
        return CountFailed(lines[-1])
    try:
        return msgspec.json.decode(told, type=Counted)
    except msgspec.MsgspecError as error:
        return CountFailed(f"unreadable figures: {error}")
