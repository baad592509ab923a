"""Quotes: orders that rest until somebody takes them, and only as long as each unit of them can be hedged.

Rules of the file:
- A place is a maker instrument and a side; at most one order of ours is alive in it. A quote that is to move is pulled,
  proven ended, and only then placed anew.
- Nothing is believed of the strategy's numbers: before placing and at every look the engine itself asks the gates, the
  hedge book (fresh, and deep enough at the hedge price for all that rests towards it), the balances on both sides with
  fees, and the net delta if everything fills.
- Whatever speaks against a quote pulls it at once. Only moving it, or the strategy not wanting it any more, waits until
  it has rested for `quote_rest_ms_min`: a place in the queue is worth something.
- Books that say nothing send no events: a timer looks after each quote when the older of its books goes stale.
- No two of our own orders can meet: a place is not taken where a hedge may have to trade, and no hedge trades there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from arbot.domain.decisions import OpportunityDeclined, OpportunitySeen, Reason
from arbot.domain.ids import InstrumentId
from arbot.domain.instrument import Instrument
from arbot.domain.order import OrderState, Side
from arbot.domain.units import ONE, ZERO, share_bps
from arbot.engine import arbs, resting
from arbot.engine.detector import SHALLOW, reach
from arbot.engine.orders import MS
from arbot.engine.risk.approve import judge
from arbot.engine.risk.gates import GATES, arbs_open, cool_down, order_rate
from arbot.engine.risk.plan import Breach, Plan
from arbot.engine.sizing import limit_price
from arbot.engine.state import Arb, OrderRecord, State
from arbot.engine.step import Step
from arbot.engine.strategy import Proposal, Quote

KEEP_GATES = tuple(gate for gate in GATES if gate not in (arbs_open, cool_down, order_rate))
"""The gates a quote has to pass as long as it rests: all but those that count or space what is opened."""

LOOK_MS_MIN = 50  # between two looks of the timer, should a book be about to go stale


def review(state: State, step: Step, edge_net_bps_min: Decimal, changed: Sequence[InstrumentId] | None = None) -> None:
    """Pull every quote that may not rest any longer; given books that changed, look only at quotes that touch them."""
    for arb, order in list(state.quotes()):
        if changed is not None and arb.buy not in changed and arb.sell not in changed:
            continue
        if not order.is_unwanted:
            breach = _against(state, arb, order, edge_net_bps_min)
            if breach is not None:
                resting.pull(state, step, arb, order, breach)


def settle(
    state: State, step: Step, wanted: Sequence[Quote], changed: Sequence[InstrumentId], edge_net_bps_min: Decimal
) -> None:
    """Bring what rests towards what the strategy wants after these books changed: place, move, or pull."""
    by_place: dict[tuple[InstrumentId, Side], Quote] = {}
    for quote in wanted:
        by_place.setdefault((quote.maker, quote.side), quote)
    taken: dict[tuple[InstrumentId, Side], None] = {}
    for arb in list(state.unfinished.values()):
        if arb.is_quote:
            for place in _places(state, arb):
                taken[place] = None
    for arb, order in list(state.quotes()):
        there = by_place.get((order.intent.instrument, order.intent.side))
        if arb.buy in changed or arb.sell in changed:
            _keep_or_move(state, step, arb, order, there)
    for place, quote in by_place.items():
        if place not in taken:
            _place(state, step, quote, edge_net_bps_min)


def watch(state: State, step: Step, arb: Arb, edge_net_bps_min: Decimal) -> None:
    """Look after a quote because time has passed, and have it looked after again."""
    order = resting.order_of(state, arb)
    if order is None or order.is_unwanted:
        return
    breach = _against(state, arb, order, edge_net_bps_min)
    if breach is None:
        step.timer(resting.timer_key(arb), _stale_ns(state, arb))
    else:
        resting.pull(state, step, arb, order, breach)


def quoted(state: State) -> tuple[InstrumentId, ...]:
    """Return the instruments on which something of ours rests, and those on which it would be hedged, each once."""
    touched = dict.fromkeys(
        one for arb, order in state.quotes() if not order.is_unwanted for one in (arb.buy, arb.sell)
    )
    return tuple(touched)


def towards(state: State, hedge: InstrumentId, side: Side) -> Decimal:
    """Return how much rests whose hedge would trade on this side of an instrument; sub-minimum fills are part of it."""
    found = ZERO
    for arb, order in state.quotes():
        if resting.hedge_side(order) is side and _hedge_id(arb, order) == hedge:
            found += order.remaining_qty + abs(state.residual(arb))
    return found


# --- may it rest ------------------------------------------------------------------------------------------------------


def _against(state: State, arb: Arb, order: OrderRecord, edge_net_bps_min: Decimal) -> Breach | None:
    """Return what speaks against a quote that rests."""
    buy, sell = state.instruments.get(arb.buy), state.instruments.get(arb.sell)
    if buy is None or sell is None or not order.remaining_qty:
        return Breach(Reason.INSTRUMENT_CLOSED) if order.remaining_qty else None
    plan = _plan(state, buy, sell, order.intent.side, (arb.buy_price, arb.sell_price), order.remaining_qty)
    if isinstance(plan, Breach):
        return plan
    for gate in KEEP_GATES:
        breach = gate(plan)
        if breach is not None:
            return breach
    if plan.proposal.edge_net_bps < edge_net_bps_min:
        return Breach(Reason.NO_EDGE, plan.proposal.edge_net_bps, edge_net_bps_min)
    return _hedgeable(plan, ZERO) or _funded(plan) or _bounded(plan)


def _hedgeable(plan: Plan, qty: Decimal) -> Breach | None:
    """Require that the hedge book takes, at the hedge price or better, all that rests towards it and `qty` more."""
    need, got = _need_and_room(plan, qty)
    return None if got >= need else Breach(Reason.HEDGE_SHORT, got, need)


def _need_and_room(plan: Plan, qty: Decimal) -> tuple[Decimal, Decimal]:
    hedge, side, price = _hedge_of(plan)
    need = towards(plan.state, hedge.id, side) + qty
    got = ZERO
    for depth in (SHALLOW, plan.state.config.execution.depth_max):
        got, _, _ = reach(plan.state.market.levels(hedge.id, side, depth), side, need, price)
        if got == need:
            break
    return need, got


def _funded(plan: Plan) -> Breach | None:
    """Require that both venues hold what live orders and the hedges of all that rests take."""
    for leg in plan.legs:
        asset = leg.instrument.quote if leg.side is Side.BUY else leg.instrument.base
        total = plan.state.venue(leg.instrument.venue).totals.get(asset)
        if total is None:
            return Breach(Reason.BALANCE_UNKNOWN)
        reserved = plan.state.reserved(leg.instrument.venue, asset)
        if reserved > total:
            return Breach(Reason.BALANCE_SHORT, total, reserved)
    return None


def _bounded(plan: Plan) -> Breach | None:
    """Require that the net delta stays within its limit if everything of one side fills."""
    rate, limit = plan.state.rate(plan.buy.quote), plan.state.config.limits.net_delta_notional_max
    if rate is None:
        return Breach(Reason.PRICE_UNKNOWN)
    delta = plan.state.net_delta_worst(plan.buy.base) * max(plan.buy_price, plan.sell_price) * rate
    return Breach(Reason.NET_DELTA, delta, limit) if delta > limit else None


def _plan(  # noqa: PLR0917 - what a plan is made of
    state: State, buy: Instrument, sell: Instrument, maker: Side, prices: tuple[Decimal, Decimal], qty: Decimal
) -> Plan | Breach:
    """Return the plan of a quote: the maker's fee where it rests, the edge at the hedge price, the gap to the hedge touch."""
    if buy.base != sell.base or buy.quote != sell.quote:
        return Breach(Reason.QUOTE_MISMATCH)
    fee_buy, fee_sell = state.fees.get(buy.id), state.fees.get(sell.id)
    if fee_buy is None or fee_sell is None:
        return Breach(Reason.FEE_UNKNOWN)
    if maker is Side.BUY:
        fee_buy = msgspec.structs.replace(fee_buy, taker=fee_buy.maker)
    else:
        fee_sell = msgspec.structs.replace(fee_sell, taker=fee_sell.maker)
    hedge = sell if maker is Side.BUY else buy
    touch = state.market.best(hedge.id, maker.opposite)
    if touch is None or not state.market.state(hedge.id).is_valid:
        return Breach(Reason.BOOK_NOT_TRADABLE)
    buy_price, sell_price = prices
    gap = touch.price - buy_price if maker is Side.BUY else sell_price - touch.price
    net = sell_price * (ONE - fee_sell.taker) - buy_price * (ONE + fee_buy.taker)
    proposal = Proposal(
        buy=buy.id,
        sell=sell.id,
        qty=qty,
        buy_price=buy_price,
        sell_price=sell_price,
        edge_gross_bps=share_bps(gap, buy_price),
        edge_net_bps=share_bps(net, buy_price),
    )
    return Plan(state, proposal, buy, sell, fee_buy, fee_sell, buy_price, sell_price, maker=maker)


