"""History in a store: imported once, whole or not at all, in sums that fit the venues, and proven like everything else."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from arbot.domain.errors import UserError
from arbot.journal.history import history_count, history_lines
from arbot.journal.store import NO_MODE, Access
from arbot.ledger.history.balances import BalanceWatch
from arbot.ledger.history.writing import canonical
from arbot.tax.history import open_history
from arbot.tax.importing import LINES_PER_EVENT, import_history
from arbot.tax.strictness import demand_covered
from tests.support.history_lines import (
    DEPOSIT,
    FILL,
    INCOME,
    ONE_OF_EACH,
    SPEND,
    TRANSFER,
    WITHDRAWAL,
    a_file,
    a_ledger,
    balances_of,
    fills,
    open_venue,
    text_of,
)
from tests.support.stores import a_run, a_store
from tests.support.tax_golden import golden_file

ROOT = Path(__file__).resolve().parents[2]
EXPECTED_BALANCES = {
    ("assets:kraken", "BTC"): "0.37998",
    ("assets:kraken", "ETH"): "0.0012",
    ("assets:kraken", "USD"): "199500",
    ("assets:kraken", "USDT"): "1876.51",
    ("assets:wallet.cold", "BTC"): "0.0998",
    ("equity:exchange", "BTC"): "0.02",
    ("equity:exchange", "USDT"): "-1880.01",
    ("equity:funding", "USD"): "-199500",
    ("equity:opening", "BTC"): "-0.5",
    ("expenses:fees:kraken", "BTC"): "0.00002",
    ("expenses:spend:fee", "USDT"): "3.5",
    ("expenses:transfers:kraken", "BTC"): "0.0002",
    ("income:interest", "ETH"): "-0.0012",
}


def exported(store) -> str:
    """Return the whole history of a store as a file has it."""
    return "".join(f"{canonical(placed.line)}\n" for placed in open_history(store).lines())


def all_balances(store) -> dict:
    """Return every nonzero balance of the ledger as plain text."""
    return {(account, asset): f"{number.normalize():f}" for account, asset, number in store.all_balances() if number}


def state_of(path: Path) -> tuple:
    """Return everything that an import could change."""
    with closing(a_store(f"sqlite:///{path}", access=Access.READ)) as store:
        return store.head(), store.runs(), history_count(store), all_balances(store)


def test_every_kind_is_booked_in_sums_of_zero(store_url, tmp_path):
    """Cash, coins, fees, transfers, income and spending land in their accounts; the whole verifies."""
    with closing(a_store(store_url)) as store:
        report = import_history(a_file(tmp_path / "h.jsonl", *ONE_OF_EACH), store)
        assert (7, 7, 0, 3) == (report.lines, report.new, report.known, report.seq)
        assert EXPECTED_BALANCES == all_balances(store)
        assert text_of(*ONE_OF_EACH) == exported(store)
        assert [] == [problem for problem in store.verify() if "anchor" not in problem.what]
        assert 3 == store.rebuild()
        assert (EXPECTED_BALANCES, 7) == (all_balances(store), history_count(store))


def test_importing_again_changes_nothing(tmp_path):
    """The same file a second time leaves no trace; a file that overlaps brings what is new."""
    first = a_file(tmp_path / "a.jsonl", *ONE_OF_EACH)
    with closing(a_ledger(tmp_path / "h.db")) as store:
        import_history(first, store)
    before = state_of(tmp_path / "h.db")
    with closing(a_ledger(tmp_path / "h.db")) as store:
        report = import_history(first, store)
        assert (0, 7) == (report.new, report.known)
    assert before == state_of(tmp_path / "h.db")
    with closing(a_ledger(tmp_path / "h.db")) as store:
        report = import_history(
            a_file(
                tmp_path / "b.jsonl",
                FILL | {"amount": "0.020"},
                *fills(3),
                SPEND | {"id": "S9", "ts": "2025-05-01T00:00:00Z"},
            ),
            store,
        )
        assert (4, 1) == (report.new, report.known)
        assert () == store.verify()
        with closing(a_store(f"sqlite:///{tmp_path / 'other.db'}")) as other:
            import_history(a_file(tmp_path / "c.jsonl", *map(json.loads, exported(store).splitlines())), other)
            assert all_balances(store) == all_balances(other)
            assert exported(store) == exported(other)


def test_conflicts_and_mistakes_are_listed_and_nothing_is_written(tmp_path):
    """Same id with another content, an id twice in the file, a wrong line: all are told at once, the store is as it was."""
    with closing(a_ledger(tmp_path / "h.db")) as store:
        import_history(a_file(tmp_path / "a.jsonl", *ONE_OF_EACH), store)
    before = state_of(tmp_path / "h.db")
    bad = a_file(
        tmp_path / "b.jsonl",
        FILL | {"cost": "1880.02"},
        TRANSFER | {"received": "0.0999", "fee": "0.0001"},
        *fills(2),
        *fills(1, first=2),
        INCOME | {"id": "I2", "ts": "2025-03-02T00:00:00Z", "amount": "0"},
    )
    with closing(a_ledger(tmp_path / "h.db")) as store, pytest.raises(UserError) as caught:
        import_history(bad, store)
    told = {mistake.where: mistake.what for mistake in caught.value.mistakes}
    assert ["b.jsonl line 1", "b.jsonl line 2", "b.jsonl line 5", "b.jsonl line 6"] == sorted(told)
    assert "is booked in journal 2, line 2 with other content" in told["b.jsonl line 1"]
    assert "the id 'kraken:F2' stands in line 4 already" in told["b.jsonl line 5"]
    assert before == state_of(tmp_path / "h.db")


def test_an_id_twice_far_apart_is_found_at_its_line(tmp_path, monkeypatch):
    """A repetition is found however far apart, after the first of both was written."""
    monkeypatch.setattr("arbot.tax.importing.LINES_AT_ONCE", 20)
    lines = list(fills(70))
    lines[65] = lines[65] | {"id": "kraken:F3"}
    with closing(a_ledger(tmp_path / "h.db")) as store, pytest.raises(UserError, match="stands in line 3 already"):
        import_history(a_file(tmp_path / "b.jsonl", *lines), store)
    assert 0 == state_of(tmp_path / "h.db")[2]


def test_the_rest_of_many_mistakes_is_counted(tmp_path):
    """Fifty mistakes are shown, and how many are not."""
    path = a_file(tmp_path / "b.jsonl", *fills(80, cost="0"))
    with closing(a_ledger(tmp_path / "h.db")) as store, pytest.raises(UserError) as caught:
        import_history(path, store)
    assert 51 == len(caught.value.mistakes)
    assert "30 more mistakes are not shown" == caught.value.mistakes[-1].what


def test_a_missing_file_is_a_mistake(tmp_path):
    """A file that is not there is named."""
    with closing(a_ledger(tmp_path / "h.db")) as store, pytest.raises(UserError, match="cannot be read"):
        import_history(tmp_path / "none.jsonl", store)


def test_the_order_of_files_is_irrelevant(tmp_path):
    """Whatever file comes first, history and balances are the same."""
    lines = [*ONE_OF_EACH, *fills(40)]
    chance = random.Random(5)
    seen = []
    for order in range(3):
        parts = [[], [], []]
        for line in lines:
            chance.choice(parts).append(line)
        chance.shuffle(parts)
        with closing(a_ledger(tmp_path / f"{order}.db")) as store:
            for number, part in enumerate(parts):
                import_history(a_file(tmp_path / f"{order}-{number}.jsonl", *part), store)
            assert () == store.verify()
            seen.append((all_balances(store), sorted(exported(store).splitlines())))
    assert seen[0] == seen[1] == seen[2]


def test_lines_of_one_instant_keep_their_order(tmp_path):
    """Lines of one instant come as the file has them, over the borders of events."""
    lines = [FILL | {"id": f"kraken:F{n}"} for n in range(LINES_PER_EVENT + 30)]
    with closing(a_ledger(tmp_path / "h.db")) as store:
        import_history(a_file(tmp_path / "h.jsonl", *lines), store)
        assert [line["id"] for line in lines] == [json.loads(stored.body)["id"] for stored in history_lines(store)]
        assert text_of(*lines) == exported(store)


@pytest.mark.parametrize("name", ["arb-1.jsonl", "arb-2.jsonl", "arb-3.jsonl"])
def test_golden_files_come_back_byte_for_byte(name, tmp_path):
    """Import, export, import into an empty ledger, export: always the bytes of the file; no balance is below zero."""
    path = golden_file(name)
    with closing(a_ledger(tmp_path / "a.db")) as store:
        import_history(path, store)
        again = tmp_path / "again.jsonl"
        again.write_text(exported(store), "utf-8")
        assert path.read_bytes() == again.read_bytes()
        assert () == store.verify()
    with closing(a_ledger(tmp_path / "b.db")) as other:
        demand_covered(again, other)
        import_history(again, other)
        assert path.read_text("utf-8") == exported(other)


def test_golden_balances_are_exact(tmp_path):
    """What the ledger says of every account of the golden histories is what their cases say."""
    for case in json.loads(golden_file("arb.json").read_text("utf-8"))["cases"]:
        with closing(a_ledger(tmp_path / f"{case['id']}.db")) as store:
            import_history(golden_file(case["file"]), store)
            ours = {
                f"{asset}@{account.removeprefix('assets:')}": number
                for account, asset, number in store.all_balances()
                if account.startswith("assets:") and number
            }
            theirs = _flat(case["expected"]["balances"])
            assert theirs == ours


def _flat(balances: dict) -> dict[str, Decimal]:
    """Return golden balances as asset@account -> number."""
    found = {}
    for key, value in balances.items():
        if isinstance(value, dict):
            found |= {f"{inner}@{key}": Decimal(number) for inner, number in value.items()}
        else:
            found[key] = Decimal(value)
    return {key: number for key, number in found.items() if number}


# --- beside a daemon -------------------------------------------------------------------------------------------------


def test_history_before_the_opening_leaves_the_venue_as_it_is(tmp_path):
    """What happened before a venue's first snapshot is in it: the account stays equal to the venue, before or after."""
    path = a_file(tmp_path / "h.jsonl", *ONE_OF_EACH)
    held = {"BTC": "2", "USD": "5000"}
    states = []
    for is_first in (True, False):
        with closing(a_store(f"sqlite:///{tmp_path / f'{is_first}.db'}")) as store:
            if is_first:
                import_history(path, store)
            open_venue(store, **held)
            if not is_first:
                import_history(path, store)
            assert () == store.verify()
            states.append(all_balances(store))
    first, later = states
    assert {"BTC": "2", "USD": "5000"} == {
        asset: number for (name, asset), number in later.items() if name == "assets:kraken"
    }
    assert "0.0998" == later["assets:wallet.cold", "BTC"]
    listed = [{key: number for key, number in state.items() if key[1] in held} for state in states]
    assert listed[0] == listed[1]
    assert "1876.51" == first["assets:kraken", "USDT"]  # the venue did not list it: a difference, to be seen


