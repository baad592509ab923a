"""The kinds of statements by name, and which one a file is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from arbot.domain.errors import Mistake, UserError
from arbot.tax.statements import coinbase, generic, kraken
from arbot.tax.statements.common import Options, Statement, excerpt, read_text

READERS: Final[Mapping[str, Callable[[Path, Options], Statement]]] = {
    "kraken-ledgers": kraken.read,
    "coinbase-fills": coinbase.read,
    "csv": generic.read,
}
"""Reader of each format; a reader returns every mistake of the file, and raises UserError when it is another sort of file."""

CANONICAL: Final = "jsonl"
"""The format of history itself, which is no statement."""

_MARKS: Final[Mapping[str, Callable[[tuple[str, ...]], bool]]] = {
    "kraken-ledgers": lambda columns: {"txid", "refid", "aclass"} <= set(columns),
    "coinbase-fills": lambda columns: {"trade id", "size unit", "created at"} <= set(columns),
}


def detect(path: Path, *, has_map: bool) -> str:
    """Return the format of a file by its first line: CANONICAL or a name of READERS. Raises: UserError."""
    first = read_text(path).lstrip().partition("\n")[0].strip()
    if first.startswith("{"):
        return CANONICAL
    try:
        columns = tuple(name.strip().lower() for name in next(csv.reader([first]), []))
    except csv.Error:  # no table at all, which is what is told below
        columns = ()
    for name, is_this in _MARKS.items():
        if is_this(columns):
            return name
    if has_map:
        return "csv"
    remedy = f"name it with --format {'|'.join(READERS)}; a CSV of another sort needs a column map, --map MAP.toml"
    raise UserError(Mistake(path.name, f"is of no known sort: it begins with {excerpt(first)}", remedy))
