"""Turns steps into counts, and what state, feeds and tasks hold into gauges just before a scrape; a module for each idea."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import Outcome
from arbot.domain.events import Envelope
from arbot.engine.state import State
from arbot.observe.collect.execution import Execution
from arbot.observe.collect.lifetimes import Lifetimes
from arbot.observe.collect.opportunities import Opportunities
from arbot.observe.collect.process import Process
from arbot.observe.collect.risk import Risk
from arbot.observe.collect.trades import Trades
from arbot.observe.collect.transfers import Transfers
from arbot.observe.collect.treasury import Treasury
from arbot.observe.collect.venues import Venues
from arbot.observe.collect.words import Group, Readings, RunFacts, Steps
from arbot.observe.metrics import Metrics

GROUPS: tuple[Callable[[Metrics, RunFacts, State], Group], ...] = (
    lambda metrics, facts, _: Venues(metrics, facts),
    Opportunities,
    Execution,
    Trades,
    Treasury,
    Transfers,
    lambda metrics, facts, _: Risk(metrics, facts),
    lambda metrics, facts, _: Process(metrics, facts),
)


DURATIONS_AT_ONCE, NUMBERS_AT_ONCE = 10, 500


class Collector:
    """Feeds the metrics. Every label set known at the start exists from the start.

    `state` is the engine's as it is after each step that is observed: read, never changed. `lifetimes` wants to be told when
    a book has no edge any more.
    """

    def __init__(self, metrics: Metrics, facts: RunFacts, state: State) -> None:
        """Prepare all groups."""
        self._metrics = metrics
        self.lifetimes = Lifetimes(metrics, facts)
        self._groups = (*(make(metrics, facts, state) for make in GROUPS), self.lifetimes)
        self._events: dict[type, list[Callable[[Any, int], None]]] = defaultdict(list)
        self._decisions: dict[type, list[Callable[[Any, int], None]]] = defaultdict(list)
        self._commands: dict[type, list[Callable[[Any, int], None]]] = defaultdict(list)
        for group in self._groups:
            for table, calls in (
                (self._events, group.events),
                (self._decisions, group.decisions),
                (self._commands, group.commands),
            ):
                for kind, call in calls.items():
                    table[kind].append(call)

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Count one step."""
        self._metrics.add("arbot_events_total")
        ts_ns = envelope.ts_ns
        for count in self._events.get(type(envelope.event), ()):
            count(envelope.event, ts_ns)
        for decision in outcome.decisions:
            for count in self._decisions.get(type(decision), ()):
                count(decision, ts_ns)
        for command in outcome.commands:
            for count in self._commands.get(type(command), ()):
                count(command, ts_ns)

    def alerted(self, alert: RaiseAlert) -> None:
        """Count an alert of the shell's own."""
        for count in self._commands[RaiseAlert]:
            count(alert, 0)

    def read(self, readings: Readings) -> Steps:
        """Put the gauges of this moment, slice by slice."""
        yield from readings.rates.ask()
        for group in self._groups:
            yield from group.read(readings)
            yield
        timed = [(name, *one) for name, by_labels in readings.durations.items() for one in by_labels.items()]
        for count, (name, labels, durations) in enumerate(timed, 1):
            self._metrics.put_durations(name, labels, durations)
            if count % DURATIONS_AT_ONCE == 0:
                yield
        counted = [(name, *one) for name, numbers in readings.numbers.items() for one in numbers.items()]
        for count, (name, labels, number) in enumerate(counted, 1):
            self._metrics.put(name, labels, number)
            if count % NUMBERS_AT_ONCE == 0:
                yield
