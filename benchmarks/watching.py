"""What being watched costs a daemon at its largest: 20 venues with 50 instruments each.

Three states in turns, in one process: alone; scraped every SCRAPE_S; scraped and followed by a live page. Books move all the
time, some wake the engine, balances change once a second. Scraper and page are processes of their own that ask over loopback,
through the daemon's own metrics, view and stream. Told are the share of a processor that each state adds to what as many
moves take alone, and how late a task that sleeps for a millisecond is woken; whatever else runs on the machine lengthens that
in all three states alike.

Apart from that every slice of a scrape, of a view and of a status is timed by itself, in processor time of this thread: what
holds the loop at a stretch.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal

import numpy as np
from aiohttp import web
from watched_world import PAIRS, VENUES, World

from arbot.api.stream import Stream
from arbot.observe.live import Rates, Source, sections
from arbot.observe.live_log import LiveLog
from arbot.observe.risk import look_at_risk

SCRAPE_S, POINT_S, MOVE_S, MOVES = 5.0, 2.0, 0.001, 2
STATES = ("alone", "scraped", "scraped and followed")
_SCRAPER = """
import sys, time, urllib.request
while True:
    urllib.request.urlopen(sys.argv[1] + "/metrics").read()
    time.sleep(float(sys.argv[2]))
"""
_PAGE = """
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1] + "/api/events") as events:
    while events.read(65536):
        pass
"""


class Watched:
    """A daemon's loop over a world, with its page."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rates, self.log = Rates(world.engine.state), LiveLog()
        self.source = Source(
            about=world.about,
            state=world.engine.state,
            log=self.log,
            now_ns=lambda: world.now_ns,
            blocked_by=lambda: (),
            problems=lambda: (),
            impaired=tuple,
            latency_us=lambda: {"p50": world.latency.quantile_us(0.5)},
            shares={},
            realised_at_start=Decimal(0),
            is_read_only=True,
        )
        self.stream = Stream(
            lambda: sections(self.source, self.rates), now_ns=time.perf_counter_ns, sleep=asyncio.sleep
        )
        self.late_ms: list[float] = []
        self.moves = 0
        self.bytes = 0

    async def move(self) -> None:
        """Let books move, and a balance change once a second."""
        count = 0
        while True:
            self.world.move(MOVES)
            self.moves += MOVES
            count += 1
            if count % round(1 / MOVE_S) == 0:
                self.world.change()
            await asyncio.sleep(MOVE_S)

    async def probe(self) -> None:
        """Note how late this task is woken."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(MOVE_S)
            self.late_ms.append((time.perf_counter() - before - MOVE_S) * 1e3)

    async def draw_curve(self) -> None:
        """Ask for all rates and note a point of the curve, as the page's service does whether or not somebody looks."""
        while True:
            for _ in self.rates.refresh():
                await asyncio.sleep(0)
            self.log.curve.add(self.rates.point(self.source))
            await asyncio.sleep(POINT_S)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve metrics and events on a free port of loopback."""
        app = web.Application()

        async def metrics(_request: web.Request) -> web.Response:
            body = await self.world.watch.exposition(self.world.readings)
            self.bytes = len(body)
            return web.Response(body=body)

        async def events(request: web.Request) -> web.StreamResponse:
            return await self.stream.events(request) or web.Response(status=503)

        app.router.add_get("/metrics", metrics)
        app.router.add_get("/api/events", events)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            self.stream.close()
            await runner.cleanup()


async def measured(watched: Watched, seconds: float, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return by state what each round's processor share and lateness were."""
    found: dict[str, dict[str, list[float]]] = {state: {"cpu": [], "moves": [], "late_ms": []} for state in STATES}
    async with watched.served() as url, asyncio.TaskGroup() as group:
        running = [group.create_task(one()) for one in (watched.move, watched.probe, watched.stream.run)]
        for _ in range(rounds):
            for state in STATES:
                watchers = await started(state, url)
                drawing = [group.create_task(watched.draw_curve())] if len(watchers) > 1 else []
                await asyncio.sleep(1.0)
                watched.late_ms, moves, cpu, wall = [], watched.moves, time.process_time(), time.perf_counter()
                await asyncio.sleep(seconds)
                taken = time.perf_counter() - wall
                found[state]["cpu"].append((time.process_time() - cpu) / taken)
                found[state]["moves"].append((watched.moves - moves) / taken)
                found[state]["late_ms"] += watched.late_ms
                for task in drawing:
                    task.cancel()
                for process in watchers:
                    process.kill()
                    await process.wait()
        for task in running:
            task.cancel()
    return found


