"""What the reader of Crypto Lake makes of small Parquet files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arbot.market.stream import Kind
from arbot.tape.importing import cryptolake
from arbot.tape.importing.contract import Refused
from arbot.tape.schema import Market
from tests.support.foreign_files import read

TS = 1_715_176_696_378_000_001
PARTS = "exchange=BINANCE/symbol={symbol}/dt=2024-05-08"
NAN = float("nan")


def a_file(root, table, columns, symbol="BTC-USDT", row_group_size=None):
    folder = root / table / PARTS.format(symbol=symbol)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "1.snappy.parquet", row_group_size=row_group_size)
    return folder / "1.snappy.parquet"


def books(recv, bids, asks, **names):
    """Columns of a table of books: bids and asks are per row the (price, size) of each level."""
    columns = {names.get("recv", "receipt_timestamp"): recv, names.get("venue", "timestamp"): [at - 5 for at in recv]}
    for side, rows in (("bid", bids), ("ask", asks)):
        for level in range(len(rows[0])):
            columns[f"{side}_{level}_price"] = [row[level][0] for row in rows]
            columns[f"{side}_{level}_size"] = [row[level][1] for row in rows]
    return columns


def deltas(recv, bids, prices, sizes, numbers):
    return {
        "receipt_timestamp": recv,
        "timestamp": recv,
        "sequence_number": numbers,
        "side_is_bid": bids,
        "price": prices,
        "amount": sizes,
    }


def test_row_of_the_book_is_one_snapshot(tmp_path):
    """Every row of `book` is a message; a level of NaN was not there; venue and symbol come from the folders."""
    columns = books([TS], [[(10.5, 1.0), (NAN, NAN)]], [[(10.6, 2.0), (10.7, 3.0)]])

    reading = read(cryptolake.FORMATS, "cryptolake", a_file(tmp_path, "book", columns))

    at = (TS, TS - 5, Kind.SNAPSHOT)
    expected = [(*at, 0, 1, "10.5", "1.0"), (*at, 0, -1, "10.6", "2.0"), (*at, 1, -1, "10.7", "3.0")]
    assert expected == reading.rows()
    assert {("BTC/USDT@binance", "book"): 1} == reading.kept()
    assert 2 == reading.batches[0].depth


def test_vendors_names_and_dates_are_read_too(tmp_path):
    """origin_time, received_time as dates and quantity mean the same as the names on disk."""
    time = pa.array(np.array([TS], "datetime64[ns]"))
    columns = {"received_time": time, "origin_time": time, "side": ["sell"], "price": [10.5], "quantity": [2.0]}

    reading = read(cryptolake.FORMATS, "cryptolake-trades", a_file(tmp_path, "trades", columns))

    assert [(TS, TS, Kind.TRADE, 1, -1, "10.5", "2.0")] == reading.rows()


def test_one_level_is_a_quote_and_perp_a_future(tmp_path):
    """level_1 gives quotes, and a symbol that ends in -PERP is no spot market."""
    columns = books([TS], [[(10.5, 1.0)]], [[(10.6, 2.0)]])

    reading = read(cryptolake.FORMATS, "cryptolake-quotes", a_file(tmp_path, "level_1", columns, "BTC-USDT-PERP"))

    assert {("BTC/USDT:USDT@binance", "quotes"): 1} == reading.kept()
    assert Market.LINEAR == reading.batches[0].series.market
    assert {"contract_size": "error"} == reading.codes()


def test_deltas_start_from_the_book_beside_them(tmp_path):
    """The first row of `book` is the snapshot; what came before is dropped; equal numbers and times are one message."""
    a_file(tmp_path, "book", books([TS, TS + 99], [[(10.5, 1.0)]] * 2, [[(10.6, 2.0)]] * 2))
    recv = [TS - 1, TS, TS + 1, TS + 1, TS + 1, TS + 2]
    columns = deltas(
        recv, [True, True, True, False, True, False], [10.0] * 6, [1.0, 1.0, 0.0, 2.0, 3.0, 4.0], [1, 2, 3, 3, 4, 5]
    )

    reading = read(cryptolake.FORMATS, "cryptolake-deltas", a_file(tmp_path, "book_delta_v2", columns))

    kinds = [(row[2], row[3], row[4], row[6]) for row in reading.rows()]
    assert [
        (Kind.SNAPSHOT, 0, 1, "1.0"),
        (Kind.SNAPSHOT, 1, -1, "2.0"),
        (Kind.DELTA, 0, 1, "0.0"),
        (Kind.DELTA, 1, -1, "2.0"),
        (Kind.DELTA, 1, 1, "3.0"),
        (Kind.DELTA, 1, -1, "4.0"),
    ] == kinds
    assert (7, {"before_snapshot": 2}) == (reading.source.rows_read, reading.source.dropped)
    assert {"partial_start": "warn", "delta_before_snapshot": "info"} == reading.codes()
    assert {0} == {batch.depth for batch in reading.batches}


def test_messages_are_whole_across_row_groups(tmp_path, monkeypatch):
    """A message that goes on in the next piece of the file is handed over whole, whatever the size of a piece."""
    a_file(tmp_path, "book", books([TS], [[(10.5, 1.0)]], [[(10.6, 2.0)]]))
    size = 50
    numbers = [at // 7 for at in range(size)]
    columns = deltas([TS + 1 + number for number in numbers], [True] * size, [10.0] * size, [1.0] * size, numbers)
    path = a_file(tmp_path, "book_delta_v2", columns, row_group_size=10)
    monkeypatch.setattr(cryptolake, "PIECE_ROWS", 10)

    reading = read(cryptolake.FORMATS, "cryptolake-deltas", path)

    assert len(reading.batches) > 3
    assert all(batch.is_last[-1] for batch in reading.batches)
    assert [at % 7 == 6 or at == size - 1 for at in range(size)] == [bool(row[3]) for row in reading.rows()[2:]]


def test_deltas_without_a_book_are_refused(tmp_path):
    """Deltas alone are refused, with what to put beside them."""
    path = a_file(tmp_path, "book_delta_v2", deltas([TS], [True], [10.0], [1.0], [1]))

    with pytest.raises(Refused, match=r"without a first book[\s\S]*table `book`"):
        read(cryptolake.FORMATS, "cryptolake-deltas", path)


def test_worthless_rows_are_dropped_and_counted(tmp_path):
    """A price of zero, a size of NaN and levels out of order drop a row with an ERROR."""
    bids = [
        [(10.5, 1.0), (10.4, 1.0)],
        [(0.0, 1.0), (10.4, 1.0)],
        [(10.5, NAN), (10.4, 1.0)],
        [(10.4, 1.0), (10.5, 1.0)],
    ]
    asks = [[(10.6, 2.0), (10.7, 2.0)]] * 4
    path = a_file(tmp_path, "book", books([TS + at for at in range(4)], bids, asks))

    reading = read(cryptolake.FORMATS, "cryptolake", path)

    assert (4, {"zero_price": 2, "level_shape": 1}) == (reading.source.rows_read, reading.source.dropped)
    assert {"zero_price": "error", "level_shape": "error"} == reading.codes()


def test_damaged_or_foreign_parquet_is_refused(tmp_path):
    """A file that ends early, one of another table, and a row without a time are refused."""
    path = a_file(tmp_path, "book", books([TS], [[(10.5, 1.0)]], [[(10.6, 2.0)]]))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Refused, match="not a whole Parquet file"):
        read(cryptolake.FORMATS, "cryptolake", path)

    with pytest.raises(Refused, match="of no table of books"):
        read(cryptolake.FORMATS, "cryptolake", a_file(tmp_path, "funding", {"timestamp": [TS], "rate": [0.1]}))

    columns = books([TS, TS], [[(10.5, 1.0)]] * 2, [[(10.6, 2.0)]] * 2) | {
        "receipt_timestamp": [TS, None],
        "timestamp": [TS, 0],
    }
    with pytest.raises(Refused, match="row 2: the row has no time"):
        read(cryptolake.FORMATS, "cryptolake", a_file(tmp_path, "book", columns))
