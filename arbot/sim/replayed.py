"""A pretend venue on recorded books and a virtual clock: what a replay's orders meet.

Rules of the file:
- A request arrives after a drawn delay and meets the book as it stands then; what came of it reaches us after another.
  News of one order reaches us in the order in which it happened; news of different orders may overtake each other.
- Whatever is taken from a level is reported to `consume`, so that the book shows it gone until the recording sets that
  level again. A fill is never at a worse price than the limit, never more than displayed or printed, in whole steps.
- Every order draws the same number of chances, whatever the model: two models that differ in one number give the same
  luck to the same order.
- A lost answer loses nothing else: the order is carried out, and `query` tells.
- Numbers are exact: fee = qty x price x rate in quote, unrounded. What a resting order may still cost is reserved, so
  no balance ever falls below zero.
How resting orders are filled is said in resting.py, what is assumed of a venue in venue_model.py. Nothing here waits.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.errors import ensure
from arbot.domain.events import (
    AccountSnapshotReceived,
    AdjustmentRecorded,
    CancelRejected,
    Event,
    FeesLoaded,
    MovementState,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
    TransferReported,
)
from arbot.domain.ids import Asset, ClientOrderId, InstrumentId, TradeId, VenueId, VenueOrderId
from arbot.domain.instrument import Balance, FeeRate, Instrument
from arbot.domain.order import Approved, Fill, Liquidity, OrderIntent, OrderState, Side, TimeInForce
from arbot.domain.units import EXACT, ONE, ZERO, Amount, floor_to_step
from arbot.engine.market_view import MarketView
from arbot.sim.fees import rate_of
from arbot.sim.order_checks import Refusal, first_refusal, is_within, levels_of, missing_funds, product, worst_cost
from arbot.sim.resting import PlacedOrder, by_priority, crossed, move_up, opposes, place_of, printed
from arbot.sim.venue_faults import VenueFaults
from arbot.sim.venue_model import ARB_TOKENS, FeeMeter, TokenBucket, VenueModel

NS_PER_MS = 1_000_000
SETTLE_NS = 6_000_000_000  # the engine does not believe a snapshot sooner than 5 s after a fill
ENDED_KEPT = 10_000  # ended orders that can still be asked about; the engine asks within seconds
_RESTING = (TimeInForce.GTC, TimeInForce.POST_ONLY)


class _Luck(NamedTuple):
    """One order's chances, each from 0 to 1."""

    way: float
    reject: float
    timeout: float
    rival: float


def _draw(chance: random.Random) -> _Luck:
    return _Luck(way=chance.random(), reject=chance.random(), timeout=chance.random(), rival=chance.random())


def ways(chance: random.Random, count: int) -> tuple[float, ...]:
    """Return the luck on which the delays of a venue's first orders depend, drawn as the venue draws it."""
    return tuple(_draw(chance).way for _ in range(count))


class _Take(NamedTuple):
    """A level as an order meets it: our part, and what others have taken of it before us."""

    price: Decimal
    qty: Decimal
    rivals: Decimal


