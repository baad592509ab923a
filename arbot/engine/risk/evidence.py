"""What our own legs have taught: how often one fails, what closing the other then costs, and how long a leg takes.

By venue and instrument, from fills and order ends alone; exact Decimals, so that a replay learns the same to the last digit.

- P(fail): Beta-Binomial. The prior is `leg_fail_prior` with the weight of `prior_legs` legs. A leg failed by the share that
  it filled less than the arb's other leg: rejected, unknown, expired or under-filled is all one. Legs that both came to
  nothing did no harm and count as two that did not fail.
- Cost of an unwind: the mean of costs in bps of the notional, with `prior_legs` pseudo-observations of `unwind_bps_prior`.
  Measured against the limit price of the leg that failed, fees included less the fee that leg would have paid.
- Latency: the mean of logarithms (delays are skewed), with the prior's weight likewise; told as a median in ms.

With every leg seen, what was seen before counts a little less: half after `evidence_half_life_legs` legs.
Only the shell keeps it over a restart: it is part of the standing.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

import msgspec

from arbot.domain.events import LegEvidence
from arbot.domain.ids import InstrumentId
from arbot.domain.order import Purpose
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.config import RiskPolicy
from arbot.engine.state import Arb, OrderRecord, State

GRAIN = Decimal("1E-9")  # kept of each sum: far below anything told, and sums stay short
LEGS_LEAST = 2  # one leg alone has no other to fail
NS_PER_MS = Decimal(1_000_000)
LATENCY_MS_MIN = Decimal("0.001")  # a logarithm needs more than nothing
_PRECISE = decimal.Context(prec=28, rounding=ROUND_HALF_EVEN)


class Belief(NamedTuple):
    """What is believed of legs at one instrument: prior and evidence together."""

    instrument: InstrumentId
    legs: Decimal  # seen, faded
    fail: Decimal  # probability
    unwind_bps: Decimal
    latency_ms: Decimal


def belief(state: State, instrument: InstrumentId) -> Belief:
    """Return what is believed of an instrument: the prior where nothing was seen."""
    return believed(state.config.risk, state.evidence.get(instrument) or LegEvidence(instrument=instrument))


def believed(risk: RiskPolicy, seen: LegEvidence) -> Belief:
    """Return prior and evidence as one."""
    weight = Decimal(risk.prior_legs)
    log = div(_ln(Decimal(risk.latency_ms_prior)) * weight + seen.latency_log, weight + seen.answers)
    return Belief(
        instrument=seen.instrument,
        legs=seen.legs,
        fail=_short(div(risk.leg_fail_prior * weight + seen.failed, weight + seen.legs)),
        unwind_bps=_short(max(div(risk.unwind_bps_prior * weight + seen.unwind_bps, weight + seen.unwinds), ZERO)),
        latency_ms=_short(_PRECISE.exp(log)),
    )


def learn(state: State, arb: Arb, *, has_ended: bool) -> None:
    """Take in what an arb that has moved can teach: its legs once they have all ended, its unwind once that is over."""
    _learn_legs(state, arb)
    if has_ended:
        _learn_unwind(state, arb)


def _learn_legs(state: State, arb: Arb) -> None:
    """Learn from legs that left together, each once: an arb that is taken up again, or a quote, has nothing to tell."""
    legs = [order for order in state.arb_orders(arb) if order.intent.purpose is Purpose.LEG]
    if arb.is_learned or arb.is_quote or len(legs) < LEGS_LEAST or any(leg.is_live for leg in legs):
        return
    arb.is_learned = True
    most = max(_share(leg) for leg in legs)
    for leg in legs:
        note(
            state,
            leg.intent.instrument,
            legs=ONE,
            failed=most - _share(leg),
            answers=ONE if leg.ended_ts_ns else ZERO,
            latency_log=_latency_log(leg) if leg.ended_ts_ns else ZERO,
        )


def _learn_unwind(state: State, arb: Arb) -> None:
    """Learn what it cost to close a leg that stood alone, when the arb has come to its end."""
    orders = list(state.arb_orders(arb))
    legs = [order for order in orders if order.intent.purpose is Purpose.LEG]
    closing = [order for order in orders if order.intent.purpose is not Purpose.LEG and order.fills]
    if not legs or not closing or arb.closings_learned == len(closing):
        return
    failed = min(legs, key=_share)
    cost, notional = _cost(closing[arb.closings_learned :], failed)
    arb.closings_learned = len(closing)
    if notional > 0:
        note(state, failed.intent.instrument, unwinds=ONE, unwind_bps=div(cost, notional).scaleb(4))


def note(state: State, instrument: InstrumentId, **more: Decimal) -> None:
    """Add to what is known of an instrument; what was known fades with each leg."""
    seen = state.evidence.get(instrument) or LegEvidence(instrument=instrument)
    keep = fading(state.config.risk) if "legs" in more else ONE
    names = [field.name for field in msgspec.structs.fields(LegEvidence) if field.name != "instrument"]
    sums = {name: _short(getattr(seen, name) * keep + more.get(name, ZERO)) for name in names}
    state.evidence[instrument] = LegEvidence(instrument=instrument, **sums)
    state.tails.clear()
    state.route_tails.clear()


def fading(risk: RiskPolicy) -> Decimal:
    """Return what is left of a count after one further leg: 2 ** (-1 / half-life), correctly rounded."""
    return _PRECISE.exp(div(-_ln(Decimal(2)), Decimal(risk.evidence_half_life_legs)))


def _share(leg: OrderRecord) -> Decimal:
    return div(max(leg.filled_qty, ZERO), leg.intent.qty)


def _cost(closing: Sequence[OrderRecord], failed: OrderRecord) -> tuple[Decimal, Decimal]:
    """Return (cost in quote, notional in quote) of what was done instead of the leg that failed."""
    price, fee_rate = failed.intent.limit_price, failed.intent.fee_rate
    cost = notional = ZERO
    for order in closing:
        same_way = order.intent.side is failed.intent.side and order.intent.base == failed.intent.base
        if not same_way:
            continue
        for fill in order.fills.values():
            qty = -fill.qty if fill.is_reversal else fill.qty
            fee = fill.fee.number if fill.fee.asset == fill.quote else qty * fill.price * order.intent.fee_rate
            cost += qty * (fill.price - price) * fill.side.sign + fee - qty * price * fee_rate
            notional += qty * price
    return cost, notional


def _latency_log(leg: OrderRecord) -> Decimal:
    took_ms = div(Decimal(leg.ended_ts_ns - leg.intent.decided_ts_ns), NS_PER_MS)
    return _ln(max(took_ms, LATENCY_MS_MIN))


def _ln(number: Decimal) -> Decimal:
    return _PRECISE.ln(number)


def _short(number: Decimal) -> Decimal:
    return number.quantize(GRAIN, rounding=ROUND_HALF_EVEN)
