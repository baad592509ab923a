"""A file of history into a store: read strictly, compared with what is booked, written in one transaction or not at all.

Rules of this file:
- The import is a run of its own, like an adjustment: the journal says when, by which version, from which file.
- An id that is booked with the same content passes; with other content it is a conflict. All mistakes and conflicts of a
  file are found before anything is refused, and nothing of a refused file is left in the store.
- An id that stands twice in one file is a mistake, whatever its content: a file tells what happened once.
"""

from __future__ import annotations

import gc
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec
from sqlalchemy import Connection

from arbot import __version__
from arbot.domain.accounting import Transaction, TransactionKind
from arbot.domain.decisions import Outcome
from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import Envelope, Event, HistoryImported, RunEnded, RunStarted
from arbot.domain.history import HistoryLine, TransferLine
from arbot.domain.ids import RunId
from arbot.journal import queries
from arbot.journal.history import Known, has_history, known_lines
from arbot.journal.projection import LineHeads
from arbot.journal.store import SqlStore
from arbot.ledger.history.codes import CONFLICT, DUPLICATE_ID, coded
from arbot.ledger.history.journaled import Unmatched
from arbot.ledger.history.posting import RETOLD_ADJUSTMENT
from arbot.ledger.history.reading import MISTAKES_KEPT, LineReader, ReadLine, differences, is_same, read_lines
from arbot.ledger.history.restating import effects, is_same_content
from arbot.ledger.history.writing import canonical
from arbot.ledger.posting import Ledger, Recall
from arbot.ports import Record
from arbot.runtime.clock import SystemClock
from arbot.tax.history import open_history

LINES_PER_EVENT: Final = 200
"""Lines in one event: enough to make a record cheap per line, few enough that a page of records stays small."""

LINES_AT_ONCE: Final = 2_000
"""Lines compared and written together."""

_CHUNK = 1 << 20
_RECALLED = 10_000


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


class Told:
    """What arbot's own journal tells, by the ids that its lines have in an export."""

    def __init__(self, lines: Mapping[str, HistoryLine], ends: Mapping[str, Unmatched]) -> None:
        self._lines = lines
        self._ends = ends

    @classmethod
    def of(cls, store: SqlStore) -> Self:
        """Read the journal of a store. Raises: BodyRefused, StoreFailed."""
        return cls(*open_history(store).told_by_journal())

    def __call__(self, ids: Iterable[str]) -> Mapping[str, str]:
        """Return the canonical text of those of these ids that the journal has lines for."""
        return {name: canonical(self._lines[name]) for name in ids if name in self._lines}

    def __bool__(self) -> bool:
        """Return whether the journal has told anything."""
        return bool(self._lines or self._ends)

    def knows(self, ids: Iterable[str]) -> bool:
        """Return whether the journal has one of these, as a line or as an end that is open."""
        return any(name in self._lines or name in self._ends for name in ids)

    def is_retold(self, line: HistoryLine) -> bool:
        """Return whether a line says of the same event what its prices were, or what kind of movement it was."""
        own, end = self._lines.get(line.id), self._ends.get(line.id)
        if own is not None and is_same_content(own, line):
            return True
        if end is not None and end.is_deposit:
            return _moved(line, end.venue) == [(end.asset, end.qty)]
        if own is None or (end is None and RETOLD_ADJUSTMENT not in line.id):
            return False
        account = own.src if isinstance(own, TransferLine) else own.venue
        return _moved(own, account) == _moved(line, account)


def _moved(line: HistoryLine, account: str) -> list[tuple[str, Decimal]]:
    return [(one.asset, one.number) for one in effects(line, 0) if one.account == account]


NOTHING_TOLD = Told({}, {})
"""Of a store without a daemon's history."""


