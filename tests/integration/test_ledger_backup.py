"""A ledger is copied while it is written, the copy is proved, and it comes back: in both databases, and past every fault."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.domain.errors import UserError
from arbot.domain.events import TimerFired
from arbot.journal import backup as backups
from arbot.journal.backup import CopyUnsound, anchor_path, back_up, demand_same_journal, digest_path, kept, rotate
from arbot.journal.database import take_lock
from arbot.journal.restore import restore
from arbot.journal.store import Access, SqlStore
from arbot.ledger.posting import Ledger
from arbot.runtime.state_dir import StateDir
from tests.support.accounting import T0_NS, Scribe, an_intent, opened, order_name
from tests.support.history_lines import ONE_OF_EACH, a_file
from tests.support.stores import a_run, a_store

STAMP = "20261122T000000Z"


def trade(store: SqlStore, scribe: Scribe, number: int) -> None:
    """Commit an arb of one leg and its fills."""
    epoch = store.head().epoch
    name = order_name(number, epoch=epoch)
    intent = an_intent(number, client_order_id=name, arb_id=f"{epoch}-{number}")
    store.commit([scribe.record(TimerFired(key=""), opened(intent))])
    store.commit([scribe.filled(client_order_id=name, venue_order_id=name, trade_id=f"T-{number}-{part}", qty=intent.qty / 2) for part in range(2)])  # fmt: skip


def a_ledger(url: str, trades: int = 3) -> SqlStore:
    """Open a store with a run that has traded; the run goes on."""
    store = a_run(url)
    scribe = Scribe(Ledger())
    for number in range(1, trades + 1):
        trade(store, scribe, number)
    return store


def contents(url: str) -> dict[str, list[tuple]]:
    """Return every row of every table but the kill switch, which a restore may throw."""
    with closing(a_store(url, access=Access.READ)) as store, store.database.read() as connection:
        return {
            name: sorted(map(tuple, connection.execute(text(f"SELECT * FROM {name}"))), key=repr)  # noqa: S608 - our names
            for name in backups.count_rows(connection)
            if name != "kill_switch"
        }


def put_back(file: Path, url: str, *, may_replace: bool = False):
    return restore(file, url, may_replace=may_replace, ts_ns=T0_NS, stamp=STAMP)


@pytest.fixture
def copied(sqlite_url, tmp_path):
    """Give a backup of a small ledger whose store is closed."""
    with closing(a_ledger(sqlite_url)) as store:
        back_up(store, tmp_path / "copy.sqlite", ts_ns=T0_NS)
    return tmp_path / "copy.sqlite"


def test_a_copy_made_beside_a_writer_is_whole(store_url, tmp_path):
    """Opened beside the daemon's store and made while it writes, the copy has all that was committed, proved, digest and anchor."""
    with closing(a_ledger(store_url)) as writer, closing(a_store(store_url, access=Access.READ)) as reader:
        made = back_up(reader, tmp_path / "copy.sqlite", ts_ns=T0_NS)
        before = contents(store_url)
        trade(writer, later(writer), 9)
    copy = tmp_path / "copy.sqlite"
    assert before == contents(f"sqlite:///{copy}")
    assert len(before["journal"]) == made.seq == made.rows["journal"]
    assert f"{hashlib.sha256(copy.read_bytes()).hexdigest()}  copy.sqlite\n" == digest_path(copy).read_text()
    with closing(a_store(f"sqlite:///{copy}", access=Access.READ)) as opened_copy:
        assert () == opened_copy.verify()
    assert made.sha256 == hashlib.sha256(copy.read_bytes()).hexdigest(), "looking at a copy changes nothing of it"
    assert 0o600 == copy.stat().st_mode & 0o777
    assert {"copy.sqlite", "copy.sqlite.sha256", "copy.sqlite.anchor"} == {one.name for one in tmp_path.glob("copy*")}


def later(store: SqlStore) -> Scribe:
    """Return a scribe that goes on with a run."""
    scribe = Scribe(Ledger(store.all_balances(), store.transaction))
    scribe.step = 100 * (store.head().seq + 1)
    return scribe


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_it_comes_back_into_either_database(request, tmp_path, source, target):
    """Every row of every table comes back, the next run goes on from it, and the kill switch works."""

    def fresh(kind: str) -> str:
        return (
            f"sqlite:///{tmp_path}/{source}-{target}.db"
            if kind == "sqlite"
            else request.getfixturevalue("postgres").create()
        )

    origin = f"sqlite:///{tmp_path}/origin.db" if source == "sqlite" else fresh("postgresql")
    with closing(a_ledger(origin)) as store:
        store.set_killed(killed=True, actor="a", reason="r")
        store.set_killed(killed=False, actor="a", reason="r")
        back_up(store, tmp_path / "copy.sqlite", ts_ns=T0_NS)
    url = fresh(target)
    done = put_back(tmp_path / "copy.sqlite", url)
    assert ("", False, True) == (done.safety, done.is_killed, done.has_digest)
    assert contents(origin) == contents(url)
    with closing(a_run(url)) as store:
        trade(store, Scribe(Ledger(store.all_balances(), store.transaction)), 1)
        store.set_killed(killed=True, actor="a", reason="r")
        assert (True, ()) == (store.is_killed(), store.verify())


