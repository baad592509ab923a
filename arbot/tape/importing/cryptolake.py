"""Read Parquet of Crypto Lake: {table}/exchange=BINANCE/symbol=BTC-USDT/dt=2024-05-08/*.parquet.

Rules: which table a file holds, its columns say. On disk times are `timestamp` (the venue's) and `receipt_timestamp`
in whole ns and sizes `amount`; the vendor's own program renames them to `origin_time`, `received_time` and `quantity`
and makes dates of the times: both are read. Numbers are the float64 of the file. Row groups are read one at a time.

    book            bid_0_price, bid_0_size, ... ask_0_price, ... : every row is a whole book of up to 20 levels
    level_1         the same with one level: quotes
    book_delta_v2   side_is_bid, price, size (0 deletes), sequence_number: rows of one message share time and number
    trades          side, price, amount

The deltas of a day come without a first book, so they start from the first row of the `book` table of the same day and
market, which must lie beside them; what came before that row is dropped and counted, and levels beyond its 20 are
unknown until they change. Unlike the vendor's own class, no level is removed because the best prices cross.
Source: https://github.com/crypto-lake/lake-api, README and table schemas, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from arbot.market.stream import Kind
from arbot.tape.importing.contract import Batch, BookBatch, Format, SeriesKey, Severity, Source
from arbot.tape.importing.ladders import ASK, BID, Ladders, above_zero, book_batch, trade_batch
from arbot.tape.importing.markets import series_of
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.text import refused
from arbot.tape.importing.times import to_ns
from arbot.tape.importing.wide_csv import SIDES
from arbot.tape.schema import Content

PIECE_ROWS = 20_000
RECV = ("receipt_timestamp", "received_time")
VENUE = ("timestamp", "origin_time")
SIZE = ("amount", "quantity", "size")
LEVEL = re.compile(r"(bid|ask)_(\d+)_(price|size)")
PARTITION = re.compile(r"(exchange|symbol|dt)=(.+)")


class Piece(NamedTuple):
    """Some rows of a file: their numbers, times in ns, and the columns by our names."""

    rows: NDArray[np.int64]
    recv_ts_ns: NDArray[np.int64]
    venue_ts_ns: NDArray[np.int64]
    batch: pa.RecordBatch

    def known_ts_ns(self) -> NDArray[np.int64]:
        """Return the time that orders the rows."""
        return np.where(self.recv_ts_ns > 0, self.recv_ts_ns, self.venue_ts_ns)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as float64, NaN where it is null."""
        column: NDArray[np.float64] = self.batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
        return column


def read_table(source: Source) -> Iterator[Batch]:
    """Yield the rows of one file, whichever table it is of. Raises: Refused."""
    with _parquet(source) as file:
        names = file.schema_arrow.names
        tally = Tally(source)
        kinds: tuple[tuple[bool, Callable[..., Iterator[Batch]]], ...] = (
            ("side_is_bid" in names, _deltas),
            ("bid_0_price" in names, _books),
            ("price" in names and "side" in names, _trades),
        )
        read = next((read for is_it, read in kinds if is_it), None)
        if read is None:
            raise refused(
                source,
                f"the columns {', '.join(names[:8])} are of no table of books, quotes, deltas or trades",
                "import the tables book, level_1, book_delta_v2 or trades",
            )
        yield from read(source, tally, file, _series(source))
        tally.tell()


def _books(source: Source, tally: Tally, file: pq.ParquetFile, series: SeriesKey) -> Iterator[Batch]:
    prices, sizes = _level_columns(source, file.schema_arrow.names)
    content = Content.QUOTES if len(prices) == 2 else Content.BOOK
    for piece in _pieces(source, file, [*prices, *sizes]):
        batch = book_batch(source, tally, series, content, _ladders(piece, prices, sizes))
        if batch is not None:
            yield batch


def _trades(source: Source, tally: Tally, file: pq.ParquetFile, series: SeriesKey) -> Iterator[Batch]:
    size = _one_of(source, file.schema_arrow.names, SIZE)
    for piece in _pieces(source, file, ["side", "price", size]):
        words = [str(word or "").lower() for word in piece.batch.column("side").to_pylist()]
        at = next((at for at, word in enumerate(words) if word not in SIDES), None)
        if at is not None:
            raise refused(source, f"side is {words[at]!r}, no side", "mend the file", int(piece.rows[at]))
        side = np.array([SIDES[word] for word in words], np.int8)
        columns = {name: piece.numbers(column) for name, column in (("price", "price"), ("size", size))}
        is_good = above_zero(source, tally, series, ts_ns=piece.known_ts_ns(), rows=piece.rows, columns=columns)
        if is_good.any():
            yield trade_batch(
                series,
                recv_ts_ns=piece.recv_ts_ns[is_good],
                venue_ts_ns=piece.venue_ts_ns[is_good],
                side=side[is_good],
                price=columns["price"][is_good],
                qty=columns["size"][is_good],
                first_row=int(piece.rows[is_good][0]),
            )


