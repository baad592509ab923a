"""What the shell offers the core, as protocols: time, market data, orders, durable state.

Nothing here raises the world's errors into the core. Gateway calls about orders return events and never raise;
calls that fetch reference data raise VenueError, which the runtime turns into an event or a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

import msgspec

from arbot.domain.accounting import Transaction
from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.decisions import Outcome, TransferMoved
from arbot.domain.events import (
    Envelope,
    Event,
    NetworksReported,
    StandingRestored,
    TransferReported,
    VenueStatusReported,
)
from arbot.domain.ids import Asset, ClientOrderId, VenueId, VenueOrderId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.order import Approved, Fill, OrderIntent, OrderState
from arbot.domain.transfer import ApprovedTransfer, DepositAddress, Network, TransferIntent


class Secret:
    """A text that never shows itself: repr and str are masked, `reveal` is the one way out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


class Credentials(msgspec.Struct, frozen=True):
    """An API key pair of one venue account."""

    key: Secret
    secret: Secret


class VenueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One venue as configured. `adapter` is "kraken", "coinbase" or "ccxt:<exchange id>".

    URLs are empty for the venue's own hosts; only demo and tests override them, with loopback addresses.
    `tier` names the row of the venue's rate-limit table ("starter" | "intermediate" | "pro" at Kraken).
    """

    venue: VenueId
    adapter: str
    symbols: tuple[str, ...]
    book_depth: int = 100
    tier: str = "intermediate"
    rest_url: str = ""
    ws_public_url: str = ""
    ws_private_url: str = ""
    request_timeout_ms: int = 5_000
    frame_age_ms_max: int = 5_000  # no frame for this long and the socket is dropped
    poll_interval_ms: int = 15_000  # balances, fees, instruments and missed fills are polled this often
    networks: Mapping[Network, str] = {}  # our name of a network -> this venue's own, from the registry


class Clock(Protocol):
    """Wall time that never steps back (wall clock at start plus monotonic time since)."""

    def now_ns(self) -> int:
        """Return ns since the Unix epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long by this clock."""
        ...


class EventSink(Protocol):
    """Where a feed puts what it received: the sequencer."""

    def submit(self, events: Sequence[Event]) -> None:
        """Give each event its number and run it through the engine now, as a plain call."""
        ...

    def book_moved(self, book: int) -> None:
        """Say that the compiled book with this index changed; the detector runs once at the end of the burst."""
        ...


class Feed(Protocol):
    """One venue's websocket streams: market data into the books, orders and fills into the sink."""

    venue: VenueId

    async def run(self) -> None:
        """Connect, subscribe, decode, and reconnect with back-off for ever; ends only by cancellation."""
        ...

    def resync(self, instrument: str) -> None:
        """Ask for one book anew without dropping the others."""
        ...


