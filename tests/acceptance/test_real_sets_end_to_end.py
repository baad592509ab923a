"""The recorded sets as a new user takes them: `arbot data import`, then `arbot data inspect --json`, held against what is known.

Statistics come from tests/support/real_reference.py; every fault that the sets are known for has to be found.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbot.cli.main import run
from arbot.tape.inspect.load import load
from arbot.tape.inspect.pairs import pair_stats
from arbot.tape.inspect.quotes import QuoteSeries, walk_stream
from tests.support import real_reference as reference

DATA = Path(os.environ.get("ARBOT_DATA") or Path(__file__).parents[3] / "shared" / "data")
RAW = "l2-deltas/binance-btc-20240808"
ENGINES = {"spot": "BTC/USDT@binance", "usdm": "BTC/USDT:USDT@binance-usdm", "coinm": "BTC/USD:BTC@binance-coinm"}
FILES = {"spot": "spot_*.gz", "usdm": "usdm_*.gz", "coinm": "cm_*.gz"}
HARVEST = ("--column", "recv_ts=time", "--column", "venue=platform")
# tape -> imports: format, files, options
SETS: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {
    "1": [("ccxt-jsonl", "l2-snapshots/ccxt13-doge-20240408/*.jsonl.gz", ())],
    "2 books": [("binance-depth-log", f"{RAW}/{name}", ()) for name in FILES.values()],
    "2 quotes": [("binance-ticker-log", f"{RAW}/{name}", ()) for name in FILES.values()],
    "3": [
        ("wide-csv", "l2-top10/gate-binance-perp-20240509/*orderbook*", ("--market", "linear")),
        ("trades-csv", "l2-top10/gate-binance-perp-20240509/*trade*", ("--market", "linear")),
    ],
    "4": [("wide-csv", "l2-top10/gate-binance-perp-20240508/*orderbook*", ())],
    "5": [("quotes-csv", "quotes/bitfinex-cexio-btceur-201802/tob.csv.gz", ())],
    "6": [("quotes-csv", "quotes/bitstamp-cexio-bcheur-20180205/tob.csv.gz", ())],
    "7": [("quotes-csv", "quotes/five-venues-eur-20180204/harvest.csv.gz", HARVEST)],
    "8": [
        ("quotes-csv", "bars/btc-stables-1min-20230301/l1_1min.csv.gz", ()),
        ("bars-csv", "bars/btc-stables-1min-20230301/bars_1min.csv.gz", ()),
    ],
    "9": [("last-trades-csv", "trades/btcjpy-20180812/*.csv", ())],
    "11": [
        ("lean-quote", "formats/lean/bybit*quote.zip", ()),
        ("lean-trade", "formats/lean/binance*trade.zip", ()),
    ],
}


def said(*arguments: object) -> tuple[int, Any]:
    """Return exit status and document of a command that was asked for JSON."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*map(str, arguments), "--json"])
    return code, json.loads(out.getvalue())


