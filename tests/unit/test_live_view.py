"""What the page is told: everything there is, in small slices, without touching the engine's state."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import (
    ArbClosed,
    ArbMoved,
    ArbOpened,
    ArbState,
    Decision,
    OpportunityDeclined,
    Outcome,
    Reason,
    VenueHealthChanged,
)
from arbot.domain.events import Envelope, OperatorRequested, RunEnded, Verb
from arbot.domain.ids import ArbId, InstrumentId, VenueId
from arbot.engine.watching import VenueHealth
from arbot.observe.live import LiveView, Rates, Source, sections
from arbot.observe.live_log import ALERTS_KEPT, Curve, LiveLog, Point
from arbot.observe.status import About
from tests.support.engine_world import World

ARB = ArbId("1-1")
BUY, SELL = InstrumentId("BTC/USD@kraken"), InstrumentId("BTC/USD@coinbase")
NOTHING = RunEnded(reason="", open_orders=0, digest="", declined=())
OPENED = ArbOpened(
    arb_id=ARB,
    buy=BUY,
    sell=SELL,
    qty=Decimal(1),
    buy_price=Decimal(100),
    sell_price=Decimal(101),
    edge_net_bps=Decimal("12.5"),
    expected_quote=Decimal(1),
    book_recv_ts_ns=0,
    decided_ts_ns=0,
)


def log_of(*steps: tuple[int, Decision]) -> LiveLog:
    """Return a log that has seen decisions at these ms."""
    log = LiveLog()
    for seq, (ts_ms, decision) in enumerate(steps):
        log.observe(Envelope(seq, ts_ms * 1_000_000, NOTHING), Outcome(decisions=(decision,)))
    return log


def moved(after: ArbState, residual: str = "0") -> ArbMoved:
    return ArbMoved(arb_id=ARB, before=ArbState.PLANNED, after=after, residual=Decimal(residual))


def closed(net: str = "3", *, missed: bool = False) -> ArbClosed:
    return ArbClosed(
        arb_id=ARB,
        pnl_gross=Decimal(net) + 1,
        fees=Decimal(1),
        pnl_net=Decimal(net),
        residual=Decimal(0),
        volume_quote=Decimal(100),
        unhedged_ns=7_000_000,
        missed=missed,
    )


def declined(reason: Reason, value: str = "1", limit: str = "2") -> OpportunityDeclined:
    return OpportunityDeclined(buy=BUY, sell=SELL, reason=reason, value=Decimal(value), limit=Decimal(limit))


def world() -> World:
    """Return an engine with two venues whose books differ."""
    made = World()
    made.line("operator pause")  # so that the edge is not taken
    made.line("kraken book bid 100.0x2 ask 100.1x2")
    made.line("coinbase book bid 99.0x2 ask 99.5x1")
    return made


def source_of(made: World, log: LiveLog | None = None) -> Source:
    return Source(
        about=About(version="1", mode="demo", run_name="t", pid=1, started_ts_ns=0),
        state=made.engine.state,
        log=log or LiveLog(),
        now_ns=lambda: made.engine.state.now_ns,
        blocked_by=lambda: made.engine.blocked_by,
        problems=lambda: (),
        impaired=tuple,
        latency_us=lambda: {"p99": 1.0},
        shares={},
        realised_at_start=Decimal(0),
        is_read_only=False,
    )


def view_of(source: Source) -> LiveView:
    """Return the view that all its slices make together."""
    rates = Rates(source.state)
    for _ in rates.refresh():
        pass
    told: dict[str, Any] = {"books": {}}
    for name, inner, body in sections(source, rates):
        if inner:
            told[name][inner] = msgspec.Raw(body)
        elif name:
            told[name] = msgspec.Raw(body)
    return msgspec.json.decode(msgspec.json.encode(told), type=LiveView)


def test_the_life_of_an_arb_is_told_with_its_times() -> None:
    """An open arb shows every state and when it came; closed it has its money and is no longer open."""
    log = log_of((1_000, OPENED), (1_100, moved(ArbState.ONE_SIDED, "0.5")), (1_200, moved(ArbState.HEDGING, "0.5")))
    (arb,) = log.arbs_open.values()
    assert [("planned", 1_000), ("one_sided", 1_100), ("hedging", 1_200)] == [
        (step.state, step.ts_ms) for step in arb.life
    ]
    assert (arb.state, arb.residual, arb.opened_ms) == ("hedging", Decimal("0.5"), 1_000)
    log.observe(Envelope(9, 1_300_000_000, NOTHING), Outcome(decisions=(closed(),)))
    (ended,) = log.arbs_closed
    assert (dict(log.arbs_open), ended.pnl_net, ended.unhedged_ms, ended.ended_ms) == ({}, Decimal(3), 7, 1_300)
    assert (log.arbs_flat, log.arbs_missed) == (1, 0)


def test_an_arb_that_a_late_fill_reopens_is_counted_once() -> None:
    """It leaves the closed ones, is open again with its whole life, and its second end is no second arb."""
    log = log_of((1, OPENED), (2, closed("3")), (3, moved(ArbState.ONE_SIDED, "1")))
    assert (len(log.arbs_closed), [*log.arbs_open]) == (0, [ARB])
    log.observe(Envelope(9, 4_000_000, NOTHING), Outcome(decisions=(closed("-2"),)))
    assert (log.arbs_flat, [arb.pnl_net for arb in log.arbs_closed]) == (1, [Decimal(-2)])


def test_declines_are_one_row_a_reason() -> None:
    """Thousands of declines are counted by reason, with the value and limit of the last."""
    log = log_of(*[(n, declined(Reason.NO_EDGE, str(n))) for n in range(1, 2_001)], (9, declined(Reason.COOL_DOWN)))
    assert {"no_edge": (2_000, Decimal(2_000), Decimal(2)), "cool_down": (1, Decimal(1), Decimal(2))} == {
        row.reason: (row.count, row.value, row.limit) for row in log.declines.values()
    }
    assert list(log.decisions) == []


def test_rings_keep_the_newest() -> None:
    """Alerts beyond what is kept push the oldest out; their number is still known."""
    log = LiveLog()
    for number in range(ALERTS_KEPT + 5):
        alert = RaiseAlert(severity=Severity.WARNING, code=f"c{number}", text="t")
        log.observe(Envelope(number, 0, NOTHING), Outcome(commands=(alert,)))
    assert (len(log.alerts), log.alerts[0].code, log.alerts_count) == (ALERTS_KEPT, "c5", ALERTS_KEPT + 5)


def test_what_a_person_did_and_what_a_venue_did_is_told_in_words() -> None:
    """Who killed is kept by name; quarantine says why."""
    log = LiveLog()
    asked = OperatorRequested(verb=Verb.KILL, actor="ann", reason="fire drill")
    log.observe(Envelope(1, 5_000_000, asked), Outcome())
    assert (log.acts["kill"].actor, log.acts["kill"].reason, log.acts["kill"].ts_ms) == ("ann", "fire drill", 5)
    held = VenueHealthChanged(venue=VenueId("kraken"), is_quarantined=True, why=("too slow",))
    log.observe(Envelope(2, 6_000_000, NOTHING), Outcome(decisions=(held,)))
    assert [("kill", "by ann: fire drill"), ("venue quarantined", "kraken: too slow")] == [
        (row.what, row.text) for row in log.decisions
    ]


def test_the_curve_grows_coarse_not_short() -> None:
    """However long the run, the first and the last point stay, in bounded space, in order."""
    curve = Curve(points_max=50)
    for number in range(10_000):
        curve.add(Point(number, 0.0, None))
    points = [point.ts_ms for point in curve.points()]
    assert (len(points) <= 50, points[0], points[-1]) == (True, 0, 9_999)
    assert points == sorted(points)


def test_a_view_is_whole_and_typed() -> None:
    """All slices together are a LiveView: books as they are, the best route, why nothing is opened, what is held."""
    view = view_of(source_of(world()))
    kraken, coinbase = view.books["kraken"][0], view.books["coinbase"][0]
    assert (kraken.bid, kraken.ask, coinbase.ask, kraken.is_valid) == (
        Decimal("100.0"),
        Decimal("100.1"),
        Decimal("99.5"),
        True,
    )
    (edge,) = view.edges
    assert (edge.symbol, edge.buy, edge.sell, edge.qty, edge.routes) == ("BTC/USD", "coinbase", "kraken", Decimal(1), 2)
    assert edge.edge_gross_bps == Decimal("50.2513")
    assert ["kraken", "coinbase"] == [row.venue for row in view.venues]
    assert {"arbs_open", "counterparty_share", "loss_day"} <= {row.limit for row in view.limits}
    cells = {(row.venue, cell.asset): cell.deviation for row in view.inventory for cell in row.cells}
    assert cells["kraken", "USD"] == Decimal(0)
    assert view.money.equity is not None


def test_the_best_route_is_never_within_one_book() -> None:
    """Where one venue has both the lowest ask and the highest bid, the best other pair is told."""
    made = world()
    made.line("coinbase book bid 100.04x2 ask 100.06x2")
    (edge,) = view_of(source_of(made)).edges
    assert ("kraken", "coinbase") == (edge.buy, edge.sell)


def test_looking_changes_nothing() -> None:
    """The engine's digest and its state are the same after any number of looks."""
    made = world()
    before = (made.engine.digest(), pickle.dumps(made.engine.state.venues), made.engine.state.version)
    for _ in range(3):
        view_of(source_of(made))
    assert (made.engine.digest(), pickle.dumps(made.engine.state.venues), made.engine.state.version) == before


