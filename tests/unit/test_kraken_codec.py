"""Kraken frames and what they mean."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from arbot.domain.events import (
    BookFault,
    BookInvalidated,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    TradePrinted,
)
from arbot.domain.ids import Asset, TradeId, VenueId, VenueOrderId, instrument_id
from arbot.domain.order import Fill, Liquidity, Side
from arbot.domain.transfer import VenueStatus
from arbot.domain.units import Amount
from arbot.market.books import Books
from arbot.venues.codec import (
    ALIVE,
    NOTHING,
    Decoded,
    DropReason,
    FetchFills,
    Reconnect,
    Resync,
    ResyncReason,
    StreamStats,
    Subscribed,
    SubscriptionRefused,
)
from arbot.venues.kraken.codec import KrakenAccountCodec, KrakenMarketCodec
from tests.support.streams import (
    OURS,
    T0_NS,
    kraken_ack,
    kraken_crc,
    kraken_frame,
    kraken_row,
    make_instrument,
    spaced,
)

BTC = make_instrument("kraken", "BTC/USD", 1, 8)
ETH = make_instrument("kraken", "ETH/USD", 2, 8)
DEPTH = 10
BIDS = [(f"{65_000 - i}.0", "0.50000000") for i in range(DEPTH)]
ASKS = [(f"{65_001 + i}.0", "0.25000000") for i in range(DEPTH)]
SNAPSHOT = kraken_frame("snapshot", kraken_row("BTC/USD", BIDS, ASKS, kraken_crc(BIDS, ASKS), ""))
LAYOUTS = pytest.mark.parametrize("layout", [bytes, spaced], ids=["compiled", "typed"])


class World:
    """A market codec with two books."""

    def __init__(self) -> None:
        self.books = Books()
        self.stats = StreamStats()
        for instrument in (BTC, ETH):
            self.books.add(instrument, DEPTH)
        self.codec = KrakenMarketCodec([BTC, ETH], self.books, self.stats)

    def best(self) -> tuple[str, str]:
        """Return best bid and ask of BTC."""
        bid, ask = self.books.best(BTC.id, Side.SELL), self.books.best(BTC.id, Side.BUY)
        assert bid is not None
        assert ask is not None
        return str(bid.price), str(ask.price)

    def is_valid(self, instrument: Any = BTC) -> bool:
        """Return whether a book may be traded on."""
        return self.books.state(instrument.id).is_valid


@pytest.fixture
def world() -> World:
    return World()


@LAYOUTS
def test_a_checked_snapshot_and_update_make_a_tradable_book(world, layout):
    """The venue's worked example verifies, and its update moves the best bid and removes the best ask."""
    bids = [("65000.0", "0.10000000")]
    asks = [("65001.0", "0"), ("65001.5", "0.20000000")]
    after_asks = [("65001.5", "0.20000000"), *ASKS[1:]]
    after_bids = [("65000.0", "0.10000000"), *BIDS[1:]]
    update = kraken_frame("update", kraken_row("BTC/USD", bids, asks, kraken_crc(after_bids, after_asks)))

    assert Decoded(moved=(0,), is_alive=True) == world.codec.decode(layout(SNAPSHOT), T0_NS)
    assert Decoded(moved=(0,), is_alive=True) == world.codec.decode(layout(update), T0_NS + 5)
    assert (True, T0_NS + 5, T0_NS) == tuple(world.books.state(BTC.id))
    assert ("65000.0", "65001.5") == world.best()


