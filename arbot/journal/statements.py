"""Statements of the commit path, compiled once: there is no time to build SQL anew for every fill.

They are written in SQLAlchemy Core like all others and handed to the driver as the text they compile to. Rows come back
as the driver gives them: used here only for text and whole numbers, which need no conversion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import ClauseElement, Connection, CursorResult, Dialect, Table

from arbot.journal import schema

REPLACED = frozenset({schema.ARBS, schema.ORDERS, schema.TRANSFERS, schema.BALANCES, schema.STANDING, schema.LESSONS})
"""Tables whose rows change; in all others a row comes once, and a second one is an error."""

Values = Mapping[str, Any] | tuple[Any, ...]
"""A row by names of columns, or in the order of the table's columns."""


def write_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Insert rows, or replace those with the same key where the table allows it. Raises: SQLAlchemyError."""
    if rows:
        backend = connection.dialect.name
        _run(connection, _write(table, backend), rows)


def add_rows(connection: Connection, table: Table, name: str, rows: Sequence[Values]) -> int:
    """Insert those rows whose unique column `name` is new, and return how many they were. Raises: SQLAlchemyError."""
    return _run(connection, _add(table, name, connection.dialect.name), rows).rowcount if rows else 0


def execute(connection: Connection, statement: ClauseElement, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Run a module-level statement with its bind parameters. Raises: SQLAlchemyError."""
    return _run(connection, statement, [values])


def _run(connection: Connection, statement: ClauseElement, rows: Sequence[Values]) -> CursorResult[Any]:
    sql, names = _compiled(statement, connection.dialect.name)
    if isinstance(rows[0], tuple):
        given: Any = rows if names is not None else [_named(statement, row) for row in rows]
        given = given[0] if len(rows) == 1 else given
    elif names is None:
        given = rows[0] if len(rows) == 1 else rows
    else:
        named = cast("Sequence[Mapping[str, Any]]", rows)
        picked = list(map(itemgetter(*names), named)) if len(names) > 1 else [(row[names[0]],) for row in named]
        given = picked[0] if len(rows) == 1 else picked
    return connection.exec_driver_sql(sql, given)


def _dialects(backend: str) -> Any:
    """Return SQLAlchemy's module of a backend; that of PostgreSQL takes long to load and most stores are SQLite."""
    return import_module(f"sqlalchemy.dialects.{backend}")


def _named(statement: Any, row: Values) -> dict[str, Any]:
    return dict(zip(statement.table.columns.keys(), row, strict=True))


@cache
def _add(table: Table, name: str, backend: str) -> ClauseElement:
    statement: ClauseElement = _dialects(backend).insert(table).on_conflict_do_nothing(index_elements=[name])
    return statement


@cache
def _write(table: Table, backend: str) -> ClauseElement:
    statement: ClauseElement = _dialects(backend).insert(table)
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
    dialects = _dialects(backend)
    dialect: Dialect = dialects.dialect() if backend == "sqlite" else dialects.psycopg.dialect()
    compiled: Any = statement.compile(dialect=dialect)
    return str(compiled), None if compiled.positiontup is None else tuple(compiled.positiontup)
