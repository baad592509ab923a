"""A tape cut by time: the part that settings are tuned on and the part that is held out, each a stock of its own.

A part that begins inside the tape begins with a snapshot of every book as it stood then, at the time the book was last
heard of, so that a full replay of the part sees what it would have seen there.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from arbot.backtest.stock import Listed, Stock
from arbot.backtest.sweep_pass import Part
from arbot.market.books import Books
from arbot.market.layout import ASKS, BIDS, CAPACITY, END, HEAD_WIDTH, HEADS, KEYS, RECV_TS, START, SYNCED, VENUE_TS
from arbot.market.scan import CHUNK_ENDED, NEVER, Scanner
from arbot.market.stream import BOOK_SHIFT, IS_LAST, Column, Kind, Rows

TUNED, HELD_OUT = "tuned", "held_out"


def span_of(stock: Stock) -> tuple[int, int]:
    """Return the times of the first and last row of a stock, (0, 0) for an empty one."""
    first = last = 0
    for chunk in stock.chunks():
        if len(chunk):
            first = first or int(chunk.recv_ts_ns[0])
            last = int(chunk.recv_ts_ns[-1])
    return first, last


def split(span: tuple[int, int], hold_out: float) -> tuple[Part, ...]:
    """Return the tuned and the held-out part: the last share `hold_out` of the time; one part when that is 0."""
    first, last = span
    cut = last + 1 - round((last + 1 - first) * hold_out)
    tuned = Part(name=TUNED, first_ts_ns=first, stop_ts_ns=cut)
    return (tuned, Part(name=HELD_OUT, first_ts_ns=cut, stop_ts_ns=last + 1)) if hold_out else (tuned,)


class StockPart(msgspec.Struct, frozen=True):
    """A Stock of one part of another."""

    whole: Stock
    part: Part

    @property
    def streams(self) -> tuple[Listed, ...]:
        """Return the streams of the whole."""
        return self.whole.streams

    @property
    def rows(self) -> int:
        """Return the rows of the whole: how many fall into the part is not known before they are read."""
        return self.whole.rows

    @property
    def key(self) -> str:
        """Return the whole's key with the part's times."""
        return f"{self.whole.key}:{self.part.first_ts_ns}:{self.part.stop_ts_ns}"

    def chunks(self) -> Iterator[Rows]:
        """Yield the part's rows; what came before goes into books only."""
        books = Books()
        for listed in self.streams:
            books.add(listed.instrument, listed.depth)
        scanner, is_begun = Scanner(books), False
        for chunk in self.whole.chunks():
            first, stop = np.searchsorted(chunk.recv_ts_ns, (self.part.first_ts_ns, self.part.stop_ts_ns)).tolist()
            if first and not is_begun:
                scanner.feed(chunk.part(0, first))
                while scanner.run(NEVER) != CHUNK_ENDED:
                    pass
            if stop > first:
                if not is_begun:
                    is_begun = True
                    yield standing(books)
                yield chunk.part(first, stop)
            if stop < len(chunk):
                return


def standing(books: Books) -> Rows:
    """Return a snapshot of every book that is synced, in the order in which they were last heard of."""
    found: list[tuple[int, int, Column]] = []
    for index in range(len(books)):
        head = HEADS + index * HEAD_WIDTH
        if not books.mem[head + SYNCED]:
            continue
        levels = []
        for side in (head + BIDS, head + ASKS):
            keys, capacity, start, end = (int(books.mem[side + word]) for word in (KEYS, CAPACITY, START, END))
            columns = (books.mem[keys + start : keys + end], books.mem[keys + capacity + start : keys + capacity + end])
            levels.append(np.stack(columns)[:, ::-1])
        both = np.concatenate(levels, axis=1)
        if both.shape[1]:
            found.append((int(books.mem[head + RECV_TS]), index, both))
    rows = []
    for recv_ts_ns, index, both in sorted(found, key=lambda entry: entry[:2]):
        count = both.shape[1]
        tag = np.full(count, index << BOOK_SHIFT | int(Kind.SNAPSHOT), np.int64)
        tag[-1] |= IS_LAST
        venue_ts_ns = int(books.mem[HEADS + index * HEAD_WIDTH + VENUE_TS])
        rows.append((np.full(count, recv_ts_ns), np.full(count, venue_ts_ns), both[0], both[1], tag))
    if not rows:
        return Rows(*(np.empty(0, np.int64) for _ in Rows._fields))
    return Rows(*(np.concatenate(column).astype(np.int64) for column in zip(*rows, strict=True)))
