"""The history that every export format is shown with, and its way through a format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import msgspec

from arbot.domain.history import HistoryLine, Placed, parse_ts
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.table_writer import rows
from arbot.tax.formats.tables import TABLES

FOLDER = Path(__file__).resolve().parent.parent / "golden" / "tax_formats"
_DECODER = msgspec.json.Decoder(HistoryLine)


def placed(texts: Iterable[str]) -> list[Placed]:
    """Return canonical lines as the ledger hands them on; a first line of kind meta is passed over."""
    lines = [_DECODER.decode(text) for text in texts if text.strip() and '"kind": "meta"' not in text]
    return [Placed(line, parse_ts(line.ts), seq) for seq, line in enumerate(lines)]


def shown() -> list[Placed]:
    """Return the history that the expected files were made from: F1 to F13 of the fee cases and every other kind."""
    return placed((FOLDER / "history.jsonl").read_text(encoding="utf-8").splitlines())


def table_rows(name: str, lines: Iterable[Placed]) -> list[dict[str, str]]:
    """Return the rows of a format by the names of its columns."""
    columns = next(csv.reader(io.StringIO(TABLES[name].header)))
    return [dict(zip(columns, row, strict=True)) for _, row in rows(TABLES[name], lines, Losses())]
