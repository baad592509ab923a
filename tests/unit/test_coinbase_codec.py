"""Coinbase frames and what they mean."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.events import BookFault, OrderAccepted, OrderCanceled, OrderExpired, TradePrinted
from arbot.domain.ids import VenueOrderId
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.venues.codec import (
    ALIVE,
    NOTHING,
    Decoded,
    DropReason,
    FetchFills,
    Resync,
    ResyncReason,
    StreamStats,
    Subscribed,
    SubscriptionRefused,
)
from arbot.venues.coinbase.codec import CoinbaseAccountCodec, CoinbaseMarketCodec
from tests.support.streams import (
    OURS,
    T0_NS,
    coinbase_frame,
    coinbase_levels,
    coinbase_order,
    make_instrument,
    spaced,
)

BTC = make_instrument("coinbase", "BTC/USD", 2, 8)
ETH = make_instrument("coinbase", "ETH/USD", 2, 8)
BIDS = [("65010.11", "0.15"), ("65009.5", "2")]
ASKS = [("65010.12", "0.5"), ("65011", "1.25")]
LAYOUTS = pytest.mark.parametrize("layout", [bytes, spaced], ids=["compiled", "typed"])
HEARTBEAT = {"current_time": "2026-11-20 09:30:00.854840045 +0000 UTC m=+41691.260485341", "heartbeat_counter": 41691}


class World:
    """A market codec with two books and the number of the next frame."""

    def __init__(self) -> None:
        self.books = Books()
        self.stats = StreamStats()
        for instrument in (BTC, ETH):
            self.books.add(instrument, 0)
        self.codec = CoinbaseMarketCodec([BTC, ETH], self.books, self.stats)
        self.next = 0

    def take(self, channel, *events, layout=bytes, recv_ts_ns=T0_NS) -> Decoded:
        """Give the codec the next frame of the connection."""
        frame = layout(coinbase_frame(channel, self.next, *events))
        self.next += 1
        return self.codec.decode(frame, recv_ts_ns)

    def build(self, product="BTC-USD") -> Decoded:
        """Give the codec a snapshot."""
        return self.take("l2_data", coinbase_levels(product, "snapshot", BIDS, ASKS))

    def is_valid(self, instrument=BTC) -> bool:
        """Return whether a book may be traded on."""
        return self.books.state(instrument.id).is_valid


@pytest.fixture
def world() -> World:
    return World()


@LAYOUTS
def test_a_snapshot_and_an_update_make_a_book(world, layout):
    """Levels are set, changed and removed; removing what was never there is fine."""
    snapshot = world.take("l2_data", coinbase_levels("BTC-USD", "snapshot", BIDS, ASKS), layout=layout)
    removed = [("65010.12", "0"), ("70000", "0")]
    update = world.take("l2_data", coinbase_levels("BTC-USD", "update", [("65010.11", "0.2")], removed), layout=layout)
    assert snapshot == update == Decoded(moved=(0,), is_alive=True)
    assert (True, T0_NS, T0_NS) == tuple(world.books.state(BTC.id))
    assert (Decimal("65010.11"), Decimal("0.2")) == world.books.best(BTC.id, Side.SELL)
    assert (Decimal(65011), Decimal("1.25")) == world.books.best(BTC.id, Side.BUY)


@LAYOUTS
def test_a_second_snapshot_replaces_the_book(world, layout):
    """Nothing of the old book is left."""
    world.build()
    world.take("l2_data", coinbase_levels("BTC-USD", "snapshot", BIDS[1:], ASKS[1:]), layout=layout)
    assert 1 == len(world.books.levels(BTC.id, Side.SELL, 9))


def test_every_event_of_a_frame_is_applied(world):
    """Two books in one frame both move."""
    events = [coinbase_levels(product, "snapshot", BIDS, ASKS) for product in ("BTC-USD", "ADA-USD", "ETH-USD")]
    assert Decoded(moved=(0, 1), is_alive=True) == world.take("l2_data", *events)
    assert 1 == world.stats.unknown_messages


def test_the_sequence_counts_over_all_channels(world):
    """Frames of channels we do not read are part of the count."""
    world.build()
    world.take("heartbeats", HEARTBEAT)
    world.take("candles", {})
    world.take("subscriptions", {"subscriptions": {}})
    assert (0,) == world.take("l2_data", coinbase_levels("BTC-USD", "update", [("65000", "1")])).moved
    assert 0 == world.stats.sequence_gaps


@LAYOUTS
@pytest.mark.parametrize(
    ("channel", "event"), [("l2_data", coinbase_levels("BTC-USD", "update", BIDS)), ("heartbeats", HEARTBEAT)]
)
def test_a_gap_drops_every_book_and_the_connection(world, layout, channel, event):
    """A missing frame may have been about any book."""
    world.build()
    world.build("ETH-USD")
    world.next += 1
    decoded = world.take(channel, event, layout=layout)
    assert [(BTC.id, BookFault.SEQUENCE_GAP), (ETH.id, BookFault.SEQUENCE_GAP)] == [
        (invalidated.instrument, invalidated.fault) for invalidated in decoded.events
    ]
    assert [DropReason.SEQUENCE_GAP] == [action.reason for action in decoded.actions]
    assert (False, False, 1) == (world.is_valid(), world.is_valid(ETH), world.stats.sequence_gaps)


@LAYOUTS
def test_a_repeated_frame_is_ignored(world, layout):
    """An old number changes nothing and alarms nobody."""
    world.build()
    world.take("l2_data", coinbase_levels("BTC-USD", "update", [("65010.11", "0")]))
    world.next -= 1
    assert NOTHING == world.take("l2_data", coinbase_levels("BTC-USD", "update", [("65010.11", "9")]), layout=layout)
    assert Decimal("65009.5") == world.books.best(BTC.id, Side.SELL).price
    assert (0,) == world.take("l2_data", coinbase_levels("BTC-USD", "update", [("65000", "1")])).moved


def test_after_a_reset_counting_starts_anew(world):
    """A new connection starts at 0, and wherever else it starts, that is its start."""
    world.build()
    assert (BTC.id,) == world.codec.reset()
    for first in (0, 17):
        world.codec.reset()
        world.next = first
        assert (0,) == world.build().moved
        assert (0,) == world.take("l2_data", coinbase_levels("BTC-USD", "update", [("65000", "1")])).moved


@LAYOUTS
def test_a_crossed_book_costs_that_product_only(world, layout):
    """The product is asked for anew, the connection goes on."""
    world.build()
    world.build("ETH-USD")
    crossing = coinbase_levels("BTC-USD", "update", [("65010.12", "1")])
    decoded = world.take("l2_data", crossing, layout=layout)
    assert [BookFault.CROSSED] == [event.fault for event in decoded.events]
    assert (Resync(instrument=BTC.id, reason=ResyncReason.CROSSED),) == decoded.actions
    assert (False, True) == (world.is_valid(), world.is_valid(ETH))


@LAYOUTS
@pytest.mark.parametrize(
    "level",
    [
        ("65010.111", "1"),
        ("-1", "1"),
        ("1", "-1"),
        ("6e4", "1"),
        ("NaN", "1"),
        ("Infinity", "1"),
        ("", "1"),
        ("65010.", "1"),
        (".5", "1"),
        ("1_0", "1"),
        (" 1", "1"),
        ("\u0661", "1"),
        ("0", "1"),
        ("9" * 25, "1"),
        (7, "1"),
        (None, "1"),
        ("1", "0.000000001"),
    ],
)
def test_text_that_is_no_price_or_quantity_costs_that_product_only(world, level, layout):
    """No exponent, sign, odd digit, fraction of a tick or giant gets into a book."""
    world.build()
    decoded = world.take("l2_data", coinbase_levels("BTC-USD", "update", [level]), layout=layout)
    assert [(BTC.id, BookFault.MALFORMED)] == [(event.instrument, event.fault) for event in decoded.events]
    assert (Resync(instrument=BTC.id, reason=ResyncReason.MALFORMED),) == decoded.actions
    assert (False, 1) == (world.is_valid(), world.stats.parse_errors)
    assert ALIVE == world.take("l2_data", coinbase_levels("BTC-USD", "update", BIDS))


@pytest.mark.parametrize("frame", [b"", b"{", b"\x00", b'{"channel":"l2_data","events":[]}', b"[" * 9_999])
def test_bytes_without_a_place_in_the_sequence_make_the_connection_suspect(world, frame):
    """What cannot be read or is not numbered might have been about any book."""
    world.build()
    decoded = world.codec.decode(frame, T0_NS)
    assert [BookFault.MALFORMED] == [event.fault for event in decoded.events]
    assert [DropReason.MALFORMED] == [action.reason for action in decoded.actions]


@pytest.mark.parametrize("frame", [b"{}", b"[]", b'{"type":"welcome"}', b'{"channel":1}', b'"x"'])
def test_messages_of_an_unknown_kind_are_counted_and_harmless(world, frame):
    """What the protocol may add tomorrow does not touch today's books."""
    world.build()
    assert NOTHING == world.codec.decode(frame, T0_NS)
    assert (True, 1) == (world.is_valid(), world.stats.unknown_messages)


