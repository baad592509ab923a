"""Makes one stream of rows out of many datasets: in the order of receive time, message by message, in bounded memory.

A stream is one instrument, whatever its days and contents: its number is the book of its rows. Messages of one time come
in the order of the streams. Every stream is decoded a batch at a time into its own region of one pool; a heap of their
next messages says whose turn it is, so that a row costs a little more with more streams, not a multiple.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import msgspec
import numpy as np
from numba import types

from arbot.domain.errors import Mistake, UserError
from arbot.domain.instrument import Instrument
from arbot.market.compiled import compiled
from arbot.market.stream import IS_LAST, Column, Rows
from arbot.tape.catalogue import Dataset
from arbot.tape.checks import KEY, QTY, RECV_TS, SEQ, TAG, VENUE_TS
from arbot.tape.reader import BATCH_ROWS, POOL_WIDTH, Feeder, Repairs, as_rows, group_rows_max
from arbot.tape.schema import Content, TapeMeta

CHUNK_ROWS = 1 << 17  # small enough to stay near the processor
LAST_TS_NS = 1 << 62
_POOL_ROWS = 1 << 22  # of all regions together
_BATCH_ROWS_MIN = 1 << 11
_FILES_BESIDE = 512  # that the rest of the process may have open
_FILES_NEEDED = 32  # that it has at least

_i8 = types.int64
_words = types.int64[::1]
_grid = types.int64[:, ::1]

# words of a stream in the heap's table
POSITION, WHOLE, END = range(3)  # next row, end of the last whole message, end of the rows

# why the merge stopped
CHUNK_FULL, NEEDS_ROWS = -1, 0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument. `meta` is its book's if it has one; prints recorded apart are among `datasets`."""

    number: int
    meta: TapeMeta
    datasets: tuple[Dataset, ...]

    @property
    def instrument(self) -> Instrument:
        """Return what it is about."""
        return self.meta.instrument

    @property
    def rows(self) -> int:
        """Return how many rows it has."""
        return sum(dataset.rows for dataset in self.datasets)


def streams(datasets: Sequence[Dataset]) -> tuple[Stream, ...]:
    """Return the streams of datasets in the order of their first mention; bars are none. Raises: UserError."""
    found: dict[str, list[Dataset]] = {}
    for dataset in datasets:
        if dataset.meta.content is not Content.BARS:
            found.setdefault(dataset.meta.instrument.id, []).append(dataset)
    mistakes = []
    made = []
    for number, members in enumerate(found.values()):
        books = [dataset for dataset in members if dataset.meta.content is not Content.TRADES]
        main = (books or members)[0]
        units = {(dataset.meta.instrument.price_decimals, dataset.meta.instrument.qty_decimals) for dataset in members}
        contents = {dataset.meta.content for dataset in books}
        what = "has prices or quantities of different decimals" if len(units) > 1 else ""
        what = what or ("is there as " + " and ".join(sorted(contents)) if len(contents) > 1 else "")
        if what:
            mistakes.append(Mistake(main.meta.instrument.id, what, "replay its datasets apart"))
        made.append(Stream(number=number, meta=main.meta, datasets=tuple(members)))
    if mistakes:
        raise UserError(*mistakes)
    return tuple(made)


def merged(
    datasets: Sequence[Dataset],
    *,
    chunk_rows: int = CHUNK_ROWS,
    first_ts_ns: int = 0,
    last_ts_ns: int = LAST_TS_NS,
    threads: int = 0,
    repairs: Repairs | None = None,
) -> Iterator[Rows]:
    """Yield the rows of [first_ts_ns, last_ts_ns] in order, in chunks of whole messages; a chunk is the caller's to keep.

    Books that had their snapshot before `first_ts_ns` are not known until their next one. `threads` decode ahead.
    Raises: UserError for what is damaged, unless `repairs` is given to count it.
    """
    for rows, _ in merged_with_seq(
        datasets,
        chunk_rows=chunk_rows,
        first_ts_ns=first_ts_ns,
        last_ts_ns=last_ts_ns,
        threads=threads,
        repairs=repairs,
        has_seq=False,
    ):
        yield rows


