"""Tell a book again what a tape says it took in: the inverse of the tee, for one book at a time.

After each message the book is checked, as every venue's code does, but a crossed one is not dropped: the recording has a
CLEAR where the venue's code dropped it. A run that was recorded whole thus gives books that are the same at every event,
levels, times and validity alike.
"""

from __future__ import annotations

import numpy as np
from numba import types

from arbot.market import sides
from arbot.market.books import Books
from arbot.market.compiled import compiled
from arbot.market.layout import ASKS, BIDS, CAPACITY, HEAD_WIDTH, HEADS, RECV_TS, SYNCED, Words
from arbot.market.stream import IS_LAST, KIND_MASK, Kind, Rows

_SNAPSHOT, _DELTA = int(Kind.SNAPSHOT), int(Kind.DELTA)
_CLEAR, _ALIVE = int(Kind.CLEAR), int(Kind.ALIVE)

_i8 = types.int64
_mem = types.int64[::1]


@compiled(_i8(_mem, _i8, _mem, _mem, _mem, _mem, _mem, _i8, _i8))
def _retell(  # noqa: PLR0917
    mem: Words,
    head: int,
    recv_ts_ns: Words,
    venue_ts_ns: Words,
    key: Words,
    qty: Words,
    tag: Words,
    first: int,
    stop: int,
) -> int:
    """Apply whole messages from row `first`; return `stop`, or the first row of a message that the book has no room for."""
    while first < stop:
        end = first
        while tag[end] & IS_LAST == 0 and end + 1 < stop:
            end += 1
        count = end + 1 - first
        kind = tag[first] & KIND_MASK
        if kind == _SNAPSHOT or (kind == _DELTA and mem[head + SYNCED] != 0):
            if kind == _SNAPSHOT:
                has_room = min(mem[head + BIDS + CAPACITY], mem[head + ASKS + CAPACITY]) >= count
            else:
                has_room = sides.has_room(mem, head, count)
            if not has_room:
                return first
            source = np.empty(2 * count, np.int64)
            for level in range(count):
                source[2 * level] = key[first + level]
                source[2 * level + 1] = qty[first + level]
            if kind == _SNAPSHOT:
                sides.snapshot(mem, head, source, 0, count, venue_ts_ns[first], recv_ts_ns[first])
            else:
                sides.update(mem, head, source, 0, count, venue_ts_ns[first], recv_ts_ns[first])
            sides.check(mem, head)
        elif kind == _CLEAR:
            sides.clear(mem, head)
        elif kind == _ALIVE and mem[head + SYNCED] != 0:
            mem[head + RECV_TS] = recv_ts_ns[first]
        first = end + 1
    return stop


def retell(books: Books, index: int, rows: Rows, first: int, stop: int) -> None:
    """Apply the rows [first, stop) of one book, whole messages, in their order. The book number in the tags is not read."""
    while first < stop:
        first = _retell(books.mem, HEADS + index * HEAD_WIDTH, *rows, first, stop)
        if first < stop:
            books.grow(index, stop - first)