def test_heartbeats_keep_quiet_books_young(world):
    """A beat counts for every built book."""
    world.build()
    assert ALIVE == world.take("heartbeats", HEARTBEAT, recv_ts_ns=T0_NS + 9)
    assert (T0_NS + 9, 0) == (world.books.state(BTC.id).recv_ts_ns, world.books.state(ETH.id).recv_ts_ns)


def test_a_confirmation_lists_every_channel_with_its_symbols(world):
    """A channel is confirmed by itself and for each of its symbols."""
    decoded = world.take("subscriptions", {"subscriptions": {"level2": ["BTC-USD"], "heartbeats": ["heartbeats"]}})
    assert (
        Subscribed(channel="level2"),
        Subscribed(channel="level2", symbol="BTC-USD"),
        Subscribed(channel="heartbeats"),
        Subscribed(channel="heartbeats", symbol="heartbeats"),
    ) == decoded.actions


def test_an_error_is_a_value(world):
    """A refusal has no place in the sequence and is told, never raised."""
    world.build()
    decoded = world.codec.decode(b'{"type":"error","message":"authentication failure"}', T0_NS)
    assert Decoded(actions=(SubscriptionRefused(detail="authentication failure"),)) == decoded
    assert (0,) == world.build().moved


def test_trades_come_oldest_first_with_the_takers_side(world):
    """The venue names the maker's side and the newest first; the snapshot is old news."""
    trades = [
        {
            "product_id": product,
            "trade_id": trade_id,
            "price": "65010.12",
            "size": "0.01034361",
            "time": "2026-11-20T09:30:00.5Z",
            "side": "SELL",
        }
        for product, trade_id in (("BTC-USD", "12"), ("ADA-USD", "5"), ("BTC-USD", "11"))
    ]
    decoded = world.take("market_trades", {"type": "update", "trades": trades})
    assert ["11", "12"] == [event.trade_id for event in decoded.events]
    assert decoded.events[0] == TradePrinted(
        instrument=BTC.id,
        price=Decimal("65010.12"),
        qty=Decimal("0.01034361"),
        taker_side=Side.BUY,
        trade_id="11",
        venue_ts_ns=T0_NS + 500_000_000,
    )
    assert ALIVE == world.take("market_trades", {"type": "snapshot", "trades": trades})
    assert ALIVE == world.take("market_trades", {"type": "update", "trades": [{**trades[0], "price": "0"}]})
    assert 1 == world.stats.parse_errors


