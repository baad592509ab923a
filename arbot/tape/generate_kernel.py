"""The compiled half of the generator: one pretend market, and feeds that say exactly what their own books do.

Every venue's book is kept by the levels code the bot itself uses (market/sides.py), always at its full depth on both
sides and never crossed; each change made to it is written out as a row. Of whatever the mid overtakes a level is
deleted and one is added anywhere in the book; where the mid moved away a level is added near it and the worst one deleted.

Only integers and the operations IEEE 754 fixes to the last bit (+ - * / sqrt) are used, and chance is splitmix64: the
same numbers on every machine. Distributions with logarithms come as tables of integers.
"""

# ruff: noqa: PLR0917 - compiled functions take no keywords

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market.compiled import compiled
from arbot.market.layout import CAPACITY, END, KEYS, START, Words
from arbot.market.sides import find, put
from arbot.market.stream import BOOK_SHIFT, IS_LAST, Kind

# rows of the output, in the order of stream.Rows
RECV_TS, VENUE_TS, KEY, QTY, TAG = range(5)
OUT_WIDTH = 5

# words of the whole market
NOW, OPENED, RNG = range(3)
WORLD_WIDTH = 3

# words of a stream
SYMBOL, LEVELS, BIDS, ASKS, RANKS, LATENCY_NS, VENUE_TS_LAST, JUMP_SIGN, JUMP_P32, BID_EDGE, ASK_EDGE = range(11)
STREAM_WIDTH = 11

# numbers of a stream
BASIS, JUMP, JUMP_PER_NS, STREAM_TS = range(4)
FEED_WIDTH = 4

# numbers of a symbol; a cross rate's mid is that of one symbol over that of another, times CROSS (0: it walks by itself)
MID, MID_TS, GAP, HALF, QTY_UNIT, CROSS, CROSS_BASE, CROSS_QUOTE = range(8)
SYMBOL_WIDTH = 8

# numbers of the whole market that stay
EVENT_NS, VOLATILITY, BASIS_SD, BASIS_TAU_NS, JUMP_FIRST, TRADE_P32, PAIR_P32 = range(7)
RULES_WIDTH = 7

# tables, TABLE entries each
WAITS, SIZES, COUNTS, WINDOWS_NS, RANKS_FIRST = range(5)
TABLE_BITS = 12
TABLE = 1 << TABLE_BITS
WAIT_UNIT = 1 << 20  # WAITS holds multiples of the mean, in these
PICK_BITS = 16

# words of a planted fault
F_STREAM, F_KIND, F_FIRST_TS, F_LAST_TS, F_AMOUNT, F_STATE, F_KEY, F_QTY = range(8)
FAULT_WIDTH = 8
GAP_IN_SEQUENCE, CROSSED, FROZEN, SILENT = range(1, 5)  # nothing else is said meanwhile, and a snapshot ends it
WHOLE_SECONDS, CLOCK_BEHIND, DUPLICATES = range(5, 8)
_WAITING, _ACTIVE, _DONE = range(3)

SECOND_NS = 1_000_000_000
_SNAPSHOT, _DELTA, _TRADE, _CLEAR = (int(kind) for kind in (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE, Kind.CLEAR))
_SIGMA = 37837.0  # of the sum of four 16-bit numbers
_GAPS_WIDE = 3  # the best level is at most so many gaps from where it belongs
_REFILL_MAX = 8  # levels added near the best in one message
_PULL = 0.5  # longest step of the basis back to its mean, as a share

_i8 = types.int64
_f8 = types.float64
_mem = types.int64[::1]
_grid = types.int64[:, ::1]
_reals = types.float64[:, ::1]
_line = types.float64[::1]
Grid = NDArray[np.int64]
Reals = NDArray[np.float64]


@compiled(_i8(_mem))
def draw(world: Words) -> int:
    """Return 62 bits of chance (splitmix64)."""
    word = np.uint64(world[RNG]) + np.uint64(0x9E3779B97F4A7C15)
    world[RNG] = np.int64(word)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((word ^ (word >> np.uint64(31))) >> np.uint64(2))


