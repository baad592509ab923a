"""How much room is left where the state of the daemon is. Asked in a thread: a network file system may take its time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import structlog

from arbot.runtime.daemon import Daemon, Numbers

LOOK_S = 60.0
SILENCE_S_MAX = 600.0  # a disk may be slow before its silence is a fault

_log = structlog.get_logger("arbot.disk")


def disk_watched(folder: Path) -> Callable[[Daemon], AbstractAsyncContextManager[object]]:
    """Return the service that keeps the free space of a folder's file system known."""

    @asynccontextmanager
    async def watching(daemon: Daemon) -> AsyncIterator[None]:
        free = {"bytes": await asyncio.to_thread(free_bytes, folder)}

        def numbers() -> Numbers:
            return {"arbot_disk_free_bytes": {(): float(free["bytes"])}}

        async def look_for_ever() -> None:
            while True:
                daemon.supervisor.beat("disk", LOOK_S)
                await daemon.wiring.clock.sleep(LOOK_S)
                try:
                    free["bytes"] = await asyncio.to_thread(free_bytes, folder)
                except OSError as error:  # the last number stands, and the journal will say more if it matters
                    _log.warning("free space not known", folder=str(folder), error=str(error))

        daemon.numbers.append(numbers)
        task = daemon.supervisor.spawn(look_for_ever(), "disk", is_endless=True, silent_s_max=SILENCE_S_MAX)
        try:
            yield
        finally:
            task.cancel()
            daemon.numbers.remove(numbers)

    return watching


def free_bytes(folder: Path) -> int:
    """Return what an ordinary user may still write to a file system. Raises: OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
