"""Orders, fills, and the arbs they belong to."""

from __future__ import annotations

from collections import OrderedDict

from arbot.domain.commands import SubmitOrder
from arbot.domain.decisions import ArbClosed, ArbStranded, FillClashed, OrderRefused, OrphanFillFound, Reason
from arbot.domain.events import OrderAccepted, OrderFilled, OrderRejected, RejectCode, RequestOutcomeUnknown
from arbot.domain.ids import ClientOrderId
from arbot.domain.order import Fill, Liquidity, Purpose, Side
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics
from arbot.observe.status import OPEN_STATES

_ORDERS_KEPT = 10_000  # an answer to an older order is no longer attributed to a venue
OUTCOMES = ("complete", "hedged_late", "unwound", "unfilled", "failed")


class Execution:
    """Counts orders, fills and arbs."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self._metrics = metrics
        self._strategy = facts.strategy
        self._sent: OrderedDict[ClientOrderId, tuple[str, int]] = OrderedDict()
        self._seen_fills: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self.events: OnEvent = {
            OrderAccepted: self._accepted,
            OrderRejected: lambda event, _: self._of_order(event, "arbot_order_rejects_total", event.code.value),
            RequestOutcomeUnknown: lambda event, _: self._of_order(event, "arbot_orders_unanswered_total"),
            OrderFilled: lambda event, _: self._filled(event.fill),
        }
        self.decisions: OnDecision = {
            OrderRefused: lambda d, _: metrics.add("arbot_orders_refused_total", (d.reason.value,)),
            ArbClosed: self._closed,
            ArbStranded: lambda _, __: metrics.add("arbot_trades_total", (facts.strategy, "failed")),
            OrphanFillFound: lambda _, __: metrics.add("arbot_orphan_fills_total"),
            FillClashed: lambda _, __: metrics.add("arbot_fill_clashes_total"),
        }
        self.commands: OnEvent = {SubmitOrder: self._submitted}
        self._prepare(facts)

    def read(self, readings: Readings) -> Steps:
        """Put the arbs and orders that are open."""
        put, state = self._metrics.put, readings.state
        open_arbs = readings.recent.open_arbs(readings.now_ns)
        for arb_state in OPEN_STATES:
            put("arbot_trades_open", (arb_state.value,), sum(1 for arb in open_arbs if arb.state == arb_state))
        put("arbot_trades_in_flight", (self._strategy,), len(open_arbs))
        live = dict.fromkeys(state.config.venues, 0)
        for order in state.live_orders():
            live[order.intent.venue] = live.get(order.intent.venue, 0) + 1
        for venue, count in live.items():
            put("arbot_open_orders", (venue,), count)
        yield

    def _prepare(self, facts: RunFacts) -> None:
        make, venues = self._metrics.ensure_children, facts.venues
        make("arbot_orders_sent_total", venues, Purpose)
        make("arbot_order_rejects_total", venues, RejectCode)
        make("arbot_orders_unanswered_total", venues)
        make("arbot_orders_refused_total", Reason)
        make("arbot_order_ack_seconds", venues)
        make("arbot_open_orders", venues)
        make("arbot_fills_total", venues, Side, Liquidity)
        make("arbot_trades_total", (facts.strategy,), OUTCOMES)
        make("arbot_trades_in_flight", (facts.strategy,))
        make("arbot_trades_open", OPEN_STATES)

    def _submitted(self, command: SubmitOrder, _ts_ns: int) -> None:
        intent = command.approved.intent
        self._metrics.add("arbot_orders_sent_total", (intent.venue, intent.purpose.value))
        self._sent[intent.client_order_id] = (intent.venue, intent.decided_ts_ns)
        if len(self._sent) > _ORDERS_KEPT:
            self._sent.popitem(last=False)

    def _of_order(self, event: OrderRejected | RequestOutcomeUnknown, name: str, *labels: str) -> None:
        if event.client_order_id in self._sent:
            self._metrics.add(name, (self._sent[event.client_order_id][0], *labels))

    def _accepted(self, event: OrderAccepted, ts_ns: int) -> None:
        if event.client_order_id in self._sent:
            venue, sent_ns = self._sent[event.client_order_id]
            self._metrics.time("arbot_order_ack_seconds", (venue,), (ts_ns - sent_ns) / NS_PER_S)

    def _filled(self, fill: Fill) -> None:
        key = (fill.venue, fill.venue_order_id, fill.trade_id)
        if key in self._seen_fills or fill.is_reversal:
            return
        self._seen_fills[key] = None
        if len(self._seen_fills) > _ORDERS_KEPT:
            self._seen_fills.popitem(last=False)
        add = self._metrics.add
        add("arbot_fills_total", (fill.venue, fill.side.value, fill.liquidity.value))
        add("arbot_traded_notional_total", (fill.venue, fill.side.value, fill.quote), fill.qty * fill.price)
        if fill.fee.number >= 0:
            add("arbot_fees_total", (fill.venue, fill.liquidity.value, fill.fee.asset), fill.fee.number)
        else:
            add("arbot_rebates_total", (fill.venue, fill.fee.asset), -fill.fee.number)

    def _closed(self, closed: ArbClosed, _ts_ns: int) -> None:
        outcome = "complete" if not closed.missed else "unfilled" if closed.is_quote else "unwound"
        self._metrics.add("arbot_trades_total", (self._strategy, outcome))
