"""arbot-treasury, the dashboard that asks whether the money is where it should be and the tax year is in order."""

from __future__ import annotations

from dashboards.board import Board, Row
from dashboards.looks import (
    BPS,
    COUNT,
    LIMIT,
    MONEY,
    NONE_EXPECTED,
    ORDINARY,
    SECONDS,
    SELDOM_EXPECTED,
    SHARE,
    WHEN,
    YES_IS_BAD,
)
from dashboards.panels import Column, bars, lines, matrix, stat, table, timeline
from dashboards.queries import (
    Query,
    age,
    age_or_zero,
    by,
    grown,
    in_bps,
    in_ms,
    over,
    per_minute,
    pick,
    quantile_shown,
    rate,
    some,
    top,
    whole,
)

NEVER = (("0", "never", "transparent"),)  # of a new desk nothing is amiss

OF_CAP = over(
    by("max", "venue, ccy", whole("arbot_counterparty_exposure")),
    by("max", "venue, ccy", whole("arbot_counterparty_exposure_limit")),
)
PEGGED = by("min", "asset", whole("arbot_stablecoin_price_ratio"))
UNMATCHED = by("max", "asset", whole("arbot_tax_unmatched_quantity"))

GLANCE = Row(
    "Does the money add up?",
    (
        stat(
            "Equity",
            "All balances and what is under way, at present prices.",
            [Query(by("sum", "ccy", pick("arbot_equity")), "{{ccy}}")],
            MONEY,
            named=True,
            decimals=2,
        ),
        stat(
            "Breaks",
            "Differences of ledger and venue that nobody explained. Any: `arbot ledger verify` names them; nothing is opened at that venue until they are explained.",
            [Query(by("sum", "", pick("arbot_reconciliation_breaks")))],
            COUNT,
            steps=NONE_EXPECTED,
            alerts=("ArbotReconciliationBreak",),
        ),
        stat(
            "Last agreed",
            "Longest time since ledger and a venue agreed. They are compared several times a minute.",
            [Query(age(pick("arbot_reconciliation_last_success_timestamp_seconds")))],
            SECONDS,
            steps=((None, "green"), (120, "orange"), (600, "red")),
            decimals=0,
            alerts=("ArbotReconciliationStale",),
        ),
        stat(
            "Under way",
            "Transfers that are not over.",
            [Query(by("sum", "", pick("arbot_transfers_in_transit")))],
            COUNT,
            missing=ORDINARY,
        ),
        stat(
            "Overdue",
            "Transfers later than their route allows. `arbot transfers list` has the ids to ask the venue about.",
            [Query(by("sum", "", pick("arbot_transfers_overdue")))],
            COUNT,
            steps=NONE_EXPECTED,
            alerts=("ArbotTransferLate",),
        ),
        stat(
            "Fullest cap",
            "The venue nearest to its cap. At 100 % nothing more goes there.",
            [Query(by("max", "", OF_CAP))],
            SHARE,
            steps=LIMIT,
            alerts=("ArbotCounterpartyExposure",),
            missing=ORDINARY,
        ),
        stat(
            "Coins off their peg",
            "Stablecoins that are not traded because of their price.",
            [Query(by("sum", "", whole("arbot_stablecoin_off_peg")))],
            COUNT,
            steps=NONE_EXPECTED,
            alerts=("ArbotStablecoinDepeg",),
            missing=ORDINARY,
        ),
        stat(
            "Without a price",
            "Events of the ledger, at the last count: the tax year is not complete with them. `arbot ledger openings` prints which.",
            [Query(by("max", "", whole("arbot_tax_unpriced_events")))],
            COUNT,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotTaxUnpriced",),
        ),
    ),
)

WHERE = Row(
    "Inventory",
    (
        matrix(
            "Balances, valued",
            "In the reporting currency. A missing cell has no price yet.",
            by("sum", "venue, asset", pick("arbot_balance_value")),
            rows="venue",
            columns="asset",
            unit=MONEY,
        ),
        matrix(
            "Balances",
            "Free and locked together, in the asset's own unit.",
            by("sum", "venue, asset", pick("arbot_balance")),
            rows="venue",
            columns="asset",
            unit="short",
        ),
        lines(
            "Away from what is wanted there",
            "Balance less what [rebalance] wants, over what it wants. Beyond ±50 %: that side can soon not trade; rebalance.",
            [Query(by("max", "venue, asset", pick("arbot_inventory_deviation_ratio")), "{{venue}} {{asset}}")],
            SHARE,
            wide=12,
            alerts=("ArbotInventorySkewed",),
        ),
        lines(
            "Net delta",
            "Base bought less sold over all venues. It should return to zero: what stays is a bet on the price.",
            [Query(by("sum", "asset", whole("arbot_net_delta")), "{{asset}}")],
            COUNT,
            wide=12,
            alerts=("ArbotUnhedgedExposure",),
        ),
    ),
)

