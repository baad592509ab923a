"""Server-sent events to the live pages: first everything, then whatever changed. Nothing here waits for a slow page.

Rules: a page that is slow misses steps between, never the last state: what it has not been sent yet is a set of names, and what
is sent is how those sections stand at that moment. A view is built only while somebody looks, at most once a period, in slices.
A large desk's period is longer, but bounded: one view held up by whatever else the machine does must not silence the pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping

import msgspec
from aiohttp import web

from arbot.api.pace import Pace
from arbot.observe.live import Section
from arbot.runtime.clock import NS_PER_MS, NS_PER_S

CLIENTS_MAX = 16
PERIOD_S, PERIOD_MAX_S = 0.5, 1.0  # the longest leaves room for a fault to be seen within two seconds
LOOP_SHARE_MAX = 0.025  # of the loop's time for building views: a very large desk is drawn less often
FRESH_NS = 800_000_000  # of each second of a period: the one who builds in time finds it old enough
BEAT_S = 1.0  # without news a page hears the time, and so knows that we live
SEND_S = 10.0  # a page that takes nothing for so long is let go; it comes back by itself
_RETRY = b"retry: 1000\n\n"
_EVENTS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
Name = tuple[str, str]


class _Client:
    """One page: the sections it has not been sent."""

    def __init__(self) -> None:
        self.unsent: dict[Name, None] = {}
        self.is_awaited = asyncio.Event()


class Stream:
    """The sections as they stand, and the pages that follow them."""

    def __init__(
        self,
        slices: Callable[[], Iterator[Section]],
        *,
        now_ns: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        clients_max: int = CLIENTS_MAX,
    ) -> None:
        self._slices = slices
        self._now_ns = now_ns
        self._sleep = sleep
        self._clients_max = clients_max
        self._sections: dict[Name, bytes] = {}
        self._clients: dict[_Client, None] = {}
        self._building = asyncio.Lock()
        self._built_ns = 0
        self._pace = Pace(period_s=PERIOD_S, period_s_max=PERIOD_MAX_S, loop_share_max=LOOP_SHARE_MAX)
        self.is_closing = False
        self.conflated = 0  # sections replaced before a slow page took them

    @property
    def clients(self) -> int:
        """How many pages follow."""
        return len(self._clients)

    @property
    def period_s(self) -> float:
        """How long a view is fresh: half a second, up to twice that where one takes long to build."""
        return self._pace.period_s

    async def run(self) -> None:
        """Keep the pages up to date for ever."""
        while True:
            await self._sleep(self._due_s())
            if self._clients:
                await self._refresh()

    def _due_s(self) -> float:
        """Return how long until the next view: a period after the last one, whoever that was built for."""
        age_s = (self._now_ns() - self._built_ns) / NS_PER_S
        return self.period_s - age_s if age_s < self.period_s else self.period_s

    async def state(self) -> bytes:
        """Return all sections as one JSON object, not older than a period."""
        await self._refresh()
        return _joined(self._sections, self._sections)

    def close(self) -> None:
        """Let every page go, and take no new one."""
        self.is_closing = True
        for client in self._clients:
            client.is_awaited.set()

    async def events(self, request: web.Request) -> web.StreamResponse | None:
        """Serve one page until it leaves or the daemon ends; None when there is no room for another."""
        if self.is_closing or len(self._clients) >= self._clients_max:
            return None
        client = _Client()
        response = web.StreamResponse(headers=_EVENTS)
        self._clients[client] = None
        try:
            await self._refresh()
            client.unsent = dict.fromkeys(self._sections)
            await response.prepare(request)
            await response.write(_RETRY)
            await self._feed(client, response)
        except (ConnectionError, TimeoutError):
            pass  # the page has gone or has stopped reading: it will ask again if it is still there
        finally:
            del self._clients[client]
        return response

    async def _feed(self, client: _Client, response: web.StreamResponse) -> None:
        while not self.is_closing:
            if not client.unsent:
                client.is_awaited.clear()
                try:
                    async with asyncio.timeout(BEAT_S):
                        await client.is_awaited.wait()
                except TimeoutError:
                    async with asyncio.timeout(SEND_S):
                        await response.write(b"event: beat\ndata: %d\n\n" % (self._now_ns() // NS_PER_MS))
                    continue
            names, client.unsent = client.unsent, {}
            if names:
                async with asyncio.timeout(SEND_S):
                    await response.write(b"data: " + _joined(self._sections, names) + b"\n\n")

    async def _refresh(self) -> None:
        """Build a view unless there is a fresh one, letting the loop go on after each slice; then tell the pages."""
        async with self._building:
            if self._built_ns and self._now_ns() - self._built_ns < self.period_s * FRESH_NS:
                return
            changed: dict[Name, None] = {}
            began_ns, spent_ns = self._now_ns(), 0
            try:
                for name, inner, body in self._slices():
                    if name and self._sections.get((name, inner)) != body:
                        self._sections[name, inner] = body
                        changed[name, inner] = None
                    spent_ns += self._now_ns() - began_ns
                    await self._sleep(0)
                    began_ns = self._now_ns()
                self._built_ns = began_ns
                self._pace.took(spent_ns)  # the loop's own time between slices left out
            finally:  # also of a view that a bug or a leaving page cut short: the next one finds no difference there
                self._tell(changed)

    def _tell(self, changed: Mapping[Name, None]) -> None:
        for client in self._clients:
            self.conflated += len(client.unsent.keys() & changed.keys())
            client.unsent |= changed
            client.is_awaited.set()


def _joined(sections: Mapping[Name, bytes], names: Mapping[Name, object]) -> bytes:
    """Return sections as one JSON object; those with a name within are an object of their own."""
    parts: dict[str, bytes] = {}
    inner: dict[str, list[bytes]] = {}
    for name, within in names:
        if within:
            inner.setdefault(name, []).append(_quoted(within) + b":" + sections[name, within])
        else:
            parts[name] = sections[name, within]
    parts |= {name: b"{" + b",".join(bodies) + b"}" for name, bodies in inner.items()}
    return b"{" + b",".join(_quoted(name) + b":" + body for name, body in parts.items()) + b"}"


_quoted = msgspec.json.encode
