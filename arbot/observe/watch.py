"""All observers of one run in one: counts, recent events and the log; and the two questions asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import Outcome
from arbot.domain.events import Envelope
from arbot.engine.state import State
from arbot.observe.collect import Collector
from arbot.observe.collect.lifetimes import Lifetimes
from arbot.observe.collect.words import Readings, RunFacts, Steps
from arbot.observe.metrics import Metrics
from arbot.observe.narrate import narrate, tell_alert
from arbot.observe.recent import Recent
from arbot.observe.shared import Shared
from arbot.observe.slices import Look
from arbot.observe.status import About, Moment, Status, look
from arbot.observe.summary import Summary
from arbot.ports import VenueConfig


class Watch:
    """Observes every step of a run."""

    def __init__(
        self,
        about: About,
        venues: tuple[VenueConfig, ...],
        state: State,
        *,
        strategy: str,
        shares: Mapping[str, Mapping[str, Decimal]],
    ) -> None:
        """Prepare to observe the engine whose state this is; `shares` is where [rebalance] wants assets to lie."""
        self._about = about
        self._recent = Recent()
        self._metrics = Metrics()
        self._scrape: Shared[bytes] = Shared()
        self._collector = Collector(
            self._metrics,
            RunFacts(
                version=about.version,
                mode=about.mode,
                strategy=strategy,
                ccy=state.config.ccy,
                started_ts_ns=about.started_ts_ns,
                venues=tuple(config.venue for config in venues),
                symbols={config.venue: config.symbols for config in venues},
                assets=tuple(
                    dict.fromkeys(part for config in venues for symbol in config.symbols for part in symbol.split("/"))
                ),
                shares=shares,
            ),
            state,
        )
        self._observers = (self._recent.observe, self._collector.observe, narrate)

    @property
    def observers(self) -> tuple[Callable[[Envelope, Outcome], None], ...]:
        """What takes over every step: each by itself, so that a mistake in one leaves the others whole."""
        return self._observers

    @property
    def lifetimes(self) -> Lifetimes:
        """Who wants to know when a book has no edge any more."""
        return self._collector.lifetimes

    @property
    def alert_observers(self) -> tuple[Callable[[RaiseAlert], None], ...]:
        """What takes over an alert of the shell's own, which no step raised."""
        return self._collector.alerted, tell_alert

    @property
    def recent(self) -> Recent:
        """What happened last."""
        return self._recent

    def look(self, *, now_ns: int, state: State, summary: Summary, latency_us: dict[str, float]) -> Look[Status]:
        """Look at how the run stands, in slices."""
        return look(Moment(self._about, now_ns, state, summary, self._recent, latency_us))

    async def exposition(self, readings: Callable[[], Readings]) -> bytes:
        """Return the text for /metrics, with what others keep read just now; who asks meanwhile gets the same text."""
        return await self._scrape.get(lambda: self._exposition(readings))

    def reading(self, readings: Readings) -> Steps:
        """Put what others keep into the metrics, in slices."""
        return self._collector.read(readings)

    def texts(self) -> Iterator[str]:
        """Yield the metrics of this moment as text, in slices."""
        return self._metrics.texts()

    async def _exposition(self, readings: Callable[[], Readings]) -> bytes:
        for _ in self.reading(readings()):
            await asyncio.sleep(0)
        return await self._metrics.render()
