"""Keep the garbage collector from stopping the loop for longer than `PAUSE_MS_MAX`.

What lives at the end of the start-up is frozen, automatic collection is switched off, and a task collects the young
objects often enough that each collection is short. The old generation is collected only while the last pause, grown in
proportion to what has joined it since, stays well under the limit; otherwise its objects are frozen instead, which
costs nothing now and leaves whatever cycles they hold uncollected. Every pause is measured and reported.
(facts: gc off with bounded objects 0.5 ms; default 809 ms with a million live objects.)
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from arbot.runtime.clock import NS_PER_MS, NS_PER_S, Scheduler
from arbot.runtime.latency import LatencyHistogram

PAUSE_MS_MAX = 5
PERIOD_S = 0.1
YOUNG_MAX = 700  # allocations less deallocations that are worth a young collection
MIDDLE_EVERY = 20  # young collections to a middle one
OLD_EVERY = 15  # middle collections to an old one


class GcPolicy:
    """Collects when told to, and measures what it costs."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._began_ns = 0
        self._young = 0
        self._middle = 0
        self._old_pause_ns = 0
        self._old_periods = 0
        self.pauses = LatencyHistogram()
        self.freezes = 0

    def start(self) -> None:
        """Collect all, freeze what lives, and take over from the automatic collector."""
        gc.collect()
        gc.freeze()
        gc.disable()
        gc.callbacks.append(self._measure)

    def stop(self) -> None:
        """Give the collector back as it was."""
        gc.callbacks.remove(self._measure)
        gc.unfreeze()
        gc.enable()

    def tend(self) -> None:
        """Collect as much as is due and can be afforded."""
        if gc.get_count()[0] < YOUNG_MAX:
            return
        self._young += 1
        if self._young % MIDDLE_EVERY:
            gc.collect(0)
            return
        gc.collect(1)
        self._middle += 1
        if self._middle % OLD_EVERY:
            return
        expected_ns = self._old_pause_ns * (self._old_periods + 1) // max(1, self._old_periods)
        if expected_ns > PAUSE_MS_MAX * NS_PER_MS // 2:
            gc.freeze()
            self.freezes += 1
            self._old_pause_ns = self._old_periods = 0
            return
        began_ns = self._now_ns()
        gc.collect(2)
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
        return round(self.pauses.max_ns / (NS_PER_S / 1_000), 3)

    def _measure(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = self._now_ns()
        else:
            self.pauses.add(self._now_ns() - self._began_ns)
