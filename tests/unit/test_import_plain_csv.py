"""What the readers of hand-made CSV (wide books, prints, quotes) make of small files."""

from __future__ import annotations

import gzip

import pytest

from arbot.market.stream import Kind
from arbot.tape.importing import quotes_csv, wide_csv
from arbot.tape.importing.contract import Refused
from arbot.tape.importing.markets import Unreadable, pair_of
from arbot.tape.schema import Content, Market
from tests.support.foreign_files import read, write

MS = 1_715_176_696_378
NS = 10**6
WIDE = "timestamp,local_timestamp,exchange,symbol,ask_1_price,ask_1_qty,ask_2_price,ask_2_qty,bid_1_price,bid_1_qty,bid_2_price,bid_2_qty"
PRINT = "timestamp,local_timestamp,exchange,symbol,side,price,qty"
QUOTE = "ts_us,venue,symbol,bid,bid_sz,ask,ask_sz"


def test_wide_row_is_one_snapshot_with_both_clocks(tmp_path):
    """A row becomes one message, bids first, an empty field being a level that was not there."""
    path = write(tmp_path / "book.csv", WIDE, f"{MS},{MS + 5},GATE,ETHUSDT,3000.5,1,3001,2,3000.4,3,,")

    reading = read(wide_csv.FORMATS, "wide-csv", path)

    at = ((MS + 5) * NS, MS * NS, Kind.SNAPSHOT)
    assert [
        (*at, 0, 1, "3000.4", "3"),
        (*at, 0, -1, "3000.5", "1"),
        (*at, 1, -1, "3001", "2"),
    ] == reading.rows()
    assert (2, 1) == (reading.batches[0].depth, reading.source.rows_read)


def test_wide_symbols_are_split_and_their_market_not_guessed(tmp_path):
    """Several symbols in a file become several series; without --market nobody knows what they are, and that is told."""
    rows = [f"{MS},{MS},GATE,{symbol},3,1,4,2,2,3,1,1" for symbol in ("ETHUSDT", "SOLUSDT", "ETHUSDT")]
    path = write(tmp_path / "book.csv", WIDE, *rows)

    guessed = read(wide_csv.FORMATS, "wide-csv", path)
    said = read(wide_csv.FORMATS, "wide-csv", path, market=Market.LINEAR)

    assert {("ETH/USDT@gate", "book"): 2, ("SOL/USDT@gate", "book"): 1} == guessed.kept()
    assert {"market": "warn", "mixed_symbols": "info"} == guessed.codes()
    assert {("ETH/USDT:USDT@gate", "book"): 2, ("SOL/USDT:USDT@gate", "book"): 1} == said.kept()
    assert {"mixed_symbols": "info"} == said.codes()


def test_wide_brackets_count_from_zero(tmp_path):
    """Columns such as asks[0].price name the same levels as ask_1_price."""
    header = "timestamp,local_timestamp,exchange,symbol,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount"
    path = write(tmp_path / "book.csv", header, f"{MS},{MS},GATE,ETH_USDT,4,1,3,2")

    reading = read(wide_csv.FORMATS, "wide-csv", path)

    assert [(1, "3", "2"), (-1, "4", "1")] == [row[-3:] for row in reading.rows()]


def test_wide_header_with_a_hole_is_refused(tmp_path):
    """Levels that are not numbered without a hole, on both sides alike, are refused."""
    path = write(tmp_path / "book.csv", WIDE.replace("bid_2_qty", "bid_3_qty"), "")

    with pytest.raises(Refused, match="numbered without a hole"):
        read(wide_csv.FORMATS, "wide-csv", path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"{MS},{MS},GATE,ETHUSDT,3,1,4,2,2,3,x1,1", "row 2: a price is 'x1', not a number"),
        (f"{MS},{MS},GATE,ETHUSDT,3,1,4,2", "row 2: 8 fields where the header has 12"),
        (f"{MS},{MS * NS},GATE,ETHUSDT,3,1,4,2,2,3,1,1", r"row 2: local_timestamp is in nanoseconds"),
        (f"{MS},,GATE,ETHUSDT,3,1,4,2,2,3,1,1", None),  # the venue's clock is enough
        (",,GATE,ETHUSDT,3,1,4,2,2,3,1,1", "row 2: the row has no time"),
        (f"{MS},{MS},,ETHUSDT,3,1,4,2,2,3,1,1", "--venue"),
        (f"{MS},{MS},GATE,ETHXYZ,3,1,4,2,2,3,1,1", "'ETHXYZ' does not read as one pair"),
    ],
)
def test_wide_bad_row_is_refused_by_its_number(tmp_path, row, message):
    """A bad row in the middle refuses the file and is named."""
    good = f"{MS},{MS},GATE,ETHUSDT,3,1,4,2,2,3,1,1"
    path = write(tmp_path / "book.csv", WIDE, good, row, good)

    if message is None:
        assert 3 == read(wide_csv.FORMATS, "wide-csv", path).source.rows_read
        return
    with pytest.raises(Refused, match=message):
        read(wide_csv.FORMATS, "wide-csv", path)


