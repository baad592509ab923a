"""The answer: what to do in which order, what it costs and why, and the price of everything that was not chosen.

The solver's numbers are rounded down to what venues take, and then priced and proved again in exact arithmetic. A row
that rounding broke is tightened and the program solved anew, a few times; what still does not hold is refused. Nothing is
bent to fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext

import msgspec

from arbot.domain.errors import ArbotError, UserError
from arbot.domain.units import EXACT, ZERO, ceil_to_step, div, floor_to_step
from arbot.engine.risk.transfers import FEE_ROOM
from arbot.treasury import problem, proof, sieve
from arbot.treasury.answer import Gap, Left, Part, Plan
from arbot.treasury.gaps import gaps_of, priced
from arbot.treasury.problem import Band, Route, Situation
from arbot.treasury.program import Answer, Program, assemble, solve, venue_cap
from arbot.treasury.refusal import explained, off_steps
from arbot.treasury.steps import Action, Step
from arbot.treasury.ways import (
    Cost,
    Method,
    Terms,
    Way,
    conversions,
    left_cost,
    terms_of,
    trades_back,
    transfers,
    waits,
)

ROUNDS_MAX = 8
"""How often rows are tightened for what rounding took."""

_SNAP = Decimal("0.0001")
"""Of a step: so much below a whole step is the solver's noise, not a step less."""


class PlanUnsound(ArbotError):
    """The rounded plan breaks a rule: it is not shown as a plan, and never carried out."""


def make(situation: Situation, *, methods: Sequence[Method] = tuple(Method)) -> Plan:
    """Return the cheapest plan by these methods (LEAVE is always possible, but for targets that a person named).

    Raises: UserError when the situation cannot be or nothing fits, PlanUnsound when the answer is not right.
    """
    problem.check(situation)
    terms = terms_of(situation)
    bands = problem.bands(situation)
    found = gaps_of(situation, bands)
    usable = (way for way in _ways(terms, bands, found) if not way.blocked and way.method in methods)
    ways = sieve.worthwhile(terms, usable, bands)
    program = assemble(terms, sieve.undominated(ways), bands)
    quantities, gap = _rounded(terms, program)
    if len(program.ways) < len(ways) and _is_full(program, quantities):
        program = assemble(terms, ways, bands)
        quantities, gap = _rounded(terms, program)
    parts = tuple(_parts(terms, program, quantities))
    steps = _steps(terms, program, quantities)
    wrong = proof.violations(situation, terms.worth, bands, steps, _caps(terms))
    if wrong:
        raise PlanUnsound("the plan does not hold in exact arithmetic: " + "; ".join(wrong))
    left = tuple(_left(terms, bands, proof.final(situation, steps, tuple(_carried(terms, parts)))))
    waiting = Cost(waiting=sum((one.cost for one in left), ZERO))
    cost = sum((part.cost for part in parts), waiting)
    return Plan(
        ccy=situation.ccy,
        cost=cost,
        hours=max((part.hours for part in parts), default=ZERO),
        hours_p99=max((part.hours_p99 for part in parts), default=ZERO),
        parts=parts,
        steps=steps,
        left=left,
        gaps=tuple(priced(terms, gap, parts) for gap in found),
        prices=dict(terms.worth),
        optimum_gap=gap,
        notes=situation.notes,
    )


def _carried(terms: Terms, parts: Sequence[Part]) -> Iterator[tuple[tuple[str, str], tuple[str, str], Decimal]]:
    """Yield what our own arbs will carry from place to place: the asset, and what it is worth in the quote the other way."""
    for part in parts:
        if part.method is Method.WAIT:
            yield (part.source, part.asset), (part.target, part.asset), part.qty
            if part.via:
                back = div(part.qty * terms.worth[part.asset], terms.worth[part.via])
                yield (part.target, part.via), (part.source, part.via), back


def _caps(terms: Terms) -> dict[str, Decimal]:
    venues = dict.fromkeys(venue for venue, _ in problem.held(terms.situation))
    venues |= dict.fromkeys(route.target for route in terms.situation.routes)
    return {venue: venue_cap(terms, venue) for venue in venues}


