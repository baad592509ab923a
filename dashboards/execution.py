"""arbot-execution, the dashboard that asks whether arbs end as they were meant to, and if not, why."""

from __future__ import annotations

from dashboards.board import Board, Row
from dashboards.looks import (
    BPS,
    COUNT,
    EACH_MINUTE,
    EACH_SECOND,
    MONEY,
    NONE_EXPECTED,
    ORDINARY,
    QUIET,
    SECONDS,
    SELDOM_EXPECTED,
    SHARE,
    ZERO_LINE,
)
from dashboards.panels import Column, bars, heatmap, lines, stat, table
from dashboards.queries import (
    Query,
    above_zero,
    age_or_zero,
    by,
    grown,
    in_bps,
    over,
    per_minute,
    pick,
    quantile,
    quantile_shown,
    rate,
    share_below,
    some,
    spread_out,
    top,
)

OUTCOME_COLORS = {
    "complete": "green",
    "hedged_late": "yellow",
    "unwound": "orange",
    "failed": "red",
    "unfilled": QUIET,
}
STATE_COLORS = {
    "planned": QUIET,
    "working": "blue",
    "one_sided": "yellow",
    "hedging": "orange",
    "unwinding": "semi-dark-orange",
    "unknown": "purple",
    "stranded": "red",
}

GLANCE = Row(
    "Do arbs end as meant?",
    (
        stat(
            "Ended as meant",
            "Arbs with all legs as meant, of those where anything filled, in the time shown. Below 80 %: legs are missed and "
            "hedged; whether that costs is beside it, under edge captured.",
            [
                Query(
                    over(
                        grown(pick("arbot_trades_total", 'outcome="complete"')),
                        grown(pick("arbot_trades_total", 'outcome!="unfilled"')),
                    ),
                )
            ],
            SHARE,
            steps=((None, "orange"), (0.8, "green")),
            missing=ORDINARY,
        ),
        stat(
            "Stranded",
            "Arbs in the time shown that could not be made flat. Each holds a residual: `arbot flatten` trades it away.",
            [Query(grown(pick("arbot_trades_total", 'outcome="failed"')))],
            COUNT,
            steps=NONE_EXPECTED,
            decimals=0,
            alerts=("ArbotArbStranded",),
        ),
        stat(
            "Open now",
            "Arbs that are not flat.",
            [Query(by("sum", "", pick("arbot_trades_in_flight")))],
            COUNT,
        ),
        stat(
            "Unhedged for",
            "How long the oldest unhedged arb has been so. Red: be ready to flatten.",
            [Query(age_or_zero(pick("arbot_unhedged_since_timestamp_seconds")))],
            SECONDS,
            steps=((None, "green"), (2, "orange"), (10, "red")),
            decimals=0,
            alerts=("ArbotUnhedgedExposure",),
        ),
        stat(
            "Edge captured",
            "Median of realised over expected profit of arbs that closed. Below 50 %: prices are gone before we arrive.",
            [
                Query(
                    quantile_shown(0.5, "arbot_edge_capture_ratio"),
                )
            ],
            SHARE,
            steps=((None, "red"), (0.5, "orange"), (0.8, "green")),
            alerts=("ArbotEdgeNotCaptured",),
            missing=ORDINARY,
        ),
        stat(
            "Fresh books",
            "Share of decisions with both books younger than half a second.",
            [Query(share_below("arbot_decision_book_age_seconds", "0.5"))],
            SHARE,
            steps=((None, "red"), (0.9, "orange"), (0.99, "green")),
            alerts=("ArbotBookStale",),
            missing=ORDINARY,
        ),
        stat(
            "Orders refused",
            "Share of orders a venue refused, in the time shown.",
            [
                Query(
                    over(grown(pick("arbot_order_rejects_total")), grown(pick("arbot_orders_sent_total"))),
                )
            ],
            SHARE,
            steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
            alerts=("ArbotOrderRejects",),
            missing=ORDINARY,
        ),
        stat(
            "Stray fills",
            "Fills of orders or arbs that had ended, and trade ids that came again with another body. The first makes a residual; "
            "the second is a venue that contradicts itself.",
            [
                Query(
                    f"{grown(pick('arbot_orphan_fills_total'))} + {grown(pick('arbot_fill_clashes_total'))}",
                )
            ],
            COUNT,
            steps=SELDOM_EXPECTED,
            decimals=0,
            alerts=("ArbotReconciliationBreak",),
        ),
    ),
)

