"""Prove that a store is what was written: chain, anchor, sums, and projections against the journal.

Rules of this file:
- Every problem is named at its journal number where it has one, and checking goes on behind it: after an edited row the
  chain is followed by the stored hashes, so that one edit is one problem.
- The projections are derived once more into a scratch database and compared row by row; sums are also added up here
  without the projector, so that a fault of the projector itself would show.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, Table, create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from arbot.domain.errors import InvariantBroken
from arbot.domain.events import HistoryImported
from arbot.domain.ids import Asset
from arbot.domain.order import Fill, OrderIntent
from arbot.domain.units import EXACT, ZERO
from arbot.journal import queries, schema
from arbot.journal.anchor import Anchor, read_anchor
from arbot.journal.codec import GENESIS, BodyRefused, decode, link
from arbot.journal.database import Database
from arbot.journal.deriving import derive
from arbot.journal.queries import JournalRow

PROBLEMS_MAX = 100
"""After this many the rest is not worth printing."""

LINES_SHOWN = 5
"""Edited lines that one problem names."""

_SCRATCH = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")
"""For the database that derived tables are compared in: it is thrown away, so nothing of it needs to last."""

_KeyedRow = tuple[tuple[Any, ...], dict[str, Any]]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `seq` is the journal number it was found at, 0 where it has none."""

    seq: int
    what: str

    def __str__(self) -> str:
        return f"journal {self.seq}: {self.what}" if self.seq else self.what


def verify_store(database: Database, anchor_path: Path | None) -> tuple[Problem, ...]:
    """Return everything found wrong, at most PROBLEMS_MAX; empty for a sound store. Raises: StoreFailed, UserError."""
    anchor = None if anchor_path is None else read_anchor(anchor_path)  # first: it is never ahead of the database
    found: list[Problem] = []
    with database.read(is_snapshot=True) as connection:
        for problem in problems_in(database, connection, anchor):
            found.append(problem)
            if len(found) == PROBLEMS_MAX:
                break
        if anchor is None and anchor_path is not None and queries.head(connection).epoch:
            found.append(Problem(seq=0, what=f"the anchor {anchor_path} is missing: a cut-off end would not show"))
    return tuple(found)


def chain_problem(connection: Connection, anchor: Anchor | None) -> Problem | None:
    """Return what is wrong with the end of the chain, quickly: the last row, the head, the anchor."""
    head = queries.head(connection)
    last = queries.journal_page(connection, head.seq - 1, limit=1)
    stored = last[0].hash if last else GENESIS
    if len(last) != min(head.seq, 1) or stored != head.hash or (last and _row_problem(last[0])):
        return Problem(seq=head.seq, what="the journal does not end where the head says, or its last row was edited")
    if anchor is None:
        return None
    if anchor.seq > head.seq or anchor.epoch > head.epoch:
        return Problem(
            seq=head.seq,
            what=f"the journal ends here, but was anchored at {anchor.seq} in epoch {anchor.epoch}: its end is lost, "
            "or this is an old copy",
        )
    before = queries.journal_page(connection, anchor.seq - 1, limit=1)
    if (before[0].hash if anchor.seq else GENESIS) != anchor.hash:
        return Problem(seq=anchor.seq, what="differs from what was anchored: this is another journal")
    return None


def problems_in(database: Database, connection: Connection, anchor: Anchor | None) -> Iterator[Problem]:
    """Yield everything that is wrong as an open transaction sees it."""
    for text in database.integrity(connection):
        yield Problem(seq=0, what=f"the database file is damaged: {text}")
    end = chain_problem(connection, anchor)
    if end is not None:
        yield end
    is_readable = True
    for problem in _journal_problems(connection):
        is_readable = False
        yield problem
    for check in (_posting_problems, _fill_problems):
        try:
            yield from check(connection)
        except (BodyRefused, ArithmeticError) as error:  # told to whoever asked, as one more problem
            yield Problem(seq=0, what=f"a stored row cannot be read: {error}")
    if is_readable:
        yield from _projection_problems(connection)


# --- the journal -----------------------------------------------------------------------------------------------------


_GENESIS_ROW = JournalRow(seq=0, epoch=0, step=0, ts_ns=0, kind="", body="", prev_hash="", hash=GENESIS)


