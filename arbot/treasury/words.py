"""A plan as a person reads it: what it costs, what is in the wrong place and the price of every way to mend it, the steps.

Rounding here is for the eye only; the plan itself has every digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

from arbot.domain.units import ONE, ZERO, fmt
from arbot.treasury.answer import Choice, Gap, Part, Plan
from arbot.treasury.steps import Action, Step
from arbot.treasury.ways import Cost, Method

DUST = Decimal("0.01")
"""What is left outside a band and worth less is not worth a line."""

_HOURS_A_DAY = 24
_DIGITS = 6


def told(plan: Plan) -> Iterator[str]:
    """Yield the lines of a plan."""
    if not plan.gaps:
        yield "Everything lies where it should, within the tolerance: there is nothing to do."
    elif not plan.parts:
        yield f"The cheapest is to leave everything as it is: {_money(plan.cost.total)} {plan.ccy}."
    else:
        yield f"The cheapest plan costs {_money(plan.cost.total)} {plan.ccy}: {_broken_down(plan.cost)}."
        yield f"It is done {_when(plan.hours, plan.hours_p99)}."
    for gap in plan.gaps:
        yield ""
        yield from _gap(plan, gap)
    if plan.parts:
        yield ""
        yield "What is done, and what it costs"
        yield from (f"  {_part(plan, part)}" for part in plan.parts)
    if plan.steps:
        yield ""
        yield "Steps, in this order"
        yield from (f"  {step.number:>2}  {step_told(plan, step)}" for step in plan.steps)
    left = [one for one in plan.left if abs(one.qty) * plan.prices[one.asset] >= DUST]
    if left:
        yield ""
        yield "Left as it is"
        for one in left:
            side = "too little" if one.qty < 0 else "too much"
            yield f"  {qty_told(abs(one.qty))} {one.asset} {side} at {one.venue}: {_money(one.cost)} {plan.ccy}"
    yield from _remarks(plan)


def step_told(plan: Plan, step: Step) -> str:
    """Return a step as one line."""
    value = f"{_money(step.value)} {plan.ccy}"
    if step.action is Action.SEND:
        large = "; large: asked about twice" if step.is_large else ""
        return (
            f"send {fmt(step.qty)} {step.asset} ({value}) from {step.venue} to {step.target} by {step.network}, "
            f"fee {fmt(step.fee)} {step.asset}; half arrive within {_time(step.minutes_p50 / 60)}, "
            f"all but one in a hundred within {_time(step.minutes_p99 / 60)}{large}"
        )
    bound = "not above" if step.action is Action.BUY else "not below"
    after = " once it has arrived" if step.is_later else ""
    return (
        f"{step.action.value} {fmt(step.qty)} {step.asset} ({value}) for {step.quote} at {step.venue}, "
        f"{bound} {qty_told(step.limit)}{after}"
    )


def qty_told(number: Decimal) -> str:
    """Return a quantity or price with at least six digits that count, and no less before the point."""
    if not number:
        return "0"
    places = max(0, _DIGITS - 1 - number.adjusted())
    return fmt(number.quantize(ONE.scaleb(-places), rounding=ROUND_HALF_EVEN))


def _gap(plan: Plan, gap: Gap) -> Iterator[str]:
    yield (
        f"{gap.asset}: {qty_told(gap.qty)} ({_money(gap.value)} {plan.ccy}) lie at {gap.source} and should at {gap.target}"
    )
    for one in gap.choices:
        mark = "->" if one.taken else "  "
        taken = f", takes {qty_told(one.taken)}" if one.taken else ""
        hindered = f"; no: {one.hindered}" if one.hindered and not one.taken else ""
        hindered = f"; not all: {one.hindered}" if one.hindered and one.taken else hindered
        price = f"{_money(one.cost.total)} {plan.ccy}"
        yield f"  {mark} {_named(one):28} {price:>16}  {_choice_when(one)}{taken}{hindered}"


def _named(one: Choice) -> str:
    match one.method:
        case Method.TRANSFER:
            return f"transfer by {one.network}"
        case Method.CONVERT:
            return f"convert to {one.via} by {one.network}"
        case Method.TRADE_BACK:
            return f"trade back against {one.via}"
        case Method.WAIT:
            return f"wait for our arbs in {one.via}" if one.via else "wait for our own arbs"
        case Method.LEAVE:
            return "leave it"


def _choice_when(one: Choice) -> str:
    if one.method is Method.TRADE_BACK:
        return "now"
    if one.method is Method.LEAVE:
        return f"for {_time(one.hours)}"
    return f"about {_time(one.hours)}, p99 {_time(one.hours_p99)}"


def _part(plan: Plan, part: Part) -> str:
    named = {
        Method.TRANSFER: f"transfer by {part.network}",
        Method.CONVERT: f"convert to {part.via}, sent by {part.network}",
        Method.TRADE_BACK: f"trade back against {part.via}",
        Method.WAIT: "wait for our own arbs",
    }[part.method]
    return (
        f"{qty_told(part.qty)} {part.asset} from {part.source} to {part.target}, {named}: "
        f"{_money(part.cost.total)} {plan.ccy} ({_broken_down(part.cost)})"
    )


def _remarks(plan: Plan) -> Iterator[str]:
    notes = list(plan.notes)
    if plan.optimum_gap > 1e-6:
        notes.append(f"the search ended within {plan.optimum_gap:.2%} of the best possible")
    if notes:
        yield ""
        yield "To bear in mind"
        yield from (f"  - {note}" for note in notes)


def _broken_down(cost: Cost) -> str:
    parts = {"fees": cost.fee, "spread": cost.spread, "risk": cost.risk, "waiting": cost.waiting}
    return (
        ", ".join(f"{name} {_money(number)}" for name, number in parts.items() if abs(number) >= DUST / 2) or "nothing"
    )


def _when(hours: Decimal, hours_p99: Decimal) -> str:
    if hours == ZERO:
        return "at once"
    return f"after about {_time(hours)}, all but one time in a hundred within {_time(hours_p99)}"


def _money(number: Decimal) -> str:
    return f"{number.quantize(DUST, rounding=ROUND_HALF_EVEN):,f}".replace("-0.00", "0.00")


def _time(hours: Decimal) -> str:
    """Return a time in the unit a person would use, rounded to what counts."""
    if hours < 2:
        return f"{max(1, round(hours * 60))} min"
    if hours < 3 * _HOURS_A_DAY:
        return f"{fmt(round(hours, 1))} h"
    return f"{fmt(round(hours / _HOURS_A_DAY, 1))} days"
