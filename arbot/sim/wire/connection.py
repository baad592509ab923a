"""One websocket connection of a customer: frames pushed in order, and the frame faults.

`push` never waits. A connection that does not keep up is closed when FRAMES_MAX frames wait for it, as venues do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum

from aiohttp import WSMsgType, web

from arbot.sim.faults import MS, FaultName
from arbot.sim.wire.desk import Desk

FRAMES_MAX = 20_000


class FrameKind(StrEnum):
    """Which faults can meet a frame."""

    CONTROL = "control"  # acks, pongs, heartbeats, errors: never tampered with
    MARKET = "market"
    PRIVATE = "private"


class Connection:
    """Pushes frames to one socket; `run` serves it until either side ends it.

    CONTROL frames overtake waiting data, so an ack is ahead of its snapshot and pongs go out during a stall; frames
    that must keep their place in a sequence are MARKET or PRIVATE.
    """

    def __init__(self, desk: Desk, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.desk = desk
        self._request = request
        self._socket = socket
        self._control: deque[bytes] = deque()
        self._data: deque[tuple[int, bytes]] = deque()
        self._wake = asyncio.Event()
        self._stalled_until_ns = 0
        self._is_closing = False
        self._is_quiet = True
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run a coroutine for as long as the connection lives."""
        if self._group is None:
            work.close()
            return
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(self._group.create_task(work))

    def was_quiet(self) -> bool:
        """Return whether nothing was pushed since the last call."""
        quiet, self._is_quiet = self._is_quiet, True
        return quiet

    @property
    def is_open(self) -> bool:
        """Whether frames are still taken."""
        return not self._is_closing

    def push(self, frame: bytes, kind: FrameKind = FrameKind.CONTROL) -> None:
        """Queue a frame for sending; faults may cut, stall, drop, break, repeat or delay data frames."""
        if self._is_closing:
            return
        self._is_quiet = False
        now_ns = self.desk.now_ns()
        if kind is FrameKind.CONTROL:
            self._control.append(frame)
        else:
            frames = self._tampered(frame, kind, now_ns)
            due_ns = max(now_ns + int(self.desk.latency.frame_s() * 1e9), self._stalled_until_ns)
            self._data.extend((due_ns, one) for one in frames)
        if len(self._data) > FRAMES_MAX:
            self.close()
        self._wake.set()

    def _tampered(self, frame: bytes, kind: FrameKind, now_ns: int) -> tuple[bytes, ...]:
        faults, venue = self.desk.faults, self.desk.venue.name
        if faults.fires(FaultName.WS_CUT, venue, now_ns):
            self.close()
            return ()
        stall = faults.fires(FaultName.WS_STALL, venue, now_ns)
        if stall is not None:
            self._stalled_until_ns = now_ns + stall.ms * MS
        if faults.fires(FaultName.SEQ_GAP, venue, now_ns):
            return ()
        if faults.fires(FaultName.MALFORMED_FRAME, venue, now_ns):
            return (frame[: len(frame) // 2],)
        if kind is FrameKind.PRIVATE:
            late = faults.fires(FaultName.LATE_FILL, venue, now_ns)
            if late is not None:
                self.spawn(self._push_later(frame, late.ms / 1000))
                return ()
            if faults.fires(FaultName.DUP_FILL, venue, now_ns):
                return (frame, frame)
        return (frame,)

    async def _push_later(self, frame: bytes, seconds: float) -> None:
        await self.desk.clock.sleep(seconds)
        self._data.append((0, frame))
        self._wake.set()

    def close(self) -> None:
        """Drop the connection without a closing handshake, as a broken network does."""
        self._is_closing = True
        self._wake.set()

    async def run(self, on_text: Callable[[str], Awaitable[None]], each_second: Callable[[], None]) -> None:
        """Serve the socket: `on_text` for each text frame (in order), `each_second` for heartbeats; ends when closed."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._tasks += [group.create_task(self._write()), group.create_task(self._tick(each_second))]
                async for message in self._socket:
                    if message.type is not WSMsgType.TEXT or self._is_closing:
                        break
                    await on_text(message.data)
                for task in self._tasks:
                    task.cancel()
        finally:
            self._is_closing = True
            self._group = None

    async def _tick(self, each_second: Callable[[], None]) -> None:
        while True:
            await self.desk.clock.sleep(1)
            each_second()

    async def _write(self) -> None:
        try:
            while not self._is_closing:
                self._wake.clear()
                wait_s = await self._write_due()
                if self._is_closing or self._wake.is_set():
                    continue
                if wait_s is None:
                    await self._wake.wait()
                else:
                    await self._wait(wait_s)
        except ConnectionError:
            self._is_closing = True  # the customer is gone; the reader ends by itself
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _write_due(self) -> float | None:
        """Send what is due; return the seconds until the next data frame, or None when nothing waits."""
        while not self._is_closing:
            if self._control:
                await self._socket.send_frame(self._control.popleft(), WSMsgType.TEXT)
                continue
            if not self._data:
                return None
            due_ns, frame = self._data[0]
            wait_ns = max(due_ns, self._stalled_until_ns) - self.desk.now_ns()
            if wait_ns > 0:
                return wait_ns / 1e9
            self._data.popleft()
            await self._socket.send_frame(frame, WSMsgType.TEXT)
        return None

    async def _wait(self, seconds: float) -> None:
        """Wait for a new frame, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
