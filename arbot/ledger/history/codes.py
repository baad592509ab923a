"""Codes of what is wrong with a history, as `--accept` takes them; docs/guide/tax.md says what each means and how to settle it.

Rules of this file:
- A code stands in brackets at the end of what is wrong, wherever that is told: at the import, by the report, in a bundle.
- What an import refuses cannot be accepted: it is mended in the file. What is booked can be accepted by name in a report.
"""

from __future__ import annotations

from typing import Final

BEFORE_EPOCH: Final = "before_epoch"
CONFLICT: Final = "conflict"
DUPLICATE_ID: Final = "duplicate_id"
IN_FUTURE: Final = "in_future"
MISSING_PRICE: Final = "missing_price"
MIXED_TIME_ZONES: Final = "mixed_time_zones"
NEGATIVE_BALANCE: Final = "negative_balance"
UNEXPLAINED_DIFFERENCE: Final = "unexplained_difference"
UNKNOWN_ASSET: Final = "unknown_asset"
UNMATCHED_TRANSFER: Final = "unmatched_transfer"
YEAR_EMPTY: Final = "year_empty"


def coded(what: str, code: str) -> str:
    """Return what is wrong with its code behind it."""
    return f"{what} [{code}]" if code else what
