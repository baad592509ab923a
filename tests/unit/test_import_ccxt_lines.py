"""What the reader of ccxt lines makes of small files."""

from __future__ import annotations

import gzip
import json
import pickle

import pytest

from arbot.market.stream import Kind
from arbot.tape.importing.ccxt_lines import FORMATS
from arbot.tape.importing.contract import Refused
from arbot.tape.schema import Market
from tests.support.foreign_files import read, write

MS = 1_712_602_940_733
NAME = "kraken_doge_orderbooks.jsonl.gz"


def a_line(bids, asks, timestamp=MS, symbol="DOGE/USD", **more):
    return json.dumps({"symbol": symbol, "bids": bids, "asks": asks, "timestamp": timestamp, "nonce": None, **more})


def test_line_is_one_snapshot_with_the_text_of_the_file(tmp_path):
    """A line becomes one message, bids then asks, with numbers as written and the time as time of receipt only."""
    path = write(tmp_path / NAME, a_line([[0.2032, 15.0], [0.2031, 2.5]], [[0.2033, 7.0]]))

    reading = read(FORMATS, "ccxt-jsonl", path)

    ts = MS * 10**6
    assert [
        (ts, 0, Kind.SNAPSHOT, 0, 1, "0.2032", "15.0"),
        (ts, 0, Kind.SNAPSHOT, 0, 1, "0.2031", "2.5"),
        (ts, 0, Kind.SNAPSHOT, 1, -1, "0.2033", "7.0"),
    ] == reading.rows()
    series = reading.batches[0].series
    assert ("kraken", "DOGE/USD", Market.SPOT) == (series.venue, series.symbol, series.market)
    assert {"no_exchange_time": "info"} == reading.codes()
    assert (1, {}) == (reading.source.rows_read, reading.source.dropped)


def test_third_item_of_a_level_is_left_out_and_told(tmp_path):
    """A level of three items gives price and size, and a finding says that the third was left out."""
    path = write(tmp_path / NAME, a_line([[0.2, 15.0, 1712602939]], [[0.3, 7.0, 4]]))

    reading = read(FORMATS, "ccxt-jsonl", path)

    assert [("0.2", "15.0"), ("0.3", "7.0")] == [row[-2:] for row in reading.rows()]
    assert "info" == reading.codes()["level_shape"]


@pytest.mark.parametrize(
    ("bids", "asks", "code"),
    [
        ([[0.1, 1.0], [0.2, 1.0]], [[0.3, 1.0]], "level_shape"),  # bids rise
        ([[0.2, 1.0]], [[0.3, 1.0], [0.3, 2.0]], "level_shape"),  # a price twice
        ([[0.0, 1.0]], [[0.3, 1.0]], "zero_price"),
        ([[0.2, -1.0]], [[0.3, 1.0]], "zero_price"),
        ([[None, 1.0]], [[0.3, 1.0]], "zero_price"),
        ([], [], "zero_price"),
    ],
)
def test_book_that_cannot_be_is_dropped_and_counted(tmp_path, bids, asks, code):
    """A book out of order, or with a price that is none, is dropped with an ERROR finding; the next line is kept."""
    path = write(tmp_path / NAME, a_line(bids, asks), a_line([[0.2, 1.0]], [[0.3, 1.0]], MS + 1))

    reading = read(FORMATS, "ccxt-jsonl", path)

    assert (2, {code: 1}, 2) == (reading.source.rows_read, reading.source.dropped, len(reading.rows()))
    assert "error" == reading.codes()[code]
    assert "row 1" in reading.finding(code).detail


def test_null_records_are_dropped_and_counted(tmp_path):
    """A failed poll stored as null, or with null sides, is no book."""
    lines = ["null", a_line(None, None), a_line([[0.2, 1.0]], [[0.3, 1.0]])]
    reading = read(FORMATS, "ccxt-jsonl", write(tmp_path / NAME, *lines))

    assert (3, {"zero_price": 2}) == (reading.source.rows_read, reading.source.dropped)
    assert 2 == reading.finding("zero_price").count


def test_level_of_size_zero_is_left_out(tmp_path):
    """A level of size zero is not there; the rest of its book is."""
    path = write(tmp_path / NAME, a_line([[0.2, 0], [0.1, 1.0]], [[0.3, 1.0]]))

    reading = read(FORMATS, "ccxt-jsonl", path)

    assert [(0, "0.1"), (1, "0.3")] == [(row[3], row[5]) for row in reading.rows()]
    assert "info" == reading.codes()["empty_level"]


