"""Read CSV of bars, and of last trade prices: reference data, never filled against.

Rules: a bar's time is its start, so it is known only one length later (`bar_label`). The length is the most frequent
step between the bars of a series, and told, unless --column bar=60s or the name (XBTUSD_1.csv: minutes) says it. Files
that run from the newest row to the oldest are turned round. Only the documented columns are read:

    bars-csv             venue,symbol,ts_us,open,high,low,close,volume
    kraken-ohlcvt        no header: time s, open, high, low, close, volume, trades; XBTUSDC_1.csv
                         (https://support.kraken.com, downloadable OHLCVT data, 2026-11)
    cryptodatadownload   a line to skip, then unix,date,symbol,open,high,low,close,Volume BTC,...; Binance_BTCUSDT_1h.csv
                         (https://www.cryptodatadownload.com, 2026-11; time in s or ms, newest first)
    coinbase-candles     time s, low, high, open, close, volume: low before high, newest first, header or none
                         (https://docs.cdp.coinbase.com, product candles, 2026-11); BTC-USD.csv
    last-trades-csv      date,last: prints without side and size; bitflyerJPY_2018-08-12.csv (BTC/JPY, as on bitcoincharts)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from arbot.tape.importing.backwards import backwards
from arbot.tape.importing.contract import BarBatch, Batch, Format, SeriesKey, Severity, Source
from arbot.tape.importing.identity import clocks_of, parts_of
from arbot.tape.importing.ladders import above_zero, trade_batch
from arbot.tape.importing.markets import name_of
from arbot.tape.importing.tables import NUMBER, header_of, mapped, pieces_of, required
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.text import refused
from arbot.tape.schema import Market

SECOND_NS = 1_000_000_000
LENGTH = re.compile(r"([1-9]\d*)(s|m|h|d)")
LENGTH_NS = {"s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS, "d": 86_400 * SECOND_NS}
KRAKEN_NAME = re.compile(r"(?P<symbol>[A-Z0-9.]{5,})_(?P<minutes>\d+)m?(_.*)?\.csv(\.gz)?")
DOWNLOAD_NAME = re.compile(r"(?P<venue>[A-Za-z]+)_(?P<symbol>[A-Za-z0-9]+)_.*\.csv(\.gz)?")
CANDLES_NAME = re.compile(r"(?:.*[_.])?(?P<symbol>[A-Z0-9]{2,}-[A-Z]{3,5})([_.].*)")
CHARTS_NAME = re.compile(r"(?P<venue>[a-z0-9]+?)(?P<quote>[A-Z]{3})([_.].*)")
PRICES = ("open", "high", "low", "close")
OURS: Mapping[str, Sequence[str]] = {
    "recv_ts": ("ts_us", "ts_ns", "ts_ms", "ts_s", "ts"),
    "venue": ("venue", "exchange"),
    "symbol": ("symbol",),
    **{name: (name,) for name in (*PRICES, "volume")},
}
KRAKEN_FIELDS = ("time", *PRICES, "volume", "trades")
CANDLE_FIELDS = ("time", "low", "high", "open", "close", "volume")


class Shape(NamedTuple):
    """Where one file has its columns, how many lines precede the rows, and what its name says."""

    fields: Sequence[str]
    skip: int
    found: dict[str, str]
    venue: str = ""
    symbol: str = ""
    bar_ns: int = 0


def own_shape(source: Source) -> Shape:
    """Return the shape of our own header, or of another one with --column."""
    fields = header_of(source)
    return Shape(fields, 1, mapped(source, OURS, fields, apart="bar"))


def kraken_shape(source: Source) -> Shape:
    """Return the shape of Kraken's OHLCVT files: no header, all else in the name."""
    _refuse_header(source, KRAKEN_FIELDS)
    named = KRAKEN_NAME.fullmatch(source.path.name)
    if named is None and not source.options.symbol:
        raise refused(source, "the name does not say symbol and minutes", "name it XBTUSD_1.csv or give --symbol")
    columns = {"recv_ts": "time", **{name: name for name in (*PRICES, "volume")}}
    minutes = int(named["minutes"]) if named else 0
    return Shape(KRAKEN_FIELDS, 0, columns, "kraken", named["symbol"] if named else "", minutes * LENGTH_NS["m"])


