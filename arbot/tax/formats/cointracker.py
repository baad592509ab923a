"""CoinTracker's file: all columns present, the tag empty for trades and transfers, the fee on top.

Rules of this file:
- Tags: `interest` and `airdrop`; for the rest no tag is known to be right, and what came without one is told.
- No column for the account: a file per account. No column for a value or an id. Source: the vendor's help (November 2026).
"""

from __future__ import annotations

from typing import Final

from arbot.tax.formats.entries import Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import american, side
from arbot.tax.formats.words import Row, TableFormat

_TAGS: Final = frozenset({"interest", "airdrop"})


def row(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry."""
    if len(entry.ts) > 20:
        losses.note("seconds", entry.id)
    tag = entry.why if entry.why in _TAGS else ""
    if not tag and entry.event in {Event.INCOME, Event.SPEND}:
        losses.note("no_label", entry.id)
    return (
        american(entry.ts),
        side(entry.received, entry.received_asset),
        entry.received_asset,
        side(entry.sent, entry.sent_asset),
        entry.sent_asset,
        side(entry.fee, entry.fee_asset),
        entry.fee_asset,
        tag,
    )


COINTRACKER: Final = TableFormat(
    "cointracker",
    "CoinTracker",
    "Date,Received Quantity,Received Currency,Sent Quantity,Sent Currency,Fee Amount,Fee Currency,Tag",
    row,
    has_account=False,
)
