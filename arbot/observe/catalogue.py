"""Every metric there is: name, type, unit, labels, meaning. What is not in this list cannot be counted.

Rules of naming: prefix arbot_; base units in the name; `_total` only on what never falls (profit falls: a gauge);
moments as `_timestamp_seconds`, ages are for the query; money has a label `ccy`; labels come from closed sets, never
ids, addresses or texts of others. `symbol` is on gauges and counters only.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric family. `buckets` are upper bounds in the metric's unit, for histograms only."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


_LATENCY = (25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1.0)
_ROUND_TRIP = (5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0, 10.0)
_AGE = (1e-3, 5e-3, 10e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.0, 5.0)
_EDGE = (0.0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2)

_ROWS: tuple[Metric, ...] = (
    # market data
    Metric("arbot_feed_frames_total", "counter", "frames", ("venue", "stream"), "Websocket frames received."),
    Metric("arbot_feed_received_bytes_total", "counter", "bytes", ("venue", "stream"), "Websocket payload received."),
    Metric("arbot_feed_connects_total", "counter", "connects", ("venue", "stream"), "Websocket connections made."),
    Metric("arbot_feed_drops_total", "counter", "drops", ("venue", "stream", "reason"), "Connections given up."),
    Metric("arbot_feed_parse_errors_total", "counter", "frames", ("venue", "stream"), "Frames that were malformed."),
    Metric(
        "arbot_feed_last_alive_timestamp_seconds",
        "gauge",
        "seconds",
        ("venue", "stream"),
        "Unix time of the last sign of life of the venue's own stream; 0 before the first.",
    ),
    Metric("arbot_feed_up", "gauge", "", ("venue", "stream"), "1 while the stream is connected and subscribed."),
    Metric("arbot_book_checksum_mismatches_total", "counter", "books", ("venue",), "Books that failed their checksum."),
    Metric("arbot_book_sequence_gaps_total", "counter", "gaps", ("venue",), "Gaps in a stream's numbering."),
    Metric("arbot_book_resyncs_total", "counter", "books", ("venue",), "Books asked for anew."),
    Metric("arbot_book_faults_total", "counter", "books", ("venue", "fault"), "Books dropped, by fault."),
    Metric("arbot_book_valid", "gauge", "", ("venue", "symbol"), "1 while the book may be traded on."),
    Metric(
        "arbot_book_last_update_timestamp_seconds",
        "gauge",
        "seconds",
        ("venue", "symbol"),
        "Unix time of the last sign of life of the book's stream; 0 before the first.",
    ),
    Metric("arbot_clock_skew_seconds", "gauge", "seconds", ("venue",), "Venue clock minus ours."),
    # opportunities
    Metric("arbot_opportunities_seen_total", "counter", "opportunities", (), "Routes that cleared the minimum edge."),
    Metric(
        "arbot_opportunities_declined_total", "counter", "opportunities", ("reason",), "Routes not taken, by reason."
    ),
    Metric("arbot_edge_gross_ratio", "gauge", "ratio", ("buy", "sell", "symbol"), "Best bid over best ask, less one."),
    Metric("arbot_edge_net_ratio", "gauge", "ratio", ("buy", "sell", "symbol"), "The same after both taker fees."),
    Metric("arbot_arb_edge_net_ratio", "histogram", "ratio", (), "Expected net edge of opened arbs.", _EDGE),
    Metric("arbot_decision_book_age_seconds", "histogram", "seconds", (), "Age of the books of opened arbs.", _AGE),
    Metric(
        "arbot_decision_latency_seconds",
        "histogram",
        "seconds",
        (),
        "Frame received to decision made.",
        _LATENCY,
    ),
    # execution
    Metric("arbot_arbs_opened_total", "counter", "arbs", (), "Arbs whose legs were both approved."),
    Metric(
        "arbot_arbs_closed_total", "counter", "arbs", ("outcome",), "Arbs that ended: flat, missed, unfilled, stranded."
    ),
    Metric("arbot_arbs_open", "gauge", "arbs", ("state",), "Arbs that are not flat, by state."),
    Metric("arbot_orders_sent_total", "counter", "orders", ("venue", "purpose"), "Orders handed to a venue."),
    Metric("arbot_orders_rejected_total", "counter", "orders", ("venue", "code"), "Orders a venue refused."),
    Metric("arbot_orders_unanswered_total", "counter", "orders", ("venue",), "Requests without a usable answer."),
    Metric("arbot_orders_refused_total", "counter", "orders", ("reason",), "Reducing orders our own risk stopped."),
    Metric("arbot_orders_live", "gauge", "orders", ("venue", "state"), "Orders that may still fill, by state."),
    Metric("arbot_order_ack_seconds", "histogram", "seconds", ("venue",), "Decision to acceptance.", _ROUND_TRIP),
    Metric("arbot_fills_total", "counter", "fills", ("venue", "side", "liquidity"), "Fills."),
    Metric("arbot_traded_notional_total", "counter", "ccy", ("venue", "side", "ccy"), "Quote value of fills."),
    Metric("arbot_fees_total", "counter", "ccy", ("venue", "ccy"), "Fees paid."),
    Metric("arbot_rebates_total", "counter", "ccy", ("venue", "ccy"), "Rebates received."),
    Metric("arbot_orphan_fills_total", "counter", "fills", (), "Fills of orders or arbs that had ended."),
    Metric("arbot_fill_clashes_total", "counter", "fills", (), "Trade ids that came again with another body."),
    Metric("arbot_unhedged_seconds_total", "counter", "seconds", (), "Time closed arbs spent with an unhedged leg."),
    Metric(
        "arbot_unhedged_since_timestamp_seconds",
        "gauge",
        "seconds",
        (),
        "Unix time since which some arb is unhedged; 0 when none is.",
    ),
    # money and inventory
    Metric("arbot_pnl_gross", "gauge", "ccy", ("ccy",), "Profit of closed arbs before fees, this run."),
    Metric("arbot_pnl_net", "gauge", "ccy", ("ccy",), "Profit of closed arbs after fees, this run."),
    Metric("arbot_realised", "gauge", "ccy", ("ccy",), "Profit after fees over all runs of this store."),
    Metric("arbot_realised_day", "gauge", "ccy", ("ccy",), "Profit after fees of the UTC day."),
    Metric("arbot_drawdown", "gauge", "ccy", ("ccy",), "Realised profit's fall from its peak."),
    Metric("arbot_balance", "gauge", "asset", ("venue", "asset", "state"), "Balance: total and reserved."),
    Metric("arbot_net_delta", "gauge", "asset", ("asset",), "Base bought less sold over all venues, by fills."),
    Metric("arbot_reconciliation_differences", "gauge", "differences", ("venue",), "Differences nobody explained."),
    Metric("arbot_reconciled", "gauge", "", ("venue",), "1 while ledger and venue agree."),
    # risk and people
    Metric("arbot_limit_used_ratio", "gauge", "ratio", ("limit",), "Use of each limit, 1 = at the limit."),
    Metric("arbot_limit_latched", "gauge", "", ("limit",), "1 while the limit waits for a person."),
    Metric("arbot_limit_trips_total", "counter", "trips", ("limit",), "Times a latching limit tripped."),
    Metric("arbot_kill_switch_engaged", "gauge", "", (), "1 while killed."),
    Metric("arbot_paused", "gauge", "", (), "1 while paused or halted."),
    Metric("arbot_trading_enabled", "gauge", "", (), "1 while new arbs may be opened."),
    Metric("arbot_operator_requests_total", "counter", "requests", ("verb",), "What people asked for."),
    Metric("arbot_alerts_total", "counter", "alerts", ("severity",), "Alerts raised."),
    # what each penny can cost
    Metric("arbot_stress_loss", "gauge", "ccy", ("scenario", "ccy"), "Loss at the worst node of each stress scenario."),
    Metric("arbot_stress_budget", "gauge", "ccy", ("scenario", "ccy"), "What each stress scenario may cost."),
    Metric(
        "arbot_pennies_per_steamroller_ratio",
        "gauge",
        "ratio",
        ("buy", "sell"),
        "Expected profit of this run's arbs over the stress loss they added, by venues.",
    ),
    Metric("arbot_tail_ratio", "gauge", "ratio", ("buy", "sell", "symbol"), "What an edge has to pay for its tail."),
    Metric("arbot_loss_open", "gauge", "ccy", ("ccy",), "Loss of residuals that are open, at present prices."),
    Metric("arbot_exposure", "gauge", "ccy", ("kind", "node", "ccy"), "What stands on a venue, an issuer, a bank ..."),
    Metric("arbot_exposure_limit", "gauge", "ccy", ("kind", "node", "ccy"), "The cap on that, where there is one."),
    Metric("arbot_venue_quarantined", "gauge", "", ("venue",), "1 while the venue is given no new arbs."),
    Metric("arbot_quarantines_total", "counter", "times", ("venue",), "Times a venue was put into quarantine."),
    Metric("arbot_venue_ack_mean_seconds", "gauge", "seconds", ("venue",), "Geometric mean of recent answer times."),
    Metric("arbot_venue_ack_tail_seconds", "gauge", "seconds", ("venue",), "One recent answer in twenty took longer."),
    Metric("arbot_venue_refused_ratio", "gauge", "ratio", ("venue",), "Share of recent orders the venue refused."),
    Metric("arbot_venue_unanswered_ratio", "gauge", "ratio", ("venue",), "Share of recent orders without an answer."),
    Metric("arbot_venue_cap_ratio", "gauge", "ratio", ("venue",), "What the venue's payouts leave of its caps."),
    Metric("arbot_stablecoin_price_ratio", "gauge", "ratio", ("asset",), "A coin against its peg; 0 while unknown."),
    Metric("arbot_stablecoin_off_peg", "gauge", "", ("asset",), "1 while the coin is off its peg and not traded."),
    Metric("arbot_transfers_in_transit", "gauge", "transfers", ("asset",), "Transfers that are not over."),
    Metric("arbot_transfers_in_transit_value", "gauge", "ccy", ("asset", "ccy"), "What they are worth now."),
    Metric("arbot_transfers_overdue", "gauge", "transfers", ("asset",), "Transfers later than their route allows."),
    Metric(
        "arbot_transfer_oldest_start_timestamp_seconds",
        "gauge",
        "seconds",
        ("asset",),
        "Unix time at which the oldest transfer under way was asked for; 0 when none is.",
    ),
    Metric("arbot_transfers_total", "counter", "transfers", ("outcome",), "Transfers by outcome, stuck ones too."),
    Metric("arbot_transfers_refused_total", "counter", "transfers", ("reason",), "Transfers not begun, by reason."),
    Metric("arbot_quotes_pulled_total", "counter", "orders", ("reason",), "Resting orders cancelled, by reason."),
    Metric("arbot_quotes_resting", "gauge", "orders", ("venue",), "Our orders that rest to be filled by others."),
    # tape
    Metric("arbot_tape_recording", "gauge", "", (), "1 while market data is recorded."),
    Metric("arbot_tape_rows_total", "counter", "rows", (), "Rows of market data recorded."),
    Metric("arbot_tape_messages_lost_total", "counter", "messages", (), "Messages dropped because the disk was slow."),
    # process
    Metric("arbot_build_info", "gauge", "", ("version", "mode"), "Always 1: version and mode."),
    Metric("arbot_events_total", "counter", "events", (), "Events the engine has taken."),
    Metric("arbot_event_loop_lag_seconds", "histogram", "seconds", (), "How late a probe task wakes.", _LATENCY),
    Metric("arbot_gc_pause_seconds", "histogram", "seconds", (), "Garbage-collection pauses.", _LATENCY),
    Metric("arbot_journal_commit_seconds", "histogram", "seconds", (), "Durable journal commits.", _LATENCY),
    Metric("arbot_task_last_beat_timestamp_seconds", "gauge", "seconds", ("task",), "Unix time of a task's last beat."),
)

CATALOGUE: dict[str, Metric] = {row.name: row for row in _ROWS}
