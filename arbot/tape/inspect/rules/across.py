"""Faults that show only when streams are laid beside each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from arbot.tape.importing.contract import Severity
from arbot.tape.inspect.pairs import PairStats
from arbot.tape.inspect.rules.evidence import Bars, Evidence, Found, Stream
from arbot.tape.inspect.series import is_regular

ALIAS_ROWS_MIN = 100
ALIAS_SHARE = 0.999
SHARED_STAMP_SHARE = 0.5
RETAIL_SPREADS = 20.0
RETAIL_SPREADS_STEADY = 3.0  # is enough where the spread is one and the same on RETAIL_BASES_MIN markets
RETAIL_BASES_MIN = 3
RETAIL_BPS_MIN = 100.0
RETAIL_LIKE = 1.25
RETAIL_OTHERS_MIN = 2  # of one other venue it could be said as well that it is the odd one
OFFSET_SHARE = 0.95
USABLE_SHARE_MIN = 0.5
PHASE_LIMITS_S = (1.0, 3.0, 6.0)


def alias(evidence: Evidence) -> Iterator[Found]:
    """Find one feed behind two names: equal quotes, or equal bars, at equal times."""
    for a, b in itertools.combinations(evidence.quoted, 2):
        if a.stats.name == b.stats.name:  # one recording's book and its best quotes
            continue
        yield from _alias(a.stats.name, b.stats.name, *_equal_quotes(a, b))
    for one, other in itertools.combinations(evidence.bars, 2):
        yield from _alias(one.stats.name, other.stats.name, *_equal_bars(one, other))


def _alias(a: str, b: str, equal: int, rows: int) -> Iterator[Found]:
    if rows >= ALIAS_ROWS_MIN and equal >= ALIAS_SHARE * rows:
        yield Found(f"{a}|{b}", f"the same in {equal} of {rows} rows: one feed behind two names", equal, equal / rows)


def _equal_quotes(a: Stream, b: Stream) -> tuple[int, int]:
    """Return (equal points, points) of two streams; the size of the touch is not compared, its moments are."""
    one, other = a.walked.series, b.walked.series
    if len(one.ts_ns) != len(other.ts_ns) or a.stats.changes == 0:
        return 0, 0
    (bid, ask), (other_bid, other_ask) = one.prices, other.prices
    return int(np.count_nonzero((one.ts_ns == other.ts_ns) & (bid == other_bid) & (ask == other_ask))), len(bid)


def _equal_bars(a: Bars, b: Bars) -> tuple[int, int]:
    """Return (equal bars, bars) of two series: open, close and volume. Bars that never move prove nothing."""
    one, other = a.series, b.series
    if not np.array_equal(one.start_ns, other.start_ns) or a.stats.closes == 1:
        return 0, 0
    equal = (one.priced(one.close) == other.priced(other.close)) & (one.priced(one.open) == other.priced(other.open))
    steps = (10.0**one.meta.instrument.qty_decimals, 10.0**other.meta.instrument.qty_decimals)
    equal &= one.volume / steps[0] == other.volume / steps[1]
    return int(np.count_nonzero(equal)), len(equal)


def shared_stamp(evidence: Evidence) -> Iterator[Found]:
    """Find venues polled in turn under one stamp."""
    for a, b in itertools.combinations(evidence.quoted, 2):
        if a.stats.venue == b.stats.venue or a.stats.base != b.stats.base or is_regular(a.stats):
            continue
        shorter = min(len(a.walked.series.ts_ns), len(b.walked.series.ts_ns))
        both = len(np.intersect1d(a.walked.series.ts_ns, b.walked.series.ts_ns))
        if shorter > 1 and both > SHARED_STAMP_SHARE * shorter:
            step_s = max(a.stats.step_median_s, b.stats.step_median_s)
            words = (
                f"{both} of {shorter} stamps are shared: the skew is unknown, up to the polling step of {step_s:.1f} s"
            )
            yield Found(f"{a.stats.name}|{b.stats.name}", words, both, both / shorter)


def phase_lag(evidence: Evidence) -> Iterator[Found]:
    """Find venues polled out of phase: how much of the time both quotes are fresh."""
    ordered = sorted(evidence.pairs, key=lambda pair: pair.base)
    for base, group in itertools.groupby(ordered, key=lambda pair: pair.base):
        pairs = list(group)
        limits = sorted({*PHASE_LIMITS_S, evidence.fresh_s})
        usable = {limit: _usable(limit, pairs) for limit in limits}
        if usable[PHASE_LIMITS_S[0]] >= USABLE_SHARE_MIN:
            continue
        told = ", ".join(f"{limit:g} s {100 * share:.1f} %" for limit, share in usable.items())
        age = float(np.median([pair.older_age_median_s for pair in pairs]))
        nothing = "; nothing can be proven at this freshness limit" if usable[evidence.fresh_s] == 0 else ""
        yield Found(
            base,
            f"both quotes of a pair are fresh only part of the time, by freshness limit: {told}; "
            f"the older quote is {age:.1f} s old at the median{nothing}",
            len(pairs), usable[evidence.fresh_s],
        )  # fmt: skip


def usable_share(evidence: Evidence, fresh_s: float) -> float:
    """Return which part of the time of all pairs together both quotes were no older than `fresh_s`."""
    return _usable(fresh_s, evidence.pairs)


def _usable(fresh_s: float, pairs: Sequence[PairStats]) -> float:
    covered = sum(pair.overlap_h for pair in pairs)
    valid = sum(limit.valid_h for pair in pairs for limit in pair.by_fresh if limit.fresh_s == fresh_s)
    return valid / covered if covered else 0.0


def quote_currency(evidence: Evidence) -> Iterator[Found]:
    """Find bases that are priced in several assets."""
    every = [(stats.base, stats.quote, stats.name) for _, stats in (*evidence.streams, *evidence.bars)]
    for base, group in itertools.groupby(sorted(every), key=lambda one: one[0]):
        rows = list(group)
        quotes = sorted({quote for _, quote, _ in rows})
        if len(quotes) > 1:
            words = f"priced in {', '.join(quotes)}: not one price without a rate between them"
            yield Found(base, words, len(rows))


def retail_price(evidence: Evidence) -> Iterator[Found]:
    """Find a broker's price: a spread far above that of the other venues, or one and the same wide spread everywhere."""
    usual = {stream.stats.name: _usual_spread_bps(stream, evidence) for stream in evidence.quoted}
    ordered = sorted(evidence.quoted, key=lambda stream: stream.stats.venue)
    for _, group in itertools.groupby(ordered, key=lambda stream: stream.stats.venue):
        streams = list(group)
        spreads = [stream.stats.spread_median_bps for stream in streams]
        is_one = (
            len({stream.stats.base for stream in streams}) >= RETAIL_BASES_MIN
            and min(spreads) >= RETAIL_BPS_MIN
            and max(spreads) <= RETAIL_LIKE * min(spreads)
        )
        for stream, spread in zip(streams, spreads, strict=True):
            elsewhere = usual[stream.stats.name]
            if spread > RETAIL_SPREADS * elsewhere or (is_one and spread > RETAIL_SPREADS_STEADY * elsewhere):
                alike = ", and much the same on all its markets" if is_one else ""
                words = (
                    f"bid and ask {spread:.0f} bps apart{alike}, {elsewhere:.1f} on the other venues: a fee is in it"
                )
                stats = stream.stats
                yield Found(stats.name, words, stats.quotes, 1.0, stats.first_ts_ns, stats.last_ts_ns)


