"""A histogram of durations in fixed memory: 16 steps per power of two, so a quantile is off by at most 6 %."""

from __future__ import annotations

_STEPS_LOG2 = 4
_STEPS = 1 << _STEPS_LOG2


class LatencyHistogram:
    """Counts of durations in ns."""

    __slots__ = ("_counts", "max_ns", "sum_ns", "total")

    def __init__(self) -> None:
        self._counts = [0] * (64 << _STEPS_LOG2)
        self.total = 0
        self.sum_ns = 0
        self.max_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; below zero counts as zero."""
        duration_ns = max(0, duration_ns)
        self._counts[_bucket(duration_ns)] += 1
        self.total += 1
        self.sum_ns += duration_ns
        self.max_ns = max(self.max_ns, duration_ns)

    def count_up_to(self, duration_ns: int) -> int:
        """Return how many durations were not longer, to the accuracy of the steps."""
        return sum(self._counts[: _bucket(duration_ns) + 1])

    def quantile_us(self, share: float) -> float:
        """Return the duration in microseconds that `share` of all do not exceed; 0 when nothing was counted."""
        wanted = share * self.total
        seen = 0
        for bucket, number in enumerate(self._counts):
            seen += number
            if number and seen >= wanted:
                return round(min(_upper_ns(bucket), self.max_ns) / 1_000, 1)
        return 0.0


def _bucket(duration_ns: int) -> int:
    exponent = max(0, duration_ns.bit_length() - _STEPS_LOG2 - 1)
    return (exponent << _STEPS_LOG2) + (duration_ns >> exponent)


def _upper_ns(bucket: int) -> int:
    if bucket < 2 * _STEPS:
        return bucket
    exponent = (bucket >> _STEPS_LOG2) - 1
    return ((bucket - (exponent << _STEPS_LOG2) + 1) << exponent) - 1
