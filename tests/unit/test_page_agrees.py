"""At a quiet moment the page, /status and /metrics tell the same numbers: no two people at one desk argue about whose is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest

from arbot.observe.live import LiveView, Rates, Source, sections
from arbot.observe.live_log import LiveLog
from arbot.observe.status import About, Status, snapshot
from tests.support.engine_world import World
from tests.support.observed import STRATEGY, Counts, Observed
from tests.support.transfer_world import TransferWorld

SHARES = {"kraken": {"BTC": Decimal("0.7")}}
BOOKS = "kraken book bid 100.0x2 ask 100.1x2\ncoinbase book bid 101.0x1 ask 101.2x3"
CALM = "kraken book bid 100.0x2 ask 100.1x2\ncoinbase book bid 100.0x1 ask 100.2x3"
SENT = """ask 1 BTC kraken coinbase bitcoin
sent
accepted W1
wait 3s
kraken withdrawal W1 1 fee 0.001 done tx X"""
MOMENTS = {
    "calm": CALM,
    "an arb half filled": f"{BOOKS}\nkraken sent\ncoinbase sent\nkraken filled 0.4 @100.1 fee 0.1 USD",
    "an arb closed": f"{BOOKS}\nkraken sent\ncoinbase sent\nkraken filled 1 @100.1 fee 0.1 USD\ncoinbase filled 1 @101.0 fee 0.1 USD",
    "an arb lost money": f"{BOOKS}\nkraken sent\ncoinbase sent\nkraken filled 1 @102 fee 0.1 USD\ncoinbase filled 1 @101.0 fee 0.1 USD",
    "no price": f"{CALM}\nkraken invalid\ncoinbase invalid",
    "an order unknown": f"{BOOKS}\nkraken unknown\ncoinbase sent",
    "killed": f"{CALM}\noperator kill",
    "a venue down": f"{CALM}\nkraken down",
    "money under way": SENT,
}


class ObservedPage(Observed, World):
    """An engine with metrics and the page's log beside it."""

    shares: Mapping[str, Mapping[str, Decimal]] = SHARES


class ObservedTransfers(Observed, TransferWorld):
    """The same, where money moves."""

    shares: Mapping[str, Mapping[str, Decimal]] = SHARES


class Moment(NamedTuple):
    """What the three tell of one moment."""

    page: LiveView
    status: Status
    metrics: Counts


def moment_of(table: str) -> Moment:
    """Return what is told after these lines."""
    world: Any = ObservedTransfers() if table is SENT else ObservedPage()
    for line in table.splitlines():
        world.line(line)
    log, state, about = (
        LiveLog(),
        world.engine.state,
        About(version="1", mode="demo", run_name="t", pid=1, started_ts_ns=0),
    )
    for envelope, outcome in world.log:
        log.observe(envelope, outcome)
    source = Source(
        about=about, state=state, log=log, now_ns=lambda: world.now_ns, blocked_by=lambda: world.engine.blocked_by,
        problems=lambda: (), impaired=lambda: (), latency_us=dict, shares=SHARES, realised_at_start=Decimal(0), is_read_only=False,
    )  # fmt: skip
    rates = Rates(state)
    for _ in rates.refresh():
        pass
    told: dict[str, Any] = {"books": {}}
    for name, inner, body in sections(source, rates):
        if name:
            place, key = (told[name], inner) if inner else (told, name)
            place[key] = msgspec.Raw(body)
    status = snapshot(
        about=about, now_ns=world.now_ns, state=state, summary=world.summary, recent=world.recent, latency_us={}
    )
    return Moment(msgspec.json.decode(msgspec.json.encode(told), type=LiveView), status, world.counts_now())


@pytest.fixture(params=MOMENTS)
def moment(request: pytest.FixtureRequest) -> Moment:
    return moment_of(MOMENTS[request.param])


