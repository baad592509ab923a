"""What a sweep has found so far, as JSON lines in its folder: one line per setting and part, durable batch by batch.

A line that was cut by a crash is dropped; a rerun finds every whole line by its key and does not ask again. The key is
a digest of all that decides the result: tape, setting, seed, code version, part, and who judged it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec

from arbot.domain.errors import Mistake, UserError

FILE = "sweep.jsonl"


class Judge(StrEnum):
    """Who said what a setting comes to."""

    KERNEL = "kernel"  # the compiled pass: an approximation
    ENGINE = "engine"  # a full replay


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a setting came to on a part; statistics in the reporting currency. `net` = edge + slippage + unwinds - fees.

    `drawdown` is of what arbs earned, without what holdings gained or lost meanwhile.
    """

    net: float
    edge: float
    slippage: float
    unwinds: float
    fees: float
    drawdown: float
    arbs: int
    missed: int
    one_sided: int
    stranded: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One result."""

    key: str
    part: str
    judge: Judge
    values: dict[str, str]
    outcome: Outcome


def line_key(*, tape: str, setting: str, seed: int, code_version: str, part: str, judge: Judge) -> str:
    """Return the key of a result."""
    return hashlib.sha256(msgspec.json.encode([tape, setting, seed, code_version, part, judge])).hexdigest()[:32]


class SweepStore:
    """The results in a folder. One writer at a time."""

    def __init__(self, folder: Path) -> None:
        """Read what is there, dropping a cut last line. Raises: UserError when the file is damaged before its end."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self._lines: dict[str, Line] = {}
        raw = self.path.read_bytes() if self.path.exists() else b""
        whole = raw[: raw.rfind(b"\n") + 1]
        for number, text in enumerate(whole.splitlines(), start=1):
            try:
                line = msgspec.json.decode(text, type=Line)
            except msgspec.DecodeError as error:
                raise UserError(
                    Mistake(
                        f"{self.path}:{number}", f"not a result: {error}", "remove that line, or give another --out"
                    )
                ) from error
            self._lines[line.key] = line
        if len(whole) < len(raw):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, key: str) -> Outcome | None:
        """Return a result that is there already."""
        line = self._lines.get(key)
        return None if line is None else line.outcome

    def append(self, lines: Iterable[Line]) -> None:
        """Add a batch; it is on disk when this returns."""
        added = list(lines)
        with self.path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in added))
            file.flush()
            os.fsync(file.fileno())
        self._lines.update((line.key, line) for line in added)
