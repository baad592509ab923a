"""The change from one pool to lots per account, through the commands: Rev. Proc. 2024-28 with numbers of our own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbot.domain.events import LotsPicked
from arbot.domain.history import PickedLot, parse_ts
from tests.support.golden_commands import config_of, import_lines, journal_at, left_told, lines_of, report, rows_told

POOL: list[dict[str, Any]] = [
    {"t": "buy", "id": "A", "ts": "2022-03-01T00:00:00Z", "account": "one", "asset": "SOL", "qty": "6", "cash": "300"},
    {"t": "buy", "id": "B", "ts": "2023-05-01T00:00:00Z", "account": "two", "asset": "SOL", "qty": "10", "cash": "1500"},
    {"t": "sell", "id": "old", "ts": "2024-11-01T12:00:00Z", "account": "two", "asset": "SOL", "qty": "2", "cash": "500"},
]  # fmt: skip
"""One pool: the sale at `two` takes 2 of lot A (basis 100), which lies at `one`. Left are 4 at 50 and 10 at 150; 6 and 8 units."""


def opening(name: str, account: str, qty: str, unit_basis: str, acquired: str) -> dict[str, Any]:
    return {
        "t": "opening", "id": name, "ts": "2025-01-01T00:00:00Z", "account": account, "asset": "SOL", "qty": qty,
        "unit_basis": unit_basis, "acquired": acquired,
    }  # fmt: skip


ALLOCATED = [
    opening("one-B", "one", "6", "150", "2023-05-01T00:00:00Z"),
    opening("two-A", "two", "4", "50", "2022-03-01T00:00:00Z"),
    opening("two-B", "two", "4", "150", "2023-05-01T00:00:00Z"),
]
SALE = {"t": "sell", "id": "s", "ts": "2025-06-01T12:00:00Z", "account": "two", "asset": "SOL", "qty": "3", "cash": "600"}  # fmt: skip
CASH = {"kind": "deposit", "ts": "2022-01-01T00:00:00Z", "asset": "USD", "amount": "1000000"}


def with_cash(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [CASH | {"id": f"cash-{name}", "venue": name} for name in ("one", "two")] + rows


def until_2025(kind: str) -> list[dict[str, Any]]:
    return with_cash([*lines_of(POOL), *lines_of(ALLOCATED, kind), *lines_of([SALE])])


def test_the_pool_ends_with_2024(tmp_path: Path) -> None:
    """`--pool until-2025` sells out of one pool in 2024, and per account out of the allocated lots in 2025."""
    ledger = import_lines(tmp_path, until_2025("specific"))
    assert report(ledger, tmp_path / "24", "--year", "2024", "--pool", "until-2025") == 0
    assert report(ledger, tmp_path / "25", "--year", "2025", "--pool", "until-2025") == 0

    sold = {"qty": Decimal(2), "proceeds": Decimal(500), "basis": Decimal(100), "gain": Decimal(400)}
    assert {("old", "A", "L", False): sold} == rows_told(tmp_path / "24")
    sold = {"qty": Decimal(3), "proceeds": Decimal(600), "basis": Decimal(150), "gain": Decimal(450)}
    assert {("s", "two-A", "L", False): sold} == rows_told(tmp_path / "25")
    assert {
        ("one", "SOL", "one-B"): {"qty": Decimal(6), "basis": Decimal(900)},
        ("two", "SOL", "two-A"): {"qty": Decimal(1), "basis": Decimal(50)},
        ("two", "SOL", "two-B"): {"qty": Decimal(4), "basis": Decimal(600)},
    } == left_told(tmp_path / "25")


def test_an_allocation_that_differs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An allocation that is not what the pool held keeps the report from being written, and says by how much."""
    rows = with_cash([*lines_of(POOL), *lines_of(ALLOCATED[:2], "global"), *lines_of([SALE])])
    ledger = import_lines(tmp_path, rows)

    assert report(ledger, tmp_path / "25", "--year", "2025", "--pool", "until-2025") != 0
    told = capsys.readouterr().err
    assert "it held 14 with basis 1700, allocated are 10 with basis 1100" in told
    assert "allocation_missing" in told


def picked(tmp_path: Path, kind: str, completed: str) -> tuple[str, Path]:
    """Report a sale whose units were named in time, under an allocation; return the lot that went, and the bundle."""
    ledger = import_lines(tmp_path, with_cash([*lines_of(ALLOCATED, kind), *lines_of([SALE])]))
    pick = LotsPicked(disposal="s", lots=(PickedLot("two-B", Decimal(3)),))
    journal_at(ledger, [(parse_ts("2025-06-01T11:00:00Z"), pick)])
    case = {"accounts": {"two": "self"}, "allocation": {"completed_at": completed}}
    out = tmp_path / "out"
    assert report(ledger, out, "--year", "2025", "--config", str(config_of(case, tmp_path))) == 0
    ((_, lot, _, _),) = rows_told(out)
    return lot, out


@pytest.mark.parametrize(
    ("kind", "completed", "lot"),
    [
        ("specific", "", "two-B"),
        ("global", "", "two-A"),  # carried out when it was imported, which is now
        ("global", "2025-06-01T12:00:00.000001Z", "two-A"),
        ("global", "2025-06-01T12:00:00Z", "two-B"),
        ("global", "2025-06-01T05:00:00-07:00", "two-B"),
    ],
)
def test_a_pick_waits_for_a_global_allocation(tmp_path: Path, kind: str, completed: str, lot: str) -> None:
    """Named units count once a global allocation stands in the books: told by [tax], else when its lines were imported."""
    assert lot == picked(tmp_path, kind, completed)[0]


def test_a_void_pick_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says that the pick is void, and since when the allocation stands."""
    picked(tmp_path, "global", "2025-08-01T00:00:00Z")

    assert "carried out only at 2025-08-01T00:00:00Z: fifo chose the units [pick_void]" in capsys.readouterr().err