@LAYOUTS
def test_a_wrong_checksum_costs_that_book_only(world, layout):
    """One flipped level drops the book and asks for it anew; the other book stays."""
    eth = kraken_frame("snapshot", kraken_row("ETH/USD", BIDS_ETH, ASKS_ETH, kraken_crc(BIDS_ETH, ASKS_ETH), ""))
    world.codec.decode(SNAPSHOT, T0_NS)
    world.codec.decode(eth, T0_NS)
    decoded = world.codec.decode(
        layout(kraken_frame("update", kraken_row("BTC/USD", [("65000.0", "9")], [], 1))), T0_NS
    )

    assert [BookFault.CHECKSUM] == [event.fault for event in decoded.events]
    assert (Resync(instrument=BTC.id, reason=ResyncReason.CHECKSUM),) == decoded.actions
    assert () == decoded.moved
    assert (False, True) == (world.is_valid(), world.is_valid(ETH))
    assert 1 == world.stats.checksum_mismatches


BIDS_ETH = [(f"{3_000 - i}.00", "1.00000000") for i in range(DEPTH)]
ASKS_ETH = [(f"{3_001 + i}.00", "2.00000000") for i in range(DEPTH)]


@LAYOUTS
def test_levels_pushed_out_of_the_depth_are_forgotten(world, layout):
    """A better bid pushes the worst out, so that removing the better one does not bring the worst back."""
    added = [("65000.5", "1.00000000"), *BIDS[:9]]
    removed = [*BIDS[:9]]
    world.codec.decode(SNAPSHOT, T0_NS)
    for level, bids in ((("65000.5", "1.00000000"), added), (("65000.5", "0"), removed)):
        update = kraken_frame("update", kraken_row("BTC/USD", [level], [], kraken_crc(bids, ASKS)))
        assert (0,) == world.codec.decode(layout(update), T0_NS).moved
    assert 9 == len(world.books.levels(BTC.id, Side.SELL, 99))


@LAYOUTS
def test_of_a_price_named_twice_the_last_counts(world, layout):
    """Levels are applied in array order."""
    world.codec.decode(SNAPSHOT, T0_NS)
    bids = [("65000.0", "7.00000000"), ("65000.0", "0.40000000")]
    crc = kraken_crc([bids[1], *BIDS[1:]], ASKS)
    assert (0,) == world.codec.decode(layout(kraken_frame("update", kraken_row("BTC/USD", bids, [], crc))), T0_NS).moved


def test_every_element_of_data_is_applied(world):
    """A message with two books moves both; a book we do not follow is counted."""
    rows = [
        kraken_row("BTC/USD", BIDS, ASKS, kraken_crc(BIDS, ASKS)),
        kraken_row("XRP/USD", BIDS, ASKS, 1),
        kraken_row("ETH/USD", BIDS_ETH, ASKS_ETH, kraken_crc(BIDS_ETH, ASKS_ETH)),
    ]
    assert Decoded(moved=(0, 1), is_alive=True) == world.codec.decode(kraken_frame("snapshot", *rows), T0_NS)
    assert 1 == world.stats.unknown_messages


def test_one_bad_book_in_a_message_does_not_spoil_the_other(world):
    """The message's good book moves while its bad one is asked for anew."""
    rows = [
        kraken_row("BTC/USD", [("65000.05", "1")], ASKS, 1),
        kraken_row("ETH/USD", BIDS_ETH, ASKS_ETH, kraken_crc(BIDS_ETH, ASKS_ETH)),
    ]
    decoded = world.codec.decode(kraken_frame("snapshot", *rows), T0_NS)
    assert ((1,), (Resync(instrument=BTC.id, reason=ResyncReason.MALFORMED),)) == (decoded.moved, decoded.actions)


def test_a_thin_snapshot_without_checksum_is_not_tradable_until_one_verifies(world):
    """The book is there but not valid; the full snapshot that follows makes it so."""
    thin = kraken_frame("snapshot", kraken_row("BTC/USD", BIDS[:4], ASKS[:4], None, ""))
    assert (0,) == world.codec.decode(thin, T0_NS).moved
    assert not world.is_valid()
    world.codec.decode(SNAPSHOT, T0_NS)
    assert world.is_valid()


