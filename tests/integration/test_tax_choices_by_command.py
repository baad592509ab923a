"""Choosing lots by the commands: in a ledger file, with the words for a broker, and what the report makes of it from 2027 on."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.cli.main import run
from arbot.domain.events import LotsPicked
from arbot.domain.history import PickedLot, parse_ts
from tests.support.bundle_world import jsonl, sheet
from tests.support.golden_commands import config_of, import_lines, journal_at, lines_of, report

CHEAP = {"t": "buy", "id": "A", "ts": "2025-02-03T10:00:00Z", "account": "kraken", "asset": "BTC", "qty": "2", "cash": "150000"}  # fmt: skip
DEAR = {"t": "buy", "id": "B", "ts": "2026-03-04T11:00:00Z", "account": "kraken", "asset": "BTC", "qty": "2", "cash": "220000"}  # fmt: skip
SALE = {"t": "sell", "id": "s", "ts": "2027-01-01T00:00:00Z", "account": "kraken", "asset": "BTC", "qty": "1", "cash": "100000"}  # fmt: skip
CASH = {
    "kind": "deposit",
    "id": "D",
    "ts": "2025-01-01T00:00:00Z",
    "venue": "kraken",
    "asset": "USD",
    "amount": "900000",
}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger file with two lots at kraken; what is sold in 2027 is not in it yet."""
    return import_lines(tmp_path, [CASH, *lines_of([CHEAP, DEAR])])


def sold(ledger: Path, *words: str) -> tuple[str, str, bool]:
    """Report the sale of 2027; return its lot, its method, and whether identification.csv knows of a word to the broker."""
    import_lines(ledger.parent, lines_of([SALE]), "sale.jsonl")
    out = ledger.parent / "out"
    assert report(ledger, out, "--year", "2027", *words) == 0
    (row,) = jsonl(out, "disposals.jsonl")
    assert (row["identified_at"] is None) == (row["method"] == "fifo")
    return row["lot"], row["method"], any(one["told_broker_at"] for one in sheet(out, "identification.csv"))


def test_an_order_says_what_the_broker_has_to_be_told(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Print the text for every account that a broker keeps, none for an own wallet; without the broker 2027 is FIFO."""
    config = config_of({"accounts": {"kraken": "broker", "coinbase": "self", "cold": "self"}}, tmp_path)
    capsys.readouterr()
    assert run(["tax", "order", "hifo", "--ledger", str(ledger), "--config", str(config), "--json"]) == 0

    (text,) = json.loads(capsys.readouterr().out)["broker_instructions"]
    assert text.startswith("To kraken: standing order")
    assert "take first those with the highest cost basis per unit" in text
    assert sold(ledger) == ("A", "fifo", False)
    assert sold(ledger, "--config", str(config_of({"accounts": {"kraken": "self"}}, tmp_path))) == ("B", "hifo", False)


def test_a_word_to_the_broker_is_recorded(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--told-broker` acknowledges it, prints nothing to hand on, and the order counts in 2027."""
    assert run(["tax", "order", "hifo", "--ledger", str(ledger), "--asset", "BTC"]) == 0
    assert "units of BTC that you hold" in capsys.readouterr().out
    assert run(["tax", "order", "hifo", "--ledger", str(ledger), "--asset", "BTC", "--told-broker"]) == 0
    assert capsys.readouterr().out == "from now on hifo for BTC everywhere\n"

    assert run(["ledger", "verify", "--ledger", str(ledger)]) == 0
    assert sold(ledger) == ("B", "hifo", True)


def test_a_pick_names_units_as_a_broker_knows_them(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text says when and for what the units were acquired; told, the pick counts in 2027, as of that word."""
    capsys.readouterr()
    assert run(["tax", "pick", "s", "B=0.75", "A=0.25", "--ledger", str(ledger)]) == 0
    told = capsys.readouterr().out
    assert "- 0.75 units acquired 2026-03-04T11:00:00Z at kraken: 2 BTC for 220000 USD (lot B)" in told
    assert "- 0.25 units acquired 2025-02-03T10:00:00Z at kraken: 2 BTC for 150000 USD (lot A)" in told
    assert run(["tax", "pick", "s", "B=0.75", "A=0.25", "--ledger", str(ledger), "--told-broker"]) == 0

    import_lines(ledger.parent, lines_of([SALE]), "sale.jsonl")
    assert report(ledger, ledger.parent / "out", "--year", "2027") == 0
    rows = jsonl(ledger.parent / "out", "disposals.jsonl")
    (one,) = sheet(ledger.parent / "out", "identification.csv")
    assert [("B", "0.75", "pick"), ("A", "0.25", "pick")] == [(row["lot"], row["qty"], row["method"]) for row in rows]
    assert one["recorded_at"] < one["told_broker_at"] == rows[0]["identified_at"]


def test_an_order_for_an_account_nobody_knows_is_refused(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An account has to be in the ledger or in the configuration."""
    assert run(["tax", "order", "lifo", "--venue", "krakn", "--ledger", str(ledger)]) != 0
    assert "'krakn' is not known" in capsys.readouterr().err


PICKS = {
    # (recorded at, lot) ... -> lot that goes, and when it was identified
    "the newest that is in time": ([("10:00", "A"), ("11:00", "B")], "B", "11:00"),
    "what comes too late changes nothing": ([("11:00", "B"), ("12:01", "A")], "B", "11:00"),
    "said again": ([("10:00", "B"), ("11:30", "B")], "B", "10:00"),
    "all of them too late": ([("12:01", "B")], "A", None),
}


@pytest.mark.parametrize("name", PICKS)
def test_what_was_named_anew(tmp_path: Path, name: str) -> None:
    """Of what was named for one disposal the newest counts that was recorded no later than it."""
    picks, lot, identified = PICKS[name]
    sale = SALE | {"ts": "2026-06-01T12:00:00Z"}
    ledger = import_lines(tmp_path, [CASH, *lines_of([CHEAP, DEAR, sale])])
    journal_at(
        ledger,
        [
            (parse_ts(f"2026-06-01T{at}:00Z"), LotsPicked(disposal="s", lots=(PickedLot(named, Decimal(1)),)))
            for at, named in picks
        ],
    )
    assert report(ledger, tmp_path / "out", "--year", "2026") == 0

    (row,) = jsonl(tmp_path / "out", "disposals.jsonl")
    assert (lot, identified and f"2026-06-01T{identified}:00Z") == (row["lot"], row["identified_at"])