def _usual_spread_bps(stream: Stream, evidence: Evidence) -> float:
    """Return the median own spread of the other venues of a market; NaN with too few of them."""
    stats = stream.stats
    others = [
        other.stats.spread_median_bps
        for other in evidence.quoted
        if other.stats.venue != stats.venue
        and (other.stats.base, other.stats.quote) == (stats.base, stats.quote)
        and other.stats.spread_median_bps >= 0
    ]
    return float(np.median(others)) if len(others) >= RETAIL_OTHERS_MIN else float("nan")


def offset(evidence: Evidence) -> Iterator[Found]:
    """Find pairs whose difference has one sign nearly all the time."""
    for pair in evidence.pairs:
        share = max(pair.mid_above_share, pair.mid_below_share)
        if share >= OFFSET_SHARE:
            higher = pair.a if pair.mid_above_share > pair.mid_below_share else pair.b
            words = f"{higher} is higher {100 * share:.0f} % of the time, by {abs(pair.mid_diff_bps['p50']):.1f} bps at the median"
            severity = None if pair.is_comparable else Severity.INFO
            yield Found(f"{pair.a}|{pair.b}", words, share=share, severity=severity)
    for bars in evidence.bar_pairs:
        share = max(bars.above_share, bars.below_share)
        if bars.bars >= ALIAS_ROWS_MIN and share >= OFFSET_SHARE:
            words = f"closes differ in one direction in {100 * share:.0f} % of the bars, by {bars.diff_bps['p50']:.1f} bps at the median"
            yield Found(f"{bars.a}|{bars.b}", words, bars.bars, share)
