"""A websocket venue on loopback that does what the test tells it to, and the feeds that talk to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from ssl import SSLContext
from typing import Any

import aiohttp
from aiohttp import web

from arbot.domain.errors import VenueUnavailable
from arbot.domain.events import FeedConnected
from arbot.runtime.clock import SystemClock
from arbot.venues.codec import FetchFills
from arbot.venues.feed import FeedPorts, VenueFeed
from tests.support.streams import RecordingSink

WAIT_S = 10.0  # bound of every wait; reached only by a failing test


class Line:
    """One connection of a client, as the venue sees it."""

    def __init__(self, socket: web.WebSocketResponse, number: int) -> None:
        self.socket = socket
        self.number = number  # of this connection, from 0
        self.requests: list[dict[str, Any]] = []

    async def request(self) -> dict[str, Any]:
        """Return the client's next request."""
        async with asyncio.timeout(WAIT_S):
            request = json.loads((await self.socket.receive()).data)
        self.requests.append(request)
        return request

    async def send(self, *frames: bytes) -> None:
        """Send frames as text."""
        for frame in frames:
            await self.socket.send_frame(frame, aiohttp.WSMsgType.TEXT)

    async def hold(self) -> None:
        """Keep the connection open, recording and never answering requests, until the client leaves."""
        async for message in self.socket:
            self.requests.append(json.loads(message.data))


Script = Callable[[Line], Awaitable[None]]


class LoopbackVenue:
    """Serves every connection with the script; `lines` are the connections so far."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.url = ""
        self.disagreements: list[AssertionError] = []


@asynccontextmanager
async def serving(script: Script, ssl: SSLContext | None = None) -> AsyncIterator[LoopbackVenue]:
    """Serve on a free port of loopback. A connection is closed when its script returns."""
    venue = LoopbackVenue()

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        line = Line(socket, len(venue.lines))
        venue.lines.append(line)
        try:
            await script(line)
        except AssertionError as error:  # told at the end of the block: a server's own errors reach no test
            venue.disagreements.append(error)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/", handle)
    async with serving_app(app, ssl) as port:
        venue.url = f"{'wss' if ssl else 'ws'}://localhost:{port}/"
        yield venue
    for error in venue.disagreements:
        raise error


@asynccontextmanager
async def serving_app(app: web.Application, ssl: SSLContext | None = None) -> AsyncIterator[int]:
    """Serve an application on a free port of 127.0.0.1 and yield the port."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class Bench:
    """What a feed is plugged into in a test."""

    def __init__(self) -> None:
        self.sink = RecordingSink()
        self.wanted: list[FetchFills] = []
        self.refusals = 0  # how many more times catching up fails
        self.caught_up: list[int] = []  # how often the stream had been said to be up each time we caught up
        self.teed: list[bytes] = []

    def ports(self) -> FeedPorts:
        """Return the ports."""
        return FeedPorts(
            sink=self.sink,
            clock=SystemClock(),
            chance=Random(7),
            on_account_reconnected=self._catch_up,
            fetch_fills=self.wanted.append,
            tee=lambda _stream, frame, _recv: self.teed.append(frame),
        )

    async def _catch_up(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise VenueUnavailable("loopback", "REST is down")
        self.caught_up.append(len(self.told(FeedConnected)))

    def told(self, kind: type) -> list[Any]:
        """Return the events of a kind so far."""
        return [event for event in self.sink.events if isinstance(event, kind)]


@asynccontextmanager
async def running(feed: VenueFeed) -> AsyncIterator[None]:
    """Run a feed for the length of the block; an end of its own fails the test."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(feed.run())
        try:
            yield
        finally:
            task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds, within the bound."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - any condition, not only one with an event
            await asyncio.sleep(0.002)
