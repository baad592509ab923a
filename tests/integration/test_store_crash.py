"""The store when things go wrong: killed writers, full disks, lost connections, held locks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from arbot.domain.decisions import ArbState
from arbot.domain.errors import InvariantBroken, UserError
from arbot.domain.events import TimerFired
from arbot.journal.database import StoreFailed
from arbot.journal.store import Access, SqlStore
from tests.support.accounting import Scribe, an_intent, moved, opened
from tests.support.stores import a_run, a_store

ROOT = Path(__file__).resolve().parents[2]
WRITER = ROOT / "tests" / "support" / "store_writer.py"
ACKNOWLEDGED_MIN = 6
KILLS = int(os.environ.get("ARBOT_TEST_KILLS", "10"))  # for each database; more in a soak


def a_writer(url: str) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(WRITER), url], stdout=subprocess.PIPE, text=True, env=env)


def killed_writer(url: str, chance: random.Random) -> int:
    """Run a writer, kill it at a random moment and return the last number it was told is on disk."""
    writer = a_writer(url)
    lines = [writer.stdout.readline() for _ in range(ACKNOWLEDGED_MIN)]
    timer = threading.Timer(chance.uniform(0, 0.03), writer.send_signal, [signal.SIGKILL])
    timer.start()
    lines += writer.stdout.readlines()  # ends when the process does
    assert -signal.SIGKILL == writer.wait(30), "the writer must die by our hand, not by itself"
    timer.join()
    writer.stdout.close()
    whole = [line for line in lines if line.endswith("\n")]
    assert len(whole) >= ACKNOWLEDGED_MIN
    return int(whole[-1])


def await_free(url: str) -> None:
    """Wait until the store can be held again: PostgreSQL sees that a client is dead when it next looks at the socket."""
    for _ in range(400):
        try:
            a_store(url).close()
        except UserError:
            threading.Event().wait(0.05)
        else:
            return
    pytest.fail("the lock was not freed")


def test_kill_9_loses_nothing_acknowledged(store_url):
    """After each of many kills all that was acknowledged is there, the chain holds, and the next writer goes on."""
    chance = random.Random(7)
    for kill in range(1, KILLS + 1):
        acknowledged = killed_writer(store_url, chance)
        await_free(store_url)
        with closing(a_store(store_url, access=Access.READ)) as store:
            assert (
                acknowledged <= store.head().seq <= acknowledged + 2
            )  # at most one commit whose word was not passed on
            assert () == store.verify()
            assert kill == store.runs()[-1].epoch


def test_recovery_killed_and_repeated_changes_nothing(sqlite_url):
    """A process that dies right after taking over leaves the same orders, fills and balances to the next one."""
    scribe = Scribe()
    with closing(a_run(sqlite_url)) as store:
        store.commit([scribe.record(TimerFired(key=""), opened(an_intent(1))), scribe.filled()])
        store.commit([scribe.record(TimerFired(key=""), moved("1-1", ArbState.ONE_SIDED))])
    seen = []
    for _ in range(3):
        with closing(a_run(sqlite_url)) as store:  # never ended: closing is all a dead process does
            seen.append((store.unsettled_orders(), store.all_balances(), store.standing(), store.head().seq))
            assert () == store.verify()
    assert [seen[0]] * 3 == seen


def test_a_killed_holder_frees_the_lock(store_url):
    """While a writer lives a second one is refused; killed, it leaves the store to the next at once."""
    writer = a_writer(store_url)
    try:
        assert writer.stdout.readline()
        with pytest.raises(UserError, match=f"arbot pid {writer.pid} on"):
            a_store(store_url)
    finally:
        writer.kill()
        writer.wait(30)
        writer.stdout.close()
    await_free(store_url)


def fill_up(store: SqlStore, scribe: Scribe) -> None:
    """Commit fills until the store raises."""
    for number in count():
        store.commit([scribe.filled(trade_id=f"T-{number}")])


def test_a_full_disk_stops_the_store_and_spoils_nothing(sqlite_url):
    """The commit that does not fit raises, the store writes nothing more, and every earlier record is readable."""
    scribe = Scribe()
    with closing(a_run(sqlite_url)) as store:
        pages = store.database.connection.exec_driver_sql("PRAGMA page_count").scalar()
        store.database.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")
        store.database.connection.commit()
        with pytest.raises(StoreFailed, match="full"):
            fill_up(store, scribe)
        stored = store.head().seq
        assert stored > 0
        with pytest.raises(StoreFailed, match="failed before"):
            store.commit([scribe.filled(trade_id="T")])
        assert stored == scribe.step - 2 == len(store.trades())
        assert () == store.verify()
    with closing(a_run(sqlite_url)) as store:
        store.commit([Scribe().filled(trade_id="T-new")])
        assert stored + 1 == len(store.trades())


def test_a_held_database_is_waited_for_within_bounds(sqlite_url, monkeypatch):
    """A tool that holds the file longer than the timeout makes the commit fail instead of hanging."""
    monkeypatch.setattr("arbot.journal.database.BUSY_TIMEOUT_MS", 50)
    with closing(a_run(sqlite_url)) as store, closing(a_store(sqlite_url, access=Access.READ)) as tool:
        with tool.database.write(), pytest.raises(StoreFailed, match="locked"):
            store.commit([Scribe().filled()])
        assert 0 == store.head().seq


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    """A store in a folder where nothing can be created is the user's mistake, with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be created"):
        a_store(f"sqlite:///{tmp_path}/file/arbot.db")


