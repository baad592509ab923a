"""The report bundle as a whole: files that foot, the same bytes every time, refusals, other countries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from arbot.cli.main import run
from arbot.domain.errors import UserError
from arbot.domain.history import LotMethod
from arbot.domain.units import EXACT, ZERO
from arbot.journal.store import SqlStore
from arbot.ledger.lots.policy import LotPolicy, StandingOrder
from arbot.ledger.lots.words import OpenItem
from arbot.runtime.clock import VirtualClock
from arbot.tax.bundle.report import Refused, Report, write_report
from arbot.tax.importing import import_history
from tests.support.arb_year import arb_year, write_arb_year
from tests.support.bundle_world import Told, asked, contents, jsonl, sheet, summed

ROOT = Path(__file__).resolve().parents[2]
FILLS = 400
ITEM = OpenItem("no_basis", "kraken:T1", "0.5 BTC missing", "import an opening")
US_FILES = [
    "disposals.csv",
    "disposals.jsonl",
    "evidence.csv",
    "fees.csv",
    "form8949-summary.csv",
    "form8949.csv",
    "identification.csv",
    "income.csv",
    "lots-open.csv",
    "manifest.json",
    "open-items.csv",
    "reconciliation.csv",
    "remaining.jsonl",
    "schedule-d.csv",
    "summary.html",
    "transfers.csv",
]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return list(arb_year(FILLS, seed=3))


def report(history: list[dict[str, Any]], out: Path, **words: Any) -> Report:
    return write_report(Told(history), asked(**words), out)


def summed_gain(folder: Path) -> Decimal:
    return summed(jsonl(folder, "disposals.jsonl"), "gain")


@pytest.mark.parametrize("mode", ["lots", "sale"])
@pytest.mark.parametrize("pool", ["account", "universal"])
def test_every_file_foots_against_the_disposals(
    rows: list[dict[str, Any]], tmp_path: Path, mode: str, pool: str
) -> None:
    """Find in every file what disposals.jsonl says: exactly where exact amounts stand, to the drift where cents do."""
    out = tmp_path / "bundle"
    made = report(rows, out, rows=mode, pool=pool)
    slices, form, lines = jsonl(out, "disposals.jsonl"), sheet(out, "form8949.csv"), sheet(out, "schedule-d.csv")
    gain = summed(slices, "gain")

    assert sorted({*US_FILES, *(file for file in made.files if file.startswith("statements/"))}) == sorted(
        contents(out)
    )
    assert all(EXACT.subtract(Decimal(s["proceeds"]), Decimal(s["basis"])) == Decimal(s["gain"]) for s in slices)
    for name in ("proceeds", "basis", "gain"):
        assert summed(slices, name) == summed(sheet(out, "disposals.csv"), name)
    assert gain == summed(lines, "gain_exact")
    assert gain == EXACT.subtract(summed(lines, "gain"), summed(lines, "rounding_drift"))
    for column in ("proceeds", "cost_basis", "gain"):
        assert summed(lines, column) == summed(form, column)
        assert summed(form, column) == summed(sheet(out, "form8949-summary.csv"), column)
    assert summed(lines, "gain") == sum((statement_total(path) for path in out.glob("statements/*.csv")), ZERO)
    steps = {(row["step"], row["asset"]): Decimal(row["amount_exact"]) for row in sheet(out, "reconciliation.csv")}
    assert gain == steps["taxable gain", "all"]
    assert steps["unexplained", "all"] == 0
    assert gain == EXACT.create_decimal(
        sum(steps[step, "all"] for step in ("round trips", "inventory drift", "stablecoin legs", "fees"))
    )
    left = {lot["lot"] + lot["account"]: lot["basis"] for lot in jsonl(out, "remaining.jsonl")}
    assert left == {lot["lot"] + lot["account"]: lot["basis"] for lot in sheet(out, "lots-open.csv")}


def statement_total(path: Path) -> Decimal:
    """Return the total gain that a statement states, and check that its rows add up to it."""
    *statement, total = path.read_text("utf-8").splitlines()[1:]
    stated = Decimal(total.rsplit(",", 1)[1])

    assert total.startswith("Total,")
    assert stated == sum((Decimal(row.rsplit(",", 1)[1]) for row in statement), ZERO)
    return stated


def test_the_manifest_knows_every_file(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Give digest and size of every other file, and no time of writing."""
    out = tmp_path / "bundle"
    report(rows, out)
    files = contents(out)
    manifest = json.loads(files.pop("manifest.json"))

    assert manifest["files"].keys() == files.keys()
    for name, content in files.items():
        assert (sha256(content).hexdigest(), len(content)) == (
            manifest["files"][name]["sha256"],
            manifest["files"][name]["bytes"],
        )
    assert manifest["files"]["disposals.csv"]["rows"] == manifest["counts"]["disposals by lot"]


