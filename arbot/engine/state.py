"""What the engine knows. Changed only inside `Engine.step`; every number here came from an event.

Dicts keep insertion order and are the only containers iterated; nothing iterates a set (replay must not depend on hashing).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from arbot.domain.book import BookState
from arbot.domain.decisions import ArbState, ConversionLeg, PriceSeen
from arbot.domain.events import LegEvidence, TransferReported
from arbot.domain.ids import ArbId, Asset, ClientOrderId, InstrumentId, TradeId, VenueId, VenueOrderId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Fill, OrderIntent, OrderState, Side
from arbot.domain.transfer import (
    ON_ITS_WAY,
    DelayEvidence,
    Network,
    NetworkTerms,
    TransferId,
    TransferIntent,
    TransferState,
    TypicalFee,
)
from arbot.domain.units import ONE, ZERO, div, median
from arbot.engine.config import EngineConfig
from arbot.engine.market_view import MarketView
from arbot.engine.risk.table import ExposureTable, Stand
from arbot.engine.watching import PegState, VenueHealth

if TYPE_CHECKING:
    from arbot.engine.risk.calm import Calm
    from arbot.engine.risk.rooms import Ground, Rooms

FINISHED_ARBS_KEPT = 500  # a later fill than this is treated as an orphan of an unknown arb


@dataclass(slots=True)
class OrderRecord:
    """One order of ours: its intent, and what evidence there is of its fate."""

    intent: OrderIntent
    state: OrderState = OrderState.INTENDED
    venue_order_id: VenueOrderId | None = None
    fills: dict[tuple[VenueOrderId, TradeId, bool], Fill] = field(default_factory=dict)
    filled_qty: Decimal = ZERO
    closing_as: OrderState | None = None  # the venue ended it, but fills up to `closing_qty` are still missing
    closing_qty: Decimal = ZERO
    moved: tuple[int, Decimal] = (0, ZERO)  # so many fills, and what they moved of the base: fills are never taken out
    ended_ts_ns: int = 0  # when we knew that it had ended; 0 before, and for an order of an earlier run
    queries: int = 0
    absences: int = 0  # reports of absence that count as evidence
    is_unwanted: bool = False  # it rests and should end: cancelled wherever it is found open
    cancel_ts_ns: int = 0  # when that was first asked for; 0 = not yet

    @property
    def is_resting(self) -> bool:
        """Whether it waits in the book for others, or may: its place is there until it is cancelled."""
        return self.intent.tif.rests and self.is_live

    @property
    def is_live(self) -> bool:
        """Whether it may still fill, as far as we can prove."""
        return not self.state.is_terminal

    @property
    def remaining_qty(self) -> Decimal:
        """What may still fill: all that is unfilled while live, nothing once terminal."""
        return max(self.intent.qty - self.filled_qty, ZERO) if self.is_live else ZERO

    @property
    def base_delta(self) -> Decimal:
        """Change of our base by all fills seen, whatever the order's status says."""
        if self.moved[0] != len(self.fills):
            self.moved = (len(self.fills), sum((fill.base_delta for fill in self.fills.values()), ZERO))
        return self.moved[1]

    def delta(self, asset: Asset) -> Decimal:
        """Change of our balance of any asset by all fills seen, whatever the order's status says."""
        return sum((fill.delta(asset) for fill in self.fills.values()), ZERO)


