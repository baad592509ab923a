"""The linear program: which ways, how much of each, for the least money in total. HiGHS solves it.

Columns are quantities of ways, one flow and one yes-or-no per route (a withdrawal pays its fee once, however many ways
it serves, and is at least the minimum), and what is left lying. Rows are kept by name and in Decimal, so that the same
rows price the answer exactly and can be named when nothing fits. Only the solver sees floats, scaled to about one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import msgspec
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

from arbot.domain.units import ZERO, div
from arbot.engine.risk.transfers import FEE_ROOM
from arbot.treasury import problem
from arbot.treasury.problem import Band, Route
from arbot.treasury.ways import Place, Terms, Way, left_cost

SOLVE_S_MAX = 1.2
GAP_MAX = 1e-4
"""The solver may stop this close to the best possible, as a fraction of the cost; the answer says how close it came."""

_BROKEN_COST = 1e6
"""Per unit of scaled value, when we ask what would have to give way: far above any real cost."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`low` <= sum of coefficient x quantity <= `high`, in the unit of `scale`'s asset (one unit is worth `scale`)."""

    kind: str
    where: str
    terms: Mapping[int, Decimal]
    low: Decimal | None = None
    high: Decimal | None = None
    scale: Decimal


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """The rows, and what each column is: ways first, then flows, then yes-or-no, then what is lacking, then what is over."""

    ways: tuple[Way, ...]
    routes: tuple[Route, ...]
    bands: tuple[Band, ...]
    rows: tuple[Row, ...]
    costs: tuple[Decimal, ...]
    tops: tuple[Decimal | None, ...]
    worths: tuple[Decimal, ...]  # of a unit of each column

    @property
    def flows_from(self) -> int:
        """Return the column of the first route's flow."""
        return len(self.ways)

    @property
    def used_from(self) -> int:
        """Return the column of the first route's yes-or-no."""
        return len(self.ways) + len(self.routes)

    @property
    def lacking_from(self) -> int:
        """Return the column of what the first band lacks."""
        return len(self.ways) + 2 * len(self.routes)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the solver says. `gap` is how far the cost may be above the best possible, as a fraction of it."""

    quantities: tuple[Decimal, ...]
    gap: float


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A row that would have to give way by `by`, in its own unit."""

    row: Row
    by: Decimal


def assemble(terms: Terms, ways: Sequence[Way], bands: Sequence[Band]) -> Program:
    """Return the program over these ways, all usable."""
    routes, whole = _flow_tops(ways), _capital(terms)
    program = Program(
        ways=tuple(ways),
        routes=tuple(routes),
        bands=tuple(bands),
        rows=(),
        costs=(
            *(way.cost.total for way in ways),
            *(ZERO for _ in routes),
            *(route.fee * terms.worth[route.asset] for route in routes),
            # what is over here lacks elsewhere: each of the two carries one half of what is missed
            *(left_cost(terms, band.asset) / 2 for band in (*bands, *bands)),
        ),
        tops=(
            *(way.qty_max for way in ways),
            *(
                min(top, div(min(terms.rooms[route.network], terms.rooms[""], whole), terms.flown(route)))
                for route, top in routes.items()
            ),
            *(Decimal(1) for _ in routes),
            *(ZERO if band.is_firm else None for band in (*bands, *bands)),
        ),
        worths=(
            *(terms.worth[way.unit] for way in ways),
            *(terms.worth[route.asset] for route in routes),
            *(Decimal(1) for _ in routes),
            *(terms.worth[band.asset] for band in (*bands, *bands)),
        ),
    )
    return msgspec.structs.replace(program, rows=_rows(terms, program, whole))


