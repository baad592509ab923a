"""The worked example of the guide to taxes in the United States, worked out again."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from arbot.domain.history import HistoryLine, Placed, parse_ts
from arbot.ledger.jurisdictions.us.form8949 import HEADER_8949, RowMaker, csv_row, form_dates
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.jurisdictions.us.terms import Terms
from arbot.ledger.lots.policy import LotPolicy

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "tax-us.md"
IMPORT = 2  # the journal's entry, the first one begins the journal
HERE = "America/New_York"


def blocks_of(kind: str) -> list[str]:
    """Return the lines of the guide's block of a kind."""
    found = re.search(rf"```{kind}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1].splitlines()


def test_the_example_gives_the_rows_and_lines_that_the_guide_prints():
    """Fills in, rows and lines of Schedule D out, as they stand on the page."""
    decode = msgspec.json.Decoder(HistoryLine).decode
    run, maker = UsRun(LotPolicy(), HERE), RowMaker(Terms(HERE).is_long, form_dates(HERE))
    rows = [HEADER_8949]
    for text in blocks_of("jsonl"):
        line = decode(text)
        for part in run.feed(Placed(line, parse_ts(line.ts), IMPORT)):
            rows += map(csv_row, maker.take(part))

    assert blocks_of("csv") == rows
    assert [] == run.open_items()
    text = GUIDE.read_text("utf-8")
    for total in maker.schedule_d().lines:
        printed = (total.proceeds, total.cost_basis, total.adjustment, total.gain)
        exact = (total.gain_exact.normalize(), total.drift.normalize())
        assert f"| line {total.line} | {' | '.join(str(amount) for amount in (*printed, *exact))} |" in text
