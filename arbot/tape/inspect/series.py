"""What one recorded stream looks like: coverage, rates, own spread, clocks, and how often it said nothing new."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np

from arbot.market.stream import Column
from arbot.tape.inspect import touch
from arbot.tape.inspect.histogram import percentiles
from arbot.tape.inspect.quotes import QuoteSeries, Walked
from arbot.tape.schema import Clocks, Content, Market

GAP_S = 60.0
GAP_STEPS_SLOW = 3.0  # of a recording with steps of GAP_S and more: that many of its own steps make a gap
_REGULAR_SHARE = 0.99
_S = 1e9
_MS = 1e6


class Gap(msgspec.Struct, frozen=True):
    """A stretch without any message: between which two, in ns."""

    start_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """How long it was."""
        return (self.end_ns - self.start_ns) / _S


class FrozenRun(msgspec.Struct, frozen=True):
    """A stretch in which best prices and sizes stood still over `repeats` further messages."""

    start_ns: int
    end_ns: int
    repeats: int


class SeriesStats(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. Shares are of the quotes (messages that leave a best bid and ask); NaN = nothing to measure."""

    name: str
    venue: str
    base: str
    quote: str
    market: Market
    contract_size: str
    content: Content
    clocks: Clocks
    source: str
    rows: int
    quotes: int
    snapshots: int
    deltas: int
    trades: int
    clears: int
    deltas_without_snapshot: int
    first_ts_ns: int
    last_ts_ns: int
    window_h: float
    quotes_per_s: float
    step_median_s: float
    step_max_s: float
    gap_min_s: float
    gaps: int
    gaps_s: float
    gaps_longest: tuple[Gap, ...]  # the ten longest
    steps_missing: int  # of a recording with one fixed step
    crossed: int
    crossed_max_bps: float
    crossed_run_max: int
    crossed_first_ns: int
    crossed_last_ns: int
    locked: int
    missing: int  # without a bid or an ask above zero
    repeats: int
    repeats_run_max: int
    runs_longest: tuple[FrozenRun, ...]  # the ten longest
    changes: int
    changes_same_stamp: int
    falls: int
    identical: int
    spread_median_bps: float
    spread_p99_bps: float
    lag_ms: dict[str, float]  # receive minus venue time: p1 p50 p99
    has_venue_share: float
    venue_is_recv_share: float
    whole_second_share: float  # of the clock that says more: the venue's where there is one
    minute_phase_share: float  # of the quotes at one and the same moment of the minute
    minute_phase_s: float
    depth: int


class Coverage(NamedTuple):
    """Where a stream has something: first and last message, and the gaps between them."""

    gap_min_ns: int
    gaps: tuple[Gap, ...]


def coverage(series: QuoteSeries, step_median_s: float, gap_s: float = GAP_S) -> Coverage:
    """Return the gaps of a series: over `gap_s`, of slow recordings over GAP_STEPS_SLOW of their own steps."""
    slow = step_median_s >= gap_s
    gap_min_ns = round((GAP_STEPS_SLOW * step_median_s if slow else gap_s) * _S)
    return Coverage(gap_min_ns, gaps_of(series.ts_ns, series.seen_ns, gap_min_ns))


def gaps_of(starts: Column, ends: Column, gap_min_ns: int) -> tuple[Gap, ...]:
    """Return every gap longer than that between the end of one stretch and the start of the next."""
    wide = np.flatnonzero(starts[1:] - ends[:-1] > gap_min_ns)
    return tuple(Gap(int(ends[at]), int(starts[at + 1])) for at in wide)


