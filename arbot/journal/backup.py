"""A copy of a whole store in one SQLite file, made beside a daemon that writes, and proved before it counts as one.

A backup is three files: FILE is a store itself, FILE.sha256 its digest as `sha256sum -c` reads it, FILE.anchor how far
the journal had come. Rules of this file:
- The copy is one moment of the store: its rows are counted in the transaction that copies them, and counted again in it.
- It is made under another name, proved (chain, sums, every projection), put on disk, and only then gets its name.
- What does not prove is no backup: it is removed and everything wrong with it is told. Nothing is ever overwritten.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, func, insert, select

from arbot.domain.errors import ArbotError, Mistake, UserError
from arbot.journal import queries, schema
from arbot.journal.anchor import Anchor, read_anchor, write_anchor
from arbot.journal.database import Database, StoreFailed
from arbot.journal.verify import Problem, chain_problem, verify_store

if TYPE_CHECKING:
    from arbot.journal.store import SqlStore

ROWS_AT_ONCE = 500
CHUNK_BYTES = 1 << 20
NAME = re.compile(r"ledger-\d{8}T\d{6}Z\.sqlite")
"""Of backups that are named by their time: only these are ever rotated away."""


class CopyUnsound(ArbotError):
    """A store or a copy of one does not hold together; `problems` says where."""

    def __init__(self, what: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{what}: {'; '.join(map(str, problems))}")
        self.what = what
        self.problems = problems


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that was proved. `seq` and `hash` are where its journal ends."""

    path: str
    sha256: str
    seq: int
    hash: str
    epoch: int
    rows: dict[str, int]


def digest_path(path: Path) -> Path:
    """Return where the digest of a backup is."""
    return path.with_name(path.name + ".sha256")


def anchor_path(path: Path) -> Path:
    """Return where the anchor of a store or a backup is."""
    return path.with_name(path.name + ".anchor")


def back_up(store: SqlStore, to: Path, *, ts_ns: int) -> Copy:
    """Copy a store that may be written meanwhile to a new file. Raises: UserError, CopyUnsound, StoreFailed."""
    taken = [path for path in (to, digest_path(to), anchor_path(to)) if path.exists()]
    if taken:
        raise UserError(*(Mistake(str(path), "is there already", "name another file with --out") for path in taken))
    with drafted(to) as draft:
        anchor = None if store.anchor_path is None else read_anchor(store.anchor_path)
        rows = copy_rows(store.database, draft, anchor)
        made = prove(draft, f"the copy of {store.database.name}", rows)
        write_anchor(anchor_path(draft), Anchor(seq=made.seq, hash=made.hash, epoch=made.epoch, ts_ns=ts_ns))
        sha256 = digest_of(draft)
        _written(digest_path(draft), f"{sha256}  {to.name}\n")
        for name in (digest_path, anchor_path):
            name(draft).replace(name(to))
        draft.replace(to)
        sync_folder(to.parent)
    return msgspec.structs.replace(made, path=str(to), sha256=sha256)


def copy_rows(source: Database, draft: Path, anchor: Anchor | None) -> dict[str, int]:
    """Copy one moment of a database into the empty file `draft`; return its rows by table.

    Raises: CopyUnsound when the journal does not continue `anchor`, UserError, StoreFailed.
    """
    with source.read(is_snapshot=True) as connection:
        rows = count_rows(connection)
        problem = chain_problem(connection, anchor)
        if problem is not None:
            raise CopyUnsound(source.name, (problem,))
        try:
            if source.is_sqlite:
                with closing(sqlite3.connect(draft)) as target:
                    connection.connection.driver_connection.backup(target)  # type: ignore[union-attr]
            else:
                with closing(Database(f"sqlite:///{draft}", may_create=True)) as target_database:
                    copy_tables(connection, target_database)
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                Mistake(str(draft), f"cannot be written: {error}", "make room, or name another folder")
            ) from error
    return rows


def copy_tables(source: Connection, target: Database) -> None:
    """Make the tables of a store in `target` and fill them with the rows of `source`, in one transaction."""
    with target.write() as connection:
        schema.METADATA.create_all(connection)
        fill_tables(source, connection)


