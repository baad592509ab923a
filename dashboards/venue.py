"""arbot-venue: what is wrong with this venue, and since when? Links from every series of a venue lead here."""

from __future__ import annotations

from arbot.observe.catalogue.words import VENUE_STATES
from dashboards.board import Board, Row
from dashboards.frame import VENUE_UID
from dashboards.looks import (
    ALL_EXPECTED,
    BYTES_PER_SECOND,
    COUNT,
    EACH_MINUTE,
    EACH_SECOND,
    LIMIT,
    MONEY,
    NONE_EXPECTED,
    SECONDS,
    SELDOM_EXPECTED,
    SHARE,
    YES_IS_GOOD,
    YES_IS_NOTED,
    numbered,
)
from dashboards.panels import Column, bars, lines, stat, table, timeline
from dashboards.queries import (
    Query,
    above_zero,
    age,
    at_least,
    by,
    grown,
    over,
    per_minute,
    pick,
    quantile,
    rate,
    some,
    state_of,
)

STATE_COLORS = {
    "down": "red",
    "connecting": "orange",
    "reconciling": "yellow",
    "live": "green",
    "quarantined": "purple",
    "maintenance": "blue",
}

GLANCE = Row(
    "What is wrong with it?",
    (
        stat(
            "Books live",
            "Share of the venue's books that may be traded on.",
            [Query(by("avg", "", pick("arbot_book_valid")))],
            SHARE,
            steps=ALL_EXPECTED,
            alerts=("ArbotBookStale",),
        ),
        stat(
            "Oldest book",
            "Since the last update of the quietest book. Above 10 s nothing is traded on it; a pair that hardly trades may be so by nature.",
            [Query(age(pick("arbot_book_last_update_timestamp_seconds")))],
            SECONDS,
            steps=((None, "green"), (10, "orange"), (60, "red")),
            decimals=1,
            alerts=("ArbotBookStale",),
        ),
        stat(
            "Streams up",
            "Market and account streams that are connected and subscribed. Without the account stream fills come late.",
            [Query(by("avg", "", pick("arbot_ws_up")))],
            SHARE,
            steps=ALL_EXPECTED,
            alerts=("ArbotVenueDegraded",),
        ),
        stat(
            "In quarantine",
            "Venues given no new arbs because of their own conduct, or by a person until `arbot release`. `arbot status` has the reason.",
            [Query(by("sum", "", pick("arbot_venue_quarantined")))],
            COUNT,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotVenueQuarantined",),
        ),
        stat(
            "In maintenance",
            "Venues inside an announced window. Nothing to do: it ends by itself.",
            [Query(by("sum", "", pick("arbot_venue_maintenance")))],
            COUNT,
            steps=((None, "green"), (1, "blue")),
        ),
        stat(
            "Unknown orders",
            "Orders of which nobody knows how they stand. Compare with the venue's own page.",
            [Query(by("sum", "", pick("arbot_unknown_orders")))],
            COUNT,
            steps=NONE_EXPECTED,
            alerts=("ArbotUnknownOrders",),
        ),
        stat(
            "Rate limit used",
            "The fullest of its budgets of requests. At 100 % the venue refuses, and cancelling needs requests too.",
            [Query(by("max", "", pick("arbot_rate_limit_used_ratio")))],
            SHARE,
            steps=LIMIT,
            alerts=("ArbotRateLimited",),
        ),
        stat(
            "Caps left",
            "What the venue's payouts leave of its caps: less than 100 % when money cannot be seen to leave it.",
            [Query(by("min", "", pick("arbot_venue_cap_ratio")))],
            SHARE,
            steps=ALL_EXPECTED,
        ),
        timeline(
            "State",
            f"Where the connection is: {', '.join(VENUE_STATES)}. Minutes of connecting: the venue, or our network, is down.",
            [Query(state_of("arbot_venue_state", "venue, instance"), "{{venue}} ({{instance}})")],
            numbered(VENUE_STATES, STATE_COLORS),
            alerts=("ArbotVenueDegraded",),
        ),
    ),
)

