"""The two words of double entry: a posting and a transaction whose postings sum to zero in every asset."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.ids import Asset
from arbot.domain.units import EXACT, ZERO


class TransactionKind(StrEnum):
    """What a transaction records."""

    OPENING = "opening"
    FILL = "fill"
    FILL_REVERSAL = "fill_reversal"
    TRANSFER = "transfer"
    ADJUSTMENT = "adjustment"
    HISTORY = "history"  # some hundred imported lines, in sums


class Posting(msgspec.Struct, frozen=True):
    """`number` of `asset` into (positive) or out of (negative) a ledger account such as "assets:kraken"."""

    account: str
    asset: Asset
    number: Decimal


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """What one journaled event means in the ledger. `reference` is unique: the same reference is never posted twice."""

    seq: int
    ts_ns: int
    kind: TransactionKind
    reference: str
    postings: tuple[Posting, ...]
    origin: str = ""  # the reference of the withdrawal that a matched deposit came from: cost basis goes with the coins

    def __post_init__(self) -> None:
        """Check that every asset sums to zero. Raises: InvariantBroken."""
        sums: dict[Asset, Decimal] = {}
        for posting in self.postings:
            sums[posting.asset] = EXACT.add(sums.get(posting.asset, ZERO), posting.number)
        ensure(all(total == 0 for total in sums.values()), "postings do not sum to zero", transaction=self.reference)
