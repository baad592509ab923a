"""Messages reach every channel by itself: retried, paced, told once, and never at the cost of who tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arbot.domain.commands import Severity
from arbot.domain.redact import redactor
from arbot.notify.channels import Refused, Unreached
from arbot.notify.message import Kind, Message
from arbot.notify.notifier import GIVE_UP_S, Notifier, Terms
from arbot.runtime.clock import VirtualClock


class Scripted:
    """A channel that fails as told, then takes everything."""

    def __init__(self, clock: VirtualClock, *faults: Exception, is_hanging: bool = False) -> None:
        self._clock = clock
        self._faults = list(faults)
        self._is_hanging = is_hanging
        self.took: list[Message] = []
        self.tried_ns: list[int] = []

    async def send(self, message: Message) -> str:
        self.tried_ns.append(self._clock.now_ns())
        if self._is_hanging:
            await self._clock.sleep(1e9)
        if self._faults:
            raise self._faults.pop(0)
        self.took.append(message)
        return "ok"


def message(text: str = "fire", kind: Kind = Kind.KILL, severity: Severity = Severity.CRITICAL) -> Message:
    return Message(kind=kind, code=kind.value, severity=severity, title=f"{kind.value} title", text=text)


def notifier(clock: VirtualClock, **terms: int) -> Notifier:
    kinds = frozenset({Kind.KILL, Kind.LIMIT, Kind.ORDER, Kind.START})
    return Notifier(Terms(kinds=kinds, **terms), clock, redact=redactor(["a-known-secret"]), run_id="run")


@asynccontextmanager
async def sending(told: Notifier, **channels: Scripted) -> AsyncIterator[None]:
    told.connect(channels)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(told.run(name)) for name in channels]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def test_one_dead_channel_delays_no_other() -> None:
    """Deliver to one at once while the other hangs for ever."""
    clock = VirtualClock()
    hanging, fine = Scripted(clock, is_hanging=True), Scripted(clock)
    told = notifier(clock)
    async with sending(told, webhook=hanging, telegram=fine):
        for number in range(5):
            told.tell(message(f"fire {number}"))
        await clock.run_for(0.1)

        assert [f"fire {number}" for number in range(5)] == [one.text for one in fine.took]
        assert 1 == len(hanging.tried_ns)
        assert 4 == told.depth()


async def test_a_message_is_tried_again_with_growing_waits() -> None:
    """Try after 1 s and 2 s more, and count one message sent."""
    clock = VirtualClock()
    channel = Scripted(clock, Unreached("down"), Unreached("down"))
    told = notifier(clock)
    async with sending(told, webhook=channel):
        told.tell(message())
        await clock.run_for(5)

    assert [0, 1, 3] == [round((at - channel.tried_ns[0]) / 1e9) for at in channel.tried_ns]
    assert (1, 0) == (told.counts["webhook", "sent"], told.counts["webhook", "failed"])


async def test_what_the_other_side_asks_to_wait_is_waited() -> None:
    """Obey retry_after instead of the usual second, also when there is news meanwhile."""
    clock = VirtualClock()
    channel = Scripted(clock, Unreached("slow down", 7))
    told = notifier(clock)
    async with sending(told, telegram=channel):
        told.tell(message())
        await clock.run_for(3)
        told.tell(message("more"))
        await clock.run_for(5)

    assert 7 == round((channel.tried_ns[1] - channel.tried_ns[0]) / 1e9)
    assert ["fire", "more"] == [one.text for one in channel.took]


async def test_a_message_is_given_up_and_the_next_says_so() -> None:
    """Fail it after its time, and have the next that gets through say that one did not."""
    clock = VirtualClock()
    channel = Scripted(clock, *[Unreached("down")] * 25)
    told = notifier(clock)
    async with sending(told, webhook=channel):
        told.tell(message())
        await clock.run_for(GIVE_UP_S + 60, step_s=0.5)
        assert 1 == told.counts["webhook", "failed"]
        channel._faults.clear()
        told.tell(message("more"))
        await clock.run_for(1)

    assert [("more", 1)] == [(one.text, one.undelivered) for one in channel.took]


async def test_a_refused_message_is_not_sent_again() -> None:
    """Count it as failed at once and go on with the next."""
    clock = VirtualClock()
    channel = Scripted(clock, Refused("status 400"), ValueError("a bug of a plug-in"))
    told = notifier(clock)
    async with sending(told, webhook=channel):
        for text in ("one", "two", "three"):
            told.tell(message(text))
        await clock.run_for(0.1)

    assert ["three"] == [one.text for one in channel.took]
    assert 2 == told.counts["webhook", "failed"]


async def test_the_same_is_told_once_in_its_time() -> None:
    """Hold repetitions back, count them, and say how many there were when it is told again."""
    clock = VirtualClock()
    channel = Scripted(clock)
    told = notifier(clock, dedupe_s=60)
    async with sending(told, webhook=channel):
        for _ in range(4):
            told.tell(message())
        told.tell(message("another"))
        await clock.run_for(61, step_s=1)
        told.tell(message())
        await clock.run_for(1)

    assert [("fire", 0), ("another", 0), ("fire", 3)] == [(one.text, one.repeats) for one in channel.took]
    assert 3 == told.counts["webhook", "suppressed"]
    assert {"run-1", "run-2", "run-3"} == {one.id for one in channel.took}


async def test_good_news_and_deeds_make_the_same_news_again() -> None:
    """Tell a quarantine again after its release, and a kill after somebody took the first one back."""
    clock = VirtualClock()
    channel = Scripted(clock)
    told = Notifier(Terms(kinds=frozenset(Kind)), clock, redact=str, run_id="run")
    async with sending(told, webhook=channel):
        for kind, severity in (
            (Kind.VENUE, Severity.WARNING),
            (Kind.KILL, Severity.CRITICAL),
            (Kind.VENUE, Severity.INFO),
            (Kind.KILL, Severity.CRITICAL),  # nothing of it has changed
            (Kind.VENUE, Severity.WARNING),
            (Kind.OPERATOR, Severity.INFO),
            (Kind.KILL, Severity.CRITICAL),
            (Kind.OPERATOR, Severity.INFO),
        ):
            told.tell(message(kind=kind, severity=severity))
        await clock.run_for(0.1)

    assert ["venue", "kill", "venue", "venue", "operator", "kill", "operator"] == [
        one.kind.value for one in channel.took
    ]


async def test_a_kind_that_is_not_wanted_is_not_told() -> None:
    """Pass over what the file does not name."""
    clock = VirtualClock()
    channel = Scripted(clock)
    told = notifier(clock)
    async with sending(told, webhook=channel):
        told.tell(message(kind=Kind.WARNING))
        await clock.run_for(0.1)

    assert [] == channel.took


async def test_secrets_and_tricks_do_not_leave() -> None:
    """Blot out secrets, write out control characters, and cut what a venue made too long."""
    clock = VirtualClock()
    channel = Scripted(clock)
    told = notifier(clock)
    async with sending(told, webhook=channel):
        told.tell(message("key a-known-secret \x1b[2J\u202e " + "x" * 5_000))
        await clock.run_for(0.1)

        for number in range(70):
            told.tell(message(f"{number} a-known-secret\x1b"))
        await clock.run_for(61, step_s=1)

    assert [] == [one for one in channel.took if "a-known-secret" in str(one) or "\x1b" in str(one.more) + one.text]
    assert any(one.more for one in channel.took)
    text = channel.took[0].text
    assert text.startswith("key *** \\u001b[2J\\u202e xxx")
    assert 1_200 == len(text)


async def test_what_waits_is_sent_before_the_end() -> None:
    """Send everything in one digest, past the limit of the minute, when the run ends."""
    clock = VirtualClock()
    channel = Scripted(clock)
    told = notifier(clock, per_minute_max=1)
    async with asyncio.TaskGroup() as group, sending(told, webhook=channel):
        told.tell(message("first"))
        await clock.run_for(0.1)
        for number in range(9):
            told.tell(message(f"w{number}"))
        closing = group.create_task(told.close(5))
        await clock.run_for(0.1)

        assert await closing
    assert ["first", "w0"] == [one.text for one in channel.took]
    assert 8 == channel.took[1].more_count


async def test_the_end_does_not_wait_for_a_dead_channel() -> None:
    """Leave after the limit and count what was left as failed."""
    clock = VirtualClock()
    told = notifier(clock)
    hanging, fine = Scripted(clock, is_hanging=True), Scripted(clock)
    async with asyncio.TaskGroup() as group, sending(told, webhook=hanging, telegram=fine):
        told.tell(message())
        told.tell(message("more"))
        closing = group.create_task(told.close(5))
        await clock.run_for(4.9)
        assert not closing.done()
        await clock.run_for(0.2)

        assert not await closing
    assert ["fire", "more"] == [one.text for one in fine.took]
    assert 2 == told.counts["webhook", "failed"]


async def test_telling_never_waits_and_never_fails() -> None:
    """Take in far more than there is room for while nobody sends: only the newest critical ones are kept."""
    clock = VirtualClock()
    told = notifier(clock, queue_max=10)
    told.connect({"webhook": Scripted(clock, is_hanging=True)})
    for number in range(1_000):
        told.tell(message(f"fire {number}"))

    assert 10 == told.depth()
    assert {("notify", "full"): 990.0} == told.numbers()["arbot_queue_dropped_total"]