def import_history(path: Path, store: SqlStore) -> ImportReport:
    """Import a canonical JSONL file into a store opened for writing. Raises: UserError with every mistake, StoreFailed."""
    booked = Told.of(store)
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
    store: SqlStore, source: Source, lines: Iterable[ReadLine], reader: LineReader, *, booked: Told = NOTHING_TOLD
) -> ImportReport:
    """Write lines as one run in one transaction. Mistakes noted in `reader` by the end refuse all of them.

    Raises: UserError with mistakes and conflicts, StoreFailed.
    """
    clock = SystemClock()
    run_id = RunId(f"import-{secrets.token_hex(4)}")
    with store.run_at_once(run_id=run_id, code_version=__version__) as connection:
        writer = _Writer(store, connection, clock, source, reader, booked, run_id)
        with _no_collections():
            for batch in _batches(lines):
                writer.take(batch)
        writer.finish()
        return writer.report()


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the collector of cycles from walking over millions of lines, which are tuples of text: they have none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _batches(lines: Iterable[ReadLine]) -> Iterator[list[ReadLine]]:
    stream = iter(lines)
    while batch := list(islice(stream, LINES_AT_ONCE)):
        yield batch


def _parts(lines: list[ReadLine]) -> Iterator[list[ReadLine]]:
    """Yield lines by event: those of one stand one under the other in the file."""
    start = 0
    while start < len(lines):
        end = min(start + LINES_PER_EVENT, len(lines))
        first = lines[start].row
        if lines[end - 1].row - first != end - 1 - start:  # lines in between are booked already, or elsewhere
            end = next(at for at in range(start + 1, end) if lines[at].row - first != at - start)
        yield lines[start:end]
        start = end


def _recall(connection: Connection, *, is_first: bool) -> Recall:
    """Return how a booked transaction is found, asking once: beside an import nothing else is booked.

    What it books itself the ledger remembers, so a store without history has no transaction of any.
    """

    @lru_cache(maxsize=_RECALLED)
    def recall(reference: str) -> Transaction | None:
        if is_first and reference.startswith(f"{TransactionKind.HISTORY}|"):
            return None
        return queries.transaction(connection, reference)

    return recall


