"""The compiled walk over one recorded stream: what each message makes of the best bid and ask, counted as it goes by.

Out come *points*, one per change of a best price (ts, seen, bid, ask): `seen` is the last message that still found the
same prices, as long as no more than COALESCE_NS lay between two such messages; after a longer pause a new point begins.
Thus no freshness limit of COALESCE_NS or more can tell points from messages. A missing side is a price of 0. Memory
grows with the points, never with levels or messages. Of messages of one time the last counts (as a point; the counters
see each). *Runs* are stretches in which neither price nor size of the touch moved.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market import sides
from arbot.market.compiled import compiled
from arbot.market.layout import ASKS, BIDS, CAPACITY, END, KEYS, START, Words
from arbot.market.stream import IS_LAST, KIND_MASK, Column
from arbot.tape.inspect.histogram import BINS, count_in

COALESCE_NS = 100_000_000
RUN_POLLS_MIN = 10
RUN_NS_MIN = 60_000_000_000
SPREAD_UNITS = 1_000_000.0  # per bps, in the distribution of the own spread

_SNAPSHOT, _DELTA, _TRADE, _CLEAR, _ALIVE = 1, 2, 3, 4, 5
_SECOND_NS, _MINUTE_NS = 1_000_000_000, 60_000_000_000

# words of the state
(
    ROWS, SNAPSHOTS, DELTAS, TRADES, CLEARS, ALIVES, UNSYNCED, QUOTES, FIRST_TS, LAST_TS, STEP_MAX, STEP_MAX_AT,
    FALLS, IDENTICAL, CROSSED, CROSSED_FIRST, CROSSED_LAST, CROSSED_RUN, CROSSED_RUN_MAX, CROSSED_MOST, LOCKED, MISSING,
    REPEATS, CHANGES, CHANGES_SAME_STAMP, HAS_VENUE_TS, VENUE_IS_RECV, RECV_WHOLE, VENUE_WHOLE, MINUTE_PHASE, SAME_PHASE,
    BID, ASK, BID_QTY, ASK_QTY, VENUE_TS, QUOTE_TS, POINT_TS, POINT_SEEN, POINT_BID, POINT_ASK, HAS_POINT, RUN_TS,
    RUN_POLLS, HAS_BOOK, IS_BOOK, IS_TRADES, POINTS_OUT, RUNS_OUT, ZERO_KEYS, STATE_WIDTH,
) = range(51)  # fmt: skip

_i8 = types.int64
_col = types.int64[::1]
_table = types.int64[:, ::1]
Table = NDArray[np.int64]

# rows of the distributions: counts and first members of each
STEPS, SPREADS, LAGS = 0, 2, 4


def empty_distributions() -> Table:
    """Return the distributions of steps, own spreads and delays, of nothing yet."""
    return np.zeros((6, 2 * BINS), np.int64)


@compiled(types.void(_col, _col))
def end_run(state: Words, runs: Column) -> None:
    """Write down the run that ends here, if it was long enough to be told: first and last time, repeats."""
    long_enough = state[RUN_POLLS] >= RUN_POLLS_MIN or state[QUOTE_TS] - state[RUN_TS] >= RUN_NS_MIN
    if state[RUN_POLLS] > 0 and long_enough:
        at = 3 * state[RUNS_OUT]
        runs[at] = state[RUN_TS]
        runs[at + 1] = state[QUOTE_TS]
        runs[at + 2] = state[RUN_POLLS]
        state[RUNS_OUT] += 1


@compiled(types.void(_col, _col))
def end_point(state: Words, points: Column) -> None:
    """Write down the open point."""
    at = 4 * state[POINTS_OUT]
    points[at] = state[POINT_TS]
    points[at + 1] = state[POINT_SEEN]
    points[at + 2] = state[POINT_BID]
    points[at + 3] = state[POINT_ASK]
    state[POINTS_OUT] += 1


@compiled(types.void(_col, _col, _i8, _i8, _i8))
def _point(state: Words, points: Column, ts: int, bid: int, ask: int) -> None:
    """Take the touch after a message into the open point, or close that point and open the next."""
    is_same = bid == state[POINT_BID] and ask == state[POINT_ASK]
    if state[HAS_POINT] and is_same and 0 <= ts - state[POINT_SEEN] <= COALESCE_NS:
        state[POINT_SEEN] = ts
        return
    if state[HAS_POINT] and ts != state[POINT_TS]:
        end_point(state, points)
    state[HAS_POINT] = 1
    state[POINT_TS] = ts
    state[POINT_SEEN] = ts
    state[POINT_BID] = bid
    state[POINT_ASK] = ask


@compiled(types.void(_col, _table, _i8, _i8))
def _stamps(state: Words, distributions: Table, ts: int, venue_ts: int) -> None:
    """Count what the two clocks of a quote look like, and the step from the quote before."""
    state[RECV_WHOLE] += ts % _SECOND_NS == 0
    if venue_ts != 0:
        state[HAS_VENUE_TS] += 1
        state[VENUE_IS_RECV] += venue_ts == ts
        state[VENUE_WHOLE] += venue_ts % _SECOND_NS == 0
        count_in(distributions[LAGS], distributions[LAGS + 1], ts - venue_ts)
    if state[QUOTES] == 0:
        state[MINUTE_PHASE] = ts % _MINUTE_NS
    else:
        step = ts - state[QUOTE_TS]
        count_in(distributions[STEPS], distributions[STEPS + 1], step)
        if step > state[STEP_MAX]:
            state[STEP_MAX] = step
            state[STEP_MAX_AT] = ts
        state[FALLS] += step < 0
    state[SAME_PHASE] += ts % _MINUTE_NS == state[MINUTE_PHASE]


@compiled(types.void(_col, _table, _i8, _i8, _i8))
def _prices(state: Words, distributions: Table, ts: int, bid: int, ask: int) -> None:
    """Count crossed, locked and missing prices, and the own spread of sound ones."""
    if bid <= 0 or ask <= 0:
        state[MISSING] += 1
        state[CROSSED_RUN] = 0
    elif bid > ask:
        if state[CROSSED] == 0:
            state[CROSSED_FIRST] = ts
        state[CROSSED] += 1
        state[CROSSED_LAST] = ts
        state[CROSSED_RUN] += 1
        state[CROSSED_RUN_MAX] = max(state[CROSSED_RUN_MAX], state[CROSSED_RUN])
        state[CROSSED_MOST] = max(state[CROSSED_MOST], np.int64(1e4 * SPREAD_UNITS * (bid / ask - 1.0)))
    else:
        state[CROSSED_RUN] = 0
        state[LOCKED] += bid == ask
        spread = np.int64(2e4 * SPREAD_UNITS * ((ask - bid) / (ask + bid)))
        count_in(distributions[SPREADS], distributions[SPREADS + 1], spread)


@compiled(types.void(_col, _col, _col, _table, _i8, _i8, _col))
def _quote(  # noqa: PLR0917
    state: Words, points: Column, runs: Column, distributions: Table, ts: int, venue_ts: int, touch: Column
) -> None:
    """Take in the touch (bid, its size, ask, its size) after one message."""
    bid, bid_qty, ask, ask_qty = touch[0], touch[1], touch[2], touch[3]
    is_first = state[QUOTES] == 0
    is_same_size = bid_qty == state[BID_QTY] and ask_qty == state[ASK_QTY]
    is_same = not is_first and bid == state[BID] and ask == state[ASK] and is_same_size
    _stamps(state, distributions, ts, venue_ts)
    _prices(state, distributions, ts, bid, ask)
    if is_same:
        state[REPEATS] += 1
        state[RUN_POLLS] += 1
        state[IDENTICAL] += ts == state[QUOTE_TS] and venue_ts == state[VENUE_TS]
    else:
        if not is_first:
            state[CHANGES] += 1
            state[CHANGES_SAME_STAMP] += venue_ts != 0 and venue_ts == state[VENUE_TS] and ts != state[QUOTE_TS]
            end_run(state, runs)
        state[RUN_TS] = ts
        state[RUN_POLLS] = 0
    state[BID], state[BID_QTY], state[ASK], state[ASK_QTY] = bid, bid_qty, ask, ask_qty
    state[QUOTE_TS], state[VENUE_TS] = ts, venue_ts
    state[QUOTES] += 1
    _point(state, points, ts, bid, ask)


@compiled(types.void(_col, _i8, _i8, _col))
def _touch_of_levels(levels: Column, first: int, count: int, touch: Column) -> None:
    """Set the touch to the best of `count` pairs (signed key, qty); of a doubled key the last counts."""
    touch[:] = 0
    for pair in range(first, first + count):
        key, qty = levels[2 * pair], levels[2 * pair + 1]
        if key > 0 and key >= touch[0]:
            touch[0], touch[1] = key, qty
        elif key < 0 and (touch[2] == 0 or -key <= touch[2]):
            touch[2], touch[3] = -key, qty


@compiled(types.void(_col, _i8, _col))
def _touch_of_book(mem: Words, head: int, touch: Column) -> None:
    """Set the touch to the best levels of a book."""
    touch[:] = 0
    for place, side in ((0, head + BIDS), (2, head + ASKS)):
        if mem[side + END] > mem[side + START]:
            at = mem[side + KEYS] + mem[side + END] - 1
            touch[place] = abs(mem[at])
            touch[place + 1] = mem[at + mem[side + CAPACITY]]


@compiled(types.void(_col, _col, _col, _table, _col, _i8, _col, _i8, _i8, _i8, _i8, _col))
def _message(  # noqa: PLR0917
    state: Words, points: Column, runs: Column, distributions: Table, mem: Words, head: int,
    levels: Column, count: int, kind: int, ts: int, venue_ts: int, touch: Column,
) -> None:  # fmt: skip
    """Do to the book what a message says, and take in the touch it leaves."""
    if kind == _CLEAR:
        state[CLEARS] += 1
        state[HAS_BOOK] = 0
        sides.clear(mem, head)
        _point(state, points, ts, 0, 0)
    elif kind == _ALIVE:
        state[ALIVES] += 1
        if state[HAS_BOOK]:
            _point(state, points, ts, state[POINT_BID], state[POINT_ASK])
    elif kind == _SNAPSHOT:
        state[SNAPSHOTS] += 1
        state[HAS_BOOK] = 1
        _touch_of_levels(levels, 0, count, touch)
        if state[IS_BOOK]:
            sides.snapshot(mem, head, levels, 0, count, 0, 0)
        _quote(state, points, runs, distributions, ts, venue_ts, touch)
    elif kind == _DELTA and not state[HAS_BOOK]:
        state[UNSYNCED] += 1
    elif kind == _DELTA:
        state[DELTAS] += 1
        sides.update(mem, head, levels, 0, count, 0, 0)
        _touch_of_book(mem, head, touch)
        _quote(state, points, runs, distributions, ts, venue_ts, touch)
    elif state[IS_TRADES]:
        touch[0], touch[1], touch[2], touch[3] = abs(levels[0]), levels[1], abs(levels[0]), levels[1]
        _quote(state, points, runs, distributions, ts, venue_ts, touch)


@compiled(_i8(_col, _col, _col, _table, _col, _i8, _col, _col, _col, _col, _col, _col))
def walk(  # noqa: PLR0917
    state: Words, points: Column, runs: Column, distributions: Table, mem: Words, head: int, levels: Column,
    recv: Column, venue: Column, key: Column, qty: Column, tag: Column,
) -> int:  # fmt: skip
    """Walk rows and return the first row not taken in: that of an unfinished message, or of one the book has no room for.

    `points` has room for 4 words a row, `runs` for 3, `levels` for 2, each and two more.
    """
    touch = np.zeros(4, np.int64)
    first = 0
    count = 0
    kind = 0
    for row in range(len(recv)):
        row_kind = tag[row] & KIND_MASK
        if row_kind == _TRADE:
            state[TRADES] += 1
        if row_kind != _TRADE or state[IS_TRADES]:
            levels[2 * count] = key[row]
            levels[2 * count + 1] = qty[row]
            count += 1
            kind = _SNAPSHOT if kind == _SNAPSHOT else row_kind
            state[ZERO_KEYS] += key[row] == 0 and row_kind <= _TRADE
        if not tag[row] & IS_LAST:
            continue
        if state[IS_BOOK] and kind <= _DELTA and not sides.has_room(mem, head, count):
            return first
        if count:
            _message(state, points, runs, distributions, mem, head, levels, count, kind, recv[row], venue[row], touch)
        state[LAST_TS] = recv[row]
        state[ROWS] += row + 1 - first
        first, count, kind = row + 1, 0, 0
    return first
