"""Tardis files: messages, snapshots, deletes, missing levels, and what is refused."""

from __future__ import annotations

import gzip

import pytest

from arbot.tape.importing.contract import Refused, Severity
from arbot.tape.schema import Clocks, Content, Market
from tests.support.imports import imported, text_file

HEADER = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
T0 = 1585699200_000000  # microseconds


def change(ms: int, *, snapshot: bool, side: str, price: str, amount: str, symbol: str = "BTC-USD") -> str:
    at = T0 + ms * 1000
    return f"coinbase,{symbol},{at - 90},{at},{str(snapshot).lower()},{side},{price},{amount}"


def test_rows_of_one_time_are_one_message(tmp_path):
    """A snapshot of two rows, a change of two rows and a delete come out as three messages with exact numbers."""
    path = text_file(
        tmp_path, "coinbase_incremental_book_L2_2020-04-01_BTC-USD.csv", HEADER,
        change(0, snapshot=True, side="bid", price="100.5", amount="1"),
        change(0, snapshot=True, side="ask", price="101", amount="2"),
        change(1, snapshot=False, side="bid", price="100.5", amount="0.25"),
        change(1, snapshot=False, side="ask", price="101", amount="3"),
        change(2, snapshot=False, side="bid", price="100.5", amount="0"),
    )  # fmt: skip
    done = imported("tardis-incremental_book_L2", [path], tmp_path / "out")
    at = T0 * 1000
    assert [
        ("snapshot", at, [(1, 1005, 100), (-1, 1010, 200)]),
        ("delta", at + 10**6, [(1, 1005, 25), (-1, 1010, 300)]),
        ("delta", at + 2 * 10**6, [(1, 1005, 0)]),
    ] == done.only.messages()
    meta = done.only.meta
    assert ("BTC/USD@coinbase", Content.BOOK, Market.SPOT, Clocks.BOTH) == (
        meta.instrument.id, meta.content, meta.market, meta.clocks,
    )  # fmt: skip
    assert [] == done.codes()


def test_reconnect_is_a_new_snapshot_and_a_long_one_is_not_two(tmp_path):
    """is_snapshot from false to true replaces the book; snapshot rows with later times go on with the same one."""
    path = text_file(
        tmp_path, "x.csv", HEADER,
        change(0, snapshot=True, side="bid", price="1", amount="1"),
        change(1, snapshot=True, side="bid", price="2", amount="1"),
        change(2, snapshot=False, side="bid", price="3", amount="1"),
        change(3, snapshot=True, side="bid", price="4", amount="1"),
    )  # fmt: skip
    done = imported("tardis-incremental_book_L2", [path], tmp_path / "out")
    assert ["snapshot", "delta", "delta", "snapshot"] == [kind for kind, *_ in done.only.messages()]


def test_changes_before_the_first_snapshot_are_dropped_and_told(tmp_path):
    """Leading changes end the book of the file before, and are counted with their finding."""
    path = text_file(
        tmp_path, "x.csv", HEADER,
        change(0, snapshot=False, side="bid", price="1", amount="1"),
        change(1, snapshot=False, side="bid", price="2", amount="1"),
        change(2, snapshot=True, side="bid", price="3", amount="1"),
    )  # fmt: skip
    done = imported("tardis-incremental_book_L2", [path], tmp_path / "out")
    assert ["clear", "snapshot"] == [kind for kind, *_ in done.only.messages()]
    (file,) = done.report.files
    assert (3, 1, {"before_snapshot": 2}) == (file.rows_read, file.rows_kept, file.dropped)
    found = done.finding("delta_before_snapshot")
    assert (Severity.INFO, 2) == (found.severity, found.count)


