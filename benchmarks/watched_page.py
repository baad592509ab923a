"""The page of a desk at its largest, served for real: the app with its files, a stream, and a log that arbs run through.

The world's clock is this machine's: books move MOVES_PER_S times a second in all, arbs open and close, a balance changes once a
second, a point of the curve comes every few seconds onto a curve that is full. Nothing that is asked for is done.

    python benchmarks/watched_page.py

prints where it is. A line on its input that names a book (C25/USD@venue10) makes that book invalid, the same line again valid;
the end of the input ends it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NoReturn

from watched_world import START_NS, World

from arbot.api.app import Desk
from arbot.api.assets import load_assets
from arbot.api.guard import Counts
from arbot.api.server import LOOPBACK_NAMES, serve
from arbot.api.stream import Stream
from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import ArbClosed, ArbMoved, ArbOpened, ArbState, Outcome
from arbot.domain.events import Envelope, RunEnded
from arbot.domain.ids import ArbId
from arbot.observe.live import Rates, Source, sections
from arbot.observe.live_log import ALERTS_KEPT, NS_PER_MS, POINTS_MAX, LiveLog, Point
from arbot.observe.risk import look_at_risk

MOVES_PER_S, TICK_S, ARBS_PER_S, POINT_S = 1_000, 0.01, 2, 2.0
_NOTHING = RunEnded(reason="", open_orders=0, digest="", declined=())


class WatchedPage:
    """A world with its page."""

    def __init__(self, world: World) -> None:
        state = world.engine.state
        self.world = world
        self.log = LiveLog()
        self.rates = Rates(state)
        self._arbs = 0
        self._ill: set[int] = set()
        self.source = Source(
            about=world.about,
            state=state,
            log=self.log,
            now_ns=lambda: world.now_ns,
            blocked_by=lambda: (),
            problems=lambda: (),
            impaired=tuple,
            latency_us=lambda: {"p50": 350.0, "p99": 142_606.0},
            shares={},
            realised_at_start=Decimal(0),
            is_read_only=False,
        )
        self.stream = Stream(
            lambda: sections(self.source, self.rates), now_ns=time.perf_counter_ns, sleep=asyncio.sleep
        )
        world.observers.append(self.log.observe)
        for number in range(POINTS_MAX):
            ts_ms = START_NS // NS_PER_MS - 1_000 * (POINTS_MAX - number)
            self.log.curve.add(Point(ts_ms, number * 0.37, 1e8 + number))
        for number in range(ALERTS_KEPT):
            text = f"venue{number % 20}: the market stream was silent for {number} s and has been opened anew"
            self.log.alerted(
                RaiseAlert(severity=Severity.WARNING, code="stream_silent", text=text), START_NS // NS_PER_MS
            )

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve it on a free port of loopback while everything moves."""
        async with serve(self._desk(), bind="127.0.0.1", port=0) as url, asyncio.TaskGroup() as group:
            running = [group.create_task(one()) for one in (self._move, self._trade, self._draw_curve, self.stream.run)]
            try:
                yield url
            finally:
                self.stream.close()
                for task in running:
                    task.cancel()

    async def _move(self) -> None:
        began, moved = time.perf_counter(), 0
        while True:
            elapsed = time.perf_counter() - began
            count = min(200, int(elapsed * MOVES_PER_S) - moved)
            moved += count
            self.world.now_ns = max(self.world.now_ns, START_NS + round(elapsed * 1e9) - count * NS_PER_MS)
            self.world.move(count)
            for index in self._ill:
                self.world.books.invalidate(index)
            await asyncio.sleep(TICK_S)

    def toggle(self, instrument: str) -> None:
        """Make a book invalid, or valid again with its next move."""
        self._ill ^= {index for index, one in enumerate(self.world.listed) if one.id == instrument}

    async def _trade(self) -> None:
        while True:
            self.world.change()
            for _ in range(ARBS_PER_S):
                self._live_an_arb()
                await asyncio.sleep(1 / ARBS_PER_S)

    def _live_an_arb(self) -> None:
        self._arbs += 1
        buy, sell = (self.world.listed[(self._arbs + step * 50) % len(self.world.listed)] for step in (0, 1))
        arb, one = ArbId(f"1-{self._arbs}"), Decimal(1)
        decisions = (
            ArbOpened(
                arb_id=arb, buy=buy.id, sell=sell.id, qty=one, buy_price=one, sell_price=one, edge_net_bps=one,
                expected_quote=one, book_recv_ts_ns=0, decided_ts_ns=0,
            ),
            ArbMoved(arb_id=arb, before=ArbState.PLANNED, after=ArbState.ONE_SIDED, residual=one),
            ArbClosed(
                arb_id=arb, pnl_gross=one, fees=one / 4, pnl_net=one * 3 / 4, residual=Decimal(0), volume_quote=one,
                unhedged_ns=NS_PER_MS, missed=False,
            ),
        )  # fmt: skip
        self.log.observe(Envelope(0, self.world.now_ns, _NOTHING), Outcome(decisions=decisions))

    async def _draw_curve(self) -> None:
        while True:
            for _ in self.rates.refresh():
                await asyncio.sleep(0)
            self.log.curve.add(self.rates.point(self.source))
            await asyncio.sleep(POINT_S)

    def _desk(self) -> Desk:
        async def metrics() -> bytes:
            return await self.world.watch.exposition(self.world.readings)

        async def status() -> Any:
            world = self.world
            return world.watch.look(now_ns=world.now_ns, state=world.engine.state, summary=world.summary, latency_us={})

        async def risk() -> Any:
            return look_at_risk(self.world.engine.state)

        return Desk(
            status=status,
            risk=risk,
            metrics=metrics,
            problems_live=lambda: (),
            problems_ready=lambda: (),
            operate=_refuse,
            adjust=_refuse,
            transfer=_refuse,
            close=_refuse,
            order_lots=_refuse,
            pick_lots=_refuse,
            now_ns=lambda: self.world.now_ns,
            token="t0ken-of-the-benchmark",  # noqa: S106 - opens nothing
            hosts=LOOPBACK_NAMES,
            stream=self.stream,
            assets=load_assets(),
            counts=Counts(),
        )


def _refuse(_asked: object) -> NoReturn:
    raise ValueError("this desk does nothing")


async def main() -> None:
    """Serve until the input ends."""
    watched = WatchedPage(World())
    async with watched.served() as url:
        print(url, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            watched.toggle(line.strip())


if __name__ == "__main__":
    asyncio.run(main())
