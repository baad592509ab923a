"""Reads parts in bounded memory, and lets nothing through that is damaged.

Pages carry checksums, rows are checked one by one (tape/checks.py). What is wrong is refused with file, row group and
row; or, where a `Repairs` is given, left out and counted in it: a bad row takes its whole message along, an unreadable
row group everything in it, and the book is CLEARed until the next snapshot. Nothing is mended by guessing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arbot.domain.errors import Mistake, UserError, ensure
from arbot.market.stream import BOOK_SHIFT, IS_LAST, KIND_MASK, Column, Kind, Rows
from arbot.tape import checks
from arbot.tape.catalogue import Part
from arbot.tape.checks import CHECK_WIDTH, COUNTS, KEY, QTY, RECV_TS, SEQ, TAG, VENUE_TS, WORDS, Reason
from arbot.tape.schema import Content
from arbot.tape.writer import BAR_NAMES

BATCH_ROWS = 1 << 17
POOL_WIDTH = 6
_COLUMNS = ("recv_ts_ns", "venue_ts_ns", "kind", "is_last", "side", "price", "qty")
_REMEDY = "import or record it again, or leave out what is damaged with --repair"
_UNREADABLE = "unreadable"
_NO_BAR = "not a bar, or not later than those above"
_NO_SEQ = np.empty(0, np.int64)


class Repairs:
    """What was left out of damaged tapes: rows by reason, and where."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.places: list[str] = []

    def add(self, reason: str, rows: int, place: str) -> None:
        """Count rows that are not used."""
        self.rows[reason] = self.rows.get(reason, 0) + rows
        self.places.append(f"{place}: {rows} rows, {reason}")

    def clear(self) -> None:
        """Forget what was counted: the tapes are read anew."""
        self.rows.clear()
        self.places.clear()

    @property
    def total(self) -> int:
        """Return how many rows were left out in all."""
        return sum(self.rows.values())


class Bars(NamedTuple):
    """Bars of one instrument, the oldest first; prices and volume in the units of its decimals."""

    start_ts_ns: Column
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column


class _Batch(NamedTuple):
    """Columns of a part as pyarrow gives them, and where they are; `lost` rows of the group could not be read."""

    group: int
    first_row: int
    columns: pa.RecordBatch | None
    lost: int