def test_message_over_the_end_of_a_block_stays_whole(tmp_path, monkeypatch):
    """However small the blocks are, no message is cut and nothing is lost."""
    lines = [change(0, snapshot=True, side="bid", price=str(1 + n), amount="1") for n in range(40)]
    lines += [change(1 + n // 3, snapshot=False, side="ask", price=str(100 + n), amount="2") for n in range(30)]
    path = text_file(tmp_path, "x.csv", HEADER, *lines)
    whole = imported("tardis-incremental_book_L2", [path], tmp_path / "out").only.messages()
    monkeypatch.setattr("arbot.tape.importing.blocks.blocks_of.__defaults__", (97,))
    assert whole == imported("tardis-incremental_book_L2", [path], tmp_path / "out2").only.messages()
    assert [40, *[3] * 10] == [len(rows) for *_, rows in whole]


def test_two_symbols_in_a_file_are_split(tmp_path):
    """A file of two markets becomes two series, and says so."""
    path = text_file(
        tmp_path, "x.csv", HEADER,
        change(0, snapshot=True, side="bid", price="1", amount="1"),
        change(1, snapshot=True, side="bid", price="2", amount="1", symbol="ETH-USD"),
        change(2, snapshot=False, side="bid", price="3", amount="1"),
    )  # fmt: skip
    done = imported("tardis-incremental_book_L2", [path], tmp_path / "out")
    assert {"BTC/USD@coinbase": 2, "ETH/USD@coinbase": 1} == {name: len(s.rows) for name, s in done.sinks.items()}
    assert ["mixed_symbols"] == done.codes()


def test_ladder_leaves_out_missing_levels_and_asks_stand_first(tmp_path):
    """Empty fields are levels that are not there; a row without any drops the book."""
    names = [f"{s}[{n}].{w}" for n in range(5) for s in ("asks", "bids") for w in ("price", "amount")]
    header = ",".join(["exchange,symbol,timestamp,local_timestamp", *names])
    row = f"kraken,XBT/USD,{T0},{T0 + 5},101,1,100,2,102,3" + "," * 14
    empty = f"kraken,XBT/USD,{T0 + 6},{T0 + 7}" + "," * 20
    path = text_file(tmp_path, "x.csv", header, row, empty)
    done = imported("tardis-book_snapshot_5", [path], tmp_path / "out")
    at = (T0 + 5) * 1000
    assert [("snapshot", at, [(-1, 101, 1), (1, 100, 2), (-1, 102, 3)]), ("clear", at + 2000, [(0, 0, 0)])] == (
        done.only.messages()
    )
    assert (5, "BTC/USD@kraken") == (done.only.meta.depth, done.only.meta.instrument.id)
    assert {"empty_book": 1} == done.report.files[0].dropped


def test_quotes_and_trades_keep_their_sides(tmp_path):
    """Quotes have the ask first; a trade of an unknown taker has no side."""
    quotes = text_file(
        tmp_path, "q.csv", "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount",
        f"kraken,BTC/USD,{T0},{T0 + 1},7,101,100,8",
    )  # fmt: skip
    trades = text_file(
        tmp_path, "t.csv", "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
        *(f"kraken,BTC/USD,{T0},{T0 + 1},{side},{side},100,1" for side in ("buy", "sell", "unknown")),
    )  # fmt: skip
    one = imported("tardis-quotes", [quotes], tmp_path / "a").only
    assert [(-1, 101, 7), (1, 100, 8)] == one.messages()[0][2]
    many = imported("tardis-trades", [trades], tmp_path / "b").only
    assert [(1, 100, 1), (-1, 100, 1), (0, 100, 1)] == [rows[0] for *_, rows in many.messages()]


@pytest.mark.parametrize(
    ("exchange", "native", "market", "size"),
    [
        ("binance-futures", "BTCUSDT", Market.LINEAR, "1 BTC"),
        ("bitmex", "XBTUSD", Market.INVERSE, "1 USD"),
        ("deribit", "BTC-PERPETUAL", Market.INVERSE, ""),
        ("okex-futures", "BTC-USD-200626", None, ""),
        ("bybit", "BTCUSDT", Market.UNKNOWN, ""),
    ],
)
def test_derivatives_are_known_by_their_venue(tmp_path, exchange, native, market, size):
    """A derivative is never taken for spot, and a contract of unknown size or a dated one is told or refused."""
    header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    path = text_file(tmp_path, "t.csv", header, f"{exchange},{native},{T0},{T0 + 1},1,buy,100,1")
    if market is None:
        with pytest.raises(Refused, match="--symbol"):
            imported("tardis-trades", [path], tmp_path / "out")
        return
    meta = imported("tardis-trades", [path], tmp_path / "out").only.meta
    assert (market, size) == (meta.market, meta.contract_size)


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([HEADER.replace("amount", "size")], "header is not that of Tardis"),
        ([HEADER, change(0, snapshot=True, side="bid", price="1", amount="1"), "coinbase,BTC-USD,1"], "row 2"),
        ([HEADER, change(0, snapshot=True, side="left", price="1", amount="1")], "row 1: side is 'left'"),
        ([HEADER, change(0, snapshot=True, side="bid", price="1x", amount="1")], "row 1: price 1x is not a number"),
        ([HEADER, f"coinbase,BTC-USD,{T0},{T0 // 1000},true,bid,1,1", change(0, snapshot=True, side="bid", price="1", amount="1")], "unit"),
    ],
)  # fmt: skip
def test_bad_rows_are_refused_by_name(tmp_path, lines, what):
    """Another header, a short row, an unknown word, no number, a change of unit: each names the file and the row."""
    path = text_file(tmp_path, "bad.csv", *lines)
    with pytest.raises(Refused, match=what) as refusal:
        imported("tardis-incremental_book_L2", [path], tmp_path / "out")
    assert "bad.csv" in str(refusal.value)


def test_cut_gzip_is_refused_and_cut_line_is_told(tmp_path):
    """A gzip without its end is refused; plain text without its last fields loses that row, and says so."""
    lines = [HEADER, *(change(n, snapshot=n == 0, side="bid", price=str(n + 1), amount="1") for n in range(900))]
    text = "".join(f"{line}\n" for line in lines)
    packed = tmp_path / "cut.csv.gz"
    packed.write_bytes(gzip.compress(text.encode())[:-30])
    with pytest.raises(Refused, match="damaged or ends too early"):
        imported("tardis-incremental_book_L2", [packed], tmp_path / "out")
    plain = tmp_path / "cut.csv"
    plain.write_text(text[:-20])
    done = imported("tardis-incremental_book_L2", [plain], tmp_path / "out")
    assert {"cut_last_line": 1} == done.report.files[0].dropped
    assert ["truncated"] == done.codes()