def test_the_same_bytes_under_any_hash_seed(tmp_path: Path) -> None:
    """Write the same bundle in two processes that hash differently, and in this one again over the earlier bundle."""
    lines, ledger = write_arb_year(tmp_path / "year.jsonl", 60, seed=5), tmp_path / "ledger.db"
    store = SqlStore.open(f"sqlite:///{ledger}", now_ns=VirtualClock().now_ns)
    import_history(lines, store)
    store.close()
    command = "import sys; from arbot.cli.main import run; sys.exit(run(sys.argv[1:]))"
    bundles = []
    for seed in ("1", "2"):
        out = tmp_path / f"bundle-{seed}"
        words = ["tax", "report", "--year", "2025", "--ledger", str(ledger), "--out", str(out), "--wash-sales"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", command, *words], env=environment, cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        bundles.append(contents(out))
    assert run(["tax", "report", *words[2:]]) == 0

    assert bundles[0] == bundles[1]
    assert bundles[1] == contents(tmp_path / "bundle-2")


KILLED = """
import os, signal, sys
from pathlib import Path
from arbot.tax.bundle.report import write_report
from tests.support.arb_year import placed_year
from tests.support.bundle_world import Told, asked

def lines():
    for number, line in enumerate(placed_year(6000, seed=4)):
        if number == 5000:
            os.kill(os.getpid(), signal.SIGKILL)
        yield line

write_report(Told(lines), asked(), Path(sys.argv[1]))
"""


def test_a_kill_in_the_middle_leaves_the_earlier_bundle(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Find the earlier bundle untouched after a kill, and nothing of the killed report after the next one."""
    out = tmp_path / "bundle"
    report(rows, out)
    before = contents(out)
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], cwd=ROOT, capture_output=True, check=False)

    assert done.returncode == -9, done.stderr
    assert before == contents(out)
    assert len(list(tmp_path.iterdir())) == 2
    report(rows, out)
    assert before == contents(out)
    assert [out] == list(tmp_path.iterdir())


def test_open_items_refuse_the_report(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """List everything open and leave nothing on disk, or the earlier bundle as it was."""
    out = tmp_path / "bundle"
    with pytest.raises(Refused) as caught:
        write_report(Told(rows, items=[ITEM, ITEM]), asked(), out)
    assert (ITEM,) == caught.value.items
    assert list(tmp_path.iterdir()) == []

    report(rows, out)
    before = contents(out)
    with pytest.raises(Refused):
        write_report(Told(rows, items=[ITEM]), asked(accept=("no_basis:elsewhere",)), out)
    assert before == contents(out)


def test_an_accepted_item_stands_in_the_bundle(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Write what was let pass into open-items.csv, the manifest and the summary."""
    out = tmp_path / "bundle"
    made = write_report(Told(rows, items=[ITEM]), asked(accept=("no_basis", "missing_price")), out)

    assert [{"code": "no_basis", "where": ITEM.where, "what": ITEM.what, "remedy": ITEM.remedy}] == sheet(
        out, "open-items.csv"
    )
    assert ITEM.what in (out / "summary.html").read_text("utf-8")
    assert made.told.warnings == ("--accept missing_price names nothing that is open",)


def test_a_sale_without_basis_is_refused_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit with the code for open items, say account, quantity and remedy, print all of it as JSON, write nothing."""
    lines = tmp_path / "lines.jsonl"
    sale = {
        "kind": "fill", "id": "kraken:T1", "ts": "2025-03-01T00:00:00Z", "venue": "kraken", "symbol": "BTC/USD",
        "base": "BTC", "quote": "USD", "side": "sell", "amount": "0.5", "price": "90000", "cost": "45000", "fee": "0",
        "fee_ccy": "USD", "order_id": "O1", "px": {"BTC": "90000"},
    }  # fmt: skip
    lines.write_text(json.dumps(sale) + "\n")
    ledger = tmp_path / "ledger.db"
    store = SqlStore.open(f"sqlite:///{ledger}", now_ns=VirtualClock().now_ns)
    import_history(lines, store)
    store.close()
    words = ["tax", "report", "--year", "2025", "--ledger", str(ledger), "--out", str(tmp_path / "bundle")]
    refused = run([*words, "--json"])
    told = capsys.readouterr()
    items = json.loads(told.out)["open_items"]

    assert refused == 7
    assert not (tmp_path / "bundle").exists()
    assert "kraken" in told.err
    assert "0.5" in told.err
    assert items
    accepted = [word for item in items for word in ("--accept", item["code"])]
    assert run([*words, *accepted]) == 0


def test_a_what_if_says_so(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Warn in summary, manifest and report when the order asked for is not in the books."""
    out = tmp_path / "bundle"
    made = report(rows, out, method="hifo")

    assert "what-if" in made.told.warnings[0]
    assert "what-if" in (out / "summary.html").read_text("utf-8")
    assert "what-if" in json.loads((out / "manifest.json").read_text("utf-8"))["warnings"][0]


def test_a_recorded_order_is_followed_from_its_time_on(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Sell by FIFO before the order and by the order after it, and show when it was recorded."""
    order = StandingOrder(method=LotMethod.HIFO, recorded_ns=1_750_000_000_000_000_000)
    out = tmp_path / "bundle"
    made = write_report(Told(rows, policy=LotPolicy(orders=(order,))), asked(), out)
    sold = [row for row in jsonl(out, "disposals.jsonl") if row["why"] != "withheld"]
    methods = {(row["method"], row["identified_at"]) for row in sold}

    assert made.told.warnings == ()
    assert {("fifo", None), ("hifo", "2025-06-15T15:06:40Z")} == methods
    assert ["hifo"] == [row["choice"] for row in sheet(out, "identification.csv")]


def test_history_beyond_the_year_is_told(tmp_path: Path) -> None:
    """Write lots at the end of history and at the end of the year apart, and say which is which."""
    out = tmp_path / "bundle"
    rows = list(arb_year(120, seed=9, start="2024-06-01", days=500))
    made = report(rows, out, year=2024)
    sold = {row["sold"][:4] for row in jsonl(out, "disposals.jsonl")}

    assert sold == {"2024"}
    assert any("goes beyond" in warning for warning in made.told.warnings)
    assert sheet(out, "lots-open.csv") != jsonl(out, "remaining.jsonl")
    assert summed_gain(out) == summed(sheet(out, "schedule-d.csv"), "gain_exact")


def test_years_add_up_to_the_whole_history(tmp_path: Path) -> None:
    """Give each disposal to one year, and close the bridge of every year."""
    rows = list(arb_year(150, seed=11, start="2024-06-01", days=600))
    total, count = ZERO, 0
    for year in (2024, 2025, 2026):
        out = tmp_path / str(year)
        report(rows, out, year=year, timezone="America/New_York")
        total, count = EXACT.add(total, summed_gain(out)), count + len(jsonl(out, "disposals.jsonl"))
    ids = {row["id"] for row in rows}
    every = [row["disposal"] for year in (2024, 2025, 2026) for row in jsonl(tmp_path / str(year), "disposals.jsonl")]

    assert count == len(every)
    assert {ident.removesuffix(":fee") for ident in every} <= ids
    assert total == sum((summed_gain(tmp_path / str(year)) for year in (2024, 2025, 2026)), ZERO)


def test_fees_and_evidence_name_every_line(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """List each fee once with its treatment, each price with its line, each transfer with its state."""
    out = tmp_path / "bundle"
    report(rows, out)
    charged = {row["id"] for row in rows if Decimal(row.get("fee", "0"))}
    spent = {row["id"] for row in rows if row["kind"] == "spend" and row["why"] == "fee"}
    fees, evidence, moves = sheet(out, "fees.csv"), sheet(out, "evidence.csv"), sheet(out, "transfers.csv")

    assert sorted(charged | spent) == sorted(row["line_id"] for row in fees)
    assert all(row["treatment"] and row["value_usd"] for row in fees)
    assert sum(len(row.get("px", {})) for row in rows) == len(evidence)
    assert [row["id"] for row in rows if row["kind"] == "transfer"] == [row["line_id"] for row in moves]
    assert {row["state"] for row in moves} <= {"arrived", "under way", "arrived after the year"}
    assert [row["id"] for row in rows if row["kind"] == "income"] == [
        row["line_id"] for row in sheet(out, "income.csv")
    ]


def test_whole_dollars_are_all_or_none(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Leave no cents on the form when dollars were asked for, and say the drift."""
    out = tmp_path / "bundle"
    report(rows, out, is_in_whole_dollars=True)

    assert not any("." in row["proceeds"] + row["cost_basis"] + row["gain"] for row in sheet(out, "form8949.csv"))
    assert not any("." in row["gain"] for row in sheet(out, "schedule-d.csv"))
    assert summed_gain(out) == summed(sheet(out, "schedule-d.csv"), "gain_exact")


@pytest.mark.parametrize("code", ["uk", "de", "ca", "au"])
def test_other_countries_have_their_own_tables(code: str, tmp_path: Path) -> None:
    """Write the country's tables beside exact disposals, lots and the page, and none of the forms of another country."""
    out = tmp_path / "bundle"
    rows = list(arb_year(60, seed=5, has_fx=True))
    accept = ("missing_rate", "no_basis", "horizon")
    try:
        made = report(rows, out, country=code, accept=accept)
    except Refused as refused:
        codes = tuple(sorted({item.code for item in refused.items}))
        made = report(rows, out, country=code, accept=codes)
    tables = [name for name in made.files if name.startswith(f"{code}-")]

    assert {"disposals.jsonl", "remaining.jsonl", "summary.html"} <= set(made.files)
    assert tables
    assert not any(name.startswith("form") for name in made.files)


def test_an_unknown_country_or_method_is_refused(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Name what is known instead."""
    with pytest.raises(UserError, match="use one of"):
        report(rows, tmp_path / "bundle", country="atlantis")
    with pytest.raises(UserError, match="is not a method of"):
        report(rows, tmp_path / "bundle", method="average")
    assert list(tmp_path.iterdir()) == []


def test_the_bridge_closes_over_the_end_of_the_pool(tmp_path: Path) -> None:
    """Count no allocated unit as having come, and leave the basis of what is in flight at year end to its owner."""

    def fill(ident: str, ts: str, venue: str, side: str, amount: str, cost: str) -> dict[str, Any]:
        price = str(Decimal(cost) / Decimal(amount))
        return {
            "kind": "fill", "id": ident, "ts": ts, "venue": venue, "symbol": "BTC/USD", "base": "BTC", "quote": "USD",
            "side": side, "amount": amount, "price": price, "cost": cost, "fee": "1", "fee_ccy": "USD", "order_id": "o",
            "px": {"BTC": price},
        }  # fmt: skip

    def allocated(ident: str, venue: str, amount: str, basis: str, acquired: str) -> dict[str, Any]:
        return {
            "kind": "opening", "id": ident, "ts": "2025-01-01T00:00:00Z", "venue": venue, "asset": "BTC",
            "amount": amount, "basis": basis, "acquired": acquired, "allocation": "specific",
        }  # fmt: skip

    rows = [
        {
            "kind": "deposit",
            "id": f"d:{venue}",
            "ts": "2024-03-01T00:00:00Z",
            "venue": venue,
            "asset": "USD",
            "amount": "70000",
        }
        for venue in ("a", "b")
    ]
    rows += [
        fill("a:1", "2024-03-01T00:00:00Z", "a", "buy", "1", "50000"),
        fill("b:1", "2024-04-01T00:00:00Z", "b", "buy", "1", "60000"),
        fill("a:2", "2024-05-01T00:00:00Z", "a", "sell", "0.5", "40000"),
        allocated("A1", "a", "0.5", "25000.5", "2024-03-01T00:00:00Z"),
        allocated("A2", "b", "1", "60001", "2024-04-01T00:00:00Z"),
        fill("b:2", "2025-02-01T00:00:00Z", "b", "sell", "0.4", "36000"),
        {
            "kind": "transfer", "id": "x:1", "ts": "2025-12-31T23:59:00Z", "ts_in": "2026-01-01T00:20:00Z", "src": "b",
            "dst": "a", "asset": "BTC", "sent": "0.3", "received": "0.2999", "fee": "0.0001", "txid": "t",
            "px": {"BTC": "90000"},
        },
        fill("a:3", "2026-02-01T00:00:00Z", "a", "sell", "0.7", "70000"),
    ]  # fmt: skip
    for year in (2024, 2025, 2026):
        out = tmp_path / str(year)
        report(rows, out, year=year, pool="until-2025")
        unexplained = [row["amount_exact"] for row in sheet(out, "reconciliation.csv") if row["step"] == "unexplained"]
        assert [Decimal(0)] == [Decimal(amount) for amount in unexplained]
    moves = sheet(tmp_path / "2025", "transfers.csv")
    held = {row["account"] for row in sheet(tmp_path / "2025", "lots-open.csv")}

    assert [("arrived after the year", "1260")] == [(row["state"], row["age_s"]) for row in moves]
    assert "in-transit" in held
