"""Rules that bound the quantity. Each returns the most base it leaves; the tightest one decides and gives the reason."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.errors import InvariantBroken
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.risk.plan import Plan
from arbot.engine.sizing import Bound

Cap = Callable[[Plan], Bound]

NOTHING = ZERO


def depth(plan: Plan) -> Bound:
    """Allow what the books offer above the minimum edge."""
    return Bound(plan.proposal.qty, Reason.BELOW_MINIMUM, plan.proposal.qty)


def venue_maximum(plan: Plan) -> Bound:
    """Allow the largest order both venues take."""
    stated = [instrument.qty_max for instrument in (plan.buy, plan.sell) if instrument.qty_max > 0]
    most = min(stated, default=plan.proposal.qty)
    return Bound(most, Reason.BELOW_MINIMUM, plan.proposal.qty, most)


def notional_per_arb(plan: Plan) -> Bound:
    """Allow `notional_per_arb_max`, at the dearer of the two prices."""
    limit, price = plan.state.config.limits.notional_per_arb_max, _ccy_price(plan)
    return Bound(div(limit, price), Reason.NOTIONAL_PER_ARB, plan.proposal.qty * price, limit)


def buy_balance(plan: Plan) -> Bound:
    """Allow what the quote available at the buying venue, its fee included, can pay."""
    available = plan.state.available(plan.buy.venue, plan.buy.quote)
    if available is None:
        return Bound(NOTHING, Reason.BALANCE_UNKNOWN)
    unit = plan.buy_price * (ONE + max(plan.fee_buy.taker, ZERO))
    return Bound(div(available, unit), Reason.BALANCE_SHORT, available, plan.proposal.qty * unit)


def sell_balance(plan: Plan) -> Bound:
    """Allow the base available at the selling venue."""
    available = plan.state.available(plan.sell.venue, plan.sell.base)
    if available is None:
        return Bound(NOTHING, Reason.BALANCE_UNKNOWN)
    return Bound(available, Reason.BALANCE_SHORT, available, plan.proposal.qty)


def inventory(plan: Plan) -> Bound:
    """Allow `inventory_notional_max` per venue and asset: base piling up where we buy, foreign quote where we sell.

    Live buys count as filled. The reporting currency itself is bounded by the counterparty share.
    """
    state, limit = plan.state, plan.state.config.limits.inventory_notional_max
    price = _ccy_price(plan)
    coming = sum(
        (
            order.remaining_qty
            for order in state.live_orders(plan.buy.venue)
            if order.intent.side is Side.BUY and order.intent.base == plan.buy.base
        ),
        ZERO,
    )
    held = (state.venue(plan.buy.venue).totals.get(plan.buy.base, ZERO) + coming) * price
    bounds = [Bound(div(limit - held, price), Reason.INVENTORY, held, limit)]
    if plan.sell.quote != state.config.ccy:
        held = state.venue(plan.sell.venue).totals.get(plan.sell.quote, ZERO) * _quote_rate(plan)
        bounds.append(Bound(div(limit - held, price), Reason.INVENTORY, held, limit))
    return min(bounds, key=lambda bound: bound.qty_max)


def net_delta(plan: Plan) -> Bound:
    """Allow `net_delta_notional_max` over all venues, if one leg of this arb fills and the other does not."""
    state, limit = plan.state, plan.state.config.limits.net_delta_notional_max
    price = _ccy_price(plan)
    delta = state.net_delta_worst(plan.buy.base) * price
    return Bound(div(limit - delta, price), Reason.NET_DELTA, delta, limit)


CAPS: tuple[Cap, ...] = (depth, venue_maximum, notional_per_arb, buy_balance, sell_balance, inventory, net_delta)


def _quote_rate(plan: Plan) -> Decimal:
    """Return the price of the quote asset in the reporting currency; the gate `priced` has seen that there is one."""
    rate = plan.state.rate(plan.buy.quote)
    if rate is None:
        raise InvariantBroken(f"a cap was asked before the gate `priced`: {plan.buy.quote}")
    return rate


def _ccy_price(plan: Plan) -> Decimal:
    """Return the dearer of the two prices in the reporting currency."""
    return max(plan.buy_price, plan.sell_price) * _quote_rate(plan)
