"""Imported history in the store: what is known by id, and every line in order, a page at a time.

Rules of this file:
- Lines are read in the order (ts_ns, seq, line): by instant, and within one by their place in the journal.
- Reading is paged by key, so a million lines need no more memory than a page and other work may go on between pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from sqlalchemy import Connection, and_, bindparam, func, select, tuple_

from arbot.journal import queries
from arbot.journal.schema import HISTORY
from arbot.journal.store import SqlStore

PAGE = 2_000
_ALLOCATES = '%"allocation": "%'


class StoredLine(NamedTuple):
    """A line as stored: instant, journal number of its event, place in the event, canonical text."""

    ts_ns: int
    seq: int
    line: int
    body: str


class Known(NamedTuple):
    """Where an id is booked, and what stands there."""

    seq: int
    line: int
    body: str


_COLUMNS = (HISTORY.c.ts_ns, HISTORY.c.seq, HISTORY.c.line, HISTORY.c.body)
_ORDER = (HISTORY.c.ts_ns, HISTORY.c.seq, HISTORY.c.line)
_KNOWN = select(HISTORY.c.id, HISTORY.c.seq, HISTORY.c.line, HISTORY.c.body).where(
    HISTORY.c.id.in_(bindparam("ids", expanding=True))
)
_NEXT = (
    select(*_COLUMNS)
    .where(tuple_(*_ORDER) > tuple_(bindparam("ts_ns"), bindparam("seq"), bindparam("line")))
    .order_by(*_ORDER)
    .limit(PAGE)
)


def known_lines(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    """Return what is booked under those of these ids (some hundreds) that are imported already."""
    rows = connection.execute(_KNOWN, {"ids": ids})
    return {row[0]: Known(row[1], row[2], row[3]) for row in rows}


def has_history(connection: Connection) -> bool:
    """Return whether any line was imported."""
    return connection.execute(select(HISTORY.c.seq).limit(1)).first() is not None


def history_lines(store: SqlStore) -> Iterator[StoredLine]:
    """Yield every imported line in order. Raises: StoreFailed."""
    for page in history_pages(store):
        yield from map(StoredLine._make, page)


def history_pages(store: SqlStore) -> Iterator[Sequence[tuple[int, int, int, str]]]:
    """Yield the fields of every imported line in order, a page at a time. Raises: StoreFailed.

    Rows are the driver's own: none of these columns needs a conversion, and SQLAlchemy's rows cost as much as the reading.
    """
    at = (-(1 << 62), 0, 0)
    while True:
        with store.database.read() as connection:
            found = connection.execute(_NEXT, dict(zip(("ts_ns", "seq", "line"), at, strict=True)))
            page = cast("Sequence[tuple[int, int, int, str]]", found.cursor.fetchall() if found.cursor else ())
            found.close()
        yield page
        if len(page) < PAGE:
            return
        at = page[-1][:3]


def history_count(store: SqlStore) -> int:
    """Return how many lines were imported, over all files."""
    with store.database.read() as connection:
        return connection.execute(select(func.count()).select_from(HISTORY)).scalar_one()


def allocation_lines(store: SqlStore) -> Iterator[tuple[str, int]]:
    """Yield the text of every imported opening that an allocation made, and when it was imported (ns). Raises: StoreFailed.

    No index finds them: ask only where the answer matters.
    """
    wanted = and_(HISTORY.c.kind == "opening", HISTORY.c.body.like(_ALLOCATES))
    imported_ns: dict[int, int] = {}
    with store.database.read() as connection:
        for seq, body in connection.execute(
            select(HISTORY.c.seq, HISTORY.c.body).where(wanted).order_by(*_ORDER)
        ).all():
            if seq not in imported_ns:
                (entry,) = queries.journal_page(connection, seq - 1, limit=1)
                imported_ns[seq] = entry.record().envelope.ts_ns
            yield body, imported_ns[seq]
