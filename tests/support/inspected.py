"""Small streams and bars for the inspector's tests, in whole milliseconds and plain numbers."""

from __future__ import annotations

import msgspec
import numpy as np

from arbot.market.stream import IS_LAST, Kind, Rows
from arbot.tape.importing.contract import Finding, ImportReport
from arbot.tape.inspect.bars import BarSeries, bar_stats
from arbot.tape.inspect.quotes import Walked, walk_stream
from arbot.tape.inspect.report import Options, look
from arbot.tape.inspect.rules.evidence import Bars, Stream
from arbot.tape.inspect.series import series_stats
from arbot.tape.schema import Clocks, Content, Market
from tests.support.real_quotes import meta, quote_rows

START_MS = 1_700_000_000_123
MINUTE_NS = 60_000_000_000


def stream(
    venue: str, quotes, *, symbol="BTC/USD", step_ms=1000, venue_lag_ms=None, stamps_ms=None, market=Market.SPOT,
    contract_size="", clocks=Clocks.VENUE_ONLY, content=Content.QUOTES,
) -> Walked:  # fmt: skip
    """Walk quotes (bid, ask) or (bid, ask, size), one every `step_ms` or at `stamps_ms`; prices with two decimals."""
    count = len(quotes)
    recv = np.array(stamps_ms if stamps_ms is not None else START_MS + step_ms * np.arange(count), np.int64) * 1_000_000
    venue_ns = recv if venue_lag_ms is None else recv - np.asarray(venue_lag_ms, np.int64) * 1_000_000
    bid = np.array([round(100 * quote[0]) for quote in quotes], np.int64)
    ask = np.array([round(100 * quote[1]) for quote in quotes], np.int64)
    size = np.array([quote[2] if len(quote) > 2 else 1 for quote in quotes], np.int64)
    if venue_lag_ms is not None:
        clocks = Clocks.BOTH
    about = meta(venue, symbol, decimals=2, market=market, contract_size=contract_size, clocks=clocks, content=content)
    return walk_stream(about, [quote_rows(recv, venue_ns, bid, ask, size, size)])


def book(venue: str, messages, *, symbol="BTC/USD", depth=10) -> Walked:
    """Walk messages (ms after the start, kind, [(signed price, qty), ...]) of a whole book."""
    rows = []
    for after_ms, kind, levels in messages:
        ts = (START_MS + after_ms) * 1_000_000
        rows += [(ts, ts - 5_000_000, round(100 * price), qty, int(kind)) for price, qty in levels or [(0, 0)]]
        rows[-1] = (*rows[-1][:4], int(kind) | IS_LAST)
    columns = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    about = meta(venue, symbol, decimals=2, content=Content.BOOK, depth=depth, clocks=Clocks.BOTH)
    return walk_stream(about, [Rows(*columns)])


def bar_series(venue: str, bars, *, symbol="BTC/USD", minutes=None) -> BarSeries:
    """Return one-minute bars of (open, high, low, close, volume), or of (close, volume)."""
    full = [bar if len(bar) == 5 else (bar[0], bar[0], bar[0], bar[0], bar[1]) for bar in bars]
    columns = [np.array([round(10_000 * bar[at]) for bar in full], np.int64) for at in range(5)]
    starts = (
        np.array(minutes if minutes is not None else range(len(bars)), np.int64) * MINUTE_NS + 28_333_333 * MINUTE_NS
    )
    about = meta(venue, symbol, decimals=4, qty_decimals=4, content=Content.BARS)
    return BarSeries(msgspec.structs.replace(about, bar_ns=MINUTE_NS), starts, *columns)


def findings(streams=(), bars=(), imports=(), **options) -> list[Finding]:
    """Return what an inspection of these finds."""
    walked = [Stream(one, series_stats(one)) for one in streams]
    made = [Bars(one, bar_stats(one)) for one in bars]
    return list(look(walked, made, imports, Options(**options)).inspection.findings)


def of_code(code: str, streams=(), bars=(), **options) -> list[Finding]:
    """Return the findings of one code."""
    return [one for one in findings(streams, bars, **options) if one.code == code]


def report_of_import(*found: Finding) -> ImportReport:
    """Return what an import left."""
    return ImportReport(format="lines", files=(), series=(), findings=found)


SNAPSHOT, DELTA, CLEAR, ALIVE = Kind.SNAPSHOT, Kind.DELTA, Kind.CLEAR, Kind.ALIVE
