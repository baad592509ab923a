"""The life of an arb: opened with both legs at once, carried to flat, or stranded with a person called.

One rule moves it, `advance`: it looks at the fills and at which orders may still fill, never at what was hoped for.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.commands import CancelTimer, Severity, SubmitOrder
from arbot.domain.decisions import (
    ARB_LIFE,
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    ArbStranded,
    LimitLatched,
    Reason,
)
from arbot.domain.errors import ensure
from arbot.domain.events import OrderRestored
from arbot.domain.ids import ArbId, Asset, OrderName, arb_id, client_order_id
from arbot.domain.instrument import Instrument
from arbot.domain.order import Approved, Fill, OrderIntent, OrderState, Purpose, Side, TimeInForce
from arbot.domain.units import ONE, ZERO
from arbot.engine import orders
from arbot.engine.orders import MS
from arbot.engine.residual import work_residual
from arbot.engine.risk.approve import approve_leg
from arbot.engine.risk.plan import Plan
from arbot.engine.sizing import least_qty
from arbot.engine.state import FINISHED_ARBS_KEPT, Arb, OrderRecord, State
from arbot.engine.step import Step

LEG_NUMBER = {Side.BUY: 1, Side.SELL: 2}
FLUSH_RETRY_MS = 60_000
RESTORE_SETTLE_MS = 1_000
RESTORE_GRACE_MS = 120_000


def open_arb(state: State, step: Step, plan: Plan, qty: Decimal) -> Arb:
    """Open an arb of `qty` base: both legs are approved and submitted in one outcome, hence in one commit."""
    state.note_rates()
    arb = _new_arb(state, plan.buy, plan.sell, qty, plan.buy_price, plan.sell_price)
    for side, instrument in ((Side.BUY, plan.buy), (Side.SELL, plan.sell)):
        price = plan.buy_price if side is Side.BUY else plan.sell_price
        fee = plan.fee_buy if side is Side.BUY else plan.fee_sell
        intent = make_intent(state, arb, instrument, side, qty, price, fee.taker, Purpose.LEG)
        submit(state, step, arb, approve_leg(state, instrument, intent))
    _move(state, step, arb, ArbState.WORKING)
    step.timer(_deadline_key(arb), state.now_ns + state.config.execution.leg_deadline_ms * MS)
    unit_cost = plan.buy_price * (ONE + plan.fee_buy.taker)
    unit_proceeds = plan.sell_price * (ONE - plan.fee_sell.taker)
    step.decide(
        ArbOpened(
            arb_id=arb.id,
            buy=plan.buy.id,
            sell=plan.sell.id,
            qty=qty,
            buy_price=plan.buy_price,
            sell_price=plan.sell_price,
            edge_net_bps=plan.proposal.edge_net_bps,
            expected_quote=qty * (unit_proceeds - unit_cost),
            book_recv_ts_ns=max(
                state.market.state(plan.buy.id).recv_ts_ns, state.market.state(plan.sell.id).recv_ts_ns
            ),
            decided_ts_ns=state.now_ns,
        )
    )
    return arb


def _new_arb(  # noqa: PLR0917 - the values of an arb, in the order one says them
    state: State, buy: Instrument, sell: Instrument, qty: Decimal, buy_price: Decimal, sell_price: Decimal
) -> Arb:
    number = state.next_arb
    state.next_arb += 1
    arb = Arb(
        id=arb_id(state.epoch, number),
        number=number,
        buy=buy.id,
        sell=sell.id,
        base=buy.base,
        quote=buy.quote,
        qty=qty,
        buy_price=buy_price,
        sell_price=sell_price,
        opened_ts_ns=state.now_ns,
    )
    state.arbs[arb.id] = state.unfinished[arb.id] = arb
    return arb


def make_intent(  # noqa: PLR0917 - the values of an order, in the order one says them
    state: State,
    arb: Arb,
    instrument: Instrument,
    side: Side,
    qty: Decimal,
    limit_price: Decimal,
    fee_rate: Decimal,
    purpose: Purpose,
) -> OrderIntent:
    """Return an IOC limit intent named after run, arb, leg and try; the legs themselves are try 0."""
    attempt = 0 if purpose is Purpose.LEG else arb.tries + 1
    return OrderIntent(
        client_order_id=client_order_id(OrderName(state.epoch, arb.number, LEG_NUMBER[side], attempt)),
        arb_id=arb.id,
        purpose=purpose,
        venue=instrument.venue,
        instrument=instrument.id,
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        side=side,
        qty=qty,
        limit_price=limit_price,
        tif=TimeInForce.IOC,
        fee_rate=fee_rate,
        decided_ts_ns=state.now_ns,
        deadline_ns=state.now_ns + state.config.execution.order_deadline_ms * MS,
    )


def submit(state: State, step: Step, arb: Arb, approved: Approved) -> None:
    """Take an approved order into the books and ask the shell to send it."""
    intent = approved.intent
    ensure(intent.client_order_id not in state.orders, "client order id used twice", order=intent.client_order_id)
    order = OrderRecord(intent)
    state.orders[intent.client_order_id] = state.live[intent.client_order_id] = order
    arb.orders.append(intent.client_order_id)
    step.command(SubmitOrder(approved=approved))


def advance(state: State, step: Step, arb: Arb) -> None:
    """Put an arb where its fills and live orders say it is, and do what follows."""
    residual = state.residual(arb)
    is_within = abs(residual) < tolerance(state, arb)
    _watch_exposure(state, arb, is_within=is_within)
    records = list(state.arb_orders(arb))
    if any(order.state is OrderState.UNKNOWN for order in records):
        if arb.state is not ArbState.STRANDED:
            _move(state, step, arb, ArbState.UNKNOWN)
        return
    if any(order.is_live for order in records):
        if arb.state is ArbState.UNKNOWN:
            _move(state, step, arb, ArbState.WORKING)
        return
    if is_within:
        _close(state, step, arb, residual)
        return
    if arb.state is ArbState.STRANDED:
        return
    if arb.state is not ArbState.ONE_SIDED:
        _move(state, step, arb, ArbState.ONE_SIDED)
    arb.one_sided_ts_ns = arb.one_sided_ts_ns or state.now_ns
    _work(state, step, arb, residual)


def _work(state: State, step: Step, arb: Arb, residual: Decimal) -> None:
    why = _spent(state, arb)
    if why:
        _give_up(state, step, arb, residual, why)
        return
    found = work_residual(state, step, arb, residual, make_intent)
    if found is None:
        step.timer(_work_key(arb), state.now_ns + state.config.execution.hedge_retry_ms * MS)
        return
    arb.tries += 1
    arb.tries_spent += 1
    arb.tries_by_instrument[found.intent.instrument] = arb.tries_by_instrument.get(found.intent.instrument, 0) + 1
    submit(state, step, arb, found)
    to = ArbState.UNWINDING if found.intent.purpose is Purpose.UNWIND else ArbState.HEDGING
    _move(state, step, arb, to)
    step.timer(_deadline_key(arb), state.now_ns + state.config.execution.leg_deadline_ms * MS)


def _spent(state: State, arb: Arb) -> str:
    """Return which limit on working a residual is used up, or an empty text."""
    policy = state.config.execution
    if state.standing.killed or state.standing.halted:
        return "halted before the residual was worked off"
    if arb.tries_spent >= policy.hedge_tries_max:
        return f"{arb.tries_spent} orders did not bring it down"
    if _is_coming_back(state, arb):
        return ""
    if state.now_ns - arb.one_sided_ts_ns > policy.hedge_seconds_max * 1000 * MS:
        return f"no venue took it within {policy.hedge_seconds_max} s and {policy.hedge_loss_max} {arb.quote} of loss"
    return ""


def _is_coming_back(state: State, arb: Arb) -> bool:
    """Return whether a venue of a restored arb has not told its balances yet: until then no order can be sized there.

    The seconds of hedging begin anew with each look, for at most RESTORE_GRACE_MS: recovering may take a rate-limited venue
    longer than a residual may be worked.
    """
    venues = {state.instruments[i].venue for i in (arb.buy, arb.sell) if i in state.instruments}
    is_ready = len(venues) > 0 and all(state.venue(venue).has_balances for venue in sorted(venues))
    if not arb.restored_ts_ns or is_ready or state.now_ns - arb.restored_ts_ns > RESTORE_GRACE_MS * MS:
        return False
    arb.one_sided_ts_ns = state.now_ns
    return True


def _give_up(state: State, step: Step, arb: Arb, residual: Decimal, why: str) -> None:
    if arb.is_flush and not arb.is_flatten:
        text = f"a carried residual of {residual} {arb.base} could not be flushed: {why}; trying again later"
        step.alert(Severity.WARNING, "flush_failed", text)
        state.flush_after_ns[arb.base] = state.now_ns + FLUSH_RETRY_MS * MS
        _close(state, step, arb, residual)
        return
    _move(state, step, arb, ArbState.STRANDED)
    state.standing.arbs_stranded += 1
    step.decide(ArbStranded(arb_id=arb.id, residual=residual, base=arb.base, why=why))
    text = f"arb {arb.id} is stranded with {residual} {arb.base}: {why}. No new arbs until `arbot flatten` or its fills"
    step.alert(Severity.CRITICAL, "arb_stranded", text)


def deadline(state: State, step: Step, arb: Arb) -> None:
    """Act on an arb whose orders should have ended: cancel, ask, and look again after another deadline."""
    live = [order for order in state.arb_orders(arb) if order.is_live]
    for order in live:
        orders.overdue(state, step, order)
    if live:
        step.timer(_deadline_key(arb), state.now_ns + state.config.execution.leg_deadline_ms * MS)
    else:
        advance(state, step, arb)


def reopen(state: State, step: Step, arb: Arb) -> None:
    """Take a flat arb up again because a fill came after its end."""
    if arb.state is ArbState.FLAT:
        state.carried[arb.base] = state.carried.get(arb.base, ZERO) - arb.carried_out
        arb.carried_out = ZERO
        state.unfinished[arb.id] = arb
        arb.one_sided_ts_ns = state.now_ns
        _move(state, step, arb, ArbState.ONE_SIDED)


def flush(state: State, step: Step, base: Asset) -> None:
    """Work off what sub-minimum residuals have added up to, once some venue takes that much and nothing else is open."""
    carried = state.carried.get(base, ZERO)
    if not carried or any(arb.base == base for arb in state.unfinished.values()):
        return
    if state.now_ns < state.flush_after_ns.get(base, 0) or state.standing.killed or state.standing.halted:
        return
    for instrument in state.instruments.values():
        if instrument.base != base:
            continue
        touch = state.market.best(instrument.id, Side.SELL if carried > 0 else Side.BUY)
        if touch is not None and abs(carried) >= least_qty(instrument, touch.price):
            arb = _new_arb(state, instrument, instrument, abs(carried), touch.price, touch.price)
            take_over(state, step, arb, carried)
            return


def take_over(state: State, step: Step, arb: Arb, residual: Decimal) -> None:
    """Give an arb without legs the carried residual, and work it."""
    arb.is_flush = True
    arb.residual_in = residual
    state.carried[arb.base] = state.carried.get(arb.base, ZERO) - residual
    arb.one_sided_ts_ns = state.now_ns
    _move(state, step, arb, ArbState.ONE_SIDED)
    advance(state, step, arb)


def adopt_orphan(state: State, step: Step, fill: Fill) -> None:
    """Make an exposure out of a fill of ours whose order is not known, so that it is worked off like any other."""
    state.carried[fill.base] = state.carried.get(fill.base, ZERO) + fill.base_delta
    flush(state, step, fill.base)


def flatten(state: State, step: Step) -> None:
    """Work off every stranded residual and every carried one again, at what the market gives now: a person asked."""
    for arb in list(state.unfinished.values()):
        if arb.state is ArbState.STRANDED:
            arb.is_flatten = True
            arb.one_sided_ts_ns = state.now_ns
            arb.tries_spent = 0
            arb.tries_by_instrument.clear()
            _move(state, step, arb, ArbState.ONE_SIDED)
            advance(state, step, arb)
    for base in list(state.carried):
        state.flush_after_ns.pop(base, None)
        flush(state, step, base)


def restore(state: State, step: Step, event: OrderRestored) -> None:
    """Put back an order of an earlier run, and its arb; nothing is decided before venues have been asked."""
    intent = event.intent
    if intent.client_order_id in state.orders:
        return
    arb = state.arbs.get(intent.arb_id) or _restored_arb(state, intent)
    order = OrderRecord(intent, state=event.state, venue_order_id=event.venue_order_id)
    for fill in event.fills:
        order.fills[fill.key] = fill
        order.filled_qty += -fill.qty if fill.is_reversal else fill.qty
    state.orders[intent.client_order_id] = order
    arb.orders.append(intent.client_order_id)
    if intent.purpose in (Purpose.FLUSH, Purpose.FLATTEN) and not arb.is_flush and len(arb.orders) == 1:
        arb.is_flush = True
        arb.residual_in = state.carried.pop(arb.base, ZERO)
    if intent.purpose is Purpose.LEG:
        if intent.side is Side.BUY:
            arb.buy, arb.buy_price = intent.instrument, intent.limit_price
        else:
            arb.sell, arb.sell_price = intent.instrument, intent.limit_price
    if order.is_live:
        state.live[intent.client_order_id] = order
        if order.state in (OrderState.INTENDED, OrderState.SENT):
            order.state = OrderState.UNKNOWN  # the process died around the send: it may be at the venue
        orders.query(state, step, order)
    step.timer(_work_key(arb), state.now_ns + RESTORE_SETTLE_MS * MS)


def _restored_arb(state: State, intent: OrderIntent) -> Arb:
    number = state.next_arb  # its own number belongs to another epoch: new orders of it need a free one in this
    state.next_arb += 1
    arb = Arb(
        id=intent.arb_id,
        number=number,
        buy=intent.instrument,
        sell=intent.instrument,
        base=intent.base,
        quote=intent.quote,
        qty=intent.qty,
        buy_price=intent.limit_price,
        sell_price=intent.limit_price,
        opened_ts_ns=intent.decided_ts_ns,
        state=ArbState.WORKING,
        restored_ts_ns=state.now_ns,
    )
    state.arbs[arb.id] = state.unfinished[arb.id] = arb
    return arb


def find(state: State, text: str) -> Arb | None:
    """Return an arb that is not finished by the id in a timer key."""
    return state.unfinished.get(ArbId(text))


def tolerance(state: State, arb: Arb) -> Decimal:
    """Return the smallest quantity that some venue would still take against this arb's residual: less than that is carried."""
    price = min(arb.buy_price, arb.sell_price)
    return min((least_qty(one, price) for one in state.listed(arb.base, arb.quote)), default=ZERO)


