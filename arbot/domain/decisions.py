"""What the engine concluded and why: for people, metrics and reports. Derived again on replay, never an input."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from arbot.domain.commands import Command
from arbot.domain.ids import ArbId, Asset, ClientOrderId, InstrumentId, VenueId
from arbot.domain.order import Purpose, Side
from arbot.domain.transfer import TransferCredit, TransferId, TransferState
from arbot.domain.units import ZERO, Amount


class ArbState(StrEnum):
    """Where an arb is in its life; see ARB_LIFE."""

    PLANNED = "planned"
    WORKING = "working"
    ONE_SIDED = "one_sided"
    HEDGING = "hedging"
    UNWINDING = "unwinding"
    UNKNOWN = "unknown"
    FLAT = "flat"
    STRANDED = "stranded"


ARB_LIFE: dict[ArbState, tuple[ArbState, ...]] = {
    ArbState.PLANNED: (ArbState.WORKING, ArbState.ONE_SIDED),  # a flush has no legs and starts one-sided
    ArbState.WORKING: (ArbState.FLAT, ArbState.ONE_SIDED, ArbState.UNKNOWN),
    ArbState.ONE_SIDED: (
        ArbState.WORKING,
        ArbState.HEDGING,
        ArbState.UNWINDING,
        ArbState.UNKNOWN,
        ArbState.FLAT,
        ArbState.STRANDED,
    ),
    ArbState.HEDGING: (
        ArbState.WORKING,
        ArbState.FLAT,
        ArbState.ONE_SIDED,
        ArbState.UNWINDING,
        ArbState.UNKNOWN,
        ArbState.STRANDED,
    ),
    ArbState.UNWINDING: (
        ArbState.WORKING,
        ArbState.FLAT,
        ArbState.ONE_SIDED,
        ArbState.UNKNOWN,
        ArbState.STRANDED,
    ),
    ArbState.UNKNOWN: (ArbState.WORKING, ArbState.ONE_SIDED, ArbState.FLAT, ArbState.STRANDED),
    ArbState.STRANDED: (ArbState.FLAT, ArbState.ONE_SIDED),
    ArbState.FLAT: (ArbState.ONE_SIDED,),
}
"""Which state may follow which. FLAT is left only by a fill that came after the end (OrphanFillFound).