class _Writer:
    """Writes batches of lines as events until something is wrong; from then on it only looks for what else is."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        store: SqlStore,
        connection: Connection,
        clock: SystemClock,
        source: Source,
        reader: LineReader,
        booked: Told,
        run_id: RunId,
    ) -> None:
        self._store = store
        self._connection = connection
        self._clock = clock
        self._source = source
        self._reader = reader
        self._booked = booked
        self._run_id = run_id
        self._head = queries.head(connection)
        self._is_first = not booked and not has_history(connection)
        self._ledger = Ledger(queries.balances(connection), _recall(connection, is_first=self._is_first))
        self._step = 0
        self._rows: dict[int, int] = {}  # by step: where the lines of an event begin in the file
        self._lines = 0
        self._known = 0
        self._conflicts: list[Mistake] = []
        self._conflict_count = 0

    def take(self, batch: list[ReadLine]) -> None:
        """Compare lines with what is booked and write the new ones."""
        self._lines += len(batch)
        if self._is_first and not self._is_wrong():
            if not self._write(batch):
                self._find_twice(batch)
            return
        ids = [line.id for line in batch]
        stored = known_lines(self._connection, ids)
        is_told = self._booked.knows(ids)
        if not stored and not is_told and len(set(ids)) == len(ids):
            self._write(batch)
            return
        own = self._booked(ids)
        fresh: dict[str, ReadLine] = {}
        retold: list[ReadLine] = []
        for line in batch:
            if line.id in fresh:
                self._twice(line, fresh[line.id].row)
            elif line.id in stored and stored[line.id].seq > self._head.seq:
                self._twice(line, self._row_of(stored[line.id]))
            elif line.id in stored:
                known = stored[line.id]
                self._meet(line, known.body, f"in journal {known.seq}, line {known.line}")
            elif line.id in own and (is_same(own[line.id], line.text) or not self._booked.is_retold(line.line)):
                self._meet(line, own[line.id], "by arbot's own journal")
            elif self._booked.knows([line.id]):
                self._retell(line, retold)
            else:
                fresh[line.id] = line
        self._write(list(fresh.values()))
        self._write(retold, is_retold=True)

    def _find_twice(self, batch: list[ReadLine]) -> None:
        """Note the lines of a batch just written whose ids were there already: nothing else is booked in this store."""
        stored = known_lines(self._connection, [line.id for line in batch])
        for line in batch:
            row = self._row_of(stored[line.id])
            if row != line.row:
                self._twice(line, row)

    def _is_wrong(self) -> bool:
        return self._reader.mistake_count > 0 or self._conflict_count > 0

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
        if self._step:
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
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        """Return what is booked and worth a look: lines of the future may be a plan, or a wrong clock."""
        early, row = self._reader.early_count, self._reader.early_row
        if not early:
            return ()
        count = "1 line has" if early == 1 else f"{early} lines have"
        return (f"{count} not happened yet, the first is line {row}: check the clock and the time zone, ts is UTC",)

    def _write(self, lines: list[ReadLine], *, is_retold: bool = False) -> bool:
        """Write lines as events, unless something is wrong already, and return whether every id was new.

        Those of one event stand one under the other in the file.
        """
        if not lines or self._is_wrong():
            return True
        if not self._step:
            self._record(self._started())
        made = [self._imported(part, is_retold=is_retold) for part in _parts(lines)]
        return self._store.append_lines(self._connection, [record for record, _ in made], [heads for _, heads in made])

    def _imported(self, part: list[ReadLine], *, is_retold: bool) -> tuple[Record, LineHeads]:
        rows, names, times_ns, kinds, texts, parsed = zip(*part, strict=True)
        event = HistoryImported(
            source=self._source.name, digest=self._source.digest, row=rows[0], lines=texts, is_retold=is_retold
        )
        envelope = self._envelope(event)
        self._rows[self._step] = rows[0]
        lines = [line.line for line in part] if is_retold else parsed
        transaction = self._ledger.book_history(envelope, event, lines)
        transactions = () if transaction is None else (transaction,)
        record = Record(envelope=envelope, outcome=Outcome(), transactions=transactions)
        return record, LineHeads(kinds, names, times_ns)

    def _started(self) -> RunStarted:
        run = self._store.run_of(self._connection, self._head.epoch)
        return RunStarted(
            run_id=self._run_id,
            epoch=run.epoch,
            code_version=__version__,
            config_digest=run.config_digest,
            mode=run.mode,
        )

    def _record(self, event: Event) -> None:
        self._store.append(self._connection, (Record(envelope=self._envelope(event), outcome=Outcome()),))

    def _envelope(self, event: Event) -> Envelope:
        self._step += 1
        return Envelope(self._step, self._clock.now_ns(), event)

    def _twice(self, line: ReadLine, row: int) -> None:
        remedy = "give every line an id of its own, or remove the repetition"
        self._reader.refuse(line.row, coded(f"the id {line.id!r} stands in line {row} already", DUPLICATE_ID), remedy)

    def _row_of(self, known: Known) -> int:
        """Return the row in the file at hand of a line that this import has written."""
        return self._rows[known.seq - self._head.seq] + known.line  # each step of this run is one record

    def _retell(self, line: ReadLine, retold: list[ReadLine]) -> None:
        """Take a line about what the journal has booked by itself, if it moves its account by as much."""
        if self._booked.is_retold(line.line):
            retold.append(line)
        else:
            self._meet(line, "another amount", "by arbot's own journal")

    def _meet(self, line: ReadLine, booked: str, where: str) -> None:
        """Pass over a line that is booked with the same content; note a conflict with any other."""
        if booked.startswith("{") and is_same(booked, line.text):
            self._known += 1
            return
        self._conflict_count += 1
        if len(self._conflicts) >= MISTAKES_KEPT:
            return
        remedy = (
            "make the file say the same, or give what differs an id of its own; what is booked is never overwritten: "
            "a corrected history goes into a new store (--ledger NEW.db)"
        )
        told = differences(booked, line.text) if booked.startswith("{") else f"{booked}, but here {line.text}"
        what = coded(f"the id {line.id!r} is booked {where} with other content: {told}", CONFLICT)
        self._conflicts.append(Mistake(f"{self._source.name} line {line.row}", what, remedy))
