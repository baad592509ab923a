"""What is known of the recorded sets: statistics computed by independent programs, as tables of text.

Tolerances of a comparison: hours +-0.002, bps +-0.05, shares +-0.01 points, counts exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

# pair | hours | mid p1/p50/p99 | largest edge | cells "windows, share of time, median/longest s" from 0 bps up
PAIRS_13 = """
bingx-bitget | 0.997 | -6.2/-0.7/6.2 | 26.2 | 327, 52.70 %, 4.3/61 | 6, 0.29 %, 1.8/3 | 1, 0.09 %, 3.1/3
bingx-gateio | 0.998 | -8.6/-2.7/5.5 | 25.1 | 238, 83.84 %, 4.9/249 | 11, 0.58 %, 1.4/5 | 1, 0.01 %, 0.3/0
bingx-htx | 0.997 | -5.3/1.0/8.0 | 23.0 | 280, 46.85 %, 4.7/37 | 4, 0.20 %, 1.4/4 | 0
bingx-kucoin | 0.998 | -7.7/-1.5/5.2 | 18.9 | 294, 68.42 %, 5.2/89 | 7, 0.43 %, 1.7/5 | 0
bingx-lbank | 0.997 | -4.9/0.5/6.2 | 30.4 | 301, 54.61 %, 4.2/32 | 8, 0.58 %, 2.2/5 | 1, 0.12 %, 4.4/4
bingx-mexc | 0.997 | -5.2/0.0/6.4 | 17.9 | 364, 54.02 %, 4.5/31 | 3, 0.27 %, 3.3/5 | 0
bitfinex-gemini | 0.995 | -3.0/8.6/15.5 | 11.4 | 99, 41.15 %, 10.0/100 | 2, 0.14 %, 2.5/4 | 0
bitfinex-kraken | 0.995 | -2.5/6.0/15.9 | 26.7 | 101, 75.66 %, 10.0/335 | 13, 3.54 %, 5.0/37 | 1, 0.03 %, 1.0/1
bitget-gateio | 0.997 | -6.8/-2.0/4.8 | 25.3 | 315, 71.45 %, 3.5/93 | 8, 0.26 %, 1.1/3 | 1, 0.01 %, 0.5/0
bitget-htx | 0.997 | -3.6/1.8/8.4 | 27.2 | 304, 46.07 %, 4.4/49 | 7, 0.28 %, 1.0/4 | 1, 0.02 %, 0.9/1
bitget-kucoin | 0.998 | -7.0/-0.5/6.3 | 28.2 | 403, 51.48 %, 3.4/26 | 5, 0.35 %, 2.3/4 | 1, 0.04 %, 1.4/1
bitget-lbank | 0.998 | -5.0/1.5/8.0 | 34.6 | 294, 67.51 %, 5.2/62 | 10, 0.57 %, 1.6/5 | 1, 0.03 %, 1.2/1
bitget-mexc | 0.997 | -5.2/0.9/7.2 | 23.7 | 439, 49.10 %, 3.0/42 | 5, 0.36 %, 3.2/4 | 0
gateio-htx | 0.997 | -3.8/3.6/9.2 | 24.0 | 200, 81.73 %, 5.0/229 | 15, 0.61 %, 1.0/4 | 0
gateio-kucoin | 0.998 | -6.0/1.3/6.5 | 21.4 | 378, 81.02 %, 4.5/129 | 9, 0.48 %, 2.2/3 | 0
gateio-lbank | 0.997 | -4.2/3.3/9.9 | 22.9 | 192, 91.23 %, 5.7/406 | 24, 0.88 %, 1.0/5 | 0
gateio-mexc | 0.997 | -4.8/2.9/8.7 | 21.1 | 275, 89.49 %, 4.1/248 | 8, 0.50 %, 2.6/4 | 0
gemini-kraken | 0.998 | -10.3/-2.4/9.2 | 22.3 | 60, 18.93 %, 5.0/106 | 1, 0.08 %, 3.0/3 | 0
htx-kucoin | 0.997 | -8.9/-2.5/4.6 | 25.0 | 268, 76.24 %, 5.1/85 | 5, 0.22 %, 1.8/3 | 1, 0.06 %, 2.3/2
htx-lbank | 0.997 | -6.7/-0.3/5.3 | 35.0 | 301, 46.73 %, 4.7/30 | 9, 0.12 %, 0.5/1 | 1, 0.01 %, 0.4/0
htx-mexc | 0.997 | -7.9/-1.2/5.9 | 20.5 | 369, 51.40 %, 3.2/47 | 5, 0.33 %, 2.2/3 | 0
kucoin-lbank | 0.998 | -5.0/2.0/9.9 | 32.4 | 249, 79.71 %, 5.2/104 | 14, 0.67 %, 1.6/5 | 1, 0.07 %, 2.6/3
kucoin-mexc | 0.997 | -4.5/1.5/6.9 | 13.5 | 378, 69.18 %, 4.0/68 | 10, 0.45 %, 0.8/5 | 0
lbank-mexc | 0.997 | -6.9/-0.7/5.2 | 27.9 | 323, 67.13 %, 5.2/52 | 9, 0.58 %, 1.6/5 | 1, 0.09 %, 3.1/3
"""
# freshness limit | class | pairs | pair-hours | share above 0, 10, 25 bps % | largest edge, where the table has one
POOLED_13 = """
6 | USDT-USDT | 21 | 20.85 | 65.70 | 0.43 | 0.03 | 35.0
6 | USD-USD | 3 | 2.98 | 45.21 | 1.26 | 0.01 | 26.7
6 | USD-USDT | 21 | 20.86 | 59.78 | 1.54 | 0.01 | 35.4
6 | USDT-perp USD | 21 | 20.87 | 66.79 | 9.83 | 0.03 | 32.8
6 | USD-perp USD | 9 | 8.95 | 41.36 | 2.51 | 0.01 | 32.7
6 | perp USD-perp USD | 3 | 2.99 | 37.39 | 0.28 | 0.00 | 22.8
3 | USDT-USDT | 21 | 6.58 | 64.45 | 0.22 | 0.01 | 32.4
3 | USD-USD | 3 | 1.00 | 44.47 | 1.16 | 0.00 | 22.3
3 | USD-USDT | 21 | 6.89 | 59.06 | 1.35 | 0.00 | 24.9
1.5 | USDT-USDT | 21 | 1.62 | 63.88 | 0.08 | 0.00 | 20.4
1.5 | USD-USD | 3 | 0.28 | 43.63 | 1.09 | 0.00 | 15.7
1.5 | USD-USDT | 21 | 1.74 | 59.08 | 1.29 | 0.00 | 24.9
"""


# freshness limit s | pair | the line of the pair as above
THREE_ENGINES = """
5 | spot-usdm | 0.096 | 2.3/3.6/5.0 | 11.0 | 7, 100.00 %, 13.0/246 | 2, 0.00 %, 0.0/0 | 0
5 | spot-coinm | 0.180 | -0.2/2.2/3.7 | 5.7 | 88, 99.77 %, 0.4/215 | 0 | 0
5 | usdm-coinm | 0.095 | -2.6/-0.9/0.4 | 11.6 | 80, 98.38 %, 0.4/47 | 1, 0.01 %, 0.0/0 | 0
"""
PERPETUALS = """
ETH | 0.029 | 1.7/2.8/4.1 | 5.9 | 1, 100.00 %, 104.6/105 | 0
SOL | 0.029 | -2.7/-0.8/1.1 | 4.6 | 119, 90.10 %, 0.3/6 | 0
BNB | 0.030 | 5.5/7.1/9.1 | 8.9 | 1, 100.00 %, 108.6/109 | 0
"""
# set | freshness limit s | turns of the direction above 50 bps | the line of the pair
LASTING_GAPS = """
5 | 60 | 68 | 320.897 | -195.9/-30.8/276.2 | 488.9 | 2099, 68.14 %, 101.3/19452 | 2003, 59.61 %, 96.3/15413 | 1856, 47.36 %, 89.6/10959 | 1467, 30.70 %, 79.4/10959 | 739, 11.90 %, 65.5/10752
5 | 120 | 68 | 322.271 | -196.0/-30.8/276.2 | 488.9 | 2060, 68.15 %, 102.0/23657 | 1971, 59.63 %, 96.7/18579 | 1831, 47.38 %, 89.7/16197 | 1454, 30.73 %, 80.2/16197 | 734, 11.92 %, 65.7/10972
6 | 60 | 8 | 24.620 | -432.8/-168.6/263.1 | 408.4 | 74, 37.46 %, 205.3/2932 | 79, 33.94 %, 187.4/2183 | 73, 29.88 %, 148.3/2183 | 71, 25.12 %, 138.2/1735 | 51, 17.87 %, 162.5/1501
"""
# symbol | options | the line of the pair; windows above 0 as they are on ticks: the floats of the file have dust above 0
MINUTE_QUOTES = """
BTC/USD | --fresh 180s | 211.283 | -3.4/-0.2/3.6 | 727.4 | 1582 | 18, 0.33 % | 4, 0.14 % | 4, 0.03 %
BTC/USD | --fresh 180s --remove-crossed | 211.133 | -3.4/-0.2/3.6 | 50.6 | 1580 | 15, 0.21 % | 3, 0.07 % | 1, 0.01 %
BTC/USD | --fresh 60s --remove-crossed | 210.433 | -3.2/-0.2/3.3 | 50.6 | 1572 | 10, 0.08 % | 3, 0.02 % | 1, 0.01 %
BTC/USDT | --fresh 180s | 211.517 | -3.2/-0.0/3.5 | 56.0 | 869 | 14, 0.28 % | 2, 0.17 % | 4, 0.06 %
BTC/USDT | --fresh 60s | 210.017 | -2.7/-0.0/3.2 | 56.0 | 853 | 17, 0.18 % | 8, 0.11 % | 4, 0.04 %
"""
# series pair | bars | p1/p50/p99 bps | largest | above 10 %, above 25 %
BAR_PAIRS = """
BTCUSD | coinbase-kraken | 12626 | -6.6/-0.2/6.2 | 15.7 | 0.19 | 0.00
BTCUSD | coinbase-cryptocom | 12616 | -2.8/-0.2/2.7 | 16.0 | 0.07 | 0.00
BTCUSDT | binance-coinbase | 9357 | -6.9/-0.1/7.3 | 53.0 | 0.62 | 0.04
BTCUSDT | binance-kraken | 7178 | -10.5/-0.2/11.7 | 32.2 | 2.81 | 0.06
BTCUSDC | binance-kraken | 2883 | -13.9/-0.4/15.1 | 31.9 | 7.42 | 0.07
USDTUSD | coinbase-kraken | 12409 | -1.1/0.2/1.9 | 4.6 | 0.00 | 0.00
BTCEUR | coinbase-kraken | 10918 | -7.5/1.7/10.6 | 44.4 | 1.61 | 0.05
BTCEUR | binance-kraken | 12909 | 13.7/58.4/111.4 | 169.1 | 99.89 | 88.81
"""


def rows_of(table: str) -> list[list[str]]:
    """Return the cells of a table, line by line."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def check(found: Mapping[str, Any], hours: str, mid: str, largest: str, *cells: str, is_flipped: bool = False) -> None:
    """Compare a pair of an inspection's JSON with a line of a table; `is_flipped`: the inspection has B - A."""
    assert pytest.approx(float(hours), abs=0.002) == found["valid_h"]
    told = [float(number) for number in mid.split("/")]
    mids = [found["mid_diff_bps"][name] for name in ("p1", "p50", "p99")]
    # a printed value is itself rounded by up to 0.05
    assert pytest.approx(told, abs=0.0501) == ([-value for value in reversed(mids)] if is_flipped else mids)
    assert pytest.approx(float(largest), abs=0.0501) == found["edge_bps"]["max"]
    for cell, above in zip(cells, found["above"], strict=False):
        count, *rest = (part.strip() for part in cell.split(","))
        both = above["both"]
        assert int(count) == both["windows"]
        if rest:
            assert pytest.approx(float(rest[0].removesuffix(" %")), abs=0.01) == 100 * both["time_share"]
        if len(rest) > 1:
            median, longest = (float(number) for number in rest[1].split("/"))
            assert pytest.approx(median, abs=0.0501) == both["median_s"]
            assert pytest.approx(longest, abs=0.501) == both["longest_s"]