def solve(program: Program, tightened: Mapping[int, Decimal], least: Collection[int]) -> Answer | None:
    """Return the cheapest quantities, or None when no quantities keep every row.

    `tightened` moves the bounds of rows inwards, by so much of their own unit. Ways in `least` are nothing or at least
    their smallest trade: asked only of those that came out smaller, for most never do, and each makes the search longer.
    """
    scale = _scales(program)
    matrix, low, high = _matrix(program, scale, tightened)
    costs = np.array([float(cost) for cost in program.costs]) * scale
    is_whole, bottoms, tops = _kinds(program, scale, least)
    found = milp(
        costs,
        constraints=LinearConstraint(matrix, low, high),
        bounds=Bounds(bottoms, tops),
        integrality=is_whole,
        options={"time_limit": SOLVE_S_MAX, "mip_rel_gap": GAP_MAX},
    )
    if found.x is None:
        return None
    gap = float(found.mip_gap) if found.mip_gap is not None else 0.0
    return Answer(quantities=tuple(Decimal(repr(float(x))) for x in found.x * scale), gap=gap)


def broken(program: Program) -> tuple[Broken, ...]:
    """Return what would have to give way for the rest to hold, at the least value in sum: why there is no answer."""
    scale = _scales(program)
    matrix, low, high = _matrix(program, scale, {})
    count, rows = len(program.costs), len(program.rows)
    is_whole, bottoms, tops = _kinds(program, scale, ())
    relax = csr_matrix((np.ones(2 * rows), (np.tile(np.arange(rows), 2), np.arange(2 * rows))), shape=(rows, 2 * rows))
    relax.data[rows:] = -1.0
    wide = csr_matrix(np.hstack([matrix.toarray(), relax.toarray()]))
    found = milp(
        np.concatenate([np.array([float(cost) for cost in program.costs]) * scale, np.full(2 * rows, _BROKEN_COST)]),
        constraints=LinearConstraint(wide, low, high),
        bounds=Bounds(np.concatenate([bottoms, np.zeros(2 * rows)]), np.concatenate([tops, np.full(2 * rows, np.inf)])),
        integrality=np.concatenate([is_whole, np.zeros(2 * rows)]),
        options={"time_limit": SOLVE_S_MAX},
    )
    if found.x is None:
        return ()
    unit = _unit(program)
    slack = found.x[count : count + rows] + found.x[count + rows :]
    return tuple(
        Broken(row=row, by=Decimal(repr(float(slack[at]))) * unit / row.scale)
        for at, row in enumerate(program.rows)
        if slack[at] > 1e-7
    )


def venue_values(terms: Terms) -> dict[str, Decimal]:
    """Return the value at each venue: what lies there, and what is under way to it."""
    values: dict[str, Decimal] = {}
    for source in (problem.held(terms.situation), problem.arriving(terms.situation)):
        for (venue, asset), qty in source.items():
            values[venue] = values.get(venue, ZERO) + qty * terms.worth.get(asset, ZERO)
    return values


def venue_cap(terms: Terms, venue: str) -> Decimal:
    """Return the most a venue may hold in the end: its share of capital, or what it holds already when that is more."""
    values = venue_values(terms)
    return max(sum(values.values(), ZERO) * terms.situation.policy.venue_share_max, values.get(venue, ZERO))


def _flow_tops(ways: Sequence[Way]) -> dict[Route, Decimal]:
    """Return the most that the ways over each route may send in sum: a tight end makes the search short."""
    tops: dict[Route, Decimal] = {}
    for way in ways:
        if way.route is not None:
            most = Decimal("Infinity") if way.qty_max is None else way.qty_max * way.sends + way.route.qty_step
            tops[way.route] = tops.get(way.route, ZERO) + most
    return tops


def _capital(terms: Terms) -> Decimal:
    return sum(venue_values(terms).values(), ZERO)


def _rows(terms: Terms, program: Program, whole: Decimal) -> tuple[Row, ...]:
    return (
        *_balance_rows(terms, program),
        *_band_rows(terms, program),
        *_route_rows(terms, program),
        *_room_rows(terms, program),
        *_share_rows(terms, program, whole),
    )


