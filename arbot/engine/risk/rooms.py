"""How much more each place takes, worked out once per version of the state: an opportunity then costs two divisions.

A place is a venue, a side, and the asset that a leg there brings. Its room is the value of a leg at which the first cap, and the
first budget, is reached, as long as no other leg of the arb stands on the same thing; `budget` adds those up itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.decisions import Reason
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.order import Side
from arbot.domain.registry import NodeKind
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.risk.exposure import is_judged, share_max, stands, table_of
from arbot.engine.risk.stress import SCENARIOS, Leg, Scenario, budget
from arbot.engine.risk.table import ExposureTable, Node
from arbot.engine.sizing import Bound
from arbot.engine.state import State

REASONS = {
    NodeKind.VENUE: Reason.COUNTERPARTY_SHARE,
    NodeKind.ISSUER: Reason.ISSUER_EXPOSURE,
    NodeKind.BANK: Reason.BANK_EXPOSURE,
    NodeKind.CUSTODIAN: Reason.CUSTODIAN_EXPOSURE,
    NodeKind.CHAIN: Reason.CHAIN_EXPOSURE,
    NodeKind.CLOUD: Reason.CLOUD_EXPOSURE,
}


class Tight(NamedTuple):
    """The first limit that a leg at a place meets: at what value of it, and what is held now of how much."""

    room: Decimal
    reason: Reason
    held: Decimal
    limit: Decimal
    unit: Decimal  # what a unit of the leg's value adds to `held`; zero where that is told as a share


class Ground(NamedTuple):
    """What a leg at a place stands on that has a cap, and what a unit of it adds: (number of the scenario, node, unit)."""

    nodes: tuple[Node, ...]
    units: tuple[tuple[int, str, Decimal], ...]


class Place(NamedTuple):
    """One venue, side and asset: what it stands on that has a cap, the tightest cap, the tightest budget."""

    nodes: tuple[Node, ...]
    cap: Tight | None
    stress: Tight | None
    room: Decimal  # the lesser of the two


class Spending(NamedTuple):
    """A scenario with its budget and what each node would cost as things stand."""

    scenario: Scenario
    limit: Decimal
    losses: dict[str, Decimal]


@dataclass(slots=True)
class Rooms:
    """All of one version. `cap_stop` and `stress_stop` say why nothing at all may be added."""

    table: ExposureTable
    spending: tuple[Spending, ...]
    cap_stop: Bound | None
    stress_stop: Bound | None
    caps: dict[Node, Tight] = field(default_factory=dict)
    places: dict[tuple[VenueId, Side, Asset], Place] = field(default_factory=dict)
    routes: dict[tuple[InstrumentId, InstrumentId], tuple[Decimal, Decimal]] = field(default_factory=dict)


def rooms_of(state: State) -> Rooms:
    """Return the rooms of this version of the state; kept as its table of exposures is."""
    told, kept = state.exposure_table, state.rooms
    if told is not None and kept is not None and told[0] == state.version and kept.table is told[1]:
        return kept  # by far the most
    table = table_of(state)
    if kept is not None and kept.table is table:
        return kept
    spending = tuple(
        Spending(one, budget(state, one, table.whole), dict(one.losses(state, table))) for one in SCENARIOS
    )
    rooms = Rooms(table, spending, _cap_stop(state, table), _stress_stop(table, spending))
    if table.is_lasting:
        state.rooms = rooms
    return rooms


def place_of(state: State, rooms: Rooms, leg: Leg) -> Place:
    """Return what a leg's place leaves."""
    key = (leg.venue, leg.side, leg.asset)
    place = rooms.places.get(key)
    if place is None:
        ground = state.grounds.get(key)
        if ground is None:
            ground = state.grounds[key] = _ground(state, leg._replace(value=ONE))
        cap, stress = _cap(state, rooms, ground.nodes), _stress(rooms, ground.units)
        room = min((tight.room for tight in (cap, stress) if tight is not None), default=rooms.table.whole)
        place = rooms.places[key] = Place(ground.nodes, cap, stress, room)
    return place


def _ground(state: State, leg: Leg) -> Ground:
    """Return what a leg stands on and adds to each scenario, which no event changes."""
    registry = state.config.registry
    nodes = tuple(node for node, _ in stands(registry, leg.venue, leg.asset) if is_judged(state.config, node))
    units = tuple(
        (number, node, unit)
        for number, scenario in enumerate(SCENARIOS)
        for node, unit in scenario.units(state, (leg,))
        if unit > 0
    )
    return Ground(nodes, units)


def _cap(state: State, rooms: Rooms, nodes: tuple[Node, ...]) -> Tight | None:
    found = None
    for node in nodes:
        tight = rooms.caps.get(node)
        if tight is None:
            whole, share, held = rooms.table.whole, share_max(state, node), rooms.table.exposure.get(node, ZERO)
            told = round(div(held, whole), 4)
            tight = rooms.caps[node] = Tight(share * whole - held, REASONS[node[0]], told, share, ZERO)
        if found is None or tight.room < found.room:
            found = tight
    return found


def _stress(rooms: Rooms, units: tuple[tuple[int, str, Decimal], ...]) -> Tight | None:
    found = None
    for number, node, unit in units:
        _, limit, losses = rooms.spending[number]
        loss = losses.get(node, ZERO)
        room = div(limit - loss, unit)
        if found is None or room < found.room:
            found = Tight(room, Reason.STRESS_BUDGET, loss, limit, unit)
    return found


def _cap_stop(state: State, table: ExposureTable) -> Bound | None:
    """Refuse while something has no price, there is nothing, or more is in flight on a chain than its cap allows."""
    if table.unpriced:
        return Bound(ZERO, Reason.PRICE_UNKNOWN)
    if table.whole <= 0:
        return Bound(ZERO, Reason.BALANCE_SHORT)
    for node, value in table.exposure.items():
        if node[0] is NodeKind.CHAIN and is_judged(state.config, node):
            share, limit = div(value, table.whole), share_max(state, node)
            if share > limit:
                return Bound(ZERO, Reason.CHAIN_EXPOSURE, round(share, 4), limit)
    return None


def _stress_stop(table: ExposureTable, spending: tuple[Spending, ...]) -> Bound | None:
    """Refuse once any budget is spent, whoever spent it."""
    if table.unpriced:
        return Bound(ZERO, Reason.PRICE_UNKNOWN)
    for _, limit, losses in spending:
        for loss in losses.values():
            if loss > limit:
                return Bound(ZERO, Reason.STRESS_BUDGET, loss, limit)
    return None
