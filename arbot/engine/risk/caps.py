"""Rules that bound the quantity. Each returns the most base it leaves; the tightest one decides and gives the reason."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.errors import InvariantBroken
from arbot.domain.ids import Asset
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.risk.budget import exposure_bound, stress_bound
from arbot.engine.risk.plan import Plan
from arbot.engine.sizing import Bound

Cap = Callable[[Plan], Bound]

NOTHING = ZERO


def depth(plan: Plan) -> Bound:
    """Allow what the books offer above the minimum edge."""
    return Bound(plan.proposal.qty, Reason.BELOW_MINIMUM, plan.proposal.qty)


def venue_maximum(plan: Plan) -> Bound:
    """Allow the largest order that each leg's venue takes, what the conversion has to move in base."""
    stated = [instrument.qty_max for instrument in (plan.buy, plan.sell) if instrument.qty_max > 0]
    if plan.conversion is not None and plan.conversion.instrument.qty_max > 0:
        stated.append(div(plan.conversion.instrument.qty_max, plan.foreign_unit_most()))
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


def conversion_balance(plan: Plan) -> Bound:
    """Allow what the conversion can pay at its venue: home quote with its fee for a buy, foreign quote for a sell."""
    leg = plan.conversion
    if leg is None:
        return Bound(plan.proposal.qty, Reason.BALANCE_SHORT, plan.proposal.qty)
    is_buy = leg.side is Side.BUY
    available = plan.state.available(leg.instrument.venue, leg.instrument.quote if is_buy else leg.instrument.base)
    if available is None:
        return Bound(NOTHING, Reason.BALANCE_UNKNOWN)
    unit = plan.foreign_unit_most() * (leg.price * (ONE + max(leg.fee.taker, ZERO)) if is_buy else ONE)
    return Bound(div(available, unit), Reason.BALANCE_SHORT, available, plan.proposal.qty * unit)


def inventory(plan: Plan) -> Bound:
    """Allow `inventory_notional_max` per venue and asset, of whatever a leg brings in: base, or a quote.

    Live buys count as filled. The reporting currency itself is bounded by the counterparty share.
    """
    state, limit = plan.state, plan.state.config.limits.inventory_notional_max
    price = _ccy_price(plan)
    bounds = []
    for leg in plan.legs:
        venue, is_buy = leg.instrument.venue, leg.side is Side.BUY
        asset = leg.instrument.base if is_buy else leg.instrument.quote
        if asset == state.config.ccy:
            continue
        coming = sum(
            (
                order.remaining_qty
                for order in state.live_orders(venue)
                if is_buy and order.intent.side is Side.BUY and order.intent.base == asset
            ),
            ZERO,
        )
        rate = price if asset == plan.buy.base else _rate(plan, asset)
        held = (state.venue(venue).totals.get(asset, ZERO) + coming) * rate
        bounds.append(Bound(div(limit - held, price), Reason.INVENTORY, held, limit))
    return min(bounds, key=lambda bound: bound.qty_max)


def net_delta(plan: Plan) -> Bound:
    """Allow `net_delta_notional_max` over all venues, if one leg of this arb fills and the others do not.

    With a conversion that goes for the foreign quote too.
    """
    state, limit = plan.state, plan.state.config.limits.net_delta_notional_max
    price = _ccy_price(plan)
    deltas = [state.net_delta_worst(plan.buy.base) * price]
    if plan.conversion is not None:
        foreign = plan.conversion.instrument.base
        deltas.append(state.net_delta_worst(foreign) * _rate(plan, foreign))
    return Bound(div(limit - max(deltas), price), Reason.NET_DELTA, max(deltas), limit)


def exposure(plan: Plan) -> Bound:
    """Allow what the caps leave on all that the legs stand on: venue, issuer, bank, custodian, chain, cloud region.

    Shares of capital, the arb itself counted: `counterparty_share_max` for venues, less while their payouts falter, and
    [exposure] for the others, or what the registry says of a node.
    """
    return exposure_bound(plan)


def stress_budget(plan: Plan) -> Bound:
    """Allow what the budget of every stress scenario leaves, by the arb's marginal loss; nothing once one is spent."""
    return stress_bound(plan)


CAPS: tuple[Cap, ...] = (
    depth,
    venue_maximum,
    notional_per_arb,
    buy_balance,
    sell_balance,
    conversion_balance,
    inventory,
    net_delta,
    exposure,
    stress_budget,
)


def _rate(plan: Plan, asset: Asset) -> Decimal:
    """Return the price of an asset in the reporting currency; the gate `priced` has seen that there is one."""
    rate = plan.state.rate(asset)
    if rate is None:
        raise InvariantBroken(f"a cap was asked before the gate `priced`: {asset}")
    return rate


def _ccy_price(plan: Plan) -> Decimal:
    """Return the dearer of the two prices in the reporting currency."""
    return max(plan.buy_price * _rate(plan, plan.buy.quote), plan.sell_price * _rate(plan, plan.sell.quote))
