"""Times of venues as ns since the epoch, exactly: no float on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_S = 1_000_000_000


def parse_seconds_ns(text: str | int) -> int:
    """Return "1795313388.6064" seconds in ns. Raises: ArithmeticError."""
    return int(Decimal(text) * _NS_PER_S)


def rfc3339_ms(ns: int) -> str:
    """Return ns as "2026-11-20T09:30:00.200Z", cut to the millisecond."""
    moment = _EPOCH + timedelta(milliseconds=ns // 1_000_000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
