"""The numbers behind /metrics: plain counts on the loop, told as text in slices.

Counting is a dict addition, so it may stand on the hot path. A scrape copies all numbers at once (no lock is needed: one
writer), so that they are of one moment, and writes the copy a slice at a time with the loop free in between; a thread
would not help, since it holds the interpreter just as long. Only what the client reads from /proc is read in a thread.

A family takes `labelsets_max` label sets; what comes later is left out and counted, and the log names the family once.
Counters never fall: what fell would be taken for a restart and counted twice.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from arbot.domain.errors import ensure
from arbot.observe import exposition
from arbot.observe.catalogue import CATALOGUE
from arbot.observe.catalogue.words import Metric
from arbot.observe.exposition import Labels

NS_PER_S = 1_000_000_000
DROPPED = "arbot_metric_labelsets_dropped_total"
DROPPED_KEPT = 1_000  # label sets of a family remembered as left out; beyond that the count says "at least"

_log = structlog.get_logger("arbot.metrics")


class Durations(Protocol):
    """A histogram kept by somebody else, in ns."""

    total: int
    sum_ns: int

    def count_up_to(self, duration_ns: int) -> int:
        """Return how many durations were not longer."""
        ...


class _Histogram:
    """Counts per bucket, the sum, and what stands before each line."""

    __slots__ = ("counts", "prefixes", "sum")

    def __init__(self, metric: Metric, labels: Labels) -> None:
        self.counts = [0] * (len(metric.buckets) + 1)
        self.sum = 0.0
        self.prefixes = exposition.histogram_prefixes(metric, labels)


class Metrics:
    """All families of the catalogue with their children. A name that is not in the catalogue is a KeyError."""

    def __init__(self, catalogue: dict[str, Metric] = CATALOGUE) -> None:
        self._catalogue = catalogue
        self._heads = {metric.name: exposition.head(metric) for metric in catalogue.values()}
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._prefixes: dict[str, dict[Labels, str]] = {}  # of the same children in the same order
        self._histograms: dict[str, dict[Labels, _Histogram]] = {}
        self._dropped: dict[str, set[Labels]] = {}
        for metric in catalogue.values():
            if metric.kind == "histogram":
                self._histograms[metric.name] = {}
            else:
                self._numbers[metric.name], self._prefixes[metric.name] = {}, {}
            if not exposition.label_names(metric):
                self.ensure_child(metric.name, ())
        self._process = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector, GCCollector, PlatformCollector):
            collector(registry=self._process)

    def ensure_child(self, name: str, labels: Labels) -> bool:
        """Make a child exist with the value zero, so that a query finds it before the first event.

        Return whether it does: not when its family is full.
        """
        metric = self._catalogue[name]
        children = self._histograms[name] if metric.kind == "histogram" else self._numbers[name]
        if labels in children:
            return True
        wanted = len(exposition.label_names(metric))
        ensure(len(labels) == wanted, "labels do not fit the metric", metric=name, labels=labels)
        if len(children) >= metric.labelsets_max:
            self._drop(name, labels)
            return False
        if metric.kind == "histogram":
            self._histograms[name][labels] = _Histogram(metric, labels)
        else:
            self._numbers[name][labels] = 0.0
            self._prefixes[name][labels] = exposition.number_prefix(metric, labels)
        return True

    def ensure_children(self, name: str, *values: Iterable[str]) -> None:
        """Make a child exist for every combination of label values."""
        combinations: list[Labels] = [()]
        for choices in values:
            chosen = tuple(choices)
            combinations = [(*labels, choice) for labels in combinations for choice in chosen]
        for labels in combinations:
            self.ensure_child(name, labels)

    def forget(self, name: str, labels: Labels) -> None:
        """Take a counter's or gauge's child away: of a gauge whose value is not known now, absent is the truth."""
        self._numbers[name].pop(labels, None)
        self._prefixes[name].pop(labels, None)

    def add(self, name: str, labels: Labels = (), amount: float | Decimal = 1) -> None:
        """Count up. Never down: an amount below zero counts nothing."""
        children = self._numbers[name]
        if amount > 0 and (labels in children or self.ensure_child(name, labels)):
            children[labels] += _binary(amount)

    def put(self, name: str, labels: Labels, value: float | Decimal) -> None:
        """Set a gauge; or a counter that somebody else keeps, where of two values the larger stays."""
        children = self._numbers[name]
        if labels not in children and not self.ensure_child(name, labels):
            return
        number = _binary(value)
        if number >= children[labels] or self._catalogue[name].kind != "counter":
            children[labels] = number

    def time(self, name: str, labels: Labels, value: float | Decimal) -> None:
        """Count one observation of a histogram, in its unit."""
        children = self._histograms[name]
        if labels not in children and not self.ensure_child(name, labels):
            return
        histogram, number = children[labels], _binary(value)
        histogram.counts[bisect_left(self._catalogue[name].buckets, number)] += 1
        histogram.sum += number

    def put_durations(self, name: str, labels: Labels, durations: Durations) -> None:
        """Take over a histogram kept elsewhere."""
        children = self._histograms[name]
        if labels not in children and not self.ensure_child(name, labels):
            return
        buckets, histogram = self._catalogue[name].buckets, children[labels]
        below = [durations.count_up_to(round(bound * NS_PER_S)) for bound in buckets]
        upper = [*below, durations.total]
        histogram.counts = [more - less for less, more in zip([0, *below], upper, strict=True)]
        histogram.sum = durations.sum_ns / NS_PER_S

    def value(self, name: str, labels: Labels = ()) -> float:
        """Return a counter or gauge. Raises: KeyError when the child does not exist."""
        return self._numbers[name][labels]

    def children(self, name: str) -> Iterator[tuple[Labels, float]]:
        """Yield every child of a counter or gauge with its value."""
        yield from self._numbers[name].items()

    def texts(self) -> Iterator[str]:
        """Yield the text of this moment in slices; what is counted between two of them is told the next time."""
        frozen = self._frozen()

        def told() -> Iterator[str]:
            for name, lines in frozen:
                yield self._heads[name]
                yield from lines

        return told()

    async def render(self) -> bytes:
        """Return the text for /metrics; the loop is held for one slice at a time."""
        parts, lines = [], 0
        for text in self.texts():
            parts.append(text.encode())
            lines += text.count("\n")
            if lines >= exposition.LINES_A_SLICE:
                lines = 0
                await asyncio.sleep(0)
        parts.append(await asyncio.to_thread(generate_latest, self._process))
        return b"".join(parts)

    def _frozen(self) -> list[tuple[str, Iterator[str]]]:
        """Copy all numbers, in the order of the catalogue, to be written later: a quarter of a millisecond for 15,000."""
        frozen: list[tuple[str, Iterator[str]]] = []
        for name, metric in self._catalogue.items():
            if metric.kind == "histogram":
                copies = [(one.prefixes, one.counts.copy(), one.sum) for one in self._histograms[name].values()]
                frozen.append((name, (exposition.histogram_lines(*copy) for copy in copies)))
            else:
                prefixes, values = tuple(self._prefixes[name].values()), tuple(self._numbers[name].values())
                frozen.append((name, exposition.number_lines(prefixes, values)))
        return frozen

    def _drop(self, name: str, labels: Labels) -> None:
        dropped = self._dropped.setdefault(name, set())
        if labels in dropped or len(dropped) >= DROPPED_KEPT:
            return
        if not dropped:
            _log.warning("label sets left out", metric=name, labelsets_max=self._catalogue[name].labelsets_max)
        dropped.add(labels)
        self.add(DROPPED)


def _binary(value: float | Decimal) -> float:
    """Return the value as Prometheus keeps it. The ledger counts money; this is for graphs and nothing is computed from it."""
    return float(value)