def _watch_exposure(state: State, arb: Arb, *, is_within: bool) -> None:
    if is_within and arb.unhedged_since_ns:
        arb.unhedged_ns += state.now_ns - arb.unhedged_since_ns
        arb.unhedged_since_ns = 0
    elif not is_within and not arb.unhedged_since_ns:
        arb.unhedged_since_ns = state.now_ns


def _close(state: State, step: Step, arb: Arb, residual: Decimal) -> None:
    _move(state, step, arb, ArbState.FLAT)
    state.unfinished.pop(arb.id, None)
    arb.carried_out = residual
    state.carried[arb.base] = state.carried.get(arb.base, ZERO) + residual
    for key in (_deadline_key(arb), _work_key(arb)):
        step.command(CancelTimer(key=key))
    closed = _result(state, step, arb, residual)
    step.decide(closed)
    state.cool_until_ns[arb.buy, arb.sell] = state.now_ns + state.config.execution.cool_down_ms * MS
    if not arb.is_flush:
        state.standing.arbs_flat += 1
    _count(state, step, arb, closed.pnl_net)
    _forget_old(state)
    flush(state, step, arb.base)


def _result(state: State, step: Step, arb: Arb, residual: Decimal) -> ArbClosed:
    """Return the arb's money in quote: what came in less what went out, the residual valued at the arb's mean price."""
    mark = (arb.buy_price + arb.sell_price) / 2
    quote_in = volume = fees = other_fees = ZERO
    for order in state.arb_orders(arb):
        for fill in order.fills.values():
            quote_in += fill.quote_delta
            volume += -fill.qty * fill.price if fill.is_reversal else fill.qty * fill.price
            fee = _fee_in_quote(state, step, arb, fill, mark)
            fees += fee
            other_fees += fee if fill.fee.asset not in (arb.base, arb.quote) else ZERO
    pnl_net = quote_in + (residual - arb.residual_in) * mark - other_fees
    return ArbClosed(
        arb_id=arb.id,
        pnl_gross=pnl_net + fees,
        fees=fees,
        pnl_net=pnl_net,
        residual=residual,
        volume_quote=volume,
        unhedged_ns=arb.unhedged_ns,
        missed=volume == 0,
        is_flush=arb.is_flush,
    )


