"""A file of history into a store: read strictly, compared with what is booked, written in one transaction or not at all.

Rules of this file:
- The import is a run of its own, like an adjustment: the journal says when, by which version, from which file.
- An id that is booked with the same content passes; with other content it is a conflict. All mistakes and conflicts of a
  file are found before anything is refused, and nothing of a refused file is left in the store.
- An id that stands twice in one file is a mistake, whatever its content: a file tells what happened once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from arbot import __version__
from arbot.domain.decisions import Outcome
from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import Envelope, Event, HistoryImported, RunEnded, RunStarted
from arbot.domain.ids import RunId
from arbot.journal import queries
from arbot.journal.history import Known, known_lines
from arbot.journal.store import SqlStore
from arbot.ledger.history.reading import MISTAKES_KEPT, LineReader, ReadLine, is_same, read_lines
from arbot.ledger.posting import Ledger
from arbot.ports import Record
from arbot.runtime.clock import SystemClock

LINES_PER_EVENT: Final = 200
"""Lines in one event: enough to make a record cheap per line, few enough that a page of records stays small."""

_CHUNK = 1 << 20


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did: lines in the file, of these new ones and those booked before, and the end of the journal."""

    source: str
    digest: str
    lines: int
    new: int
    known: int
    seq: int
    warnings: tuple[str, ...] = ()


class Source(NamedTuple):
    """Where lines come from: the name people know it by, the SHA-256 of its bytes."""

    name: str
    digest: str


Booked = Callable[[Iterable[str]], Mapping[str, str]]
"""Returns the canonical text of those of these ids that arbot's own journal tells."""


def nothing_booked(_ids: Iterable[str]) -> Mapping[str, str]:
    """Say that the journal itself tells nothing."""
    return {}


def import_history(path: Path, store: SqlStore, *, booked: Booked = nothing_booked) -> ImportReport:
    """Import a canonical JSONL file into a store opened for writing. Raises: UserError with every mistake, StoreFailed."""
    try:
        source = Source(path.name, digest_of(path))
        with path.open("rb") as file:
            reader = LineReader(path.name, until_ns=SystemClock().now_ns())
            return append(store, source, read_lines(reader, file), reader, booked=booked)
    except OSError as error:
        raise UserError(
            Mistake(str(path), f"cannot be read: {error.strerror}", "name a file of canonical JSON lines")
        ) from error


def append(
    store: SqlStore, source: Source, lines: Iterable[ReadLine], reader: LineReader, *, booked: Booked = nothing_booked
) -> ImportReport:
    """Write lines as one run in one transaction. Mistakes noted in `reader` by the end refuse all of them.

    Raises: UserError with mistakes and conflicts, StoreFailed.
    """
    clock = SystemClock()
    run_id = RunId(f"import-{secrets.token_hex(4)}")
    with store.run_at_once(run_id=run_id, code_version=__version__) as connection:
        writer = _Writer(store, connection, clock, source, reader, booked)
        writer.begin(run_id)
        for batch in _batches(lines):
            writer.take(batch)
        writer.finish()
        return writer.report()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _batches(lines: Iterable[ReadLine]) -> Iterator[list[ReadLine]]:
    stream = iter(lines)
    while batch := list(islice(stream, LINES_PER_EVENT)):
        yield batch


