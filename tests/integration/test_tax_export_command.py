"""`arbot tax export` from the command line: an imported ledger in, files for other programs out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from tests.support.tax_formats import FOLDER

UNCOVERED = '{"kind": "spend", "id": "s9", "ts": "2025-03-01T00:00:00Z", "venue": "kraken", "asset": "BTC", "amount": "1", "why": "payment", "px": {"BTC": "90000"}}'


@pytest.fixture
def ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return a ledger that holds the shown history."""
    path = str(tmp_path / "ledger.db")
    assert ExitCode.OK == run(["ledger", "import", str(FOLDER / "history.jsonl"), "--ledger", path])
    capsys.readouterr()
    return path


def test_an_imported_ledger_is_exported_as_expected(
    ledger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Give the expected file after a way through the store, and tell on stderr what the format cannot say."""
    out = tmp_path / "made.csv"

    code = run(["tax", "export", "--format", "coinledger", "--out", str(out), "--ledger", ledger])

    assert ExitCode.OK == code
    assert (FOLDER / "coinledger.csv").read_bytes() == out.read_bytes()
    said = capsys.readouterr()
    assert "1 x rebate_row" in said.err
    assert said.out.endswith("made.csv: 41 rows\n")


def test_json_on_stdout_names_files_and_losses(ledger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Print one object with the files and what was lost, for other programs to read."""
    code = run(["tax", "export", "--format", "koinly", "--out", str(tmp_path / "made"), "--ledger", ledger, "--json"])

    made = json.loads(capsys.readouterr().out)
    assert ExitCode.OK == code
    assert [30, 1, 9, 1] == [file["rows"] for file in made["files"]]
    assert {"code": "in_flight", "count": 1, "first": ["x3"]} in made["losses"]


def test_lots_that_are_missing_refuse_the_gains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """End with the code of open items, name the line, and leave no file."""
    history, path = tmp_path / "history.jsonl", str(tmp_path / "ledger.db")
    history.write_text(f"{UNCOVERED}\n")
    run(["ledger", "import", str(history), "--ledger", path])

    code = run(["tax", "export", "--format", "turbotax", "--out", str(tmp_path / "gains.csv"), "--ledger", path])

    assert ExitCode.OPEN_ITEMS == code
    assert "s9" in capsys.readouterr().err
    assert not (tmp_path / "gains.csv").exists()


def test_the_list_of_formats_needs_no_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """Name every format on a line of its own."""
    code = run(["tax", "export", "--format", "list"])

    assert ExitCode.OK == code
    assert 15 == len(capsys.readouterr().out.splitlines())


def test_the_path_to_an_export_is_free_of_heavy_libraries() -> None:
    """Import nothing for an export that takes seconds to load."""
    heavy = ("numba", "scipy", "polars", "pyarrow", "ccxt")
    code = f"import sys, arbot.tax.formats.exporting; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
