"""How old news is when it arrives: the venue's time of a book update against ours, clock skew taken off.

Sampled, so that it costs the path from frame to decision nothing: the books keep the delay of their newest update, and
every `LOOK_S` that of each book that moved since is counted once. A book that moves a thousand times a second and one
that moves once weigh the same. Venues whose clock was not yet compared with ours are left out; what the skew leaves below
zero counts as zero. The skew is known to about 0.1 s where a venue tells whole seconds only (Kraken), and so is this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from arbot.domain.ids import VenueId
from arbot.market.books import Books
from arbot.market.layout import DELAY_UNKNOWN
from arbot.runtime.clock import NS_PER_MS, Scheduler
from arbot.runtime.latency import LatencyHistogram

LOOK_S = 1.0
BOOKS_AT_ONCE = 250

SkewOf = Callable[[VenueId], int | None]
"""Venue clock minus ours in ms; None before it was measured."""


class FeedDelays:
    """The delays of every venue's books."""

    def __init__(self, books: Books, skew_ms_of: SkewOf) -> None:
        self._books = books
        self._skew_ms_of = skew_ms_of
        self._seen: list[int] = []  # updates of each book at the last look
        self.by_venue: dict[VenueId, LatencyHistogram] = {}

    def look(self) -> Iterator[None]:
        """Count the newest delay of each book that moved since the last look; yield now and then."""
        updates, delays_ns = self._books.updates, self._books.delays_ns
        seen = [*self._seen, *[0] * (len(updates) - len(self._seen))]
        self._seen = updates
        for index, (now, before, delay_ns) in enumerate(zip(updates, seen, delays_ns, strict=True)):
            if now != before and delay_ns != DELAY_UNKNOWN:
                self._count(self._books.instrument(index).venue, delay_ns)
            if index % BOOKS_AT_ONCE == BOOKS_AT_ONCE - 1:
                yield

    def _count(self, venue: VenueId, delay_ns: int) -> None:
        skew_ms = self._skew_ms_of(venue)
        if skew_ms is None:
            return
        if venue not in self.by_venue:
            self.by_venue[venue] = LatencyHistogram()
        self.by_venue[venue].add(delay_ns + skew_ms * NS_PER_MS)

    def durations(self) -> Mapping[tuple[str, ...], LatencyHistogram]:
        """Return the histograms by label."""
        return {(venue,): delays for venue, delays in self.by_venue.items()}

    async def run(self, clock: Scheduler, beat: Callable[[str], None]) -> None:
        """Look for ever."""
        while True:
            await clock.sleep(LOOK_S)
            for _ in self.look():
                await clock.sleep(0)
            beat("delays")