# --- user ------------------------------------------------------------------------------------------------------------

ORDER = VenueOrderId("c72fde0a-c4c4-41b1-81b4-dd86d8d831de")
FETCH = FetchFills(client_order_id=OURS, venue_order_id=ORDER)
ACCEPTED = OrderAccepted(client_order_id=OURS, venue_order_id=ORDER)


class Account:
    """An account codec and the number of the next frame."""

    def __init__(self) -> None:
        self.stats = StreamStats()
        self.codec = CoinbaseAccountCodec(self.stats)
        self.next = 0

    def take(self, *orders, kind="update") -> Decoded:
        """Give the codec the next frame of the connection."""
        frame = coinbase_frame("user", self.next, {"type": kind, "orders": list(orders)})
        self.next += 1
        return self.codec.decode(frame, T0_NS)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ("PENDING", (ACCEPTED,)),
        ("OPEN", (ACCEPTED,)),
        ("CANCEL_QUEUED", (ACCEPTED,)),
        ("FILLED", ()),
        ("CANCELLED", (OrderCanceled(client_order_id=OURS, filled_qty=Decimal("0.2"), reason="why"),)),
        ("EXPIRED", (OrderExpired(client_order_id=OURS, filled_qty=Decimal("0.2"), reason="why"),)),
        ("FAILED", (OrderCanceled(client_order_id=OURS, filled_qty=Decimal("0.2"), reason="failed: why"),)),
        ("TELEPORTED", ()),
    ],
)
def test_a_status_becomes_its_event_and_what_is_filled_is_fetched(account, status, events):
    """The cumulative quantity is passed on and never turned into a fill."""
    decoded = account.take(coinbase_order(status, "0.2", cancel_reason="why"))
    assert Decoded(events=events, actions=(FETCH,), is_alive=True) == decoded


