"""Own cases of the tax rules, each from a rule with its source: imported and reported by the commands, every year of them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundle_world import jsonl, sheet
from tests.support.golden_commands import (
    choices_of,
    config_of,
    import_lines,
    journal_at,
    left_told,
    lines_of,
    report,
    rows_told,
    with_cash,
    years_of,
)

CASES = Path(__file__).parent / "tax_cases"
MONEY = ("qty", "proceeds", "basis", "gain")
SHEETS = {"form8949": "disposal_id", "form8949-summary": "box", "schedule-d": "line"}


def cases(country: str) -> list[Any]:
    """Return the cases of a country as parameters named by their ids."""
    told = json.loads((CASES / f"{country}.json").read_text("utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in told]


def refused_codes(folder: Path, ledger: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the codes of what keeps a report from being written."""
    capsys.readouterr()
    assert report(ledger, folder / "refused", *words, "--json") != 0
    assert not (folder / "refused").exists()
    return sorted({item["code"] for item in json.loads(capsys.readouterr().out)["open_items"]})


def shown(folder: Path, expected: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Return of the sheets that a case asserts the columns that it asserts, in the order in which it has the rows."""
    return {
        name: [{key: row[key] for key in wanted} for wanted, row in zip(expected[name], rows, strict=True)]
        for name in SHEETS
        if name in expected
        for rows in (sheet(folder, f"{name}.csv"),)
    }


@pytest.mark.parametrize("case", cases("us"))
def test_united_states(case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows and lots left come out as stated, exactly, and what else a case asserts: identification, forms, refusals."""
    expected, rows = case["expected"], lines_of(case["tx"], (case.get("allocation") or {}).get("kind", ""))
    ledger = import_lines(tmp_path, with_cash(rows))
    if choices := choices_of(case):
        journal_at(ledger, choices)
    words = ["--config", str(config_of(case, tmp_path)), *case.get("words", ())]
    if forms := case.get("form_1099da"):
        (tmp_path / "da.csv").write_text("\n".join(forms) + "\n", "utf-8")
        words += ["--form-1099da", str(tmp_path / "da.csv")]
    if "refused" in expected:
        assert expected["refused"] == refused_codes(tmp_path, ledger, [*words, "--year", "2025"], capsys)
        return
    found, identified = {}, {}
    for year in case.get("years") or years_of(rows):
        out = tmp_path / year
        assert report(ledger, out, *words, "--year", year) == 0
        slices = jsonl(out, "disposals.jsonl")
        assert all(one["sold"].startswith(year) for one in slices)
        found |= rows_told(out)
        identified |= {one["disposal"]: [one["method"], one["identified_at"]] for one in slices}

    assert {
        (row[0], row[1], row[2], row[7:] == ["withheld"]): dict(zip(MONEY, map(Decimal, row[3:7]), strict=True))
        for row in expected["rows"]
    } == found
    assert {
        (account, asset, lot): {"qty": Decimal(qty), "basis": Decimal(basis)}
        for account, asset, lot, qty, basis in expected["remaining"]
    } == left_told(out)
    assert expected.get("identified", identified) == identified
    asserted = {name: expected[name] for name in SHEETS if name in expected}
    assert asserted == shown(out, expected)


@pytest.mark.parametrize("case", cases("uk"))
def test_united_kingdom(case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Quantities by rule and gains of every day, pools and tax years come out as stated, exactly, in pounds."""
    expected, rows = case["expected"], lines_of(case["tx"])
    ledger = import_lines(tmp_path, with_cash(rows, "GBP"))
    words = ["--country", "uk", "--rate-default", "0.8"]
    if "refused" in expected:
        assert expected["refused"] == refused_codes(tmp_path, ledger, [*words, "--year", "2025"], capsys)
        return
    found, gains = [], {}
    for year in ("2024", "2025"):
        out = tmp_path / year
        assert report(ledger, out, *words, "--year", year) == 0
        gains[year] = sum((Decimal(one["gain"]) for one in jsonl(out, "disposals.jsonl")), Decimal(0))
        found += [
            (row["asset"], row["date"], *(Decimal(row[name]) for name in UK_NUMBERS))
            for row in sheet(out, "uk-disposals.csv")
        ]

    wanted = [(asset, date, *map(Decimal, numbers)) for asset, date, *numbers in expected["disposals"]]
    assert sorted(wanted) == sorted(found)
    pools = {row["asset"]: (Decimal(row["quantity"]), Decimal(row["cost"])) for row in sheet(out, "uk-pools.csv")}
    assert {asset: (Decimal(qty), Decimal(cost)) for asset, qty, cost in expected["pools"]} == pools
    for year, gain in expected.get("years", {}).items():
        assert Decimal(gain) == gains[year]


UK_NUMBERS = ("quantity", "same_day", "thirty_day", "section_104", "gain_exact")


@pytest.mark.parametrize("country", ["us", "uk"])
def test_every_case_names_its_source(country: str) -> None:
    """A case says what it is about, by which rule, and when that was read; no id is used twice."""
    told = [case.values[0] for case in cases(country)]
    assert all(case["title"] and case["source"] and case["read"] for case in told)
    assert len({case["id"] for case in told}) == len(told)