@compiled(_f8(_mem))
def bell(world: Words) -> float:
    """Return a number that is nearly normal, mean 0 and deviation 1: the sum of four even ones."""
    word, more = draw(world), draw(world)
    total = (word & 0xFFFF) + ((word >> 16) & 0xFFFF) + ((word >> 32) & 0xFFFF) + (more & 0xFFFF)
    return (total - 131070.0) / _SIGMA


@compiled(_i8(_mem, _grid, _f8))
def a_size(world: Words, tables: Grid, unit: float) -> int:
    """Return a quantity in steps."""
    word = draw(world)
    return (
        np.int64(unit * (tables[SIZES, word & (TABLE - 1)] + ((word >> TABLE_BITS) & 0xFFFFF) * (1.0 / 1048576.0))) + 1
    )


@compiled(_i8(_mem, _i8, _grid, _i8, _i8, _i8))
def change(mem: Words, side: int, out: Grid, at: int, key: int, qty: int) -> int:
    """Set a level in the book, write it as a row, and return the next row."""
    put(mem, side, key, qty)
    out[KEY, at] = key
    out[QTY, at] = qty
    return at + 1


@compiled(_i8(_mem, _i8, _grid, _i8, _i8, _i8))
def add_free(mem: Words, side: int, out: Grid, at: int, key: int, qty: int) -> int:
    """Add a level at `key`, or at the nearest worse price that has none; return the next row."""
    low = mem[side + KEYS] + mem[side + START]
    place = find(mem, low, mem[side + KEYS] + mem[side + END], key)
    if place < mem[side + KEYS] + mem[side + END]:
        while place >= low and mem[place] == key:
            place -= 1
            key -= 1
    return change(mem, side, out, at, key, qty)


@compiled(_i8(_mem, _i8, _grid, _i8, _i8, _i8, _line, _mem, _grid))
def follow(
    mem: Words,
    side: int,
    out: Grid,
    at: int,
    before: int,
    edge: int,
    symbol: Reals,
    world: Words,
    tables: Grid,
) -> int:
    """Move a side with the mid, whose edge was at `before`: no level stays above `edge`, and the density stays.

    What the mid overtakes is deleted and added at the far end; where it leaves room levels come from the far end.
    """
    gap = np.int64(symbol[GAP])
    moved = edge - before
    span = gap * (mem[side + END] - mem[side + START])
    while mem[mem[side + KEYS] + mem[side + END] - 1] > edge:
        at = change(mem, side, out, at, mem[mem[side + KEYS] + mem[side + END] - 1], 0)
        key = edge - span + draw(world) % max(-moved, gap)
        at = add_free(mem, side, out, at, key, a_size(world, tables, symbol[QTY_UNIT]))
    wanted = (moved + draw(world) % gap) // gap
    if mem[mem[side + KEYS] + mem[side + END] - 1] < edge - _GAPS_WIDE * gap:
        wanted, moved = max(wanted, 1), max(moved, gap)
    for _ in range(min(wanted, _REFILL_MAX)):
        at = change(mem, side, out, at, mem[mem[side + KEYS] + mem[side + START]], 0)
        key = edge - draw(world) % moved
        at = add_free(mem, side, out, at, key, a_size(world, tables, symbol[QTY_UNIT]))
    return at


@compiled(_i8(_mem, _i8, _grid, _i8, _i8, _line, _mem, _grid, _i8, _i8))
def churn(
    mem: Words,
    side: int,
    out: Grid,
    at: int,
    edge: int,
    symbol: Reals,
    world: Words,
    tables: Grid,
    ranks: int,
    pair_p32: int,
) -> int:
    """Change the size of a level, or delete one and add another; return the next row."""
    word = draw(world)
    rank = tables[ranks, word & (TABLE - 1)]
    place = mem[side + KEYS] + mem[side + END] - 1 - rank
    qty = a_size(world, tables, symbol[QTY_UNIT])
    if (word >> TABLE_BITS) & 0xFFFFFFFF >= pair_p32:
        return change(mem, side, out, at, mem[place], qty)
    at = change(mem, side, out, at, mem[place], 0)
    word = draw(world)
    away = tables[ranks, word & (TABLE - 1)] + ((word >> TABLE_BITS) & 0xFFFFF) * (1.0 / 1048576.0)
    return add_free(mem, side, out, at, edge - np.int64(away * symbol[GAP]), qty)


