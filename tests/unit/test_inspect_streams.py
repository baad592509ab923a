"""Each fault of one stream is found where it is, and not where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arbot.tape.importing.contract import Finding, Severity
from arbot.tape.inspect.findings import RULES, exit_status
from arbot.tape.inspect.series import series_stats
from arbot.tape.schema import Market
from tests.support.inspected import (
    ALIVE,
    CLEAR,
    DELTA,
    SNAPSHOT,
    START_MS,
    book,
    findings,
    of_code,
    report_of_import,
    stream,
)

GOOD = [(100.00 + 0.01 * (at % 7), 100.10 + 0.01 * (at % 7)) for at in range(200)]


def test_a_sound_stream_has_no_finding():
    """Moving quotes with two good clocks are clean: no finding, exit status 0."""
    lags = 20 + np.arange(200) % 3
    found = findings([stream("one", GOOD, venue_lag_ms=lags, step_ms=700)])
    assert [] == found
    assert 0 == exit_status(found)


def test_crossed_quotes_are_counted_with_run_and_worst():
    """Three crossed rows, two of them in a row: count, worst, longest run and first and last time."""
    quotes = [*GOOD[:5], (101, 100), (102, 100), *GOOD[:3], (100.5, 100.2), *GOOD[:5]]
    (found,) = of_code("crossed", [stream("one", quotes)])
    assert (3, Severity.ERROR) == (found.count, found.severity)
    assert "by up to 200.0 bps, 2 in a row" in found.detail
    assert (START_MS + 5000) * 10**6 == found.first_ts_ns
    assert (START_MS + 10_000) * 10**6 == found.last_ts_ns


def test_locked_quotes_are_a_remark():
    """Equal bid and ask are counted apart from crossed ones."""
    (found,) = of_code("locked", [stream("one", [*GOOD[:5], (100, 100)])])
    assert (1, Severity.INFO) == (found.count, found.severity)
    assert [] == of_code("crossed", [stream("one", [*GOOD[:5], (100, 100)])])


def test_missing_prices_are_an_error():
    """A quote without a bid or an ask above zero is found."""
    (found,) = of_code("zero_price", [stream("one", [*GOOD[:5], (0, 100), (100, 0)])])
    assert (2, Severity.ERROR) == (found.count, found.severity)


def test_a_quote_that_never_moves_is_constant_from_a_hundred_on():
    """One quote a hundred times is constant; 99 times it is not yet."""
    assert 1 == len(of_code("constant", [stream("one", [(100, 101)] * 100)]))
    assert [] == of_code("constant", [stream("one", [(100, 101)] * 99)])


def test_gaps_are_longer_than_a_minute_or_three_steps_of_a_slow_recording():
    """A pause of 61 s is a gap in a feed of seconds; one of 179 s is none in a recording of minutes, one of 181 s is."""
    fast = START_MS + 1000 * np.concatenate([np.arange(50), np.arange(50) + 110])
    (found,) = of_code("gap", [stream("one", GOOD[:100], stamps_ms=fast)])
    assert (1, "61 s" in found.detail) == (found.count, True)
    for pause, gaps in ((179, 0), (181, 1)):
        slow = START_MS + 1000 * np.concatenate([60 * np.arange(50), 60 * np.arange(50) + 49 * 60 + pause])
        assert gaps == len(of_code("gap", [stream("one", GOOD[:100], stamps_ms=slow)]))


def test_missing_steps_of_a_regular_recording_are_counted():
    """A recording of minutes that lacks four of them says so."""
    minutes = [*range(50), *range(54, 104)]
    (found,) = of_code("gap", [stream("one", GOOD[:100], stamps_ms=[START_MS + 60_000 * at for at in minutes])])
    assert "4 steps of 60 s missing" in found.detail


def test_whole_seconds_are_found_unless_the_recording_is_by_the_minute():
    """A clock cut to seconds is found; a sample of minutes is no such clock."""
    whole = 1_700_000_000_000
    seconds = [whole + 5000 * at for at in range(100)]
    assert 1 == len(of_code("whole_seconds", [stream("one", GOOD[:100], stamps_ms=seconds)]))
    minutes = [whole + 60_000 * at for at in range(100)]
    assert [] == of_code("whole_seconds", [stream("one", GOOD[:100], stamps_ms=minutes)])
    assert 1 == len(of_code("bar_label", [stream("one", GOOD[:100], stamps_ms=minutes)]))


def test_a_receive_clock_behind_the_venue_is_found_by_its_median():
    """Negative delays at the median are a clock; a few negative ones are not."""
    (found,) = of_code("clock_behind", [stream("one", GOOD, venue_lag_ms=[-50] * 150 + [30] * 50)])
    assert "p50 -50" in found.detail
    assert [] == of_code("clock_behind", [stream("one", GOOD, venue_lag_ms=[-50] * 50 + [30] * 150)])


def test_a_venue_clock_that_repeats_ours_is_no_clock():
    """Equal times in more than 99 % of the rows mean that the venue's time is unknown."""
    assert 1 == len(of_code("no_exchange_time", [stream("one", GOOD, venue_lag_ms=[0] * 199 + [10])]))
    assert [] == of_code("no_exchange_time", [stream("one", GOOD, venue_lag_ms=[0] * 150 + [10] * 50)])


