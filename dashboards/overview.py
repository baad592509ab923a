"""arbot-overview: is the desk safe, is it trading, is it earning? The first row is over the whole desk, whatever is chosen."""

from __future__ import annotations

from dashboards.board import Board, Row
from dashboards.looks import (
    ALL_EXPECTED,
    BPS,
    CALM,
    COUNT,
    EACH_MINUTE,
    EACH_SECOND,
    ENGAGED,
    LEVEL_COLORS,
    LIMIT,
    MONEY,
    NONE_EXPECTED,
    OPEN_OR_NOT,
    ORDINARY,
    PROFIT,
    QUIET,
    SECONDS,
    SELDOM_EXPECTED,
    SEVERITY,
    SHARE,
    UP,
    YES_IS_BAD,
    ZERO_LINE,
)
from dashboards.panels import Column, bars, heatmap, lines, matrix, stat, table, timeline
from dashboards.queries import (
    Query,
    age_or_zero,
    by,
    changed,
    grown,
    in_bps,
    over,
    per_minute,
    pick,
    quantile,
    rate,
    some,
    sorted_down,
    spread_out,
    top,
    whole,
)

STOPPING = 'limit!~"arbs_open|order_rate"'  # those two only set the pace and may be full
COST = rate(pick("arbot_slippage_cost_total"), "venue, ccy")
GAIN = rate(pick("arbot_slippage_gain_total"), "venue, ccy")

SAFETY = Row(
    "Is it safe?",
    (
        stat(
            "Up",
            "Whether Prometheus reaches every daemon chosen. DOWN: nobody may be watching open orders; go to the machine first.",
            [Query(by("min", "", whole("up")))],
            "none",
            words=UP,
            steps=ALL_EXPECTED,
            alerts=("ArbotDown",),
        ),
        stat(
            "Kill switch",
            "ENGAGED: no order leaves, not even one that hedges, until a person takes it back with `arbot unkill`. Find out why first.",
            [Query(by("max", "", whole("arbot_kill_switch_engaged")))],
            "none",
            words=ENGAGED,
            steps=NONE_EXPECTED,
            alerts=("ArbotKillSwitchEngaged",),
        ),
        stat(
            "Books live",
            "Share of books that may be traded on. Below 100 %: the venue dashboard shows which venue and since when.",
            [Query(by("avg", "", whole("arbot_book_valid")))],
            SHARE,
            steps=ALL_EXPECTED,
            alerts=("ArbotBookStale",),
        ),
        stat(
            "Unhedged notional",
            "What open arbs hold on one side only, in the reporting currency. It comes and goes within a second or two; "
            "a sum that stays is exposure nobody wanted.",
            [Query(by("sum", "ccy", whole("arbot_unhedged_notional")), "{{ccy}}")],
            MONEY,
            decimals=2,
            named=True,
            alerts=("ArbotUnhedgedExposure",),
        ),
        stat(
            "Unhedged for",
            "How long the oldest unhedged arb has been so. Orange: hedging is slow. Red: look at the execution dashboard "
            "and be ready to flatten.",
            [Query(age_or_zero(whole("arbot_unhedged_since_timestamp_seconds")))],
            SECONDS,
            steps=((None, "green"), (2, "orange"), (10, "red")),
            decimals=0,
            alerts=("ArbotUnhedgedExposure",),
        ),
        stat(
            "Tightest limit",
            "The limit nearest to its bound. At 100 % it stops new arbs; `arbot risk show` says what uses it up. Left out are "
            "those that only set the pace and may be full: arbs open, order rate.",
            [
                Query(
                    top(1, by("max", "limit", whole("arbot_risk_limit_used_ratio", STOPPING))),
                    "{{limit}}",
                )
            ],
            SHARE,
            steps=LIMIT,
            named=True,
            alerts=("ArbotRiskLimitBreached",),
        ),
        stat(
            "Firing alerts",
            "Alerts that fire now, without the watchdog. Their names are marked on the graphs below.",
            [Query('count(ALERTS{alertstate="firing",severity=~"page|warn"}) or vector(0)')],
            COUNT,
            steps=NONE_EXPECTED,
        ),
        stat(
            "Unknown orders",
            "Orders sent of which nobody knows how they stand. Each may be filled: compare with the venue's own page.",
            [Query(by("sum", "", whole("arbot_unknown_orders")))],
            COUNT,
            steps=NONE_EXPECTED,
            alerts=("ArbotUnknownOrders",),
        ),
        table(
            "What fires now: for each, what to do is in docs/runbooks under its name",
            "Its runbook says what it means and what to do. Watchdog always fires: while it stands "
            "here, rules are evaluated.",
            {"A": by("count", "alertname, severity, instance, venue, asset", 'ALERTS{alertstate="firing"}')},
            (
                Column("alertname", "Alert"),
                Column("severity", "Severity", words=SEVERITY),
                Column("instance", "Instance"),
                Column("venue", "Venue"),
                Column("asset", "Asset"),
                Column("Value", "How many", COUNT),
            ),
            wide=24,
            high=7,
        ),
    ),
)

