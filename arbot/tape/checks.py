"""The compiled check of what a part holds, on its way into the columns that compiled code walks.

Nothing passes unchecked: times that never fall, known kinds, prices above zero, quantities in range, messages of one
kind and time with an end. What breaks a rule stops the reading, or with REPAIR its whole message is left out and
counted; where that leaves the book unknown a CLEAR row stands in its place.
"""

# ruff: noqa: PLR0917 - compiled functions take no keywords

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market.books import INT_MAX
from arbot.market.compiled import compiled
from arbot.market.stream import IS_LAST, SIDE_UNKNOWN, Column, Kind

# rows of a pool: stream.Rows, and the journal's number
RECV_TS, VENUE_TS, KEY, QTY, TAG, SEQ = range(6)

# words of a check
LAST_TS, SNAPSHOT_MIN, MESSAGE_AT, IS_OPEN, MESSAGE_BAD, REPAIR, TAG_BITS, BAD_ROW, BAD_REASON, COUNTS = range(10)
CLEAN = slice(LAST_TS, SNAPSHOT_MIN + 1)  # what is_clean takes
REASONS = 8
CHECK_WIDTH = COUNTS + REASONS


class Reason(IntEnum):
    """Why a row is not used."""

    TIME_WENT_BACK = 1
    UNKNOWN_KIND = 2
    BAD_SIDE = 3
    BAD_PRICE = 4
    BAD_QTY = 5
    BAD_VENUE_TIME = 6
    NO_END = 7


WORDS = {
    Reason.TIME_WENT_BACK: "its time is before that of the row above",
    Reason.UNKNOWN_KIND: "its kind is unknown",
    Reason.BAD_SIDE: "its side is none that its kind can have",
    Reason.BAD_PRICE: "its price is none that its kind can have",
    Reason.BAD_QTY: "its quantity is none that its kind can have",
    Reason.BAD_VENUE_TIME: "its venue's time is out of range",
    Reason.NO_END: "the message before it has no end",
}

_SNAPSHOT, _DELTA, _TRADE, _CLEAR, _ALIVE = (int(kind) for kind in Kind)
_BACK, _KIND, _SIDE, _PRICE, _QTY, _VENUE_TIME, _NO_END = (int(reason) for reason in Reason)
_TS_MAX = 1 << 62
_KIND_BITS = 0x0F

_i8 = types.int64
_longs = types.Array(types.int64, 1, "C", readonly=True)
_shorts = types.Array(types.int8, 1, "C", readonly=True)
_bytes = types.Array(types.uint8, 1, "C", readonly=True)
_pool = types.int64[:, ::1]
_words = types.int64[::1]


@compiled(_i8(_i8, _i8, _i8, _i8, _i8, _i8))
def flaw(kind: int, side: int, price: int, qty: int, venue_ts_ns: int, snapshot_min: int) -> int:
    """Return what is wrong with the numbers of a row, or 0."""
    if not 0 <= venue_ts_ns < _TS_MAX:
        return _VENUE_TIME
    if kind == _DELTA or kind == _SNAPSHOT:  # noqa: SIM109, PLR1714 - compiled
        if side != 1 and side != -1:  # noqa: PLR1714
            return _SIDE
        if not 0 < price < INT_MAX:
            return _PRICE
        least = snapshot_min if kind == _SNAPSHOT else 0
        return 0 if least <= qty < INT_MAX else _QTY
    if kind == _TRADE:
        if not -1 <= side <= 1:
            return _SIDE
        if not 0 < price < INT_MAX:
            return _PRICE
        least = 1 if side else 0  # of some prints nothing but the price is known
        return 0 if least <= qty < INT_MAX else _QTY
    if kind == _CLEAR or kind == _ALIVE:  # noqa: SIM109, PLR1714
        if side != 0:
            return _SIDE
        return _PRICE if price != 0 else (_QTY if qty != 0 else 0)
    return _KIND


