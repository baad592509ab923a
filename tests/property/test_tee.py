"""What the tee holds tells the whole story of the books: told again, it gives the same books."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.market.retell import retell
from arbot.market.stream import IS_LAST, Kind, Rows
from arbot.market.tee import NS_PER_DAY, rows_of
from arbot.tape.checks import flaw
from tests.support.books import an_instrument

INSTRUMENTS = (
    an_instrument("kraken", price_decimals=1, qty_decimals=8),
    an_instrument("coinbase", price_decimals=2, qty_decimals=6),
)
DEPTHS = (5, 0)
MIDNIGHT_NS = 20_000 * NS_PER_DAY

levels = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), max_size=12)
books_of = st.integers(0, len(INSTRUMENTS) - 1)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("snapshot"), books_of, levels, levels),
        st.tuples(st.just("update"), books_of, levels, levels),
        st.tuples(st.just("update"), books_of, levels, levels),
        st.tuples(st.sampled_from(["alive", "drop", "check", "grow"]), books_of, st.just([]), st.just([])),
        st.tuples(st.just("drain"), st.just(0), st.just([]), st.just([])),
    ),
    max_size=40,
)


def new_books() -> Books:
    books = Books()
    for instrument, depth in zip(INSTRUMENTS, DEPTHS, strict=True):
        books.add(instrument, depth)
    return books


def as_levels(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def operate(books: Books, kind: str, index: int, sides: tuple[list, list], ts_ns: int) -> None:
    bids, asks = (as_levels(side) for side in sides)
    if kind == "snapshot":
        books.apply_snapshot(index, bids, asks, ts_ns - 7, ts_ns)
        books.validate(index)
    elif kind == "update":
        if books.apply_update(index, bids, asks, ts_ns - 7, ts_ns):
            books.validate(index)
    elif kind == "alive":
        books.mark_alive(index, ts_ns)
    elif kind == "drop":
        books.invalidate(index)
    elif kind == "grow":
        books.grow(index, 5_000)


def told(books: Books) -> list[object]:
    """Return all there is to know of all books; the times of a dropped one mean nothing, and may be lost with its messages."""
    return [
        (
            books.state(one.id) if books.is_synced(index) else None,
            books.levels(one.id, Side.BUY, 10_000),
            books.levels(one.id, Side.SELL, 10_000),
        )
        for index, one in enumerate(INSTRUMENTS)
    ]


def tell_again(books: Books, words: np.ndarray) -> None:
    rows = rows_of(words)
    for index in range(len(INSTRUMENTS)):
        book, kind, recv_ts_ns, venue_ts_ns, _, key, qty, is_last = (
            np.ascontiguousarray(column) for column in rows[:, rows[0] == index]
        )
        assert np.all(np.diff(recv_ts_ns) >= 0)
        flaws = [flaw(*row, 0) for row in zip(kind, np.sign(key), np.abs(key), qty, venue_ts_ns, strict=True)]
        assert not any(flaws)
        ours = Rows(recv_ts_ns, venue_ts_ns, key, qty, kind | is_last * IS_LAST)
        retell(books, index, ours, 0, len(book))


@settings(max_examples=150, deadline=None)
@given(steps=operations, words=st.sampled_from([1 << 14, 1 << 14, 150]), starts_late=st.booleans())
def test_books_told_again_are_the_same_at_every_drain(steps, words, starts_late):
    """At every drain a second set of books, fed only with what was drained, equals the first, gaps and midnights included."""
    books, again = new_books(), new_books()
    if starts_late:
        books.apply_snapshot(0, as_levels([(5, 1)]), as_levels([(9, 1)]), 3, 10)
        books.validate(0)
    books.start_tee(words)
    lost = 0
    for number, (kind, index, *sides) in enumerate([*steps, ("drain", 0, [], [])]):
        ts_ns = MIDNIGHT_NS + (number - 15) * 1_000
        if kind != "drain":
            operate(books, kind, index, tuple(sides), ts_ns)
            continue
        drained = books.drain_tee()
        tell_again(again, drained.words)
        if drained.lost:
            lost += drained.lost
            books.start_tee(1 << 14)
            books.renew_tee(drained.lost_ts_ns)
            tell_again(again, books.drain_tee().words)
        assert told(books) == told(again)
    assert lost == 0 or words == 150


def test_each_day_begins_with_the_whole_book():
    """The first message of a book after midnight, an update or a sign of life, is written as what the book then is."""
    books = new_books()
    books.start_tee(1 << 14)
    books.apply_snapshot(0, as_levels([(10, 1), (9, 1)]), as_levels([(20, 2)]), 1, MIDNIGHT_NS - 10)
    books.apply_update(0, as_levels([(11, 3)]), as_levels([]), 2, MIDNIGHT_NS - 5)
    books.apply_update(0, as_levels([(12, 4)]), as_levels([]), 3, MIDNIGHT_NS + 5)
    books.mark_alive(0, MIDNIGHT_NS + 9)
    rows = rows_of(books.drain_tee().words)
    after = rows[:, rows[2] >= MIDNIGHT_NS]
    assert list(after[1]) == [Kind.SNAPSHOT] * 5 + [Kind.ALIVE]
    assert list(after[5]) == [12, 11, 10, 9, -20, 0]
    assert list(after[6]) == [4, 3, 1, 1, 2, 0]


def test_the_tee_names_the_event_before_each_message():
    """Rows bear the number of the last event the engine had taken when they were applied."""
    books = new_books()
    books.start_tee(1 << 14)
    for seq in (4, 9):
        books.tell_tee(seq=seq)
        books.apply_snapshot(1, as_levels([(10, 1)]), as_levels([(20, 2)]), 0, seq)
        books.tee_trade(1, -15, 2, 0, seq)
    assert list(rows_of(books.drain_tee().words)[4]) == [4, 4, 4, 9, 9, 9]


def test_turned_off_it_takes_nothing():
    """A tee that was turned off holds nothing, and the books go on as they were."""
    books = new_books()
    books.start_tee(1 << 14)
    books.apply_snapshot(0, as_levels([(10, 1)]), as_levels([(20, 2)]), 0, 1)
    books.start_tee(0)
    books.apply_update(0, as_levels([(11, 1)]), as_levels([]), 0, 2)
    assert books.drain_tee().words.size == 0
    assert books.best(INSTRUMENTS[0].id, Side.SELL) == (Decimal("1.1"), Decimal("0.00000001"))
