"""Blockpit's file: UTC, the account as integration, one label for each row.

Rules of this file:
- Labels: Trade, Deposit, Withdrawal, Fee, Airdrop, Staking, Lending, Bounties (November 2026). Rewards are Bounties; other
  income and rebates become Bounties too, other payments a Withdrawal, and both are told: no better label is known.
- The date's notation was not printed in any source seen: YYYY-MM-DD HH:MM:SS is an assumption.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from arbot.tax.formats.entries import TRADES, Entry, Event
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.notation import iso_second, side
from arbot.tax.formats.words import Row, TableFormat

_LABELS: Final[Mapping[Event, str]] = {
    **dict.fromkeys(sorted(TRADES), "Trade"),
    Event.BANK_IN: "Deposit",
    Event.BANK_OUT: "Withdrawal",
    Event.MOVE_OUT: "Withdrawal",
    Event.MOVE_IN: "Deposit",
    Event.INCOME: "Bounties",
    Event.SPEND: "Withdrawal",
}
_WHY: Final[Mapping[str, str]] = {
    "airdrop": "Airdrop",
    "fee": "Fee",
    "funding": "Fee",
    "interest": "Lending",
    "reward": "Bounties",
}


def row(entry: Entry, losses: Losses) -> Row:
    """Return the row of an entry."""
    if len(entry.ts) > 20:
        losses.note("seconds", entry.id)
    if entry.why and entry.why not in _WHY:
        losses.note("no_label", entry.id)
    return (
        iso_second(entry.ts),
        entry.account,
        _WHY.get(entry.why) or _LABELS[entry.event],
        entry.sent_asset,
        side(entry.sent, entry.sent_asset),
        entry.received_asset,
        side(entry.received, entry.received_asset),
        entry.fee_asset,
        side(entry.fee, entry.fee_asset),
        entry.note,
        entry.txid or entry.id,
        "",
        "",
    )


BLOCKPIT: Final = TableFormat(
    "blockpit",
    "Blockpit",
    "Date (UTC),Integration Name,Label,Outgoing Asset,Outgoing Amount,Incoming Asset,Incoming Amount,"
    "Fee Asset (optional),Fee Amount (optional),Comment (optional),Trx. ID (optional),Source Type,Source Name",
    row,
)
