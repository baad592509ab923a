"""A world with the collector of metrics beside its engine, as a daemon has it, and the counts by name and label."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from arbot.domain.events import Event
from arbot.domain.ids import ClientOrderId
from arbot.domain.order import OrderIntent
from arbot.observe.catalogue import CATALOGUE
from arbot.observe.collect import Collector
from arbot.observe.collect.words import Readings, RunFacts
from arbot.observe.metrics import Metrics
from arbot.observe.recent import Recent
from arbot.observe.summary import Summary
from tests.support.engine_world import World

STRATEGY = "cross_venue"


class Counts:
    """Numbers by metric and labels; of a histogram, how many were observed."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def rows(self, name: str) -> list[tuple[Mapping[str, str], float]]:
        """Return labels and value of every series; of a histogram without a sum, its count is the last bucket."""
        if CATALOGUE[name].kind != "histogram":
            return self._samples.get(name, [])
        return [
            ({label: value for label, value in labels.items() if label != "le"}, value)
            for labels, value in self._samples.get(f"{name}_bucket", [])
            if labels["le"] == "+Inf"
        ]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all series with these labels."""
        return sum(value for found, value in self.rows(name) if labels.items() <= found.items())

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return the sums by the values of one label."""
        found: dict[str, float] = {}
        for labels, value in self.rows(name):
            found[labels[label]] = found.get(labels[label], 0.0) + value
        return found


class Observed(World):
    """Observes every step of its engine from the first."""

    collector: Collector

    def give(self, event: Event) -> list[str]:
        """Step the engine and observe the step."""
        if not hasattr(self, "collector"):
            self._begin()
        words = super().give(event)
        envelope, outcome = self.log[-1]
        self.intents_by_id |= {intent.client_order_id: intent for intent in self.intents[len(self.intents_by_id) :]}
        self.recent.observe(envelope, outcome)
        self.summary.observe(envelope, outcome)
        self.collector.observe(envelope, outcome)
        return words

    def _begin(self) -> None:
        config = self.engine.state.config
        symbols: dict[str, list[str]] = {}
        for one in self.listed:
            symbols.setdefault(one.venue, []).append(one.symbol)
        self.intents_by_id: dict[ClientOrderId, OrderIntent] = {}
        self.metrics, self.recent, self.summary = Metrics(), Recent(), Summary()
        self.collector = Collector(
            self.metrics,
            RunFacts(
                version="1",
                mode="demo",
                strategy=STRATEGY,
                ccy=config.ccy,
                started_ts_ns=self.now_ns,
                venues=tuple(config.venues),
                symbols=symbols,
                assets=tuple(dict.fromkeys(part for one in self.listed for part in (one.base, one.quote))),
                shares=self.shares if hasattr(self, "shares") else {},
            ),
            self.engine.state,
        )

    def read(self) -> None:
        """Read the gauges of this moment."""
        state = self.engine.state
        for _ in self.collector.read(
            Readings(now_ns=self.now_ns, state=state, summary=self.summary, recent=self.recent)
        ):
            pass

    def counts_now(self) -> Counts:
        """Scrape."""
        self.read()
        return Counts("".join(self.metrics.texts()))
