"""The golden cases of the tax rules through `arbot ledger import` and `arbot tax report`, as an independent checker runs them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbot.cli.main import run
from arbot.domain.history import parse_ts
from arbot.ledger.jurisdictions.days import LocalDays, day_text
from tests.support.bundle_world import jsonl, sheet
from tests.support.golden_commands import (
    NoLine,
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
from tests.support.lot_cases import assert_close
from tests.support.tax_golden import golden_cases, golden_file, golden_lines

ZERO = Decimal(0)
MONEY = ("proceeds", "basis", "gain")
TOLERANCE = Decimal("0.000001")
CENT_HALF = Decimal("0.005")
AS_PRINTED = Decimal("0.000005")  # gains of the pool cases are told to five digits


def reported(case: dict[str, Any], rows: list[dict[str, Any]], folder: Path) -> tuple[dict, dict, int]:
    """Import rows, journal the choices, report every year; return rows, lots left, and how many years were refused."""
    ledger = import_lines(folder, with_cash(rows))
    if choices := choices_of(case):
        journal_at(ledger, choices)
    method = case["method"]
    words = ["--config", str(config_of(case, folder)), "--pool", case["pool"]]
    if isinstance(method, dict):  # standing orders in the journal
        method = "fifo"
    found, left, refused = {}, {}, 0
    for year in years_of(rows):
        out = folder / f"bundle-{year}"
        if report(ledger, out, *words, "--year", year, *(["--method", method] if method != "fifo" else [])):
            refused += 1
            continue
        found |= rows_told(out)
        left = left_told(out)
    return found, left, refused


def check(case: dict[str, Any], found: dict, left: dict, refused: int) -> None:
    """Compare what the commands wrote with what a case expects."""
    expected = case["expected"]
    if expected.get("error"):
        assert refused
        return
    assert not refused
    if expected["rows"] is not None:
        terms = {(disposal, lot, is_withheld): term for disposal, lot, term, is_withheld in found}
        rows = {}
        for row in expected["rows"]:
            is_withheld = row.get("why") == "withheld"
            term = row["term"] or terms[row["disposal"], row["lot"], is_withheld]
            numbers = {name: row[name] for name in ("qty", *MONEY)}
            rows[row["disposal"], row["lot"], term, is_withheld] = numbers
        assert_close(rows, found)
    lots = {
        (row["account"], row["asset"], row["lot"]): {"qty": row["qty"], "basis": row["basis"]}
        for row in expected["remaining"]
    }
    assert_close(lots, left)


@pytest.mark.parametrize("case", golden_cases("lots", jurisdiction="US"))
def test_lot_case_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """A case of lots, written as canonical lines, comes out of the commands as it states."""
    as_of = case.get("as_of") or "9999"
    try:
        allocation = (case.get("allocation") or {}).get("kind", "")
        rows = lines_of((one for one in case["tx"] if one["ts"] <= as_of), allocation)
    except NoLine as why:
        pytest.skip(str(why))
    rows = [row | {"ts_in": None} if row.get("ts_in", "") > as_of else row for row in rows]

    check(case, *reported(case, rows, tmp_path))


@pytest.mark.parametrize("case", golden_cases("canonical", jurisdiction="US"))
def test_fee_case_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """A case told in canonical lines comes out of the commands as it states, its fees allocated."""
    check(case, *reported(case, case["events"], tmp_path))


@pytest.mark.parametrize("case", golden_cases("term"))
def test_term_case_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """Units bought and sold at the case's instants are short or long as it states, by the clock of its time zone."""
    unit = {"account": "any", "asset": "BTC", "qty": "1"}
    rows = lines_of([
        unit | {"t": "buy", "id": "b", "ts": case["acquired"], "cash": "100"},
        unit | {"t": "sell", "id": "s", "ts": case["sold"], "cash": "200"},
    ])  # fmt: skip
    ledger, out = import_lines(tmp_path, with_cash(rows)), tmp_path / "out"
    year = local_date(case["sold"], case["timezone"])[:4]
    assert report(ledger, out, "--year", year, "--timezone", case["timezone"]) == 0

    assert [case["expected"]["term"]] == [one["term"] for one in jsonl(out, "disposals.jsonl")]


