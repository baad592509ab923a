"""Files of the plainer formats all the way into a catalogue: what the readers hand over is what the tape holds."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arbot.tape.importing.contract import Options
from arbot.tape.importing.formats import FORMATS
from arbot.tape.importing.run import import_files
from arbot.tape.schema import META_KEY, Content, decode_meta
from tests.support.foreign_files import write

S = 1_715_176_696


def imported(tmp_path, name, paths, **said):
    """Import into a new catalogue; return the report and, per series, metadata and rows of its parts."""
    out = tmp_path / "catalogue"
    report = import_files(FORMATS[name], paths, out, Options(**said))
    tapes = {}
    for part in sorted(out.glob("*/*/*/*.parquet")):
        table = pq.read_table(part)
        meta = decode_meta(table.schema.metadata[META_KEY])
        tapes.setdefault(meta.instrument.id, (meta, []))[1].extend(table.to_pylist())
    return report, tapes


def test_ccxt_lines_become_a_tape(tmp_path):
    """Kept and dropped lines come to the lines read, and the levels stand on the tape as integers."""
    books = [[[[0.2, 1.5]], [[0.3, 2]]], [[[0.4, 1], [0.5, 1]], [[0.6, 2]]], [[[0.21, 1]], [[0.3, 2]]]]
    lines = [
        json.dumps({"symbol": "DOGE/USD", "bids": bids, "asks": asks, "timestamp": (S + at) * 1000})
        for at, (bids, asks) in enumerate(books)
    ]
    report, tapes = imported(tmp_path, "ccxt-jsonl", [write(tmp_path / "kraken_doge_orderbooks.jsonl.gz", *lines)])

    (file,) = report.files
    assert (3, 2, {"level_shape": 1}) == (file.rows_read, file.rows_kept, file.dropped)
    ((meta, rows),) = tapes.values()
    assert [(1, 20, 15), (-1, 30, 20), (1, 21, 10), (-1, 30, 20)] == [
        (it["side"], it["price"], it["qty"]) for it in rows
    ]
    assert (Content.BOOK, 2) == (meta.content, meta.depth)  # a dropped line had two


def test_changes_of_crypto_lake_become_a_tape(tmp_path):
    """The first book and the changes after it are one dataset, and every row of both is accounted for."""
    part = "exchange=BINANCE/symbol=BTC-USDT/dt=2024-05-08"
    ts = S * 10**9
    tables = {
        "book": {
            "receipt_timestamp": [ts],
            "timestamp": [ts - 5],
            **{f"{side}_0_{what}": [value] for side, what, value in (("bid", "price", 10.5), ("bid", "size", 1.0))},
            **{f"{side}_0_{what}": [value] for side, what, value in (("ask", "price", 10.6), ("ask", "size", 2.0))},
        },
        "book_delta_v2": {
            "receipt_timestamp": [ts - 1, ts + 1, ts + 1, ts + 2],
            "timestamp": [ts - 6, ts - 4, ts - 4, ts - 3],
            "sequence_number": [1, 2, 2, 3],
            "side_is_bid": [True, True, False, True],
            "price": [10.4, 10.5, 10.6, 10.45],
            "amount": [1.0, 0.0, 3.0, 0.25],
        },
    }
    for table, columns in tables.items():
        (tmp_path / table / part).mkdir(parents=True)
        pq.write_table(pa.table(columns), tmp_path / table / part / "1.parquet")

    report, tapes = imported(tmp_path, "cryptolake-deltas", [tmp_path])

    (file,) = report.files
    assert (5, 4, {"before_snapshot": 1}) == (file.rows_read, file.rows_kept, file.dropped)
    ((meta, rows),) = tapes.values()
    assert [(1050, 100), (1060, 200), (1050, 0), (1060, 300), (1045, 25)] == [(it["price"], it["qty"]) for it in rows]
    assert [False, True, False, True, True] == [it["is_last"] for it in rows]
    assert 0 == meta.depth


def test_bars_keep_volumes_that_are_sums_of_floats(tmp_path):
    """Newest-first bars run forward on the tape; volumes with the noise of sums are rounded and told, not refused."""
    noise = 1_234_567.12345678 + np.arange(300) / 7
    rows = [f"{S + 60 * at},90.5,110,95,100,{volume}" for at, volume in enumerate(noise.tolist())]

    report, tapes = imported(
        tmp_path, "coinbase-candles", [write(tmp_path / "BTC-USD.csv", *rows[::-1])], step="0.00000001"
    )

    ((meta, bars),) = tapes.values()
    assert (Content.BARS, 60 * 10**9, 300) == (meta.content, meta.bar_ns, len(bars))
    assert (S * 10**9, 905, 1100) == tuple(bars[0][name] for name in ("start_ts_ns", "low", "high"))
    assert 123456712345678 == bars[0]["volume"]
    assert "float_artefact" in {finding.code for finding in report.findings}


def test_prints_without_sizes_reach_the_tape(tmp_path):
    """Last prices are kept with a size of 0 and no side."""
    path = write(tmp_path / "bitflyerJPY_2024-05-08.csv", "date,last", "2024-05-08 00:00:19,681008.0")

    report, tapes = imported(tmp_path, "last-trades-csv", [path])

    ((meta, rows),) = tapes.values()
    assert [(681008, 0, 0)] == [(it["price"], it["qty"], it["side"]) for it in rows]
    assert Content.TRADES == meta.content
    assert {"unsized_trades"} <= {finding.code for finding in report.findings}


def test_nanoseconds_survive_to_the_tape(tmp_path):
    """A receive clock of 19 digits in a CSV is on the tape to the last digit."""
    header = "timestamp,local_timestamp,exchange,symbol,side,price,qty"
    path = write(tmp_path / "trade.csv", header, f"{S}378,1715176696378606001,GATE,ETHUSDT,BUY,2963,2.735")

    _, tapes = imported(tmp_path, "trades-csv", [path], market="spot")

    ((_, rows),) = tapes.values()
    assert (1715176696378606001, S * 10**9 + 378 * 10**6) == (rows[0]["recv_ts_ns"], rows[0]["venue_ts_ns"])
