"""Limits, switches, and what each penny can cost."""

from __future__ import annotations

from arbot.observe.catalogue.words import Metric

ROWS: tuple[Metric, ...] = (
    Metric("arbot_risk_limit_used_ratio", "gauge", "ratio", ("limit",), "Use of each limit, 1 = at the limit."),
    Metric(
        "arbot_risk_limit_breaches_total",
        "counter",
        "breaches",
        ("limit",),
        "Times a limit kept an arb from opening, or stopped trading until a person resets it.",
    ),
    Metric("arbot_limit_latched", "gauge", "-", ("limit",), "1 while the limit waits for a person."),
    Metric("arbot_kill_switch_engaged", "gauge", "-", ("scope",), "1 while the kill switch is engaged."),
    Metric(
        "arbot_kill_switch_trips_total",
        "counter",
        "trips",
        ("scope", "reason"),
        "Times it was engaged: operator (asked of this daemon), outside (thrown in the store).",
    ),
    Metric("arbot_trading_enabled", "gauge", "-", ("strategy",), "1 while new arbs may be opened."),
    Metric("arbot_trading_blocked", "gauge", "-", ("reason",), "1 for each reason why no arb may be opened now."),
    Metric("arbot_paused", "gauge", "-", (), "1 while a person has paused or halted it."),
    Metric("arbot_alerts_total", "counter", "alerts", ("severity",), "Alerts the daemon raised itself."),
    Metric("arbot_stablecoin_price_ratio", "gauge", "ratio", ("asset",), "A coin against its peg; 0 while unknown."),
    Metric("arbot_stablecoin_off_peg", "gauge", "-", ("asset",), "1 while the coin is off its peg and not traded."),
    Metric("arbot_loss_open", "gauge", "ccy", ("ccy",), "Loss of residuals that are open, at present prices."),
    Metric("arbot_stress_loss", "gauge", "ccy", ("scenario", "ccy"), "Loss at the worst node of each stress scenario."),
    Metric("arbot_stress_budget", "gauge", "ccy", ("scenario", "ccy"), "What each stress scenario may cost."),
    Metric(
        "arbot_pennies_per_steamroller_ratio",
        "gauge",
        "ratio",
        ("buy", "sell"),
        "Expected profit of this run's arbs over the stress loss they added, by venues.",
    ),
)