@pytest.mark.parametrize("case", golden_cases("form-row"))
def test_form_row_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """A sale beside what its broker reported gets the box, the line and the columns that the case states."""
    given, expected = case["input"], case["expected"]
    cost = given.get("cost_not_on_form", "0")
    acquired = {"S": "2025-01-02T00:00:00Z", "L": "2023-01-02T00:00:00Z"}[given["term"]]
    unit = {"account": "kraken", "asset": "BTC", "qty": "1"}
    rows = lines_of([
        unit | {"t": "opening", "id": "b", "ts": "2025-01-03T00:00:00Z", "unit_basis": given["basis"], "acquired": acquired},
        unit | {"t": "sell", "id": "s", "ts": "2025-06-01T12:00:00Z", "cash": str(Decimal(given["proceeds"]) + Decimal(cost)),
                "fee": cost},
    ])  # fmt: skip
    ledger, out, words = import_lines(tmp_path, with_cash(rows)), tmp_path / "out", ["--year", "2025"]
    if given["form_1099da"] != "none":
        is_reported = {"basis-reported": "yes", "basis-not-reported": "no"}[given["form_1099da"]]
        told = (
            f"BTC,1,06/01/2025,{given['reported_proceeds']},{given.get('reported_basis') or ''},{is_reported},kraken,s"
        )
        (tmp_path / "da.csv").write_text(f"1b,1c,1e,1f,1g,2,account,sale id\n{told}\n", "utf-8")
        words += ["--form-1099da", str(tmp_path / "da.csv")]
    is_total = given.get("aggregate_option", False)
    assert report(ledger, out, *words, *(["--totals-without-rows"] if is_total else [])) == 0

    columns = {"d": "proceeds", "e": "cost_basis", "g": "adjustment", "h": "gain"}
    (line,) = (one for one in sheet(out, "schedule-d.csv") if one["rows"] != "0")
    assert (expected["schedule_d_line"], expected["box"]) == (line["line"], line["box"])
    assert {name: Decimal(expected[name]) for name in columns} == {
        name: Decimal(line[column]) for name, column in columns.items()
    }
    assert [expected["f"]] * (not is_total) == [row["code"] for row in sheet(out, "form8949.csv")]


@pytest.mark.parametrize("case", golden_cases("file"))
def test_history_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """A whole history gives totals per year, asset and term, lots left and balances, under every method and pool."""
    rows, ledger = golden_lines(case["file"]), tmp_path / "ledger.db"
    assert run(["ledger", "import", str(golden_file(case["file"])), "--ledger", str(ledger)]) == 0
    for told in case["expected"]["lots"]:
        totals = defaultdict(lambda: dict.fromkeys(MONEY, ZERO))
        left = defaultdict(lambda: {"qty": ZERO, "basis": ZERO})
        out = tmp_path / f"{told['pool']}-{told['method']}"
        for year in years_of(rows):
            words = ["--year", year, "--pool", told["pool"], "--method", told["method"]]
            assert report(ledger, out, *words) == 0
            for one in jsonl(out, "disposals.jsonl"):
                assert one["sold"][:4] == year
                if one["why"] != "withheld":
                    total = totals[f"{year}/{one['asset']}/{one['term']}"]
                    for name in MONEY:
                        total[name] += Decimal(one[name])
        for one in jsonl(out, "remaining.jsonl"):
            lot = left[f"{one['asset']}@{one['account']}"]
            lot["qty"], lot["basis"] = lot["qty"] + Decimal(one["qty"]), lot["basis"] + Decimal(one["basis"])

        assert_close(told["totals"], totals)
        assert_close(told["remaining"], left)
        assert abs(Decimal(told["total_gain"]) - sum(total["gain"] for total in totals.values())) <= TOLERANCE


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo", "lofo"])
@pytest.mark.parametrize("case", golden_cases("file"))
def test_coins_are_the_same_under_every_method(case: dict[str, Any], method: str, tmp_path: Path) -> None:
    """Quantities left are the balances stated, exactly, whichever lots go, per account and in one pool."""
    ledger = tmp_path / "ledger.db"
    assert run(["ledger", "import", str(golden_file(case["file"])), "--ledger", str(ledger)]) == 0
    stated = {key: Decimal(qty) for key, qty in case["expected"]["balances"].items()}
    for pool in ("account", "universal"):
        out = tmp_path / pool
        assert report(ledger, out, "--year", "2025", "--pool", pool, "--method", method) == 0
        left: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for one in jsonl(out, "remaining.jsonl"):
            left[f"{one['asset']}@{one['account']}"] += Decimal(one["qty"])
        expected: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for key, qty in stated.items():
            asset = key.partition("@")[0]
            if asset != "USD" and qty:
                expected[key if pool == "account" else f"{asset}@*"] += qty
        assert dict(expected) == dict(left)


