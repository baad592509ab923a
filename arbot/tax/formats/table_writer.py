"""Writes a table of entries to a file, or to a file for each account where the format has no column for it.

Rules of this file:
- A file is there whole or not at all: it is written beside its place and renamed. UTF-8, LF, quoting by RFC 4180.
- The year is that of UTC: of the entry's own time, of an opening lot that of its line.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import msgspec

from arbot.domain.history import OpeningLine, Placed
from arbot.tax.formats.entries import Entry, entries
from arbot.tax.formats.losses import Losses
from arbot.tax.formats.words import Row, TableFormat


class Written(msgspec.Struct, frozen=True):
    """A file that was made, and how many rows (or pieces) it has below its header."""

    path: Path
    rows: int


@contextmanager
def put_in_place(path: Path) -> Iterator[TextIO]:
    """Give a text file to write to; it takes its place when the block ends well, and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.unfinished")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            yield file
        draft.replace(path)
    except BaseException:  # whoever called hears of it: it is raised again
        draft.unlink(missing_ok=True)
        raise


def write_table(
    table: TableFormat, lines: Iterable[Placed], out: Path, losses: Losses, *, year: int | None = None
) -> list[Written]:
    """Write a table to `out`, a file; to a file per account when `out` is a folder and the format has no such column."""
    is_folder = is_a_folder(out)
    is_split = is_folder and not table.has_account
    whole = out / f"{table.name}.csv" if is_folder else out
    counts: dict[Path, int] = {}
    writers: dict[str, tuple[Path, Callable[[Row], Any]]] = {}
    accounts: dict[str, None] = {}
    with ExitStack() as stack:

        def begin(path: Path) -> tuple[Path, Callable[[Row], Any]]:
            file = stack.enter_context(put_in_place(path))
            file.write(f"{table.header}\n")
            counts[path] = 0
            if table.is_quoted:
                return path, csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow
            return path, csv.writer(file, lineterminator="\n").writerow

        if not is_split:
            writers[""] = begin(whole)
        for entry, row in rows(table, lines, losses, year):
            key = entry.account if is_split else ""
            if key not in writers:
                writers[key] = begin(out / f"{table.name}-{key}.csv")
            accounts[entry.account] = None
            path, write = writers[key]
            write(row)
            counts[path] += 1
    if not (table.has_account or is_split) and len(accounts) > 1:
        losses.note("accounts_mixed", ", ".join(sorted(accounts)))
    return [Written(path, count) for path, count in sorted(counts.items())]


def rows(
    table: TableFormat, lines: Iterable[Placed], losses: Losses, year: int | None = None
) -> Iterator[tuple[Entry, Row]]:
    """Yield every entry that has a row in the format, with it."""
    wanted = "" if year is None else f"{year:04d}"
    make = table.row
    for placed in lines:
        line = placed.line
        for entry in entries(line, losses):
            if wanted and (line.ts if isinstance(line, OpeningLine) else entry.ts)[:4] != wanted:
                losses.note("other_year", entry.id)
                continue
            if not entry.value and table.has_value:
                losses.note("no_value", entry.id)
            row = make(entry, losses)
            if row is not None:
                yield entry, row


def write_text(pieces: Iterable[str], path: Path) -> Written:
    """Write a text made of pieces. Counts the pieces."""
    count = 0
    with put_in_place(path) as file:
        for piece in pieces:
            file.write(piece)
            count += 1
    return Written(path, count)


def is_a_folder(out: Path) -> bool:
    """Return whether `--out` means a folder: one that exists, or a name without a suffix."""
    return out.is_dir() or (not out.exists() and not out.suffix)
