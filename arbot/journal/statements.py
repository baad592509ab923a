"""Inserts and replacements, compiled once: the commit path has no time to build SQL anew for every fill."""

from __future__ import annotations

from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

from arbot.journal import schema

REPLACED = frozenset({schema.ARBS, schema.ORDERS, schema.TRANSFERS, schema.BALANCES, schema.STANDING})
"""Tables whose rows change; in all others a row comes once, and a second one is an error."""


def write_rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or replace those with the same key where the table allows it. Raises: SQLAlchemyError."""
    if not rows:
        return
    sql, names = _compiled(table, connection.dialect.name)
    if names is None:
        connection.exec_driver_sql(sql, rows)
    else:
        pick = itemgetter(*names)
        connection.exec_driver_sql(sql, [pick(row) for row in rows])


@cache
def _compiled(table: Table, backend: str) -> tuple[str, tuple[str, ...] | None]:
    """Return the statement and, where the driver takes parameters by position, the order of the columns."""
    dialect: Dialect
    if backend == "sqlite":
        statement: Any = sqlite.insert(table)
        dialect = sqlite.dialect()
    else:
        statement = postgresql.insert(table)
        dialect = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
    if table in REPLACED:
        key = list(table.primary_key.columns)
        others = [column.name for column in table.columns if column not in key]
        statement = statement.on_conflict_do_update(
            index_elements=key, set_={name: getattr(statement.excluded, name) for name in others}
        )
    compiled = statement.compile(dialect=dialect, column_keys=[column.name for column in table.columns])
    return str(compiled), tuple(compiled.positiontup) if compiled.positiontup is not None else None