MONEY_ROW = Row(
    "Is it earning?",
    (
        stat(
            "Equity",
            "All balances and what is under way, at present prices.",
            [Query(by("sum", "ccy", whole("arbot_equity")), "{{ccy}}")],
            MONEY,
            named=True,
            decimals=2,
            wide=5,
        ),
        stat(
            "Net profit in the time shown",
            "Change of realised profit after fees, from the journal: restarts do not disturb it, a new store does.",
            [Query(changed(whole("arbot_realised")), "{{ccy}}")],
            MONEY,
            steps=PROFIT,
            named=True,
            decimals=2,
            wide=5,
            missing=ORDINARY,
        ),
        stat(
            "Profit of the UTC day",
            "After fees. The daily loss limit is measured against this.",
            [Query(by("sum", "ccy", whole("arbot_realised_day")), "{{ccy}}")],
            MONEY,
            steps=PROFIT,
            named=True,
            decimals=2,
            wide=5,
        ),
        stat(
            "Drawdown",
            "Fall of realised profit from its peak, over equity. The limit of the same name stops trading: see the limits below.",
            [Query(by("max", "", whole("arbot_drawdown_ratio")))],
            SHARE,
            decimals=2,
            wide=5,
            alerts=("ArbotDrawdown",),
        ),
        stat(
            "Arbs in the time shown",
            "Arbs that ended, however they ended. The execution dashboard says how.",
            [Query(grown(whole("arbot_trades_total")))],
            COUNT,
            decimals=0,
            wide=4,
            missing=ORDINARY,
        ),
        lines(
            "Profit of this run",
            "Profit of closed arbs before and after fees: the gap is what the venues keep. Falling: see slippage and edge captured.",
            [
                Query(by("sum", "ccy", pick("arbot_pnl_gross")), "before fees, {{ccy}}"),
                Query(by("sum", "ccy", pick("arbot_pnl_net")), "after fees, {{ccy}}"),
                Query(by("sum", "ccy", whole("arbot_loss_open")), "loss of open residuals, {{ccy}}"),
            ],
            MONEY,
            steps=ZERO_LINE,
        ),
        lines(
            "Realised over all runs",
            "Profit after fees as the journal has it, since its beginning. A step down is one arb gone wrong: look for its alert.",
            [Query(by("sum", "ccy", whole("arbot_realised")), "{{ccy}}")],
            MONEY,
        ),
        lines(
            "Traded a minute, by venue",
            "Filled notional. A venue at zero while others trade has a fault or no balance.",
            [Query(per_minute(rate(pick("arbot_traded_notional_total"), "venue, ccy")), "{{venue}} {{ccy}}")],
            MONEY,
            stacked=True,
            seldom=True,
        ),
    ),
)

