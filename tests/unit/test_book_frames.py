"""The compiled frame parsers by example: the worked checksum, and what is left to the typed decoder."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.order import Side
from arbot.market.books import Books, level_array
from arbot.market.frames import FrameStatus
from arbot.market.screen import CLEARS, QUIET
from arbot.venues.coinbase.book_frames import CoinbaseBookFrames
from arbot.venues.kraken.book_frames import KrakenBookFrames
from tests.support.books import an_instrument

KRAKEN = an_instrument("kraken")
COINBASE = an_instrument("coinbase", venue_symbol="BTC-USD", price_decimals=2)

SNAPSHOT = (
    b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":65010.0,"qty":0.30000000},'
    b'{"price":65009.9,"qty":1.00000000},{"price":65009.5,"qty":0.00500000},{"price":65008.8,"qty":3.10000000},'
    b'{"price":65008.0,"qty":0.02000000},{"price":65007.7,"qty":0.40000000},{"price":65006.1,"qty":8.00000000},'
    b'{"price":65005.0,"qty":0.99999999},{"price":65003.2,"qty":0.06000000},{"price":65000.0,"qty":12.50000000}],'
    b'"asks":[{"price":65010.1,"qty":0.50000000},{"price":65010.2,"qty":1.25000000},{"price":65010.7,"qty":0.01000000},'
    b'{"price":65011.0,"qty":2.00000000},{"price":65011.4,"qty":0.00300000},{"price":65012.0,"qty":0.75000000},'
    b'{"price":65013.3,"qty":4.00000000},{"price":65014.9,"qty":0.12345678},{"price":65015.0,"qty":10.00000000},'
    b'{"price":65020.5,"qty":0.00010000}],"checksum":2282569089}]}'
)
UPDATE = (
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":65010.0,"qty":0.10000000}],'
    b'"asks":[{"price":65010.1,"qty":0},{"price":65010.9,"qty":0.20000000}],"checksum":934226272,'
    b'"timestamp":"2026-11-20T09:30:01.000001Z"}]}'
)
L2_SNAPSHOT = (
    b'{"channel":"l2_data","client_id":"","timestamp":"2026-11-20T09:30:00.200312345Z","sequence_num":0,"events":['
    b'{"type":"snapshot","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"2026-11-20T09:30:00.170326Z",'
    b'"price_level":"65010.11","new_quantity":"0.15"},{"side":"offer","event_time":"2026-11-20T09:30:00.170326Z",'
    b'"price_level":"65010.12","new_quantity":"0.5"}]}]}'
)
L2_UPDATE = (
    b'{"channel":"l2_data","timestamp":"2026-11-20T09:30:00.250312345Z","sequence_num":14,"events":['
    b'{"type":"update","product_id":"BTC-USD","updates":[{"side":"bid","event_time":"2026-11-20T09:30:00.210883Z",'
    b'"price_level":"65010.11","new_quantity":"0.20371215"},{"side":"offer","event_time":"2026-11-20T09:30:00.21Z",'
    b'"price_level":"65010.15","new_quantity":"0"}]}]}'
)


def kraken():
    books = Books()
    return books, KrakenBookFrames(books, [("BTC/USD", books.add(KRAKEN, 10))])


def coinbase():
    books = Books()
    return books, CoinbaseBookFrames(books, [("BTC-USD", books.add(COINBASE, 0))])


def test_kraken_worked_example():
    """The venue's layout with checksums computed by hand: snapshot, then an update that moves the best ask."""
    books, frames = kraken()
    assert frames.apply(SNAPSHOT, 1) == (FrameStatus.APPLIED, 0)
    assert books.state(KRAKEN.id) == (True, 1, 0)
    assert frames.apply(UPDATE, 2) == (FrameStatus.APPLIED, 0)
    assert books.checksum(0) == 934226272
    assert books.state(KRAKEN.id) == (True, 2, 1_795_167_001_000_001_000)
    assert books.best(KRAKEN.id, Side.BUY) == (Decimal("65010.2"), Decimal("1.25"))
    assert books.best(KRAKEN.id, Side.SELL) == (Decimal(65010), Decimal("0.1"))


