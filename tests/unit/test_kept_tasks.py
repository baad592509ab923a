"""Tasks that trading does not depend on: a bug in one is counted and the run goes on."""

from __future__ import annotations

import asyncio

import pytest

from arbot.runtime.clock import VirtualClock
from arbot.runtime.supervisor import Supervisor


async def test_a_kept_task_begins_anew_after_growing_waits() -> None:
    """Begin after 1, 2 and 5 s, count restarts and exceptions by kind, and fail nothing."""
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    began_s: list[float] = []
    start_ns = clock.now_ns()

    async def work() -> None:
        began_s.append((clock.now_ns() - start_ns) / 1e9)
        if len(began_s) < 4:
            raise ZeroDivisionError
        await asyncio.Event().wait()

    supervisor.keep(work, "notify:webhook")
    assert {"notify": 0} == dict(supervisor.restarts)
    await clock.run_for(20, step_s=0.5)

    assert [0, 1, 3, 8] == pytest.approx(began_s, abs=0.6)
    assert ({"notify": 3}, {"notify": 3}) == (dict(supervisor.restarts), dict(supervisor.exceptions))
    assert (False, None) == (supervisor.stopping.is_set(), supervisor.failure)
    await supervisor.close()


async def test_a_long_calm_is_rewarded() -> None:
    """Begin quickly again after five minutes without a fault."""
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    began_ns: list[int] = []

    async def work() -> None:
        began_ns.append(clock.now_ns())
        if len(began_ns) == 4:
            await clock.sleep(400)
        raise ZeroDivisionError

    supervisor.keep(work, "telegram")
    await clock.run_for(500, step_s=1)

    assert 401 == pytest.approx((began_ns[4] - began_ns[3]) / 1e9, abs=2)
    await supervisor.close()


async def test_a_kept_task_that_is_done_is_let_go() -> None:
    """End with its work, and count nothing."""
    supervisor = Supervisor(VirtualClock())

    async def work() -> None:
        return

    await supervisor.keep(work, "page")

    assert {"page": 0} == dict(supervisor.restarts)
    assert {} == supervisor.tasks()


async def test_any_other_task_still_ends_the_run() -> None:
    """Count its exception, too."""
    supervisor = Supervisor(VirtualClock())

    async def work() -> None:
        raise ZeroDivisionError

    await supervisor.spawn(work(), "feed:kraken")

    assert {"feed": 1} == dict(supervisor.exceptions)
    assert isinstance(supervisor.failure, ZeroDivisionError)