OPPORTUNITIES = Row(
    "Is there anything to trade?",
    (
        lines(
            "Best net spread by pair",
            "After both taker fees, at the touch. Above zero there is something to earn; far above for long: distrust a book.",
            [Query(in_bps(by("max", "pair", pick("arbot_spread_net_ratio"))), "{{pair}}")],
            BPS,
            steps=ZERO_LINE,
        ),
        lines(
            "Opportunities by outcome",
            "Looks at routes that cleared the minimum edge. None for hours while books are live: the minimum edge is too high, or the "
            "books are wrong.",
            [Query(per_minute(rate(pick("arbot_opportunities_total"), "outcome")), "{{outcome}}")],
            EACH_MINUTE,
            stacked=True,
            colors={"taken": "green", "rejected": QUIET, "expired": "yellow"},
            alerts=("ArbotNoOpportunities",),
        ),
        bars(
            "Why not taken",
            "Opportunities rejected in the time shown, by reason. A balance or limit on top is a matter of treasury; a book's age "
            "is one of feeds.",
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
    ),
)

RISK = Row(
    "May it trade?",
    (
        bars(
            "Limits in use",
            "100 % is the limit: then the daemon stops what would go beyond. Orange from 80 %.",
            [Query(sorted_down(by("max", "limit", whole("arbot_risk_limit_used_ratio"))), "{{limit}}", instant=True)],
            SHARE,
            steps=LIMIT,
            most=1,
            alerts=("ArbotRiskLimitBreached",),
        ),
        timeline(
            "New arbs allowed",
            "By strategy, and whether a person has paused it. Blocked without a person's word: the reasons are on the right.",
            [Query(by("min", "strategy", pick("arbot_trading_enabled")), "{{strategy}}")],
            OPEN_OR_NOT,
            wide=8,
            high=8,
        ),
        bars(
            "Why no arb may be opened now",
            "Each reason that stands in the way at this moment; `arbot status` says more. none is good.",
            [
                Query(
                    some(10, by("max", "reason", whole("arbot_trading_blocked")), "reason"), "{{reason}}", instant=True
                )
            ],
            COUNT,
            steps=NONE_EXPECTED,
            most=1,
            alerts=("ArbotTradingBlocked", "ArbotArbStranded"),
        ),
        lines(
            "Stress loss over budget",
            "What the worst node of each scenario would cost, over what it may cost. At 100 % nothing is opened that adds to it.",
            [
                Query(
                    over(
                        by("max", "scenario, ccy", whole("arbot_stress_loss")),
                        by("max", "scenario, ccy", whole("arbot_stress_budget")),
                    ),
                    "{{scenario}}",
                )
            ],
            SHARE,
            steps=LIMIT,
            least=0,
            alerts=("ArbotStressBudgetSpent",),
        ),
        bars(
            "Limits that stopped something",
            "Arbs kept from opening, or trading stopped, in the time shown; not by arbs open or order rate, which set the pace. `arbot risk show` says what used a limit up.",
            [
                Query(
                    some(10, grown(whole("arbot_risk_limit_breaches_total", STOPPING), "limit"), "limit"),
                    "{{limit}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotRiskLimitBreached",),
        ),
        timeline(
            "Waiting for a person",
            "Each stays until somebody ends it: a limit that latched with `arbot reset-limit`, the pause with `arbot resume`, the kill "
            "switch with `arbot unkill`.",
            [
                Query(by("max", "limit", whole("arbot_limit_latched")), "limit {{limit}}"),
                Query(by("max", "", whole("arbot_paused")), "paused"),
                Query(by("max", "scope", whole("arbot_kill_switch_engaged")), "kill switch {{scope}}"),
            ],
            YES_IS_BAD,
            wide=8,
            high=8,
        ),
        stat(
            "Kill switch trips in the time shown",
            "How often it was engaged, by whom: operator, asked of this daemon; outside, thrown in its store.",
            [Query(grown(whole("arbot_kill_switch_trips_total"), "reason"), "{{reason}}")],
            COUNT,
            steps=NONE_EXPECTED,
            named=True,
            decimals=0,
            wide=12,
            alerts=("ArbotKillSwitchEngaged",),
            missing=ORDINARY,
        ),
        stat(
            "The daemon's own alerts in the time shown",
            "Raised by the daemon itself, by severity; the log has their words. Critical ones ask for a person.",
            [Query(grown(whole("arbot_alerts_total"), "severity"), "{{severity}}")],
            COUNT,
            named=True,
            decimals=0,
            wide=12,
            alerts=("ArbotCriticalAlert",),
            missing=ORDINARY,
        ),
    ),
)

EXECUTION = Row(
    "Is it quick and true to its prices?",
    (
        lines(
            "Book to orders",
            "From the receipt of a book to orders handed on. The 99th percentile above 5 ms: see the engine dashboard.",
            [
                Query(quantile(0.5, "arbot_decision_latency_seconds"), "half"),
                Query(quantile(0.99, "arbot_decision_latency_seconds"), "99 of 100"),
            ],
            SECONDS,
            logarithmic=True,
            seldom=True,
            alerts=("ArbotEventLoopLag",),
        ),
        lines(
            "Leg filled, 95th percentile",
            "Order sent to completely filled. Seconds mean the price had gone: see slippage.",
            [Query(quantile(0.95, "arbot_leg_fill_seconds", "venue"), "{{venue}}")],
            SECONDS,
            logarithmic=True,
            seldom=True,
            alerts=("ArbotLegSlow",),
        ),
        lines(
            "Slippage against the price decided on",
            "Lost less gained, over traded notional; above zero is worse. Only of books quoted in the reporting currency.",
            [
                Query(
                    in_bps(over(f"({COST} - {GAIN})", rate(pick("arbot_traded_notional_total"), "venue, ccy"))),
                    "{{venue}} {{ccy}}",
                )
            ],
            BPS,
            steps=CALM,
            seldom=True,
            alerts=("ArbotSlippageHigh",),
        ),
    ),
)

INVENTORY = Row(
    "Is the money where it should be?",
    (
        matrix(
            "Balances, valued",
            "At present prices, in the reporting currency. A missing cell has no price yet.",
            by("sum", "venue, asset", pick("arbot_balance_value")),
            rows="venue",
            columns="asset",
            unit=MONEY,
        ),
        bars(
            "What venues owe us, over the cap",
            "Everything a venue owes us, what is under way to it included. At 100 % it gets no more.",
            [
                Query(
                    over(
                        by("max", "venue, ccy", whole("arbot_counterparty_exposure")),
                        by("max", "venue, ccy", whole("arbot_counterparty_exposure_limit")),
                    ),
                    "{{venue}}",
                    instant=True,
                )
            ],
            SHARE,
            steps=LIMIT,
            most=1,
            wide=12,
            alerts=("ArbotCounterpartyExposure",),
        ),
    ),
)

ENGINE = Row(
    "Is the daemon well?",
    (
        heatmap(
            "Event loop lag",
            "How late a task that slept is woken. Dark cells above 5 ms: something holds the loop.",
            spread_out("arbot_event_loop_lag_seconds"),
            SECONDS,
            alerts=("ArbotEventLoopLag",),
        ),
        lines(
            "Queues",
            "Work that waits. A line that only climbs is a consumer that is stuck.",
            [Query(by("max", "queue", whole("arbot_queue_depth")), "{{queue}}")],
            COUNT,
            least=0,
            alerts=("ArbotQueueDropping",),
        ),
        lines(
            "Lines in the log, from warning up",
            "Warnings and errors a second. A change is worth a look at the log.",
            [Query(rate(whole("arbot_log_messages_total", 'level=~"warning|error|critical"'), "level"), "{{level}}")],
            EACH_SECOND,
            least=0,
            colors=LEVEL_COLORS,
        ),
    ),
)

BOARD = Board(
    uid="arbot-overview",
    title="arbot: overview",
    question="Is the desk safe, is it trading, is it earning?",
    rows=(SAFETY, MONEY_ROW, OPPORTUNITIES, RISK, EXECUTION, INVENTORY, ENGINE),
)
