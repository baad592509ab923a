"""For every alert the trouble that raises it: planted in the numbers of a real daemon, or done to the daemon itself.

Rows of one act are planted together; they stand apart where one alert keeps another quiet (inhibition), or where two want
opposite numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.altered import Plant

FAR = 3_600.0  # seconds: older than any threshold

KRAKEN, COINBASE = {"venue": "kraken"}, {"venue": "coinbase"}


def _histogram(name: str, labels: Mapping[str, str], *up_to: str) -> tuple[Plant, ...]:
    """Let a histogram rise by 30 a second, all of it above the buckets that are not named."""
    return (
        Plant(f"{name}_count", "rise", 30, labels),
        *(Plant(f"{name}_bucket", "rise", 30, {**labels, "le": bound}) for bound in (*up_to, "+Inf")),
    )


CALM = (
    Plant("arbot_event_loop_lag_seconds_bucket", "set", 0),
    Plant("arbot_event_loop_lag_seconds_count", "set", 0),
)
"""What a busy machine does to the daemon while it is tested."""

MANY: dict[str, tuple[Plant, ...]] = {
    "ArbotUnhedgedExposure": (Plant("arbot_unhedged_since_timestamp_seconds", "ago", 90, {"asset": "BTC"}),),
    "ArbotUnknownOrders": (Plant("arbot_unknown_orders", "set", 1, KRAKEN),),
    "ArbotReconciliationBreak": (Plant("arbot_reconciliation_breaks", "set", 2, COINBASE),),
    "ArbotJournalFailing": (Plant("arbot_journal_errors_total", "rise", 1),),
    "ArbotDrawdown": (Plant("arbot_risk_limit_used_ratio", "set", 0.9, {"limit": "drawdown"}),),
    "ArbotTaskStalled": (Plant("arbot_task_beat_due_timestamp_seconds", "ago", FAR, {"task": "lag"}),),
    "ArbotCriticalAlert": (Plant("arbot_alerts_total", "rise", 1, {"severity": "critical"}),),
    "ArbotBookStale": (Plant("arbot_book_last_update_timestamp_seconds", "ago", FAR, {**KRAKEN, "symbol": "BTC/USD"}),),
    "ArbotChecksumFailures": (Plant("arbot_book_checksums_total", "rise", 4, {**KRAKEN, "outcome": "mismatch"}),),
    "ArbotReconnectStorm": (
        Plant("arbot_ws_connects_total", "rise", 5, {**COINBASE, "channel": "market", "reason": "silent"}),
    ),
    "ArbotVenueQuarantined": (Plant("arbot_venue_quarantined", "set", 1, KRAKEN),),
    "ArbotRateLimited": (
        Plant("arbot_rest_requests_total", "rise", 1, {**KRAKEN, "endpoint": "orders", "status": "429"}),
    ),
    "ArbotOrderRejects": (
        Plant("arbot_order_rejects_total", "rise", 10, {**COINBASE, "reason": "insufficient_funds"}),
        Plant("arbot_orders_total", "rise", 10, {**COINBASE, "side": "buy", "outcome": "rejected"}),
    ),
    "ArbotLegSlow": _histogram("arbot_leg_fill_seconds", {**COINBASE, "leg": "leg"}),
    "ArbotClockSkew": (Plant("arbot_clock_skew_seconds", "set", -2, COINBASE),),
    "ArbotReconciliationStale": (Plant("arbot_reconciliation_last_success_timestamp_seconds", "ago", FAR, KRAKEN),),
    "ArbotTradingBlocked": (Plant("arbot_trading_blocked", "set", 1, {"reason": "price_unknown"}),),
    "ArbotSlippageHigh": _histogram("arbot_slippage_ratio", {**KRAKEN, "side": "buy"}),
    "ArbotEdgeNotCaptured": _histogram("arbot_edge_capture_ratio", {"strategy": "cross_venue"}, "0.25"),
    "ArbotTransferLate": (Plant("arbot_transfers_overdue", "set", 1, {"asset": "BTC"}),),
    "ArbotCounterpartyExposure": (
        Plant("arbot_counterparty_exposure", "set", 95, {**KRAKEN, "ccy": "USD"}),
        Plant("arbot_counterparty_exposure_limit", "set", 100, {**KRAKEN, "ccy": "USD"}),
    ),
    "ArbotInventorySkewed": (Plant("arbot_inventory_deviation_ratio", "set", -0.9, {**KRAKEN, "asset": "BTC"}),),
    "ArbotStablecoinDepeg": (Plant("arbot_stablecoin_off_peg", "set", 1, {"asset": "USDT"}),),
    "ArbotStressBudgetSpent": (Plant("arbot_risk_limit_used_ratio", "set", 1.1, {"limit": "stress_budget"}),),
    "ArbotTaxUnpriced": (Plant("arbot_tax_unpriced_events", "set", 3),),
    "ArbotTaxUnmatched": (Plant("arbot_tax_unmatched_quantity", "set", 0.5, {"asset": "BTC"}),),
    "ArbotTaxCountStale": (Plant("arbot_tax_counted_timestamp_seconds", "ago", 60 * FAR),),
    "ArbotEventLoopLag": (
        Plant("arbot_event_loop_lag_seconds_count", "rise", 5_000),
        Plant("arbot_event_loop_lag_seconds_bucket", "rise", 5_000, {"le": "0.25"}),
        Plant("arbot_event_loop_lag_seconds_bucket", "rise", 5_000, {"le": "1.0"}),
        Plant("arbot_event_loop_lag_seconds_bucket", "rise", 5_000, {"le": "+Inf"}),
    ),
    "ArbotQueueDropping": (Plant("arbot_queue_dropped_total", "rise", 2, {"queue": "notify", "reason": "full"}),),
    "ArbotRestarting": (Plant("arbot_start_timestamp_seconds", "rise", 1),),
    "ArbotTaskRestarting": (Plant("arbot_task_restarts_total", "rise", 4, {"task": "notify"}),),
    "ArbotConfigReloadFailed": (Plant("arbot_config_last_reload_successful", "set", 0),),
    "ArbotNotifyFailing": (Plant("arbot_notifications_total", "rise", 1, {"channel": "webhook", "outcome": "failed"}),),
    "ArbotControlDenied": (Plant("arbot_control_commands_total", "rise", 4, {"command": "kill", "outcome": "denied"}),),
    "ArbotDiskFilling": (Plant("arbot_disk_free_bytes", "set", 1e9),),
}
"""Troubles that can come at the same time."""

STOPPED: dict[str, tuple[Plant, ...]] = {
    "ArbotArbStranded": (Plant("arbot_trading_blocked", "set", 1, {"reason": "stranded"}),),
    "ArbotRiskLimitBreached": (Plant("arbot_limit_latched", "set", 1, {"limit": "loss_day"}),),
    "ArbotVenueDegraded": (Plant("arbot_venue_state", "set", 1, {**KRAKEN, "arbot_venue_state": "connecting"}),),
}
"""Troubles that keep others quiet."""

NOTHING: dict[str, tuple[Plant, ...]] = {
    "ArbotNoOpportunities": (
        Plant("arbot_routes_declined_total", "set", 5),
        Plant("arbot_opportunities_total", "set", 5),
        Plant("arbot_trading_enabled", "set", 1),
        Plant("arbot_book_valid", "set", 1),
    ),
}
"""Nothing at all happens."""

DONE = ("ArbotDown", "ArbotAbsent", "ArbotKillSwitchEngaged", "Watchdog")
"""What is done to the daemon, the target, and the chain themselves."""