def series_stats(walked: Walked, gap_s: float = GAP_S) -> SeriesStats:
    """Return the statistics of one stream."""
    meta, series, counts = walked.meta, walked.series, walked.counts.tolist()
    steps, spreads, lags = (
        percentiles(walked.distributions[at], walked.distributions[at + 1], shares)
        for at, shares in ((touch.STEPS, (0.5,)), (touch.SPREADS, (0.5, 0.99)), (touch.LAGS, (0.01, 0.5, 0.99)))
    )
    step_median_s = steps[0] / _S
    covered = coverage(series, step_median_s, gap_s)
    quotes = counts[touch.QUOTES]
    has_venue = counts[touch.HAS_VENUE_TS]
    window_ns = counts[touch.LAST_TS] - counts[touch.FIRST_TS]
    whole = counts[touch.VENUE_WHOLE] / has_venue if has_venue else _share(counts[touch.RECV_WHOLE], quotes)
    gaps = sorted(covered.gaps, key=lambda gap: gap.start_ns - gap.end_ns)
    return SeriesStats(
        name=series.name,
        venue=str(meta.instrument.venue),
        base=str(meta.instrument.base),
        quote=str(meta.instrument.quote),
        market=meta.market,
        contract_size=meta.contract_size,
        content=meta.content,
        clocks=meta.clocks,
        source=meta.source,
        rows=counts[touch.ROWS],
        quotes=quotes,
        snapshots=counts[touch.SNAPSHOTS],
        deltas=counts[touch.DELTAS],
        trades=counts[touch.TRADES],
        clears=counts[touch.CLEARS],
        deltas_without_snapshot=counts[touch.UNSYNCED],
        first_ts_ns=counts[touch.FIRST_TS],
        last_ts_ns=counts[touch.LAST_TS],
        window_h=window_ns / _S / 3600,
        quotes_per_s=quotes / (window_ns / _S) if window_ns else 0.0,
        step_median_s=step_median_s,
        step_max_s=counts[touch.STEP_MAX] / _S,
        gap_min_s=covered.gap_min_ns / _S,
        gaps=len(gaps),
        gaps_s=sum(gap.length_s for gap in gaps),
        gaps_longest=tuple(gaps[:10]),
        steps_missing=_steps_missing(walked, step_median_s),
        crossed=counts[touch.CROSSED],
        crossed_max_bps=counts[touch.CROSSED_MOST] / touch.SPREAD_UNITS,
        crossed_run_max=counts[touch.CROSSED_RUN_MAX],
        crossed_first_ns=counts[touch.CROSSED_FIRST],
        crossed_last_ns=counts[touch.CROSSED_LAST],
        locked=0 if meta.content is Content.TRADES else counts[touch.LOCKED],
        missing=counts[touch.MISSING],
        repeats=counts[touch.REPEATS],
        repeats_run_max=_repeats_run_max(walked),
        runs_longest=_runs_longest(walked),
        changes=counts[touch.CHANGES],
        changes_same_stamp=counts[touch.CHANGES_SAME_STAMP],
        falls=counts[touch.FALLS],
        identical=counts[touch.IDENTICAL],
        spread_median_bps=spreads[0] / touch.SPREAD_UNITS,
        spread_p99_bps=spreads[1] / touch.SPREAD_UNITS,
        lag_ms=dict(zip(("p1", "p50", "p99"), (lag / _MS for lag in lags), strict=True)),
        has_venue_share=_share(has_venue, quotes),
        venue_is_recv_share=_share(counts[touch.VENUE_IS_RECV], quotes),
        whole_second_share=whole,
        minute_phase_share=_share(counts[touch.SAME_PHASE], quotes),
        minute_phase_s=counts[touch.MINUTE_PHASE] / _S,
        depth=meta.depth,
    )


def is_regular(stats: SeriesStats) -> bool:
    """Return whether every quote stands at one and the same moment of a minute, as a sampled recording's does."""
    return stats.quotes > 1 and stats.minute_phase_share >= _REGULAR_SHARE


def _steps_missing(walked: Walked, step_median_s: float) -> int:
    """Return how many steps a recording with one fixed step lacks; 0 for one without."""
    counts = walked.counts
    if counts[touch.SAME_PHASE] < _REGULAR_SHARE * counts[touch.QUOTES] or not step_median_s > 0:
        return 0
    gaps = walked.series.ts_ns[1:] - walked.series.seen_ns[:-1]
    return int(np.maximum(np.rint(gaps / (step_median_s * _S)) - 1, 0).sum())


def _repeats_run_max(walked: Walked) -> int:
    return int(walked.runs.repeats.max()) if len(walked.runs.repeats) else 0


def _runs_longest(walked: Walked) -> tuple[FrozenRun, ...]:
    runs = walked.runs
    order = np.argsort(runs.repeats, kind="stable")[::-1][:10]
    return tuple(FrozenRun(int(runs.first_ns[at]), int(runs.last_ns[at]), int(runs.repeats[at])) for at in order)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
