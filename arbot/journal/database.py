"""One connection to SQLite or PostgreSQL that keeps its word: a commit that returned is on disk.

Rules of this file:
- Settings that make commits durable are set or demanded, then read back; a database that will not have them is refused.
- One process writes: an exclusive lock on a file beside an SQLite database, a session's advisory lock in PostgreSQL.
- After any failed write the connection is spent: no second try, because a failed fsync may have dropped the pages.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from arbot.domain.errors import InvariantBroken, Mistake, UserError

NO_STORE = "start arbot once (`arbot demo`), or name a config that has one: -c FILE"
BUSY_TIMEOUT_MS = 2_000
"""How long another program may hold the SQLite file (a backup, `arbot kill`) before a write counts as failed."""


class StoreFailed(InvariantBroken):
    """The database did not make something durable, or cannot be read. Stop; open, verify and reconcile anew."""


class Database:
    """A connection, its way of starting transactions, and the lock on being the only writer."""

    def __init__(self, url: str, *, may_create: bool) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = _sqlite_path(self.url) if self.is_sqlite else None
        self.name = str(self.path) if self.path else self.url.render_as_string(hide_password=True)
        self.is_spent = False
        self._begin = "BEGIN"
        self._lock_file: int | None = None
        if self.path is not None:
            _prepare_file(self.path, may_create=may_create)
        self.engine: Engine = self._sqlite_engine() if self.is_sqlite else _postgres_engine(self.url)
        self.connection: Connection = self._connect()

    def close(self) -> None:
        """Give up the connection and the lock."""
        self.connection.close()
        self.engine.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    @contextmanager
    def read(self, *, is_snapshot: bool = False) -> Iterator[Connection]:
        """Run a reading transaction; with `is_snapshot` all its statements see one moment. Raises: StoreFailed."""
        self._begin = "BEGIN"
        try:
            with self.connection.begin():
                if is_snapshot and not self.is_sqlite:
                    self.connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
                yield self.connection
        except SQLAlchemyError as error:
            raise StoreFailed(f"cannot read {self.name}: {_cause(error)}") from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run a writing transaction: on disk when the block has been left. Raises: StoreFailed, now and ever after."""
        if self.is_spent:
            raise StoreFailed(f"{self.name} failed before; nothing is written to it any more")
        self._begin = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
        try:
            with self.connection.begin():
                yield self.connection
        except SQLAlchemyError as error:
            self.is_spent = True
            raise StoreFailed(f"cannot write {self.name}: {_cause(error)}") from error
        except BaseException:
            self.is_spent = True  # rolled back, but whoever prepared the write has moved on in memory
            raise

    def lock(self) -> None:
        """Become the only writer. Raises: UserError naming who is."""
        holder = self._lock_sqlite() if self.is_sqlite else self._lock_postgres()
        if holder:
            raise UserError(
                Mistake(
                    self.name,
                    f"another arbot holds this store: {holder}",
                    "stop that one first, or give this one a [store] url of its own",
                )
            )

    def integrity(self, connection: Connection) -> list[str]:
        """Return what the database itself finds wrong with its pages; PostgreSQL checks them as they are read."""
        if not self.is_sqlite:
            return []
        found = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(20)"))]
        return [] if found == ["ok"] else found

    # --- SQLite -------------------------------------------------------------------------------------------------------

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(self.url, poolclass=StaticPool, connect_args={"isolation_level": None})
        # The driver is kept from starting transactions by itself; SQLAlchemy's begin is turned into ours.
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(self._begin))
        return engine

    def _connect(self) -> Connection:
        try:
            connection = self.engine.connect()
            if not self.is_sqlite:
                _demand_durable_postgres(connection)
        except SQLAlchemyError as error:
            raise UserError(
                Mistake(
                    self.name, f"cannot be opened: {_cause(error)}", "check --ledger or the [store] url, and the server"
                )
            ) from error
        return connection

    def _lock_sqlite(self) -> str:
        if self.path is None:
            return ""  # in memory: nobody else can reach it
        self._lock_file, holder = take_lock(self.path)
        return holder

    # --- PostgreSQL ---------------------------------------------------------------------------------------------------

    def _lock_postgres(self) -> str:
        with self.read() as connection:
            place = connection.execute(text("SELECT current_schema()")).scalar_one()
            key = int.from_bytes(hashlib.sha256(f"arbot store {place}".encode()).digest()[:8], signed=True)
            if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one():
                return ""
            halves = {"high": (key >> 32) & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}
            row = connection.execute(text(_HOLDER), halves).first()
        return f"{row[0]}, server process {row[1]}" if row else "a session that has just ended; try again"


