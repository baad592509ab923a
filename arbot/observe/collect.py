"""Turns steps into counts, and the status and the feeds' own counters into gauges just before a scrape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from arbot.domain.commands import RaiseAlert, Severity, SubmitOrder
from arbot.domain.decisions import (
    ArbClosed,
    ArbOpened,
    ArbStranded,
    FillClashed,
    LimitLatched,
    OpportunityDeclined,
    OpportunitySeen,
    OrderRefused,
    OrphanFillFound,
    Outcome,
    QuotePulled,
    Reason,
    TransferMoved,
    TransferRefused,
    VenueHealthChanged,
)
from arbot.domain.events import (
    BookFault,
    BookInvalidated,
    Envelope,
    FeedConnected,
    FeedDisconnected,
    OperatorRequested,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    RejectCode,
    RequestOutcomeUnknown,
    Stream,
    Verb,
)
from arbot.domain.ids import ClientOrderId
from arbot.domain.order import Fill, Liquidity, OrderIntent, OrderState, Purpose, Side
from arbot.domain.registry import NodeKind
from arbot.observe import collect_risk
from arbot.observe.metrics import NS_PER_S, Durations, Metrics
from arbot.observe.risk import RiskView
from arbot.observe.status import OPEN_STATES, Status

_ORDERS_KEPT = 10_000  # an answer to an older order is no longer attributed to a venue
_BPS = Decimal(10_000)
LATCHING = ("loss_day", "drawdown")
LIMITS = (
    "arbs_open",
    "inventory",
    "net_delta",
    "counterparty_share",
    "order_rate",
    *LATCHING,
    "reject_share",
    "unanswered_share",
    "peg_band",
    "stress_budget",
    *(f"{kind}_exposure" for kind in NodeKind if kind is not NodeKind.VENUE),  # a venue's is counterparty_share
)


class FeedCounters(Protocol):
    """What a stream counts about itself."""

    frames: int
    bytes: int
    connects: int
    drops: dict[str, int]
    parse_errors: int
    checksum_mismatches: int
    sequence_gaps: int
    resyncs: int
    last_alive_ns: int


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What others count, read on the loop at the moment of a scrape."""

    status: Status
    risk: RiskView | None = None  # None: not read this time
    feeds: Mapping[tuple[str, str], FeedCounters] = field(default_factory=dict)  # by (venue, stream)
    durations: Mapping[str, Durations] = field(default_factory=dict)  # by metric name
    numbers: Mapping[str, float] = field(default_factory=dict)  # by metric name, of those without labels
    beats_ns: Mapping[str, int] = field(default_factory=dict)  # by task


