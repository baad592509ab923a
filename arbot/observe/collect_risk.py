"""Puts what each penny can cost into gauges: stress and budget, exposures, venue health, pegs, money under way."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.transfer import TransferState
from arbot.engine.risk.stress import SCENARIOS
from arbot.observe.metrics import NS_PER_S, Metrics
from arbot.observe.risk import RiskView
from arbot.observe.status import Status

_BPS = Decimal(10_000)
OUTCOMES = (TransferState.CREDITED, TransferState.FAILED, TransferState.STUCK)


def prepare(metrics: Metrics, venues: Iterable[str]) -> None:
    """Make every child exist whose labels are known at the start."""
    make, names = metrics.ensure_children, tuple(venues)
    for name in (
        "arbot_venue_quarantined",
        "arbot_quarantines_total",
        "arbot_venue_ack_mean_seconds",
        "arbot_venue_ack_tail_seconds",
        "arbot_venue_refused_ratio",
        "arbot_venue_unanswered_ratio",
        "arbot_venue_cap_ratio",
        "arbot_quotes_resting",
    ):
        make(name, names)
    make("arbot_transfers_total", (state.value for state in OUTCOMES))
    make("arbot_transfers_refused_total", (reason.value for reason in Reason))


def read_watched(metrics: Metrics, status: Status) -> None:
    """Put venue health, pegs, money under way and resting quotes."""
    put, ccy = metrics.put, status.ccy
    for line in status.health:
        venue = (line.venue,)
        put("arbot_venue_quarantined", venue, line.is_quarantined)
        put("arbot_venue_ack_mean_seconds", venue, line.ack_ms_mean / 1_000)
        put("arbot_venue_ack_tail_seconds", venue, line.ack_ms_tail / 1_000)
        put("arbot_venue_refused_ratio", venue, line.reject_share)
        put("arbot_venue_unanswered_ratio", venue, line.unanswered_share)
        put("arbot_venue_cap_ratio", venue, line.cap_share)
    for peg in status.pegs:
        put("arbot_stablecoin_price_ratio", (peg.asset,), peg.rate)
        put("arbot_stablecoin_off_peg", (peg.asset,), peg.is_off)
    for transit in status.transit:
        asset = (transit.asset,)
        put("arbot_transfers_in_transit", asset, transit.count)
        put("arbot_transfers_in_transit_value", (transit.asset, ccy), transit.value)
        put("arbot_transfers_overdue", asset, transit.overdue)
        put("arbot_transfer_oldest_start_timestamp_seconds", asset, transit.oldest_ts_ns / NS_PER_S)
    for venue_name, count in status.quotes_resting.items():
        put("arbot_quotes_resting", (venue_name,), count)


def read_risk(metrics: Metrics, view: RiskView) -> None:
    """Put stress against budget, exposure against cap, tails, and pennies per steamroller."""
    put, ccy = metrics.put, view.ccy
    for scenario in SCENARIOS:
        rows = [row for row in view.stress if row.scenario == scenario.name]
        worst = max(rows, key=lambda row: row.loss, default=None)
        if worst is not None:
            put("arbot_stress_loss", (scenario.name, ccy), worst.loss)
            put("arbot_stress_budget", (scenario.name, ccy), worst.budget)
    for row in view.exposures:
        put("arbot_exposure", (row.kind, row.node, ccy), row.value)
        if row.limit is not None:
            put("arbot_exposure_limit", (row.kind, row.node, ccy), row.limit)
    for tail in view.tails:
        symbol, _, buy = tail.buy.rpartition("@")
        put("arbot_tail_ratio", (buy, tail.sell.rpartition("@")[2], symbol), tail.tail_bps / _BPS)
    for pennies in view.pennies:
        put("arbot_pennies_per_steamroller_ratio", (pennies.buy_venue, pennies.sell_venue), pennies.ratio)
    put("arbot_loss_open", (ccy,), view.loss_open)
