"""The bundle as people meet it: who may open it, what a spreadsheet makes of it, what a country's page shows."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.domain.errors import UserError
from arbot.tax.bundle.report import Report, write_report
from tests.support.bundle_world import Told, asked, sheet

EVIL = '=HYPERLINK("http://example.org","pay")'
VENUE = {"venue": "kraken"}
FX = {"fx": {"GBP": "0.8", "EUR": "0.9", "CAD": "1.4", "AUD": "1.5"}}


def fill(ident: str, ts: str, side: str, order: str) -> dict[str, Any]:
    return {
        "kind": "fill", "id": ident, "ts": ts, **VENUE, "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "side": side,
        "amount": "0.1", "price": "90000", "cost": "9000", "fee": "9", "fee_ccy": "USD", "order_id": order,
        "px": {"BTC": "90000"}, "px_src": {"BTC": "@book"}, **FX,
    }  # fmt: skip


ROWS: list[dict[str, Any]] = [
    {"kind": "deposit", "id": "D1", "ts": "2025-05-01T00:00:00Z", **VENUE, "asset": "USD", "amount": "20000"},
    fill(EVIL, "2025-05-02T00:00:00Z", "buy", "+O1"),
    {"kind": "income", "id": "I1", "ts": "2025-05-03T00:00:00Z", **VENUE, "asset": "ETH", "amount": "0.5",
     "why": "reward", "px": {"ETH": "2000"}, **FX},
    fill("kraken:T2", "2025-05-04T00:00:00Z", "sell", "O2"),
]  # fmt: skip


def report(out: Path, **words: Any) -> Report:
    return write_report(Told(ROWS), asked(**words), out)


def test_only_the_owner_can_open_the_folder(tmp_path: Path) -> None:
    """Give no other account of the machine a look at what somebody earned."""
    report(tmp_path / "bundle")
    assert 0o700 == (tmp_path / "bundle").stat().st_mode & 0o777


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Say which option names it and what to do, instead of a trace."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out .*file/bundle: cannot be written"):
        report(tmp_path / "file" / "bundle")


def test_an_export_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Say so for the files of other programs as well."""
    (tmp_path / "year.jsonl").write_text(
        '{"kind": "deposit", "id": "D1", "ts": "2025-05-01T00:00:00Z", "venue": "kraken", "asset": "USD", "amount": "1"}\n'
    )
    (tmp_path / "file").write_text("")
    ledger = str(tmp_path / "year.db")
    assert ExitCode.OK == run(["ledger", "import", str(tmp_path / "year.jsonl"), "--ledger", ledger])
    out = str(tmp_path / "file" / "koinly.csv")
    assert ExitCode.USAGE == run(["tax", "export", "--format", "koinly", "--out", out, "--ledger", ledger])
    assert "--out" in capsys.readouterr().err


def test_no_text_from_outside_is_a_formula(tmp_path: Path) -> None:
    """Put an apostrophe before ids, order ids and sources that begin like one, in every sheet; numbers stay numbers."""
    out = tmp_path / "bundle"
    report(out)

    for path in sorted(out.rglob("*.csv")):
        for row in sheet(path.parent, path.name):
            for text in row.values():
                assert text[:1] not in {"=", "+", "@"}, path.name
                assert text[:1] != "-" or Decimal(text) < 0, path.name
    assert f"'{EVIL}" == sheet(out, "form8949.csv")[0]["lot_id"]
    assert "'@book" == sheet(out, "evidence.csv")[0]["source"]


@pytest.mark.parametrize(("code", "ccy", "rate"), [("uk", "gbp", "0.8"), ("ca", "cad", "1.4"), ("de", "eur", "0.9")])
def test_other_countries_show_prices_rates_and_values(code: str, ccy: str, rate: str, tmp_path: Path) -> None:
    """Write evidence with the rate of each line, and fees and income in the country's money beside dollars."""
    out = tmp_path / "bundle"
    report(out, country=code)

    assert {rate} == {row[f"{ccy}_per_usd"] for row in sheet(out, "evidence.csv")}
    (income,) = sheet(out, "income.csv")
    assert Decimal(income["value_usd"]) * Decimal(rate) == Decimal(income[f"value_{ccy}"])
    assert ["a cost of the trade"] * 2 == [row["treatment"] for row in sheet(out, "fees.csv")]
    assert [] == sheet(out, "transfers.csv")


def test_the_default_rate_stands_in_the_evidence(tmp_path: Path) -> None:
    """Show the rate that was used where a line has none of its own."""
    rows = [{name: value for name, value in row.items() if name != "fx"} for row in ROWS]
    out = tmp_path / "bundle"
    write_report(Told(rows), asked(country="uk", rate_default="0.75"), out)
    assert {"0.75"} == {row["gbp_per_usd"] for row in sheet(out, "evidence.csv")}


def test_a_countrys_page_is_in_words(tmp_path: Path) -> None:
    """Name columns as people say them, show only the year asked for, and no terms where a country knows none."""
    early = (
        fill("kraken:T0", "2025-04-01T00:00:00Z", "buy", "O0"),
        fill("kraken:T00", "2025-04-02T00:00:00Z", "sell", "O"),
    )
    money = {**ROWS[0], "id": "D0", "ts": "2025-03-01T00:00:00Z"}
    out = tmp_path / "bundle"
    write_report(Told([money, *early, *ROWS]), asked(country="uk"), out)
    page = (out / "summary.html").read_text("utf-8")
    headers = re.findall(r"<th[^>]*>([^<]*)</th>", page)

    assert [] == [text for text in headers if "_" in text]
    assert "<td class=w>2025/2026</td>" in page
    assert "<td class=w>2024/2025</td>" not in page
    assert "short gain" not in page
    assert "<td>all accounts</td>" in page
    assert '<meta name="viewport"' in page
