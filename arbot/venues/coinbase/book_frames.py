"""Coinbase Advanced Trade `l2_data` frames, from raw bytes into the compiled book in one call.

Layout: docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket, and 775 recorded frames, read 2026-11-20; all
numbers are strings. Recognised is exactly one event with type, product_id and updates, `client_id` present or not, in
this order and without white space. Anything else is left to the typed decoder, untouched. The sequence number runs over
all channels of the connection, so the caller counts and passes in the one it expects; it is compared before anything
else happens.
"""

from __future__ import annotations

from collections.abc import Sequence

from numba import types

from arbot.market import sides, text
from arbot.market.books import Books
from arbot.market.compiled import compiled, uniform
from arbot.market.frames import NEED_ROOM, NEED_WORKSPACE, FrameResult, FrameStatus, frame_levels_max, place
from arbot.market.layout import HEAD_WIDTH, HEADS, PRICE_DECIMALS, QTY_DECIMALS, Words
from arbot.market.raw import byte_at

_APPLIED = int(FrameStatus.APPLIED)
_NOT_RECOGNISED = int(FrameStatus.NOT_RECOGNISED)
_CROSSED = int(FrameStatus.CROSSED)
_SEQUENCE_GAP = int(FrameStatus.SEQUENCE_GAP)
_BAD_NUMBER = int(FrameStatus.BAD_NUMBER)

_OPEN = text.literal('{"channel":"l2_data",')
_CLIENT_ID = text.literal('"client_id":"",')
_TIMESTAMP = text.literal('"timestamp":"')
_SEQUENCE = text.literal('","sequence_num":')
_EVENTS = text.literal(',"events":[{"type":"')
_UPDATE = text.literal('update","product_id":"')
_SNAPSHOT = text.literal('snapshot","product_id":"')
_UPDATES = text.literal(',"updates":[')
_BID = text.literal('{"side":"bid","event_time":"')
_OFFER = text.literal('{"side":"offer","event_time":"')
_PRICE = text.literal('","price_level":"')
_QTY = text.literal('","new_quantity":"')
_LEVEL_CLOSE = text.literal('"}')
_CLOSE = text.literal("]}]}")

_LEVEL_BYTES_MIN = 88  # {"side":"bid","event_time":"2026-11-20T09:30:00Z","price_level":"1","new_quantity":"0"}
_RECORDED_BYTES = 5_200_000  # the workspace is made for a first snapshot of this size, so that it need not be enlarged

_i8 = types.int64


@compiled(uniform(_i8, 5)(text.Frame, _i8, types.int64[::1], _i8, _i8, _i8))
def _levels(  # noqa: PLR0917
    data: bytes, at: int, work: Words, first: int, price_decimals: int, qty_decimals: int
) -> tuple[int, int, int, int, int]:
    """Read the updates up to the last into `work[first:]`.

    Returns (fault or 0, position, next free word, newest event time, 1 when a number fits no level).
    """
    free = first
    venue_ts_ns = 0
    stamp = stamp_size = 0
    bad_number = 0
    while True:
        sign = 1
        start = at
        at = text.expect(data, start, _BID)
        if at < 0:
            sign = -1
            at = text.expect(data, start, _OFFER)
            if at < 0:
                return _NOT_RECOGNISED, at, free, 0, 0
        if stamp_size > 0 and text.repeats(data, at, stamp, stamp_size):
            at += stamp_size  # nearly all levels of a frame bear the same time
        else:
            stamp = at
            event_ts_ns, at = text.timestamp(data, at)
            if event_ts_ns < 0:
                return _NOT_RECOGNISED, at, free, 0, 0
            stamp_size = at - stamp
            venue_ts_ns = max(venue_ts_ns, event_ts_ns)
        at = text.expect(data, at, _PRICE)
        if at < 0:
            return _NOT_RECOGNISED, at, free, 0, 0
        price, at = text.number(data, at, price_decimals)
        if price == text.NO:
            return _NOT_RECOGNISED, at, free, 0, 0
        at = text.expect(data, at, _QTY)
        if at < 0:
            return _NOT_RECOGNISED, at, free, 0, 0
        qty, at = text.number(data, at, qty_decimals)
        if qty == text.NO:
            return _NOT_RECOGNISED, at, free, 0, 0
        at = text.expect(data, at, _LEVEL_CLOSE)
        if at < 0 or at >= len(data):
            return _NOT_RECOGNISED, at, free, 0, 0
        if price <= 0 or qty < 0:
            bad_number = 1
        if free + 2 > work.size:
            return NEED_WORKSPACE, at, free, 0, 0
        work[free] = price * sign
        work[free + 1] = qty
        free += 2
        if byte_at(data, at) != 44:
            return 0, at, free, venue_ts_ns, bad_number
        at += 1