def test_fills_are_fetched_once_per_change(account):
    """The same cumulative quantity again asks for nothing; more of it asks again."""
    wanted = [account.take(coinbase_order("OPEN", qty)).actions for qty in ("0", "0.2", "0.2", "0.5", "0.2")]
    assert [(), (FETCH,), (), (FETCH,), ()] == wanted


def test_orders_that_are_not_ours_are_counted_and_nothing_else(account):
    """Another bot's order on the same account makes no event."""
    assert ALIVE == account.take(coinbase_order("OPEN", "1", name="arb-000000000004"), kind="snapshot")
    assert 1 == account.stats.foreign_rows


@pytest.mark.parametrize("cumulative", ["NaN", "-1", "1e3", ""])
def test_an_order_that_cannot_be_read_costs_the_connection_not_the_other_orders(account, cumulative):
    """REST catches up after the reconnect; the good order is told at once."""
    decoded = account.take(coinbase_order("OPEN", cumulative), coinbase_order("OPEN", "0"))
    assert (ACCEPTED,) == decoded.events
    assert [DropReason.MALFORMED] == [action.reason for action in decoded.actions]


def test_a_gap_costs_the_connection_but_not_the_facts(account):
    """What came after a gap is true all the same."""
    account.take()
    account.next += 1
    decoded = account.take(coinbase_order("OPEN", "0.2"))
    assert (ACCEPTED,) == decoded.events
    assert [FetchFills, DropReason.SEQUENCE_GAP] == [
        type(decoded.actions[0]),
        decoded.actions[1].reason,  # type: ignore[union-attr]
    ]


def test_a_replayed_frame_is_harmless(account):
    """Frames can come again: the event comes again, the fetch does not."""
    account.take(coinbase_order("OPEN", "0.2"))
    account.next -= 1
    assert Decoded(events=(ACCEPTED,), is_alive=True) == account.take(coinbase_order("OPEN", "0.2"))


def test_an_unreadable_user_frame_costs_the_connection(account):
    """A missing key of the schema is not guessed."""
    order = coinbase_order("OPEN", "0")
    del order["order_id"]
    assert [DropReason.MALFORMED] == [action.reason for action in account.take(order).actions]
