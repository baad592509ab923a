"""Fee tiers: which maker and taker rate an account pays at its 30-day volume.

The tables are the venues' public schedules as of 2025; they are data, and an account's starting volume picks its row.
"""

from __future__ import annotations

from collections import deque
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from arbot.domain.order import Liquidity
from arbot.domain.units import ZERO

WINDOW_NS = 30 * 24 * 3600 * 10**9


class FeeTier(msgspec.Struct, frozen=True):
    """From this 30-day quote volume on, these rates (fractions of the quote value)."""

    volume_min: Decimal
    maker: Decimal
    taker: Decimal


def tiers(*rows: tuple[int, str, str]) -> tuple[FeeTier, ...]:
    """Return a tier table from rows of (volume from, maker bps, taker bps)."""
    return tuple(
        FeeTier(Decimal(volume), Decimal(maker).scaleb(-4), Decimal(taker).scaleb(-4)) for volume, maker, taker in rows
    )


KRAKEN_TIERS = tiers(
    (0, "25", "40"),
    (10_000, "20", "35"),
    (50_000, "14", "24"),
    (100_000, "12", "22"),
    (250_000, "10", "20"),
    (500_000, "8", "18"),
    (1_000_000, "6", "16"),
    (2_500_000, "4", "14"),
    (5_000_000, "2", "12"),
    (10_000_000, "0", "10"),
)
COINBASE_TIERS = tiers(
    (0, "40", "60"),
    (10_000, "25", "40"),
    (50_000, "15", "25"),
    (100_000, "10", "20"),
    (1_000_000, "8", "18"),
    (15_000_000, "6", "16"),
    (75_000_000, "3", "12"),
    (250_000_000, "0", "8"),
    (400_000_000, "0", "5"),
)
BITSTAMP_TIERS = tiers(
    (0, "30", "40"),
    (10_000, "20", "30"),
    (100_000, "10", "20"),
    (500_000, "8", "18"),
    (1_500_000, "6", "16"),
    (5_000_000, "5", "12"),
    (20_000_000, "2", "10"),
)


def tier_index(table: tuple[FeeTier, ...], volume: Decimal) -> int:
    """Return the row of `table` that applies at a 30-day volume."""
    return max((at for at, tier in enumerate(table) if volume >= tier.volume_min), default=0)


def rate_of(tier: FeeTier, liquidity: Liquidity) -> Decimal:
    """Return the rate a fill pays."""
    return tier.maker if liquidity is Liquidity.MAKER else tier.taker


def fee_of(cost: Decimal, rate: Decimal, decimals: int, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Return the fee on a quote value, rounded to the decimals the venue charges in (half even unless told)."""
    return (cost * rate).quantize(Decimal(1).scaleb(-decimals), rounding=rounding)


class Volume:
    """Rolling 30-day volume in quote. The opening volume never leaves the window: it stands for trading elsewhere."""

    def __init__(self, opening: Decimal = ZERO) -> None:
        self._opening = opening
        self._traded: deque[tuple[int, Decimal]] = deque()
        self._sum = ZERO

    def add(self, ts_ns: int, cost: Decimal) -> None:
        """Count a fill."""
        self._traded.append((ts_ns, cost))
        self._sum += cost

    def total(self, now_ns: int) -> Decimal:
        """Return the volume of the last 30 days."""
        while self._traded and self._traded[0][0] < now_ns - WINDOW_NS:
            self._sum -= self._traded.popleft()[1]
        return self._opening + self._sum