def test_coinbase_example_with_and_without_client_id():
    """Both envelopes seen are recognised, an absent level's removal is ignored, the newest event_time is the book's."""
    books, frames = coinbase()
    assert frames.apply(L2_SNAPSHOT, 1, 0) == (FrameStatus.APPLIED, 0)
    assert frames.apply(L2_UPDATE, 2, 14) == (FrameStatus.APPLIED, 0)
    assert books.state(COINBASE.id) == (True, 2, 1_795_167_000_210_883_000)
    assert books.levels(COINBASE.id, Side.SELL, 9) == ((Decimal("65010.11"), Decimal("0.20371215")),)
    assert books.levels(COINBASE.id, Side.BUY, 9) == ((Decimal("65010.12"), Decimal("0.5")),)


def test_update_before_any_snapshot_is_told():
    """An update for a book without a snapshot changes nothing."""
    books, frames = kraken()
    assert frames.apply(UPDATE, 1)[0] == FrameStatus.NO_SNAPSHOT
    assert not books.is_synced(0)
    books, frames = coinbase()
    assert frames.apply(L2_UPDATE, 1, 14)[0] == FrameStatus.NO_SNAPSHOT
    assert not books.is_synced(0)


def test_thin_snapshot_without_checksum_waits_for_the_first_verified_frame():
    """The typed path takes it, the book is not tradable, and the first frame whose checksum holds makes it so."""
    books, frames = kraken()
    thin = SNAPSHOT.replace(b',"checksum":2282569089', b"")
    assert frames.apply(thin, 1)[0] == FrameStatus.NOT_RECOGNISED
    one = Decimal(1)
    books.apply_snapshot(0, level_array([(one, one)], KRAKEN), level_array([(one + one, one)], KRAKEN), 0, 1)
    assert not books.state(KRAKEN.id).is_valid
    assert frames.apply(SNAPSHOT, 2)[0] == FrameStatus.APPLIED
    assert books.state(KRAKEN.id).is_valid


def test_the_screen_sees_the_frame_that_opens_an_edge():
    """Two books over two venues: quiet before the frame, and a route that clears after it."""
    books = Books()
    frames = KrakenBookFrames(books, [("BTC/USD", books.add(KRAKEN, 10))])
    l2 = CoinbaseBookFrames(books, [("BTC-USD", books.add(COINBASE, 0))])
    assert frames.apply(SNAPSHOT, 1) == (FrameStatus.APPLIED, 0)
    assert books.screen(0) == QUIET
    dear = L2_SNAPSHOT.replace(b"65010.11", b"65810.11").replace(b"65010.12", b"65810.12")
    assert l2.apply(dear, 2, 0) == (FrameStatus.APPLIED, 1)
    assert books.screen(0) == books.screen(1) == CLEARS


def test_symbols_are_matched_exactly():
    """Every symbol finds its own book, also when many share a table, and a longer or shorter one finds none."""
    books = Books()
    bases = [f"{number}X{number * 7919}" for number in range(40)] + ["ABCDEFGHIJKLMNOPQRST"]
    indexes = {base: books.add(an_instrument("kraken", base=base), 10) for base in bases}
    frames = KrakenBookFrames(books, [(f"{base}/USD", index) for base, index in indexes.items()])
    for base, index in indexes.items():
        frame = SNAPSHOT.replace(b"BTC/USD", f"{base}/USD".encode())
        assert frames.apply(frame, 1)[:2] == (FrameStatus.APPLIED, index)
        for other in (f"{base}/US", f"{base}/USDT", f"Z{base}/USD", ""):
            assert frames.apply(SNAPSHOT.replace(b"BTC/USD", other.encode()), 1)[:2] == (FrameStatus.NOT_RECOGNISED, -1)


def test_symbol_that_does_not_fit_is_left_to_the_typed_decoder():
    """A symbol of more than 24 bytes is never recognised, and confuses no other."""
    books = Books()
    long = an_instrument("kraken", base="A" * 30)
    frames = KrakenBookFrames(books, [(long.symbol, books.add(long, 10)), ("BTC/USD", books.add(KRAKEN, 10))])
    assert frames.apply(SNAPSHOT.replace(b"BTC/USD", long.symbol.encode()), 1)[0] == FrameStatus.NOT_RECOGNISED
    assert frames.apply(SNAPSHOT, 1)[:2] == (FrameStatus.APPLIED, 1)


