"""Edges between venues: seen, taken, left.

An opportunity is an `OpportunitySeen`: one look at a route that found it above the minimum edge. A route that stays there is
seen at every look, so these are looks; how long it stayed is in lifetimes.py. Every opportunity ends in one outcome:
- rejected: declined in the same step; the reasons of arbot_opportunity_rejects_total add up to it.
- taken: orders left for it at once; or, of a quote, somebody took it: counted at its first fill.
- expired: a quote that was placed and ended without a fill.
So at any moment seen = taken + rejected + expired + quotes that rest unfilled.

Tick to trade runs from the last book frame before the decision to the moment at which the last order of the arb was handed
to its venue's connection, the commit of the decision included. A look that sends nothing is not in it.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import ArbClosed, ArbOpened, OpportunityDeclined, OpportunitySeen, QuotePulled, Reason
from arbot.domain.events import OrderFilled, OrderSent
from arbot.domain.ids import ArbId, InstrumentId
from arbot.engine.state import State
from arbot.observe.collect.words import BEST, OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.edges import best_edges, edge_lines
from arbot.observe.metrics import NS_PER_S, Metrics

_BPS = Decimal(10_000)
ROUTES_AT_ONCE = 20
SPREADS = ("arbot_spread_gross_ratio", "arbot_spread_net_ratio")
OUTCOMES = ("taken", "rejected", "expired")

Route = tuple[InstrumentId, InstrumentId]


class Opportunities:
    """Counts what the detector found and what became of it."""

    def __init__(self, metrics: Metrics, facts: RunFacts, state: State) -> None:
        self._metrics = metrics
        self._strategy = facts.strategy
        self._has_routes_to_tell = facts.has_routes_to_tell
        self._told: dict[tuple[str, str], None] = {}  # the routes with an edge at the last scrape
        self._state = state
        self._looked_at: dict[Route, None] = {}  # seen in this step, and not yet known what of it
        self._quotes: dict[ArbId, ArbOpened] = {}  # that rest and have no fill
        self._sending: dict[ArbId, tuple[int, int]] = {}  # orders that have not left, and when the last frame came
        self.events: OnEvent = {OrderFilled: self._filled, OrderSent: self._sent}
        self.commands: OnEvent = {}
        self.decisions: OnDecision = {
            OpportunitySeen: self._seen,
            OpportunityDeclined: self._declined,
            ArbOpened: self._opened,
            ArbClosed: self._closed,
            QuotePulled: lambda d, _: metrics.add("arbot_quotes_pulled_total", (d.reason.value,)),
        }
        self._prepare(facts)

    def _prepare(self, facts: RunFacts) -> None:
        make, strategy = self._metrics.ensure_children, (facts.strategy,)
        pairs = dict.fromkeys(symbol for symbols in facts.symbols.values() for symbol in symbols)
        make("arbot_opportunities_total", strategy, pairs, OUTCOMES)
        make("arbot_opportunity_rejects_total", strategy, Reason)
        make("arbot_routes_declined_total", Reason)
        make("arbot_quotes_pulled_total", Reason)
        for name in (
            "arbot_opportunity_edge_ratio",
            "arbot_decision_book_age_seconds",
            "arbot_decision_latency_seconds",
        ):
            make(name, strategy)

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

    # --- what was found -------------------------------------------------------------------------------------------------

    def _seen(self, seen: OpportunitySeen, _ts_ns: int) -> None:
        self._looked_at[seen.buy, seen.sell] = None

    def _declined(self, declined: OpportunityDeclined, _ts_ns: int) -> None:
        add, reason = self._metrics.add, declined.reason.value
        add("arbot_routes_declined_total", (reason,))
        if self._is_of_seen(declined):
            add("arbot_opportunity_rejects_total", (self._strategy, reason))
            self._count(declined.buy, "rejected")

    def _opened(self, opened: ArbOpened, _ts_ns: int) -> None:
        books = (opened.buy, opened.sell, *((opened.conversion.instrument,) if opened.conversion else ()))
        oldest_ns = min(self._state.market.state(one).recv_ts_ns for one in books)
        age_s = (opened.decided_ts_ns - oldest_ns) / NS_PER_S
        self._metrics.time("arbot_decision_book_age_seconds", (self._strategy,), age_s)
        orders = len(self._state.arbs[opened.arb_id].orders)
        self._sending[opened.arb_id] = (orders, opened.book_recv_ts_ns)
        if not self._is_of_seen(opened):
            return
        if opened.is_quote:
            self._quotes[opened.arb_id] = opened
        else:
            self._take(opened)

    def _is_of_seen(self, decision: OpportunityDeclined | ArbOpened) -> bool:
        """Return whether this is what became of an opportunity of this step; a decline can also stand for itself."""
        route = (decision.buy, decision.sell)
        if route not in self._looked_at:
            return False
        del self._looked_at[route]
        return True

    # --- what became of it ----------------------------------------------------------------------------------------------

    def _sent(self, event: OrderSent, ts_ns: int) -> None:
        order = self._state.orders.get(event.client_order_id)
        if order is None or order.intent.arb_id not in self._sending:
            return
        orders, frame_ts_ns = self._sending.pop(order.intent.arb_id)
        if orders > 1:
            self._sending[order.intent.arb_id] = (orders - 1, frame_ts_ns)
        else:
            self._metrics.time("arbot_decision_latency_seconds", (self._strategy,), (ts_ns - frame_ts_ns) / NS_PER_S)

    def _filled(self, event: OrderFilled, _ts_ns: int) -> None:
        order = self._state.orders.get(event.fill.client_order_id) if self._quotes else None
        if order is not None and order.intent.arb_id in self._quotes:
            self._take(self._quotes.pop(order.intent.arb_id))

    def _closed(self, closed: ArbClosed, _ts_ns: int) -> None:
        self._sending.pop(closed.arb_id, None)
        if closed.arb_id in self._quotes:
            self._count(self._quotes.pop(closed.arb_id).buy, "expired")

    def _take(self, opened: ArbOpened) -> None:
        self._metrics.time("arbot_opportunity_edge_ratio", (self._strategy,), opened.edge_net_bps / _BPS)
        self._count(opened.buy, "taken")

    def _count(self, buy: InstrumentId, outcome: str) -> None:
        self._metrics.add("arbot_opportunities_total", (self._strategy, buy.rpartition("@")[0], outcome))
