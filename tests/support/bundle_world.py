"""A history without a store, for reports: lines in memory, orders and open items as a test wants them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbot.domain.history import Placed, parse_ts
from arbot.ledger.lots.policy import LotPolicy
from arbot.ledger.lots.words import OpenItem
from arbot.tax.bundle.asked import Asked, parse_asked
from tests.support.arb_year import placed


class Told:
    """What a report reads of a history, all of it given beforehand."""

    def __init__(
        self,
        rows: list[dict[str, Any]] | Callable[[], Iterator[Placed]],
        *,
        policy: LotPolicy | None = None,
        items: Sequence[OpenItem] = (),
        mode: str = "",
    ) -> None:
        self._rows = rows
        self._policy = policy or LotPolicy()
        self._items = tuple(items)
        self.mode = mode
        self.head_hash = "f" * 64
        self.booked_ns = parse_ts("2100-01-01T00:00:00Z")

    def lines(self) -> Iterator[Placed]:
        """Return every line."""
        return placed(self._rows) if isinstance(self._rows, list) else self._rows()

    def policy(self) -> LotPolicy:
        """Return the policy given."""
        return self._policy

    def open_items(self) -> tuple[OpenItem, ...]:
        """Return the items given."""
        return self._items


def asked(**words: Any) -> Asked:
    """Return what a report is asked for: the United States and 2025 unless told otherwise."""
    return parse_asked(**{"country": "us", "year": 2025, **words})


def sheet(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of a bundle."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def jsonl(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file of a bundle."""
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


def summed(rows: Sequence[dict[str, Any]], column: str) -> Decimal:
    """Return the exact sum of a column."""
    from arbot.domain.units import EXACT, ZERO

    total = ZERO
    for row in rows:
        total = EXACT.add(total, Decimal(row[column] or "0"))
    return total


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a bundle by its name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
