"""Every outcome of every leg of a triangle, times what the venues do afterwards: flat within limits, or stranded by name."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from arbot.domain.decisions import ArbState, ArbStranded
from arbot.domain.ids import Asset, VenueId
from arbot.domain.order import OrderState
from tests.support.engine_world import World, play
from tests.support.triangle_world import BUYING, SELLING, triangle_world

LEG_OUTCOMES = ("filled", "part", "rejected", "expired", "lost", "found")
LEAST = {"ETH": Decimal("0.1"), "BTC": Decimal("0.001")}


def tell(world: World, number: int, outcome: str) -> None:
    """Let one leg come to its outcome; a part is two fifths, on the step."""
    intent = world.intents[number]
    qty = intent.qty if outcome == "filled" else (intent.qty * Decimal("0.4")).quantize(Decimal("0.01"))
    if outcome in ("filled", "part"):
        world.line(f"{intent.venue} filled {qty} @{intent.limit_price}")
    if outcome in ("part", "expired"):
        world.line(f"{intent.venue} expired")
    if outcome == "rejected":
        world.line(f"{intent.venue} rejected other")
    if outcome in ("lost", "found"):
        world.line(f"{intent.venue} unknown")


def settle(world: World, unknown: dict[int, str]) -> None:
    """Answer for the legs in doubt after the deadline: nothing was found twice, or it had filled."""
    if unknown:
        world.wait("14s")
    for number, outcome in unknown.items():
        intent = world.intents[number]
        if outcome == "found":
            world.line(f"{intent.venue} reported filled {intent.qty}")
            world.line(f"{intent.venue} filled {intent.qty} @{intent.limit_price}")
        else:
            world.line(f"{intent.venue} absent")
            world.line(f"{intent.venue} absent")


def work(world: World, *, venues_fill: bool) -> None:
    """Answer every order that works a residual the same way, until none is left."""
    for _ in range(40):
        live = [order.intent for order in world.engine.state.live.values()]
        if not live:
            return
        for intent in live:
            said = f"filled {intent.qty} @{intent.limit_price}" if venues_fill else "rejected other"
            world.line(f"{intent.venue} {said}")
    raise AssertionError("orders without an end")


def moved(world: World, asset: str) -> Decimal:
    """Return what the fills moved of an asset over all venues."""
    fills = (fill for order in world.engine.state.orders.values() for fill in order.fills.values())
    return sum((fill.delta(Asset(asset)) for fill in fills), Decimal(0))


@pytest.mark.parametrize("opening", [BUYING, SELLING], ids=["buying", "selling"])
@pytest.mark.parametrize("venues_fill", [True, False], ids=["then filled", "then refused"])
def test_every_outcome_of_every_leg(opening: str, *, venues_fill: bool) -> None:
    """End flat in both assets where venues take what is left, else stranded naming exactly what is open."""
    for outcomes in itertools.product(LEG_OUTCOMES, repeat=3):
        world = triangle_world()
        play(world, opening)
        for number, outcome in enumerate(outcomes):
            tell(world, number, outcome)
        settle(world, {n: outcome for n, outcome in enumerate(outcomes) if outcome in ("lost", "found")})
        work(world, venues_fill=venues_fill)
        state = world.engine.state
        (arb,) = [arb for arb in state.arbs.values() if not arb.is_flush]
        open_now = {asset: moved(world, asset) for asset, least in LEAST.items() if abs(moved(world, asset)) >= least}

        assert {asset: moved(world, asset) for asset in LEAST} == {
            asset: state.net_delta(Asset(asset)) for asset in LEAST
        }, outcomes
        assert arb.state is (ArbState.STRANDED if open_now else ArbState.FLAT), outcomes
        told = [d for _, outcome in world.log for d in outcome.decisions if isinstance(d, ArbStranded)]
        assert [open_now] * len(told) == [{a.asset: a.number for a in d.open} for d in told], outcomes
        assert bool(open_now) == bool(told), outcomes
        assert not (venues_fill and open_now), outcomes


@pytest.mark.parametrize("opening", [BUYING, SELLING], ids=["buying", "selling"])
def test_worst_case_counts_live_legs_in_both_assets(opening: str) -> None:
    """Count each leg alone: ether by its quantity, bitcoin by the conversion or by the leg and its fee."""
    world = triangle_world()
    play(world, opening)
    state = world.engine.state
    by_name = {intent.symbol: intent for intent in world.intents}
    leg, conversion = by_name["ETH/BTC"], by_name["BTC/USD"]
    with_fee = leg.notional * (1 + leg.fee_rate) if leg.side == "buy" else leg.notional

    assert Decimal(1) == state.net_delta_worst(Asset("ETH"))
    assert max(with_fee, conversion.qty) == state.net_delta_worst(Asset("BTC"))
    assert all(order.state is OrderState.INTENDED for order in state.live.values())
    for intent in (leg, conversion):
        paid = intent.quote if intent.side == "buy" else intent.base
        worth = intent.notional * (1 + intent.fee_rate) if intent.side == "buy" else intent.qty
        assert worth == state.reserved(VenueId(intent.venue), paid)
