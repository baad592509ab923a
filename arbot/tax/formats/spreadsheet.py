"""Writes an OpenDocument spreadsheet: sheets of text and numbers, streamed, with no style and no clock.

Rules of this file:
- A cell is text, a Decimal, or None for empty. A number keeps its digits in the file; what a program reads of them is its
  own affair.
- Same sheets, same bytes: the entries of the archive carry the first date that it can hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from arbot.tax.formats.notation import number

Cell = str | Decimal | None

_MIME: Final = "application/vnd.oasis.opendocument.spreadsheet"
_OASIS: Final = "urn:oasis:names:tc:opendocument:xmlns"
_MANIFEST: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<manifest:manifest xmlns:manifest="{_OASIS}:manifest:1.0" manifest:version="1.2">'
    f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{_MIME}"/>'
    '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
    "</manifest:manifest>\n"
)
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<office:document-content xmlns:office="{_OASIS}:office:1.0" xmlns:table="{_OASIS}:table:1.0" '
    f'xmlns:text="{_OASIS}:text:1.0" office:version="1.2"><office:body><office:spreadsheet>\n'
)
_TAIL: Final = "</office:spreadsheet></office:body></office:document-content>\n"
_EMPTY: Final = "<table:table-cell/>"
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")  # what XML cannot hold


def write_spreadsheet(file: IO[bytes], sheets: Iterable[tuple[str, Iterable[Sequence[Cell]]]], width: int) -> int:
    """Write sheets by name, each row padded to `width` cells, and return how many rows there are."""
    count = 0
    with ZipFile(file, "w") as archive:
        archive.writestr(_entry("mimetype", ZIP_STORED), _MIME)
        archive.writestr(_entry("META-INF/manifest.xml", ZIP_DEFLATED), _MANIFEST)
        with archive.open(_entry("content.xml", ZIP_DEFLATED), "w", force_zip64=True) as content:
            content.write(_HEAD.encode())
            for name, rows in sheets:
                content.write(f'<table:table table:name="{_text(name)}">\n'.encode())
                content.write(f'<table:table-column table:number-columns-repeated="{width}"/>\n'.encode())
                for row in rows:
                    count += 1
                    cells = "".join(map(_cell, row)) + _EMPTY * (width - len(row))
                    content.write(f"<table:table-row>{cells}</table:table-row>\n".encode())
                content.write(b"</table:table>\n")
            content.write(_TAIL.encode())
    return count


def _cell(cell: Cell) -> str:
    if cell is None:
        return _EMPTY
    if isinstance(cell, Decimal):
        return f'<table:table-cell office:value-type="float" office:value="{number(cell)}"/>'
    return f'<table:table-cell office:value-type="string"><text:p>{_text(cell)}</text:p></table:table-cell>'


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("?", text))


def _entry(name: str, compression: int) -> ZipInfo:
    entry = ZipInfo(name)
    entry.compress_type = compression
    return entry
