"""Edges between venues: seen, taken, left, and how quickly."""

from __future__ import annotations

from arbot.observe.catalogue.words import AGE, EDGE, LATENCY, LIFETIME, Metric

ROUTES_MAX = 300  # series of either spread; with more routes than that only the best of each pair is kept

ROWS: tuple[Metric, ...] = (
    Metric(
        "arbot_spread_gross_ratio",
        "gauge",
        "ratio",
        ("pair", "route"),
        "Best bid of the selling venue over best ask of the buying venue, less one.",
        labelsets_max=ROUTES_MAX,
    ),
    Metric(
        "arbot_spread_net_ratio",
        "gauge",
        "ratio",
        ("pair", "route"),
        "The same after both taker fees, for the quantity at the touch.",
        labelsets_max=ROUTES_MAX,
    ),
    Metric(
        "arbot_opportunities_total",
        "counter",
        "opportunities",
        ("strategy", "pair", "outcome"),
        "Looks at a route that cleared the minimum edge, by what became of it: taken, rejected, expired (a quote unfilled).",
    ),
    Metric(
        "arbot_opportunity_rejects_total",
        "counter",
        "opportunities",
        ("strategy", "reason"),
        "Opportunities rejected, by reason.",
    ),
    Metric(
        "arbot_routes_declined_total",
        "counter",
        "looks",
        ("reason",),
        "Looks at a route that led to no arb, by reason, also those below the minimum edge.",
    ),
    Metric(
        "arbot_opportunity_edge_ratio",
        "histogram",
        "ratio",
        ("strategy",),
        "Expected net edge of opportunities taken.",
        EDGE,
    ),
    Metric(
        "arbot_opportunity_lifetime_seconds",
        "histogram",
        "seconds",
        ("strategy",),
        "How long a route stayed above the minimum edge, by book updates.",
        LIFETIME,
    ),
    Metric(
        "arbot_decision_book_age_seconds",
        "histogram",
        "seconds",
        ("strategy",),
        "Age of the older of the books when an arb was decided.",
        AGE,
    ),
    Metric(
        "arbot_decision_latency_seconds",
        "histogram",
        "seconds",
        ("strategy",),
        "Last book update received to the orders of an arb decided, made durable and handed on.",
        LATENCY,
    ),
    Metric("arbot_tail_ratio", "gauge", "ratio", ("buy", "sell", "symbol"), "What an edge has to pay for its tail."),
    Metric("arbot_quotes_pulled_total", "counter", "orders", ("reason",), "Resting orders cancelled, by reason."),
    Metric("arbot_quotes_resting", "gauge", "orders", ("venue",), "Our orders that rest to be filled by others."),
)
