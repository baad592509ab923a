"""TurboTax: its file of transactions, and its file of gains.

Rules of this file:
- Transactions: at most 8 decimals, no negative number, Date and Type required. `Convert` was rejected for one implementer,
  so a swap is a Sale with both sides. Source: the vendor's template and public exporters (November 2026).
- Gains: one row per slice, dates MM/DD/YYYY of the taxpayer's calendar, money with 2 decimals, half up.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from arbot.ledger.lots.words import Slice
from arbot.tax.formats.entries import Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import american, cents, rounded
from arbot.tax.formats.words import Row, TableFormat, described

_STEP: Final = Decimal("0.00000001")

_TYPES: Final[Mapping[Event, str]] = {
    Event.BUY: "Buy",
    Event.SELL: "Sale",
    Event.SWAP: "Sale",
    Event.BANK_IN: "Deposit",
    Event.BANK_OUT: "Withdrawal",
    Event.MOVE_OUT: "Transfer",
    Event.MOVE_IN: "Transfer",
    Event.INCOME: "Income",
    Event.SPEND: "Expense",
}

GAINS_HEADER: Final = "Currency Name,Purchase Date,Cost Basis,Date Sold,Proceeds"


def transaction(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry."""
    if len(entry.ts) > 20:
        losses.note("seconds", entry.id)
    type_ = "Airdrop" if entry.why == "airdrop" else _TYPES[entry.event]
    return (
        american(entry.ts),
        type_,
        entry.sent_asset,
        rounded(entry.sent, entry.sent_asset, _STEP, losses, entry.id),
        entry.received_asset,
        rounded(entry.received, entry.received_asset, _STEP, losses, entry.id),
        entry.fee_asset,
        rounded(entry.fee, entry.fee_asset, _STEP, losses, entry.id),
        "USD" if entry.value else "",
        cents(entry.value) if entry.value else "",
        described(entry),
        entry.txid,
        entry.id,
    )


def gain(one: Slice, acquired: str, sold: str) -> Row:
    """Return the row of a slice. The dates are local, MM/DD/YYYY."""
    return (one.asset, acquired, cents(one.basis), sold, cents(one.proceeds))


TRANSACTIONS: Final = TableFormat(
    "turbotax-transactions",
    "TurboTax, universal transactions",
    "Date,Type,Sent Asset,Sent Amount,Received Asset,Received Amount,Fee Asset,Fee Amount,Market Value Currency,"
    "Market Value,Description,Transaction Hash,Transaction ID",
    transaction,
    has_value=True,
    has_account=False,
)