UNUSUAL = {
    "exponent": (b"65010.9", b"6.50109e4"),
    "small exponent": (b"0.20000000", b"2e-1"),
    "NaN": (b"65010.9", b"NaN"),
    "Infinity": (b"65010.9", b"Infinity"),
    "negative price": (b"65010.9", b"-65010.9"),
    "negative quantity": (b"0.20000000", b"-0.20000000"),
    "plus sign": (b"65010.9", b"+65010.9"),
    "leading zero": (b"65010.9", b"065010.9"),
    "no whole part": (b"0.20000000", b".20000000"),
    "no fraction": (b"65010.9", b"65010."),
    "two points": (b"65010.9", b"65010.9.1"),
    "overlong": (b"65010.9", b"123456789012345678.9"),
    "very long": (b"0.20000000", b"0." + b"0" * 40),
    "quoted": (b"65010.9", b'"65010.9"'),
    "white space": (b'"qty":0.2', b'"qty": 0.2'),
    "unknown key": (b'"checksum"', b'"depth":10,"checksum"'),
    "other order": (b'"price":65010.9,"qty":0.20000000', b'"qty":0.20000000,"price":65010.9'),
    "trailing comma": (b"0.20000000}", b"0.20000000},"),
    "trailing bytes": (b"}]}", b"}]} "),
    "other channel": (b'"book"', b'"trade"'),
    "other type": (b'"update"', b'"delta"'),
    "unknown symbol": (b"BTC/USD", b"DOGE/USD"),
    "checksum beyond 32 bits": (b"934226272", b"4294967296"),
    "negative checksum": (b"934226272", b"-1"),
    "month 13": (b"2026-11-20", b"2026-13-20"),
    "30 February": (b"2026-11-20", b"2026-02-30"),
    "29 February of no leap year": (b"2026-11-20", b"2026-02-29"),
    "hour 24": (b"T09:", b"T24:"),
    "leap second": (b":01.000001Z", b":60.000001Z"),
    "ten decimals of a second": (b".000001Z", b".0000010000Z"),
    "offset instead of Z": (b".000001Z", b".000001+00:00"),
    "empty": (UPDATE, b""),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_kraken_frame_is_left_untouched(name):
    """Whatever is not exactly the usual layout is not recognised, and nothing of it is applied."""
    old, new = UNUSUAL[name]
    assert old in UPDATE
    books, frames = kraken()
    frames.apply(SNAPSHOT, 1)
    before = books.mem.copy()
    assert frames.apply(UPDATE.replace(old, new), 2)[0] == FrameStatus.NOT_RECOGNISED
    assert (before == books.mem).all()


def test_two_books_in_one_kraken_frame_are_left_to_the_typed_decoder():
    """The compiled path takes one element of data; two are for the decoder that walks them all."""
    _, frames = kraken()
    row = SNAPSHOT[SNAPSHOT.index(b"[") + 1 : -2]
    assert frames.apply(SNAPSHOT.replace(row, row + b"," + row), 1)[0] == FrameStatus.NOT_RECOGNISED


@pytest.mark.parametrize("number", [b"65010.95", b"0", b"0.0", b"65010.1000000001"])
def test_price_off_the_decimals_is_a_bad_number(number):
    """A price of zero, or finer than the instrument's decimals, is told apart from an unknown layout."""
    books, frames = kraken()
    frames.apply(SNAPSHOT, 1)
    assert frames.apply(UPDATE.replace(b"65010.9", number), 2) == (FrameStatus.BAD_NUMBER, 0)
    assert books.checksum(0) == 2282569089


def test_zeros_beyond_the_decimals_are_fine():
    """65010.9000 is 65010.9."""
    _, frames = kraken()
    frames.apply(SNAPSHOT, 1)
    assert frames.apply(UPDATE.replace(b"65010.9", b"65010.9000"), 2)[0] == FrameStatus.APPLIED


UNUSUAL_L2 = {
    "empty quantity": (b'"0.20371215"', b'""'),
    "number not quoted": (b'"0.20371215"', b"0.20371215"),
    "exponent": (b"0.20371215", b"2e-1"),
    "negative": (b"65010.15", b"-65010.15"),
    "ask instead of offer": (b'"offer"', b'"ask"'),
    "two events": (b"]}]}", b']},{"type":"update","product_id":"BTC-USD","updates":[]}]}'),
    "no updates": (L2_UPDATE[L2_UPDATE.index(b'{"side"') : -4], b""),
    "unknown product": (b"BTC-USD", b"BTC-USDC"),
    "escape": (b"BTC-USD", b"BTC-\\u0055SD"),
    "date of no calendar": (b"2026-11-20T09:30:00.21Z", b"2026-11-31T09:30:00.21Z"),
    "year 1969": (b"2026-11-20T09:30:00.21Z", b"1969-11-20T09:30:00.21Z"),
    "trailing bytes": (b"]}]}", b"]}]} "),
    "client id given": (b'"timestamp"', b'"client_id":"x","timestamp"'),
}


@pytest.mark.parametrize("name", UNUSUAL_L2)
def test_unusual_coinbase_frame_is_left_untouched(name):
    """Whatever is not exactly the usual layout is not recognised, and nothing of it is applied."""
    old, new = UNUSUAL_L2[name]
    assert old in L2_UPDATE
    books, frames = coinbase()
    frames.apply(L2_SNAPSHOT, 1, 0)
    before = books.mem.copy()
    assert frames.apply(L2_UPDATE.replace(old, new), 2, 14)[0] == FrameStatus.NOT_RECOGNISED
    assert (before == books.mem).all()


def test_sequence_gap_applies_nothing():
    """Neither a later nor an earlier number than expected is applied."""
    books, frames = coinbase()
    frames.apply(L2_SNAPSHOT, 1, 0)
    before = books.mem.copy()
    for expected in (0, 13, 15, -1):
        assert frames.apply(L2_UPDATE, 2, expected) == (FrameStatus.SEQUENCE_GAP, 0)
    assert (before == books.mem).all()


@pytest.mark.parametrize("count", [1_025, 2_000, 5_000])
def test_frame_of_the_shortest_levels_fits_the_workspace(count):
    """However many levels of the least possible size a frame has, room for them is found in the same call."""
    books, frames = kraken()
    bids = [(Decimal(1), Decimal(0))] * count
    frames.apply(SNAPSHOT, 1)
    levels = ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in bids).encode()
    frame = UPDATE.replace(b'{"price":65010.0,"qty":0.10000000}', levels)
    assert frames.apply(frame, 2)[0] == FrameStatus.CHECKSUM_MISMATCH
    assert not books.is_synced(0)


def test_only_bytes_are_frames():
    """Compiled code takes the types it was compiled for and nothing else: nothing compiles after start."""
    _, frames = kraken()
    for frame in (SNAPSHOT.decode(), bytearray(SNAPSHOT), None):
        with pytest.raises(TypeError):
            frames.apply(frame, 1)


def test_snapshot_larger_than_any_seen_is_taken():
    """A frame with more levels than workspace and book were made for makes both larger, in the same call."""
    books, frames = coinbase()
    count = 140_000
    bids = ",".join(
        f'{{"side":"bid","event_time":"2026-11-20T09:30:00Z","price_level":"{2000 - tick / 100:.2f}","new_quantity":"1"}}'
        for tick in range(count)
    )
    start = L2_SNAPSHOT.index(b'{"side":"bid"')
    stop = L2_SNAPSHOT.index(b',{"side":"offer"')
    assert frames.apply(L2_SNAPSHOT[:start] + bids.encode() + L2_SNAPSHOT[stop:], 1, 0)[0] == FrameStatus.APPLIED
    assert len(books.levels(COINBASE.id, Side.SELL, 2 * count)) == count
    assert books.best(COINBASE.id, Side.SELL) == (Decimal(2000), Decimal(1))