def test_an_update_before_the_snapshot_is_ignored(world):
    """Nothing is built from changes alone, and nothing is asked for: the snapshot is on its way."""
    update = kraken_frame("update", kraken_row("BTC/USD", BIDS, ASKS, kraken_crc(BIDS, ASKS)))
    assert ALIVE == world.codec.decode(update, T0_NS)
    assert ALIVE == world.codec.decode(spaced(update), T0_NS)
    assert 2 == world.stats.updates_ignored


@LAYOUTS
def test_a_crossed_book_is_dropped_although_its_checksum_is_right(world, layout):
    """A bid at the best ask is never traded on."""
    world.codec.decode(SNAPSHOT, T0_NS)
    crossed = [("65001.0", "1.00000000"), *BIDS[:9]]
    update = kraken_frame("update", kraken_row("BTC/USD", crossed[:1], [], kraken_crc(crossed, ASKS)))
    decoded = world.codec.decode(layout(update), T0_NS)
    assert [BookFault.CROSSED] == [event.fault for event in decoded.events]
    assert not world.is_valid()


@pytest.mark.parametrize(
    "level",
    [
        ("65000.05", "1"),  # finer than the tick
        ("-65000.0", "1"),
        ("65000.0", "-1"),
        ("6.5e4", "1"),
        ("1e400", "1"),
        ('"65000.0"', "1"),
        ('"NaN"', "1"),
        ("65000.0", "null"),
        ("65000.0", "1.000000001"),  # finer than the step
        ("0", "1"),
        ("9" * 30, "1"),
        ("65000.0", "[]"),
    ],
)
@LAYOUTS
def test_a_number_that_is_no_price_or_quantity_drops_the_book(world, level, layout):
    """No exponent, sign, text, fraction of a tick or giant gets into a book."""
    world.codec.decode(SNAPSHOT, T0_NS)
    decoded = world.codec.decode(layout(kraken_frame("update", kraken_row("BTC/USD", [level], [], 1))), T0_NS)
    assert [(BTC.id, BookFault.MALFORMED)] == [(event.instrument, event.fault) for event in decoded.events]
    assert (Resync(instrument=BTC.id, reason=ResyncReason.MALFORMED),) == decoded.actions
    assert (False, 1) == (world.is_valid(), world.stats.parse_errors)


@pytest.mark.parametrize("frame", [b"", b"\xff\xfe", b'{"channel":"book"', b'{"a":' * 9_999, b"nonsense", b"[NaN]"])
def test_bytes_that_are_no_json_make_the_whole_connection_suspect(world, frame):
    """What cannot be read might have been about any book: all are dropped and the connection is given up."""
    world.codec.decode(SNAPSHOT, T0_NS)
    decoded = world.codec.decode(frame, T0_NS)
    assert [BookFault.MALFORMED] == [event.fault for event in decoded.events]
    assert [DropReason.MALFORMED] == [action.reason for action in decoded.actions]
    assert not world.is_valid()


@pytest.mark.parametrize(
    "frame", [b"[1,{},2]", b"7", b"{}", b'{"event":"heartbeat"}', b'{"channel":"candles"}', b'{"channel":3}', b"null"]
)
def test_messages_of_an_unknown_kind_are_counted_and_harmless(world, frame):
    """What the protocol may add tomorrow does not touch today's books."""
    world.codec.decode(SNAPSHOT, T0_NS)
    assert NOTHING == world.codec.decode(frame, T0_NS)
    assert (True, 1) == (world.is_valid(), world.stats.unknown_messages)


def test_a_heartbeat_keeps_quiet_books_young(world):
    """A sign of life counts for every built book, and any data frame is one for the others."""
    world.codec.decode(SNAPSHOT, T0_NS)
    assert ALIVE == world.codec.decode(b'{"channel":"heartbeat"}', T0_NS + 9)
    assert T0_NS + 9 == world.books.state(BTC.id).recv_ts_ns
    assert 0 == world.books.state(ETH.id).recv_ts_ns
    eth = kraken_frame("snapshot", kraken_row("ETH/USD", BIDS_ETH, ASKS_ETH, kraken_crc(BIDS_ETH, ASKS_ETH), ""))
    world.codec.decode(eth, T0_NS + 10**9)
    assert T0_NS + 10**9 == world.books.state(BTC.id).recv_ts_ns