@compiled(_f8(_mem, _grid, _reals, _reals, _line, _grid, _i8))
def move(world: Words, streams: Grid, feeds: Reals, symbols: Reals, rules: Reals, tables: Grid, stream: int) -> float:
    """Let time pass for a stream's symbol and venue; return the venue's mid in ticks."""
    feed = feeds[stream]
    symbol = symbols[streams[stream, SYMBOL]]
    now = world[NOW]
    if symbol[CROSS] > 0.0:
        base, quote = symbols[np.int64(symbol[CROSS_BASE])], symbols[np.int64(symbol[CROSS_QUOTE])]
        symbol[MID] = base[MID] / quote[MID] * symbol[CROSS]
    else:
        symbol[MID] *= 1.0 + rules[VOLATILITY] * np.sqrt(now - symbol[MID_TS]) * bell(world)
    symbol[MID_TS] = now
    if streams[stream, JUMP_P32] < 0:  # the venue the others are measured against
        return symbol[MID]
    passed = now - feed[STREAM_TS]
    feed[STREAM_TS] = now
    pull = min(passed / rules[BASIS_TAU_NS], _PULL)
    feed[BASIS] += rules[BASIS_SD] * np.sqrt(2.0 * pull) * bell(world) - feed[BASIS] * pull
    feed[JUMP] = max(feed[JUMP] - feed[JUMP_PER_NS] * passed, 0.0)
    word = draw(world)
    if feed[JUMP] == 0.0 and (word & 0xFFFFFFFF) < streams[stream, JUMP_P32]:
        more = 1.1 + ((word >> 32) & 0xFFFF) / 65536.0 * 0.7
        window_ns = tables[WINDOWS_NS, draw(world) & (TABLE - 1)]
        feed[JUMP] = rules[JUMP_FIRST] * more
        feed[JUMP_PER_NS] = rules[JUMP_FIRST] * (more - 1.0) / window_ns
        streams[stream, JUMP_SIGN] = 1 if (word >> 50) & 1 else -1
    return symbol[MID] * (1.0 + feed[BASIS] + streams[stream, JUMP_SIGN] * feed[JUMP])


@compiled(types.void(_grid, _i8, _i8, _i8, _i8, _i8, _i8))
def close(out: Grid, first: int, stop: int, stream: int, kind: int, recv_ts_ns: int, venue_ts_ns: int) -> None:
    """Make the rows [first, stop) one message."""
    tag = stream << BOOK_SHIFT | kind
    for row in range(first, stop):
        out[RECV_TS, row] = recv_ts_ns
        out[VENUE_TS, row] = venue_ts_ns
        out[TAG, row] = tag
    if stop > first:
        out[TAG, stop - 1] = tag | IS_LAST


@compiled(_i8(_mem, _grid, _i8, _mem))
def show(mem: Words, out: Grid, at: int, stream: Words) -> int:
    """Write a whole book, bids first, best first; return the next row."""
    for side in (stream[BIDS], stream[ASKS]):
        for place in range(mem[side + KEYS] + mem[side + END] - 1, mem[side + KEYS] + mem[side + START] - 1, -1):
            out[KEY, at] = mem[place]
            out[QTY, at] = mem[place + mem[side + CAPACITY]]
            at += 1
    return at


@compiled(_i8(_mem, _grid, _i8, _mem, _line, _mem, _grid))
def open_book(mem: Words, out: Grid, at: int, stream: Words, symbol: Reals, world: Words, tables: Grid) -> int:
    """Fill an empty book around the mid and write it; return the next row."""
    gap = np.int64(symbol[GAP])
    for side, sign in ((stream[BIDS], 1), (stream[ASKS], -1)):
        key = np.int64(np.floor(sign * symbol[MID] - symbol[HALF]))
        stream[BID_EDGE if sign > 0 else ASK_EDGE] = key
        for _ in range(stream[LEVELS]):
            put(mem, side, key, a_size(world, tables, symbol[QTY_UNIT]))
            key -= 1 + draw(world) % (2 * gap - 1)
    return show(mem, out, at, stream)


