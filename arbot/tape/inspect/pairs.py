"""What two venues' quotes of one base asset look like beside each other: the definitions stand in states.py.

Time is counted, not rows. A pair of unlike quote assets, or with a future in it, differs by conversion or basis: it gets
a class of its own, and is compared only when asked for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from arbot.market.stream import Column
from arbot.tape.inspect.histogram import weighted_percentiles
from arbot.tape.inspect.quotes import QuoteSeries
from arbot.tape.inspect.states import Floats, pair_states, windows
from arbot.tape.schema import Market

THRESHOLDS_BPS = (0.0, 10.0, 25.0, 50.0, 100.0)
EDGE_SHARES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)
_S = 1_000_000_000
_HOUR = 3600.0 * _S


class WindowStats(msgspec.Struct, frozen=True, kw_only=True):
    """Windows of one direction, or of both: runs of time with the edge strictly above a threshold."""

    windows: int
    time_share: float  # of the valid time
    median_s: float  # NaN without windows
    longest_s: float


class ThresholdStats(msgspec.Struct, frozen=True, kw_only=True):
    """What there was above one threshold. `turns` counts how often the direction of the windows changed."""

    above_bps: float
    both: WindowStats
    sell_a: WindowStats  # sell on A, buy on B
    sell_b: WindowStats
    turns: int


class FreshShare(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a pair under one freshness limit."""

    fresh_s: float
    usable_share: float  # of the time that both series cover
    above_shares: tuple[float, ...]  # of the usable time, at THRESHOLDS_BPS
    valid_h: float


class PairStats(msgspec.Struct, frozen=True, kw_only=True):
    """One pair of venues. Percentiles are weighted by time; `edge` is that of the better direction."""

    a: str
    b: str
    base: str
    pair_class: str
    is_comparable: bool  # one quote asset, one kind of market
    fresh_s: float
    overlap_h: float
    valid_h: float
    usable_share: float
    mid_diff_bps: dict[str, float]  # p1 p50 p99
    mid_above_share: float  # of the time with A's mid above B's; the rest is equal or below
    mid_below_share: float
    edge_bps: dict[str, float]  # p1 p5 p25 p50 p75 p95 p99 max
    above: tuple[ThresholdStats, ...]
    by_fresh: tuple[FreshShare, ...]
    older_age_median_s: float  # of the older quote, at each change of either


class States(NamedTuple):
    """States of a pair; see states.py."""

    starts: Column
    lasts: Column
    e1: Floats
    e2: Floats
    mid: Floats

    @property
    def valid_ns(self) -> int:
        """How long the two could be compared."""
        return int(self.lasts.sum())


def states_of(a: QuoteSeries, b: QuoteSeries, fresh_ns: int) -> States:
    """Return the states of a pair under a freshness limit of touch.COALESCE_NS or more."""
    room = 2 * (len(a.ts_ns) + len(b.ts_ns)) + 4
    columns = (np.empty(room, np.int64), np.empty(room, np.int64), *(np.empty(room) for _ in range(3)))
    count = 0
    if len(a.ts_ns) and len(b.ts_ns):
        count = pair_states(a.ts_ns, a.seen_ns, *a.prices, b.ts_ns, b.seen_ns, *b.prices, fresh_ns, *columns)
    return States(*(column[:count] for column in columns))


def pair_stats(a: QuoteSeries, b: QuoteSeries, fresh_s: float, limits_s: Sequence[float] = ()) -> PairStats:
    """Return the statistics of a pair under a freshness limit, and what is left of it under others."""
    states = states_of(a, b, round(fresh_s * _S))
    valid_ns = states.valid_ns
    better = np.maximum(states.e1, states.e2)
    edges = weighted_percentiles(better, states.lasts, EDGE_SHARES)
    names = [f"p{round(100 * share)}" for share in EDGE_SHARES]
    has_weight = states.lasts > 0
    mids = weighted_percentiles(states.mid, states.lasts, (0.01, 0.5, 0.99))
    fresh = {limit: states_of(a, b, round(limit * _S)) for limit in limits_s if limit != fresh_s}
    fresh[fresh_s] = states
    covered_ns = overlap_ns(a, b)
    return PairStats(
        a=a.name,
        b=b.name,
        base=str(a.instrument.base),
        pair_class=pair_class(a, b),
        is_comparable=is_comparable(a, b),
        fresh_s=fresh_s,
        overlap_h=covered_ns / _HOUR,
        valid_h=valid_ns / _HOUR,
        usable_share=_share(valid_ns, covered_ns),
        mid_diff_bps=dict(zip(("p1", "p50", "p99"), mids, strict=True)),
        mid_above_share=_share(int(states.lasts[states.mid > 0].sum()), valid_ns),
        mid_below_share=_share(int(states.lasts[states.mid < 0].sum()), valid_ns),
        edge_bps={
            **dict(zip(names, edges, strict=True)),
            "max": float(better[has_weight].max()) if has_weight.any() else math.nan,
        },
        above=tuple(threshold_stats(states, above) for above in THRESHOLDS_BPS),
        by_fresh=tuple(fresh_share(fresh[limit], limit, covered_ns) for limit in sorted(fresh)),
        older_age_median_s=older_age_median_s(a, b),
    )


