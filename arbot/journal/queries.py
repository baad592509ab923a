"""Reading the tables: plain functions of a connection, inside whatever transaction the caller has begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, func, or_, select

from arbot.domain.accounting import Posting, Transaction, TransactionKind
from arbot.domain.decisions import ArbState, TransferMoved
from arbot.domain.events import StandingRestored
from arbot.domain.ids import ArbId, Asset, ClientOrderId, VenueId, VenueOrderId
from arbot.domain.order import Fill, OrderIntent, OrderState, Purpose
from arbot.domain.transfer import TransferIntent
from arbot.journal.codec import decode
from arbot.journal.projection import LESSON_TYPES, FillKey, OrderRow, fill_key
from arbot.journal.schema import (
    ARBS,
    BALANCES,
    FILLS,
    HEAD,
    JOURNAL,
    KILL_SWITCH,
    LESSONS,
    ORDERS,
    OWN_TRANSFER_NEWS,
    OWN_TRANSFERS,
    POSTINGS,
    STANDING,
    TRANSACTIONS,
)
from arbot.journal.statements import execute
from arbot.ports import Record, StoredNews, StoredOrder, StoredTransfer

PAGE = 1_000
"""Journal rows read at a time."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the chain: the newest run's epoch, the last journal number, its hash."""

    epoch: int
    seq: int
    hash: str


