"""The order of a quote while it rests: who pulls it, when its fills may wait, and how its end is seen to.

A quote is an arb one leg of which rests post-only; as it fills, the residual is hedged like any other, while the order
stays. It is pulled (cancelled, and cancelled again until it is proven ended) as soon as a hedge does not work at the
first try, or is in doubt: exposure goes before pennies. Fills that come after the cancel are hedged all the same.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import ArbState, QuotePulled, Reason
from arbot.domain.ids import Asset
from arbot.domain.order import OrderState, Side
from arbot.engine import orders
from arbot.engine.orders import MS
from arbot.engine.risk.plan import Breach
from arbot.engine.sizing import least_qty
from arbot.engine.state import Arb, OrderRecord, State
from arbot.engine.step import Step

HEDGES_MAX = 500  # orders sent for one quote: their names have two places in base 36
_AT_VENUE = (OrderState.OPEN, OrderState.PART_FILLED)


def order_of(state: State, arb: Arb) -> OrderRecord | None:
    """Return the order of a quote that rests, or may; None when there is none (any more)."""
    if not arb.is_quote:
        return None
    return next((order for order in state.arb_orders(arb) if order.is_resting), None)


def hedge_side(order: OrderRecord) -> Side:
    """Return the side of the orders that hedge a resting order's fills."""
    return order.intent.side.opposite


def pull(state: State, step: Step, arb: Arb, order: OrderRecord, breach: Breach) -> None:
    """Have a resting order ended, for this reason; once is enough."""
    if order.is_unwanted or not order.is_resting:
        return
    order.is_unwanted = True
    step.decide(
        QuotePulled(
            arb_id=arb.id,
            client_order_id=order.intent.client_order_id,
            reason=breach.reason,
            value=breach.value,
            limit=breach.limit,
        )
    )
    _cancel(state, step, arb, order)


def clear_the_way(state: State, step: Step, base: Asset) -> None:
    """Pull every quote of an asset: a residual of it was not worked off at the first try, and they may stand in its way."""
    for arb, order in list(state.quotes()):
        if arb.base == base:
            pull(state, step, arb, order, Breach(Reason.HEDGE_FAILED))


def tend(state: State, step: Step, arb: Arb) -> OrderRecord | None:
    """Do for a quote's resting order what is due, and return it; None when nothing of the arb rests."""
    order = order_of(state, arb)
    if order is None:
        return None
    others = [one for one in state.arb_orders(arb) if one is not order]
    if arb.tries_spent and others[-1].state is OrderState.FILLED:
        settled(arb)  # what is open now has filled since
    if any(one.state is OrderState.UNKNOWN for one in others):
        pull(state, step, arb, order, Breach(Reason.HEDGE_FAILED))
    if arb.tries >= HEDGES_MAX:
        pull(state, step, arb, order, Breach(Reason.HEDGES_SPENT, Decimal(arb.tries), Decimal(HEDGES_MAX)))
    if order.is_unwanted:
        _cancel(state, step, arb, order)
    return order


def gathers(state: State, step: Step, arb: Arb, order: OrderRecord) -> bool:
    """Return whether what has filled may wait for more: its hedge venue takes no order as small, another might.

    It waits for half of the seconds that a residual has; then the quote is pulled, and others or the first venue take it.
    """
    hedge = state.instruments.get(arb.sell if order.intent.side is Side.BUY else arb.buy)
    if hedge is None or order.is_unwanted:
        return False
    price = arb.sell_price if order.intent.side is Side.BUY else arb.buy_price
    if abs(state.residual(arb)) >= least_qty(hedge, price):
        return False
    wait_ns = state.config.execution.hedge_seconds_max * 1000 * MS // 2
    arb.one_sided_ts_ns = arb.one_sided_ts_ns or state.now_ns
    if state.now_ns - arb.one_sided_ts_ns < wait_ns:
        step.timer(f"work:{arb.id}", arb.one_sided_ts_ns + wait_ns)
        return True
    pull(state, step, arb, order, Breach(Reason.BELOW_MINIMUM, abs(state.residual(arb)), least_qty(hedge, price)))
    return False


def is_waiting(arb: Arb) -> bool:
    """Return whether a quote only rests: none of its fills is being worked."""
    return arb.is_quote and arb.state is ArbState.WORKING


def settled(arb: Arb) -> None:
    """Note that the last hedge did what it was for: what fills from now on has its own tries and seconds."""
    arb.one_sided_ts_ns = 0
    arb.tries_spent.clear()
    arb.tries_by_instrument.clear()


def timer_key(arb: Arb) -> str:
    """Return the key of the timer that looks after a quote when its books say nothing."""
    return f"quote:{arb.id}"


def timer_keys(arb: Arb) -> tuple[str, ...]:
    """Return the keys of the timers that a quote has beyond those of any arb."""
    return (timer_key(arb),) if arb.is_quote else ()


def was_pulled(state: State, arb: Arb) -> bool:
    """Return whether the arb's order was ended by us: its place may be taken by the next one at once."""
    return any(order.is_unwanted for order in state.arb_orders(arb))


def _cancel(state: State, step: Step, arb: Arb, order: OrderRecord) -> None:
    """Ask for the end of an order once the venue has it, and look after that."""
    if order.state in _AT_VENUE and not order.cancel_ts_ns:
        order.cancel_ts_ns = state.now_ns
        orders.cancel(step, order)
        step.timer(f"deadline:{arb.id}", state.now_ns + state.config.execution.leg_deadline_ms * MS)