def merged_with_seq(
    datasets: Sequence[Dataset],
    *,
    chunk_rows: int = CHUNK_ROWS,
    first_ts_ns: int = 0,
    last_ts_ns: int = LAST_TS_NS,
    threads: int = 0,
    repairs: Repairs | None = None,
    has_seq: bool = True,
) -> Iterator[tuple[Rows, Column]]:
    """Yield what `merged` does, and beside each row the number of the journal event before it."""
    with ExitStack() as stack:
        ahead = stack.enter_context(ThreadPoolExecutor(threads)) if threads else None
        sources = _sources(streams(datasets))
        _allow_open_files(len(sources))
        batch_rows = max(_BATCH_ROWS_MIN, min(BATCH_ROWS, _POOL_ROWS // max(len(sources), 1)))
        feeders = [
            Feeder(
                tuple(part for dataset in source for part in dataset.parts),
                book=book,
                batch_rows=batch_rows,
                has_seq=has_seq,
                first_ts_ns=first_ts_ns,
                repairs=repairs,
                ahead=ahead,
            )
            for book, source in sources
        ]
        pool = _Pool(feeders, batch_rows, first_ts_ns)
        width = POOL_WIDTH if has_seq else POOL_WIDTH - 1
        out = np.empty((width, chunk_rows), np.int64)
        at = 0
        while pool.alive:
            at, why = pool.merge(out, at, last_ts_ns)
            if why == CHUNK_FULL and at == 0:  # one message is longer than a chunk
                out = np.empty((width, 2 * out.shape[1]), np.int64)
            elif why == CHUNK_FULL:
                yield as_rows(out, 0, at), out[SEQ, :at] if has_seq else out[0, :0]
                out, at = np.empty((width, chunk_rows), np.int64), 0
        if at:
            yield as_rows(out, 0, at), out[SEQ, :at] if has_seq else out[0, :0]


def _sources(found: tuple[Stream, ...]) -> list[tuple[int, list[Dataset]]]:
    """Return (book, datasets in the order of time) of each thing to merge: prints apart from books."""
    made: list[tuple[int, list[Dataset]]] = []
    for stream in found:
        kinds: dict[Content, list[Dataset]] = {}
        for dataset in stream.datasets:
            kinds.setdefault(dataset.meta.content, []).append(dataset)
        made += [(stream.number, sorted(members, key=lambda one: one.first_ts_ns)) for members in kinds.values()]
    return made


def _allow_open_files(count: int) -> None:
    """Raise how many files this process may have open, if the tapes need it: each source keeps one open.

    Raises: UserError when the system does not allow enough.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most < count + _FILES_NEEDED:
        what = f"the tapes are {count} streams, and this system lets a process open {most} files"
        raise UserError(Mistake("open files", what, "raise the limit with `ulimit -Hn`, or leave some out"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Pool:
    """The regions of all feeders, and the heap over them."""

    def __init__(self, feeders: list[Feeder], batch_rows: int, first_ts_ns: int) -> None:
        self._feeders = feeders
        self._first_ts_ns = first_ts_ns
        count = len(feeders)
        rooms = np.full(count, group_rows_max(batch_rows) + 64, np.int64)
        self._begins = np.concatenate(([0], np.cumsum(rooms))).astype(np.int64)
        self._rows = np.empty((POOL_WIDTH, int(self._begins[-1])), np.int64)
        self._table = np.zeros((count, 3), np.int64)
        self._table[:] = self._begins[:count, None]
        self._heap = np.empty(count, np.int64)
        self._size = np.zeros(1, np.int64)
        for number in range(count):
            self._refill(number)

    @property
    def alive(self) -> bool:
        """Whether there are rows left."""
        return bool(self._size[0])

    def merge(self, out: Column, at: int, last_ts_ns: int) -> tuple[int, int]:
        """Move whole messages to `out` until it is full, a stream needs rows, or none is left; return (next row, why)."""
        at = int(_merge(self._rows, self._table, self._heap, self._size, out, at, last_ts_ns))
        if at < 0:
            return -at - 1, CHUNK_FULL
        number = int(self._heap[0]) if self._size[0] else -1
        if number >= 0:
            _pop(self._rows, self._table, self._heap, self._size)
            self._refill(number)
        return at, NEEDS_ROWS

    def _refill(self, number: int) -> None:
        """Bring a stream's next rows in, and put it into the heap if there are any."""
        feeder, (position, whole, end) = self._feeders[number], self._table[number].tolist()
        begin = int(self._begins[number])
        while position == whole:
            need = feeder.next_rows()
            if not need:
                return
            left = end - position
            if left + need > int(self._begins[number + 1]) - begin:
                self._grow(number, left + need)
                begin, position = int(self._begins[number]), int(self._table[number, POSITION])
            self._rows[:, begin : begin + left] = self._rows[:, position : position + left].copy()
            feeder.moved(begin - position)
            end, whole = feeder.take(self._rows, begin + left)
            position = begin + int(np.searchsorted(self._rows[RECV_TS, begin:whole], self._first_ts_ns))
            self._table[number] = (position, whole, end)
        _push(self._rows, self._table, self._heap, self._size, number)

    def _grow(self, number: int, need: int) -> None:
        """Lay all regions out anew, with room for `need` rows in one."""
        rooms = np.diff(self._begins)
        rooms[number] = 2 * need
        begins = np.concatenate(([0], np.cumsum(rooms))).astype(np.int64)
        rows = np.empty((POOL_WIDTH, int(begins[-1])), np.int64)
        for other, (position, _, end) in enumerate(self._table.tolist()):
            to = int(begins[other])
            rows[:, to : to + end - position] = self._rows[:, position:end]
            self._feeders[other].moved(to - position)
            self._table[other] += to - position
        self._rows, self._begins = rows, begins


@compiled(types.boolean(_grid, _grid, _i8, _i8))
def _before(rows: Column, table: Column, one: int, other: int) -> bool:
    """Return whether one stream's next message comes before another's."""
    first, second = rows[RECV_TS, table[one, POSITION]], rows[RECV_TS, table[other, POSITION]]
    return bool(first < second or (first == second and one < other))


@compiled(types.void(_grid, _grid, _words, _i8))
def _sink(rows: Column, table: Column, heap: Column, size: int) -> None:
    """Bring the top of the heap to where it belongs."""
    at = 0
    mine = heap[0]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _before(rows, table, heap[child + 1], heap[child]):
            child += 1
        if not _before(rows, table, heap[child], mine):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = mine


@compiled(types.void(_grid, _grid, _words, _words))
def _pop(rows: Column, table: Column, heap: Column, size: Column) -> None:
    """Take the top off the heap."""
    size[0] -= 1
    if size[0]:
        heap[0] = heap[size[0]]
        _sink(rows, table, heap, size[0])


@compiled(types.void(_grid, _grid, _words, _words, _i8))
def _push(rows: Column, table: Column, heap: Column, size: Column, stream: int) -> None:
    """Put a stream into the heap."""
    at = size[0]
    size[0] += 1
    while at:
        parent = (at - 1) >> 1
        if not _before(rows, table, stream, heap[parent]):
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = stream


@compiled(_i8(_grid, _grid, _words, _words, _grid, _i8, _i8))
def _merge(rows: Column, table: Column, heap: Column, size: Column, out: Column, at: int, last_ts_ns: int) -> int:  # noqa: PLR0917
    """Move messages; return the next row of `out`, or minus it minus 1 when the next message does not fit.

    It stops when the stream at the top has none left, or all are beyond `last_ts_ns` (then the heap is emptied).
    """
    width, room = out.shape
    recv, venue, key, qty, tag = rows[RECV_TS], rows[VENUE_TS], rows[KEY], rows[QTY], rows[TAG]
    recv_out, venue_out, key_out, qty_out, tag_out = out[RECV_TS], out[VENUE_TS], out[KEY], out[QTY], out[TAG]
    while size[0]:
        stream = heap[0]
        position, whole = table[stream, POSITION], table[stream, WHOLE]
        rival, limit = -1, np.int64(1 << 62)
        for child in range(1, min(3, size[0])):
            if rival < 0 or _before(rows, table, heap[child], rival):
                rival = heap[child]
        if rival >= 0:
            limit = rows[RECV_TS, table[rival, POSITION]] + (1 if stream < rival else 0)
        if rows[RECV_TS, position] > last_ts_ns:
            size[0] = 0
            return at
        limit = min(limit, last_ts_ns + 1)
        while position < whole and recv[position] < limit:
            stop = position + 1
            while not tag[stop - 1] & IS_LAST:
                stop += 1
            if at + stop - position > room:
                table[stream, POSITION] = position
                if size[0] > 1:
                    _sink(rows, table, heap, size[0])
                return -at - 1
            for row in range(position, stop):
                recv_out[at] = recv[row]
                venue_out[at] = venue[row]
                key_out[at] = key[row]
                qty_out[at] = qty[row]
                tag_out[at] = tag[row]
                if width > SEQ:
                    out[SEQ, at] = rows[SEQ, row]
                at += 1
            position = stop
        table[stream, POSITION] = position
        if position == whole:
            return at
        _sink(rows, table, heap, size[0])
    return at
