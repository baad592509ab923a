"""How the bundle's files spell instants, numbers and cells.

Rules of this file:
- Numbers are plain decimals with every digit they carry: nothing is rounded here.
- Instants are UTC as in the history format; the text of a minute is made once and kept.
- Cells are quoted only where RFC 4180 asks for it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

NS_PER_S = 1_000_000_000
S_PER_MINUTE = 60
NS_PER_MINUTE = S_PER_MINUTE * NS_PER_S


@lru_cache(maxsize=16_384)
def utc(ts_ns: int) -> str:
    """Return "2025-01-01T00:00:11.5Z" of ns since the epoch, with as many digits of the second as it needs."""
    minute, rest = divmod(ts_ns, NS_PER_MINUTE)
    if rest % NS_PER_S:
        return f"{_minute(minute)}{rest // NS_PER_S:02d}.{rest % NS_PER_S:09d}".rstrip("0") + "Z"
    return f"{_minute(minute)}{rest // NS_PER_S:02d}Z"


def utc_or_empty(ts_ns: int) -> str:
    """Return the instant's text, or nothing for 0: it never was."""
    return utc(ts_ns) if ts_ns else ""


def plain(number: Decimal) -> str:
    """Return the number without exponent, all digits kept."""
    text = str(number)  # twice as fast as asking for no exponent, which hardly a number has
    return format(number, "f") if "E" in text else text


def cell(text: str) -> str:
    """Return the text as one CSV cell. A leading sign of a formula is kept: numbers may be negative."""
    if '"' in text or "," in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def cells(*texts: str) -> str:
    """Return one CSV row without its end of line."""
    return ",".join(map(cell, texts))


@lru_cache(maxsize=16_384)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * S_PER_MINUTE, UTC).strftime("%Y-%m-%dT%H:%M:")
