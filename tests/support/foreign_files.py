"""Small synthetic files of foreign formats, and what a reader makes of one."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from arbot.tape.importing.contract import BarBatch, Batch, BookBatch, Finding, Format, Options, Source

REAL = Path(os.environ.get("ARBOT_DATA") or Path(__file__).parents[3] / "shared" / "data")


class Reading(NamedTuple):
    """What a reader handed over, and what it counted and found."""

    batches: list[Batch]
    source: Source

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of books and prints: recv, venue, kind, is_last, side, price, qty."""
        return [
            (*(int(column[at]) for column in whole), str(batch.price[at]), str(batch.qty[at]))
            for batch in self.batches
            if isinstance(batch, BookBatch)
            for whole in [(batch.recv_ts_ns, batch.venue_ts_ns, batch.kind, batch.is_last, batch.side)]
            for at in range(len(batch.price))
        ]

    def bars(self) -> list[tuple[Any, ...]]:
        """Return the bars: start, open, high, low, close, volume."""
        return [
            (int(start), *(str(value) for value in values))
            for batch in self.batches
            if isinstance(batch, BarBatch)
            for start, *values in zip(
                batch.start_ts_ns, batch.open, batch.high, batch.low, batch.close, batch.volume, strict=True
            )
        ]

    def codes(self) -> dict[str, str]:
        """Return code -> severity of the findings."""
        return {finding.code: str(finding.severity) for finding in self.source.findings}

    def finding(self, code: str) -> Finding:
        """Return the first finding of a code."""
        return next(finding for finding in self.source.findings if finding.code == code)

    def kept(self) -> dict[tuple[str, str], int]:
        """Return (series, content) -> how many rows of the file were handed over."""
        kept: dict[tuple[str, str], int] = {}
        for batch in self.batches:
            name = f"{batch.series.symbol}@{batch.series.venue}"
            if isinstance(batch, BarBatch):
                key, rows = (name, f"bars of {batch.bar_ns // 10**9} s"), len(batch.open)
            else:
                key, rows = (name, str(batch.content)), int(batch.is_last.sum())
            kept[key] = kept.get(key, 0) + rows
        return kept


def read(
    formats: Iterable[Format], name: str, path: Path, shared: dict[str, Any] | None = None, **said: Any
) -> Reading:
    """Read a file with one format of a table; `said` is what the command line would say."""
    wanted = next(known for known in formats if known.name == name)
    source = Source(path, Options(**said), lambda _: None, shared)
    return Reading(list(wanted.read(source)), source)


def write(path: Path, *lines: str) -> Path:
    """Write lines, packed when the name ends in .gz or .zip (the member is named like the zip)."""
    text = "".join(f"{line}\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(f"{path.stem}.csv", text)
    else:
        path.write_text(text)
    return path


def real(part: str) -> Path:
    """Return a file of the recorded data, or skip the test when there is none here."""
    path = REAL / part
    if not path.exists():
        pytest.skip(f"no recorded data: set ARBOT_DATA to a folder with {part}")
    return path
