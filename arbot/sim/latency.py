"""How long messages take between a customer and a pretend venue.

`LatencyModel` is for simulators that serve a wire; the `Delay`s are for replays. Every delay is a quantile function, so
that one random number makes one delay, whatever its kind: the same seed asks the same luck of every model, and a model
that is slower by a factor is slower by that factor at every single request.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from statistics import NormalDist

import msgspec

from arbot.domain.errors import ensure

_NS_PER_MS = 1_000_000
_NS_PER_US = 1_000
_NORMAL = NormalDist()
_Z99 = _NORMAL.inv_cdf(0.99)
_LUCK_MIN, _LUCK_MAX = 2.0**-53, 1 - 2.0**-53  # where the normal distribution's inverse is finite


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds: a fixed part and the mean of an exponential part, for the way in, the way out, and pushed frames.

    Frames of one connection keep their order; requests may overtake each other, as they do on a network.
    """

    request_ms: float = 0.0
    request_jitter_ms: float = 0.0
    answer_ms: float = 0.0
    answer_jitter_ms: float = 0.0
    frame_ms: float = 0.0


class LatencyModel:
    """Draws delays in seconds."""

    def __init__(self, latency: Latency, rng: random.Random) -> None:
        self.latency = latency
        self._rng = rng

    def _draw(self, fixed_ms: float, jitter_ms: float) -> float:
        return (fixed_ms + (self._rng.expovariate(1 / jitter_ms) if jitter_ms > 0 else 0.0)) / 1000

    def request_s(self) -> float:
        """Return how long a request is under way."""
        return self._draw(self.latency.request_ms, self.latency.request_jitter_ms)

    def answer_s(self) -> float:
        """Return how long an answer is under way."""
        return self._draw(self.latency.answer_ms, self.latency.answer_jitter_ms)

    def frame_s(self) -> float:
        """Return how long a pushed frame is under way."""
        return self.latency.frame_ms / 1000


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """No delay at all, and what the others have in common: `factor` stretches what they say."""

    factor: float = 1.0

    def at_ns(self, luck: float) -> int:
        """Return the delay that a share `luck` (0 to 1) of all delays stays below."""
        return round(self.factor * self._quantile_ns(min(max(luck, _LUCK_MIN), _LUCK_MAX)))

    def draw_ns(self, chance: random.Random) -> int:
        """Return a delay, for exactly one number of `chance`."""
        return self.at_ns(chance.random())

    def _quantile_ns(self, _luck: float) -> float:
        return 0.0


class FixedDelay(Delay, frozen=True, kw_only=True):
    """The same every time."""

    ms: float

    def _quantile_ns(self, _luck: float) -> float:
        return self.ms * _NS_PER_MS


class LognormalDelay(Delay, frozen=True, kw_only=True):
    """Half take less than `p50_ms` and 99 in 100 less than `p99_ms`, as networks do: a long tail on one side.

    Whole microseconds, so that the last bit of a machine's exp() does not decide.
    """

    p50_ms: float
    p99_ms: float

    def __post_init__(self) -> None:
        ensure(0 < self.p50_ms <= self.p99_ms, "a lognormal delay needs 0 < p50 <= p99", delay=self)

    def _quantile_ns(self, luck: float) -> float:
        sigma = math.log(self.p99_ms / self.p50_ms) / _Z99
        return _NS_PER_US * round(1_000 * self.p50_ms * math.exp(sigma * _NORMAL.inv_cdf(luck)))


class SampledDelay(Delay, frozen=True, kw_only=True):
    """As measured: `sample_ns` is sorted, and between two neighbours delays are spread evenly."""

    sample_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        ensure(self.sample_ns and list(self.sample_ns) == sorted(self.sample_ns), "a sample is sorted and not empty")

    def _quantile_ns(self, luck: float) -> float:
        place = luck * (len(self.sample_ns) - 1)
        below = int(place)
        above = min(below + 1, len(self.sample_ns) - 1)
        return self.sample_ns[below] + (place - below) * (self.sample_ns[above] - self.sample_ns[below])


def sampled(delays_ns: Iterable[int], factor: float = 1.0) -> SampledDelay:
    """Return the delay of a sample in any order."""
    return SampledDelay(sample_ns=tuple(sorted(delays_ns)), factor=factor)


def slowed(delay: Delay, factor: float) -> Delay:
    """Return a delay that takes `factor` times as long at every draw."""
    return msgspec.structs.replace(delay, factor=delay.factor * factor)
