"""Koinly's universal file: two sides make a trade, one side a deposit or withdrawal, the fee comes on top.

Rules of this file:
- Labels stay empty for trades and own transfers. `reward`, `cost`, `fee_refund`, `lending_interest` and `airdrop` are the
  vendor's; income of another kind becomes `reward`, which is taxed at value too (assumption).
- Net worth is the value in USD. No column for the account: a file per account. Source: the vendor's help (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arbot.tax.formats.entries import Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import iso_second, money, side
from arbot.tax.formats.words import Row, TableFormat, described

_INCOME: Final[Mapping[str, str]] = {
    "interest": "lending_interest",
    "rebate": "fee_refund",
    "fee_rebate": "fee_refund",
    "airdrop": "airdrop",
}


def row(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry."""
    if len(entry.ts) > 20:
        losses.note("seconds", entry.id)
    label = "cost" if entry.event is Event.SPEND else ""
    if entry.event is Event.INCOME:
        label = _INCOME.get(entry.why, "reward")
    return (
        f"{iso_second(entry.ts)} UTC",
        side(entry.sent, entry.sent_asset),
        entry.sent_asset,
        side(entry.received, entry.received_asset),
        entry.received_asset,
        side(entry.fee, entry.fee_asset),
        entry.fee_asset,
        money(entry.value) if entry.value else "",
        "USD" if entry.value else "",
        label,
        described(entry),
        entry.txid,
    )


KOINLY: Final = TableFormat(
    "koinly",
    "Koinly, universal",
    "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Fee Amount,Fee Currency,Net Worth Amount,"
    "Net Worth Currency,Label,Description,TxHash",
    row,
    has_value=True,
    has_account=False,
)
