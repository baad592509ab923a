"""Deriving all projections from a journal: for `rebuild`, for `verify`, and for stores of an older version.

Rules of this file:
- The journal is read a page at a time and never changed; the tables written to are empty before.
"""

from __future__ import annotations

from sqlalchemy import Connection

from arbot.journal import queries
from arbot.journal.projection import Projector
from arbot.journal.queries import StoredPast
from arbot.journal.statements import write_rows

_RECORDS_AT_ONCE = 100  # of imports they hold some 20,000 lines


def derive(journal: Connection, target: Connection) -> int:
    """Write the projections of a whole journal into the empty tables of `target`; return how many records it had.

    Raises: InvariantBroken when the records contradict each other, BodyRefused when one cannot be read.
    """
    projector = Projector(StoredPast(target))
    count = 0
    for row in queries.journal_rows(journal):
        projector.absorb(row.seq, row.record())
        count += 1
        if count % _RECORDS_AT_ONCE == 0:
            _write(target, projector)
    _write(target, projector)
    return count


def _write(target: Connection, projector: Projector) -> None:
    for table, rows in projector.take():
        write_rows(target, table, rows)
