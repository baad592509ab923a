"""Keep the compiled books in step with what the venues say: one book per instrument, each with our taker rate."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from arbot.domain.events import Event, FeesLoaded, InstrumentsLoaded
from arbot.domain.ids import InstrumentId, VenueId
from arbot.market.books import Books


class BookScreen:
    """The sequencer's view of the books. `depths` says how many levels a side each venue streams (0 = all)."""

    def __init__(self, books: Books, depths: Mapping[VenueId, int], edge_net_bps_min: Decimal) -> None:
        books.set_edge_min(edge_net_bps_min)
        self.screen = books.screen
        self.touch = books.touch
        self._books = books
        self._depths = depths
        self._followed: set[InstrumentId] = set()

    def instrument(self, index: int) -> InstrumentId:
        """Return the instrument of a book."""
        return self._books.instrument(index).id

    def recv_ts_ns(self, index: int) -> int:
        """Return when the book's last frame arrived."""
        return self._books.state(self._books.instrument(index).id).recv_ts_ns

    def follow(self, event: Event) -> None:
        """Add the books of new instruments; tell the screen new fees."""
        if isinstance(event, InstrumentsLoaded):
            new = [instrument for instrument in event.instruments if instrument.id not in self._followed]
            self._followed.update(instrument.id for instrument in new)
            self._books.add_all((instrument, self._depths[instrument.venue]) for instrument in new)
        elif isinstance(event, FeesLoaded):
            for fee in event.fees:
                if fee.instrument in self._followed:
                    self._books.set_taker_rate(self._books.index(fee.instrument), fee.taker)
