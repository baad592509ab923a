"""What a file would leave below zero, found before anything is written.

Rules of this file:
- The file is seen in its place: between the lines that are booked, by instant. What is booked already is counted once.
- A file with mistakes is left to the import itself, which names them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from pathlib import Path

from arbot.domain.errors import UserError
from arbot.domain.history import Placed
from arbot.journal.history import known_lines
from arbot.journal.store import SqlStore
from arbot.ledger.history.balances import negative_balances
from arbot.ledger.history.reading import LineReader, ReadLine, read_lines
from arbot.runtime.clock import SystemClock
from arbot.tax.history import open_history
from arbot.tax.importing import LINES_AT_ONCE, Told


def demand_covered(path: Path, store: SqlStore) -> None:
    """Demand that no balance is below zero once the file is imported. Raises: UserError with every one, OSError."""
    history = open_history(store)
    seq = store.head().seq + 1
    with path.open("rb") as file:
        reader = LineReader(path.name, until_ns=SystemClock().now_ns())
        lines = (Placed(line.line, line.ts_ns, seq) for line in _new(store, read_lines(reader, file)))
        items = negative_balances(merge(history.lines(), lines, key=lambda placed: (placed.ts_ns, placed.seq)))
        if items and not reader.mistake_count:
            raise UserError(*(item.mistake for item in items))


def _new(store: SqlStore, lines: Iterator[ReadLine]) -> Iterator[ReadLine]:
    """Yield the lines that neither an earlier file nor the journal has."""
    told = Told.of(store)
    while batch := list(islice(lines, LINES_AT_ONCE)):
        with store.database.read() as connection:
            known = known_lines(connection, [line.id for line in batch])
        yield from (line for line in batch if line.id not in known and not told.knows([line.id]))
