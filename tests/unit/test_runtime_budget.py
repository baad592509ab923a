"""Is the engine told of a venue's rate limit in time, and only of changes?"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.events import RateBudgetChanged
from arbot.domain.ids import VenueId
from arbot.ports import VenueConfig
from arbot.runtime.budget import BudgetWatch
from arbot.runtime.clock import VirtualClock
from arbot.venues.kraken.gateway import KrakenGateway
from tests.support.engine_world import an_instrument


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def submit(self, events: tuple[object, ...]) -> None:
        self.events += events

    def book_moved(self, book: int) -> None:
        raise AssertionError(book)


async def test_a_full_counter_is_told_once_and_its_room_again_later() -> None:
    """Say no room when the real limiter's counter is full, say so once, and say room when it has drained."""
    clock, sink = VirtualClock(), Sink()
    config = VenueConfig(venue=VenueId("kraken"), adapter="kraken", symbols=("BTC/USD",))
    gateway = KrakenGateway(config, None, clock)
    instrument = an_instrument("kraken")
    watch = BudgetWatch({instrument.venue: gateway}, lambda: (instrument,), sink)
    watch.look()
    assert sink.events == []

    gateway.limiter.exhaust("engine", instrument.venue_symbol)
    watch.look()
    watch.look()
    assert sink.events == [RateBudgetChanged(instrument=instrument.id, has_room=False)]

    clock.advance(120)
    assert gateway.limiter.level("engine", instrument.venue_symbol) < Decimal(125)
    watch.look()
    assert sink.events[1:] == [RateBudgetChanged(instrument=instrument.id, has_room=True)]
    await gateway.close()
