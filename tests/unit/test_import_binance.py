"""Binance: raw logs joined with their snapshot by the venue's rule, and the public archives."""

from __future__ import annotations

import json
import zipfile

import pytest

from arbot.tape.importing.contract import Refused, Severity
from arbot.tape.schema import Clocks, Market
from tests.support.imports import imported, text_file

T0 = 1723161253_000000000


def change(ms: int, first: int, last: int, *, before: int | None = None, bids=(), asks=(), symbol="BTCUSDT") -> str:
    data = {"e": "depthUpdate", "E": T0 // 10**6 + ms, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    if before is not None:
        data["pu"] = before
    return f"{T0 + ms * 10**6} {json.dumps({'stream': 'x@depth', 'data': data}, separators=(',', ':'))}"


def snapshot(ms: int, known: int) -> str:
    data = {"lastUpdateId": known, "bids": [["100.0", "1"]], "asks": [["101.0", "1"]]}
    return f"{T0 + ms * 10**6} {json.dumps(data, separators=(',', ':'))}"


BID = (["100.0", "2"],)


def kinds(done) -> list[str]:
    return [kind for kind, *_ in done.only.messages()]


def test_changes_that_waited_join_the_snapshot_at_its_time(tmp_path):
    """On spot u <= L is old, U <= L+1 <= u joins, and what came earlier becomes known with the snapshot."""
    path = text_file(
        tmp_path, "spot.log",
        change(0, 1, 5, bids=BID), change(1, 6, 9, bids=BID), change(2, 10, 12, bids=BID), snapshot(3, 9), change(4, 13, 13, bids=BID),
    )  # fmt: skip
    done = imported("binance-depth-log", [path], tmp_path / "out")
    assert ["snapshot", "delta", "delta"] == kinds(done)
    assert [T0 + 3 * 10**6, T0 + 3 * 10**6, T0 + 4 * 10**6] == [recv for _, recv, _ in done.only.messages()]
    assert {"old": 2} == done.report.files[0].dropped
    assert Severity.INFO == done.finding("delta_before_snapshot").severity


def test_futures_join_by_their_own_rule(tmp_path):
    """On futures u < L is old, U <= L <= u joins, and pu names the one before."""
    path = text_file(
        tmp_path, "usdm.log",
        change(0, 1, 8, before=0, bids=BID), change(1, 9, 9, before=8, bids=BID), snapshot(2, 9), change(3, 20, 25, before=9, bids=BID),
    )  # fmt: skip
    done = imported("binance-depth-log", [path], tmp_path / "out")
    assert ["snapshot", "delta", "delta"] == kinds(done)
    assert {"old": 1} == done.report.files[0].dropped
    assert (Market.LINEAR, "BTC/USDT:USDT@binance-usdm") == (done.only.meta.market, done.only.meta.instrument.id)


def test_break_ends_the_book_until_a_snapshot_joins(tmp_path):
    """A lost change clears the book with an error; a later snapshot that joins starts it again."""
    path = text_file(
        tmp_path, "spot.log",
        change(0, 1, 5, bids=BID), snapshot(1, 4), change(2, 7, 8, bids=BID), change(3, 9, 9, bids=BID), snapshot(4, 8), change(5, 10, 10),
    )  # fmt: skip
    done = imported("binance-depth-log", [path], tmp_path / "out")
    assert ["snapshot", "delta", "clear", "snapshot", "delta", "alive"] == kinds(done)
    assert (Severity.ERROR, 1) == (done.finding("seq_gap").severity, done.finding("seq_gap").count)
    assert {"old": 1} == done.report.files[0].dropped


def test_snapshot_that_came_just_before_a_break_is_used(tmp_path):
    """After a reconnect the snapshot may come before the first change that shows the break."""
    path = text_file(
        tmp_path, "spot.log", change(0, 1, 5, bids=BID), snapshot(1, 4), snapshot(2, 20), change(3, 19, 21, bids=BID)
    )
    done = imported("binance-depth-log", [path], tmp_path / "out")
    assert ["snapshot", "delta", "clear", "snapshot", "delta"] == kinds(done)


def test_snapshot_without_a_bridge_is_an_error(tmp_path):
    """A snapshot older than all that waited is not used, and without another there is no book."""
    path = text_file(tmp_path, "spot.log", change(0, 10, 12, bids=BID), snapshot(1, 3), change(2, 13, 14, bids=BID))
    with pytest.raises(Refused, match="does not join"):
        imported("binance-depth-log", [path], tmp_path / "out")


def test_book_goes_on_in_the_next_file(tmp_path):
    """The next day's log has no snapshot and needs none; alone it cannot be used."""
    first = text_file(tmp_path, "btc_20240808.log", change(0, 1, 5, bids=BID), snapshot(1, 4))
    second = text_file(tmp_path, "btc_20240809.log", change(2, 6, 7, bids=BID))
    done = imported("binance-depth-log", [second, first], tmp_path / "out")
    assert ["snapshot", "delta", "delta"] == kinds(done)
    with pytest.raises(Refused, match="no snapshot"):
        imported("binance-depth-log", [second], tmp_path / "out2")


def test_clock_that_stepped_back_is_lifted_not_sorted(tmp_path):
    """In a log the order of lines is the truth: one step back in 2000 lines is lifted and counted."""
    lines = [change(0, 1, 5, bids=BID), snapshot(0, 4), *(change(n, n + 5, n + 5, bids=BID) for n in range(1, 2000))]
    lines[1000] = change(500, 1004, 1004, bids=BID)
    done = imported("binance-depth-log", [text_file(tmp_path, "spot.log", *lines)], tmp_path / "out")
    assert 2002 == len(done.only.rows)
    assert 1 == done.finding("order").count


def test_one_log_gives_quotes_and_trades_too(tmp_path):
    """The same file reads as best quotes, without a venue's time on spot, and as prints, whose m is the taker's sell."""
    lines = [
        f'{T0} {{"stream":"btcusdt@bookTicker","data":{{"u":1,"s":"BTCUSDT","b":"100","B":"2","a":"101","A":"3"}}}}',
        f'{T0} {{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3,"p":"100","q":"1","T":1,"m":true,"M":true}}}}',
    ]
    path = text_file(tmp_path, "spot.log", *lines)
    quotes = imported("binance-ticker-log", [path], tmp_path / "a")
    assert [(1, 100, 2), (-1, 101, 3)] == quotes.only.messages()[0][2]
    assert Clocks.RECV_ONLY == quotes.only.meta.clocks
    assert ["no_exchange_time"] == quotes.codes()
    assert [(-1, 100, 1)] == imported("binance-trades-log", [path], tmp_path / "b").only.messages()[0][2]


@pytest.mark.parametrize("line", ["rubbish", f"{T0} [1]", f"{T0} {{}} x", 'x {"e":"depthUpdate"}'])
def test_bad_line_in_the_middle_is_named(tmp_path, line):
    """A line that is not a time and an object is refused with its number."""
    path = text_file(tmp_path, "spot.log", change(0, 1, 5), line, snapshot(1, 4))
    with pytest.raises(Refused, match="row 2"):
        imported("binance-depth-log", [path], tmp_path / "out")


def zipped(folder, name: str, *lines: str):
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{name}.csv", "".join(f"{line}\n" for line in lines))
    return path


def test_archives_change_their_unit_between_rows(tmp_path):
    """Spot archives go from ms to us: both come out right, with the venue's clock only."""
    path = zipped(
        tmp_path, "BTCUSDT-trades-2024-12",
        "1,100.5,2,201,1735689599999,True,True", "2,100.5,2,201,1735689600000000,False,True",
    )  # fmt: skip
    done = imported("binance-trades", [path], tmp_path / "out")
    assert [1735689599999 * 10**6, 1735689600000000 * 10**3] == [recv for _, recv, _ in done.only.messages()]
    assert [-1, 1] == [rows[0][0] for *_, rows in done.only.messages()]
    assert (Clocks.VENUE_ONLY, Market.SPOT) == (done.only.meta.clocks, done.only.meta.market)


def test_quotes_of_futures_have_a_header(tmp_path):
    """A bookTicker file has a header and both times; the event's counts."""
    path = zipped(
        tmp_path, "BTCUSDT-bookTicker-2024-03-01",
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
        "1,100.1,2,100.2,3,1709251200001,1709251200005",
    )  # fmt: skip
    done = imported("binance-bookTicker", [path], tmp_path / "out")
    assert [("snapshot", 1709251200005 * 10**6, [(1, 1001, 2), (-1, 1002, 3)])] == done.only.messages()


def test_klines_become_bars(tmp_path):
    """A kline is a bar as long as its two times say."""
    path = zipped(tmp_path, "BTCUSDT-1m-2024-03", "1709251200000,1,3,0.5,2,10,1709251259999,20,5,1,1,0")
    done = imported("binance-klines", [path], tmp_path / "out", market=Market.SPOT)
    assert [(1709251200000 * 10**6, 10, 30, 5, 20, 10)] == done.only.rows
    assert 60 * 10**9 == done.only.meta.bar_ns


def test_sums_around_the_mid_are_no_book(tmp_path):
    """A bookDepth file is refused with the reason."""
    path = zipped(
        tmp_path, "BTCUSDT-bookDepth-2024-03-01", "timestamp,percentage,depth,notional", "2024-03-01 00:00:00,-5,1,2"
    )
    with pytest.raises(Refused, match="no book"):
        imported("binance-bookTicker", [path], tmp_path / "out")
