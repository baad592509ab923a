"""The metrics: what the catalogue promises, and that what is counted comes out."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

import arbot
from arbot.domain.commands import RaiseAlert, Severity, SubmitOrder
from arbot.domain.decisions import (
    ArbClosed,
    ArbOpened,
    ArbStranded,
    FillClashed,
    LimitLatched,
    OpportunityDeclined,
    OpportunitySeen,
    OrderRefused,
    OrphanFillFound,
    Outcome,
    QuotePulled,
    Reason,
)
from arbot.domain.errors import InvariantBroken
from arbot.domain.events import (
    BookFault,
    BookInvalidated,
    Envelope,
    FeedConnected,
    OperatorRequested,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    RejectCode,
    RequestOutcomeUnknown,
    Stream,
    TimerFired,
    Verb,
)
from arbot.domain.ids import ArbId, Asset, ClientOrderId, InstrumentId, TradeId, VenueId, VenueOrderId
from arbot.domain.order import (
    Approved,
    Fill,
    Liquidity,
    OrderIntent,
    Purpose,
    Side,
    TimeInForce,
)
from arbot.domain.units import Amount
from arbot.engine.config import EngineConfig
from arbot.engine.state import Arb, OrderRecord, State
from arbot.observe.catalogue import CATALOGUE
from arbot.observe.catalogue.words import LABELS
from arbot.observe.collect import Collector
from arbot.observe.collect.words import Readings, RunFacts
from arbot.observe.metrics import Metrics
from arbot.observe.recent import Recent
from arbot.observe.summary import Summary
from arbot.runtime.latency import LatencyHistogram

PRODUCT = Path(arbot.__file__).parent
UNITS = {"seconds": "_seconds", "bytes": "_bytes", "ratio": "_ratio"}
BUY, SELL = InstrumentId("BTC/USD@kraken"), InstrumentId("BTC/USD@coinbase")
ORDER = ClientOrderId("ab0001000001101")
START_NS = 1_700_000_000_000_000_000
FACTS = RunFacts(
    version="1",
    mode="demo",
    strategy="cross_venue",
    ccy="USD",
    started_ts_ns=START_NS,
    venues=("kraken", "coinbase"),
    symbols={"kraken": ("BTC/USD",), "coinbase": ("BTC/USD",)},
    assets=("BTC", "USD"),
)
STRATEGY = ("cross_venue",)


def fill(**changes: object) -> Fill:
    facts: dict[str, object] = {
        "venue": VenueId("kraken"),
        "instrument": BUY,
        "base": Asset("BTC"),
        "quote": Asset("USD"),
        "client_order_id": ORDER,
        "venue_order_id": VenueOrderId("O1"),
        "trade_id": TradeId("T1"),
        "side": Side.BUY,
        "qty": Decimal("0.5"),
        "price": Decimal(100),
        "fee": Amount(Decimal("0.2"), Asset("USD")),
        "liquidity": Liquidity.TAKER,
        "venue_ts_ns": START_NS,
    }
    return Fill(**{**facts, **changes})


def submit() -> SubmitOrder:
    return SubmitOrder(
        approved=Approved(
            OrderIntent(
                client_order_id=ORDER,
                arb_id=ArbId("1-1"),
                purpose=Purpose.LEG,
                venue=VenueId("kraken"),
                instrument=BUY,
                symbol="BTC/USD",
                base=Asset("BTC"),
                quote=Asset("USD"),
                side=Side.BUY,
                qty=Decimal("0.5"),
                limit_price=Decimal(100),
                tif=TimeInForce.IOC,
                fee_rate=Decimal("0.004"),
                decided_ts_ns=START_NS,
                deadline_ns=START_NS,
            ),
            ("may_open",),
        )
    )


def envelope(event: object, after_ms: int = 0) -> Envelope:
    return Envelope(1, START_NS + after_ms * 1_000_000, event)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def collector(metrics: Metrics) -> Collector:
    """Return a collector beside an engine that knows of one arb, with one order."""
    state = State(
        config=EngineConfig(ccy=Asset("USD"), venues=(VenueId("kraken"),), instruments=(BUY,)), market=NoBooks()
    )
    intent = submit().approved.intent
    state.orders[ORDER] = OrderRecord(intent)
    state.arbs[ArbId("1-1")] = Arb(
        id=ArbId("1-1"), number=1, buy=BUY, sell=SELL, base=Asset("BTC"), quote=Asset("USD"), qty=Decimal(1),
        buy_price=Decimal(1), sell_price=Decimal(1), opened_ts_ns=START_NS, orders=[ORDER],
    )  # fmt: skip
    return Collector(metrics, FACTS, state)


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=CATALOGUE)
def test_each_metric_follows_the_naming_rules(metric: object) -> None:
    """Each name has the prefix, says its unit, ends in _total exactly when it never falls, and has a sentence of help."""
    assert metric.name.startswith("arbot_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    stem = metric.name.removesuffix("_total")
    assert stem.endswith(UNITS.get(metric.unit, ""))
    assert metric.help[0].isupper() or metric.help.startswith(("1 while", "1 for each", "1 when", "asyncio"))
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert bool(metric.states) == (metric.kind == "stateset")
    assert set(metric.labels) <= set(LABELS)
    assert list(metric.buckets) == sorted(metric.buckets)
    assert ("ccy" in metric.labels) == (metric.unit == "ccy")
    assert not ("symbol" in metric.labels and metric.kind == "histogram")


def names_used() -> Iterator[str]:
    for path in PRODUCT.rglob("*.py"):
        if path.parent.name != "catalogue":
            for node in ast.walk(ast.parse(path.read_text())):
                is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
                if (
                    is_text
                    and node.value.startswith("arbot_")
                    and node.value.isidentifier()
                    and not node.value.endswith("_")
                ):
                    yield node.value


def test_the_catalogue_and_the_code_name_the_same_metrics() -> None:
    """Nothing is counted that is not in the catalogue, and nothing is in the catalogue that nobody counts."""
    assert sorted(set(names_used())) == sorted(CATALOGUE)


def test_an_unknown_metric_cannot_be_counted(metrics: Metrics) -> None:
    """A name outside the catalogue and labels of the wrong number are refused."""
    with pytest.raises(KeyError):
        metrics.add("arbot_invented_total")
    with pytest.raises(InvariantBroken):
        metrics.add("arbot_fees_total", ("kraken",))


@pytest.mark.usefixtures("collector")
async def test_every_label_set_exists_from_the_start(metrics: Metrics) -> None:
    """Before the first event every known venue, stream and reason has its series with the value zero."""
    text = (await metrics.render()).decode()
    assert 'arbot_ws_messages_total{channel="market",venue="coinbase"} 0.0' in text
    for reason in Reason:
        assert f'arbot_routes_declined_total{{reason="{reason}"}} 0.0' in text
    assert 'arbot_build_info{mode="demo",version="1"} 1.0' in text
    assert len(text.splitlines()) < 3_000


async def test_the_exposition_is_valid_and_complete(metrics: Metrics) -> None:
    """A parser of Prometheus' own format finds every family of the catalogue in the text."""
    text = (await metrics.render()).decode()
    found = {family.name for family in text_string_to_metric_families(text)}
    assert {
        name.removesuffix("_total") if metric.kind == "counter" else name for name, metric in CATALOGUE.items()
    } <= (found)


