"""Are texts from outside safe and whole in a spreadsheet?"""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from arbot.ledger.cells import cell, cells


@pytest.mark.parametrize("text", ["=1+1", "+1", "@SUM(A1)", "-cmd|x", "-2+3", "\tx", '=HYPERLINK("a","b")'])
def test_no_cell_is_a_formula(text: str) -> None:
    """Put an apostrophe before a text that a spreadsheet would compute, and keep the rest of it."""
    (row,) = csv.reader(StringIO(cell(text)))
    assert [f"'{text}"] == row


@pytest.mark.parametrize("text", ["", "kraken:T1", "-0.10", "-5", "a, b", 'a "b"', "two\nlines", "0.5-rc"])
def test_other_cells_come_back_as_they_were(text: str) -> None:
    """Read back what was written, negative numbers too."""
    assert [["id", text]] == list(csv.reader(StringIO(cells("id", text))))