def _journal_problems(connection: Connection) -> Iterator[Problem]:
    previous = _GENESIS_ROW
    for row in queries.journal_rows(connection):
        what = _row_problem(row) or _link_problem(previous, row)
        if what:
            yield Problem(seq=row.seq, what=what + _lines_edited(connection, row))
        previous = row


def _lines_edited(connection: Connection, row: JournalRow) -> str:
    """Return which lines of an edited import differ from the table beside it; empty when it cannot be said."""
    try:
        event = row.record().envelope.event
    except BodyRefused:
        return ""  # told already: it cannot be read
    if not isinstance(event, HistoryImported):
        return ""
    table = schema.HISTORY
    query = select(table.c.line, table.c.id, table.c.body).where(table.c.seq == row.seq).order_by(table.c.line)
    kept = {line: (name, body) for line, name, body in connection.execute(query)}
    found = [
        f"line {event.row + line} of {event.source}" + (f" (id {kept[line][0]})" if line in kept else "")
        for line, body in enumerate(event.lines)
        if kept.get(line, ("", ""))[1] != body
    ]
    missing = len(kept) - len(event.lines)
    if missing > 0:
        found.append(f"{missing} lines are gone")
    return f": {', '.join(found[:LINES_SHOWN])}{' and more' if len(found) > LINES_SHOWN else ''}" if found else ""


def edited_row(connection: Connection) -> Problem | None:
    """Return the first journal row whose hash or link does not hold: what every start looks for, by hashing alone."""
    previous = _GENESIS_ROW
    for row in queries.journal_rows(connection):
        what = _hash_problem(row) or _link_problem(previous, row)
        if what:
            return Problem(seq=row.seq, what=what)
        previous = row
    return None


def _hash_problem(row: JournalRow) -> str:
    is_whole = link(row.prev_hash, row.seq, row.epoch, row.body) == row.hash
    return "" if is_whole else "was edited: its hash does not fit its content"


def _row_problem(row: JournalRow) -> str:
    """Return what is wrong with a row by itself, or nothing."""
    if _hash_problem(row):
        return _hash_problem(row)
    try:
        envelope = row.record().envelope
    except BodyRefused as error:
        return f"cannot be read: {error}"
    if (row.step, row.ts_ns, row.kind) != (envelope.seq, envelope.ts_ns, type(envelope.event).__name__):
        return "was edited: its columns do not fit its body"
    return ""


def _link_problem(previous: JournalRow, row: JournalRow) -> str:
    if row.seq != previous.seq + 1:
        return f"follows {previous.seq}: rows are missing"
    if row.prev_hash != previous.hash:
        return f"does not continue {previous.seq}: the chain is broken between them"
    if row.epoch < previous.epoch:
        return f"has epoch {row.epoch} after {previous.epoch}: a fenced run wrote"
    if row.epoch == previous.epoch and (row.step <= previous.step or row.ts_ns < previous.ts_ns):
        return "goes back in number or time within its run"
    return ""


# --- sums, added up without the projector ----------------------------------------------------------------------------


def _posting_problems(connection: Connection) -> Iterator[Problem]:
    """Check that every transaction sums to zero in every asset and that balances are the sums of postings."""
    balances: dict[tuple[str, Asset], Decimal] = {}
    table = schema.POSTINGS
    rows = connection.execute(_streamed(select(table).order_by(table.c.reference, table.c.line)))
    for reference, postings in groupby(rows, key=lambda row: row.reference):
        sums: dict[str, Decimal] = {}
        for row in postings:
            number = Decimal(row.number)
            sums[row.asset] = EXACT.add(sums.get(row.asset, ZERO), number)
            key = (row.account, Asset(row.asset))
            balances[key] = EXACT.add(balances.get(key, ZERO), number)
        if any(sums.values()):
            yield Problem(seq=0, what=f"transaction {reference} does not sum to zero: {_shown(sums)}")
    stored = {(account, asset): number for account, asset, number in queries.balances(connection)}
    for key in sorted(balances.keys() | stored.keys()):
        if stored.get(key, ZERO) != balances.get(key, ZERO):
            what = f"balance of {key[0]} in {key[1]} is {stored.get(key, ZERO)}, its postings sum to {balances.get(key, ZERO)}"
            yield Problem(seq=0, what=what)


