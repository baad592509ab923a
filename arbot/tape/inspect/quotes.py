"""The best bid and ask of one recorded stream over time, and what was counted on the way.

Prices are integers at `price_decimals`; `prices` divides them, which is exactly the float that the decimal text reads as.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arbot.domain.instrument import Instrument
from arbot.market.books import Books
from arbot.market.layout import HEADS
from arbot.market.stream import IS_LAST, Column, Rows
from arbot.tape.inspect import touch
from arbot.tape.schema import Content, Market, TapeMeta

Prices = NDArray[np.float64]


class QuoteSeries(NamedTuple):
    """Points of one stream in order of time (touch.py says what a point is); 0 = that side is missing."""

    name: str
    instrument: Instrument
    market: Market
    ts_ns: Column
    seen_ns: Column
    bid: Column
    ask: Column

    @property
    def prices(self) -> tuple[Prices, Prices]:
        """Best bids and asks as floats."""
        unit = 10.0**self.instrument.price_decimals
        return self.bid / unit, self.ask / unit

    def without_crossed(self) -> QuoteSeries:
        """Return the series as if rows with bid > ask had never come."""
        keep = (self.bid <= self.ask) | (self.bid <= 0) | (self.ask <= 0)
        return self._replace(ts_ns=self.ts_ns[keep], seen_ns=self.seen_ns[keep], bid=self.bid[keep], ask=self.ask[keep])


class Runs(NamedTuple):
    """Stretches in which nothing of the touch moved: first and last quote, and how many repeated the first."""

    first_ns: Column
    last_ns: Column
    repeats: Column


class Walked(NamedTuple):
    """What a stream came to: its points, its runs, the counters and distributions of touch.py."""

    meta: TapeMeta
    series: QuoteSeries
    runs: Runs
    counts: Column
    distributions: touch.Table


def walk_stream(meta: TapeMeta, parts: Iterable[Rows]) -> Walked:
    """Walk one dataset, part by part, in memory that grows with the changes of its best prices only."""
    books = Books()
    index = books.add(meta.instrument, meta.depth if meta.content is Content.BOOK else 1)
    state = np.zeros(touch.STATE_WIDTH, np.int64)
    state[touch.IS_BOOK] = meta.content is Content.BOOK
    state[touch.IS_TRADES] = meta.content is Content.TRADES
    distributions = touch.empty_distributions()
    points: list[Column] = []
    runs: list[Column] = []
    left: Rows | None = None
    for part in parts:
        rows = part if left is None else Rows(*(np.concatenate(pair) for pair in zip(left, part, strict=True)))
        if state[touch.ROWS] == 0 and len(rows):
            state[touch.FIRST_TS] = rows.recv_ts_ns[0]
        done = 0
        points_room = np.empty(4 * len(rows) + 8, np.int64)
        runs_room = np.empty(3 * len(rows) + 8, np.int64)
        levels = np.empty(2 * len(rows) + 8, np.int64)
        while done < len(rows):
            rest = rows.part(done, len(rows))
            taken = touch.walk(state, points_room, runs_room, distributions, books.mem, HEADS, levels, *rest)
            done += taken
            if taken < len(rest) and not _is_message(rest, taken):
                break
            if taken < len(rest):
                books.grow(index, len(rest) - taken)
        left = rows.part(done, len(rows)) if done < len(rows) else None
        points.append(_taken(state, touch.POINTS_OUT, points_room, 4))
        runs.append(_taken(state, touch.RUNS_OUT, runs_room, 3))
    last = np.empty(16, np.int64)
    if state[touch.HAS_POINT]:
        touch.end_point(state, last)
        points.append(_taken(state, touch.POINTS_OUT, last, 4))
        touch.end_run(state, last)
        runs.append(_taken(state, touch.RUNS_OUT, last, 3))
    return Walked(meta, _series(meta, points), _runs(runs), state, distributions)


def _is_message(rows: Rows, first: int) -> bool:
    """Return whether the message that begins there is complete."""
    return bool((rows.tag[first:] & IS_LAST).any())


def _taken(state: Column, word: int, room: Column, width: int) -> Column:
    """Return what was written to a buffer, and count from its start again."""
    used = room[: width * int(state[word])].copy()
    state[word] = 0
    return used.reshape(-1, width)


def _series(meta: TapeMeta, points: list[Column]) -> QuoteSeries:
    table = np.concatenate([np.empty((0, 4), np.int64), *points])
    if len(table) and (np.diff(table[:, 0]) < 0).any():  # only in what never went through an import
        table = table[np.argsort(table[:, 0], kind="stable")]
    columns = (np.ascontiguousarray(column) for column in table.T)
    return QuoteSeries(str(meta.instrument.id), meta.instrument, meta.market, *columns)


def _runs(runs: list[Column]) -> Runs:
    table = np.concatenate([np.empty((0, 3), np.int64), *runs])
    return Runs(*(np.ascontiguousarray(column) for column in table.T))
