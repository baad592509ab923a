"""Faults that one stream of quotes or prints shows by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import Severity
from arbot.tape.inspect import touch
from arbot.tape.inspect.rules.evidence import Evidence, Found, Stream, utc
from arbot.tape.inspect.series import SeriesStats, is_regular
from arbot.tape.schema import Clocks, Content, Market

CONSTANT_MIN = 100  # quotes
NEARLY_ALL = 0.99
ORDER_ERROR_SHARE = 0.001
ROUND_ROWS = 10_000
REPEATS_SHARE = 0.3
_SAY_MARKET = "import again with --market spot, --market linear or --market inverse"
_NO_SPOT = "a backtest leaves it out"


def crossed(evidence: Evidence) -> Iterator[Found]:
    """Find bids above asks on one venue."""
    for _, stats in evidence.quoted:
        if stats.crossed:
            yield Found(
                stats.name,
                f"bid above ask in {stats.crossed} of {stats.quotes} quotes, by up to {stats.crossed_max_bps:.1f} bps, "
                f"{stats.crossed_run_max} in a row, {utc(stats.crossed_first_ns)} to {utc(stats.crossed_last_ns)}",
                stats.crossed, stats.crossed / stats.quotes, stats.crossed_first_ns, stats.crossed_last_ns,
            )  # fmt: skip


def locked(evidence: Evidence) -> Iterator[Found]:
    """Find bids equal to asks on one venue."""
    for _, stats in evidence.quoted:
        if stats.locked:
            yield _whole(stats, f"bid equals ask in {stats.locked} of {stats.quotes} quotes", stats.locked)


def zero_price(evidence: Evidence) -> Iterator[Found]:
    """Find quotes without a bid or an ask above zero."""
    for _, stats in evidence.quoted:
        if stats.missing:
            words = f"no bid or no ask above zero in {stats.missing} of {stats.quotes} quotes"
            is_book = stats.content is Content.BOOK  # a book may well be one-sided for a moment
            severity = Severity.INFO if is_book and stats.missing < 0.01 * stats.quotes else None
            yield _whole(stats, words, stats.missing)._replace(severity=severity)


def constant(evidence: Evidence) -> Iterator[Found]:
    """Find streams and bars whose price never moves."""
    for _, stats in evidence.streams:
        if stats.quotes >= CONSTANT_MIN and stats.changes == 0:
            yield _whole(stats, f"one and the same quote in all {stats.quotes} messages", stats.quotes)
    for _, bars in evidence.bars:
        if bars.rows >= CONSTANT_MIN and bars.closes == 1:
            words = f"one and the same close in all {bars.rows} bars"
            yield Found(bars.name, words, bars.rows, 1.0, bars.first_ts_ns, bars.last_ts_ns)


def gap(evidence: Evidence) -> Iterator[Found]:
    """Find stretches without a message, and bars that are not there."""
    for _, stats in evidence.streams:
        if stats.gaps:
            worst = stats.gaps_longest[0]
            missing = (
                f"; {stats.steps_missing} steps of {stats.step_median_s:g} s missing" if stats.steps_missing else ""
            )
            yield Found(
                stats.name,
                f"{stats.gaps} gaps over {stats.gap_min_s:g} s, the longest {worst.length_s:.0f} s "
                f"from {utc(worst.start_ns)}{missing}",
                stats.gaps, _share(stats.gaps_s, stats.window_h * 3600), worst.start_ns, worst.end_ns,
            )  # fmt: skip
    for _, bars in evidence.bars:
        if bars.bars_missing:
            worst = bars.gaps_longest[0]
            yield Found(
                bars.name,
                f"{bars.bars_missing} bars missing, the longest step {bars.step_max_s:.0f} s from {utc(worst.start_ns)}",
                bars.bars_missing, _share(bars.bars_missing, bars.rows + bars.bars_missing),
                worst.start_ns, worst.end_ns,
            )  # fmt: skip


def whole_seconds(evidence: Evidence) -> Iterator[Found]:
    """Find clocks that were cut to seconds."""
    for _, stats in evidence.streams:
        is_by_minute = math.isclose(stats.step_median_s % 60, 0, abs_tol=1e-9) and stats.step_median_s > 0
        if stats.quotes > 1 and stats.whole_second_share >= NEARLY_ALL and not is_by_minute:
            words = (
                f"{100 * stats.whole_second_share:.0f} % of the stamps are whole seconds: order is known to 1-2 s only"
            )
            yield _whole(stats, words, stats.quotes)


def clock_behind(evidence: Evidence) -> Iterator[Found]:
    """Find receive clocks that run behind the venue's."""
    for _, stats in evidence.streams:
        if has_venue_clock(stats) and stats.lag_ms["p50"] < 0:
            p1, p50, p99 = (stats.lag_ms[name] for name in ("p1", "p50", "p99"))
            yield _whole(
                stats, f"received before it was sent: p1 {p1:.0f}, p50 {p50:.0f}, p99 {p99:.0f} ms", stats.quotes
            )


