"""Binance's public data archives: trades, aggTrades, bookTicker, klines; and who is who among its three markets.

Source: https://github.com/binance/binance-public-data with its issues 386 and 387, 2026-11. A zip holds one CSV; spot
files have no header, most files of futures do. Times are milliseconds; in spot files microseconds from 2025 on, so the
unit is taken row by row. Files say nothing about when a row was received. `bookDepth` (sums within per cents of the mid)
is no book and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arbot.market.stream import Kind
from arbot.tape.importing.blocks import first_line, tables_of
from arbot.tape.importing.contract import BarBatch, Batch, BookBatch, Format, SeriesKey, Source
from arbot.tape.importing.markets import CONTRACT_SIZES, Unreadable, pair_of
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.tardis import by_day, ladder_batch
from arbot.tape.importing.text import refused
from arbot.tape.importing.times import to_ns_by_row
from arbot.tape.schema import Content, Market

VENUES = {Market.SPOT: "binance", Market.LINEAR: "binance-usdm", Market.INVERSE: "binance-coinm"}
"""Spot, USD-M and COIN-M are three venues: three engines, three accounts of margin."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "trades": ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
    "aggTrades": (
        "agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker",
        "is_best_match",
    ),
    "bookTicker": (
        "update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "transaction_time",
        "event_time",
    ),
    "klines": (
        "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
        "taker_buy_volume", "taker_buy_quote_volume", "ignore",
    ),
}  # fmt: skip
"""Type -> columns in their fixed order. `is_best_match` stands in spot files only."""

_SPOT_ONLY = "is_best_match"
_NAME = re.compile(r"^(?P<symbol>[A-Z0-9]+(_[A-Z0-9]+)?)-")
_FOLDERS = {"um": Market.LINEAR, "cm": Market.INVERSE, "spot": Market.SPOT}
_PERPETUAL = "PERP"
NS = 1_000_000_000


def series_of(source: Source, native: str, market: Market) -> SeriesKey:
    """Return a market of Binance. A dated future needs --symbol: it would else be taken for the perpetual."""
    options = source.options
    name, _, tail = native.partition("_")
    remedy = "say it with --symbol BASE/QUOTE, and with --venue when another contract of the pair is imported too"
    if tail not in {"", _PERPETUAL} and not options.symbol:
        raise refused(source, f"{native} is a future that expires", remedy)
    try:
        base, quote = pair_of((options.symbol or name).partition(":")[0])
    except Unreadable as error:
        raise refused(source, f"{native!r} does not read as one base and quote", remedy) from error
    market = options.market or market
    known = {Market.LINEAR: f"1 {base}", Market.INVERSE: CONTRACT_SIZES.get(("binance", base, quote), "")}
    settle = {Market.LINEAR: f":{quote}", Market.INVERSE: f":{base}"}.get(market, "")
    return SeriesKey(
        venue=(options.venue or VENUES.get(market, "binance")).lower(),
        symbol=f"{base}/{quote}{settle}",
        native=native,
        market=market,
        contract_size=(options.contract_size or known.get(market, "")) if market != Market.SPOT else "",
    )


def future_of(native: str) -> Market:
    """Return which kind of future a symbol of Binance's futures is: COIN-M names end in USD before the underscore."""
    return Market.INVERSE if native.partition("_")[0].endswith("USD") else Market.LINEAR


class _File(NamedTuple):
    series: SeriesKey
    names: tuple[str, ...]
    has_header: bool


def _opened(source: Source, kind: str) -> _File:
    """Return what a file is. Raises: Refused for another header or number of columns, or a name without a symbol."""
    fields = first_line(source).split(",")
    wanted = COLUMNS[kind]
    has_header = not fields[0].strip().isdigit()
    if has_header and fields[0] == "timestamp" and "percentage" in fields:
        what = "bookDepth holds sums within per cents of the mid: it is no book, and nothing can be traded against it"
        raise refused(source, what, "use bookTicker files, or a raw depth log (--format binance-depth-log)")
    is_spot = wanted[-1] == _SPOT_ONLY and len(fields) == len(wanted)
    names = wanted if is_spot or wanted[-1] != _SPOT_ONLY else wanted[:-1]
    told = tuple(field.strip().lower() for field in fields)
    if len(fields) != len(names) or (has_header and told != names):
        what = f"{len(fields)} columns ({', '.join(fields[:4])}, ...) are not those of Binance {kind}"
        raise refused(source, what, f"give another --format; {kind} has {', '.join(names)}")
    return _File(_named(source, kind, is_spot=is_spot), names, has_header)