def test_a_pong_is_no_sign_of_life(world):
    """A venue whose stream died may still answer pings."""
    assert NOTHING == world.codec.decode(b'{"method":"pong","req_id":3,"time_in":"x","time_out":"y"}', T0_NS)


@pytest.mark.parametrize(
    ("frame", "actions"),
    [
        (kraken_ack("book", "BTC/USD"), (Subscribed(channel="book", symbol="BTC/USD"),)),
        (kraken_ack("executions"), (Subscribed(channel="executions"),)),
        (
            b'{"method":"subscribe","result":{"channel":"book","symbol":"BTC/USD"},"success":true,"error":null}',
            (Subscribed(channel="book", symbol="BTC/USD"),),
        ),
        (
            (
                b'{"error":"Currency pair not supported XXX/USD","method":"subscribe","req_id":2,"success":false,'
                b'"symbol":"XXX/USD","time_in":"a","time_out":"b"}'
            ),
            (SubscriptionRefused(detail="Currency pair not supported XXX/USD", symbol="XXX/USD"),),
        ),
        (b'{"error":"Exceeded msg rate"}', (SubscriptionRefused(detail="Exceeded msg rate"),)),
        (b'{"error":"Subscription Not Found","method":"unsubscribe","success":false,"symbol":"BTC/USD"}', ()),
        (b'{"method":"unsubscribe","result":{"channel":"book","symbol":"BTC/USD"},"success":true}', ()),
        (b'{"method":"subscribe","success":true,"result":7}', ()),
    ],
)
def test_answers_to_subscriptions_are_values(world, frame, actions):
    """Confirmations and refusals are told, never raised."""
    assert actions == world.codec.decode(frame, T0_NS).actions


def test_books_are_dropped_while_the_trading_engine_is_closed(world):
    """Maintenance drops the books and keeps them dropped; being online again asks for them anew."""
    world.codec.decode(SNAPSHOT, T0_NS)
    status = '{"channel":"status","type":"update","data":[{"version":"2","system":"%s","connection_id":6447481662169813000}]}'
    closed = world.codec.decode((status % "maintenance").encode(), T0_NS)
    assert [BookFault.REFUSED] == [event.fault for event in closed.events[:-1]]
    assert VenueStatus.MAINTENANCE is closed.events[-1].status
    assert ALIVE == world.codec.decode(SNAPSHOT, T0_NS)
    assert not world.is_valid()
    opened = world.codec.decode((status % "online").encode(), T0_NS)
    assert (
        Resync(instrument=BTC.id, reason=ResyncReason.REFUSED),
        Resync(instrument=ETH.id, reason=ResyncReason.REFUSED),
    ) == opened.actions
    assert [VenueStatus.ONLINE] == [event.status for event in opened.events]
    assert VenueStatus.DOWN is world.codec.decode((status % "on_fire").encode(), T0_NS).events[-1].status
    assert (
        Resync(instrument=BTC.id, reason=ResyncReason.REFUSED),
        Resync(instrument=ETH.id, reason=ResyncReason.REFUSED),
    ) == world.codec.decode((status % "online").encode(), T0_NS).actions
    assert NOTHING == world.codec.decode((status % "online").encode(), T0_NS)