def test_what_was_there_is_kept_and_stays_killed(store_url, tmp_path):
    """A full store is refused without may_replace; with it the old one is whole in a file, and its kill switch goes on."""
    with closing(a_ledger(store_url)) as store:
        back_up(store, tmp_path / "copy.sqlite", ts_ns=T0_NS)
        trade(store, later(store), 9)
        store.set_killed(killed=True, actor="a", reason="r")
    before = contents(store_url)
    with pytest.raises(UserError, match="is not empty"):
        put_back(tmp_path / "copy.sqlite", store_url)
    assert before == contents(store_url)
    done = put_back(tmp_path / "copy.sqlite", store_url, may_replace=True)
    assert done.is_killed
    assert contents(f"sqlite:///{tmp_path / 'copy.sqlite'}") == contents(store_url)
    assert before == contents(f"sqlite:///{done.safety}")
    with closing(a_store(store_url, access=Access.READ)) as store:
        assert (True, ()) == (store.is_killed(), store.verify())


def test_a_damaged_store_is_replaced_and_stays_killed(copied, tmp_path, sqlite_url):
    """A store that cannot be read is moved aside as it is; nobody knows whether it was killed, so it is."""
    (tmp_path / "arbot.db").write_bytes(b"not a database any more" * 100)
    done = put_back(copied, sqlite_url, may_replace=True)
    assert done.is_killed
    assert b"not a database any more" * 100 == Path(done.safety).read_bytes()
    with closing(a_store(sqlite_url, access=Access.READ)) as store:
        assert () == store.verify()


def edit(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: edit(path, "UPDATE journal SET body = replace(body, '2', '3') WHERE seq = 3"), "journal 3: was edited"),
        (lambda path: edit(path, "DELETE FROM journal WHERE seq = 2"), "journal 3: follows 1: rows are missing"),
        (lambda path: edit(path, "UPDATE balances SET number = '77'"), "its postings sum to"),
        (lambda path: edit(path, "DELETE FROM fills WHERE rowid = 1"), "fills"),
        (lambda path: edit(path, "UPDATE meta SET value = '99' WHERE name = 'schema'"), "has schema 99"),
        (cut, "copy.sqlite"),
        (lambda path: path.write_bytes(b""), "copy.sqlite"),
    ],
)  # fmt: skip
def test_a_damaged_backup_is_named_and_changes_nothing(copied, tmp_path, sqlite_url, damage, words):
    """By its digest, and without one by its own journal; what is there is left alone."""
    before = contents(sqlite_url)
    damage(copied)
    with pytest.raises(CopyUnsound, match=r"digest is not that of its \.sha256"):
        put_back(copied, sqlite_url, may_replace=True)
    digest_path(copied).unlink()
    with pytest.raises((CopyUnsound, UserError), match=words):
        put_back(copied, sqlite_url, may_replace=True)
    assert before == contents(sqlite_url)
    assert [] == [one.name for one in tmp_path.iterdir() if "before-restore" in one.name or ".new" in one.name]


def test_a_store_that_does_not_hold_together_gives_no_backup(tmp_path, sqlite_url):
    """The fault is told, and no file is left that could be taken for a backup."""
    a_ledger(sqlite_url).close()
    edit(tmp_path / "arbot.db", "UPDATE balances SET number = '77'")
    with (
        closing(a_store(sqlite_url, access=Access.READ)) as store,
        pytest.raises(CopyUnsound, match="its postings sum to"),
    ):
        back_up(store, tmp_path / "copy.sqlite", ts_ns=T0_NS)
    assert [] == list(tmp_path.glob("copy*"))


def test_a_cut_off_end_gives_no_backup(tmp_path, sqlite_url):
    """A journal behind its own anchor is an old copy: backing it up would rotate better ones away."""
    with closing(a_ledger(sqlite_url)) as store:
        store.end_run()
    edit(tmp_path / "arbot.db", "DELETE FROM journal WHERE seq > 2")
    with (
        closing(a_store(sqlite_url, access=Access.READ)) as store,
        pytest.raises(CopyUnsound, match="does not end where"),
    ):
        back_up(store, tmp_path / "copy.sqlite", ts_ns=T0_NS)