ARBS = Row(
    "Arbs",
    (
        lines(
            "Arbs by outcome",
            "A minute: complete is as meant, hedged_late and unwound cost money, failed is stranded, unfilled cost nothing.",
            [Query(per_minute(rate(pick("arbot_trades_total"), "outcome")), "{{outcome}}")],
            EACH_MINUTE,
            stacked=True,
            seldom=True,
            colors=OUTCOME_COLORS,
        ),
        lines(
            "Arbs that are not flat, by state",
            "Hedging or unwinding for more than seconds: look at the legs below. Stranded: a person is needed.",
            [Query(by("sum", "state", pick("arbot_trades_open")), "{{state}}")],
            COUNT,
            stacked=True,
            colors=STATE_COLORS,
            alerts=("ArbotUnhedgedExposure",),
        ),
        lines(
            "Unhedged",
            "Value held on one side only, by asset.",
            [Query(by("sum", "asset, ccy", pick("arbot_unhedged_notional")), "{{asset}} in {{ccy}}")],
            MONEY,
            least=0,
            alerts=("ArbotUnhedgedExposure",),
        ),
        lines(
            "Time unhedged",
            "Seconds of each minute that closed arbs spent unhedged, by asset. Rising: hedges are slower than they were.",
            [Query(per_minute(rate(pick("arbot_unhedged_seconds_total"), "asset")), "{{asset}}")],
            SECONDS,
            least=0,
            seldom=True,
        ),
        lines(
            "First leg to last leg",
            "Skew between the legs of an arb: the time in which the price may walk away.",
            [
                Query(quantile(0.5, "arbot_leg_skew_seconds", "strategy"), "{{strategy}} half"),
                Query(quantile(0.95, "arbot_leg_skew_seconds", "strategy"), "{{strategy}} 95 of 100"),
            ],
            SECONDS,
            logarithmic=True,
            seldom=True,
            alerts=("ArbotLegSlow",),
        ),
        heatmap(
            "Edge captured",
            "Realised over expected profit, by arb. Dark cells below 50 %: expected edges are not real.",
            spread_out("arbot_edge_capture_ratio"),
            SHARE,
            seldom=True,
            alerts=("ArbotEdgeNotCaptured",),
        ),
    ),
)

