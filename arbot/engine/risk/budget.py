"""How much of an arb the budgets leave: by stress scenario, and by what its legs stand on. The arb itself is counted."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.risk.exposure import share_max
from arbot.engine.risk.plan import Plan
from arbot.engine.risk.rooms import REASONS, Place, Rooms, place_of, rooms_of
from arbot.engine.risk.stress import Leg, marginals, worst
from arbot.engine.risk.table import Node
from arbot.engine.risk.tail import leg_of, route_tail_bps, tail_bps
from arbot.engine.sizing import Bound
from arbot.engine.state import Pennies, State

TWO = 2  # legs; a conversion is a third


def _is_light(plan: Plan) -> bool:
    """Return whether no cap and no budget bounds a plan: each leg fits where it stands, and they share nothing.

    Nearly always so, and then both bounds are done. Asked at every look, hence by instruments and without a `Leg`.
    """
    if plan.conversion is not None:
        return False
    state, buy, sell, qty = plan.state, plan.buy, plan.sell, plan.proposal.qty
    rooms, rate = rooms_of(state), state.rate(buy.quote)
    if rate is None or buy.quote != sell.quote or rooms.cap_stop is not None or rooms.stress_stop is not None:
        return False
    most = rooms.routes.get((buy.id, sell.id))
    if most is None:
        most = rooms.routes[buy.id, sell.id] = _route_rooms(state, rooms, legs_of(plan))
    value = qty * rate
    return value * plan.buy_price <= most[0] and value * plan.sell_price <= most[1]


def _route_rooms(state: State, rooms: Rooms, legs: Sequence[Leg]) -> tuple[Decimal, Decimal]:
    """Return the value that each of two legs may have at the most; nothing when they stand on something in common."""
    one, other = (place_of(state, rooms, leg) for leg in legs)
    return (-ONE, -ONE) if any(node in other.nodes for node in one.nodes) else (one.room, other.room)


def legs_of(plan: Plan) -> tuple[Leg, ...]:
    """Return the legs of a plan with their values per unit of base, at their worst acceptable prices."""
    state, buy, sell = plan.state, plan.buy, plan.sell
    buy_rate = state.rate(buy.quote) or ZERO  # the gate `priced` has seen that there is one
    sell_rate = buy_rate if sell.quote == buy.quote else state.rate(sell.quote) or ZERO
    legs = (
        Leg(buy.venue, Side.BUY, buy.base, plan.buy_price * buy_rate),
        Leg(sell.venue, Side.SELL, sell.quote, plan.sell_price * sell_rate),
    )
    turned = plan.conversion
    if turned is None:
        return legs
    value = plan.foreign_unit_most() * turned.price * (state.rate(turned.instrument.quote) or ZERO)
    return (*legs, leg_of(turned.instrument, turned.side, value))


def plan_tail_bps(plan: Plan) -> Decimal:
    """Return what the tail of this plan costs in bps of its notional."""
    if plan.conversion is None:
        return route_tail_bps(plan.state, plan.buy, plan.sell)
    return tail_bps(plan.state, *((leg.instrument, leg.side) for leg in plan.legs))


def note_pennies(plan: Plan, qty: Decimal, expected_home: Decimal) -> Decimal:
    """Return what an arb of this size adds to the worst stress case, and count it against what the arb is expected to earn.

    By buying and selling venue, in the reporting currency: "pennies per steamroller" is their ratio.
    """
    state = plan.state
    loss = qty * worst(marginals(state, legs_of(plan)))
    row = state.pennies.setdefault((plan.buy.venue, plan.sell.venue), Pennies())
    row.arbs += 1
    row.expected += expected_home * (state.rate(plan.home) or ZERO)
    row.stress_loss += loss
    return loss


def exposure_bound(plan: Plan) -> Bound:
    """Return how much of the arb the caps on everything that its legs stand on leave; shares of capital in the numbers."""
    plan.is_light = _is_light(plan)
    if plan.is_light:
        return Bound(plan.proposal.qty, Reason.COUNTERPARTY_SHARE)
    rooms, legs = rooms_of(plan.state), legs_of(plan)
    if rooms.cap_stop is not None:
        return rooms.cap_stop
    places = [place_of(plan.state, rooms, leg) for leg in legs]
    tightest = Bound(plan.proposal.qty, Reason.COUNTERPARTY_SHARE)
    for leg, place in zip(legs, places, strict=True):
        if place.cap is not None and place.cap.room < tightest.qty_max * leg.value:
            tightest = Bound(div(place.cap.room, leg.value), place.cap.reason, place.cap.held, place.cap.limit)
    for node, unit in _shared(legs, places).items():
        share, held = share_max(plan.state, node), rooms.table.exposure.get(node, ZERO)
        room = share * rooms.table.whole - held
        if room < tightest.qty_max * unit:
            tightest = Bound(div(room, unit), REASONS[node[0]], round(div(held, rooms.table.whole), 4), share)
    return tightest


def stress_bound(plan: Plan) -> Bound:
    """Return how much of the arb the scenarios' budgets leave; nothing once any of them is spent."""
    if plan.is_light:
        return Bound(plan.proposal.qty, Reason.STRESS_BUDGET)
    rooms, legs = rooms_of(plan.state), legs_of(plan)
    if rooms.stress_stop is not None:
        return rooms.stress_stop
    places = [place_of(plan.state, rooms, leg) for leg in legs]
    qty = plan.proposal.qty
    tightest = Bound(qty, Reason.STRESS_BUDGET)
    for leg, place in zip(legs, places, strict=True):
        tight = place.stress
        if tight is not None and tight.room < tightest.qty_max * leg.value:
            value = tight.held + tight.unit * leg.value * qty
            tightest = Bound(div(tight.room, leg.value), Reason.STRESS_BUDGET, value, tight.limit)
    if len(legs) == TWO and not _shared(legs, places):
        return tightest
    for scenario, limit, losses in rooms.spending:  # legs that add up somewhere
        for node, unit in scenario.units(plan.state, legs):
            loss = losses.get(node, ZERO)
            if unit > 0 and limit - loss < tightest.qty_max * unit:
                tightest = Bound(div(limit - loss, unit), Reason.STRESS_BUDGET, loss + unit * qty, limit)
    return tightest


def _shared(legs: Sequence[Leg], places: Sequence[Place]) -> dict[Node, Decimal]:
    """Return the nodes that several legs stand on, with the value that they bring there together."""
    if len(legs) == TWO and not any(node in places[1].nodes for node in places[0].nodes):
        return {}
    sums: dict[Node, Decimal] = {}
    counts: dict[Node, int] = {}
    for leg, place in zip(legs, places, strict=True):
        for node in place.nodes:
            sums[node] = sums.get(node, ZERO) + leg.value
            counts[node] = counts.get(node, 0) + 1
    return {node: value for node, value in sums.items() if counts[node] > 1}