def _ways(terms: Terms, bands: Sequence[Band], found: Sequence[Gap]) -> Iterator[Way]:
    """Yield every way that can serve: assets with a gap by every method, what they are quoted in by transfer, too.

    An asset leaves venues that hold more than wanted and goes to those that hold less. Trading a coin back moves its
    quote the other way, so coins without a gap of their own serve the gaps of their quote.
    """
    situation = terms.situation
    present, coming = problem.held(situation), problem.arriving(situation)
    rest = {
        (band.venue, band.asset): present.get((band.venue, band.asset), ZERO)
        + coming.get((band.venue, band.asset), ZERO)
        - band.wanted
        for band in bands
    }
    open_assets = {gap.asset for gap in found}
    firm = {band.asset for band in bands if band.is_firm}  # what must be reached is not left to our own arbs
    for (source, asset), over in rest.items():
        for target in dict.fromkeys(band.venue for band in bands):
            if target == source or (target, asset) not in rest:
                continue
            useful = max(ZERO, min(over, -rest[target, asset]))
            if asset in open_assets and useful:
                ways = [*transfers(terms, asset, source, target), *conversions(terms, asset, source, target)]
                ways += [way for way in waits(terms, asset, source, target) if not firm & {asset, way.via}]
                yield from (_at_most(way, useful) for way in ways)
            elif any(asset in terms.quotes.get((source, base), ()) for base in open_assets):
                yield from transfers(terms, asset, source, target)
            for way in trades_back(terms, asset, source, target):
                lacks, has = rest.get((source, way.via), ZERO), rest.get((target, way.via), ZERO)
                by_quote = max(ZERO, min(-lacks, has)) if way.via in open_assets else ZERO
                most = max(useful, div(by_quote * terms.worth[way.via], terms.worth[asset]))
                if most:
                    yield _at_most(way, most)


def _at_most(way: Way, qty: Decimal) -> Way:
    """Return the way, bringing no more than `qty` of its asset: to the middle of the bands, never beyond."""
    most = div(qty, way.moves)
    return msgspec.structs.replace(way, qty_max=most if way.qty_max is None else min(most, way.qty_max))


def _rounded(terms: Terms, program: Program) -> tuple[tuple[Decimal, ...], float]:
    """Return quantities that venues take and every row holds with. Raises: UserError when nothing fits."""
    tightened: dict[int, Decimal] = {}
    least: set[int] = set()
    wrong: dict[int, Decimal] = {}
    for _ in range(ROUNDS_MAX):
        answer = solve(program, tightened, least)
        if answer is None:
            break
        quantities = _on_steps(program, answer)
        wrong = dict(_overstepped(program, quantities))
        small = {at for at, way in enumerate(program.ways) if ZERO < quantities[at] < way.qty_min}
        if not wrong and not small:
            return quantities, answer.gap
        least |= small
        for at, by in wrong.items():
            tightened[at] = tightened.get(at, ZERO) * 2 + by * 2
    raise UserError(*(explained(terms, program) or off_steps(program, wrong)))


def _is_full(program: Program, quantities: Sequence[Decimal]) -> bool:
    """Return whether a cap on value in flight is reached, to a thousandth: another network may then be needed."""
    return any(
        sum((number * quantities[column] for column, number in row.terms.items()), ZERO) * 1_000 >= row.high * 999
        for row in program.rows
        if row.kind == "in flight" and row.high is not None
    )


def _on_steps(program: Program, answer: Answer) -> tuple[Decimal, ...]:
    """Return the quantities rounded down to steps; flows and the rest follow from them."""
    count = len(program.ways)
    ways = [
        max(ZERO, floor_to_step(qty + way.step * _SNAP, way.step))
        for way, qty in zip(program.ways, answer.quantities[:count], strict=True)
    ]
    flows = dict.fromkeys(program.routes, ZERO)
    for way, qty in zip(program.ways, ways, strict=True):
        if way.route is not None:
            flows[way.route] += sent(way, qty)
    used = [Decimal(1 if flow else 0) for flow in flows.values()]
    return (*ways, *flows.values(), *used)


def sent(way: Way, qty: Decimal) -> Decimal:
    """Return what a way sends over its route: never less than is needed at the other end."""
    return ceil_to_step(qty * way.sends, way.route.qty_step) if way.route is not None else ZERO


def _overstepped(program: Program, quantities: Sequence[Decimal]) -> Iterator[tuple[int, Decimal]]:
    """Yield the rows that do not hold exactly, and by how much. Soft bands and the definition of a flow always hold."""
    with localcontext(EXACT):
        for at, row in enumerate(program.rows):
            if row.kind in ("flow", "wanted"):
                continue
            total = sum(
                (number * quantities[column] for column, number in row.terms.items() if column < len(quantities)), ZERO
            )
            below = row.low - total if row.low is not None else ZERO
            above = total - row.high if row.high is not None else ZERO
            if max(below, above) > 0:
                yield at, max(below, above)


