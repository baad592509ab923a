"""What the readers of bars, last prices and Lean zips make of small files."""

from __future__ import annotations

import zipfile
from itertools import pairwise

import pytest

from arbot.market.stream import Kind
from arbot.tape.importing import bars_csv, lean
from arbot.tape.importing.contract import Refused
from arbot.tape.schema import Content, Market
from tests.support.foreign_files import read, write

S = 1_677_628_800
NS = 10**9
OWN = "venue,symbol,ts_us,open,high,low,close,volume"
QUOTE_BAR = "1,9,1,{bid},0.5,2,9,2,{ask},0.25"


def test_length_of_bars_is_the_usual_step(tmp_path):
    """The most frequent step of a series is its length of bars, each series its own, and it is told."""
    minutes = [f"kraken,BTCUSD,{(S + 60 * at) * 10**6},1,2,0.5,1.5,{at}" for at in (0, 1, 2, 7, 8)]
    hours = [f"coinbase,ETHUSD,{(S + 3600 * at) * 10**6},1,2,0.5,1.5,1" for at in range(3)]
    path = write(tmp_path / "bars.csv.gz", OWN, *sorted(minutes + hours, key=lambda row: row.split(",")[2]))

    reading = read(bars_csv.FORMATS, "bars-csv", path)

    assert {("BTC/USD@kraken", "bars of 60 s"): 5, ("ETH/USD@coinbase", "bars of 3600 s"): 3} == reading.kept()
    assert (S * NS, "1", "2", "0.5", "1.5", "0") in reading.bars()  # a bar without volume is kept: it is a fact
    assert {"bar_label": "info", "mixed_symbols": "info"} == reading.codes()
    assert "60 s" in reading.finding("bar_label").detail


def test_length_of_one_bar_must_be_said(tmp_path):
    """One bar alone does not say how long it is: --column bar=5m does."""
    path = write(tmp_path / "bars.csv", OWN, f"kraken,BTCUSD,{S},1,2,0.5,1.5,3")

    with pytest.raises(Refused, match="bar=60s"):
        read(bars_csv.FORMATS, "bars-csv", path)
    with pytest.raises(Refused, match="no length"):
        read(bars_csv.FORMATS, "bars-csv", path, columns={"bar": "soon"})
    said = read(bars_csv.FORMATS, "bars-csv", path, columns={"bar": "5m"})
    assert {("BTC/USD@kraken", "bars of 300 s"): 1} == said.kept()


def test_bar_with_a_bad_number_is_refused_and_without_a_price_dropped(tmp_path):
    """Rubbish in a bar names its row; a price of zero drops the bar with an ERROR."""
    rows = [f"kraken,BTCUSD,{S + 60 * at},1,2,0.5,{close},3" for at, close in enumerate(("1", "1,5", "1"))]
    with pytest.raises(Refused, match="row 2: 9 fields"):
        read(bars_csv.FORMATS, "bars-csv", write(tmp_path / "bars.csv", OWN, *rows))
    rows[1] = rows[1].replace("1,5", "1.5.5")
    with pytest.raises(Refused, match=r"row 2: close is '1.5.5'"):
        read(bars_csv.FORMATS, "bars-csv", write(tmp_path / "bars.csv", OWN, *rows))
    rows[1] = rows[1].replace("1.5.5", "0")
    reading = read(bars_csv.FORMATS, "bars-csv", write(tmp_path / "bars.csv", OWN, *rows))
    assert (3, {"zero_price": 1}, 2) == (reading.source.rows_read, reading.source.dropped, len(reading.bars()))


def test_kraken_bars_have_all_in_the_name(tmp_path):
    """XBTUSDC_1.csv is BTC/USDC of Kraken in minutes; a missing minute changes nothing; a header is refused."""
    rows = [f"{S},16535.97,16536,16522.66,16522.7,0.01429883,2", f"{S + 540},16513,16513,16513,16513,0.0003,1"]
    reading = read(bars_csv.FORMATS, "kraken-ohlcvt", write(tmp_path / "XBTUSDC_1.csv", *rows))

    assert {("BTC/USDC@kraken", "bars of 60 s"): 2} == reading.kept()
    assert (S * NS, "16535.97", "16536", "16522.66", "16522.7", "0.01429883") == reading.bars()[0]
    with pytest.raises(Refused, match="has no header"):
        read(bars_csv.FORMATS, "kraken-ohlcvt", write(tmp_path / "XBTUSD_1.csv", "time,o,h,l,c,v,n", *rows))
    with pytest.raises(Refused, match="does not say symbol and minutes"):
        read(bars_csv.FORMATS, "kraken-ohlcvt", write(tmp_path / "bitcoin.csv", *rows))


def test_name_with_other_days_than_the_rows_is_told(tmp_path):
    """A name that says 1-21 March over rows of January is a finding, and the rows are what counts."""
    january, march = 1_672_531_200, 1_677_715_200
    name = "BTCUSDC_1m_20230301_20230321.csv"

    wrong = read(bars_csv.FORMATS, "kraken-ohlcvt", write(tmp_path / name, f"{january},1,2,1,2,1,1"))
    right = read(bars_csv.FORMATS, "kraken-ohlcvt", write(tmp_path / name, f"{march},1,2,1,2,1,1"))

    assert ("info", "info") == (wrong.codes()["name_window"], wrong.codes()["bar_label"])
    assert "2023-03-01 to 2023-03-21" in wrong.finding("name_window").detail
    assert "name_window" not in right.codes()