class ReplayedVenue:
    """One venue account of a replay. `after(delay_ns, call)` makes a call later, `tell` gives events to the engine then.

    `consume(instrument, side, price, qty)` takes quantity off the levels that a trader on `side` meets.
    """

    def __init__(
        self,
        *,
        venue: VenueId,
        market: MarketView,
        instruments: Iterable[Instrument],
        model: VenueModel,
        balances: Mapping[Asset, Decimal],
        chance: random.Random,
        now_ns: Callable[[], int],
        after: Callable[[int, Callable[[], None]], None],
        tell: Callable[[tuple[Event, ...]], None],
        consume: Callable[[InstrumentId, Side, Decimal, Decimal], None],
    ) -> None:
        self.venue = venue
        self.model = model
        self.faults = VenueFaults()
        self._market = market
        self._instruments = {instrument.id: instrument for instrument in instruments}
        self._chance = chance
        self._now_ns = now_ns
        self._after = after
        self._tell = tell
        self._consume = consume
        self._totals: dict[Asset, Decimal] = dict(balances)
        for instrument in self._instruments.values():
            self._totals.setdefault(instrument.base, ZERO)
            self._totals.setdefault(instrument.quote, ZERO)
        ensure(all(total >= 0 for total in self._totals.values()), "a balance below zero", venue=venue)
        self._held: dict[Asset, Decimal] = {}
        self._meter = FeeMeter(model.fees)
        self._told_tier = self._meter.tier(now_ns())
        self._bucket = TokenBucket(model.limit)
        self._orders: dict[ClientOrderId, PlacedOrder] = {}
        self._ended: deque[ClientOrderId] = deque()
        self._resting: dict[InstrumentId, list[PlacedOrder]] = {}
        self._on_their_way: set[ClientOrderId] = set()
        self._news = 0  # that have not reached us
        self._last_news_ns = 0
        self._transfers = 0
        self._is_retelling = False

    # --- the account --------------------------------------------------------------------------------------------------

    def totals(self) -> dict[Asset, Decimal]:
        """Return every balance, also those at zero."""
        return dict(self._totals)

    def available(self, asset: Asset) -> Decimal:
        """Return what of an asset is not reserved by resting orders."""
        return EXACT.subtract(self._totals.get(asset, ZERO), self._held.get(asset, ZERO))

    def snapshot(self) -> AccountSnapshotReceived:
        """Return the balances as they are now."""
        balances = tuple(
            Balance(asset=asset, total=total, reserved=self._held.get(asset, ZERO))
            for asset, total in sorted(self._totals.items())
        )
        return AccountSnapshotReceived(venue=self.venue, balances=balances)

    def fees(self) -> FeesLoaded:
        """Return the rates of the account's present tier."""
        tier = self._told_tier = self._meter.tier(self._now_ns())
        rates = (FeeRate(instrument=name, maker=tier.maker, taker=tier.taker) for name in self._instruments)
        return FeesLoaded(venue=self.venue, fees=tuple(rates))

    def fees_changed(self) -> FeesLoaded | None:
        """Return the rates when the account is on another tier than was last told, else None."""
        return None if self._meter.tier(self._now_ns()) == self._told_tier else self.fees()

    def has_arb_budget(self, instrument: InstrumentId) -> bool:  # noqa: ARG002 - a venue may count by instrument
        """Return whether a leg, a hedge and a cancel would all pass the rate limit now."""
        return self._bucket.tokens(self._now_ns()) >= ARB_TOKENS

    def deposit(self, asset: Asset, qty: Decimal) -> None:
        """Credit money that arrives now, and tell."""
        self._transfer(asset, qty)

    def withdraw(self, asset: Asset, qty: Decimal) -> None:
        """Debit money that leaves now, and tell. Raises: InvariantBroken when it is not available."""
        ensure(
            qty <= self.available(asset), "a withdrawal of what is not there", venue=self.venue, asset=asset, qty=qty
        )
        self._transfer(asset, -qty)

    def _transfer(self, asset: Asset, qty: Decimal) -> None:
        self._totals[asset] = EXACT.add(self._totals.get(asset, ZERO), qty)
        self._transfers += 1
        report = TransferReported(
            venue=self.venue,
            transfer_id=f"{self.venue}-{self._transfers}",
            asset=asset,
            qty=qty,
            fee=ZERO,
            state=MovementState.DONE,
            venue_ts_ns=self._now_ns(),
        )
        self._tell((report, self.snapshot()))
        if not self._is_retelling:
            self._is_retelling = True
            self._after(SETTLE_NS, self._tell_balances)

    def move(self, asset: Asset, qty: Decimal) -> None:
        """Change a balance by a transfer that somebody else tells of."""
        self._totals[asset] = EXACT.add(self._totals.get(asset, ZERO), qty)
        ensure(self._totals[asset] >= 0, "a transfer of what is not there", venue=self.venue, asset=asset, qty=qty)

    def adjust(self, asset: Asset, qty: Decimal, reason: str) -> None:
        """Change a balance by the venue's own act, such as a haircut, and have the ledger told why."""
        self._totals[asset] = EXACT.add(self._totals.get(asset, ZERO), qty)
        self._tell(
            (AdjustmentRecorded(venue=self.venue, asset=asset, qty=qty, reason=reason, actor="venue"), self.snapshot())
        )

    def reverse(self, since_ns: int) -> int:
        """Undo every fill since then, fees given back, and tell; return how many. A balance may fall below zero: a debt."""
        undone = [fill for order in self._orders.values() for fill in order.fills if fill.venue_ts_ns >= since_ns]
        for fill in undone:
            back = msgspec.structs.replace(
                fill, is_reversal=True, fee=Amount(-fill.fee.number, fill.fee.asset), venue_ts_ns=self._now_ns()
            )
            for asset, delta in ((back.base, back.base_delta), (back.quote, back.quote_delta)):
                self._totals[asset] = EXACT.add(self._totals[asset], delta)
            self._tell((OrderFilled(fill=back),))
        return len(undone)

    def _tell_balances(self) -> None:
        """Tell the balances again until a moment at which nothing of ours was under way: only then are they believed."""
        now_ns = self._now_ns()
        is_quiet = not self._on_their_way and not self._news and not any(self._resting.values())
        is_settled = is_quiet and now_ns - self._last_news_ns > SETTLE_NS
        self._is_retelling = not is_settled
        self._tell((self.snapshot(),))
        if not is_settled:
            self._after(SETTLE_NS, self._tell_balances)

    # --- requests -----------------------------------------------------------------------------------------------------

    def submit(self, approved: Approved) -> None:
        """Send an order on its way. The same client order id again trades nothing: its first answer is told again."""
        intent = approved.intent
        name = intent.client_order_id
        if name in self._on_their_way:
            return
        luck = _draw(self._chance)
        if name in self._orders:
            self._after(self._request_ns(luck.way), lambda: self._repeat(name, luck))
            return
        has_token = self._bucket.take(self._now_ns())
        if not self.faults.drops_orders:
            self._on_their_way.add(name)
            self._after(self._request_ns(luck.way), lambda: self._arrive(intent, luck, has_token=has_token))
        wait_ns = self.model.request_timeout_ms * NS_PER_MS
        is_lost = luck.timeout < self.model.timeout_share or self.faults.drops_orders or self.faults.loses_answers
        is_late = self.faults.delay_factor > 1 and self._request_ns(luck.way) + self._answer_ns(luck.way) > wait_ns
        if is_lost or is_late:
            self._time_out(name, f"no answer within {self.model.request_timeout_ms} ms")

    def cancel(self, command: CancelOrder) -> None:
        """Ask for the end of a resting order. A cancel costs a token where there is one, and is never refused for it."""
        self._bucket.take(self._now_ns())
        way, name = self._chance.random(), command.client_order_id
        if not self.faults.is_gone:
            self._after(self._request_ns(way), lambda: self._cancel(name, way))

    def cancel_all(self) -> None:
        """Ask for the end of every resting order of ours."""
        way = self._chance.random()

        def arrive() -> None:
            for order in [order for orders in self._resting.values() for order in orders]:
                self._cancel(order.intent.client_order_id, way)

        if not self.faults.is_gone:
            self._after(self._request_ns(way), arrive)

    def query(self, command: QueryOrder) -> None:
        """Ask what became of an order: its fills, then its status; UNKNOWN when it is not here (yet, or no longer)."""
        way, asked_ns, name = self._chance.random(), self._now_ns(), command.client_order_id
        if self.faults.is_gone:
            return

        def arrive() -> None:
            if not self.faults.is_gone:
                self._tell_after(self._answer_ns(way), self._status(name, asked_ns))

        self._after(self._request_ns(way), arrive)

    # --- the book moves -----------------------------------------------------------------------------------------------

    def watches(self, instrument: InstrumentId) -> bool:
        """Return whether an order of ours rests there."""
        return bool(self._resting.get(instrument))

    def on_trade(self, instrument: InstrumentId, price: Decimal, qty: Decimal, taker_side: Side) -> None:
        """Let resting orders take part in a public trade."""
        qty_step = self._instruments[instrument].qty_step
        for order in by_priority(one for one in self._resting.get(instrument, ()) if opposes(one, taker_side)):
            part = printed(order, price, qty, qty_step)
            if part > 0:
                qty -= part
                self._fill_resting(order, part)

    def on_book(self, instrument: InstrumentId) -> None:
        """Let resting orders move up in their queues, and trade with what is displayed at or through their price."""
        resting = self._resting.get(instrument)
        if not resting or not self._market.state(instrument).is_valid:
            return
        for order in by_priority(resting):
            move_up(order, place_of(self._market, order.intent))
            takes = crossed(self._market, order, self._instruments[instrument].qty_step)
            for price, qty in takes:
                self._take(order.intent, price, qty)
            if takes:
                order.queue_ahead = ZERO
                self._fill_resting(order, sum((qty for _, qty in takes), ZERO))

    def _fill_resting(self, order: PlacedOrder, qty: Decimal) -> None:
        event = self._fill(order, qty, order.intent.limit_price, Liquidity.MAKER)
        self._hold(order)
        if not order.left:
            self._end(order, OrderState.FILLED)
        self._tell_of(order, (event,), self._chance.random())

    # --- arrivals -----------------------------------------------------------------------------------------------------

    def _arrive(self, intent: OrderIntent, luck: _Luck, *, has_token: bool) -> None:
        self._on_their_way.discard(intent.client_order_id)
        if self.faults.is_gone:
            self._time_out(intent.client_order_id, "the connection was lost")
            return
        order = PlacedOrder(intent, self._meter.tier(self._now_ns()), intent.qty)
        self._orders[intent.client_order_id] = order
        refusal = self._refusal(order, luck, has_token=has_token)
        if refusal is None:
            order.answer = self._match(order, luck)
        else:
            code, detail = refusal
            order.answer = (OrderRejected(client_order_id=intent.client_order_id, code=code, detail=detail),)
            self._end(order, OrderState.REJECTED)
        if luck.timeout >= self.model.timeout_share and not self.faults.loses_answers:
            self._tell_of(order, order.answer, luck.way)

    def _time_out(self, name: ClientOrderId, detail: str) -> None:
        """Let our own side of a request give up, whether or not the venue is there."""
        unknown = RequestOutcomeUnknown(client_order_id=name, request="submit", detail=detail)
        self._tell_after(self.model.request_timeout_ms * NS_PER_MS, (unknown,), is_ours=True)

    def _repeat(self, name: ClientOrderId, luck: _Luck) -> None:
        if name in self._orders:
            self._tell_of(self._orders[name], self._orders[name].answer, luck.way)

    def _refusal(self, order: PlacedOrder, luck: _Luck, *, has_token: bool) -> Refusal | None:
        intent = order.intent
        instrument = self._instruments.get(intent.instrument)
        if not has_token:
            return Refusal(RejectCode.RATE_LIMITED, "no token left")
        if self.faults.refusal is not None:
            return Refusal(self.faults.refusal, "refused by the venue")
        if luck.reject < self.model.reject_share:
            return Refusal(RejectCode.OTHER, "rejected by chance")
        if instrument is None:
            return Refusal(RejectCode.OTHER, "unknown instrument")
        rate = max(order.tier.maker, order.tier.taker, ZERO) if intent.tif in _RESTING else order.tier.taker
        refusal = first_refusal(intent, instrument, self._now_ns(), tuple(TimeInForce)) or missing_funds(
            intent, rate, self.available
        )
        is_valid = self._market.state(intent.instrument).is_valid
        if refusal is None and intent.tif is TimeInForce.POST_ONLY and is_valid:
            best = self._market.best(intent.instrument, intent.side)
            if best is not None and is_within(best.price, intent.limit_price, intent.side):
                return Refusal(RejectCode.POST_ONLY_WOULD_TAKE, "the book offers its price")
        return refusal

    def _match(self, order: PlacedOrder, luck: _Luck) -> tuple[Event, ...]:
        """Let an order meet the book as it stands now and return what came of it."""
        intent = order.intent
        name = intent.client_order_id
        accepted = OrderAccepted(client_order_id=name, venue_order_id=_order_id(name))
        if self.faults.holds_orders:
            order.state = OrderState.OPEN
            return (accepted,)
        if not self._market.state(intent.instrument).is_valid:
            self._end(order, OrderState.EXPIRED)
            return (accepted, OrderExpired(client_order_id=name, filled_qty=ZERO, reason="the book cannot be trusted"))
        takes = self._walk(intent, self._instruments[intent.instrument], luck)
        is_killed = intent.tif is TimeInForce.FOK and sum((take.qty for take in takes), ZERO) < intent.qty
        events: list[Event] = [accepted]
        for take in takes:
            ours = ZERO if is_killed else take.qty
            self._take(intent, take.price, ours + take.rivals)
            if ours:
                events.append(self._fill(order, ours, take.price, Liquidity.TAKER))
        if not order.left:
            self._end(order, OrderState.FILLED)
        elif intent.tif in _RESTING:
            self._rest(order)
        else:
            self._end(order, OrderState.EXPIRED)
            reason = "fill or kill" if is_killed else "immediate or cancel"
            events.append(OrderExpired(client_order_id=name, filled_qty=order.filled_qty, reason=reason))
        return tuple(events)

    def _walk(self, intent: OrderIntent, instrument: Instrument, luck: _Luck) -> list[_Take]:
        """Return the levels the order comes to, best first, with what it and rivals get of each."""
        model = self.model
        wanted = floor_to_step(product(intent.qty, self.faults.fill_share), instrument.qty_step)
        takes: list[_Take] = []
        is_best_gone = luck.rival < model.rival_share
        for price, displayed in levels_of(self._market, intent.instrument, intent.side):
            if not wanted or not is_within(price, intent.limit_price, intent.side):
                break
            left = displayed
            if is_best_gone and not takes:
                left = ZERO
            elif model.depth_share < ONE:
                left = floor_to_step(product(displayed, model.depth_share), instrument.qty_step)
            qty = min(wanted, floor_to_step(left, instrument.qty_step))
            takes.append(_Take(price, qty, displayed - left))
            wanted -= qty
        return takes

    def _rest(self, order: PlacedOrder) -> None:
        self._resting.setdefault(order.intent.instrument, []).append(order)
        move_up(order, place_of(self._market, order.intent))
        self._hold(order)

    def _cancel(self, name: ClientOrderId, way: float) -> None:
        order = self._orders.get(name)
        if order is None or order.state.is_terminal:
            detail = "no such order" if order is None else f"it is {order.state}"
            rejected = CancelRejected(client_order_id=name, detail=detail)
            self._tell_after(self._answer_ns(way), (rejected,))
            return
        if self.faults.refuses_cancels:
            refused = CancelRejected(client_order_id=name, detail="cancelling is not possible now")
            self._tell_after(self._answer_ns(way), (refused,))
            return
        self._end(order, OrderState.CANCELED)
        canceled = OrderCanceled(client_order_id=name, filled_qty=order.filled_qty, reason="asked for")
        self._tell_of(order, (canceled,), way)

    def _status(self, name: ClientOrderId, asked_ns: int) -> tuple[Event, ...]:
        order = self._orders.get(name)
        if order is None:
            return (
                OrderStatusReported(
                    client_order_id=name, state=OrderState.UNKNOWN, venue_order_id=None, sources=2, asked_ts_ns=asked_ns
                ),
            )
        status = OrderStatusReported(
            client_order_id=name,
            state=order.state,
            venue_order_id=None if order.state is OrderState.REJECTED else _order_id(name),
            filled_qty=order.filled_qty,
            asked_ts_ns=asked_ns,
        )
        return (*(OrderFilled(fill=fill) for fill in order.fills), status)

    # --- money and ends -----------------------------------------------------------------------------------------------

    def _fill(self, order: PlacedOrder, qty: Decimal, price: Decimal, liquidity: Liquidity) -> OrderFilled:
        """Execute a part of an order and move the money."""
        intent, now_ns = order.intent, self._now_ns()
        name, tier = intent.client_order_id, order.tier
        fill = Fill(
            venue=self.venue,
            instrument=intent.instrument,
            base=intent.base,
            quote=intent.quote,
            client_order_id=name,
            venue_order_id=_order_id(name),
            trade_id=TradeId(f"{name}-{len(order.fills)}"),
            side=intent.side,
            qty=qty,
            price=price,
            fee=Amount(product(qty, price, rate_of(tier, liquidity)), intent.quote),
            liquidity=liquidity,
            venue_ts_ns=now_ns,
        )
        order.fills.append(fill)
        order.left -= qty
        order.state = OrderState.PART_FILLED if order.left else OrderState.FILLED
        for asset, delta in ((fill.base, fill.base_delta), (fill.quote, fill.quote_delta)):
            self._totals[asset] = EXACT.add(self._totals[asset], delta)
            ensure(self._totals[asset] >= 0, "a balance fell below zero", venue=self.venue, asset=asset, order=name)
        self._meter.add(now_ns, product(qty, price))
        return OrderFilled(fill=fill)

    def _take(self, intent: OrderIntent, price: Decimal, qty: Decimal) -> None:
        if self.model.consumes and qty > 0:
            self._consume(intent.instrument, intent.side, price, qty)

    def _hold(self, order: PlacedOrder) -> None:
        """Reserve what the rest of a resting order may cost, and give back what it no longer may."""
        asset, needed = worst_cost(order.intent, order.left, max(order.tier.maker, ZERO))
        self._held[asset] = EXACT.add(self._held.get(asset, ZERO), EXACT.subtract(needed, order.held))
        order.held = needed

    def _end(self, order: PlacedOrder, state: OrderState) -> None:
        """End an order: it rests no longer, reserves nothing, and is forgotten when enough others have ended."""
        order.state = state
        resting = self._resting.get(order.intent.instrument, [])
        if order in resting:
            resting.remove(order)
        if order.held:
            asset, _ = worst_cost(order.intent, ZERO, ZERO)
            self._held[asset] = EXACT.subtract(self._held[asset], order.held)
            order.held = ZERO
        self._ended.append(order.intent.client_order_id)
        if len(self._ended) > ENDED_KEPT:
            del self._orders[self._ended.popleft()]

    # --- news ---------------------------------------------------------------------------------------------------------

    def _tell_of(self, order: PlacedOrder, events: tuple[Event, ...], luck: float) -> None:
        """Tell of an order after a drawn delay, and not before what was told of it earlier."""
        now_ns = self._now_ns()
        order.told_ns = max(order.told_ns, now_ns + self._answer_ns(luck))
        self._tell_after(order.told_ns - now_ns, events)

    def _request_ns(self, luck: float) -> int:
        return round(self.model.request.at_ns(luck) * self.faults.delay_factor)

    def _answer_ns(self, luck: float) -> int:
        return round(self.model.answer.at_ns(luck) * self.faults.delay_factor)

    def _tell_after(self, delay_ns: int, events: tuple[Event, ...], *, is_ours: bool = False) -> None:
        self._news += 1

        def arrive() -> None:
            self._news -= 1
            if self.faults.is_gone and not is_ours:
                return
            self._last_news_ns = self._now_ns()
            self._tell(events)

        self._after(delay_ns, arrive)


def _order_id(name: ClientOrderId) -> VenueOrderId:
    return VenueOrderId(f"replay-{name}")