class Feeder:
    """Puts the rows of several parts, one after the other, checked into a pool. Decodes ahead on an executor, if given."""

    def __init__(
        self,
        parts: tuple[Part, ...],
        *,
        book: int = 0,
        batch_rows: int = BATCH_ROWS,
        has_seq: bool = False,
        first_ts_ns: int = 0,
        repairs: Repairs | None = None,
        ahead: Executor | None = None,
    ) -> None:
        self._repairs = repairs
        self._has_seq = has_seq
        self._check = np.zeros(CHECK_WIDTH, np.int64)
        self._check[checks.REPAIR] = repairs is not None
        self._check[checks.TAG_BITS] = book << BOOK_SHIFT
        self._batches = _batches(
            parts, batch_rows, _COLUMNS + (("seq",) if has_seq else ()), first_ts_ns, repairs is not None
        )
        self._ahead = ahead
        self._future: Future[tuple[Part, _Batch] | None] | None = None
        self._kept: tuple[Part, _Batch] | None = None
        self._part: Part | None = None

    def next_rows(self) -> int:
        """Return how many rows the next `take` needs room for; 0 when there are no more."""
        if self._kept is None:
            self._kept = self._next()
        if self._kept is None:
            return 0
        batch = self._kept[1].columns
        return 2 + (batch.num_rows if batch is not None else 0)  # a book may have to be cleared, even twice

    def moved(self, by: int) -> None:
        """Note that the caller moved what is in the pool by so many rows."""
        self._check[checks.MESSAGE_AT] += by

    def take(self, pool: Column, at: int) -> tuple[int, int]:
        """Put the next rows into the pool from `at`; return where they end, and where the last whole message ends.

        Raises: UserError naming file, row group and row.
        """
        ensure(self._kept is not None, "take after the end")
        assert self._kept is not None  # noqa: S101 - for the type checker
        (part, batch), self._kept = self._kept, None
        check = self._check
        if self._part is not part:
            self._part = part
            at = self._drop_book(pool, at) if part.follows_damage else at
            check[checks.SNAPSHOT_MIN] = part.meta.content is not Content.UNSIZED_QUOTES
        if batch.columns is None:
            at = self._lose(pool, at, part, batch)
        else:
            counted = check[COUNTS:].copy()
            at = self._put(pool, at, batch.columns)
            if check[checks.BAD_REASON]:
                raise UserError(
                    _mistake(part, batch, int(check[checks.BAD_ROW]), Reason(int(check[checks.BAD_REASON])))
                )
            self._tell(counted, part, batch)
        if self._is_end_of_part(part, batch) and check[checks.IS_OPEN]:
            at = self._cut_off(pool, at, part, batch)
        return at, int(check[checks.MESSAGE_AT]) if check[checks.IS_OPEN] else at

    def _put(self, pool: Column, at: int, columns: pa.RecordBatch) -> int:
        named = dict(zip(columns.schema.names, columns.columns, strict=True))
        numbers = {name: column.to_numpy() for name, column in named.items() if name != "is_last"}
        seq = numbers.pop("seq", _NO_SEQ)
        rows, check = columns.num_rows, self._check
        bits = named["is_last"]
        lasts = np.unpackbits(np.frombuffer(bits.buffers()[1], np.uint8), bitorder="little")[bits.offset :][:rows]
        before = (numbers["recv_ts_ns"], numbers["venue_ts_ns"])
        after = (numbers["kind"], lasts, numbers["side"], numbers["price"], numbers["qty"])
        if self._goes_on(pool, at, numbers) and checks.is_clean(*before, *after, *check[checks.CLEAN].tolist()):
            checks.convert(*before, *after, pool, at, check[checks.TAG_BITS])
            if self._has_seq:
                pool[SEQ, at : at + rows] = seq
            check[checks.LAST_TS] = numbers["recv_ts_ns"][-1]
            check[checks.IS_OPEN] = 1 - lasts[-1]
            ended = rows if lasts[-1] else rows - int(np.argmax(lasts[::-1])) if lasts.any() else 0
            if ended:
                check[checks.MESSAGE_AT] = at + ended
            return at + rows
        return int(checks.take(*before, seq, *after, pool, at, check))

    def _goes_on(self, pool: Column, at: int, numbers: dict[str, Any]) -> bool:
        """Return whether the first new row belongs to the message that is open, if one is."""
        if not self._check[checks.IS_OPEN]:
            return True
        same_time = numbers["recv_ts_ns"][0] == pool[RECV_TS, at - 1]
        same_kind = numbers["kind"][0] == pool[TAG, at - 1] & KIND_MASK
        return bool(same_time and same_kind and not self._check[checks.MESSAGE_BAD])

    def _lose(self, pool: Column, at: int, part: Part, batch: _Batch) -> int:
        """Count what could not be read, and drop the book; with it goes a message that had begun."""
        check, repairs = self._check, self._repairs
        ensure(repairs is not None, "lost rows without repair")
        assert repairs is not None  # noqa: S101 - for the type checker
        repairs.add(_UNREADABLE, batch.lost, f"{part.path} row group {batch.group}")
        if check[checks.IS_OPEN]:
            return self._cut_off(pool, at, part, batch)
        return at if part.meta.content is Content.TRADES else self._drop_book(pool, at)

    def _drop_book(self, pool: Column, at: int) -> int:
        """Write a CLEAR at the last time known, if there is one; return the next row."""
        if not self._check[checks.LAST_TS]:
            return at
        pool[:, at] = 0
        pool[RECV_TS, at] = self._check[checks.LAST_TS]
        pool[TAG, at] = self._check[checks.TAG_BITS] | IS_LAST | Kind.CLEAR
        return at + 1

    def _cut_off(self, pool: Column, at: int, part: Part, batch: _Batch) -> int:
        """Deal with a message that never ends."""
        if self._repairs is None:
            raise UserError(_mistake(part, batch, batch.columns.num_rows if batch.columns else 0, Reason.NO_END))
        counted = self._check[COUNTS:].copy()
        if not self._check[checks.MESSAGE_BAD]:
            self._check[checks.MESSAGE_BAD] = Reason.NO_END
        at = int(checks.give_up(pool, at, self._check))
        self._tell(counted, part, batch)
        return at

    def _tell(self, counted: Column, part: Part, batch: _Batch) -> None:
        if self._repairs is not None:
            for reason in Reason:
                more = int(self._check[COUNTS + reason] - counted[reason])
                if more:
                    self._repairs.add(WORDS[reason], more, f"{part.path} row group {batch.group}")

    @staticmethod
    def _is_end_of_part(part: Part, batch: _Batch) -> bool:
        if batch.group != len(part.groups) - 1:
            return False
        return batch.columns is None or batch.first_row + batch.columns.num_rows == part.groups[-1]

    def _next(self) -> tuple[Part, _Batch] | None:
        if self._ahead is None:
            return next(self._batches, None)
        found = self._future.result() if self._future else next(self._batches, None)
        self._future = self._ahead.submit(next, self._batches, None) if found is not None else None
        return found


def read_part(part: Part, *, batch_rows: int = BATCH_ROWS, repairs: Repairs | None = None) -> Iterator[Rows]:
    """Yield the rows of a part, whole messages each time, as book 0. Raises: UserError for what is damaged."""
    for rows, _ in read_parts((part,), batch_rows=batch_rows, repairs=repairs):
        yield rows


