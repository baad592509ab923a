"""Damaged tapes and foreign files on the command line: told by the inspector, refused by a backtest, or left out with a count."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arbot.cli.main import run
from arbot.market.stream import Kind
from arbot.tape.generate import TapeSpec, write_generated
from arbot.tape.schema import META_KEY, decode_meta, encode_meta
from arbot.tape.writer import BarsWriter
from tests.support.inspected import bar_series

ROWS = 12_000
CONFIG = """
[run]
name = "damage"
symbols = ["BTC/USD"]
[venues.kraken]
adapter = "kraken"
[venues.coinbase]
adapter = "coinbase"
[paper.venues.kraken]
balances = { USD = 100000, BTC = 5 }
[paper.venues.coinbase]
balances = { USD = 100000, BTC = 5 }
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Write a tape of two venues and a config for it."""
    root = tmp_path_factory.mktemp("whole")
    write_generated(TapeSpec(rows=ROWS), root / "tape", lambda _done: None)
    (root / "arbot.toml").write_text(CONFIG, encoding="utf-8")
    return root


@pytest.fixture
def tape(whole, tmp_path):
    """Return a copy of the tape to damage."""
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy" / "tape"


def part_of(tape: Path) -> Path:
    """Return the first part of kraken."""
    return min((tape / "kraken").rglob("*.parquet"))


def rewritten(part: Path, **columns: Callable[[np.ndarray], None]) -> None:
    """Write a part anew after changing columns in place; checksums and the footer fit what is written."""
    table = pq.read_table(part)
    for name, change in columns.items():
        values = table.column(name).to_numpy().copy()
        change(values)
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    pq.write_table(table, part, write_page_checksum=True)


def middle_of(part: Path, kind: Kind) -> int:
    """Return a row of a kind in the middle of a part."""
    kinds = pq.read_table(part, columns=["kind"]).column("kind").to_numpy()
    at = np.flatnonzero(kinds == int(kind))
    return int(at[len(at) // 2])


def cut_short(part: Path) -> None:
    """Lose the end of a file, as a full disk does."""
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])


def flipped(part: Path) -> None:
    """Change one bit inside a page."""
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 0x10
    part.write_bytes(bytes(content))


def back_in_time(part: Path) -> None:
    """Let the time of one row in the middle be an hour earlier."""
    at = middle_of(part, Kind.DELTA)
    rewritten(part, recv_ts_ns=lambda times: times.__setitem__(at, times[at] - 3_600_000_000_000))


def without_price(part: Path) -> None:
    """Put a price of 0 into the middle."""
    at = middle_of(part, Kind.DELTA)
    rewritten(part, price=lambda prices: prices.__setitem__(at, 0))


def of_no_side(part: Path) -> None:
    """Put a level of no side into the middle."""
    at = middle_of(part, Kind.DELTA)
    rewritten(part, side=lambda sides: sides.__setitem__(at, 0))


def inspection(capsys, tape: Path) -> tuple[int, dict]:
    """Return the exit status and the document of `arbot data inspect`."""
    code = run(["data", "inspect", str(tape), "--json"])
    return code, json.loads(capsys.readouterr().out)


def backtest(capsys, tape: Path, *options: str) -> tuple[int, str, str]:
    """Return the exit status, stdout and stderr of `arbot backtest`."""
    config = str(tape.parent / "arbot.toml")
    code = run(["backtest", str(tape), "-c", config, "--json", "--scenario", "naive", *options])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_whole_tape_has_nothing_to_repair(capsys, tape):
    """What is whole replays alike with and without --repair, and no warning speaks of damage."""
    results = []
    for options in ((), ("--repair",), ("--no-cache",)):
        code, out, _ = backtest(capsys, tape, *options)
        assert 0 == code
        results.append(json.loads(out))
    assert 1 == len({one["columns"][0]["digest"] for one in results})
    assert not any("damage" in line for one in results for line in one["warnings"])
    _, found = inspection(capsys, tape)
    assert [] == [one for one in found["findings"] if one["code"] == "damaged"]


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (cut_short, ": cannot be read as Parquet"),
        (flipped, " row group 0"),
        (back_in_time, " row group 0 row"),
        (without_price, " row group 0 row"),
        (of_no_side, " row group 0 row"),
    ],
)
def test_damage_is_told_refused_and_left_out_with_a_count(capsys, tape, damage, place):
    """The inspector names the file with exit status 2; a backtest refuses it, or with --repair says how much it left out."""
    part = part_of(tape)
    code, before = backtest(capsys, tape)[:2]
    assert 0 == code
    damage(part)

    code, found = inspection(capsys, tape)
    (told, *_) = [one for one in found["findings"] if one["code"] == "damaged"]
    assert (2, "error") == (code, told["severity"])
    assert part.name in told["file"] + told["detail"]
    assert "--repair" in told["remedy"]

    code, out, err = backtest(capsys, tape)
    assert (2, "") == (code, out)
    assert part.name in err
    assert "--repair" in err
    code, out, err = backtest(capsys, tape, "--no-inspect")
    assert (2, "") == (code, out)
    assert f"{part.name}{place}" in err

    code, out, err = backtest(capsys, tape, "--repair")
    if damage is cut_short:  # a venue is gone, so that no two are left
        assert 2 == code
        assert "has no BTC/USD of kraken" in err
        return
    assert 0 == code
    result = json.loads(out)
    (warning,) = [line for line in result["warnings"] if "left out" in line]
    assert part.name in warning
    count = int(warning.partition(" ")[0].replace(",", ""))
    if damage is flipped:
        assert pq.read_metadata(part).num_rows == count
    else:
        assert 1 <= count < 100
    assert json.loads(before)["scanned"] != result["scanned"]


def test_a_sweep_over_a_damaged_tape_counts_too(capsys, tape):
    """A sweep refuses what a backtest refuses, and with --repair its warnings say how much was left out."""
    part = part_of(tape)
    without_price(part)
    grid = ("--grid", "strategy.edge_net_bps_min=1,5", "--verify", "0", "--out", str(tape.parent / "swept"), "--json")
    arguments = ["sweep", str(tape), "-c", str(tape.parent / "arbot.toml"), *grid]
    assert 2 == run(arguments)
    assert part.name in capsys.readouterr().err
    assert 0 == run([*arguments, "--repair"])
    (warning,) = [line for line in json.loads(capsys.readouterr().out)["warnings"] if "left out" in line]
    assert part.name in warning


def test_one_of_several_parts_may_be_left_out(capsys, tape):
    """With --repair the parts beside an unreadable one are played, and the warning names the one that was not."""
    part = part_of(tape)
    whole = pq.read_table(part)
    half = len(whole) // 2
    while (
        not whole.column("is_last")[half - 1].as_py()
        or whole.column("recv_ts_ns")[half] == whole.column("recv_ts_ns")[half - 1]
    ):
        half += 1
    second = part.with_name(f"{whole.column('recv_ts_ns')[half].as_py()}.parquet")
    pq.write_table(whole.slice(half), second, write_page_checksum=True)
    pq.write_table(whole.slice(0, half), part, write_page_checksum=True)
    assert 0 == backtest(capsys, tape)[0]
    cut_short(second)

    code, _, err = backtest(capsys, tape)
    assert 2 == code
    assert f"{second.name}: cannot be read as Parquet" in err
    code, out, _ = backtest(capsys, tape, "--repair")
    assert 0 == code
    assert any(line.startswith(f"{second.name} was left out: ") for line in json.loads(out)["warnings"])


def test_a_part_of_another_tick_is_refused(capsys, tape):
    """A part whose prices are on another tick than those beside it is refused by both, and no option lets it pass."""
    part = part_of(tape)
    table = pq.read_table(part)
    meta = decode_meta(table.schema.metadata[META_KEY])
    other = msgspec.structs.replace(
        meta, tick=10 * meta.tick, instrument=msgspec.structs.replace(meta.instrument, tick_size=10 * meta.tick)
    )
    mixed = part.with_name(f"{int(part.stem) + 1}.parquet")
    pq.write_table(table.replace_schema_metadata({META_KEY: encode_meta(other)}), mixed, write_page_checksum=True)

    for arguments in (
        ["data", "inspect", str(tape)],
        ["backtest", str(tape), "-c", str(tape.parent / "arbot.toml"), "--repair"],
    ):
        assert 2 == run(arguments)
        assert "describes its instrument otherwise" in capsys.readouterr().err


def test_what_a_killed_writer_left_is_not_read(capsys, tape):
    """A part that was never finished is passed over, and changes nothing."""
    code, before = backtest(capsys, tape)[:2]
    part = part_of(tape)
    part.with_name(f".{int(part.stem) + 1}.parquet.open").write_bytes(part.read_bytes()[:1000])
    code, after = backtest(capsys, tape)[:2]
    assert 0 == code
    assert json.loads(before)["columns"][0]["digest"] == json.loads(after)["columns"][0]["digest"]


def test_a_cut_cache_is_made_again(capsys, tape):
    """Raw columns that were cut short are not used: the result is the one of the tape."""
    before = json.loads(backtest(capsys, tape)[1])
    (column,) = (tape / ".cache").rglob("key.npy")
    column.write_bytes(column.read_bytes()[: column.stat().st_size // 2])
    code, out, _ = backtest(capsys, tape)
    assert 0 == code
    assert before["columns"][0]["digest"] == json.loads(out)["columns"][0]["digest"]
    assert 8 * ROWS <= column.stat().st_size


def test_bars_with_a_bad_row_are_told_and_left_out(capsys, tmp_path):
    """A bar whose low is above its close is an error of the inspection, which goes on without it."""
    for venue in ("kraken", "coinbase"):
        series = bar_series(venue, [(100 + minute % 3, 1) for minute in range(200)])
        with BarsWriter(tmp_path, series.meta) as writer:
            writer.append(series.start_ns, series.open, series.high, series.low, series.close, series.volume)
    rewritten(part_of(tmp_path), low=lambda lows: lows.__setitem__(50, 10 * lows[50]))
    code, found = inspection(capsys, tmp_path)
    assert 2 == code
    (told,) = [one for one in found["findings"] if one["code"] == "damaged"]
    assert "1 rows, not a bar" in told["detail"]
    assert {"BTC/USD@kraken bars": 199, "BTC/USD@coinbase bars": 200} == {
        one["name"]: one["rows"] for one in found["bars"]
    }


def quote_lines(count: int) -> list[str]:
    """Return lines of a plain CSV of quotes, a second apart."""
    return ["ts_us,venue,symbol,bid,bid_sz,ask,ask_sz"] + [
        f"{1_700_000_000_000_000 + second * 1_000_000},kraken,BTC/USD,100.{second % 10},1,101.{second % 10},2"
        for second in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("cut.csv.gz", None, "cut.csv.gz"),
        ("bad.csv", lambda lines: lines.__setitem__(50, lines[50].replace("100.9", "1oo.9")), "50"),
        ("units.csv", lambda lines: lines.__setitem__(60, lines[60].replace("000000,kraken", "000,kraken", 1)), "unit"),
        ("short.csv", lambda lines: lines.__setitem__(70, lines[70].rpartition(",")[0]), "70"),
    ],
)
def test_foreign_files_with_a_fault_are_refused_whole(capsys, tmp_path, name, spoil, words):
    """A cut archive, a number that is none, times in two units and a short row name file and row; nothing is imported."""
    lines = quote_lines(400)
    path = tmp_path / name
    if spoil is None:
        whole = gzip.compress("\n".join(lines).encode())
        path.write_bytes(whole[: len(whole) * 2 // 3])
    else:
        spoil(lines)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    code = run(["data", "import", "--format", "quotes-csv", str(path), "--out", str(tmp_path / "out")])
    told = capsys.readouterr().err
    assert 2 == code
    assert name in told
    assert words in told
    assert [] == [file for file in (tmp_path / "out").rglob("*") if file.is_file()]


def test_a_file_out_of_order_is_sorted_and_counted(capsys, tmp_path):
    """Two of 4000 rows that changed places are sorted, and the import and the inspection say so; two of 400 are refused."""
    lines = quote_lines(4000)
    lines[30], lines[31] = lines[31], lines[30]
    path = tmp_path / "order.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert 0 == run(["data", "import", "--format", "quotes-csv", str(path), "--out", str(tmp_path / "out"), "--json"])
    (order,) = [one for one in json.loads(capsys.readouterr().out)["findings"] if one["code"] == "order"]
    assert 1 == order["count"]
    _, found = inspection(capsys, tmp_path / "out")
    assert ["order"] == [one["code"] for one in found["findings"] if one["code"] in ("order", "damaged")]
    assert 4000 == found["series"][0]["quotes"]

    path.write_text("\n".join(lines[:401]) + "\n", encoding="utf-8")
    assert 2 == run(["data", "import", "--format", "quotes-csv", str(path), "--out", str(tmp_path / "second")])
    assert "order.csv, row 31: BTC/USD@kraken: 1 of 400 messages are out of time order" in capsys.readouterr().err