class Tapes:
    """Imports each set when a test first asks for it, and remembers what the inspector said of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._reports: dict[str, list[dict[str, Any]]] = {}
        self.inspected = cache(self._inspected)

    def imported(self, name: str) -> Path:
        """Return the catalogue of a set."""
        tape = self._root / name.replace(" ", "-")
        if name not in self._reports:
            self._reports[name] = [self._import(tape, *one) for one in SETS[name]]
        return tape

    def reports(self, name: str) -> list[dict[str, Any]]:
        """Return what the imports of a set reported."""
        self.imported(name)
        return self._reports[name]

    def _import(self, tape: Path, format_name: str, pattern: str, options: tuple[str, ...]) -> dict[str, Any]:
        files = sorted(DATA.glob(pattern))
        if not files:
            pytest.skip(f"no recorded data: set ARBOT_DATA to a folder with {pattern}")
        code, report = said("data", "import", "--format", format_name, *files, "--out", tape, *options)
        assert 0 == code
        assert all(file["rows_read"] == file["rows_kept"] + sum(file["dropped"].values()) for file in report["files"])
        return report

    def _inspected(self, name: str, options: str = "") -> dict[str, Any]:
        """Return the JSON of `arbot data inspect`."""
        code, found = said("data", "inspect", self.imported(name), *options.split())
        worst = {one["severity"] for one in found["findings"]}
        assert (2 if "error" in worst else 1 if "warn" in worst else 0) == code
        return found


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    """Return the sets."""
    return Tapes(tmp_path_factory.mktemp("real"))


def pair_of(found: dict[str, Any], a: str, b: str) -> tuple[dict[str, Any], bool]:
    """Return the pair of two series, and whether the inspection has it the other way round."""
    (pair,) = [one for one in found["pairs"] if {a, b} == {one["a"], one["b"]}]
    return pair, pair["a"] == b


def found_by(found: dict[str, Any], code: str) -> dict[str, Any]:
    """Return the findings of a code by series, or by file where they are of a whole file."""
    return {one["series"] or Path(one["file"]).name: one for one in found["findings"] if one["code"] == code}


def test_thirteen_venues_by_pair(tapes):
    """Each same-quote pair of the thirteen venues shows the reference distribution and windows."""
    found = tapes.inspected("1", "--fresh 20s --pairs all")
    lines = reference.rows_of(reference.PAIRS_13)
    assert 24 == len(lines)
    for name, *line in lines:
        a, b = name.split("-")
        usd = "DOGE/USD" if b in ("gemini", "kraken") else "DOGE/USDT"
        pair, is_flipped = pair_of(found, f"{usd}@{a}", f"{usd}@{b}")
        reference.check(pair, *line, is_flipped=is_flipped)
    assert 0 == sum(pair["above"][3]["both"]["windows"] for pair in found["pairs"])


def test_thirteen_venues_pooled(tapes):
    """Pooled by class and freshness limit the thirteen venues show the reference shares."""
    for fresh_s in ("6", "3", "1.5"):
        sums = defaultdict(lambda: [0, 0.0, 0.0, 0.0, 0.0, 0.0])
        for pair in tapes.inspected("1", f"--fresh {fresh_s}s --pairs all")["pairs"]:
            row = sums[pair["pair_class"]]
            row[0] += 1
            row[1] += pair["valid_h"]
            for at in range(3):
                row[2 + at] += pair["above"][at]["both"]["time_share"] * pair["valid_h"]
            row[5] = max(row[5], pair["edge_bps"]["max"])
        for limit, name, pairs, hours, *shares, largest in reference.rows_of(reference.POOLED_13):
            if limit == fresh_s:
                row = sums[name]
                assert int(pairs) == row[0]
                assert pytest.approx(float(hours), abs=0.0051) == row[1]
                shown = [100 * share / row[1] for share in row[2:5]]
                assert pytest.approx([float(share) for share in shares], abs=0.01) == shown
                assert pytest.approx(float(largest), abs=0.0501) == row[5]


def test_usable_share_falls_with_the_freshness_limit(tapes):
    """Quotes 5 s apart are both fresh 99.6, 32 and 8 % of the time at limits of 6, 3 and 1.5 s."""
    pairs = tapes.inspected("1", "--fresh 6s --pairs all")["pairs"]
    overlap = sum(pair["overlap_h"] for pair in pairs)
    for fresh_s, expected in ((6.0, 99.6), (3.0, 32), (1.5, 8)):
        valid = sum(limit["valid_h"] for pair in pairs for limit in pair["by_fresh"] if limit["fresh_s"] == fresh_s)
        assert pytest.approx(expected, abs=0.5) == 100 * valid / overlap


def test_faults_of_thirteen_venues(tapes):
    """The thirteen venues show whole seconds, cached polls, contracts, unlike quotes and polls out of phase."""
    found = tapes.inspected("1")
    usd = {f"DOGE/USD@{venue}" for venue in ("bitfinex", "gemini", "kraken")}
    assert usd == set(found_by(found, "whole_seconds"))
    repeats = {name.partition("@")[2]: one["count"] for name, one in found_by(found, "frozen").items()}
    assert {"gemini": 308, "lbank": 374, "bingx": 226} == repeats
    contracts = found_by(found, "contract_size")
    assert {"DOGE/USD:DOGE@binance", "DOGE/USD:DOGE@okx", "DOGE/USD:USD@cryptocom"} == set(contracts)
    assert "contracts of 10 USD" in contracts["DOGE/USD:DOGE@binance"]["detail"]
    assert "error" == contracts["DOGE/USD:USD@cryptocom"]["severity"]
    shapes = {name.partition("@")[2] for name in found_by(found, "level_shape")}
    assert {"kraken", "okx", "cryptocom"} == shapes
    assert {"DOGE"} == set(found_by(found, "quote_currency"))
    assert "error" == found_by(found, "quote_currency")["DOGE"]["severity"]
    assert {"DOGE"} == set(found_by(found, "phase_lag"))
    assert 13 == sum(one["code"] == "no_exchange_time" for one in found["findings"])
    assert {} == found_by(found, "crossed") | found_by(found, "order") | found_by(found, "truncated")
    assert {"USD-USDT": 21, "USD-perp USD": 9, "USDT-perp USD": 21, "perp USD-perp USD": 2} == found["pairs_kept_out"]


def test_books_of_three_engines(tapes):
    """Changes are applied and dropped as other programs count them, without a gap and never crossed."""
    found = tapes.inspected("2 books", "--pairs all")
    expected = {"spot": (6_493, 2), "usdm": (6_547, 4), "coinm": (44_772, 23)}
    series = {one["name"]: one for one in found["series"]}
    for report, (name, (applied, old)) in zip(tapes.reports("2 books"), expected.items(), strict=True):
        one = series[ENGINES[name]]
        assert (applied, 1, 0) == (one["deltas"], one["snapshots"], one["clears"])
        assert (0, 0) == (one["crossed"], one["deltas_without_snapshot"])
        assert old == sum(file["dropped"].get("old", 0) for file in report["files"])
        assert "info" == found_by(found, "delta_before_snapshot")[ENGINES[name]]["severity"]
    assert {} == found_by(found, "seq_gap") | found_by(found, "crossed")
    # lines from 1; the reference counts them from 0
    for name, bridge, snapshot in (("spot", 6, 8), ("usdm", 42, 55), ("coinm", 35, 37)):
        told = found_by(found, "delta_before_snapshot")[ENGINES[name]]["detail"]
        assert f"in line {snapshot}; they waited for it, and the one in line {bridge} joined it" in told


def test_quotes_of_three_engines(tapes):
    """Spot, USD-M and COIN-M of Binance differ by their basis, as the reference says on its clock of microseconds."""
    series: dict[str, QuoteSeries] = {}
    for one in load([tapes.imported("2 quotes")]).datasets:
        parts = (rows.having(recv_ts_ns=rows.recv_ts_ns // 1000 * 1000) for rows in one.parts)
        series[str(one.meta.instrument.id)] = walk_stream(one.meta, parts).series
    found = tapes.inspected("2 quotes", "--pairs all")
    for fresh_s, name, *line in reference.rows_of(reference.THREE_ENGINES):
        a, b = (ENGINES[one] for one in name.split("-"))
        stats = pair_stats(series[a], series[b], float(fresh_s))
        reference.check(msgspec.to_builtins(stats), *line)
        # on the tape's clock of nanoseconds two more windows show, each of one message
        pair, is_flipped = pair_of(found, a, b)
        hours, mid, largest, above_0, above_10, _ = line
        reference.check(pair, hours, mid, largest, is_flipped=is_flipped)
        for cell, above in ((above_0, pair["above"][0]), (above_10, pair["above"][1])):
            assert 0 <= above["both"]["windows"] - int(cell.partition(",")[0]) <= 1


def test_faults_of_three_engines(tapes):
    """A receive clock that is behind, quotes without a venue time, contracts, an early end, a basis that stays."""
    found = tapes.inspected("2 quotes", "--pairs all")
    behind = found_by(found, "clock_behind")
    assert {ENGINES["usdm"], ENGINES["coinm"]} == set(behind)
    lags = [one["lag_ms"]["p50"] for one in found["series"] if one["name"] in behind]
    lags += [one["lag_ms"]["p50"] for one in tapes.inspected("2 books", "--pairs all")["series"]]
    assert 5 == len(lags)
    assert all(-1274 <= lag <= -1264 for lag in lags)
    assert {ENGINES["spot"]} == set(found_by(found, "no_exchange_time"))
    assert {ENGINES["usdm"]} == set(found_by(found, "truncated"))
    assert "100 USD" in found_by(found, "contract_size")[ENGINES["coinm"]]["detail"]
    offset = found_by(found, "offset")[f"{ENGINES['spot']}|{ENGINES['usdm']}"]
    assert offset["share"] > 0.999
    assert "by 3.6 bps" in offset["detail"]
    assert {"BTC"} == set(found_by(found, "quote_currency"))


def test_perpetuals_of_gate_and_binance(tapes):
    """The perpetuals of Gate and Binance show the reference windows, offsets, late clocks and an early end."""
    for fresh_s in (5, 1):
        found = tapes.inspected("3", f"--fresh {fresh_s}s")
        for coin, *line in reference.rows_of(reference.PERPETUALS):
            pair, is_flipped = pair_of(found, f"{coin}/USDT:USDT@gate", f"{coin}/USDT:USDT@binance")
            reference.check(pair, *line, is_flipped=is_flipped)
    books = [one for one in found["series"] if one["content"] == "book"]
    assert 6 == len(books)
    assert {one["name"] for one in books} <= set(found_by(found, "clock_behind"))
    assert all(-71 < one["lag_ms"]["p50"] < -42 for one in books)
    offsets = found_by(found, "offset")
    assert {f"{coin}/USDT:USDT@binance|{coin}/USDT:USDT@gate" for coin in ("BNB", "ETH")} == set(offsets)
    assert ["by 7.1 bps", "by 2.8 bps"] == [offsets[name]["detail"][-24:-14] for name in sorted(offsets)]
    assert {f"{coin}/USDT:USDT@binance" for coin in ("ETH", "SOL", "BNB")} <= set(found_by(found, "truncated"))
    assert {"info"} == {one["severity"] for one in found_by(found, "contract_size").values()}
    assert {} == found_by(found, "crossed") | found_by(found, "order")


def test_units_and_mixed_symbols_of_two_days(tapes, capsys):
    """Three symbols in one file are split and told; the files of two days, in ns and in ms, are refused together."""
    mixed = found_by(tapes.inspected("4"), "mixed_symbols")
    assert 2 == len(mixed)
    assert all("holds 3 series" in one["detail"] for one in mixed.values())
    files = [
        *DATA.glob("l2-top10/gate-binance-perp-20240508/gate_orderbook_*.csv"),
        *DATA.glob("l2-top10/gate-binance-perp-20240509/GATE_ETHUSDT_orderbook_*.csv"),
    ]
    out = tapes.imported("4").with_name("units")
    assert 2 == run(["data", "import", "--format", "wide-csv", *map(str, files), "--out", str(out)])
    assert "unit" in capsys.readouterr().err
    assert [] == [file for file in out.rglob("*") if file.is_file()]


@pytest.mark.parametrize("line", reference.rows_of(reference.LASTING_GAPS), ids=lambda line: f"{line[0]} {line[1]} s")
def test_a_lasting_gap_and_its_turns(tapes, line):
    """Two weeks of a lasting gap show the reference windows, and how rarely its direction turns."""
    name, fresh_s, turns, *numbers = line
    (pair,) = tapes.inspected(name, f"--fresh {fresh_s}s")["pairs"]
    reference.check(pair, *numbers)
    assert int(turns) == pair["above"][3]["turns"]
    if (name, fresh_s) == ("5", "60"):
        # sold at cexio: bitfinex is the cheap side
        assert pytest.approx(22.70, abs=0.01) == 100 * pair["above"][3]["sell_b"]["time_share"]
        assert pytest.approx(8.00, abs=0.01) == 100 * pair["above"][3]["sell_a"]["time_share"]


@pytest.mark.parametrize(
    ("name", "gaps", "longest", "still"),
    [
        ("5", 109, "20630 s", "68 in a row over 2560 s, to 2018-02-17 02:58"),
        ("6", 8, "379 s", "205 in a row over 3194 s"),
    ],
)
def test_faults_of_a_lasting_gap(tapes, name, gaps, longest, still):
    """Two venues polled in turn show shared stamps, long holes, and a venue that stands still."""
    found = tapes.inspected(name, "--fresh 60s")
    assert [gaps, gaps] == [one["count"] for one in found_by(found, "gap").values()]
    assert all(longest in one["detail"] for one in found_by(found, "gap").values())
    (frozen,) = (one for series, one in found_by(found, "frozen").items() if series.endswith("@cexio"))
    assert still in frozen["detail"]
    (shared,) = found_by(found, "shared_stamp").values()
    assert 1.0 == shared["share"]
    assert 2 == sum(one["code"] == "no_exchange_time" for one in found["findings"])
    assert 2 == len(found_by(found, "unsized_quotes"))
    assert {} == found_by(found, "crossed") | found_by(found, "retail_price") | found_by(found, "zero_price")
    if name == "5":
        holes = sorted((gap["end_ns"] - gap["start_ns"]) / 1e9 for gap in found["series"][0]["gaps_longest"])
        assert [17_946, 20_630] == [round(hole) for hole in holes[-2:]]


def test_faults_of_retail_prices(tapes):
    """A broker's price is told from books by its spread; one file held nineteen series under one stamp a loop."""
    found = tapes.inspected("7")
    assert {f"{coin}/EUR@coinbase" for coin in ("BTC", "ETH", "LTC", "BCH")} == set(found_by(found, "retail_price"))
    assert 28 == len(found_by(found, "shared_stamp"))
    assert all(one["share"] == 1.0 for one in found_by(found, "shared_stamp").values())
    (mixed,) = found_by(found, "mixed_symbols").values()
    assert "holds 19 series" in mixed["detail"]
    assert {"coinbase", "kraken", "bitstamp", "bitfinex", "cex"} == {one["venue"] for one in found["series"]}


