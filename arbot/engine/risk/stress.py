"""The steamroller's ways of coming: named scenarios, what each would cost now, and what a new arb adds to each.

A loss is linear in quantity, so that the marginal loss of an arb is exactly what the table moves by when the arb is really
opened (tests/property/test_marginal_stress.py). Losses in the reporting currency. Scenarios are rows of SCENARIOS; what they
assume comes from [risk] and from the registry. Sources of the sizes: docs/decisions/0013.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.ids import Asset, VenueId
from arbot.domain.order import Side
from arbot.domain.registry import UNKNOWN_NODE, NodeKind
from arbot.domain.units import ONE, ZERO, bps_to_rate
from arbot.engine.config import RiskPolicy
from arbot.engine.risk.exposure import is_judged, stands, table_of
from arbot.engine.risk.table import ExposureTable
from arbot.engine.state import State

MARKET = "market"  # the node of a gap: everybody's


class Leg(NamedTuple):
    """One leg of an arb that is not yet open: where, which way, what it brings, and its value per base unit of the arb."""

    venue: VenueId
    side: Side
    asset: Asset
    value: Decimal  # in the reporting currency


Losses = Iterator[tuple[str, Decimal]]  # by node


class Scenario(NamedTuple):
    """One disaster: its cost as things stand, what a unit of a new arb adds, and the share of capital it may cost."""

    name: str
    words: str
    share_max: Callable[[RiskPolicy], Decimal]
    losses: Callable[[State, ExposureTable], Losses]
    units: Callable[[State, Sequence[Leg]], Losses]
    is_move: bool = False  # prices move against what is open: `budget_max` bounds it too


class StressLine(NamedTuple):
    """A scenario at one node: its loss against its budget, in the reporting currency."""

    scenario: str
    node: str
    loss: Decimal
    budget: Decimal


class Marginal(NamedTuple):
    """What a base unit of a new arb adds to a scenario at a node, and the scenario's share of capital."""

    scenario: str
    node: str
    unit: Decimal
    share_max: Decimal


def _gap(side: Side) -> tuple[Callable[[State, ExposureTable], Losses], Callable[[State, Sequence[Leg]], Losses]]:
    """Return the two sums of a jump that hurts what was bought (BUY) or sold (SELL)."""

    def losses(state: State, table: ExposureTable) -> Losses:
        yield MARKET, (table.long if side is Side.BUY else table.short) * bps_to_rate(state.config.risk.gap_bps)

    def units(state: State, legs: Sequence[Leg]) -> Losses:
        open_value = sum((leg.value for leg in legs if leg.side is side), ZERO)
        yield MARKET, open_value * bps_to_rate(state.config.risk.gap_bps)

    return losses, units


def _lost(kind: NodeKind) -> tuple[Callable[[State, ExposureTable], Losses], Callable[[State, Sequence[Leg]], Losses]]:
    """Return the two sums of a node of this kind failing with all that stands on it."""

    def losses(state: State, table: ExposureTable) -> Losses:
        return (
            (node[1], loss) for node, loss in table.loss.items() if node[0] is kind and is_judged(state.config, node)
        )

    def units(state: State, legs: Sequence[Leg]) -> Losses:
        registry, sums = state.config.registry, dict[str, Decimal]()
        for leg in legs:
            for node, loss_share in stands(registry, leg.venue, leg.asset):
                if node[0] is kind and is_judged(state.config, node):
                    sums[node[1]] = sums.get(node[1], ZERO) + leg.value * loss_share
        yield from sums.items()

    return losses, units


def _chain_losses(_: State, table: ExposureTable) -> Losses:
    yield from table.transit_loss.items()


def _chain_units(_: State, __: Sequence[Leg]) -> Losses:
    yield from ()  # an arb moves nothing over a chain; its transfers are judged when they are asked for


def _cloud_losses(state: State, table: ExposureTable) -> Losses:
    move = bps_to_rate(state.config.risk.outage_bps)
    return ((cloud, value * move) for cloud, value in table.stuck.items())


def _cloud_units(state: State, legs: Sequence[Leg]) -> Losses:
    clouds: dict[str, dict[Side, Decimal]] = {}
    for leg in legs:
        sides = clouds.setdefault(state.config.registry.venue(leg.venue).cloud or UNKNOWN_NODE, {})
        sides[leg.side] = sides.get(leg.side, ZERO) + leg.value
    move = bps_to_rate(state.config.risk.outage_bps)
    return ((cloud, max(sides.values()) * move) for cloud, sides in clouds.items())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("gap_down", "prices fall by gap_bps before anything can be done", lambda r: r.gap_loss_share_max,
             *_gap(Side.BUY), is_move=True),
    Scenario("gap_up", "prices rise by gap_bps before anything can be done", lambda r: r.gap_loss_share_max,
             *_gap(Side.SELL), is_move=True),
    Scenario("venue_lost", "a venue keeps what lies there", lambda r: r.venue_loss_share_max, *_lost(NodeKind.VENUE)),
    Scenario("issuer_depeg", "an issuer's coins lose their peg", lambda r: r.issuer_loss_share_max,
             *_lost(NodeKind.ISSUER)),
    Scenario("bank_lost", "a bank fails with the money of the venues it serves", lambda r: r.bank_loss_share_max,
             *_lost(NodeKind.BANK)),
    Scenario("custodian_lost", "a custodian fails with the coins of the venues it serves",
             lambda r: r.custodian_loss_share_max, *_lost(NodeKind.CUSTODIAN)),
    Scenario("chain_halt", "a chain stands still while prices move", lambda r: r.chain_loss_share_max,
             _chain_losses, _chain_units, is_move=True),
    Scenario("cloud_outage", "no venue of a region takes an order for an hour", lambda r: r.cloud_loss_share_max,
             _cloud_losses, _cloud_units, is_move=True),
)  # fmt: skip


def budget(state: State, scenario: Scenario, whole: Decimal) -> Decimal:
    """Return what a scenario may cost when capital is `whole`: its share of it, and `budget_max` where prices move."""
    risk = state.config.risk
    by_share = scenario.share_max(risk) * whole
    return min(by_share, risk.budget_max) if scenario.is_move else by_share


def stress_lines(state: State) -> tuple[StressLine, ...]:
    """Return every scenario at every node as things stand, in the order of SCENARIOS."""
    table = table_of(state)
    return tuple(
        StressLine(one.name, node, loss, budget(state, one, table.whole))
        for one in SCENARIOS
        for node, loss in one.losses(state, table)
    )


def marginals(state: State, legs: Sequence[Leg]) -> tuple[Marginal, ...]:
    """Return what a base unit of an arb of these legs adds to each scenario that it touches."""
    risk = state.config.risk
    return tuple(
        Marginal(one.name, node, unit, one.share_max(risk))
        for one in SCENARIOS
        for node, unit in one.units(state, legs)
        if unit > 0
    )


def worst(marginal: Iterable[Marginal]) -> Decimal:
    """Return the unit loss of the scenario that uses up most of its own budget; zero when none is touched.

    A venue may cost most of the capital and a gap a fiftieth: what they take is compared by what is left of each.
    """
    return max(marginal, key=lambda one: one.unit / one.share_max, default=_NONE).unit


_NONE = Marginal("", "", ZERO, ONE)