def test_units_may_not_change_between_files_of_one_import(tmp_path):
    """Two files whose receive clocks count in different units cannot come in one import."""
    shared = {}
    one = write(tmp_path / "a_book.csv", WIDE, f"{MS},{MS},GATE,ETHUSDT,3,1,4,2,2,3,1,1")
    two = write(tmp_path / "b_book.csv", WIDE, f"{MS},{MS * NS},GATE,ETHUSDT,3,1,4,2,2,3,1,1")
    read(wide_csv.FORMATS, "wide-csv", one, shared)

    with pytest.raises(Refused, match="nanoseconds"):
        read(wide_csv.FORMATS, "wide-csv", two, shared)


def test_nanoseconds_stay_exact(tmp_path):
    """A receive clock of 19 digits is kept to the last."""
    path = write(tmp_path / "trade.csv", PRINT, f"{MS},1715247432834606001,GATE,ETHUSDT,BUY,2963,2.735")

    assert 1715247432834606001 == read(wide_csv.FORMATS, "trades-csv", path).rows()[0][0]


def test_prints_have_the_takers_side(tmp_path):
    """BUY is a buying taker, SELL a selling one; each print is a message; another word is refused."""
    rows = [f"{MS},{MS},GATE,ETHUSDT,{side},2963,{qty}" for side, qty in (("BUY", "2"), ("SELL", "1"), ("SELL", "0"))]
    path = write(tmp_path / "trade.csv", PRINT, *rows)

    reading = read(wide_csv.FORMATS, "trades-csv", path)

    at = (MS * NS, MS * NS, Kind.TRADE, 1)
    assert [(*at, 1, "2963", "2"), (*at, -1, "2963", "1")] == reading.rows()
    assert (3, {"zero_price": 1}) == (reading.source.rows_read, reading.source.dropped)
    assert reading.batches[0].is_row_per_level

    with pytest.raises(Refused, match=r"row 1: side is 'hold'"):
        read(wide_csv.FORMATS, "trades-csv", write(path, PRINT, rows[0].replace("BUY", "HOLD")))


def test_own_quotes_need_no_map(tmp_path):
    """Our own header is read as it stands, packed or not, several series from one file."""
    rows = ("1712602938000000,gemini,DOGE/USD,0.2,15,0.3,7", "1712602938262000,kraken,XDG/USD,0.21,1,0.22,2")
    path = write(tmp_path / "tob.csv.gz", QUOTE, *rows)

    reading = read(quotes_csv.FORMATS, "quotes-csv", path)

    assert {("DOGE/USD@gemini", "quotes"): 1, ("DOGE/USD@kraken", "quotes"): 1} == reading.kept()
    ts = 1712602938000000 * 1000
    expected = [(ts, 0, Kind.SNAPSHOT, 0, 1, "0.2", "15"), (ts, 0, Kind.SNAPSHOT, 1, -1, "0.3", "7")]
    assert expected == reading.rows()[:2]


def test_quotes_without_sizes_are_marked(tmp_path):
    """Without columns of sizes the quotes are unsized, with quantities of 0 and a finding."""
    path = write(tmp_path / "tob.csv", "ts_us,venue,symbol,bid,ask", "1712602938000000,cexio,BTC/EUR,6700.0,6736.5")

    reading = read(quotes_csv.FORMATS, "quotes-csv", path)

    assert (Content.UNSIZED_QUOTES, ["0", "0"]) == (reading.batches[0].content, list(reading.batches[0].qty))
    assert {"unsized_quotes": "warn"} == reading.codes()


