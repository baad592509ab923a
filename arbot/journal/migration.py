"""Bringing a store of an older schema to this one, before a run begins.

Rules of this file:
- One function per step, named in STEPS by the version it starts from; a store takes all steps up to VERSION.
- The journal, its hashes, the kill switch and the runs are never touched: a step changes what is derived from them.
- A copy of an SQLite file is on disk beside it before anything is changed. All steps, and the proof that the store is
  sound afterwards, are one transaction: it is either of the new version and verified, or exactly as it was.
- A store that is not sound before is left alone: moving it would hide what happened to it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, update

from arbot.domain.errors import InvariantBroken, Mistake, UserError
from arbot.journal import schema
from arbot.journal.anchor import Anchor
from arbot.journal.database import Database
from arbot.journal.deriving import derive
from arbot.journal.verify import Problem, chain_problem, edited_row, problems_in

PROBLEMS_SHOWN = 3


def migrate(database: Database, stored: int, anchor: Anchor | None) -> None:
    """Bring a locked store from version `stored` to VERSION. Raises: UserError saying why not, StoreFailed."""
    with database.read(is_snapshot=True) as connection:
        problem = chain_problem(connection, anchor) or edited_row(connection)
    if problem is not None:
        raise _refused(database, stored, problem)
    if database.path is not None:
        _copy(database.path, backup_path(database.path, stored))
    with database.write() as connection:
        try:
            for version in range(stored, schema.VERSION):
                STEPS[version](connection)
        except InvariantBroken as error:
            raise _refused(database, stored, error) from error
        table = schema.META
        connection.execute(update(table).where(table.c.name == "schema").values(value=str(schema.VERSION)))
        found = list(problems_in(database, connection, anchor))
        if found:
            raise _refused(database, stored, *found)


def backup_path(path: Path, stored: int) -> Path:
    """Return where the copy of a store of an older version is put."""
    return path.with_name(f"{path.name}.schema-{stored}")


def _refused(database: Database, stored: int, *why: Problem | InvariantBroken) -> UserError:
    words = "; ".join(map(str, why[:PROBLEMS_SHOWN]))
    remedy = "nothing was changed: check it with the arbot that wrote it (`arbot ledger verify`), or start anew"
    return UserError(
        Mistake(database.name, f"cannot be moved from schema {stored} to {schema.VERSION}: {words}", remedy)
    )


def _copy(path: Path, to: Path) -> None:
    """Copy an SQLite database as one moment of it, readable by its owner only; on disk when this returns."""
    draft = to.with_name(to.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(draft)) as target:
            source.backup(target)
        for place in (draft, draft.parent):
            file = os.open(place, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)
            if place == draft:
                draft.replace(to)
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            Mistake(str(to), f"the store cannot be copied before it is moved: {error}", "make room beside it")
        ) from error


# --- the steps -------------------------------------------------------------------------------------------------------


def _from_1(connection: Connection) -> None:
    """Add our own transfers, the lessons and where a transaction's coins came from: all of it is in the journal."""
    schema.METADATA.drop_all(connection, tables=schema.PROJECTIONS)
    schema.METADATA.create_all(connection, tables=schema.PROJECTIONS)
    derive(connection, connection)


def _from_2(connection: Connection) -> None:
    """Add imported history: a store of version 2 has none."""
    schema.METADATA.create_all(connection, tables=[schema.HISTORY])


STEPS: dict[int, Callable[[Connection], None]] = {1: _from_1, 2: _from_2}
