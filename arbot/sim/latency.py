"""How long messages take between a customer and a pretend venue."""

from __future__ import annotations

import random

import msgspec


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
