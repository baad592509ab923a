"""Takes messages from the daemon and brings them to every channel, each by itself.

Rules:
- `tell` is a plain call that never waits and never fails: the order path may make it.
- What was told lately is not told again; how often it happened meanwhile is said when it is told next. Good news is never
  held back, and after it what is told of its kind is news again; after a person's deed everything is.
- One task a channel: a channel that hangs, refuses or is slow delays no other.
- A message is tried again with growing waits, or as long as the other side asks, until it is `GIVE_UP_S` old; then it
  counts as failed, and the next one that gets through says that some did not.
- `close` sends what waits at once, as a digest, and leaves after its limit whatever happens.
- Nothing here knows an address; what is written to the log and sent has passed the redactor.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from arbot.domain.commands import Severity
from arbot.notify.channels import CHANNELS, Channel, Refused, Unreached
from arbot.notify.message import Kind, Message, cleaned
from arbot.notify.outbox import Outbox

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
GIVE_UP_S = 900.0
CLOSING_RETRY_S = 0.5
REMEMBERED_MAX = 1_000  # of what was told lately
OUTCOMES = ("sent", "failed", "suppressed")
QUEUE = "notify"
_NS_PER_S = 1_000_000_000
_log = structlog.get_logger("arbot.notify")


class Cancellable(Protocol):
    """A call that can be taken back."""

    def cancel(self) -> None:
        """Take it back."""
        ...


class Pace(Protocol):
    """A clock that calls back."""

    def now_ns(self) -> int:
        """Return ns since the Unix epoch."""
        ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> Cancellable:
        """Make the call after that many seconds."""
        ...


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, and how much of it."""

    kinds: frozenset[Kind]
    dedupe_s: int = 900
    per_minute_max: int = 10
    queue_max: int = 200


class Notifier:
    """The messages of one run. `counts` are by (channel, outcome), for every channel there could be."""

    def __init__(
        self,
        terms: Terms,
        clock: Pace,
        *,
        redact: Callable[[str], str],
        run_id: str,
        waited: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._terms = terms
        self.clock = clock
        self.redact = redact
        self._run_id = run_id
        self.waited = waited  # told how long, in ns, the oldest of what leaves has waited
        self._told: OrderedDict[tuple[str, str], tuple[int, int, Kind]] = (
            OrderedDict()
        )  # key: when, held back since, kind
        self._number = 0
        self._posts: dict[str, _Post] = {}
        self._settled = asyncio.Event()  # a channel has nothing left, or the time is over
        self.counts: Counter[tuple[str, str]] = Counter(
            {(channel, outcome): 0 for channel in CHANNELS for outcome in OUTCOMES}
        )

    def connect(self, channels: Mapping[str, Channel]) -> None:
        """Say where messages go; once. What was told before waits here until `run`."""
        for name, channel in channels.items():
            box = Outbox(self._terms.queue_max, self._terms.per_minute_max)
            self._posts[name] = _Post(name, channel, box, self)

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels there are."""
        return tuple(self._posts)

    def tell(self, message: Message) -> None:
        """Have a person told, if this kind is told. It returns at once and raises nothing."""
        if message.kind not in self._terms.kinds:
            return
        now_ns = self.clock.now_ns()
        is_news, repeats = self._remember(message, now_ns)
        if not is_news:
            for name in self._posts:
                self.counts[name, "suppressed"] += 1
            return
        self._number += 1
        ready = msgspec.structs.replace(
            message, id=f"{self._run_id}-{self._number}", ts_ns=message.ts_ns or now_ns, repeats=repeats
        )
        for post in self._posts.values():
            post.put(ready)

    async def run(self, channel: str) -> None:
        """Send for ever what is told to one channel."""
        await self._posts[channel].run()

    async def close(self, seconds: float) -> bool:
        """Send what waits, all at once, for at most that long; return whether nothing is left."""
        is_over = False

        def end() -> None:
            nonlocal is_over
            is_over = True
            self._settled.set()

        handle = self.clock.call_later(seconds, end)
        for post in self._posts.values():
            post.close()
        while not is_over and not all(post.is_idle for post in self._posts.values()):
            self._settled.clear()
            await self._settled.wait()
        handle.cancel()
        for post in self._posts.values():
            post.abandon()
        return not is_over

    def settled(self) -> None:
        """Note that a channel has nothing left."""
        self._settled.set()

    def depth(self) -> int:
        """Return how many messages wait, in the channel where most do."""
        return max((len(post.box) for post in self._posts.values()), default=0)

    def numbers(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return the metrics of the messages: by name, by labels."""
        return {
            "arbot_notifications_total": {key: float(count) for key, count in self.counts.items()},
            "arbot_queue_depth": {(QUEUE,): float(self.depth())},
            "arbot_queue_dropped_total": {
                (QUEUE, "full"): float(sum(post.box.dropped for post in self._posts.values()))
            },
        }

    def _remember(self, message: Message, now_ns: int) -> tuple[bool, int]:
        """Return whether it was told long enough ago to be told again, and how often it was held back meanwhile."""
        if message.severity is Severity.INFO:
            over = [
                key for key, (*_, kind) in self._told.items() if kind is message.kind or message.kind is Kind.OPERATOR
            ]
            for key in over:
                del self._told[key]
            return True, 0
        when_ns, held_back, _ = self._told.get(message.key, (0, 0, message.kind))
        if when_ns and now_ns - when_ns < self._terms.dedupe_s * _NS_PER_S:
            self._told[message.key] = (when_ns, held_back + 1, message.kind)
            return False, held_back + 1
        self._told[message.key] = (now_ns, 0, message.kind)
        self._told.move_to_end(message.key)
        while len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)
        return True, held_back


