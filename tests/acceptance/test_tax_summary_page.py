"""The summary page as a browser prints it: one sheet, however much there is to say. Skipped where no Chromium is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from arbot.ledger.lots.words import OpenItem
from arbot.tax.bundle.summary import page
from arbot.tax.bundle.told import Grid, Told

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AMOUNT = "(123,456,789.01)"


def fullest() -> Told:
    """Return a report that fills everything the page has room for."""
    lines = tuple(
        (f"line {n}", "1,500,000", *[AMOUNT] * 4) for n in ("1a", "1b", "2", "3", "8a", "8b", "9", "10", "x", "y", "z")
    )
    assets = tuple((f"ASSET{n}", "1,500,000", *[AMOUNT] * 5) for n in range(10))
    steps = tuple(
        (f"step {n}", "what it is, in a sentence that is as long as any of them is", AMOUNT) for n in range(6)
    )
    words = "an account that has a rather long name: something is wrong with it " * 9
    return Told(
        country="us",
        country_name="United States",
        year="2025",
        method="fifo, hifo, lifo, lofo as recorded, fifo before, and picks",
        settings={f"setting {n}": "a value of some length" for n in range(9)},
        counts={f"count {n}": 1_234_567 for n in range(4)},
        ledger_head="f" * 64,
        mode="live",
        code_version="0.1.0",
        warnings=(words,) * 9,
        accepted=tuple(OpenItem("unexplained_difference", f"kraken:T{n}", words, "import it") for n in range(40)),
        grids=(
            Grid("What goes on Schedule D", ("line", "rows", "d", "e", "g", "h"), lines, note="A note on rounding."),
            Grid("By asset", ("asset", "disposals", "proceeds", "basis", "short", "long", "held"), assets),
            Grid("From trading to gain", ("step", "what it is", "USD"), steps, words=2),
            Grid("Beside the gain", ("", "what it is", "USD"), steps[:4], words=2),
            Grid("Wash sales", ("shadow", "disallowed", "returned"), (("if they counted", AMOUNT, AMOUNT),)),
        ),
    )


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to print with")
@pytest.mark.parametrize("size", ["letter", "A4"])
def test_the_fullest_page_prints_on_one_sheet(size: str, tmp_path: Path) -> None:
    """Print on one sheet of either size."""
    html = tmp_path / "summary.html"
    html.write_text(page(fullest()).replace("@page{", f"@page{{size:{size};"))
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--user-data-dir={tmp_path}/home",
    ]
    done = subprocess.run(
        [str(CHROMIUM), *words, f"--print-to-pdf={tmp_path}/page.pdf", html.as_uri()],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes())) == 1
