"""A text file of the bundle that is written in pieces and knows its digest.

Rules of this file:
- Lines wait in memory until `flush`, which the pass calls every few thousand history lines: no line costs a system call.
- No handle stays open between flushes, so a report over many accounts does not run out of them.
- UTF-8, LF; the digest is that of the bytes on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import msgspec


class Digest(msgspec.Struct, frozen=True):
    """What the manifest says of a file: `rows` without the header."""

    sha256: str
    bytes: int
    rows: int


class Sheet:
    """One file. `put` takes a line without its end, `put_all` many of them."""

    put: Callable[[str], None]
    put_all: Callable[[Iterable[str]], None]

    def __init__(self, path: Path, header: str = "") -> None:
        self.path = path
        self._pending: list[str] = []
        self.put = self._pending.append
        self.put_all = self._pending.extend
        self._hash = sha256()
        self._bytes = 0
        self._rows = -1 if header else 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        if header:
            self.put(header)

    def flush(self) -> None:
        """Write what waits."""
        if not self._pending:
            return
        self._rows += len(self._pending)
        self._pending.append("")
        content = "\n".join(self._pending).encode()
        self._pending.clear()
        self._hash.update(content)
        self._bytes += len(content)
        with self.path.open("ab") as file:
            file.write(content)

    def digest(self) -> Digest:
        """Write what waits and return what the file holds."""
        self.flush()
        return Digest(self._hash.hexdigest(), self._bytes, self._rows)