class Collector:
    """Feeds the metrics. Every label set known at the start exists from the start."""

    def __init__(
        self, metrics: Metrics, *, version: str, mode: str, venues: Iterable[str], symbols: Mapping[str, Sequence[str]]
    ) -> None:
        """Prepare the children; `symbols` are those of each venue."""
        self._metrics = metrics
        self._sent: OrderedDict[ClientOrderId, tuple[str, int]] = OrderedDict()
        self._seen_fills: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._events: dict[type, Callable[[Any, int], None]] = {
            BookInvalidated: self._book_invalidated,
            FeedConnected: lambda event, _: self._metrics.put("arbot_feed_up", (event.venue, event.stream.value), 1),
            FeedDisconnected: lambda event, _: self._metrics.put("arbot_feed_up", (event.venue, event.stream.value), 0),
            OperatorRequested: lambda event, _: metrics.add("arbot_operator_requests_total", (event.verb.value,)),
            OrderAccepted: self._accepted,
            OrderRejected: lambda event, _: self._of_order(event, "arbot_orders_rejected_total", event.code.value),
            RequestOutcomeUnknown: lambda event, _: self._of_order(event, "arbot_orders_unanswered_total"),
            OrderFilled: lambda event, _: self._filled(event.fill),
        }
        self._decisions: dict[type, Callable[[Any], None]] = {
            OpportunitySeen: lambda _: metrics.add("arbot_opportunities_seen_total"),
            OpportunityDeclined: lambda d: metrics.add("arbot_opportunities_declined_total", (d.reason.value,)),
            OrderRefused: lambda d: metrics.add("arbot_orders_refused_total", (d.reason.value,)),
            ArbOpened: self._opened,
            QuotePulled: lambda d: metrics.add("arbot_quotes_pulled_total", (d.reason.value,)),
            ArbClosed: self._closed,
            ArbStranded: lambda _: metrics.add("arbot_arbs_closed_total", ("stranded",)),
            OrphanFillFound: lambda _: metrics.add("arbot_orphan_fills_total"),
            FillClashed: lambda _: metrics.add("arbot_fill_clashes_total"),
            LimitLatched: lambda d: metrics.add("arbot_limit_trips_total", (d.limit,)),
            VenueHealthChanged: lambda d: metrics.add("arbot_quarantines_total", (d.venue,), int(d.is_quarantined)),
            TransferMoved: self._transfer_moved,
            TransferRefused: lambda d: metrics.add("arbot_transfers_refused_total", (d.reason.value,)),
        }
        self._prepare(names := tuple(venues), symbols)
        collect_risk.prepare(metrics, names)
        metrics.put("arbot_build_info", (version, mode), 1)

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Count one step."""
        self._metrics.add("arbot_events_total")
        count = self._events.get(type(envelope.event))
        if count is not None:
            count(envelope.event, envelope.ts_ns)
        for decision in outcome.decisions:
            note = self._decisions.get(type(decision))
            if note is not None:
                note(decision)
        for command in outcome.commands:
            if isinstance(command, SubmitOrder):
                self._submitted(command.approved.intent)
            elif isinstance(command, RaiseAlert):
                self.alerted(command)

    def alerted(self, alert: RaiseAlert) -> None:
        """Count an alert."""
        self._metrics.add("arbot_alerts_total", (alert.severity.value,))

    def read(self, readings: Readings) -> None:
        """Put the gauges of this moment."""
        self._read_status(readings.status)
        collect_risk.read_watched(self._metrics, readings.status)
        if readings.risk is not None:
            collect_risk.read_risk(self._metrics, readings.risk)
        put = self._metrics.put
        for labels, feed in readings.feeds.items():
            self._read_feed(labels, feed)
        for venue in {venue for venue, _ in readings.feeds}:
            feeds = [feed for (of, _), feed in readings.feeds.items() if of == venue]
            put("arbot_book_checksum_mismatches_total", (venue,), sum(feed.checksum_mismatches for feed in feeds))
            put("arbot_book_sequence_gaps_total", (venue,), sum(feed.sequence_gaps for feed in feeds))
            put("arbot_book_resyncs_total", (venue,), sum(feed.resyncs for feed in feeds))
        for name, durations in readings.durations.items():
            self._metrics.put_durations(name, durations)
        for name, number in readings.numbers.items():
            put(name, (), number)
        for task, beat_ns in readings.beats_ns.items():
            put("arbot_task_last_beat_timestamp_seconds", (task,), beat_ns / NS_PER_S)

    def _read_feed(self, labels: tuple[str, str], feed: FeedCounters) -> None:
        put = self._metrics.put
        put("arbot_feed_frames_total", labels, feed.frames)
        put("arbot_feed_received_bytes_total", labels, feed.bytes)
        put("arbot_feed_connects_total", labels, feed.connects)
        put("arbot_feed_parse_errors_total", labels, feed.parse_errors)
        put("arbot_feed_last_alive_timestamp_seconds", labels, feed.last_alive_ns / NS_PER_S)
        for reason, count in feed.drops.items():
            put("arbot_feed_drops_total", (*labels, str(reason)), count)

    def _read_status(self, status: Status) -> None:
        put, ccy, totals = self._metrics.put, (status.ccy,), status.totals
        for book in status.books:
            place = (book.venue, book.symbol)
            put("arbot_book_valid", place, book.is_valid)
            updated_ns = status.ts_ns - book.age_ms * 1_000_000 if book.age_ms >= 0 else 0
            put("arbot_book_last_update_timestamp_seconds", place, updated_ns / NS_PER_S)
        for edge in status.edges:
            route = (edge.buy, edge.sell, edge.symbol)
            put("arbot_edge_gross_ratio", route, edge.edge_gross_bps / _BPS)
            put("arbot_edge_net_ratio", route, edge.edge_net_bps / _BPS)
        for venue in status.venues:
            put("arbot_reconciled", (venue.venue,), venue.reconciled)
            put("arbot_reconciliation_differences", (venue.venue,), len(venue.differences))
            if venue.skew_ms is not None:
                put("arbot_clock_skew_seconds", (venue.venue,), venue.skew_ms / 1_000)
            for balance in venue.balances:
                put("arbot_balance", (venue.venue, balance.asset, "total"), balance.total)
                put("arbot_balance", (venue.venue, balance.asset, "reserved"), balance.reserved)
        for limit in status.limits:
            put("arbot_limit_used_ratio", (limit.limit,), limit.share)
        for limit_name in LATCHING:
            put("arbot_limit_latched", (limit_name,), limit_name in status.latched)
        for state in OPEN_STATES:
            put("arbot_arbs_open", (state.value,), sum(1 for arb in status.arbs_open if arb.state == state))
        for venue_name, counts in status.orders_live.items():
            for order_state, count in counts.items():
                put("arbot_orders_live", (venue_name, order_state), count)
        for asset, delta in status.net_delta.items():
            put("arbot_net_delta", (asset,), delta)
        put("arbot_unhedged_since_timestamp_seconds", (), status.unhedged_since_ns / NS_PER_S)
        put("arbot_pnl_gross", ccy, totals.pnl_gross)
        put("arbot_pnl_net", ccy, totals.pnl_net)
        put("arbot_realised", ccy, status.realised_total)
        put("arbot_realised_day", ccy, status.realised_day)
        put("arbot_drawdown", ccy, status.drawdown)
        put("arbot_kill_switch_engaged", (), status.killed)
        put("arbot_paused", (), status.paused)
        put("arbot_trading_enabled", (), status.may_open)

    def _prepare(self, venues: tuple[str, ...], symbols: Mapping[str, Sequence[str]]) -> None:
        make = self._metrics.ensure_children
        streams = tuple(stream.value for stream in Stream)
        for name in (
            "arbot_feed_frames_total",
            "arbot_feed_received_bytes_total",
            "arbot_feed_connects_total",
            "arbot_feed_parse_errors_total",
            "arbot_feed_last_alive_timestamp_seconds",
            "arbot_feed_up",
        ):
            make(name, venues, streams)
        for name in (
            "arbot_book_checksum_mismatches_total",
            "arbot_book_sequence_gaps_total",
            "arbot_book_resyncs_total",
            "arbot_clock_skew_seconds",
            "arbot_orders_unanswered_total",
            "arbot_order_ack_seconds",
            "arbot_reconciliation_differences",
            "arbot_reconciled",
        ):
            make(name, venues)
        for venue in venues:
            for name in ("arbot_book_valid", "arbot_book_last_update_timestamp_seconds"):
                make(name, (venue,), symbols.get(venue, ()))
        live = tuple(state.value for state in OrderState if not state.is_terminal)
        make("arbot_book_faults_total", venues, BookFault)
        make("arbot_opportunities_declined_total", Reason)
        make("arbot_orders_refused_total", Reason)
        make("arbot_quotes_pulled_total", Reason)
        make("arbot_arbs_closed_total", ("flat", "missed", "unfilled", "stranded"))
        make("arbot_arbs_open", OPEN_STATES)
        make("arbot_orders_sent_total", venues, Purpose)
        make("arbot_orders_rejected_total", venues, RejectCode)
        make("arbot_orders_live", venues, live)
        make("arbot_fills_total", venues, Side, Liquidity)
        make("arbot_limit_used_ratio", LIMITS)
        make("arbot_limit_latched", LATCHING)
        make("arbot_limit_trips_total", LATCHING)
        make("arbot_operator_requests_total", Verb)
        make("arbot_alerts_total", Severity)

    def _submitted(self, intent: OrderIntent) -> None:
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

    def _book_invalidated(self, event: BookInvalidated, _ts_ns: int) -> None:
        venue = event.instrument.rpartition("@")[2]
        self._metrics.add("arbot_book_faults_total", (venue, event.fault.value))

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
        name = "arbot_fees_total" if fill.fee.number >= 0 else "arbot_rebates_total"
        add(name, (fill.venue, fill.fee.asset), abs(fill.fee.number))

    def _opened(self, opened: ArbOpened) -> None:
        self._metrics.add("arbot_arbs_opened_total")
        self._metrics.time("arbot_arb_edge_net_ratio", (), opened.edge_net_bps / _BPS)
        age_ns = opened.decided_ts_ns - opened.book_recv_ts_ns
        self._metrics.time("arbot_decision_book_age_seconds", (), age_ns / NS_PER_S)

    def _transfer_moved(self, moved: TransferMoved) -> None:
        if moved.after in collect_risk.OUTCOMES:
            self._metrics.add("arbot_transfers_total", (moved.after.value,))

    def _closed(self, closed: ArbClosed) -> None:
        outcome = "flat" if not closed.missed else "unfilled" if closed.is_quote else "missed"
        self._metrics.add("arbot_arbs_closed_total", (outcome,))
        self._metrics.add("arbot_unhedged_seconds_total", (), closed.unhedged_ns / NS_PER_S)
