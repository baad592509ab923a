"""Open a file of text for reading line by line, packed or not, and refuse a damaged one with the row it broke at.

Rules: what the file is, its first bytes say (gzip, zip, plain), never its suffix. UTF-8, with or without a byte order
mark. A zip holds exactly one member. Nothing is unpacked to disk, and only a buffer of it is ever in memory.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, cast

from arbot.domain.errors import Mistake
from arbot.tape.importing.contract import Refused, Source

GZIP = b"\x1f\x8b"
ZIP = b"PK"
PICKLE = b"\x80"  # protocol 2 and later


def refused(source: Source, what: str, remedy: str, row: int = 0) -> Refused:
    """Return the error that names the file, the row when there is one (1 = the first data row), and the way out."""
    where = f"{source.path}, row {row}" if row else str(source.path)
    return Refused(Mistake(where, what, remedy))


@contextmanager
def lines_of(source: Source) -> Iterator[IO[str]]:
    """Open a file as text. Raises: Refused when it is damaged, also while it is being read inside the `with`."""
    try:
        with ExitStack() as closing:
            yield _open(source, closing)
    except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile) as error:
        raise refused(
            source,
            f"the packed file is damaged or ends too early ({error})",
            "fetch or copy the file again; an interrupted download is the usual reason",
            source.rows_read + 1,
        ) from error
    except UnicodeDecodeError as error:
        raise refused(
            source, f"not UTF-8 text ({error.reason})", "convert the file to UTF-8", source.rows_read + 1
        ) from error
    except OSError as error:
        raise refused(source, f"cannot be read ({error.strerror or error})", "check the path and its rights") from error


def _open(source: Source, closing: ExitStack) -> IO[str]:
    raw = closing.enter_context(source.path.open("rb"))
    start = raw.peek(4)
    if start.startswith(PICKLE):
        raise refused(
            source,
            "this is a Python pickle, and reading a pickle can run any program hidden in it",
            "convert it where you trust it: json.dumps each record into one line of a .jsonl file",
        )
    data: IO[bytes] = raw
    if start.startswith(GZIP):
        data = cast("IO[bytes]", closing.enter_context(gzip.GzipFile(fileobj=raw)))
    elif start.startswith(ZIP):
        packed = closing.enter_context(zipfile.ZipFile(raw))
        members = [member for member in packed.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise refused(source, f"the zip holds {len(members)} files, not one", "unpack it and import the files")
        data = closing.enter_context(packed.open(members[0]))
    return io.TextIOWrapper(cast("IO[bytes]", _Counted(data, raw, source)), encoding="utf-8-sig", newline="")


def member_name(source: Source) -> str:
    """Return the name of the one file in a zip, or the file's own name. Raises: Refused for a damaged zip."""
    try:
        with source.path.open("rb") as raw:
            if not raw.peek(2).startswith(ZIP):
                return source.path.name
            with zipfile.ZipFile(raw) as packed:
                return next((member.filename for member in packed.infolist() if not member.is_dir()), "")
    except zipfile.BadZipFile as error:
        raise refused(source, f"not a whole zip ({error})", "fetch or copy the file again") from error


class _Counted(io.BufferedIOBase):
    """Bytes of a file, telling the progress how far into the file on disk they reach."""

    def __init__(self, data: IO[bytes], raw: IO[bytes], source: Source) -> None:
        self._data = data
        self._raw = raw
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self.read1(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        found = self._data.read(1 << 20 if size < 0 else size)
        self._source.progress(self._raw.tell())
        return found