# --- placing and moving -----------------------------------------------------------------------------------------------


def _place(state: State, step: Step, quote: Quote, edge_net_bps_min: Decimal) -> None:
    """Rest an order for a quote if every rule allows one, or say which does not."""
    maker, hedge = state.instruments.get(quote.maker), state.instruments.get(quote.hedge)
    if maker is None or hedge is None:
        return  # of a venue whose instruments are not loaded: no strategy of ours can have seen its book
    is_bid = quote.side is Side.BUY
    buy, sell = (maker, hedge) if is_bid else (hedge, maker)
    price = limit_price(maker, quote.side, quote.price)
    hedge_price = limit_price(hedge, quote.side.opposite, quote.hedge_price)
    prices = (price, hedge_price) if is_bid else (hedge_price, price)
    plan = _plan(state, buy, sell, quote.side, prices, quote.qty)
    if isinstance(plan, Breach):
        verdict = plan
    else:
        judged = _judge(plan, edge_net_bps_min)
        if not isinstance(judged, Breach):
            _open(state, step, plan, judged)
            return
        verdict = judged
    step.decide(
        OpportunityDeclined(
            buy=buy.id,
            sell=sell.id,
            reason=verdict.reason,
            value=verdict.value,
            limit=verdict.limit,
            edge_net_bps=quote.edge_net_bps,
        )
    )


