"""Why a quote is pulled though its books are well: too many hedges, too little to hedge, or nobody wants it any more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.decisions import QuotePulled, Reason
from arbot.engine import resting
from arbot.engine.config import ExecutionPolicy
from tests.scenario.test_quotes import OPEN, ROUTE, Fixed, a_bid, a_world
from tests.support.engine_world import World, an_instrument, play


def pulled(world: World) -> list[tuple[Reason, Decimal, Decimal]]:
    """Return why quotes were pulled, with the numbers."""
    found = [one for _, outcome in world.log for one in outcome.decisions if isinstance(one, QuotePulled)]
    return [(one.reason, one.value, one.limit) for one in found]


def test_a_quote_that_was_hedged_as_often_as_can_be_named_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pull at the limit, with the count, and hedge what fills after that all the same."""
    monkeypatch.setattr(resting, "HEDGES_MAX", 2)
    world = a_world()
    play(
        world,
        OPEN
        + """
kraken   filled 0.1 @100.6                -> coinbase sell 0.1 @100.9 hedge
coinbase filled 0.1 @101.0
kraken   quote filled 0.1 @100.6          -> coinbase sell 0.1 @100.9 hedge
coinbase filled 0.1 @101.0                -> kraken cancel; pulled hedges_spent
kraken   quote filled 0.1 @100.6          -> coinbase sell 0.1 @100.9 hedge
coinbase filled 0.1 @101.0
kraken   quote canceled                   -> flat 0.12
""",
    )

    assert [(Reason.HEDGES_SPENT, Decimal(2), Decimal(2))] == pulled(world)


def test_a_quote_nobody_wants_any_more_is_pulled_once_it_has_rested() -> None:
    """Leave it its rest, then pull it at the next change of its books."""
    strategy = Fixed(a_bid("100.6"))
    world = World(ROUTE, strategy=strategy, execution=ExecutionPolicy(quote_rest_ms_min=500))
    world.line("kraken book bid 100.0x5 ask 101.5x5")
    assert ["kraken buy 0.9 @100.6 rest"] == world.line("coinbase book bid 101.0x3 ask 101.2x3")
    world.line("kraken accepted")
    strategy.quotes = ()
    play(
        world,
        """
wait 400ms
coinbase book bid 101.0x3 ask 101.2x3
wait 200ms
coinbase book bid 101.0x3 ask 101.2x3     -> kraken cancel; pulled quote_unwanted
coinbase book bid 101.0x3 ask 101.2x3
kraken   canceled                         -> missed
""",
    )

    assert [Reason.QUOTE_UNWANTED] == [reason for reason, _, _ in pulled(world)]


def test_what_stays_below_the_hedge_venues_minimum_is_not_kept_for_ever() -> None:
    """Gather for half the seconds of a residual, then pull with the numbers, and unwind where less is taken."""
    hedge = an_instrument("coinbase", qty_min=Decimal("0.3"))
    world = a_world(instruments=(an_instrument("kraken"), hedge), execution=ExecutionPolicy(hedge_seconds_max=20))
    play(
        world,
        OPEN
        + """
kraken   filled 0.1 @100.6
wait 5s
kraken   quote filled 0.1 @100.6
wait 4s
wait 2s                                   -> kraken cancel; pulled below_minimum
kraken   quote canceled                   -> kraken sell 0.2 @99.9 unwind
kraken   filled 0.2 @100.0                -> flat -0.12
""",
    )

    assert [(Reason.BELOW_MINIMUM, Decimal("0.2"), Decimal("0.3"))] == pulled(world)


def test_what_gathers_to_the_minimum_is_hedged_in_one_order() -> None:
    """Wait for more while more may come, and send one order that the venue takes."""
    hedge = an_instrument("coinbase", qty_min=Decimal("0.3"))
    world = a_world(instruments=(an_instrument("kraken"), hedge))
    play(
        world,
        OPEN
        + """
kraken   filled 0.2 @100.6
wait 5s
kraken   quote filled 0.1 @100.6          -> coinbase sell 0.3 @100.9 hedge
coinbase filled 0.3 @101.0
""",
    )
