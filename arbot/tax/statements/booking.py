"""A statement into a store: read, compared with what is booked, written in one transaction or not at all.

Rules of this file:
- Mistakes, open items and conflicts of the whole file are found before anything is refused, and shown together.
- A line that is booked already, by an earlier file or by arbot itself, is counted and passed over.
- What a statement settles about arbot's own journal (where coins went that left) is booked as a telling of the same event.
- A conflict refuses the file, unless the caller explicitly keeps what is booked; what is booked is never changed.
- A file that brings nothing new leaves no trace in the journal.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.history import FillLine, HistoryLine
from arbot.journal.history import known_lines
from arbot.journal.store import SqlStore
from arbot.ledger.history.codes import UNEXPLAINED_DIFFERENCE, coded
from arbot.ledger.history.reading import MISTAKES_KEPT, LineReader, ReadLine, read_stored
from arbot.ledger.history.writing import canonical
from arbot.runtime.clock import SystemClock
from arbot.tax.importing import Source, Told, append, digest_of
from arbot.tax.statements.common import Options, Statement, at_rows
from arbot.tax.statements.formats import READERS
from arbot.tax.statements.gaps import check_balances
from arbot.tax.statements.matching import Matched, bare_id, match

_IDS_AT_ONCE: Final = 500


class StatementReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did with the lines of a statement. `passed` counts rows without effect, by the reason."""

    source: str
    format: str
    digest: str
    lines: int
    new: int
    known: int
    kept: int  # conflicts in which the ledger was kept
    passed: dict[str, int]
    seq: int
    is_dry_run: bool
    diverging: tuple[str, ...] = ()  # rows whose stated balance does not follow from the one before

    @property
    def remarks(self) -> list[str]:
        """Return what else there is to say, a sentence each."""
        told = [f"{rows} rows without effect: {reason}" for reason, rows in self.passed.items()]
        told += [f"{self.kept} lines that the ledger has otherwise were passed over"] if self.kept else []
        told += [
            coded(f"{self.source} {row}; a row before it is missing or was changed", UNEXPLAINED_DIFFERENCE)
            for row in self.diverging
        ]
        return [*told, "nothing was written"] if self.is_dry_run else told


def import_statement(
    path: Path,
    store: SqlStore,
    format_name: str,
    options: Options,
    *,
    booked: Told | None = None,
    is_ledger_kept: bool = False,
    is_dry_run: bool = False,
) -> StatementReport:
    """Import a venue's statement into a store, which a dry run only reads. `booked` is what its journal tells by itself.

    Raises: UserError with every mistake, open item and conflict of the file, StoreFailed.
    """
    statement = READERS[format_name](path, options)
    told = Told.of(store) if booked is None else booked
    matched = match(statement, booked_of(statement, store, told).get, told.is_retold)
    source = Source(path.name, digest_of(path))
    found = _checked(statement, matched, is_ledger_kept=is_ledger_kept)
    seq = store.head().seq
    if found and not is_dry_run:
        reader = LineReader(path.name, until_ns=SystemClock().now_ns())
        seq = append(store, source, found, reader, booked=told).seq
    return StatementReport(
        source=source.name,
        format=format_name,
        digest=source.digest,
        lines=len(statement.lines),
        new=len(found),
        known=len(matched.duplicates),
        kept=len(matched.conflicts),
        passed=statement.passed,
        seq=seq,
        is_dry_run=is_dry_run,
        diverging=tuple(map(str, check_balances(statement.balances))),
    )


def booked_of(statement: Statement, store: SqlStore, told: Told) -> dict[str, HistoryLine]:
    """Return what store and journal have under the ids that a statement names."""
    ids = [line.id for line in statement.lines]
    ids += [bare_id(line.id) for line in statement.lines if isinstance(line, FillLine)]
    ids += [movement.line_id for movement in statement.unmatched]
    found: dict[str, HistoryLine] = {}
    stream = iter(dict.fromkeys(ids))
    with store.database.read() as connection:
        while batch := list(islice(stream, _IDS_AT_ONCE)):
            texts = dict(told(batch)) | {name: known.body for name, known in known_lines(connection, batch).items()}
            found |= {name: read_stored(text) for name, text in texts.items()}
    return found


def _checked(statement: Statement, matched: Matched, *, is_ledger_kept: bool) -> list[ReadLine]:
    """Return the new lines as the canonical reader takes them. Raises: UserError with everything that is in the way."""
    explained = {
        at_rows(statement.path, movement.rows)
        for movement in statement.unmatched
        if movement.line_id in matched.covered
    }
    mistakes = list(statement.mistakes)
    mistakes += [
        item.mistake
        for item in statement.open_items
        if item.code != "unmatched_transfer" or item.where not in explained
    ]
    if not is_ledger_kept:
        mistakes += [conflict.mistake for conflict in matched.conflicts]
    found, refused = _as_read(statement, matched.new)
    mistakes = mistakes or refused  # a line without its price would be told twice
    if mistakes:
        raise UserError(*_first(statement.path.name, mistakes))
    return found


def _as_read(statement: Statement, lines: list[HistoryLine]) -> tuple[list[ReadLine], list[Mistake]]:
    """Put lines through the reader of canonical files: a statement is held to the same rules. Mistakes name its rows."""
    reader = LineReader(statement.path.name, until_ns=SystemClock().now_ns())
    found: list[ReadLine] = []
    mistakes: list[Mistake] = []
    for line in lines:
        taken = reader.feed(canonical(line).encode())
        if taken is not None:
            found.append(taken)
        elif len(reader.mistakes) > len(mistakes):
            mistakes.append(reader.mistakes[-1]._replace(where=statement.where(line.id)))
    return found, mistakes


def _first(name: str, mistakes: list[Mistake]) -> list[Mistake]:
    """Return the mistakes that are shown, and how many are not."""
    if len(mistakes) <= MISTAKES_KEPT:
        return mistakes
    more = f"{len(mistakes) - MISTAKES_KEPT} more mistakes are not shown"
    return [*mistakes[:MISTAKES_KEPT], Mistake(name, more, "mend these first; the import then shows what is left")]
