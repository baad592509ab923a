"""Kraken v2 `book` frames, from raw bytes into the compiled book in one call.

Layout: docs.kraken.com/exchange/api-reference/spot-websocket-v2/book, read 2026-11-20; numbers are unquoted, with the
pair's full precision. Recognised is exactly one element of `data` with symbol, bids, asks, checksum and, optionally,
timestamp, in this order and without white space. Anything else (other channels, several symbols, a snapshot without
checksum) is left to the typed decoder, untouched. The checksum is verified on every frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from numba import types

from arbot.market import crc32, sides, text
from arbot.market.books import Books
from arbot.market.compiled import compiled, uniform
from arbot.market.frames import NEED_ROOM, NEED_WORKSPACE, FrameResult, FrameStatus, frame_levels_max, place
from arbot.market.layout import CHECKSUMS, HEAD_WIDTH, HEADS, PRICE_DECIMALS, QTY_DECIMALS, Words
from arbot.market.raw import byte_at

_APPLIED = int(FrameStatus.APPLIED)
_NOT_RECOGNISED = int(FrameStatus.NOT_RECOGNISED)
_CHECKSUM_MISMATCH = int(FrameStatus.CHECKSUM_MISMATCH)
_CROSSED = int(FrameStatus.CROSSED)
_BAD_NUMBER = int(FrameStatus.BAD_NUMBER)

_OPEN = text.literal('{"channel":"book","type":"')
_UPDATE = text.literal('update","data":[{"symbol":"')
_SNAPSHOT = text.literal('snapshot","data":[{"symbol":"')
_BIDS_OPEN = text.literal(',"bids":[')
_ASKS_OPEN = text.literal('],"asks":[')
_PRICE = text.literal('{"price":')
_QTY = text.literal(',"qty":')
_CHECKSUM = text.literal('],"checksum":')
_TIMESTAMP = text.literal(',"timestamp":"')
_CLOSE = text.literal("}]}")

_LEVEL_BYTES_MIN = 20  # {"price":1,"qty":0},
_CHECKSUM_MAX = 0xFFFFFFFF

_i8 = types.int64
_result = uniform(_i8, 3)


@compiled(uniform(_i8, 3)(text.Frame, _i8, types.int64[::1], _i8, _i8, _i8, _i8))
def _levels(  # noqa: PLR0917
    data: bytes, at: int, work: Words, free: int, sign: int, price_decimals: int, qty_decimals: int
) -> tuple[int, int, int]:
    """Read levels up to the closing bracket into `work[free:]`; return (fault or 0, position, next free word).

    A number that fits no level is kept as key 0, so that the caller tells of it once the whole layout was recognised.
    """
    if at < len(data) and byte_at(data, at) == 93:
        return 0, at, free
    while True:
        at = text.expect(data, at, _PRICE)
        if at < 0:
            return _NOT_RECOGNISED, at, free
        price, at = text.number(data, at, price_decimals)
        if price == text.NO:
            return _NOT_RECOGNISED, at, free
        at = text.expect(data, at, _QTY)
        if at < 0:
            return _NOT_RECOGNISED, at, free
        qty, at = text.number(data, at, qty_decimals)
        if qty == text.NO or at + 2 > len(data) or byte_at(data, at) != 125:
            return _NOT_RECOGNISED, at, free
        if free + 2 > work.size:
            return NEED_WORKSPACE, at, free
        work[free] = price * sign if price > 0 and qty >= 0 else 0
        work[free + 1] = qty
        free += 2
        at += 1
        if byte_at(data, at) == 93:
            return 0, at, free
        if byte_at(data, at) != 44:
            return _NOT_RECOGNISED, at, free
        at += 1


@compiled(_result(types.int64[::1], types.int64[::1], text.Frame, _i8))
def _apply(mem: Words, work: Words, data: bytes, recv_ts_ns: int) -> FrameResult:
    start = text.expect(data, 0, _OPEN)
    if start < 0:
        return _NOT_RECOGNISED, -1, 0
    is_snapshot = False
    at = text.expect(data, start, _UPDATE)
    if at < 0:
        is_snapshot = True
        at = text.expect(data, start, _SNAPSHOT)
        if at < 0:
            return _NOT_RECOGNISED, -1, 0
    index, at = text.symbol(data, at, work)
    if index < 0:
        return _NOT_RECOGNISED, -1, 0
    head = HEADS + index * HEAD_WIDTH
    price_decimals, qty_decimals = mem[head + PRICE_DECIMALS], mem[head + QTY_DECIMALS]
    first = text.TABLE + work[0]
    at = text.expect(data, at, _BIDS_OPEN)
    if at < 0:
        return _NOT_RECOGNISED, index, 0
    fault, at, free = _levels(data, at, work, first, 1, price_decimals, qty_decimals)
    if fault != 0:
        return fault, index, 0
    at = text.expect(data, at, _ASKS_OPEN)
    if at < 0:
        return _NOT_RECOGNISED, index, 0
    fault, at, free = _levels(data, at, work, free, -1, price_decimals, qty_decimals)
    if fault != 0:
        return fault, index, 0
    at = text.expect(data, at, _CHECKSUM)
    if at < 0:
        return _NOT_RECOGNISED, index, 0
    told, at = text.integer(data, at)
    if told < 0 or told > _CHECKSUM_MAX:
        return _NOT_RECOGNISED, index, 0
    venue_ts_ns = 0
    stamped = text.expect(data, at, _TIMESTAMP)
    if stamped >= 0:
        venue_ts_ns, at = text.timestamp(data, stamped)
        if venue_ts_ns < 0 or at >= len(data) or byte_at(data, at) != 34:
            return _NOT_RECOGNISED, index, 0
        at += 1
    at = text.expect(data, at, _CLOSE)
    if at != len(data):
        return _NOT_RECOGNISED, index, 0

    for word in range(first, free, 2):
        if work[word] == 0:
            return _BAD_NUMBER, index, 0
    count = (free - first) // 2
    placed = place(mem, head, work, first, count, is_snapshot, venue_ts_ns, recv_ts_ns)
    if placed != _APPLIED:
        return placed, index, count
    if crc32.checksum(mem, head) != told:
        sides.clear(mem, head)
        return _CHECKSUM_MISMATCH, index, 0
    mem[head + CHECKSUMS] += 1
    if sides.check(mem, head) == sides.CROSSED:
        sides.clear(mem, head)
        return _CROSSED, index, 0
    return _APPLIED, index, 0


class KrakenBookFrames:
    """The compiled path of one Kraken connection: which symbols it knows, and `apply`."""

    def __init__(self, books: Books, symbols: Sequence[tuple[str, int]]) -> None:
        """Take (symbol as on the wire, index of its book) pairs."""
        self._books = books
        self._symbols = tuple(symbols)
        self._work = text.workspace(self._symbols, frame_levels_max(0, _LEVEL_BYTES_MIN))
        self.apply(b"", 0)  # the first call of a compiled function is a slow one

    def apply(self, frame: bytes, recv_ts_ns: int) -> FrameResult:
        """Apply one frame and return (status, book); see FrameStatus for what was done and what is owed.

        The venue's time of the book is the frame's timestamp, 0 where it has none.
        """
        status, book, levels = _apply(self._books.mem, self._work, frame, recv_ts_ns)
        while status < 0:
            if status == NEED_ROOM:
                self._books.grow(book, levels)
            else:
                self._work = text.workspace(self._symbols, frame_levels_max(len(frame), _LEVEL_BYTES_MIN))
            status, book, levels = _apply(self._books.mem, self._work, frame, recv_ts_ns)
        return status, book
