"""Is every metric still there that operators' dashboards, rules and habits rely on?"""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from arbot.domain.ids import Asset, VenueId
from arbot.engine.config import EngineConfig
from arbot.engine.state import State
from arbot.observe.catalogue import CATALOGUE, GROUPS
from arbot.observe.catalogue.words import LABELS, MODES, SERIES_MAX, Metric
from arbot.observe.collect import Collector
from arbot.observe.collect.words import RunFacts
from arbot.observe.metrics import Metrics
from arbot.observe.risk import NoBooks
from tests.support.metric_tables import seen_in

VENUES = ("kraken", "coinbase", "binance", "okx")
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD")
FACTS = RunFacts(
    version="1.0",
    mode=MODES[0],
    strategy="cross_venue",
    ccy="USD",
    started_ts_ns=1_700_000_000_000_000_000,
    venues=VENUES,
    symbols=dict.fromkeys(VENUES, SYMBOLS),
    assets=("BTC", "ETH", "SOL", "USD"),
)

RELIED_ON = (
    ("arbot_venue_state", "stateset", "venue"),
    ("arbot_ws_messages_total", "counter", "venue channel"),
    ("arbot_ws_received_bytes_total", "counter", "venue"),
    ("arbot_ws_connects_total", "counter", "venue channel reason"),
    ("arbot_ws_parse_errors_total", "counter", "venue channel"),
    ("arbot_feed_latency_seconds", "histogram", "venue"),
    ("arbot_clock_skew_seconds", "gauge", "venue"),
    ("arbot_book_last_update_timestamp_seconds", "gauge", "venue symbol"),
    ("arbot_book_updates_total", "counter", "venue symbol"),
    ("arbot_book_checksums_total", "counter", "venue outcome"),
    ("arbot_book_resyncs_total", "counter", "venue reason"),
    ("arbot_rest_requests_total", "counter", "venue endpoint status"),
    ("arbot_rest_request_duration_seconds", "histogram", "venue endpoint"),
    ("arbot_rate_limit_used_ratio", "gauge", "venue bucket"),
    ("arbot_spread_gross_ratio", "gauge", "pair route"),
    ("arbot_spread_net_ratio", "gauge", "pair route"),
    ("arbot_opportunities_total", "counter", "strategy pair outcome"),
    ("arbot_opportunity_rejects_total", "counter", "strategy reason"),
    ("arbot_opportunity_edge_ratio", "histogram", "strategy"),
    ("arbot_opportunity_lifetime_seconds", "histogram", "strategy"),
    ("arbot_decision_book_age_seconds", "histogram", "strategy"),
    ("arbot_decision_latency_seconds", "histogram", "strategy"),
    ("arbot_orders_total", "counter", "venue side outcome"),
    ("arbot_order_rejects_total", "counter", "venue reason"),
    ("arbot_order_ack_seconds", "histogram", "venue"),
    ("arbot_leg_fill_seconds", "histogram", "venue leg"),
    ("arbot_leg_skew_seconds", "histogram", "strategy"),
    ("arbot_fill_ratio", "histogram", "venue"),
    ("arbot_slippage_ratio", "histogram", "venue side"),
    ("arbot_slippage_cost_total", "counter", "venue ccy"),
    ("arbot_slippage_gain_total", "counter", "venue ccy"),
    ("arbot_traded_notional_total", "counter", "venue side ccy"),
    ("arbot_open_orders", "gauge", "venue"),
    ("arbot_unknown_orders", "gauge", "venue"),
    ("arbot_trades_total", "counter", "strategy outcome"),
    ("arbot_trades_in_flight", "gauge", "strategy"),
    ("arbot_unhedged_notional", "gauge", "asset ccy"),
    ("arbot_unhedged_since_timestamp_seconds", "gauge", "asset"),
    ("arbot_unhedged_seconds_total", "counter", "asset"),
    ("arbot_balance", "gauge", "venue asset state"),
    ("arbot_balance_value", "gauge", "venue asset ccy"),
    ("arbot_inventory_deviation_ratio", "gauge", "venue asset"),
    ("arbot_reconciliation_breaks", "gauge", "venue"),
    ("arbot_reconciliation_last_success_timestamp_seconds", "gauge", "venue"),
    ("arbot_transfers_total", "counter", "asset network outcome"),
    ("arbot_transfers_in_transit", "gauge", "asset src dst"),
    ("arbot_transfers_in_transit_value", "gauge", "asset ccy"),
    ("arbot_transfer_oldest_start_timestamp_seconds", "gauge", "asset"),
    ("arbot_transfer_duration_seconds", "histogram", "asset network"),
    ("arbot_counterparty_exposure", "gauge", "venue ccy"),
    ("arbot_counterparty_exposure_limit", "gauge", "venue ccy"),
    ("arbot_pnl_gross", "gauge", "strategy ccy"),
    ("arbot_pnl_net", "gauge", "strategy ccy"),
    ("arbot_fees_total", "counter", "venue kind ccy"),
    ("arbot_rebates_total", "counter", "venue ccy"),
    ("arbot_edge_capture_ratio", "histogram", "strategy"),
    ("arbot_equity", "gauge", "ccy"),
    ("arbot_drawdown_ratio", "gauge", ""),
    ("arbot_risk_limit_used_ratio", "gauge", "limit"),
    ("arbot_risk_limit_breaches_total", "counter", "limit"),
    ("arbot_kill_switch_engaged", "gauge", "scope"),
    ("arbot_kill_switch_trips_total", "counter", "scope reason"),
    ("arbot_trading_enabled", "gauge", "strategy"),
    ("arbot_stablecoin_price_ratio", "gauge", "asset"),
    ("arbot_tax_open_lots", "gauge", "asset"),
    ("arbot_tax_realized_gain", "gauge", "term ccy"),
    ("arbot_tax_unpriced_events", "gauge", ""),
    ("arbot_tax_unmatched_quantity", "gauge", "asset"),
    ("arbot_tax_export_last_success_timestamp_seconds", "gauge", ""),
    ("arbot_build_info", "info", "version mode"),
    ("arbot_mode", "stateset", ""),
    ("arbot_event_loop_lag_seconds", "histogram", ""),
    ("arbot_event_loop_tasks", "gauge", ""),
    ("arbot_gc_pause_seconds", "histogram", "generation"),
    ("arbot_queue_depth", "gauge", "queue"),
    ("arbot_queue_dropped_total", "counter", "queue reason"),
    ("arbot_queue_wait_seconds", "histogram", "queue"),
    ("arbot_task_last_beat_timestamp_seconds", "gauge", "task"),
    ("arbot_task_restarts_total", "counter", "task"),
    ("arbot_exceptions_total", "counter", "task"),
    ("arbot_log_messages_total", "counter", "level"),
    ("arbot_journal_write_seconds", "histogram", ""),
    ("arbot_journal_errors_total", "counter", ""),
    ("arbot_config_last_reload_successful", "gauge", ""),
    ("arbot_config_last_reload_success_timestamp_seconds", "gauge", ""),
    ("arbot_notifications_total", "counter", "channel outcome"),
    ("arbot_control_commands_total", "counter", "command outcome"),
    ("arbot_http_requests_total", "counter", "route status"),
    ("arbot_sse_clients", "gauge", ""),
)  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "labels"), RELIED_ON, ids=[row[0] for row in RELIED_ON])
def test_what_is_relied_on_keeps_its_name_kind_and_labels(name: str, kind: str, labels: str) -> None:
    """A metric renamed or with another label empties panels and silences alerts of people who are not asked."""
    assert (CATALOGUE[name].kind, CATALOGUE[name].labels) == (kind, tuple(labels.split()))


