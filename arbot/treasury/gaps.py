"""What lies in the wrong place, and what each way to mend it alone would cost: so that a person sees why a plan is as it is.

Ways that cannot be used are priced, too, and say why they cannot, with the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from arbot.domain.units import ZERO, div, fmt
from arbot.treasury import problem
from arbot.treasury.answer import Choice, Gap, Part
from arbot.treasury.problem import Band, Situation
from arbot.treasury.ways import (
    Cost,
    Method,
    Terms,
    Way,
    conversions,
    left_cost,
    trades_back,
    transfers,
    waits,
)


def gaps_of(situation: Situation, bands: Sequence[Band]) -> tuple[Gap, ...]:
    """Return what should go from where to where for every asset to be inside its bands: the largest first, unpriced."""
    worth = problem.prices(situation)
    present, coming = problem.held(situation), problem.arriving(situation)
    found: dict[tuple[str, str, str], Decimal] = {}
    for asset in dict.fromkeys(band.asset for band in bands):
        ours = [band for band in bands if band.asset == asset]
        start = {
            band.venue: present.get((band.venue, asset), ZERO) + coming.get((band.venue, asset), ZERO) for band in ours
        }
        over = {band.venue: max(ZERO, start[band.venue] - band.high) for band in ours}
        lacks = {band.venue: max(ZERO, band.low - start[band.venue]) for band in ours}
        slack = {band.venue: start[band.venue] - band.wanted for band in ours}
        while any(over.values()) or any(lacks.values()):
            # who is outside its band on one side only is matched with whoever is furthest on the other side of its middle
            source = max(over, key=lambda venue: (over[venue], slack[venue]))
            target = max(lacks, key=lambda venue: (lacks[venue], -slack[venue]))
            qty = min(over[source], lacks[target]) or over[source] or lacks[target]
            if source == target or not qty:
                break
            found[asset, source, target] = found.get((asset, source, target), ZERO) + qty
            over[source], lacks[target] = max(ZERO, over[source] - qty), max(ZERO, lacks[target] - qty)
            slack[source], slack[target] = slack[source] - qty, slack[target] + qty
    gaps = [
        Gap(asset=asset, source=source, target=target, qty=qty, value=qty * worth[asset], choices=())
        for (asset, source, target), qty in found.items()
    ]
    return tuple(sorted(gaps, key=lambda gap: -gap.value))


def priced(terms: Terms, gap: Gap, parts: Sequence[Part]) -> Gap:
    """Return a gap with the price of every way to mend it, whether the plan uses it or not."""
    between = (gap.asset, gap.source, gap.target)
    ways = [*transfers(terms, *between), *trades_back(terms, *between), *conversions(terms, *between)]
    ways += [
        msgspec.structs.replace(way, moves=way.now[gap.target, gap.asset])
        for base in terms.bases.get((gap.source, gap.asset), ())
        for way in trades_back(terms, base, gap.target, gap.source)
        if way.via == gap.asset
    ]
    choices = [_choice(terms, gap, way, parts) for way in ways]
    choices += _waiting(terms, gap, parts)
    choices.append(
        Choice(
            method=Method.LEAVE,
            via="",
            network="",
            cost=Cost(waiting=gap.qty * left_cost(terms, gap.asset)),
            hours=terms.situation.policy.horizon_h,
            hours_p99=terms.situation.policy.horizon_h,
            taken=ZERO,
        )
    )
    firm = {one.asset for one in terms.situation.targets}
    choices = [
        msgspec.structs.replace(one, hindered="what a person asked for is not left to come by itself")
        if one.method in (Method.WAIT, Method.LEAVE) and firm & {gap.asset, one.via} and not one.taken
        else one
        for one in choices
    ]
    return msgspec.structs.replace(gap, choices=tuple(sorted(choices, key=lambda one: one.cost.total)))


def _choice(terms: Terms, gap: Gap, way: Way, parts: Sequence[Part]) -> Choice:
    qty = div(gap.qty, way.moves)
    network = way.route.network if way.route else ""
    once = way.route.fee * terms.worth[way.route.asset] if way.route else ZERO
    taken = sum(
        (
            part.qty * (way.moves if part.asset != gap.asset else 1)
            for part in parts
            if (part.method, part.asset, part.source, part.target, part.via, part.network)
            == (way.method, way.asset, way.source, way.target, way.via, network)
        ),
        ZERO,
    )
    return Choice(
        method=way.method,
        via=way.via if way.asset == gap.asset else way.asset,
        network=network,
        cost=way.cost * qty + Cost(fee=once),
        hours=way.hours,
        hours_p99=way.hours_p99,
        taken=taken,
        hindered=way.blocked or _hindered(terms, way, qty),
    )


def _hindered(terms: Terms, way: Way, qty: Decimal) -> str:
    """Return what keeps a way from mending the whole gap by itself, with the numbers, or an empty text."""
    available, rooms = terms.free, terms.rooms
    if qty < way.qty_min:
        return f"the least trade is {fmt(way.qty_min)} {way.unit}"
    for (venue, asset), each in way.spends.items():
        needs, has = each * qty, available.get((venue, asset), ZERO)
        if needs > has:
            return f"needs {_short(needs)} {asset} at {venue}, {_short(has)} are free"
    if way.route is None:
        return ""
    route, flow = way.route, way.sends * qty
    value, room = flow * terms.flown(route), min(rooms[route.network], rooms[""])
    if flow < route.qty_min:
        return f"the least withdrawal is {fmt(route.qty_min)} {route.asset}"
    if value > room:
        return f"would put {_short(value)} {terms.situation.ccy} in flight at stressed prices, {_short(room)} may"
    has = available.get((route.source, route.asset), ZERO)
    if way.method is Method.TRANSFER and flow + route.fee > has:
        return f"needs {_short(flow + route.fee)} {route.asset} at {route.source}, {_short(has)} are free"
    return ""


def _waiting(terms: Terms, gap: Gap, parts: Sequence[Part]) -> Iterator[Choice]:
    """Yield waiting for our own arbs: those that carry the gap's asset, and those that carry a coin the other way for it."""
    found = [(gap.asset, list(waits(terms, gap.asset, gap.source, gap.target)))]
    found += [
        (base, [way for way in waits(terms, base, gap.target, gap.source) if way.via == gap.asset])
        for base in terms.bases.get((gap.source, gap.asset), ())
    ]
    for carried, pieces in found:
        if not pieces:
            continue
        each = div(terms.worth[carried], terms.worth[gap.asset])
        rest, cost, hours, hours_p99 = div(gap.qty, each), Cost(), ZERO, ZERO
        for way in pieces:
            qty = min(rest, way.qty_max or ZERO)
            if qty:
                cost, hours, hours_p99 = cost + way.cost * qty, way.hours, way.hours_p99
            rest -= qty
        ends = (Method.WAIT, carried, pieces[0].source, pieces[0].target)
        used = [part.qty * each for part in parts if (part.method, part.asset, part.source, part.target) == ends]
        brought = gap.qty - rest * each
        yield Choice(
            method=Method.WAIT,
            via="" if carried == gap.asset else carried,
            network="",
            cost=cost + Cost(waiting=rest * left_cost(terms, carried)),
            hours=hours,
            hours_p99=hours_p99,
            taken=sum(used, ZERO),
            hindered=f"they bring {_short(brought)} {gap.asset} within the horizon"
            if rest * each > problem.COIN_STEP
            else "",
        )


def _short(number: Decimal) -> str:
    """Return a number with six significant digits at most, for a sentence."""
    return f"{number:,.2f}" if abs(number) >= 100 else fmt(number.quantize(Decimal("0.000001")).normalize())
