"""`arbot ledger import` and `arbot ledger gaps` with a venue's statement, from file to ledger and back."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from arbot.cli.exit_codes import ExitCode
from arbot.cli.ledger import app
from arbot.domain.errors import UserError

KRAKEN = """txid,refid,time,type,subtype,aclass,asset,amount,fee,balance
L1,Q1,2025-01-01 00:00:00,deposit,,currency,ZUSD,10000.0000,0,10000.0000
L2,T1,2025-01-02 00:00:00,trade,,currency,ZUSD,-94.0000,0.2400,9905.7600
L3,T1,2025-01-02 00:00:00,trade,,currency,XXBT,0.0010000000,0,0.0010000000
"""


@pytest.fixture
def run(tmp_path):
    """Write a statement and run a command on it, over a ledger of its own."""

    def of(command, text, *options):
        (tmp_path / "ledgers.csv").write_text(text)
        words = [command, str(tmp_path / "ledgers.csv"), "--ledger", str(tmp_path / "books.db"), *options]
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return of


def test_statement_is_imported_and_has_no_gaps(run):
    """The format is told by the header; the second import finds everything; nothing is missing afterwards."""
    assert json.loads(run("import", KRAKEN, "--json").stdout)["new"] == 2
    assert "0 new, 2 booked before" in run("import", KRAKEN).stdout
    assert run("gaps", KRAKEN).exit_code == ExitCode.OK


def test_gaps_are_told_with_rows_and_a_code(run):
    """A row that the ledger lacks and a balance that does not follow are named; the exit code says so."""
    run("import", KRAKEN)
    more = KRAKEN + "L4,Q2,2025-01-03 00:00:00,deposit,,currency,ZUSD,1.0000,0,9999.0000\n"
    result = run("gaps", more)
    assert result.exit_code == ExitCode.LEDGER_PROBLEM
    assert "only in the statement: kraken:deposit:Q2 (ledgers.csv row 5)" in result.stdout
    assert "balance does not follow: row 5: balance 9999 ZUSD" in result.stdout
    facts = json.loads(run("gaps", more, "--json").stdout)
    assert (facts["agreeing"], [one["id"] for one in facts["missing_in_ledger"]]) == (2, ["kraken:deposit:Q2"])
    shorter = "\n".join(KRAKEN.splitlines()[:2]) + "\nL9,Q9,2025-01-09 00:00:00,deposit,,currency,ZUSD,1,0,10001\n"
    assert json.loads(run("gaps", shorter, "--json").stdout)["missing_in_statement"] == ["kraken:T1"]


def test_conflict_is_kept_only_when_asked(run):
    """What differs refuses the file; --keep-ledger passes it over and says so."""
    run("import", KRAKEN)
    changed = KRAKEN.replace("0.2400", "0.2500")
    with pytest.raises(UserError, match=r"fee 0\.25 USD here, 0\.24 USD in the ledger"):
        run("import", changed)
    assert "1 lines that the ledger has otherwise were passed over" in run("import", changed, "--keep-ledger").stdout


def test_statement_of_no_known_sort_is_refused(run):
    """Gaps compares statements only."""
    with pytest.raises(UserError, match="jsonl is no format of a statement"):
        run("gaps", KRAKEN, "--format", "jsonl")
