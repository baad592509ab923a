"""What waits for one channel, and when the next may leave. Plain values and sums: nobody waits here, and nothing fails.

Rules:
- It never holds more than `size`. When it is full the oldest message that is not critical goes, a new one that is not
  critical gives way to critical ones, and only among critical ones the oldest goes. What went is counted.
- At most `per_minute_max` messages leave in any minute. The last of them carries everything that waits, as a digest, so a
  storm is one message that says so, and nothing is held back for longer than until a place is free.
"""

from __future__ import annotations

from collections import deque

import msgspec

from arbot.notify.message import Message, digest

_MINUTE_NS = 60_000_000_000


class Outbox:
    """The messages for one channel, in their order."""

    def __init__(self, size: int, per_minute_max: int) -> None:
        self._size = size
        self._per_minute_max = per_minute_max
        self._waiting: deque[tuple[int, Message]] = deque()  # (since when, what)
        self._left_ns: deque[int] = deque(maxlen=per_minute_max)
        self._minor = (
            0  # of those that wait, how many are not critical: a storm of critical ones is not searched each time
        )
        self._lost = 0  # since something got through: dropped here, or given up by the sender
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def put(self, message: Message, now_ns: int) -> bool:
        """Take a message in; return False when one had to go for want of room, this one or another."""
        self._waiting.append((now_ns, message))
        self._minor += not message.is_critical
        if len(self._waiting) <= self._size:
            return True
        at = 0
        if self._minor:
            at = next(at for at, (_, one) in enumerate(self._waiting) if not one.is_critical)
            self._minor -= 1
        del self._waiting[at]
        self.dropped += 1
        self._lost += 1
        return False

    def wait_ns(self, now_ns: int) -> int:
        """Return how long the next message has to wait for its place in the minute."""
        if len(self._left_ns) < self._per_minute_max:
            return 0
        return max(0, self._left_ns[0] + _MINUTE_NS - now_ns)

    def take(self, now_ns: int, *, all_at_once: bool = False) -> tuple[Message, int, int]:
        """Return what leaves now, how many messages it stands for, and since when the oldest of them has waited (ns).

        It takes a place in the minute. There has to be something waiting.
        """
        while self._left_ns and self._left_ns[0] <= now_ns - _MINUTE_NS:
            self._left_ns.popleft()
        is_last = len(self._left_ns) >= self._per_minute_max - 1
        since_ns = self._waiting[0][0]
        count = len(self._waiting) if is_last or all_at_once else 1
        taken = [self._waiting.popleft()[1] for _ in range(count)]
        self._minor -= sum(not one.is_critical for one in taken)
        self._left_ns.append(now_ns)
        message = digest(taken)
        return msgspec.structs.replace(message, undelivered=self._lost), count, since_ns

    def delivered(self) -> None:
        """Note that a message got through, and with it the number of those that had not."""
        self._lost = 0

    def lost(self, count: int) -> None:
        """Note messages that were given up."""
        self._lost += count
