"""How the bundle's files spell instants and numbers; cells are those of arbot/ledger/cells.py.

Rules of this file:
- Numbers are plain decimals with every digit they carry: nothing is rounded here.
- Instants are UTC as in the history format; the texts of days, minutes and seconds are made once and kept.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import lru_cache

from arbot.domain.history import NS_PER_S, S_PER_DAY

S_PER_MINUTE = 60
NS_PER_MS = 1_000_000
EPOCH_DAY = date(1970, 1, 1).toordinal()
MINUTES = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60))
SECONDS = tuple(f"{second:02d}" for second in range(60))
MILLIS = tuple(f".{millis:03d}".rstrip("0") for millis in range(1000))


@lru_cache(maxsize=65_536)  # a lot's time is asked for again when it is disposed of
def utc(ts_ns: int) -> str:
    """Return "2025-01-01T00:00:11.5Z" of ns since the epoch, with as many digits of the second as it needs."""
    seconds, nanos = divmod(ts_ns, NS_PER_S)
    day, rest = divmod(seconds, S_PER_DAY)
    minute, second = divmod(rest, S_PER_MINUTE)
    if nanos:
        millis, rest = divmod(nanos, NS_PER_MS)
        fraction = f".{nanos:09d}".rstrip("0") if rest else MILLIS[millis]
        return f"{_day(day)}{MINUTES[minute]}{SECONDS[second]}{fraction}Z"
    return f"{_day(day)}{MINUTES[minute]}{SECONDS[second]}Z"


def utc_or_empty(ts_ns: int) -> str:
    """Return the instant's text, or nothing for 0: it never was."""
    return utc(ts_ns) if ts_ns else ""


def plain(number: Decimal) -> str:
    """Return the number without exponent, all digits kept."""
    text = str(number)  # twice as fast as asking for no exponent, which hardly a number has
    return format(number, "f") if "E" in text else text


@lru_cache(maxsize=4096)
def _day(day: int) -> str:
    return date.fromordinal(day + EPOCH_DAY).isoformat()
