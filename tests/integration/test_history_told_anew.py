"""History under the ids of arbot's own journal: it may bring prices or say what a movement was; no account moves twice."""

from __future__ import annotations

import json
from contextlib import closing
from decimal import Decimal

import pytest

from arbot.domain.errors import UserError
from arbot.domain.events import MovementState, TransferReported
from arbot.journal.store import SqlStore
from arbot.ledger.history.writing import canonical
from arbot.ledger.posting import Ledger
from arbot.tax.history import open_history
from arbot.tax.importing import import_history
from tests.support.accounting import T0_NS, Scribe
from tests.support.history_lines import a_file, a_ledger, balances_of
from tests.support.stores import begin

DEPOSIT_ID = "kraken:deposit:DEP-1"


@pytest.fixture
def traded(tmp_path):
    """Give a ledger in which a daemon booked a fill, and half a bitcoin that came from nowhere."""
    with closing(a_ledger(tmp_path / "live.db")) as store:
        begin(store)
        scribe = Scribe(Ledger(store.all_balances(), store.transaction))
        came = TransferReported(
            venue="kraken", transfer_id="DEP-1", asset="BTC", qty=Decimal("0.5"), fee=Decimal(0),
            state=MovementState.DONE, venue_ts_ns=T0_NS, tx_id="0xabc",
        )  # fmt: skip
        store.commit([scribe.filled(trade_id="T-9"), scribe.record(came)])
        store.end_run()
        yield store


def own_fill(store: SqlStore) -> dict:
    """Return the journal's own line of the fill, as an export has it."""
    (line,) = [placed.line for placed in open_history(store).lines() if ":deposit:" not in placed.line.id]
    return json.loads(canonical(line))


def test_an_export_comes_back_without_effect(traded, tmp_path):
    """What arbot itself exported changes nothing when it is imported into the same ledger."""
    before = traded.all_balances()
    report = import_history(a_file(tmp_path / "own.jsonl", own_fill(traded)), traded)
    assert (0, 1) == (report.new, report.known)
    assert before == traded.all_balances()


def test_a_fill_of_ours_is_not_booked_twice(traded, tmp_path):
    """The journal's own fill with a rate it lacked is kept beside it; no balance moves, and it passes once in the history."""
    before, line = traded.all_balances(), own_fill(traded)
    report = import_history(a_file(tmp_path / "own.jsonl", line | {"fx": {"GBP": "0.79"}}), traded)
    assert (1, 0) == (report.new, report.known)
    assert before == traded.all_balances()
    assert () == traded.verify()
    assert [line["id"]] == [one.line.id for one in open_history(traded).lines() if one.line.id == line["id"]]


def test_a_fill_of_ours_told_otherwise_is_a_conflict(traded, tmp_path):
    """Another amount under the id of our own fill is refused, and both are shown."""
    path = a_file(tmp_path / "own.jsonl", own_fill(traded) | {"cost": "1"})
    with pytest.raises(UserError, match="is booked by arbot's own journal with other content"):
        import_history(path, traded)


def a_source(store: SqlStore, **changes: str) -> dict:
    """Return a line that says from where the deposit of the journal came."""
    return {
        "kind": "transfer", "id": DEPOSIT_ID, "ts": "2023-01-01T00:00:00Z", "ts_in": own_fill(store)["ts"],
        "src": "wallet.cold", "dst": "kraken", "asset": "BTC", "sent": "0.501", "received": "0.5", "fee": "0.001",
        "px": {"BTC": "60000"},
    } | changes  # fmt: skip


def test_where_coins_came_from_may_be_told(traded, tmp_path):
    """A transfer under the id of an unmatched deposit empties transit, and leaves the venue as it is."""
    assert {"BTC": "-0.5"} == balances_of(traded, "transit:unmatched")
    held = balances_of(traded, "assets:kraken")
    assert 1 == import_history(a_file(tmp_path / "right.jsonl", a_source(traded)), traded).new
    assert {} == balances_of(traded, "transit:unmatched")
    assert held == balances_of(traded, "assets:kraken")
    assert {"BTC": "-0.501"} == balances_of(traded, "assets:wallet.cold")
    assert () == traded.verify()


def test_another_amount_than_came_is_a_conflict(traded, tmp_path):
    """A transfer that brings another amount than the venue booked is refused."""
    path = a_file(tmp_path / "wrong.jsonl", a_source(traded, received="0.4", fee="0.101"))
    with pytest.raises(UserError, match="with other content"):
        import_history(path, traded)
