"""BittyTax's records (United Kingdom): gross amounts, the fee on top, values in GBP where the line knows its rate.

Rules of this file:
- GBP = USD value x `fx` of the line, and only for what happened at the line's own time: the rate of another day is not
  used. Without it the value is empty, and BittyTax asks a price service.
- What is withdrawn is net of its fee and equal to what is deposited. Microseconds survive; nanoseconds are cut.
- Types as of BittyTax 0.6.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from arbot.tax.formats.entries import TRADES, Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import iso_micro, money, side
from arbot.tax.formats.words import Row, TableFormat, described

_TYPES: Final[Mapping[Event, str]] = {
    **dict.fromkeys(sorted(TRADES), "Trade"),
    Event.BANK_IN: "Deposit",
    Event.BANK_OUT: "Withdrawal",
    Event.MOVE_OUT: "Withdrawal",
    Event.MOVE_IN: "Deposit",
    Event.INCOME: "Income",
    Event.SPEND: "Spend",
}
_VALUED: Final = TRADES | {Event.INCOME, Event.SPEND}
_WHY: Final[Mapping[str, str]] = {
    "airdrop": "Airdrop",
    "fee_rebate": "Fee-Rebate",
    "interest": "Interest",
    "rebate": "Fee-Rebate",
}


def row(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry."""
    gbp = entry.line.fx.get("GBP") if entry.ts == entry.line.ts else None
    if gbp is None and (entry.event in _VALUED or entry.fee_asset):
        losses.note("no_gbp", entry.id)
    value = _gbp(entry.value, gbp)
    return (
        _WHY.get(entry.why) or _TYPES[entry.event],
        side(entry.received, entry.received_asset),
        entry.received_asset,
        value if entry.received_asset else "",
        side(entry.sent, entry.sent_asset),
        entry.sent_asset,
        value if entry.sent_asset else "",
        side(entry.fee, entry.fee_asset),
        entry.fee_asset,
        _gbp(entry.fee_value, gbp) if entry.fee_asset else "",
        entry.account,
        f"{iso_micro(entry.ts)} UTC",
        described(entry),
    )


def _gbp(value: Decimal, gbp: Decimal | None) -> str:
    return money(value * gbp) if gbp is not None and value else ""


BITTYTAX: Final = TableFormat(
    "bittytax",
    "BittyTax records",
    "Type,Buy Quantity,Buy Asset,Buy Value in GBP,Sell Quantity,Sell Asset,Sell Value in GBP,Fee Quantity,Fee Asset,"
    "Fee Value in GBP,Wallet,Timestamp,Note",
    row,
    has_value=True,
)
