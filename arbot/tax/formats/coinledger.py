"""CoinLedger's universal file: amounts include the fee, and the header is compared as a whole.

Rules of this file:
- `(Optional)` is part of the header: without it the file was rejected, with it 3,024 rows were accepted (2026-07-19).
- A fee in the asset sent is added to the amount sent; one in the asset received is contained in it, which is the gross
  quantity already; one in a third asset stands beside them.
- What is paid for is a Merchant Payment, income that is neither interest nor airdrop is Income.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arbot.domain.units import EXACT
from arbot.tax.formats.entries import Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import american, side
from arbot.tax.formats.words import Row, TableFormat, described

_TYPES: Final[Mapping[Event, str]] = {
    Event.BUY: "Buy",
    Event.SELL: "Sell",
    Event.SWAP: "Trade",
    Event.BANK_IN: "Deposit",
    Event.BANK_OUT: "Withdrawal",
    Event.MOVE_OUT: "Withdrawal",
    Event.MOVE_IN: "Deposit",
    Event.INCOME: "Income",
    Event.SPEND: "Merchant Payment",
}
_INCOME: Final[Mapping[str, str]] = {"interest": "Interest", "airdrop": "Airdrop"}


def row(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry."""
    if len(entry.ts) > 20:
        losses.note("seconds", entry.id)
    sent = EXACT.add(entry.sent, entry.fee) if entry.fee_asset == entry.sent_asset else entry.sent
    return (
        american(entry.ts),
        entry.account,
        entry.sent_asset,
        side(sent, entry.sent_asset),
        entry.received_asset,
        side(entry.received, entry.received_asset),
        entry.fee_asset,
        side(entry.fee, entry.fee_asset),
        _INCOME.get(entry.why) or _TYPES[entry.event],
        described(entry),
        entry.txid,
    )


COINLEDGER: Final = TableFormat(
    "coinledger",
    "CoinLedger, universal",
    "Date (UTC),Platform (Optional),Asset Sent,Amount Sent,Asset Received,Amount Received,Fee Currency (Optional),"
    "Fee Amount (Optional),Type,Description (Optional),TxHash (Optional)",
    row,
)
