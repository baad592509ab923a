"""What books count of themselves, on the compiled path as on the typed one, and how old their news is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from arbot.domain.ids import VenueId
from arbot.market.books import Books
from arbot.market.layout import DELAY_UNKNOWN
from arbot.runtime.feed_delays import FeedDelays
from arbot.venues.codec import StreamStats
from arbot.venues.kraken.codec import KrakenMarketCodec
from tests.support.books import an_instrument
from tests.support.streams import kraken_crc, kraken_frame, kraken_row

MS = 1_000_000
NOW_NS = 1_790_000_000_000_000_000
KRAKEN, COINBASE = an_instrument("kraken"), an_instrument("coinbase")
BIDS, ASKS = [("100.0", "1.00000000")], [("101.0", "2.00000000")]
NOTHING = np.empty((0, 2), np.int64)


@pytest.fixture
def books() -> Books:
    made = Books()
    for instrument in (KRAKEN, COINBASE):
        made.add(instrument, 10)
    return made


def snapshot(books: Books, index: int, age_ms: int, now_ns: int = NOW_NS) -> None:
    books.apply_snapshot(
        index, np.array([[10, 1]], np.int64), np.array([[11, 1]], np.int64), now_ns - age_ms * MS, now_ns
    )


def update(books: Books, index: int, age_ms: int, now_ns: int = NOW_NS) -> None:
    books.apply_update(index, np.array([[9, 1]], np.int64), NOTHING, now_ns - age_ms * MS, now_ns)


@pytest.mark.parametrize("is_spaced", [False, True], ids=["compiled", "typed"])
def test_confirmed_checksums_are_counted_on_both_paths(books: Books, is_spaced: bool):
    """Each frame counts once, its checksum once when it fits, and a wrong one is counted as a mismatch alone."""
    stats = StreamStats()
    codec = KrakenMarketCodec([KRAKEN], books, stats)
    for kind, crc in (("snapshot", kraken_crc(BIDS, ASKS)), ("update", kraken_crc(BIDS, ASKS)), ("update", 1)):
        frame = kraken_frame(kind, kraken_row("BTC/USD", BIDS, ASKS, crc))
        codec.decode(frame.replace(b'{"channel"', b'{ "channel"') if is_spaced else frame, NOW_NS)
    assert (3, 2, 1) == (books.updates[0], books.confirmations[0], stats.checksum_mismatches)


def test_a_first_snapshot_has_no_delay_and_a_repeated_one_has(books: Books):
    """The time of a first snapshot is that of the last change, however long ago; a book told whole each time is news."""
    snapshot(books, 0, age_ms=60_000)
    assert DELAY_UNKNOWN == books.delays_ns[0]
    update(books, 0, age_ms=7)
    assert 7 * MS == books.delays_ns[0]
    snapshot(books, 0, age_ms=5)
    assert 5 * MS == books.delays_ns[0]
    books.apply_update(0, NOTHING, NOTHING, 0, NOW_NS)  # the venue tells no time
    assert (DELAY_UNKNOWN, 4) == (books.delays_ns[0], books.updates[0])


def test_a_heartbeat_is_no_update(books: Books):
    """A sign of life moves the book's age, not its count nor its delay."""
    snapshot(books, 0, age_ms=5)
    update(books, 0, age_ms=5)
    books.mark_alive(0, NOW_NS + 1_000 * MS)
    assert (2, 5 * MS) == (books.updates[0], books.delays_ns[0])


def drained(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def test_each_book_that_moved_counts_once_a_look(books: Books):
    """A book's newest delay is counted, less the skew; one that did not move since is not counted again."""
    skews = {VenueId("kraken"): 2, VenueId("coinbase"): None}
    delays = FeedDelays(books, lambda venue: skews[venue])
    for index in range(2):
        snapshot(books, index, age_ms=5)
        update(books, index, age_ms=50)
        update(books, index, age_ms=8)
    drained(delays.look())
    drained(delays.look())
    assert {("kraken",)} == set(delays.durations())
    kraken = delays.by_venue[VenueId("kraken")]
    assert (1, 10 * MS) == (kraken.total, kraken.sum_ns)
    update(books, 0, age_ms=-30)  # the venue's clock is ahead of what we believe
    skews[VenueId("coinbase")] = 0
    drained(delays.look())
    assert (2, 10 * MS) == (kraken.total, kraken.sum_ns)
    update(books, 1, age_ms=8)
    drained(delays.look())
    assert 8 * MS == delays.by_venue[VenueId("coinbase")].sum_ns


def test_a_look_at_many_books_turns_to_the_loop_between():
    """With more books than are looked at in one go, the look is sliced."""
    many = Books()
    for number in range(600):
        many.add(an_instrument("kraken", base=f"A{number}"), 10)
    assert 2 == sum(1 for _ in FeedDelays(many, lambda _: 0).look())
