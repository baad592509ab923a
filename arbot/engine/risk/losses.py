"""What was lost, what is being lost, and the two limits on it that latch.

An open residual counts with its present loss: against the price it came in at, by the rates noted last. Gains of open
residuals count for nothing until they are made. Checked in journaled steps only, so that a replay latches at the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from arbot.domain.commands import Severity
from arbot.domain.decisions import LimitLatched, Reason
from arbot.domain.ids import Asset
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO
from arbot.engine.state import Arb, State
from arbot.engine.step import Step


def loss_open(state: State) -> Decimal:
    """Return what open residuals have lost so far in the reporting currency, never below zero.

    Those of arbs under way, stranded ones, and what is carried; without a rate a residual counts nothing here and trading
    has stopped for want of the price.
    """
    arbs = (max(loss, ZERO) for arb in state.unfinished.values() for loss in _losses(state, arb))
    carried = (
        max(cost - state.carried.get(asset, ZERO) * rate, ZERO)
        for asset, (_, cost) in state.carried_cost.items()
        if (rate := _rate(state, asset)) is not None
    )
    return sum(arbs, ZERO) + sum(carried, ZERO)


def measures(state: State) -> tuple[tuple[Reason, Decimal, Decimal], ...]:
    """Return each latching limit with its value and its bound."""
    standing, limits, is_open = state.standing, state.config.limits, loss_open(state)
    return (
        (Reason.LOSS_DAY, is_open - standing.realised_day, limits.loss_day_max),
        (Reason.DRAWDOWN, is_open + standing.realised_peak - standing.realised_total, limits.drawdown_max),
    )


def latch(state: State, step: Step) -> None:
    """Latch the limits that realised and present losses together break, and tell a person."""
    _note_carried(state)
    standing = state.standing
    for limit, value, bound in measures(state):
        if value >= bound and limit.value not in standing.latched:
            standing.latched[limit.value] = value
            step.decide(LimitLatched(limit=limit.value, value=value, bound=bound))
            text = f"{limit.value}: {value} of {bound} {state.config.ccy}. `arbot reset-limit {limit.value}` to go on"
            step.alert(Severity.CRITICAL, "limit_latched", text)


def _losses(state: State, arb: Arb) -> Iterator[Decimal]:
    for asset in arb.assets:
        residual = state.residual(arb, asset)
        rate, quote_rate = _rate(state, asset), _rate(state, arb.quote)
        if not residual or rate is None or quote_rate is None:
            continue
        if asset == arb.base:
            entry = arb.leg_price(Side.BUY if residual > 0 else Side.SELL, arb.quote)
        else:
            entry = ZERO if arb.conversion is None else arb.conversion.price
        if entry:
            yield residual * (entry * quote_rate - rate)


def _note_carried(state: State) -> None:
    """Remember what carried residuals were worth when they came: what is added counts from now, what leaves takes its part."""
    for asset, qty in state.carried.items():
        known, cost = state.carried_cost.get(asset, (ZERO, ZERO))
        rate = _rate(state, asset)
        if qty != known and rate is not None:
            state.carried_cost[asset] = (qty, cost + (qty - known) * rate)


def _rate(state: State, asset: Asset) -> Decimal | None:
    return ONE if asset == state.config.ccy else state.last_rate.get(asset)
