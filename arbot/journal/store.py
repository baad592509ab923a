"""The durable store: commit records, give back what they add up to.

Rules of this file:
- `commit` is one transaction: the head moves (which proves that no later run has taken over), the records are chained
  to the journal, the projections follow. It returns when all of it is on disk, or raises and is never used again.
- Calls are synchronous and made from one thread: short, deterministic, and nothing interleaves.
- The kill switch is a row of its own, thrown and read without a run; what cannot be read counts as thrown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, inspect, select, update

from arbot.domain.accounting import Transaction
from arbot.domain.errors import InvariantBroken, Mistake, UserError, ensure
from arbot.domain.events import StandingRestored
from arbot.domain.ids import Asset, ClientOrderId, VenueId
from arbot.journal import queries, schema
from arbot.journal.anchor import Anchor, read_anchor, write_anchor
from arbot.journal.codec import GENESIS, encode, link
from arbot.journal.database import NO_STORE, Database
from arbot.journal.deriving import derive
from arbot.journal.migration import STEPS, migrate
from arbot.journal.projection import LineHeads, Projector
from arbot.journal.queries import Head, StoredFill, StoredPast
from arbot.journal.statements import add_rows, execute, write_rows
from arbot.journal.verify import Problem, chain_problem, edited_row, verify_store
from arbot.ports import Record, StoredOrder, StoredTransfer

EVERYTHING = 1_000_000_000
PAGE_BACK = 50  # what is looked for from the end is usually among the newest
NO_MODE = "history"  # of a run in a store that no daemon has had yet
_CACHE_FOR_BULK = "PRAGMA cache_size = -65536"  # KiB, for this connection: indexes of a million rows stay in memory
EPOCH_ZERO_NS = 1_767_225_600_000_000_000  # 2026-01-01
EPOCH_PERIOD_NS = 300_000_000_000

_MOVE_HEAD = (
    update(schema.HEAD)
    .where(schema.HEAD.c.epoch == bindparam("our_epoch"), schema.HEAD.c.hash == bindparam("our_hash"))
    .values(seq=bindparam("to_seq"), hash=bindparam("to_hash"))
)


class Access(StrEnum):
    """What a store is opened for."""

    WRITE = "write"  # the daemon: makes the store, holds the lock, begins a run
    READ = "read"  # a command beside a running daemon: looks, throws the kill switch, nothing else


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One record with its place in the journal."""

    seq: int
    epoch: int
    record: Record
    hash: str


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """One process that had this store; `ended_ns` 0 means that it is running, or went without saying so."""

    epoch: int
    run_id: str
    mode: str
    code_version: str
    config_digest: str
    started_ns: int
    ended_ns: int