def read_parts(
    parts: tuple[Part, ...], *, batch_rows: int = BATCH_ROWS, has_seq: bool = False, repairs: Repairs | None = None
) -> Iterator[tuple[Rows, Column]]:
    """Yield the rows of parts that follow one another, and the journal's numbers (empty without `has_seq`)."""
    feeder = Feeder(parts, batch_rows=batch_rows, has_seq=has_seq, repairs=repairs)
    begun = np.empty((POOL_WIDTH, 0), np.int64)
    while need := feeder.next_rows():
        at = begun.shape[1]
        pool = np.empty((POOL_WIDTH, at + need), np.int64)
        pool[:, :at] = begun
        end, whole = feeder.take(pool, at)
        begun = pool[:, whole:end]
        feeder.moved(-whole)
        if whole:
            yield as_rows(pool, 0, whole), pool[SEQ, :whole] if has_seq else _NO_SEQ


def read_bars(part: Part, repairs: Repairs | None = None) -> Bars:
    """Return the bars of a part. Raises: UserError for what is damaged, unless `repairs` is given to count it."""
    try:
        with pq.ParquetFile(part.path, page_checksum_verification=True) as file:
            table = file.read(columns=list(BAR_NAMES), use_threads=False)
    except (pa.ArrowException, OSError, KeyError) as error:
        if repairs is None:
            raise UserError(Mistake(str(part.path), f"cannot be read: {str(error).strip()}", _REMEDY)) from error
        repairs.add(_UNREADABLE, part.rows, str(part.path))
        return Bars(*(np.empty(0, np.int64) for _ in BAR_NAMES))
    bars = Bars(*(table.column(name).to_numpy().astype(np.int64) for name in BAR_NAMES))
    wrong = (bars.low > np.minimum(bars.open, bars.close)) | (bars.high < np.maximum(bars.open, bars.close))
    wrong |= (bars.low <= 0) | (bars.volume < 0)
    wrong[1:] |= bars.start_ts_ns[1:] <= np.maximum.accumulate(bars.start_ts_ns)[:-1]
    if not wrong.any():
        return bars
    if repairs is None:
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(Mistake(f"{part.path} row {row + 1}", f"is {_NO_BAR}", _REMEDY))
    repairs.add(_NO_BAR, int(np.count_nonzero(wrong)), str(part.path))
    return Bars(*(column[~wrong] for column in bars))


def as_rows(pool: Column, first: int, stop: int) -> Rows:
    """Return rows of a pool, without copying."""
    return Rows(*(pool[column, first:stop] for column in (RECV_TS, VENUE_TS, KEY, QTY, TAG)))


def _batches(
    parts: tuple[Part, ...], batch_rows: int, names: tuple[str, ...], first_ts_ns: int, is_lenient: bool
) -> Iterator[tuple[Part, _Batch]]:
    for part in parts:
        if part.last_ts_ns >= first_ts_ns:
            for batch in _part_batches(part, batch_rows, list(names), is_lenient):
                yield part, batch


def _part_batches(part: Part, batch_rows: int, names: list[str], is_lenient: bool) -> Iterator[_Batch]:
    group, row = 0, 0
    try:
        with pq.ParquetFile(part.path, memory_map=True, page_checksum_verification=True) as file:
            for group in range(len(part.groups)):
                row = 0
                try:
                    size = part.groups[group] if part.groups[group] <= group_rows_max(batch_rows) else batch_rows
                    for columns in file.iter_batches(size, row_groups=[group], columns=names, use_threads=False):
                        _refuse_nulls(columns)
                        yield _Batch(group, row, columns, 0)
                        row += columns.num_rows
                except (pa.ArrowException, OSError) as error:
                    if not is_lenient:
                        raise UserError(_unreadable(part, group, error)) from error
                    yield _Batch(group, row, None, part.groups[group] - row)
    except (pa.ArrowException, OSError) as error:
        if not is_lenient:
            raise UserError(_unreadable(part, group, error)) from error
        yield _Batch(len(part.groups) - 1, 0, None, sum(part.groups[group:]) - row)


def group_rows_max(batch_rows: int) -> int:
    """Return up to which size a row group is read at once, when batches are to have `batch_rows`."""
    return batch_rows + batch_rows // 4


def _refuse_nulls(columns: pa.RecordBatch) -> None:
    """Raise ArrowInvalid for columns that are not ours."""
    for name, column in zip(columns.schema.names, columns.columns, strict=True):
        wanted = pa.bool_() if name == "is_last" else pa.int8() if name in {"kind", "side"} else pa.int64()
        if column.null_count or column.type != wanted:
            raise pa.ArrowInvalid(f"column {name} is {column.type} with {column.null_count} nulls, not {wanted}")


def _unreadable(part: Part, group: int, error: Exception) -> Mistake:
    return Mistake(f"{part.path} row group {group}", f"cannot be read: {str(error).strip()}", _REMEDY)


def _mistake(part: Part, batch: _Batch, row: int, reason: Reason) -> Mistake:
    number = sum(part.groups[: batch.group]) + batch.first_row + row
    return Mistake(f"{part.path} row group {batch.group} row {number + 1}", WORDS[reason], _REMEDY)
