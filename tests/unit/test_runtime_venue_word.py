"""What a venue says of itself is handed on, and a venue that says nothing of itself is polled on all the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from arbot.domain.errors import VenueRefused, VenueUnavailable
from arbot.domain.events import Event, NetworksReported, VenueStatusReported
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import VenueStatus
from arbot.runtime.clock import VirtualClock
from arbot.runtime.pollers import ORDERS_EVERY, SLOW_EVERY, _due
from arbot.runtime.reconcile import Reconciler
from tests.support.engine_world import an_instrument

KRAKEN = VenueId("kraken")


class Venue:
    """A venue account whose treasury answers, or fails, as told."""

    venue = KRAKEN

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.events: list[Event] = []

    def submit(self, events: Sequence[Event]) -> None:
        """Take what the engine would get."""
        self.events += events

    async def load_instruments(self) -> tuple[object, ...]:
        """Return bitcoin in dollars."""
        return (an_instrument("kraken"),)

    async def fetch_fees(self) -> tuple[object, ...]:
        """Return none."""
        return ()

    async def fetch_status(self) -> VenueStatusReported:
        """Return maintenance, or fail."""
        self._ask("status")
        return VenueStatusReported(venue=KRAKEN, status=VenueStatus.MAINTENANCE)

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return nothing, or fail."""
        self._ask(f"networks of {' '.join(assets)}")
        return NetworksReported(venue=KRAKEN, networks=())

    async def fetch_deposit_address(self) -> None:
        """Stand in for a call that polling never makes."""

    async def withdraw(self) -> None:
        """Stand in for a call that polling never makes."""

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error


def reconciling(venue: Venue) -> Reconciler:
    """Return a reconciler of that venue."""
    return Reconciler(
        gateway=venue, sink=venue, store=None, ledger=None, clock=VirtualClock(0), order_steps=lambda: 0,
        alert=lambda _: None,
    )  # type: ignore[arg-type]  # fmt: skip


async def test_the_word_of_a_venue_reaches_the_engine() -> None:
    """Ask for the status, and for the networks of the assets that are traded there."""
    venue = Venue()
    reconciler = reconciling(venue)
    await reconciler.learn_instruments()
    await reconciler.learn_status()
    await reconciler.learn_networks()

    assert ["status", "networks of BTC USD"] == venue.asked
    assert [VenueStatusReported, NetworksReported] == [type(event) for event in venue.events[-2:]]


@pytest.mark.parametrize("error", [VenueUnavailable(KRAKEN, "timeout"), VenueRefused(KRAKEN, "no such permission")])
async def test_a_venue_without_an_answer_is_not_doubted_for_it(error: Exception) -> None:
    """Go on without an event: an old key may not be allowed to ask, and silence is judged by the engine."""
    venue = Venue()
    venue.error = error
    reconciler = reconciling(venue)
    await reconciler.learn_status()
    await reconciler.learn_networks()

    assert [] == venue.events


def test_both_are_asked_for_in_the_first_round_and_now_and_then() -> None:
    """Know of maintenance and closed networks before long, at little cost of the venue's allowance."""
    reconciler = reconciling(Venue())
    rounds = {number: _due(reconciler, number, has_moved=False) for number in range(1, SLOW_EVERY + 2)}

    assert [1, 1 + SLOW_EVERY] == [number for number, calls in rounds.items() if reconciler.learn_networks in calls]
    status = [number for number, calls in rounds.items() if reconciler.learn_status in calls]
    assert list(range(1, SLOW_EVERY + 2, ORDERS_EVERY)) == status
