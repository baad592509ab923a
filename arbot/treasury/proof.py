"""Carries a plan out on paper, in exact arithmetic, and names every rule that it breaks. It shares no code with the program.

Every trade is done at its limit, every withdrawal pays its fee, and nothing that is under way can be spent before the
steps that wait for it. An empty answer means that the plan can be carried out as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

from arbot.domain.units import EXACT, ZERO, is_multiple
from arbot.treasury import problem
from arbot.treasury.problem import Band, Market, Route, Situation
from arbot.treasury.steps import Action, Step

Place = tuple[str, str]


def violations(
    situation: Situation,
    worth: Mapping[str, Decimal],
    bands: Sequence[Band],
    steps: Sequence[Step],
    caps: Mapping[str, Decimal],
) -> tuple[str, ...]:
    """Return what a plan breaks: funds, steps, minimums, closed or forbidden ways, caps in flight, shares, firm targets."""
    with localcontext(EXACT):
        found = [text for step in steps for text in _shape(situation, step)]
        found += _funds(situation, steps)
        found += _flights(situation, worth, steps)
        found += _shares(situation, worth, steps, caps)
        end = final(situation, steps, ())
        for band in bands:
            has = end.get((band.venue, band.asset), ZERO)
            if band.is_firm and not band.low <= has <= band.high:
                found.append(f"{band.asset} at {band.venue} ends as {has}, wanted {band.low} to {band.high}")
    return tuple(found)


def final(
    situation: Situation, steps: Sequence[Step], carried: Sequence[tuple[Place, Place, Decimal]]
) -> dict[Place, Decimal]:
    """Return what every venue holds when all is done, with what is under way now and what our own arbs have `carried`."""
    with localcontext(EXACT):
        sheet = dict(problem.held(situation))
        for place, qty in problem.arriving(situation).items():
            _add(sheet, place, qty)
        for step in steps:
            _apply(sheet, step, arrives=True)
        for source, target, qty in carried:
            _add(sheet, source, -qty)
            _add(sheet, target, qty)
    return sheet


def _shape(situation: Situation, step: Step) -> list[str]:
    """Return what is wrong with a step by itself."""
    named = f"step {step.number}"
    if step.action is Action.SEND:
        route = _route(situation, step)
        if route is None:
            return [f"{named}: there is no such network"]
        wrong = {
            "withdrawals are off": not situation.transfers_enabled,
            "the address is not allowed": not route.is_allowed,
            "the network is closed": not route.is_open,
            "the coin is stuck": any(one.is_stuck and one.asset == step.asset for one in situation.transits),
            "the network is stuck": any(one.is_stuck and one.network == step.network for one in situation.transits),
            f"{step.qty} is below the minimum {route.qty_min}": step.qty < route.qty_min,
            f"{step.qty} is no multiple of {route.qty_step}": not is_multiple(step.qty, route.qty_step),
            f"its fee is {route.fee}, not {step.fee}": route.fee != step.fee,
        }
    else:
        market = _market(situation, step)
        if market is None:
            return [f"{named}: there is no such instrument"]
        wrong = {
            "the instrument is closed": not market.is_open,
            f"{step.qty} is below the minimum {market.qty_min}": step.qty < market.qty_min,
            f"{step.qty} is worth less than {market.notional_min}": step.qty * market.bid < market.notional_min,
            f"{step.qty} is no multiple of {market.qty_step}": not is_multiple(step.qty, market.qty_step),
            "its limit is better than the book": step.limit < market.ask
            if step.action is Action.BUY
            else step.limit > market.bid,
        }
    wrong["nothing is done"] = step.qty <= 0
    return [f"{named}: {text}" for text, is_wrong in wrong.items() if is_wrong]


def _funds(situation: Situation, steps: Sequence[Step]) -> list[str]:
    """Return every moment at which a venue would have to pay what it has not."""
    sheet = dict(problem.free(situation))
    found = []
    steps = sorted(steps, key=lambda step: step.is_later)
    arrived = False
    for step in steps:
        if step.is_later and not arrived:
            arrived = True
            for one in steps:
                if one.action is Action.SEND:
                    _add(sheet, (one.target, one.asset), one.qty)
        _apply(sheet, step, arrives=False)
        short = [f"{asset} at {venue} by {-qty}" for (venue, asset), qty in sheet.items() if qty < 0]
        found += [f"step {step.number}: lacks {text}" for text in short]
        if short:
            break
    return found


def _flights(situation: Situation, worth: Mapping[str, Decimal], steps: Sequence[Step]) -> list[str]:
    """Return the networks by which more would be in flight than may be, at stressed prices, what is there already included."""
    sends = [step for step in steps if step.action is Action.SEND]
    flown: dict[str, Decimal] = {}
    flights = [(one.network, one.asset, one.qty, one.minutes_p99) for one in situation.transits]
    flights += [(one.network, one.asset, one.qty, one.minutes_p99) for one in sends]
    for network, asset, qty, minutes_p99 in flights:
        value = qty * worth[asset] * problem.stressed(situation, asset, minutes_p99)
        for name in ("", network):
            flown[name] = flown.get(name, ZERO) + value
    policy, used = situation.policy, {step.network for step in sends}
    found = [
        f"{value} in flight by {name}, {policy.transit_network_max} may be"
        for name, value in flown.items()
        if name in used and value > policy.transit_network_max
    ]
    if sends and flown[""] > policy.transit_total_max:
        found.append(f"{flown['']} in flight in total, {policy.transit_total_max} may be")
    return found


def _shares(
    situation: Situation, worth: Mapping[str, Decimal], steps: Sequence[Step], caps: Mapping[str, Decimal]
) -> list[str]:
    values: dict[str, Decimal] = {}
    for (venue, asset), qty in final(situation, steps, ()).items():
        values[venue] = values.get(venue, ZERO) + qty * worth.get(asset, ZERO)
    return [
        f"{venue} would hold {value}, {caps[venue]} may be" for venue, value in values.items() if value > caps[venue]
    ]


def _apply(sheet: dict[Place, Decimal], step: Step, *, arrives: bool) -> None:
    if step.action is Action.SEND:
        _add(sheet, (step.venue, step.asset), -step.qty - step.fee)
        if arrives:
            _add(sheet, (step.target, step.asset), step.qty)
        return
    value = step.qty * step.limit
    sign = 1 if step.action is Action.BUY else -1
    _add(sheet, (step.venue, step.asset), sign * step.qty)
    _add(sheet, (step.venue, step.quote), -sign * value - value * step.taker)


def _add(sheet: dict[Place, Decimal], place: Place, qty: Decimal) -> None:
    sheet[place] = sheet.get(place, ZERO) + qty


def _route(situation: Situation, step: Step) -> Route | None:
    name = (step.venue, step.target, step.asset, step.network)
    found = [one for one in situation.routes if (one.source, one.target, one.asset, one.network) == name]
    return found[0] if found else None


def _market(situation: Situation, step: Step) -> Market | None:
    name = (step.venue, step.asset, step.quote)
    found = [one for one in situation.markets if (one.venue, one.base, one.quote) == name]
    return found[0] if found else None
