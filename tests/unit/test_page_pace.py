"""How often pages are told: never less than once a second, whatever held one view up, and they hear that we live."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestClient, TestServer

import arbot.api.stream
from arbot.api.stream import LOOP_SHARE_MAX, PERIOD_MAX_S, PERIOD_S, Stream
from arbot.runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock

HELD_UP_MS = 300  # the machine had something else to do in the middle of a slice


class Views:
    """Views that each hold the loop for so many ms, and when each was begun."""

    def __init__(self, *took_ms: int) -> None:
        self.clock = VirtualClock()
        self.began_s: list[float] = []
        self._took_ms = list(took_ms)
        self._start_ns = self.clock.now_ns()
        self.stream = Stream(self._slices, now_ns=self.clock.now_ns, sleep=self._sleep)

    def _slices(self) -> Iterator[tuple[str, str, bytes]]:
        self.began_s.append((self.clock.now_ns() - self._start_ns) / NS_PER_S)
        self.clock.advance((self._took_ms.pop(0) if self._took_ms else 0) / 1e3)
        yield "now_ms", "", str(self.clock.now_ns()).encode()

    async def _sleep(self, seconds: float) -> None:
        if seconds:
            await self.clock.sleep(seconds)

    async def view(self) -> None:
        """Build one, as whoever asks does."""
        await self.stream.state()


async def test_a_view_held_up_once_does_not_silence_the_pages() -> None:
    """A slice during which the machine did something else for 300 ms is no reason to tell nothing for 12 seconds."""
    views = Views(HELD_UP_MS)
    await views.view()
    assert HELD_UP_MS / 1e3 / LOOP_SHARE_MAX > 10  # what one such view would cost, were it what a view costs
    assert views.stream.period_s == PERIOD_MAX_S


async def test_what_a_view_costs_is_the_least_of_the_last_ones() -> None:
    """One slow view among quick ones changes nothing; where all are slow they come less often, up to a bound."""
    views = Views(5, HELD_UP_MS, 5, *[20] * 5)
    periods = []
    for _ in range(8):
        await views.view()
        periods.append(views.stream.period_s)
        await views.clock.run_for(PERIOD_MAX_S)
    assert periods == [PERIOD_S] * 7 + [0.02 / LOOP_SHARE_MAX]


async def test_who_asks_just_before_a_view_is_due_puts_off_no_view() -> None:
    """However newcomers and programs ask, a page is told again within one period of the last time."""
    views = Views(*[20] * 40)
    views.stream._clients[arbot.api.stream._Client()] = None
    async with asyncio.TaskGroup() as group:
        run = group.create_task(views.stream.run())
        await views.clock.run_for(1.25)  # the first came after half a second, the next is due after 0.8 s more
        await views.view()
        await views.clock.run_for(3)
        run.cancel()
    gaps = [after - before for before, after in zip(views.began_s, views.began_s[1:], strict=False)]
    assert max(gaps) <= 0.02 / LOOP_SHARE_MAX + 0.04  # and what building one takes


async def test_a_page_hears_that_we_live_when_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between views a beat with the time goes out, so that a page tells a busy daemon from one that has gone."""
    monkeypatch.setattr(arbot.api.stream, "BEAT_S", 0.01)
    stream = Stream(lambda: iter([("money", "", b"1")]), now_ns=lambda: 5 * NS_PER_MS, sleep=asyncio.sleep)

    async def events(request: web.Request) -> web.StreamResponse:
        return await stream.events(request) or web.Response(status=503)

    app = web.Application()
    app.router.add_get("/", events)
    async with TestClient(TestServer(app), timeout=ClientTimeout(5)) as client, client.get("/") as answer:
        heard = b""
        while heard.count(b"event: beat\ndata: 5\n\n") < 2:
            heard += await answer.content.readany()
        assert heard.startswith(b'retry: 1000\n\ndata: {"money":1}\n\n')