def _fee_in_quote(state: State, step: Step, arb: Arb, fill: Fill, mark: Decimal) -> Decimal:
    if fill.fee.asset == arb.quote or not fill.fee.number:
        return fill.fee.number
    if fill.fee.asset == arb.base:
        return fill.fee.number * mark
    rate, quote_rate = _known_rate(state, fill.fee.asset), _known_rate(state, arb.quote)
    if rate is None or not quote_rate:
        step.alert(Severity.WARNING, "fee_unpriced", f"a fee of {fill.fee.number} {fill.fee.asset} has no price")
        return ZERO
    return fill.fee.number * rate / quote_rate


def _known_rate(state: State, asset: Asset) -> Decimal | None:
    rate = state.rate(asset)
    return state.last_rate.get(asset) if rate is None else rate


def _count(state: State, step: Step, arb: Arb, pnl_net: Decimal) -> None:
    """Count a result into the day and the total, and latch the limits that it breaks."""
    rate = _known_rate(state, arb.quote)
    if rate is None:
        step.alert(Severity.CRITICAL, "result_unpriced", f"arb {arb.id}: no price for {arb.quote}; trading is paused")
        state.standing.paused = True
        return
    standing, limits = state.standing, state.config.limits
    new = (pnl_net - arb.counted_pnl) * rate
    arb.counted_pnl = pnl_net
    standing.realised_day += new
    standing.realised_total += new
    standing.realised_peak = max(standing.realised_peak, standing.realised_total)
    measures = (
        (Reason.LOSS_DAY, -standing.realised_day, limits.loss_day_max),
        (Reason.DRAWDOWN, standing.realised_peak - standing.realised_total, limits.drawdown_max),
    )
    for limit, value, bound in measures:
        if value >= bound and limit.value not in standing.latched:
            standing.latched[limit.value] = value
            step.decide(LimitLatched(limit=limit.value, value=value, bound=bound))
            text = f"{limit.value}: {value} of {bound} {state.config.ccy}. `arbot reset-limit {limit.value}` to go on"
            step.alert(Severity.CRITICAL, "limit_latched", text)


def _forget_old(state: State) -> None:
    excess = len(state.arbs) - len(state.unfinished) - FINISHED_ARBS_KEPT
    for arb in [arb for arb in state.arbs.values() if arb.is_finished][: max(excess, 0)]:
        for order_id in arb.orders:
            del state.orders[order_id]
        del state.arbs[arb.id]


def _move(state: State, step: Step, arb: Arb, to: ArbState) -> None:
    if arb.state is to:
        return
    ensure(to in ARB_LIFE[arb.state], "arb life", arb=arb.id, was=arb.state, to=to)
    before, arb.state = arb.state, to
    step.decide(ArbMoved(arb_id=arb.id, before=before, after=to, residual=state.residual(arb)))


def _deadline_key(arb: Arb) -> str:
    return f"deadline:{arb.id}"


def _work_key(arb: Arb) -> str:
    return f"work:{arb.id}"