@pytest.mark.parametrize("price", [True, False])
def test_what_has_no_price_is_null_not_zero(price: bool) -> None:
    """Equity is unknown while something held has no price; a rate once gone is not remembered as a price."""
    made = world()
    if not price:
        made.line("kraken invalid")
        made.line("coinbase invalid")
    assert (view_of(source_of(made)).money.equity is not None) is price


def names_of(slices: Iterator[tuple[str, str, bytes]]) -> list[str]:
    return [name for name, _, _ in slices]


def test_books_and_inventory_come_in_slices() -> None:
    """Every venue's books are a section of their own, so that a change at one does not send the others."""
    source = source_of(world())
    names = names_of(sections(source, Rates(source.state)))
    assert (names.count("books"), "" in names, names[-1]) == (2, True, "now_ms")


def test_only_what_a_hand_holds_can_be_released_by_hand() -> None:
    """A venue held by a person says so; one that its own conduct put into quarantine does not: only conduct undoes that."""
    made = world()
    made.line("operator quarantine kraken")
    made.engine.state.health[VenueId("coinbase")] = VenueHealth(is_quarantined=True, why=("too slow",))
    assert {("kraken", "quarantined", True), ("coinbase", "quarantined", False)} == {
        (row.venue, row.state, row.is_held) for row in view_of(source_of(made)).venues
    }
