"""The limiter never lets more through than the venue allows, and always lets the urgent through first."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.errors import InvariantBroken
from arbot.venues.limiter import (
    KRAKEN_TIERS,
    Bucket,
    Charge,
    Lane,
    Limiter,
    coinbase_buckets,
    kraken_buckets,
    kraken_cancel_cost,
)


class HandClock:
    """A clock that moves when told; sleeping moves it."""

    def __init__(self):
        self.ns = 1_700_000_000_000_000_000
        self.slept = 0

    def now_ns(self):
        return self.ns

    async def sleep(self, seconds):
        self.ns += int(seconds * 1e9)
        self.slept += 1
        await asyncio.sleep(0)


def bucket(capacity=10, drain=2, reserve=4):
    return Bucket(
        name="b", capacity=Decimal(capacity), drain_per_s=Decimal(drain), reserve=Decimal(reserve), source="test"
    )


STEPS = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 6), st.sampled_from(Lane)), min_size=1, max_size=60)


@given(STEPS, st.sampled_from(sorted(KRAKEN_TIERS)))
@settings(max_examples=150, deadline=None)
def test_never_over_the_venues_own_counter(steps, tier):
    """However requests come, the venue's counter (a twin kept by hand) never exceeds its maximum."""
    clock = HandClock()
    limiter = Limiter(clock, kraken_buckets(tier))
    rest_max, drain = Decimal(KRAKEN_TIERS[tier][0]), Decimal(KRAKEN_TIERS[tier][1])
    counter = Decimal(0)
    for pause_ms, cost, lane in steps:
        clock.ns += pause_ms * 1_000_000
        counter = max(Decimal(0), counter - drain * pause_ms / 1000)
        if limiter.try_take([Charge("rest", Decimal(cost))], lane):
            counter += cost
        assert counter <= rest_max
        assert abs(limiter.level("rest") - counter) < Decimal("1e-15")


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(Lane)), min_size=1, max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_second_of_coinbase_sees_more_than_its_limit(steps):
    """In no window of one second do more than 30 private requests pass."""
    clock = HandClock()
    limiter = Limiter(clock, coinbase_buckets())
    passed = []
    for pause_ms, lane in steps:
        clock.ns += pause_ms * 100_000
        if limiter.try_take([Charge("private")], lane):
            passed.append(clock.ns)
        assert sum(clock.ns - moment < 1_000_000_000 for moment in passed) <= 30


@given(STEPS)
@settings(max_examples=100, deadline=None)
def test_polling_leaves_the_reserve_alone(steps):
    """After any amount of polling the urgent lane still has its reserve."""
    clock = HandClock()
    limiter = Limiter(clock, [bucket()])
    for pause_ms, cost, _ in steps:
        clock.ns += pause_ms * 1_000_000
        limiter.try_take([Charge("b", Decimal(cost))], Lane.POLL)
        assert limiter.has_headroom([Charge("b", Decimal(4))])


def test_all_charges_or_none():
    """When one of two charges does not fit, neither is taken."""
    limiter = Limiter(HandClock(), [bucket()])
    assert not limiter.try_take([Charge("b", Decimal(3), "x"), Charge("b", Decimal(11), "y")])
    assert limiter.level("b", "x") == 0


def test_charges_of_one_bucket_are_summed():
    """A leg, a hedge and a cancel in the same bucket have to fit together."""
    limiter = Limiter(HandClock(), [bucket()])
    assert not limiter.has_headroom([Charge("b", Decimal(6)), Charge("b", Decimal(6))])


def test_subjects_have_counters_of_their_own():
    """Kraken counts orders per pair."""
    limiter = Limiter(HandClock(), [bucket()])
    assert limiter.try_take([Charge("b", Decimal(10), "XXBTZUSD")])
    assert limiter.try_take([Charge("b", Decimal(10), "XETHZUSD")])
    assert not limiter.try_take([Charge("b", subject="XXBTZUSD")])


async def test_waiting_ends_when_the_counter_has_drained():
    """A charge that does not fit yet waits exactly as long as it must."""
    clock = HandClock()
    limiter = Limiter(clock, [bucket()])
    limiter.exhaust("b")
    started_ns = clock.ns
    assert await limiter.take([Charge("b", Decimal(4))], Lane.URGENT, Decimal(10))
    assert 2_000_000_000 <= clock.ns - started_ns < 2_010_000_000


async def test_waiting_gives_up_at_once_when_it_is_hopeless():
    """An order is refused now rather than sent late."""
    clock = HandClock()
    limiter = Limiter(clock, [bucket()])
    limiter.exhaust("b")
    assert not await limiter.take([Charge("b", Decimal(4))], Lane.URGENT, Decimal(1))
    assert clock.slept == 0


async def test_urgent_waiter_goes_before_a_poll_that_came_first():
    """A poll that has been waiting longer lets the order pass."""
    clock = HandClock()
    limiter = Limiter(clock, [bucket()])
    limiter.exhaust("b")
    went = []

    async def ask(lane):
        await limiter.take([Charge("b", Decimal(5))], lane, Decimal(60))
        went.append(lane)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask(Lane.POLL))
        await asyncio.sleep(0)
        group.create_task(ask(Lane.URGENT))
    assert went == [Lane.URGENT, Lane.POLL]


def test_cost_of_a_cancel_falls_with_the_age_of_the_order():
    """Kraken's published steps."""
    ages = (0, 4, 5, 9, 10, 14, 15, 44, 45, 89, 90, 299, 300)
    assert [int(kraken_cancel_cost(Decimal(age))) for age in ages] == [8, 8, 6, 6, 5, 5, 4, 4, 2, 2, 1, 1, 0]


def test_unknown_tier_is_refused():
    """A tier that is not in the table has no numbers to go by."""
    with pytest.raises(InvariantBroken, match="unknown Kraken tier"):
        kraken_buckets("diamond")