STEPS = [
    (TimerFired(key="x"), (OpportunitySeen,), "arbot_events_total", (), 1),
    (
        BookInvalidated(instrument=BUY, fault=BookFault.CHECKSUM),
        (),
        "arbot_book_faults_total",
        ("kraken", "checksum"),
        1,
    ),
    (FeedConnected(venue="kraken", stream=Stream.MARKET), (), "arbot_ws_up", ("kraken", "market"), 1),
    (OperatorRequested(verb=Verb.KILL, actor="a"), (), "arbot_control_commands_total", ("kill", "done"), 1),
    (OrderFilled(fill=fill()), (), "arbot_fills_total", ("kraken", "buy", "taker"), 1),
    (OrderFilled(fill=fill()), (), "arbot_traded_notional_total", ("kraken", "buy", "USD"), 50),
    (OrderFilled(fill=fill()), (), "arbot_fees_total", ("kraken", "taker", "USD"), 0.2),
    (
        OrderFilled(fill=fill(fee=Amount(Decimal("-0.1"), Asset("USD")))),
        (),
        "arbot_rebates_total",
        ("kraken", "USD"),
        0.1,
    ),
]


@pytest.mark.parametrize(("event", "_decisions", "name", "labels", "value"), STEPS, ids=[row[2] for row in STEPS])
def test_each_event_is_counted(
    event: object,
    _decisions: object,
    name: str,
    labels: tuple[str, ...],
    value: float,
    metrics: Metrics,
    collector: Collector,
) -> None:
    """One event of each kind moves its metric by what it says."""
    collector.observe(envelope(event), Outcome())
    assert metrics.value(name, labels) == pytest.approx(value)


