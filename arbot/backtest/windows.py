"""Statistics of windows: how large the edges were, how long they lasted, and how fast one must be to win them.

A window is a row of five int64: buying book, selling book, start and end in ns, peak net edge in PPT (10**-12). Shares are
of the number of windows, not of time or money. Edges fall into bins [low, high) of EDGES_BPS; the last is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arbot.backtest.result import BestRow, BinRow, WindowRow, WinRow
from arbot.domain.instrument import Instrument

WINDOWS_MAX = 1_000  # of the longest that are named one by one
LATENCIES_MS = (0, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
EDGES_BPS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0)
NS_PER_MS, NS_PER_S = 1_000_000, 1_000_000_000
_PPT_PER_BPS_LOG10 = 8
_PPT_PER_BPS = 10.0**_PPT_PER_BPS_LOG10

Windows = NDArray[np.int64]
Route = tuple[str, str, str]
Best = tuple[int, int, int, int]
"""Buying book, selling book, best net edge at the touch in PPT, and when that was."""


class RouteWindows(NamedTuple):
    """How many windows a route had and their median length."""

    windows: int
    window_ms_median: float


def longest(windows: Windows, instrument: Callable[[int], Instrument]) -> tuple[WindowRow, ...]:
    """Return the WINDOWS_MAX longest, the longest first; equally long ones in the order of their start."""
    lengths = windows[:, 3] - windows[:, 2]
    order = np.lexsort((windows[:, 1], windows[:, 0], windows[:, 2], -lengths))[:WINDOWS_MAX]
    return tuple(
        WindowRow(
            buy_venue=instrument(buy).venue,
            sell_venue=instrument(sell).venue,
            symbol=instrument(buy).symbol,
            start_ts_ns=start,
            end_ts_ns=end,
            edge_net_bps_peak=peak / _PPT_PER_BPS,
        )
        for buy, sell, start, end, peak in windows[order].tolist()
    )


def win(windows: Windows) -> tuple[WinRow, ...]:
    """Return for each of LATENCIES_MS how many windows lasted at least so long. No window: a share of 0."""
    lengths = windows[:, 3] - windows[:, 2]
    rows = []
    for latency_ms in LATENCIES_MS:
        lasted = int(np.count_nonzero(lengths >= latency_ms * NS_PER_MS))
        rows.append(WinRow(latency_ms=latency_ms, windows=lasted, share=lasted / max(len(windows), 1)))
    return tuple(rows)


def edges(windows: Windows) -> tuple[BinRow, ...]:
    """Return the windows by their peak net edge; bins without a window at either end are left out."""
    if not len(windows):
        return ()
    peaks = windows[:, 4] / _PPT_PER_BPS
    seconds = (windows[:, 3] - windows[:, 2]) / NS_PER_S
    at = np.clip(np.searchsorted(np.array(EDGES_BPS), peaks, side="right") - 1, 0, len(EDGES_BPS) - 1)
    counts = np.bincount(at, minlength=len(EDGES_BPS))
    lasted = np.bincount(at, weights=seconds, minlength=len(EDGES_BPS))
    first, last = int(at.min()), int(at.max())
    highs = (*EDGES_BPS[1:], max(float(peaks.max()), EDGES_BPS[-1]))
    return tuple(
        BinRow(
            edge_net_bps_low=EDGES_BPS[one],
            edge_net_bps_high=highs[one],
            windows=int(counts[one]),
            seconds=round(float(lasted[one]), 6),
        )
        for one in range(first, last + 1)
    )


def by_route(windows: Windows, instrument: Callable[[int], Instrument]) -> Iterator[tuple[Route, RouteWindows]]:
    """Yield every ordered pair of books that had a window, in the order of the books."""
    if not len(windows):
        return
    pairs, which = np.unique(windows[:, :2], axis=0, return_inverse=True)
    lengths_ms = (windows[:, 3] - windows[:, 2]) / NS_PER_MS
    for number, (buy, sell) in enumerate(pairs.tolist()):
        mine = lengths_ms[which.reshape(-1) == number]
        bought, sold = instrument(buy), instrument(sell)
        yield (bought.venue, sold.venue, bought.symbol), RouteWindows(len(mine), round(float(np.median(mine)), 6))


def best_edges(seen: Sequence[Best], instrument: Callable[[int], Instrument]) -> tuple[BestRow, ...]:
    """Return the best net edge at the touch that each route ever had, open or not, the best first."""
    rows = (
        BestRow(
            buy_venue=instrument(buy).venue,
            sell_venue=instrument(sell).venue,
            symbol=instrument(buy).symbol,
            edge_net_bps=Decimal(edge).scaleb(-_PPT_PER_BPS_LOG10),
            ts_ns=ts_ns,
        )
        for buy, sell, edge, ts_ns in seen
    )
    return tuple(sorted(rows, key=lambda row: -row.edge_net_bps))