@pytest.mark.parametrize("line", reference.rows_of(reference.MINUTE_QUOTES), ids=lambda line: " ".join(line[:2]))
def test_minute_quotes_with_and_without_crossed_rows(tapes, line):
    """Nine crossed rows turn a largest edge of 50.6 bps into 727.4."""
    symbol, options, *numbers = line
    pair, is_flipped = pair_of(tapes.inspected("8", options), f"{symbol}@binanceus", f"{symbol}@coinbase")
    reference.check(pair, *numbers, is_flipped=is_flipped)


@pytest.mark.parametrize("line", reference.rows_of(reference.BAR_PAIRS), ids=lambda line: " ".join(line[:2]))
def test_bars_of_two_venues(tapes, line):
    """Closes of two venues differ as the reference says, bars without volume left out."""
    symbol, venues, count, diff, largest, above_10, above_25 = line
    quote = next(quote for quote in ("USDT", "USDC", "USD", "EUR") if symbol.endswith(quote))
    names = [f"{symbol.removesuffix(quote)}/{quote}@{venue} bars" for venue in venues.split("-")]
    (pair,) = [one for one in tapes.inspected("8", "--fresh 180s")["bar_pairs"] if set(names) == {one["a"], one["b"]}]
    assert int(count) == pair["bars"]
    told = [float(number) for number in diff.split("/")]
    assert names == [pair["a"], pair["b"]]
    assert pytest.approx(told, abs=0.0501) == [pair["diff_bps"][name] for name in ("p1", "p50", "p99")]
    assert pytest.approx(float(largest), abs=0.0501) == pair["largest_bps"]
    shares = [100 * pair["above_10_share"], 100 * pair["above_25_share"]]
    assert pytest.approx([float(above_10), float(above_25)], abs=0.01) == shares