DECISIONS = [
    (OpportunityDeclined(buy=BUY, sell=SELL, reason=Reason.BOOK_SKEW), "arbot_routes_declined_total", ("book_skew",)),
    (OrderRefused(arb_id="1-1", purpose=Purpose.HEDGE, reason=Reason.HEDGE_LOSS), "arbot_orders_refused_total", ("hedge_loss",)),
    (ArbStranded(arb_id="1-1", residual=Decimal(1), base="BTC", why="x"), "arbot_trades_total", ("cross_venue", "failed")),
    (OrphanFillFound(client_order_id=ORDER, arb_id=None, qty=Decimal(1)), "arbot_orphan_fills_total", ()),
    (FillClashed(client_order_id=ORDER, trade_id="T"), "arbot_fill_clashes_total", ()),
    (LimitLatched(limit="loss_day", value=Decimal(1), bound=Decimal(1)), "arbot_risk_limit_breaches_total", ("loss_day",)),
]  # fmt: skip


@pytest.mark.parametrize(("decision", "name", "labels"), DECISIONS, ids=[row[1] for row in DECISIONS])
def test_each_decision_is_counted(
    decision: object, name: str, labels: tuple[str, ...], metrics: Metrics, collector: Collector
) -> None:
    """One decision of each kind counts one."""
    collector.observe(envelope(TimerFired(key="x")), Outcome(decisions=(decision,)))
    assert metrics.value(name, labels) == 1


def test_a_fill_that_comes_twice_is_counted_once(metrics: Metrics, collector: Collector) -> None:
    """Stream and REST tell of the same fill; volume and fees count it once."""
    for _ in range(2):
        collector.observe(envelope(OrderFilled(fill=fill())), Outcome())
    assert metrics.value("arbot_fills_total", ("kraken", "buy", "taker")) == 1


def test_answers_are_attributed_to_the_venue_of_the_order(metrics: Metrics, collector: Collector) -> None:
    """Acceptance, refusal and silence name an order; the metric names the venue it was sent to."""
    collector.observe(envelope(TimerFired(key="x")), Outcome(commands=(submit(),)))
    collector.observe(
        envelope(OrderRejected(client_order_id=ORDER, code=RejectCode.INSUFFICIENT_FUNDS, detail="")), Outcome()
    )
    collector.observe(envelope(RequestOutcomeUnknown(client_order_id=ORDER, request="submit", detail="")), Outcome())
    assert metrics.value("arbot_orders_sent_total", ("kraken", "leg")) == 1
    assert metrics.value("arbot_order_rejects_total", ("kraken", "insufficient_funds")) == 1
    assert metrics.value("arbot_orders_unanswered_total", ("kraken",)) == 1


async def test_the_acknowledgement_time_falls_into_its_bucket(metrics: Metrics, collector: Collector) -> None:
    """An order accepted 40 ms after the decision counts in the bucket up to 50 ms and in the sum."""
    collector.observe(envelope(TimerFired(key="x")), Outcome(commands=(submit(),)))
    accepted = OrderAccepted(client_order_id=ORDER, venue_order_id=VenueOrderId("O1"))
    collector.observe(envelope(accepted, after_ms=40), Outcome())
    text = (await metrics.render()).decode()
    assert 'arbot_order_ack_seconds_bucket{le="0.025",venue="kraken"} 0.0' in text
    assert 'arbot_order_ack_seconds_bucket{le="0.05",venue="kraken"} 1.0' in text
    assert 'arbot_order_ack_seconds_sum{venue="kraken"} 0.04' in text


def test_arbs_and_alerts_are_counted(metrics: Metrics, collector: Collector) -> None:
    """Opened, flat and missed arbs, their unhedged time, and alerts by severity are told apart."""
    opened = ArbOpened(
        arb_id="1-1", buy=BUY, sell=SELL, qty=Decimal(1), buy_price=Decimal(1), sell_price=Decimal(1),
        edge_net_bps=Decimal(3), expected_quote=Decimal(1), book_recv_ts_ns=START_NS - 5_000_000, decided_ts_ns=START_NS,
    )  # fmt: skip
    closed = ArbClosed(
        arb_id="1-1", pnl_gross=Decimal(2), fees=Decimal(1), pnl_net=Decimal(1), residual=Decimal(0),
        volume_quote=Decimal(100), unhedged_ns=1_500_000_000, missed=False,
    )  # fmt: skip
    alert = RaiseAlert(severity=Severity.CRITICAL, code="x", text="y")
    collector.observe(envelope(TimerFired(key="x")), Outcome((alert,), (opened, closed)))
    assert metrics.value("arbot_trades_total", ("cross_venue", "complete")) == 1
    assert metrics.value("arbot_trades_total", ("cross_venue", "unwound")) == 0
    assert metrics.value("arbot_alerts_total", ("critical",)) == 1


