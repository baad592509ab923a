"""How long routes stay above the minimum edge, as far as we look.

A route's time begins with the step that first sees it there and ends with the first book update, or the first look, that
finds it gone. What that means for the numbers:
- They are as fine as book updates: above the minimum between two updates counts as there all the while.
- A route that somebody takes away between two of our own frames is never seen. Short ones are therefore missing.
- What we took ourselves ends early, by our own orders.
- A strategy that is woken every so often (`look_ms`) sees begin and end that late.
- Where a book is lost before the end (a disconnect, a dropped book) nobody knows the end, and it is not counted; nor is
  what is still there when the run ends. Quotes are not in it: they are there as long as we leave them.
"""

from __future__ import annotations

from collections.abc import Mapping

from arbot.domain.decisions import ArbOpened, OpportunitySeen
from arbot.domain.events import BookInvalidated, BooksMoved, FeedDisconnected, Stream
from arbot.domain.ids import InstrumentId, venue_of
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics

NAME = "arbot_opportunity_lifetime_seconds"
Route = tuple[InstrumentId, ...]  # the instruments of its legs


class Lifetimes:
    """Times the routes that are above the minimum."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._labels = (facts.strategy,)
        self._since: dict[Route, int] = {}
        self._books: dict[InstrumentId, dict[Route, None]] = {}
        self._missed: dict[Route, int] = {}  # looked at and, so far, not seen again; and when
        self.events: OnEvent = {
            BooksMoved: self._looked,
            BookInvalidated: lambda event, _: self._lose(event.instrument),
            FeedDisconnected: self._disconnected,
        }
        self.decisions: OnDecision = {OpportunitySeen: self._seen, ArbOpened: self._opened}
        self.commands: OnEvent = {}
        metrics.ensure_child(NAME, self._labels)

    @property
    def books(self) -> Mapping[InstrumentId, object]:
        """The books over which a route is above the minimum: of these, `gone` wants to know."""
        return self._books

    def gone(self, instrument: InstrumentId, ts_ns: int) -> None:
        """Note that an update left no route over this book above the minimum."""
        for route in tuple(self._books.get(instrument, ())):
            self._end(route, ts_ns)

    def read(self, _readings: Readings) -> Steps:
        """Count those that the last look did not find any more."""
        self._settle()
        yield

    def _looked(self, event: BooksMoved, ts_ns: int) -> None:
        self._settle()
        if self._since:
            for instrument in event.instruments:
                for route in self._books.get(instrument, ()):
                    self._missed[route] = ts_ns

    def _seen(self, seen: OpportunitySeen, ts_ns: int) -> None:
        turned = (seen.conversion.instrument,) if seen.conversion is not None else ()
        route = (seen.buy, seen.sell, *turned)
        self._missed.pop(route, None)
        if route not in self._since:
            self._since[route] = ts_ns
            for instrument in route:
                self._books.setdefault(instrument, {})[route] = None

    def _opened(self, opened: ArbOpened, _ts_ns: int) -> None:
        if opened.is_quote:
            self._forget((opened.buy, opened.sell))

    def _settle(self) -> None:
        for route, ts_ns in tuple(self._missed.items()):
            self._end(route, ts_ns)

    def _end(self, route: Route, ts_ns: int) -> None:
        self._metrics.time(NAME, self._labels, (ts_ns - self._since[route]) / NS_PER_S)
        self._forget(route)

    def _disconnected(self, event: FeedDisconnected, _ts_ns: int) -> None:
        if event.stream is Stream.MARKET:
            for instrument in [one for one in self._books if venue_of(one) == event.venue]:
                self._lose(instrument)

    def _lose(self, instrument: InstrumentId) -> None:
        for route in tuple(self._books.get(instrument, ())):
            self._forget(route)

    def _forget(self, route: Route) -> None:
        self._missed.pop(route, None)
        if self._since.pop(route, -1) < 0:
            return
        for instrument in route:
            self._books[instrument].pop(route, None)
            if not self._books[instrument]:
                del self._books[instrument]
