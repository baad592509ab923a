"""Tardis.dev CSV files: L2 changes, top 5 and 25 levels, quotes, trades.

Source: https://docs.tardis.dev/downloadable-csv-files and samples of five types, 2026-11. Times are microseconds;
`local_timestamp` orders the rows and rows that share it are one message. `is_snapshot` going from false to true means that
the feed connected anew: the book is dropped and built again. Rows before the first snapshot of a file are dropped and
told. In quotes and snapshots asks stand before bids, and a level that is not there is an empty field.

Amounts of derivatives are often contracts: the table MARKETS says what is known by the name of the venue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from arbot.market.stream import Kind
from arbot.tape.importing.blocks import Table, first_line, tables_of
from arbot.tape.importing.contract import Batch, BookBatch, Finding, Format, SeriesKey, Severity, Source
from arbot.tape.importing.markets import Unreadable, name_of, pair_of
from arbot.tape.importing.tally import Tally, days_in
from arbot.tape.importing.text import refused
from arbot.tape.importing.times import to_ns
from arbot.tape.schema import Content, Market

_COMMON = ("exchange", "symbol", "timestamp", "local_timestamp")


def _ladder(levels: int) -> tuple[str, ...]:
    """Return the columns of a snapshot: ask before bid, level by level."""
    return tuple(
        f"{side}[{level}].{what}"
        for level in range(levels)
        for side in ("asks", "bids")
        for what in ("price", "amount")
    )


COLUMNS: dict[str, tuple[str, ...]] = {
    "incremental_book_L2": (*_COMMON, "is_snapshot", "side", "price", "amount"),
    "book_snapshot_5": (*_COMMON, *_ladder(5)),
    "book_snapshot_25": (*_COMMON, *_ladder(25)),
    "quotes": (*_COMMON, "ask_amount", "ask_price", "bid_price", "bid_amount"),
    "trades": (*_COMMON, "id", "side", "price", "amount"),
}
"""Type of file -> its columns; the order in a file may differ."""


class Rule(NamedTuple):
    """What is traded where venue and symbol look like this; `contract_size` may name {base}."""

    venue: str
    native: str
    market: Market
    contract_size: str = ""


MARKETS: tuple[Rule, ...] = (
    Rule(r"binance-futures", r"", Market.LINEAR, "1 {base}"),
    Rule(r"binance-delivery", r"BTCUSD_", Market.INVERSE, "100 USD"),
    Rule(r"binance-delivery", r"", Market.INVERSE),
    Rule(r"bitmex", r"XBTUSD$", Market.INVERSE, "1 USD"),
    Rule(r"deribit", r"[A-Z]+-PERPETUAL$", Market.INVERSE),
    Rule(r"huobi-dm-swap|okex-swap", r"[A-Z0-9]+-USD(-SWAP)?$", Market.INVERSE),
    Rule(
        r".*-(futures|swap|swaps|dm|delivery|derivatives|options|perpetuals?|international)(-.*)?", r"", Market.UNKNOWN
    ),
    Rule(
        r"bitmex|deribit|bybit|bybit-options|ftx|phemex|cryptofacilities|dydx|dydx-v4|delta|hyperliquid|woo-x|bitnomial",
        r"",
        Market.UNKNOWN,
    ),
    Rule(r".*", r"", Market.SPOT),
)
"""The first rule that fits holds. Sources: the venues' contract specifications, 2026-11; where sizes are not certain
none is named, and the import says so (`contract_size`)."""

_PERPETUAL = re.compile(r"^(?P<pair>.+?)[-_](PERP|SWAP|PERPETUAL)$")
_SIDES = {"bid": 1, "ask": -1}
_TAKERS = {"buy": 1, "sell": -1, "unknown": 0, "": 0}


def series_of(source: Source, exchange: str, native: str) -> SeriesKey:
    """Return the market of a row. Raises: Refused when the symbol does not say base and quote."""
    options = source.options
    rule = next(
        rule for rule in MARKETS if re.fullmatch(rule.venue, exchange) and re.match(rule.native, native.upper())
    )
    market = options.market or rule.market
    text = (options.symbol or native).upper().partition(":")[0]
    named = _PERPETUAL.match(text)
    text = named["pair"] if named else text
    try:
        base, quote = pair_of(f"{text}/USD" if named and text.isalpha() and market == Market.INVERSE else text)
    except Unreadable as error:
        remedy = "say it with --symbol BASE/QUOTE, one symbol at a time"
        raise refused(source, f"{native!r} of {exchange} does not read as one base and quote", remedy) from error
    size = options.contract_size or (rule.contract_size.format(base=base) if market == rule.market else "")
    tail = {Market.INVERSE: f":{base}", Market.LINEAR: f":{quote}"}.get(market, "")
    return SeriesKey(
        venue=(options.venue or exchange).lower(),
        symbol=f"{base}/{quote}{tail}",
        native=native,
        market=market,
        contract_size="" if market == Market.SPOT else size,
    )


class _Part(NamedTuple):
    """Rows of one series in a block of the file; `row` is the number of each."""

    series: SeriesKey
    columns: pa.Table
    row: NDArray[np.int64]


def _parts(source: Source, kind: str, keys: dict[tuple[str, str], SeriesKey]) -> Iterator[_Part]:
    """Yield the rows of a file by series. Raises: Refused for a header that is not this type's."""
    names = first_line(source).replace('"', "").split(",")
    wanted = COLUMNS[kind]
    if sorted(names) != sorted(wanted):
        missing, more = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
        what = f"the header is not that of Tardis {kind}: missing {missing[:4] or 'nothing'}, unknown {more[:4] or 'nothing'}"
        raise refused(source, what, f"give another --format; its types are {', '.join(COLUMNS)}")
    for table in tables_of(source, names, has_header=True):
        yield from _split(source, table, keys)