@pytest.mark.parametrize("case", golden_cases("file"))
def test_balances_by_the_command(case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`arbot ledger balances` states what every account holds of every asset, exactly."""
    ledger = tmp_path / "ledger.db"
    assert run(["ledger", "import", str(golden_file(case["file"])), "--ledger", str(ledger)]) == 0
    capsys.readouterr()
    assert run(["ledger", "balances", "--ledger", str(ledger), "--json"]) == 0

    rows = {
        (row["account"], row["asset"]): Decimal(row["number"])
        for row in json.loads(capsys.readouterr().out, parse_float=Decimal, parse_int=Decimal)
    }
    for key, qty in case["expected"]["balances"].items():
        asset, _, account = key.partition("@")
        assert Decimal(qty) == rows.get((f"assets:{account}", asset), ZERO), key


@pytest.mark.parametrize("case", golden_cases("file"))
def test_bytes_of_the_exchange_format(case: dict[str, Any], tmp_path: Path) -> None:
    """Every field of both files is spelled as the format says: key order, plain decimals, times, null, words."""
    ledger, out = tmp_path / "ledger.db", tmp_path / "out"
    assert run(["ledger", "import", str(golden_file(case["file"])), "--ledger", str(ledger)]) == 0
    assert report(ledger, out, "--year", "2025") == 0
    number, time = r'"-?\d+(\.\d+)?"', r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"'
    words = '"[^"]+"'
    slice_line = re.compile(
        rf'{{"disposal": {words}, "lot": {words}, "asset": {words}, "account": {words}, "qty": {number}, '
        rf'"proceeds": {number}, "basis": {number}, "gain": {number}, "acquired": {time}, "sold": {time}, '
        r'"term": "[SL]", "why": "(sell|fee|transfer_fee|spend|withheld)", "method": "fifo", '
        r'"identified_at": null, "seq": \d+}'
    )
    lot_line = re.compile(
        rf'{{"account": {words}, "asset": {words}, "lot": {words}, "qty": {number}, "basis": {number}, '
        rf'"acquired": {time}}}'
    )
    for name, pattern in (("disposals.jsonl", slice_line), ("remaining.jsonl", lot_line)):
        content = (out / name).read_bytes()
        assert content.endswith(b"\n")
        assert not content.startswith(b"\xef\xbb\xbf")
        for line in content.decode().splitlines():
            assert pattern.fullmatch(line), line


@pytest.mark.parametrize("case", golden_cases("uk-canonical", jurisdiction="UK"))
def test_uk_case_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """Disposals and pools of a case told in canonical lines come out of the commands in pounds."""
    ledger = import_lines(tmp_path, with_cash(case["events"]))
    years = sorted({int(row["ts"][:4]) - offset for row in case["events"] for offset in (0, 1)})
    told: dict[tuple[str, str], dict[str, Decimal]] = {}
    pools: dict[str, tuple[Decimal, Decimal]] = {}
    for year in years:
        out = tmp_path / str(year)
        assert report(ledger, out, "--country", "uk", "--year", str(year), "--rate-default", case["fx"]) == 0
        for one in jsonl(out, "disposals.jsonl"):
            row = told.setdefault(
                (one["asset"], local_date(one["sold"], "Europe/London")), dict.fromkeys(("qty", *MONEY), ZERO)
            )
            for name in row:
                row[name] += Decimal(one[name])
        pools = {one["asset"]: (Decimal(one["qty"]), Decimal(one["basis"])) for one in jsonl(out, "remaining.jsonl")}
    expected = case["expected"]
    assert sorted((row["asset"], row["date"]) for row in expected["disposals"]) == sorted(told)
    for row in expected["disposals"]:
        ours = told[row["asset"], row["date"]]
        for field, name in (("qty", "qty"), ("proceeds", "proceeds"), ("cost", "basis"), ("gain", "gain")):
            if row.get(field) is not None:
                assert abs(Decimal(row[field]) - ours[name]) <= TOLERANCE, (row, name)
    for row in expected["pools"]:
        qty, cost = pools.get(row["asset"], (ZERO, ZERO))
        assert Decimal(row["qty"]) == qty
        assert abs(Decimal(row["cost"]) - cost) <= TOLERANCE


@pytest.mark.parametrize("case", golden_cases("pool", jurisdiction="UK"))
def test_uk_pool_case_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """Purchases and sales against pounds, as HMRC's examples tell them, come out of the commands day by day and year by year."""
    rows = sorted(map(against_pounds, range(len(case["ops"])), case["ops"]), key=lambda row: parse_ts(row["ts"]))
    ledger = import_lines(tmp_path, with_cash(rows, "GBP"))
    told: dict[tuple[str, str], dict[str, str]] = {}
    gains: dict[str, Decimal] = {}
    refused = 0
    for year in range(int(rows[0]["ts"][:4]) - 1, int(rows[-1]["ts"][:4]) + 1):
        out = tmp_path / str(year)
        if report(ledger, out, "--country", "uk", "--year", str(year), "--rate-default", "0.8"):
            refused += 1
            continue
        days = sheet(out, "uk-disposals.csv")
        told |= {(row["asset"], row["date"]): row for row in days}
        gains[f"{year}/{year + 1}"] = sum((Decimal(row["gain_exact"]) for row in days), ZERO)
    expected = case["expected"]
    if expected.get("error"):
        assert refused
        return
    assert not refused
    assert sorted((row["asset"], row["date"]) for row in expected["disposals"]) == sorted(told)
    for row in expected["disposals"]:
        ours = told[row["asset"], row["date"]]
        for field, column in (("qty", "quantity"), ("gain", "gain_exact")):
            if row.get(field) is not None:
                assert abs(Decimal(row[field]) - Decimal(ours[column])) <= AS_PRINTED, (row, field)
        for rule, qty in (row.get("rules") or {}).items():
            assert Decimal(qty) == Decimal(ours[UK_RULES[rule]]), (row, rule)
    pools = {row["asset"]: (Decimal(row["quantity"]), Decimal(row["cost"])) for row in sheet(out, "uk-pools.csv")}
    for row in expected["pools"]:
        qty, cost = pools.get(row["asset"], (ZERO, ZERO))
        assert Decimal(row["qty"]) == qty
        assert abs(Decimal(row["cost"]) - cost) <= TOLERANCE
    for label, gain in (expected.get("tax_years") or {}).items():
        assert Decimal(gain) == gains[label]


UK_RULES = {"same-day": "same_day", "30-day": "thirty_day", "s104": "section_104"}


def against_pounds(number: int, op: dict[str, str]) -> dict[str, Any]:
    """Return an operation on tokens as a fill against GBP; those of one date happen one after the other at noon."""
    asset, qty, value = op["asset"], op["qty"], op["value"]
    price = f"{Decimal(value) / Decimal(qty) * Decimal('1.25'):f}"
    return {
        "kind": "fill", "id": f"op{number}", "ts": op.get("ts") or f"{op['date']}T12:00:{number:02}Z", "venue": "any",
        "symbol": f"{asset}/GBP", "base": asset, "quote": "GBP", "side": {"acq": "buy", "dis": "sell"}[op["op"]],
        "amount": qty, "price": "1", "cost": value, "fee": "0", "fee_ccy": "GBP", "order_id": "",
        "px": {asset: price, "GBP": "1.25"},
    }  # fmt: skip


@pytest.mark.parametrize("case", golden_cases("file", jurisdiction="UK"))
def test_uk_net_gain_by_commands(case: dict[str, Any], tmp_path: Path) -> None:
    """The net gain in pounds of each tax year, from disposals.jsonl, is that of the case to half a penny."""
    ledger = tmp_path / "ledger.db"
    assert run(["ledger", "import", str(golden_file(case["file"])), "--ledger", str(ledger)]) == 0
    for label, gain in case["expected"]["uk_net_gain"].items():
        out = tmp_path / label[:4]
        words = ["--country", "uk", "--year", label[:4], "--rate-default", case["fx"]]
        assert report(ledger, out, *words) == 0
        assert abs(Decimal(gain) - sum(Decimal(one["gain"]) for one in jsonl(out, "disposals.jsonl"))) <= CENT_HALF


def local_date(ts: str, timezone: str) -> str:
    """Return the date of a time in a time zone."""
    return day_text(LocalDays(timezone).of(parse_ts(ts)))