class Throw(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch thrown or taken back: when, by whom, and why."""

    ts_ns: int
    killed: bool
    actor: str
    reason: str


class JournalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the journal as stored, before anything in it is believed."""

    seq: int
    epoch: int
    step: int
    ts_ns: int
    kind: str
    body: str
    prev_hash: str
    hash: str

    def record(self) -> Record:
        """Return what the body says. Raises: BodyRefused."""
        return decode(self.body, Record)


class StoredFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill with its place in the journal and, unless the order is not ours, what it was for."""

    seq: int
    ts_ns: int
    arb_id: ArbId | None
    purpose: Purpose | None
    fill: Fill


def head(connection: Connection) -> Head:
    """Return the end of the chain."""
    row = connection.execute(select(HEAD.c.epoch, HEAD.c.seq, HEAD.c.hash)).one()
    return Head(epoch=row.epoch, seq=row.seq, hash=row.hash)


def journal_rows(connection: Connection, after: int = 0) -> Iterator[JournalRow]:
    """Yield the journal behind number `after`, a page at a time."""
    while page := journal_page(connection, after):
        yield from page
        after = page[-1].seq


def journal_page(
    connection: Connection, after: int, limit: int = PAGE, kinds: Sequence[str] = (), epoch: int = 0
) -> list[JournalRow]:
    """Return at most `limit` rows behind number `after`: of these kinds of event, of that run (empty and 0: of all)."""
    query = select(JOURNAL).where(JOURNAL.c.seq > after)
    if kinds:
        query = query.where(JOURNAL.c.kind.in_(kinds))
    if epoch:
        query = query.where(JOURNAL.c.epoch == epoch)
    rows = connection.execute(query.order_by(JOURNAL.c.seq).limit(limit))
    return [JournalRow(**row) for row in rows.mappings()]


def journal_page_back(connection: Connection, before: int, limit: int, kinds: Sequence[str]) -> list[JournalRow]:
    """Return at most `limit` rows of these kinds of event before number `before` (0: from the end), newest first."""
    query = select(JOURNAL).where(JOURNAL.c.kind.in_(kinds))
    if before:
        query = query.where(JOURNAL.c.seq < before)
    rows = connection.execute(query.order_by(JOURNAL.c.seq.desc()).limit(limit))
    return [JournalRow(**row) for row in rows.mappings()]


def run_page(connection: Connection, epoch: int, after: int, limit: int = PAGE) -> list[JournalRow]:
    """Return at most `limit` rows of one run behind its step `after`."""
    ours = (JOURNAL.c.epoch == epoch, JOURNAL.c.step > after)
    query = select(JOURNAL).where(*ours).order_by(JOURNAL.c.step).limit(limit)
    return [JournalRow(**row) for row in connection.execute(query).mappings()]


def is_killed(connection: Connection) -> bool:
    """Return how the kill switch was thrown last."""
    newest = select(KILL_SWITCH.c.killed).order_by(KILL_SWITCH.c.id.desc()).limit(1)
    return bool(connection.execute(newest).scalar())


def last_throw(connection: Connection) -> Throw | None:
    """Return who threw the switch last, or took it back; None when nobody ever did."""
    told = (getattr(KILL_SWITCH.c, name) for name in Throw.__struct_fields__)
    row = connection.execute(select(*told).order_by(KILL_SWITCH.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else Throw(**row)


def standing(connection: Connection) -> StandingRestored | None:
    """Return the newest standing with the kill switch as it is now; None for a store where neither was ever written.

    A switch released while no daemon ran leaves trading paused, as one released through the daemon does.
    """
    body, killed = connection.execute(select(STANDING.c.body)).scalar(), is_killed(connection)
    if body is not None:
        last = decode(body, StandingRestored)
        return msgspec.structs.replace(
            last,
            killed=killed,
            paused=last.paused or (last.killed and not killed),
            evidence=_lessons(connection, "leg"),
            delays=_lessons(connection, "delay"),
            network_fees=_lessons(connection, "fee"),
        )
    return msgspec.structs.replace(_NO_STANDING, killed=True) if killed else None


def _lessons(connection: Connection, kind: str) -> tuple[Any, ...]:
    """Return the newest lessons of a kind by name."""
    bodies = connection.execute(select(LESSONS.c.body).where(LESSONS.c.kind == kind).order_by(LESSONS.c.name)).scalars()
    return tuple(decode(body, LESSON_TYPES[kind]) for body in bodies)


_NO_STANDING = StandingRestored(
    killed=False,
    paused=False,
    latched=(),
    day="",
    realised_day=Decimal(0),
    realised_total=Decimal(0),
    realised_peak=Decimal(0),
)


def balances(connection: Connection) -> tuple[tuple[str, Asset, Decimal], ...]:
    """Return (account, asset, sum) of every account, sorted by name, zeros included."""
    rows = [(row.account, Asset(row.asset), Decimal(row.number)) for row in connection.execute(select(BALANCES))]
    return tuple(sorted(rows))


def transaction(connection: Connection, reference: str) -> Transaction | None:
    """Return a transaction by what it books, or None."""
    found = execute(connection, _TRANSACTION, {"reference": reference}).first()
    if found is None:
        return None
    postings = connection.execute(select(POSTINGS).where(POSTINGS.c.reference == reference).order_by(POSTINGS.c.line))
    return Transaction(
        seq=found.step,
        ts_ns=found.ts_ns,
        kind=TransactionKind(found.kind),
        reference=reference,
        origin=found.origin,
        postings=tuple(Posting(row.account, Asset(row.asset), Decimal(row.number)) for row in postings),
    )


_TRANSACTION = select(TRANSACTIONS).where(TRANSACTIONS.c.reference == bindparam("reference"))


def own_transfers(connection: Connection, since_ns: int) -> tuple[StoredTransfer, ...]:
    """Return every transfer that arbot began and that has not ended, and those begun since then, oldest first."""
    rows = connection.execute(select(OWN_TRANSFERS).order_by(OWN_TRANSFERS.c.seq)).all()
    found = (
        StoredTransfer(intent=decode(row.intent, TransferIntent), life=transfer_life(connection, row.transfer))
        for row in rows
    )
    return tuple(
        one for one in found if one.intent.requested_ts_ns >= since_ns or not one.life[-1].news.after.is_terminal
    )


def transfer_life(connection: Connection, transfer: str) -> tuple[StoredNews, ...]:
    """Return what became known of one transfer, oldest first."""
    table = OWN_TRANSFER_NEWS
    query = select(table.c.ts_ns, table.c.body).where(table.c.transfer == transfer).order_by(table.c.seq, table.c.line)
    return tuple(StoredNews(row.ts_ns, decode(row.body, TransferMoved)) for row in connection.execute(query))


def order(connection: Connection, client_order_id: ClientOrderId) -> StoredOrder | None:
    """Return one order with its fills, or None."""
    found = _orders(connection, select(ORDERS).where(ORDERS.c.client_order_id == client_order_id))
    return found[0] if found else None


def order_venues(connection: Connection) -> dict[ClientOrderId, VenueId]:
    """Return where each order of ours was sent."""
    rows = connection.execute(select(ORDERS.c.client_order_id, ORDERS.c.venue))
    return {ClientOrderId(row.client_order_id): VenueId(row.venue) for row in rows}


def unsettled_orders(connection: Connection) -> tuple[StoredOrder, ...]:
    """Return all orders of every arb that is not known to be flat, oldest first."""
    query = (
        select(ORDERS)
        .outerjoin(ARBS, ARBS.c.arb_id == ORDERS.c.arb_id)
        .where(or_(ARBS.c.state.is_(None), ARBS.c.state != ArbState.FLAT.value))
        .order_by(ORDERS.c.seq, ORDERS.c.line)
    )
    return _orders(connection, query)


def _orders(connection: Connection, query: Select[tuple[object, ...]]) -> tuple[StoredOrder, ...]:
    return tuple(
        StoredOrder(
            intent=decode(row.intent, OrderIntent),
            state=OrderState(row.state),
            venue_order_id=row.venue_order_id,
            fills=_fills_of(connection, row.client_order_id),
        )
        for row in connection.execute(query).all()
    )


def _fills_of(connection: Connection, client_order_id: str) -> tuple[Fill, ...]:
    bodies = execute(connection, _FILLS_OF, {"name": client_order_id}).scalars()
    return tuple(decode(body, Fill) for body in bodies)


def fills(connection: Connection, *, venue: VenueId | None, since_ns: int, limit: int) -> tuple[StoredFill, ...]:
    """Return the newest `limit` fills booked at or after our time `since_ns`, oldest first."""
    query = (
        select(FILLS.c.seq, FILLS.c.ts_ns, FILLS.c.body, ORDERS.c.intent)
        .outerjoin(ORDERS, ORDERS.c.client_order_id == FILLS.c.client_order_id)
        .where(FILLS.c.ts_ns >= since_ns, *(() if venue is None else (FILLS.c.venue == venue,)))
        .order_by(FILLS.c.seq.desc())
        .limit(limit)
    )
    found = []
    for row in connection.execute(query):
        intent = None if row.intent is None else decode(row.intent, OrderIntent)
        found.append(
            StoredFill(
                seq=row.seq,
                ts_ns=row.ts_ns,
                arb_id=None if intent is None else intent.arb_id,
                purpose=None if intent is None else intent.purpose,
                fill=decode(row.body, Fill),
            )
        )
    return tuple(reversed(found))


def fill_cursor_ns(connection: Connection, venue: VenueId) -> int:
    """Return the venue time of the newest fill of a venue, or 0."""
    return connection.execute(select(func.max(FILLS.c.venue_ts_ns)).where(FILLS.c.venue == venue)).scalar() or 0


_ORDER = select(ORDERS).where(ORDERS.c.client_order_id == bindparam("name"))
_FILLS_OF = select(FILLS.c.body).where(FILLS.c.client_order_id == bindparam("name")).order_by(FILLS.c.seq)
_FILL = select(FILLS.c.seq).where(
    FILLS.c.venue == bindparam("venue"),
    FILLS.c.venue_order_id == bindparam("venue_order_id"),
    FILLS.c.trade_id == bindparam("trade_id"),
    FILLS.c.is_reversal == bindparam("is_reversal"),
)


class StoredPast:
    """The Past of a Projector: what is in the tables that this connection sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def order_row(self, client_order_id: ClientOrderId) -> OrderRow | None:
        """Return a projected order with the identities of its fills, or None."""
        row = execute(self._connection, _ORDER, {"name": client_order_id}).first()
        if row is None:
            return None
        return OrderRow(
            intent=decode(row.intent, OrderIntent),
            seq=row.seq,
            line=row.line,
            state=OrderState(row.state),
            venue_order_id=None if row.venue_order_id is None else VenueOrderId(row.venue_order_id),
            filled_qty=Decimal(row.filled_qty),
            end_state=None if row.end_state is None else OrderState(row.end_state),
            end_qty=Decimal(row.end_qty or 0),
            fills={fill_key(fill) for fill in _fills_of(self._connection, client_order_id)},
        )

    def has_fill(self, key: FillKey) -> bool:
        """Return whether a fill of that identity is stored."""
        return execute(self._connection, _FILL, key._asdict()).first() is not None
