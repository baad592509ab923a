"""Series straight from recorded files or from numbers, laid out as a tape has them, without going through any import."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from arbot.domain.ids import Asset, VenueId, instrument_id
from arbot.domain.instrument import Instrument
from arbot.market.stream import IS_LAST, Kind, Rows
from arbot.tape.inspect.depth_walk import Depth
from arbot.tape.inspect.pairs import States
from arbot.tape.inspect.quotes import Walked, walk_stream
from arbot.tape.inspect.states import pair_states
from arbot.tape.schema import Clocks, Content, Market, TapeMeta

DATA = Path(os.environ.get("ARBOT_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (DATA / "SHA256SUMS").exists(), reason="set ARBOT_DATA to the folder with the recorded market data"
)


def meta(
    venue: str, symbol: str, *, decimals: int = 8, market: Market = Market.SPOT, content: Content = Content.QUOTES,
    clocks: Clocks = Clocks.VENUE_ONLY, contract_size: str = "", depth: int = 1, qty_decimals: int = 8,
) -> TapeMeta:  # fmt: skip
    """Return what a dataset says of itself."""
    base, _, quote = symbol.partition(":")[0].partition("/")
    unit, step = Decimal(1).scaleb(-decimals), Decimal(1).scaleb(-qty_decimals)
    instrument = Instrument(
        id=instrument_id(symbol, venue), venue=VenueId(venue), symbol=symbol, venue_symbol=symbol, base=Asset(base),
        quote=Asset(quote), tick_size=unit, qty_step=step, price_decimals=decimals, qty_decimals=qty_decimals,
    )  # fmt: skip
    return TapeMeta(
        instrument=instrument, content=content, tick=unit, step=step, market=market, clocks=clocks, depth=depth,
        contract_size=contract_size,
    )  # fmt: skip


def scaled(values: Iterable[float], decimals: int) -> np.ndarray:
    """Return floats as integers; what is not a finite number counts as 0."""
    floats = np.nan_to_num(np.asarray(list(values), float), posinf=0, neginf=0)
    return np.rint(floats * 10**decimals).astype(np.int64)


def quote_rows(recv_ns, venue_ns, bid, ask, bid_qty, ask_qty) -> Rows:
    """Return best quotes as snapshots of two rows each."""
    count = len(recv_ns)
    tag = np.full(2 * count, int(Kind.SNAPSHOT), np.int64)
    tag[1::2] |= IS_LAST

    def both(first, second):
        woven = np.empty(2 * count, np.int64)
        woven[0::2], woven[1::2] = first, second
        return woven

    return Rows(both(recv_ns, recv_ns), both(venue_ns, venue_ns), both(bid, -ask), both(bid_qty, ask_qty), tag)


def walked_quotes(about: TapeMeta, ts_us, bid, ask, bid_qty=None, ask_qty=None, venue_us=None) -> Walked:
    """Walk best quotes given in floats and microseconds."""
    decimals, qty_decimals = about.instrument.price_decimals, about.instrument.qty_decimals
    recv = np.asarray(ts_us, np.int64) * 1000
    venue = recv if venue_us is None else np.asarray(venue_us, np.int64) * 1000
    zeros = np.zeros(len(recv), np.int64)
    rows = quote_rows(
        recv, venue, scaled(bid, decimals), scaled(ask, decimals),
        zeros if bid_qty is None else scaled(bid_qty, qty_decimals),
        zeros if ask_qty is None else scaled(ask_qty, qty_decimals),
    )  # fmt: skip
    return walk_stream(about, [rows])


SYMBOLS_13 = {"okx": "DOGE/USD:DOGE", "cryptocom": "DOGE/USD"}


def depth_of(venue: str) -> Depth:
    """Return the whole books of a venue of set 1."""
    path = DATA / f"l2-snapshots/ccxt13-doge-20240408/{venue}_doge_orderbooks.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        books = [json.loads(line) for line in lines]
    books.sort(key=lambda book: book["timestamp"])
    levels = max(len(book[side]) for book in books for side in ("bids", "asks"))

    def ladder(side: str) -> np.ndarray:
        table = np.zeros((len(books), 2 * levels))
        for row, book in enumerate(books):
            flat = [number for level in book[side] for number in level[:2]]
            table[row, : len(flat)] = flat
        return table

    stamps = np.array([book["timestamp"] for book in books], np.int64) * 1_000_000
    return Depth(stamps, ladder("bids"), ladder("asks"))


def raw_minute_quotes(venue: str, symbol: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (ns, bid, ask) of set 8 with the floats of the file, dust and all."""
    frame = pl.read_csv(DATA / "bars/btc-stables-1min-20230301/l1_1min.csv.gz")
    frame = frame.filter((pl.col("venue") == venue) & (pl.col("symbol") == symbol)).sort("ts_us", maintain_order=True)
    return frame["ts_us"].to_numpy() * 1000, frame["bid"].to_numpy(), frame["ask"].to_numpy()


def float_states(a, b, fresh_ns: int) -> States:
    """Return the states of two series of (ns, bid, ask) in floats."""
    room = 2 * (len(a[0]) + len(b[0])) + 4
    columns = (np.empty(room, np.int64), np.empty(room, np.int64), *(np.empty(room) for _ in range(3)))
    one, other = ([np.array(column) for column in series] for series in (a, b))
    count = pair_states(one[0], one[0], one[1], one[2], other[0], other[0], other[1], other[2], fresh_ns, *columns)
    return States(*(column[:count] for column in columns))


def thirteen_books(venue: str) -> tuple[Walked, Rows]:
    """Return the whole books of a venue of set 1, walked, and their rows."""
    depth = depth_of(venue)
    rows = []
    for at, ts in enumerate(depth.ts_ns):
        for sign, ladder in ((1, depth.bids[at]), (-1, depth.asks[at])):
            rows += [
                (ts, ts, sign * round(price * 1e8), round(size * 1e8), int(Kind.SNAPSHOT))
                for price, size in ladder.reshape(-1, 2)
                if price > 0
            ]
        rows[-1] = (*rows[-1][:4], int(Kind.SNAPSHOT) | IS_LAST)
    made = Rows(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))
    about = meta(venue, SYMBOLS_13.get(venue, "DOGE/USDT"), content=Content.BOOK, depth=20, qty_decimals=8)
    return walk_stream(about, [made]), made