BOOKS = Row(
    "Books and streams",
    (
        table(
            "Books",
            "Every book, the oldest first. Not tradable and old: its stream is silent. Not tradable and young: it is being rebuilt.",
            {
                "A": by("min", "venue, symbol", pick("arbot_book_valid")),
                "B": age(pick("arbot_book_last_update_timestamp_seconds"), "venue, symbol"),
                "C": rate(pick("arbot_book_updates_total"), "venue, symbol"),
            },
            (
                Column("venue", "Venue"),
                Column("symbol", "Symbol"),
                Column("Value #A", "Tradable", words=YES_IS_GOOD),
                Column("Value #B", "Age", SECONDS, steps=((None, "green"), (10, "orange"), (60, "red"))),
                Column("Value #C", "Updates", EACH_SECOND),
            ),
            alerts=("ArbotBookStale",),
        ),
        lines(
            "Book age",
            "Since the last update, of the quietest book of each pair. Steps that climb together are one stream that stopped.",
            [
                Query(
                    at_least(0.01, age(pick("arbot_book_last_update_timestamp_seconds"), "venue, symbol")),
                    "{{venue}} {{symbol}}",
                )
            ],
            SECONDS,
            logarithmic=True,
            wide=12,
            alerts=("ArbotBookStale",),
        ),
        lines(
            "Feed latency",
            "Venue's time of an update to its receipt here, clock skew taken off. A rise is the network, or a venue under load.",
            [
                Query(quantile(0.5, "arbot_feed_latency_seconds", "venue"), "{{venue}} half"),
                Query(quantile(0.99, "arbot_feed_latency_seconds", "venue"), "{{venue}} 99 of 100"),
            ],
            SECONDS,
            logarithmic=True,
        ),
        lines(
            "Messages",
            "Received a second, by stream. Zero on a stream that is up is a silent subscription.",
            [Query(rate(pick("arbot_ws_messages_total"), "venue, channel"), "{{venue}} {{channel}}")],
            EACH_SECOND,
            least=0,
        ),
        lines(
            "Payload received",
            "Bytes a second. A jump without more messages is a venue that sends whole books.",
            [Query(rate(pick("arbot_ws_received_bytes_total"), "venue"), "{{venue}}")],
            BYTES_PER_SECOND,
            least=0,
        ),
        lines(
            "Since the last sign of life",
            "By stream. The account stream may be quiet; heartbeats keep it below a minute.",
            [Query(age(pick("arbot_ws_last_message_timestamp_seconds"), "venue, channel"), "{{venue}} {{channel}}")],
            SECONDS,
            least=0,
        ),
        timeline(
            "Streams connected",
            "Connected and subscribed, by stream.",
            [Query(by("min", "venue, channel", pick("arbot_ws_up")), "{{venue}} {{channel}}")],
            YES_IS_GOOD,
            wide=8,
            high=8,
            alerts=("ArbotReconnectStorm",),
        ),
        bars(
            "Reconnects",
            "Connections made in the time shown, by how the one before was lost. More than a few an hour: read the reason, then "
            "the venue's own status.",
            [
                Query(
                    some(8, grown(pick("arbot_ws_connects_total", 'reason!="first"'), "venue, reason"), "reason"),
                    "{{venue}} {{reason}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotReconnectStorm",),
        ),
        bars(
            "Books asked for anew and dropped",
            "In the time shown, by reason and fault. Gaps and checksums are lost messages, ours or the venue's; crossed is the "
            "venue's.",
            [
                Query(
                    some(5, grown(pick("arbot_book_resyncs_total"), "venue, reason"), "reason"),
                    "{{venue}} anew: {{reason}}",
                    instant=True,
                ),
                Query(
                    some(5, grown(pick("arbot_book_faults_total"), "venue, fault"), "fault"),
                    "{{venue}} dropped: {{fault}}",
                    instant=True,
                ),
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotChecksumFailures",),
        ),
        lines(
            "Checksums that did not match",
            "Share of those compared. Above zero for long: our book is not the venue's; nothing should be traded on it.",
            [
                Query(
                    over(
                        rate(pick("arbot_book_checksums_total", 'outcome="mismatch"'), "venue"),
                        rate(pick("arbot_book_checksums_total"), "venue"),
                    ),
                    "{{venue}}",
                )
            ],
            SHARE,
            least=0,
            alerts=("ArbotChecksumFailures",),
        ),
        lines(
            "Messages not understood",
            "Could not be parsed. Any: the venue changed its format; read the log before trading on.",
            [Query(per_minute(rate(pick("arbot_ws_parse_errors_total"), "venue, channel")), "{{venue}} {{channel}}")],
            EACH_MINUTE,
            least=0,
        ),
    ),
)

ANSWERS = Row(
    "Its answers",
    (
        lines(
            "Order accepted, 95th percentile",
            "Order sent to acceptance.",
            [Query(quantile(0.95, "arbot_order_ack_seconds", "venue"), "{{venue}}")],
            SECONDS,
            logarithmic=True,
            seldom=True,
            alerts=("ArbotLegSlow",),
        ),
        lines(
            "What the quarantine judges",
            "Mean and tail of recent answer times. Above [health] of the config the venue is put into quarantine.",
            [
                Query(by("max", "venue", pick("arbot_venue_ack_mean_seconds")), "{{venue}} mean"),
                Query(by("max", "venue", pick("arbot_venue_ack_tail_seconds")), "{{venue}} one in twenty"),
            ],
            SECONDS,
            least=0,
        ),
        lines(
            "Recent orders refused or unanswered",
            "Shares of recent orders. High shares end in quarantine.",
            [
                Query(by("max", "venue", pick("arbot_venue_refused_ratio")), "{{venue}} refused"),
                Query(by("max", "venue", pick("arbot_venue_unanswered_ratio")), "{{venue}} unanswered"),
            ],
            SHARE,
            least=0,
            most=1,
            alerts=("ArbotOrderRejects",),
        ),
        lines(
            "Orders by outcome",
            "A minute. Much partial or cancelled: our prices come too late for this venue.",
            [
                Query(
                    per_minute(above_zero(rate(pick("arbot_orders_total"), "venue, outcome"))), "{{venue}} {{outcome}}"
                )
            ],
            EACH_MINUTE,
            stacked=True,
            seldom=True,
        ),
        bars(
            "Orders refused, by reason",
            "In the time shown. Funds: treasury. Step or price: its rules changed. Rate: see the budget.",
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
        lines(
            "Requests without a usable answer",
            "Orders in doubt come from here: each is asked after until it is known.",
            [Query(per_minute(rate(pick("arbot_orders_unanswered_total"), "venue")), "{{venue}}")],
            EACH_MINUTE,
            least=0,
            seldom=True,
            alerts=("ArbotUnknownOrders",),
        ),
        bars(
            "REST requests that failed",
            "In the time shown, by group and class of answer. 429: too many; another program may spend from the same key.",
            [
                Query(
                    some(
                        10,
                        grown(pick("arbot_rest_requests_total", 'status!~"2xx|3xx"'), "venue, endpoint, status"),
                        "status",
                    ),
                    "{{venue}} {{endpoint}} {{status}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotRateLimited",),
        ),
        lines(
            "REST answered, 95th percentile",
            "Request sent to its answer read, by group.",
            [Query(quantile(0.95, "arbot_rest_request_duration_seconds", "venue, endpoint"), "{{venue}} {{endpoint}}")],
            SECONDS,
            logarithmic=True,
            seldom=True,
        ),
        lines(
            "Rate limit used",
            "By budget, as the venue counts it. Orange from 80 %: slow down what is not an order.",
            [Query(by("max", "venue, bucket", pick("arbot_rate_limit_used_ratio")), "{{venue}} {{bucket}}")],
            SHARE,
            steps=LIMIT,
            least=0,
            alerts=("ArbotRateLimited",),
        ),
        lines(
            "Clock skew",
            "Venue clock minus ours. Steps on all venues at once are our own clock: check the time service.",
            [Query(by("max", "venue", pick("arbot_clock_skew_seconds")), "{{venue}}")],
            SECONDS,
            alerts=("ArbotClockSkew",),
        ),
        timeline(
            "Quarantine and maintenance",
            "Venues that get no new arbs, and announced windows.",
            [
                Query(by("max", "venue", pick("arbot_venue_quarantined")), "{{venue}} quarantined"),
                Query(by("max", "venue", pick("arbot_venue_maintenance")), "{{venue}} maintenance"),
            ],
            YES_IS_NOTED,
            wide=8,
            high=8,
            alerts=("ArbotVenueQuarantined",),
        ),
        bars(
            "Times in quarantine",
            "In the time shown. Each relapse doubles the wait until it is let out.",
            [Query(some(10, grown(pick("arbot_quarantines_total"), "venue"), "venue"), "{{venue}}", instant=True)],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
        ),
    ),
)

THERE = Row(
    "What is there",
    (
        table(
            "Balances",
            "Free, locked and valued. Locked without open orders: the venue holds something back.",
            {
                "A": by("sum", "venue, asset", pick("arbot_balance", 'state="free"')),
                "B": by("sum", "venue, asset", pick("arbot_balance", 'state="locked"')),
                "C": by("sum", "venue, asset", pick("arbot_balance_value")),
            },
            (
                Column("venue", "Venue"),
                Column("asset", "Asset"),
                Column("Value #A", "Free"),
                Column("Value #B", "Locked"),
                Column("Value #C", "Value", MONEY),
            ),
        ),
        lines(
            "Open orders",
            "That may still fill, of which resting to be filled by others, and those nobody knows of.",
            [
                Query(by("sum", "venue", pick("arbot_open_orders")), "{{venue}} open"),
                Query(by("sum", "venue", pick("arbot_quotes_resting")), "{{venue}} resting"),
                Query(by("sum", "venue", pick("arbot_unknown_orders")), "{{venue}} unknown"),
            ],
            COUNT,
            least=0,
            wide=12,
            alerts=("ArbotUnknownOrders",),
        ),
    ),
)

BOARD = Board(
    uid=VENUE_UID,
    title="arbot: venue",
    question="What is wrong with this venue, and since when?",
    rows=(GLANCE, BOOKS, ANSWERS, THERE),
)
