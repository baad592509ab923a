"""How much of an arb the budgets leave: by stress scenario, and by what its legs stand on. The arb itself is counted."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.registry import NodeKind
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.risk.exposure import is_judged, share_max, stands, table_of
from arbot.engine.risk.plan import Plan
from arbot.engine.risk.stress import SCENARIOS, Leg, budget, marginals, worst
from arbot.engine.risk.tail import leg_of, tail_bps
from arbot.engine.sizing import Bound
from arbot.engine.state import Pennies

CONVERSION = 2  # its place among the legs of a plan


def legs_of(plan: Plan) -> tuple[Leg, ...]:
    """Return the legs of a plan with their values per unit of base, at their worst acceptable prices."""
    legs = []
    for number, leg in enumerate(plan.legs):
        per_base = plan.foreign_unit_most() if number == CONVERSION else ONE
        value = per_base * leg.price * (plan.state.rate(leg.instrument.quote) or ZERO)  # the gate `priced` has seen it
        legs.append(leg_of(leg.instrument, leg.side, value))
    return tuple(legs)


def plan_tail_bps(plan: Plan) -> Decimal:
    """Return what the tail of this plan costs in bps of its notional."""
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


def stress_bound(plan: Plan) -> Bound:
    """Return how much of the arb the scenarios' budgets leave; nothing once any of them is spent, whoever spent it."""
    state, table = plan.state, table_of(plan.state)
    if table.unpriced:
        return Bound(ZERO, Reason.PRICE_UNKNOWN)
    legs = legs_of(plan)
    tightest = Bound(plan.proposal.qty, Reason.STRESS_BUDGET)
    for scenario in SCENARIOS:
        limit = budget(state, scenario, table.whole)
        losses, units = dict(scenario.losses(state, table)), dict(scenario.units(state, legs))
        for node in dict.fromkeys((*losses, *units)):
            loss, unit = losses.get(node, ZERO), units.get(node, ZERO)
            if loss > limit:
                return Bound(ZERO, Reason.STRESS_BUDGET, loss, limit)
            if unit > 0 and (fits := div(limit - loss, unit)) < tightest.qty_max:
                tightest = Bound(fits, Reason.STRESS_BUDGET, loss + unit * plan.proposal.qty, limit)
    return tightest


def node_bound(plan: Plan, kind: NodeKind, reason: Reason) -> Bound:
    """Return how much of the arb the caps on nodes of one kind leave, the arb itself counted; shares of capital in the numbers."""
    state, table = plan.state, table_of(plan.state)
    registry = state.config.registry
    if table.unpriced:
        return Bound(ZERO, Reason.PRICE_UNKNOWN)
    if table.whole <= 0:
        return Bound(ZERO, Reason.BALANCE_SHORT)
    units: dict[tuple[NodeKind, str], Decimal] = {}
    for leg in legs_of(plan):
        for node, _ in stands(registry, leg.venue, leg.asset):
            if node[0] is kind and is_judged(registry, node):
                units[node] = units.get(node, ZERO) + leg.value
    tightest = Bound(plan.proposal.qty, reason)
    for node, unit in units.items():
        share, held = share_max(state, node), table.exposure.get(node, ZERO)
        fits = div(share * table.whole - held, unit)
        if fits < tightest.qty_max:
            tightest = Bound(fits, reason, round(div(held, table.whole), 4), share)
    return tightest


def chain_bound(plan: Plan) -> Bound:
    """Return nothing while more is in flight on some chain than its cap allows: no new risk before it has arrived."""
    state, table = plan.state, table_of(plan.state)
    for node, value in table.exposure.items():
        if node[0] is NodeKind.CHAIN and is_judged(state.config.registry, node) and table.whole > 0:
            share, limit = div(value, table.whole), share_max(state, node)
            if share > limit:
                return Bound(ZERO, Reason.CHAIN_EXPOSURE, round(share, 4), limit)
    return Bound(plan.proposal.qty, Reason.CHAIN_EXPOSURE)
