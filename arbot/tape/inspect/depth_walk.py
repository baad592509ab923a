"""What walking the depth of a group of venues would have come to, look by look: an upper bound that nobody earns.

At every point of a grid, for every ordered pair of the group, asks of one are bought and sold into the bids of the
other, level by level, while bid * (1 - c/2) > ask * (1 + c/2), with c the cost of the round trip; the pair with the
largest profit counts. A quote counts while its age is at most the freshness limit. There is no latency and no rival,
and the same liquidity is counted again at every look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market.compiled import compiled
from arbot.market.stream import Column

Ladder = NDArray[np.float64]
"""One side over time, shape (snapshots, 2 * levels): price, size, price, size, best first; 0 where there is no level."""


class Depth(NamedTuple):
    """Snapshots of one venue's book in order of time."""

    ts_ns: Column
    bids: Ladder
    asks: Ladder


class WalkStats(msgspec.Struct, frozen=True, kw_only=True):
    """What one cost leaves; money in quote."""

    cost_bps: float
    looks: int
    looks_with_profit: int
    notional_median: float
    notional_p90: float
    profit_median: float
    profit_max: float
    profit_sum: float


_floats = types.float64[::1]


@compiled(types.void(_floats, _floats, types.float64, _floats))
def take_levels(bids: Ladder, asks: Ladder, cost: float, out: Ladder) -> None:
    """Set (profit, notional) of buying the asks and selling into the bids while it pays after cost."""
    out[0], out[1] = 0.0, 0.0
    i, j = 0, 0
    bid_left = bids[1] if len(bids) else 0.0
    ask_left = asks[1] if len(asks) else 0.0
    while i + 1 < len(bids) and j + 1 < len(asks) and bids[i] > 0 and asks[j] > 0:
        gets, pays = bids[i] * (1 - cost / 2), asks[j] * (1 + cost / 2)
        if gets <= pays:
            return
        size = min(bid_left, ask_left)
        out[0] += size * (gets - pays)
        out[1] += size * asks[j]
        bid_left -= size
        ask_left -= size
        if bid_left <= 0:
            i += 2
            bid_left = bids[i + 1] if i + 1 < len(bids) else 0.0
        if ask_left <= 0:
            j += 2
            ask_left = asks[j + 1] if j + 1 < len(asks) else 0.0


def walk_depth(venues: Sequence[Depth], costs_bps: Sequence[float], *, step_ns: int, fresh_ns: int) -> list[WalkStats]:
    """Return, for each cost, what the best ordered pair at each look would have come to.

    The grid runs every `step_ns` from the latest first snapshot to before the earliest last one.
    """
    grid = np.arange(max(venue.ts_ns[0] for venue in venues), min(venue.ts_ns[-1] for venue in venues), step_ns)
    at = [np.searchsorted(venue.ts_ns, grid, "right") - 1 for venue in venues]
    is_fresh = [grid - venue.ts_ns[rows] <= fresh_ns for venue, rows in zip(venues, at, strict=True)]
    taken = np.zeros(2)
    stats = []
    for cost_bps in costs_bps:
        best = np.zeros((len(grid), 2))
        for look in range(len(grid)):
            usable = [one for one in range(len(venues)) if is_fresh[one][look]]
            for buy in usable:
                for sell in usable:
                    if buy != sell:
                        bids, asks = venues[sell].bids[at[sell][look]], venues[buy].asks[at[buy][look]]
                        take_levels(bids, asks, cost_bps / 1e4, taken)
                        if taken[0] > best[look, 0]:
                            best[look] = taken
        stats.append(_walk_stats(best, cost_bps))
    return stats


def _walk_stats(best: NDArray[np.float64], cost_bps: float) -> WalkStats:
    won = best[best[:, 0] > 0]
    profit, notional = (won[:, 0], won[:, 1]) if len(won) else (np.array([np.nan]), np.array([np.nan]))
    return WalkStats(
        cost_bps=cost_bps,
        looks=len(best),
        looks_with_profit=len(won),
        notional_median=float(np.median(notional)),
        notional_p90=float(np.percentile(notional, 90)),
        profit_median=float(np.median(profit)),
        profit_max=float(profit.max()),
        profit_sum=float(won[:, 0].sum()),
    )