def _split(source: Source, table: Table, keys: dict[tuple[str, str], SeriesKey]) -> Iterator[_Part]:
    columns = table.columns
    rows = np.arange(table.first_row, table.first_row + len(columns))
    exchanges, symbols = columns["exchange"].unique().to_pylist(), columns["symbol"].unique().to_pylist()
    for exchange in exchanges:
        for symbol in symbols:
            if (exchange, symbol) not in keys:
                keys[exchange, symbol] = series_of(source, exchange, symbol)
            if len(exchanges) == len(symbols) == 1:
                yield _Part(keys[exchange, symbol], columns, rows)
                continue
            mask = pc.and_(pc.equal(columns["exchange"], exchange), pc.equal(columns["symbol"], symbol))
            picked = mask.combine_chunks().to_numpy(zero_copy_only=False)
            if picked.any():
                yield _Part(keys[exchange, symbol], columns.filter(mask), rows[picked])


def _words(source: Source, part: _Part, column: str, table: dict[str, int]) -> NDArray[np.int8]:
    """Return a column of known words as numbers. Raises: Refused, naming the row."""
    coded = part.columns[column].combine_chunks().dictionary_encode()
    words = coded.dictionary.to_pylist()
    indices = coded.indices.to_numpy()
    for index, word in enumerate(words):
        if word not in table:
            at = int(np.flatnonzero(indices == index)[0])
            raise refused(source, f"{column} is {word!r}", f"known are {', '.join(table)}", int(part.row[at]))
    values: NDArray[np.int8] = np.array([table[word] for word in words], np.int8)[indices]
    return values


