"""What bars look like, and what the closes of two venues look like beside each other.

Nothing here can be executed: a close is a trade at an unknown moment of its bar, and the difference of two closes is
two such trades.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np

from arbot.market.stream import Column
from arbot.tape.inspect.quotes import Prices
from arbot.tape.inspect.series import Gap, gaps_of
from arbot.tape.schema import TapeMeta

_S = 1e9
_DAY_NS = 86_400e9
_SHARES = (1, 50, 99)


class BarSeries(NamedTuple):
    """Bars of one market in order of time, integers at the instrument's decimals."""

    meta: TapeMeta
    start_ns: Column
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    @property
    def name(self) -> str:
        """The series as findings call it."""
        return f"{self.meta.instrument.id} bars"

    def priced(self, column: Column) -> Prices:
        """Return a column of prices as floats."""
        prices: Prices = column / 10.0**self.meta.instrument.price_decimals
        return prices


class BarStats(msgspec.Struct, frozen=True, kw_only=True):
    """One series of bars."""

    name: str
    venue: str
    base: str
    quote: str
    bar_s: float
    rows: int
    first_ts_ns: int
    last_ts_ns: int
    bars_missing: int
    step_max_s: float
    gaps_longest: tuple[Gap, ...]
    zero_volume: int
    volume_per_day: float
    closes: int  # distinct


class BarPairStats(msgspec.Struct, frozen=True, kw_only=True):
    """Closes of two venues in the same bars, those without volume left out: (a / b - 1) * 10**4. Not executable."""

    a: str
    b: str
    base: str
    bars: int
    diff_bps: dict[str, float]  # p1 p50 p99
    largest_bps: float  # of the absolute difference, as the next two
    above_10_share: float
    above_25_share: float
    above_share: float  # of the bars with A above B
    below_share: float


def bar_stats(bars: BarSeries) -> BarStats:
    """Return the statistics of one series of bars."""
    instrument, bar_ns = bars.meta.instrument, bars.meta.bar_ns
    steps = np.diff(bars.start_ns)
    volume = bars.volume.sum() / 10.0**instrument.qty_decimals
    span_ns = int(bars.start_ns[-1] - bars.start_ns[0]) + bar_ns if len(bars.start_ns) else 0
    gaps = gaps_of(bars.start_ns, bars.start_ns, bar_ns)
    return BarStats(
        name=bars.name,
        venue=str(instrument.venue),
        base=str(instrument.base),
        quote=str(instrument.quote),
        bar_s=bar_ns / _S,
        rows=len(bars.start_ns),
        first_ts_ns=int(bars.start_ns[0]) if len(steps) else 0,
        last_ts_ns=int(bars.start_ns[-1]) if len(steps) else 0,
        bars_missing=int(np.maximum(steps // max(bar_ns, 1) - 1, 0).sum()),
        step_max_s=float(steps.max()) / _S if len(steps) else 0.0,
        gaps_longest=tuple(sorted(gaps, key=lambda gap: gap.start_ns - gap.end_ns)[:10]),
        zero_volume=int(np.count_nonzero(bars.volume == 0)),
        volume_per_day=float(volume) / (span_ns / _DAY_NS) if span_ns else 0.0,
        closes=len(np.unique(bars.close)),
    )


def joined(a: BarSeries, b: BarSeries) -> tuple[Column, Column]:
    """Return the rows of both whose bars start together."""
    _, in_a, in_b = np.intersect1d(a.start_ns, b.start_ns, assume_unique=False, return_indices=True)
    return in_a, in_b


def bar_pair_stats(a: BarSeries, b: BarSeries) -> BarPairStats:
    """Return how far the closes of two venues lay apart. The threshold shares are of the absolute difference."""
    in_a, in_b = joined(a, b)
    has_volume = (a.volume[in_a] > 0) & (b.volume[in_b] > 0)
    in_a, in_b = in_a[has_volume], in_b[has_volume]
    diff = (a.priced(a.close[in_a]) / b.priced(b.close[in_b]) - 1.0) * 1e4
    if not len(diff):
        diff = np.array([np.nan])
    return BarPairStats(
        a=a.name,
        b=b.name,
        base=str(a.meta.instrument.base),
        bars=len(in_a),
        diff_bps={f"p{share}": float(np.percentile(diff, share)) for share in _SHARES},
        largest_bps=float(np.abs(diff).max()),
        above_10_share=float(np.mean(np.abs(diff) > 10)),
        above_25_share=float(np.mean(np.abs(diff) > 25)),
        above_share=float(np.mean(diff > 0)),
        below_share=float(np.mean(diff < 0)),
    )


def bar_pairs_of(bars: Iterable[BarSeries]) -> list[tuple[BarSeries, BarSeries]]:
    """Return the pairs of different venues with the same symbol and bar length, in order of name."""
    ordered = sorted(bars, key=lambda one: one.name)
    return [
        (a, b)
        for a, b in itertools.combinations(ordered, 2)
        if a.meta.instrument.symbol == b.meta.instrument.symbol
        and a.meta.instrument.venue != b.meta.instrument.venue
        and a.meta.bar_ns == b.meta.bar_ns
    ]
