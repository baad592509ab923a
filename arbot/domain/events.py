"""Facts that enter the engine, in the past tense. All but BooksMoved are journaled.

Venue times are kept as the venue gave them (ns since the epoch, 0 = the venue gave none). Our own time is on the
Envelope and never goes back. Fields may be appended with defaults; nothing may be renamed or removed.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

import msgspec

from arbot.domain.history import LotMethod, PickedLot
from arbot.domain.ids import Asset, ClientOrderId, InstrumentId, RunId, VenueId, VenueOrderId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.order import Fill, OrderIntent, OrderState, Side
from arbot.domain.transfer import (
    DelayEvidence,
    MaintenanceWindow,
    Network,
    NetworkTerms,
    TransferCredit,
    TransferId,
    TransferIntent,
    TransferState,
    TypicalFee,
    VenueStatus,
)
from arbot.domain.units import ZERO, Amount


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


# --- run -------------------------------------------------------------------------------------------------------------


class RunStarted(_Event, frozen=True, kw_only=True):
    """A process took over: its fencing epoch is part of every client order id it makes."""

    run_id: RunId
    epoch: int
    code_version: str
    config_digest: str
    mode: str


class DeclineCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many opportunities were declined for one reason."""

    reason: str
    count: int


class RunEnded(_Event, frozen=True, kw_only=True):
    """The process is about to leave, with nothing of its own open unless `open_orders` says so.

    `digest` is the engine's just before this event: a replay of the run has to come to the same. Empty in old journals.
    `declined` counts the opportunities of the run that were declined, by reason: looks that came to nothing are not journaled.
    """

    reason: str
    open_orders: int
    digest: str = ""
    declined: tuple[DeclineCount, ...] = ()


class InstrumentsLoaded(_Event, frozen=True, kw_only=True):
    """A venue's instruments, complete: those missing here can no longer be traded."""

    venue: VenueId
    instruments: tuple[Instrument, ...]


class FeesLoaded(_Event, frozen=True, kw_only=True):
    """The fees of our account at its present tier."""

    venue: VenueId
    fees: tuple[FeeRate, ...]


# --- market and link -------------------------------------------------------------------------------------------------


class BooksMoved(_Event, frozen=True, kw_only=True):
    """These books changed and the screen says that some route is worth a look. Never journaled."""

    instruments: tuple[InstrumentId, ...]


class BookFault(StrEnum):
    """Why a book was dropped."""

    CHECKSUM = "checksum"
    SEQUENCE_GAP = "sequence_gap"
    CROSSED = "crossed"
    MALFORMED = "malformed"
    DISCONNECTED = "disconnected"
    REFUSED = "refused"


class BookInvalidated(_Event, frozen=True, kw_only=True):
    """A book is not to be trusted until it has been built anew."""

    instrument: InstrumentId
    fault: BookFault
    detail: str = ""


class TradePrinted(_Event, frozen=True, kw_only=True):
    """A public trade. `taker_side` is the aggressor's."""

    instrument: InstrumentId
    price: Decimal
    qty: Decimal
    taker_side: Side
    trade_id: str
    venue_ts_ns: int


class Stream(StrEnum):
    """Which of a venue's streams."""

    MARKET = "market"
    ACCOUNT = "account"


class FeedConnected(_Event, frozen=True, kw_only=True):
    """A stream is up and subscribed. After an account stream came back, REST has been asked for what was missed."""

    venue: VenueId
    stream: Stream


class FeedDisconnected(_Event, frozen=True, kw_only=True):
    """A stream is down; its books are invalid, its fills will come late."""

    venue: VenueId
    stream: Stream
    reason: str


class ClockSkewMeasured(_Event, frozen=True, kw_only=True):
    """Venue clock minus ours, at the middle of a round trip that took `rtt_ms`."""

    venue: VenueId
    skew_ms: int
    rtt_ms: int


class RateBudgetChanged(_Event, frozen=True, kw_only=True):
    """Whether a venue's own rate limit leaves room for a leg, a hedge and a cancel of an instrument now."""

    instrument: InstrumentId
    has_room: bool


# --- orders ----------------------------------------------------------------------------------------------------------


class OrderSent(_Event, frozen=True, kw_only=True):
    """The request has left; from here the order counts at its worst case."""

    client_order_id: ClientOrderId


