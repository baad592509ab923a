"""The tee: exactly what the books took in, in the order in which they took it, for whoever records.

All venues end in `sides.snapshot`, `sides.update`, `sides.clear` and `Books.mark_alive`, and the tee stands there, so
that a frame that was refused is not in it and one that broke its book is followed by the CLEAR that dropped it. A
message is HEADER words and its levels as pairs (signed key, qty):

    kind | book << 8 · recv_ts_ns · venue_ts_ns · number of the last event before it · how many pairs

Rules:
- A SNAPSHOT is the book as it came out: truncated, in order, best first, no level twice and none empty.
- The first message of a book in a UTC day, or after the tee was opened or renewed, is taken whole, as a SNAPSHOT of what
  the book became: every day can be read without the day before, and replaying it changes nothing else.
- An update without levels removes one that no book has; an empty book is a SNAPSHOT of one level and the DELTA that
  removes it: a tape has no message without rows, and no empty level in a SNAPSHOT.
- A CLEAR bears the newest receive time anybody told, since nobody receives a lost connection.
- What finds no room is counted and lost, and so is all behind it until the tee is drained: no gap goes unnoticed.
- Off, it costs one comparison per message.

Replaying all of it (`apply`) into books of the same depths gives the same books, levels, times and validity alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types

from arbot.market.compiled import compiled
from arbot.market.layout import (
    ASKS,
    BIDS,
    CAPACITY,
    END,
    HEAD_WIDTH,
    HEADS,
    KEYS,
    RECV_TS,
    START,
    SYNCED,
    TEE_AT,
    TEE_DAY,
    TEE_END,
    TEE_LOST,
    TEE_LOST_TS,
    TEE_RECV_TS,
    TEE_SEQ,
    VENUE_TS,
    Words,
)
from arbot.market.stream import BOOK_SHIFT, KIND_MASK, Kind

HEADER = 5
NS_PER_DAY = 86_400_000_000_000

_SNAPSHOT, _DELTA, _TRADE = int(Kind.SNAPSHOT), int(Kind.DELTA), int(Kind.TRADE)
_CLEAR, _ALIVE = int(Kind.CLEAR), int(Kind.ALIVE)
_NOWHERE = -(10**18 - 1)  # the key of an ask dearer than any

_i8 = types.int64
_mem = types.int64[::1]


class Drained(NamedTuple):
    """What the tee held. `lost` messages found no room, the first of them received at `lost_ts_ns`."""

    words: Words
    lost: int
    lost_ts_ns: int


@compiled(_i8(_mem, _i8, _i8, _i8, _i8, _i8))
def _open(mem: Words, head: int, kind: int, recv_ts_ns: int, venue_ts_ns: int, count: int) -> int:  # noqa: PLR0917
    """Begin a message and return where its pairs go, or 0 when there is no room."""
    at: int = mem[TEE_AT]
    mem[TEE_RECV_TS] = max(mem[TEE_RECV_TS], recv_ts_ns)
    stop = at + HEADER + 2 * count
    if mem[TEE_LOST] != 0 or stop > mem[TEE_END]:
        if mem[TEE_LOST] == 0:
            mem[TEE_LOST_TS] = recv_ts_ns
        mem[TEE_LOST] += 1
        return 0
    mem[at] = kind | ((head - HEADS) // HEAD_WIDTH) << BOOK_SHIFT
    mem[at + 1] = recv_ts_ns
    mem[at + 2] = venue_ts_ns
    mem[at + 3] = mem[TEE_SEQ]
    mem[at + 4] = count
    mem[TEE_AT] = stop
    return at + HEADER


@compiled(types.void(_mem, _i8))
def whole(mem: Words, head: int) -> None:
    """Take a book as it stands, as a SNAPSHOT with the book's own times."""
    bids, asks = head + BIDS, head + ASKS
    count = mem[bids + END] - mem[bids + START] + mem[asks + END] - mem[asks + START]
    recv_ts_ns = mem[head + RECV_TS]
    at = _open(mem, head, _SNAPSHOT, recv_ts_ns, mem[head + VENUE_TS], max(count, 1))
    if at == 0:
        return
    if count == 0:
        mem[at], mem[at + 1] = _NOWHERE, 1
        at = _open(mem, head, _DELTA, recv_ts_ns, mem[head + VENUE_TS], 1)
        if at != 0:
            mem[at], mem[at + 1] = _NOWHERE, 0
    for side in (bids, asks):
        keys, capacity = mem[side + KEYS], mem[side + CAPACITY]
        for level in range(keys + mem[side + END] - 1, keys + mem[side + START] - 1, -1):
            mem[at] = mem[level]
            mem[at + 1] = mem[level + capacity]
            at += 2
    mem[head + TEE_DAY] = recv_ts_ns // NS_PER_DAY + 1


