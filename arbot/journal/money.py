"""The records of a journal that say something of money: what history, evidence and balances are read from.

Rules of this file:
- Snapshots are polled all day and nearly all say what is known: of each venue the first and the newest are read, and those
  of records that priced something. All of them are read only to find where a difference began.
- A page is one short transaction, so a running daemon is not held up.
- Bodies are read without the proof that nothing in them would be lost: that is for `arbot ledger verify`.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select

from arbot.domain.accounting import TransactionKind
from arbot.domain.events import (
    AccountSnapshotReceived,
    AdjustmentRecorded,
    LotOrderRecorded,
    LotsPicked,
    OrderFilled,
    TransferReported,
    TransferRestored,
)
from arbot.domain.order import OrderIntent
from arbot.journal.codec import BodyRefused, decode
from arbot.journal.queries import PAGE
from arbot.journal.schema import FILLS, HISTORY, JOURNAL, META, ORDERS, TRANSACTIONS, TRANSFERS
from arbot.journal.store import JournalEntry, SqlStore
from arbot.ports import Record

KINDS: Final = tuple(
    kind.__name__
    for kind in (AdjustmentRecorded, LotOrderRecorded, LotsPicked, OrderFilled, TransferReported, TransferRestored)
)
SNAPSHOT: Final = AccountSnapshotReceived.__name__
_PRICED: Final = '%"Valued"%'
_WITH_METHOD: Final = '%"lot_method":%'
_COLUMNS: Final = (JOURNAL.c.seq, JOURNAL.c.epoch, JOURNAL.c.body, JOURNAL.c.hash)
_read: Final = msgspec.json.Decoder(Record).decode


def money_entries(store: SqlStore, *, has_all_snapshots: bool = False) -> Iterator[JournalEntry]:
    """Yield the records of money in the order of the journal. Raises: BodyRefused, StoreFailed."""
    kind, body = JOURNAL.c.kind, JOURNAL.c.body
    if has_all_snapshots:
        yield from _entries(store, kind.in_((*KINDS, SNAPSHOT)))
        return
    numbers = set(opening_numbers(store).values())
    numbers |= {number for venue in opening_numbers(store) for number in _newest(store, venue)}
    told = and_(kind == SNAPSHOT, or_(body.like(_PRICED), JOURNAL.c.seq.in_(sorted(numbers))))
    yield from merge(_entries(store, kind.in_(KINDS)), _entries(store, told), key=lambda entry: entry.seq)


def opening_numbers(store: SqlStore) -> dict[str, int]:
    """Return at which journal number each venue's first snapshot was booked, by venue."""
    columns = (TRANSACTIONS.c.reference, TRANSACTIONS.c.seq)
    query = select(*columns).where(TRANSACTIONS.c.kind == TransactionKind.OPENING.value).order_by(TRANSACTIONS.c.seq)
    with store.database.read() as connection:
        return {row.reference.partition("|")[2]: row.seq for row in connection.execute(query)}


def stored_mode(store: SqlStore) -> str:
    """Return what kind of account is in the store ("live", "paper", "demo"), "" before the first run."""
    with store.database.read() as connection:
        return connection.execute(select(META.c.value).where(META.c.name == "mode")).scalar() or ""


def _newest(store: SqlStore, venue: str) -> list[int]:
    """Return the number of the newest snapshot of a venue; looked for by its text, from the end."""
    at = and_(JOURNAL.c.kind == SNAPSHOT, JOURNAL.c.body.like(f'%"venue":"{venue}"%'))
    with store.database.read() as connection:
        query = select(JOURNAL.c.seq).where(at).order_by(JOURNAL.c.seq.desc()).limit(1)
        return list(connection.execute(query).scalars())


def _entries(store: SqlStore, wanted: ColumnElement[bool]) -> Iterator[JournalEntry]:
    after = 0
    while True:
        query = select(*_COLUMNS).where(JOURNAL.c.seq > after, wanted).order_by(JOURNAL.c.seq).limit(PAGE)
        with store.database.read() as connection:
            page = connection.execute(query).all()
        for row in page:
            try:
                record = _read(row.body)
            except msgspec.DecodeError as error:
                raise BodyRefused(f"journal {row.seq} cannot be read: {error}") from error
            yield JournalEntry(seq=row.seq, epoch=row.epoch, record=record, hash=row.hash)
        if len(page) < PAGE:
            return
        after = page[-1].seq


def lot_methods(store: SqlStore) -> dict[str, tuple[str, int]]:
    """Return what our orders said of the units they give up, by client order id: the method, and when it was decided (ns)."""
    said = select(ORDERS.c.intent).where(ORDERS.c.intent.like(_WITH_METHOD))
    with store.database.read() as connection:
        intents = [decode(body, OrderIntent) for body in connection.execute(said).scalars()]
    return {one.client_order_id: (one.lot_method, one.decided_ts_ns) for one in intents}


def is_told(store: SqlStore, disposal: str) -> bool:
    """Return whether a disposal is in the books: by the id of its line, of its order, or of its movement."""
    venue, _, name = disposal.partition(":")
    movement = name.partition(":")[2] or name
    wanted = (
        select(FILLS.c.seq).where(
            or_(FILLS.c.client_order_id == disposal, and_(FILLS.c.venue == venue, FILLS.c.trade_id == name))
        ),
        select(HISTORY.c.seq).where(HISTORY.c.id == disposal),
        select(TRANSFERS.c.seq).where(TRANSFERS.c.venue == venue, TRANSFERS.c.transfer_id == movement),
    )
    with store.database.read() as connection:
        return any(connection.execute(query.limit(1)).first() is not None for query in wanted)