@compiled(_i8(_pool, _i8, _words))
def give_up(pool: Column, at: int, check: Column) -> int:
    """Take the message begun at MESSAGE_AT back out of the pool; a CLEAR stands for it unless it was a print."""
    first, reason, time = check[MESSAGE_AT], check[MESSAGE_BAD], pool[RECV_TS, check[MESSAGE_AT]]
    kind = pool[TAG, first] & _KIND_BITS
    check[COUNTS + reason] += at - first
    check[IS_OPEN] = check[MESSAGE_BAD] = 0
    if time < check[LAST_TS] or time >= _TS_MAX:
        time = check[LAST_TS]
    if time == 0 or (reason != _KIND and (kind == _TRADE or kind == _ALIVE)):  # noqa: SIM109, PLR1714 - compiled
        return first
    check[LAST_TS] = pool[RECV_TS, first] = time
    pool[VENUE_TS, first] = pool[KEY, first] = pool[QTY, first] = 0
    pool[TAG, first] = check[TAG_BITS] | IS_LAST | _CLEAR
    return first + 1


@compiled(types.boolean(_longs, _longs, _shorts, _bytes, _shorts, _longs, _longs, _i8, _i8))
def is_clean(
    recv_ts_ns: Column,
    venue_ts_ns: Column,
    kinds: NDArray[np.int8],
    lasts: NDArray[np.uint8],
    sides: NDArray[np.int8],
    prices: Column,
    qtys: Column,
    last_ts: int,
    snapshot_min: int,
) -> bool:
    """Return whether no row breaks a rule, given that the first one follows from what was there before. Without branches: it is vectorised."""
    wrong = np.uint8(recv_ts_ns[0] < last_ts) | np.uint8(recv_ts_ns[-1] >= _TS_MAX)
    for row in range(len(recv_ts_ns)):
        kind, side, price, qty = kinds[row], sides[row], prices[row], qtys[row]
        is_level = np.uint8(kind == _SNAPSHOT) | np.uint8(kind == _DELTA)
        is_trade = np.uint8(kind == _TRADE)
        is_sign = np.uint8(kind == _CLEAR) | np.uint8(kind == _ALIVE)
        has_side = np.uint8(side == 1) | np.uint8(side == -1)
        is_nobody = np.uint8(side == 0)
        has_price = np.uint8(price > 0) & np.uint8(price < INT_MAX)
        has_qty = np.uint8(qty > 0) & np.uint8(qty < INT_MAX)
        may_be_zero = np.uint8(kind == _DELTA) | np.uint8(snapshot_min == 0)
        is_zero = np.uint8(qty == 0)
        good = is_level & has_side & has_price & (has_qty | (is_zero & may_be_zero))
        good |= is_trade & has_price & ((has_side & has_qty) | (is_nobody & (has_qty | is_zero)))
        good |= is_sign & is_nobody & np.uint8(price == 0) & is_zero
        venue = np.uint8(venue_ts_ns[row] >= 0) & np.uint8(venue_ts_ns[row] < _TS_MAX)
        wrong |= (good & venue) ^ np.uint8(1)
    for row in range(1, len(recv_ts_ns)):
        inside = lasts[row - 1] ^ np.uint8(1)
        moved = np.uint8(recv_ts_ns[row] != recv_ts_ns[row - 1]) | np.uint8(kinds[row] != kinds[row - 1])
        wrong |= np.uint8(recv_ts_ns[row] < recv_ts_ns[row - 1]) | (inside & moved)
    return wrong == 0