def test_history_after_the_opening_fills_a_gap(tmp_path):
    """What a venue did later and the daemon does not know moves its account."""
    late = {"ts": "2025-07-01T00:00:00Z"}
    with closing(a_ledger(tmp_path / "h.db")) as store:
        open_venue(store, BTC="2", USD="5000")
        import_history(a_file(tmp_path / "h.jsonl", WITHDRAWAL | late, FILL | late | {"id": "kraken:T7"}), store)
        assert {"BTC": "1.97998", "USD": "4500", "USDT": "1880.01"} == {
            asset: f"{Decimal(number).normalize():f}" for asset, number in balances_of(store, "assets:kraken").items()
        }


def test_an_import_run_does_not_set_the_mode(tmp_path):
    """History can be there before the first daemon, of whatever mode; afterwards an import takes the store's mode."""
    with closing(a_ledger(tmp_path / "h.db")) as store:
        import_history(a_file(tmp_path / "a.jsonl", DEPOSIT), store)
        assert [NO_MODE] == [run.mode for run in store.runs()]
    with closing(a_run(f"sqlite:///{tmp_path / 'h.db'}", mode="paper")) as store:
        store.end_run()
        import_history(a_file(tmp_path / "b.jsonl", WITHDRAWAL), store)
        assert [NO_MODE, "paper", "paper"] == [run.mode for run in store.runs()]
        assert all(run.ended_ns for run in store.runs())


