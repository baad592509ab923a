"""Turn rows that each hold a whole ladder of levels into messages, dropping those that no book can be.

Rules: a row is one SNAPSHOT message. A level without a price is a level that was not there. A price or a quantity that
is negative or not a number, or a price of zero, makes the row worthless (`zero_price`), and so does a row without any
level; levels out of order or twice the same price do too (`level_shape`). Both are counted per series as ERROR findings.
A level of size zero is left out and told (`empty_level`). A crossed row is kept: the inspector judges it.
Orders of magnitude are compared as floats; what is handed on is the text of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arbot.market.stream import Kind
from arbot.tape.importing.contract import BookBatch, Numbers, SeriesKey, Severity, Source
from arbot.tape.importing.tables import checked
from arbot.tape.importing.tally import Tally
from arbot.tape.schema import Content

BID, ASK = 1, -1
ZERO = "a price or a size is zero, negative or missing"
UNORDERED = "levels are out of order or repeat a price"


class Ladders(NamedTuple):
    """Rows of one series: times in ns, and per row first the bids, then the asks, each best first, `depth` a side.

    `price` and `qty` are (rows, 2 * depth), text ("" = no such level) or float64 (NaN = no such level); quotes without
    sizes have a `qty` of None. `row` is the number of each row in the file.
    """

    recv_ts_ns: NDArray[np.int64]
    venue_ts_ns: NDArray[np.int64]
    row: NDArray[np.int64]
    price: Numbers
    qty: Numbers | None

    def keep(self, is_kept: NDArray[np.bool_]) -> Ladders:
        """Return only some of the rows."""
        return Ladders(*(None if column is None else column[is_kept] for column in self))  # type: ignore[arg-type]


def book_batch(source: Source, tally: Tally, series: SeriesKey, content: Content, ladders: Ladders) -> BookBatch | None:
    """Return the rows as one batch of snapshots, or None when every row was dropped. Raises: Refused."""
    tally.rows(series, ladders.recv_ts_ns)
    ladders = _without_worthless(source, tally, series, ladders)
    if not len(ladders.recv_ts_ns):
        return None
    depth = ladders.price.shape[1] // 2
    is_level = _is_there(ladders.price)
    levels = is_level.sum(axis=1)
    side = np.repeat(np.array([BID, ASK], np.int8), depth)
    is_last = np.zeros(int(levels.sum()), np.bool_)
    is_last[np.cumsum(levels) - 1] = True
    price = ladders.price[is_level]
    qty = ladders.qty[is_level] if ladders.qty is not None else _filled(len(price), "0")
    return BookBatch(
        series=series,
        content=content,
        depth=depth,
        recv_ts_ns=np.repeat(ladders.recv_ts_ns, levels),
        venue_ts_ns=np.repeat(ladders.venue_ts_ns, levels),
        kind=np.full(len(price), Kind.SNAPSHOT, np.int8),
        is_last=is_last,
        side=np.broadcast_to(side, ladders.price.shape)[is_level],
        price=price,
        qty=qty,
        first_row=int(ladders.row[0]),
    )


def trade_batch(
    series: SeriesKey,
    *,
    recv_ts_ns: NDArray[np.int64],
    venue_ts_ns: NDArray[np.int64],
    side: NDArray[np.int8],
    price: Numbers,
    qty: Numbers | None,
    first_row: int,
) -> BookBatch:
    """Return prints as messages of one row each; `qty` None = nobody recorded it."""
    return BookBatch(
        series=series,
        content=Content.TRADES,
        depth=0,
        recv_ts_ns=recv_ts_ns,
        venue_ts_ns=venue_ts_ns,
        kind=np.full(len(price), Kind.TRADE, np.int8),
        is_last=np.ones(len(price), np.bool_),
        side=side,
        price=price,
        qty=_filled(len(price), "0") if qty is None else qty,
        first_row=first_row,
        is_row_per_level=True,
    )


def above_zero(
    source: Source,
    tally: Tally,
    series: SeriesKey,
    *,
    ts_ns: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: Mapping[str, Numbers],
    may_be_zero: str = "",
) -> NDArray[np.bool_]:
    """Return which prints or bars have numbers above zero in all columns; count and tell the others.

    `may_be_zero` names a column that may hold a zero too. Raises: Refused.
    """
    tally.rows(series, ts_ns)
    is_good = np.ones(len(rows), np.bool_)
    for name, column in columns.items():
        numbers = checked(source, column, rows, name)
        with np.errstate(invalid="ignore"):
            is_good &= np.isfinite(numbers) & ((numbers >= 0) if name == may_be_zero else (numbers > 0))
    _drop(source, tally, series, Fault("zero_price", ZERO, ts_ns[~is_good], rows[~is_good]))
    return is_good


def _without_worthless(source: Source, tally: Tally, series: SeriesKey, ladders: Ladders) -> Ladders:
    price = _numbers(source, ladders, ladders.price, "a price")
    is_level = _is_there(ladders.price)
    is_empty = np.zeros(is_level.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        is_bad = is_level & ~(np.isfinite(price) & (price > 0))
        if ladders.qty is not None:
            qty = _numbers(source, ladders, ladders.qty, "a size")
            is_bad |= is_level & ~(np.isfinite(qty) & (qty >= 0))
            is_empty = is_level & (qty == 0)
    is_worthless = is_bad.any(axis=1) | ~(is_level & ~is_empty).any(axis=1)
    is_unordered = ~is_worthless & ~_is_ordered(price, is_level)
    for code, what, is_dropped in (("zero_price", ZERO, is_worthless), ("level_shape", UNORDERED, is_unordered)):
        _drop(source, tally, series, Fault(code, what, ladders.recv_ts_ns[is_dropped], ladders.row[is_dropped]))
    is_kept = ~is_worthless & ~is_unordered
    with_empty = is_kept & is_empty.any(axis=1)
    if with_empty.any():
        detail = f"levels of size zero, first in row {ladders.row[with_empty][0]}; they were left out"
        tally.note("empty_level", Severity.INFO, series, detail, ts_ns=ladders.recv_ts_ns[with_empty])
        price = ladders.price.copy()
        price[is_empty] = "" if price.dtype == object else np.nan
        ladders = ladders._replace(price=price)
    return ladders.keep(is_kept)


def _is_ordered(price: NDArray[np.float64], is_level: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether bids fall and asks rise strictly in each row, levels that are not there left out.

    A level after a hole would be out of place as well: a ladder has its levels from the best on.
    """
    depth = price.shape[1] // 2
    is_ordered = np.ones(len(price), np.bool_)
    for part, towards in ((slice(0, depth), BID), (slice(depth, 2 * depth), ASK)):
        step = np.diff(price[:, part], axis=1) * towards
        here, before = is_level[:, part][:, 1:], is_level[:, part][:, :-1]
        with np.errstate(invalid="ignore"):
            is_ordered &= ~(here & ~(before & (step < 0))).any(axis=1)
    return is_ordered


def _is_there(numbers: Numbers) -> NDArray[np.bool_]:
    is_there: NDArray[np.bool_] = numbers != "" if numbers.dtype == object else ~np.isnan(numbers)
    return is_there


def _numbers(source: Source, ladders: Ladders, numbers: Numbers, name: str) -> NDArray[np.float64]:
    if numbers.dtype != object:
        return numbers
    return np.stack([checked(source, column, ladders.row, name) for column in numbers.T], axis=1)


class Fault(NamedTuple):
    """Rows of one series that no book can take."""

    code: str
    what: str
    ts_ns: NDArray[np.int64]
    rows: NDArray[np.int64]


def _drop(source: Source, tally: Tally, series: SeriesKey, fault: Fault) -> None:
    if len(fault.rows):
        source.drop(fault.code, len(fault.rows))
        detail = f"{fault.what}, first in row {fault.rows[0]}; the rows were dropped"
        tally.note(fault.code, Severity.ERROR, series, detail, ts_ns=fault.ts_ns)


def _filled(count: int, text: str) -> NDArray[np.object_]:
    return np.repeat(np.array([text], object), count)