def _fill_problems(connection: Connection) -> Iterator[Problem]:
    """Check every order's filled quantity against its fills, and that no order got more than it asked for."""
    sums: dict[str, Decimal] = {}
    for row in connection.execute(_streamed(select(schema.FILLS.c.client_order_id, schema.FILLS.c.body))):
        fill = decode(row.body, Fill)
        add = EXACT.subtract if fill.is_reversal else EXACT.add
        sums[row.client_order_id] = add(sums.get(row.client_order_id, ZERO), fill.qty)
    table = schema.ORDERS
    for row in connection.execute(_streamed(select(table).order_by(table.c.seq, table.c.line))):
        filled, name = sums.get(row.client_order_id, ZERO), row.client_order_id
        qty = decode(row.intent, OrderIntent).qty
        if Decimal(row.filled_qty) != filled:
            yield Problem(seq=row.seq, what=f"order {name} has filled {row.filled_qty}, its fills sum to {filled}")
        if filled > qty:
            yield Problem(seq=row.seq, what=f"order {name} of {qty} was filled with {filled}")


def _streamed(query: Select[Any]) -> Select[Any]:
    return query.execution_options(yield_per=queries.PAGE)


def _shown(sums: dict[str, Decimal]) -> str:
    return ", ".join(f"{number} {asset}" for asset, number in sorted(sums.items()) if number)


# --- projections, derived once more ----------------------------------------------------------------------------------


def _projection_problems(connection: Connection) -> Iterator[Problem]:
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect("")
    )  # a nameless file: spills to disk, goes away
    try:
        with engine.connect() as scratch:
            try:
                for pragma in _SCRATCH:
                    scratch.exec_driver_sql(pragma)
                schema.METADATA.create_all(scratch, tables=schema.PROJECTIONS)
                derive(connection, scratch)
            except (InvariantBroken, SQLAlchemyError) as error:  # told to whoever asked, as one more problem
                yield Problem(seq=0, what=f"the journal cannot be projected: {error}")
                return
            for table in schema.PROJECTIONS:
                yield from _table_problems(table, connection, scratch)
    finally:
        engine.dispose()


def _table_problems(table: Table, connection: Connection, scratch: Connection) -> Iterator[Problem]:
    """Walk both copies of a table by key and name every row that is in one only, or differs."""
    if all(ours == theirs for ours, theirs in zip_longest(_pages(table, connection), _pages(table, scratch))):
        return  # as nearly always: by the page it takes a third of the time
    stored, derived = _rows(table, connection), _rows(table, scratch)
    ours, theirs = next(stored, None), next(derived, None)
    while ours is not None or theirs is not None:
        if ours is None or (theirs is not None and theirs[0] < ours[0]):
            yield _differs(table, theirs, "is in the journal, but missing in the table")
            theirs = next(derived, None)
        elif theirs is None or ours[0] < theirs[0]:
            yield _differs(table, ours, "is not in the journal")
            ours = next(stored, None)
        else:
            if ours[1] != theirs[1]:
                columns = [name for name in ours[1] if ours[1][name] != theirs[1][name]]
                yield _differs(table, ours, f"differs from the journal in {', '.join(columns)}")
            ours, theirs = next(stored, None), next(derived, None)


def _differs(table: Table, row: _KeyedRow | None, what: str) -> Problem:
    key, values = row or ((), {})
    name = f" (id {values['id']})" if table is schema.HISTORY and values else ""
    return Problem(seq=values.get("seq", 0), what=f"{table.name} row {'|'.join(map(str, key))}{name} {what}")


def _pages(table: Table, connection: Connection) -> Iterator[list[tuple[Any, ...]]]:
    for page in connection.execute(_by_key(table, connection)).partitions(queries.PAGE):
        yield list(map(tuple, page))


def _by_key(table: Table, connection: Connection) -> Select[Any]:
    """Return the query of a table in the order of keys, compared as Python and SQLite do: by code point."""
    order = [
        column.collate("C") if connection.dialect.name == "postgresql" and column.type.python_type is str else column
        for column in table.primary_key.columns
    ]
    return _streamed(select(table).order_by(*order))


def _rows(table: Table, connection: Connection) -> Iterator[_KeyedRow]:
    """Yield (key, row) in the order of keys."""
    keys = [column.name for column in table.primary_key.columns]
    for row in connection.execute(_by_key(table, connection)).mappings():
        yield tuple(row[name] for name in keys), dict(row)