def test_a_damaged_file_is_found(sqlite_url, tmp_path):
    """Bits flipped in the database file are a problem named by verify, or make the store unreadable; never silence."""
    scribe = Scribe()
    with closing(a_run(sqlite_url)) as store:
        for number in range(50):
            store.commit([scribe.filled(trade_id=f"T-{number}")])
        store.end_run()
    file = tmp_path / "arbot.db"
    image = bytearray(file.read_bytes())
    at = image.find(b'"trade_id":"T-25"')
    assert at > 0
    image[at + 14] ^= 1
    file.write_bytes(image)
    with closing(a_store(sqlite_url, access=Access.READ)) as store:
        assert () != store.verify()


def test_the_file_is_the_owners_alone(sqlite_url, tmp_path):
    """Database and lock cannot be read by other users of the machine."""
    with closing(a_run(sqlite_url)):
        for name in ("arbot.db", "arbot.db.lock", "arbot.db-wal"):
            assert 0 == (tmp_path / name).stat().st_mode & 0o077, name


def test_commits_are_synced_on_sqlite(sqlite_url):
    """The connection that commits runs in WAL with synchronous=FULL and foreign keys on."""
    with closing(a_run(sqlite_url)) as store, store.database.read() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
        assert ["wal", 2, 1] == found


@pytest.mark.parametrize("setting", ["synchronous_commit", "fsync"])
def test_a_server_that_does_not_sync_is_refused(postgres, setting):
    """PostgreSQL with synchronous_commit or fsync off is the user's mistake, named as such."""
    url = postgres.create()
    a_store(url).close()
    with postgres.connect("postgres") as admin:
        try:
            admin.execute(f"ALTER SYSTEM SET {setting} = off")
            admin.execute("SELECT pg_reload_conf()")
            for _ in range(200):
                with postgres.connect("postgres") as fresh:
                    if fresh.execute(f"SHOW {setting}").fetchone() == ("off",):
                        break
                threading.Event().wait(0.02)
            with pytest.raises(UserError, match=f"PostgreSQL {setting}: is off"):
                a_store(url)
        finally:
            admin.execute(f"ALTER SYSTEM RESET {setting}")
            admin.execute("SELECT pg_reload_conf()")


def test_a_lost_connection_ends_the_store(postgres):
    """When the server ends the session the commit raises, and the restarted store holds all or nothing of it."""
    url = postgres.create()
    scribe = Scribe()
    with closing(a_run(url)) as store:
        store.commit([scribe.filled()])
        pid = store.database.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        store.database.connection.rollback()
        with postgres.connect("postgres") as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        with pytest.raises(StoreFailed):
            store.commit([scribe.filled(trade_id="T-2")])
        with pytest.raises(InvariantBroken):
            store.commit([scribe.filled(trade_id="T-3")])
    with closing(a_run(url)) as store:
        assert ["T-1"] == [trade.fill.trade_id for trade in store.trades()]
        assert () == store.verify()


def test_a_server_that_is_not_there_is_named_without_its_password():
    """A wrong address is the user's mistake; the password stays out of the message."""
    with pytest.raises(UserError, match="cannot be opened") as caught:
        a_store("postgresql+psycopg://ann:hunter2@/x?host=/nowhere")
    assert "hunter2" not in str(caught.value)
