"""The words between a jurisdiction's rules and the lot book: effects go in, slices come out.

Rules of this file:
- An effect is what a history line means for lots, after fees were allocated by the rules of a country; money in its currency.
- A slice is the part of one disposal that took units of one lot. Slices of a disposal add up to it exactly.
- Nothing here rounds; dates are instants (ns), local days are for the jurisdiction.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from arbot.domain.errors import Mistake
from arbot.domain.history import Placed


class Why(StrEnum):
    """Why units left. WITHHELD marks fee units out of what was just received: their gain is zero by rule."""

    SELL = "sell"
    FEE = "fee"
    TRANSFER_FEE = "transfer_fee"
    SPEND = "spend"
    WITHHELD = "withheld"


class Acquire(msgspec.Struct, frozen=True, gc=False):
    """Units that came with a basis of their own: a new lot, named for the event that acquired it."""

    lot: str
    account: str
    asset: str
    qty: Decimal
    basis: Decimal
    acquired_ns: int


class Dispose(msgspec.Struct, frozen=True, gc=False):
    """Units that leave for a value. `lot` names the one lot they must come from, else the order in force decides.

    `costs` of the sale are taken off `proceeds` already; they are told for forms that show both.
    """

    disposal: str
    account: str
    asset: str
    qty: Decimal
    proceeds: Decimal
    why: Why
    lot: str = ""
    costs: Decimal = Decimal(0)


class Send(msgspec.Struct, frozen=True, gc=False):
    """Units on their way between two accounts, with basis and time. `arrives_ns` None: not yet there."""

    transfer: str
    account: str
    to: str
    asset: str
    qty: Decimal
    arrives_ns: int | None


class Remove(msgspec.Struct, frozen=True, gc=False):
    """Units that leave without a disposal: a gift."""

    disposal: str
    account: str
    asset: str
    qty: Decimal


LotEffect = Acquire | Dispose | Send | Remove


class Slice(msgspec.Struct, frozen=True, gc=False):
    """So much of a disposal out of one lot. `identified_ns` is when pick or standing order was recorded, 0 for FIFO by default."""

    disposal: str
    lot: str
    asset: str
    account: str
    qty: Decimal
    proceeds: Decimal
    basis: Decimal
    acquired_ns: int
    sold_ns: int
    why: Why
    method: str  # of LotMethod, "pick", or a jurisdiction's own rule such as "same-day"
    identified_ns: int
    seq: int  # place of the disposal's line


class Remaining(msgspec.Struct, frozen=True, gc=False):
    """What is left of a lot at one account; IN_TRANSIT while it is on its way, "*" in a pool over all accounts."""

    account: str
    asset: str
    lot: str
    qty: Decimal
    basis: Decimal
    acquired_ns: int


class OpenItem(msgspec.Struct, frozen=True):
    """Something that keeps a report from being filed until it is settled or accepted by name."""

    code: str  # such as "negative_balance": what --accept takes
    where: str  # line id, row, account
    what: str
    remedy: str
    seq: int = 0  # journal number it was found at, 0 where it has none

    @property
    def mistake(self) -> Mistake:
        """Return the item as the user is told it."""
        return Mistake(self.where, f"{self.what} [{self.code}]", self.remedy)


class Shortage(OpenItem, frozen=True, kw_only=True):
    """So much of an asset was disposed of that no lot has."""

    asset: str
    qty: Decimal


class Unvalued(OpenItem, frozen=True, kw_only=True):
    """So many lines lack the same thing to be valued by."""

    lines: int


class LotRun(Protocol):
    """One pass over a history under the rules of one country. Feed lines in order; slices come as they are known."""

    def feed(self, placed: Placed) -> list[Slice]:
        """Take the next line and return the slices that are certain now; some countries know them only later."""
        ...

    def finish(self) -> list[Slice]:
        """Return the slices that waited for the end of history."""
        ...

    def remaining(self) -> list[Remaining]:
        """Return what is left, sorted by account, asset, time and lot."""
        ...

    def open_items(self) -> list[OpenItem]:
        """Return what this country's rules found to be open, in order."""
        ...