_HOLDER = """
SELECT a.application_name, a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.classid::bigint = :high AND l.objid::bigint = :low
"""


def take_lock(path: Path) -> tuple[int | None, str]:
    """Lock the file beside an SQLite database until the descriptor that is returned is closed, or say who has it."""
    file = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 200, 0).decode(errors="replace").strip()
        os.close(file)
        return None, holder or "not yet named"
    os.ftruncate(file, 0)
    os.pwrite(file, f"{_self()}\n".encode(), 0)
    return file, ""


def _self() -> str:
    return f"arbot pid {os.getpid()} on {socket.gethostname()}"


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UserError(Mistake("[store] url", "is not a database URL", f"write one of {_URLS}")) from error
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise UserError(Mistake("[store] url", f"{parsed.drivername!r} is not supported", f"write one of {_URLS}"))
    return parsed


TABLES_SHOWN = 3
_URLS = "sqlite:///state/arbot.db, postgresql+psycopg://user@host/database"


def _sqlite_path(url: URL) -> Path | None:
    return None if url.database in (None, "", ":memory:") else Path(url.database).absolute()


def _prepare_file(path: Path, *, may_create: bool) -> None:
    """Make sure that the file is there, readable by its owner only when new, and nobody else's. Raises: UserError."""
    if _is_there(path):
        _demand_ours(path)
        return
    if not may_create:
        raise UserError(Mistake(str(path), "there is no store here", NO_STORE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise UserError(
            Mistake(str(path), f"cannot be created: {error.strerror}", "check the folder and its permissions")
        ) from error


def _is_there(path: Path) -> bool:
    """Return whether there is something. Raises: UserError when we may not know."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        todo = "give the command as the user that arbot runs as, or check the path"
        raise UserError(Mistake(str(path), f"cannot be looked at: {error.strerror}", todo)) from error
    return True


def account_in(path: Path) -> str:
    """Return what lies in an SQLite store of any version: a mode ("live", "paper", "demo"), "history", or "" for nothing.

    Raises: UserError when it is no store, or cannot be read.
    """
    _demand_ours(path)
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
                return ""
            mode = connection.execute("SELECT value FROM meta WHERE name = 'mode'").fetchone()
            if mode is not None:
                return str(mode[0])
            return "history" if connection.execute("SELECT 1 FROM journal LIMIT 1").fetchone() else ""
    except sqlite3.Error as error:
        raise UserError(Mistake(str(path), f"cannot be read: {error}", "name another [run] state_dir")) from error


def _demand_ours(path: Path) -> None:
    """Raise UserError when a file is something else than a store: nothing is ever written into it."""
    remedy = "name a ledger of arbot, or a file that does not exist yet, with --ledger or in [store] url"
    if path.is_dir():
        raise UserError(Mistake(str(path), "is a folder, not a ledger", remedy))
    tables = _tables_of(path, remedy)
    if tables and not {"journal", "meta"} <= set(tables):
        shown = ", ".join(tables[:TABLES_SHOWN])
        raise UserError(Mistake(str(path), f"is no ledger, but a database of something else (tables {shown})", remedy))


def _tables_of(path: Path, remedy: str) -> list[str]:
    """Return the names of a database's tables without changing a byte of it; none when it cannot be told like this.

    Only SQLite itself opens the file: closing it by other means would drop the locks that this process has on it.
    Raises: UserError when the file is no database.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    except sqlite3.OperationalError:  # busy or closed to us: the opening that follows says so
        return []
    except sqlite3.DatabaseError as error:
        raise UserError(Mistake(str(path), f"is no ledger: {error}", remedy)) from error
    return [str(name) for (name,) in rows]


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    """Make commits durable and check that SQLite agreed. Raises: UserError."""
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    if mode not in ("wal", "memory") or connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
        raise UserError(
            Mistake("[store] url", f"the file system does not allow WAL (journal_mode={mode})", "use a local disk")
        )


def _postgres_engine(url: URL) -> Engine:
    return create_engine(url, poolclass=StaticPool, connect_args={"application_name": _self()})


def _demand_durable_postgres(connection: Connection) -> None:
    """Refuse a server that acknowledges commits it has not written. Raises: UserError."""
    with connection.begin():
        values = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in ("synchronous_commit", "fsync")
        }
    mistakes = [
        Mistake(
            f"PostgreSQL {name}",
            "is off: a commit that was acknowledged can be lost",
            f"set {name} = on for this role, database or server",
        )
        for name, value in values.items()
        if value == "off"
    ]
    if mistakes:
        raise UserError(*mistakes)


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
