"""Who holds the tasks: every one is referenced, named, watched, and none dies silently.

A task that raises, or one that was to run for ever and returns, stops the run: `failure` is set, `stopping` fires, and
whoever waits on it (modes.py) halts in good order. Tasks are cancelled only by `close`, never by a sibling's failure,
because the requests of a halt are tasks too. Tasks that trading does not depend on are kept (`keep`): a bug in one is
logged and counted, and it begins anew after a growing wait, while the run goes on.

Endless tasks beat: each has a longest silence of its own, and one that is silent for longer is `late`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from arbot.domain.errors import InvariantBroken, UserError
from arbot.runtime.clock import NS_PER_MS, NS_PER_S, Scheduler
from arbot.runtime.latency import LatencyHistogram

LAG_PERIOD_S = 0.05
RESTART_S = (1.0, 2.0, 5.0, 15.0, 60.0)
CALLBACK = "callback"  # what exceptions are counted under that no task raised
SILENT_S_MAX = 30.0  # of a beating task that was spawned without saying
CALM_S = 300.0  # a kept task that has run that long has earned a quick restart again
_log = structlog.get_logger("arbot.supervisor")


class Supervisor:
    """The tasks of one run, and the reason why it has to end."""

    def __init__(self, clock: Scheduler) -> None:
        self._clock = clock
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._beats_ns: dict[str, int] = {}
        self._due_ns: dict[str, int] = {}  # by when each has to have beaten again
        self._silent_s_max: dict[str, float] = {}
        self.started = 0
        self.restarts: Counter[str] = Counter()  # of kept tasks, by name without what follows the colon
        self.exceptions: Counter[str] = Counter()  # that no task caught, the same
        self.lag = LatencyHistogram()
        self.stopping = asyncio.Event()
        self.reason = ""
        self.failure: BaseException | None = None

    def spawn(
        self, work: Coroutine[Any, Any, object], name: str, *, is_endless: bool = False, silent_s_max: float = 0.0
    ) -> asyncio.Task[None]:
        """Run `work` as a task that is held until it ends. An endless one that returns is a failure.

        With `silent_s_max` it beats under its own name, and is late when it has not for so long; it ends with the task.
        """
        if silent_s_max:
            self.expect_beats(name, silent_s_max)
        self.exceptions[kind_of(name)] += 0  # known from the start, so that a first failure is seen as a rise
        task = asyncio.get_running_loop().create_task(self._guarded(work, name, is_endless=is_endless), name=name)
        self._tasks[task] = name
        task.add_done_callback(lambda done: self._forget(done, work))
        self.started += 1
        return task

    def keep(self, make: Callable[[], Coroutine[Any, Any, object]], name: str) -> asyncio.Task[None]:
        """Run what `make` returns, and run it anew whenever it raises: for work that trading does not depend on.

        It ends when the work returns. However often it fails, the run goes on.
        """
        self.restarts[kind_of(name)] += 0
        return self.spawn(self._kept(make, name), name)

    def expect_beats(self, name: str, silent_s_max: float) -> None:
        """Count `name` as late from now on when it has not beaten for so long; its start is its first beat."""
        self._silent_s_max[name] = silent_s_max
        self.beat(name)

    def beat(self, name: str, quiet_s: float = 0.0) -> None:
        """Note that a periodic task is alive, and how long it is going to be quiet of its own accord."""
        now_ns = self._clock.now_ns()
        self._beats_ns[name] = now_ns
        self._due_ns[name] = now_ns + round((self._silent_s_max.get(name, SILENT_S_MAX) + quiet_s) * NS_PER_S)

    def late(self) -> dict[str, int]:
        """Return the tasks that have not beaten when they had to, with the age of their last beat in ms."""
        now_ns = self._clock.now_ns()
        return {
            name: (now_ns - self._beats_ns[name]) // NS_PER_MS
            for name, due_ns in self._due_ns.items()
            if now_ns > due_ns
        }

    def beat_ages_ms(self) -> dict[str, int]:
        """Return how long ago each periodic task last showed life."""
        now_ns = self._clock.now_ns()
        return {name: (now_ns - beat_ns) // NS_PER_MS for name, beat_ns in self._beats_ns.items()}

    def stop(self, reason: str) -> None:
        """Ask for the end of the run. The first reason stands."""
        if not self.stopping.is_set():
            self.reason = reason
            self.stopping.set()

    def fail(self, error: BaseException, where: str) -> None:
        """Record what went wrong and ask for the end of the run. The first failure stands, the others are logged.

        A mistake of the user's is logged without a traceback: it is told in words, with its remedy, at the end.
        """
        trace = None if isinstance(error, UserError) else error
        _log.critical("failure", where=where, error=f"{type(error).__name__}: {error}", exc_info=trace)
        if self.failure is None:
            self.failure = error
        self.stop(f"{where} failed: {type(error).__name__}: {error}")

    def watch_loop(self) -> None:
        """Take over exceptions that a callback of the loop would otherwise only have logged."""

        def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if isinstance(error, Exception) and not isinstance(error, (ConnectionError, TimeoutError)):
                self.exceptions[CALLBACK] += 1
                self.fail(error, str(context.get("message", "callback")))
            else:
                _log.warning("loop", message=str(context.get("message")), error=str(error))

        self.exceptions[CALLBACK] += 0
        asyncio.get_running_loop().set_exception_handler(handle)

    async def measure_lag(self) -> None:
        """Measure for ever how late the loop wakes a task that slept: what blocks the loop shows here."""
        while True:
            before_ns = self._clock.now_ns()
            await self._clock.sleep(LAG_PERIOD_S)
            self.lag.add(self._clock.now_ns() - before_ns - round(LAG_PERIOD_S * NS_PER_S))
            self.beat("lag")

    def beats_ns(self) -> dict[str, int]:
        """Return when each periodic task last showed life."""
        return dict(self._beats_ns)

    def due_ns(self) -> dict[str, int]:
        """Return by when each of them has to have shown life again."""
        return dict(self._due_ns)

    def tasks(self) -> dict[str, int]:
        """Return how many tasks run under each name."""
        counts: dict[str, int] = {}
        for name in self._tasks.values():
            counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))

    async def finish(self, prefix: str, seconds: float) -> bool:
        """Wait until the tasks whose names begin with `prefix` have ended; say whether they did in time."""
        deadline_ns = self._clock.now_ns() + round(seconds * NS_PER_S)
        while any(name.startswith(prefix) for name in self._tasks.values()):
            if self._clock.now_ns() >= deadline_ns:
                return False
            await self._clock.sleep(0.01)
        return True

    async def cancel(self, prefix: str) -> None:
        """Cancel the tasks whose names begin with `prefix` and wait for them."""
        chosen = [task for task, name in self._tasks.items() if name.startswith(prefix)]
        for task in chosen:
            task.cancel()
        await asyncio.gather(*chosen, return_exceptions=True)

    async def close(self) -> None:
        """Cancel every task and wait for all of them, also for those that ended ones have left behind."""
        while self._tasks:
            await self.cancel("")

    async def _kept(self, make: Callable[[], Coroutine[Any, Any, object]], name: str) -> None:
        failures = 0
        while True:
            began_ns = self._clock.now_ns()
            try:
                await make()
            # nothing of trading depends on it: told in the log and in the metrics, and begun anew
            except Exception as error:  # noqa: BLE001
                if self._clock.now_ns() - began_ns > CALM_S * NS_PER_S:
                    failures = 0
                wait_s = RESTART_S[min(failures, len(RESTART_S) - 1)]
                failures += 1
                self.restarts[kind_of(name)] += 1
                self.exceptions[kind_of(name)] += 1
                _log.exception("task failed, beginning it anew", task=name, error=type(error).__name__, wait_s=wait_s)
                await self._clock.sleep(wait_s)
            else:
                return

    async def _guarded(self, work: Coroutine[Any, Any, object], name: str, *, is_endless: bool) -> None:
        try:
            await work
        # every failure of a task stops the run: told to the one who waits
        except Exception as error:  # noqa: BLE001
            self.exceptions[kind_of(name)] += 1
            self.fail(error, name)
        else:
            if is_endless:
                self.fail(InvariantBroken("a task that runs for ever has ended"), name)

    def _forget(self, task: asyncio.Task[None], work: Coroutine[Any, Any, object]) -> None:
        name = self._tasks.pop(task, "")
        if name not in self._tasks.values():
            for kept in (self._beats_ns, self._due_ns, self._silent_s_max):
                kept.pop(name, None)
        work.close()  # a task cancelled before its first step never awaited it


def kind_of(name: str) -> str:
    """Return what a task is, without whose it is: "feed" for "feed:kraken"."""
    return name.partition(":")[0]


Spawn = Callable[[Coroutine[Any, Any, object], str], "asyncio.Task[None]"]
