"""The answer: what to do in which order, what it costs and why, and the price of everything that was not chosen.

The solver's numbers are rounded down to what venues take, and then priced and proved again in exact arithmetic. A row
that rounding broke is tightened and the program solved anew, a few times; what still does not hold is an error. Nothing
is bent to fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext

import msgspec

from arbot.domain.errors import ArbotError, Mistake, UserError
from arbot.domain.units import EXACT, ZERO, ceil_to_step, div, floor_to_step, fmt
from arbot.treasury import problem, proof, sieve
from arbot.treasury.problem import Band, Route, Situation
from arbot.treasury.program import Answer, Program, Row, assemble, broken, solve, venue_cap
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


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A way that is used. `qty` is how much of `asset` it brings to the target."""

    method: Method
    asset: str
    source: str
    target: str
    via: str
    network: str
    qty: Decimal
    cost: Cost
    hours: Decimal
    hours_p99: Decimal


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A way to mend one gap whole, with its price. `taken` is how much of the gap the plan mends by it."""

    method: Method
    via: str
    network: str
    cost: Cost
    hours: Decimal
    hours_p99: Decimal
    taken: Decimal
    hindered: str = ""  # why it could not mend the whole gap


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """So much lies at one venue and should lie at another; the choices are from cheap to dear."""

    asset: str
    source: str
    target: str
    qty: Decimal
    value: Decimal
    choices: tuple[Choice, ...]


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What is still outside its band when all is done: negative lacks, positive is too much."""

    venue: str
    asset: str
    qty: Decimal
    cost: Decimal


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. Money in `ccy`; `optimum_gap` is how far above the best possible it may be, as a fraction."""

    ccy: str
    cost: Cost
    hours: Decimal
    hours_p99: Decimal
    parts: tuple[Part, ...]
    steps: tuple[Step, ...]
    left: tuple[Left, ...]
    gaps: tuple[Gap, ...]
    prices: dict[str, Decimal]
    optimum_gap: float
    notes: tuple[str, ...]


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
    steps = tuple(_steps(terms, program, quantities))
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
        gaps=tuple(_priced(terms, gap, parts) for gap in found),
        prices=dict(terms.worth),
        optimum_gap=gap,
        notes=situation.notes,
    )


def gaps_of(situation: Situation, bands: Sequence[Band]) -> tuple[Gap, ...]:
    """Return what should go from where to where for every asset to be inside its bands: the largest first, unpriced."""
    worth = problem.prices(situation)
    present, coming = problem.held(situation), problem.arriving(situation)
    found: list[Gap] = []
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
            found.append(Gap(asset=asset, source=source, target=target, qty=qty, value=qty * worth[asset], choices=()))
            over[source], lacks[target] = max(ZERO, over[source] - qty), max(ZERO, lacks[target] - qty)
            slack[source], slack[target] = slack[source] - qty, slack[target] + qty
    return tuple(sorted(found, key=lambda gap: -gap.value))


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
    for (source, asset), over in rest.items():
        for target in dict.fromkeys(band.venue for band in bands):
            if target == source or (target, asset) not in rest:
                continue
            useful = max(ZERO, min(over, -rest[target, asset]))
            if asset in open_assets and useful:
                for kind in (transfers, conversions, waits):
                    yield from (_at_most(way, useful) for way in kind(terms, asset, source, target))
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
    """Return quantities that venues take and every row holds with. Raises: UserError when nothing fits, PlanUnsound."""
    tightened: dict[int, Decimal] = {}
    least: set[int] = set()
    for _ in range(ROUNDS_MAX):
        answer = solve(program, tightened, least)
        if answer is None:
            raise UserError(*_explained(terms, program))
        quantities = _on_steps(program, answer)
        wrong = dict(_overstepped(program, quantities))
        small = {at for at, way in enumerate(program.ways) if ZERO < quantities[at] < way.qty_min}
        if not wrong and not small:
            return quantities, answer.gap
        least |= small
        for at, by in wrong.items():
            tightened[at] = tightened.get(at, ZERO) + by * 2
    rows = ", ".join(f"{program.rows[at].kind} of {program.rows[at].where} by {by}" for at, by in wrong.items())
    raise PlanUnsound(
        f"rounding to the venues' steps breaks {rows or 'the least trade'}, however the rest is tightened"
    )


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


def _explained(terms: Terms, program: Program) -> list[Mistake]:
    """Return what stands in the way, in numbers, with what to do about it."""
    remedies = {
        "target": "ask for less, open a network or allow an address (transfers.allow), or give the plan other venues' money",
        "funds": "bring money there first, or ask for less",
        "funds for trades": "bring money there first, or ask for less",
        "in flight": "raise the cap on value in flight, or go in several plans",
        "venue's share": "ask for less there, or raise limits.counterparty_share_max",
        "minimum": "ask for more, or for nothing",
    }
    found = []
    for one in broken(program):
        row, short = one.row, fmt(one.by.quantize(Decimal("0.00000001")))
        bound = row.low if row.low is not None else row.high
        found.append(
            Mistake(
                f"{row.kind}: {row.where}",
                f"cannot be kept by {short} (bound {fmt((bound or ZERO).quantize(Decimal('0.00000001')))}, "
                f"a change against now); {_hindrance(terms, row)}",
                remedies.get(row.kind, "ask for less"),
            )
        )
    return found or [Mistake("the plan", "the solver found none and no reason", "ask for less at a time")]


def _hindrance(terms: Terms, row: Row) -> str:
    """Return which routes of the asset in question are shut, for a row about a target."""
    asset, _, venue = row.where.partition(" at ")
    shut = [
        f"{route.network} from {route.source}: {way.blocked}"
        for route in terms.situation.routes
        if route.target == venue and route.asset == asset
        for way in transfers(terms, asset, route.source, venue)
        if way.route == route and way.blocked
    ]
    return "; ".join(shut) if shut else "no way that is open brings more"


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


def _steps(terms: Terms, program: Program, quantities: Sequence[Decimal]) -> Iterator[Step]:
    """Yield what is to be done, in an order in which every step finds its money: trades, withdrawals, later trades."""
    number = 0
    used = [(way, qty) for way, qty in zip(program.ways, quantities, strict=False) if qty]
    for is_later in (False, True):
        for way, qty in used:
            for leg in way.legs:
                if leg.is_later == is_later:
                    number += 1
                    yield Step(
                        number=number,
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
        if is_later:
            return
        flows = zip(program.routes, quantities[program.flows_from : program.used_from], strict=True)
        for route, qty in flows:
            if qty:
                number += 1
                yield _withdrawal(terms, route, qty, number)


def _withdrawal(terms: Terms, route: Route, qty: Decimal, number: int) -> Step:
    value = qty * terms.worth[route.asset]
    return Step(
        number=number,
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


def _priced(terms: Terms, gap: Gap, parts: Sequence[Part]) -> Gap:
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


def _waiting(terms: Terms, gap: Gap, parts: Sequence[Part]) -> list[Choice]:
    """Return waiting for our own arbs as one choice, or none where they never went that way."""
    pieces = list(waits(terms, gap.asset, gap.source, gap.target))
    if not pieces:
        return []
    rest, cost, hours, hours_p99 = gap.qty, Cost(), ZERO, ZERO
    for way in pieces:
        qty = min(rest, way.qty_max or ZERO)
        if qty:
            cost, hours, hours_p99 = cost + way.cost * qty, way.hours, way.hours_p99
        rest -= qty
    carried = gap.qty - rest
    taken = [
        part.qty
        for part in parts
        if (part.method, part.asset, part.source, part.target) == (Method.WAIT, gap.asset, gap.source, gap.target)
    ]
    return [
        Choice(
            method=Method.WAIT,
            via="",
            network="",
            cost=cost + Cost(waiting=rest * left_cost(terms, gap.asset)),
            hours=hours,
            hours_p99=hours_p99,
            taken=sum(taken, ZERO),
            hindered=f"brings {_short(carried)} {gap.asset} within the horizon" if rest else "",
        )
    ]


def _short(number: Decimal) -> str:
    """Return a number with six significant digits at most, for a sentence."""
    return f"{number:,.2f}" if abs(number) >= 100 else fmt(number.quantize(Decimal("0.000001")).normalize())