def test_quotes_are_counted_apart_from_missed_arbs(metrics: Metrics, collector: Collector) -> None:
    """A quote that nobody took ends as unfilled, and why it was pulled is counted by reason."""
    pulled = QuotePulled(arb_id="1-1", client_order_id=ORDER, reason=Reason.QUOTE_MOVED)
    closed = ArbClosed(
        arb_id="1-1", pnl_gross=Decimal(0), fees=Decimal(0), pnl_net=Decimal(0), residual=Decimal(0),
        volume_quote=Decimal(0), unhedged_ns=0, missed=True, is_quote=True,
    )  # fmt: skip
    collector.observe(envelope(TimerFired(key="x")), Outcome(decisions=(pulled, closed)))
    assert metrics.value("arbot_quotes_pulled_total", ("quote_moved",)) == 1
    assert metrics.value("arbot_quotes_pulled_total", ("hedge_short",)) == 0
    assert metrics.value("arbot_trades_total", ("cross_venue", "unfilled")) == 1
    assert metrics.value("arbot_trades_total", ("cross_venue", "unwound")) == 0


class NoBooks:
    """A market in which nothing was ever heard of."""

    def state(self, _instrument: object) -> object:
        return SimpleNamespace(is_valid=False, recv_ts_ns=0, venue_ts_ns=0)

    def best(self, *_: object) -> None:
        return None

    def levels(self, *_: object) -> tuple[()]:
        return ()


def readings(**changes: object) -> Readings:
    config = EngineConfig(ccy=Asset("USD"), venues=(VenueId("kraken"),), instruments=(BUY,))
    state = State(config=config, market=NoBooks())
    state.standing.killed = True
    state.standing.latched["loss_day"] = Decimal(1)
    return Readings(now_ns=START_NS, state=state, summary=Summary(), recent=Recent(), **changes)


def read(collector: Collector, now: Readings) -> None:
    for _ in collector.read(now):
        pass


def test_gauges_follow_the_status(metrics: Metrics, collector: Collector) -> None:
    """Kill switch, latches and the use of limits are put at the moment of the scrape."""
    read(collector, readings())
    assert metrics.value("arbot_kill_switch_engaged", ("all",)) == 1
    assert metrics.value("arbot_limit_latched", ("loss_day",)) == 1
    assert metrics.value("arbot_limit_latched", ("drawdown",)) == 0
    assert metrics.value("arbot_trading_enabled", STRATEGY) == 0


def test_counters_of_the_feeds_are_taken_over(metrics: Metrics, collector: Collector) -> None:
    """What the streams count about themselves appears per stream, integrity failures per venue."""
    feed = SimpleNamespace(
        frames=7, bytes=70, connects_after={"first": 1, "silent": 1}, parse_errors=0, checksum_mismatches=3,
        resyncs_for={"gap": 4}, last_alive_ns=START_NS,
    )  # fmt: skip
    read(collector, readings(feeds={("kraken", "market"): feed, ("kraken", "account"): feed}))
    assert metrics.value("arbot_ws_messages_total", ("kraken", "market")) == 7
    assert metrics.value("arbot_ws_connects_total", ("kraken", "market", "silent")) == 1
    assert metrics.value("arbot_book_checksums_total", ("kraken", "mismatch")) == 6
    assert metrics.value("arbot_book_resyncs_total", ("kraken", "gap")) == 4


async def test_a_histogram_kept_elsewhere_is_taken_over_whole(metrics: Metrics, collector: Collector) -> None:
    """Count and sum agree with the source, and the buckets rise to the count."""
    durations = LatencyHistogram()
    for micros in (30, 300, 3_000_000):
        durations.add(micros * 1_000)
    read(collector, readings(durations={"arbot_decision_latency_seconds": {STRATEGY: durations}}))
    text = (await metrics.render()).decode()
    assert 'arbot_decision_latency_seconds_bucket{le="+Inf",strategy="cross_venue"} 3.0' in text
    assert 'arbot_decision_latency_seconds_bucket{le="1.0",strategy="cross_venue"} 2.0' in text
    assert 'arbot_decision_latency_seconds_sum{strategy="cross_venue"} 3.00033' in text


async def test_scrapes_at_the_same_time_do_not_disturb_each_other(metrics: Metrics, collector: Collector) -> None:
    """Many renderings at once, with counting going on between them, all come out complete."""
    waiting = [asyncio.ensure_future(metrics.render()) for _ in range(5)]  # noqa: TID251 - a test of concurrency
    collector.observe(envelope(TimerFired(key="x")), Outcome())
    texts = await asyncio.gather(*waiting)
    assert all(text.count(b"# HELP arbot_") == len(CATALOGUE) for text in texts)


def test_registries_are_their_own() -> None:
    """Two runs in one process count apart."""
    one, other = Metrics(), Metrics()
    one.add("arbot_events_total")
    assert (one.value("arbot_events_total"), other.value("arbot_events_total")) == (1, 0)
