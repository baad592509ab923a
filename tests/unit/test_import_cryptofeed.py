"""CSV and Parquet of cryptofeed: books and changes as JSON, tickers without sizes, trades."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arbot.tape.importing.contract import Refused, Severity
from arbot.tape.schema import Clocks, Content
from tests.support.imports import imported, text_file

T0 = 1633998511
BOOK = '"{""bid"":{""100.5"":1,""100"":2.5},""ask"":{""101"":3}}"'
CHANGE = '"{""bid"":{""100.5"":0},""ask"":{}}"'


def test_books_and_changes(tmp_path):
    """A whole book is a snapshot, a row with delta a change, and times are seconds with a fraction."""
    path = text_file(
        tmp_path, "l2_book.csv", "timestamp,receipt_timestamp,exchange,symbol,delta,data",
        f"{T0}.5,{T0}.6,COINBASE,BTC-USD,true,{CHANGE}", f"{T0 + 1}.5,{T0 + 1}.6,COINBASE,BTC-USD,false,{BOOK}",
        f"{T0 + 2}.5,{T0 + 2}.6,COINBASE,BTC-USD,true,{CHANGE}",
    )  # fmt: skip
    done = imported("cryptofeed-l2_book", [path], tmp_path / "out")
    at = T0 * 10**9 + 500_000_000 + 100_000_000
    assert [
        ("clear", at, [(0, 0, 0)]),
        ("snapshot", at + 10**9, [(1, 1005, 10), (1, 1000, 25), (-1, 1010, 30)]),
        ("delta", at + 2 * 10**9, [(1, 1005, 0)]),
    ] == done.only.messages()
    assert {"before_snapshot": 1} == done.report.files[0].dropped
    assert Severity.INFO == done.finding("delta_before_snapshot").severity


def test_parquet_of_floats_reads_like_text(tmp_path):
    """Float columns of Parquet become the numbers that were written; equal clocks are one."""
    path = tmp_path / "ticker.parquet"
    stamps = [T0 + 0.25, T0 + 1.25]
    columns = {"timestamp": stamps, "receipt_timestamp": stamps, "exchange": ["KRAKEN"] * 2, "symbol": ["BTC-USD"] * 2}
    pq.write_table(pa.table({**columns, "bid": [100.1, 100.2], "ask": [100.3, None]}), path)
    done = imported("cryptofeed-ticker", [path], tmp_path / "out")
    first = T0 * 10**9 + 250_000_000
    assert [("snapshot", first, [(1, 1001, 0), (-1, 1003, 0)]), ("snapshot", first + 10**9, [(1, 1002, 0)])] == (
        done.only.messages()
    )
    assert (Content.UNSIZED_QUOTES, Clocks.RECV_ONLY) == (done.only.meta.content, done.only.meta.clocks)
    assert ["no_exchange_time"] == done.codes()


def test_trades_have_the_takers_side(tmp_path):
    """Words buy and sell are the taker's; without receipt times the venue's stand in."""
    path = text_file(
        tmp_path, "trades.csv", "timestamp,exchange,symbol,side,amount,price",
        f"{T0}.1,KRAKEN,BTC-USD,buy,0.5,100", f"{T0}.2,KRAKEN,BTC-USD,sell,1,100",
    )  # fmt: skip
    done = imported("cryptofeed-trades", [path], tmp_path / "out")
    assert [(1, 100, 5), (-1, 100, 10)] == [rows[0] for *_, rows in done.only.messages()]
    assert Clocks.VENUE_ONLY == done.only.meta.clocks


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["timestamp,exchange,symbol,bid"], "no column data"),
        (["timestamp,exchange,symbol,data", f"{T0},KRAKEN,BTC-USD,{BOOK}", f"{T0},KRAKEN,BTC-USD,[1]"], "row 2: data is no book"),
        (["timestamp,exchange,symbol,data", f"{T0},KRAKEN,BTC-USD,{BOOK}", f"{T0}000,KRAKEN,BTC-USD,{BOOK}"], "unit"),
    ],
)  # fmt: skip
def test_what_is_not_a_book_is_refused(tmp_path, lines, what):
    """Another header, another JSON, another unit: each names file and row."""
    with pytest.raises(Refused, match=what):
        imported("cryptofeed-l2_book", [text_file(tmp_path, "l2_book.csv", *lines)], tmp_path / "out")


def test_cut_parquet_is_refused(tmp_path):
    """A Parquet file without its end is refused by name."""
    path = tmp_path / "ticker.parquet"
    pq.write_table(pa.table({"timestamp": [1.0], "exchange": ["A"], "symbol": ["B"], "bid": [1.0], "ask": [2.0]}), path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(Refused, match="not a whole Parquet file"):
        imported("cryptofeed-ticker", [path], tmp_path / "out")