def _parts(terms: Terms, program: Program, quantities: Sequence[Decimal]) -> Iterator[Part]:
    """Yield the ways in use with their cost; a withdrawal's one fee is borne by its ways by what they send."""
    flows = dict(zip(program.routes, quantities[program.flows_from : program.used_from], strict=True))
    merged: dict[tuple[str, ...], Part] = {}
    for way, qty in zip(program.ways, quantities, strict=False):
        if not qty:
            continue
        fee = ZERO
        if way.route is not None:
            fee = way.route.fee * terms.worth[way.route.asset] * div(sent(way, qty), flows[way.route])
        part = Part(
            method=way.method,
            asset=way.asset,
            source=way.source,
            target=way.target,
            via=way.via,
            network=way.route.network if way.route else "",
            qty=qty * way.moves,
            cost=way.cost * qty + Cost(fee=fee),
            hours=way.hours,
            hours_p99=way.hours_p99,
        )
        name = (way.method, way.asset, way.source, way.target, way.via, part.network)
        merged[name] = _sum(merged[name], part) if name in merged else part
    yield from merged.values()


def _sum(one: Part, other: Part) -> Part:
    """Return two pieces of waiting as one."""
    later = max(one, other, key=lambda part: part.hours)
    return msgspec.structs.replace(later, qty=one.qty + other.qty, cost=one.cost + other.cost)


def _steps(terms: Terms, program: Program, quantities: Sequence[Decimal]) -> tuple[Step, ...]:
    """Return what is to be done, in an order in which every step finds its money: trades, withdrawals, later trades."""
    used = [(way, qty) for way, qty in zip(program.ways, quantities, strict=False) if qty]
    flows = zip(program.routes, quantities[program.flows_from : program.used_from], strict=True)
    left = dict(terms.free)
    for way, qty in used:
        for place, each in way.spends.items():
            left[place] = left.get(place, ZERO) - each * qty
    sends = []
    for route, qty in flows:
        if qty:
            place = (route.source, route.asset)
            left[place] = left.get(place, ZERO) - qty - route.fee * FEE_ROOM
            sends.append(_withdrawal(terms, route, qty, is_funded=left[place] >= 0))
    steps = [*_trades(terms, used, is_later=False), *sends, *_trades(terms, used, is_later=True)]
    return tuple(msgspec.structs.replace(step, number=number) for number, step in enumerate(steps, 1))


def _trades(terms: Terms, used: Sequence[tuple[Way, Decimal]], *, is_later: bool) -> Iterator[Step]:
    for way, qty in used:
        for leg in way.legs:
            if leg.is_later == is_later:
                yield Step(
                    action=Action.BUY if leg.is_buy else Action.SELL,
                    venue=leg.venue,
                    asset=leg.base,
                    qty=qty,
                    quote=leg.quote,
                    limit=leg.limit,
                    taker=leg.taker,
                    is_later=leg.is_later,
                    value=qty * terms.worth[leg.base],
                )


def _withdrawal(terms: Terms, route: Route, qty: Decimal, *, is_funded: bool) -> Step:
    value = qty * terms.worth[route.asset]
    return Step(
        action=Action.SEND,
        venue=route.source,
        asset=route.asset,
        qty=qty,
        target=route.target,
        network=route.network,
        fee=route.fee,
        minutes_p50=route.minutes_p50,
        minutes_p99=route.minutes_p99,
        value=value,
        is_large=value > terms.situation.policy.confirm_above,
        is_funded=is_funded,
        request_key=request_key(terms.situation, route),
    )


def request_key(situation: Situation, route: Route) -> str:
    """Return a name that is the same for the same balances: asking twice before anything moved asks for one transfer.

    The quantity is not in it: prices move it a little between two plans, and the second is still the same wish.
    """
    facts = [
        *((one.venue, str(one.qty)) for one in situation.holdings if one.asset == route.asset),
        *(
            (one.source, one.target, one.network, str(one.qty))
            for one in situation.transits
            if one.asset == route.asset
        ),
        (route.source, route.target, route.asset, route.network),
    ]
    return "rebalance-" + hashlib.sha256(repr(sorted(facts)).encode()).hexdigest()[:20]


def _left(terms: Terms, bands: Sequence[Band], final: dict[tuple[str, str], Decimal]) -> Iterator[Left]:
    for band in bands:
        has = final.get((band.venue, band.asset), ZERO)
        off = min(ZERO, has - band.low) + max(ZERO, has - band.high)
        cost = abs(off) * left_cost(terms, band.asset) / 2
        if off:
            yield Left(venue=band.venue, asset=band.asset, qty=off, cost=cost)