def _balance_rows(terms: Terms, program: Program) -> list[Row]:
    """Keep every venue able to pay: trades from what is free now, withdrawals from that and from the trades' proceeds."""
    available = problem.free(terms.situation)
    spent: dict[Place, dict[int, Decimal]] = {}
    changed: dict[Place, dict[int, Decimal]] = {}
    for at, way in enumerate(program.ways):
        for place, qty in way.spends.items():
            spent.setdefault(place, {})[at] = qty
        for place, qty in way.now.items():
            changed.setdefault(place, {})[at] = qty
    for at, route in enumerate(program.routes):
        row = changed.setdefault((route.source, route.asset), {})
        row[program.flows_from + at] = -Decimal(1)
        row[program.used_from + at] = -route.fee * FEE_ROOM  # the engine wants so much to be there
    rows = [
        Row(
            kind="funds for trades",
            where=f"{asset} at {venue}",
            terms=row,
            high=available.get((venue, asset), ZERO),
            scale=terms.worth[asset],
        )
        for (venue, asset), row in spent.items()
    ]
    rows += [
        Row(
            kind="funds",
            where=f"{asset} at {venue}",
            terms=row,
            low=-available.get((venue, asset), ZERO),
            scale=terms.worth[asset],
        )
        for (venue, asset), row in changed.items()
    ]
    return rows


def _ends(program: Program) -> dict[Place, dict[int, Decimal]]:
    """Return what every column changes in the end, by place."""
    ends: dict[Place, dict[int, Decimal]] = {}
    for at, way in enumerate(program.ways):
        for part in (way.now, way.later):
            for place, qty in part.items():
                row = ends.setdefault(place, {})
                row[at] = row.get(at, ZERO) + qty
    for at, route in enumerate(program.routes):
        row = ends.setdefault((route.source, route.asset), {})
        row[program.flows_from + at] = -Decimal(1)
        row[program.used_from + at] = -route.fee
    return ends


def _band_rows(terms: Terms, program: Program) -> list[Row]:
    ends, present, coming = _ends(program), problem.held(terms.situation), problem.arriving(terms.situation)
    rows = []
    for at, band in enumerate(program.bands):
        place = (band.venue, band.asset)
        start = present.get(place, ZERO) + coming.get(place, ZERO)
        lacking, over = program.lacking_from + at, program.lacking_from + len(program.bands) + at
        rows.append(
            Row(
                kind="target" if band.is_firm else "wanted",
                where=f"{band.asset} at {band.venue}",
                terms={**ends.get(place, {}), lacking: Decimal(1), over: -Decimal(1)},
                low=band.low - start,
                high=band.high - start,
                scale=terms.worth[band.asset],
            )
        )
    return rows


def _route_rows(terms: Terms, program: Program) -> list[Row]:
    """Tie each route's flow to the ways that use it, and to its yes-or-no: nothing, or the minimum and more."""
    rows = []
    by_route = {route: at for at, route in enumerate(program.routes)}
    sums: list[dict[int, Decimal]] = [{program.flows_from + at: -Decimal(1)} for at in range(len(program.routes))]
    for at, way in enumerate(program.ways):
        if way.route is not None:
            sums[by_route[way.route]][at] = way.sends
    for at, route in enumerate(program.routes):
        flow, used, top = program.flows_from + at, program.used_from + at, program.tops[program.flows_from + at]
        named = f"{route.asset} from {route.source} to {route.target} by {route.network}"
        scale = terms.worth[route.asset]
        rows.append(Row(kind="flow", where=named, terms=sums[at], low=ZERO, high=ZERO, scale=scale))
        rows.append(
            Row(kind="fee", where=named, terms={flow: Decimal(1), used: -(top or ZERO)}, high=ZERO, scale=scale)
        )
        if route.qty_min > 0:
            rows.append(
                Row(kind="minimum", where=named, terms={flow: Decimal(1), used: -route.qty_min}, low=ZERO, scale=scale)
            )
    return rows


