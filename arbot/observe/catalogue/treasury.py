"""Balances, transfers, who owes us what, profit, and the tax year."""

from __future__ import annotations

from arbot.observe.catalogue.words import TRANSFER, Metric

ROWS: tuple[Metric, ...] = (
    # inventory
    Metric(
        "arbot_balance", "gauge", "asset", ("venue", "asset", "state"), "Balance: free, locked.", labelsets_max=4_000
    ),
    Metric(
        "arbot_balance_value",
        "gauge",
        "ccy",
        ("venue", "asset", "ccy"),
        "Balance at present prices; absent while there is no price.",
        labelsets_max=2_000,
    ),
    Metric(
        "arbot_inventory_deviation_ratio",
        "gauge",
        "ratio",
        ("venue", "asset"),
        "Balance less what [rebalance] wants there, over what it wants; absent where it wants nothing.",
        labelsets_max=2_000,
    ),
    Metric("arbot_net_delta", "gauge", "asset", ("asset",), "Base bought less sold over all venues, by fills."),
    Metric(
        "arbot_reconciliation_breaks",
        "gauge",
        "breaks",
        ("venue",),
        "Differences of ledger and venue nobody explained.",
    ),
    Metric(
        "arbot_reconciliation_last_success_timestamp_seconds",
        "gauge",
        "seconds",
        ("venue",),
        "Unix time at which ledger and venue last agreed; the start of the run before the first.",
    ),
    # transfers
    Metric(
        "arbot_transfers_total",
        "counter",
        "transfers",
        ("asset", "network", "outcome"),
        "Transfers by outcome: credited, failed, stuck.",
    ),
    Metric(
        "arbot_transfers_in_transit",
        "gauge",
        "transfers",
        ("asset", "src", "dst"),
        "Transfers that are not over.",
    ),
    Metric(
        "arbot_transfers_in_transit_value",
        "gauge",
        "ccy",
        ("asset", "ccy"),
        "What they are worth now; absent while there is no price.",
    ),
    Metric("arbot_transfers_overdue", "gauge", "transfers", ("asset",), "Transfers later than their route allows."),
    Metric(
        "arbot_transfer_oldest_start_timestamp_seconds",
        "gauge",
        "seconds",
        ("asset",),
        "Unix time at which the oldest transfer under way was asked for; 0 when none is.",
    ),
    Metric(
        "arbot_transfer_duration_seconds",
        "histogram",
        "seconds",
        ("asset", "network"),
        "Transfer asked for to credited.",
        TRANSFER,
    ),
    Metric("arbot_transfers_refused_total", "counter", "transfers", ("reason",), "Transfers not begun, by reason."),
    # counterparties
    Metric(
        "arbot_counterparty_exposure",
        "gauge",
        "ccy",
        ("venue", "ccy"),
        "Everything the company behind a venue owes us, what is under way to it included; of venues of one company each tells it all.",
    ),
    Metric(
        "arbot_counterparty_exposure_limit",
        "gauge",
        "ccy",
        ("venue", "ccy"),
        "The cap on that; absent while the capital has no price.",
    ),
    Metric("arbot_exposure", "gauge", "ccy", ("kind", "node", "ccy"), "What stands on an issuer, a bank, a chain ..."),
    Metric("arbot_exposure_limit", "gauge", "ccy", ("kind", "node", "ccy"), "The cap on that, where there is one."),
    # profit
    Metric("arbot_pnl_gross", "gauge", "ccy", ("strategy", "ccy"), "Profit of closed arbs before fees, this run."),
    Metric("arbot_pnl_net", "gauge", "ccy", ("strategy", "ccy"), "Profit of closed arbs after fees, this run."),
    Metric("arbot_realised", "gauge", "ccy", ("ccy",), "Profit after fees over all runs of this store."),
    Metric("arbot_realised_day", "gauge", "ccy", ("ccy",), "Profit after fees of the UTC day."),
    Metric(
        "arbot_fees_total",
        "counter",
        "ccy",
        ("venue", "kind", "ccy"),
        "Fees paid, in the asset they were paid in: maker, taker, withdrawal, network, funding.",
    ),
    Metric("arbot_rebates_total", "counter", "ccy", ("venue", "ccy"), "Maker rebates received, in their asset."),
    Metric(
        "arbot_equity",
        "gauge",
        "ccy",
        ("ccy",),
        "Balances of traded assets and what of them is under way, at present prices; absent while one has none.",
    ),
    Metric(
        "arbot_drawdown_ratio",
        "gauge",
        "ratio",
        (),
        "Fall of realised profit from its peak, over equity; absent with it.",
    ),
    # tax
    Metric("arbot_tax_open_lots", "gauge", "lots", ("asset",), "Lots that are open, at the last count."),
    Metric(
        "arbot_tax_realized_gain",
        "gauge",
        "ccy",
        ("term", "ccy"),
        "Gain of the tax year so far, at the last count, in the country's currency.",
    ),
    Metric(
        "arbot_tax_unpriced_events", "gauge", "events", (), "Events of the ledger without a price, at the last count."
    ),
    Metric(
        "arbot_tax_unmatched_quantity",
        "gauge",
        "asset",
        ("asset",),
        "Quantity disposed of without a lot it came from, at the last count.",
    ),
    Metric(
        "arbot_tax_counted_timestamp_seconds",
        "gauge",
        "seconds",
        (),
        "Unix time of the last count; 0 before the first.",
    ),
    Metric(
        "arbot_tax_export_last_success_timestamp_seconds",
        "gauge",
        "seconds",
        (),
        "Unix time of the last tax report or export made from this state folder; 0 when there was none.",
    ),
)