def test_trades_are_printed_with_the_takers_side(world):
    """Every trade of the batch comes out, in order, with its exact numbers; foreign symbols and bad batches do not."""
    frame = (
        b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":65010.1,"qty":0.12000000,'
        b'"ord_type":"limit","trade_id":71234567,"timestamp":"2026-11-20T09:30:00.123456Z"},{"symbol":"XRP/USD",'
        b'"side":"sell","price":1.0,"qty":1,"ord_type":"market","trade_id":1,"timestamp":"2026-11-20T09:30:00Z"}]}'
    )
    expected = TradePrinted(
        instrument=BTC.id,
        price=Decimal("65010.1"),
        qty=Decimal("0.12000000"),
        taker_side=Side.BUY,
        trade_id="71234567",
        venue_ts_ns=T0_NS + 123_456_000,
    )
    assert Decoded(events=(expected,), is_alive=True) == world.codec.decode(frame, T0_NS)
    assert ALIVE == world.codec.decode(frame.replace(b"65010.1", b"-1"), T0_NS)
    assert 1 == world.stats.parse_errors


def test_a_reset_names_the_books_that_were_built(world):
    """After a connection is lost its books are gone, and only those that were there are told of."""
    world.codec.decode(SNAPSHOT, T0_NS)
    assert (BTC.id,) == world.codec.reset()
    assert () == world.codec.reset()
    assert not world.is_valid()


# --- executions ------------------------------------------------------------------------------------------------------

ORDER = VenueOrderId("OQ7YTR-4KD2A-XP55LM")
TRADE = (
    f'{{"order_id":"OQ7YTR-4KD2A-XP55LM","cl_ord_id":"{OURS}","order_userref":0,"exec_type":"trade",'
    '"order_status":"partially_filled","symbol":"BTC/USD","side":"buy","order_type":"limit",'
    '"exec_id":"TL3WQX-7PZ4M-K2VC6N","trade_id":71234568,"last_qty":0.50000000,"last_price":65010.1,'
    '"liquidity_ind":"t","cost":32505.05000,"fees":[{"asset":"USD","qty":130.02020}],"fee_usd_equiv":999,'
    '"cum_qty":0.50000000,"cum_cost":32505.05000,"avg_price":65010.1,"timestamp":"2026-11-20T09:30:00.200300Z"}'
)
FILLED = (
    '{"order_id":"OQ7YTR-4KD2A-XP55LM","exec_type":"filled","order_status":"filled","cum_qty":0.50000000,'
    '"cum_cost":32505.05000,"avg_price":65010.1,"timestamp":"2026-11-20T09:30:00.200300Z"}'
)
NEW = (
    f'{{"order_id":"OQ7YTR-4KD2A-XP55LM","cl_ord_id":"{OURS}","exec_type":"new","order_status":"new","symbol":"BTC/USD",'
    '"side":"buy","order_type":"limit","order_qty":0.50000000,"limit_price":65010.3,"time_in_force":"IOC"}'
)
FILL = Fill(
    venue=VenueId("kraken"),
    instrument=instrument_id("BTC/USD", "kraken"),
    base=Asset("BTC"),
    quote=Asset("USD"),
    client_order_id=OURS,
    venue_order_id=ORDER,
    trade_id=TradeId("TL3WQX-7PZ4M-K2VC6N"),
    side=Side.BUY,
    qty=Decimal("0.50000000"),
    price=Decimal("65010.1"),
    fee=Amount(Decimal("130.02020"), Asset("USD")),
    liquidity=Liquidity.TAKER,
    venue_ts_ns=T0_NS + 200_300_000,
)
ACCEPTED = OrderAccepted(client_order_id=OURS, venue_order_id=ORDER)
FETCH = FetchFills(client_order_id=OURS, venue_order_id=ORDER)


def executions(sequence: int, *rows: str, kind: str = "update") -> bytes:
    """Return an executions frame."""
    return f'{{"channel":"executions","type":"{kind}","sequence":{sequence},"data":[{",".join(rows)}]}}'.encode()


def ended(exec_type: str, cum_qty: str) -> str:
    """Return a terminal row, which carries neither name nor symbol nor side."""
    return (
        f'{{"order_id":"{ORDER}","exec_type":"{exec_type}","order_status":"{exec_type}","cum_qty":{cum_qty},'
        '"reason":"User requested"}'
    )


