"""rotki's two generic files: trades in one, everything else in the other; together they are the history.

Rules of this file:
- Times are milliseconds since 1970. A location is a name that rotki knows; other accounts are `external`, and told.
- Event types: Deposit, Withdrawal, Income, Spend (rotki's importer, November 2026). A rebate of a trade is Income there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arbot.domain.history import parse_ts
from arbot.tax.formats.entries import TRADES, Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import side
from arbot.tax.formats.words import Row, TableFormat, described

_NS_PER_MS: Final = 1_000_000

_LOCATIONS: Final = frozenset(
    {
        "binance",
        "binanceus",
        "bitfinex",
        "bitmex",
        "bitstamp",
        "bybit",
        "coinbase",
        "gemini",
        "kraken",
        "kucoin",
        "okx",
        "poloniex",
    }
)
_TYPES: Final[Mapping[Event, str]] = {
    Event.BANK_IN: "Deposit",
    Event.BANK_OUT: "Withdrawal",
    Event.MOVE_OUT: "Withdrawal",
    Event.MOVE_IN: "Deposit",
    Event.INCOME: "Income",
    Event.SPEND: "Spend",
}


def trade(entry: Entry, losses: Losses) -> Row | None:
    """Return the row of a trade, None for every other entry."""
    if entry.event not in TRADES:
        losses.note("not_a_trade", entry.id)
        return None
    return (
        _location(entry, losses),
        entry.sent_asset,
        entry.received_asset,
        side(entry.received, entry.received_asset),
        side(entry.sent, entry.sent_asset),
        side(entry.fee, entry.fee_asset),
        entry.fee_asset,
        described(entry),
        _milliseconds(entry, losses),
    )


def event(entry: Entry, losses: Losses) -> Row | None:
    """Return the row of an entry that is not a trade, None for trades."""
    if entry.event in TRADES:
        losses.note("a_trade", entry.id)
        return None
    is_out = bool(entry.sent_asset)
    asset, amount = (entry.sent_asset, entry.sent) if is_out else (entry.received_asset, entry.received)
    return (
        _TYPES[entry.event],
        _location(entry, losses),
        asset,
        side(amount, asset),
        side(entry.fee, entry.fee_asset),
        entry.fee_asset,
        described(entry),
        _milliseconds(entry, losses),
    )


def _location(entry: Entry, losses: Losses) -> str:
    name = entry.account.partition(".")[0]
    if name in _LOCATIONS:
        return name
    losses.note("location", entry.id)
    return "external"


def _milliseconds(entry: Entry, losses: Losses) -> str:
    milliseconds, rest = divmod(parse_ts(entry.ts), _NS_PER_MS)
    if rest:
        losses.note("milliseconds", entry.id)
    return str(milliseconds)


ROTKI_TRADES: Final = TableFormat(
    "rotki-trades",
    "rotki, generic trades",
    "Location,Spend Currency,Receive Currency,Receive Amount,Spend Amount,Fee,Fee Currency,Description,Timestamp",
    trade,
)
ROTKI_EVENTS: Final = TableFormat(
    "rotki-events",
    "rotki, generic events",
    "Type,Location,Currency,Amount,Fee,Fee Currency,Description,Timestamp",
    event,
)