def _deltas(source: Source, tally: Tally, file: pq.ParquetFile, series: SeriesKey) -> Iterator[Batch]:
    first = _first_book(source, series)
    tally.rows(series, first.recv_ts_ns[:0])
    detail = f"starts from a book of {first.depth} levels a side: deeper levels are unknown until they change"
    tally.note("partial_start", Severity.WARN, series, detail)
    yield msgspec.structs.replace(first, depth=0)
    start_ns = int(first.recv_ts_ns[0] or first.venue_ts_ns[0])
    held: Changes | None = None  # the last message may go on in the next piece
    for piece in _pieces(source, file, _delta_columns(source, file)):
        changes = _usable(source, tally, series, piece, start_ns)
        changes = changes if held is None else held.followed_by(changes)
        ends = np.flatnonzero(changes.is_last())
        stop = int(ends[-1]) + 1 if len(ends) else 0
        if stop:
            yield changes.part(0, stop).batch(series)
        held = changes.part(stop, len(changes.rows))
    if held is not None and len(held.rows):
        yield held.batch(series)


class Changes(NamedTuple):
    """Changes of levels, in the order of the file."""

    rows: NDArray[np.int64]
    recv_ts_ns: NDArray[np.int64]
    venue_ts_ns: NDArray[np.int64]
    number: NDArray[np.int64]
    side: NDArray[np.int8]
    price: NDArray[np.float64]
    qty: NDArray[np.float64]

    def part(self, first: int, stop: int) -> Changes:
        """Return the rows [first, stop)."""
        return Changes(*(column[first:stop] for column in self))

    def followed_by(self, other: Changes) -> Changes:
        """Return both, one after the other."""
        return Changes(*(np.concatenate(columns) for columns in zip(self, other, strict=True)))

    def is_last(self) -> NDArray[np.bool_]:
        """Return where a message ends: the next row has another number or time. Of the last row nobody knows."""
        is_last = np.zeros(len(self.rows), np.bool_)
        for column in (self.recv_ts_ns, self.venue_ts_ns, self.number):
            is_last[:-1] |= column[1:] != column[:-1]
        return is_last

    def batch(self, series: SeriesKey) -> BookBatch:
        """Return whole messages as a batch."""
        is_last = self.is_last()
        is_last[-1] = True
        return BookBatch(
            series=series,
            content=Content.BOOK,
            depth=0,
            recv_ts_ns=self.recv_ts_ns,
            venue_ts_ns=self.venue_ts_ns,
            kind=np.full(len(self.rows), Kind.DELTA, np.int8),
            is_last=is_last,
            side=self.side,
            price=self.price,
            qty=self.qty,
            first_row=int(self.rows[0]),
            is_row_per_level=True,
        )


def _usable(source: Source, tally: Tally, series: SeriesKey, piece: Piece, start_ns: int) -> Changes:
    """Return the changes after the first book that have numbers; count the others."""
    ts_ns = piece.known_ts_ns()
    is_early = ts_ns <= start_ns
    if is_early.any():
        source.drop("before_snapshot", int(is_early.sum()))
        detail = "changes from before the first row of the book table; they were dropped"
        tally.note("delta_before_snapshot", Severity.INFO, series, detail, ts_ns=ts_ns[is_early])
    names = piece.batch.schema.names
    size = _one_of(source, names, SIZE)
    number = piece.batch.column("sequence_number").fill_null(0).cast(pa.int64()) if "sequence_number" in names else None
    side = piece.batch.column("side_is_bid").cast(pa.bool_()).to_numpy(zero_copy_only=False).astype(np.bool_)
    every = Changes(
        piece.rows,
        piece.recv_ts_ns,
        piece.venue_ts_ns,
        np.zeros(len(ts_ns), np.int64) if number is None else number.to_numpy(),
        np.where(side, BID, ASK).astype(np.int8),
        piece.numbers("price"),
        piece.numbers(size),
    )
    late = Changes(*(column[~is_early] for column in every))
    is_good = above_zero(
        source,
        tally,
        series,
        ts_ns=ts_ns[~is_early],
        rows=late.rows,
        columns={"price": late.price, "size": late.qty},
        may_be_zero="size",
    )
    return Changes(*(column[is_good] for column in late))


def _first_book(source: Source, series: SeriesKey) -> BookBatch:
    """Return the first usable row of the book table beside a table of deltas; counts it as read. Raises: Refused."""
    parts = list(source.path.resolve().parts)
    table = next((at for at, part in enumerate(parts) if part == "book_delta_v2"), -1)
    beside = Path(*parts[:table], "book", *parts[table + 1 : -1]) if table >= 0 else source.path.parent
    files = sorted(beside.glob("*.parquet")) if table >= 0 else []
    for path in files:
        books = Source(path, source.options, lambda _: None)  # only its first row counts
        with _parquet(books) as file:
            prices, sizes = _level_columns(books, file.schema_arrow.names)
            for piece in _pieces(books, file, [*prices, *sizes]):
                first = book_batch(books, Tally(books), series, Content.BOOK, _ladders(piece, prices, sizes))
                if first is not None:
                    source.rows_read += 1
                    return _first_message(first)
    raise refused(
        source,
        "changes of levels without a first book: nobody knows what they change",
        "put the table `book` of the same market and day beside the table book_delta_v2, or import `book` instead",
    )


