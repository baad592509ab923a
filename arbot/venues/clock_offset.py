"""How far a venue's clock is from ours, narrowed from coarse answers.

A venue that tells only whole seconds still bounds the offset: each answer gives an interval, and the intervals of
several answers overlap in a much smaller one.
"""

from __future__ import annotations

from collections import deque

OBSERVATIONS_MAX = 8  # older ones are forgotten, as clocks drift


class ClockOffset:
    """Venue clock minus ours, in ns."""

    def __init__(self) -> None:
        self._bounds: deque[tuple[int, int]] = deque(maxlen=OBSERVATIONS_MAX)

    @property
    def is_known(self) -> bool:
        """Whether the venue has ever told its time."""
        return bool(self._bounds)

    def observe(self, sent_ns: int, received_ns: int, venue_from_ns: int, venue_to_ns: int) -> None:
        """Take in that between two of our moments the venue's clock stood somewhere in an interval."""
        self._bounds.append((venue_from_ns - received_ns, venue_to_ns - sent_ns))

    def ns(self) -> int:
        """Return the middle of what all observations allow; when they contradict each other, of the newest alone."""
        if not self._bounds:
            return 0
        low = max(bound[0] for bound in self._bounds)
        high = min(bound[1] for bound in self._bounds)
        if low > high:  # a clock was set
            newest = self._bounds[-1]
            self._bounds.clear()
            self._bounds.append(newest)
            low, high = newest
        return (low + high) // 2
