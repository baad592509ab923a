"""Keep the garbage collector from stopping the loop for longer than `PAUSE_MS_MAX`.

What lives at the end of the start-up is frozen: no collection looks at it again. Young objects are collected by the
interpreter itself in small portions (a pause grows with the number of objects looked at, a few ten nanoseconds each).
The old generation, whose collection has no such bound, is never collected automatically but by a task, and only while
the last pause, grown in proportion to what has joined since, stays under half the limit; otherwise its objects are
frozen too, which costs nothing now and leaves whatever cycles they hold uncollected. Every pause is measured.
(facts: worst pause with a million live objects 809 ms by default, 0.5 ms with bounded objects.)
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from arbot.runtime.clock import NS_PER_MS, Scheduler
from arbot.runtime.latency import LatencyHistogram

PAUSE_MS_MAX = 5
PERIOD_S = 10.0
THRESHOLDS = (2_000, 3, 1_000_000_000)  # new objects to a young collection, young to a middle one, middle to an old one


class GcPolicy:
    """Collects when told to, and measures what it costs."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._began_ns = 0
        self._before = gc.get_threshold()
        self._old_pause_ns = 0
        self._old_periods = 0
        self.pauses = LatencyHistogram()
        self.pauses_of = tuple(LatencyHistogram() for _ in gc.get_stats())  # the same by generation
        self.freezes = 0

    def start(self) -> None:
        """Collect all, freeze what lives, and bound what the interpreter collects by itself."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        gc.callbacks.append(self._measure)

    def settle(self) -> None:
        """Freeze what a venue's start has brought to stay: instruments, sessions, caches."""
        gc.freeze()

    def stop(self) -> None:
        """Give the collector back as it was."""
        gc.callbacks.remove(self._measure)
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def tend(self) -> None:
        """Collect the old generation if that can be afforded, else freeze it."""
        expected_ns = self._old_pause_ns * (self._old_periods + 1) // max(1, self._old_periods)
        if expected_ns > PAUSE_MS_MAX * NS_PER_MS // 2:
            gc.freeze()
            self.freezes += 1
            self._old_pause_ns = self._old_periods = 0
            return
        began_ns = self._now_ns()
        gc.collect()
        self._old_pause_ns = self._now_ns() - began_ns
        self._old_periods += 1

    async def run(self, clock: Scheduler, beat: Callable[[str], None]) -> None:
        """Tend for ever."""
        while True:
            await clock.sleep(PERIOD_S)
            self.tend()
            beat("gc")

    def pause_max_ms(self) -> float:
        """Return the longest pause since the start."""
        return round(self.pauses.max_ns / NS_PER_MS, 3)

    def _measure(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = self._now_ns()
        else:
            pause_ns = self._now_ns() - self._began_ns
            self.pauses.add(pause_ns)
            self.pauses_of[info["generation"]].add(pause_ns)
