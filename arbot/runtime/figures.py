"""What the daemon itself counts, as the metrics of a scrape: read on the loop, copied, never changed.

`numbers` and `durations` are by the metric's name and the values of its labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from arbot.domain.ids import VenueId
from arbot.observe import logs
from arbot.observe.metrics import Durations
from arbot.runtime.clock import NS_PER_S
from arbot.venues.limiter import Limiter

if TYPE_CHECKING:
    from arbot.runtime.daemon import Daemon

Labels = tuple[str, ...]
Numbers = dict[str, dict[Labels, float]]


@runtime_checkable
class Limited(Protocol):
    """A gateway with an allowance of requests; one on paper has none."""

    limiter: Limiter


def numbers(daemon: Daemon) -> Numbers:
    """Return the gauges and counters of the daemon's own parts."""
    supervisor, wiring = daemon.supervisor, daemon.wiring
    return {
        "arbot_task_last_beat_timestamp_seconds": {
            (task,): ns / NS_PER_S for task, ns in supervisor.beats_ns().items()
        },
        "arbot_task_beat_due_timestamp_seconds": {(task,): ns / NS_PER_S for task, ns in supervisor.due_ns().items()},
        "arbot_task_restarts_total": _by_label(supervisor.restarts),
        "arbot_exceptions_total": _by_label(supervisor.exceptions),
        "arbot_event_loop_tasks": {(): len(asyncio.all_tasks())},
        "arbot_log_messages_total": _by_label(logs.counts_by_level()),
        "arbot_journal_errors_total": {(): daemon.sequencer.commit_errors},
        "arbot_rest_requests_total": dict(wiring.requests.requests),
        "arbot_rate_limit_used_ratio": dict(_used(wiring.gateways)),
        "arbot_shutdown_seconds": {(): daemon.shutdown_seconds()},
        **_books(daemon),
    }


def durations(daemon: Daemon) -> dict[str, Mapping[Labels, Durations]]:
    """Return the histograms of the daemon's own parts."""
    return {
        "arbot_journal_write_seconds": {(): daemon.sequencer.commits},
        "arbot_event_loop_lag_seconds": {(): daemon.supervisor.lag},
        "arbot_gc_pause_seconds": {(str(age),): pauses for age, pauses in enumerate(daemon.gc.pauses_of)},
        "arbot_rest_request_duration_seconds": dict(daemon.wiring.requests.durations),
        "arbot_feed_latency_seconds": daemon.delays.durations(),
    }


def _books(daemon: Daemon) -> Numbers:
    books = daemon.wiring.books
    updates: dict[Labels, float] = {}
    confirmed: dict[Labels, float] = {}
    for index, (taken_in, confirmations) in enumerate(zip(books.updates, books.confirmations, strict=True)):
        instrument = books.instrument(index)
        updates[instrument.venue, instrument.symbol] = taken_in
        key = (instrument.venue, "ok")
        confirmed[key] = confirmed.get(key, 0) + confirmations
    return {"arbot_book_updates_total": updates, "arbot_book_checksums_total": confirmed}


def _used(gateways: Mapping[VenueId, object]) -> Iterator[tuple[Labels, float]]:
    for venue, gateway in gateways.items():
        if isinstance(gateway, Limited):
            for bucket, share in gateway.limiter.used().items():
                yield (venue, bucket), float(share)  # for graphs; nothing is computed from it


def _by_label(counts: Mapping[str, int]) -> dict[Labels, float]:
    return {(name,): count for name, count in counts.items()}
