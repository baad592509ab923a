"""How a session dials: growing, jittered waits, a budget, and a venue's own wish to be left alone. Time is pretended."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from aiohttp import web

from arbot.domain.events import FeedDisconnected, Stream
from arbot.domain.ids import InstrumentId, VenueId
from arbot.venues.codec import NOTHING, Decoded, StreamStats
from arbot.venues.session import Beat, Session, SessionPolicy, Wiring
from tests.support.loopback import serving_app
from tests.support.streams import RecordingSink

NOBODY = "ws://127.0.0.1:1/"


class PretendClock:
    """Jumps over every wait, remembers it, and cancels the sleeper after the last."""

    def __init__(self, waits_max: int) -> None:
        self.waits: list[float] = []
        self._waits_max = waits_max
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the pretended time."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Jump."""
        self.waits.append(seconds)
        self._now_ns += round(seconds * 1e9)
        if len(self.waits) >= self._waits_max:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


class Silence:
    """A dialect that asks for nothing."""

    def __init__(self) -> None:
        self.codec = self

    def reset(self) -> tuple[InstrumentId, ...]:
        return ()

    def decode(self, _frame: bytes, _recv_ts_ns: int) -> Decoded:
        return NOTHING

    async def opening(self) -> list[bytes]:
        return []

    def awaited(self) -> frozenset[tuple[str, str]]:
        return frozenset()

    def instrument_of(self, _symbol: str) -> InstrumentId | None:
        return None

    def unbuilt(self) -> tuple[InstrumentId, ...]:
        return ()

    def rebuilding(self, _instrument: InstrumentId) -> list[bytes]:
        return []

    def ping(self) -> bytes:
        return b""


async def dial(
    url: str, clock: PretendClock, policy: SessionPolicy, seed: int = 7, beat: Beat = lambda _quiet_s: None
) -> tuple[StreamStats, RecordingSink]:
    """Run a session until the clock has enough."""
    stats, sink = StreamStats(), RecordingSink()
    session = Session(
        Wiring(
            venue=VenueId("kraken"),
            stream=Stream.MARKET,
            url=url,
            dialect=Silence(),
            sink=sink,
            clock=clock,
            chance=Random(seed),
            stats=stats,
            policy=policy,
            beat=beat,
        )
    )
    with pytest.raises(asyncio.CancelledError):
        await session.run()
    return stats, sink


async def test_waits_between_dials_double_up_to_the_cap_and_are_jittered():
    """Each wait lies between half and all of a doubling step, and two sessions do not dial in step."""
    policy = SessionPolicy(backoff_s_min=1.0, backoff_s_max=8.0)
    one, other = PretendClock(7), PretendClock(7)
    stats, sink = await dial(NOBODY, one, policy)
    await dial(NOBODY, other, policy, seed=8)
    steps = [1, 2, 4, 8, 8, 8, 8]
    assert all(step / 2 <= wait <= step for wait, step in zip(one.waits, steps, strict=True))
    assert one.waits != other.waits
    assert {"connect_failed": 7} == stats.drops
    assert [FeedDisconnected] == [type(event) for event in sink.events]  # told once, not seven times


async def test_no_more_dials_than_the_budget_whatever_happens():
    """The fourth dial within the window waits until the first has left it."""
    clock = PretendClock(4)
    policy = SessionPolicy(backoff_s_min=0.01, backoff_s_max=0.01, dials_max=3, dials_window_s=100.0)
    stats, _ = await dial(NOBODY, clock, policy)
    assert {"connect_failed": 3} == stats.drops
    assert 99 < clock.waits[3] <= 100


async def test_a_stream_says_how_long_it_is_going_to_be_quiet():
    """Each wait is announced before it begins, whole, so that a long one is no sign of a stream that hangs."""
    clock, told = PretendClock(4), []
    policy = SessionPolicy(backoff_s_min=0.01, backoff_s_max=0.01, dials_max=3, dials_window_s=100.0)
    await dial(NOBODY, clock, policy, beat=told.append)
    assert clock.waits == [quiet_s for quiet_s in told if quiet_s != policy.connect_timeout_s]
    assert 3 == told.count(policy.connect_timeout_s)


@pytest.mark.parametrize(("asked", "expected"), [("17", 17), ("99999", 300), ("soon", None)])
async def test_a_venue_that_asks_for_a_pause_gets_it(asked, expected):
    """Retry-After is honoured up to a bound; nonsense is not."""

    async def busy(_request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": asked})

    app = web.Application()
    app.router.add_get("/", busy)
    clock = PretendClock(1)
    async with serving_app(app) as port:
        _, sink = await dial(f"ws://127.0.0.1:{port}/", clock, SessionPolicy(backoff_s_max=1.0))
    assert (expected or clock.waits[0]) == clock.waits[0]
    assert clock.waits[0] < 1 or expected
    assert "status 429" in sink.events[0].reason  # type: ignore[union-attr]
