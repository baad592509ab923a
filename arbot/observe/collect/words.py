"""What every group of metrics is given: the facts of the run, and what others count at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from arbot.engine.state import State
from arbot.observe.metrics import Durations
from arbot.observe.recent import Recent
from arbot.observe.summary import Summary


class FeedCounters(Protocol):
    """What a stream counts about itself."""

    frames: int
    bytes: int
    connects: int
    drops: dict[str, int]
    parse_errors: int
    checksum_mismatches: int
    sequence_gaps: int
    resyncs: int
    last_alive_ns: int


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is known before the first event, so that every series exists from the start. `symbols` are those of each venue."""

    version: str
    mode: str
    strategy: str
    ccy: str
    started_ts_ns: int
    venues: tuple[str, ...]
    symbols: Mapping[str, Sequence[str]]
    assets: tuple[str, ...]  # of all symbols, bases and quotes, each once


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What is read on the loop at the moment of a scrape. Labels are those of the metric after its name."""

    now_ns: int
    state: State
    summary: Summary
    recent: Recent
    feeds: Mapping[tuple[str, str], FeedCounters] = field(default_factory=dict)  # by (venue, stream)
    durations: Mapping[str, Mapping[tuple[str, ...], Durations]] = field(default_factory=dict)  # by name and labels
    numbers: Mapping[str, Mapping[tuple[str, ...], float]] = field(default_factory=dict)  # the same


Steps = Iterator[None]
"""A reading in slices: it yields where the loop may turn to something else, after a millisecond of work at most."""

OnEvent = Mapping[type, Callable[[Any, int], None]]
OnDecision = Mapping[type, Callable[[Any, int], None]]


class Group(Protocol):
    """The metrics of one idea. What it counts comes by event and decision (with ts_ns); gauges are put by `read`."""

    events: OnEvent
    decisions: OnDecision
    commands: OnEvent

    def read(self, readings: Readings) -> Steps:
        """Put the gauges of this moment, and counters that others keep."""
        ...
