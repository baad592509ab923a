"""Read order books of ccxt, one JSON object per line: symbol, bids, asks, timestamp in ms, datetime.

Rules: each line is a whole book. A level has two items, or three: the third is a time (Kraken) or a count of orders
(OKX, Crypto.com) and is left out. `timestamp` is the venue's clock where its API sends one and the recorder's where
not, and nobody can tell which: it is taken for the time of receipt, and the venue's is unknown. A line without a time
is refused; one without a book (a failed poll written as null) is dropped. Numbers stay the text of the file.
The venue comes from --venue or from names such as kraken_doge_orderbooks.jsonl.gz.
Shapes of a level: https://docs.ccxt.com, order book structure, 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import Batch, Format, Refused, SeriesKey, Severity, Source
from arbot.tape.importing.ladders import Ladders, book_batch
from arbot.tape.importing.markets import series_of
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.text import lines_of, refused
from arbot.tape.importing.times import to_ns
from arbot.tape.schema import Content

PIECE_LINES = 2_000
VENUE_IN_NAME = re.compile(r"(?P<venue>[a-z0-9]+)_[^_]+_orderbooks?\b", re.IGNORECASE)


class Line(NamedTuple):
    """A book of one line; every number is still text."""

    row: int
    symbol: str
    time: str
    bids: list[list[str]]
    asks: list[list[str]]


def read_lines(source: Source) -> Iterator[Batch]:
    """Yield the books of a file of ccxt lines. Raises: Refused."""
    named = VENUE_IN_NAME.match(source.path.name)
    tally = Tally(source)
    depths: dict[SeriesKey, int] = {}
    with lines_of(source) as text:
        numbered = enumerate((line for line in text if line.strip()), start=1)
        while piece := list(islice(numbered, PIECE_LINES)):
            source.rows_read += len(piece)
            lines = [_parsed(source, tally, row, written) for row, written in piece]
            ts_ns = _times(source, lines, piece[0][0])
            by_symbol: dict[str, list[Line]] = {}
            for line in lines:
                if line is not None:
                    by_symbol.setdefault(line.symbol, []).append(line)
            for symbol, part in by_symbol.items():
                series = series_of(source, named["venue"] if named else "", symbol)
                rows = np.array([line.row for line in part], np.int64)
                recv_ts_ns = ts_ns[rows - piece[0][0]]
                _tell_shape(tally, series, part, recv_ts_ns)
                depth = depths[series] = max(depths.get(series, 1), *(len(side) for line in part for side in line[-2:]))
                price, qty = _side_by_side(part, depth)
                ladders = Ladders(recv_ts_ns, np.zeros(len(rows), np.int64), rows, price, qty)
                batch = book_batch(source, tally, series, Content.BOOK, ladders)
                if batch is not None:
                    yield batch
    tally.tell()


def _parsed(source: Source, tally: Tally, row: int, written: str) -> Line | None:
    """Return a line, or None when it is dropped. Raises: Refused."""
    try:
        book = json.loads(written, parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        if not written.endswith("\n"):
            source.drop("cut_last_line")
            tally.note("truncated", Severity.WARN, None, f"the last line (row {row}) is cut short: the file ends early")
            return None
        raise refused(source, f"not JSON ({error.msg})", "mend or remove the line", row) from error
    if book is None or (isinstance(book, dict) and book.get("bids") is None and book.get("asks") is None):
        source.drop("zero_price")
        detail = f"a record without a book, first in row {row}: a failed poll; the rows were dropped"
        tally.note("zero_price", Severity.ERROR, None, detail)
        return None
    if not isinstance(book, dict):
        raise refused(source, "not an object with bids and asks", "choose another --format", row)
    time = _time_of(source, book, row)
    sides = [_levels(source, book.get(name) or [], name, row) for name in ("bids", "asks")]
    return Line(row, book.get("symbol") or "", time, *sides)


def _time_of(source: Source, book: dict[str, Any], row: int) -> str:
    time = book.get("timestamp")
    if time is None:
        time = book.get("datetime")
    if not isinstance(time, str) or not time:
        raise _timeless(source, row)
    return time


def _timeless(source: Source, row: int) -> Refused:
    return refused(
        source,
        "neither timestamp nor datetime: nobody knows when this book was",
        "record the time of receipt into timestamp (ms) before importing",
        row,
    )


def _levels(source: Source, levels: Any, name: str, row: int) -> list[list[str]]:
    if not isinstance(levels, list):
        raise refused(source, f"{name} is no list", "mend or remove the line", row)
    for level in levels:
        if not isinstance(level, list) or len(level) not in {2, 3}:
            raise refused(source, f"a level of {name} is {level!r}, not [price, size]", "mend or remove the line", row)
    return levels


def _times(source: Source, lines: list[Line | None], first_row: int) -> NDArray[np.int64]:
    """Return the time of each line in ns; numbers and texts are two columns, each with its own unit."""
    times = ["" if line is None else line.time for line in lines]
    numbers, texts = np.empty(len(times), object), np.empty(len(times), object)
    numbers[:] = ["" if "-" in time else time for time in times]
    texts[:] = [time if "-" in time else "" for time in times]
    ts_ns = to_ns(numbers, "timestamp", source, first_row)
    if (texts != "").any():
        ts_ns = ts_ns + to_ns(texts, "datetime", source, first_row)
    for at in np.flatnonzero(ts_ns == 0):
        if lines[at] is not None:
            raise _timeless(source, first_row + int(at))
    return ts_ns


def _side_by_side(lines: list[Line], depth: int) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return prices and sizes of the lines, padded to `depth` levels a side: bids, then asks."""
    price, qty = (np.full((len(lines), 2 * depth), "", object) for _ in range(2))
    for at, line in enumerate(lines):
        for levels, start in ((line.bids, 0), (line.asks, depth)):
            for place, level in enumerate(levels, start):
                price[at, place] = _number(level[0])
                qty[at, place] = _number(level[1])
    return price, qty


def _number(item: Any) -> str:
    return item if isinstance(item, str) and item else "null"


def _tell_shape(tally: Tally, series: SeriesKey, lines: list[Line], ts_ns: NDArray[np.int64]) -> None:
    third = np.array([any(len(level) == 3 for side in line[-2:] for level in side) for line in lines], np.bool_)
    if third.any():
        detail = "levels have a third item (a time or a count of orders), which is left out"
        tally.note("level_shape", Severity.INFO, series, detail, ts_ns=ts_ns[third])
    detail = (
        "timestamp may be the venue's clock or the recorder's: taken for the time of receipt, the venue's is unknown"
    )
    tally.note("no_exchange_time", Severity.INFO, series, detail, ts_ns=ts_ns)


FORMATS: tuple[Format, ...] = (
    Format(
        name="ccxt-jsonl",
        about="ccxt order books, one JSON object per line (.jsonl, .jsonl.gz)",
        read=read_lines,
        files=("*orderbook*.jsonl", "*orderbook*.jsonl.gz", "*.jsonl", "*.jsonl.gz", "*.pkl"),
    ),
)
