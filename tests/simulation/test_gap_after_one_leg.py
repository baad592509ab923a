"""The founding accident: one leg fills, the other does not, and the market goes 5 % against what stands alone, either way.

With the shipped limits: an arb of 990 (the most `notional_per_arb_max` allows here), fees of 10 bps, books 10 bps wide.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import pytest

from arbot.domain.decisions import ArbClosed, ArbStranded, OrderRefused, Reason
from arbot.engine.config import ExecutionPolicy
from tests.support.engine_world import World

CALM = ("kraken book bid 100.0x20 ask 100.1x20", "coinbase book bid 101.0x20 ask 101.1x20")


class Side(NamedTuple):
    """Which leg fills and what follows: the books after the gap, and the fill of the unwind."""

    filled: str
    missing: str
    gap: tuple[str, str]
    unwind: str


SIDES = {
    "bought, and the market falls": Side(
        "kraken filled 9.9 @100.1",
        "coinbase",
        ("kraken book bid 95.0x20 ask 95.1x20", "coinbase book bid 95.9x20 ask 96.0x20"),
        "kraken filled {} @95.0",
    ),
    "sold, and the market rises": Side(
        "coinbase filled 9.9 @101.0",
        "kraken",
        ("kraken book bid 105.1x20 ask 105.2x20", "coinbase book bid 106.0x20 ask 106.1x20"),
        "coinbase filled {} @106.1",
    ),
}
FAILURES = {
    "refused": (("{} rejected insufficient_funds",), "9.9"),
    "expired": (("{} expired",), "9.9"),
    "no answer, and the venue says it was cancelled": (("{} unknown", "{} reported canceled 0"), "9.9"),
    "half filled": (("{0} filled 4.9 @{1}", "{0} expired"), "5"),
    "halted": (("{} rejected market_closed",), "9.9"),
}


def after_the_gap(side: str, failure: str, execution: ExecutionPolicy = ExecutionPolicy()) -> World:  # noqa: B008 - frozen
    """Return a world in which one leg filled, the market has moved, and the other leg has failed."""
    chosen, (answers, _) = SIDES[side], FAILURES[failure]
    world = World(balances={"BTC": "20", "USD": "5000"}, execution=execution)
    opened = [word for line in CALM for word in world.line(line)]
    assert ["kraken buy 9.9 @100.1", "coinbase sell 9.9 @101"] == opened
    price = {"kraken": "100.1", "coinbase": "101.0"}[chosen.missing]
    world.line(chosen.filled)
    for line in (*chosen.gap, *(one.format(chosen.missing, price) for one in answers)):
        world.line(line)
    return world


def decided(world: World, kind: type) -> list[object]:
    """Return the decisions of one kind."""
    return [one for _, outcome in world.log for one in outcome.decisions if isinstance(one, kind)]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("side", SIDES)
def test_it_is_flat_again_at_once_within_the_limit(side: str, failure: str) -> None:
    """Unwind all that stands alone with one order, in the step in which the failure is known, within `hedge_loss_max`."""
    world = after_the_gap(side, failure)
    qty = FAILURES[failure][1]
    unwinds = [one for one in world.intents if one.purpose == "unwind"]
    assert [(Decimal(qty), world.now_ns)] == [(one.qty, one.decided_ts_ns) for one in unwinds]
    world.line(SIDES[side].unwind.format(qty))
    (closed,) = decided(world, ArbClosed)

    assert isinstance(closed, ArbClosed)
    assert Decimal(0) == closed.residual == sum((world.engine.state.carried or {}).values())
    assert -ExecutionPolicy().hedge_loss_max < closed.pnl_net < 0
    assert [] == decided(world, ArbStranded)


@pytest.mark.parametrize("side", SIDES)
def test_both_ways_cost_the_same(side: str) -> None:
    """Lose 5 to 5.5 % of the arb, whichever leg was the one that filled."""
    world = after_the_gap(side, "refused")
    world.line(SIDES[side].unwind.format("9.9"))
    (closed,) = decided(world, ArbClosed)

    assert isinstance(closed, ArbClosed)
    assert Decimal("0.05") < -closed.pnl_net / 990 < Decimal("0.055")


@pytest.mark.parametrize("side", SIDES)
def test_a_limit_below_the_gap_strands_it_and_says_so(side: str) -> None:
    """Refuse the unwind with its loss against the limit, and call a person when the time is over: never silently naked."""
    world = after_the_gap(side, "refused", ExecutionPolicy(hedge_loss_max=Decimal(50)))
    world.line("wait 25s")
    refused = decided(world, OrderRefused)

    assert {(Reason.HEDGE_LOSS, Decimal(50))} == {(one.reason, one.limit) for one in refused}  # type: ignore[attr-defined]
    assert all(50 < one.value < 60 for one in refused)  # type: ignore[attr-defined]
    assert len(decided(world, ArbStranded)) == 1