def test_datetime_stands_in_for_a_missing_timestamp(tmp_path):
    """With timestamp null the time is read from datetime; with neither the line is refused, with its number."""
    one = [[0.2, 1.0]], [[0.3, 1.0]]
    path = write(tmp_path / NAME, a_line(*one, None, datetime="2024-04-08T19:02:20.733Z"), a_line(*one))
    assert [MS * 10**6] * 4 == [row[0] for row in read(FORMATS, "ccxt-jsonl", path).rows()]

    path = write(tmp_path / NAME, a_line(*one), a_line(*one, None, datetime=None))
    with pytest.raises(Refused, match=rf"{NAME}, row 2: neither timestamp nor datetime"):
        read(FORMATS, "ccxt-jsonl", path)


@pytest.mark.parametrize(
    ("venue", "native", "expected"),
    [
        ("okx", "DOGE/USD:DOGE", ("DOGE/USD:DOGE", Market.INVERSE, "10 USD")),
        ("binance", "DOGE/USD", ("DOGE/USD:DOGE", Market.INVERSE, "10 USD")),  # Binance lists no spot in USD
        ("binance", "AVAX/USD", ("AVAX/USD:AVAX", Market.INVERSE, "")),
        ("cryptocom", "DOGEUSD-PERP", ("DOGE/USD:USD", Market.LINEAR, "")),
        ("bybit", "BTC/USDT:USDT", ("BTC/USDT:USDT", Market.LINEAR, "")),
        ("kraken", "DOGE/USD", ("DOGE/USD", Market.SPOT, "")),
    ],
)
def test_derivatives_behind_plain_names_are_known(tmp_path, venue, native, expected):
    """What is traded is read from the symbol and the table of venues; an unknown size of contract is an ERROR."""
    path = write(tmp_path / f"{venue}_x_orderbooks.jsonl", a_line([[0.2, 1.0]], [[0.3, 1.0]], symbol=native))

    reading = read(FORMATS, "ccxt-jsonl", path)

    series = reading.batches[0].series
    assert expected == (series.symbol, series.market, series.contract_size)
    has_error = series.market != Market.SPOT and not series.contract_size
    assert has_error == (reading.codes().get("contract_size") == "error")


def test_pickle_is_refused_and_never_read(tmp_path):
    """A pickle is refused with the way to convert it, whatever it is called."""
    path = tmp_path / "kraken_doge_orderbooks.jsonl"
    path.write_bytes(pickle.dumps({"bids": []}))

    with pytest.raises(Refused, match=r"can run any program[\s\S]*json\.dumps"):
        read(FORMATS, "ccxt-jsonl", path)


def test_damage_is_refused_with_its_row(tmp_path):
    """A gzip that ends early and a line that is no JSON are refused; a cut last line is dropped and told."""
    lines = [a_line([[0.2, 1.0 + at]], [[0.3, 1.0]], MS + at) for at in range(3000)]
    packed = gzip.compress("\n".join(lines).encode())
    (tmp_path / NAME).write_bytes(packed[: len(packed) // 2])
    with pytest.raises(Refused, match="damaged or ends too early"):
        read(FORMATS, "ccxt-jsonl", tmp_path / NAME)

    path = write(tmp_path / "kraken_a_orderbooks.jsonl", lines[0], lines[1][:40], lines[2])
    with pytest.raises(Refused, match="row 2: not JSON"):
        read(FORMATS, "ccxt-jsonl", path)

    path.write_text(f"{lines[0]}\n{lines[1][:40]}")
    reading = read(FORMATS, "ccxt-jsonl", path)
    assert (2, {"cut_last_line": 1}, "warn") == (
        reading.source.rows_read,
        reading.source.dropped,
        reading.codes()["truncated"],
    )


def test_changed_unit_of_time_is_refused(tmp_path):
    """A line whose timestamp is in seconds among milliseconds is refused, never guessed."""
    one = [[0.2, 1.0]], [[0.3, 1.0]]
    path = write(tmp_path / NAME, a_line(*one), a_line(*one, MS // 1000))

    with pytest.raises(Refused, match=r"row 2.*seconds"):
        read(FORMATS, "ccxt-jsonl", path)


def test_missing_venue_is_asked_for(tmp_path):
    """A file whose name says no venue needs --venue."""
    path = write(tmp_path / "books.jsonl", a_line([[0.2, 1.0]], [[0.3, 1.0]]))

    with pytest.raises(Refused, match="--venue"):
        read(FORMATS, "ccxt-jsonl", path)
    assert "gemini" == read(FORMATS, "ccxt-jsonl", path, venue="Gemini").batches[0].series.venue
