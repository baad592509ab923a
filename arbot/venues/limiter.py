"""How much may be asked of a venue now: weighted counters that drain with time, one per (bucket, subject).

Rules:
- Time comes from the Clock port, which never steps back; a counter at its capacity refuses, it is never overdrawn.
- Of every bucket a share is kept for the urgent lane (orders, hedges, cancels, and asking after lost orders); polling
  gets what is above it, and only when nobody urgent waits.
- The numbers are data, with their sources. A venue that complains fills the bucket: `exhaust`.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import IntEnum

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.units import ONE, ZERO
from arbot.ports import Clock

NS_PER_S = Decimal(1_000_000_000)
WAIT_SLICE_S_MAX = Decimal("0.25")  # a waiter looks again at least this often, as others come and go


class Lane(IntEnum):
    """Who asks."""

    URGENT = 0
    POLL = 1


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """One counter of a venue: it may rise to `capacity` and drains at `drain_per_s`. `reserve` is for the urgent lane."""

    name: str
    capacity: Decimal
    drain_per_s: Decimal
    reserve: Decimal
    source: str


class Charge(msgspec.Struct, frozen=True):
    """What one request costs: in a bucket, for a subject (a pair, or "" for the whole account)."""

    bucket: str
    cost: Decimal = ONE
    subject: str = ""


_KRAKEN_REST = "https://docs.kraken.com/exchange/guides/rest/ratelimits (2026-11)"
_KRAKEN_ENGINE = "https://docs.kraken.com/exchange/guides/general/ratelimits (2026-11)"
_COINBASE = "30/s private, 10/s public by third parties; the venue publishes no figure (2026-11)"
_OWN = "own choice: slow enough for every exchange that ccxt knows"

KRAKEN_TIERS: dict[str, tuple[str, str, str, str]] = {
    # tier: REST maximum, REST drain/s, engine threshold per pair, engine drain/s
    "starter": ("15", "0.33", "60", "1"),
    "intermediate": ("20", "0.5", "125", "2.34"),
    "pro": ("20", "1", "180", "3.75"),
}

KRAKEN_CANCEL_COSTS: tuple[tuple[int, int], ...] = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
"""(age below this many seconds, cost of a cancel in the matching engine's counter); older orders cost nothing."""


def kraken_buckets(tier: str) -> tuple[Bucket, ...]:
    """Return Kraken's counters for a tier. Raises: InvariantBroken for a tier that is not in the table."""
    ensure(tier in KRAKEN_TIERS, "unknown Kraken tier", tier=tier, known=tuple(KRAKEN_TIERS))
    rest_max, rest_drain, engine_max, engine_drain = (Decimal(text) for text in KRAKEN_TIERS[tier])
    return (
        Bucket(name="rest", capacity=rest_max, drain_per_s=rest_drain, reserve=Decimal(8), source=_KRAKEN_REST),
        Bucket(name="engine", capacity=engine_max, drain_per_s=engine_drain, reserve=ZERO, source=_KRAKEN_ENGINE),
        Bucket(name="public", capacity=Decimal(5), drain_per_s=ONE, reserve=ZERO, source=_KRAKEN_REST),
    )


def coinbase_buckets() -> tuple[Bucket, ...]:
    """Return Coinbase's counters: capacity and drain are half the limit each, so no second ever sees more than it."""
    half_private, half_public = Decimal(15), Decimal(5)
    return (
        Bucket(name="private", capacity=half_private, drain_per_s=half_private, reserve=Decimal(10), source=_COINBASE),
        Bucket(name="public", capacity=half_public, drain_per_s=half_public, reserve=ZERO, source=_COINBASE),
    )


def generic_buckets() -> tuple[Bucket, ...]:
    """Return one modest counter for any other exchange."""
    return (Bucket(name="all", capacity=Decimal(10), drain_per_s=Decimal(5), reserve=Decimal(5), source=_OWN),)


def kraken_cancel_cost(age_s: Decimal) -> Decimal:
    """Return what cancelling an order of that age costs in the matching engine's counter."""
    return next((Decimal(cost) for below, cost in KRAKEN_CANCEL_COSTS if age_s < below), ZERO)


class Limiter:
    """The counters of one venue account."""

    def __init__(self, clock: Clock, buckets: Iterable[Bucket]) -> None:
        self._clock = clock
        self._buckets = {bucket.name: bucket for bucket in buckets}
        self._levels: dict[tuple[str, str], tuple[Decimal, int]] = {}
        self._urgent_waiting = 0

    def level(self, bucket: str, subject: str = "") -> Decimal:
        """Return how full a counter is now."""
        level, since_ns = self._levels.get((bucket, subject), (ZERO, 0))
        drained = self._buckets[bucket].drain_per_s * (self._clock.now_ns() - since_ns) / NS_PER_S
        return max(ZERO, level - drained)

    def has_headroom(self, charges: Iterable[Charge], lane: Lane = Lane.URGENT) -> bool:
        """Return whether all of the charges together would fit now. Nothing is taken."""
        return self._shortfall_s(_summed(charges), lane) == 0

    def try_take(self, charges: Iterable[Charge], lane: Lane = Lane.URGENT) -> bool:
        """Take all of the charges at once, or nothing. Returns whether they were taken."""
        wanted = _summed(charges)
        if self._shortfall_s(wanted, lane) > 0:
            return False
        now_ns = self._clock.now_ns()
        for key, cost in wanted.items():
            self._levels[key] = (self.level(*key) + cost, now_ns)
        return True

    async def take(self, charges: Iterable[Charge], lane: Lane, wait_s_max: Decimal) -> bool:
        """Wait until the charges fit, urgent ones first, and take them; False when `wait_s_max` would be exceeded."""
        wanted = tuple(charges)
        give_up_ns = self._clock.now_ns() + int(wait_s_max * NS_PER_S)
        self._urgent_waiting += lane is Lane.URGENT
        try:
            while True:
                if (lane is Lane.URGENT or not self._urgent_waiting) and self.try_take(wanted, lane):
                    return True
                left_s = (give_up_ns - self._clock.now_ns()) / NS_PER_S
                shortfall_s = self._shortfall_s(_summed(wanted), lane)
                if left_s <= 0 or shortfall_s > left_s:
                    return False
                pause_s = min(max(shortfall_s, Decimal("0.001")), WAIT_SLICE_S_MAX, left_s)
                await self._clock.sleep(float(pause_s))  # seconds, not money
        finally:
            self._urgent_waiting -= lane is Lane.URGENT

    def exhaust(self, bucket: str, subject: str = "") -> None:
        """Fill a counter to its capacity: the venue says we were over its limit, so our model was behind."""
        self._levels[(bucket, subject)] = (self._buckets[bucket].capacity, self._clock.now_ns())

    def used(self) -> dict[str, Decimal]:
        """Return how much of each counter is used, 1 = all; where subjects have one each, of the fullest."""
        fullest = dict.fromkeys(self._buckets, ZERO)
        for bucket, subject in tuple(self._levels):
            fullest[bucket] = max(fullest[bucket], self.level(bucket, subject))
        return {name: level / self._buckets[name].capacity for name, level in fullest.items()}

    def _shortfall_s(self, wanted: dict[tuple[str, str], Decimal], lane: Lane) -> Decimal:
        """Return the seconds until the charges fit: 0 now, a very long time when they are larger than the bucket."""
        longest = ZERO
        for (name, subject), cost in wanted.items():
            bucket = self._buckets[name]
            room = bucket.capacity - (bucket.reserve if lane is Lane.POLL else ZERO)
            over = self.level(name, subject) + cost - room
            if cost > room:
                return Decimal("Infinity")
            longest = max(longest, over / bucket.drain_per_s)
        return longest


def _summed(charges: Iterable[Charge]) -> dict[tuple[str, str], Decimal]:
    total: dict[tuple[str, str], Decimal] = {}
    for charge in charges:
        key = (charge.bucket, charge.subject)
        total[key] = total.get(key, ZERO) + charge.cost
    return total
