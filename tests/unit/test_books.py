"""What books promise beyond being right: exactness, failing closed, room, and Kraken's checksum by its examples."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from arbot.domain.errors import InvariantBroken
from arbot.domain.ids import InstrumentId
from arbot.domain.order import Side
from arbot.market.books import BOOKS_MAX_FIRST, Books, level_array, scaled
from arbot.market.layout import HEAD_WIDTH, HEADS
from tests.support.books import Twin, an_instrument

BTC = an_instrument("kraken")


def levels(*pairs, instrument=BTC):
    return level_array([(Decimal(price), Decimal(qty)) for price, qty in pairs], instrument)


def a_book(depth=10, instrument=BTC):
    books = Books()
    index = books.add(instrument, depth)
    books.apply_snapshot(
        index,
        levels(("99.9", "1"), ("99.8", "2")),
        levels(("100.1", "0.5"), ("100.2", "3")),
        venue_ts_ns=7,
        recv_ts_ns=9,
    )
    return books, index


def test_checksum_of_leading_zero_example():
    """Leading zeros of price and quantity are not hashed (facts: worked example with 4 and 8 decimals)."""
    instrument = an_instrument("kraken", price_decimals=4)
    books = Books()
    index = books.add(instrument, 10)
    books.apply_snapshot(
        index,
        levels(("0.5665", "6658.22734739"), ("0.0065", "10"), instrument=instrument),
        levels(("0.5666", "4831.75496356"), instrument=instrument),
        0,
        1,
    )
    assert books.checksum(index) == 3729824877


@pytest.mark.parametrize("digits", range(1, 19))
def test_checksum_of_every_length_of_number(digits):
    """Numbers of one to eighteen digits hash like their text."""
    instrument = an_instrument("kraken", price_decimals=0, qty_decimals=0)
    books, twin = Books(), Twin()
    index = books.add(instrument, 10)
    smallest, largest = Decimal(10 ** (digits - 1)), Decimal(10**digits - 1)
    bids, asks = (
        [(smallest, largest)],
        [(largest, smallest), (largest - 1, Decimal(int("1020304050607080901"[:digits])))],
    )
    books.apply_snapshot(index, level_array(bids, instrument), level_array(asks, instrument), 0, 1)
    twin.snapshot(bids, asks)
    assert twin.checksum(0, 0) == books.checksum(index)


def test_touched_book_is_not_valid_until_checked():
    """Neither a snapshot nor an update makes a book valid by itself."""
    books, index = a_book()
    assert books.state(BTC.id) == (False, 9, 7)
    assert books.validate(index)
    books.apply_update(index, levels(("99.9", "2")), levels(), 8, 10)
    assert books.state(BTC.id) == (False, 10, 8)
    assert books.validate(index)
    assert books.state(BTC.id) == (True, 10, 8)


def test_dropped_book_has_no_levels_and_takes_no_updates():
    """After invalidate a book is empty, deaf to updates and heartbeats, and cannot be declared valid."""
    books, index = a_book()
    assert books.validate(index)
    books.invalidate(index)
    assert not books.apply_update(index, levels(("99.9", "2")), levels(("100.1", "2")), 8, 10)
    books.mark_alive(index, 11)
    assert books.best(BTC.id, Side.BUY) is None
    assert books.levels(BTC.id, Side.SELL, 5) == ()
    assert not books.validate(index)
    assert books.state(BTC.id) == (False, 9, 7)


def test_heartbeat_refreshes_receive_time_only():
    """A sign of life moves recv_ts_ns and nothing else."""
    books, index = a_book()
    books.validate(index)
    books.mark_alive(index, 50)
    assert books.state(BTC.id) == (True, 50, 7)


def test_crossed_book_is_dropped_and_locked_book_too():
    """Best bid at or above best ask means the book is wrong: it is dropped."""
    for price in ("100.1", "100.2"):
        books, index = a_book()
        books.apply_update(index, levels((price, "1")), levels(), 8, 10)
        assert not books.validate(index)
        assert not books.is_synced(index)


def test_one_sided_book_waits_for_its_other_side():
    """A book that lost a side is not valid, keeps taking updates, and is valid again when the side is back."""
    books, index = a_book()
    books.apply_update(index, levels(("99.9", "0"), ("99.8", "0")), levels(), 8, 10)
    assert not books.validate(index)
    assert books.apply_update(index, levels(("99.7", "1")), levels(), 9, 11)
    assert books.validate(index)


def test_levels_come_out_exact_and_met_by_side():
    """BUY meets the asks, SELL the bids, in Decimals equal to what the venue wrote."""
    books, _ = a_book()
    assert books.levels(BTC.id, Side.BUY, 5) == ((Decimal("100.1"), Decimal("0.5")), (Decimal("100.2"), Decimal(3)))
    assert books.levels(BTC.id, Side.SELL, 1) == ((Decimal("99.9"), Decimal(1)),)
    assert books.best(BTC.id, Side.SELL) == (Decimal("99.9"), Decimal(1))


def test_unknown_instrument_has_no_book():
    """Asking for a book that is not kept is answered, not an error."""
    books, _ = a_book()
    other = InstrumentId("DOGE/USD@kraken")
    assert books.state(other) == (False, 0, 0)
    assert books.best(other, Side.BUY) is None


def test_unsorted_snapshot_with_doubles():
    """Snapshot levels in any order are sorted; of a double the last counts, and quantity 0 is no level."""
    books = Books()
    index = books.add(BTC, 0)
    books.apply_snapshot(
        index,
        levels(("1.0", "1"), ("3.0", "1"), ("2.0", "1"), ("3.0", "5"), ("1.0", "0")),
        levels(("9.0", "1"), ("8.0", "0"), ("7.0", "1")),
        0,
        1,
    )
    assert books.levels(BTC.id, Side.SELL, 9) == ((Decimal(3), Decimal(5)), (Decimal(2), Decimal(1)))
    assert books.levels(BTC.id, Side.BUY, 9) == ((Decimal(7), Decimal(1)), (Decimal(9), Decimal(1)))


def test_whole_book_grows_past_its_first_room():
    """More levels than any venue has sent make a bigger array and lose nothing, in this book and the others."""
    books, first = a_book()
    big = an_instrument("coinbase", price_decimals=2)
    index = books.add(big, 0)
    count = 150_000
    asks = np.array([(1_000_000 + tick, 1) for tick in range(count)], np.int64)
    bids = np.array([(999_999 - tick, 1) for tick in range(count)], np.int64)
    books.apply_snapshot(index, bids[:10], asks[:10], 0, 1)
    books.apply_update(index, bids, asks, 0, 2)
    assert books.validate(index)
    got = books.levels(big.id, Side.BUY, count + 1)
    assert count == len(got)
    assert (Decimal("10000.00"), Decimal("0.00000001")) == got[0]
    assert (Decimal("11499.99"), Decimal("0.00000001")) == got[-1]
    assert books.best(BTC.id, Side.BUY) == (Decimal("100.1"), Decimal("0.5"))
    assert first == books.index(BTC.id)


def test_more_books_than_were_reserved_keep_their_levels():
    """Adding books past the reserved heads moves every book with its levels and state."""
    books, index = a_book()
    books.validate(index)
    for number in range(2 * BOOKS_MAX_FIRST):
        books.add(an_instrument("kraken", base=f"A{number}"), 10)
    assert books.state(BTC.id) == (True, 9, 7)
    assert books.best(BTC.id, Side.SELL) == (Decimal("99.9"), Decimal(1))
    last = an_instrument("kraken", base=f"A{2 * BOOKS_MAX_FIRST - 1}")
    assert books.state(last.id) == (False, 0, 0)
    assert books.instrument(books.index(last.id)) == last
    assert len(books) == 2 * BOOKS_MAX_FIRST + 1


def test_book_is_added_once():
    """The same instrument twice is a bug of ours."""
    books, _ = a_book()
    with pytest.raises(InvariantBroken):
        books.add(BTC, 10)


@pytest.mark.parametrize("text", ["-1", "0.05", "NaN", "Infinity", "1E+30", "1E-30", "100000000000000000.0"])
def test_number_that_is_no_level_is_refused(text):
    """Negative, too fine, too large or not finite: ValueError, before anything is applied."""
    with pytest.raises(ValueError, match="not a level"):
        scaled(Decimal(text), 1)


def test_price_of_zero_is_refused():
    """A price of zero is no price."""
    with pytest.raises(ValueError, match="price of zero"):
        level_array([(Decimal(0), Decimal(1))], BTC)


@pytest.mark.parametrize("pair", [(0, 1), (-5, 1), (5, -1), (10**18, 1), (5, 10**18)])
def test_integers_out_of_range_change_nothing(pair):
    """apply_* check the integers they are given and apply nothing when one is out of range."""
    books, index = a_book()
    bad = np.array([(998, 7), pair], np.int64)
    for apply in (books.apply_update, books.apply_snapshot):
        with pytest.raises(ValueError, match="price not above zero"):
            apply(index, bad, levels(), 8, 10)
    assert books.levels(BTC.id, Side.SELL, 9) == ((Decimal("99.9"), Decimal(1)), (Decimal("99.8"), Decimal(2)))


def test_books_added_together_are_as_those_added_one_by_one():
    """Many books laid out at once are what they are one after the other, beyond the first room for heads too."""
    listed = [
        (an_instrument(f"venue{number % 7}", base=f"C{number // 7}"), number % 3 * 10)
        for number in range(BOOKS_MAX_FIRST + 5)
    ]
    together, apart = Books(), Books()

    together.add_all(listed)
    for one, depth in listed:
        apart.add(one, depth)

    assert apart.mem.tolist()[:HEADS] == together.mem.tolist()[:HEADS]
    for index, (one, _) in enumerate(listed):
        head = HEADS + index * HEAD_WIDTH
        assert apart.mem[head : head + HEAD_WIDTH].tolist() == together.mem[head : head + HEAD_WIDTH].tolist()
        assert together.index(one.id) == index
