"""Statements of the commit path, compiled once: there is no time to build SQL anew for every fill.

They are written in SQLAlchemy Core like all others and handed to the driver as the text they compile to. Rows come back
as the driver gives them: used here only for text and whole numbers, which need no conversion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ClauseElement, Connection, CursorResult, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

from arbot.journal import schema

REPLACED = frozenset({schema.ARBS, schema.ORDERS, schema.TRANSFERS, schema.BALANCES, schema.STANDING, schema.LESSONS})
"""Tables whose rows change; in all others a row comes once, and a second one is an error."""

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def write_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those with the same key where the table allows it. Raises: SQLAlchemyError."""
    if rows:
        backend = connection.dialect.name
        _run(connection, _write(table, backend), rows)


def execute(connection: Connection, statement: ClauseElement, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Run a module-level statement with its bind parameters. Raises: SQLAlchemyError."""
    return _run(connection, statement, [values])


def _run(connection: Connection, statement: ClauseElement, rows: Sequence[Mapping[str, Any]]) -> CursorResult[Any]:
    sql, names = _compiled(statement, connection.dialect.name)
    if names is None:
        given: Any = rows[0] if len(rows) == 1 else rows
    else:
        picked = list(map(itemgetter(*names), rows)) if len(names) > 1 else [(row[names[0]],) for row in rows]
        given = picked[0] if len(rows) == 1 else picked
    return connection.exec_driver_sql(sql, given)


@cache
def _write(table: Table, backend: str) -> ClauseElement:
    statement: ClauseElement = _INSERT[backend](table)
    return _or_replace(statement, table) if table in REPLACED else statement


def _or_replace(statement: Any, table: Table) -> ClauseElement:
    key = list(table.primary_key.columns)
    others = [column.name for column in table.columns if column not in key]
    replacing: ClauseElement = statement.on_conflict_do_update(
        index_elements=key, set_={name: getattr(statement.excluded, name) for name in others}
    )
    return replacing


@cache
def _compiled(statement: ClauseElement, backend: str) -> tuple[str, tuple[str, ...] | None]:
    """Return the text and, where the driver takes parameters by position, their names in that order."""
    dialect: Dialect = sqlite.dialect() if backend == "sqlite" else postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
    compiled: Any = statement.compile(dialect=dialect)
    return str(compiled), None if compiled.positiontup is None else tuple(compiled.positiontup)
