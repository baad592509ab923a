"""What left for the venues by REST: how often by endpoint and class of answer, and how long it took."""

from __future__ import annotations

from collections import Counter, defaultdict

from arbot.domain.ids import VenueId
from arbot.runtime.latency import LatencyHistogram
from arbot.venues.rest import Note


class RequestCounts:
    """The requests of all venues of a run."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, ...]] = Counter()  # by venue, endpoint and class of answer
        self.durations: defaultdict[tuple[str, ...], LatencyHistogram] = defaultdict(
            LatencyHistogram
        )  # without the class

    def note_of(self, venue: VenueId) -> Note:
        """Return what counts the requests of one venue."""

        def note(endpoint: str, status: str, duration_ns: int) -> None:
            self.requests[venue, endpoint, status] += 1
            self.durations[venue, endpoint].add(duration_ns)

        return note
