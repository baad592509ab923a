"""Connections to the page: how many there may be, how long one may dawdle, and what is told to bytes that are no request.

Rules: whoever holds on without asking, or asks and does not take the answer, is let go after a while; when all places are
taken the one that has been idle the longest gives its place up, so that nobody is kept out for good by others who wait.
Nothing that comes over a connection reaches the loop's own handler of exceptions, for that one ends the run. What cannot be
read is counted and refused without being repeated, in the answer or in the log: a token may be in it.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from arbot.api.guard import HEADERS, OTHER, Counts, refuse

CONNECTIONS_MAX = 64
IDLE_S = 30.0  # without a whole request
SEND_S = 30.0  # for taking an answer
_log = structlog.get_logger("arbot.page")


class Connections:
    """The connections of one page, the oldest first."""

    def __init__(self, counts: Counts, *, connections_max: int = CONNECTIONS_MAX, idle_s: float = IDLE_S) -> None:
        self.counts = counts
        self.idle_s = idle_s
        self._max = connections_max
        self._open: dict[Connection, asyncio.Transport] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def take(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Take a new one in; when there is no place another goes, or this one if all others are being answered."""
        self._open[connection] = transport
        if len(self._open) > self._max:
            gone = next((one for one in self._open if one not in self.counts.in_hand), connection)
            self._open.pop(gone).abort()

    def forget(self, connection: Connection) -> None:
        """Forget one that has ended."""
        self._open.pop(connection, None)

    def drop(self, connection: Connection) -> None:
        """End one at once, whatever it still has to be sent."""
        transport = self._open.pop(connection, None)
        if transport is not None:
            transport.abort()


class Connection(RequestHandler):
    """One connection."""

    def __init__(self, server: web.Server, connections: Connections) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # documented as: no log
            keepalive_timeout=connections.idle_s,
        )
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._connections.take(self, cast("asyncio.Transport", transport))

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._connections.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        try:
            super().data_received(data)
        # a fault of the parser's: told in the log, and this connection ends
        except Exception as error:  # noqa: BLE001
            self._give_up(error)

    async def start(self) -> None:
        """Answer requests until the connection ends."""
        try:
            await super().start()
        # the same for what comes after the parser
        except Exception as error:  # noqa: BLE001
            self._give_up(error)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer to its end, if it is taken."""
        if isinstance(resp, web.HTTPException):  # raised before our guard is asked: its text repeats the request
            resp = refuse(resp.status, resp.reason)
        if not resp.prepared:
            resp.headers.update(HEADERS)
            resp.headers.setdefault("Cache-Control", "no-store")
        timer = asyncio.get_running_loop().call_later(SEND_S, self._connections.drop, self)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            timer.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - of the one overridden, as the next
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Return what is told to bytes that are no request."""
        self._connections.counts.requests[OTHER, str(status)] += 1
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was under way")
        response = refuse(status, "this is not a request" if status < 500 else "an error inside; the log has it")
        response.force_close()
        return response

    def force_close(self) -> None:
        """Close, and do not wait for ever for somebody who takes nothing."""
        transport: Any = self.transport
        super().force_close()
        if transport is not None:
            asyncio.get_running_loop().call_later(SEND_S, transport.abort)

    def _give_up(self, error: Exception) -> None:
        _log.error("a connection to the page has failed", error=type(error).__name__)
        self._connections.drop(self)
