"""Reading the config file anew while the daemon runs, on SIGHUP: what does not touch trading is applied, the rest is named.

Rules of this file:
- A file with mistakes changes nothing, and all of its mistakes are told.
- Only what APPLIED has takes effect at once. Every other key that differs is named: it waits for a restart, because limits,
  venues and strategy that change under open arbs would make a run that nobody can replay.
- The file is read in a thread. What came of it is in <state_dir>/reload.json for `arbot config reload`, in the log, and in
  the metrics arbot_config_last_reload_*.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from arbot.domain.errors import UserError
from arbot.observe import logs
from arbot.runtime.clock import NS_PER_S
from arbot.runtime.daemon import Daemon
from arbot.runtime.service_manager import ServiceManager, reloading
from arbot.runtime.state_dir import write_private
from arbot.settings.load import load
from arbot.settings.model import Settings

REPORT = "reload.json"
_log = structlog.get_logger("arbot.reload")


def _log_level(settings: Settings) -> None:
    logs.set_level(settings.run.log_level)


APPLIED: Mapping[str, Callable[[Settings], None]] = {"run.log_level": _log_level}
"""Keys that take effect at once, and how."""


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading the file. `pid` and `number` tell one answer from the one before; 0 is the start."""

    pid: int
    number: int
    is_good: bool
    ts_ns: int
    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()


class Reloader:
    """The settings in force, and the file they came from."""

    def __init__(self, read: Callable[[], Settings], settings: Settings, now_ns: Callable[[], int]) -> None:
        self.settings = settings
        self.last = Reload(pid=os.getpid(), number=0, is_good=True, ts_ns=now_ns())
        self._read = read
        self._now_ns = now_ns
        self._good_ns = self.last.ts_ns

    async def reload(self) -> Reload:
        """Read the file, apply what may be, and return what came of it; this never raises for a file's mistakes."""
        number = self.last.number + 1
        try:
            found = await asyncio.to_thread(self._read)
        except UserError as error:
            told = tuple(map(str, error.mistakes))
            self.last = Reload(pid=os.getpid(), number=number, is_good=False, ts_ns=self._now_ns(), mistakes=told)
            _log.error("config not reloaded: it has mistakes, nothing was changed", mistakes=told)
            return self.last
        changed = tuple(differences(self.settings.model_dump(), found.model_dump()))
        applied = tuple(key for key in changed if key in APPLIED)
        waiting = tuple(key for key in changed if key not in APPLIED)
        for key in applied:
            APPLIED[key](found)
            self.settings = taken_over(self.settings, found, key)
        self._good_ns = self._now_ns()
        self.last = Reload(
            pid=os.getpid(),
            number=number,
            is_good=True,
            ts_ns=self._good_ns,
            applied=applied,
            needs_restart=waiting,
        )
        tell = _log.warning if waiting else _log.info
        tell("config reloaded", applied=applied, needs_restart=waiting)
        return self.last

    def numbers(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return the metrics."""
        return {
            "arbot_config_last_reload_successful": {(): float(self.last.is_good)},
            "arbot_config_last_reload_success_timestamp_seconds": {(): self._good_ns / NS_PER_S},
        }


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Yield the dotted names of what differs between two documents, never a value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}, key=str):
            where = f"{place}.{key}" if place else str(key)
            if key not in old or key not in new:
                yield where
            else:
                yield from differences(old[key], new[key], where)
    elif old != new:
        yield place


def taken_over(settings: Settings, found: Settings, key: str) -> Settings:
    """Return settings with one key of `found`, named table.key."""
    table, _, name = key.partition(".")
    changed = getattr(settings, table).model_copy(update={name: getattr(getattr(found, table), name)})
    return settings.model_copy(update={table: changed})


def reloadable(
    config: Path,
    overrides: Mapping[str, Mapping[str, object]],
    settings: Settings,
    manager: ServiceManager,
) -> Callable[[Daemon], AbstractAsyncContextManager[object]]:
    """Return the service that reads `config` anew on SIGHUP, with the overrides of the command line as at the start."""
    report = settings.run.state_dir / REPORT

    @asynccontextmanager
    async def listening(daemon: Daemon) -> AsyncIterator[Reloader]:
        clock, asked = daemon.wiring.clock, asyncio.Event()
        reloader = Reloader(partial(load, config, overrides), settings, clock.now_ns)
        await asyncio.to_thread(_write, report, reloader.last)

        async def serve() -> None:
            while True:
                await asked.wait()
                asked.clear()
                reloading(manager, clock.monotonic_ns())
                came = await reloader.reload()
                manager.say("READY=1")
                await asyncio.to_thread(_write, report, came)

        daemon.numbers.append(reloader.numbers)
        task = daemon.supervisor.keep(serve, "reload")  # a mistake here, or in reading a strange file, ends no run
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        try:
            yield reloader
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the end of a run is not to be cut short by it
            task.cancel()
            daemon.numbers.remove(reloader.numbers)
            report.unlink(missing_ok=True)

    return listening


def read_report(state_dir: Path) -> Reload | None:
    """Return the answer that lies in a state folder, or None when its daemon does not read its config anew."""
    try:
        return msgspec.json.decode((state_dir / REPORT).read_bytes(), type=Reload)
    except FileNotFoundError:
        return None


def _write(path: Path, came: Reload) -> None:
    try:
        write_private(path, msgspec.json.encode(came))
    except OSError as error:  # trading does not depend on it; the log and the metrics have the answer
        _log.warning("answer of the reload not written", path=str(path), error=str(error))