class _Post:
    """One channel, what waits for it, and the loop that empties that."""

    def __init__(self, name: str, channel: Channel, box: Outbox, of: Notifier) -> None:
        self._name = name
        self._channel = channel
        self.box = box
        self._of = of
        self._clock = of.clock
        self._wake = asyncio.Event()
        self._is_closing = False
        self._in_hand = 0
        self.is_idle = True

    def put(self, message: Message) -> None:
        if not self.box.put(message, self._clock.now_ns()):
            self._count("suppressed")
        self.is_idle = False
        self._wake.set()

    def close(self) -> None:
        self._is_closing = True
        self._wake.set()

    def abandon(self) -> None:
        """Count what is left as failed."""
        left = len(self.box) + self._in_hand
        if left:
            self._count("failed", left)
            _log.error("messages not delivered before the end", channel=self._name, messages=left)

    async def run(self) -> None:
        while True:
            if not len(self.box):
                self.is_idle = True
                self._of.settled()
                await self._nap()
                continue
            wait_ns = 0 if self._is_closing else self.box.wait_ns(self._clock.now_ns())
            if wait_ns:
                await self._nap(wait_ns / _NS_PER_S)
                continue
            now_ns = self._clock.now_ns()
            taken, self._in_hand, since_ns = self.box.take(now_ns, all_at_once=self._is_closing)
            message = cleaned(taken, self._of.redact)  # here and not when it is told: that is on the order path
            self._of.waited(now_ns - since_ns)
            if await self._deliver(message):
                self._count("sent")
                self._count("suppressed", self._in_hand - 1)
                self.box.delivered()
            else:
                self._count("failed", self._in_hand)
                self.box.lost(self._in_hand)
            self._in_hand = 0

    async def _deliver(self, message: Message) -> bool:
        """Return whether it got through, after as many tries as there is time for."""
        deadline_ns = message.ts_ns + round(GIVE_UP_S * _NS_PER_S)
        attempt = 0
        while True:
            try:
                await self._channel.send(message)
            except Refused as error:
                self._log("a message was refused", message, str(error))
                return False
            except Unreached as error:
                wait_s, why = error.wait_s or RETRY_S[min(attempt, len(RETRY_S) - 1)], str(error)
                if self._is_closing:
                    wait_s = max(error.wait_s, CLOSING_RETRY_S)
            # a bug of a channel: told in the log, the others go on
            except Exception as error:  # noqa: BLE001
                self._log("a channel is broken", message, type(error).__name__)
                return False
            else:
                return True
            if self._clock.now_ns() + round(wait_s * _NS_PER_S) > deadline_ns:
                self._log("a message was given up", message, why)
                return False
            if attempt == 0:
                self._log("a message does not get through, trying again", message, why)
            attempt += 1
            await self._nap(wait_s, is_patient=True)

    async def _nap(self, seconds: float = 0.0, *, is_patient: bool = False) -> None:
        """Wait that long (for ever when 0), or until there is news: a message (not for the patient), or the end of all."""
        is_over, was_closing = False, self._is_closing

        def end() -> None:
            nonlocal is_over
            is_over = True
            self._wake.set()

        handle = self._clock.call_later(seconds, end) if seconds else None
        try:
            while True:
                self._wake.clear()
                await self._wake.wait()
                if is_over or not is_patient or self._is_closing != was_closing:
                    return
        finally:
            if handle is not None:
                handle.cancel()

    def _count(self, outcome: str, number: int = 1) -> None:
        self._of.counts[self._name, outcome] += number

    def _log(self, event: str, message: Message, why: str) -> None:
        _log.warning(event, channel=self._name, code=message.code, title=message.title, error=self._of.redact(why))
