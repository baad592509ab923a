"""The compiled half of the pair statistics: when two series can be compared, and for how long an edge stood.

The grid of a pair is the union of both series' times from the later first to the earlier last. At each grid time the
last quote of each series counts. The state holds until the next grid time, or until a quote is older than the freshness
limit, whichever is first; with a missing price it has weight 0. Edges in bps, without fees:
e1 = (bid_a / ask_b - 1) * 10**4 (sell on A, buy on B), e2 = (bid_b / ask_a - 1) * 10**4.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market.compiled import compiled
from arbot.market.stream import Column

Floats = NDArray[np.float64]

_i8 = types.int64
_f8 = types.float64
_col = types.int64[::1]
_floats = types.float64[::1]

BPS = 1e4


@compiled(_i8(_col, _col, _floats, _floats, _col, _col, _floats, _floats, _i8, _col, _col, _floats, _floats, _floats))
def pair_states(  # noqa: PLR0917
    ts_a: Column, seen_a: Column, bid_a: Floats, ask_a: Floats, ts_b: Column, seen_b: Column, bid_b: Floats,
    ask_b: Floats, fresh_ns: int, starts: Column, lasts: Column, e1: Floats, e2: Floats, mid: Floats,
) -> int:  # fmt: skip
    """Fill the states of a pair and return how many there are. A state that lasts 0 breaks every window.

    The outputs have room for twice the points of both series: a state whose quote expires is followed by one of 0.
    """
    begin = max(ts_a[0], ts_b[0])
    end = min(seen_a[-1], seen_b[-1])
    i, j, count = 0, 0, 0
    while i + 1 < len(ts_a) and ts_a[i + 1] <= begin:
        i += 1
    while j + 1 < len(ts_b) and ts_b[j + 1] <= begin:
        j += 1
    now = begin
    while now < end:
        until = end
        if i + 1 < len(ts_a):
            until = min(until, ts_a[i + 1])
        if j + 1 < len(ts_b):
            until = min(until, ts_b[j + 1])
        stop = min(until, seen_a[i] + fresh_ns, seen_b[j] + fresh_ns)
        has_prices = bid_a[i] > 0 and ask_a[i] > 0 and bid_b[j] > 0 and ask_b[j] > 0
        if stop > now and has_prices:
            starts[count], lasts[count] = now, stop - now
            e1[count] = (bid_a[i] / ask_b[j] - 1.0) * BPS
            e2[count] = (bid_b[j] / ask_a[i] - 1.0) * BPS
            mid[count] = ((bid_a[i] + ask_a[i]) / (bid_b[j] + ask_b[j]) - 1.0) * BPS
            count += 1
        if stop < until or not has_prices:
            starts[count], lasts[count] = max(stop, now), 0
            e1[count], e2[count], mid[count] = 0.0, 0.0, 0.0
            count += 1
        now = until
        if i + 1 < len(ts_a) and ts_a[i + 1] == now:
            i += 1
        if j + 1 < len(ts_b) and ts_b[j + 1] == now:
            j += 1
    return count


@compiled(_i8(_col, _col, _floats, _f8, _col, _col))
def windows(  # noqa: PLR0917
    starts: Column, lasts: Column, edge: Floats, above: float, out_starts: Column, out_lasts: Column
) -> int:
    """Fill start and length of every run of states with `edge` > `above`, and return how many there are."""
    count = 0
    is_open = False
    for state in range(len(starts)):
        if lasts[state] > 0 and edge[state] > above:
            if not is_open:
                out_starts[count] = starts[state]
                out_lasts[count] = 0
                is_open = True
                count += 1
            out_lasts[count - 1] += lasts[state]
        else:
            is_open = False
    return count


@compiled(types.void(_col, _col, _floats, _i8, _i8, _floats, _floats))
def bin_extremes(  # noqa: PLR0917
    starts: Column, lasts: Column, edge: Floats, begin: int, width: int, low: Floats, high: Floats
) -> None:
    """Set the least and the largest edge that stood in each bin of time; NaN where none did. Nothing is averaged."""
    low[:] = np.nan
    high[:] = np.nan
    for state in range(len(starts)):
        if lasts[state] <= 0:
            continue
        first = max((starts[state] - begin) // width, 0)
        last = min((starts[state] + lasts[state] - 1 - begin) // width, len(low) - 1)
        for at in range(first, last + 1):
            low[at] = edge[state] if np.isnan(low[at]) else min(low[at], edge[state])
            high[at] = edge[state] if np.isnan(high[at]) else max(high[at], edge[state])
