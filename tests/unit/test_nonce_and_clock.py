"""Nonces rise over restarts and arrive in order; the venue's clock is narrowed from coarse answers."""

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from arbot.venues.clock_offset import ClockOffset
from arbot.venues.nonce import FileMark, MemoryMark, NonceGuard, NonceLane
from arbot.venues.timestamps import parse_seconds_ns, rfc3339_ms

S = 1_000_000_000


class LoopClock:
    """The loop's own time."""

    def now_ns(self):
        return time.monotonic_ns()  # noqa: TID251 - a clock for tests

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


def test_mark_is_ahead_of_every_nonce_used(tmp_path):
    """Whatever nonce was used, the next process starts above it."""
    guard = NonceGuard(FileMark(tmp_path / "nonce"))
    for nonce in (5, 1_000, 10_004, 10_006, 500_000):
        guard.used(nonce)
        assert NonceGuard(FileMark(tmp_path / "nonce")).highest >= nonce
    assert [path.name for path in tmp_path.iterdir()] == ["nonce"]


def test_mark_is_written_rarely():
    """Nonces below the mark cost no write."""

    class CountingMark(MemoryMark):
        writes = 0

        def save(self, nonce):
            self.writes += 1
            super().save(nonce)

    mark = CountingMark()
    guard = NonceGuard(mark)
    for nonce in range(1, 10_000):
        guard.used(nonce)
    assert mark.writes == 1


async def test_lane_lets_one_pass_at_a_time_urgent_first():
    """Polls wait for each other; an order overtakes those that wait."""
    lane, went = NonceLane(LoopClock()), []

    async def ask(name, *, urgent):
        async with lane.turn(urgent=urgent):
            went.append(name)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        for name, urgent in (("poll 1", False), ("poll 2", False), ("order", True)):
            group.create_task(ask(name, urgent=urgent))
    assert went == ["poll 1", "order", "poll 2"]


async def test_order_does_not_wait_for_a_poll_that_hangs():
    """After the arrival time the order goes, and the poll keeps its place in flight."""
    lane, hanging, ordered = NonceLane(LoopClock()), asyncio.Event(), asyncio.Event()

    async def poll():
        async with lane.turn(urgent=False):
            await hanging.wait()

    async def order():
        async with lane.turn(urgent=True):
            ordered.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(poll())
        await asyncio.sleep(0)
        group.create_task(order())
        await asyncio.wait_for(ordered.wait(), 5)
        hanging.set()


async def test_lane_survives_cancelled_waiters():
    """A waiter that is cancelled leaves no gap in the line."""
    lane, release, went = NonceLane(LoopClock()), asyncio.Event(), []

    async def hold():
        async with lane.turn(urgent=False):
            await release.wait()

    async def ask():
        async with lane.turn(urgent=False):
            went.append("last")

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        await asyncio.sleep(0)
        doomed = group.create_task(ask())
        group.create_task(ask())
        await asyncio.sleep(0)
        doomed.cancel()
        release.set()
    assert went == ["last"]


@given(
    st.integers(-5 * S, 5 * S),
    st.lists(st.tuples(st.integers(0, 20 * S), st.integers(0, S // 5)), min_size=1, max_size=30),
)
def test_offset_is_within_half_a_second_however_coarse_the_clock(offset_ns, asks):
    """Whole seconds bound the offset to half a second plus half the round trip, and more answers only help."""
    clock, now_ns = ClockOffset(), 1_700_000_000 * S
    for pause_ns, rtt_ns in asks:
        now_ns += pause_ns
        second = (now_ns + rtt_ns // 2 + offset_ns) // S
        clock.observe(now_ns, now_ns + rtt_ns, second * S, (second + 1) * S)
        assert abs(clock.ns() - offset_ns) <= S // 2 + rtt_ns


def test_offset_follows_a_clock_that_was_set():
    """Answers that contradict the older ones replace them."""
    clock = ClockOffset()
    clock.observe(0, 0, 10 * S, 11 * S)
    clock.observe(0, 0, 50 * S, 51 * S)
    assert clock.ns() == 50 * S + S // 2


def test_times_keep_every_digit():
    """Seconds become ns without a float, and a deadline is written to the millisecond."""
    assert parse_seconds_ns("1795313388.606401234") == 1795313388606401234
    assert rfc3339_ms(1795313388_606_999_999) == "2026-11-22T02:09:48.606Z"
