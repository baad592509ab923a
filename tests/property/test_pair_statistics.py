"""The statistics of a pair against a brute-force reading of their definitions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.tape.inspect.pairs import THRESHOLDS_BPS, pair_stats
from arbot.tape.inspect.quotes import QuoteSeries
from tests.support.real_quotes import meta, walked_quotes

MS = 1_000_000
STEPS_MS = st.one_of(st.integers(0, 90), st.integers(100, 400), st.integers(900, 3000))
PRICES = st.one_of(st.just(0), st.integers(9_990, 10_015), st.integers(9_900, 10_100))
ROWS = st.lists(st.tuples(STEPS_MS, PRICES, PRICES), min_size=1, max_size=25)


def series(rows, venue: str) -> tuple[QuoteSeries, list[tuple[int, int, int]]]:
    """Return the series of (step ms, bid, ask), and its quotes by time, of one time the last."""
    now, quotes = 1_700_000_000_000, {}
    flat = []
    for step, bid, ask in rows:
        now += step
        quotes[now] = (bid, ask)
        flat.append((now, bid, ask))
    about = meta(venue, "BTC/USD", decimals=2)
    stamps, bids, asks = (list(column) for column in zip(*flat, strict=True))
    walked = walked_quotes(about, np.array(stamps) * 1000, np.array(bids) / 100, np.array(asks) / 100)
    return walked.series, [(ts * MS, bid, ask) for ts, (bid, ask) in sorted(quotes.items())]


def brute(a, b, fresh_ns: int):
    """Return [(start, length, e1, e2, mid)] with None for a break, straight from the words of the definition."""
    begin, end = max(a[0][0], b[0][0]), min(a[-1][0], b[-1][0])
    grid = sorted({ts for ts, _, _ in (*a, *b) if begin <= ts <= end})
    states = []
    for at, now in enumerate(grid[:-1]):
        ta, bid_a, ask_a = max(row for row in a if row[0] <= now)
        tb, bid_b, ask_b = max(row for row in b if row[0] <= now)
        until = min(grid[at + 1], ta + fresh_ns, tb + fresh_ns)
        if min(bid_a, ask_a, bid_b, ask_b) > 0 and until > now:
            e1, e2 = (Fraction(bid_a, ask_b) - 1) * 10_000, (Fraction(bid_b, ask_a) - 1) * 10_000
            mid = (Fraction(bid_a + ask_a, bid_b + ask_b) - 1) * 10_000
            states.append((now, until - now, e1, e2, mid))
            if until < grid[at + 1]:
                states.append(None)
        else:
            states.append(None)
    return states


def brute_windows(states, direction: int, above: float) -> list[tuple[int, int]]:
    found, is_open = [], False
    for state in states:
        if state is not None and state[2 + direction] > above:
            if is_open:
                found[-1] = (found[-1][0], found[-1][1] + state[1])
            else:
                found.append((state[0], state[1]))
            is_open = True
        else:
            is_open = False
    return found


def brute_percentile(values, share: float) -> float:
    total = sum(weight for _, weight in values)
    reached = 0
    for value, weight in sorted(values):
        reached += weight
        if reached >= share * total:
            return float(value)
    return math.nan


@settings(deadline=None, max_examples=150)
@given(ROWS, ROWS, st.sampled_from([0.1, 0.25, 1.0, 2.5, 60.0]))
def test_pair_statistics_equal_their_definition(rows_a, rows_b, fresh_s):
    """Durations, percentiles, windows, shares and turns are those of a naive reading of the definitions."""
    (a, quotes_a), (b, quotes_b) = series(rows_a, "one"), series(rows_b, "two")
    found = pair_stats(a, b, fresh_s)
    states = brute(quotes_a, quotes_b, round(fresh_s * 1e9))
    held = [state for state in states if state is not None]
    total = sum(state[1] for state in held)
    assert pytest.approx(total / 3.6e12) == found.valid_h
    for name, share in (("p1", 0.01), ("p50", 0.5), ("p99", 0.99)):
        expected = brute_percentile([(state[4], state[1]) for state in held], share)
        assert pytest.approx(expected, abs=1e-6, nan_ok=True) == found.mid_diff_bps[name]
        expected = brute_percentile([(max(state[2], state[3]), state[1]) for state in held], share)
        assert pytest.approx(expected, abs=1e-6, nan_ok=True) == found.edge_bps[name]
    for threshold, above in zip(THRESHOLDS_BPS, found.above, strict=True):
        sides = [brute_windows(states, direction, threshold) for direction in (0, 1)]
        assert [len(side) for side in sides] == [above.sell_a.windows, above.sell_b.windows]
        lasts = [last for side in sides for _, last in side]
        assert pytest.approx(sum(lasts) / total if total else 0.0) == above.both.time_share
        assert pytest.approx(max(lasts) / 1e9 if lasts else math.nan, nan_ok=True) == above.both.longest_s
        order = sorted((start, direction) for direction, side in enumerate(sides) for start, _ in side)
        turns = sum(one[1] != other[1] for one, other in itertools.pairwise(order))
        starts = [start for start, _ in order]
        if len(set(starts)) == len(starts):
            assert turns == above.turns
