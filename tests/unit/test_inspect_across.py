"""Faults between streams and of bars are found where they are, and not where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from arbot.tape.importing.contract import Severity
from arbot.tape.inspect.depth_walk import Depth, walk_depth
from arbot.tape.inspect.pairs import pair_stats
from arbot.tape.schema import Market
from tests.support.inspected import START_MS, bar_series, findings, of_code, stream

GOOD = [(100.00 + 0.01 * (at % 7), 100.10 + 0.01 * (at % 7)) for at in range(200)]
OTHER = [(100.01 + 0.01 * (at % 5), 100.09 + 0.01 * (at % 5)) for at in range(200)]
CLOSES = [(100 + 0.1 * np.sin(at / 3) + 0.05 * (at * 7919 % 13), 1 + at % 4) for at in range(700)]


def test_one_feed_behind_two_names_is_an_alias():
    """Equal quotes at equal times are one feed; one row in ten otherwise, they are two."""
    (found,) = of_code("alias", [stream("one", GOOD), stream("two", GOOD)])
    assert ("BTC/USD@one|BTC/USD@two", Severity.ERROR) == (found.series, found.severity)
    differing = [(bid + 0.01 * (at % 10 == 0), ask) for at, (bid, ask) in enumerate(GOOD)]
    assert [] == of_code("alias", [stream("one", GOOD), stream("two", differing)])


def test_bars_are_aliases_only_with_equal_volume():
    """Equal closes and volumes are one feed; equal closes alone are not."""
    one = bar_series("one", CLOSES)
    assert 1 == len(of_code("alias", bars=[one, bar_series("one", CLOSES, symbol="BTC/USDC")]))
    assert [] == of_code("alias", bars=[one, bar_series("two", [(close, volume + 1) for close, volume in CLOSES])])


def test_venues_under_one_stamp_are_found():
    """Two venues with the same stamps are polled in turn; with stamps of their own they are not."""
    (found,) = of_code("shared_stamp", [stream("one", GOOD), stream("two", OTHER)])
    assert 1.0 == found.share
    later = START_MS + 1000 * np.arange(200) + 250
    assert [] == of_code("shared_stamp", [stream("one", GOOD), stream("two", OTHER, stamps_ms=later)])


def test_polls_out_of_phase_leave_little_usable_time():
    """Polls every 10 s and 5 s apart are never both fresh at 3 s, and nothing can be proven."""
    later = START_MS + 10_000 * np.arange(200) + 5000
    streams = [stream("one", GOOD, step_ms=10_000), stream("two", OTHER, stamps_ms=later)]
    (found,) = of_code("phase_lag", streams, fresh_s=3.0)
    assert "3 s 0.0 %" in found.detail
    assert "nothing can be proven" in found.detail
    assert [] == of_code("phase_lag", [stream("one", GOOD, step_ms=300), stream("two", OTHER, step_ms=300)])


def test_unlike_quotes_are_an_error_and_kept_out_of_the_pairs():
    """USD and USDT of one base are not compared unless asked for, and bases apart are fine."""
    streams = [stream("one", GOOD), stream("two", OTHER, symbol="BTC/USDT")]
    assert ["BTC"] == [one.series for one in of_code("quote_currency", streams)]
    assert [] == of_code("quote_currency", [stream("one", GOOD), stream("two", OTHER, symbol="ETH/USDT")])
    pair = pair_stats(streams[0].series, streams[1].series, 5.0)
    assert ("USD-USDT", False) == (pair.pair_class, pair.is_comparable)
    perp = pair_stats(stream("one", GOOD).series, stream("two", OTHER, market=Market.LINEAR).series, 5.0)
    assert ("USD-perp USD", False) == (perp.pair_class, perp.is_comparable)


def test_a_price_with_a_fee_in_it_is_found_by_its_spread():
    """A spread over 20 times that of two other venues is a broker's; with one other venue nobody knows who is odd."""
    wide = [(98.0 + 0.01 * (at % 7), 102.0) for at in range(200)]
    streams = [stream("one", GOOD), stream("two", OTHER), stream("shop", wide)]
    assert ["BTC/USD@shop"] == [one.series for one in of_code("retail_price", streams)]
    assert [] == of_code("retail_price", streams[1:])


def test_one_wide_spread_on_every_market_is_a_price_with_a_fee_in_it():
    """A venue 2 % wide on three bases alike is a broker even where others are 0.5 % wide; on two bases it is not."""
    streams = []
    for base in ("BTC", "ETH", "LTC"):
        streams += [stream("shop", [(99.0 - 0.01 * (at % 3), 101.0) for at in range(50)], symbol=f"{base}/USD")]
        streams += [
            stream(name, [(99.75, 100.25 + 0.01 * (at % 3)) for at in range(50)], symbol=f"{base}/USD")
            for name in ("one", "two")
        ]
    assert 3 == len(of_code("retail_price", streams))
    assert 0 == len(of_code("retail_price", streams[:6]))


def test_a_lasting_offset_is_found():
    """A mid that is higher all the time is an offset; one that is higher half the time is not."""
    higher = [(bid + 1, ask + 1) for bid, ask in GOOD]
    (found,) = of_code("offset", [stream("one", GOOD), stream("two", higher)])
    assert "BTC/USD@two is higher 100 %" in found.detail
    swinging = [
        (bid + (1 if at % 20 < 10 else -1), ask + (1 if at % 20 < 10 else -1)) for at, (bid, ask) in enumerate(GOOD)
    ]
    assert [] == of_code("offset", [stream("one", GOOD), stream("two", swinging)])


