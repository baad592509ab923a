"""Does the compiled scanner stop exactly where a plain reading of the rows says that a route clears?"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.market.scan import CANDIDATE, CHUNK_ENDED, DUE, NEVER, WATCHED, Scanner
from arbot.market.stream import BOOK_SHIFT, IS_LAST, Kind, Rows
from tests.support.engine_world import an_instrument

VENUES = ("kraken", "coinbase", "bitstamp")
RATE = Fraction(1, 1000)
EDGE_MIN = Fraction(2, 10_000)

levels = st.tuples(st.sampled_from((1, -1)), st.integers(990, 1010), st.integers(0, 3))
messages = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from((Kind.SNAPSHOT, Kind.DELTA, Kind.DELTA, Kind.DELTA, Kind.TRADE, Kind.CLEAR, Kind.ALIVE)),
        st.lists(levels, min_size=1, max_size=6),
        st.integers(0, 3),
    ),
    max_size=60,
)


def rows_of(told: list) -> Rows:
    """Return messages (book, kind, levels, ns since the one before) as columns."""
    lines, now = [], 1_000
    for book, kind, some, gap in told:
        now += gap
        shown = some
        if kind is Kind.SNAPSHOT:  # quiet wide levels around the others, so that books are seldom crossed
            shown = [one for one in [(1, 980, 1), (-1, 1020, 1), *some] if one[2]]
        elif kind in (Kind.CLEAR, Kind.ALIVE):
            shown = [(1, 0, 0)]
        for number, (side, price, qty) in enumerate(shown):
            last = IS_LAST if number == len(shown) - 1 else 0
            lines.append((now, 0, side * price, qty, book << BOOK_SHIFT | last | kind))
    return Rows(*np.array(lines, np.int64).reshape(-1, 5).T.copy())


def a_scanner(depth: int = 0) -> Scanner:
    """Return a scanner over three empty books."""
    books = Books()
    for venue in VENUES:
        index = books.add(an_instrument(venue, price_decimals=0, tick_size=Decimal(1)), depth)
        books.set_taker_rate(index, Decimal("0.001"))
    books.set_edge_min(Decimal(2))
    return Scanner(books)


class Naive:
    """Three books as dictionaries, and what follows from each message, by the words of the definition."""

    def __init__(self) -> None:
        self.books: list[dict[int, int]] = [{}, {}, {}]
        self.is_synced = [False] * 3
        self.since: dict[tuple[int, int], int] = {}
        self.windows: list[tuple[int, int, int, int]] = []
        self.best: dict[tuple[int, int], Fraction] = {}

    def touch(self, book: int) -> tuple[int, int] | None:
        """Return (bid, ask) of a valid book."""
        bids = [key for key in self.books[book] if key > 0]
        asks = [-key for key in self.books[book] if key < 0]
        if not self.is_synced[book] or not bids or not asks or max(bids) >= min(asks):
            return None
        return max(bids), min(asks)

    def message(self, book: int, kind: int, some: list[tuple[int, int]], now: int) -> bool:
        """Apply a message; return whether a route with its book is open afterwards."""
        if kind in (Kind.CLEAR, Kind.SNAPSHOT):
            self.books[book], self.is_synced[book] = {}, kind == Kind.SNAPSHOT
        if kind in (Kind.SNAPSHOT, Kind.DELTA) and self.is_synced[book]:
            for key, qty in some:
                self.books[book].pop(key, None)
                if qty:
                    self.books[book][key] = qty
        if kind == Kind.TRADE:
            return False
        is_open = False
        for buy, sell in ((b, s) for b in range(3) for s in range(3) if b != s and book in (b, s)):
            edge = self.edge(buy, sell)
            if edge is not None:
                self.best[buy, sell] = max(edge, self.best.get((buy, sell), edge))
            if edge is not None and edge >= EDGE_MIN:
                self.since.setdefault((buy, sell), now)
                is_open = True
            elif (buy, sell) in self.since:
                self.windows.append((buy, sell, self.since.pop((buy, sell)), now))
        return is_open

    def edge(self, buy: int, sell: int) -> Fraction | None:
        """Return what is left of buying at one ask and selling at the other bid after fees, as a share of the ask."""
        one, other = self.touch(buy), self.touch(sell)
        if one is None or other is None:
            return None
        return (other[0] * (1 - RATE) - one[1] * (1 + RATE)) / one[1]


def by_message(rows: Rows) -> list[tuple[int, int, list[tuple[int, int]], int]]:
    """Return (book, kind, [(key, qty)], ns) of each message."""
    found, some = [], []
    for recv, _, key, qty, tag in zip(*(column.tolist() for column in rows), strict=True):
        some.append((key, qty))
        if tag & IS_LAST:
            found.append((tag >> BOOK_SHIFT, tag & 15, some, recv))
            some = []
    return found


@given(messages)
@settings(max_examples=300, deadline=None)
def test_candidates_and_windows_are_those_of_the_definition(told: list) -> None:
    """Stop after exactly the messages after which a route of their book clears, and remember every window."""
    rows, naive, scanner = rows_of(told), Naive(), a_scanner()
    expected = [recv for book, kind, some, recv in by_message(rows) if naive.message(book, kind, some, recv)]

    scanner.feed(rows)
    got = []
    while scanner.run(NEVER) == CANDIDATE:
        got.append(int(scanner.message.recv_ts_ns[-1]))
    windows = [tuple(row[:4]) for row in scanner.windows(10**6).tolist()]

    assert expected == got
    assert sorted([*naive.windows, *((*route, since, 10**6) for route, since in naive.since.items())]) == sorted(
        windows
    )
    assert scanner.counts()["messages"] == len(by_message(rows))
    assert {(buy, sell): pytest.approx(float(edge), abs=1e-9) for (buy, sell), edge in naive.best.items()} == {
        (buy, sell): edge * 1e-12 for buy, sell, edge, _ in scanner.best_edges()
    }


@given(messages, st.integers(1_000, 1_100))
@settings(max_examples=100, deadline=None)
def test_a_due_time_stops_before_the_first_later_message(told: list, due: int) -> None:
    """Apply what was received up to the due time, that moment included, and nothing after it."""
    rows, scanner = rows_of(told), a_scanner()
    scanner.feed(rows)
    reason = CANDIDATE
    while reason == CANDIDATE:
        reason = scanner.run(due)

    assert scanner.rows_done == int(np.searchsorted(rows.recv_ts_ns, due, side="right"))
    assert reason == (DUE if scanner.rows_done < len(rows) else CHUNK_ENDED)


@given(messages, st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_chunks_change_nothing(told: list, size: int) -> None:
    """Find the same candidates however the rows are cut into chunks of whole messages."""
    rows, whole, cut = rows_of(told), a_scanner(), a_scanner()
    ends = [at + 1 for at in range(len(rows)) if rows.tag[at] & IS_LAST][size - 1 :: size]

    def candidates(scanner: Scanner, parts: list[Rows]) -> list[int]:
        got = []
        for part in parts:
            scanner.feed(part)
            while scanner.run(NEVER) == CANDIDATE:
                got.append(int(scanner.message.recv_ts_ns[-1]))
        return got

    parts = [rows.part(first, stop) for first, stop in zip([0, *ends], [*ends, len(rows)], strict=True)]
    assert candidates(whole, [rows]) == candidates(cut, parts)
    assert whole.windows(10**6).tolist() == cut.windows(10**6).tolist()


CLEARING = [
    (0, Kind.SNAPSHOT, [(1, 999, 1), (-1, 1000, 2)], 1),
    (1, Kind.SNAPSHOT, [(1, 1005, 3), (-1, 1006, 1)], 1),
]


def test_a_muted_route_does_not_wake() -> None:
    """Pass over candidates of a muted route until its time, and count them."""
    scanner = a_scanner()
    scanner.feed(rows_of([*CLEARING, (0, Kind.DELTA, [(-1, 1003, 1)], 5), (0, Kind.DELTA, [(-1, 1004, 1)], 5)]))
    scanner.mute(0, [(0, 1, 1_008)])

    assert scanner.run(NEVER) == CANDIDATE
    assert int(scanner.message.recv_ts_ns[-1]) == 1_012
    assert scanner.counts()["muted"] == 2


def test_a_watched_book_stops_at_every_message_of_its_own() -> None:
    """Stop after trades and changes of a watched book, and not of others."""
    scanner = a_scanner()
    scanner.watch(1, is_watched=True)
    scanner.feed(rows_of([(0, Kind.SNAPSHOT, [(1, 999, 1)], 1), (1, Kind.TRADE, [(1, 1000, 1)], 1)]))

    assert scanner.run(NEVER) == WATCHED
    assert scanner.book == 1
    assert scanner.run(NEVER) == CHUNK_ENDED


def test_what_we_took_is_gone_until_the_recording_sets_the_level_again() -> None:
    """Show a level without what we took of it, through a snapshot that repeats it too, until it is set anew."""
    scanner = a_scanner()
    same = (0, Kind.SNAPSHOT, [(1, 999, 1), (-1, 1000, 2)], 1)
    scanner.feed(rows_of([same, same, (0, Kind.DELTA, [(-1, 1000, 2)], 1), same]))
    ask, name = [], scanner.books.instrument(0).id

    def look() -> None:
        ask.append([int(level.qty.scaleb(8)) for level in scanner.books.levels(name, Side.BUY, 1)])

    scanner.run(1_001)
    assert scanner.take(0, -1000, 1)
    look()
    for due in (1_002, 1_003, 1_004):
        scanner.run(due)
        look()

    assert ask == [[1], [1], [2], [2]]


def test_a_whole_level_that_we_took_is_gone() -> None:
    """Leave no empty level behind, and refuse to take what is not there."""
    scanner = a_scanner()
    scanner.feed(rows_of([(0, Kind.SNAPSHOT, [(1, 999, 1), (-1, 1000, 2)], 1)]))
    scanner.run(NEVER)

    assert not scanner.take(0, -1000, 3)
    assert scanner.take(0, -1000, 2)
    best = scanner.books.best(scanner.books.instrument(0).id, Side.BUY)
    assert best is not None
    assert best.price == 1020


def test_a_touch_that_comes_back_after_we_took_it_wakes_again() -> None:
    """Review a route when the recording restores what we took, although the touch is the one seen before."""
    scanner = a_scanner()
    again = (0, Kind.DELTA, [(-1, 1000, 2)], 1)
    scanner.feed(rows_of([*CLEARING, (1, Kind.DELTA, [(1, 1005, 0), (1, 1004, 1)], 1), again]))

    assert scanner.run(NEVER) == CANDIDATE
    assert scanner.take(0, -1000, 2)
    assert scanner.run(NEVER) == CANDIDATE
    assert int(scanner.message.recv_ts_ns[-1]) == 1_004
