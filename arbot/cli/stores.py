"""Opens the store of a run beside a daemon that may be writing to it, or the ledger file that a command names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.where import settings_of
from arbot.domain.errors import Mistake, UserError

if TYPE_CHECKING:
    from arbot.journal.store import SqlStore
    from arbot.settings.model import Settings

LedgerOption = Annotated[
    str | None,
    typer.Option("--ledger", help="Ledger file, or store URL, instead of the config's.", show_default=False),
]


def ledger_url(ledger: str) -> str:
    """Return the store URL of what --ledger names: a plain path is an SQLite file."""
    return ledger if "://" in ledger else f"sqlite:///{Path(ledger).absolute()}"


@contextmanager
def open_store(config: Path | None, ledger: str | None) -> Iterator[SqlStore]:
    """Open the ledger that --ledger names, else the config's, for reading. Raises: UserError when there is none."""
    if ledger and "://" not in ledger and not Path(ledger).exists():
        remedy = f"check the path, or make it of history: `arbot ledger import FILE --ledger {ledger}`"
        raise UserError(Mistake(ledger, "there is no ledger here", remedy))
    with store_at(ledger_url(ledger)) if ledger else existing_store(settings_of(config)) as store:
        yield store


@contextmanager
def writable_store(config: Path | None, ledger: str | None) -> Iterator[SqlStore]:
    """Open the same for writing, made if need be. Raises: UserError also while a daemon holds it."""
    from arbot.journal.store import SqlStore
    from arbot.runtime.clock import SystemClock

    url = ledger_url(ledger) if ledger else settings_of(config).store_url()
    store = SqlStore.open(url, now_ns=SystemClock().now_ns)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def existing_store(settings: Settings) -> Iterator[SqlStore]:
    """Open the store of a run for reading (and for the kill switch). Raises: UserError when there is none."""
    with store_at(settings.store_url()) as store:
        yield store


@contextmanager
def store_at(url: str) -> Iterator[SqlStore]:
    """Open the store at an SQLAlchemy URL for reading. Raises: UserError when there is none."""
    from arbot.journal.store import Access, SqlStore
    from arbot.runtime.clock import SystemClock

    store = SqlStore.open(url, now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        yield store
    finally:
        store.close()
