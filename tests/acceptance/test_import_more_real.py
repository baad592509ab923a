"""The readers on recorded data: every row is accounted for, and the counts are those of the data's own description."""

from __future__ import annotations

import pytest

from arbot.tape.importing import bars_csv, ccxt_lines, lean, quotes_csv, wide_csv
from arbot.tape.importing.contract import Refused
from arbot.tape.schema import Market
from tests.support.foreign_files import read, real

CCXT = {
    "bitfinex": ("DOGE/USD", 672, 10),
    "gemini": ("DOGE/USD", 713, 10),
    "kraken": ("DOGE/USD", 696, 10),
    "bingx": ("DOGE/USDT", 598, 10),
    "bitget": ("DOGE/USDT", 689, 10),
    "gateio": ("DOGE/USDT", 692, 10),
    "htx": ("DOGE/USDT", 686, 10),
    "kucoin": ("DOGE/USDT", 688, 20),
    "lbank": ("DOGE/USDT", 680, 10),
    "mexc": ("DOGE/USDT", 691, 10),
    "binance": ("DOGE/USD:DOGE", 694, 10),
    "okx": ("DOGE/USD:DOGE", 684, 10),
    "cryptocom": ("DOGE/USD:USD", 686, 10),
}
BARS = {
    "binance": {"BTC/EUR": 12_960, "BTC/USDC": 12_960, "BTC/USDT": 12_960, "USDC/USDT": 12_960},
    "coinbase": {"BTC/EUR": 10_955, "BTC/USD": 12_674, "BTC/USDC": 12_674, "BTC/USDT": 9_561, "USDT/USD": 12_650},
    "cryptocom": {"BTC/USD": 12_917, "BTC/USDC": 12_917, "BTC/USDT": 12_917},
    "kraken": {
        "BTC/EUR": 12_909, "BTC/USD": 12_912, "BTC/USDC": 4_930, "BTC/USDT": 7_428, "USDC/USD": 7_084, "USDT/USD": 12_718,
    },
}  # fmt: skip
SET1 = "l2-snapshots/ccxt13-doge-20240408"
SET3, SET4 = "l2-top10/gate-binance-perp-20240509", "l2-top10/gate-binance-perp-20240508"


@pytest.mark.parametrize("venue", CCXT)
def test_ccxt_books_are_all_there(venue):
    """Each line of the thirteen recordings is one whole book; three venues are known as derivatives, three add items."""
    symbol, rows, depth = CCXT[venue]

    reading = read(ccxt_lines.FORMATS, "ccxt-jsonl", real(f"{SET1}/{venue}_doge_orderbooks.jsonl.gz"))

    assert ({(f"{symbol}@{venue}", "book"): rows}, rows, {}) == (
        reading.kept(),
        reading.source.rows_read,
        reading.source.dropped,
    )
    assert depth == max(batch.depth for batch in reading.batches)
    codes = reading.codes()
    assert (venue in {"kraken", "okx", "cryptocom"}) == ("level_shape" in codes)
    sizes = {"binance": "info", "okx": "info", "cryptocom": "error"}  # 10 USD, 10 USD, nobody knows
    assert sizes.get(venue) == codes.get("contract_size")


def test_best_quotes_of_thirteen_venues():
    """The table of best quotes has as many rows per venue as there are books, all sized."""
    reading = read(quotes_csv.FORMATS, "quotes-csv", real(f"{SET1}/tob.csv.gz"))

    assert {(f"{symbol}@{venue}", "quotes"): rows for venue, (symbol, rows, _) in CCXT.items()} == reading.kept()
    assert 8_869 == reading.source.rows_read


