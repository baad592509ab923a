"""Does tidying a catalogue lose nothing, and leave alone what may still be written?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.tape.catalogue import Catalogue
from arbot.tape.generate import START_TS_NS, TapeSpec, generate_chunks, metas
from arbot.tape.merge import merged
from arbot.tape.writer import TapeWriter


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Return two days of one instrument in parts of a minute, and one file that a killed writer left."""
    spec = TapeSpec(rows=40_000, rows_per_s=100, start_ts_ns=START_TS_NS + 86_250_000_000_000)
    writer = TapeWriter(tmp_path, metas(spec)[0], rotate_s=20)
    for rows in generate_chunks(spec):
        mine = rows.tag >> 8 == 0
        writer.append_rows(type(rows)(*(column[mine].copy() for column in rows)))
    writer.close()
    last = max(tmp_path.rglob("*.parquet"))
    last.with_name(f".{last.name}.open").write_bytes(b"half a part")
    return tmp_path


def everything(path: Path) -> list[list[int]]:
    """Return all rows of a catalogue."""
    chunks = list(merged(Catalogue(path).datasets()))
    return [np.concatenate(columns).tolist() for columns in zip(*chunks, strict=True)]


def test_finished_days_become_one_part_and_no_row_is_lost(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Compact the day before the newest alone, unless told that nothing records any more."""
    before, parts = everything(catalogue), [len(one.parts) for one in Catalogue(catalogue).datasets()]

    assert run(["data", "compact", str(catalogue), "--json"]) == ExitCode.OK
    first = [len(one.parts) for one in Catalogue(catalogue).datasets()]
    assert run(["data", "compact", str(catalogue), "--today-too"]) == ExitCode.OK

    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (told["days"], told["parts_before"]) == (1, parts[0])
    assert (min(parts) > 2, first, [len(one.parts) for one in Catalogue(catalogue).datasets()]) == (
        True, [1, parts[1]], [1, 1],
    )  # fmt: skip
    assert everything(catalogue) == before
    assert Catalogue(catalogue).left_open() == ()
