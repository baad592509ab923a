"""Venues, their streams and their books."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import VenueHealthChanged
from arbot.domain.events import BookFault, BookInvalidated, FeedConnected, FeedDisconnected, Stream
from arbot.observe.catalogue.words import ANSWERS, CONNECT_REASONS, ENDPOINTS, RESYNC_REASONS, VENUE_STATES
from arbot.observe.collect.words import FeedCounters, OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics
from arbot.observe.venue_state import is_in_maintenance, venue_state
from arbot.observe.watched import health_lines, quotes_resting

BOOKS_AT_ONCE = 50
_MS_PER_S = Decimal(1_000)
PER_VENUE = (
    "arbot_venue_maintenance",
    "arbot_ws_received_bytes_total",
    "arbot_clock_skew_seconds",
    "arbot_venue_quarantined",
    "arbot_quarantines_total",
    "arbot_venue_ack_mean_seconds",
    "arbot_venue_ack_tail_seconds",
    "arbot_venue_refused_ratio",
    "arbot_venue_unanswered_ratio",
    "arbot_venue_cap_ratio",
    "arbot_quotes_resting",
)
PER_STREAM = ("arbot_ws_messages_total", "arbot_ws_parse_errors_total", "arbot_ws_up")
PER_BOOK = ("arbot_book_valid", "arbot_book_updates_total")


class Venues:
    """Counts what streams and books do."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._facts = facts
        self.events: OnEvent = {
            BookInvalidated: self._book_invalidated,
            FeedConnected: lambda event, _: self._stream_is(event.venue, event.stream, is_up=True),
            FeedDisconnected: lambda event, _: self._stream_is(event.venue, event.stream, is_up=False),
        }
        self.decisions: OnDecision = {
            VenueHealthChanged: lambda d, _: metrics.add("arbot_quarantines_total", (d.venue,), int(d.is_quarantined))
        }
        self.commands: OnEvent = {}
        self._prepare()

    def read(self, readings: Readings) -> Steps:
        """Put streams, books and the venues' conduct."""
        for labels, feed in readings.feeds.items():
            self._read_feed(labels, feed)
        self._read_venues(readings)
        yield
        yield from self._read_books(readings)
        self._read_health(readings)

    def _prepare(self) -> None:
        make, venues, streams = self._metrics.ensure_children, self._facts.venues, tuple(Stream)
        started_s = self._facts.started_ts_ns / NS_PER_S
        for name in PER_VENUE:
            make(name, venues)
        for name in PER_STREAM:
            make(name, venues, streams)
        make("arbot_book_faults_total", venues, BookFault)
        make("arbot_ws_connects_total", venues, streams, CONNECT_REASONS)
        make("arbot_book_checksums_total", venues, ("ok", "mismatch"))
        make("arbot_book_resyncs_total", venues, RESYNC_REASONS)
        make("arbot_venue_state", venues, VENUE_STATES)
        make("arbot_feed_latency_seconds", venues)
        make("arbot_rest_requests_total", venues, ENDPOINTS, ANSWERS)
        make("arbot_rest_request_duration_seconds", venues, ENDPOINTS)
        for venue in venues:
            for stream in streams:
                self._metrics.put("arbot_ws_last_message_timestamp_seconds", (venue, stream), started_s)
            for symbol in self._facts.symbols.get(venue, ()):
                for name in PER_BOOK:
                    make(name, (venue,), (symbol,))
                self._metrics.put("arbot_book_last_update_timestamp_seconds", (venue, symbol), started_s)

    def _stream_is(self, venue: str, stream: Stream, *, is_up: bool) -> None:
        self._metrics.put("arbot_ws_up", (venue, stream.value), is_up)

    def _book_invalidated(self, event: BookInvalidated, _ts_ns: int) -> None:
        venue = event.instrument.rpartition("@")[2]
        self._metrics.add("arbot_book_faults_total", (venue, event.fault.value))

    def _read_feed(self, labels: tuple[str, str], feed: FeedCounters) -> None:
        put = self._metrics.put
        put("arbot_ws_messages_total", labels, feed.frames)
        put("arbot_ws_parse_errors_total", labels, feed.parse_errors)
        for reason, count in feed.connects_after.items():
            put("arbot_ws_connects_total", (*labels, str(reason)), count)
        if feed.last_alive_ns:
            put("arbot_ws_last_message_timestamp_seconds", labels, feed.last_alive_ns / NS_PER_S)

    def _read_venues(self, readings: Readings) -> None:
        put = self._metrics.put
        for venue in dict.fromkeys(venue for venue, _ in readings.feeds):
            feeds = [feed for (of, _), feed in readings.feeds.items() if of == venue]
            put("arbot_ws_received_bytes_total", (venue,), sum(feed.bytes for feed in feeds))
            put("arbot_book_checksums_total", (venue, "mismatch"), sum(feed.checksum_mismatches for feed in feeds))
            for feed in feeds:  # of which one has books
                for reason, count in feed.resyncs_for.items():
                    put("arbot_book_resyncs_total", (venue, str(reason)), count)
        for name, known in readings.state.venues.items():
            if known.skew_ms is not None:
                put("arbot_clock_skew_seconds", (name,), known.skew_ms / _MS_PER_S)
        for venue_id in readings.state.config.venues:
            word = venue_state(readings.state, venue_id)
            for state in VENUE_STATES:
                put("arbot_venue_state", (venue_id, state), state == word)
            put("arbot_venue_maintenance", (venue_id,), is_in_maintenance(readings.state, venue_id))

    def _read_books(self, readings: Readings) -> Steps:
        put, market = self._metrics.put, readings.state.market
        for count, instrument in enumerate(readings.state.instruments.values(), 1):
            place, known = (instrument.venue, instrument.symbol), market.state(instrument.id)
            put("arbot_book_valid", place, known.is_valid)
            if known.recv_ts_ns:
                put("arbot_book_last_update_timestamp_seconds", place, known.recv_ts_ns / NS_PER_S)
            if count % BOOKS_AT_ONCE == 0:
                yield

    def _read_health(self, readings: Readings) -> None:
        put = self._metrics.put
        for line in health_lines(readings.state):
            venue = (line.venue,)
            put("arbot_venue_quarantined", venue, line.is_quarantined)
            put("arbot_venue_ack_mean_seconds", venue, line.ack_ms_mean / _MS_PER_S)
            put("arbot_venue_ack_tail_seconds", venue, line.ack_ms_tail / _MS_PER_S)
            put("arbot_venue_refused_ratio", venue, line.reject_share)
            put("arbot_venue_unanswered_ratio", venue, line.unanswered_share)
            put("arbot_venue_cap_ratio", venue, line.cap_share)
        for venue_name, resting in quotes_resting(readings.state).items():
            put("arbot_quotes_resting", (venue_name,), resting)