@compiled(types.void(_mem, _i8, _mem, _i8, _i8))
def changed(mem: Words, head: int, source: Words, first: int, count: int) -> None:
    """Take an update that was just applied: the `count` pairs at source[first:], in their order."""
    recv_ts_ns = mem[head + RECV_TS]
    if mem[head + TEE_DAY] != recv_ts_ns // NS_PER_DAY + 1:
        whole(mem, head)
        return
    at = _open(mem, head, _DELTA, recv_ts_ns, mem[head + VENUE_TS], max(count, 1))
    if at != 0:
        mem[at], mem[at + 1] = _NOWHERE, 0
        for word in range(2 * count):
            mem[at + word] = source[first + word]


@compiled(types.void(_mem, _i8))
def dropped(mem: Words, head: int) -> None:
    """Take that a book is being dropped; one that is not synced has nothing to lose."""
    if mem[head + SYNCED] != 0:
        _open(mem, head, _CLEAR, max(mem[head + RECV_TS], mem[TEE_RECV_TS]), 0, 0)


@compiled(types.void(_mem, _i8))
def alive(mem: Words, head: int) -> None:
    """Take a sign of life that a book was just given."""
    recv_ts_ns = mem[head + RECV_TS]
    if mem[head + TEE_DAY] != recv_ts_ns // NS_PER_DAY + 1:
        whole(mem, head)
        return
    _open(mem, head, _ALIVE, recv_ts_ns, 0, 0)


@compiled(types.void(_mem, _i8, _i8, _i8, _i8, _i8))
def printed(mem: Words, head: int, key: int, qty: int, recv_ts_ns: int, venue_ts_ns: int) -> None:  # noqa: PLR0917
    """Take a trade print."""
    at = _open(mem, head, _TRADE, recv_ts_ns, venue_ts_ns, 1)
    if at != 0:
        mem[at] = key
        mem[at + 1] = qty


@compiled(types.void(_mem, _i8, _i8))
def broken_off(mem: Words, head: int, recv_ts_ns: int) -> None:
    """Take that nothing is known of a book from `recv_ts_ns` on; its next message is taken whole."""
    mem[head + TEE_DAY] = 0
    _open(mem, head, _CLEAR, recv_ts_ns, 0, 0)


# --- reading what was drained ---------------------------------------------------------------------------------------------


@compiled(_i8(_mem))
def count_rows(words: Words) -> int:
    """Return how many rows a drained tee makes: one per level or print, and one per sign."""
    rows = 0
    at = 0
    while at < words.size:
        count = words[at + 4]
        rows += max(1, count)
        at += HEADER + 2 * count
    return rows


@compiled(types.void(_mem, types.int64[:, ::1]))
def expand(words: Words, rows: Words) -> None:
    """Write a drained tee as rows into columns (ROWS, in this order). A sign has key and qty 0."""
    row = 0
    at = 0
    while at < words.size:
        count = words[at + 4]
        for pair in range(max(1, count)):
            level = at + HEADER + 2 * pair
            rows[0, row] = words[at] >> BOOK_SHIFT
            rows[1, row] = words[at] & KIND_MASK
            rows[2, row] = words[at + 1]
            rows[3, row] = words[at + 2]
            rows[4, row] = words[at + 3]
            rows[5, row] = words[level] if count > 0 else 0
            rows[6, row] = words[level + 1] if count > 0 else 0
            rows[7, row] = 1 if pair >= count - 1 else 0
            row += 1
        at += HEADER + 2 * count


ROWS = ("book", "kind", "recv_ts_ns", "venue_ts_ns", "seq", "key", "qty", "is_last")


def rows_of(words: Words) -> Words:
    """Return a drained tee as a table of columns, shape (len(ROWS), rows)."""
    rows = np.empty((len(ROWS), count_rows(words)), np.int64)
    expand(words, rows)
    return rows
