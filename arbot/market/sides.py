"""One side of a book: find, put, remove, load and truncate levels. Compiled; see layout.py for where things lie.

`side` is the offset of the side's words in `mem`. Callers see to it that there is room for every level they put.
"""

from __future__ import annotations

import numpy as np
from numba import types

from arbot.market import tee
from arbot.market.compiled import compiled
from arbot.market.layout import (
    ASKS,
    BIDS,
    CAPACITY,
    DELAY,
    DELAY_UNKNOWN,
    DEPTH,
    END,
    KEYS,
    RECV_TS,
    START,
    SYNCED,
    TEE_AT,
    UPDATES,
    VALID,
    VENUE_TS,
    Words,
)
from arbot.market.raw import move_words

_BLOCK = 16
_FEW = 16  # words that a loop moves sooner than memmove
_BLOCKS_NEAR = 4  # most changes are this near to the best level; beyond, halve

_i8 = types.int64
_mem = types.int64[::1]


@compiled(_i8(_mem, _i8, _i8, _i8), inline=True)
def find(mem: Words, low: int, high: int, key: int) -> int:
    """Return the first position in [low, high) whose key is not below `key`, or `high`."""
    near = 0
    while high - low >= _BLOCK and near < _BLOCKS_NEAR:
        above = 0
        first = high - _BLOCK
        for offset in range(_BLOCK):
            above += mem[np.uint64(first + offset)] >= key
        high -= above
        if above < _BLOCK:
            return high
        near += 1
    while low < high:
        middle = (low + high) >> 1
        if mem[np.uint64(middle)] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled(types.void(_mem, _i8, _i8))
def recentre(mem: Words, side: int, start: int) -> None:
    """Move all levels of a side so that they begin at `start`."""
    keys = mem[side + KEYS]
    qtys = keys + mem[side + CAPACITY]
    before, end = mem[side + START], mem[side + END]
    count = end - before
    move_words(mem, keys + start, keys + before, count)
    move_words(mem, qtys + start, qtys + before, count)
    mem[side + START] = start
    mem[side + END] = start + count


@compiled(types.void(_mem, _i8, _i8, _i8), inline=True)
def shift(mem: Words, side: int, at: int, by: int) -> None:
    """Move the levels of a side from `at` to its best by one word, up (`by` 1) or down (`by` -1); few are usual.

    A handful of words is moved faster by a loop than by a call that finds out how to move any number.
    """
    capacity = mem[np.uint64(side + CAPACITY)]
    count = mem[np.uint64(side + KEYS)] + mem[np.uint64(side + END)] - at
    if count > _FEW:
        move_words(mem, at + by, at, count)
        move_words(mem, at + capacity + by, at + capacity, count)
    elif by > 0:
        for word in range(at + count - 1, at - 1, -1):
            mem[np.uint64(word + 1)] = mem[np.uint64(word)]
            mem[np.uint64(word + capacity + 1)] = mem[np.uint64(word + capacity)]
    else:
        for word in range(at, at + count):
            mem[np.uint64(word - 1)] = mem[np.uint64(word)]
            mem[np.uint64(word + capacity - 1)] = mem[np.uint64(word + capacity)]
    mem[np.uint64(side + END)] += by


