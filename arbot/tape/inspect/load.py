"""From folders on disk to what is inspected: days joined to series, bars, reports of imports, and what is damaged.

Damage does not stop an inspection, it is one of its findings: what cannot be read is left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from arbot.domain.errors import Mistake, UserError
from arbot.market.stream import Rows
from arbot.tape import catalogue
from arbot.tape.catalogue import Part, lasting, open_tapes
from arbot.tape.importing.contract import Finding, ImportReport, Severity
from arbot.tape.inspect.bars import BarSeries
from arbot.tape.inspect.report import Dataset
from arbot.tape.reader import Repairs, read_bars, read_parts
from arbot.tape.schema import Content

_REPORTS = msgspec.json.Decoder(ImportReport)


class Loaded(NamedTuple):
    """What stands in some folders."""

    datasets: tuple[Dataset, ...]
    imports: tuple[ImportReport, ...]
    repairs: Repairs
    damaged: dict[Path, str]

    def damage(self) -> tuple[Finding, ...]:
        """Return what could not be read, complete once everything was."""
        whole = [_damage(str(path), what, 0) for path, what in self.damaged.items()]
        parts = [_damage(*_split(place), 0) for place in self.repairs.places]
        return (*whole, *parts)


def load(paths: Sequence[Path]) -> Loaded:
    """Return the datasets of folders or files, not yet read. Raises: UserError for paths without a tape."""
    damaged: dict[Path, str] = {}
    found = open_tapes(paths, damaged)
    if not found and not damaged:
        raise UserError(*(Mistake(str(path), "has no tape in it", "name the folder given to --out") for path in paths))
    repairs = Repairs()
    groups: dict[bytes, list[catalogue.Dataset]] = {}
    for one in found:
        groups.setdefault(msgspec.json.encode(lasting(one.meta)), []).append(one)
    datasets = tuple(_dataset(sorted(days, key=lambda one: one.first_ts_ns), repairs) for days in groups.values())
    return Loaded(datasets, tuple(_imports(paths)), repairs, damaged)


def _dataset(days: Sequence[catalogue.Dataset], repairs: Repairs) -> Dataset:
    parts = tuple(part for day in days for part in day.parts)
    meta = days[-1].meta
    if meta.content is Content.BARS:
        return Dataset(meta, bars=_bars(parts, repairs), rows=sum(day.rows for day in days))
    return Dataset(meta, parts=_rows(parts, repairs), rows=sum(day.rows for day in days))


def _rows(parts: tuple[Part, ...], repairs: Repairs) -> Iterator[Rows]:
    for rows, _ in read_parts(parts, repairs=repairs):
        yield rows


def _bars(parts: Sequence[Part], repairs: Repairs) -> BarSeries:
    """Return the bars of all parts in order of time; of two bars with one start the later part's counts."""
    every = [read_bars(part, repairs) for part in parts]
    columns = [np.concatenate(column) for column in zip(*every, strict=True)]
    starts, last = np.unique(columns[0][::-1], return_index=True)
    keep = len(columns[0]) - 1 - last
    return BarSeries(parts[-1].meta, starts, *(column[keep] for column in columns[1:]))


def _imports(paths: Iterable[Path]) -> Iterator[ImportReport]:
    for path in paths:
        for report in sorted((path / "imports").glob("*.json")):
            try:
                yield _REPORTS.decode(report.read_bytes())
            except (msgspec.DecodeError, OSError) as error:
                raise UserError(Mistake(str(report), f"is no report of an import: {error}", "delete it")) from error


def _split(place: str) -> tuple[str, str]:
    """Return the file of a place, and what is said of it."""
    file, suffix, told = place.partition(catalogue.SUFFIX)
    return file + suffix, told.lstrip(": ")


def _damage(file: str, detail: str, count: int) -> Finding:
    return Finding(
        code="damaged",
        severity=Severity.ERROR,
        series="",
        detail=detail,
        file=file,
        count=count,
        remedy="import or record it again, or leave out what is damaged with --repair",
    )