def threshold_stats(states: States, above_bps: float) -> ThresholdStats:
    """Return windows and shares above one threshold."""
    room = len(states.starts)
    found: list[tuple[Column, Column]] = []
    for edge in (states.e1, states.e2):
        starts, lasts = np.empty(room, np.int64), np.empty(room, np.int64)
        count = windows(states.starts, states.lasts, edge, above_bps, starts, lasts)
        found.append((starts[:count], lasts[:count]))
    valid_ns = states.valid_ns
    directions = np.repeat([0, 1], [len(starts) for starts, _ in found])
    order = np.argsort(np.concatenate([starts for starts, _ in found]), kind="stable")
    return ThresholdStats(
        above_bps=above_bps,
        both=_window_stats(np.concatenate([lasts for _, lasts in found]), valid_ns),
        sell_a=_window_stats(found[0][1], valid_ns),
        sell_b=_window_stats(found[1][1], valid_ns),
        turns=int(np.count_nonzero(np.diff(directions[order]))),
    )


def fresh_share(states: States, fresh_s: float, covered_ns: int) -> FreshShare:
    """Return what is left under a freshness limit."""
    valid_ns = states.valid_ns
    above = tuple(
        _share(sum(int(states.lasts[edge > bps].sum()) for edge in (states.e1, states.e2)), valid_ns)
        for bps in THRESHOLDS_BPS
    )
    return FreshShare(
        fresh_s=fresh_s,
        usable_share=_share(valid_ns, covered_ns),
        above_shares=above,
        valid_h=valid_ns / _HOUR,
    )


def overlap_ns(a: QuoteSeries, b: QuoteSeries) -> int:
    """Return how long both series run."""
    if not len(a.ts_ns) or not len(b.ts_ns):
        return 0
    return max(0, int(min(a.seen_ns[-1], b.seen_ns[-1])) - int(max(a.ts_ns[0], b.ts_ns[0])))


def older_age_median_s(a: QuoteSeries, b: QuoteSeries) -> float:
    """Return the median age of the older quote at each change of either, in the time both series cover."""
    if not overlap_ns(a, b):
        return math.nan
    begin = max(a.ts_ns[0], b.ts_ns[0])
    end = min(a.seen_ns[-1], b.seen_ns[-1])
    grid = np.unique(np.concatenate([a.ts_ns, b.ts_ns]))
    grid = grid[(grid >= begin) & (grid <= end)]
    ages = [np.maximum(grid - one.seen_ns[np.searchsorted(one.ts_ns, grid, "right") - 1], 0) for one in (a, b)]
    return float(np.median(np.maximum(*ages))) / _S


def pair_class(a: QuoteSeries, b: QuoteSeries) -> str:
    """Return what is compared: "USDT", "USD-USDT", "USDT-perp USD" and the like, the smaller word first."""
    words = [
        str(one.instrument.quote) if one.market is Market.SPOT else f"perp {one.instrument.quote}" for one in (a, b)
    ]
    return "-".join(sorted(words))


def is_comparable(a: QuoteSeries, b: QuoteSeries) -> bool:
    """Return whether a price difference is one of venues alone: one quote asset, one kind of market."""
    return a.instrument.quote == b.instrument.quote and a.market is b.market


def pairs_of(
    series: Iterable[QuoteSeries], is_wanted: Callable[[QuoteSeries, QuoteSeries], bool]
) -> list[tuple[QuoteSeries, QuoteSeries]]:
    """Return the pairs of different venues of one base asset, in order of name."""
    ordered = sorted(series, key=lambda one: (one.instrument.base, one.instrument.venue, one.name))
    return [
        (a, b)
        for a, b in itertools.combinations(ordered, 2)
        if a.instrument.base == b.instrument.base and a.instrument.venue != b.instrument.venue and is_wanted(a, b)
    ]


def _window_stats(lasts: Column, valid_ns: int) -> WindowStats:
    return WindowStats(
        windows=len(lasts),
        time_share=_share(int(lasts.sum()), valid_ns),
        median_s=float(np.median(lasts)) / _S if len(lasts) else math.nan,
        longest_s=float(lasts.max()) / _S if len(lasts) else math.nan,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
