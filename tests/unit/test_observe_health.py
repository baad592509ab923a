"""What people and dashboards see of venue health, pegs, stress and money under way."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from arbot.domain.decisions import Outcome, PegChanged, Reason, TransferMoved, TransferRefused, VenueHealthChanged
from arbot.domain.events import Envelope, TimerFired, TransferRestored
from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import AssetEntry, Registry, VenueEntry
from arbot.domain.transfer import Network, TransferId, TransferIntent, TransferState
from arbot.engine.config import HealthPolicy
from arbot.observe.collect import Collector
from arbot.observe.collect.words import Readings, RunFacts
from arbot.observe.metrics import Metrics
from arbot.observe.narrate import _LEVELS
from arbot.observe.recent import Recent
from arbot.observe.risk import risk_view
from arbot.observe.status import About, Status, snapshot
from arbot.observe.summary import Summary
from arbot.observe.table import live_table
from tests.support.engine_world import World, an_instrument

VENUES = ("kraken", "coinbase")
FACTS = RunFacts(
    version="1",
    mode="demo",
    strategy="cross_venue",
    ccy="USD",
    started_ts_ns=1,
    venues=VENUES,
    symbols={},
    assets=("BTC", "USD"),
)
INTENT = TransferIntent(
    transfer=TransferId("1-t1"), source=VenueId("kraken"), target=VenueId("coinbase"), asset=Asset("BTC"),
    network=Network("bitcoin"), address="x", qty=Decimal(1), requested_ts_ns=1, actor="test",
)  # fmt: skip


def busy() -> World:
    """Return a world with a sick venue, a coin off its peg, a locked asset, and a transfer that is stuck."""
    usdt = an_instrument("kraken", "USDT/USD", tick_size=Decimal("0.0001"), price_decimals=4)
    world = World(
        VENUES,
        instruments=(*(an_instrument(venue) for venue in VENUES), usdt),
        registry=Registry(assets={Asset("USDT"): AssetEntry(peg="USD", issuer="tether")}),
        health=HealthPolicy(orders_min=1),
    )
    world.line("kraken book USDT/USD bid 0.9499x9 ask 0.9501x9")
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    world.line("coinbase book bid 100.0x2 ask 100.1x2")
    world.line("coinbase networks USD open, BTC closed, ETH closed")
    world.line("wait 5s")
    world.line("kraken status maintenance")
    intent = msgspec.structs.replace(INTENT, requested_ts_ns=world.now_ns)
    world.give(TransferRestored(intent=intent, state=TransferState.STUCK, since_ns=world.now_ns))
    return world


def status_of(world: World) -> Status:
    """Return the status of this moment."""
    about = About(version="1", mode="demo", run_name="r", pid=1, started_ts_ns=world.now_ns)
    return snapshot(
        about=about, now_ns=world.now_ns, state=world.engine.state, summary=Summary(), recent=Recent(), latency_us={}
    )


def metrics_of(world: World) -> Metrics:
    """Return the metrics after a scrape."""
    metrics = Metrics()
    state = world.engine.state
    collector = Collector(metrics, FACTS, state)
    for _ in collector.read(Readings(now_ns=state.now_ns, state=state, summary=Summary(), recent=Recent())):
        pass
    return metrics


def test_the_status_has_a_line_a_venue() -> None:
    """Say what ails a venue, what cannot leave it, and what its caps are."""
    kraken, coinbase = status_of(busy()).health

    assert kraken.is_quarantined
    assert kraken.words().startswith("QUARANTINE: it calls itself maintenance")
    assert ("cannot leave: BTC, ETH   caps at 0.5", ("BTC", "ETH")) == (coinbase.words(), coinbase.locked)


def test_the_live_table_shows_it() -> None:
    """Draw venues, stablecoins and money under way for people."""
    text = StringIO()
    Console(file=text, width=200).print(live_table(status_of(busy())))
    told = text.getvalue()

    assert "QUARANTINE: it calls itself maintenance" in told
    assert "USDT 0.9500 OFF ITS PEG" in told
    assert "1 overdue" in told


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("arbot_venue_quarantined", ("kraken",), 1),
        ("arbot_venue_quarantined", ("coinbase",), 0),
        ("arbot_venue_cap_ratio", ("coinbase",), 0.5),
        ("arbot_stablecoin_price_ratio", ("USDT",), 0.95),
        ("arbot_stablecoin_off_peg", ("USDT",), 1),
        ("arbot_transfers_overdue", ("BTC",), 1),
        ("arbot_quotes_resting", ("kraken",), 0),
        ("arbot_risk_limit_used_ratio", ("peg_band",), 5),
    ],
)
def test_gauges_follow_the_state(name: str, labels: tuple[str, ...], expected: float) -> None:
    """Put each number where a dashboard looks for it."""
    assert expected == pytest.approx(metrics_of(busy()).value(name, labels))


def test_stress_and_exposure_are_measured() -> None:
    """Tell every scenario's loss with its budget, and what stands on a venue."""
    world = busy()
    metrics, view = metrics_of(world), risk_view(world.engine.state)

    assert len(view.stress) > 0
    for row in view.stress:
        assert metrics.value("arbot_stress_loss", (row.scenario, "USD")) >= float(row.loss) - 1e-6
        assert metrics.value("arbot_stress_budget", (row.scenario, "USD")) > 0
    for row in view.exposures:
        kind = () if row.kind == "venue" else (row.kind,)
        name = "arbot_exposure" if kind else "arbot_counterparty_exposure"
        assert metrics.value(name, (*kind, row.node, "USD")) == pytest.approx(float(row.value))


