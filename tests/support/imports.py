"""Importing small files in tests, into memory instead of Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from arbot.tape.importing.contract import ImportReport, Options
from arbot.tape.importing.formats import FORMATS
from arbot.tape.importing.run import import_files
from arbot.tape.schema import TapeMeta


class Kept:
    """A sink that keeps what it is given, and checks what every sink may rely on."""

    def __init__(self, meta: TapeMeta) -> None:
        self.meta = meta
        self.columns: list[tuple[Any, ...]] = []
        self.is_closed = False

    def append(self, *columns: Any) -> None:
        """Keep columns, whose time must not fall."""
        assert len({len(column) for column in columns}) == 1
        before = self.columns[-1][0][-1] if self.columns else 0
        assert columns[0][0] >= before
        assert (np.diff(columns[0]) >= 0).all()
        self.columns.append(columns)

    def close(self) -> None:
        """Note that nothing follows."""
        self.is_closed = True

    @property
    def rows(self) -> list[tuple[int, ...]]:
        """All rows, as plain numbers."""
        return [tuple(int(value) for value in row) for columns in self.columns for row in zip(*columns, strict=True)]

    def messages(self) -> list[tuple[str, int, list[tuple[int, int, int]]]]:
        """All messages as (kind, recv_ts_ns, [(side, price, qty)])."""
        found: list[Any] = []
        is_new = True
        for recv, _venue, _seq, kind, is_last, side, price, qty in self.rows:
            if is_new:
                found.append(({1: "snapshot", 2: "delta", 3: "trade", 4: "clear", 5: "alive"}[kind], recv, []))
            found[-1][2].append((side, price, qty))
            is_new = bool(is_last)
        return found


class Imported(NamedTuple):
    """What came of an import."""

    report: ImportReport
    sinks: dict[str, Kept]  # by "BTC/USD@kraken"

    @property
    def only(self) -> Kept:
        """The one series."""
        (sink,) = self.sinks.values()
        return sink

    def codes(self) -> list[str]:
        """Codes of the findings but for the tick, which always stands there."""
        return [finding.code for finding in self.report.findings if finding.code != "tick"]

    def finding(self, code: str) -> Any:
        """Return the one finding with a code."""
        (found,) = [finding for finding in self.report.findings if finding.code == code]
        return found


def imported(name: str, paths: list[Path], out: Path, **options: Any) -> Imported:
    """Import files by the name of their format and return the report and the rows."""
    sinks: dict[str, Kept] = {}

    def open_sink(_root: Path, meta: TapeMeta) -> Kept:
        return sinks.setdefault(str(meta.instrument.id), Kept(meta))

    report = import_files(FORMATS[name], paths, out, Options(**options), open_sink=open_sink)
    assert all(sink.is_closed for sink in sinks.values())
    return Imported(report, sinks)


def text_file(folder: Path, name: str, *lines: str) -> Path:
    """Write lines, each with its end, and return the file."""
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
