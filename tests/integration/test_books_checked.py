"""Is a stored journal proved against venues, prices and an anchor kept elsewhere, over restarts, and told by the CLI?"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, text

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.domain.decisions import Outcome
from arbot.domain.errors import UserError
from arbot.domain.events import OrderFilled
from arbot.journal.codec import link
from arbot.ledger.posting import Ledger
from arbot.ports import Record
from arbot.tax.checking import check_books
from arbot.tax.history import open_history
from tests.support.journal_world import OPEN, Book, balances_of
from tests.support.stores import a_run, a_store, begin

ARB = ("kraken filled 2 @100.2 fee 0.01 BTC", "coinbase filled 2 @101 fee 0.2 USD")


def a_book() -> Book:
    """Return a journal with an arb, a transfer that arrived, and snapshots that tie."""
    book = Book().play(*OPEN, "kraken balances", *ARB)
    book.moved("kraken", "-3", "W1", tx="0xa", fee="0.001").moved("coinbase", "3", "D1", tx="0xa")
    return book.snapshot("kraken").snapshot("coinbase")


def written(folder: Path, book: Book, *, mode: str = "live", runs: int = 1) -> str:
    """Write a journal into a store in so many runs, what moves money in a later one a second time; return its URL."""
    url = f"sqlite:///{folder / 'books.sqlite'}"
    store = a_run(url, mode=mode)
    ledger = Ledger()
    size = -(-len(book.entries) // runs)
    for number in range(runs):
        if number:
            store.end_run()
            begin(store, mode=mode)
            ledger = Ledger(store.all_balances(), store.transaction)
        part = book.entries[number * size : (number + 1) * size]
        told_again = [one for one in book.entries[: number * size] if isinstance(one.envelope.event, OrderFilled)]
        for step, entry in enumerate([*told_again, *part], 1):
            ts_ns = max(entry.envelope.ts_ns, book.entries[number * size].envelope.ts_ns)
            envelope = msgspec.structs.replace(entry.envelope, seq=step, ts_ns=ts_ns)
            outcome = Outcome((), tuple(entry.decisions))
            store.commit(
                [Record(envelope=envelope, outcome=outcome, transactions=ledger.apply(envelope, entry.decisions))]
            )
    store.end_run()
    store.close()
    return url


def checked(url: str, anchor: Path | None = None):
    """Check a store as the command does."""
    store = a_store(url)
    try:
        return check_books(store, anchor)
    finally:
        store.close()


def test_a_restart_and_a_second_telling_change_nothing(tmp_path: Path):
    """Give the same lines and open items from one run and from three, in which fills are told again."""
    told = []
    for runs in (1, 3):
        folder = tmp_path / str(runs)
        folder.mkdir()
        store = a_store(written(folder, a_book(), mode="paper", runs=runs))
        history = open_history(store)
        lines = [msgspec.structs.replace(placed.line, note="") for placed in history.lines()]
        told.append((lines, history.open_items(), balances_of(history.lines())))
        assert history.mode == "paper"
        store.close()
    assert told[0] == told[1]
    assert told[0][1] == []


def test_sound_books_have_no_problem_and_name_what_only_a_person_knows(tmp_path: Path):
    """Tie to the newest snapshots; the basis of what was there at first is open, with its journal number."""
    found = checked(written(tmp_path, a_book()))

    assert found.problems == ()
    assert [(one.code, one.where) for one in found.items] == [
        ("no_basis", "opening:coinbase:BTC"),
        ("no_basis", "opening:kraken:BTC"),
    ]
    assert all(one.seq > 0 for one in found.items)


def test_a_balance_nobody_can_explain_is_found_at_its_snapshot(tmp_path: Path):
    """Name the snapshot's journal number, both amounts, and the last snapshot that tied."""
    book = a_book()
    tied = next(e.seq for e in reversed(book.entries) if getattr(e.envelope.event, "venue", "") == "kraken")
    book.snapshot("kraken", USD="9000").snapshot("kraken", USD="9000")

    (problem,) = checked(written(tmp_path, book)).problems

    assert problem.seq == len(book.entries)
    assert "kraken USD: history has 9799.6 USD, kraken said 9000" in problem.what
    assert f"they agreed at journal {tied}" in problem.what


def test_an_edited_body_with_fitting_hashes_is_found_by_the_anchor_kept_elsewhere(tmp_path: Path):
    """Rewrite the whole chain from an edited fill on, and the anchor beside it: only the copy elsewhere shows it."""
    url = written(tmp_path, a_book())
    anchor = tmp_path / "elsewhere" / "anchor.json"
    anchor.parent.mkdir()
    assert run(["ledger", "anchor", "--ledger", url, "--out", str(anchor)]) == ExitCode.OK
    assert checked(url, anchor).problems == ()
    _rewrite(url)
    (tmp_path / "books.sqlite.anchor").unlink()

    found = checked(url, anchor).problems

    assert any("differs from what was anchored" in problem.what for problem in found)


def _rewrite(url: str) -> None:
    """Add a comment to the reason of nobody's event, and chain everything behind it anew."""
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT seq, epoch, body, prev_hash FROM journal ORDER BY seq")).all()
        previous = rows[0].prev_hash
        for row in rows:
            body = row.body.replace("W1", "W2")
            made = link(previous, row.seq, row.epoch, body)
            values = {"body": body, "prev": previous, "hash": made, "seq": row.seq}
            connection.execute(
                text("UPDATE journal SET body = :body, prev_hash = :prev, hash = :hash WHERE seq = :seq"), values
            )
            previous = made
        connection.execute(text("UPDATE head SET hash = :hash"), {"hash": previous})
    engine.dispose()


def test_an_anchor_that_is_not_there_is_a_mistake(tmp_path: Path):
    """Refuse rather than pass over a file that was named."""
    with pytest.raises(UserError, match="there is no anchor here"):
        checked(written(tmp_path, a_book()), tmp_path / "none.json")


def test_the_commands_tell_and_draft_what_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`ledger verify` passes with open items in its JSON; `ledger openings` prints a line for each, to be completed."""
    url = written(tmp_path, a_book())

    assert run(["ledger", "verify", "--ledger", url, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert run(["ledger", "openings", "--ledger", url]) == ExitCode.OK
    drafts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert (told["ok"], [one["where"] for one in told["open_items"]]) == (True, [one["id"] for one in drafts])
    assert {(one["amount"], one["basis"], one["note"][:5]) for one in drafts} == {("10", "1006.0", "CHECK")}


def test_completed_drafts_settle_what_was_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Import what `openings` printed: nothing is open, the books still tie, and the lines stand before every fill."""
    url = written(tmp_path, a_book())
    run(["ledger", "openings", "--ledger", url])
    file = tmp_path / "openings.jsonl"
    file.write_text(capsys.readouterr().out, encoding="utf-8")

    assert run(["ledger", "import", str(file), "--ledger", url]) == ExitCode.OK

    assert checked(url).problems == ()
    assert checked(url).items == ()
    assert run(["ledger", "import", str(file), "--ledger", url]) == ExitCode.OK