def _times(source: Source, part: _Part) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (local, venue) times in ns."""
    first = int(part.row[0])
    local = to_ns(part.columns["local_timestamp"], "local_timestamp", source, first)
    return local, to_ns(part.columns["timestamp"], "timestamp", source, first)


class _Book:
    """Changes of one book in one file: gathers whole messages and finds the snapshots among them."""

    def __init__(self, source: Source, tally: Tally) -> None:
        self._source = source
        self._tally = tally
        self._rest: _Part | None = None  # a message that may go on in the next block
        self._was_snapshot = False
        self._has_snapshot = False
        self._dropped = 0
        self._dropped_ns = (0, 0)  # first and last

    def take(self, part: _Part, *, is_end: bool = False) -> Iterator[BookBatch]:
        """Yield what is whole by now."""
        if self._rest is not None and self._rest is not part:
            columns = pa.concat_tables([self._rest.columns, part.columns]).combine_chunks()
            part = _Part(part.series, columns, np.concatenate((self._rest.row, part.row)))
        local, venue = _times(self._source, part)
        is_snapshot = _words(self._source, part, "is_snapshot", {"true": 1, "false": 0}).astype(np.bool_)
        side = _words(self._source, part, "side", _SIDES)
        starts = np.flatnonzero((local[1:] != local[:-1]) | (is_snapshot[1:] != is_snapshot[:-1])) + 1
        stop = len(local) if is_end else int(starts[-1]) if len(starts) else 0
        self._rest = None if is_end else _Part(part.series, part.columns.slice(stop), part.row[stop:])
        if not stop:
            return
        starts = np.concatenate((np.zeros(1, np.int64), starts[starts < stop]))
        before = np.concatenate(([self._was_snapshot], is_snapshot[starts[1:] - 1]))
        is_anew = is_snapshot[starts] & ~before
        self._was_snapshot = bool(is_snapshot[stop - 1])
        lengths = np.diff(np.append(starts, stop))
        kind = np.repeat(np.where(is_anew, Kind.SNAPSHOT, Kind.DELTA).astype(np.int8), lengths)
        is_last = np.zeros(stop, np.bool_)
        is_last[np.append(starts[1:], stop) - 1] = True
        first = 0
        if not self._has_snapshot:
            anew = np.flatnonzero(is_anew)
            first = int(starts[anew[0]]) if len(anew) else stop
            self._has_snapshot = len(anew) > 0
            if first:
                yield from self._drop(part, local[:first], venue)
        self._tally.rows(part.series, local[first:stop])
        if first < stop:
            chosen = slice(first, stop)
            yield BookBatch(
                series=part.series,
                content=Content.BOOK,
                depth=0,
                recv_ts_ns=local[chosen],
                venue_ts_ns=venue[chosen],
                kind=kind[chosen],
                is_last=is_last[chosen],
                side=side[chosen],
                price=part.columns["price"].combine_chunks().slice(first, stop - first),
                qty=part.columns["amount"].combine_chunks().slice(first, stop - first),
                first_row=int(part.row[first]),
                is_row_per_level=True,
            )

    def end(self) -> Iterator[BookBatch]:
        """Yield the last message, and say what was left out."""
        if self._rest is None or not len(self._rest.row):
            return
        series = self._rest.series
        yield from self.take(self._rest, is_end=True)
        if self._dropped:
            self._source.find(
                Finding(
                    code="delta_before_snapshot",
                    severity=Severity.INFO if self._has_snapshot else Severity.ERROR,
                    series=name_of(series),
                    detail=f"{self._dropped} changes stand before the first snapshot of the file and were dropped",
                    file=str(self._source.path),
                    count=self._dropped,
                    share=self._dropped / self._source.rows_read,
                    first_ts_ns=self._dropped_ns[0],
                    last_ts_ns=self._dropped_ns[1],
                )
            )

    def _drop(self, part: _Part, local: NDArray[np.int64], venue: NDArray[np.int64]) -> Iterator[BookBatch]:
        """Leave out changes to a book nobody knows; what was known of it from an earlier file ends here."""
        self._source.drop("before_snapshot", len(local))
        if not self._dropped:
            yield one_row(part.series, Kind.CLEAR, int(local[0]), int(venue[0]), int(part.row[0]))
        self._dropped_ns = (self._dropped_ns[0] or int(local[0]), int(local[-1]))
        self._dropped += len(local)


def one_row(series: SeriesKey, kind: Kind, recv_ts_ns: int, venue_ts_ns: int, row: int) -> BookBatch:
    """Return a sign on a book as a batch."""
    return BookBatch(
        series=series,
        content=Content.BOOK,
        depth=0,
        recv_ts_ns=np.array([recv_ts_ns], np.int64),
        venue_ts_ns=np.array([venue_ts_ns], np.int64),
        kind=np.array([kind], np.int8),
        is_last=np.ones(1, np.bool_),
        side=np.zeros(1, np.int8),
        price=np.array(["0"], object),
        qty=np.array(["0"], object),
        first_row=row,
        is_row_per_level=True,
    )


def read_changes(source: Source) -> Iterator[Batch]:
    """Read incremental_book_L2."""
    tally = Tally(source)
    books: dict[SeriesKey, _Book] = {}
    for part in _parts(source, "incremental_book_L2", {}):
        if part.series not in books:
            books[part.series] = _Book(source, tally)
        yield from books[part.series].take(part)
    for book in books.values():
        yield from book.end()
    tally.tell()


def read_trades(source: Source) -> Iterator[Batch]:
    """Read trades."""
    tally = Tally(source)
    for part in _parts(source, "trades", {}):
        local, venue = _times(source, part)
        tally.rows(part.series, local)
        yield BookBatch(
            series=part.series,
            content=Content.TRADES,
            depth=0,
            recv_ts_ns=local,
            venue_ts_ns=venue,
            kind=np.full(len(local), Kind.TRADE, np.int8),
            is_last=np.ones(len(local), np.bool_),
            side=_words(source, part, "side", _TAKERS),
            price=part.columns["price"].combine_chunks(),
            qty=part.columns["amount"].combine_chunks(),
            first_row=int(part.row[0]),
        )
    tally.tell()


def read_ladders(
    kind: str, content: Content, places: Sequence[tuple[str, str, int]]
) -> Callable[[Source], Iterator[Batch]]:
    """Return a reader of files with whole levels in each row: `places` are (price, amount, side)."""

    def read(source: Source) -> Iterator[Batch]:
        tally = Tally(source)
        for part in _parts(source, kind, {}):
            local, venue = _times(source, part)
            tally.rows(part.series, local)
            yield ladder_batch(source, part.series, content, part.columns, places, (local, venue), int(part.row[0]))
        tally.tell()

    return read


def ladder_batch(  # noqa: PLR0917 - what a batch of snapshots is made of
    source: Source,
    series: SeriesKey,
    content: Content,
    columns: pa.Table,
    places: Sequence[tuple[str, str, int]],
    times: tuple[NDArray[np.int64], NDArray[np.int64]],
    first_row: int,
) -> BookBatch:
    """Return rows with whole levels as snapshots, one message each; a row without any level drops the book.

    `places` are (column of the price, column of the quantity or "" for none, side); empty fields are levels not there.
    """
    count, width = len(columns), len(places)
    order = pa.array((np.arange(width) * count + np.arange(count)[:, None]).ravel())
    price = pa.concat_arrays([columns[place[0]].combine_chunks() for place in places]).take(order)
    none = pa.array(["0"] * count, pa.string())
    qty = pa.concat_arrays([columns[place[1]].combine_chunks() if place[1] else none for place in places]).take(order)
    of = np.repeat(np.arange(count), width)
    side = np.tile(np.array([place[2] for place in places], np.int8), count)
    is_there = pc.and_(pc.not_equal(price, ""), pc.not_equal(qty, "")).to_numpy(zero_copy_only=False)
    kind = np.full(len(of), Kind.SNAPSHOT, np.int8)
    empty = np.setdiff1d(np.arange(count), of[is_there])
    if len(empty):  # keep the first place of each as the sign that the book is empty
        source.drop("empty_book", len(empty))
        kind[empty * width], side[empty * width], is_there[empty * width] = Kind.CLEAR, 0, True
        price, qty = (pc.if_else(pc.equal(column, ""), "0", column) for column in (price, qty))
    if not is_there.all():
        mask = pa.array(is_there)
        price, qty, of, kind, side = price.filter(mask), qty.filter(mask), of[is_there], kind[is_there], side[is_there]
    return BookBatch(
        series=series,
        content=content,
        depth=width // 2,
        recv_ts_ns=times[0][of],
        venue_ts_ns=times[1][of],
        kind=kind,
        is_last=np.append(of[1:] != of[:-1], np.ones(min(len(of), 1), np.bool_)),
        side=side,
        price=price,
        qty=qty,
        first_row=first_row,
    )


def by_day(paths: list[Path]) -> list[Path]:
    """Return files in the order of the days in their names; a symbol may change its name from one day to the next."""
    return sorted(paths, key=lambda path: (days_in(path.name)[:1], path.name))


def _levels(count: int) -> list[tuple[str, str, int]]:
    return [
        (f"{side}[{level}].price", f"{side}[{level}].amount", sign)
        for level in range(count)
        for side, sign in (("asks", -1), ("bids", 1))
    ]


_QUOTE = (("ask_price", "ask_amount", -1), ("bid_price", "bid_amount", 1))
_READERS: dict[str, tuple[Callable[[Source], Iterator[Batch]], str]] = {
    "incremental_book_L2": (read_changes, "every change of the book"),
    "book_snapshot_5": (read_ladders("book_snapshot_5", Content.BOOK, _levels(5)), "the best five levels a side"),
    "book_snapshot_25": (read_ladders("book_snapshot_25", Content.BOOK, _levels(25)), "the best 25 levels a side"),
    "quotes": (read_ladders("quotes", Content.QUOTES, _QUOTE), "best bid and ask with sizes"),
    "trades": (read_trades, "trade prints"),
}
FORMATS = tuple(
    Format(
        name=f"tardis-{kind}",
        about=f"Tardis.dev CSV, {about}",
        read=read,
        files=(f"*{kind}*.csv", f"*{kind}*.csv.gz"),
        ordered=by_day,
    )
    for kind, (read, about) in _READERS.items()
)