@pytest.fixture
def account() -> KrakenAccountCodec:
    codec = KrakenAccountCodec(VenueId("kraken"), StreamStats())
    assert ALIVE == codec.decode(executions(1, kind="snapshot"), T0_NS)
    return codec


def test_rows_of_one_order_become_acceptance_fill_and_nothing_more_to_ask(account):
    """Each row counts, the fill is exact, its fee comes from `fees`, and a filled order whose fills are here is done."""
    assert Decoded(events=(ACCEPTED,), is_alive=True) == account.decode(executions(2, NEW), T0_NS)
    assert Decoded(events=(OrderFilled(fill=FILL),), is_alive=True) == account.decode(
        executions(3, TRADE, FILLED), T0_NS
    )


@pytest.mark.parametrize(
    ("exec_type", "event"),
    [
        ("canceled", OrderCanceled(client_order_id=OURS, filled_qty=Decimal(0), reason="User requested")),
        ("expired", OrderExpired(client_order_id=OURS, filled_qty=Decimal(0), reason="User requested")),
    ],
)
def test_a_terminal_row_finds_its_name_by_the_order_id(account, exec_type, event):
    """Terminal rows carry no name of ours; the order id of an earlier row gives it."""
    account.decode(executions(2, NEW), T0_NS)
    assert Decoded(events=(event,), is_alive=True) == account.decode(executions(3, ended(exec_type, "0")), T0_NS)


@pytest.mark.parametrize("exec_type", ["filled", "canceled", "expired"])
def test_fills_that_the_end_of_an_order_tells_of_and_we_never_saw_are_asked_for(account, exec_type):
    """A cumulative quantity above the fills seen is a reason to fetch, never a fill."""
    account.decode(executions(2, NEW), T0_NS)
    decoded = account.decode(executions(3, ended(exec_type, "0.3")), T0_NS)
    assert (FETCH,) == decoded.actions
    assert not any(isinstance(event, OrderFilled) for event in decoded.events)


def test_a_replayed_frame_gives_its_facts_again_and_no_alarm(account):
    """An old sequence number is a replay: the same trade id lets the books tell."""
    first = account.decode(executions(2, TRADE), T0_NS)
    again = account.decode(executions(2, TRADE), T0_NS)
    assert first == again == Decoded(events=(OrderFilled(fill=FILL),), is_alive=True)
    assert () == account.decode(executions(3, FILLED), T0_NS).actions


def test_a_gap_costs_the_connection_but_not_the_facts(account):
    """The rows after a gap are told, and REST will be asked for what is missing."""
    decoded = account.decode(executions(4, TRADE), T0_NS)
    assert (OrderFilled(fill=FILL),) == decoded.events
    assert (Reconnect(reason=DropReason.SEQUENCE_GAP, detail="1 then 4"),) == decoded.actions


def test_the_first_frame_of_a_connection_has_to_be_a_snapshot(account):
    """After a reset, counting starts at whatever the snapshot says; an update first means that one was lost."""
    account.reset()
    assert [DropReason.SEQUENCE_GAP] == [a.reason for a in account.decode(executions(2, NEW), T0_NS).actions]
    account.reset()
    assert () == account.decode(executions(9, kind="snapshot"), T0_NS).actions
    assert () == account.decode(executions(10, NEW), T0_NS).actions


def test_orders_that_are_not_ours_are_counted_and_nothing_else():
    """Rows without a name of ours, and terminal rows of orders never seen, make no event."""
    stats = StreamStats()
    codec = KrakenAccountCodec(VenueId("kraken"), stats)
    rows = [
        NEW.replace(OURS, "by-hand"),
        TRADE.replace(OURS, "by-hand"),
        ended("canceled", "0"),
        '{"order_id":"O1","exec_type":"trade"}',
    ]
    assert ALIVE == codec.decode(executions(1, *rows, kind="snapshot"), T0_NS)
    assert 4 == stats.foreign_rows


