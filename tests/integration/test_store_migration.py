"""A store of schema 1, as the arbot of that time wrote it, is brought to this schema and goes on; or stays as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from arbot.domain.errors import UserError
from arbot.domain.events import MovementState, OrderAccepted, TransferReported
from arbot.domain.order import OrderState
from arbot.journal import migration, schema
from arbot.journal.anchor import Anchor, write_anchor
from arbot.journal.store import Access
from arbot.ledger.posting import Ledger
from tests.support.accounting import T0_NS, Scribe, an_intent, opened, order_name
from tests.support.stores import a_run, a_store, begin

OLD = Path(__file__).parents[1] / "data" / "store-schema-1.sql"
"""Written by the arbot of schema 1: an arb of two legs, its fills, a deposit, a withdrawal, a standing, two throws."""
END = Anchor(seq=13, hash="ac5c2cbffa8d3705224c8d88c903d6c6aa5b123149924fafee95f00e1eb8a6bd", epoch=1, ts_ns=T0_NS)
BOOLEANS = {"kill_switch": "killed", "fills": "is_reversal"}
KEPT = ("meta", "head", "runs", "kill_switch", "journal")


def old_store(url: str, *edits: str) -> None:
    """Put a store of schema 1 at an URL, with edits."""
    with closing(sqlite3.connect(":memory:")) as old:
        old.executescript(OLD.read_text())
        for edit in edits:
            old.execute(edit)
        names = ("runs", *[row[0] for row in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")])
        names = tuple(dict.fromkeys(("runs", "transactions", *names)))
        shapes = dict(old.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        indexes = [row[0] for row in old.execute("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")]
        rows = {name: _rows(old, name) for name in names}
    engine = create_engine(url)
    with engine.begin() as new:
        for name in names:
            new.execute(text(shapes[name]))
        for index in indexes:
            new.execute(text(index))
        for name in names:
            if rows[name]:
                columns = ", ".join(f":{column}" for column in rows[name][0])
                new.execute(text(f"INSERT INTO {name} VALUES ({columns})"), rows[name])  # noqa: S608 - our own names
    engine.dispose()


def _rows(old: sqlite3.Connection, name: str) -> list[dict[str, object]]:
    cursor = old.execute(f"SELECT * FROM {name}")  # noqa: S608 - our own names
    columns = [column[0] for column in cursor.description]
    found = [dict(zip(columns, row, strict=True)) for row in cursor]
    for row in found:
        if name in BOOLEANS:
            row[BOOLEANS[name]] = bool(row[BOOLEANS[name]])
    return found


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, whatever tables there are."""
    engine = create_engine(url)
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        asked = {name: text(f"SELECT * FROM {name}") for name in names}  # noqa: S608 - our own names
        found = {name: sorted(map(tuple, connection.execute(asked[name]))) for name in names}
    engine.dispose()
    return found


def test_an_old_store_is_brought_here_and_goes_on_trading(store_url: str) -> None:
    """Keep journal, runs and switch, derive the rest anew, verify, and take the next run's arbs and transfers."""
    old_store(store_url)
    before = content(store_url)
    with closing(a_store(store_url)) as store:
        assert [] == [one for one in store.verify() if "anchor" not in one.what]
        buy, sell = store.unsettled_orders()
        assert (OrderState.FILLED, 2) == (buy.state, len(buy.fills))
        assert (OrderState.CANCELED, ()) == (sell.state, sell.fills)
        assert (("BTC", Decimal("1.5998")), ("ETH", Decimal(3)), ("USD", Decimal("83952.5"))) == store.balances(
            "assets:kraken"
        )
        standing = store.standing()
        assert standing is not None
        assert (("loss_day",), Decimal("12.25"), ()) == (standing.latched, standing.realised_total, standing.evidence)
        assert () == store.own_transfers()
        epoch = begin(store)
        scribe = Scribe(Ledger(store.all_balances(), store.transaction))
        intent = an_intent(1, 0, client_order_id=order_name(1, epoch=epoch), arb_id=f"{epoch}-1")
        done = TransferReported(
            venue="kraken", transfer_id="D2", asset="BTC", qty=Decimal(1), fee=Decimal(0), state=MovementState.DONE,
            venue_ts_ns=T0_NS * 2,
        )  # fmt: skip
        named = OrderAccepted(client_order_id=intent.client_order_id, venue_order_id="O-9")
        store.commit([scribe.record(done, opened(intent)), scribe.record(named)])
        filled = scribe.filled(client_order_id=intent.client_order_id, venue_order_id="O-9", trade_id="T-9")
        store.commit([filled])
        assert "O-9" == store.order(intent.client_order_id).venue_order_id  # type: ignore[union-attr]
        assert Decimal("2.6998") == dict(store.balances("assets:kraken"))["BTC"]
        store.end_run()
        assert () == store.verify()
    after = content(store_url)
    assert {"schema": str(schema.VERSION), "mode": "demo"} == dict(after["meta"])
    assert before["journal"] == after["journal"][: len(before["journal"])]
    assert before["kill_switch"] == after["kill_switch"]


