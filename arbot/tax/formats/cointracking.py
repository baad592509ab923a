"""CoinTracking and TokenTax, whose files are alike: what was bought, what was sold, the fee on top, the account's name.

Rules of this file:
- CoinTracking quotes every field and writes DD.MM.YYYY HH:MM:SS; TokenTax writes MM/DD/YYYY HH:MM, so the order inside a
  minute is lost. Sources: public importers and the vendors' help (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arbot.tax.formats.entries import TRADES, Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import american_minute, german, side
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
_COINTRACKING_WHY: Final[Mapping[str, str]] = {"airdrop": "Airdrop", "fee": "Other Fee"}


def cointracking(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry for CoinTracking."""
    if len(entry.ts) > 20:
        losses.note("seconds", entry.id)
    type_ = _COINTRACKING_WHY.get(entry.why) or _TYPES[entry.event]
    return (type_, *_sides(entry), entry.account, "", described(entry), german(entry.ts))


def tokentax(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry for TokenTax."""
    if entry.ts[17:] != "00Z":
        losses.note("minutes", entry.id)
    return (_TYPES[entry.event], *_sides(entry), entry.account, "", described(entry), american_minute(entry.ts))


def _sides(entry: Entry) -> Row:
    return (
        side(entry.received, entry.received_asset),
        entry.received_asset,
        side(entry.sent, entry.sent_asset),
        entry.sent_asset,
        side(entry.fee, entry.fee_asset),
        entry.fee_asset,
    )


COINTRACKING: Final = TableFormat(
    "cointracking",
    "CoinTracking",
    '"Type","Buy Amount","Buy Currency","Sell Amount","Sell Currency","Fee","Fee Currency","Exchange","Trade-Group",'
    '"Comment","Date"',
    cointracking,
    is_quoted=True,
)
TOKENTAX: Final = TableFormat(
    "tokentax",
    "TokenTax",
    "Type,BuyAmount,BuyCurrency,SellAmount,SellCurrency,FeeAmount,FeeCurrency,Exchange,Group,Comment,Date",
    tokentax,
)
