"""Real recordings through the importers: counts, sequence, and the book against the venue's own best quotes."""

from __future__ import annotations

import gzip
import json
import os
from bisect import bisect_right
from pathlib import Path

import pytest

from tests.support.imports import imported

DATA = Path(os.environ.get("ARBOT_DATA") or Path(__file__).parents[3] / "shared" / "data")


def files(*parts: str) -> list[Path]:
    """Return the files of a set, or skip the test when there are none here."""
    found = sorted(DATA.joinpath(*parts[:-1]).glob(parts[-1]))
    if not found:
        pytest.skip(f"no recorded data: set ARBOT_DATA to a folder with {'/'.join(parts)}")
    return found


class Best:
    """A naive book that knows its best levels; asks lie at negative prices, so that the best is the largest of both."""

    def __init__(self) -> None:
        self.sides: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self.top: dict[int, int] = {}

    def apply(self, kind: str, levels: list[tuple[int, int, int]]) -> None:
        """Apply a message."""
        if kind == "snapshot":
            self.sides, self.top = {1: {}, -1: {}}, {}
        for side, price, qty in levels:
            key = side * price
            if qty:
                self.sides[side][key] = qty
                self.top[side] = max(key, self.top.get(side, key))
            elif side and self.sides[side].pop(key, 0) and key == self.top[side]:
                self.top[side] = max(self.sides[side])

    def best(self) -> tuple[int, int, int, int]:
        """Return (bid, its quantity, ask, its quantity)."""
        bid, ask = self.top[1], self.top[-1]
        return bid, self.sides[1][bid], -ask, self.sides[-1][ask]


def recorded(paths: list[Path]) -> tuple[list[int], list[int], list[tuple[str, str, str, str]]]:
    """Return the ids of changes after the snapshot's, and the ids and numbers of best quotes, straight from the logs."""
    changes, ids, quotes = [], [], []
    known = None
    for path in paths:
        with gzip.open(path, "rb") as file:
            for line in file:
                if b'"depthUpdate"' in line[:160]:
                    data = json.loads(line.split(b" ", 1)[1])["data"]
                    changes.append((data["u"], "pu" in data))
                elif b"bookTicker" in line[:160]:
                    data = json.loads(line.split(b" ", 1)[1])["data"]
                    ids.append(data["u"])
                    quotes.append((data["b"], data["B"], data["a"], data["A"]))
                elif b'"lastUpdateId"' in line[:60]:
                    known = json.loads(line.split(b" ", 1)[1])["lastUpdateId"]
    assert known is not None
    return [u for u, is_future in changes if u >= known + (not is_future)], ids, quotes


@pytest.mark.parametrize(
    ("market", "events", "old", "equal"),
    [("spot", 6495, 2, 6491), ("usdm", 6551, 4, 6547), ("cm", 44795, 23, 44772)],
)
def test_binance_logs_replay_to_the_venues_own_quotes(tmp_path, market, events, old, equal):
    """Applied and old changes are as counted by two other programs, no gap, never crossed, best equal to bookTicker."""
    paths = files("l2-deltas", "binance-btc-20240808", f"{market}_*.gz")
    done = imported("binance-depth-log", paths, tmp_path / "out")
    assert old == sum(file.dropped.get("old", 0) for file in done.report.files)
    assert {"delta_before_snapshot", "contract_size"} - ({"contract_size"} if market == "spot" else set()) == set(
        done.codes()
    )
    assert "info" == done.finding("delta_before_snapshot").severity
    sink = done.only
    scale = [10**sink.meta.instrument.price_decimals, 10**sink.meta.instrument.qty_decimals] * 2
    applied, ids, quotes = recorded(paths)
    assert events - old == len(applied)
    book, crossed, same = Best(), 0, 0
    changes = iter(applied)
    for kind, _recv, levels in sink.messages():
        book.apply(kind, levels)
        if kind == "snapshot":
            continue
        best = book.best()
        crossed += best[0] >= best[2]
        at = bisect_right(ids, next(changes)) - 1
        same += at >= 0 and best == tuple(round(float(n) * s) for n, s in zip(quotes[at], scale, strict=True))
    assert (None, 0, equal) == (next(changes, None), crossed, same)


@pytest.mark.parametrize(
    ("kind", "name", "rows", "codes"),
    [
        ("incremental_book_L2", "deribit_*", 15, {"contract_size"}),
        ("book_snapshot_5", "binance-futures_book_snapshot_5_*", 10, {"contract_size"}),
        ("book_snapshot_25", "binance-futures_book_snapshot_25_*", 10, {"contract_size"}),
        ("quotes", "huobi-dm-swap_*", 10, {"contract_size"}),
        ("trades", "bitmex_*", 10, {"contract_size"}),
    ],
)
def test_tardis_samples_import(tmp_path, kind, name, rows, codes):
    """The vendor's samples of five types import whole, and say that their sizes are contracts."""
    done = imported(f"tardis-{kind}", files("formats", "tardis", f"{name}.csv"), tmp_path / "out")
    assert (rows, rows) == (done.report.files[0].rows_read, done.report.files[0].rows_kept)
    assert codes == set(done.codes())


def test_units_of_two_recordings_are_not_mixed(tmp_path):
    """The recordings of two days have local times in ns and in ms: together they are refused, with both files named."""
    from arbot.tape.importing.contract import Refused

    paths = [
        *files("l2-top10", "gate-binance-perp-20240508", "gate_orderbook_*.csv"),
        *files("l2-top10", "gate-binance-perp-20240509", "GATE_ETHUSDT_orderbook_*.csv"),
    ]
    with pytest.raises(Refused, match=r"local_timestamp.*unit"):
        imported("wide-csv", paths, tmp_path / "out")
