"""What the gates keep from look to look is good for as long as time alone changes nothing in it."""

from __future__ import annotations

from arbot.domain.events import VenueStatusReported
from arbot.domain.ids import VenueId
from arbot.domain.transfer import MaintenanceWindow, VenueStatus
from arbot.engine.config import HealthPolicy
from tests.support.engine_world import MS, START_NS, World

S = 1_000 * MS
CHEAP = "kraken book bid 100.0x2 ask 100.1x2"
EDGE = "coinbase book bid 101.0x1 ask 101.2x3"


def looked(world: World) -> int:
    """Let the gates of one look pass everything and be kept, without opening an arb; return the version of the state."""
    world.line("kraken book bid 100.0x0.01 ask 100.1x0.01")
    assert ["declined below_minimum"] == world.line(EDGE)
    world.line("coinbase book bid 100.0x1 ask 101.2x3")
    world.line(CHEAP)
    assert world.engine.state.calm is not None
    return world.engine.state.version


def test_a_venue_that_falls_silent_is_noticed_without_an_event() -> None:
    """Refuse when the word on what can leave grows too old between two looks, though nothing else has happened."""
    world = World(health=HealthPolicy(network_silence_s=60))
    for venue in ("kraken", "coinbase"):
        world.line(f"{venue} networks BTC open, USD open")
    version = looked(world)
    world.wait("61s")

    assert ["declined withdrawals_closed"] == world.line(EDGE)
    assert version == world.engine.state.version


def test_a_maintenance_that_comes_near_is_noticed_without_an_event() -> None:
    """Refuse from the lead time on, though the look before found nothing near."""
    world = World(health=HealthPolicy(maintenance_lead_s=60))
    window = MaintenanceWindow(from_ns=START_NS + 120 * S, until_ns=START_NS + 600 * S)
    world.give(VenueStatusReported(venue=VenueId("kraken"), status=VenueStatus.ONLINE, windows=(window,)))
    version = looked(world)
    world.wait("61s")

    assert ["declined maintenance"] == world.line(EDGE)
    assert version == world.engine.state.version