# --- trust -----------------------------------------------------------------------------------------------------------

TAMPERED = {
    "the table": (
        "UPDATE history SET body = replace(body, '1880.01000000', '1880.02000000') WHERE id = 'kraken:F7'",
        ["journal 2: history row", "(id kraken:F7) differs from the journal in body"],
    ),
    "a row is gone": ("DELETE FROM history WHERE id = 'kraken:F7'", ["(id kraken:F7) is in the journal, but missing"]),
    "a row too many": (
        "INSERT INTO history SELECT ts_ns, seq, 99, 'x', kind, body FROM history WHERE id = 'kraken:F7'",
        ["(id x) is not in the journal"],
    ),
    "the journal": (
        "UPDATE journal SET body = replace(body, 'kraken:F7', 'kraken:G7') WHERE seq = 2",
        ["journal 2: was edited: its hash does not fit its content: line 7 of h.jsonl (id kraken:F7)"],
    ),
    "a sum": (
        "UPDATE postings SET number = '7' WHERE account = 'expenses:fees:kraken'",
        ["does not sum to zero", "balance of expenses:fees:kraken"],
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_an_edited_line_is_located(case, store_url, tmp_path):
    """Whoever edits a line, in the table or in the journal, is found at that line."""
    edit, words = TAMPERED[case]
    with closing(a_store(store_url)) as store:
        import_history(a_file(tmp_path / "h.jsonl", *fills(20)), store)
        with store.database.write() as connection:
            connection.execute(text(edit))
        told = "\n".join(map(str, store.verify()))
    for word in words:
        assert word in told


KILLED = """
import os, signal, sys
from pathlib import Path
import arbot.tax.importing as importing
from tests.support.history_lines import a_ledger

taken = importing._Writer.take
def take(self, batch):
    taken(self, batch)
    if self._lines >= 120:
        os.kill(os.getpid(), signal.SIGKILL)

importing.LINES_AT_ONCE = 30
importing._Writer.take = take
importing.import_history(Path(sys.argv[1]), a_ledger(Path(sys.argv[2])))
"""


def test_kill_9_in_the_middle_leaves_nothing(tmp_path):
    """A process that dies with half of a file written leaves the store as it was, and the next import is whole."""
    with closing(a_ledger(tmp_path / "h.db")) as store:
        import_history(a_file(tmp_path / "a.jsonl", *ONE_OF_EACH), store)
    before = state_of(tmp_path / "h.db")
    path = a_file(tmp_path / "b.jsonl", *fills(200))
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(tmp_path / "h.db")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert -signal.SIGKILL == ran.returncode
    assert before == state_of(tmp_path / "h.db")
    with closing(a_ledger(tmp_path / "h.db")) as store:
        assert 200 == import_history(path, store).new
        assert () == store.verify()


# --- below zero ------------------------------------------------------------------------------------------------------


def test_strict_refuses_what_falls_below_zero(tmp_path):
    """A file that sells what is not there is refused by name, unless what is booked covers it."""
    path = a_file(tmp_path / "b.jsonl", *fills(2))
    with closing(a_ledger(tmp_path / "h.db")) as store:
        with pytest.raises(UserError) as caught:
            demand_covered(path, store)
        (mistake,) = caught.value.mistakes
        assert "kraken:F1 at kraken" == mistake.where
        assert "kraken has 0.02002 BTC less than what leaves it" in mistake.what
        assert "0.04004 less at kraken:F2" in mistake.what
        import_history(a_file(tmp_path / "a.jsonl", *ONE_OF_EACH), store)
        demand_covered(path, store)


def test_watch_knows_what_is_on_its_way(tmp_path):
    """Coins on their way are nowhere until they arrive, at the instant they do."""
    lines = [
        *ONE_OF_EACH[:2],
        TRANSFER,
        FILL | {"id": "wallet:1", "venue": "wallet.cold", "ts": "2025-01-01T00:20:00Z"},
    ]
    with closing(a_ledger(tmp_path / "h.db")) as store:
        import_history(a_file(tmp_path / "a.jsonl", *lines), store)
        watch = BalanceWatch()
        for placed in open_history(store).lines():
            watch.feed(placed)
        assert ["wallet:1 at wallet.cold"] == [item.where for item in watch.open_items()]
        watch.finish()
        assert Decimal("0.07978") == watch.balances()["wallet.cold", "BTC"]