def test_rows_out_of_order_are_an_error_above_a_thousandth():
    """One step back in 200 messages is an error, one in 2000 a remark, and both are sorted."""
    for repeats, severity in ((1, Severity.ERROR), (10, Severity.INFO)):
        quotes = GOOD * repeats
        stamps = START_MS + 1000 * np.arange(len(quotes))
        stamps[[50, 51]] = stamps[[51, 50]]
        walked = stream("one", quotes, stamps_ms=stamps)
        (found,) = of_code("order", [walked])
        assert (1, severity) == (found.count, found.severity)
        assert (np.diff(walked.series.ts_ns) > 0).all()


def test_stamps_that_stand_still_while_the_quote_changes_are_of_trades():
    """A venue stamp that moves once in three changes of the quote is the last trade's."""
    stamps = START_MS + 1000 * np.arange(200)
    standing = stamps - (START_MS + 3000 * (np.arange(200) // 3) - 40)
    assert 1 == len(of_code("trade_time_as_quote_time", [stream("one", GOOD, stamps_ms=stamps, venue_lag_ms=standing)]))
    assert [] == of_code("trade_time_as_quote_time", [stream("one", GOOD, stamps_ms=stamps, venue_lag_ms=[40] * 200)])


def test_contracts_without_a_size_are_an_error():
    """An inverse market needs to say what a contract is worth; with that said it is a remark, and spot is nothing."""
    for market, size, severity in (
        (Market.INVERSE, "", Severity.ERROR), (Market.UNKNOWN, "", Severity.ERROR),
        (Market.INVERSE, "100 USD", Severity.INFO), (Market.LINEAR, "", Severity.INFO),
    ):  # fmt: skip
        (found,) = of_code("contract_size", [stream("one", GOOD, market=market, contract_size=size)])
        assert severity == found.severity
    assert [] == of_code("contract_size", [stream("one", GOOD)])


def test_a_standing_quote_is_frozen_only_while_another_venue_moves():
    """Ten repeats are frozen when another mid moves by more than the spread meanwhile, and not when it does not."""
    still = [*GOOD[:20], *([(100.0, 100.1)] * 12), *GOOD[:20]]
    calm = [(100.0 + 0.02 * (at % 3), 100.1) for at in range(52)]  # its mid moves by 2 bps, the spread is 10
    moving = [(100.0 + (0.5 if 25 < at < 30 else 0.01 * (at % 2)), 100.7) for at in range(52)]
    (found,) = of_code("frozen", [stream("one", still), stream("two", moving)])
    assert ("BTC/USD@one", True) == (found.series, "12 in a row over 12 s" in found.detail)
    assert [] == of_code("frozen", [stream("one", still), stream("two", calm)])


def test_a_series_that_ends_early_is_truncated():
    """A venue whose data end well before another's is found, also by a round number of rows."""
    (found,) = of_code("truncated", [stream("one", GOOD), stream("two", GOOD[:150])])
    assert "BTC/USD@two" == found.series
    assert [] == of_code("truncated", [stream("one", GOOD), stream("two", GOOD[:192])])  # 8 s of 200
    assert 1 == len(of_code("truncated", [stream("one", GOOD * 50)]))


def test_a_book_is_followed_through_changes_clears_and_signs_of_life():
    """The touch of a book follows its changes; without a snapshot nothing counts, and a heartbeat keeps a quote fresh."""
    walked = book(
        "one",
        [
            (0, DELTA, [(99, 5)]),
            (1000, SNAPSHOT, [(100, 1), (99, 2), (-101, 1), (-102, 3)]),
            (2000, DELTA, [(100, 0), (-100.5, 4)]),
            (2050, ALIVE, []),
            (3000, DELTA, [(98, 7)]),
            (4000, CLEAR, []),
            (5000, DELTA, [(100, 1)]),
            (6000, SNAPSHOT, [(97, 1), (-98, 1)]),
        ],
    )  # fmt: skip
    series = walked.series
    at_ms = ((series.ts_ns // 10**6) - START_MS).tolist()
    assert [1000, 2000, 3000, 4000, 6000] == at_ms
    assert [10_000, 9900, 9900, 0, 9700] == series.bid.tolist()
    assert [10_100, 10_050, 10_050, 0, 9800] == series.ask.tolist()
    assert 50 * 10**6 == int(series.seen_ns[1] - series.ts_ns[1])
    (found,) = of_code("delta_before_snapshot", [walked])
    assert (2, Severity.INFO) == (found.count, found.severity)
    stats = series_stats(walked)
    assert (4, 2, 2, 2, 1) == (stats.quotes, stats.snapshots, stats.deltas, stats.deltas_without_snapshot, stats.clears)


def test_of_messages_of_one_time_the_last_counts_and_all_are_counted():
    """Two quotes of one time make one point with the later prices, and two messages."""
    walked = stream("one", [(1, 2), (3, 4), (5, 6)], stamps_ms=[START_MS, START_MS, START_MS + 1])
    assert [300, 500] == walked.series.bid.tolist()
    assert 3 == series_stats(walked).quotes


def test_statistics_of_a_stream():
    """Window, rate, steps, repeats and own spread of a small stream come out as by hand."""
    stats = series_stats(
        stream("one", [(99, 101), (99, 101), (99.5, 100.5), (99, 101)], stamps_ms=[0, 1000, 3000, 3500])
    )
    assert pytest.approx(3.5 / 3600) == stats.window_h
    assert pytest.approx(4 / 3.5) == stats.quotes_per_s
    assert (1.0, 2.0) == (stats.step_median_s, stats.step_max_s)
    assert 1 == stats.repeats
    assert pytest.approx(200.0, abs=1e-4) == stats.spread_median_bps
    assert math.isnan(series_stats(stream("one", [(0, 0)])).spread_median_bps)


def test_what_an_import_found_stands_with_the_rest():
    """Findings of imports are merged in, doubles once, and count for the exit status."""
    told = Finding(code="unit", severity=Severity.ERROR, series="BTC/USD@one", detail="ns and ms in one file")
    lags = 20 + np.arange(200) % 3
    found = findings([stream("one", GOOD, venue_lag_ms=lags, step_ms=700)], imports=[report_of_import(told, told)])
    assert [told] == found
    assert 2 == exit_status(found)
    assert 1 == exit_status([Finding(code="gap", severity=Severity.WARN, series="", detail="")])


def test_codes_are_unique():
    """No code stands in the table twice."""
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
