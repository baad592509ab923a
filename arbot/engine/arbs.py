"""The life of an arb: opened with all legs at once, carried to flat, or stranded with a person called.

One rule moves it, `advance`: it looks at the fills and at which orders may still fill, never at what was hoped for.
An arb with a conversion has two assets that have to be flat, its base and the foreign quote: it is flat only when both
are, it is worked while either can be, and it is stranded when all that is left has spent its limits.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from arbot.domain.commands import CancelTimer, Severity, SubmitOrder
from arbot.domain.decisions import (
    ARB_LIFE,
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    ArbStranded,
    ConversionLeg,
)
from arbot.domain.errors import ensure
from arbot.domain.events import OrderRestored
from arbot.domain.ids import ArbId, Asset, OrderName, arb_id, client_order_id, parse_client_order_id
from arbot.domain.instrument import Instrument
from arbot.domain.order import Approved, Fill, OrderIntent, OrderState, Purpose, Side, TimeInForce
from arbot.domain.units import ONE, ZERO, Amount, fmt
from arbot.engine import orders, resting
from arbot.engine.orders import MS
from arbot.engine.residual import reducing, work_residual
from arbot.engine.risk import losses
from arbot.engine.risk.approve import approve_leg
from arbot.engine.risk.budget import note_pennies, plan_tail_bps
from arbot.engine.risk.plan import Leg, Plan
from arbot.engine.sizing import least_qty
from arbot.engine.state import FINISHED_ARBS_KEPT, Arb, OrderRecord, State
from arbot.engine.step import Step

LEG_NUMBER = {Side.BUY: 1, Side.SELL: 2}
LEG_NUMBER_CONVERSION = 3
FLUSH_RETRY_MS = 60_000
RESTORE_SETTLE_MS = 1_000
RESTORE_GRACE_MS = 120_000


def open_arb(state: State, step: Step, plan: Plan, qty: Decimal) -> Arb:
    """Open an arb of `qty` base: all legs are approved and submitted in one outcome, hence in one commit."""
    state.note_rates()
    arb = _new_arb(state, plan.buy, plan.sell, qty, plan.buy_price, plan.sell_price)
    if plan.conversion is not None:
        _convert(arb, plan.conversion, plan.foreign_qty(qty))
    arb.is_quote = plan.maker is not None
    for leg in plan.legs:
        if plan.maker is leg.side.opposite:
            continue  # the resting leg's fills are hedged there as they come
        leg_qty = _leg_qty(arb, leg)
        intent = make_intent(state, arb, leg.instrument, leg.side, leg_qty, leg.price, leg.fee.taker, Purpose.LEG)
        if arb.is_quote:
            intent = msgspec.structs.replace(intent, tif=TimeInForce.POST_ONLY)
        submit(state, step, arb, approve_leg(state, leg.instrument, intent))
    _move(state, step, arb, ArbState.WORKING)
    step.timer(_deadline_key(arb), state.now_ns + state.config.execution.leg_deadline_ms * MS)
    expected = _expected(plan, arb)
    stress_loss = note_pennies(plan, qty, expected)
    step.decide(
        ArbOpened(
            arb_id=arb.id,
            buy=plan.buy.id,
            sell=plan.sell.id,
            qty=qty,
            buy_price=plan.buy_price,
            sell_price=plan.sell_price,
            edge_net_bps=plan.proposal.edge_net_bps,
            expected_quote=expected,
            book_recv_ts_ns=max(state.market.state(one.id).recv_ts_ns for one in plan.instruments),
            decided_ts_ns=state.now_ns,
            conversion=arb.conversion,
            is_quote=arb.is_quote,
            stress_loss=stress_loss,
            tail_bps=plan_tail_bps(plan),
        )
    )
    return arb


def _convert(arb: Arb, leg: Leg, qty: Decimal) -> None:
    arb.conversion = ConversionLeg(instrument=leg.instrument.id, side=leg.side, qty=qty, price=leg.price)
    arb.foreign, arb.quote = leg.instrument.base, leg.instrument.quote


def _leg_qty(arb: Arb, leg: Leg) -> Decimal:
    is_conversion = arb.conversion is not None and arb.conversion.instrument == leg.instrument.id
    return arb.conversion.qty if arb.conversion is not None and is_conversion else arb.qty


def _expected(plan: Plan, arb: Arb) -> Decimal:
    """Return what of the home quote comes in less what goes out when every leg fills at its worst acceptable price."""
    expected = ZERO
    for leg in plan.legs:
        if leg.instrument.quote == plan.home:
            expected -= leg.side.sign * _leg_qty(arb, leg) * leg.price * (ONE + leg.side.sign * leg.fee.taker)
    return expected


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
    leg = LEG_NUMBER_CONVERSION if instrument.base == arb.foreign else LEG_NUMBER[side]
    return OrderIntent(
        client_order_id=client_order_id(OrderName(state.epoch, arb.number, leg, attempt)),
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
        lot_method=state.config.lot_method,
    )


def submit(state: State, step: Step, arb: Arb, approved: Approved) -> None:
    """Take an approved order into the books and ask the shell to send it."""
    intent = approved.intent
    ensure(intent.client_order_id not in state.orders, "client order id used twice", order=intent.client_order_id)
    order = OrderRecord(intent)
    state.orders[intent.client_order_id] = state.live[intent.client_order_id] = order
    arb.orders.append(intent.client_order_id)
    state.version += 1
    step.command(SubmitOrder(approved=approved))


def advance(state: State, step: Step, arb: Arb) -> None:
    """Put an arb where its fills and live orders say it is, and do what follows."""
    residuals = _beyond(state, arb)
    is_within = not residuals
    _watch_exposure(state, arb, is_within=is_within)
    records = list(state.arb_orders(arb))
    maker = resting.tend(state, step, arb)
    if any(order.state is OrderState.UNKNOWN for order in records):
        if arb.state is not ArbState.STRANDED:
            _move(state, step, arb, ArbState.UNKNOWN)
        return
    if any(order.is_live and order is not maker for order in records):
        if arb.state is ArbState.UNKNOWN:
            _move(state, step, arb, ArbState.WORKING)
        return
    if maker is not None and (is_within or resting.gathers(state, step, arb, maker)):
        if is_within:
            resting.settled(arb)
        if arb.state is not ArbState.STRANDED:
            _move(state, step, arb, ArbState.WORKING)
        return
    if is_within:
        _close(state, step, arb)
        return
    if arb.state is ArbState.STRANDED:
        return
    if arb.state is not ArbState.ONE_SIDED:
        _move(state, step, arb, ArbState.ONE_SIDED)
    arb.one_sided_ts_ns = arb.one_sided_ts_ns or state.now_ns
    _work(state, step, arb, residuals)


def _beyond(state: State, arb: Arb) -> dict[Asset, Decimal]:
    """Return the residuals that some venue would still take, the base first."""
    residuals = {asset: state.residual(arb, asset) for asset in arb.assets}
    return {
        asset: number for asset, number in residuals.items() if number and abs(number) >= tolerance(state, arb, asset)
    }


def _work(state: State, step: Step, arb: Arb, residuals: dict[Asset, Decimal]) -> None:
    """Send what brings the residuals down, one order an asset; give up when every one of them has spent its limits."""
    why = {asset: _spent(state, arb, asset) for asset in residuals}
    if all(why.values()):
        _give_up(state, step, arb, residuals, "; ".join(dict.fromkeys(why.values())))
        return
    purposes = []
    for asset in residuals:
        found = None if why[asset] else work_residual(state, step, arb, asset, residuals, make_intent)
        if found is None or arb.tries_spent.get(asset):
            resting.clear_the_way(state, step, asset)
        if found is None:
            continue
        intent = found.intent
        arb.tries += 1
        arb.tries_spent[asset] = arb.tries_spent.get(asset, 0) + 1
        arb.tries_by_instrument[intent.instrument] = arb.tries_by_instrument.get(intent.instrument, 0) + 1
        submit(state, step, arb, found)
        purposes.append(intent.purpose)
        if intent.quote == arb.foreign:
            break  # its fills will move the foreign quote too: what that leaves is seen after them
    if not purposes:
        step.timer(_work_key(arb), state.now_ns + state.config.execution.hedge_retry_ms * MS)
        return
    _move(state, step, arb, ArbState.UNWINDING if Purpose.UNWIND in purposes else ArbState.HEDGING)
    step.timer(_deadline_key(arb), state.now_ns + state.config.execution.leg_deadline_ms * MS)


def _spent(state: State, arb: Arb, asset: Asset) -> str:
    """Return which limit on working the residual of an asset is used up, or an empty text."""
    policy = state.config.execution
    if state.standing.killed or state.standing.halted:
        return "halted before the residual was worked off"
    tries = arb.tries_spent.get(asset, 0)
    if tries >= policy.hedge_tries_max:
        return f"{tries} orders did not bring it down"
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
    venues = {state.instruments[i].venue for i in arb.instruments if i in state.instruments}
    is_ready = len(venues) > 0 and all(state.venue(venue).has_balances for venue in sorted(venues))
    if not arb.restored_ts_ns or is_ready or state.now_ns - arb.restored_ts_ns > RESTORE_GRACE_MS * MS:
        return False
    arb.one_sided_ts_ns = state.now_ns
    return True


def _give_up(state: State, step: Step, arb: Arb, residuals: dict[Asset, Decimal], why: str) -> None:
    asset, residual = next(iter(residuals.items()))
    if arb.is_flush and not arb.is_flatten:
        text = f"a carried residual of {residual} {arb.base} could not be flushed: {why}; trying again later"
        step.alert(Severity.WARNING, "flush_failed", text)
        state.flush_after_ns[arb.base] = state.now_ns + FLUSH_RETRY_MS * MS
        _close(state, step, arb)
        return
    _move(state, step, arb, ArbState.STRANDED)
    state.standing.arbs_stranded += 1
    left = tuple(Amount(number, name) for name, number in residuals.items())
    step.decide(ArbStranded(arb_id=arb.id, residual=residual, base=asset, why=why, open=left))
    named = " and ".join(f"{fmt(amount.number)} {amount.asset}" for amount in left)
    text = f"arb {arb.id} is stranded with {named}: {why}. No new arbs until `arbot flatten` or its fills"
    step.alert(Severity.CRITICAL, "arb_stranded", text)


def deadline(state: State, step: Step, arb: Arb) -> None:
    """Act on an arb whose orders should have ended: cancel, ask, and look again after another deadline."""
    live = [o for o in state.arb_orders(arb) if o.is_live and (o.is_unwanted or not o.is_resting)]
    for order in live:
        orders.overdue(state, step, order)
    if live:
        step.timer(_deadline_key(arb), state.now_ns + state.config.execution.leg_deadline_ms * MS)
    else:
        advance(state, step, arb)


def reopen(state: State, step: Step, arb: Arb) -> None:
    """Take a flat arb up again because a fill came after its end."""
    if arb.state is ArbState.FLAT:
        for asset, number in arb.carried_out.items():
            state.carried[asset] = state.carried.get(asset, ZERO) - number
        arb.carried_out = {}
        state.unfinished[arb.id] = arb
        arb.one_sided_ts_ns = state.now_ns
        _move(state, step, arb, ArbState.ONE_SIDED)


def flush(state: State, step: Step, base: Asset) -> None:
    """Work off what sub-minimum residuals have added up to, once some venue takes that much and nothing else is open."""
    carried = state.carried.get(base, ZERO)
    if not carried or any(base in arb.assets and not resting.is_waiting(arb) for arb in state.unfinished.values()):
        return
    if state.now_ns < state.flush_after_ns.get(base, 0) or state.standing.killed or state.standing.halted:
        return
    listed = [instrument for instrument in state.instruments.values() if instrument.base == base]
    for instrument in sorted(listed, key=lambda one: one.quote != state.config.ccy):  # else a new asset would be open
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
            arb.tries_spent.clear()
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
    _learn_legs(arb, intent)
    order.is_unwanted = intent.tif.rests  # nobody has looked at its price since
    arb.is_quote |= intent.tif.rests
    if order.is_live:
        state.live[intent.client_order_id] = order
        if order.state in (OrderState.INTENDED, OrderState.SENT):
            order.state = OrderState.UNKNOWN  # the process died around the send: it may be at the venue
        orders.query(state, step, order)
    step.timer(_work_key(arb), state.now_ns + RESTORE_SETTLE_MS * MS)


def _learn_legs(arb: Arb, intent: OrderIntent) -> None:
    """Take from a restored order what its arb is; the number of the leg in its name tells a conversion."""
    name = parse_client_order_id(intent.client_order_id)
    if name is not None and name.leg == LEG_NUMBER_CONVERSION:
        arb.foreign, arb.quote = intent.base, intent.quote
        if intent.purpose is Purpose.LEG:
            arb.conversion = ConversionLeg(
                instrument=intent.instrument, side=intent.side, qty=intent.qty, price=intent.limit_price
            )
        return
    arb.base = intent.base
    if intent.purpose is Purpose.LEG:
        if intent.side is Side.BUY:
            arb.buy, arb.buy_price = intent.instrument, intent.limit_price
        else:
            arb.sell, arb.sell_price = intent.instrument, intent.limit_price


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


def tolerance(state: State, arb: Arb, asset: Asset) -> Decimal:
    """Return the smallest quantity that some venue would still take of this arb's residual: less than that is carried."""
    priced = (
        (one, min(arb.leg_price(side, one.quote) for side in Side) if asset == arb.base else _marks(arb)[asset])
        for one in reducing(state, arb, asset)
    )
    return min((least_qty(one, price) for one, price in priced), default=ZERO)


