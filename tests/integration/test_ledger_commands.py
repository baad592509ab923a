"""`arbot ledger import` and `export` as a person types them: a ledger file, no daemon, no config."""

from __future__ import annotations

import json

import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from tests.support.history_lines import DEPOSIT, ONE_OF_EACH, a_file, fills, text_of


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_year_needs_no_daemon(in_folder, capsys):
    """Import makes the ledger; balances, verify and export take it by its path; the export is the file."""
    path = a_file(in_folder / "2025.jsonl", *ONE_OF_EACH)
    assert ExitCode.OK == run(["ledger", "import", "2025.jsonl", "--ledger", "taxes.db"])
    assert "7 lines of 2025.jsonl: 7 new, 0 booked before\n" == capsys.readouterr().out
    assert ExitCode.OK == run(["ledger", "import", "2025.jsonl", "--ledger", "taxes.db", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (7, 0, 7) == (told["lines"], told["new"], told["known"])
    assert ExitCode.OK == run(["ledger", "verify", "--ledger", "taxes.db"])
    capsys.readouterr()
    assert ExitCode.OK == run(["ledger", "export", "--ledger", "taxes.db"])
    assert path.read_text("utf-8") == capsys.readouterr().out
    assert ExitCode.OK == run(
        ["ledger", "export", "--ledger", f"sqlite:///{in_folder / 'taxes.db'}", "--out", "all.jsonl"]
    )
    assert path.read_bytes() == (in_folder / "all.jsonl").read_bytes()
    assert ExitCode.OK == run(["ledger", "export", "--ledger", "taxes.db", "--format", "csv", "--out", "all.csv"])
    assert 8 == len((in_folder / "all.csv").read_text().splitlines())
    assert [] == list(in_folder.glob("*.new"))
    capsys.readouterr()
    assert ExitCode.OK == run(["ledger", "balances", "--ledger", "taxes.db", "--json"])
    assert {"account": "assets:wallet.cold", "asset": "BTC", "number": 0.0998} in json.loads(capsys.readouterr().out)


def test_mistakes_are_listed_with_remedies(in_folder, capsys):
    """Every mistake is told with its line, the exit code says so, and the ledger stays empty."""
    a_file(in_folder / "bad.jsonl", DEPOSIT | {"asset": "BTC"}, DEPOSIT | {"id": "D2", "amount": 7})
    assert ExitCode.USAGE == run(["ledger", "import", "bad.jsonl", "--ledger", "taxes.db"])
    told = capsys.readouterr().err
    assert told.startswith("2 mistakes:\nbad.jsonl line 1: BTC is not cash")
    assert "bad.jsonl line 2: amount is a JSON number" in told
    assert 2 == told.count("->")
    assert ExitCode.OK == run(["ledger", "export", "--ledger", "taxes.db"])
    assert "" == capsys.readouterr().out


def test_strict_refuses_below_zero(in_folder, capsys):
    """With --strict a sale of what is not there is refused; without it the file is history."""
    a_file(in_folder / "h.jsonl", *fills(3))
    assert ExitCode.USAGE == run(["ledger", "import", "h.jsonl", "--ledger", "taxes.db", "--strict"])
    assert "kraken:F1 at kraken: kraken has 0.02002 BTC less" in capsys.readouterr().err
    assert ExitCode.OK == run(["ledger", "import", "h.jsonl", "--ledger", "taxes.db"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "--ledger", "none.db"], "none.db: there is no ledger here"),
        (["balances", "--ledger", "none.db"], "`arbot ledger import FILE --ledger none.db`"),
        (["import", "h.jsonl", "--ledger", "t.db", "--format", "xml"], "--format: 'xml' is not known"),
        (["import", "h.jsonl", "--ledger", "t.db", "--account", "kraken"], "--account: is for a venue's statement"),
        (["import", "h.jsonl", "--ledger", "t.db", "--dry-run"], "--dry-run: is for a venue's statement"),
    ],
)
def test_what_cannot_be_is_said(in_folder, capsys, arguments, words):
    """A ledger that is not there, a format nobody knows, an option of another format: each with a way out."""
    (in_folder / "h.jsonl").write_text(text_of(DEPOSIT))
    assert ExitCode.USAGE == run(["ledger", *arguments])
    assert words in capsys.readouterr().err
