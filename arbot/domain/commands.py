"""What the engine wants done, in the imperative. Only the shell acts."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from arbot.domain.ids import ClientOrderId, InstrumentId, VenueId, VenueOrderId
from arbot.domain.order import Approved
from arbot.domain.transfer import ApprovedTransfer


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class SubmitOrder(_Command, frozen=True, kw_only=True):
    """Send an approved order. Its intent is durable before the request leaves; it is sent once."""

    approved: Approved


class CancelOrder(_Command, frozen=True, kw_only=True):
    """Ask the venue to cancel; the answer is an event."""

    client_order_id: ClientOrderId
    venue: VenueId
    instrument: InstrumentId
    venue_order_id: VenueOrderId | None


class CancelAllOrders(_Command, frozen=True, kw_only=True):
    """Cancel every order of ours at a venue and verify that none is left."""

    venue: VenueId


class QueryOrder(_Command, frozen=True, kw_only=True):
    """Find out what became of an order: by client order id among open and closed orders, and by its fills."""

    client_order_id: ClientOrderId
    venue: VenueId
    instrument: InstrumentId
    venue_order_id: VenueOrderId | None
    since_ns: int


class SubmitTransfer(_Command, frozen=True, kw_only=True):
    """Ask the source venue to withdraw. The intent is durable before the request leaves; it is sent once, for ever."""

    approved: ApprovedTransfer


class RequestTransfers(_Command, frozen=True, kw_only=True):
    """Fetch a venue's deposits and withdrawals: a transfer waits for news."""

    venue: VenueId


class RequestAccountSnapshot(_Command, frozen=True, kw_only=True):
    """Fetch all balances of a venue."""

    venue: VenueId


class ResyncBook(_Command, frozen=True, kw_only=True):
    """Build one book anew."""

    instrument: InstrumentId


class SetTimer(_Command, frozen=True, kw_only=True):
    """Fire TimerFired(key) at `at_ns`; setting a key again moves it."""

    key: str
    at_ns: int


class CancelTimer(_Command, frozen=True, kw_only=True):
    """Forget a timer; unknown keys are fine."""

    key: str


class Severity(StrEnum):
    """How soon a person has to look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class RaiseAlert(_Command, frozen=True, kw_only=True):
    """Tell a person."""

    severity: Severity
    code: str
    text: str


class StopRun(_Command, frozen=True, kw_only=True):
    """End the process in good order: a drain is complete."""

    reason: str


Command = (
    SubmitOrder
    | CancelOrder
    | CancelAllOrders
    | QueryOrder
    | SubmitTransfer
    | RequestTransfers
    | RequestAccountSnapshot
    | ResyncBook
    | SetTimer
    | CancelTimer
    | RaiseAlert
    | StopRun
)
