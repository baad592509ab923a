"""Faults of bars: prices nobody traded at, prints nobody else saw, and names that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from arbot.market.stream import Column
from arbot.tape.inspect.bars import BarSeries
from arbot.tape.inspect.quotes import Prices
from arbot.tape.inspect.rules.evidence import Bars, Evidence, Found, is_same_money, utc

LONE_SHARE = 0.01
CARRY_BARS = 60  # how long another venue's last close still says what the price was
LAG_CORRELATION = 0.1
LAG_BARS_MIN = 500

VOLUME_PER_DAY_MIN: Mapping[tuple[str, str, str], float] = {
    ("binance", "BTC", "USDT"): 10_000.0,
    ("binance", "BTC", "USDC"): 500.0,
    ("binance", "USDC", "USDT"): 1_000_000.0,  # parity-ok: a market's name
    ("binance", "ETH", "USDT"): 50_000.0,
    ("coinbase", "BTC", "USD"): 1_000.0,
    ("kraken", "BTC", "USD"): 300.0,
}
"""Base traded a day below which a name is doubtful: orders of magnitude under what these markets did from 2021 to 2025,
by general knowledge and not from a cited figure. A smaller number asks a question and proves nothing."""


def zero_volume(evidence: Evidence) -> Iterator[Found]:
    """Find bars that carry the last price on."""
    for _, stats in evidence.bars:
        if stats.zero_volume:
            words = f"{stats.zero_volume} of {stats.rows} bars without a trade repeat the last price"
            share = stats.zero_volume / stats.rows
            yield Found(stats.name, words, stats.zero_volume, share, stats.first_ts_ns, stats.last_ts_ns)


def venue_label(evidence: Evidence) -> Iterator[Found]:
    """Find volumes that do not fit the venue's name."""
    for _, stats in evidence.bars:
        least = VOLUME_PER_DAY_MIN.get((stats.venue, stats.base, stats.quote))
        if least is not None and 0 < stats.volume_per_day < least:
            words = (
                f"{stats.volume_per_day:,.0f} {stats.base} a day is far too little for {stats.venue} "
                f"(at least {least:,.0f}): another venue under its name?"
            )
            yield Found(stats.name, words, stats.rows, 1.0, stats.first_ts_ns, stats.last_ts_ns)


def lone_print(evidence: Evidence) -> Iterator[Found]:
    """Find prints far from the series' own last price and from every other venue's, and the bars that repeat them."""
    for bars in evidence.bars:
        others = [_range(other.series, bars.series) for other in evidence.bars if _is_comparable(bars, other)]
        prints, repeats = lone_prints(bars.series, others)
        if prints:
            series = bars.series
            lows = series.priced(series.low)
            told = ", ".join(f"{utc(int(series.start_ns[at]))} (low {lows[at]:g})" for at in prints[:6])
            yield Found(
                bars.stats.name,
                f"{len(prints)} bars with prints that no other venue saw, {len(repeats)} bars without a trade repeat "
                f"them: {told}",
                len(prints) + len(repeats), (len(prints) + len(repeats)) / bars.stats.rows,
                int(series.start_ns[prints[0]]), int(series.start_ns[max(prints + repeats)]),
            )  # fmt: skip


def lone_prints(series: BarSeries, others: Sequence[tuple[Prices, Prices]]) -> tuple[list[int], list[int]]:
    """Return (bars with a lone print, bars without a trade that repeat one).

    `others` are lowest and highest price of other venues at each bar, NaN where nothing is known. Without any, nothing
    is lone: a fall that nobody else recorded may well be true.
    """
    prints: list[int] = []
    repeats: list[int] = []
    if not others or not len(series.close):
        return prints, repeats
    highs, lows, closes = (series.priced(column) for column in (series.high, series.low, series.close))
    floor = np.fmin.reduce([low for low, _ in others])
    ceiling = np.fmax.reduce([high for _, high in others])
    is_lone = (lows < floor * (1 - LONE_SHARE)) | (highs > ceiling * (1 + LONE_SHARE))
    traded = series.volume > 0
    sound = closes[0]
    is_after_lone = False
    for at in range(len(closes)):
        if not traded[at]:
            if is_after_lone:
                repeats.append(at)
            continue
        is_far = max(abs(lows[at] / sound - 1), abs(highs[at] / sound - 1)) > LONE_SHARE
        if is_lone[at] and is_far:
            prints.append(at)
        is_after_lone = bool(is_lone[at] and abs(closes[at] / sound - 1) > LONE_SHARE)
        if not is_after_lone:
            sound = closes[at]
    return prints, repeats


def async_close(evidence: Evidence) -> Iterator[Found]:
    """Find closes that follow those of the most traded market of their base one bar later: older last trades."""
    for bars in evidence.bars:
        rivals = [other for other in evidence.bars if _is_comparable(bars, other) and other.stats.closes > 1]
        if not rivals or bars.stats.closes == 1:
            continue
        leader = max(rivals, key=lambda other: other.stats.volume_per_day)
        if leader.stats.volume_per_day <= bars.stats.volume_per_day:
            continue
        correlation, count = lagged_correlation(bars.series, leader.series)
        if count >= LAG_BARS_MIN and correlation > LAG_CORRELATION:
            words = f"returns follow those of {leader.stats.name} one bar later with a correlation of {correlation:.2f}"
            yield Found(bars.stats.name, words, count, 0.0, bars.stats.first_ts_ns, bars.stats.last_ts_ns)


def lagged_correlation(series: BarSeries, leader: BarSeries) -> tuple[float, int]:
    """Return the correlation of the returns of bars with the leader's of one bar earlier, and over how many bars."""
    starts, own = _returns(series)
    leader_starts, lead = _returns(leader)
    _, at, leader_at = np.intersect1d(starts - series.meta.bar_ns, leader_starts, return_indices=True)
    x, y = own[at], lead[leader_at]
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0, len(x)
    return float(np.corrcoef(x, y)[0, 1]), len(x)


def _returns(series: BarSeries) -> tuple[Column, Prices]:
    """Return start and return of each traded bar whose bar before was traded too."""
    traded = series.volume > 0
    starts, closes = series.start_ns[traded], series.priced(series.close[traded])
    is_next = np.diff(starts) == series.meta.bar_ns
    return starts[1:][is_next], (closes[1:] / closes[:-1] - 1.0)[is_next]


def _is_comparable(bars: Bars, other: Bars) -> bool:
    one, two = bars.stats, other.stats
    return (
        one.base == two.base
        and one.venue != two.venue
        and one.bar_s == two.bar_s
        and is_same_money(one.quote, two.quote)
    )


def _range(other: BarSeries, onto: BarSeries) -> tuple[Prices, Prices]:
    """Return another venue's lowest and highest price at each bar: of that bar, else its last close while it is young."""
    traded = other.volume > 0
    nothing = np.full(len(onto.start_ns), np.nan)
    if not traded.any():
        return nothing, nothing
    starts = other.start_ns[traded]
    at = np.maximum(np.searchsorted(starts, onto.start_ns, "right") - 1, 0)
    age = onto.start_ns - starts[at]
    is_near = (age >= 0) & (age <= CARRY_BARS * onto.meta.bar_ns)
    low, high, close = (other.priced(column[traded])[at] for column in (other.low, other.high, other.close))
    is_same = age == 0
    return np.where(is_near, np.where(is_same, low, close), np.nan), np.where(
        is_near, np.where(is_same, high, close), np.nan
    )
