"""Opening stores in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arbot.journal.store import Access, SqlStore
from tests.support.accounting import T0_NS


def a_store(url: str, *, access: Access = Access.WRITE, anchor: Path | None = None) -> SqlStore:
    """Open a store whose clock stands still."""
    return SqlStore.open(url, now_ns=lambda: T0_NS, access=access, anchor=anchor)


def a_run(url: str, **changes: Any) -> SqlStore:
    """Open a store and begin a run."""
    anchor = changes.pop("anchor", None)
    store = a_store(url, anchor=anchor)
    try:
        begin(store, **changes)
    except BaseException:
        store.close()
        raise
    return store


def begin(store: SqlStore, **changes: str) -> int:
    """Begin a run of the demo, with changes."""
    return store.begin_run(**{"run_id": "r", "mode": "demo", "code_version": "1", "config_digest": "c"} | changes)