def test_bars_without_trades_and_missing_bars_are_counted():
    """Bars of volume 0 and bars that are not there are found with their number."""
    (zero,) = of_code("zero_volume", bars=[bar_series("one", [*CLOSES[:5], (100, 0), (100, 0)])])
    assert 2 == zero.count
    (gap,) = of_code("gap", bars=[bar_series("one", CLOSES[:4], minutes=[0, 1, 5, 6])])
    assert 3 == gap.count
    assert 1 == len(of_code("constant", bars=[bar_series("one", [(5, 0)] * 100)]))
    assert 1 == len(of_code("bar_label", bars=[bar_series("one", CLOSES)]))


def test_a_lone_print_and_its_repeats_are_found_and_a_crash_of_all_is_not():
    """A print 7 % off that nobody else saw is lone, with the bars that repeat it; seen by others or unseen by any it is not."""
    steady = [(1.0, 5)] * 12
    glitch = [
        *steady[:4],
        (1.0, 1.0, 0.93, 0.93, 1),
        (0.93, 0),
        (0.93, 0),
        *steady[:3],
        (1.0, 1.0, 0.92, 1.0, 1),
        (1.0, 0),
    ]
    one, other = bar_series("one", glitch, symbol="USDC/USDT"), bar_series("two", steady, symbol="USDC/USD")
    (found,) = of_code("lone_print", bars=[one, other])
    assert 2 + 2 == found.count
    assert "2 bars with prints that no other venue saw, 2 bars without a trade" in found.detail
    crash = bar_series("two", [(bar[0], 1) if len(bar) == 2 else bar for bar in glitch], symbol="USDC/USD")
    assert [] == of_code("lone_print", bars=[one, crash])
    assert [] == of_code("lone_print", bars=[one])


def test_a_volume_that_does_not_fit_the_name_is_asked_about():
    """A hundredth of a venue's known volume asks for its name; a full one does not."""
    for volume, found in ((1, 1), (20, 0)):
        bars = bar_series("binance", [(close, volume) for close, _ in CLOSES], symbol="BTC/USDT")
        assert found == len(of_code("venue_label", bars=[bars]))


def test_closes_that_follow_a_larger_market_are_found():
    """A series equal to a larger one a bar before follows it; one that moves with it does not."""
    rng = np.random.default_rng(5)
    walk = 100 + np.cumsum(rng.normal(0, 0.05, 701))
    leader = bar_series("big", [(close, 100) for close in walk[1:]])
    (found,) = of_code("async_close", bars=[leader, bar_series("small", [(close, 1) for close in walk[:-1]])])
    assert "BTC/USD@small bars" == found.series
    assert [] == of_code("async_close", bars=[leader, bar_series("small", [(close, 1) for close in walk[1:]])])


def test_crossed_rows_are_kept_or_as_if_they_had_never_come():
    """A crossed row makes an edge of its own; removed, the quote before it holds on."""
    one = stream("one", [(100, 101), (140, 101), (100, 101), (100.01, 101)]).series
    two = stream("two", [(100, 101)] * 4).series
    assert pytest.approx((140 / 101 - 1) * 1e4) == pair_stats(one, two, 5.0).edge_bps["max"]
    found = pair_stats(one.without_crossed(), two, 5.0)
    assert found.edge_bps["max"] < 0
    assert pytest.approx(3 / 3600) == found.valid_h


def test_a_quote_expires():
    """A quote that is not renewed counts for its freshness limit, and then breaks the window."""
    one = stream("one", [(105, 106), (105.0, 106), (105.01, 106)], stamps_ms=[0, 10_000, 20_000]).series
    two = stream("two", [(100, 101)] * 21).series._replace()
    two = stream(
        "two", [(100, 101 + 0.01 * (at % 2)) for at in range(21)], stamps_ms=[1000 * at for at in range(21)]
    ).series
    found = pair_stats(one, two, 4.0)
    assert pytest.approx(8 / 3600) == found.valid_h
    assert (2, 4.0) == (found.above[0].sell_a.windows, found.above[0].sell_a.longest_s)
    assert pytest.approx(0.4) == found.usable_share


def test_walking_the_depth_takes_levels_while_they_pay():
    """Two levels pay without cost, one with a cost between them; of each look the best pair counts once."""

    def venue(bids, asks):
        return Depth(np.array([0, 10], np.int64), np.array([bids, bids], float), np.array([asks, asks], float))

    rich = venue([102, 1, 101, 2], [103, 1, 104, 1])
    poor = venue([98, 1, 97, 1], [100, 2, 100.9, 5])
    free, dear = walk_depth([rich, poor], (0, 150), step_ns=10, fresh_ns=100)
    assert (1, 1) == (free.looks, free.looks_with_profit)
    assert pytest.approx(1 * 2 + 1 * 1 + 1 * 0.1) == free.profit_sum
    assert pytest.approx(100 + 100 + 100.9) == free.notional_median
    assert pytest.approx(102 * 0.9925 - 100 * 1.0075) == dear.profit_sum


def test_nothing_at_all_is_clean():
    """An inspection of nothing finds nothing."""
    assert [] == findings()