async def started(state: str, url: str) -> list[asyncio.subprocess.Process]:
    """Start those who watch in a state."""
    asked = {"alone": (), "scraped": ((_SCRAPER, str(SCRAPE_S)),)}.get(state, ((_SCRAPER, str(SCRAPE_S)), (_PAGE,)))
    return [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, url, *more, stderr=asyncio.subprocess.DEVNULL
        )
        for script, *more in asked
    ]


def slices(name: str, make: Callable[[], Iterable[object]], change: Callable[[], object], times: int = 5) -> dict:
    """Return how long the slices of a look hold the loop."""
    clock, spent, totals = time.thread_time_ns, list[int](), list[int]()
    for _ in range(times):
        change()
        before = began = clock()
        for _ in make():
            now = clock()
            spent.append(now - before)
            before = now
        spent.append(clock() - before)
        totals.append(clock() - began)
    ms = np.array(spent) / 1e6
    return {
        "look": name,
        "slices": len(ms) // times,
        "total_ms": round(float(np.median(totals)) / 1e6, 1),
        "p99_ms": round(float(np.percentile(ms, 99)), 2),
        "max_ms": round(float(ms.max()), 2),
    }


def looks(watched: Watched) -> list[dict]:
    """Return a row for each kind of look."""
    world = watched.world
    state = world.engine.state

    def scrape() -> Iterable[object]:
        yield from world.watch.reading(world.readings())
        yield from world.watch.texts()

    def status() -> Iterable[object]:
        return world.watch.look(now_ns=world.now_ns, state=state, summary=world.summary, latency_us={})

    return [
        slices("scrape", scrape, world.change),
        slices("page", lambda: sections(watched.source, watched.rates), world.change),
        slices("rates of the page", watched.rates.refresh, world.change),
        slices("status", status, world.change),
        slices("risk", lambda: look_at_risk(state), world.change),
    ]


def rows(found: dict[str, dict[str, list[float]]]) -> list[dict]:
    """Return a row a state: processor share and lateness, and what is added to being alone with as many moves."""
    per_move = float(np.median(np.divide(found["alone"]["cpu"], found["alone"]["moves"])))
    told = []
    for state, numbers in found.items():
        cpu, late = float(np.median(numbers["cpu"])), np.array(numbers["late_ms"])
        added = float(np.median(np.subtract(numbers["cpu"], np.multiply(per_move, numbers["moves"]))))
        told.append(
            {
                "state": state,
                "cpu_percent": round(100 * cpu, 1),
                "moves_a_second": round(float(np.median(numbers["moves"]))),
                "cpu_added_percent": round(100 * added, 2),
                "late_p50_ms": round(float(np.percentile(late, 50)), 2),
                "late_p99_ms": round(float(np.percentile(late, 99)), 2),
                "late_max_ms": round(float(late.max()), 1),
            }
        )
    return told


def main(run: Callable[[Awaitable[object]], object] = asyncio.run) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each state in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--venues", type=int, default=VENUES)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    asked = parser.parse_args()
    watched = Watched(World(venues=asked.venues, pairs=asked.pairs))
    watched.world.move(2_000)
    gc.collect()
    gc.freeze()  # as the daemon does once all is set up
    by_look = looks(watched)
    found = run(measured(watched, asked.seconds, asked.rounds))
    for row in (*by_look, *rows(found)):
        print(json.dumps(row))
    series = sum(text.count("\n") for text in watched.world.watch.texts() if not text.startswith("#"))
    print(json.dumps({"venues": asked.venues, "pairs": asked.pairs, "series": series, "bytes": watched.bytes}))


if __name__ == "__main__":
    main()
