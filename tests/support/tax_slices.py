"""Builders of slices for tests of the forms."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from arbot.domain.history import parse_ts
from arbot.ledger.jurisdictions.days import LocalDays, is_beyond_year
from arbot.ledger.lots.words import Slice, Why

UTC_DAYS = LocalDays("UTC")


def ns(text: str) -> int:
    """Return the instant of "2025-05-06" (noon UTC) or of a whole time."""
    return parse_ts(text if "T" in text else f"{text}T12:00:00Z")


def is_long(acquired_ns: int, sold_ns: int) -> bool:
    """Return whether the sale came after the first anniversary, in UTC days."""
    return is_beyond_year(UTC_DAYS.of(acquired_ns), UTC_DAYS.of(sold_ns))


def a_slice(**changes: Any) -> Slice:
    """Return 1 BTC of lot a, bought 2025-01-03 for 90, sold 2025-05-06 for 100 by s1 at kraken, with changes.

    Amounts may be text, times a day or a time.
    """
    given = {
        "disposal": "s1",
        "lot": "a",
        "asset": "BTC",
        "account": "kraken",
        "qty": "1",
        "proceeds": "100",
        "basis": "90",
        "acquired": "2025-01-03",
        "sold": "2025-05-06",
        "why": Why.SELL,
        "method": "fifo",
        "identified_ns": 0,
        "seq": 0,
    } | changes
    acquired_ns, sold_ns = ns(given.pop("acquired")), ns(given.pop("sold"))
    amounts = {name: Decimal(given.pop(name)) for name in ("qty", "proceeds", "basis")}
    return Slice(**given, **amounts, acquired_ns=acquired_ns, sold_ns=sold_ns)


def day_of(text: str) -> int:
    """Return the ordinal of "2025-05-06"."""
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).toordinal()
