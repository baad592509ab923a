"""A backup put back, into SQLite or PostgreSQL: proved before anything is touched, and again as it will stand.

Rules of this file:
- The backup itself is only read: a copy of it is what is opened.
- What was there stays: an SQLite store is moved aside whole, one in PostgreSQL is copied into a backup first.
- A kill switch that was thrown, or that cannot be read, is thrown in what comes back: a restore never lets arbot trade.
- Either the restored store is in place and proved, or the old one is where it was.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, insert, inspect, select
from sqlalchemy.engine import make_url

from arbot.domain.errors import InvariantBroken, Mistake, UserError
from arbot.journal import queries, schema
from arbot.journal.anchor import Anchor, read_anchor, write_anchor
from arbot.journal.backup import (
    Copy,
    CopyUnsound,
    anchor_path,
    copy_rows,
    count_rows,
    demand_version,
    digest_of,
    drafted,
    fill_tables,
    prove,
    sync_folder,
    told_digest,
)
from arbot.journal.database import Database, take_lock
from arbot.journal.verify import Problem, problems_in

ACTOR = "arbot ledger restore"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was put back. `safety` is where the store that was there before is now, empty when there was none."""

    copy: Copy
    safety: str
    is_killed: bool
    has_digest: bool


def restore(backup: Path, url: str, *, may_replace: bool, ts_ns: int, stamp: str) -> Restored:
    """Put a backup in the place of the store at `url`; `stamp` names the copy of what was there.

    Raises: UserError, CopyUnsound, StoreFailed; nothing has changed then.
    """
    has_digest = _demand_digest(backup)
    path = sqlite_file(url)
    with drafted(path or backup.with_name(f"{backup.name}.restoring")) as draft:
        shutil.copyfile(backup, draft)
        copy = prove(draft, str(backup), anchor=read_anchor(anchor_path(backup)))
        if path is None:
            safety = backup.with_name(f"before-restore-{stamp}.sqlite")
            was_killed = _into_postgres(draft, url, may_replace=may_replace, safety=safety, ts_ns=ts_ns)
        else:
            safety = path.with_name(f"{path.name}.before-restore-{stamp}")
            was_killed = _into_sqlite(draft, path, may_replace=may_replace, safety=safety, ts_ns=ts_ns)
    with closing(Database(url, may_create=False)) as database, database.read() as connection:
        is_killed = queries.is_killed(connection)
    had_one = safety.exists()
    return Restored(
        copy=msgspec.structs.replace(copy, path=str(backup)),
        safety=str(safety) if had_one else "",
        is_killed=is_killed or was_killed,
        has_digest=has_digest,
    )


