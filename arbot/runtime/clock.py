"""Where time comes from: the only file that reads a clock.

SystemClock is the wall clock as it stood at the start plus monotonic time since, so it never steps back and no
correction of the host's clock stretches a deadline. VirtualClock stands still until told to move.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Handle(Protocol):
    """A call that can still be taken back."""

    def cancel(self) -> None:
        """Take the call back; harmless when it has been made."""
        ...


class Scheduler(Protocol):
    """A clock that can also call back."""

    def now_ns(self) -> int:
        """Return ns since the Unix epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long by this clock."""
        ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> Handle:
        """Make the call after that many seconds, from the loop."""
        ...


class SystemClock:
    """The time of this machine since the start of the process."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()  # noqa: TID251 - this is the clock
        self._monotonic_ns = time.monotonic_ns  # noqa: TID251 - this is the clock

    def now_ns(self) -> int:
        """Return ns since the Unix epoch."""
        return self._offset_ns + self._monotonic_ns()

    def monotonic_ns(self) -> int:
        """Return what CLOCK_MONOTONIC shows: the time other programs of this machine are told."""
        return self._monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Handle:
        """Make the call from the running loop after that many seconds."""
        return asyncio.get_running_loop().call_later(max(0.0, seconds), call)


class _VirtualHandle:
    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class VirtualClock:
    """Time for tests: it moves when told, making the calls that fall due in their order."""

    def __init__(self, start_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = start_ns
        self._due: list[tuple[int, int, _VirtualHandle]] = []
        self._numbers = count()

    def now_ns(self) -> int:
        """Return the virtual time."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody has moved the clock that far."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call_later(seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def call_later(self, seconds: float, call: Callable[[], None]) -> Handle:
        """Make the call once the clock has moved that far."""
        handle = _VirtualHandle(call)
        heapq.heappush(self._due, (self._now_ns + round(max(0.0, seconds) * NS_PER_S), next(self._numbers), handle))
        return handle

    def due_ns(self) -> int | None:
        """Return when the next call falls due, or None when nothing waits."""
        while self._due and self._due[0][2].call is None:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def call_at(self, due_ns: int, call: Callable[[], None]) -> Handle:
        """Make the call once the clock stands at `due_ns`, to the nanosecond; what lies in the past falls due at once."""
        handle = _VirtualHandle(call)
        heapq.heappush(self._due, (max(due_ns, self._now_ns), next(self._numbers), handle))
        return handle

    def advance(self, seconds: float) -> None:
        """Move on, making every call that falls due on the way."""
        self.advance_to(self._now_ns + round(seconds * NS_PER_S))

    def advance_to(self, end_ns: int) -> None:
        """Move on to that time, making every call that falls due on the way."""
        while self._due and self._due[0][0] <= end_ns:
            due_ns, _, handle = heapq.heappop(self._due)
            self._now_ns = max(self._now_ns, due_ns)
            if handle.call is not None:
                handle.call()
        self._now_ns = max(self._now_ns, end_ns)

    def stand_at(self, now_ns: int) -> None:
        """Move on to that time without making the calls that fall due at it. Raises: ValueError when one is overdue."""
        due_ns = self.due_ns()
        if due_ns is not None and due_ns < now_ns:
            raise ValueError(f"a call was due at {due_ns}, before {now_ns}")
        self._now_ns = max(self._now_ns, now_ns)

    async def run_for(self, seconds: float, step_s: float = 0.01) -> None:
        """Move on in steps, letting every ready task run after each."""
        for _ in range(round(seconds / step_s)):
            self.advance(step_s)
            for _ in range(10):
                await asyncio.sleep(0)