def rows(counts: Counts, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return a metric by these labels."""
    return {tuple(found[label] for label in labels): value for found, value in counts.rows(f"arbot_{name}")}


def known(told: Iterator[tuple[tuple[str, ...], Decimal | float | None]]) -> dict[tuple[str, ...], Any]:
    """Return what is known, to the digits of a binary number."""
    return {key: pytest.approx(float(value), rel=1e-9, abs=1e-9) for key, value in told if value is not None}


def test_single_numbers(moment: Moment) -> None:
    """Equity, profit, drawdown, open arbs and switches are one number wherever they stand."""
    page, status, metrics = moment
    assert rows(metrics, "equity", "ccy") == known(iter([(("USD",), page.money.equity)]))
    assert rows(metrics, "realised_day", "ccy") == known(iter([(("USD",), page.money.pnl_day)]))
    assert rows(metrics, "realised", "ccy") == known(iter([(("USD",), page.money.pnl_ever)]))
    assert (page.money.pnl_day, page.money.pnl_ever) == (status.realised_day, status.realised_total)
    assert page.money.drawdown == status.drawdown
    totals = status.totals
    assert (page.money.arbs_flat, page.money.arbs_missed) == (totals.arbs_flat, totals.arbs_missed)
    assert [one.arb_id for one in page.arbs_open] == [one.arb_id for one in status.arbs_open]
    assert len(page.arbs_open) == metrics.sum("arbot_trades_in_flight", strategy=STRATEGY)
    assert page.unhedged.since_ms == status.unhedged_since_ns // 1_000_000
    since = {row.asset for row in page.unhedged.assets}
    assert since == {asset for (asset,), s in rows(metrics, "unhedged_since_timestamp_seconds", "asset").items() if s}
    assert (page.run.killed, page.run.may_open) == (status.killed, status.may_open)
    assert metrics.sum("arbot_kill_switch_engaged") == page.run.killed
    if page.money.equity:
        ratio = page.money.drawdown / page.money.equity
        assert metrics.sum("arbot_drawdown_ratio") == pytest.approx(float(ratio))


def test_limits(moment: Moment) -> None:
    """Every limit is as full on the page, in the status and in the metrics."""
    page, status, metrics = moment
    told = {row.limit: (row.used, row.bound, row.is_latched) for row in page.limits}
    assert told == {line.limit: (line.used, line.bound, line.is_latched) for line in status.limits}
    shares = rows(metrics, "risk_limit_used_ratio", "limit")
    assert {limit: pytest.approx(shares[limit,], abs=1e-6) for limit in told} == {
        row.limit: float(row.share) for row in page.limits
    }


def test_what_is_held(moment: Moment) -> None:
    """Balances, their worth, and how far each venue is from its part."""
    page, status, metrics = moment
    cells = {(row.venue, cell.asset): cell for row in page.inventory for cell in row.cells}
    assert {
        (venue.venue, one.asset): (one.total, one.reserved) for venue in status.venues for one in venue.balances
    } == {place: (cell.total, cell.reserved) for place, cell in cells.items()}
    assert rows(metrics, "balance_value", "venue", "asset") == known(
        (place, cell.value) for place, cell in cells.items()
    )
    deviations = rows(metrics, "inventory_deviation_ratio", "venue", "asset")
    assert {place: pytest.approx(value, abs=1e-6) for place, value in deviations.items()} == {
        place: float(cell.deviation) for place, cell in cells.items() if cell.deviation is not None
    }


def test_what_stands_on_what(moment: Moment) -> None:
    """The exposure of every node but venues, which the metrics tell by venue."""
    page, _, metrics = moment
    nodes = {(row.kind, row.node): row.value for row in page.nodes if row.kind != "venue"}
    assert {place: value for place, value in rows(metrics, "exposure", "kind", "node").items() if value} == known(
        (place, value) for place, value in nodes.items() if value
    )


def test_books_edges_and_venues(moment: Moment) -> None:
    """Touches, the best route of a market, and how a venue answers."""
    page, status, metrics = moment
    books = {(venue, row.symbol): row for venue, those in page.books.items() for row in those}
    assert {(one.venue, one.symbol): (one.bid or None, one.ask or None, one.is_valid) for one in status.books} == {
        place: (row.bid, row.ask, row.is_valid) for place, row in books.items()
    }
    assert rows(metrics, "book_valid", "venue", "symbol") == {place: row.is_valid for place, row in books.items()}
    for row in page.edges:
        routes = {(one.buy, one.sell): one for one in status.edges if one.symbol == row.symbol}
        assert (row.edge_gross_bps, row.edge_net_bps) == (
            routes[row.buy, row.sell].edge_gross_bps,
            routes[row.buy, row.sell].edge_net_bps,
        )
        assert row.edge_net_bps == max(one.edge_net_bps for one in routes.values())
    health = {line.venue: (line.ack_ms_mean, line.reject_share) for line in status.health}
    assert health == {row.venue: (row.ack_ms, row.reject_share) for row in page.venues}
    unknown = rows(metrics, "unknown_orders", "venue")
    assert unknown == {(row.venue,): row.orders_unknown for row in page.venues}