def sqlite_file(url: str) -> Path | None:
    """Return the file of an SQLite URL, None for another database. Raises: UserError for one in memory."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise UserError(Mistake("--ledger", "a store in memory cannot be restored into", "name a file"))
    return Path(parsed.database).absolute()


def _demand_digest(backup: Path) -> bool:
    """Check the backup against the digest beside it and return whether there is one. Raises: CopyUnsound, UserError."""
    if not backup.is_file():
        raise UserError(Mistake(str(backup), "there is no backup here", "name what `arbot ledger backup` wrote"))
    log = backup.with_name(f"{backup.name}-wal")
    if log.exists() and log.stat().st_size:  # left out, the last writes would be gone: a kill switch, perhaps
        what, todo = "holds writes that are not in the file yet: that is a store, not a backup", "arbot ledger backup"
        raise UserError(Mistake(str(log), what, f"make a backup of it with `{todo} --ledger sqlite:///{backup}`"))
    told = told_digest(backup)
    try:
        is_same = not told or told == digest_of(backup)
    except OSError as error:
        raise UserError(Mistake(str(backup), f"cannot be read: {error.strerror}", "check its permissions")) from error
    if not is_same:
        what = "its digest is not that of its .sha256: it was damaged or edited; try an older backup"
        raise CopyUnsound(str(backup), (Problem(seq=0, what=what),))
    return bool(told)


def _refuse_full(name: str) -> UserError:
    return UserError(
        Mistake(
            name, "is not empty", "add --replace: what is there is kept beside it, and the restored one takes its place"
        )
    )


# --- SQLite ----------------------------------------------------------------------------------------------------------


def _into_sqlite(draft: Path, path: Path, *, may_replace: bool, safety: Path, ts_ns: int) -> bool:
    with _only_writer(path):
        is_there, was_killed = _standing(path)
        if is_there and not may_replace:
            raise _refuse_full(str(path))
        if was_killed:
            _throw(draft, ts_ns)
        copy = prove(draft, f"what was to become {path}")
        digest_of(draft)  # on disk
        _move_aside(path, safety)
        draft.replace(path)
        write_anchor(anchor_path(path), Anchor(seq=copy.seq, hash=copy.hash, epoch=copy.epoch, ts_ns=ts_ns))
    return was_killed


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    if path.is_dir():
        raise UserError(Mistake(str(path), "is a folder, not a ledger", "name a file"))
    file, holder = take_lock(path)
    if file is None:
        raise UserError(Mistake(str(path), f"another arbot holds this store: {holder}", "stop it first"))
    try:
        yield
    finally:
        os.close(file)


def _standing(path: Path) -> tuple[bool, bool]:
    """Return whether a store with anything in it is there, and whether it may not trade; unreadable is both."""
    if not path.exists() or path.stat().st_size == 0:
        return False, False
    try:
        with closing(Database(f"sqlite:///{path}", may_create=False)) as database, database.read() as connection:
            if not inspect(connection).has_table(schema.META.name):
                return False, False
            return queries.head(connection).epoch > 0, queries.is_killed(connection)
    except (UserError, InvariantBroken, OSError):
        return True, True  # the most likely reason for a restore


def _throw(draft: Path, ts_ns: int) -> None:
    with closing(Database(f"sqlite:///{draft}", may_create=False)) as database, database.write() as connection:
        throw_in(connection, ts_ns)


def throw_in(connection: Connection, ts_ns: int) -> None:
    """Throw the kill switch in a store that is being restored."""
    row = {"ts_ns": ts_ns, "killed": True, "actor": ACTOR, "reason": "it was thrown in the store that was replaced"}
    if not queries.is_killed(connection):
        connection.execute(insert(schema.KILL_SWITCH).values(row))


def _move_aside(path: Path, safety: Path) -> None:
    """Give an old store another name, its log of writes and its anchor with it: the log must never meet the new file."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:  # damaged: its log goes along as it is
        pass
    os.link(path, safety)
    for end in ("-wal", "-shm", ".anchor"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.replace(safety.with_name(safety.name + end))
    sync_folder(path.parent)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _into_postgres(draft: Path, url: str, *, may_replace: bool, safety: Path, ts_ns: int) -> bool:
    with (
        closing(Database(url, may_create=True)) as database,
        closing(Database(f"sqlite:///{draft}", may_create=False)) as source,
    ):
        database.lock()
        was_killed = _put_by(database, safety, may_replace=may_replace)
        with source.read() as rows, database.write() as connection:
            schema.METADATA.drop_all(connection)
            schema.METADATA.create_all(connection)
            fill_tables(rows, connection)
            newest = select(func.max(schema.KILL_SWITCH.c.id)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(schema.KILL_SWITCH.name, "id")
            connection.execute(select(func.setval(sequence, func.coalesce(newest, 1), newest.is_not(None))))
            _demand_same(rows, connection, database)
            if was_killed:
                throw_in(connection, ts_ns)
    return was_killed


def _put_by(database: Database, safety: Path, *, may_replace: bool) -> bool:
    """Copy what is there into a file, and return whether it may not trade. Raises: UserError, StoreFailed."""
    with database.read() as connection:
        if not inspect(connection).has_table(schema.META.name):
            return False
    demand_version(database)
    with database.read() as connection:
        is_there, was_killed = queries.head(connection).epoch > 0, queries.is_killed(connection)
    if is_there and not may_replace:
        raise _refuse_full(database.name)
    if is_there:
        with drafted(safety) as copy:
            copy_rows(database, copy, None)
            digest_of(copy)
            copy.replace(safety)
            sync_folder(safety.parent)
    return was_killed


def _demand_same(source: Connection, target: Connection, database: Database) -> None:
    """Check what was written before it is committed. Raises: CopyUnsound."""
    problems = tuple(problems_in(database, target, None))
    wanted, got = count_rows(source), count_rows(target)
    problems += tuple(
        Problem(seq=0, what=f"table {name} has {got[name]} rows, not {wanted[name]}")
        for name in wanted
        if wanted[name] != got[name]
    )
    if problems:
        raise CopyUnsound(database.name, problems)