@compiled(_i8(_mem, _grid, _i8, _mem, _line, _line, _mem, _grid, _f8, _i8))
def update(
    mem: Words,
    out: Grid,
    at: int,
    stream: Words,
    symbol: Reals,
    rules: Reals,
    world: Words,
    tables: Grid,
    mid: float,
    taken: int,
) -> int:
    """Write the changes of one message; `taken` is the side a print has just eaten into, or 0. Return the next row."""
    first = at
    bid_edge = np.int64(np.floor(mid - symbol[HALF]))
    ask_edge = np.int64(np.floor(-mid - symbol[HALF]))
    if taken:
        place = mem[taken + KEYS] + mem[taken + END] - 1
        left = mem[place + mem[taken + CAPACITY]] - out[QTY, at - 1]
        at = change(mem, taken, out, at, mem[place], left)
        if left == 0:
            worst = mem[mem[taken + KEYS] + mem[taken + START]]
            at = change(mem, taken, out, at, worst - 1, a_size(world, tables, symbol[QTY_UNIT]))
    at = follow(mem, stream[BIDS], out, at, stream[BID_EDGE], bid_edge, symbol, world, tables)
    at = follow(mem, stream[ASKS], out, at, stream[ASK_EDGE], ask_edge, symbol, world, tables)
    stream[BID_EDGE], stream[ASK_EDGE] = bid_edge, ask_edge
    word = draw(world)
    wanted = first + tables[COUNTS, word & (TABLE - 1)]
    pair_p32 = np.int64(rules[PAIR_P32])
    while at < wanted:
        word >>= 1
        side, edge = (stream[BIDS], bid_edge) if (word >> TABLE_BITS) & 1 else (stream[ASKS], ask_edge)
        at = churn(mem, side, out, at, edge, symbol, world, tables, stream[RANKS], pair_p32)
    return at


@compiled(_i8(_mem, _grid, _i8, _mem, _mem))
def trade(mem: Words, out: Grid, at: int, stream: Words, world: Words) -> int:
    """Write a print against the best level of either side, and return that side."""
    word = draw(world)
    side = stream[ASKS] if word & 1 else stream[BIDS]
    place = mem[side + KEYS] + mem[side + END] - 1
    there = mem[place + mem[side + CAPACITY]]
    out[KEY, at] = -mem[place]  # a buyer takes an ask: the other sign
    out[QTY, at] = there if (word >> 1) & 3 == 0 else 1 + (word >> 3) % there
    return side


@compiled(_i8(_mem, _grid, _i8, _i8, _mem, _mem, _i8, _i8))
def spoil(mem: Words, out: Grid, first: int, at: int, fault: Words, stream: Words, now: int, number: int) -> int:
    """Apply a planted fault to what a stream has just written in [first, at); return the next row."""
    kind = fault[F_KIND]
    if fault[F_STATE] == _DONE or now < fault[F_FIRST_TS] or at == first:
        return at
    ends, starts = now >= fault[F_LAST_TS], fault[F_STATE] == _WAITING
    fault[F_STATE] = _DONE if ends else _ACTIVE
    venue_ts_ns = out[VENUE_TS, at - 1]
    if kind >= WHOLE_SECONDS:
        if ends:
            return at
        count = at - first
        for row in range(first, at):
            if kind == WHOLE_SECONDS:
                out[VENUE_TS, row] -= out[VENUE_TS, row] % SECOND_NS
            elif kind == CLOCK_BEHIND:
                out[VENUE_TS, row] = out[RECV_TS, row] + fault[F_AMOUNT]
            else:
                for column in range(OUT_WIDTH):
                    out[column, row + count] = out[column, row]
        return at + count if kind == DUPLICATES else at
    if ends:  # say what the book has become
        at = show(mem, out, first, stream)
        close(out, first, at, number, _SNAPSHOT, now, venue_ts_ns)
        return at
    if kind == FROZEN and starts:
        best = mem[stream[BIDS] + KEYS] + mem[stream[BIDS] + END] - 1
        fault[F_KEY], fault[F_QTY] = mem[best], mem[best + mem[stream[BIDS] + CAPACITY]]
        return at
    if kind == CROSSED and starts:  # after what was just said, so that everybody has the ask that it lies above
        best = mem[stream[ASKS] + KEYS] + mem[stream[ASKS] + END] - 1
        out[KEY, at], out[QTY, at] = -mem[best] + fault[F_AMOUNT], 1
        close(out, at, at + 1, number, _DELTA, now, venue_ts_ns)
        return at + 1
    if kind == FROZEN or (kind == GAP_IN_SEQUENCE and starts):
        out[KEY, first], out[QTY, first] = fault[F_KEY], fault[F_QTY]
        close(out, first, first + 1, number, _CLEAR if kind == GAP_IN_SEQUENCE else _DELTA, now, venue_ts_ns)
        return first + 1
    return first


