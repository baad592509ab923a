"""Edges between venues: seen, taken, left."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import ArbOpened, OpportunityDeclined, OpportunitySeen, QuotePulled, Reason
from arbot.observe.collect.words import BEST, OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.edges import best_edges, edge_lines
from arbot.observe.metrics import NS_PER_S, Metrics

_BPS = Decimal(10_000)
ROUTES_AT_ONCE = 20
SPREADS = ("arbot_spread_gross_ratio", "arbot_spread_net_ratio")


class Opportunities:
    """Counts what the detector found and what became of it."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._strategy = facts.strategy
        self._has_routes_to_tell = facts.has_routes_to_tell
        self._told: dict[tuple[str, str], None] = {}  # the routes with an edge at the last scrape
        self.events: OnEvent = {}
        self.commands: OnEvent = {}
        self.decisions: OnDecision = {
            OpportunitySeen: self._seen,
            OpportunityDeclined: lambda d, _: metrics.add("arbot_routes_declined_total", (d.reason.value,)),
            ArbOpened: self._opened,
            QuotePulled: lambda d, _: metrics.add("arbot_quotes_pulled_total", (d.reason.value,)),
        }
        metrics.ensure_children("arbot_routes_declined_total", Reason)
        metrics.ensure_children("arbot_quotes_pulled_total", Reason)
        for name in ("arbot_opportunity_edge_ratio", "arbot_decision_book_age_seconds"):
            metrics.ensure_child(name, (facts.strategy,))

    def read(self, readings: Readings) -> Steps:
        """Put the edges at the touch; a route one of whose books is empty now has none."""
        put, state, recent = self._metrics.put, readings.state, readings.recent
        edges, at_once = (
            (edge_lines(state, recent), ROUTES_AT_ONCE) if self._has_routes_to_tell else (best_edges(state, recent), 1)
        )
        told: dict[tuple[str, str], None] = {}
        for count, edge in enumerate(edges, 1):
            route = (edge.symbol, f"{edge.buy}>{edge.sell}" if self._has_routes_to_tell else BEST)
            for name, bps in zip(SPREADS, (edge.edge_gross_bps, edge.edge_net_bps), strict=True):
                put(name, route, bps / _BPS)
            told[route] = None
            if count % at_once == 0:
                yield
        for route in self._told.keys() - told.keys():
            for name in SPREADS:
                self._metrics.forget(name, route)
        self._told = told

    def _seen(self, seen: OpportunitySeen, _ts_ns: int) -> None:
        symbol = seen.buy.rpartition("@")[0]
        self._metrics.add("arbot_opportunities_total", (self._strategy, symbol, "taken"))

    def _opened(self, opened: ArbOpened, _ts_ns: int) -> None:
        strategy = (self._strategy,)
        self._metrics.time("arbot_opportunity_edge_ratio", strategy, opened.edge_net_bps / _BPS)
        age_ns = opened.decided_ts_ns - opened.book_recv_ts_ns
        self._metrics.time("arbot_decision_book_age_seconds", strategy, age_ns / NS_PER_S)