def test_other_headers_are_read_with_a_column_map(tmp_path):
    """--column names other columns, venues come in any case, and a written time without a zone is told."""
    path = write(
        tmp_path / "harvest.csv",
        "time,platform,ask,bid,last,symbol",
        "2018-02-04 23:24:26.127434015,Cex,6736.5,6700,1,BTCEUR",
    )
    with pytest.raises(Refused, match="no column for recv_ts"):
        read(quotes_csv.FORMATS, "quotes-csv", path)
    with pytest.raises(Refused, match="no such column"):
        read(quotes_csv.FORMATS, "quotes-csv", path, columns={"recv_ts": "when"})
    with pytest.raises(Refused, match="known are recv_ts"):
        read(quotes_csv.FORMATS, "quotes-csv", path, columns={"tiem": "time"})

    reading = read(quotes_csv.FORMATS, "quotes-csv", path, columns={"recv_ts": "time", "venue": "platform"})

    assert {("BTC/EUR@cex", "unsized_quotes"): 1} == reading.kept()
    assert 1517786666127434015 == reading.rows()[0][0]
    assert "info" == reading.codes()["time_zone"]


@pytest.mark.parametrize("bid", ["0", "-1", "NaN", "null", "inf"])
def test_failed_polls_are_dropped(tmp_path, bid):
    """A bid that is zero, negative or no number at all drops the quote and is an ERROR; a crossed quote is kept."""
    path = write(
        tmp_path / "tob.csv", QUOTE, f"1712602938000000,a,BTC/EUR,{bid},1,5,1", "1712602938000001,a,BTC/EUR,6,1,5,1"
    )

    reading = read(quotes_csv.FORMATS, "quotes-csv", path)

    assert (2, {"zero_price": 1}, {"zero_price": "error"}) == (
        reading.source.rows_read,
        reading.source.dropped,
        reading.codes(),
    )
    assert ["6", "5"] == [row[-2] for row in reading.rows()]


def test_several_markets_never_become_one(tmp_path):
    """--symbol on a file of two symbols is refused instead of pouring both into one series."""
    path = write(tmp_path / "tob.csv", QUOTE, "1712602938000000,a,BTCEUR,1,1,5,1", "1712602938000001,a,ETHEUR,1,1,5,1")

    with pytest.raises(Refused, match="both become"):
        read(quotes_csv.FORMATS, "quotes-csv", path, symbol="BTC/EUR")


def test_cut_last_line_is_dropped_and_damage_refused(tmp_path):
    """A last line without its end is dropped and told; a gzip that ends early is refused."""
    path = tmp_path / "tob.csv"
    path.write_text(f"{QUOTE}\n1712602938000000,a,BTCEUR,1,1,5,1\n17126029380")
    reading = read(quotes_csv.FORMATS, "quotes-csv", path)
    assert (2, {"cut_last_line": 1}, {"truncated": "warn"}) == (
        reading.source.rows_read,
        reading.source.dropped,
        reading.codes(),
    )

    packed = gzip.compress(
        "\n".join([QUOTE, *(f"{1712602938000000 + at},a,BTCEUR,1,{at * at},5,1" for at in range(9999))]).encode()
    )
    path.write_bytes(packed[:-400])
    with pytest.raises(Refused, match="damaged or ends too early"):
        read(quotes_csv.FORMATS, "quotes-csv", path)


def test_long_file_comes_in_bounded_batches(tmp_path):
    """Rows of a long file come in several batches, each knowing the number of its first row."""
    rows = [f"{1712602938000000 + at},a,BTCEUR,{1 + at},1,{50000 + at},1" for at in range(45_000)]

    reading = read(quotes_csv.FORMATS, "quotes-csv", write(tmp_path / "tob.csv.gz", QUOTE, *rows))

    assert [1, 20_001, 40_001] == [batch.first_row for batch in reading.batches]
    assert 45_000 == reading.source.rows_read == sum(int(batch.is_last.sum()) for batch in reading.batches)


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("BTC/USD", ("BTC", "USD")),
        ("XBT/USD", ("BTC", "USD")),
        ("btc-usdt", ("BTC", "USDT")),
        ("XDGUSD", ("DOGE", "USD")),
        ("BTCBUSD", ("BTC", "BUSD")),  # not BTCB/USD
        ("USDTUSD", ("USDT", "USD")),
        ("ETHBTC", ("ETH", "BTC")),
        ("DOGEFDUSD", ("DOGE", "FDUSD")),
        ("XTUSD", None),  # X/TUSD or XT/USD
        ("BTC", None),
        ("A/B/C", None),
    ],
)
def test_symbols_read_one_way_or_not_at_all(native, expected):
    """A symbol without a sign between base and quote is split only where one reading is possible."""
    if expected is None:
        with pytest.raises(Unreadable):
            pair_of(native)
        return
    assert expected == pair_of(native)