def test_nothing_is_overwritten(copied, sqlite_url):
    """A file, a digest or an anchor that is there already: each is named."""
    with closing(a_store(sqlite_url, access=Access.READ)) as store, pytest.raises(UserError) as told:
        back_up(store, copied, ts_ns=T0_NS)
    assert [str(copied), str(digest_path(copied)), str(anchor_path(copied))] == [
        one.where for one in told.value.mistakes
    ]


def test_nobody_else_may_be_in_it(copied, tmp_path, sqlite_url):
    """A store that a daemon holds is not replaced."""
    import os

    file, _ = take_lock(tmp_path / "arbot.db")
    try:
        with pytest.raises(UserError, match="another arbot holds this store: arbot pid"):
            put_back(copied, sqlite_url, may_replace=True)
    finally:
        os.close(file)


def test_only_the_newest_are_kept_and_only_ours(tmp_path, sqlite_url):
    """Rotation removes the oldest with its digest and anchor, nothing of another name, and no backup of another journal."""
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "ledger-notes.sqlite").write_text("mine")
    with closing(a_ledger(sqlite_url)) as store:
        for day in (1, 2, 3):
            back_up(store, folder / f"ledger-2026110{day}T000000Z.sqlite", ts_ns=T0_NS)
            trade(store, later(store), day + 10) if day == 1 else None
        demand_same_journal(store, folder)
        assert ["ledger-20261101T000000Z.sqlite"] == [one.name for one in rotate(folder, 2)]
    assert 7 == len(list(folder.iterdir()))
    with (
        closing(a_ledger(f"sqlite:///{tmp_path}/other.db", trades=1)) as other,
        pytest.raises(CopyUnsound, match="a folder of its own"),
    ):
        demand_same_journal(other, folder)
    assert 2 == len(kept(folder))


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """Work in a folder with a ledger of history and a folder for backups."""
    monkeypatch.chdir(tmp_path)
    a_file(tmp_path / "2025.jsonl", *ONE_OF_EACH)
    assert ExitCode.OK == run(["ledger", "import", "2025.jsonl", "--ledger", "taxes.db"])
    (tmp_path / "copies").mkdir()
    capsys.readouterr()
    return tmp_path