def download_shape(source: Source) -> Shape:
    """Return the shape of CryptoDataDownload's files: a line about the source, then a header in mixed case."""
    fields = header_of(source, skip=1)
    small = [field.strip().lower() for field in fields]
    found = {name: fields[small.index(name)] for name in ("symbol", *PRICES) if name in small}
    volume = next((field for field, name in zip(fields, small, strict=True) if name.startswith("volume ")), "")
    time = next((field for field, name in zip(fields, small, strict=True) if name.startswith("unix")), "")
    found |= {name: field for name, field in (("volume", volume), ("recv_ts", time)) if field}
    named = DOWNLOAD_NAME.fullmatch(source.path.name)
    return Shape(fields, 2, found, named["venue"] if named else "", named["symbol"] if named else "")


def candles_shape(source: Source) -> Shape:
    """Return the shape of Coinbase's candles saved as CSV; low stands before high."""
    first = header_of(source)
    has_header = not NUMBER.fullmatch(first[0])
    if has_header and tuple(field.strip().lower() for field in first) != CANDLE_FIELDS:
        raise refused(source, f"the header is {','.join(first)}", f"these candles are {','.join(CANDLE_FIELDS)}")
    columns = {"recv_ts": "time", **{name: name for name in (*PRICES, "volume")}}
    named = CANDLES_NAME.fullmatch(source.path.name)
    return Shape(CANDLE_FIELDS, int(has_header), columns, "coinbase", named["symbol"] if named else "")


def read_with(shape_of: Callable[[Source], Shape]) -> Callable[[Source], Iterator[Batch]]:
    """Return the reader of bars in files of a shape."""

    def read(source: Source) -> Iterator[Batch]:
        shape = shape_of(source)
        required(source, shape.found, ("recv_ts", *PRICES, "volume"), shape.fields)
        return _read_bars(source, shape)

    return read


def read_last_trades(source: Source) -> Iterator[Batch]:
    """Yield prints of `date,last` without side and size. Raises: Refused."""
    fields = header_of(source)
    found = mapped(source, {"recv_ts": ("date",), "price": ("last",)}, fields)
    required(source, found, ("recv_ts", "price"), fields)
    named = CHARTS_NAME.fullmatch(source.path.name)
    venue, symbol = (named["venue"], f"BTC/{named['quote']}") if named else ("", "")
    tally = Tally(source)
    for piece in pieces_of(source, tally, fields, list(found.values())):
        clocks = clocks_of(source, tally, piece, found)
        price = piece.columns[found["price"]]
        for part in parts_of(source, piece, found, Market.SPOT, venue=venue, symbol=symbol):
            recv_ts_ns = clocks.recv_ts_ns[part.at]
            detail = "prints without a size and a side: good for comparing prices, never for filling an order"
            tally.note("unsized_trades", Severity.WARN, part.series, detail, ts_ns=recv_ts_ns)
            columns = {"price": price[part.at]}
            is_good = above_zero(source, tally, part.series, ts_ns=recv_ts_ns, rows=part.rows, columns=columns)
            at = part.at[is_good]
            if len(at):
                yield trade_batch(
                    part.series,
                    recv_ts_ns=clocks.recv_ts_ns[at],
                    venue_ts_ns=clocks.venue_ts_ns[at],
                    side=np.zeros(len(at), np.int8),
                    price=price[at],
                    qty=None,
                    first_row=int(part.rows[is_good][0]),
                )
    tally.tell()


def _read_bars(source: Source, shape: Shape) -> Iterator[Batch]:
    lengths, is_newest_first = _look_ahead(source, shape)
    tally = Tally(source)
    pieces = pieces_of(source, tally, shape.fields, list(shape.found.values()), skip=shape.skip)
    for piece in backwards(pieces) if is_newest_first else pieces:
        clocks = clocks_of(source, tally, piece, shape.found)
        for part in parts_of(source, piece, shape.found, Market.SPOT, venue=shape.venue, symbol=shape.symbol):
            start_ts_ns = clocks.recv_ts_ns[part.at]
            values = {name: piece.columns[shape.found[name]][part.at] for name in (*PRICES, "volume")}
            detail = f"bars of {lengths[part.series] // SECOND_NS} s, stamped with their start: known one length later"
            tally.note("bar_label", Severity.INFO, part.series, detail, ts_ns=start_ts_ns)
            is_good = above_zero(
                source, tally, part.series, ts_ns=start_ts_ns, rows=part.rows, columns=values, may_be_zero="volume"
            )
            if is_good.any():
                yield BarBatch(
                    series=part.series,
                    bar_ns=lengths[part.series],
                    start_ts_ns=start_ts_ns[is_good],
                    first_row=int(part.rows[is_good].min()),
                    **{name: column[is_good] for name, column in values.items()},
                )
    tally.tell()


