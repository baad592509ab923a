"""Opens the store of a run beside a daemon that may be writing to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arbot.journal.store import SqlStore
    from arbot.settings.model import Settings


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