@compiled(uniform(_i8, 3)(types.int64[::1], types.int64[::1], text.Frame, _i8, _i8))
def _apply(mem: Words, work: Words, data: bytes, recv_ts_ns: int, sequence_expected: int) -> FrameResult:
    at = text.expect(data, 0, _OPEN)
    if at < 0:
        return _NOT_RECOGNISED, -1, 0
    named = text.expect(data, at, _CLIENT_ID)
    at = text.expect(data, named if named >= 0 else at, _TIMESTAMP)
    if at < 0:
        return _NOT_RECOGNISED, -1, 0
    sent_ts_ns, at = text.timestamp(data, at)
    if sent_ts_ns < 0:
        return _NOT_RECOGNISED, -1, 0
    at = text.expect(data, at, _SEQUENCE)
    if at < 0:
        return _NOT_RECOGNISED, -1, 0
    sequence, at = text.integer(data, at)
    if sequence < 0:
        return _NOT_RECOGNISED, -1, 0
    at = text.expect(data, at, _EVENTS)
    if at < 0:
        return _NOT_RECOGNISED, -1, 0
    is_snapshot = False
    start = at
    at = text.expect(data, start, _UPDATE)
    if at < 0:
        is_snapshot = True
        at = text.expect(data, start, _SNAPSHOT)
        if at < 0:
            return _NOT_RECOGNISED, -1, 0
    index, at = text.symbol(data, at, work)
    if index < 0:
        return _NOT_RECOGNISED, -1, 0
    if sequence != sequence_expected:
        return _SEQUENCE_GAP, index, 0
    head = HEADS + index * HEAD_WIDTH
    price_decimals, qty_decimals = mem[head + PRICE_DECIMALS], mem[head + QTY_DECIMALS]
    at = text.expect(data, at, _UPDATES)
    if at < 0:
        return _NOT_RECOGNISED, index, 0
    first = text.TABLE + work[0]
    fault, at, free, venue_ts_ns, bad_number = _levels(data, at, work, first, price_decimals, qty_decimals)
    if fault != 0:
        return fault, index, 0
    if text.expect(data, at, _CLOSE) != len(data):
        return _NOT_RECOGNISED, index, 0
    if bad_number:
        return _BAD_NUMBER, index, 0

    count = (free - first) // 2
    placed = place(mem, head, work, first, count, is_snapshot, venue_ts_ns, recv_ts_ns)
    if placed != _APPLIED:
        return placed, index, count
    if sides.check(mem, head) == sides.CROSSED:
        sides.clear(mem, head)
        return _CROSSED, index, 0
    return _APPLIED, index, 0


class CoinbaseBookFrames:
    """The compiled path of one Coinbase connection: which products it knows, and `apply`."""

    def __init__(self, books: Books, symbols: Sequence[tuple[str, int]]) -> None:
        """Take (product id as on the wire, index of its book) pairs."""
        self._books = books
        self._symbols = tuple(symbols)
        self._work = text.workspace(self._symbols, frame_levels_max(_RECORDED_BYTES, _LEVEL_BYTES_MIN))
        self.apply(b"", 0, 0)  # the first call of a compiled function is a slow one

    def apply(self, frame: bytes, recv_ts_ns: int, sequence_expected: int) -> FrameResult:
        """Apply one frame and return (status, book); see FrameStatus for what was done and what is owed.

        The frame's sequence number was the expected one unless the status is NOT_RECOGNISED (the typed decoder has to
        look) or SEQUENCE_GAP: on every other status the caller counts one up. The venue's time of the book is the
        newest `event_time` of the frame.
        """
        status, book, levels = _apply(self._books.mem, self._work, frame, recv_ts_ns, sequence_expected)
        while status < 0:
            if status == NEED_ROOM:
                self._books.grow(book, levels)
            else:
                self._work = text.workspace(self._symbols, frame_levels_max(len(frame), _LEVEL_BYTES_MIN))
            status, book, levels = _apply(self._books.mem, self._work, frame, recv_ts_ns, sequence_expected)
        return status, book