def test_a_copy_of_the_old_file_lies_beside_it(tmp_path: Path) -> None:
    """Keep the whole old store under another name, readable by its owner only, and leave no draft behind."""
    url, path = f"sqlite:///{tmp_path / 'arbot.db'}", tmp_path / "arbot.db"
    old_store(url)
    before = content(url)
    with closing(a_store(url)):
        pass
    copy = migration.backup_path(path, 1)

    assert before == content(f"sqlite:///{copy}")
    assert 0o600 == copy.stat().st_mode & 0o777
    assert [] == list(tmp_path.glob("*.new"))
    with closing(a_store(url)) as store:  # the second time there is nothing to do
        assert () == store.own_transfers()


SPOILT = {
    "an edited row": ("UPDATE journal SET body = replace(body, '90000.5', '90000.6') WHERE seq = 3", "was edited"),
    "a lost end": ("DELETE FROM journal WHERE seq = 13", "does not end"),
    "a record nobody can read": (
        "UPDATE journal SET kind = 'OrderSent' WHERE seq = 1",
        "its columns do not fit its body",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_store_that_is_not_sound_stays_as_it_was(store_url: str, case: str) -> None:
    """Refuse to move a damaged store, say what is wrong, and change nothing."""
    edit, words = SPOILT[case]
    old_store(store_url, edit)
    before = content(store_url)
    with pytest.raises(UserError, match=words):
        a_store(store_url)

    assert before == content(store_url)


def test_a_step_that_fails_leaves_the_old_store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Roll back everything when what was derived does not verify: the version, too, is as it was."""
    old_store(store_url)
    before = content(store_url)

    def forgetful(connection: object) -> None:
        migration._from_1(connection)  # type: ignore[arg-type]
        connection.execute(text("UPDATE balances SET number = '7' WHERE asset = 'ETH'"))  # type: ignore[attr-defined]

    monkeypatch.setitem(migration.STEPS, 1, forgetful)
    with pytest.raises(UserError, match="nothing was changed"):
        a_store(store_url)

    assert before == content(store_url)


def test_the_anchor_of_an_old_store_still_holds(tmp_path: Path) -> None:
    """Refuse an old copy of an old store before anything is moved; take the right one."""
    url, anchor = f"sqlite:///{tmp_path / 'arbot.db'}", tmp_path / "arbot.db.anchor"
    old_store(url)
    write_anchor(anchor, Anchor(seq=14, hash=END.hash, epoch=1, ts_ns=T0_NS))
    with pytest.raises(UserError, match="anchored at 14"):
        a_store(url)
    write_anchor(anchor, END)
    with closing(a_run(url)) as store:
        assert () == store.verify()


def test_a_command_beside_the_daemon_moves_nothing(store_url: str) -> None:
    """Tell who only looks that the daemon has to be started once."""
    old_store(store_url)
    with pytest.raises(UserError, match="start the daemon once"):
        a_store(store_url, access=Access.READ)