class KeyPermissions(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says our key may do. `raw` are the venue's own words."""

    can_trade: bool
    can_withdraw: bool
    account: str
    raw: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order the venue holds open. `client_order_id` is None when it is not one of ours."""

    client_order_id: ClientOrderId | None
    venue_order_id: VenueOrderId
    instrument: str
    filled_qty: Decimal
    state: OrderState


class Gateway(Protocol):
    """One venue account: signed REST. One transmission per call, never a retry."""

    venue: VenueId

    async def load_instruments(self) -> tuple[Instrument, ...]:
        """Return the instruments of the configured symbols. Raises: VenueError."""
        ...

    async def fetch_fees(self) -> tuple[FeeRate, ...]:
        """Return the account's own taker and maker rates per instrument. Raises: VenueError."""
        ...

    async def fetch_balances(self) -> tuple[Balance, ...]:
        """Return every balance with what is reserved. Raises: VenueError."""
        ...

    async def fetch_open_orders(self) -> tuple[OpenOrder, ...]:
        """Return all open orders, every page. Raises: VenueError."""
        ...

    async def fetch_fills(self, since_ns: int) -> tuple[Fill, ...]:
        """Return our fills at or after `since_ns`, every page, oldest first; orders not ours are left out. Raises: VenueError."""
        ...

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:
        """Return deposits and withdrawals at or after `since_ns`. Raises: VenueError."""
        ...

    async def fetch_permissions(self) -> KeyPermissions:
        """Return what our key may do. Raises: VenueError."""
        ...

    async def fetch_time_ns(self) -> int:
        """Return the venue's clock. Raises: VenueError."""
        ...

    def has_arb_budget(self, instrument: Instrument) -> bool:
        """Return whether a leg, a hedge and a cancel would all pass the venue's rate limits now, by our own count."""
        ...

    async def submit(self, approved: Approved) -> tuple[Event, ...]:
        """Send the order once; return OrderAccepted, OrderRejected or RequestOutcomeUnknown. Never raises VenueError."""
        ...

    async def cancel(self, command: CancelOrder) -> tuple[Event, ...]:
        """Ask for a cancel; return what is known: CancelRejected, RequestOutcomeUnknown, or nothing (the stream tells)."""
        ...

    async def cancel_all(self) -> int:
        """Cancel every open order of ours and return how many are still open afterwards. Raises: VenueError."""
        ...

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        """Return the order's fills (OrderFilled) followed by one OrderStatusReported, or RequestOutcomeUnknown-free silence.

        An empty tuple means that the venue could not be asked now.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class Treasury(Protocol):
    """One venue account's money in and out, and what the venue says of itself. Implemented by the gateways too."""

    venue: VenueId

    async def fetch_status(self) -> VenueStatusReported:
        """Return what the venue says of itself; ONLINE with a detail where it has no such endpoint. Raises: VenueError."""
        ...

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return on which networks these assets go in and out now, with fees and minimums. Raises: VenueError."""
        ...

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Return where the venue takes deposits now: it is compared with the allow-list each time. Raises: VenueError."""
        ...

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        """Ask for the withdrawal once; return TransferAccepted, TransferRejected or TransferOutcomeUnknown. Never raises VenueError."""
        ...


class Account(Gateway, Treasury, Protocol):
    """All that can be asked of one venue account."""


class StoredOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the durable projection has it."""

    intent: OrderIntent
    state: OrderState
    venue_order_id: VenueOrderId | None
    fills: tuple[Fill, ...]


class StoredNews(msgspec.Struct, frozen=True):
    """What became known of a transfer, and when."""

    ts_ns: int
    news: TransferMoved


class StoredTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that arbot began, with its life so far, oldest first: never empty."""

    intent: TransferIntent
    life: tuple[StoredNews, ...]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One step, as it is made durable: the event, what was concluded, the intents, and what it means in the ledger.

    `standing` is given when anything in it changed, of its lessons only those that did.
    """

    envelope: Envelope
    outcome: Outcome
    transactions: tuple[Transaction, ...] = ()
    standing: StandingRestored | None = None


class Store(Protocol):
    """Durable state: the hash-chained journal and its projections. Synchronous on purpose: one short transaction a step."""

    def commit(self, records: Sequence[Record]) -> None:
        """Make the records durable in one transaction: journal rows, orders, fills, transfers, postings, standing.

        Returns after the data is on disk. Idempotent by envelope seq within a run epoch. Raises: InvariantBroken when
        the store was fenced off by a later epoch.
        """
        ...

    def standing(self) -> StandingRestored | None:
        """Return what outlived the last process, or None for a new store."""
        ...

    def unsettled_orders(self) -> tuple[StoredOrder, ...]:
        """Return every order of an arb that is not yet flat, with its fills, oldest first."""
        ...

    def order(self, client_order_id: ClientOrderId) -> StoredOrder | None:
        """Return one order, or None when no intent of that name was ever committed."""
        ...

    def own_transfers(self, since_ns: int = 0) -> tuple[StoredTransfer, ...]:
        """Return every transfer that arbot began and that has not ended, and those begun since then, oldest first."""
        ...

    def balances(self, account: str) -> tuple[tuple[Asset, Decimal], ...]:
        """Return the sums of a ledger account by asset."""
        ...

    def fill_cursor_ns(self, venue: VenueId) -> int:
        """Return the venue time of the newest fill booked for a venue, or 0."""
        ...
