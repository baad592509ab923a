"""Nonces of one key: they rise for ever, over restarts too, and requests arrive in their order.

A mark on disk is kept a little ahead of what was used, so it is written rarely and always before the nonces it covers.
"""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

from arbot.ports import Clock

AHEAD = 10_000  # nonces are milliseconds: the mark is written about every ten seconds
ARRIVAL_NS = 250_000_000  # after this long an earlier request has reached the venue, or never will


class NonceMark(Protocol):
    """Where the highest nonce that may have been used is remembered."""

    def load(self) -> int:
        """Return the mark, 0 when there is none."""
        ...

    def save(self, nonce: int) -> None:
        """Remember the mark; on return it is safe."""
        ...


class MemoryMark:
    """A mark that ends with the process: for simulated venues and tests."""

    def __init__(self, nonce: int = 0) -> None:
        self._nonce = nonce

    def load(self) -> int:
        """Return the mark."""
        return self._nonce

    def save(self, nonce: int) -> None:
        """Remember the mark."""
        self._nonce = nonce


class FileMark:
    """A mark in a small file, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> int:
        """Return the mark, 0 when there is no file. Raises: ValueError when the file holds no number."""
        try:
            return int(self._path.read_text())
        except FileNotFoundError:
            return 0

    def save(self, nonce: int) -> None:
        """Write a new file, flush it to disk, and put it in the place of the old one."""
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with draft.open("w") as file:
            file.write(str(nonce))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


class NonceGuard:
    """Keeps a mark ahead of every nonce used."""

    def __init__(self, mark: NonceMark) -> None:
        self._mark = mark
        self.highest = mark.load()

    def used(self, nonce: int) -> None:
        """Make sure, before the request leaves, that no later process uses this nonce again."""
        if nonce > self.highest:
            self.highest = nonce + AHEAD
            self._mark.save(self.highest)


class NonceLane:
    """Lets private requests of one key go one after the other, urgent ones first.

    An urgent request waits for the one under way only until that has surely arrived: a poll that hangs must not hold
    up a hedge. The hanging one may then be refused for its nonce, which costs nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active = 0
        self._started_ns = 0
        self._numbers = count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, *, urgent: bool) -> AsyncIterator[None]:
        """Wait for our turn; sign and send inside."""
        await self._enter(urgent=urgent)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, *, urgent: bool) -> None:
        if not self._active:
            self._start()
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (not urgent, next(self._numbers), granted)
        heapq.heappush(self._waiting, entry)
        try:
            while not granted.done():
                left_ns = self._started_ns + ARRIVAL_NS - self._clock.now_ns()
                if urgent and left_ns <= 0:
                    self._waiting.remove(entry)
                    heapq.heapify(self._waiting)
                    self._start()
                    return
                await asyncio.wait({granted}, timeout=left_ns / 1e9 if urgent else None)
        except asyncio.CancelledError:
            if granted.done():
                self._leave()
            else:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    def _start(self) -> None:
        self._active += 1
        self._started_ns = self._clock.now_ns()

    def _leave(self) -> None:
        self._active -= 1
        if not self._active and self._waiting:
            granted = heapq.heappop(self._waiting)[2]
            self._start()
            granted.set_result(None)