def test_looking_changes_nothing() -> None:
    """Read status and risk without a trace in the engine's digest."""
    world = busy()
    before = world.engine.digest()
    metrics_of(world)

    assert before == world.engine.digest()


@pytest.mark.parametrize(
    ("decision", "name", "labels"),
    [
        (VenueHealthChanged(venue=VenueId("kraken"), is_quarantined=True), "arbot_quarantines_total", ("kraken",)),
        (
            TransferMoved(transfer=TransferId("1-t1"), before=TransferState.BROADCAST, after=TransferState.STUCK),
            "arbot_transfers_total",
            ("BTC", "bitcoin", "stuck"),
        ),
        (
            TransferRefused(
                source=VenueId("kraken"), target=VenueId("coinbase"), asset="BTC", network="bitcoin", qty=Decimal(1),
                reason=Reason.TAG_MISSING,
            ),
            "arbot_transfers_refused_total",
            ("tag_missing",),
        ),
    ],
)  # fmt: skip
def test_decisions_are_counted(decision: object, name: str, labels: tuple[str, ...]) -> None:
    """Count quarantines, ends of transfers and refusals as they happen."""
    metrics = Metrics()
    collector = Collector(metrics, FACTS, World().engine.state)
    collector.observe(Envelope(1, 1, TransferRestored(intent=INTENT, state=TransferState.BROADCAST)), Outcome())
    collector.observe(Envelope(1, 1, TimerFired(key="x")), Outcome(decisions=(decision,)))

    assert metrics.value(name, labels) == 1


def test_people_are_told_of_health_and_pegs() -> None:
    """Log what a person would ask about first."""
    assert {VenueHealthChanged, PegChanged, TransferMoved, TransferRefused} <= set(_LEVELS)


def test_venues_of_one_company_tell_what_it_owes() -> None:
    """Put a company's whole exposure, and its cap, beside every configured venue that it runs; none under its own name."""
    world = World(
        VENUES,
        instruments=tuple(an_instrument(venue) for venue in VENUES),
        registry=Registry(venues={VenueId(venue): VenueEntry(entity="one-inc") for venue in VENUES}),
    )
    for venue in VENUES:
        world.line(f"{venue} book bid 100.0x2 ask 100.1x2")
    metrics, view = metrics_of(world), risk_view(world.engine.state)
    (owed,) = (row.value for row in view.exposures if row.kind == "venue")

    told = dict(metrics.children("arbot_counterparty_exposure"))
    assert {(venue, "USD"): pytest.approx(float(owed)) for venue in VENUES} == told
    assert {(venue, "USD") for venue in VENUES} == {
        one for one, _ in metrics.children("arbot_counterparty_exposure_limit")
    }