def test_faults_of_minute_quotes(tapes):
    """Nine crossed rows, holes, a quote that stands still, samples of a minute and floats with dust are found."""
    found = tapes.inspected("8", "--fresh 180s")
    (crossed,) = found_by(found, "crossed").values()
    assert ("BTC/USD@coinbase", 9, "error") == (crossed["series"], crossed["count"], crossed["severity"])
    assert "752.8 bps" in crossed["detail"]
    assert "2023-03-04 21:22:59 to 2023-03-04 21:35:59" in crossed["detail"]
    gap = found_by(found, "gap")["BTC/USD@coinbase"]["detail"]
    assert "13380 s" in gap
    assert "324 steps" in gap
    assert "348 in a row" in found_by(found, "frozen")["USDC/USD@binanceus"]["detail"]
    labels = found_by(found, "bar_label")
    assert "59.999" in labels["BTC/USD@coinbase"]["detail"]
    assert "BTC/USD@coinbase bars" in labels
    assert {"BTC", "USDC"} == set(found_by(found, "quote_currency"))
    assert "23142.760000000002" in found_by(found, "float_artefact")["BTC/USD@binanceus"]["detail"]
    assert {} == found_by(found, "locked") | found_by(found, "zero_price") | found_by(found, "order")


def test_faults_of_bars(tapes):
    """One series under two names, a constant, bars without a trade, lone prints, a wrong venue and late closes are found."""
    found = tapes.inspected("8", "--fresh 180s")
    alias = {name: one["count"] for name, one in found_by(found, "alias").items()}
    assert {"BTC/USD@coinbase bars|BTC/USDC@coinbase bars": 12_674} == alias
    constant = {name: one["count"] for name, one in found_by(found, "constant").items()}
    assert {"BTC/USDC@cryptocom bars": 12_917} == constant
    assert {
        "USDC/USDT@binance bars": 11_980, "BTC/USDC@binance bars": 6_323, "BTC/USDT@binance bars": 484,
        "BTC/USD@cryptocom bars": 17, "BTC/USDT@cryptocom bars": 33, "BTC/USDC@cryptocom bars": 12_917,
    } == {name: one["count"] for name, one in found_by(found, "zero_volume").items()}  # fmt: skip
    lone = found_by(found, "lone_print")["USDC/USDT@binance bars"]
    assert 5 + 8 == lone["count"]
    prints = (
        "01:35:00 (low 0.9705)",
        "01:47:00 (low 0.8997)",
        "01:50:00 (low 0.9292)",
        "02:04:00",
        "02:08:00 (low 0.8996)",
    )
    assert [] == [told for told in prints if told not in lone["detail"]]
    labels = {f"{symbol}@binance bars" for symbol in ("BTC/USDT", "BTC/USDC", "USDC/USDT")}
    assert labels == set(found_by(found, "venue_label"))
    offsets = {f"BTC/EUR@binance bars|BTC/EUR@{venue} bars" for venue in ("coinbase", "kraken")}
    assert offsets <= set(found_by(found, "offset"))
    late = found_by(found, "async_close")
    for symbol, correlation in (("BTC/USDT", "0.25"), ("BTC/USDC", "0.28"), ("BTC/USD", "0.14")):
        told = late[f"{symbol}@kraken bars"]["detail"]
        assert told.endswith(f"BTC/USD@coinbase bars one bar later with a correlation of {correlation}")