@compiled(types.void(_longs, _longs, _shorts, _bytes, _shorts, _longs, _longs, _pool, _i8, _i8))
def convert(
    recv_ts_ns: Column,
    venue_ts_ns: Column,
    kinds: NDArray[np.int8],
    lasts: NDArray[np.uint8],
    sides: NDArray[np.int8],
    prices: Column,
    qtys: Column,
    pool: Column,
    at: int,
    bits: int,
) -> None:
    """Put clean rows into the pool from `at` on."""
    count = len(recv_ts_ns)
    pool[RECV_TS, at : at + count] = recv_ts_ns
    pool[VENUE_TS, at : at + count] = venue_ts_ns
    pool[QTY, at : at + count] = qtys
    keys, tags = pool[KEY, at : at + count], pool[TAG, at : at + count]
    for row in range(count):
        side, kind = np.int64(sides[row]), np.int64(kinds[row])
        keys[row] = prices[row] if side >= 0 else -prices[row]
        unknown = SIDE_UNKNOWN if (side == 0) & (kind == _TRADE) else 0
        tags[row] = bits | unknown | np.int64(lasts[row]) * IS_LAST | kind


@compiled(_i8(_longs, _longs, _longs, _shorts, _bytes, _shorts, _longs, _longs, _pool, _i8, _words))
def take(
    recv_ts_ns: Column,
    venue_ts_ns: Column,
    seq: Column,
    kinds: NDArray[np.int8],
    lasts: NDArray[np.uint8],
    sides: NDArray[np.int8],
    prices: Column,
    qtys: Column,
    pool: Column,
    at: int,
    check: Column,
) -> int:
    """Put rows one by one into the pool from `at` on and return where they end; `seq` may be empty.

    At the first bad row it stops and says why, unless it is to REPAIR.
    """
    snapshot_min, bits, repair = check[SNAPSHOT_MIN], check[TAG_BITS], check[REPAIR]
    is_open, last_ts, has_seq = check[IS_OPEN], check[LAST_TS], len(seq) > 0
    kind_before = np.int64(pool[TAG, at - 1] & _KIND_BITS) if is_open else 0
    for row in range(len(recv_ts_ns)):
        time, kind, side = recv_ts_ns[row], np.int64(kinds[row]), np.int64(sides[row])
        reason = flaw(kind, side, prices[row], qtys[row], venue_ts_ns[row], snapshot_min)
        if is_open:
            if kind != kind_before or time != pool[RECV_TS, at - 1]:
                reason = _NO_END
        elif time < last_ts or time >= _TS_MAX:
            reason = _BACK
        if reason:
            if not repair:
                check[BAD_ROW], check[BAD_REASON] = row, reason
                return at
            if reason == _NO_END:  # what was begun is given up, and this row begins anew
                if not check[MESSAGE_BAD]:
                    check[MESSAGE_BAD] = _NO_END
                check[LAST_TS] = last_ts
                at = give_up(pool, at, check)
                last_ts = check[LAST_TS]
                is_open = 0
                reason = flaw(kind, side, prices[row], qtys[row], venue_ts_ns[row], snapshot_min)
                if not reason and (time < last_ts or time >= _TS_MAX):
                    reason = _BACK
            if reason and not check[MESSAGE_BAD]:
                check[MESSAGE_BAD] = reason
        if not is_open:
            check[MESSAGE_AT] = at
        ends = np.int64(lasts[row])
        pool[RECV_TS, at] = time
        pool[VENUE_TS, at] = venue_ts_ns[row]
        pool[KEY, at] = prices[row] if side >= 0 else -prices[row]
        pool[QTY, at] = qtys[row]
        unknown = SIDE_UNKNOWN if side == 0 and kind == _TRADE else 0
        pool[TAG, at] = bits | unknown | (ends * IS_LAST) | (kind & _KIND_BITS)
        if has_seq:
            pool[SEQ, at] = seq[row]
        at += 1
        is_open, kind_before = 1 - ends, kind
        if ends:
            if check[MESSAGE_BAD]:
                check[LAST_TS] = last_ts
                at = give_up(pool, at, check)
                last_ts = check[LAST_TS]
            else:
                last_ts = time
            check[MESSAGE_AT] = at
    check[LAST_TS] = last_ts
    check[IS_OPEN] = is_open
    return at
