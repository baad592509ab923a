"""What every group of metrics is given: the facts of the run, and what others count at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Protocol

from arbot.engine.state import State
from arbot.observe.catalogue.opportunities import ROUTES_MAX
from arbot.observe.edges import routes_count
from arbot.observe.metrics import Durations
from arbot.observe.rates import Rates
from arbot.observe.recent import Recent
from arbot.observe.summary import Summary

BEST = "best"  # in the place of venues where only the best route of each pair is told


class FeedCounters(Protocol):
    """What a stream counts about itself."""

    frames: int
    bytes: int
    connects_after: dict[str, int]  # connections by how the one before was lost
    parse_errors: int
    checksum_mismatches: int
    resyncs_for: dict[str, int]  # books asked for anew, by reason
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
    shares: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)  # [rebalance]: venue -> asset -> share

    @cached_property
    def has_routes_to_tell(self) -> bool:
        """Whether every route is told by itself, or only the best of each pair, with `best` for its venues."""
        listed = ((venue, symbol.partition("/")[0]) for venue, symbols in self.symbols.items() for symbol in symbols)
        return routes_count(listed) <= ROUTES_MAX


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What is read on the loop at the moment of a scrape. Labels are those of the metric after its name.

    `rates` are asked for in slices before any group reads: a group takes a rate from there, not from the state.
    """

    now_ns: int
    state: State
    summary: Summary
    recent: Recent
    feeds: Mapping[tuple[str, str], FeedCounters] = field(default_factory=dict)  # by (venue, stream)
    durations: Mapping[str, Mapping[tuple[str, ...], Durations]] = field(default_factory=dict)  # by name and labels
    numbers: Mapping[str, Mapping[tuple[str, ...], float]] = field(default_factory=dict)  # the same

    @cached_property
    def rates(self) -> Rates:
        """What each asset is worth at this scrape."""
        return Rates(self.state)


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
