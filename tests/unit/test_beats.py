"""Beats: each task has a pace of its own, and one that does not keep it is named."""

from __future__ import annotations

import asyncio

from arbot.runtime.clock import NS_PER_S, VirtualClock
from arbot.runtime.supervisor import SILENT_S_MAX, Supervisor


async def test_a_task_is_late_after_its_own_silence():
    """Its start is its first beat; one that hangs is named with the age of that, and no other task is."""
    clock = VirtualClock()
    supervisor = Supervisor(clock)

    async def beat_on() -> None:
        while True:
            supervisor.beat("quick")
            await clock.sleep(1)

    supervisor.spawn(beat_on(), "quick", is_endless=True, silent_s_max=5)
    supervisor.spawn(asyncio.Event().wait(), "slow", is_endless=True, silent_s_max=60)
    supervisor.spawn(asyncio.Event().wait(), "hung", is_endless=True, silent_s_max=5)
    await clock.run_for(4)
    assert {} == supervisor.late()
    await clock.run_for(4)
    assert ["hung"] == list(supervisor.late())
    assert 8_000 == supervisor.late()["hung"]
    await supervisor.close()


async def test_a_task_may_say_that_it_is_going_to_be_quiet():
    """An announced silence comes on top of the one that is allowed, and is over with the next beat."""
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    supervisor.expect_beats("venue:one", 5)
    supervisor.beat("venue:one", 60)
    clock.advance(64)
    assert {} == supervisor.late()
    clock.advance(2)
    assert {"venue:one": 66_000} == supervisor.late()
    supervisor.beat("venue:one")
    assert {} == supervisor.late()
    assert {"venue:one": clock.now_ns() + 5 * NS_PER_S} == supervisor.due_ns()


async def test_who_beats_without_a_pace_has_the_usual_one():
    """A name that nobody announced is late after the usual silence."""
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    supervisor.beat("feed:one:market")
    clock.advance(SILENT_S_MAX + 1)
    assert ["feed:one:market"] == list(supervisor.late())


async def test_a_task_that_is_over_is_missed_by_nobody():
    """With its end a task's beats are forgotten, and those of another task of that name are not."""
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    task = supervisor.spawn(asyncio.Event().wait(), "tape", silent_s_max=5)
    other = supervisor.spawn(asyncio.Event().wait(), "tape", silent_s_max=5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert {"tape"} == set(supervisor.beats_ns())
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert ({}, {}) == (supervisor.beats_ns(), supervisor.due_ns())
    await supervisor.close()


async def test_exceptions_are_counted_by_kind_from_the_start():
    """A kind of task is known with zero before anything of it fails; what follows the colon is never told."""
    supervisor = Supervisor(VirtualClock())

    async def fail() -> None:
        raise ValueError("planted")

    task = supervisor.spawn(fail(), "submit:ab0001")
    assert {"submit": 0} == dict(supervisor.exceptions)
    await asyncio.gather(task, return_exceptions=True)
    assert {"submit": 1} == dict(supervisor.exceptions)
