"""Which deposit came from which withdrawal, and what went missing between them.

Rules of this file:
- A withdrawal puts coins into transit, a deposit takes them out (posting.py). A match closes the transit account to zero:
  what arrived less is a hidden fee with an account of its own. Without a match the difference stays visible in transit.
- Matched is what the engine found to be one of its own transfers (TransferMoved to CREDITED), else two movements with the
  same transaction id of the network, when no more is missing than the source charged as its fee.
- The ledger remembers transaction ids as transactions without postings (`tx|...`), so that they are found in the store too.
- What names its origin (`Transaction.origin`) carries the coins' cost basis and time of acquisition along.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.accounting import Posting, Transaction, TransactionKind
from arbot.domain.decisions import Decision, TransferMoved
from arbot.domain.events import MovementState, TransferReported
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import TransferState
from arbot.domain.units import EXACT, ZERO
from arbot.ledger import accounts

STATES = (MovementState.PENDING, MovementState.DONE, MovementState.FAILED)
"""In the order of time: a later state is never undone by news of an earlier one."""


class Match(NamedTuple):
    """A withdrawal and the deposits it became; each as (venue, the venue's id)."""

    asset: Asset
    withdrawal: tuple[VenueId, str]
    deposits: tuple[tuple[VenueId, str], ...]


def reference(venue: str, transfer_id: str, state: MovementState) -> str:
    """Return the reference under which a state of a movement is booked."""
    return f"{TransactionKind.TRANSFER}|{venue}|{transfer_id}|{state}"


def match_reference(match: Match) -> str:
    """Return the reference under which a match is booked: once per withdrawal."""
    return f"{TransactionKind.TRANSFER}|{match.withdrawal[0]}|{match.withdrawal[1]}|matched"


def tx_reference(asset: str, tx_id: str, *, is_deposit: bool) -> str:
    """Return the reference that leads from a network's transaction to the movement that carries its id."""
    return f"tx|{asset}|{tx_id}|{'in' if is_deposit else 'out'}"


def named(report: TransferReported) -> tuple[VenueId, str]:
    """Return who reported a movement, and its name there."""
    return report.venue, report.transfer_id


def told_by(origin: str) -> tuple[VenueId, str]:
    """Return the movement that a reference of it names."""
    _, venue, transfer_id, _ = origin.split("|")
    return VenueId(venue), transfer_id


def found_by_engine(decisions: Sequence[Decision]) -> tuple[Match, ...]:
    """Return the matches that this step's decisions have: transfers that are now credited, source and target named."""
    return tuple(
        Match(
            Asset(news.asset),
            (VenueId(news.source), news.venue_transfer_id),
            tuple((VenueId(news.target), credit.deposit) for credit in news.credits if credit.qty),
        )
        for news in decisions
        if isinstance(news, TransferMoved)
        and news.after is TransferState.CREDITED
        and news.venue_transfer_id
        and any(credit.qty for credit in news.credits)
    )


def in_transit(asset: Asset, transactions: Iterable[Transaction]) -> Decimal:
    """Return what these transactions put into transit and did not take out again."""
    total = ZERO
    for transaction in transactions:
        for posting in transaction.postings:
            if (posting.account, posting.asset) == (accounts.TRANSIT_UNMATCHED, asset):
                total = EXACT.add(total, posting.number)
    return total


def fee_of(asset: Asset, transactions: Iterable[Transaction]) -> Decimal:
    """Return what the source charged in these transactions of a withdrawal."""
    total = ZERO
    for transaction in transactions:
        for posting in transaction.postings:
            if posting.account.startswith(accounts.TRANSFER_FEES) and posting.asset == asset:
                total = EXACT.add(total, posting.number)
    return total


def hidden_fee(match: Match, missing: Decimal) -> tuple[Posting, ...]:
    """Return the postings that take what did not arrive out of transit."""
    if not missing:
        return ()
    lost = accounts.transfer_losses(match.deposits[0][0])
    return (
        Posting(lost, match.asset, missing),
        Posting(accounts.TRANSIT_UNMATCHED, match.asset, EXACT.minus(missing)),
    )