def fill_tables(source: Connection, target: Connection) -> None:
    """Insert every row of a store into empty tables, a page at a time, parents first."""
    for table in schema.METADATA.sorted_tables:
        query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS_AT_ONCE)
        for page in source.execute(query).mappings().partitions(ROWS_AT_ONCE):
            target.execute(insert(table), [dict(row) for row in page])


def count_rows(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in schema.METADATA.sorted_tables
    }


def prove(draft: Path, name: str, rows: dict[str, int] | None = None, anchor: Anchor | None = None) -> Copy:
    """Check a copy by all that `arbot ledger verify` knows, and that it has `rows`; return what it is. Faults name it `name`.

    Raises: CopyUnsound, UserError when it is no store of this version.
    """
    try:
        with closing(Database(f"sqlite:///{draft}", may_create=False)) as database:
            demand_version(database)
            with database.read() as connection:
                counted, head = count_rows(connection), queries.head(connection)
                problem = chain_problem(connection, anchor)
            problems = ((problem,) if problem is not None else ()) or verify_store(database, None)
    except UserError as error:
        raise UserError(*(mistake._replace(where=name) for mistake in error.mistakes)) from error
    except StoreFailed as error:
        raise CopyUnsound(name, (Problem(seq=0, what=str(error).replace(str(draft), "it")),)) from error
    short = [name for name in counted if rows is not None and counted[name] != rows[name]]
    problems += tuple(
        Problem(seq=0, what=f"table {name} has {counted[name]} rows, not {(rows or {})[name]}") for name in short
    )
    if problems:
        raise CopyUnsound(name, problems)
    return Copy(path=str(draft), sha256="", seq=head.seq, hash=head.hash, epoch=head.epoch, rows=counted)


def demand_version(database: Database) -> None:
    """Refuse tables of another version. Raises: UserError."""
    with database.read() as connection:
        version = connection.execute(select(schema.META.c.value).where(schema.META.c.name == "schema")).scalar()
    if version != str(schema.VERSION):
        remedy = "use the arbot that wrote it"
        raise UserError(Mistake(database.name, f"has schema {version}; this arbot has {schema.VERSION}", remedy))


# --- folders of backups ----------------------------------------------------------------------------------------------


def kept(folder: Path) -> list[Path]:
    """Return the backups in a folder that are named by their time, oldest first."""
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))


def demand_same_journal(store: SqlStore, folder: Path) -> None:
    """Refuse to rotate backups of another journal away. Raises: CopyUnsound."""
    newest = next(reversed(kept(folder)), None)
    anchor = None if newest is None else read_anchor(anchor_path(newest))
    with store.database.read(is_snapshot=True) as connection:
        problem = chain_problem(connection, anchor)
    if newest is not None and problem is not None:
        told = Problem(seq=problem.seq, what=f"{problem.what}; give every ledger a folder of its own")
        raise CopyUnsound(f"the journal does not continue {newest}", (told,))


def rotate(folder: Path, keep: int) -> list[Path]:
    """Remove all backups named by their time but the newest `keep`, and return them."""
    gone = kept(folder)[:-keep]
    for path in gone:
        for part in (path, digest_path(path), anchor_path(path)):
            part.unlink(missing_ok=True)
    return gone


# --- files -----------------------------------------------------------------------------------------------------------


_BESIDE = ("-journal", "-wal", "-shm", ".anchor", ".sha256")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def drafted(to: Path) -> Iterator[Path]:
    """Yield an empty private file beside `to`, on disk and gone when the block is left. Raises: UserError."""
    draft = to.with_name(to.name + ".new")
    parts = [draft, *(draft.with_name(draft.name + end) for end in _BESIDE)]
    try:
        for part in parts:
            part.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise UserError(
            Mistake(str(to), f"cannot be written: {error.strerror}", "name a folder you can write to")
        ) from error
    try:
        yield draft
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        told = f"cannot be written: {error.strerror}"
        raise UserError(Mistake(str(to), told, "make room, or name another folder; nothing was changed")) from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, and have the file on disk."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest()


def told_digest(path: Path) -> str:
    """Return the digest that lies beside a backup, or nothing when there is none."""
    try:
        return digest_path(path).read_text(encoding="ascii").split()[0]
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, IndexError) as error:
        raise UserError(Mistake(str(digest_path(path)), "cannot be read", "restore it, or move it away")) from error


def sync_folder(folder: Path) -> None:
    """Have the names of a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(path: Path, text: str) -> None:
    with path.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