def test_nothing_relied_on_is_listed_twice() -> None:
    """The list is of 89 metrics."""
    assert len({name for name, _, _ in RELIED_ON}) == len(RELIED_ON) == 89


def test_each_metric_is_in_one_group() -> None:
    """No name is given twice, in one group or in two."""
    assert len(CATALOGUE) == sum(len(rows) for rows in GROUPS.values())


def test_each_label_is_explained_and_used() -> None:
    """LABELS has exactly the labels that metrics have."""
    assert sorted(LABELS) == sorted({label for metric in CATALOGUE.values() for label in metric.labels})


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=CATALOGUE)
def test_a_metric_with_a_reason_not_to_be_watched_is_not(metric: Metric) -> None:
    """`unwatched` is taken out again when a panel or a rule begins to use the metric."""
    assert not metric.unwatched or not seen_in(metric)


@pytest.fixture(scope="module")
def at_the_start() -> str:
    """Return the text of a daemon of four venues and three symbols before its first event."""
    metrics = Metrics()
    config = EngineConfig(ccy=Asset("USD"), venues=tuple(map(VenueId, VENUES)), instruments=())
    Collector(metrics, FACTS, State(config, NoBooks()))
    return "".join(metrics.texts())


def test_a_small_daemon_keeps_within_its_series(at_the_start: str) -> None:
    """Four venues with three symbols each have room left for what comes into being later."""
    series = sum(len(family.samples) for family in text_string_to_metric_families(at_the_start))
    assert series < 0.8 * SERIES_MAX


def test_prometheus_own_linter_finds_nothing(at_the_start: str) -> None:
    """`promtool check metrics` has nothing to say about names, units, help or types."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: Debian's package `prometheus` has it")
    found = subprocess.run(
        [promtool, "check", "metrics"], input=at_the_start.encode(), capture_output=True, check=False
    )
    assert (0, "") == (found.returncode, (found.stdout + found.stderr).decode())