def epoch_floor(now_ns: int) -> int:
    """Return the least epoch of a run that begins now: five-minute periods since 2026.

    Epochs are part of client order ids. A new store on an account that has traded before would begin again at 1 and use
    ids twice; from the calendar it cannot. Four base-36 digits last until 2041.
    """
    return max(0, (now_ns - EPOCH_ZERO_NS) // EPOCH_PERIOD_NS)


class SqlStore:
    """The Store of arbot.ports on SQLite or PostgreSQL. Open with `SqlStore.open`."""

    def __init__(self, database: Database, *, now_ns: Callable[[], int], access: Access, anchor: Path | None) -> None:
        self.database = database
        self.access = access
        self.anchor_path = anchor
        self._now_ns = now_ns
        self._epoch = 0
        self._step = 0
        self._lines_twice = 0  # imported lines whose id was there already
        self._head = Head(epoch=0, seq=0, hash=GENESIS)
        self._projector = Projector(StoredPast(database.connection))

    @classmethod
    def open(
        cls,
        url: str,
        *,
        now_ns: Callable[[], int],
        access: Access = Access.WRITE,
        anchor: Path | None = None,
    ) -> Self:
        """Open the store at `url`, made if need be (WRITE). The anchor of an SQLite store lies beside it by default.

        Raises: UserError when another process holds it, it is not there (READ), is of a version that this arbot does
        not bring to its own (READ: of any other), or is on a database that does not keep its commits.
        """
        database = Database(url, may_create=access is Access.WRITE)
        if anchor is None and database.path is not None:
            anchor = database.path.with_name(database.path.name + ".anchor")
        try:
            if access is Access.WRITE:
                database.lock()
            _prepare_tables(database, access, anchor)
            store = cls(database, now_ns=now_ns, access=access, anchor=anchor)
        except BaseException:  # raised on to whoever opens; only the lock must not outlive it
            database.close()
            raise
        return store

    def close(self) -> None:
        """Let go of the database and of the lock; this does not end the run (`end_run`)."""
        self.database.close()

    # --- runs ---------------------------------------------------------------------------------------------------------

    def begin_run(self, *, run_id: str, mode: str, code_version: str, config_digest: str) -> int:
        """Take the store over and return the new epoch, higher than every one before; earlier holders are fenced off.

        Raises: UserError when the store belongs to another mode, when its end is not where its anchor says, or when a
        row of its journal was edited.
        """
        ensure(self.access is Access.WRITE, "a run needs a store opened for writing")
        ensure(self._epoch == 0, "a run was begun already", epoch=self._epoch)
        self._demand_mode(mode)
        self._demand_sound_end()
        with self.database.write() as connection:
            self._take_over(
                connection, run_id=run_id, mode=mode, code_version=code_version, config_digest=config_digest
            )
            if _stored_mode(connection) is None:
                connection.execute(insert(schema.META).values(name="mode", value=mode))
        self.write_anchor()
        return self._epoch

    @contextmanager
    def run_at_once(self, *, run_id: str, code_version: str, config_digest: str = "") -> Iterator[Connection]:
        """Have a whole run in one transaction: it is on disk when the block has been left, or nothing of it ever was.

        Records are written with `append`; a run without any leaves no trace. The run takes the store's mode; a store
        without one keeps none, so that history can be there before the first daemon.

        Raises: UserError as `begin_run`, StoreFailed.
        """
        ensure(self.access is Access.WRITE and self._epoch == 0, "a run at once needs a store for writing, and no run")
        self._demand_sound_end()
        try:
            with self.database.write() as connection:
                if self.database.is_sqlite:
                    connection.exec_driver_sql(_CACHE_FOR_BULK)
                mode = _stored_mode(connection) or NO_MODE
                self._take_over(
                    connection, run_id=run_id, mode=mode, code_version=code_version, config_digest=config_digest
                )
                began = self._head.seq
                yield connection
                transaction = connection.get_transaction()
                if self._head.seq > began:
                    self._note_end(connection)
                elif transaction is not None:
                    transaction.rollback()
            if self._head.seq > began:
                self.write_anchor()
        finally:
            self._epoch = 0

    def _take_over(self, connection: Connection, **facts: str) -> None:
        """Write a new run with an epoch above all before it, and become it."""
        epoch = max(queries.head(connection).epoch + 1, epoch_floor(self._now_ns()))
        connection.execute(update(schema.HEAD).values(epoch=epoch))
        connection.execute(insert(schema.RUNS).values(facts | {"epoch": epoch, "started_ns": self._now_ns()}))
        self._head, self._epoch, self._step = queries.head(connection), epoch, 0
        self._projector = Projector(StoredPast(self.database.connection), queries.balances(connection))

    def end_run(self) -> None:
        """Note that the run ended in good order, and anchor the end of the chain. Raises: InvariantBroken when fenced."""
        ensure(self._epoch, "no run to end")
        with self.database.write() as connection:
            self._move_head(connection, self._head)
            self._note_end(connection)
        self.write_anchor()
        self._epoch = 0

    def _note_end(self, connection: Connection) -> None:
        ended = update(schema.RUNS).where(schema.RUNS.c.epoch == self._epoch).values(ended_ns=self._now_ns())
        connection.execute(ended)

    def write_anchor(self) -> None:
        """Write the end of the chain down outside the database: at start, at stop, every few minutes. Raises: OSError."""
        if self.anchor_path is not None:
            head = self._head
            anchor = Anchor(seq=head.seq, hash=head.hash, epoch=head.epoch, ts_ns=self._now_ns())
            write_anchor(self.anchor_path, anchor)

    def runs(self) -> tuple[StoredRun, ...]:
        """Return every run, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(select(schema.RUNS).order_by(schema.RUNS.c.epoch)).mappings().all()
        return tuple(StoredRun(**{**row, "ended_ns": row["ended_ns"] or 0}) for row in rows)

    def run_of(self, connection: Connection, epoch: int) -> StoredRun:
        """Return one run, inside a transaction that is open. Raises: sqlalchemy.exc.NoResultFound."""
        row = connection.execute(select(schema.RUNS).where(schema.RUNS.c.epoch == epoch)).mappings().one()
        return StoredRun(**{**row, "ended_ns": row["ended_ns"] or 0})

    def _demand_mode(self, mode: str) -> None:
        with self.database.read() as connection:
            stored = _stored_mode(connection)
        if stored not in (None, mode):
            raise UserError(
                Mistake(
                    self.database.name,
                    f"holds a {stored} account; this run is {mode}",
                    "give every mode a [store] url of its own: their money must never mix",
                )
            )

    def _demand_sound_end(self) -> None:
        anchor = None if self.anchor_path is None else read_anchor(self.anchor_path)
        with self.database.read() as connection:
            problem = chain_problem(connection, anchor)
            edited = edited_row(connection) if problem is None else None
        if edited is not None:
            remedy = "run `arbot ledger verify` for all of it; restore a backup, or start anew with another store"
            raise UserError(Mistake(self.database.name, str(edited), remedy))
        if problem is not None:
            raise UserError(
                Mistake(
                    self.database.name,
                    str(problem),
                    f"run `arbot ledger verify`; to go on with an older copy on purpose, move {self.anchor_path} away",
                )
            )

    # --- commit -------------------------------------------------------------------------------------------------------

    def commit(self, records: Sequence[Record]) -> None:
        """Make the records durable in one transaction. A record of this run that is already stored is passed over.

        Raises: InvariantBroken when a later run has taken over, when an event number comes twice with another body or
        out of order, or when a client order id is used twice; StoreFailed when the database refuses or fails.
        """
        ensure(self._epoch, "a commit needs a run")
        with self.database.write() as connection:
            head = self._chained(connection, records)
            if any(record.standing is not None and record.standing.killed for record in records):
                self._throw(connection, killed=True, actor="arbot", reason="decided by the engine")
        self._head = head

    def append(self, connection: Connection, records: Sequence[Record]) -> None:
        """Write records inside `run_at_once`; they are durable when it ends. Raises: InvariantBroken, StoreFailed."""
        ensure(self._epoch, "records are appended within a run")
        self._head = self._chained(connection, records)

    def append_lines(self, connection: Connection, records: Sequence[Record], heads: Sequence[LineHeads]) -> bool:
        """Write records of imported lines like `append`, and return whether the id of every line was new.

        Where one was not, the records are written all the same: whoever called gives up the run. `heads` has what was
        read of the lines of each record already. Raises: InvariantBroken, StoreFailed.
        """
        ensure(self._epoch, "records are appended within a run")
        before = self._lines_twice
        self._head = self._chained(connection, records, heads)
        return self._lines_twice == before

    def _chained(self, connection: Connection, records: Sequence[Record], heads: Sequence[LineHeads] = ()) -> Head:
        """Chain records to the journal, write what follows from them, and return where the chain ends then."""
        head = self._head
        rows: list[dict[str, Any]] = []
        for index, record in enumerate(records):
            step, body = record.envelope.seq, encode(record)
            if step <= self._step and self._is_stored(connection, rows, step, body):
                continue
            row = _journal_row(head, record, body, self._epoch)
            rows.append(row)
            head = Head(epoch=self._epoch, seq=row["seq"], hash=row["hash"])
            self._projector.absorb(head.seq, record, heads[index] if heads else None)
            self._step = step
        self._move_head(connection, head)
        write_rows(connection, schema.JOURNAL, rows)
        for table, projected in self._projector.take():
            if heads and table is schema.HISTORY:
                self._lines_twice += len(projected) - add_rows(connection, table, "id", projected)
            else:
                write_rows(connection, table, projected)
        return head

    def _is_stored(self, connection: Connection, rows: Sequence[dict[str, Any]], step: int, body: str) -> bool:
        pending = [row["body"] for row in rows if row["step"] == step]
        table = schema.JOURNAL
        query = select(table.c.body).where(table.c.epoch == self._epoch, table.c.step == step)
        stored = pending[0] if pending else connection.execute(query).scalar()
        ensure(stored == body, "an event number came twice, or out of order", step=step, newest=self._step)
        return True

    def _move_head(self, connection: Connection, to: Head) -> None:
        """Write where the chain ends now, if it ends where we left it. The row lock makes a rival wait, or us."""
        ours = {"our_epoch": self._epoch, "our_hash": self._head.hash, "to_seq": to.seq, "to_hash": to.hash}
        if execute(connection, _MOVE_HEAD, ours).rowcount != 1:
            now = queries.head(connection)
            raise InvariantBroken(
                f"fenced: this run has epoch {self._epoch} and journal number {self._head.seq}, but the store is at epoch"
                f" {now.epoch} and number {now.seq}; another arbot took over"
            )

    # --- kill switch --------------------------------------------------------------------------------------------------

    def set_killed(self, killed: bool, *, actor: str, reason: str) -> None:
        """Throw the kill switch, or take it back; on disk when this returns. Needs no run. Raises: StoreFailed."""
        with self.database.write() as connection:
            self._throw(connection, killed=killed, actor=actor, reason=reason)

    def is_killed(self) -> bool:
        """Return whether the kill switch is thrown; a switch that cannot be read counts as thrown."""
        try:
            with self.database.read() as connection:
                return queries.is_killed(connection)
        except InvariantBroken:
            return True

    def last_throw(self) -> queries.Throw | None:
        """Return who threw the kill switch last, or took it back, and why; None when nobody ever did, or it cannot be read."""
        try:
            with self.database.read() as connection:
                return queries.last_throw(connection)
        except InvariantBroken:
            return None

    def _throw(self, connection: Connection, *, killed: bool, actor: str, reason: str) -> None:
        if queries.is_killed(connection) != killed:
            throw = {"ts_ns": self._now_ns(), "killed": killed, "actor": actor, "reason": reason}
            connection.execute(insert(schema.KILL_SWITCH).values(throw))

    # --- what the records add up to -----------------------------------------------------------------------------------

    def standing(self) -> StandingRestored | None:
        """Return what outlived the last process, or None for a new store."""
        with self.database.read() as connection:
            return queries.standing(connection)

    def unsettled_orders(self) -> tuple[StoredOrder, ...]:
        """Return every order of an arb that is not yet flat, with its fills, oldest first."""
        with self.database.read(is_snapshot=True) as connection:
            return queries.unsettled_orders(connection)

    def order(self, client_order_id: ClientOrderId) -> StoredOrder | None:
        """Return one order, or None when no intent of that name was ever committed."""
        with self.database.read(is_snapshot=True) as connection:
            return queries.order(connection, client_order_id)

    def own_transfers(self, since_ns: int = 0) -> tuple[StoredTransfer, ...]:
        """Return every transfer that arbot began and that has not ended, and those begun since then, oldest first."""
        with self.database.read(is_snapshot=True) as connection:
            return queries.own_transfers(connection, since_ns)

    def balances(self, account: str) -> tuple[tuple[Asset, Decimal], ...]:
        """Return the sums of a ledger account by asset."""
        return tuple((asset, number) for name, asset, number in self.all_balances() if name == account)

    def all_balances(self) -> tuple[tuple[str, Asset, Decimal], ...]:
        """Return (account, asset, sum) of every ledger account, sorted: what a new Ledger starts from."""
        with self.database.read() as connection:
            return queries.balances(connection)

    def transaction(self, reference: str) -> Transaction | None:
        """Return a booked transaction by its reference: what a Ledger recalls old ones with."""
        with self.database.read(is_snapshot=True) as connection:
            return queries.transaction(connection, reference)

    def fill_cursor_ns(self, venue: VenueId) -> int:
        """Return the venue time of the newest fill booked for a venue, or 0."""
        with self.database.read() as connection:
            return queries.fill_cursor_ns(connection, venue)

    def trades(
        self, *, venue: VenueId | None = None, since_ns: int = 0, limit: int = EVERYTHING
    ) -> tuple[StoredFill, ...]:
        """Return the newest `limit` fills booked at or after our time `since_ns`, oldest first."""
        with self.database.read() as connection:
            return queries.fills(connection, venue=venue, since_ns=since_ns, limit=limit)

    def head(self) -> Head:
        """Return the end of the chain as it is in the database now."""
        with self.database.read() as connection:
            return queries.head(connection)

    def order_venues(self) -> dict[ClientOrderId, VenueId]:
        """Return where each order of ours was sent."""
        with self.database.read() as connection:
            return queries.order_venues(connection)

    def iter_journal(self, after: int = 0, kinds: Sequence[str] = (), epoch: int = 0) -> Iterator[JournalEntry]:
        """Yield the records behind journal number `after` in order: all, or those of some kinds of event, of one run.

        Raises: BodyRefused.
        """
        while True:
            with self.database.read() as connection:
                page = queries.journal_page(connection, after, kinds=kinds, epoch=epoch)
            for row in page:
                yield JournalEntry(seq=row.seq, epoch=row.epoch, record=row.record(), hash=row.hash)
            if not page:
                return
            after = page[-1].seq

    def iter_journal_back(self, kinds: Sequence[str], before: int = 0) -> Iterator[JournalEntry]:
        """Yield the records of some kinds of event, newest first. Raises: BodyRefused."""
        while True:
            with self.database.read() as connection:
                page = queries.journal_page_back(connection, before, PAGE_BACK, kinds)
            for row in page:
                yield JournalEntry(seq=row.seq, epoch=row.epoch, record=row.record(), hash=row.hash)
            if not page:
                return
            before = page[-1].seq

    def iter_run(self, epoch: int) -> Iterator[Record]:
        """Yield the records of one run in order, a page at a time. Raises: BodyRefused."""
        after = 0
        while True:
            with self.database.read() as connection:
                page = queries.run_page(connection, epoch, after)
            for row in page:
                yield row.record()
            if not page:
                return
            after = page[-1].step

    # --- trust --------------------------------------------------------------------------------------------------------

    def verify(self) -> tuple[Problem, ...]:
        """Check everything that can be checked without a venue and return what is wrong, each at its journal number."""
        return verify_store(self.database, self.anchor_path)

    def rebuild(self) -> int:
        """Derive every projection from the journal anew, in one transaction, and return how many records it had.

        Raises: InvariantBroken while a run is on, or when a record cannot be read.
        """
        ensure(self.access is Access.WRITE and self._epoch == 0, "projections are rebuilt between runs only")
        with self.database.write() as connection:
            for table in reversed(schema.PROJECTIONS):
                connection.execute(delete(table))
            return derive(connection, connection)


def _journal_row(head: Head, record: Record, body: str, epoch: int) -> dict[str, Any]:
    seq = head.seq + 1
    return {
        "seq": seq,
        "epoch": epoch,
        "step": record.envelope.seq,
        "ts_ns": record.envelope.ts_ns,
        "kind": type(record.envelope.event).__name__,
        "body": body,
        "prev_hash": head.hash,
        "hash": link(head.hash, seq, epoch, body),
    }


def _stored_mode(connection: Connection) -> str | None:
    return connection.execute(select(schema.META.c.value).where(schema.META.c.name == "mode")).scalar()


def _prepare_tables(database: Database, access: Access, anchor: Path | None) -> None:
    """Make the tables of a new store, or bring those of an older version to this one (WRITE). Raises: UserError."""
    with database.read() as connection:
        is_new = not inspect(connection).has_table(schema.META.name)
    if is_new and access is Access.READ:
        raise UserError(Mistake(database.name, "there is no store here", NO_STORE))
    if is_new:
        with database.write() as connection:
            schema.METADATA.create_all(connection)
            connection.execute(insert(schema.META).values(name="schema", value=str(schema.VERSION)))
            connection.execute(insert(schema.HEAD).values(id=1, epoch=0, seq=0, hash=GENESIS))
    with database.read() as connection:
        version = connection.execute(select(schema.META.c.value).where(schema.META.c.name == "schema")).scalar()
    if version == str(schema.VERSION):
        return
    stored = int(version) if version and version.isdecimal() else 0
    if stored not in STEPS:
        remedy = "use the arbot that wrote it; its `arbot ledger export` can be imported into a new ledger of this one"
    elif access is Access.READ:
        remedy = "start the daemon once, or `arbot ledger import` a file: either copies the store and brings it to this schema"
    else:
        migrate(database, stored, None if anchor is None else read_anchor(anchor))
        return
    raise UserError(
        Mistake(database.name, f"was written with schema {version}; this arbot has {schema.VERSION}", remedy)
    )