def _watch_exposure(state: State, arb: Arb, *, is_within: bool) -> None:
    if is_within and arb.unhedged_since_ns:
        arb.unhedged_ns += state.now_ns - arb.unhedged_since_ns
        arb.unhedged_since_ns = 0
    elif not is_within and not arb.unhedged_since_ns:
        arb.unhedged_since_ns = state.now_ns


def _close(state: State, step: Step, arb: Arb) -> None:
    _move(state, step, arb, ArbState.FLAT)
    state.unfinished.pop(arb.id, None)
    arb.carried_out = {asset: state.residual(arb, asset) for asset in arb.assets}
    for asset, number in arb.carried_out.items():
        state.carried[asset] = state.carried.get(asset, ZERO) + number
    for key in (_deadline_key(arb), _work_key(arb), *resting.timer_keys(arb)):
        step.command(CancelTimer(key=key))
    closed = _result(state, step, arb)
    step.decide(closed)
    is_unfilled_quote = arb.is_quote and closed.missed
    if not (is_unfilled_quote and resting.was_pulled(state, arb)):
        state.cool_until_ns[arb.buy, arb.sell] = state.now_ns + state.config.execution.cool_down_ms * MS
    if not arb.is_flush and not is_unfilled_quote:
        state.standing.arbs_flat += 1
    _count(state, step, arb, closed.pnl_net)
    _forget_old(state)
    for asset in arb.assets:
        flush(state, step, asset)