def _judge(plan: Plan, edge_net_bps_min: Decimal) -> Decimal | Breach:
    """Return how much of a quote may rest: what its hedge book has left, and every other rule of an arb."""
    breach = _clear(plan, edge_net_bps_min)
    if breach is not None:
        return breach
    need, got = _need_and_room(plan, plan.proposal.qty)
    room = plan.proposal.qty - (need - got)
    if room <= 0:
        return Breach(Reason.HEDGE_SHORT, got, need)
    return judge(dataclasses.replace(plan, proposal=msgspec.structs.replace(plan.proposal, qty=room)))


def _clear(plan: Plan, edge_net_bps_min: Decimal) -> Breach | None:
    """Require an edge, a price that rests, and that neither this order nor its hedge can meet another order of ours."""
    state, side = plan.state, plan.maker or Side.BUY
    maker, price = (plan.buy, plan.buy_price) if side is Side.BUY else (plan.sell, plan.sell_price)
    hedge, hedge_side, _ = _hedge_of(plan)
    if plan.proposal.edge_net_bps < edge_net_bps_min:
        return Breach(Reason.NO_EDGE, plan.proposal.edge_net_bps, edge_net_bps_min)
    touch = state.market.best(maker.id, side)
    if touch is None:
        return Breach(Reason.BOOK_NOT_TRADABLE)
    if (touch.price - price) * side.sign <= 0:
        return Breach(Reason.WOULD_TAKE, price, touch.price)
    crosses = any(
        order.is_resting and order.intent.instrument == maker.id and order.intent.side is not side
        and (price - order.intent.limit_price) * side.sign >= 0
        for order in state.live_orders()
    )  # fmt: skip
    ours = crosses or state.meets_own(hedge.id, hedge_side) or towards(state, maker.id, side.opposite)
    return Breach(Reason.OWN_ORDER) if ours else None


def _open(state: State, step: Step, plan: Plan, qty: Decimal) -> None:
    proposal = plan.proposal
    step.decide(
        OpportunitySeen(
            buy=plan.buy.id,
            sell=plan.sell.id,
            qty=proposal.qty,
            buy_price=proposal.buy_price,
            sell_price=proposal.sell_price,
            edge_gross_bps=proposal.edge_gross_bps,
            edge_net_bps=proposal.edge_net_bps,
        )
    )
    arb = arbs.open_arb(state, step, plan, qty)
    step.timer(resting.timer_key(arb), _stale_ns(state, arb))


def _keep_or_move(state: State, step: Step, arb: Arb, order: OrderRecord, wanted: Quote | None) -> None:
    """Pull a quote that the strategy wants elsewhere or not at all, once it has rested long enough."""
    rested_ns = state.now_ns - order.intent.decided_ts_ns
    if order.is_unwanted or order.state is OrderState.INTENDED:
        return
    if rested_ns < state.config.execution.quote_rest_ms_min * MS:
        return
    if wanted is None:
        resting.pull(state, step, arb, order, Breach(Reason.QUOTE_UNWANTED))
        return
    price = order.intent.limit_price
    apart_bps = share_bps(abs(wanted.price - price), price)
    if apart_bps > wanted.move_bps:
        resting.pull(state, step, arb, order, Breach(Reason.QUOTE_MOVED, apart_bps, wanted.move_bps))


# --- parts ------------------------------------------------------------------------------------------------------------


def _places(state: State, arb: Arb) -> Iterable[tuple[InstrumentId, Side]]:
    """Yield the place of a quote, until its arb has ended: also while its last fills are being hedged."""
    return ((one.intent.instrument, one.intent.side) for one in state.arb_orders(arb) if one.intent.tif.rests)


def _hedge_id(arb: Arb, order: OrderRecord) -> InstrumentId:
    return arb.sell if order.intent.side is Side.BUY else arb.buy


def _hedge_of(plan: Plan) -> tuple[Instrument, Side, Decimal]:
    """Return where a quote is hedged, on which side, and the worst price."""
    if plan.maker is Side.BUY:
        return plan.sell, Side.SELL, plan.sell_price
    return plan.buy, Side.BUY, plan.buy_price


def _stale_ns(state: State, arb: Arb) -> int:
    """Return when the first of a quote's books goes stale if nothing more is heard of it."""
    limits = state.config.limits
    at_ns = [
        min(
            state.market.state(one).recv_ts_ns + limits.book_age_recv_ms_max * MS,
            state.market.state(one).venue_ts_ns + limits.book_age_venue_ms_max * MS,
        )
        for one in (arb.buy, arb.sell)
    ]
    return max(min(at_ns), state.now_ns + LOOK_MS_MIN * MS) + MS