def _named(source: Source, kind: str, *, is_spot: bool) -> SeriesKey:
    """Return the series by the name of the file, the folders it lies in and what only spot or futures have."""
    found = _NAME.match(source.path.name)
    native = found["symbol"] if found else source.options.symbol.replace("/", "").partition(":")[0]
    if not native:
        raise refused(source, "the name does not begin with a symbol", "name it with --symbol BASE/QUOTE")
    market = next((_FOLDERS[part] for part in reversed(source.path.parts[:-1]) if part in _FOLDERS), Market.UNKNOWN)
    if market == Market.UNKNOWN and kind != "klines":
        market = Market.SPOT if is_spot else future_of(native)
    if market == Market.UNKNOWN and "_" in native:
        market = future_of(native)
    return series_of(source, native, market)


def _flags(source: Source, column: pa.ChunkedArray, first_row: int) -> NDArray[np.int8]:
    """Return takers' sides of is_buyer_maker: a buyer who was maker was sold to. Raises: Refused."""
    words = np.char.lower(column.to_numpy().astype(str))
    is_true = words == "true"
    wrong = np.flatnonzero(~is_true & (words != "false"))
    if len(wrong):
        at = int(wrong[0])
        raise refused(source, f"is_buyer_maker is {words[at]!r}", "true or false must stand there", first_row + at)
    return np.where(is_true, -1, 1).astype(np.int8)


def read_prints(kind: str) -> Callable[[Source], Iterator[Batch]]:
    """Return a reader of trades or aggTrades."""

    def read(source: Source) -> Iterator[Batch]:
        tally = Tally(source)
        series, names, has_header = _opened(source, kind)
        qty = "qty" if kind == "trades" else "quantity"
        stamp = "time" if kind == "trades" else "transact_time"
        for columns, first_row in tables_of(source, names, has_header=has_header):
            venue = to_ns_by_row(columns[stamp], stamp, source, first_row)
            tally.rows(series, venue)
            yield BookBatch(
                series=series,
                content=Content.TRADES,
                depth=0,
                recv_ts_ns=np.zeros(len(venue), np.int64),
                venue_ts_ns=venue,
                kind=np.full(len(venue), Kind.TRADE, np.int8),
                is_last=np.ones(len(venue), np.bool_),
                side=_flags(source, columns["is_buyer_maker"], first_row),
                price=columns["price"].combine_chunks(),
                qty=columns[qty].combine_chunks(),
                first_row=first_row,
            )
        tally.tell()

    return read


_QUOTE = (("best_bid_price", "best_bid_qty", 1), ("best_ask_price", "best_ask_qty", -1))


def read_quotes(source: Source) -> Iterator[Batch]:
    """Read bookTicker files: futures only, and sometimes out of order (issues 334, 372 and 380)."""
    tally = Tally(source)
    series, names, has_header = _opened(source, "bookTicker")
    for columns, first_row in tables_of(source, names, has_header=has_header):
        venue = to_ns_by_row(columns["event_time"], "event_time", source, first_row)
        tally.rows(series, venue)
        times = (np.zeros(len(venue), np.int64), venue)
        yield ladder_batch(source, series, Content.QUOTES, columns, _QUOTE, times, first_row)
    tally.tell()


def read_bars(source: Source) -> Iterator[Batch]:
    """Read klines; a bar's length is the difference of its close and open times. Raises: Refused for calendar months."""
    tally = Tally(source)
    series, names, has_header = _opened(source, "klines")
    for columns, first_row in tables_of(source, names, has_header=has_header):
        start = to_ns_by_row(columns["open_time"], "open_time", source, first_row)
        end = to_ns_by_row(columns["close_time"], "close_time", source, first_row)
        lengths = ((end - start) // NS + 1) * NS
        uneven = np.flatnonzero(lengths != lengths[0])
        if len(uneven):
            raise refused(
                source,
                "bars of different lengths",
                "months are not supported: take shorter bars",
                first_row + int(uneven[0]),
            )
        tally.rows(series, start)
        numbers = {name: columns[name].combine_chunks() for name in ("open", "high", "low", "close", "volume")}
        yield BarBatch(series=series, bar_ns=int(lengths[0]), start_ts_ns=start, first_row=first_row, **numbers)
    tally.tell()


def _format(kind: str, about: str, read: Callable[[Source], Iterator[Batch]], pattern: str) -> Format:
    files = (f"{pattern}.zip", f"{pattern}.csv")
    return Format(name=f"binance-{kind}", about=f"Binance public data, {about}", read=read, files=files, ordered=by_day)


FORMATS = (
    _format("trades", "every trade print", read_prints("trades"), "*-trades-*"),
    _format("aggTrades", "trade prints, joined by taker and price", read_prints("aggTrades"), "*-aggTrades-*"),
    _format("bookTicker", "best quotes of futures", read_quotes, "*-bookTicker-*"),
    _format("klines", "bars (cannot be traded against)", read_bars, "*-[0-9]*[smhdw]-*"),
)
