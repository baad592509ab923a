"""What a restart finds and does: orders of the last run come back before anything is decided."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.decisions import ArbStranded
from arbot.domain.events import AccountSnapshotReceived, OrderRestored, ReconciliationEnded
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Balance
from arbot.domain.order import OrderState
from tests.support.engine_world import World, play

OPENED = """
kraken   book bid 100.0x2 ask 100.1x2
coinbase book bid 101.0x1 ask 101.2x3     -> kraken buy 1 @100.1; coinbase sell 1 @101
"""


def died(table: str) -> tuple[OrderRestored, ...]:
    """Return what the store would give back after a run that got as far as the table."""
    world = World()
    play(world, OPENED + table)
    return tuple(
        OrderRestored(
            intent=order.intent,
            state=order.state,
            venue_order_id=order.venue_order_id,
            fills=tuple(order.fills.values()),
        )
        for order in world.engine.state.orders.values()
    )


def restarted(table: str, *, with_balances: bool = True) -> World:
    """Return the next run's world, with the same books and everything restored."""
    world = World(epoch=2)
    if not with_balances:
        world.engine.state.venue(VenueId("kraken")).has_balances = False
    for venue, bids, asks in (("kraken", "100.0x2", "100.1x2"), ("coinbase", "101.0x1", "101.2x3")):
        world.market.set(world.instruments[VenueId(venue)].id, world.now_ns, bids, asks)
    for event in died(table):
        world.intents.append(event.intent)
        world.give(event)
    return world


def test_a_leg_that_had_not_left_is_asked_about_and_never_sent() -> None:
    """Treat an intent without an answer as unknown: it may be at the venue, so it is queried, not repeated."""
    world = restarted("kraken filled 1 @100.1")
    states = [order.state for order in world.engine.state.orders.values()]

    assert states == [OrderState.FILLED, OrderState.UNKNOWN]
    play(
        world,
        """
coinbase reported filled 1                -> coinbase query
coinbase filled 1 @101.0                  -> flat 0.9
""",
    )
    assert len(world.intents) == 2


def test_a_restored_residual_is_worked_with_names_of_the_new_run() -> None:
    """Hedge what the last run left one-sided, under an order id that no run has used."""
    world = restarted("kraken filled 1 @100.1\ncoinbase unknown -> coinbase query")
    play(
        world,
        """
coinbase reported canceled 0              -> coinbase sell 1 @100.9 hedge
coinbase filled 1 @101.0                  -> flat 0.9
""",
    )
    assert [i.client_order_id[:6] for i in world.intents] == ["ab0001", "ab0001", "ab0002"]


def test_seconds_of_hedging_wait_for_the_venues_to_come_back() -> None:
    """Strand a restored residual only after its venues had their chance to tell their balances."""
    world = restarted("kraken filled 1 @100.1\ncoinbase expired -> coinbase sell 1 @100.9 hedge", with_balances=False)
    for venue in ("kraken", "coinbase"):
        world.line(f"{venue} silent")
    world.wait("3s")
    world.line("coinbase reported canceled 0")
    world.wait("60s")
    assert stranded(world) == 0

    balances = tuple(Balance(asset=Asset(a), total=Decimal(n)) for a, n in (("BTC", "10"), ("USD", "10000")))
    world.give(AccountSnapshotReceived(venue=VenueId("kraken"), balances=balances))
    world.engine.state.venue(VenueId("kraken")).has_balances = True
    world.give(ReconciliationEnded(venue=VenueId("kraken"), differences=0))
    world.wait("21s")
    assert stranded(world) == 1


def stranded(world: World) -> int:
    """Return how many arbs were stranded."""
    return sum(isinstance(d, ArbStranded) for _, outcome in world.log for d in outcome.decisions)


@pytest.mark.parametrize("left", ["kraken accepted", "kraken filled 0.4 @100.1", "coinbase unknown -> coinbase query"])
def test_restoring_twice_is_the_same_as_once(left: str) -> None:
    """Ignore an order that is already known: a crash during recovery is boring."""
    world = restarted(left)
    digest = [order.filled_qty for order in world.engine.state.orders.values()]
    for event in died(left):
        world.give(event)

    assert digest == [order.filled_qty for order in world.engine.state.orders.values()]
    assert len(world.engine.state.orders) == 2