@pytest.mark.parametrize("exec_type", ["pending_new", "amended", "restated", "iceberg_refill", "status"])
def test_other_rows_of_a_living_order_confirm_it(account, exec_type):
    """Whatever refreshes an order says at least that the venue has it."""
    row = NEW.replace('"exec_type":"new"', f'"exec_type":"{exec_type}"')
    assert (ACCEPTED,) == account.decode(executions(2, row), T0_NS).events


def test_an_end_said_in_passing_is_asked_about_not_believed(account):
    """Only `exec_type` ends an order."""
    row = NEW.replace('"exec_type":"new","order_status":"new"', '"exec_type":"status","order_status":"canceled"')
    assert Decoded(actions=(FETCH,), is_alive=True) == account.decode(executions(2, row), T0_NS)


def test_an_unknown_kind_of_row_is_counted(account):
    """A new exec_type makes no event."""
    assert ALIVE == account.decode(executions(2, NEW.replace('"exec_type":"new"', '"exec_type":"teleported"')), T0_NS)


@pytest.mark.parametrize(
    ("fees", "expected"),
    [
        ('[{"asset":"USD","qty":1.5},{"asset":"USD","qty":0.25}]', Amount(Decimal("1.75"), Asset("USD"))),
        ('[{"asset":"BTC","qty":-0.001}]', Amount(Decimal("-0.001"), Asset("BTC"))),
        ("[]", Amount(Decimal(0), Asset("USD"))),
    ],
)
def test_fees_are_summed_in_the_asset_they_are_charged_in(account, fees, expected):
    """Parts are added, a rebate is negative, and an empty list says that nothing was charged."""
    row = TRADE.replace('[{"asset":"USD","qty":130.02020}]', fees)
    (event,) = account.decode(executions(2, row), T0_NS).events
    assert expected == event.fill.fee


def test_fees_in_two_assets_are_left_to_rest(account):
    """One fill carries one fee; nothing is made up."""
    row = TRADE.replace('[{"asset":"USD","qty":130.02020}]', '[{"asset":"USD","qty":1},{"asset":"KFEE","qty":2}]')
    assert Decoded(actions=(FETCH,), is_alive=True) == account.decode(executions(2, row), T0_NS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"exec_id":"TL3WQX-7PZ4M-K2VC6N",', ""),
        ('"last_qty":0.50000000,', ""),
        ('"last_qty":0.50000000', '"last_qty":-0.5'),
        ('"last_price":65010.1', '"last_price":0'),
        ('"last_price":65010.1', '"last_price":"65010.1"'),
        ('"liquidity_ind":"t",', ""),
        ('"symbol":"BTC/USD",', ""),
        ('"fees":[{"asset":"USD","qty":130.02020}],', ""),
        ("2026-11-20T09:30:00.200300Z", "yesterday"),
    ],
)
def test_a_trade_row_that_cannot_be_read_costs_the_connection_not_the_other_rows(account, old, new):
    """REST catches up after the reconnect; the good row of the same frame is told at once."""
    other = NEW.replace("OQ7YTR", "OZZZZZ")
    decoded = account.decode(executions(2, TRADE.replace(old, new), other), T0_NS)
    assert [OrderAccepted] == [type(event) for event in decoded.events]
    assert [DropReason.MALFORMED] == [action.reason for action in decoded.actions]


def test_no_book_is_touched_by_the_account_stream():
    """An unreadable frame there invalidates no book."""
    codec = KrakenAccountCodec(VenueId("kraken"), StreamStats())
    decoded = codec.decode(b"garbage", T0_NS)
    assert not any(isinstance(event, BookInvalidated) for event in decoded.events)
    assert [DropReason.MALFORMED] == [action.reason for action in decoded.actions]
    assert ALIVE == codec.decode(b'{"channel":"heartbeat"}', T0_NS)
