"""TaxBit's file: times with Z, sources by the name that the vendor knows, else `Other Exchange`.

Rules of this file:
- Types seen in public exporters: Buy, Sell, Trade, Transfer In, Transfer Out, Income, Expense (November 2026).
- A transfer is two rows with one blockchain hash. The vendor's list of names was not seen: the table holds the plain
  names of large venues (assumption).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arbot.tax.formats.entries import Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import side
from arbot.tax.formats.words import Row, TableFormat

OTHER: Final = "Other Exchange"

_TYPES: Final[Mapping[Event, str]] = {
    Event.BUY: "Buy",
    Event.SELL: "Sell",
    Event.SWAP: "Trade",
    Event.BANK_IN: "Transfer In",
    Event.BANK_OUT: "Transfer Out",
    Event.MOVE_OUT: "Transfer Out",
    Event.MOVE_IN: "Transfer In",
    Event.INCOME: "Income",
    Event.SPEND: "Expense",
}
_SOURCES: Final[Mapping[str, str]] = {
    "binance": "Binance",
    "bitstamp": "Bitstamp",
    "coinbase": "Coinbase",
    "gemini": "Gemini",
    "kraken": "Kraken",
    "kucoin": "KuCoin",
}


def row(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry. Its time is the line's own, with every digit."""
    del losses  # everything of an entry has its column
    source = _SOURCES.get(entry.account.partition(".")[0], OTHER)
    return (
        entry.ts,
        _TYPES[entry.event],
        side(entry.sent, entry.sent_asset),
        entry.sent_asset,
        source if entry.sent_asset else "",
        side(entry.received, entry.received_asset),
        entry.received_asset,
        source if entry.received_asset else "",
        side(entry.fee, entry.fee_asset),
        entry.fee_asset,
        entry.id,
        entry.txid,
    )


TAXBIT: Final = TableFormat(
    "taxbit",
    "TaxBit",
    "Date and Time,Transaction Type,Sent Quantity,Sent Currency,Sending Source,Received Quantity,Received Currency,"
    "Receiving Destination,Fee,Fee Currency,Exchange Transaction ID,Blockchain Transaction Hash",
    row,
)