class _Writer:
    """Writes batches of lines as events until something is wrong; from then on it only looks for what else is."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        store: SqlStore,
        connection: Connection,
        clock: SystemClock,
        source: Source,
        reader: LineReader,
        booked: Booked,
    ) -> None:
        self._store = store
        self._connection = connection
        self._clock = clock
        self._source = source
        self._reader = reader
        self._booked = booked
        self._ledger = Ledger(queries.balances(connection), lambda name: queries.transaction(connection, name))
        self._head = queries.head(connection)
        self._step = 0
        self._lines = 0
        self._known = 0
        self._conflicts: list[Mistake] = []
        self._conflict_count = 0

    def begin(self, run_id: RunId) -> None:
        """Write that a run began."""
        run = self._store.run_of(self._connection, self._head.epoch)
        self._record(
            RunStarted(
                run_id=run_id,
                epoch=self._head.epoch,
                code_version=__version__,
                config_digest=run.config_digest,
                mode=run.mode,
            )
        )

    def take(self, batch: list[ReadLine]) -> None:
        """Compare lines with what is booked and write the new ones."""
        self._lines += len(batch)
        ids = [line.id for line in batch]
        stored = known_lines(self._connection, ids)
        own = self._booked(ids)
        if not stored and not own and len(set(ids)) == len(ids):
            self._write(batch)
            return
        fresh: dict[str, ReadLine] = {}
        for line in batch:
            if line.id in fresh:
                self._twice(line, fresh[line.id].row)
            elif line.id in stored and stored[line.id].seq > self._head.seq:
                self._twice(line, self._row_of(stored[line.id]))
            elif line.id in stored or line.id in own:
                self._meet(line, stored.get(line.id), own.get(line.id, ""))
            else:
                fresh[line.id] = line
        self._write(list(fresh.values()))

    def finish(self) -> None:
        """Write that the run ended. Raises: UserError with every mistake and conflict instead."""
        reader = self._reader
        count = reader.mistake_count + self._conflict_count
        if count:
            shown = [*reader.mistakes, *self._conflicts][:MISTAKES_KEPT]
            if count > len(shown):
                remedy = "mend these first; the import then shows what is left"
                shown.append(Mistake(self._source.name, f"{count - len(shown)} more mistakes are not shown", remedy))
            raise UserError(*shown)
        self._record(RunEnded(reason="imported", open_orders=0))

    def report(self) -> ImportReport:
        """Return what was done."""
        return ImportReport(
            source=self._source.name,
            digest=self._source.digest,
            lines=self._lines,
            new=self._lines - self._known,
            known=self._known,
            seq=queries.head(self._connection).seq,
        )

    def _write(self, lines: list[ReadLine]) -> None:
        """Write lines as events; those of one event stand one under the other in the file."""
        if self._reader.mistake_count or self._conflict_count:
            return
        start = 0
        for end in range(1, len(lines) + 1):
            if end == len(lines) or lines[end].row != lines[end - 1].row + 1:
                part = lines[start:end]
                texts = tuple([line.text for line in part])
                self._record(
                    HistoryImported(source=self._source.name, digest=self._source.digest, row=part[0].row, lines=texts)
                )
                start = end

    def _record(self, event: Event) -> None:
        self._step += 1
        envelope = Envelope(self._step, self._clock.now_ns(), event)
        record = Record(envelope=envelope, outcome=Outcome(), transactions=self._ledger.apply(envelope))
        self._store.append(self._connection, (record,))

    def _twice(self, line: ReadLine, row: int) -> None:
        remedy = "give every line an id of its own, or remove the repetition"
        self._reader.refuse(line.row, f"the id {line.id!r} stands in line {row} already", remedy)

    def _row_of(self, known: Known) -> int:
        """Return the row in the file at hand of a line that this import has written."""
        (entry,) = queries.journal_page(self._connection, known.seq - 1, limit=1)
        event = entry.record().envelope.event
        return event.row + known.line if isinstance(event, HistoryImported) else 0

    def _meet(self, line: ReadLine, known: Known | None, own: str) -> None:
        """Pass over a line that is booked with the same content; note a conflict with any other."""
        if is_same(own if known is None else known.body, line.text):
            self._known += 1
            return
        self._conflict_count += 1
        if len(self._conflicts) >= MISTAKES_KEPT:
            return
        where = "by arbot's own journal" if known is None else f"in journal {known.seq}, line {known.line}"
        there = own if known is None else known.body
        remedy = (
            "make the file say the same, or give what differs an id of its own; what is booked is never overwritten: "
            "a corrected history goes into a new store (--ledger NEW.db)"
        )
        what = f"the id {line.id!r} is booked {where} with other content: {there} but here {line.text}"
        self._conflicts.append(Mistake(f"{self._source.name} line {line.row}", what, remedy))