def _room_rows(terms: Terms, program: Program) -> list[Row]:
    rows = []
    for network, room in terms.rooms.items():
        row = {
            program.flows_from + at: terms.flown(route)
            for at, route in enumerate(program.routes)
            if network in ("", route.network)
        }
        where = f"value in flight by {network}" if network else "value in flight in total"
        if row:
            rows.append(Row(kind="in flight", where=where, terms=row, high=room, scale=Decimal(1)))
    return rows


def _share_rows(terms: Terms, program: Program, whole: Decimal) -> list[Row]:
    values = venue_values(terms)
    sums: dict[str, dict[int, Decimal]] = {}
    for (venue, asset), row in _ends(program).items():
        into = sums.setdefault(venue, {})
        for column, qty in row.items():
            into[column] = into.get(column, ZERO) + qty * terms.worth[asset]
    return [
        Row(
            kind="venue's share",
            where=venue,
            terms=row,
            high=max(whole * terms.situation.policy.venue_share_max - values.get(venue, ZERO), ZERO),
            scale=Decimal(1),
        )
        for venue, row in sums.items()
    ]


def _unit(program: Program) -> Decimal:
    """Return the value that the solver sees as one: a thousandth of the most that lies in one place or is wanted there."""
    bounds = [
        abs(bound) * row.scale
        for row in program.rows
        if row.kind in ("funds", "funds for trades", "wanted", "target")
        for bound in (row.low, row.high)
        if bound
    ]
    return max([*bounds, Decimal(1)]) / 1_000


def _scales(program: Program) -> np.ndarray:
    """Return the quantity that stands for one in the solver, by column; yes-or-no stays as it is."""
    unit, rest = _unit(program), range(program.used_from, program.lacking_from)
    return np.array([1.0 if at in rest else float(unit / worth) for at, worth in enumerate(program.worths)])


def _matrix(
    program: Program, scale: np.ndarray, tightened: Mapping[int, Decimal]
) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """Return the rows as the solver takes them.

    A row with routes is tightened for the routes that are used, any other one at its bound, and never so far that doing
    nothing would no longer be allowed.
    """
    rows, columns, numbers, low, high = [], [], [], [], []
    unit = _unit(program)
    for at, row in enumerate(program.rows):
        by = float(row.scale / unit)
        inwards = tightened.get(at, ZERO)
        yes = [column for column in row.terms if program.used_from <= column < program.lacking_from]
        sign = -1 if row.low is not None else 1
        at_bound = ZERO if yes and row.kind not in ("target", "wanted") else inwards
        low.append(-np.inf if row.low is None else float(_inwards(row.low, at_bound)) * by)
        high.append(np.inf if row.high is None else -float(_inwards(-row.high, at_bound)) * by)
        for column, coefficient in row.terms.items():
            margin = sign * inwards if column in yes and not at_bound else ZERO
            rows.append(at)
            columns.append(column)
            numbers.append(float(coefficient + margin) * by * scale[column])
    shape = (len(program.rows), len(program.costs))
    return csr_matrix((numbers, (rows, columns)), shape=shape), np.array(low), np.array(high)


def _inwards(low: Decimal, by: Decimal) -> Decimal:
    """Return a lower bound moved up, but not past zero when zero was allowed."""
    return min(low + by, ZERO) if low <= 0 else low + by


def _kinds(program: Program, scale: np.ndarray, least: Collection[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how the solver takes each column (0 any, 1 whole, 2 nothing or at least the bottom), and its bounds."""
    is_whole, bottoms = np.zeros(len(program.costs)), np.zeros(len(program.costs))
    tops = np.array([np.inf if top is None else float(top) for top in program.tops]) / scale
    is_whole[program.used_from : program.lacking_from] = 1
    for at in least:
        way = program.ways[at]
        is_whole[at], bottoms[at] = 2, float(way.qty_min + way.step) / scale[at]
        tops[at] = min(tops[at], 1e6)  # a column that may be nothing needs an end
        if bottoms[at] > tops[at]:
            is_whole[at], bottoms[at], tops[at] = 0, 0.0, 0.0
    return is_whole, bottoms, tops