def _first_message(batch: BookBatch) -> BookBatch:
    stop = int(np.flatnonzero(batch.is_last)[0]) + 1
    columns = ("recv_ts_ns", "venue_ts_ns", "kind", "is_last", "side", "price", "qty")
    return msgspec.structs.replace(batch, **{name: getattr(batch, name)[:stop] for name in columns})


def _ladders(piece: Piece, prices: Sequence[str], sizes: Sequence[str]) -> Ladders:
    price, qty = (np.stack([piece.numbers(name) for name in names], axis=1) for names in (prices, sizes))
    return Ladders(piece.recv_ts_ns, piece.venue_ts_ns, piece.rows, price, qty)


def _level_columns(source: Source, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns of prices and of sizes: bids best first, then asks. Raises: Refused."""
    levels = {match.group(2) for name in names if (match := LEVEL.fullmatch(name))}
    wanted = [
        [f"{side}_{at}_{what}" for side in ("bid", "ask") for at in range(len(levels))] for what in ("price", "size")
    ]
    missing = [name for part in wanted for name in part if name not in names]
    if missing or not levels:
        raise refused(source, f"no column {', '.join(missing[:4])}", "every level needs price and size of both sides")
    return wanted[0], wanted[1]


def _delta_columns(source: Source, file: pq.ParquetFile) -> list[str]:
    names = file.schema_arrow.names
    wanted = ["side_is_bid", "price", _one_of(source, names, SIZE)]
    return [*wanted, "sequence_number"] if "sequence_number" in names else wanted


def _one_of(source: Source, names: Sequence[str], known: Sequence[str]) -> str:
    found = next((name for name in known if name in names), "")
    if not found:
        raise refused(source, f"no column {' or '.join(known)}", "check that the file is of Crypto Lake")
    return found


def _pieces(source: Source, file: pq.ParquetFile, wanted: Sequence[str]) -> Iterator[Piece]:
    """Yield the wanted columns and both clocks of a file, piece by piece; counts rows_read. Raises: Refused."""
    names = file.schema_arrow.names
    clocks = [next((name for name in known if name in names), "") for known in (RECV, VENUE)]
    if not any(clocks):
        raise refused(source, f"no column {' or '.join((*RECV, *VENUE))}", "check that the file is of Crypto Lake")
    first = 1
    size = source.path.stat().st_size
    for batch in file.iter_batches(PIECE_ROWS, columns=[*wanted, *(name for name in clocks if name)]):
        rows = np.arange(first, first + len(batch), dtype=np.int64)
        recv, venue = (
            to_ns(_whole(batch.column(name)), name, source, first) if name else np.zeros(len(rows), np.int64)
            for name in clocks
        )
        timeless = np.flatnonzero((recv == 0) & (venue == 0))
        if len(timeless):
            raise refused(source, "the row has no time", "mend or remove the row", first + int(timeless[0]))
        source.rows_read += len(rows)
        source.progress(size * (first + len(rows) - 1) // max(file.metadata.num_rows, 1))
        first += len(rows)
        yield Piece(rows, recv, venue, batch)


def _whole(column: pa.Array) -> NDArray[np.int64]:
    """Return a column of times as whole numbers; dates become ns, and nulls 0."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ns", column.type.tz))
    whole: NDArray[np.int64] = column.cast(pa.int64()).fill_null(0).to_numpy()
    return whole


def _series(source: Source) -> SeriesKey:
    """Return the market that the folders name, or --venue and --symbol do. Raises: Refused."""
    told = {match[1]: match[2] for part in source.path.resolve().parts if (match := PARTITION.fullmatch(part))}
    return series_of(source, told.get("exchange", ""), told.get("symbol", ""))


@contextmanager
def _parquet(source: Source) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises: Refused when it is damaged, also while it is being read inside the `with`."""
    try:
        with pq.ParquetFile(source.path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise refused(
            source,
            f"not a whole Parquet file ({str(error).splitlines()[0]})",
            "fetch or copy the file again; an interrupted download is the usual reason",
            source.rows_read + 1,
        ) from error


def _tables(name: str) -> tuple[str, ...]:
    return (f"{name}/exchange=*/symbol=*/dt=*/*.parquet",)


FORMATS: tuple[Format, ...] = tuple(
    Format(name=name, about=f"Crypto Lake Parquet: {about}", read=read_table, files=_tables(table))
    for name, table, about in (
        ("cryptolake", "book", "the table book, snapshots of 20 levels"),
        ("cryptolake-quotes", "level_1", "the table level_1, best bid and ask"),
        ("cryptolake-deltas", "book_delta_v2", "the table book_delta_v2, beside the table book"),
        ("cryptolake-trades", "trades", "the table trades"),
    )
)