def _look_ahead(source: Source, shape: Shape) -> tuple[dict[SeriesKey, int], bool]:
    """Return the length of the bars of each series, and whether the newest row comes first. Reads the file once."""
    said = LENGTH.fullmatch(source.options.columns.get("bar", ""))
    if "bar" in source.options.columns and said is None:
        raise refused(source, f"--column bar={source.options.columns['bar']}: no length", "write 60s, 5m, 1h or 1d")
    bar_ns = int(said[1]) * LENGTH_NS[said[2]] if said else shape.bar_ns
    ahead = Source(source.path, source.options, lambda _: None, source.shared)  # what it counts is counted later
    tally = Tally(ahead)
    wanted = [shape.found[name] for name in ("recv_ts", "venue", "symbol") if name in shape.found]
    steps: dict[SeriesKey, Counter[int]] = {}
    last: dict[SeriesKey, int] = {}
    for piece in pieces_of(ahead, tally, shape.fields, wanted, skip=shape.skip):
        start_ts_ns = clocks_of(ahead, tally, piece, shape.found).recv_ts_ns
        for part in parts_of(ahead, piece, shape.found, Market.SPOT, venue=shape.venue, symbol=shape.symbol):
            starts = start_ts_ns[part.at]
            met = np.diff(starts, prepend=last.get(part.series, starts[0]))
            last[part.series] = int(starts[-1])
            for step, count in zip(*np.unique(met[met != 0], return_counts=True), strict=True):
                steps.setdefault(part.series, Counter())[int(step)] += int(count)
    falling = sum(count for counts in steps.values() for step, count in counts.items() if step < 0)
    is_newest_first = 2 * falling > sum(counts.total() for counts in steps.values())
    lengths = {series: bar_ns or _usual(source, series, steps.get(series)) for series in last}
    return lengths, is_newest_first


def _usual(source: Source, series: SeriesKey, steps: Counter[int] | None) -> int:
    if not steps:
        raise refused(
            source, f"one bar of {name_of(series)} does not say how long it is", "say it with --column bar=60s"
        )
    return abs(steps.most_common(1)[0][0])


def _refuse_header(source: Source, fields: Sequence[str]) -> None:
    first = header_of(source)
    if not NUMBER.fullmatch(first[0]) or len(first) != len(fields):
        raise refused(
            source,
            f"the first line is {','.join(first)[:60]!r}",
            f"this format has no header and the columns {','.join(fields)}",
        )


FORMATS: tuple[Format, ...] = (
    Format(
        name="bars-csv",
        about="CSV of bars: venue,symbol,ts_us,open,high,low,close,volume, or others with --column",
        read=read_with(own_shape),
        files=("*bars*.csv", "*bars*.csv.gz", "*.csv", "*.csv.gz"),
    ),
    Format(
        name="kraken-ohlcvt",
        about="Kraken's downloadable bars without a header: XBTUSD_1.csv",
        read=read_with(kraken_shape),
        files=("*_[0-9]*.csv", "*_[0-9]*.csv.gz"),
    ),
    Format(
        name="cryptodatadownload",
        about="CryptoDataDownload's bars: a line to skip, then a header",
        read=read_with(download_shape),
        files=("*.csv", "*.csv.gz"),
    ),
    Format(
        name="coinbase-candles",
        about="Coinbase's candles as CSV: time,low,high,open,close,volume",
        read=read_with(candles_shape),
        files=("*.csv", "*.csv.gz"),
    ),
    Format(
        name="last-trades-csv",
        about="CSV of last trade prices: date,last",
        read=read_last_trades,
        files=("*.csv", "*.csv.gz"),
    ),
)