class OrderAccepted(_Event, frozen=True, kw_only=True):
    """The venue named the order."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId


class RejectCode(StrEnum):
    """Why a venue refused an order, as far as we act on it."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    BELOW_MINIMUM = "below_minimum"
    INVALID_STEP = "invalid_step"
    INVALID_PRICE = "invalid_price"
    POST_ONLY_WOULD_TAKE = "post_only_would_take"
    RATE_LIMITED = "rate_limited"
    MARKET_CLOSED = "market_closed"
    KEY_REFUSED = "key_refused"
    DEADLINE = "deadline"
    OTHER = "other"


class OrderRejected(_Event, frozen=True, kw_only=True):
    """A parsed, allow-listed answer of the venue says it never took the order."""

    client_order_id: ClientOrderId
    code: RejectCode
    detail: str


class RequestOutcomeUnknown(_Event, frozen=True, kw_only=True):
    """A request about an order left (or may have) and no usable answer came back."""

    client_order_id: ClientOrderId
    request: str  # "submit" | "cancel"
    detail: str


class OrderFilled(_Event, frozen=True, kw_only=True):
    """One execution; may come twice, late, or before the acceptance."""

    fill: Fill


class OrderCanceled(_Event, frozen=True, kw_only=True):
    """The venue ended the order after `filled_qty` in all; fills may still be on their way."""

    client_order_id: ClientOrderId
    filled_qty: Decimal
    reason: str = ""


class OrderExpired(_Event, frozen=True, kw_only=True):
    """The order ended by its own time in force after `filled_qty` in all."""

    client_order_id: ClientOrderId
    filled_qty: Decimal
    reason: str = ""


class CancelRejected(_Event, frozen=True, kw_only=True):
    """The venue would not cancel; usually the order has just ended."""

    client_order_id: ClientOrderId
    detail: str


class OrderStatusReported(_Event, frozen=True, kw_only=True):
    """What the venue says about an order when asked.

    `state` UNKNOWN means no source knew it; `sources` is how many independent ones were asked (open orders, closed
    orders, fills). `filled_qty` is cumulative. Absence alone never ends an order: the engine weighs it.
    """

    client_order_id: ClientOrderId
    state: OrderState
    venue_order_id: VenueOrderId | None
    filled_qty: Decimal = ZERO
    sources: int = 1
    asked_ts_ns: int = 0


# --- account ---------------------------------------------------------------------------------------------------------


class AccountSnapshotReceived(_Event, frozen=True, kw_only=True):
    """All balances of a venue account at one moment; an asset that is not listed is unknown, not zero."""

    venue: VenueId
    balances: tuple[Balance, ...]


class MovementState(StrEnum):
    """Where a venue says that a deposit or withdrawal is; the state of a transfer of ours is `TransferState`."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class TransferReported(_Event, frozen=True, kw_only=True):
    """A deposit (positive) or withdrawal (negative) seen in the venue's history; `fee` in the same asset."""

    venue: VenueId
    transfer_id: str
    asset: str
    qty: Decimal
    fee: Decimal
    state: MovementState
    venue_ts_ns: int
    network: str = ""  # ours, "" where the venue's name of it is not in the registry
    address: str = ""  # where it went (withdrawal) or arrived (deposit)
    tag: str = ""
    tx_id: str = ""  # the network's own id, once there is one


class AdjustmentRecorded(_Event, frozen=True, kw_only=True):
    """A person explained a difference between ledger and venue; `qty` is what the ledger lacks."""

    venue: VenueId
    asset: str
    qty: Decimal
    reason: str
    actor: str


# --- history and lots --------------------------------------------------------------------------------------------------


class HistoryImported(_Event, frozen=True, kw_only=True):
    """History from a file, as canonical lines (arbot.domain.history): up to some hundreds of one file in one event."""

    source: str  # the file's name
    digest: str  # SHA-256 of the whole file
    row: int  # of the first of these lines in the file, from 1
    lines: tuple[str, ...]
    is_retold: bool = False  # arbot's own journal has these: they bring prices or say what a movement was


class LotOrderRecorded(_Event, frozen=True, kw_only=True):
    """A standing order says which units go first, from now on and until another one of the same scope.

    `venue` and `asset` narrow the scope; empty is all. It counts for disposals after this event's own time.
    """

    method: LotMethod
    venue: str = ""
    asset: str = ""
    is_told_to_broker: bool = False
    actor: str = ""


