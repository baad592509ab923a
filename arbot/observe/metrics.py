"""The numbers behind /metrics: plain counts on the loop, rendered in a thread, in a registry of their own.

Counting is a dict addition, so it may stand on the hot path. A scrape copies the numbers on the loop (no lock is
needed: one writer) and formats the copy elsewhere, because formatting 1,000 series takes longer than a decision.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.process_collector import ProcessCollector

from arbot.domain.errors import ensure
from arbot.observe.catalogue import CATALOGUE, Metric

Labels = tuple[str, ...]
NS_PER_S = 1_000_000_000


class Durations(Protocol):
    """A histogram kept by somebody else, in ns."""

    total: int
    sum_ns: int

    def count_up_to(self, duration_ns: int) -> int:
        """Return how many durations were not longer."""
        ...


class _Histogram:
    """Counts per bucket, and the sum."""

    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.sum = 0.0


class Metrics:
    """All families of the catalogue with their children. A name that is not in the catalogue is a KeyError."""

    def __init__(self, catalogue: dict[str, Metric] = CATALOGUE) -> None:
        self._catalogue = catalogue
        self._numbers: dict[str, dict[Labels, float]] = {
            name: {} for name, metric in catalogue.items() if metric.kind != "histogram"
        }
        self._histograms: dict[str, dict[Labels, _Histogram]] = {
            name: {} for name, metric in catalogue.items() if metric.kind == "histogram"
        }
        for metric in catalogue.values():
            if not metric.labels and metric.kind != "stateset":
                self.ensure_child(metric.name, ())
        self._frozen: tuple[Family, ...] = ()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def ensure_child(self, name: str, labels: Labels) -> None:
        """Make a child exist with the value zero, so that a query finds it before the first event."""
        metric = self._catalogue[name]
        wanted = len(metric.labels) + (metric.kind == "stateset")
        ensure(len(labels) == wanted, "labels do not fit the metric", metric=name, labels=labels)
        if metric.kind == "histogram":
            self._histograms[name].setdefault(labels, _Histogram(len(metric.buckets)))
        else:
            self._numbers[name].setdefault(labels, 0.0)

    def ensure_children(self, name: str, *values: Iterable[str]) -> None:
        """Make a child exist for every combination of label values."""
        combinations: list[Labels] = [()]
        for choices in values:
            chosen = tuple(choices)
            combinations = [(*labels, choice) for labels in combinations for choice in chosen]
        for labels in combinations:
            self.ensure_child(name, labels)

    def add(self, name: str, labels: Labels = (), amount: float | Decimal = 1) -> None:
        """Count up. Never down: a counter that fell would look like a restart."""
        children = self._numbers[name]
        if labels not in children:
            self.ensure_child(name, labels)
        children[labels] += _binary(amount)

    def put(self, name: str, labels: Labels, value: float | Decimal) -> None:
        """Set a gauge, or a counter that somebody else keeps."""
        children = self._numbers[name]
        if labels not in children:
            self.ensure_child(name, labels)
        children[labels] = _binary(value)

    def time(self, name: str, labels: Labels, value: float | Decimal) -> None:
        """Count one observation of a histogram, in its unit."""
        if labels not in self._histograms[name]:
            self.ensure_child(name, labels)
        histogram = self._histograms[name][labels]
        number = _binary(value)
        histogram.counts[bisect_left(self._catalogue[name].buckets, number)] += 1
        histogram.sum += number

    def put_durations(self, name: str, labels: Labels, durations: Durations) -> None:
        """Take over a histogram kept elsewhere."""
        if labels not in self._histograms[name]:
            self.ensure_child(name, labels)
        buckets = self._catalogue[name].buckets
        below = [durations.count_up_to(round(bound * NS_PER_S)) for bound in buckets]
        histogram = self._histograms[name][labels]
        upper = [*below, durations.total]
        histogram.counts = [more - less for less, more in zip([0, *below], upper, strict=True)]
        histogram.sum = durations.sum_ns / NS_PER_S

    def value(self, name: str, labels: Labels = ()) -> float:
        """Return a counter or gauge. Raises: KeyError when the child does not exist."""
        return self._numbers[name][labels]

    def collect(self) -> Iterator[Family]:
        """Yield the families as they were at the last `freeze`; prometheus_client calls it from the rendering thread."""
        yield from self._frozen

    def freeze(self) -> None:
        """Copy all numbers for the next rendering."""
        self._frozen = tuple(self._family(metric) for metric in self._catalogue.values())

    async def render(self) -> bytes:
        """Return the exposition text of this moment; the loop is held only for the copy."""
        self.freeze()
        return await asyncio.to_thread(generate_latest, self.registry)

    def _family(self, metric: Metric) -> Family:
        if metric.kind == "histogram":
            family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, histogram in self._histograms[metric.name].items():
                family.add_metric(labels, _cumulated(metric.buckets, histogram.counts), histogram.sum)
            return family
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        names = (*metric.labels, metric.name) if metric.kind == "stateset" else metric.labels
        numbers = kind(metric.name, metric.help, labels=names)
        for labels, value in self._numbers[metric.name].items():
            numbers.add_metric(labels, value)
        return numbers


def _cumulated(buckets: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    rows, total = [], 0
    for bound, count in zip([*map(repr, buckets), "+Inf"], counts, strict=True):
        total += count
        rows.append((bound, float(total)))
    return rows


def _binary(value: float | Decimal) -> float:
    """Return the value as Prometheus keeps it. The ledger counts money; this is for graphs and nothing is computed from it."""
    return float(value)


Read = Callable[[Metrics], None]
"""Puts numbers that others keep into the metrics just before a scrape."""
