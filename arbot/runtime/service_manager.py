"""What the daemon tells the one who started it: the datagrams of systemd's sd_notify(3), without its library.

Rules of this file:
- READY when the store is open, what outlived the last process is restored, and the page answers. It does not wait for the
  venues: one that is down for hours is no reason to start arbot again, and /readyz says what is missing.
- WATCHDOG at half of the time allowed, and only while `problems_live` has nothing to say: a task that stopped beating stops
  the pings, and the manager starts the daemon again. A loop that hangs cannot ping either.
- STOPPING as soon as the run ends: from then on the manager counts the time to stop, not the pings.
- Nothing here waits or fails: a manager that does not listen is no reason to stop trading.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

import structlog

from arbot.runtime.clock import NS_PER_S
from arbot.runtime.daemon import Daemon

STATUS_S = 10.0
"""How often the line that `systemctl status` shows is renewed at least."""

_US_PER_S = 1_000_000
_log = structlog.get_logger("arbot.service")


class ServiceManager:
    """The socket of the manager, or nobody's."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self.watchdog_s = watchdog_s
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        self._is_heard = True
        if self._socket is not None:
            self._socket.setblocking(False)

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> Self:
        """Return what NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID name for the process `pid`."""
        microseconds, meant = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
        is_watched = microseconds.isdecimal() and meant == str(pid)
        return cls(environ.get("NOTIFY_SOCKET", ""), int(microseconds) / _US_PER_S if is_watched else 0.0)

    @property
    def is_there(self) -> bool:
        """Whether anybody listens."""
        return self._socket is not None

    def say(self, *lines: str) -> None:
        """Send lines such as READY=1 in one datagram; one that cannot be sent is lost."""
        if self._socket is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(text.encode(errors="replace"), self._address)
            self._is_heard = True
        except OSError as error:
            if self._is_heard:  # once, not twice a second
                _log.warning("service manager not told", error=str(error))
            self._is_heard = False

    def close(self) -> None:
        """Give the socket up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watched(manager: ServiceManager) -> Callable[[Daemon], AbstractAsyncContextManager[object]]:
    """Return the service that keeps the manager informed; it has to be the last one, so that READY means all of them."""

    @asynccontextmanager
    async def telling(daemon: Daemon) -> AsyncIterator[None]:
        if not manager.is_there:
            yield
            return
        manager.say("READY=1", f"STATUS={status_of(daemon)}")
        task = daemon.supervisor.keep(lambda: _ping(daemon, manager), "service-manager")
        try:
            yield
        finally:
            task.cancel()
            manager.say("STOPPING=1", f"STATUS=ending: {daemon.supervisor.reason or 'the run was cut short'}")

    return telling


async def _ping(daemon: Daemon, manager: ServiceManager) -> None:
    period_s = min(manager.watchdog_s / 2 or STATUS_S, STATUS_S)
    while True:
        beats = ("WATCHDOG=1",) if manager.watchdog_s and not daemon.problems_live() else ()
        manager.say(*beats, f"STATUS={status_of(daemon)}")
        await daemon.wiring.clock.sleep(period_s)


def status_of(daemon: Daemon) -> str:
    """Return in a line whether arbs are opened, and if not, why."""
    problems = daemon.problems_ready()
    return f"not opening arbs: {', '.join(problems)}" if problems else "opening arbs"


def reloading(manager: ServiceManager, monotonic_ns: int) -> None:
    """Tell that the config is being read anew; READY ends it."""
    manager.say("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns // (NS_PER_S // _US_PER_S)}")