@compiled(types.void(_mem, _i8, _i8, _i8), inline=True)
def put(mem: Words, side: int, key: int, qty: int) -> None:
    """Set the quantity at a key; zero removes it, and removing what is not there does nothing."""
    keys = mem[np.uint64(side + KEYS)]
    capacity = mem[np.uint64(side + CAPACITY)]
    low = keys + mem[np.uint64(side + START)]
    high = keys + mem[np.uint64(side + END)]
    at = find(mem, low, high, key)
    if at < high and mem[np.uint64(at)] == key:
        if qty != 0:
            mem[np.uint64(at + capacity)] = qty
        elif high - at <= at - low:
            shift(mem, side, at + 1, -1)
        else:
            move_words(mem, low + 1, low, at - low)
            move_words(mem, low + capacity + 1, low + capacity, at - low)
            mem[side + START] += 1
        return
    if qty == 0:
        return
    if high - keys == capacity:
        recentre(mem, side, (capacity - (high - low)) // 2)
        moved = keys + mem[side + START] - low
        low, high, at = low + moved, high + moved, at + moved
    if high - at <= at - low or mem[side + START] == 0:
        shift(mem, side, at, 1)
    else:
        move_words(mem, low - 1, low, at - low)
        move_words(mem, low + capacity - 1, low + capacity, at - low)
        at -= 1
        mem[side + START] -= 1
    mem[np.uint64(at)] = key
    mem[np.uint64(at + capacity)] = qty


@compiled(types.void(_mem, _i8, _mem, _i8, _i8, _i8))
def load(mem: Words, side: int, source: Words, first: int, count: int, sign: int) -> None:  # noqa: PLR0917
    """Fill an emptied side from `count` pairs (signed key, qty) at source[first:], taking those whose key has `sign`.

    Pairs in best-first order without a double are copied; anything else is sorted, and of a double the last counts.
    """
    keys = mem[side + KEYS]
    capacity = mem[side + CAPACITY]
    taken = 0
    descending = True
    last = 0
    # written from the far end of the storage downwards: best first becomes best last
    at = keys + capacity
    for pair in range(count):
        key = source[first + 2 * pair]
        if key * sign <= 0:
            continue
        if taken and key >= last:
            descending = False
            break
        last = key
        taken += 1
        qty = source[first + 2 * pair + 1]
        if qty != 0:
            at -= 1
            mem[at] = key
            mem[at + capacity] = qty
    if descending:
        mem[side + START] = at - keys
        mem[side + END] = capacity
    else:
        taken = 0
        every_key = np.empty(count, np.int64)
        every_qty = np.empty(count, np.int64)
        for pair in range(count):
            key = source[first + 2 * pair]
            if key * sign > 0:
                every_key[taken] = key
                every_qty[taken] = source[first + 2 * pair + 1]
                taken += 1
        order = np.argsort(every_key[:taken], kind="mergesort")
        end = keys
        for rank in range(taken):
            pick = order[rank]
            if rank + 1 < taken and every_key[order[rank + 1]] == every_key[pick]:
                continue
            if every_qty[pick] != 0:
                mem[end] = every_key[pick]
                mem[end + capacity] = every_qty[pick]
                end += 1
        mem[side + START] = 0
        mem[side + END] = end - keys
    recentre(mem, side, (capacity - (mem[side + END] - mem[side + START])) // 2)


@compiled(types.void(_mem, _i8), inline=True)
def truncate(mem: Words, head: int) -> None:
    """Forget the worst levels beyond the book's depth, on both sides; at depth 0 nothing."""
    depth = mem[head + DEPTH]
    if depth > 0:
        for side in (head + BIDS, head + ASKS):
            if mem[side + END] - mem[side + START] > depth:
                mem[side + START] = mem[side + END] - depth


@compiled(types.boolean(_mem, _i8, _i8))
def has_room(mem: Words, head: int, count: int) -> bool:
    """Return whether either side could take `count` more levels."""
    bids, asks = head + BIDS, head + ASKS
    return bool(
        mem[bids + END] - mem[bids + START] + count <= mem[bids + CAPACITY]
        and mem[asks + END] - mem[asks + START] + count <= mem[asks + CAPACITY]
    )


@compiled(types.void(_mem, _i8))
def empty(mem: Words, head: int) -> None:
    """Make a book one that never was: what `clear` does, unseen by the tee."""
    mem[head + SYNCED] = 0
    mem[head + VALID] = 0
    for side in (head + BIDS, head + ASKS):
        mem[side + START] = mem[side + CAPACITY] // 2
        mem[side + END] = mem[side + START]


@compiled(types.void(_mem, _i8, _i8, _i8), inline=True)
def stamp(mem: Words, head: int, venue_ts_ns: int, recv_ts_ns: int) -> None:
    """Note the times of what a book just took in, and count it."""
    mem[head + VENUE_TS] = venue_ts_ns
    mem[head + RECV_TS] = recv_ts_ns
    mem[head + DELAY] = recv_ts_ns - venue_ts_ns if venue_ts_ns > 0 else DELAY_UNKNOWN
    mem[head + UPDATES] += 1


@compiled(types.void(_mem, _i8))
def clear(mem: Words, head: int) -> None:
    """Drop a book: no levels, not synced, not valid."""
    if mem[TEE_AT] != 0:
        tee.dropped(mem, head)
    empty(mem, head)


@compiled(types.void(_mem, _i8, _mem, _i8, _i8, _i8, _i8))
def snapshot(mem: Words, head: int, source: Words, first: int, count: int, venue_ts_ns: int, recv_ts_ns: int) -> None:  # noqa: PLR0917
    """Replace a book by `count` pairs (signed key, qty). It is synced, and not valid until checked.

    How long a first snapshot took says nothing of the feed: its time is that of the last change, however long ago.
    """
    was_synced = mem[head + SYNCED]
    empty(mem, head)
    load(mem, head + BIDS, source, first, count, 1)
    load(mem, head + ASKS, source, first, count, -1)
    truncate(mem, head)
    mem[head + SYNCED] = 1
    stamp(mem, head, venue_ts_ns, recv_ts_ns)
    if was_synced == 0:
        mem[head + DELAY] = DELAY_UNKNOWN
    if mem[TEE_AT] != 0:
        tee.whole(mem, head)


@compiled(types.void(_mem, _i8, _mem, _i8, _i8, _i8, _i8))
def update(mem: Words, head: int, source: Words, first: int, count: int, venue_ts_ns: int, recv_ts_ns: int) -> None:  # noqa: PLR0917
    """Put `count` pairs (signed key, qty) in order, then truncate. The book is not valid until checked."""
    mem[head + VALID] = 0
    for pair in range(count):
        key = source[first + 2 * pair]
        put(mem, head + BIDS if key > 0 else head + ASKS, key, source[first + 2 * pair + 1])
    truncate(mem, head)
    stamp(mem, head, venue_ts_ns, recv_ts_ns)
    if mem[TEE_AT] != 0:
        tee.changed(mem, head, source, first, count)


NOT_CROSSED = 0
ONE_SIDED = 1
CROSSED = 2


@compiled(_i8(_mem, _i8))
def check(mem: Words, head: int) -> int:
    """Set a synced book valid if both sides are there and bid < ask; return NOT_CROSSED, ONE_SIDED or CROSSED."""
    bids, asks = head + BIDS, head + ASKS
    mem[head + VALID] = 0
    if mem[bids + END] == mem[bids + START] or mem[asks + END] == mem[asks + START]:
        return ONE_SIDED
    best_bid = mem[mem[bids + KEYS] + mem[bids + END] - 1]
    best_ask = -mem[mem[asks + KEYS] + mem[asks + END] - 1]
    if best_bid >= best_ask:
        return CROSSED
    mem[head + VALID] = mem[head + SYNCED]
    return NOT_CROSSED