def test_faults_of_prints(tapes):
    """Prints of two venues have a clock of whole seconds, no size, and their known largest steps."""
    found = tapes.inspected("9")
    assert {"BTC/JPY@bitflyer", "BTC/JPY@btcbox"} == set(found_by(found, "whole_seconds"))
    assert {"BTC/JPY@bitflyer", "BTC/JPY@btcbox"} == set(found_by(found, "unsized_trades"))
    assert {17_507, 10_516} == {one["trades"] for one in found["series"]}
    assert {722, 471} == {round(one["step_max_s"]) for one in found["series"]}
    assert 2 == len(found_by(found, "time_zone"))


def test_names_and_quotes_of_samples(tapes, tmp_path):
    """A name that says other days than the rows is told, and so are two dollars that are not one."""
    (sample,) = DATA.glob("formats/kraken/*.csv") if DATA.exists() else ("",)
    if not sample:
        pytest.skip("no recorded data: set ARBOT_DATA to a folder with formats/kraken")
    path = tmp_path / "XBTUSDC_1_20230301_20230321.csv"
    shutil.copy(sample, path)
    assert 0 == said("data", "import", "--format", "kraken-ohlcvt", path, "--out", tmp_path / "tape")[0]
    found = said("data", "inspect", tmp_path / "tape")[1]
    (window,) = found_by(found, "name_window").values()
    assert "the name says 2023-03-01 to 2023-03-21, the rows run from 2023-01-01" in window["detail"]
    assert "2000 rows, a round number" in found_by(found, "truncated")[path.name]["detail"]
    assert "BTC" in found_by(tapes.inspected("11"), "quote_currency")