Back to WORKING goes a quote whose fills are hedged while its order still rests.
"""


class Reason(StrEnum):
    """Why an opportunity was not taken. Every one is counted."""

    NO_EDGE = "no_edge"  # a bid above another venue's ask that costs and the minimum eat up; counted when it appears
    QUOTE_MISMATCH = "quote_mismatch"
    BOOK_NOT_TRADABLE = "book_not_tradable"
    BOOK_AGE_RECV = "book_age_recv"
    BOOK_AGE_VENUE = "book_age_venue"
    BOOK_SKEW = "book_skew"
    CLOCK_SKEW = "clock_skew"
    TOO_GOOD_TO_BE_TRUE = "too_good_to_be_true"
    FEE_UNKNOWN = "fee_unknown"
    BALANCE_UNKNOWN = "balance_unknown"
    BALANCE_SHORT = "balance_short"
    BELOW_MINIMUM = "below_minimum"
    NOTIONAL_PER_ARB = "notional_per_arb"
    ARBS_OPEN = "arbs_open"
    INVENTORY = "inventory"
    NET_DELTA = "net_delta"
    COUNTERPARTY_SHARE = "counterparty_share"
    ORDER_RATE = "order_rate"
    RATE_BUDGET = "rate_budget"
    LOSS_DAY = "loss_day"
    DRAWDOWN = "drawdown"
    HEDGE_LOSS = "hedge_loss"
    INSTRUMENT_CLOSED = "instrument_closed"
    VENUE_NOT_READY = "venue_not_ready"
    COOL_DOWN = "cool_down"
    PAUSED = "paused"
    KILLED = "killed"
    DRAINING = "draining"
    STRANDED = "stranded"
    NOT_RECONCILED = "not_reconciled"
    PRICE_UNKNOWN = "price_unknown"
    STRESS_BUDGET = "stress_budget"  # the worst case of all exposures would be above the budget
    TAIL_UNPAID = "tail_unpaid"  # the edge does not pay for the tail it uses
    ISSUER_EXPOSURE = "issuer_exposure"
    BANK_EXPOSURE = "bank_exposure"
    CUSTODIAN_EXPOSURE = "custodian_exposure"
    CHAIN_EXPOSURE = "chain_exposure"
    CLOUD_EXPOSURE = "cloud_exposure"
    WITHDRAWALS_CLOSED = "withdrawals_closed"  # money cannot leave a venue: its prices are no opportunity
    VENUE_QUARANTINED = "venue_quarantined"
    MAINTENANCE = "maintenance"
    DEPEGGED = "depegged"
    PRICE_IS_NEWS = "price_is_news"  # taken once in this direction; again when the mids have met
    PRICE_PINNED = "price_pinned"  # the same, and one large order holds the price where it is
    MERGED_BOOK = "merged_book"  # the venue's book takes a depegged coin for the quote it names
    TRANSFER_OVERDUE = "transfer_overdue"  # coins that should have arrived have not: what depends on them waits
    TRANSFERS_OFF = "transfers_off"
    NOT_ALLOW_LISTED = "not_allow_listed"
    TAG_MISSING = "tag_missing"
    NETWORK_MISMATCH = "network_mismatch"
    ADDRESS_CHANGED = "address_changed"
    CONFIRMATION_NEEDED = "confirmation_needed"
    TRANSFER_REPEATED = "transfer_repeated"
    NETWORK_FEE = "network_fee"
    TRANSIT_VALUE = "transit_value"
    TERMS_UNKNOWN = "terms_unknown"  # a venue has not said lately whether and for how much a network is open
    DEPOSITS_CLOSED = "deposits_closed"
    WOULD_TAKE = "would_take"  # at that price a resting order would trade at once
    HEDGE_SHORT = "hedge_short"  # the hedge venue's book takes less at the hedge price than rests towards it
    HEDGE_FAILED = "hedge_failed"  # a fill of a quote was not hedged at the first try, or it is in doubt
    HEDGES_SPENT = "hedges_spent"  # as many orders as can be named were sent for one quote
    OWN_ORDER = "own_order"  # we would trade with a resting order of our own
    QUOTE_MOVED = "quote_moved"  # the price wanted is too far from the one that rests
    QUOTE_UNWANTED = "quote_unwanted"  # the strategy wants none there now


class _Decision(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class ConversionLeg(msgspec.Struct, frozen=True, kw_only=True):
    """The third leg of an arb: so much of the foreign quote bought or sold for the home quote, at this price or better."""

    instrument: InstrumentId
    side: Side
    qty: Decimal
    price: Decimal


class OpportunitySeen(_Decision, frozen=True, kw_only=True):
    """A route clears the minimum net edge for at least one step of quantity. Quantities in base, edges in bps."""

    buy: InstrumentId
    sell: InstrumentId
    qty: Decimal
    buy_price: Decimal
    sell_price: Decimal
    edge_gross_bps: Decimal
    edge_net_bps: Decimal
    conversion: ConversionLeg | None = None  # None: the legs have one quote


class OpportunityDeclined(_Decision, frozen=True, kw_only=True):
    """A route was not taken. `value` against `limit` in the unit of the reason; zero where it has none."""

    buy: InstrumentId
    sell: InstrumentId
    reason: Reason
    value: Decimal = ZERO
    limit: Decimal = ZERO
    edge_net_bps: Decimal = ZERO
    conversion: InstrumentId | None = None  # None: a route of two legs


class OrderRefused(_Decision, frozen=True, kw_only=True):
    """Our own risk stopped an order that was to reduce exposure."""

    arb_id: ArbId
    purpose: Purpose
    reason: Reason
    value: Decimal = ZERO
    limit: Decimal = ZERO


class ArbOpened(_Decision, frozen=True, kw_only=True):
    """All legs were approved; what is expected in home quote if they fill at their worst acceptable prices or better."""

    arb_id: ArbId
    buy: InstrumentId
    sell: InstrumentId
    qty: Decimal
    buy_price: Decimal
    sell_price: Decimal
    edge_net_bps: Decimal
    expected_quote: Decimal
    book_recv_ts_ns: int
    decided_ts_ns: int
    stress_loss: Decimal = ZERO  # what this arb adds to the worst stress case, in the reporting currency
    tail_bps: Decimal = ZERO  # of the buying price: what failing legs and the tail are expected to cost
    conversion: ConversionLeg | None = None  # None: an arb of two legs
    is_quote: bool = False  # one leg rests; the other is bought or sold as it fills


class ArbMoved(_Decision, frozen=True, kw_only=True):
    """An arb changed state; `residual` is base bought less base sold, by fills, and so is that of its foreign quote."""

    arb_id: ArbId
    before: ArbState
    after: ArbState
    residual: Decimal
    residual_foreign: Decimal = ZERO  # an arb of two legs has no foreign quote


class QuotePulled(_Decision, frozen=True, kw_only=True):
    """A resting order is no longer wanted: it is cancelled. `value` against `limit` in the unit of the reason."""

    arb_id: ArbId
    client_order_id: ClientOrderId
    reason: Reason
    value: Decimal = ZERO
    limit: Decimal = ZERO


class ResidualWorked(_Decision, frozen=True, kw_only=True):
    """An order was placed to bring a residual down."""

    arb_id: ArbId
    client_order_id: ClientOrderId
    purpose: Purpose
    instrument: InstrumentId
    side: Side
    qty: Decimal
    limit_price: Decimal
    is_expected: bool = False  # a quote's fill hedged where it was to be hedged: its ordinary life


class ArbClosed(_Decision, frozen=True, kw_only=True):
    """An arb is flat. Money in its home quote; the residuals, base and foreign quote, are within tolerance and carried."""

    arb_id: ArbId
    pnl_gross: Decimal
    fees: Decimal
    pnl_net: Decimal
    residual: Decimal
    volume_quote: Decimal
    unhedged_ns: int
    missed: bool
    is_flush: bool = False
    residual_foreign: Decimal = ZERO
    is_quote: bool = False


class ArbStranded(_Decision, frozen=True, kw_only=True):
    """The limits on hedging are spent: new arbs stop and a person is called.

    `residual` is of the asset `base`: the arb's base if that is open, else its foreign quote; `open` names every one.
    """

    arb_id: ArbId
    residual: Decimal
    base: str
    why: str
    open: tuple[Amount, ...] = ()


class OrphanFillFound(_Decision, frozen=True, kw_only=True):
    """A fill came for an order that had ended, or for an arb that was flat."""

    client_order_id: ClientOrderId
    arb_id: ArbId | None
    qty: Decimal


class FillClashed(_Decision, frozen=True, kw_only=True):
    """The same trade id came with another body. Nothing was booked the second time; trading stops."""

    client_order_id: ClientOrderId
    trade_id: str


class LimitLatched(_Decision, frozen=True, kw_only=True):
    """A limit tripped that only a person resets."""

    limit: str
    value: Decimal
    bound: Decimal


class TransferMoved(_Decision, frozen=True, kw_only=True):
    """A transfer of ours came into another state, or more became known of it; with all that is known of it now."""

    transfer: TransferId
    before: TransferState
    after: TransferState
    detail: str = ""
    venue_transfer_id: str = ""
    tx_id: str = ""
    sent_ts_ns: int = 0
    is_listed: bool = False  # the source's history has it: what it sent and took is known
    qty_sent: Decimal = ZERO
    fee_paid: Decimal = ZERO
    credits: tuple[TransferCredit, ...] = ()
    qty_lost: Decimal = ZERO  # a hidden fee: credited for less than was sent
    since_ns: int = 0  # when it came into the state it is in now
    source: str = ""
    target: str = ""
    asset: str = ""


class TransferRefused(_Decision, frozen=True, kw_only=True):
    """A transfer was asked for and not begun. `value` against `limit` in the unit of the reason."""

    source: VenueId
    target: VenueId
    asset: str
    network: str
    qty: Decimal
    reason: Reason
    value: Decimal = ZERO
    limit: Decimal = ZERO
    detail: str = ""


class VenueHealthChanged(_Decision, frozen=True, kw_only=True):
    """A venue was put into quarantine or let out of it. `why` is in words, one line a cause."""

    venue: VenueId
    is_quarantined: bool
    why: tuple[str, ...] = ()


class PegChanged(_Decision, frozen=True, kw_only=True):
    """A stablecoin left its band or came back into it; `rate` is what its live books say, in the reporting currency."""

    asset: str
    is_depegged: bool
    rate: Decimal
    bound: Decimal


class PriceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit of an asset was worth, and the evidence: the touch of a book, or how the rate came about.

    `price` in the reporting currency. `source` names book and kind, such as "kraken BTC/USD mid"; `bid` and `ask` are the
    levels (price, qty) it was read from, zero where the price is a median over several books or was known from before.
    """

    asset: Asset
    price: Decimal
    ccy: Asset
    source: str
    quoted_ts_ns: int
    bid: tuple[Decimal, Decimal] = (ZERO, ZERO)
    ask: tuple[Decimal, Decimal] = (ZERO, ZERO)


class Valued(_Decision, frozen=True, kw_only=True):
    """What the assets of a taxable event were worth when it happened. `missing` had no price: an open item for the report."""

    subject: str  # reference of what is valued: the fill, the movement, the snapshot or the adjustment
    prices: tuple[PriceSeen, ...]
    missing: tuple[Asset, ...] = ()


class TradingStateChanged(_Decision, frozen=True, kw_only=True):
    """Whether new arbs may be opened, and if not, all the reasons why."""

    may_open: bool
    reasons: tuple[Reason, ...]


Decision = (
    OpportunitySeen
    | OpportunityDeclined
    | OrderRefused
    | ArbOpened
    | ArbMoved
    | QuotePulled
    | ResidualWorked
    | ArbClosed
    | ArbStranded
    | OrphanFillFound
    | FillClashed
    | LimitLatched
    | TransferMoved
    | TransferRefused
    | VenueHealthChanged
    | PegChanged
    | Valued
    | TradingStateChanged
)


class Outcome(msgspec.Struct, frozen=True):
    """All that came of one step."""

    commands: tuple[Command, ...] = ()
    decisions: tuple[Decision, ...] = ()