LEGS = Row(
    "Legs",
    (
        lines(
            "Leg filled, 95th percentile",
            "Order sent to completely filled, by venue and what the order was for.",
            [Query(quantile(0.95, "arbot_leg_fill_seconds", "venue, leg"), "{{venue}} {{leg}}")],
            SECONDS,
            logarithmic=True,
            seldom=True,
            alerts=("ArbotLegSlow",),
        ),
        lines(
            "Filled over ordered, mean",
            "Of orders that ended. Below 100 %: the book had less than it showed.",
            [
                Query(
                    over(
                        rate(pick("arbot_fill_ratio", suffix="_sum"), "venue"),
                        rate(pick("arbot_fill_ratio", suffix="_count"), "venue"),
                    ),
                    "{{venue}}",
                )
            ],
            SHARE,
            least=0,
            most=1,
            seldom=True,
        ),
        heatmap(
            "Slippage",
            "Fill price against the price decided on, by order; above zero is worse.",
            spread_out("arbot_slippage_ratio"),
            SHARE,
            seldom=True,
            alerts=("ArbotSlippageHigh",),
        ),
        lines(
            "What slippage costs",
            "Lost to worse prices and gained by better ones, a minute, in the quote currency.",
            [
                Query(
                    per_minute(above_zero(rate(pick("arbot_slippage_cost_total"), "venue, ccy"))),
                    "{{venue}} lost {{ccy}}",
                ),
                Query(
                    "-" + per_minute(above_zero(rate(pick("arbot_slippage_gain_total"), "venue, ccy"))),
                    "{{venue}} gained {{ccy}}",
                ),
            ],
            MONEY,
            seldom=True,
            alerts=("ArbotSlippageHigh",),
        ),
        lines(
            "Slippage by side, 90th percentile",
            "One side worse than the other: the books of that side are slow, or somebody is in front of us.",
            [Query(in_bps(quantile(0.9, "arbot_slippage_ratio", "venue, side")), "{{venue}} {{side}}")],
            BPS,
            steps=ZERO_LINE,
            seldom=True,
        ),
        lines(
            "Fills by liquidity",
            "A minute. Maker fills where only takers are meant: prices are worse than decided, or fees are wrong.",
            [
                Query(
                    per_minute(above_zero(rate(pick("arbot_fills_total"), "venue, liquidity"))),
                    "{{venue}} {{liquidity}}",
                )
            ],
            EACH_MINUTE,
            stacked=True,
            seldom=True,
        ),
        lines(
            "Orders sent, by purpose",
            "A minute. Many hedges, unwinds or flushes beside few legs: legs are missed.",
            [Query(per_minute(above_zero(rate(pick("arbot_orders_sent_total"), "purpose"))), "{{purpose}}")],
            EACH_MINUTE,
            stacked=True,
            seldom=True,
        ),
        bars(
            "Reducing orders our own risk stopped",
            "In the time shown, by reason. Any: the daemon wanted to become flat and was not let; `arbot risk show` has the "
            "numbers.",
            [
                Query(
                    some(10, grown(pick("arbot_orders_refused_total"), "reason"), "reason"), "{{reason}}", instant=True
                )
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotRiskLimitBreached",),
        ),
        bars(
            "Orders refused by venues",
            "In the time shown, by reason.",
            [
                Query(
                    some(10, grown(pick("arbot_order_rejects_total"), "venue, reason"), "reason"),
                    "{{venue}} {{reason}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotOrderRejects",),
        ),
    ),
)

CHANCES = Row(
    "Opportunities",
    (
        lines(
            "Are we too slow?",
            "How long a route stays above the minimum edge, against our own time to orders and to a filled leg. Where the "
            "lines cross, the edge is gone before we are there.",
            [
                Query(quantile(0.5, "arbot_opportunity_lifetime_seconds"), "opportunity lives, half"),
                Query(quantile(0.99, "arbot_decision_latency_seconds"), "we decide, 99 of 100"),
                Query(quantile(0.5, "arbot_leg_fill_seconds"), "a leg is filled, half"),
            ],
            SECONDS,
            logarithmic=True,
            seldom=True,
        ),
        lines(
            "Expected edge of those taken",
            "Net of fees. Near the minimum: little room for slippage.",
            [
                Query(in_bps(quantile(0.5, "arbot_opportunity_edge_ratio", "strategy")), "{{strategy}} half"),
                Query(
                    in_bps(quantile(0.1, "arbot_opportunity_edge_ratio", "strategy")),
                    "{{strategy}} least tenth",
                ),
            ],
            BPS,
            least=0,
            seldom=True,
        ),
        lines(
            "Age of the older book at decisions",
            "Above half a second the price decided on is a memory.",
            [
                Query(quantile(0.5, "arbot_decision_book_age_seconds", "strategy"), "{{strategy}} half"),
                Query(quantile(0.95, "arbot_decision_book_age_seconds", "strategy"), "{{strategy}} 95 of 100"),
            ],
            SECONDS,
            logarithmic=True,
            seldom=True,
            alerts=("ArbotBookStale",),
        ),
        lines(
            "Spread by route, before and after fees",
            "Best bid over best ask between two venues; after fees above zero is an opportunity.",
            [
                Query(
                    in_bps(top(5, by("max", "route", pick("arbot_spread_net_ratio")))),
                    "{{route}}",
                ),
                Query(
                    in_bps(by("max", "", pick("arbot_spread_gross_ratio"))),
                    "best before fees",
                ),
            ],
            BPS,
            steps=ZERO_LINE,
            wide=16,
        ),
        bars(
            "Opportunities rejected",
            "In the time shown, by reason.",
            [
                Query(
                    some(10, grown(pick("arbot_opportunity_rejects_total"), "reason"), "reason"),
                    "{{reason}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
        ),
        lines(
            "Looks that led to nothing",
            "At routes, a second, by reason; also those below the minimum edge. All zero: nothing is looked at.",
            [Query(top(8, above_zero(rate(pick("arbot_routes_declined_total"), "reason"))), "{{reason}}")],
            EACH_SECOND,
            wide=16,
            alerts=("ArbotNoOpportunities",),
        ),
        table(
            "What an edge has to pay",
            "For its tail, by route: on top of fees and the strategy's minimum. High after legs went wrong there; it falls again "
            "with good ones.",
            {"A": in_bps(by("max", "buy, sell, symbol", pick("arbot_tail_ratio")))},
            (
                Column("buy", "Bought at"),
                Column("sell", "Sold at"),
                Column("symbol", "Symbol"),
                Column("Value", "Tail", BPS),
            ),
            wide=8,
        ),
        lines(
            "Resting orders",
            "That rest to be filled by others. Only with a maker strategy.",
            [Query(by("sum", "venue", pick("arbot_quotes_resting")), "{{venue}}")],
            COUNT,
            least=0,
            wide=12,
        ),
        bars(
            "Resting orders pulled",
            "In the time shown, by reason. Only with a maker strategy.",
            [Query(some(8, grown(pick("arbot_quotes_pulled_total"), "reason"), "reason"), "{{reason}}", instant=True)],
            COUNT,
            decimals=0,
            wide=12,
        ),
    ),
)

BOARD = Board(
    uid="arbot-execution",
    title="arbot: execution",
    question="Do arbs end as they were meant to, and if not, why?",
    rows=(GLANCE, ARBS, LEGS, CHANCES),
)
