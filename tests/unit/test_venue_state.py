"""The one word for where a venue's connection is."""

from __future__ import annotations

import pytest

from arbot.domain.events import VenueStatusReported
from arbot.domain.ids import VenueId
from arbot.domain.transfer import MaintenanceWindow, VenueStatus
from arbot.observe.catalogue.words import VENUE_STATES
from arbot.observe.venue_state import RULES, Standing, is_in_maintenance, venue_state, word_of
from tests.support.engine_world import START_NS, World

S = 1_000_000_000

CASES = [
    # in maintenance, market up, account up, reconciled, quarantined
    ("maintenance", (True, False, False, False, False)),
    ("maintenance", (True, True, True, True, True)),
    ("down", (False, False, False, False, False)),
    ("down", (False, False, False, True, True)),
    ("connecting", (False, True, False, True, False)),
    ("connecting", (False, False, True, True, True)),
    ("reconciling", (False, True, True, False, False)),
    ("reconciling", (False, True, True, False, True)),
    ("quarantined", (False, True, True, True, True)),
    ("live", (False, True, True, True, False)),
]


@pytest.mark.parametrize(("word", "standing"), CASES)
def test_the_first_rule_that_fits_names_the_state(word: str, standing: tuple[bool, ...]):
    """A maintenance explains silence, silence all behind it, and conduct counts only where all else is in order."""
    assert word == word_of(Standing(*standing))


def test_the_rules_name_every_state_and_no_other():
    """The board's states and the rules are one set."""
    assert set(VENUE_STATES) == {word for word, _ in RULES}


def test_the_word_follows_what_the_engine_knows():
    """A venue that was never heard of is down, one in good order is live, and one without a stream is connecting."""
    kraken, state = VenueId("kraken"), World(("kraken", "coinbase")).engine.state
    assert ("live", "down") == (venue_state(state, kraken), venue_state(state, VenueId("unheard")))
    world = World(("kraken", "coinbase"))
    world.line("kraken market down")
    assert "connecting" == venue_state(world.engine.state, kraken)
    world.line("kraken down")
    assert "down" == venue_state(world.engine.state, kraken)
    assert "reconciling" == venue_state(World(("kraken", "coinbase"), reconciled=False).engine.state, kraken)


def test_a_maintenance_is_announced_or_told_when_it_is_there():
    """From its first moment on an announced window counts, and so does a venue's own word without one."""
    kraken, window = VenueId("kraken"), MaintenanceWindow(from_ns=START_NS + 120 * S, until_ns=START_NS + 600 * S)
    announced, told = World(), World()
    announced.give(VenueStatusReported(venue=kraken, status=VenueStatus.ONLINE, windows=(window,)))
    assert not is_in_maintenance(announced.engine.state, kraken)
    announced.line("wait 121s")
    told.line("kraken status maintenance")
    for world in (announced, told):
        assert is_in_maintenance(world.engine.state, kraken)
        assert "maintenance" == venue_state(world.engine.state, kraken)
