"""What is assumed of a venue in a replay: how slow, how dear, how strict, and how crowded it is.

The same numbers for every order of a run; chance is drawn by the venue that is modelled (replayed.py). Shares are
fractions of orders or of quantities.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.units import ONE, ZERO
from arbot.sim.fees import FeeTier, Volume, tier_index
from arbot.sim.latency import Delay

NS_PER_S = 1_000_000_000
ARB_TOKENS = 3  # a leg, a hedge and a cancel


class FeeSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A table of tiers by 30-day volume, and the volume at the start. Fixed fees are a table of one row."""

    tiers: tuple[FeeTier, ...]
    volume_opening: Decimal = ZERO


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket of `burst` tokens that fills up again at `per_second`; an order costs one."""

    per_second: Decimal
    burst: int


class VenueModel(msgspec.Struct, frozen=True, kw_only=True):
    """One venue of one scenario. Without `limit` any number of orders is taken; without `consumes` depth comes back at once."""

    request: Delay
    answer: Delay
    fees: FeeSchedule
    limit: RateLimit | None = None
    reject_share: float = 0.0
    timeout_share: float = 0.0
    request_timeout_ms: int = 5_000
    depth_share: Decimal = ONE  # of each level's quantity is still there when we arrive
    rival_share: float = 0.0  # of our orders find the best level taken whole by somebody else
    consumes: bool = True


def fixed_fees(maker: Decimal, taker: Decimal) -> FeeSchedule:
    """Return the schedule of an account that always pays the same."""
    return FeeSchedule(tiers=(FeeTier(ZERO, maker, taker),))


class FeeMeter:
    """The tier an account is on, by what it has traded."""

    def __init__(self, schedule: FeeSchedule) -> None:
        ensure(schedule.tiers, "a fee schedule needs a row")
        self._tiers = schedule.tiers
        self._volume = Volume(schedule.volume_opening)

    def tier(self, now_ns: int) -> FeeTier:
        """Return the present row."""
        return self._tiers[tier_index(self._tiers, self._volume.total(now_ns))]

    def add(self, now_ns: int, cost: Decimal) -> None:
        """Count a fill of that quote value."""
        self._volume.add(now_ns, cost)


class TokenBucket:
    """Counts tokens exactly: by the moment at which the bucket would be full again."""

    def __init__(self, limit: RateLimit | None) -> None:
        self._limit = limit
        self._token_ns = 0 if limit is None else int(NS_PER_S / limit.per_second)
        self._full_ns = 0

    def tokens(self, now_ns: int) -> int:
        """Return how many whole tokens there are; an unlimited bucket always has enough for an arb."""
        if self._limit is None:
            return ARB_TOKENS
        missing_ns = max(0, self._full_ns - now_ns)
        return self._limit.burst - -(-missing_ns // self._token_ns)

    def take(self, now_ns: int) -> bool:
        """Take a token and return True, or return False when there is none."""
        if self.tokens(now_ns) < 1:
            return False
        self._full_ns = max(self._full_ns, now_ns) + self._token_ns
        return True
