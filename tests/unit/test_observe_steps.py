"""What each kind of step does to the numbers: one story a metric, told by a real engine; the value is in the table."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from arbot.domain.events import (
    BookFault,
    BookInvalidated,
    BooksMoved,
    FeedDisconnected,
    OperatorRequested,
    OrderAccepted,
    OrderFilled,
    OrderRestored,
    OrderSent,
    OrderStatusReported,
    StandingRestored,
    Stream,
    Verb,
)
from arbot.domain.ids import Asset, VenueId, VenueOrderId
from arbot.domain.order import OrderState
from arbot.domain.units import Amount
from arbot.engine.config import RiskLimits
from arbot.runtime.reconcile import restored_transfer
from strategies.maker_taker import MakerTaker
from tests.scenario.test_transfer_restart import store_of
from tests.support.engine_world import START_NS, World, an_instrument
from tests.support.observed import STRATEGY, Observed
from tests.support.transfer_world import TransferWorld

BOOKS = """
kraken   book bid 100.0x2 ask 100.1x2
coinbase book bid 101.0x1 ask 101.2x3
"""
OPEN = f"{BOOKS}kraken sent\ncoinbase sent\n"
FILLED = """
wait 30ms
kraken   accepted
wait 20ms
kraken   filled 1 @100.1 fee 0.1 USD
wait 40ms
coinbase filled 1 @101.0 fee 0.1 USD
"""
HEDGED = """
wait 20ms
kraken   filled 1 @100.1
coinbase canceled
coinbase filled 1 @101.0
"""
UNWOUND = """
wait 20ms
kraken   filled 1 @100.1
coinbase canceled
coinbase canceled
kraken   filled 1 @99.9
"""
MISSED = """
kraken   canceled
coinbase expired
"""
QUOTES = {
    "makers": "kraken", "hedges": "coinbase", "sides": "buy", "notional": "100", "edge_net_bps_min": "10",
    "edge_margin_bps": "10", "move_bps": "5",
}  # fmt: skip
QUOTE = """
kraken   book bid 100.0x5 ask 101.5x5
coinbase book bid 101.0x3 ask 101.2x3
kraken   sent
kraken   accepted
"""


class ObservedWorld(Observed, World):
    """Two venues and an engine, observed."""


class ObservedTransfers(Observed, TransferWorld):
    """Two venues between which money moves, observed."""


def told(table: str, world: Observed | None = None, **parts: object) -> Observed:
    """Return the world after these lines."""
    world = world or ObservedWorld(**parts)
    for line in table.splitlines():
        if line:
            world.line(line)
    return world


def quoted(table: str) -> Observed:
    """Return the world after these lines, with quotes."""
    return told(table, ObservedWorld(strategy=MakerTaker(QUOTES)))


def value(world: Observed, name: str, *labels: str) -> float:
    """Return a number as a scrape tells it now."""
    world.read()
    return world.metrics.value(f"arbot_{name}", labels)


STORIES = [
    # opportunities
    (OPEN, "opportunities_total", (STRATEGY, "BTC/USD", "taken"), 1),
    (f"operator pause\n{BOOKS}", "opportunities_total", (STRATEGY, "BTC/USD", "rejected"), 1),
    # orders
    (OPEN, "open_orders", ("kraken",), 1),
    (OPEN + FILLED, "orders_total", ("kraken", "buy", "filled"), 1),
    (OPEN + FILLED, "open_orders", ("kraken",), 0),
    (OPEN + "kraken filled 0.4 @100.1\nkraken canceled", "orders_total", ("kraken", "buy", "partial"), 1),
    (OPEN + "kraken canceled", "orders_total", ("kraken", "buy", "cancelled"), 1),
    (OPEN + "kraken rejected insufficient_funds", "orders_total", ("kraken", "buy", "rejected"), 1),
    (OPEN + "kraken unknown\nkraken unknown", "orders_total", ("kraken", "buy", "unknown"), 1),
    (OPEN + "kraken unknown", "unknown_orders", ("kraken",), 1),
    (OPEN + "kraken unknown\nkraken filled 1 @100.1", "unknown_orders", ("kraken",), 0),
    (OPEN + "kraken unknown\nkraken filled 1 @100.1", "orders_total", ("kraken", "buy", "filled"), 1),
    # fills
    (OPEN + FILLED + "coinbase again", "fills_total", ("coinbase", "sell", "taker"), 1),
    (OPEN + FILLED, "traded_notional_total", ("coinbase", "sell", "USD"), 101),
    (OPEN + FILLED, "fees_total", ("coinbase", "taker", "USD"), 0.1),
    (OPEN + FILLED, "slippage_cost_total", ("kraken", "USD"), 0),
    (OPEN + "coinbase filled 1 @101.5", "slippage_gain_total", ("coinbase", "USD"), 0.5),
    # arbs
    (OPEN + FILLED, "trades_total", (STRATEGY, "complete"), 1),
    (OPEN + HEDGED, "trades_total", (STRATEGY, "hedged_late"), 1),
    (OPEN + UNWOUND, "trades_total", (STRATEGY, "unwound"), 1),
    (OPEN + MISSED, "trades_total", (STRATEGY, "unfilled"), 1),
    (OPEN, "trades_in_flight", (STRATEGY,), 1),
    (OPEN + FILLED, "trades_in_flight", (STRATEGY,), 0),
    (OPEN + "kraken filled 1 @100.1", "unhedged_notional", ("BTC", "USD"), 100.575),
    (OPEN + "kraken filled 1 @100.1", "unhedged_since_timestamp_seconds", ("BTC",), START_NS / 1e9),
    (OPEN + FILLED, "unhedged_since_timestamp_seconds", ("BTC",), 0),
    (OPEN + FILLED, "unhedged_seconds_total", ("BTC",), 0.04),
    # risk
    ("operator pause", "trading_blocked", ("paused",), 1),
    ("operator pause", "trading_blocked", ("killed",), 0),
    ("operator kill", "kill_switch_trips_total", ("all", "operator"), 1),
    ("operator kill\noperator kill", "kill_switch_trips_total", ("all", "operator"), 1),
    ("operator kill\noperator unkill\noperator kill", "kill_switch_trips_total", ("all", "operator"), 2),
    # money: both venues hold 10 BTC and 10,000 USD, the one coin at 100.575
    (OPEN, "balance_value", ("kraken", "BTC", "USD"), 1005.75),
    (OPEN, "equity", ("USD",), 22011.5),
    (OPEN, "drawdown_ratio", (), 0),
    (OPEN + FILLED, "inventory_deviation_ratio", ("kraken", "BTC"), 0.1),
    (OPEN + FILLED, "inventory_deviation_ratio", ("coinbase", "BTC"), -0.1),
    (OPEN, "counterparty_exposure_limit", ("kraken", "USD"), 16508.625),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "name", "labels", "expected"),
    STORIES,
    ids=[f"{number} {row[1]} {'-'.join(row[2])}" for number, row in enumerate(STORIES)],
)
def test_a_story_ends_in_its_number(table: str, name: str, labels: tuple[str, ...], expected: float) -> None:
    """Tell the story to the engine; the scrape after it has the number of the table."""
    assert expected == pytest.approx(value(told(table), name, *labels))


TIMES = [
    (OPEN + FILLED, "order_ack_seconds", ("kraken",), 0.03),
    (OPEN + FILLED, "leg_fill_seconds", ("kraken", "leg"), 0.05),
    (OPEN + FILLED, "leg_skew_seconds", (STRATEGY,), 0.04),
    (OPEN + HEDGED, "leg_fill_seconds", ("coinbase", "hedge"), 0),
    (OPEN, "decision_latency_seconds", (STRATEGY,), 0),
    ("kraken book bid 100.0x2 ask 100.1x2\nkraken silent\nwait 100ms\ncoinbase book bid 101.0x1 ask 101.2x3",
     "decision_book_age_seconds", (STRATEGY,), 0.1),
    (OPEN + "kraken filled 0.4 @100.1\nkraken canceled", "fill_ratio", ("kraken",), 0.4),
    (OPEN, "opportunity_edge_ratio", (STRATEGY,), 0.0069820),
]  # fmt: skip


@pytest.mark.parametrize(("table", "name", "labels", "seconds"), TIMES, ids=[row[1] for row in TIMES])
def test_a_story_takes_its_time(table: str, name: str, labels: tuple[str, ...], seconds: float) -> None:
    """Observe once, and what the clock of the story says."""
    text = "".join(told(table).metrics.texts())
    counted = [line for line in text.splitlines() if line.startswith(f"arbot_{name}_")]
    mine = [line for line in counted if all(f'="{label}"' in line for label in labels)]

    assert [1.0] == [float(line.split()[-1]) for line in mine if "_count" in line]
    assert [seconds] == pytest.approx([float(line.split()[-1]) for line in mine if "_sum" in line], abs=1e-6)


@pytest.mark.parametrize(("paid", "bound"), [("100.1", "0.0"), ("100.2", "0.001"), ("99.9", "-0.001")])
def test_slippage_is_against_what_the_book_gave(paid: str, bound: str) -> None:
    """Pay what was decided, more, or less: the ratio is zero, above or below, whatever the limit price was."""
    world = told(OPEN + f"kraken filled 1 @{paid}")
    rows = [
        line for line in "".join(world.metrics.texts()).splitlines() if line.startswith("arbot_slippage_ratio_bucket")
    ]
    first = next(line for line in rows if 'venue="kraken"' in line and 'side="buy"' in line and line.endswith(" 1.0"))

    assert f'le="{bound}"' in first


def test_slippage_takes_levels_into_account() -> None:
    """Decide on two levels and fill at both: nothing slipped, though the second fill was dearer than the first."""
    world = told("kraken book bid 100.0x2 ask 100.1x0.5 100.2x2\ncoinbase book bid 101.5x1 ask 101.7x3")
    told("kraken sent\nkraken filled 0.5 @100.1\nkraken filled 0.5 @100.2", world)

    assert 1 == value(world, "orders_total", "kraken", "buy", "filled")
    assert (0, 0) == tuple(value(world, f"slippage_{one}_total", "kraken", "USD") for one in ("cost", "gain"))


def test_capture_is_realised_over_expected() -> None:
    """Fill both legs at their prices, fees as expected: all of the edge is captured."""
    world = told(OPEN + "kraken filled 1 @100.1 fee 0.1001 USD\ncoinbase filled 1 @101 fee 0.101 USD")
    rows = [line for line in "".join(world.metrics.texts()).splitlines() if "edge_capture_ratio_bucket" in line]

    assert ["0.0"] == [line.split()[-1] for line in rows if 'le="0.9"' in line]
    assert ["1.0"] == [line.split()[-1] for line in rows if 'le="1.0"' in line]


# --- what must not count twice ----------------------------------------------------------------------------------------


def test_a_late_fill_changes_no_outcome() -> None:
    """Fill an order after its end: the fill counts, its order and its arb keep their one outcome."""
    world = told(OPEN + MISSED)
    told("kraken filled 1 @100.1", world)

    assert 1 == value(world, "trades_total", STRATEGY, "unfilled")
    assert 0 == value(world, "trades_in_flight", STRATEGY)
    assert 1 == value(world, "orders_total", "kraken", "buy", "cancelled")
    assert 0 == value(world, "orders_total", "kraken", "buy", "filled")
    assert 1 == value(world, "fills_total", "kraken", "buy", "taker")


def test_a_stranded_arb_is_failed_once() -> None:
    """Strand it, have a person flatten it, see it flat: one outcome, and nothing in flight."""
    world = told(OPEN + "kraken filled 1 @100.1\noperator halt\ncoinbase canceled\nwait 1s")
    assert 1 == value(world, "trades_total", STRATEGY, "failed")
    told("operator flatten\ncoinbase filled 1 @101", world)

    assert 0 == value(world, "trades_open", "stranded")
    assert 1 == sum(
        value(world, "trades_total", STRATEGY, one) for one in ("failed", "complete", "hedged_late", "unwound")
    )
    assert 0 == value(world, "trades_in_flight", STRATEGY)


def test_a_restart_counts_on_where_the_last_run_ended() -> None:
    """Restore a filled and a live order: what was counted stays uncounted, what ends now counts, a fill told again does not."""
    first = told(OPEN + "kraken filled 1 @100.1 fee 0.1 USD")
    world = ObservedWorld(epoch=2)
    for order in first.engine.state.orders.values():
        world.intents.append(order.intent)
        world.give(
            OrderRestored(
                intent=order.intent,
                state=order.state,
                venue_order_id=order.venue_order_id,
                fills=tuple(order.fills.values()),
            )
        )
    world.give(OrderFilled(fill=first.last_fill))
    assert 0 == value(world, "fills_total", "kraken", "buy", "taker")
    assert 0 == value(world, "orders_total", "kraken", "buy", "filled")
    assert 1 == value(world, "trades_in_flight", STRATEGY)
    told("coinbase filled 1 @101", world)

    assert 1 == value(world, "orders_total", "coinbase", "sell", "filled")
    assert 1 == value(world, "trades_total", STRATEGY, "complete")
    assert 0 == value(world, "orders_sent_total", "coinbase", "leg")


def test_an_acceptance_told_twice_is_timed_once() -> None:
    """Hear of it from the stream and from the answer: the first one counts."""
    world = told(OPEN + "kraken accepted")
    order = world.intents[0].client_order_id
    world.give(OrderAccepted(client_order_id=order, venue_order_id=VenueOrderId(f"V-{order}")))

    assert 1 == world.counts_now().sum("arbot_order_ack_seconds", venue="kraken")


# --- quotes -----------------------------------------------------------------------------------------------------------


def test_a_quote_is_taken_when_somebody_fills_it() -> None:
    """Place it: nothing is known yet. Fill it: taken. Its end changes nothing, and its hedge is no late one."""
    world = quoted(QUOTE)
    assert {"taken": 0, "rejected": 0, "expired": 0} == world.counts_now().by("arbot_opportunities_total", "outcome")
    told("kraken filled 0.9 @100.6\ncoinbase filled 0.9 @101", world)

    assert {"taken": 1, "rejected": 0, "expired": 0} == world.counts_now().by("arbot_opportunities_total", "outcome")
    assert 1 == value(world, "trades_total", STRATEGY, "complete")
    assert 0 == world.counts_now().sum("arbot_leg_fill_seconds", leg="leg")


def test_a_quote_nobody_takes_expires() -> None:
    """End it without a fill: expired, and no arb but an unfilled one."""
    world = quoted(QUOTE + "operator pause\nkraken canceled")

    assert {"taken": 0, "rejected": 0, "expired": 1} == world.counts_now().by("arbot_opportunities_total", "outcome")
    assert 1 == value(world, "trades_total", STRATEGY, "unfilled")


# --- how long ---------------------------------------------------------------------------------------------------------


def lifetimes(world: Observed) -> list[float]:
    """Return count and sum of the lifetimes so far."""
    world.read()
    text = "".join(world.metrics.texts()).splitlines()
    return [
        float(line.split()[-1])
        for line in text
        if line.startswith(("arbot_opportunity_lifetime_seconds_count", "arbot_opportunity_lifetime_seconds_sum"))
    ]


ABOVE = f"operator pause\n{BOOKS}wait 300ms\n"


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("coinbase book bid 100.0x1 ask 100.2x3", [1, 0.3]),  # the look that does not find it
        ("coinbase book bid 101.1x1 ask 101.2x3\nwait 200ms\ncoinbase book bid 100.0x1 ask 100.2x3", [1, 0.5]),
        ("wait 5s", [0, 0]),  # it is still there
    ],
)
def test_a_route_is_timed_from_the_first_look_to_the_one_that_misses_it(ending: str, expected: list[float]) -> None:
    """Time it by book updates, once, however often it is looked at."""
    assert expected == pytest.approx(lifetimes(told(ABOVE + ending)))


def test_a_book_that_makes_no_look_ends_it_all_the_same() -> None:
    """Hear from the screen that no route over a book clears: the look that never comes is not waited for."""
    world = told(ABOVE)
    instrument = world.instruments[VenueId("coinbase")].id
    assert instrument in world.collector.lifetimes.books
    world.collector.lifetimes.gone(instrument, world.now_ns)

    assert [1, 0.3] == pytest.approx(lifetimes(world))
    assert not world.collector.lifetimes.books


@pytest.mark.parametrize("lost", ["book", "stream"])
def test_an_end_nobody_saw_is_not_counted(lost: str) -> None:
    """Lose the book or the stream: nobody knows how long the route was there."""
    world = told(ABOVE)
    instrument = world.instruments[VenueId("coinbase")].id
    world.give(
        BookInvalidated(instrument=instrument, fault=BookFault.CHECKSUM)
        if lost == "book"
        else FeedDisconnected(venue=VenueId("coinbase"), stream=Stream.MARKET, reason="test")
    )

    assert [0, 0] == lifetimes(world)
    assert not world.collector.lifetimes.books


# --- what is not known ------------------------------------------------------------------------------------------------


def test_what_has_no_price_is_absent_and_comes_back() -> None:
    """Lose the books: value, equity and drawdown go, instead of lying; with the books they are there again."""
    world = told("")
    for name, labels in (("balance_value", ("kraken", "BTC", "USD")), ("equity", ("USD",)), ("drawdown_ratio", ())):
        with pytest.raises(KeyError):
            value(world, name, *labels)
    assert 10000 == value(world, "balance_value", "kraken", "USD", "USD")
    told(OPEN, world)
    assert 22011.5 == value(world, "equity", "USD")


def test_what_is_not_traded_is_no_capital() -> None:
    """Hold a coin that no instrument here trades: it has a balance, no value, and does not hide the equity."""
    world = told(OPEN, balances={"BTC": "10", "USD": "10000", "DOGE": "500"})
    assert 22011.5 == value(world, "equity", "USD")
    assert 500 == value(world, "balance", "kraken", "DOGE", "free")
    with pytest.raises(KeyError):
        value(world, "balance_value", "kraken", "DOGE", "USD")


def test_nothing_is_wanted_where_the_shares_say_so() -> None:
    """Want a venue to hold none of a coin: there is no deviation there, and the other one lacks half of all."""
    world = ObservedWorld.__new__(ObservedWorld)
    world.shares = {"kraken": {"BTC": Decimal(0)}}
    world.__init__()

    with pytest.raises(KeyError):
        value(world, "inventory_deviation_ratio", "kraken", "BTC")
    assert -0.5 == value(world, "inventory_deviation_ratio", "coinbase", "BTC")


def test_notional_waits_for_a_rate() -> None:
    """Fill in a quote that nothing prices: it is counted with the first rate there is, once."""
    listed = tuple(
        an_instrument(venue, symbol) for venue in ("kraken", "coinbase") for symbol in ("BTC/EUR", "EUR/USD")
    )
    world = ObservedWorld(instruments=listed, balances={"BTC": "10", "EUR": "10000", "USD": "10000"})
    fill = msgspec.structs.replace(
        told(OPEN + FILLED).last_fill, instrument=listed[0].id, quote=Asset("EUR"), fee=Amount(Decimal(0), Asset("EUR"))
    )
    world.give(OrderFilled(fill=fill))
    assert 0 == value(world, "traded_notional_total", "coinbase", "sell", "USD")
    told("kraken book EUR/USD bid 1.9x5 ask 2.1x5", world)

    assert [202, 202] == [value(world, "traded_notional_total", "coinbase", "sell", "USD") for _ in range(2)]


# --- risk -------------------------------------------------------------------------------------------------------------


def test_a_limit_that_keeps_an_arb_from_opening_is_a_breach() -> None:
    """Be at the limit of open arbs: the opportunity is rejected for it, and that is one breach."""
    eth = tuple(an_instrument(venue, symbol) for venue in ("kraken", "coinbase") for symbol in ("BTC/USD", "ETH/USD"))
    world = ObservedWorld(
        limits=RiskLimits(arbs_open_max=1), instruments=eth, balances={"BTC": "10", "ETH": "10", "USD": "10000"}
    )
    told("kraken book ETH/USD bid 100.0x2 ask 100.1x2\ncoinbase book ETH/USD bid 100.0x1 ask 100.1x3", world)
    told(f"{OPEN}coinbase book ETH/USD bid 101.0x1 ask 101.2x3", world)

    assert 1 == value(world, "risk_limit_breaches_total", "arbs_open")
    assert 1 == value(world, "opportunity_rejects_total", STRATEGY, "arbs_open")
    assert 1 == value(world, "opportunities_total", STRATEGY, "ETH/USD", "rejected")


def test_who_threw_the_switch_is_told_apart() -> None:
    """Find it thrown in the store: outside. Find it engaged at the start: it did not trip in this run."""
    world = told("")
    world.give(OperatorRequested(verb=Verb.KILL, actor="kill switch", reason="thrown outside this process"))
    assert 1 == value(world, "kill_switch_trips_total", "all", "outside")
    standing = StandingRestored(
        killed=True, paused=False, latched=(), day="", realised_day=Decimal(0), realised_total=Decimal(0),
        realised_peak=Decimal(0),
    )  # fmt: skip
    world = ObservedWorld(standing=standing)
    world.line("operator kill")

    assert {"operator": 0, "outside": 0} == world.counts_now().by("arbot_kill_switch_trips_total", "reason")


# --- transfers --------------------------------------------------------------------------------------------------------

SENT = """
ask 1 BTC kraken coinbase bitcoin
sent
accepted W1
wait 3s
kraken withdrawal W1 1 fee 0.001 done tx X
"""


def test_a_transfer_is_counted_from_request_to_credit() -> None:
    """Have it under way between its two venues, then credited: once, with its time and its fee."""
    world = told(SENT, ObservedTransfers())
    assert 1 == value(world, "transfers_in_transit", "BTC", "kraken", "coinbase")
    assert 100 == value(world, "transfers_in_transit_value", "BTC", "USD")
    told("coinbase deposit D1 1 done tx X\ncoinbase deposit D2 1 done tx X", world)  # the second is told, not counted
    counts = world.counts_now()

    assert 0 == value(world, "transfers_in_transit", "BTC", "kraken", "coinbase")
    assert {"credited": 1, "failed": 0, "stuck": 0} == counts.by("arbot_transfers_total", "outcome")
    assert 0.001 == value(world, "fees_total", "kraken", "withdrawal", "BTC")
    assert 0 == value(world, "fees_total", "coinbase", "network", "BTC")
    assert ["arbot_transfer_duration_seconds_sum"] == [
        line.partition("{")[0]
        for line in "".join(world.metrics.texts()).splitlines()
        if line.startswith("arbot_transfer_duration_seconds_sum") and line.endswith(" 3.0")
    ]


def test_a_transfer_of_the_last_run_is_not_counted_again(tmp_path) -> None:
    """Restore one that was credited: it counts nothing, though its histories are told anew."""
    first = told(f"{SENT}coinbase deposit D1 1 done tx X", TransferWorld())
    store = store_of(first, tmp_path / "s.sqlite")
    world = ObservedTransfers(epoch=2)
    for stored in store.own_transfers(START_NS):
        world.give(restored_transfer(stored))
    store.close()
    told("kraken withdrawal W1 1 fee 0.001 done tx X\ncoinbase deposit D1 1 done tx X", world)

    assert 0 == world.counts_now().sum("arbot_transfers_total")
    assert 0 == world.counts_now().sum("arbot_fees_total")


# --- nothing is changed -----------------------------------------------------------------------------------------------


def test_observing_changes_nothing() -> None:
    """Go through the same story observed and read at every step: the engine ends with the same digest."""
    world, alone = ObservedWorld(), World()
    for line in filter(None, (OPEN + HEDGED).splitlines()):
        world.line(line)
        world.read()
        alone.line(line)

    assert alone.engine.digest() == world.engine.digest()


def test_steps_about_nothing_known_are_no_error() -> None:
    """Hear of orders and books that nobody knows: nothing is counted and nothing breaks."""
    world = told("")
    stranger = told(OPEN).intents[0].client_order_id
    for event in (
        OrderSent(client_order_id=stranger),
        OrderStatusReported(client_order_id=stranger, state=OrderState.CANCELED, venue_order_id=None),
        BooksMoved(instruments=()),
    ):
        world.give(event)

    assert 0 == world.counts_now().sum("arbot_orders_total")