def test_there_and_back_by_command(desk, capsys):
    """The digest is printed as sha256sum has it; a restored ledger verifies and says the same."""
    assert ExitCode.OK == run(["ledger", "backup", "--out", "copy.sqlite", "--ledger", "taxes.db"])
    assert (
        f"{hashlib.sha256((desk / 'copy.sqlite').read_bytes()).hexdigest()}  copy.sqlite\n" == capsys.readouterr().out
    )
    assert ExitCode.OK == run(["ledger", "restore", "copy.sqlite", "--ledger", "again.db", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (7, "", False) == (told["rows"]["history"], told["safety"], told["is_killed"])
    assert ExitCode.OK == run(["ledger", "verify", "--ledger", "again.db", "--anchor", "copy.sqlite.anchor"])
    assert ExitCode.USAGE == run(["ledger", "restore", "copy.sqlite", "--ledger", "again.db"])
    assert "add --replace" in capsys.readouterr().err
    assert ExitCode.OK == run(["ledger", "restore", "copy.sqlite", "--ledger", "again.db", "--replace"])
    assert contents(f"sqlite:///{desk}/taxes.db") == contents(f"sqlite:///{desk}/again.db")


def test_a_folder_is_kept_in_order(desk, capsys):
    """With --keep the folder has so many, the newest, named by their time."""
    for stamp in ("20260101T000000Z", "20260102T000000Z"):
        assert ExitCode.OK == run(
            ["ledger", "backup", "--out", f"copies/ledger-{stamp}.sqlite", "--ledger", "taxes.db"]
        )
    capsys.readouterr()
    assert ExitCode.OK == run(["ledger", "backup", "--out", "copies", "--keep", "2", "--ledger", "taxes.db", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (1, 2) == (len(told["removed"]), told["kept"])
    assert "ledger-20260101T000000Z.sqlite" not in [one.name for one in kept(desk / "copies")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backup", "--out", "x.sqlite", "--ledger", "none.db"], "none.db: there is no ledger here"),
        (["backup", "--out", "no/where/x.sqlite", "--ledger", "taxes.db"], "name a folder you can write to"),
        (["backup", "--out", "x.sqlite", "--keep", "3", "--ledger", "taxes.db"], "--keep needs a folder"),
        (["restore", "none.sqlite", "--ledger", "new.db"], "there is no backup here"),
        (["restore", "2025.jsonl", "--ledger", "new.db"], "is no ledger"),
        (["restore", "taxes.db", "--ledger", "copies"], "is a folder, not a ledger"),
        (["restore", "taxes.db", "--ledger", "sqlite://"], "a store in memory cannot be restored into"),
    ],
)
def test_bad_input_is_told_with_a_remedy(desk, capsys, arguments, words):
    """Exit code 2, the fault in words, and nothing made."""
    before = sorted(desk.rglob("*"))  # the lock of the import among them
    assert ExitCode.USAGE == run(["ledger", *arguments])
    assert words in capsys.readouterr().err
    assert before == sorted(desk.rglob("*"))


def test_a_damaged_backup_has_an_exit_code(desk, capsys):
    """Exit code 5 and the fault: the digest does not fit."""
    assert ExitCode.OK == run(["ledger", "backup", "--out", "copy.sqlite", "--ledger", "taxes.db"])
    edit(desk / "copy.sqlite", "DELETE FROM history")
    assert ExitCode.LEDGER_PROBLEM == run(["ledger", "restore", "copy.sqlite", "--ledger", "new.db"])
    assert "digest is not that of its .sha256" in capsys.readouterr().err
    assert not (desk / "new.db").exists()


def test_a_running_daemon_keeps_a_restore_out(desk, capsys):
    """The state folder of a config that a daemon holds: refused, and the daemon's ledger is as it was."""
    (desk / "c.toml").write_text(
        '[run]\nname = "x"\nmode = "demo"\nsymbols = ["BTC/USD"]\nstate_dir = "state"\n'
        '[venues.kraken]\nadapter = "kraken"\n[venues.coinbase]\nadapter = "coinbase"\n'
        '[paper.venues.kraken]\nbalances = { USD = "1" }\n[paper.venues.coinbase]\nbalances = { USD = "1" }\n'
    )
    assert ExitCode.OK == run(["ledger", "backup", "--out", "copy.sqlite", "--ledger", "taxes.db"])
    with StateDir(desk / "state"):
        assert ExitCode.USAGE == run(["ledger", "restore", "copy.sqlite", "-c", "c.toml"])
    assert "another daemon uses" in capsys.readouterr().err
    assert ExitCode.OK == run(["ledger", "restore", "copy.sqlite", "-c", "c.toml"])
    assert contents(f"sqlite:///{desk}/taxes.db") == contents(f"sqlite:///{desk}/state/arbot.sqlite")


def test_a_copy_that_is_short_of_rows_is_no_backup(copied):
    """What was counted in the source has to be in the copy, table by table."""
    whole = backups.prove(copied, "the copy").rows
    with pytest.raises(CopyUnsound, match="table runs has 1 rows, not 2"):
        backups.prove(copied, "the copy", whole | {"runs": 2})


def test_a_store_with_a_log_beside_it_is_no_backup(sqlite_url, tmp_path):
    """Copied by hand while it was open: its last writes, a kill switch perhaps, are in the log, so it is not taken."""
    with closing(a_ledger(sqlite_url)) as store:
        with closing(sqlite3.connect(store.database.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.set_killed(True, actor="a person", reason="fire")
        for end in ("", "-wal"):
            source = store.database.path.with_name(store.database.path.name + end)
            (tmp_path / f"by-hand.sqlite{end}").write_bytes(source.read_bytes())
    with pytest.raises(UserError, match="holds writes that are not in the file yet"):
        put_back(tmp_path / "by-hand.sqlite", f"sqlite:///{tmp_path / 'new.sqlite'}")
    assert not (tmp_path / "new.sqlite").exists()


def test_a_link_in_the_way_is_neither_followed_nor_overwritten(copied, tmp_path):
    """Names that somebody has put links at: what they point to stays as it is, for a backup and for a restore."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    into = tmp_path / "new.sqlite"
    for name in ("new.sqlite.new", "new.sqlite.new.anchor", "new.sqlite.new.sha256", "new.sqlite.anchor"):
        (tmp_path / name).symlink_to(precious)
    put_back(copied, f"sqlite:///{into}")
    assert "mine" == precious.read_text()
    assert (True, 0o600) == (not into.is_symlink(), into.stat().st_mode & 0o777)


def test_no_umask_opens_a_backup(sqlite_url, tmp_path):
    """Backup and what was there before a restore are for their owner alone, whatever the umask."""
    before = os.umask(0)
    try:
        with closing(a_ledger(sqlite_url)) as store:
            back_up(store, tmp_path / "copy.sqlite", ts_ns=T0_NS)
        put_back(tmp_path / "copy.sqlite", sqlite_url, may_replace=True)
    finally:
        os.umask(before)
    folders = {tmp_path, store.database.path.parent}
    told = (".sha256", ".anchor", ".lock")  # of no use to anybody but the owner
    ledgers = [path for folder in folders for path in folder.iterdir() if path.is_file() and path.suffix not in told]
    assert len(ledgers) >= 3
    assert [] == [path for path in ledgers if path.stat().st_mode & 0o077]
