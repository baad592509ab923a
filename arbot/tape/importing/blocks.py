"""Read big files in blocks of whole lines, packed or not: CSV as columns of text of pyarrow, logs as lists of lines.

Rules: what the file is, its first bytes say (gzip, zip with one member, zstd, plain). No more than a few blocks are in
memory. Row 1 is the first data row. A row with another number of fields than the header is refused with its number; only
a last line that was cut short is dropped and told (`truncated`). A last line without an end of line counts as whole.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any, NamedTuple

import pyarrow as pa
from pyarrow import csv

from arbot.tape.importing.contract import Finding, Severity, Source
from arbot.tape.importing.text import GZIP, PICKLE, ZIP, refused

BLOCK_BYTES = 1 << 22
_ZSTD = b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile)


class Block(NamedTuple):
    """Whole lines of a file. `first_line` is the number of the first (1 = the first of the file)."""

    data: bytes
    first_line: int
    is_unended: bool  # the last line has no end of line; only in the last block


class Table(NamedTuple):
    """Rows of a CSV: columns of text, and the number of the first row."""

    columns: pa.Table
    first_row: int


def blocks_of(source: Source, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield a file in blocks of whole lines, about `size` bytes each. Raises: Refused for what cannot be unpacked."""
    first_line = 1
    rest = b""
    try:
        with ExitStack() as closing:
            raw = closing.enter_context(source.path.open("rb"))
            data = _unpacked(source, raw, closing)
            while piece := data.read(size):
                source.progress(raw.tell())
                end = piece.rfind(b"\n") + 1
                if not end:
                    rest += piece
                    continue
                whole, rest = rest + piece[:end], piece[end:]
                yield Block(whole.removeprefix(_BOM) if first_line == 1 else whole, first_line, is_unended=False)
                first_line += whole.count(b"\n")
    except (*_DAMAGE, OSError) as error:
        raise refused(
            source,
            f"cannot be read beyond line {first_line}: the file is damaged or ends too early ({error})",
            "fetch or copy the file again; an interrupted download is the usual reason",
            first_line,
        ) from error
    if rest:
        yield Block(rest.removeprefix(_BOM) if first_line == 1 else rest, first_line, is_unended=True)


def _unpacked(source: Source, raw: IO[bytes], closing: ExitStack) -> Any:
    start = raw.read(4)
    raw.seek(0)
    if start.startswith(PICKLE):
        raise refused(
            source, "this is a Python pickle, which can run any program hidden in it", "convert it to CSV or JSON"
        )
    if start.startswith(GZIP):
        return closing.enter_context(gzip.GzipFile(fileobj=raw))
    if start.startswith(_ZSTD):
        return closing.enter_context(pa.CompressedInputStream(raw, "zstd"))
    if not start.startswith(ZIP):
        return raw
    packed = closing.enter_context(zipfile.ZipFile(raw))
    members = [member for member in packed.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise refused(source, f"the zip holds {len(members)} files, not one", "unpack it and import the files")
    return closing.enter_context(packed.open(members[0]))


def first_line(source: Source) -> str:
    """Return the first line of a file, without its end. Raises: Refused for an empty file."""
    block = next(blocks_of(source, 1 << 16), None)
    if block is None:
        raise refused(source, "the file is empty", "leave it out, or fetch it again")
    return block.data.split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", "replace")


def tables_of(source: Source, names: Sequence[str], *, has_header: bool) -> Iterator[Table]:
    """Yield the rows of a CSV with the fields `names`, all as text; counts rows_read. Raises: Refused."""
    skip = 1 if has_header else 0
    for block in blocks_of(source):
        data = block.data
        if block.is_unended:
            data = _without_cut_line(source, data, len(names), block.first_line - skip)
        if skip and block.first_line == 1:
            data = data.partition(b"\n")[2]
        first_row = max(block.first_line - skip, 1)
        if data.strip():
            columns = _parsed(source, data, names, first_row)
            source.rows_read += len(columns)
            yield Table(columns, first_row)


def _without_cut_line(source: Source, data: bytes, width: int, row: int) -> bytes:
    """Return the data without a last line that has too few fields, which is told."""
    start = data.rfind(b"\n") + 1
    if not data[start:].strip() or data[start:].count(b",") >= width - 1:
        return data
    source.rows_read += 1
    source.drop("cut_last_line")
    source.find(cut_finding(source, row + data.count(b"\n")))
    return data[:start]


def cut_finding(source: Source, row: int) -> Finding:
    """Return what is said about a last line that was cut short."""
    return Finding(
        code="truncated",
        severity=Severity.WARN,
        series="",
        detail=f"the last line (row {row}) is cut short: the file ends early",
        file=str(source.path),
        count=1,
        remedy="fetch the file again, or use only the time that all recordings cover",
    )


def _parsed(source: Source, data: bytes, names: Sequence[str], first_row: int) -> pa.Table:
    read = csv.ReadOptions(column_names=list(names), block_size=len(data) + 1, use_threads=False)
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    bad: list[csv.InvalidRow] = []

    def refuse(row: csv.InvalidRow) -> str:
        bad.append(row)
        return "error"

    parse = csv.ParseOptions(ignore_empty_lines=True, invalid_row_handler=refuse)
    try:
        return csv.read_csv(pa.BufferReader(data), read, parse, convert).combine_chunks()
    except pa.ArrowInvalid as error:
        if bad:
            row = first_row + (bad[0].number or 1) - 1
            what = f"{bad[0].actual_columns} fields where there should be {bad[0].expected_columns}"
            raise refused(source, what, "mend or remove the row", row) from error
        raise refused(source, f"not CSV ({error})", "mend or remove the row", first_row) from error