TRANSFERS = Row(
    "Transfers",
    (
        lines(
            "Value under way",
            "At present prices, by asset.",
            [Query(by("sum", "asset, ccy", whole("arbot_transfers_in_transit_value")), "{{asset}} in {{ccy}}")],
            MONEY,
            stacked=True,
        ),
        lines(
            "Oldest under way",
            "Since the oldest transfer was asked for, by asset; 0 when there is none.",
            [Query(age_or_zero(whole("arbot_transfer_oldest_start_timestamp_seconds"), "asset"), "{{asset}}")],
            SECONDS,
            least=0,
            alerts=("ArbotTransferLate",),
        ),
        table(
            "Under way by route",
            "How many transfers are not over.",
            {"A": by("sum", "asset, src, dst", whole("arbot_transfers_in_transit"))},
            (Column("asset", "Asset"), Column("src", "From"), Column("dst", "To"), Column("Value", "Transfers", COUNT)),
            wide=8,
        ),
        bars(
            "Time to be credited, 95th percentile",
            "Of transfers credited in the time shown, by network. A network that slows down ties up what is sent over it.",
            [Query(quantile_shown(0.95, "arbot_transfer_duration_seconds", "network"), "{{network}}", instant=True)],
            SECONDS,
            alerts=("ArbotTransferLate",),
        ),
        bars(
            "Transfers by outcome",
            "In the time shown: credited, failed, stuck.",
            [Query(grown(whole("arbot_transfers_total"), "outcome"), "{{outcome}}", instant=True)],
            COUNT,
            decimals=0,
        ),
        bars(
            "Transfers not begun",
            "In the time shown, by reason. Not allow-listed or an address changed: nobody may send there; check by hand.",
            [
                Query(
                    some(10, grown(whole("arbot_transfers_refused_total"), "reason"), "reason"),
                    "{{reason}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
        ),
    ),
)

OWED = Row(
    "Who owes us what",
    (
        lines(
            "What venues owe us, over the cap",
            "What is under way to a venue included.",
            [
                Query(
                    OF_CAP,
                    "{{venue}}",
                )
            ],
            SHARE,
            steps=LIMIT,
            least=0,
            alerts=("ArbotCounterpartyExposure",),
        ),
        table(
            "What stands on whom",
            "Issuers, banks, chains and the like, and the cap where there is one.",
            {
                "A": by("max", "kind, node, ccy", whole("arbot_exposure")),
                "B": by("max", "kind, node, ccy", whole("arbot_exposure_limit")),
                "C": over(
                    by("max", "kind, node, ccy", whole("arbot_exposure")),
                    by("max", "kind, node, ccy", whole("arbot_exposure_limit")),
                ),
            },
            (
                Column("kind", "Kind"),
                Column("node", "On whom"),
                Column("ccy", "Currency"),
                Column("Value #A", "Stands", MONEY),
                Column("Value #B", "Cap", MONEY),
                Column("Value #C", "Of cap", SHARE, steps=LIMIT),
            ),
            wide=16,
            alerts=("ArbotCounterpartyExposure",),
        ),
        table(
            "Stress loss",
            "At the worst node of each scenario, and what it may cost. At 100 % nothing is opened that adds to it.",
            {
                "A": by("max", "scenario, ccy", whole("arbot_stress_loss")),
                "B": by("max", "scenario, ccy", whole("arbot_stress_budget")),
                "C": over(
                    by("max", "scenario, ccy", whole("arbot_stress_loss")),
                    by("max", "scenario, ccy", whole("arbot_stress_budget")),
                ),
            },
            (
                Column("scenario", "Scenario"),
                Column("ccy", "Currency"),
                Column("Value #A", "Loss", MONEY),
                Column("Value #B", "Budget", MONEY),
                Column("Value #C", "Of budget", SHARE, steps=LIMIT),
            ),
            alerts=("ArbotStressBudgetSpent",),
        ),
        lines(
            "Stablecoins against their peg",
            "In basis points; a coin of which no price is known is left out.",
            [
                Query(
                    in_bps(f"(({PEGGED} > 0) - 1)"),
                    "{{asset}}",
                )
            ],
            BPS,
            wide=12,
            alerts=("ArbotStablecoinDepeg",),
        ),
        timeline(
            "Coins off their peg",
            "And not traded until they hold a narrower band for a while.",
            [Query(by("max", "asset", whole("arbot_stablecoin_off_peg")), "{{asset}}")],
            YES_IS_BAD,
            high=4,
            alerts=("ArbotStablecoinDepeg",),
        ),
    ),
)

LEDGER = Row(
    "Ledger, fees and what risk earned",
    (
        lines(
            "Breaks by venue",
            "Differences of ledger and venue that nobody explained.",
            [Query(by("sum", "venue", pick("arbot_reconciliation_breaks")), "{{venue}}")],
            COUNT,
            least=0,
            alerts=("ArbotReconciliationBreak",),
        ),
        lines(
            "Since ledger and venue agreed",
            "By venue; a saw is good, a slope is a venue that is not asked or does not agree.",
            [Query(age(pick("arbot_reconciliation_last_success_timestamp_seconds"), "venue"), "{{venue}}")],
            SECONDS,
            least=0,
            alerts=("ArbotReconciliationStale",),
        ),
        bars(
            "Fees and rebates",
            "In the time shown, in the asset they were paid in: maker, taker, withdrawal, network, funding.",
            [
                Query(grown(pick("arbot_fees_total"), "kind, ccy"), "{{kind}} {{ccy}}", instant=True),
                Query(grown(pick("arbot_rebates_total"), "ccy"), "rebates {{ccy}}", instant=True),
            ],
            MONEY,
        ),
        lines(
            "Fees",
            "A minute, by venue, in the asset they were paid in.",
            [Query(per_minute(rate(pick("arbot_fees_total"), "venue, ccy")), "{{venue}} {{ccy}}")],
            MONEY,
            least=0,
            seldom=True,
            wide=12,
        ),
        table(
            "Pennies in front of the steamroller",
            "Expected profit of this run's arbs over the stress loss they added, by venues. Low: this pair of venues is not worth "
            "its risk.",
            {"A": by("min", "buy, sell", whole("arbot_pennies_per_steamroller_ratio"))},
            (Column("buy", "Bought at"), Column("sell", "Sold at"), Column("Value", "Profit over stress loss", SHARE)),
        ),
    ),
)

TAX = Row(
    "Tax",
    (
        stat(
            "Gain of the tax year",
            "So far, at the last count, by term, in the country's currency.",
            [Query(by("sum", "term, ccy", whole("arbot_tax_realized_gain")), "{{term}} {{ccy}}")],
            MONEY,
            named=True,
            decimals=2,
            wide=8,
        ),
        stat(
            "Last count",
            "When the figures of this row were counted; they do not move in between.",
            [Query(in_ms(by("min", "", whole("arbot_tax_counted_timestamp_seconds"))))],
            WHEN,
            words=NEVER,
            wide=4,
        ),
        stat(
            "Last report or export",
            "When a tax report or export was last made from this state folder. Before the filing date it should be young.",
            [Query(in_ms(by("max", "", whole("arbot_tax_export_last_success_timestamp_seconds"))))],
            WHEN,
            words=NEVER,
            wide=4,
        ),
        stat(
            "Lots open",
            "All assets, at the last count.",
            [Query(by("sum", "", whole("arbot_tax_open_lots")))],
            COUNT,
            wide=4,
        ),
        stat(
            "Unmatched assets",
            "Assets of which more was disposed of than was ever acquired in the books: a statement is missing: `arbot ledger import`.",
            [Query(by("sum", "", f"{UNMATCHED} > bool 0"))],
            COUNT,
            steps=SELDOM_EXPECTED,
            wide=4,
            alerts=("ArbotTaxUnmatched",),
        ),
        bars(
            "Open lots by asset",
            "Many small lots make long reports; they do no harm.",
            [Query(top(12, by("max", "asset", whole("arbot_tax_open_lots"))), "{{asset}}", instant=True)],
            COUNT,
        ),
        lines(
            "Events without a price",
            "At the last count. It should fall to zero when prices are fetched.",
            [Query(by("max", "", whole("arbot_tax_unpriced_events")), "events")],
            COUNT,
            least=0,
            alerts=("ArbotTaxUnpriced",),
        ),
        bars(
            "Unmatched quantity",
            "Disposed of without a lot it came from, by asset, in its own unit.",
            [Query(some(10, UNMATCHED, "asset"), "{{asset}}", instant=True)],
            COUNT,
            steps=SELDOM_EXPECTED,
        ),
    ),
)

BOARD = Board(
    uid="arbot-treasury",
    title="arbot: treasury and tax",
    question="Is the money where it should be, does it add up, and is the tax year in order?",
    rows=(GLANCE, WHERE, TRANSFERS, OWED, LEDGER, TAX),
    span="now-6h",
)
