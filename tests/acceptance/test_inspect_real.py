"""The inspector's own arithmetic on recorded data, where no import can show it: whole depth, dust of floats, cuts in a stream.

What `arbot data inspect` says of each set stands in test_real_sets_end_to_end.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from arbot.tape.inspect.depth_walk import walk_depth
from arbot.tape.inspect.pairs import threshold_stats
from arbot.tape.inspect.quotes import walk_stream
from tests.support import real_quotes as real

pytestmark = real.needs_data


@pytest.mark.parametrize(
    ("venues", "looks", "expected"),
    [
        (
            ("bingx", "bitget", "gateio", "htx", "kucoin", "lbank", "mexc"), 718,
            [
                (0, 718, 17_644, 58_893, 3.06, 234.38, 4_324.02), (5, 235, 2_329, 13_472, 0.15, 168.22, 512.27),
                (10, 14, 7_501, 30_566, 0.90, 102.07, 139.41), (20, 2, 10_769, 13_364, 2.04, 2.32, 4.07),
            ],
        ),
        (
            ("bitfinex", "gemini", "kraken"), 717,
            [
                (0, 604, 3_371, 14_529, 0.39, 18.09, 791.24), (5, 166, 208, 8_131, 0.04, 6.55, 59.36),
                (10, 26, 44, 1_502, 0.01, 0.76, 2.37), (20, 1, 7, 7, 0.00, 0.00, 0.00),
            ],
        ),
    ],
)  # fmt: skip
def test_depth_walked(venues, looks, expected):
    """Walking the depth at every look comes to the reference notional and profit, by cost."""
    depths = [real.depth_of(venue) for venue in venues]
    found = walk_depth(depths, [*(line[0] for line in expected), 40], step_ns=5 * 10**9, fresh_ns=6 * 10**9)
    assert 0 == found[-1].looks_with_profit
    for (_, count, notional, p90, median, largest, total), stats in zip(expected, found, strict=False):
        assert (looks, count) == (stats.looks, stats.looks_with_profit)
        assert pytest.approx([notional, p90], abs=0.51) == [stats.notional_median, stats.notional_p90]
        assert pytest.approx([median, largest, total], abs=0.0051) == [
            stats.profit_median,
            stats.profit_max,
            stats.profit_sum,
        ]


def test_windows_above_zero_of_minute_quotes_depend_on_dust():
    """On the file's floats, whose dust lies above 0 too, there are the reference's windows: a few more than on ticks."""
    reference = {
        ("BTC/USD", False, 180): (1585, 23.90), ("BTC/USD", True, 180): (1583, 23.79), ("BTC/USD", True, 60): (1575, 23.57),
        ("BTC/USDT", False, 180): (870, 8.79), ("BTC/USDT", False, 60): (854, 8.32),
    }  # fmt: skip
    for (symbol, removed, fresh_s), (windows, share) in reference.items():
        raw = [real.raw_minute_quotes(venue, symbol) for venue in ("binanceus", "coinbase")]
        if removed:
            raw = [tuple(column[one[1] <= one[2]] for column in one) for one in raw]
        dusty = threshold_stats(real.float_states(*raw, fresh_s * 10**9), 0.0).both
        assert windows == dusty.windows
        assert pytest.approx(share, abs=0.01) == 100 * dusty.time_share


def test_books_walked_in_parts_are_the_same():
    """Cutting a stream anywhere, even inside a message, changes nothing."""
    walked, rows = real.thirteen_books("okx")
    for cut in (1, 7, 1000, len(rows) - 1):
        again = walk_stream(walked.meta, [rows.part(0, cut), rows.part(cut, len(rows))])
        assert all(np.array_equal(one, other) for one, other in zip(walked.series[3:], again.series[3:], strict=True))
        assert np.array_equal(walked.counts, again.counts)