@pytest.mark.parametrize("scale", [1, 1000])
def test_downloads_with_the_newest_row_first_are_turned_round(tmp_path, scale):
    """CryptoDataDownload: the first line is skipped, seconds and milliseconds are told apart, and time runs forward."""
    rows = [f"{(S + 3600 * at) * scale},x,BTC/USDT,{at + 1},{at + 2},1,{at + 1},0.5,11,7" for at in range(25_000)]
    header = "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount"
    path = write(tmp_path / "Binance_BTCUSDT_1h.csv", "https://www.example.org/data", header, *rows[::-1])

    reading = read(bars_csv.FORMATS, "cryptodatadownload", path)

    assert {("BTC/USDT@binance", "bars of 3600 s"): 25_000} == reading.kept()
    starts = [bar[0] for bar in reading.bars()]
    assert (S * NS, True) == (starts[0], all(one < two for one, two in pairwise(starts)))
    assert "0.5" == reading.bars()[0][-1]  # the volume in base
    assert 25_000 == reading.source.rows_read


def test_coinbase_candles_have_low_before_high(tmp_path):
    """Coinbase's candles are time, low, high, open, close, volume; with another header they are refused."""
    rows = [f"{S + 60},90,110,95,100,3", f"{S},80,120,85,95,2"]
    header = "time,low,high,open,close,volume"
    for lines in (rows, [header, *rows]):
        reading = read(bars_csv.FORMATS, "coinbase-candles", write(tmp_path / "BTC-USD.csv", *lines))
        assert {("BTC/USD@coinbase", "bars of 60 s"): 2} == reading.kept()
        assert [
            (S * NS, "85", "120", "80", "95", "2"),
            ((S + 60) * NS, "95", "110", "90", "100", "3"),
        ] == reading.bars()
    with pytest.raises(Refused, match="these candles are time,low"):
        read(
            bars_csv.FORMATS,
            "coinbase-candles",
            write(tmp_path / "BTC-USD.csv", "time,open,high,low,close,volume", *rows),
        )


def test_last_prices_are_prints_without_size_and_side(tmp_path):
    """`date,last` gives prints of unknown side and size 0, marked; venue and quote stand in the name."""
    path = write(tmp_path / "bitflyerJPY_2018-08-12.csv", "date,last", "2018-08-12 00:00:19,681008.0")

    reading = read(bars_csv.FORMATS, "last-trades-csv", path)

    assert {("BTC/JPY@bitflyer", "trades"): 1} == reading.kept()
    assert [(1534032019 * NS, 0, Kind.TRADE, 1, 0, "681008.0", "0")] == reading.rows()
    assert {"unsized_trades": "warn", "time_zone": "info"} == reading.codes()


def test_lean_quote_is_known_when_its_bar_ends(tmp_path):
    """A quote bar becomes its closing quote at the end of the bar, with the date of the name."""
    path = write(tmp_path / "coinbase_btcusd_minute_20171217_quote.zip", f"60000,{QUOTE_BAR.format(bid=3, ask=4)}")

    reading = read(lean.FORMATS, "lean-quote", path)

    ts = (1513468800 + 60 + 60) * NS
    assert [(ts, 0, Kind.SNAPSHOT, 0, 1, "3", "0.5"), (ts, 0, Kind.SNAPSHOT, 1, -1, "4", "0.25")] == reading.rows()
    batch = reading.batches[0]
    assert ("coinbase", "BTC/USD", Content.QUOTES) == (batch.series.venue, batch.series.symbol, batch.content)
    assert {"bar_label": "info"} == reading.codes()


def test_lean_folders_name_the_market(tmp_path):
    """In Lean's own folders venue and symbol stand in the path; trade bars keep their start and unscaled prices."""
    folder = tmp_path / "crypto" / "bybit" / "second" / "btcusdt"
    folder.mkdir(parents=True)
    path = folder / "20221213_trade.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("20221213_btcusdt_second_trade.csv", "1000,17212.12,17216.55,17208.88,17208.9,0")

    reading = read(lean.FORMATS, "lean-trade", path)

    assert {("BTC/USDT@bybit", "bars of 1 s"): 1} == reading.kept()
    assert [(1670889601 * NS, "17212.12", "17216.55", "17208.88", "17208.9", "0")] == reading.bars()
    assert Market.SPOT == reading.batches[0].series.market


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("coinbase_btcusd_minute_quote.zip", QUOTE_BAR.format(bid=3, ask=4), "no date"),
        ("coinbase_btcusd_hour_20171217_quote.zip", QUOTE_BAR.format(bid=3, ask=4), "minutes or seconds"),
        ("coinbase_btcusd_minute_20171217_quote.zip", "1,2,3,4,5", "6 fields where quote bars have 11"),
        ("coinbase_btcusd_minute_20171217_quote.zip", QUOTE_BAR.format(bid="3x", ask=4), "row 1: a price is '3x'"),
    ],
)
def test_lean_zip_that_does_not_fit_is_refused(tmp_path, name, row, message):
    """No date, another resolution, another table, a bad number: each is refused."""
    with pytest.raises(Refused, match=message):
        read(lean.FORMATS, "lean-quote", write(tmp_path / name, f"60000,{row}"))


def test_lean_damage_is_refused(tmp_path):
    """A time that is no time of day names its row, and a zip that ends early is refused."""
    path = write(tmp_path / "coinbase_btcusd_minute_20171217_quote.zip", f"86400000,{QUOTE_BAR.format(bid=3, ask=4)}")
    with pytest.raises(Refused, match="row 1: '86400000' is no time of day"):
        read(lean.FORMATS, "lean-quote", path)

    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Refused, match="not a whole zip"):
        read(lean.FORMATS, "lean-quote", path)
