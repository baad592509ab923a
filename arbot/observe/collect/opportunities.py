"""Edges between venues: seen, taken, left."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import ArbOpened, OpportunityDeclined, OpportunitySeen, QuotePulled, Reason
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics
from arbot.observe.status import edge_lines

_BPS = Decimal(10_000)
ROUTES_AT_ONCE = 20


class Opportunities:
    """Counts what the detector found and what became of it."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._strategy = facts.strategy
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
        """Put the edges at the touch."""
        put = self._metrics.put
        for count, edge in enumerate(edge_lines(readings.state, readings.recent), 1):
            route = (edge.symbol, f"{edge.buy}>{edge.sell}")
            put("arbot_spread_gross_ratio", route, edge.edge_gross_bps / _BPS)
            put("arbot_spread_net_ratio", route, edge.edge_net_bps / _BPS)
            if count % ROUTES_AT_ONCE == 0:
                yield

    def _seen(self, seen: OpportunitySeen, _ts_ns: int) -> None:
        symbol = seen.buy.rpartition("@")[0]
        self._metrics.add("arbot_opportunities_total", (self._strategy, symbol, "taken"))

    def _opened(self, opened: ArbOpened, _ts_ns: int) -> None:
        strategy = (self._strategy,)
        self._metrics.time("arbot_opportunity_edge_ratio", strategy, opened.edge_net_bps / _BPS)
        age_ns = opened.decided_ts_ns - opened.book_recv_ts_ns
        self._metrics.time("arbot_decision_book_age_seconds", strategy, age_ns / NS_PER_S)