def no_exchange_time(evidence: Evidence) -> Iterator[Found]:
    """Find streams with one clock only."""
    for _, stats in evidence.streams:
        if stats.quotes and not has_venue_clock(stats):
            if stats.clocks is Clocks.VENUE_ONLY:
                words = "only the venue's time is recorded: nothing is known about delays"
            else:
                words = "no time of the venue, or one that repeats the receive time"
            yield _whole(stats, words, stats.quotes)


def has_venue_clock(stats: SeriesStats) -> bool:
    """Return whether a stream has a venue time beside the receive time."""
    return (
        stats.clocks is Clocks.BOTH
        and stats.has_venue_share > 1 - NEARLY_ALL
        and not stats.venue_is_recv_share > NEARLY_ALL
    )


def order(evidence: Evidence) -> Iterator[Found]:
    """Find messages out of order of time, and exact repeats at one time."""
    for _, stats in evidence.streams:
        count = stats.falls + stats.identical
        if count:
            words = f"{stats.falls} messages out of order of time, {stats.identical} exact repeats"
            severity = Severity.ERROR if count > ORDER_ERROR_SHARE * stats.quotes else Severity.INFO
            yield _whole(stats, words, count)._replace(severity=severity)


def trade_time(evidence: Evidence) -> Iterator[Found]:
    """Find venue stamps that stand still while the quote changes: the time of the last trade."""
    for _, stats in evidence.quoted:
        is_cut = stats.whole_second_share >= NEARLY_ALL  # stands still for a second because it was cut to seconds
        if (
            has_venue_clock(stats)
            and not is_cut
            and stats.changes >= CONSTANT_MIN
            and stats.changes_same_stamp > stats.changes / 2
        ):
            words = (
                f"the venue's stamp stood still in {stats.changes_same_stamp} of {stats.changes} changes of the quote"
            )
            yield _whole(stats, words, stats.changes_same_stamp)


def bar_label(evidence: Evidence) -> Iterator[Found]:
    """Find bars, and quotes sampled at one moment of each minute."""
    for _, bars in evidence.bars:
        words = f"stamped with the start of {bars.bar_s:g} s: known only when they end"
        yield Found(bars.name, words, bars.rows, 1.0, bars.first_ts_ns, bars.last_ts_ns)
    for _, stats in evidence.streams:
        if is_regular(stats) and stats.quotes >= CONSTANT_MIN:
            words = f"every quote stands at second {stats.minute_phase_s:.3f} of a minute: a sample, not a feed"
            yield _whole(stats, words, stats.quotes)


def contract_size(evidence: Evidence) -> Iterator[Found]:
    """Find sizes that are contracts."""
    for _, stats in evidence.streams:
        if stats.market is Market.UNKNOWN and not stats.contract_size:
            words = "nothing says whether this is spot or a derivative, and whether its sizes are contracts"
            yield _whole(stats, words, stats.quotes)._replace(remedy=_SAY_MARKET)
        elif stats.market is Market.INVERSE and not stats.contract_size:
            words = "the market is inverse, and what a contract is worth is not known"
            yield _whole(stats, words, stats.quotes)
        elif stats.market is Market.INVERSE:
            words = f"inverse: sizes are contracts of {stats.contract_size}, not {stats.base}"
            yield _whole(stats, words, stats.quotes)._replace(severity=Severity.INFO, remedy=_NO_SPOT)
        elif stats.market is Market.LINEAR and not stats.contract_size:
            words = f"a future: taken to be sized in {stats.base}, which its source does not prove"
            yield _whole(stats, words, stats.quotes)._replace(severity=Severity.INFO)


