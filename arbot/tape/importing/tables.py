"""Read a CSV in pieces of bounded size as columns of text, and check that what should be a number is one.

Rules: every row has as many fields as the header; another count is refused with its row. One exception: a last line
cut short in the middle (a recorder that was killed) is dropped and told as `truncated`. Row 1 is the first data row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import Numbers, Severity, Source
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.text import lines_of, refused

PIECE_ROWS = 20_000
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
NO_NUMBER = frozenset({"nan", "null", "none", "inf", "-inf", "+inf", "infinity", "na", "n/a"})
"""Words that stand where a poll failed: the row is dropped and counted, not refused."""


class Piece(NamedTuple):
    """Some rows of a table: `columns` by name, object arrays of str; `first_row` is the number of the first."""

    first_row: int
    columns: dict[str, NDArray[np.object_]]
    step: int = 1  # -1 = turned round

    def __len__(self) -> int:  # of the rows, not of the tuple
        return len(next(iter(self.columns.values()), ()))

    def rows(self) -> NDArray[np.int64]:
        """Return the number of each row in the file."""
        return self.first_row + self.step * np.arange(len(self), dtype=np.int64)


def header_of(source: Source, *, skip: int = 0) -> list[str]:
    """Return the fields of the first line after `skip` lines. Raises: Refused for an empty file."""
    with lines_of(source) as lines:
        fields = next(csv.reader(islice(lines, skip, None)), None)
    if not fields:
        raise refused(source, "the file is empty", "give a file with rows")
    return fields


def pieces_of(
    source: Source,
    tally: Tally,
    names: Sequence[str],
    wanted: Sequence[str],
    *,
    skip: int = 1,
    piece_rows: int = PIECE_ROWS,
) -> Iterator[Piece]:
    """Yield the wanted columns of a CSV whose fields are `names`, after `skip` lines (the header's); counts rows_read.

    Raises: Refused.
    """
    places = [names.index(name) for name in wanted]
    row = 0
    with lines_of(source) as lines:
        reader = csv.reader(_whole(lines, skip), strict=True)
        while True:
            rows = _take(source, reader, piece_rows, row)
            if not rows:
                return
            _drop_cut_line(source, tally, rows, len(names), row)
            _check_widths(source, rows, len(names), row)
            source.rows_read += len(rows)
            if rows:
                yield Piece(row + 1, {name: _column(rows, place) for name, place in zip(wanted, places, strict=True)})
            row += len(rows)


def _whole(lines: IO[str], skip: int) -> Iterator[str]:
    """Yield the lines after `skip`, marking one that has no end of line."""
    for line in islice(lines, skip, None):
        yield line if line.endswith(("\n", "\r")) else f"{line}{NO_END}"


NO_END = "\x00"  # stands at the end of a last line that was not finished


def _take(source: Source, reader: Iterator[list[str]], count: int, row: int) -> list[list[str]]:
    try:
        return [fields for fields in islice(reader, count) if fields]
    except csv.Error as error:
        raise refused(source, f"not a CSV line ({error})", "mend or remove the line", row + 1) from error


def _drop_cut_line(source: Source, tally: Tally, rows: list[list[str]], width: int, row: int) -> None:
    """Take the mark off the last line, and the line too when it is cut short."""
    if not rows or not rows[-1][-1].endswith(NO_END):
        return
    rows[-1][-1] = rows[-1][-1].removesuffix(NO_END)
    if len(rows[-1]) >= width:
        return  # a last line without an end of line is common and whole
    rows.pop()
    source.rows_read += 1
    source.drop("cut_last_line")
    detail = f"the last line (row {row + len(rows) + 1}) is cut short: the file ends early"
    tally.note("truncated", Severity.WARN, None, detail, remedy="use the overlap of the recordings only")


def _check_widths(source: Source, rows: list[list[str]], width: int, row: int) -> None:
    if {width}.issuperset(map(len, rows)):
        return
    at, fields = next((at, fields) for at, fields in enumerate(rows) if len(fields) != width)
    raise refused(
        source,
        f"{len(fields)} fields where the header has {width}",
        "mend or remove the row; a file written by two programs must be split",
        row + at + 1,
    )


def _column(rows: list[list[str]], place: int) -> NDArray[np.object_]:
    column = np.empty(len(rows), object)
    column[:] = [fields[place] for fields in rows]
    return column


def checked(source: Source, column: Numbers, rows: NDArray[np.int64], name: str) -> NDArray[np.float64]:
    """Return numbers for checks only: NaN where the field is empty or says that there is none.

    Never used as a price or a quantity: those stay text. `rows` are the numbers of the rows, for the message.
    Raises: Refused, with the row, for anything else than a number.
    """
    if column.dtype != object:
        return column.astype(np.float64)
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        pass  # empty fields, words or rubbish: looked at one by one below
    numbers = np.full(len(column), np.nan)
    for at, text in enumerate(column):
        if NUMBER.fullmatch(text):
            numbers[at] = np.float64(text)
        elif text and text.strip().lower() not in NO_NUMBER:
            raise refused(source, f"{name} is {text!r}, not a number", "mend or remove the row", int(rows[at]))
    return numbers


def mapped(source: Source, ours: Mapping[str, Sequence[str]], fields: Sequence[str], apart: str = "") -> dict[str, str]:
    """Return our column -> the file's: what --column says, else the first of our known names that the file has.

    `apart` is a name that --column may give for another purpose. Raises: Refused for a mapping of a column we do not know, or to one that the file does not have.
    """
    said = {name: theirs for name, theirs in source.options.columns.items() if name != apart}
    for name, theirs in said.items():
        if name not in ours:
            raise refused(source, f"--column {name}={theirs}: unknown", f"known are {', '.join(ours)}")
        if theirs not in fields:
            raise refused(source, f"--column {name}={theirs}: no such column", f"the file has {', '.join(fields)}")
    known = {name: next((known for known in names if known in fields), "") for name, names in ours.items()}
    return {name: said.get(name, found) for name, found in known.items() if said.get(name, found)}


def required(source: Source, found: Mapping[str, str], names: Sequence[str], fields: Sequence[str]) -> None:
    """Refuse a file that lacks a column."""
    missing = [name for name in names if name not in found]
    if missing:
        raise refused(
            source,
            f"no column for {', '.join(missing)} (the file has {', '.join(fields[:12])})",
            f"name it with --column {missing[0]}=NAME, or choose another --format",
        )