def _marks(arb: Arb) -> dict[Asset, Decimal]:
    """Return what one unit of each of the arb's assets is worth to it, in its home quote, by its own prices."""
    buy_price, sell_price = (arb.leg_price(side, arb.quote) for side in Side)
    marks = {arb.quote: ONE, arb.base: (buy_price + sell_price) / 2}
    if arb.foreign is not None and arb.conversion is not None:
        marks[arb.foreign] = arb.conversion.price
    return marks


def _result(state: State, step: Step, arb: Arb) -> ArbClosed:
    """Return the arb's money in its home quote: what came in less what went out, residuals valued at the arb's own prices."""
    marks = _marks(arb)
    quote_in = volume = fees = other_fees = ZERO
    for order in state.arb_orders(arb):
        for fill in order.fills.values():
            quote_in += fill.delta(arb.quote)
            value = fill.qty * fill.price * marks.get(fill.quote, ONE)
            volume += -value if fill.is_reversal else value
            fee = _fee_in_quote(state, step, arb, fill, marks)
            fees += fee
            other_fees += fee if fill.fee.asset not in marks else ZERO
    residual = state.residual(arb)
    pnl_net = quote_in + (residual - arb.residual_in) * marks[arb.base] - other_fees
    residual_foreign = ZERO if arb.foreign is None else state.residual(arb, arb.foreign)
    if arb.foreign is not None:
        pnl_net += residual_foreign * marks.get(arb.foreign, ZERO)
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
        is_quote=arb.is_quote,
        residual_foreign=residual_foreign,
    )


def _fee_in_quote(state: State, step: Step, arb: Arb, fill: Fill, marks: dict[Asset, Decimal]) -> Decimal:
    if fill.fee.asset == arb.quote or not fill.fee.number:
        return fill.fee.number
    if fill.fee.asset in marks:
        return fill.fee.number * marks[fill.fee.asset]
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
    standing = state.standing
    new = (pnl_net - arb.counted_pnl) * rate
    arb.counted_pnl = pnl_net
    standing.realised_day += new
    standing.realised_total += new
    standing.realised_peak = max(standing.realised_peak, standing.realised_total)
    losses.latch(state, step)


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
    foreign = ZERO if arb.foreign is None else state.residual(arb, arb.foreign)
    residual = state.residual(arb)
    step.decide(ArbMoved(arb_id=arb.id, before=before, after=to, residual=residual, residual_foreign=foreign))


def _deadline_key(arb: Arb) -> str:
    return f"deadline:{arb.id}"


def _work_key(arb: Arb) -> str:
    return f"work:{arb.id}"
