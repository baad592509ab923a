"""The golden histories through `arbot tax report`: imported into a ledger file, reported, and read back out of the bundle."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.cli.main import run
from arbot.journal.store import SqlStore
from arbot.runtime.clock import VirtualClock
from arbot.tax.importing import import_history
from tests.support.bundle_world import jsonl, sheet, summed
from tests.support.tax_golden import golden_cases, golden_file

TOLERANCE = Decimal("0.000001")
YEARS = (2024, 2025, 2026)


def ledger_of(name: str, folder: Path) -> Path:
    """Return a ledger file that holds a golden history."""
    path = folder / "ledger.db"
    store = SqlStore.open(f"sqlite:///{path}", now_ns=VirtualClock().now_ns)
    import_history(golden_file(name), store)
    store.close()
    return path


def near(expected: str, actual: Decimal) -> bool:
    """Return whether two amounts agree as the golden files ask for."""
    return abs(Decimal(expected) - actual) <= TOLERANCE


@pytest.mark.parametrize("case", golden_cases("file", jurisdiction="US"))
def test_golden_histories_through_the_command(case: dict, tmp_path: Path) -> None:
    """Give the expected totals and lots left for every pool and method, out of the files a person gets."""
    ledger = ledger_of(case["file"], tmp_path)
    for number, expected in enumerate(case["expected"]["lots"]):
        totals: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        out = tmp_path / f"bundle-{number}"
        years = sorted({int(key.split("/")[0]) for key in expected["totals"]} | {2025})
        for year in years:
            words = ["--year", str(year), "--method", expected["method"], "--pool", expected["pool"]]
            assert run(["tax", "report", "--ledger", str(ledger), "--out", str(out), *words]) == 0
            for row in jsonl(out, "disposals.jsonl"):
                if row["why"] != "withheld":
                    for name in ("proceeds", "basis", "gain"):
                        totals[f"{year}/{row['asset']}/{row['term']}"][name] += Decimal(row[name])
        left: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for row in jsonl(out, "remaining.jsonl"):
            for name in ("qty", "basis"):
                left[f"{row['asset']}@{row['account']}"][name] += Decimal(row[name])

        assert expected["totals"].keys() == totals.keys()
        assert expected["remaining"].keys() == left.keys()
        for key, amounts in expected["totals"].items():
            assert all(near(amount, totals[key][name]) for name, amount in amounts.items()), key
        for key, amounts in expected["remaining"].items():
            assert all(near(amount, left[key][name]) for name, amount in amounts.items()), key
        unexplained = [row for row in sheet(out, "reconciliation.csv") if row["step"] == "unexplained"]
        assert summed(unexplained, "amount_exact") == 0
