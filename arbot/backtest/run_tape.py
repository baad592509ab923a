"""The tape of one run of the daemon: which run, which parts, and each book's rows played up to an event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arbot.domain.errors import Mistake, UserError
from arbot.domain.instrument import Instrument
from arbot.journal.store import SqlStore, StoredRun
from arbot.market.books import Books
from arbot.market.retell import retell
from arbot.market.stream import IS_LAST, Column, Rows
from arbot.tape.catalogue import open_tapes
from arbot.tape.schema import Content

LAST = "last"
_COLUMNS = ["recv_ts_ns", "venue_ts_ns", "seq", "kind", "is_last", "side", "price", "qty"]


def find_run(store: SqlStore, run: str) -> StoredRun:
    """Return a run of a store by its id; "last" is the newest. Raises: UserError."""
    runs = store.runs()
    found = [one for one in runs if run in (one.run_id, LAST)]
    if not found:
        newest = ", ".join(one.run_id for one in runs[-5:]) or "none"
        raise UserError(Mistake("--run", f"there is no run {run!r} in {store.database.name}", f"there are: {newest}"))
    return found[-1]


class BookTape:
    """What one book took in during a run, played event by event. A part is held at a time."""

    def __init__(self, index: int, parts: Iterable[Path]) -> None:
        self.rows = 0  # played so far
        self._index = index
        self._parts: Iterator[Path] = iter(parts)
        self._part = Rows(*(np.empty(0, np.int64) for _ in Rows._fields))
        self._seq = np.empty(0, np.int64)
        self._at = 0

    def play_until(self, books: Books, seq: int) -> None:
        """Play all rows that came before the event of that number. Raises: UserError for a part that is damaged."""
        while self._at < len(self._seq) or self._open_next():
            stop = int(np.searchsorted(self._seq, seq, "left"))
            if stop > self._at:
                retell(books, self._index, self._part, self._at, stop)
                self.rows += stop - self._at
                self._at = stop
            if self._at < len(self._seq):
                return

    @property
    def is_over(self) -> bool:
        """Whether all there is has been played."""
        return self._at == len(self._seq) and not self._open_next()

    def _open_next(self) -> bool:
        part = next(self._parts, None)
        if part is None:
            return False
        self._part, self._seq = read_part(part)
        if len(self._seq) and np.any(np.diff(self._seq) < 0):
            raise UserError(
                Mistake(str(part), "event numbers fall", "it is not a recording of one run; name another tape")
            )
        self._at = 0
        return True


class RunTape:
    """All parts that one run recorded, in one catalogue or several."""

    def __init__(self, roots: Sequence[Path], run_id: str) -> None:
        """Find them. Raises: UserError when there are none, or a part is damaged."""
        self._parts: dict[tuple[str, str], list[Path]] = {}
        for dataset in open_tapes([root for root in roots if root.exists()]):
            ours = [part.path for part in dataset.parts if part.meta.run_id == run_id]
            if ours and dataset.meta.content is Content.BOOK:
                self._parts.setdefault((dataset.venue, dataset.symbol), []).extend(ours)
        if not self._parts:
            where = ", ".join(str(root) for root in roots)
            remedy = "record with [tape] record = true, or name the folder of the tape"
            raise UserError(Mistake(where, f"has nothing of run {run_id}", remedy))

    def book(self, instrument: Instrument, index: int) -> BookTape:
        """Return the tape of a book; it is empty for one of which nothing ever came."""
        found = self._parts.get((instrument.venue, instrument.symbol), [])
        return BookTape(index, sorted(found, key=lambda part: part.name))


def read_part(part: Path) -> tuple[Rows, Column]:
    """Return the rows of a part and their event numbers. Raises: UserError when it cannot be read."""
    try:
        table = pq.ParquetFile(part).read(columns=_COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise UserError(Mistake(str(part), f"cannot be read: {error}", "restore it, or name another tape")) from error
    recv_ts_ns, venue_ts_ns, seq, kind, is_last, side, price, qty = (
        np.array(table[name].to_numpy(), np.int64)
        for name in _COLUMNS  # copies: theirs cannot be written to
    )
    return Rows(recv_ts_ns, venue_ts_ns, price * side, qty, kind | is_last * IS_LAST), seq
