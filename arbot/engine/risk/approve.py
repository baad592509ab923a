"""The one door to an order: the only place where `Approved` is made."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.decisions import Reason
from arbot.domain.errors import ensure
from arbot.domain.instrument import Instrument
from arbot.domain.order import Approved, OrderIntent, Purpose
from arbot.domain.units import is_multiple
from arbot.engine.risk.caps import CAPS
from arbot.engine.risk.gates import GATES, orders_in_last_minute
from arbot.engine.risk.plan import Breach, Plan
from arbot.engine.sizing import least_qty, size
from arbot.engine.state import State

ARB_RULES = tuple(rule.__name__ for rule in (*GATES, *CAPS))


def judge(plan: Plan) -> Decimal | Breach:
    """Return the quantity that every rule leaves for this plan, or the first rule's breach."""
    for gate in GATES:
        breach = gate(plan)
        if breach is not None:
            return breach
    bounds = [cap(plan) for cap in CAPS]
    qty, bound = size(plan.buy, plan.sell, plan.buy_price, plan.sell_price, bounds)
    if plan.conversion is not None and qty > 0:
        moved, least = plan.foreign_qty(qty), least_qty(plan.conversion.instrument, plan.conversion.price)
        if moved < least:
            return Breach(Reason.BELOW_MINIMUM, moved, least)
    return qty if qty > 0 else Breach(bound.reason, bound.value, bound.limit)


def approve_leg(state: State, instrument: Instrument, intent: OrderIntent) -> Approved:
    """Return the approval of an arb's leg that `judge` has sized. Raises: InvariantBroken on an order no venue takes."""
    ensure(intent.purpose is Purpose.LEG, "only legs are approved with the arb", order=intent.client_order_id)
    _check_shape(instrument, intent)
    _count(state, intent)
    return Approved(intent, ARB_RULES)


class Reducing(NamedTuple):
    """An order that is to bring a residual down: what it would do, and what it may cost at worst."""

    intent: OrderIntent
    instrument: Instrument
    residual: Decimal
    loss_worst: Decimal


def not_stopped(state: State, _: Reducing) -> Breach | None:
    """Refuse any order while killed or halted, even one that reduces."""
    if state.standing.killed:
        return Breach(Reason.KILLED)
    return Breach(Reason.PAUSED) if state.standing.halted else None


def instrument_open(_: State, order: Reducing) -> Breach | None:
    """Require that the venue takes IOC orders for the instrument now."""
    return None if order.instrument.takes_ioc else Breach(Reason.INSTRUMENT_CLOSED)


def only_reduces(_: State, order: Reducing) -> Breach | None:
    """Require that the order is against the residual and no larger than it."""
    against = order.intent.side.sign * order.residual < 0
    fits = order.intent.qty <= abs(order.residual)
    return None if against and fits else Breach(Reason.NET_DELTA, order.intent.qty, abs(order.residual))


def order_rate(state: State, order: Reducing) -> Breach | None:
    """Require that the venue's orders of the last minute leave room for this one."""
    limit = state.config.limits.orders_per_minute_max
    count = orders_in_last_minute(state.venue(order.intent.venue), state.now_ns)
    return Breach(Reason.ORDER_RATE, Decimal(count), Decimal(limit)) if count >= limit else None


def loss_bounded(state: State, order: Reducing) -> Breach | None:
    """Require that at its worst price the order loses no more than `hedge_loss_max`, unless a person asked to flatten."""
    limit = state.config.execution.hedge_loss_max
    if order.intent.purpose is Purpose.FLATTEN:
        return None
    return Breach(Reason.HEDGE_LOSS, order.loss_worst, limit) if order.loss_worst > limit else None


REDUCING_RULES: tuple[Callable[[State, Reducing], Breach | None], ...] = (
    not_stopped,
    instrument_open,
    only_reduces,
    order_rate,
    loss_bounded,
)
_REDUCING_NAMES = tuple(rule.__name__ for rule in REDUCING_RULES)


def approve_reducing(state: State, order: Reducing) -> Approved | Breach:
    """Return the approval of an order that reduces exposure, or the first rule's breach."""
    for rule in REDUCING_RULES:
        breach = rule(state, order)
        if breach is not None:
            return breach
    _check_shape(order.instrument, order.intent)
    _count(state, order.intent)
    return Approved(order.intent, _REDUCING_NAMES)


def _check_shape(instrument: Instrument, intent: OrderIntent) -> None:
    ensure(is_multiple(intent.limit_price, instrument.tick_size), "price off the tick", order=intent.client_order_id)
    ensure(is_multiple(intent.qty, instrument.qty_step), "quantity off the step", order=intent.client_order_id)
    ensure(intent.limit_price > 0, "price not positive", order=intent.client_order_id)
    least = least_qty(instrument, intent.limit_price)
    ensure(intent.qty >= least, "quantity below the venue's minimum", order=intent.client_order_id, least=least)


def _count(state: State, intent: OrderIntent) -> None:
    state.venue(intent.venue).orders_sent_ts_ns.append(state.now_ns)