@dataclass(slots=True)
class Arb:
    """Legs meant to net flat; or, with no legs, a residual that is to be brought to zero (`residual_in`).

    Two legs have one quote, in which the profit lies. With a third, the conversion, one of the first two is quoted in a
    foreign asset, which has to be flat at the end as the base has; `quote` is then the home quote.
    """

    id: ArbId
    number: int
    buy: InstrumentId
    sell: InstrumentId
    base: Asset
    quote: Asset
    qty: Decimal
    buy_price: Decimal
    sell_price: Decimal
    opened_ts_ns: int
    state: ArbState = ArbState.PLANNED
    orders: list[ClientOrderId] = field(default_factory=list)
    residual_in: Decimal = ZERO
    foreign: Asset | None = None  # the foreign quote; an arb of two legs has none
    conversion: ConversionLeg | None = None  # what was meant to turn it into the home quote
    tries: int = 0  # orders sent for its residual, ever: part of their names
    tries_spent: dict[Asset, int] = field(default_factory=dict)  # of the budget; a person's `flatten` grants a new one
    tries_by_instrument: dict[InstrumentId, int] = field(default_factory=dict)
    one_sided_ts_ns: int = 0
    restored_ts_ns: int = 0  # 0 for an arb of this run
    unhedged_since_ns: int = 0
    unhedged_ns: int = 0
    counted_pnl: Decimal = ZERO  # already in the standing: an arb that a late fill reopens counts only what is new
    carried_out: dict[Asset, Decimal] = field(default_factory=dict)  # handed to `State.carried` when it closed
    is_learned: bool = False  # its legs are in the evidence
    closings_learned: int = 0  # and so many of the orders that closed what they left
    is_flush: bool = False  # no legs: it works off a residual it took over
    is_quote: bool = False  # one leg rests, the other is worked as a residual whenever that fills
    is_flatten: bool = False  # a person asked: price and loss are no longer bounded, seconds and tries are

    @property
    def assets(self) -> tuple[Asset, ...]:
        """What has to be flat at its end: the base, and the foreign quote if there is one."""
        return (self.base,) if self.foreign is None else (self.base, self.foreign)

    def is_foreign_leg(self, side: Side) -> bool:
        """Whether the leg of that side is quoted in the foreign asset: the one that the conversion serves."""
        return self.conversion is not None and self.conversion.side is side

    def leg_price(self, side: Side, quote: Asset) -> Decimal:
        """Return the price of the leg of that side in either of the arb's quotes, by the conversion's price."""
        price = self.buy_price if side is Side.BUY else self.sell_price
        if self.conversion is None or self.is_foreign_leg(side) == (quote == self.foreign):
            return price
        return div(price, self.conversion.price) if quote == self.foreign else price * self.conversion.price

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The instruments of its legs."""
        return (self.buy, self.sell) if self.conversion is None else (self.buy, self.sell, self.conversion.instrument)

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.state is ArbState.FLAT


TransferTerms = tuple[VenueId, VenueId, Asset, Network, Decimal]
"""What a request asks for: source, target, asset, network, quantity."""


@dataclass(slots=True)
class Transfer:
    """One transfer of ours: its intent, what is known of its fate, and how much of it is where.

    `debited` is what the source's total lacks for it, fee included, and `seen` what the target's total has of it, as far
    as reports and snapshots have shown: what is in neither total is in flight (`qty`), so each coin is counted once.
    """

    intent: TransferIntent
    state: TransferState
    since_ns: int  # when it came into this state
    requested_ts_ns: int
    venue_transfer_id: str = ""
    tx_id: str = ""
    qty_credited: Decimal = ZERO  # by the target's own reports
    sent_ts_ns: int = 0  # 0: not known to have left
    qty_sent: Decimal = ZERO  # what should arrive: of the intent, then of the source's report
    fee_paid: Decimal = ZERO
    is_listed: bool = False  # in the source's own history: what it took is known
    is_fee_learned: bool = False  # and the fee is in `State.network_fees`, of a source that tells none
    debited: Decimal = ZERO
    seen: Decimal = ZERO
    qty_lost: Decimal = ZERO  # a hidden fee: credited for less, and that is all there will be
    credits: dict[str, Decimal] = field(default_factory=dict)  # by the target's id of the deposit
    debit_told_ns: int = 0  # when the source's history last said what it took or gave back; 0: it has said nothing
    credit_told_ns: int = 0
    is_debit_settled: bool = False  # balances of long after that have been seen
    is_credit_settled: bool = False
    stuck_from: TransferState = TransferState.UNKNOWN  # where it was when it was found to be late
    overdue_at_ns: int = 0

    @property
    def id(self) -> TransferId:
        """Its name."""
        return self.intent.transfer

    @property
    def source(self) -> VenueId:
        """Where it comes from."""
        return self.intent.source

    @property
    def target(self) -> VenueId:
        """Where it goes to."""
        return self.intent.target

    @property
    def asset(self) -> Asset:
        """What is moved."""
        return self.intent.asset

    @property
    def network(self) -> Network:
        """What it goes over."""
        return self.intent.network

    @property
    def qty(self) -> Decimal:
        """What is in flight: no longer in the source's total and not yet in the target's."""
        return max(min(self.qty_sent, self.debited) - self.seen - self.qty_lost, ZERO)

    @property
    def holder(self) -> VenueId:
        """Whose to lose what is in flight is: the source's until the network has it, the target's from then on.

        What says so is the id on the network, the source calling it done, or a credit; a stuck one is where it got to.
        """
        reached = self.stuck_from if self.state is TransferState.STUCK else self.state
        return self.target if self.tx_id or self.seen or reached in ON_ITS_WAY else self.source

    @property
    def qty_to_come(self) -> Decimal:
        """What the target may still get: the whole of what was sent less what it has, also before the source is debited."""
        open_qty = self.qty_sent - max(self.seen, self.qty_credited) - self.qty_lost
        return max(self.qty, ZERO if self.state.is_terminal else open_qty)

    @property
    def debit_max(self) -> Decimal:
        """The most that the source may take for it: what it said it took, else what we allow."""
        return self.qty_sent + (self.fee_paid if self.is_listed else self.intent.fee_max)

    @property
    def is_settled(self) -> bool:
        """Whether the balances of both ends agree with its end: nothing of it can be counted wrongly any more."""
        return self.is_debit_settled and self.is_credit_settled


@dataclass(slots=True)
class VenueState:
    """What we know of one venue."""

    totals: dict[Asset, Decimal] = field(default_factory=dict)
    reserved_foreign: dict[Asset, Decimal] = field(default_factory=dict)
    has_balances: bool = False
    is_reconciled: bool = False
    differences: tuple[str, ...] = ()
    is_market_up: bool = False
    is_account_up: bool = False
    skew_ms: int | None = None  # None until measured: nothing is opened before
    last_fill_ts_ns: int = 0
    orders_sent_ts_ns: deque[int] = field(default_factory=deque)
    networks: dict[tuple[Asset, Network], NetworkTerms] = field(default_factory=dict)  # by its latest report
    networks_ts_ns: int = 0  # when that came; 0: never


@dataclass(slots=True)
class Pennies:
    """What the arbs of a pair of venues were expected to earn, and what they put under the steamroller for it; in `ccy`."""

    arbs: int = 0
    expected: Decimal = ZERO
    stress_loss: Decimal = ZERO


@dataclass(slots=True)
class Standing:
    """What outlives a process. Money in the reporting currency."""

    killed: bool = False
    paused: bool = False
    halted: bool = False
    draining: bool = False
    drained: bool = False
    latched: dict[str, Decimal] = field(default_factory=dict)
    day: str = ""
    realised_day: Decimal = ZERO
    realised_total: Decimal = ZERO
    realised_peak: Decimal = ZERO
    arbs_flat: int = 0
    arbs_stranded: int = 0


@dataclass(slots=True)
class State:
    """All of it."""

    config: EngineConfig
    market: MarketView
    now_ns: int = 0
    epoch: int = 0
    next_arb: int = 1
    venues: dict[VenueId, VenueState] = field(default_factory=dict)
    instruments: dict[InstrumentId, Instrument] = field(default_factory=dict)  # changed by `relist`
    assets: tuple[Asset, ...] = ()  # of all instruments, bases first: what counts as capital
    pricing: dict[Asset, tuple[InstrumentId, ...]] = field(default_factory=dict)  # the books that price a base
    markets: dict[tuple[Asset, Asset], tuple[InstrumentId, ...]] = field(default_factory=dict)  # by base and quote
    fees: dict[InstrumentId, FeeRate] = field(default_factory=dict)
    orders: dict[ClientOrderId, OrderRecord] = field(default_factory=dict)
    live: dict[ClientOrderId, OrderRecord] = field(default_factory=dict)  # the orders that may still fill
    arbs: dict[ArbId, Arb] = field(default_factory=dict)
    unfinished: dict[ArbId, Arb] = field(default_factory=dict)  # the arbs that are not flat
    rate_limited: dict[InstrumentId, None] = field(default_factory=dict)  # the venue's counters have no room for an arb
    carried: dict[Asset, Decimal] = field(default_factory=dict)
    flush_after_ns: dict[Asset, int] = field(default_factory=dict)
    resync_after_ns: dict[InstrumentId, int] = field(default_factory=dict)
    cool_until_ns: dict[tuple[InstrumentId, InstrumentId], int] = field(default_factory=dict)
    last_rate: dict[Asset, Decimal] = field(default_factory=dict)
    is_stepping: bool = False  # books stand still during a step: a rate is worked out once in it
    rates_of_step: dict[Asset, Decimal | None] = field(default_factory=dict)  # empty between steps
    prices_seen: dict[Asset, PriceSeen] = field(default_factory=dict)  # evidence as it was last had: see valuation.py
    unvalued: dict[str, tuple[tuple[Asset, ...], int]] = field(default_factory=dict)  # without a price, and since when
    movements_valued: dict[tuple[VenueId, str], None] = field(default_factory=dict)
    next_transfer: int = 1
    transfers: dict[TransferId, Transfer] = field(default_factory=dict)
    transfer_keys: dict[str, TransferId] = field(default_factory=dict)  # by the key of whoever asked
    unclaimed: dict[tuple[VenueId, str], TransferReported] = field(default_factory=dict)  # deposits that may be ours
    unconfirmed: dict[str, tuple[TransferTerms, int]] = field(default_factory=dict)  # large ones, and when asked
    delays: dict[tuple[VenueId, Asset, Network], DelayEvidence] = field(default_factory=dict)
    network_fees: dict[tuple[VenueId, Asset, Network], TypicalFee] = field(default_factory=dict)
    network_fees_ts_ns: dict[tuple[VenueId, Asset, Network], int] = field(default_factory=dict)
    unsettled: dict[TransferId, Transfer] = field(default_factory=dict)  # those that balances may not yet agree with
    standing: Standing = field(default_factory=Standing)
    evidence: dict[InstrumentId, LegEvidence] = field(default_factory=dict)  # of our legs: see risk/evidence.py
    tails: dict[tuple[tuple[InstrumentId, Side], ...], Decimal] = field(default_factory=dict)  # until one is learned
    route_tails: dict[tuple[InstrumentId, InstrumentId], Decimal] = field(
        default_factory=dict
    )  # likewise, of plain arbs
    pennies: dict[tuple[VenueId, VenueId], Pennies] = field(
        default_factory=dict
    )  # of this run, by buying and selling venue
    carried_cost: dict[Asset, tuple[Decimal, Decimal]] = field(
        default_factory=dict
    )  # so much carried, and its worth then
    version: int = 0  # raised by every step that may change an exposure
    exposure_table: tuple[int, ExposureTable] | None = None  # of that version
    rooms: Rooms | None = None  # of that table
    calm: Calm | None = None  # of its version
    grounds: dict[tuple[VenueId, Side, Asset], Ground] = field(default_factory=dict)  # of the registry: never changes
    stood_on: dict[tuple[VenueId, Asset], tuple[Stand, ...]] = field(default_factory=dict)  # likewise
    moves: dict[tuple[VenueId, Asset, Network], tuple[DelayEvidence | None, Decimal]] = field(default_factory=dict)
    health: dict[VenueId, VenueHealth] = field(default_factory=dict)
    pegs: dict[Asset, PegState] = field(default_factory=dict)  # the stablecoins that are traded, and may be measured
    news: dict[tuple[InstrumentId, InstrumentId], int] = field(default_factory=dict)  # gaps taken once, and when
    news_blocks: dict[tuple[VenueId, Side], int] = field(default_factory=dict)  # the same of a whole venue

    def relist(self, instruments: dict[InstrumentId, Instrument]) -> None:
        """Take these instruments for the ones there are."""
        self.instruments = instruments
        self.rates_of_step.clear()
        assets = dict.fromkeys(instrument.base for instrument in instruments.values())
        assets |= dict.fromkeys(instrument.quote for instrument in instruments.values())
        self.assets = tuple(assets)
        pricing: dict[Asset, list[InstrumentId]] = {}
        for instrument in instruments.values():
            if instrument.quote == self.config.ccy:
                pricing.setdefault(instrument.base, []).append(instrument.id)
        self.pricing = {base: tuple(ids) for base, ids in pricing.items()}
        markets: dict[tuple[Asset, Asset], list[InstrumentId]] = {}
        for instrument in instruments.values():
            markets.setdefault((instrument.base, instrument.quote), []).append(instrument.id)
        self.markets = {market: tuple(ids) for market, ids in markets.items()}

    def venue(self, venue: VenueId) -> VenueState:
        """Return the state of a venue, made on first mention."""
        known = self.venues.get(venue)
        if known is None:
            known = self.venues[venue] = VenueState()
        return known

    def listed(self, base: Asset, quote: Asset) -> list[Instrument]:
        """Return the instruments of a base and quote on all venues."""
        return [self.instruments[one] for one in self.markets.get((base, quote), ())]

    def arb_orders(self, arb: Arb) -> Iterator[OrderRecord]:
        """Yield the orders of an arb, oldest first."""
        return (self.orders[order_id] for order_id in arb.orders)

    def residual(self, arb: Arb, asset: Asset | None = None) -> Decimal:
        """Return what all fills ever seen for this arb moved of its base, or of `asset`, plus what it took over.

        Fees are in it whatever they were taken in; of the foreign quote, what legs and conversion together moved.
        """
        if arb.foreign is None and asset in (None, arb.base):
            return sum([self.orders[one].base_delta for one in arb.orders], arb.residual_in)
        wanted = arb.base if asset is None else asset
        taken_over = arb.residual_in if wanted == arb.base else ZERO
        return taken_over + sum((order.delta(wanted) for order in self.arb_orders(arb)), ZERO)

    def is_foreign(self, intent: OrderIntent) -> bool:
        """Return whether an order is quoted in the foreign asset of its arb, which then moves with it."""
        arb = self.arbs.get(intent.arb_id)
        return arb is not None and arb.foreign == intent.quote

    def active_arbs(self) -> int:
        """Return how many arbs are under way: neither flat nor waiting for a person."""
        states = [arb.state for arb in self.unfinished.values()]  # asked at every look, hence no property per arb
        return len(states) - states.count(ArbState.STRANDED) - states.count(ArbState.FLAT)

    def stranded_arbs(self) -> int:
        """Return how many arbs wait for a person."""
        return [arb.state for arb in self.unfinished.values()].count(ArbState.STRANDED)

    def live_orders(self, venue: VenueId | None = None) -> Iterator[OrderRecord]:
        """Yield orders that may still fill."""
        return (order for order in self.live.values() if venue is None or order.intent.venue == venue)

    def in_flight(self) -> Iterator[Transfer]:
        """Yield every transfer that is neither credited nor failed, or of which something is still in neither total."""
        return (one for one in self.unsettled.values() if not one.state.is_terminal or one.qty)

    # --- exposure: from fills and worst cases, never from statuses ----------------------------------------------------

    def quotes(self) -> Iterator[tuple[Arb, OrderRecord]]:
        """Yield every arb one leg of which rests, with the order that does."""
        for arb in [one for one in self.unfinished.values() if one.is_quote]:
            for order in self.arb_orders(arb):
                if order.is_resting:
                    yield arb, order

    def meets_own(self, instrument: InstrumentId, side: Side) -> bool:
        """Return whether trading on `side` may meet a resting order of our own."""
        return any(
            order.is_resting and order.intent.instrument == instrument and order.intent.side is not side
            for order in self.live_orders()
        )

    def reserved(self, venue: VenueId, asset: Asset) -> Decimal:
        """Return what live orders and transfers of ours can still take of an asset at a venue, fees included, plus foreign holds.

        What rests also takes what its hedge will need at the hedge's own venue, at the worst hedge price.
        """
        held = self.venue(venue).reserved_foreign.get(asset, ZERO)
        for order in self.live_orders(venue):
            intent = order.intent
            if intent.side is Side.BUY and intent.quote == asset:
                held += order.remaining_qty * intent.limit_price * (ONE + max(intent.fee_rate, ZERO))
            elif intent.side is Side.SELL and intent.base == asset:
                held += order.remaining_qty
        for arb, order in self.quotes():
            held += self._hedge_need(arb, order, venue, asset)
        for transfer in self.unsettled.values():
            if transfer.source == venue and transfer.asset == asset and transfer.state is not TransferState.FAILED:
                held += max(transfer.debit_max - transfer.debited, ZERO)
        return held

    def _hedge_need(self, arb: Arb, order: OrderRecord, venue: VenueId, asset: Asset) -> Decimal:
        """Return what of an asset at a venue the hedge of an order's unfilled rest will take."""
        is_bid = order.intent.side is Side.BUY
        hedge = self.instruments.get(arb.sell if is_bid else arb.buy)
        if hedge is None or hedge.venue != venue:
            return ZERO
        if is_bid:
            return order.remaining_qty if hedge.base == asset else ZERO
        fee = self.fees.get(hedge.id)
        rate = ZERO if fee is None else max(fee.taker, ZERO)
        return order.remaining_qty * arb.buy_price * (ONE + rate) if hedge.quote == asset else ZERO

    def available(self, venue: VenueId, asset: Asset) -> Decimal | None:
        """Return total less reserved, never below zero; None when the venue has not told its balance of this asset."""
        total = self.venue(venue).totals.get(asset)
        return None if total is None else max(total - self.reserved(venue, asset), ZERO)

    def net_delta(self, base: Asset) -> Decimal:
        """Return what is open of an asset over all venues, by fills: carried residuals and every arb not yet flat."""
        concerned = [arb for arb in self.unfinished.values() if base in (arb.base, arb.foreign)]
        return sum([self.residual(arb, base) for arb in concerned], self.carried.get(base, ZERO))

    def net_delta_worst(self, base: Asset) -> Decimal:
        """Return the largest |net delta| if live orders of one side fill and those of the other do not.

        An order quoted in its arb's foreign asset moves that asset too: by its limit, a buy with its fee.
        """
        delta, up, down = self.net_delta(base), ZERO, ZERO
        for order in self.live_orders():
            intent = order.intent
            if intent.base == base:
                if intent.side is Side.BUY:
                    up += order.remaining_qty
                else:
                    down += order.remaining_qty
            elif intent.quote == base and self.is_foreign(intent):
                moved = order.remaining_qty * intent.limit_price
                if intent.side is Side.BUY:
                    down += moved * (ONE + max(intent.fee_rate, ZERO))
                else:
                    up += moved
        return max(abs(delta + up), abs(delta - down))

    def rate(self, asset: Asset) -> Decimal | None:
        """Return what an asset is worth in the reporting currency, or None when no valid book says so. No parity is assumed.

        It is the median over the mids of all books that were heard of lately, of older ones when there is none: one
        venue's wick or frozen book moves no cap. Asking changes nothing: looks at books are not journaled, and replaying
        the journal must come to the same state without them.
        """
        if asset == self.config.ccy:
            return ONE
        if asset in self.rates_of_step:
            return self.rates_of_step[asset]
        fresh: list[Decimal] = []
        stale: list[Decimal] = []
        heard_ns = self.now_ns - self.config.limits.book_age_recv_ms_max * 1_000_000
        for instrument in self.pricing.get(asset, ()):
            mid = self._mid(instrument)
            if mid is not None:
                (fresh if self.market.state(instrument).recv_ts_ns >= heard_ns else stale).append(mid)
        rate = median(fresh or stale) if fresh or stale else None
        if self.is_stepping:
            self.rates_of_step[asset] = rate
        return rate

    def is_priced(self, asset: Asset) -> bool:
        """Return whether an asset has a rate: what every look asks, and the first valid book answers."""
        if asset == self.config.ccy or asset in self.rates_of_step:
            return self.rate(asset) is not None
        return any(self._mid(instrument) is not None for instrument in self.pricing.get(asset, ()))

    def _mid(self, instrument: InstrumentId) -> Decimal | None:
        if not self.market.state(instrument).is_valid:
            return None
        ask, bid = self.market.best(instrument, Side.BUY), self.market.best(instrument, Side.SELL)
        return None if ask is None or bid is None else (ask.price + bid.price) / 2

    def note_rates(self) -> None:
        """Remember the rates of all traded assets, for when no book gives them. In steps that are journaled only."""
        for asset in self.assets:
            rate = self.rate(asset)
            if rate is not None:
                self.last_rate[asset] = rate

    def capital(self) -> dict[VenueId, Decimal] | None:
        """Return what each venue holds in the reporting currency, or None when an asset held has no price."""
        capital = {}
        rates: dict[Asset, Decimal | None] = {}
        for venue, known in self.venues.items():
            value = ZERO
            for asset in self.assets:
                total = known.totals.get(asset, ZERO)
                if total == 0:
                    continue
                if asset not in rates:
                    rates[asset] = self.rate(asset)
                rate = rates[asset]
                if rate is None:
                    return None
                value += total * rate
            capital[venue] = value
        return capital

    def book_age_ms(self, instrument: Instrument) -> tuple[int, int]:
        """Return the age of a book by receive time and by the venue's own time, skew removed; ms, -1 for never told."""
        book: BookState = self.market.state(instrument.id)
        skew_ms = self.venue(instrument.venue).skew_ms or 0
        by_recv = (self.now_ns - book.recv_ts_ns) // 1_000_000 if book.recv_ts_ns else -1
        by_venue = (self.now_ns - book.venue_ts_ns) // 1_000_000 + skew_ms if book.venue_ts_ns else -1
        return by_recv, max(by_venue, 0) if book.venue_ts_ns else -1