@pytest.mark.parametrize(
    ("name", "rows", "prints"),
    [
        ("BINANCE_BNB", 400, 1_100),
        ("BINANCE_ETH", 400, 2_900),
        ("BINANCE_SOL", 400, 2_700),
        ("GATE_BNB", 1_000, 100),
        ("GATE_ETH", 1_200, 600),
        ("GATE_SOL", 1_200, 300),
    ],
)
def test_wide_books_and_prints_of_one_symbol(name, rows, prints):
    """Ten levels a side in every row, both clocks in their units, and every print."""
    venue, coin = name.lower().split("_")
    series = f"{coin.upper()}/USDT:USDT@{venue}"
    book = read(wide_csv.FORMATS, "wide-csv", real(f"{SET3}/{name}USDT_orderbook_2024-05-09.csv"), market=Market.LINEAR)
    trade = read(wide_csv.FORMATS, "trades-csv", real(f"{SET3}/{name}USDT_trade_2024-05-09.csv"), market=Market.LINEAR)

    assert ({(series, "book"): rows}, {(series, "trades"): prints}) == (book.kept(), trade.kept())
    assert 20 * rows == len(book.rows())
    assert {} == book.codes() == trade.codes()
    assert {1_715_247} == {row[clock] // 10**12 for row in book.rows() for clock in (0, 1)}


@pytest.mark.parametrize(("venue", "rows", "prints", "printed"), [("binance", 200, 2_200, 3), ("gate", 500, 200, 2)])
def test_wide_books_of_three_symbols(venue, rows, prints, printed):
    """The files that mix three symbols are split, and lose no row; BNB had no print at Gate in that time."""
    book = read(wide_csv.FORMATS, "wide-csv", real(f"{SET4}/{venue}_orderbook_2024-05-08.csv"))
    trade = read(wide_csv.FORMATS, "trades-csv", real(f"{SET4}/{venue}_trade_2024-05-08.csv"))

    assert [(3, rows), (printed, prints)] == [(len(it.kept()), sum(it.kept().values())) for it in (book, trade)]
    assert {"market": "warn", "mixed_symbols": "info"} == book.codes()


def test_two_days_with_two_units_are_refused_together():
    """local_timestamp is in ms one day and in ns the next: one import of both is refused, never guessed."""
    shared = {}
    read(wide_csv.FORMATS, "wide-csv", real(f"{SET4}/gate_orderbook_2024-05-08.csv"), shared)

    with pytest.raises(Refused, match="local_timestamp"):
        read(wide_csv.FORMATS, "wide-csv", real(f"{SET3}/GATE_ETHUSDT_orderbook_2024-05-09.csv"), shared)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("quotes/bitfinex-cexio-btceur-201802/tob.csv.gz", {"BTC/EUR@bitfinex": 42_030, "BTC/EUR@cexio": 42_030}),
        ("quotes/bitstamp-cexio-bcheur-20180205/tob.csv.gz", {"BCH/EUR@bitstamp": 5_263, "BCH/EUR@cexio": 5_263}),
        (
            "bars/btc-stables-1min-20230301/l1_1min.csv.gz",
            {
                "BTC/USD@binanceus": 12_960,
                "BTC/USDT@binanceus": 12_960,
                "BTC/USDC@binanceus": 12_948,
                "USDC/USD@binanceus": 4_526,
                "BTC/USD@coinbase": 12_636,  # the nine crossed rows among them: the inspector judges those
                "BTC/USDT@coinbase": 12_602,
            },
        ),
    ],
)
def test_quotes_without_sizes(part, expected):
    """Quotes without sizes come as such, every row of every series."""
    reading = read(quotes_csv.FORMATS, "quotes-csv", real(part))

    assert {(series, "unsized_quotes"): rows for series, rows in expected.items()} == reading.kept()
    assert (sum(expected.values()), {}) == (reading.source.rows_read, reading.source.dropped)


def test_tickers_of_five_venues_with_a_column_map():
    """Nineteen series of sixteen rows from one file whose columns have other names."""
    path = real("quotes/five-venues-eur-20180204/harvest.csv.gz")

    reading = read(quotes_csv.FORMATS, "quotes-csv", path, columns={"recv_ts": "time", "venue": "platform"})

    assert (19, {16}, 304) == (len(reading.kept()), set(reading.kept().values()), reading.source.rows_read)


def test_bars_of_four_venues():
    """Eighteen series of one-minute bars, each with the rows it has."""
    reading = read(bars_csv.FORMATS, "bars-csv", real("bars/btc-stables-1min-20230301/bars_1min.csv.gz"))

    expected = {
        (f"{symbol}@{venue}", "bars of 60 s"): rows for venue, series in BARS.items() for symbol, rows in series.items()
    }
    assert expected == reading.kept()
    assert (207_086, {}) == (reading.source.rows_read, reading.source.dropped)


def test_kraken_download():
    """The first two thousand bars of XBT/USDC."""
    reading = read(bars_csv.FORMATS, "kraken-ohlcvt", real("formats/kraken/XBTUSDC_1_head2000.csv"))

    assert {("BTC/USDC@kraken", "bars of 60 s"): 2_000} == reading.kept()
    assert 1_672_531_200 * 10**9 == reading.bars()[0][0]


@pytest.mark.parametrize(("venue", "rows"), [("bitflyer", 17_507), ("btcbox", 10_516)])
def test_last_prices_of_two_venues(venue, rows):
    """Every last price is a print without a size, marked as such."""
    reading = read(bars_csv.FORMATS, "last-trades-csv", real(f"trades/btcjpy-20180812/{venue}JPY_2018-08-12.csv"))

    assert {("BTC/JPY@" + venue, "trades"): rows} == reading.kept()
    assert "warn" == reading.codes()["unsized_trades"]


@pytest.mark.parametrize(
    ("name", "series", "content", "rows"),
    [
        ("coinbase_btcusd_20170903_quote", "BTC/USD@coinbase", "quotes", 1_438),
        ("coinbase_btcusd_20171217_quote", "BTC/USD@coinbase", "quotes", 1_439),
        ("coinbase_btcusd_20180404_quote", "BTC/USD@coinbase", "quotes", 1_437),
        ("bybit_minute_btcusdt_20221213_quote", "BTC/USDT@bybit", "quotes", 721),
        ("coinbase_btcusd_20171217_trade", "BTC/USD@coinbase", "bars of 60 s", 1_440),
        ("coinbase_btcusd_20180404_trade", "BTC/USD@coinbase", "bars of 60 s", 1_007),
        ("coinbase_btcusd_second_20161007_trade", "BTC/USD@coinbase", "bars of 1 s", 4_063),
        ("binance_minute_btcbusd_20221213_trade", "BTC/BUSD@binance", "bars of 60 s", 1_440),
        ("bybit_minute_btcusdt_20221213_trade", "BTC/USDT@bybit", "bars of 60 s", 1_440),
    ],
)
def test_lean_zips(name, series, content, rows):
    """Every line of the zips, on the day of their name."""
    reading = read(lean.FORMATS, f"lean-{name.rpartition('_')[2]}", real(f"formats/lean/{name}.zip"))

    assert ({(series, content): rows}, rows) == (reading.kept(), reading.source.rows_read)
    assert {"bar_label": "info"} == reading.codes()
