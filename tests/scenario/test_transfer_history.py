"""Do transfers of our own become lines that tie to the ledger through every fault there is?"""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.history import SpendLine, TransferLine
from tests.scenario.test_transfer_life import BEGUN, LIVES
from tests.support.journal_world import Book, balances_of, of_kind
from tests.support.transfer_world import TransferWorld

SENT = "kraken withdrawal W1 1 fee 0.001 done tx X"


def begun() -> Book:
    """Return a journal in which a transfer of 1 BTC was accepted by its source."""
    return Book(TransferWorld()).play("kraken holds BTC 10 USD 10000", "wait 1min", *steps(BEGUN))


def steps(table: str) -> list[str]:
    """Return the left column of a table."""
    lines = (line.partition("->")[0].strip() for line in table.splitlines())
    return [line for line in lines if line]


@pytest.mark.parametrize("life", LIVES)
def test_lines_add_up_to_what_the_ledger_has_through_every_fault(life: str):
    """After every step of every way a transfer can go, each account of the venues is what the ledger says, exactly."""
    book = begun()
    for step in steps(LIVES[life]):
        book.play(step)
        sums = balances_of(book.settled().lines)
        ledger = {
            (name.removeprefix("assets:"), str(asset)): number
            for name, asset, number in book.ledger.balances()
            if name.startswith("assets:") and number
        }
        assert {key: sums.get(key) for key in ledger} == ledger, step


def test_what_is_on_its_way_is_a_transfer_that_has_not_arrived():
    """Name the account it goes to, without a time of arrival; then complete the very same line."""
    book = begun().play(SENT)
    (flying,) = of_kind(book.settled().lines, TransferLine)
    book.play("wait 30min", "coinbase deposit D1 1 done tx X")
    (landed,) = of_kind(book.settled().lines, TransferLine)

    assert (flying.id, flying.dst, flying.ts_in) == ("kraken:withdrawal:W1", "coinbase", None)
    assert (landed.id, landed.dst, landed.sent, landed.fee) == (
        flying.id,
        "coinbase",
        Decimal("1.001"),
        Decimal("0.001"),
    )
    assert landed.ts_in is not None
    assert landed.ts == flying.ts
    assert book.settled().items == []


def test_two_deposits_of_one_withdrawal_are_two_lines():
    """Let every part arrive in its own time: the first carries the fee, together they are what was sent."""
    book = begun().play(SENT, "coinbase deposit D1 0.5 done tx X", "coinbase deposit D2 0.5 done tx X")

    parts = of_kind(book.settled().lines, TransferLine)

    assert [(one.id, one.received, one.fee) for one in parts] == [
        ("kraken:withdrawal:W1", Decimal("0.5"), Decimal("0.001")),
        ("kraken:withdrawal:W1:2", Decimal("0.5"), Decimal(0)),
    ]


def test_a_transfer_that_came_back_cost_what_it_cost_and_went_nowhere():
    """Leave no transfer of coins that are where they were; the fee that was lost on the way is a spend."""
    settled = begun().play(*steps(LIVES["it comes back to its source as a deposit"])).settled()
    spends = of_kind(settled.lines, SpendLine)

    assert of_kind(settled.lines, TransferLine) == []
    assert [(one.id, one.amount) for one in spends] == [("kraken:withdrawal:W1:returned", Decimal("0.001"))]
    assert settled.notes[-1] == "kraken:withdrawal:W1 came back to kraken"


def test_more_credited_than_was_sent_is_no_part_of_the_transfer():
    """Join what was sent; what a venue credited on top came from nobody knows where."""
    book = begun().play(SENT, "coinbase deposit D1 1 done tx X", "coinbase deposit D2 1 done tx X")
    settled = book.settled(is_pretend=False)

    assert [one.received for one in of_kind(settled.lines, TransferLine)] == [Decimal(1)]
    assert "unmatched_transfer coinbase:deposit:D2" in [f"{one.code} {one.where}" for one in settled.items]
