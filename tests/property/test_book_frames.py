"""The compiled frame parsers: equal to the typed path on good frames, and harmless on bad ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.order import Side
from arbot.market.books import Books, level_array
from arbot.market.frames import FrameStatus
from arbot.venues.coinbase.book_frames import CoinbaseBookFrames
from arbot.venues.kraken.book_frames import KrakenBookFrames
from tests.support.books import Twin, an_instrument, coinbase_frame, kraken_frame

PRICE_DECIMALS, QTY_DECIMALS, DEPTH = 1, 8, 10
KRAKEN = an_instrument("kraken", price_decimals=PRICE_DECIMALS, qty_decimals=QTY_DECIMALS)
COINBASE = an_instrument("coinbase", venue_symbol="BTC-USD", price_decimals=2, qty_decimals=QTY_DECIMALS)


def ticks_of(low, high, places):
    return st.integers(low, high).map(lambda ticks: Decimal(ticks).scaleb(-places))


def sides(places):
    """Bids below 200 ticks and asks above, so that most books are whole."""
    qtys = st.one_of(st.just(Decimal(0)), ticks_of(1, 10**12, QTY_DECIMALS))
    return (
        st.lists(st.tuples(ticks_of(1, 200, places), qtys), max_size=15),
        st.lists(st.tuples(ticks_of(200, 400, places), qtys), max_size=15),
    )


times = st.integers(0, 4_000_000_000_000_000).map(
    lambda us: (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
)


def ns_of(text):
    moment = datetime.fromisoformat(text[:19] + "Z")
    fraction = text[19:].strip(".Z").ljust(9, "0")[:9]
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * 1_000_000_000 + int(fraction)


def kraken_books():
    books = Books()
    index = books.add(KRAKEN, DEPTH)
    return books, index, KrakenBookFrames(books, [("BTC/USD", index)])


def coinbase_books():
    books = Books()
    index = books.add(COINBASE, 0)
    return books, index, CoinbaseBookFrames(books, [("BTC-USD", index)])


def whole(books, instrument):
    """Return all that can be seen of a book."""
    return (
        books.levels(instrument.id, Side.SELL, 9_999),
        books.levels(instrument.id, Side.BUY, 9_999),
        books.state(instrument.id),
        books.is_synced(books.index(instrument.id)),
    )


kraken_messages = st.lists(
    st.tuples(st.sampled_from(["update", "update", "snapshot"]), *sides(PRICE_DECIMALS), st.none() | times),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(messages=kraken_messages)
def test_kraken_frames_equal_the_typed_path(messages):
    """Frame by frame, the compiled path and apply/checksum/validate leave the same book and say the same."""
    fast, index, frames = kraken_books()
    typed, _, _ = kraken_books()
    twin = Twin(DEPTH)
    messages = [("snapshot", *messages[0][1:]), *messages[1:]]
    for number, (kind, bids, asks, time) in enumerate(messages, 1):
        (twin.snapshot if kind == "snapshot" else twin.update)(bids, asks)
        checksum = twin.checksum(PRICE_DECIMALS, QTY_DECIMALS)
        status, book = frames.apply(kraken_frame(kind, "BTC/USD", bids, asks, checksum, time), number)
        apply = typed.apply_snapshot if kind == "snapshot" else typed.apply_update
        apply(index, level_array(bids, KRAKEN), level_array(asks, KRAKEN), ns_of(time) if time else 0, number)
        assert checksum == typed.checksum(index)
        typed.validate(index)
        assert (FrameStatus.CROSSED if twin.is_crossed else FrameStatus.APPLIED, index) == (status, book)
        assert whole(typed, KRAKEN) == whole(fast, KRAKEN)
        if twin.is_crossed:
            break


@settings(max_examples=100, deadline=None)
@given(messages=kraken_messages, wrong=st.integers(1, 2**32 - 1))
def test_kraken_checksum_mismatch_drops_the_book(messages, wrong):
    """One bit of difference in the checksum and the book is gone until the next snapshot."""
    books, index, frames = kraken_books()
    twin = Twin(DEPTH)
    _, bids, asks, time = messages[0]
    twin.snapshot(bids, asks)
    told = twin.checksum(PRICE_DECIMALS, QTY_DECIMALS) ^ wrong
    status, book = frames.apply(kraken_frame("snapshot", "BTC/USD", bids, asks, told, time), 1)
    assert (FrameStatus.CHECKSUM_MISMATCH, index) == (status, book)
    assert not books.is_synced(index)
    assert books.levels(KRAKEN.id, Side.BUY, 9) == ()
    right = kraken_frame("update", "BTC/USD", bids, asks, twin.checksum(PRICE_DECIMALS, QTY_DECIMALS), time)
    assert frames.apply(right, 2)[0] == FrameStatus.NO_SNAPSHOT


coinbase_messages = st.lists(
    st.tuples(st.sampled_from(["update", "update", "snapshot"]), *sides(2), times, st.randoms()),
    min_size=1,
    max_size=8,
)


def mixed(bids, asks, chance):
    """Return updates of both sides, the order within a side kept."""
    bids, asks = [("bid", *level) for level in bids], [("offer", *level) for level in asks]
    updates = []
    while bids or asks:
        updates.append((bids if bids and (not asks or chance.random() < 0.5) else asks).pop(0))
    return updates


@settings(max_examples=150, deadline=None)
@given(messages=coinbase_messages)
def test_coinbase_frames_equal_the_typed_path(messages):
    """Frame by frame, the compiled path and apply/validate leave the same book and say the same."""
    fast, index, frames = coinbase_books()
    typed, _, _ = coinbase_books()
    twin = Twin()
    messages = [("snapshot", *messages[0][1:]), *messages[1:]]
    for number, (kind, bids, asks, time, chance) in enumerate(messages, 1):
        frame = coinbase_frame(kind, "BTC-USD", mixed(bids, asks, chance), number, time)
        before = whole(fast, COINBASE)
        assert (FrameStatus.SEQUENCE_GAP, index) == frames.apply(frame, number, number + 1)
        assert before == whole(fast, COINBASE)
        status, book = frames.apply(frame, number, number)
        if not bids and not asks:
            assert status == FrameStatus.NOT_RECOGNISED
            continue
        (twin.snapshot if kind == "snapshot" else twin.update)(bids, asks)
        apply = typed.apply_snapshot if kind == "snapshot" else typed.apply_update
        applied = apply(index, level_array(bids, COINBASE), level_array(asks, COINBASE), ns_of(time), number)
        if applied is False:
            assert status == FrameStatus.NO_SNAPSHOT
            twin.snapshot([], [])
            continue
        typed.validate(index)
        assert (FrameStatus.CROSSED if twin.is_crossed else FrameStatus.APPLIED, index) == (status, book)
        assert whole(typed, COINBASE) == whole(fast, COINBASE)
        if twin.is_crossed:
            break


# --- bad frames --------------------------------------------------------------------------------------------------

mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "delete", "insert", "repeat", "digit"]),
        st.integers(0, 10**6),
        st.one_of(st.sampled_from(list(b'0123456789.eE-+"{}[],: NaI')), st.integers(0, 255)),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=3,
)


def mutated(frame, changes):
    raw = bytearray(frame)
    for kind, where, byte, size in changes:
        at = where % len(raw)
        if kind == "flip":
            raw[at] = byte
        elif kind == "delete":
            del raw[at : at + size]
        elif kind == "insert":
            raw.insert(at, byte)
        elif kind == "repeat":
            raw[at:at] = raw[at : at + size]
        else:
            digits = [place for place, value in enumerate(raw) if 48 <= value <= 57]
            if digits:
                raw[digits[where % len(digits)]] = 48 + byte % 10
        raw = raw or bytearray(b"{")
    return bytes(raw)


def exact(frame):
    """Read a frame with every number as written. Raises: ValueError when it is not JSON."""
    return json.loads(frame, parse_float=Decimal, parse_int=Decimal)


@settings(max_examples=600, deadline=None)
@given(first=st.tuples(*sides(2)), second=st.tuples(*sides(2)), changes=mutations)
def test_mutated_coinbase_frame_is_refused_or_right(first, second, changes):
    """A damaged frame either leaves the book alone, or was still a frame, and then the book is what it says."""
    books, index, frames = coinbase_books()
    twin = Twin()
    bids, asks = [*first[0], (Decimal("0.01"), Decimal(1))], [*first[1], (Decimal(5), Decimal(1))]
    time = "2026-11-20T09:30:00.170326Z"
    opening = [("bid", *level) for level in bids] + [("offer", *level) for level in asks]
    frames.apply(coinbase_frame("snapshot", "BTC-USD", opening, 0, time), 1, 0)
    twin.snapshot(bids, asks)
    if twin.is_crossed:
        return
    before = whole(books, COINBASE)
    updates = [("bid", *level) for level in second[0]] + [("offer", *level) for level in second[1]]
    frame = mutated(coinbase_frame("update", "BTC-USD", updates, 1, time), changes)
    status, book = frames.apply(frame, 2, 1)
    if status not in (FrameStatus.APPLIED, FrameStatus.CROSSED):
        assert before == whole(books, COINBASE)
        return
    assert index == book
    (event,) = exact(frame)["events"]
    levels = [(u["side"], Decimal(u["price_level"]), Decimal(u["new_quantity"])) for u in event["updates"]]
    assert {"bid", "offer"} >= {side for side, _, _ in levels}
    (twin.snapshot if event["type"] == "snapshot" else twin.update)(
        [level[1:] for level in levels if level[0] == "bid"], [level[1:] for level in levels if level[0] == "offer"]
    )
    assert twin.is_crossed == (status == FrameStatus.CROSSED)
    if status == FrameStatus.APPLIED:
        assert twin.best_bids() == list(books.levels(COINBASE.id, Side.SELL, 99))
        assert twin.best_asks() == list(books.levels(COINBASE.id, Side.BUY, 99))
        assert max(ns_of(u["event_time"]) for u in event["updates"]) == books.state(COINBASE.id).venue_ts_ns


@settings(max_examples=600, deadline=None)
@given(first=st.tuples(*sides(1)), second=st.tuples(*sides(1)), changes=mutations, rehash=st.booleans())
def test_mutated_kraken_frame_is_refused_or_right(first, second, changes, rehash):
    """A damaged frame leaves the book alone, or drops it, or was still a frame, and then the book is what it says."""
    books, _, frames = kraken_books()
    twin = Twin(DEPTH)
    bids, asks = [*first[0], (Decimal("0.1"), Decimal(1))], [*first[1], (Decimal(50), Decimal(1))]
    twin.snapshot(bids, asks)
    if twin.is_crossed:
        return
    frames.apply(kraken_frame("snapshot", "BTC/USD", bids, asks, twin.checksum(1, 8), None), 1)
    before = whole(books, KRAKEN)
    frame = mutated(kraken_frame("update", "BTC/USD", *second, 1234567890, "2026-11-20T09:30:01.000001Z"), changes)
    try:
        (row,) = exact(frame)["data"]
        sided = [[(level["price"], level["qty"]) for level in row[side]] for side in ("bids", "asks")]
        (twin.snapshot if exact(frame)["type"] == "snapshot" else twin.update)(*sided)
        if rehash:
            frame = frame.replace(b"1234567890", str(twin.checksum(1, 8)).encode())
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        twin = None  # not a frame any more
    status, _ = frames.apply(frame, 2)
    if status in (FrameStatus.CHECKSUM_MISMATCH, FrameStatus.CROSSED):
        assert whole(books, KRAKEN)[:2] == ((), ())
        assert not books.is_synced(0)
    elif status == FrameStatus.APPLIED:
        assert twin is not None
        assert twin.best_bids() == list(books.levels(KRAKEN.id, Side.SELL, 99))
        assert twin.best_asks() == list(books.levels(KRAKEN.id, Side.BUY, 99))
        assert exact(frame)["data"][0]["checksum"] == twin.checksum(1, 8)
    else:
        assert before == whole(books, KRAKEN)


@settings(max_examples=300, deadline=None)
@given(frame=st.binary(max_size=300))
def test_noise_is_not_recognised(frame):
    """Random bytes are nobody's frame."""
    _, _, kraken = kraken_books()
    _, _, coinbase = coinbase_books()
    assert kraken.apply(frame, 1) == (FrameStatus.NOT_RECOGNISED, -1)
    assert coinbase.apply(frame, 1, 0) == (FrameStatus.NOT_RECOGNISED, -1)


def test_every_prefix_is_not_recognised():
    """A frame cut anywhere is not read past its end and changes nothing."""
    books, _, frames = kraken_books()
    frame = kraken_frame(
        "snapshot",
        "BTC/USD",
        [(Decimal("99.9"), Decimal(1))],
        [(Decimal("100.1"), Decimal(1))],
        0,
        "2026-11-20T09:30:01Z",
    )
    for size in range(len(frame)):
        assert frames.apply(frame[:size], 1)[0] == FrameStatus.NOT_RECOGNISED
        assert not books.is_synced(0)