class LotsPicked(_Event, frozen=True, kw_only=True):
    """Units were named for one disposal, which is known by the id its line will have, or by the order it comes from.

    It counts when recorded no later than the disposal; a pick that comes late is void, and reports say so.
    """

    disposal: str  # id of a line, of a client order, or of a transfer
    lots: tuple[PickedLot, ...]
    is_told_to_broker: bool = False
    actor: str = ""


# --- transfers and the state of venues ---------------------------------------------------------------------------------


class TransferRequested(_Event, frozen=True, kw_only=True):
    """Somebody wants money moved between two venues. `is_confirmed` is the second yes that a large one needs."""

    source: VenueId
    target: VenueId
    asset: str
    network: Network
    qty: Decimal
    actor: str
    reason: str = ""
    is_confirmed: bool = False
    request_key: str = ""  # the same key asks for the same transfer: a repetition is answered, not carried out


class TransferSent(_Event, frozen=True, kw_only=True):
    """The request to withdraw has left: from here it may have been carried out."""

    transfer: TransferId


class TransferAccepted(_Event, frozen=True, kw_only=True):
    """The source venue named the withdrawal."""

    transfer: TransferId
    venue_transfer_id: str


class TransferRejected(_Event, frozen=True, kw_only=True):
    """A parsed, allow-listed answer of the source venue says that it never began."""

    transfer: TransferId
    detail: str
    reason: str = ""  # one of Reason when our own shell stopped it before it left, such as "address_changed"


class TransferOutcomeUnknown(_Event, frozen=True, kw_only=True):
    """The request left (or may have) and no usable answer came back: it is never sent again."""

    transfer: TransferId
    detail: str


class TransferRestored(_Event, frozen=True, kw_only=True):
    """A transfer of an earlier run as the store knew it, put back before anything is decided."""

    intent: TransferIntent
    state: TransferState
    venue_transfer_id: str = ""
    tx_id: str = ""
    qty_credited: Decimal = ZERO
    since_ns: int = 0  # when it came into this state
    sent_ts_ns: int = 0  # 0: not known to have left
    is_listed: bool = False  # the source's history has it: the next two are known
    qty_sent: Decimal = ZERO
    fee_paid: Decimal = ZERO
    credits: tuple[TransferCredit, ...] = ()


class NetworksReported(_Event, frozen=True, kw_only=True):
    """What a venue takes and gives out, by asset and network, complete for the assets we hold there."""

    venue: VenueId
    networks: tuple[NetworkTerms, ...]


class VenueStatusReported(_Event, frozen=True, kw_only=True):
    """What a venue's status endpoint or status channel says, with the maintenance it announces."""

    venue: VenueId
    status: VenueStatus
    detail: str = ""
    windows: tuple[MaintenanceWindow, ...] = ()


# --- time, people, restart -------------------------------------------------------------------------------------------


class TimerFired(_Event, frozen=True, kw_only=True):
    """A timer the engine set is due."""

    key: str


class Verb(StrEnum):
    """What an operator can ask for."""

    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    FLATTEN = "flatten"
    KILL = "kill"
    UNKILL = "unkill"
    RESET_LIMIT = "reset_limit"
    DRAIN = "drain"
    QUARANTINE = "quarantine"
    RELEASE = "release"


class OperatorRequested(_Event, frozen=True, kw_only=True):
    """A person, a service that watches for alerts, or SIGTERM (as DRAIN) asked for something.

    `argument` names the limit for RESET_LIMIT, the venue for QUARANTINE and RELEASE.
    """

    verb: Verb
    actor: str
    reason: str = ""
    argument: str = ""


class OrderRestored(_Event, frozen=True, kw_only=True):
    """An order of an earlier run as the store knew it, put back before anything is decided."""

    intent: OrderIntent
    state: OrderState
    venue_order_id: VenueOrderId | None
    fills: tuple[Fill, ...]


class LegEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What our legs at one instrument have shown. Counts and sums that fade: see engine/risk/evidence.py."""

    instrument: InstrumentId
    legs: Decimal = ZERO
    failed: Decimal = ZERO  # of these; half a failure is a leg that filled half of what the other did
    unwinds: Decimal = ZERO
    unwind_bps: Decimal = ZERO  # their costs, summed
    answers: Decimal = ZERO
    latency_log: Decimal = ZERO  # natural logarithms of their ms, summed


_Lesson = TypeVar("_Lesson", LegEvidence, DelayEvidence, TypicalFee)


class VenueConduct(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue has lost by its conduct and must earn back: part of its caps, its place among the healthy."""

    venue: VenueId
    cap_factor: Decimal  # of its caps
    shrunk_ns: int  # a withdrawal begun later gives back a part
    is_quarantined: bool
    since_ns: int  # when it was put into quarantine, or let out of it; 0 when neither ever was
    wait_s: int
    why: tuple[str, ...] = ()
    held: str = ""  # what was said when it was put there by hand: until it is released in the same way


class NewsTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A gap that was information and was taken once: not again until the mids of these two have met."""

    buy: InstrumentId
    sell: InstrumentId
    ts_ns: int


class NewsBlocked(msgspec.Struct, frozen=True, kw_only=True):
    """The same of a whole venue that was off the others: nothing more on this side of it until it has come back."""

    venue: VenueId
    side: Side
    ts_ns: int


class StandingRestored(_Event, frozen=True, kw_only=True):
    """What outlives a process: latches, pause, the measures of the day, what was learned, and who has to earn back what.

    `latched` are limit names that tripped and wait for a human; `carried` are sub-minimum residuals of closed arbs;
    `depegged` the stablecoins off their pegs. Money in the reporting currency.
    """

    killed: bool
    paused: bool
    latched: tuple[str, ...]
    day: str
    realised_day: Decimal
    realised_total: Decimal
    realised_peak: Decimal
    arbs_flat: int = 0
    arbs_stranded: int = 0
    carried: tuple[Amount, ...] = ()
    delays: tuple[DelayEvidence, ...] = ()
    network_fees: tuple[TypicalFee, ...] = ()
    evidence: tuple[LegEvidence, ...] = ()
    conduct: tuple[VenueConduct, ...] = ()
    depegged: tuple[Asset, ...] = ()
    news: tuple[NewsTaken, ...] = ()
    news_blocks: tuple[NewsBlocked, ...] = ()

    def learned_since(self, before: StandingRestored) -> StandingRestored:
        """Return this standing with only those lessons that an earlier one does not have: what a record has to carry.

        Lessons are `evidence`, `delays` and `network_fees`: many, of which a step changes two or three; they change or
        are added and never go.
        """
        return msgspec.structs.replace(
            self,
            evidence=_unlike(self.evidence, before.evidence),
            delays=_unlike(self.delays, before.delays),
            network_fees=_unlike(self.network_fees, before.network_fees),
        )


def _unlike(lessons: tuple[_Lesson, ...], before: tuple[_Lesson, ...]) -> tuple[_Lesson, ...]:
    """Return what is new, or not what stood in its place before."""
    known = len(before)
    return tuple(one for at, one in enumerate(lessons) if at >= known or (one is not before[at] and one != before[at]))


class ReconciliationEnded(_Event, frozen=True, kw_only=True):
    """Orders, fills and balances were compared with a venue; `differences` is how many remain unexplained."""

    venue: VenueId
    differences: int
    detail: tuple[str, ...] = ()


Event = (
    RunStarted
    | RunEnded
    | InstrumentsLoaded
    | FeesLoaded
    | BooksMoved
    | BookInvalidated
    | TradePrinted
    | FeedConnected
    | FeedDisconnected
    | ClockSkewMeasured
    | RateBudgetChanged
    | OrderSent
    | OrderAccepted
    | OrderRejected
    | RequestOutcomeUnknown
    | OrderFilled
    | OrderCanceled
    | OrderExpired
    | CancelRejected
    | OrderStatusReported
    | AccountSnapshotReceived
    | TransferReported
    | AdjustmentRecorded
    | HistoryImported
    | LotOrderRecorded
    | LotsPicked
    | TransferRequested
    | TransferSent
    | TransferAccepted
    | TransferRejected
    | TransferOutcomeUnknown
    | TransferRestored
    | NetworksReported
    | VenueStatusReported
    | TimerFired
    | OperatorRequested
    | OrderRestored
    | StandingRestored
    | ReconciliationEnded
)


class Envelope(msgspec.Struct, frozen=True):
    """An event with its place in the one order of things. `ts_ns` is our wall time and never goes back."""

    seq: int
    ts_ns: int
    event: Event
