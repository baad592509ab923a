"""Calendar days of a place: the local day of an instant, tax years, the same day a year later.

Rules of this file:
- A day is its ordinal (date.toordinal): days are compared and added as whole numbers, text is made once per day.
- Offsets from UTC are whole quarters of an hour and change at such quarters (tz database, every zone since 1973), so the
  day is looked up per quarter of an hour and remembered.
"""

from __future__ import annotations

from calendar import isleap
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import NS_PER_S, S_PER_DAY

_QUARTER_S = 15 * 60
QUARTER_NS = _QUARTER_S * NS_PER_S
_QUARTERS_PER_DAY = S_PER_DAY // _QUARTER_S
_EPOCH_DAY = date(1970, 1, 1).toordinal()


class LocalDays:
    """Days as the clocks of one time zone count them."""

    __slots__ = ("_day_by_quarter", "_zone", "timezone")

    def __init__(self, timezone: str) -> None:
        """Take a name of the tz database. Raises: UserError when it is unknown."""
        self.timezone = timezone
        self._zone = zone(timezone)
        self._day_by_quarter: dict[int, int] = {}

    def of(self, ts_ns: int) -> int:
        """Return the day of an instant."""
        quarter = ts_ns // QUARTER_NS
        day = self._day_by_quarter.get(quarter)
        if day is None:
            if self.timezone == "UTC":  # the usual clock of traders: no table of offsets has to be asked
                day = quarter // _QUARTERS_PER_DAY + _EPOCH_DAY
            else:
                day = datetime.fromtimestamp(quarter * _QUARTER_S, self._zone).toordinal()
            self._day_by_quarter[quarter] = day
        return day

    def begin_ns(self, day: int) -> int:
        """Return the instant at which a day begins."""
        midnight = datetime.fromordinal(day).replace(tzinfo=self._zone)
        return int(midnight.astimezone(UTC).timestamp()) * NS_PER_S


def zone(timezone: str) -> ZoneInfo:
    """Return the rules of a time zone of the tz database. Raises: UserError."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserError(
            Mistake("timezone", f"unknown time zone {timezone!r}", "use a name such as Europe/London or UTC")
        ) from error


@lru_cache(maxsize=65_536)
def day_text(day: int) -> str:
    """Return a day as YYYY-MM-DD."""
    return date.fromordinal(day).isoformat()


def day_of(text: str) -> int:
    """Return the day written YYYY-MM-DD. Raises: ValueError."""
    return date.fromisoformat(text).toordinal()


@lru_cache(maxsize=65_536)
def tax_year_of(day: int, begins: tuple[int, int]) -> int:
    """Return the calendar year in which the tax year of a day begins; `begins` is its first month and day."""
    when = date.fromordinal(day)
    return when.year if (when.month, when.day) >= begins else when.year - 1


def tax_year_days(year: int, begins: tuple[int, int]) -> range:
    """Return the days of the tax year that begins in `year`."""
    return range(date(year, *begins).toordinal(), date(year + 1, *begins).toordinal())


@lru_cache(maxsize=65_536)
def anniversary_of(day: int) -> int:
    """Return the day of the same number a year later; 29 February is followed by 28 February."""
    when = date.fromordinal(day)
    is_lost = (when.month, when.day) == (2, 29) and not isleap(when.year + 1)
    return when.replace(year=when.year + 1, day=28 if is_lost else when.day).toordinal()


def is_beyond_year(acquired_day: int, sold_day: int) -> bool:
    """Say whether the sale came after the first anniversary of the acquisition; on the anniversary it did not."""
    return sold_day - acquired_day > 364 and sold_day > anniversary_of(acquired_day)