@compiled(_i8(_mem, _grid, _i8, _mem, _grid, _reals, _reals, _line, _grid, _grid, _i8))
def event(
    mem: Words,
    out: Grid,
    at: int,
    world: Words,
    streams: Grid,
    feeds: Reals,
    symbols: Reals,
    rules: Reals,
    tables: Grid,
    faults: Grid,
    number: int,
) -> int:
    """Write what one stream says now: perhaps a print, then changes of its book. Return the next row."""
    stream, symbol = streams[number], symbols[streams[number, SYMBOL]]
    now, first = world[NOW], at
    mid = move(world, streams, feeds, symbols, rules, tables, number)
    late = stream[LATENCY_NS] // 2 + stream[LATENCY_NS] * (draw(world) & 0xFFFF) // 65536
    venue_ts_ns = max(stream[VENUE_TS_LAST], (now - late) // 1000 * 1000)
    stream[VENUE_TS_LAST] = venue_ts_ns
    taken = 0
    if (draw(world) & 0xFFFFFFFF) < rules[TRADE_P32]:
        taken = trade(mem, out, at, stream, world)
        close(out, at, at + 1, number, _TRADE, now, venue_ts_ns)
        at += 1
        world[NOW] = now = now + 1  # the book follows the print at once
    changes = at
    at = update(mem, out, at, stream, symbol, rules, world, tables, mid, taken)
    close(out, changes, at, number, _DELTA, now, venue_ts_ns)
    for fault in range(len(faults)):
        if faults[fault, F_STREAM] == number:
            at = spoil(mem, out, first, at, faults[fault], stream, now, number)
    return at


@compiled(_i8(_mem, _grid, _mem, _grid, _reals, _reals, _line, _grid, _mem, _grid, _i8, _i8))
def run(
    mem: Words,
    out: Grid,
    world: Words,
    streams: Grid,
    feeds: Reals,
    symbols: Reals,
    rules: Reals,
    tables: Grid,
    picks: Words,
    faults: Grid,
    wanted: int,
    message_max: int,
) -> int:
    """Write messages until `wanted` rows are there, or another message might not fit; return how many rows there are."""
    at = 0
    stop = out.shape[1] - message_max
    while at < wanted and at <= stop:
        word = draw(world)
        wait = tables[WAITS, word & (TABLE - 1)] * (1.0 / WAIT_UNIT)
        if world[OPENED] < len(streams):  # opening snapshots come first, one after the other
            number, wait = world[OPENED], 1.0
        else:
            number = picks[(word >> TABLE_BITS) & ((1 << PICK_BITS) - 1)]
        now = world[NOW] + 1 + np.int64(rules[EVENT_NS] * wait)
        world[NOW] = now
        if world[OPENED] < len(streams):
            stream = streams[number]
            first = at
            at = open_book(mem, out, at, stream, symbols[stream[SYMBOL]], world, tables)
            feeds[number, STREAM_TS] = symbols[stream[SYMBOL], MID_TS] = now
            stream[VENUE_TS_LAST] = (now - stream[LATENCY_NS]) // 1000 * 1000
            close(out, first, at, number, _SNAPSHOT, now, stream[VENUE_TS_LAST])
            world[OPENED] += 1
        else:
            at = event(mem, out, at, world, streams, feeds, symbols, rules, tables, faults, number)
    return at
