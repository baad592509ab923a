"""What the CSV and Parquet back-ends of cryptofeed leave behind: l2_book, ticker, trades.

Source: the back-ends and examples/postgres_tables.sql of https://github.com/bmoscon/cryptofeed, 2026-11. Times are
seconds with a fraction. `timestamp` is the venue's and is filled with `receipt_timestamp` where the venue gives none.
A ticker has no sizes. `data` of an l2_book row is a whole book, {"bid": {price: size}, "ask": {...}}, or, in a row whose
`delta` is true, changes of it, where size 0 deletes; changes before the first whole book of a file are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from numpy.typing import NDArray

from arbot.market.stream import Kind
from arbot.tape.importing.blocks import Table, first_line, tables_of
from arbot.tape.importing.contract import Batch, BookBatch, Format, SeriesKey, Severity, Source
from arbot.tape.importing.markets import series_of
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.tardis import by_day, ladder_batch, one_row
from arbot.tape.importing.text import refused
from arbot.tape.importing.times import to_ns
from arbot.tape.schema import Content

PIECE_ROWS = 20_000
_COMMON = ("timestamp", "exchange", "symbol")
NEEDED = {
    "l2_book": (*_COMMON, "data"),
    "ticker": (*_COMMON, "bid", "ask"),
    "trades": (*_COMMON, "side", "amount", "price"),
}
"""Type -> columns that must be there; others are left alone."""

_PARQUET = b"PAR1"
_TAKERS = {"buy": 1, "sell": -1, "": 0}


class _Part(NamedTuple):
    series: SeriesKey
    columns: pa.Table
    row: NDArray[np.int64]
    recv_ts_ns: NDArray[np.int64]
    venue_ts_ns: NDArray[np.int64]


def _tables(source: Source, kind: str) -> Iterator[Table]:
    """Yield a file in pieces. Raises: Refused for a file without the columns of its type, or a damaged one."""
    with source.path.open("rb") as raw:
        is_parquet = raw.read(4) == _PARQUET
    if not is_parquet:
        names = [name.strip('" ') for name in first_line(source).split(",")]
        _check(source, kind, names)
        yield from tables_of(source, names, has_header=True)
        return
    try:
        with pq.ParquetFile(source.path) as file:
            _check(source, kind, file.schema_arrow.names)
            row, size = 1, source.path.stat().st_size
            for batch in file.iter_batches(PIECE_ROWS):
                source.rows_read += len(batch)
                yield Table(pa.Table.from_batches([batch]), row)
                row += len(batch)
                source.progress(size * (row - 1) // max(file.metadata.num_rows, 1))
    except (pa.ArrowException, OSError) as error:
        raise refused(
            source, f"not a whole Parquet file ({error})", "fetch or write it again", source.rows_read + 1
        ) from error


def _check(source: Source, kind: str, names: list[str]) -> None:
    missing = [name for name in NEEDED[kind] if name not in names]
    if missing:
        what = f"no column {', '.join(missing)} (the file has {', '.join(names[:12])})"
        raise refused(source, what, f"cryptofeed's {kind} has them; give another --format")


def _parts(source: Source, kind: str) -> Iterator[_Part]:
    """Yield the rows of a file by series, with their times."""
    for columns, first_row in _tables(source, kind):
        names = pa.compute.binary_join_element_wise(
            columns["exchange"].cast(pa.string()), columns["symbol"].cast(pa.string()), "\n"
        )
        rows = np.arange(first_row, first_row + len(columns))
        for name in names.unique().to_pylist():
            venue, _, symbol = (name or "").partition("\n")
            mask = pa.compute.equal(names, name)
            here = columns.filter(mask)
            row = rows[np.asarray(mask)]
            stamp = to_ns(here["timestamp"], "timestamp", source, int(row[0]))
            received = np.zeros(len(row), np.int64)
            if "receipt_timestamp" in columns.column_names:
                received = to_ns(here["receipt_timestamp"], "receipt_timestamp", source, int(row[0]))
            yield _Part(series_of(source, venue, symbol), here, row, received, stamp)


def read_ticker(source: Source) -> Iterator[Batch]:
    """Read ticker rows: best bid and ask of which nobody noted the sizes."""
    tally = Tally(source)
    for part in _parts(source, "ticker"):
        tally.rows(part.series, part.venue_ts_ns)
        columns = pa.table({name: _text(part.columns[name]) for name in ("bid", "ask")})
        times = (part.recv_ts_ns, part.venue_ts_ns)
        places = (("bid", "", 1), ("ask", "", -1))
        yield ladder_batch(source, part.series, Content.UNSIZED_QUOTES, columns, places, times, int(part.row[0]))
    tally.tell()


def read_trades(source: Source) -> Iterator[Batch]:
    """Read trade prints."""
    tally = Tally(source)
    for part in _parts(source, "trades"):
        tally.rows(part.series, part.venue_ts_ns)
        words = [str(word or "").lower() for word in part.columns["side"].to_pylist()]
        wrong = next((at for at, word in enumerate(words) if word not in _TAKERS), None)
        if wrong is not None:
            raise refused(source, f"side is {words[wrong]!r}", "buy or sell must stand there", int(part.row[wrong]))
        yield BookBatch(
            series=part.series,
            content=Content.TRADES,
            depth=0,
            recv_ts_ns=part.recv_ts_ns,
            venue_ts_ns=part.venue_ts_ns,
            kind=np.full(len(words), Kind.TRADE, np.int8),
            is_last=np.ones(len(words), np.bool_),
            side=np.array([_TAKERS[word] for word in words], np.int8),
            price=_text(part.columns["price"]),
            qty=_text(part.columns["amount"]),
            first_row=int(part.row[0]),
        )
    tally.tell()


class Book(msgspec.Struct):
    """The data of an l2_book row; numbers keep their digits."""

    bid: dict[str, msgspec.Raw]
    ask: dict[str, msgspec.Raw]


class _Framed(msgspec.Struct):
    book: Book


_BOOK = msgspec.json.Decoder(Book)
_FRAMED = msgspec.json.Decoder(_Framed)


def read_books(source: Source) -> Iterator[Batch]:
    """Read l2_book rows, whole books and changes."""
    tally = Tally(source)
    known: set[SeriesKey] = set()
    lost: dict[SeriesKey, int] = {}
    for part in _parts(source, "l2_book"):
        tally.rows(part.series, part.venue_ts_ns)
        is_change = _changes(part)
        chosen = np.ones(len(part.row), np.bool_)
        if part.series not in known:
            whole = np.flatnonzero(~is_change)
            first = int(whole[0]) if len(whole) else len(part.row)
            chosen[:first] = False
            if first:
                yield from _drop(source, part, first, is_new=part.series not in lost)
                lost[part.series] = lost.get(part.series, 0) + first
            if len(whole):
                known.add(part.series)
        if chosen.any():
            yield _books_batch(source, part, is_change, np.flatnonzero(chosen))
    for series, count in lost.items():
        severity = Severity.INFO if series in known else Severity.ERROR
        detail = f"{count} changes stand before the first whole book of the file and were dropped"
        tally.note("delta_before_snapshot", severity, series, detail)
    tally.tell()


def _drop(source: Source, part: _Part, count: int, *, is_new: bool) -> Iterator[BookBatch]:
    """Leave out changes to a book nobody knows; what was known of it from an earlier file ends here."""
    source.drop("before_snapshot", count)
    if is_new:
        yield one_row(part.series, Kind.CLEAR, int(part.recv_ts_ns[0]), int(part.venue_ts_ns[0]), int(part.row[0]))


def _changes(part: _Part) -> NDArray[np.bool_]:
    """Return which rows are changes: those whose `delta` is true."""
    if "delta" not in part.columns.column_names:
        return np.zeros(len(part.row), np.bool_)
    return np.array([str(flag).lower() in {"true", "1", "t"} for flag in part.columns["delta"].to_pylist()], np.bool_)


def _books_batch(source: Source, part: _Part, is_change: NDArray[np.bool_], rows: NDArray[np.int64]) -> BookBatch:
    price: list[str] = []
    qty: list[str] = []
    counts: list[tuple[int, int, int]] = []
    kinds: list[int] = []
    texts = part.columns["data"].to_pylist()
    for at in rows.tolist():
        book = _book(source, texts[at], int(part.row[at]))
        for side in (book.bid, book.ask):
            price += side
            qty += [bytes(size).decode().strip('"') for size in side.values()]
        count = (len(book.bid), len(book.ask))
        kind = Kind.DELTA if is_change[at] else Kind.SNAPSHOT
        if not any(count):
            price.append("0")
            qty.append("0")
            kind = Kind.ALIVE if is_change[at] else Kind.CLEAR
            if kind == Kind.CLEAR:
                source.drop("empty_book")
        counts.append((*count, int(not any(count))))
        kinds.append(kind)
    flat = np.array(counts, np.int64)
    of = flat.sum(axis=1)
    is_last = np.zeros(len(price), np.bool_)
    is_last[np.cumsum(of) - 1] = True
    return BookBatch(
        series=part.series,
        content=Content.BOOK,
        depth=0,
        recv_ts_ns=np.repeat(part.recv_ts_ns[rows], of),
        venue_ts_ns=np.repeat(part.venue_ts_ns[rows], of),
        kind=np.repeat(np.array(kinds, np.int8), of),
        is_last=is_last,
        side=np.repeat(np.tile(np.array([1, -1, 0], np.int8), len(of)), flat.ravel()),
        price=np.array(price, object),
        qty=np.array(qty, object),
        first_row=int(part.row[rows[0]]),
    )


def _book(source: Source, text: Any, row: int) -> Book:
    """Return the data of a row; some back-ends put it below "book". Raises: Refused."""
    try:
        raw = text if isinstance(text, str | bytes) else msgspec.json.encode(_plain(text))
        return _FRAMED.decode(raw).book if '"book"' in str(raw)[:12] else _BOOK.decode(raw)
    except (msgspec.DecodeError, TypeError) as error:
        raise refused(source, f"data is no book ({error})", "mend or remove the row", row) from error


def _plain(value: Any) -> Any:
    """Return a struct or map column of Parquet as plain dictionaries of text."""
    if isinstance(value, list):
        return {str(key): _plain(item) for key, item in value}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)


def _text(column: pa.ChunkedArray) -> pa.Array:
    """Return numbers as text: of floats the shortest that names them; nothing for null."""
    chunk = column.combine_chunks()
    return pa.compute.fill_null(chunk if pa.types.is_string(chunk.type) else chunk.cast(pa.string()), "")


def _format(kind: str, about: str, read: Callable[[Source], Iterator[Batch]]) -> Format:
    patterns = tuple(f"*{kind}*.{suffix}" for suffix in ("csv", "csv.gz", "parquet"))
    return Format(
        name=f"cryptofeed-{kind}",
        about=f"cryptofeed CSV or Parquet, {about}",
        read=read,
        files=patterns,
        ordered=by_day,
    )


FORMATS = (
    _format("l2_book", "books and changes of books", read_books),
    _format("ticker", "best bid and ask without sizes", read_ticker),
    _format("trades", "trade prints", read_trades),
)