def delta_before_snapshot(evidence: Evidence) -> Iterator[Found]:
    """Find changes of a book that came before any snapshot of it."""
    for _, stats in evidence.quoted:
        if stats.deltas_without_snapshot:
            count = stats.deltas_without_snapshot
            severity = Severity.ERROR if not stats.snapshots else Severity.INFO
            yield _whole(stats, f"{count} changes of a book without a snapshot, left out", count)._replace(
                severity=severity
            )


def frozen(evidence: Evidence) -> Iterator[Found]:
    """Find quotes that stand still while another venue's mid moves by more than the spread here, and repeated polls."""
    for stream in evidence.quoted:
        runs, stats = stream.walked.runs, stream.stats
        if stats.changes == 0:
            continue
        moved = np.flatnonzero(_moved_elsewhere(stream, evidence))
        is_repeating = (
            stats.quotes >= CONSTANT_MIN and stats.deltas == 0 and stats.repeats > REPEATS_SHARE * stats.quotes
        )
        if not len(moved) and not is_repeating:
            continue
        words = f"{stats.repeats} of {stats.quotes} messages repeat the best quote before"
        first, last = stats.first_ts_ns, stats.last_ts_ns
        if len(runs.repeats):
            worst = int(np.argmax(runs.repeats))
            repeats, first, last = (int(column[worst]) for column in (runs.repeats, runs.first_ns, runs.last_ns))
            words += f", at the longest {repeats} in a row over {(last - first) / 1e9:.0f} s, to {utc(last)}"
        if len(moved):
            words += f"; {len(moved)} times it stood still while another venue moved by more than the spread here"
        yield Found(stats.name, words, stats.repeats, stats.repeats / stats.quotes, first, last)


def _moved_elsewhere(stream: Stream, evidence: Evidence) -> NDArray[np.bool_]:
    """Return, for each run of a stream, whether some venue's mid of the base moved by more than the spread meanwhile.

    Ten messages of a feed of changes are no ten polls: with such a feed only runs of a minute count.
    """
    runs, stats = stream.walked.runs, stream.stats
    moved = np.zeros(len(runs.repeats), bool)
    is_long = runs.last_ns - runs.first_ns >= touch.RUN_NS_MIN
    counts = is_long | (stats.deltas == 0)
    for other in evidence.quoted:
        if other.stats.base != stats.base or other.stats.venue == stats.venue:
            continue
        series = other.walked.series
        bid, ask = series.prices
        mids = np.where((bid > 0) & (ask > 0), (bid + ask) / 2, np.nan)
        starts = np.searchsorted(series.ts_ns, runs.first_ns, "right") - 1
        stops = np.searchsorted(series.ts_ns, runs.last_ns, "right")
        for at in np.flatnonzero(counts & ~moved & (starts >= 0)):
            seen = mids[starts[at] : stops[at]]
            if np.isfinite(seen[0]):
                moved[at] = np.nanmax(np.abs(seen / seen[0] - 1)) * 1e4 > stats.spread_median_bps
    return moved


def truncated(evidence: Evidence) -> Iterator[Found]:
    """Find streams that end well before others of their base, and row counts that look like a cap."""
    for stream in evidence.streams:
        stats = stream.stats
        others = [other.stats for other in evidence.streams if other.stats.base == stats.base]
        longest_ns = max(other.last_ts_ns for other in others) - min(other.first_ts_ns for other in others)
        early_ns = max(other.last_ts_ns for other in others) - stats.last_ts_ns
        if early_ns > 0.05 * longest_ns and early_ns > 5e9:
            yield _whole(stats, f"ends {early_ns / 1e9:.0f} s before another series of {stats.base}", stats.quotes)
        elif stats.quotes and stats.quotes % ROUND_ROWS == 0:
            yield _whole(stats, f"exactly {stats.quotes} messages: a file cut at a number of rows?", stats.quotes)


def _whole(stats: SeriesStats, detail: str, count: int) -> Found:
    """Return a finding about the whole of a series."""
    share = count / stats.quotes if stats.quotes else 0.0
    return Found(stats.name, detail, count, min(share, 1.0), stats.first_ts_ns, stats.last_ts_ns)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
