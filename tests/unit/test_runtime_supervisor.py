"""No task dies silently, durations are counted right, and collecting garbage stays short."""

from __future__ import annotations

import asyncio
import gc

from arbot.domain.errors import InvariantBroken
from arbot.runtime.clock import SystemClock, VirtualClock
from arbot.runtime.gc_policy import THRESHOLDS, GcPolicy
from arbot.runtime.latency import LatencyHistogram
from arbot.runtime.supervisor import Supervisor


async def test_a_task_that_raises_stops_the_run():
    """The first failure is kept, with the name of its task, and the run is asked to end."""
    supervisor = Supervisor(SystemClock())

    async def work() -> None:
        raise ValueError("planted")

    supervisor.spawn(work(), "worker")
    await asyncio.wait_for(supervisor.stopping.wait(), 1)
    assert "worker failed: ValueError: planted" in supervisor.reason
    assert isinstance(supervisor.failure, ValueError)


async def test_an_endless_task_that_returns_is_a_failure():
    """A feed that simply ends would be a silent death."""
    supervisor = Supervisor(SystemClock())

    async def work() -> None:
        return

    supervisor.spawn(work(), "feed", is_endless=True)
    await asyncio.wait_for(supervisor.stopping.wait(), 1)
    assert isinstance(supervisor.failure, InvariantBroken)


async def test_a_failure_leaves_the_others_running_until_close():
    """The requests of a halt are tasks too: a failure cancels nobody, close cancels all."""
    supervisor = Supervisor(SystemClock())

    async def fail() -> None:
        raise ValueError("planted")

    supervisor.spawn(asyncio.sleep(60), "other")
    supervisor.spawn(fail(), "worker")
    await asyncio.wait_for(supervisor.stopping.wait(), 1)
    assert supervisor.tasks() == {"other": 1}
    await supervisor.close()
    assert supervisor.tasks() == {}


async def test_tasks_are_held_strongly():
    """A task nobody else refers to survives a collection."""
    supervisor = Supervisor(SystemClock())
    done: list[int] = []

    async def work() -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_result, None)
        await future
        done.append(1)

    supervisor.spawn(work(), "worker")
    gc.collect()
    assert await supervisor.finish("worker", 1)
    assert done == [1]


async def test_an_exception_in_a_callback_stops_the_run():
    """What the loop would only have logged is a failure."""
    supervisor = Supervisor(SystemClock())
    supervisor.watch_loop()

    def planted() -> None:
        raise ValueError("planted")

    asyncio.get_running_loop().call_soon(planted)
    await asyncio.wait_for(supervisor.stopping.wait(), 1)
    assert isinstance(supervisor.failure, ValueError)
    assert supervisor.exceptions == {"callback": 1}


async def test_lag_is_measured():
    """The meter beats, and says how old its last beat is."""
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    supervisor.spawn(supervisor.measure_lag(), "lag")
    await clock.run_for(0.2)
    clock.advance(1)
    assert supervisor.beat_ages_ms()["lag"] >= 900
    assert supervisor.lag.total >= 3
    await supervisor.close()


def test_quantiles_are_close():
    """A quantile is at most 6 % above the true value, whatever the scale."""
    histogram = LatencyHistogram()
    for value in range(1, 100_001):
        histogram.add(value * 1_000)
    for share in (0.1, 0.35, 0.5, 0.7, 0.99):
        assert share * 100_000 <= histogram.quantile_us(share) <= share * 100_000 * 1.07


def test_quantiles_of_nothing_are_zero():
    """An empty histogram has no durations to tell."""
    assert LatencyHistogram().quantile_us(0.99) == 0


def test_the_collector_is_given_back():
    """While the policy runs objects are frozen and old ones are not collected by themselves; afterwards all is as before."""
    before = gc.get_threshold()
    policy = GcPolicy(SystemClock().now_ns)
    policy.start()
    try:
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
        kept = [[[] for _ in range(10)] for _ in range(10_000)]
        assert policy.pauses.total > 0, kept
        gc.collect(1)
        of_the_middle = policy.pauses_of[1].total
        gc.collect(1)
        assert policy.pauses_of[1].total == of_the_middle + 1
        assert sum(pauses.total for pauses in policy.pauses_of) == policy.pauses.total
    finally:
        policy.stop()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_what_grows_old_is_frozen_before_it_costs_too_much():
    """The old generation is collected while that is cheap, and frozen once it would take longer than half the limit."""
    pauses_ms = iter((1, 2, 0))
    now_ms = [0]

    def now_ns() -> int:
        now_ms[0] += next(pauses_ms) if reading[0] % 2 else 0
        reading[0] += 1
        return now_ms[0] * 1_000_000

    reading = [0]
    policy = GcPolicy(now_ns)
    for _ in range(3):
        policy.tend()
    assert policy.freezes == 1
    gc.unfreeze()
