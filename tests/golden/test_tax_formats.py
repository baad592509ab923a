"""The files for other programs, as a person can read them: tests/golden/tax_formats holds what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbot.tax.formats.hledger import journal
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.table_writer import write_table, write_text
from arbot.tax.formats.tables import TABLES
from tests.support.tax_formats import FOLDER, shown


@pytest.mark.parametrize("name", list(TABLES))
def test_a_table_is_the_expected_file(name: str, tmp_path: Path) -> None:
    """Write every line of the shown history as the expected file has it, byte for byte."""
    out = tmp_path / "out.csv"

    write_table(TABLES[name], shown(), out, Losses())

    assert (FOLDER / f"{name}.csv").read_bytes() == out.read_bytes()


def test_the_hledger_journal_is_the_expected_file(tmp_path: Path) -> None:
    """Write the shown history as the expected journal, byte for byte."""
    out = tmp_path / "out.journal"

    write_text(journal(shown(), Losses()), out)

    assert (FOLDER / "hledger.journal").read_bytes() == out.read_bytes()
