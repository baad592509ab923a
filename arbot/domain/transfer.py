"""Transfers of our own money between venues: what is wanted, what was allowed, and the table of their life.

A transfer is counted from the moment it is requested until it is credited or has failed: never at two venues, and
never nowhere. Quantities are in the asset, fees in the same asset, times in ns since the epoch.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NewType

import msgspec

from arbot.domain.ids import Asset, VenueId
from arbot.domain.units import ZERO

TransferId = NewType("TransferId", str)  # "<epoch>-t<number>": ours, never reused; the venue's own id is another
Network = NewType(
    "Network", str
)  # our name of a chain or rail: "bitcoin", "ethereum", "tron"; see config/registry.toml


class TransferState(StrEnum):
    """Where a transfer is; see TRANSFER_LIFE."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"  # the venue named it
    BROADCAST = "broadcast"  # it has a transaction id on the network
    CONFIRMED = "confirmed"  # the source calls it done
    CREDITED = "credited"  # the target has booked it
    UNKNOWN = "unknown"  # the request left and no usable answer came back
    STUCK = "stuck"  # later than the quantile of its route allows
    FAILED = "failed"  # refused, cancelled, or returned to the source

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more is expected."""
        return self in (TransferState.CREDITED, TransferState.FAILED)


ON_ITS_WAY = (TransferState.BROADCAST, TransferState.CONFIRMED, TransferState.CREDITED)  # the source no longer has it
_ENDED_BADLY = (TransferState.STUCK, TransferState.FAILED)

TRANSFER_LIFE: dict[TransferState, tuple[TransferState, ...]] = {
    TransferState.REQUESTED: (TransferState.ACCEPTED, TransferState.UNKNOWN, *ON_ITS_WAY, *_ENDED_BADLY),
    TransferState.UNKNOWN: (TransferState.ACCEPTED, *ON_ITS_WAY, *_ENDED_BADLY),
    TransferState.ACCEPTED: (*ON_ITS_WAY, *_ENDED_BADLY),
    TransferState.BROADCAST: (TransferState.CONFIRMED, TransferState.CREDITED, *_ENDED_BADLY),
    TransferState.CONFIRMED: (TransferState.CREDITED, *_ENDED_BADLY),
    TransferState.STUCK: (TransferState.ACCEPTED, *ON_ITS_WAY, TransferState.FAILED),
    TransferState.CREDITED: (TransferState.STUCK,),
    TransferState.FAILED: (TransferState.STUCK,),
}
"""Which state may follow which. A stuck transfer goes on as soon as there is news of it.

An end is left only by news that undoes it: a credit taken back after a reorganisation of the chain, a withdrawal that
was called failed and is under way all the same. A person is called then, so the next state is STUCK.
"""


class TransferIntent(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer we want, complete and named before anything leaves.

    `qty` is what should arrive; the source is debited `qty` + `fee_max` at the most. `key` is the source venue's own
    name of the address (Kraken sends to registered keys only), empty where the venue takes addresses.
    """

    transfer: TransferId
    source: VenueId
    target: VenueId
    asset: Asset
    network: Network
    address: str
    tag: str = ""
    key: str = ""
    qty: Decimal
    fee_max: Decimal = ZERO
    requested_ts_ns: int
    actor: str
    request_key: str = ""  # of whoever asked: the same key never makes a second transfer


class ApprovedTransfer(msgspec.Struct, frozen=True):
    """An intent that passed every rule. Built in `engine/risk` only; gateways take no less."""

    intent: TransferIntent
    rules: tuple[str, ...]


class TransferCredit(msgspec.Struct, frozen=True):
    """What the target booked of a transfer under one id of its own."""

    deposit: str
    qty: Decimal


class DelayEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """How long our own transfers on a route took: count, mean, and sum of squares around it, of ln(seconds)."""

    source: VenueId
    asset: Asset
    network: Network
    count: int
    log_mean: Decimal
    log_squares: Decimal


class TypicalFee(msgspec.Struct, frozen=True, kw_only=True):
    """The running median of what a venue takes for a withdrawal of an asset over a network, in the asset.

    `is_paid`: the venue tells no fee, and this is what our own transfers paid.
    """

    venue: VenueId
    asset: Asset
    network: Network
    fee: Decimal
    is_paid: bool = False


class NetworkTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue says of an asset on a network now. Unknown numbers are not zero: `is_told` says whether it told them."""

    asset: Asset
    network: Network
    can_deposit: bool
    can_withdraw: bool
    fee: Decimal = ZERO
    qty_min: Decimal = ZERO
    is_told: bool = True


class DepositAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue takes deposits of an asset on a network."""

    asset: Asset
    network: Network
    address: str
    tag: str = ""


class VenueStatus(StrEnum):
    """What a venue says of itself."""

    ONLINE = "online"
    MAINTENANCE = "maintenance"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY = "post_only"
    LIMIT_ONLY = "limit_only"
    DOWN = "down"


class MaintenanceWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a venue will not be there, as announced."""

    from_ns: int
    until_ns: int
    reason: str = ""
