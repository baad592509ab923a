"""Orders, fills, and the arbs they belong to."""

from __future__ import annotations

from arbot.observe.catalogue.words import CAPTURE, ROUND_TRIP, SHARE, SIGNED, Metric

ROWS: tuple[Metric, ...] = (
    Metric(
        "arbot_orders_total",
        "counter",
        "orders",
        ("venue", "side", "outcome"),
        "Orders by how they ended: filled, partial, cancelled, rejected; and unknown each time one comes into doubt.",
    ),
    Metric("arbot_orders_sent_total", "counter", "orders", ("venue", "purpose"), "Orders handed to a venue."),
    Metric(
        "arbot_order_rejects_total", "counter", "orders", ("venue", "reason"), "Orders a venue refused, by its reason."
    ),
    Metric("arbot_orders_unanswered_total", "counter", "orders", ("venue",), "Requests without a usable answer."),
    Metric("arbot_orders_refused_total", "counter", "orders", ("reason",), "Reducing orders our own risk stopped."),
    Metric("arbot_order_ack_seconds", "histogram", "seconds", ("venue",), "Order sent to acceptance.", ROUND_TRIP),
    Metric(
        "arbot_leg_fill_seconds",
        "histogram",
        "seconds",
        ("venue", "leg"),
        "Order sent to completely filled, of orders that do not rest.",
        ROUND_TRIP,
    ),
    Metric(
        "arbot_leg_skew_seconds",
        "histogram",
        "seconds",
        ("strategy",),
        "First leg filled to last leg filled.",
        ROUND_TRIP,
    ),
    Metric(
        "arbot_fill_ratio",
        "histogram",
        "ratio",
        ("venue",),
        "Filled over ordered, of an order that ended and was not refused.",
        SHARE,
    ),
    Metric(
        "arbot_slippage_ratio",
        "histogram",
        "ratio",
        ("venue", "side"),
        "What an order paid against what its book gave at the decision; above zero is worse. It has no sum: see the counters.",
        SIGNED,
    ),
    Metric(
        "arbot_slippage_cost_total", "counter", "ccy", ("venue", "ccy"), "Lost to prices worse than decided, in quote."
    ),
    Metric("arbot_slippage_gain_total", "counter", "ccy", ("venue", "ccy"), "Gained by better prices, in quote."),
    Metric("arbot_fills_total", "counter", "fills", ("venue", "side", "liquidity"), "Fills."),
    Metric(
        "arbot_traded_notional_total",
        "counter",
        "ccy",
        ("venue", "side", "ccy"),
        "Filled notional in the reporting currency, at the rate of the fill.",
    ),
    Metric("arbot_open_orders", "gauge", "orders", ("venue",), "Orders that may still fill."),
    Metric("arbot_unknown_orders", "gauge", "orders", ("venue",), "Orders of which nobody knows how they stand."),
    Metric(
        "arbot_trades_total",
        "counter",
        "trades",
        ("strategy", "outcome"),
        "Arbs by how they first ended: complete (by their legs), hedged_late, unwound, unfilled, failed (stranded).",
    ),
    Metric("arbot_trades_in_flight", "gauge", "trades", ("strategy",), "Arbs that have not ended in an outcome."),
    Metric("arbot_trades_open", "gauge", "trades", ("state",), "Arbs that are not flat, by state of their life."),
    Metric(
        "arbot_unhedged_notional",
        "gauge",
        "ccy",
        ("asset", "ccy"),
        "Value of what open arbs hold unhedged, without sign; absent while there is no price.",
    ),
    Metric(
        "arbot_unhedged_since_timestamp_seconds",
        "gauge",
        "seconds",
        ("asset",),
        "Unix time since which an arb of this asset is unhedged; 0 when none is.",
    ),
    Metric("arbot_unhedged_seconds_total", "counter", "seconds", ("asset",), "Time closed arbs spent unhedged."),
    Metric("arbot_orphan_fills_total", "counter", "fills", (), "Fills of orders or arbs that had ended."),
    Metric("arbot_fill_clashes_total", "counter", "fills", (), "Trade ids that came again with another body."),
    Metric(
        "arbot_edge_capture_ratio",
        "histogram",
        "ratio",
        ("strategy",),
        "Realised over expected profit of an arb that closed. It has no sum: its buckets are signed.",
        CAPTURE,
    ),
)
