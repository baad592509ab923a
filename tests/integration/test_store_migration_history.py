"""A store of schema 2, as the arbot of that time wrote it, gets the table of imported history and goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from arbot.domain.errors import UserError
from arbot.journal import migration, schema
from arbot.journal.history import history_count
from arbot.journal.store import Access
from arbot.tax.importing import import_history
from tests.support.history_lines import DEPOSIT, TRANSFER, a_file, balances_of
from tests.support.stores import a_run, a_store

OLD = Path(__file__).parents[1] / "data" / "store-schema-2.sql"
"""Written by the arbot of schema 2: kraken's opening snapshot, an arb of one leg, its fill, an adjustment."""


def old_store(path: Path, edit: str = "") -> str:
    """Put a store of schema 2 into a file, edited; return its URL."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(OLD.read_text())
        if edit:
            old.execute(edit)
            old.commit()
    return f"sqlite:///{path}"


def content(path: Path) -> list[str]:
    """Return everything in a database file as statements."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_store_of_schema_2_gets_history(tmp_path):
    """Everything is kept, verifies, and takes both a file of history and the next daemon."""
    url = old_store(tmp_path / "h.db")
    before = content(tmp_path / "h.db")
    with closing(a_store(url)) as store:
        assert [] == [problem for problem in store.verify() if "anchor" not in problem.what]
        assert {"BTC": "2.35", "USD": "243976.25"} == balances_of(store, "assets:kraken")
        early = {"ts": "2023-01-01T00:00:00Z", "ts_in": "2023-01-02T00:00:00Z"}
        report = import_history(a_file(tmp_path / "h.jsonl", TRANSFER | early, DEPOSIT | {"venue": "binance"}), store)
        assert (2, 2) == (report.new, history_count(store))
        assert Decimal(200000) == dict(store.balances("assets:binance"))["USD"]
    with closing(a_run(url)) as store:
        store.end_run()
        assert () == store.verify()
    assert before == content(migration.backup_path(tmp_path / "h.db", 2))
    with closing(sqlite3.connect(tmp_path / "h.db")) as connection:
        assert (str(schema.VERSION),) == connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()


def test_who_only_looks_is_told_how_to_move_it(tmp_path):
    """A command that reads names the two commands that bring the store here."""
    url = old_store(tmp_path / "h.db")
    with pytest.raises(UserError, match="arbot ledger import"):
        a_store(url, access=Access.READ)


def test_a_damaged_store_of_schema_2_stays(tmp_path):
    """An edited row keeps the store as it is."""
    url = old_store(tmp_path / "h.db", "UPDATE journal SET body = replace(body, '0.25', '0.26') WHERE kind LIKE 'Adj%'")
    before = content(tmp_path / "h.db")
    with pytest.raises(UserError, match="was edited"):
        a_store(url)
    assert before == content(tmp_path / "h.db")


def test_the_steps_add_what_a_new_store_has(tmp_path):
    """A store that was moved has the tables and indexes of one that is new."""
    with (
        closing(a_store(old_store(tmp_path / "old.db"))) as old,
        closing(a_store(f"sqlite:///{tmp_path / 'new.db'}")) as new,
    ):
        shapes = []
        for store in (old, new):
            with store.database.read() as connection:
                rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name"))
                shapes.append([(row[0], " ".join(row[1].split())) for row in rows])
    assert shapes[0] == shapes[1]
