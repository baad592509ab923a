"""Short or long: how long units were held, by the taxpayer's local dates.

Rules of this file (Instructions for Form 8949 "Short-Term or Long-Term", Pub. 550; read November 2026):
- Counting begins on the day after acquisition and includes the day of disposal. More than one year is long.
- Our reading of the edges: long if and only if sold >= start + 1 year, where start is the day after acquisition, and
  29 February + 1 year is 1 March.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

from arbot.domain.history import NS_PER_S, S_PER_DAY
from arbot.ledger.jurisdictions.days import LocalDays

SURELY_SHORT_NS: Final = 363 * S_PER_DAY * NS_PER_S
"""Held for less than this is short by any clock: long are at least 366 days on the calendar, and no two clocks are 2 days apart."""


class Terms:
    """Terms in one time zone."""

    __slots__ = ("_days",)

    def __init__(self, timezone: str = "UTC") -> None:
        """Take the clock of a time zone. Raises: UserError when it is unknown."""
        self._days = LocalDays(timezone)

    def is_long(self, acquired_ns: int, sold_ns: int) -> bool:
        """Say whether units were held for more than one year."""
        if sold_ns - acquired_ns < SURELY_SHORT_NS:  # most slices: no day has to be looked up
            return False
        days = self._days
        return days.of(sold_ns) >= first_long_day(days.of(acquired_ns))

    def of(self, acquired_ns: int, sold_ns: int) -> str:
        """Return "L" for long and "S" for short."""
        return "L" if self.is_long(acquired_ns, sold_ns) else "S"


@lru_cache(maxsize=65_536)
def first_long_day(acquired_day: int) -> int:
    """Return the first day on which a sale of units acquired on a day is long; days are ordinals."""
    start = date.fromordinal(acquired_day + 1)
    if (start.month, start.day) == (2, 29):
        return date(start.year + 1, 3, 1).toordinal()
    return start.replace(year=start.year + 1).toordinal()
