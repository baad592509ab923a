"""A process dies with money under way: nothing is sent again, what may have left is looked for, all of it stays counted."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.commands import SubmitTransfer
from arbot.domain.transfer import TransferState
from arbot.journal.store import SqlStore
from arbot.ports import Record
from arbot.runtime.reconcile import restored_transfer
from tests.support.engine_world import START_NS, play
from tests.support.stores import a_run, begin
from tests.support.transfer_world import TransferWorld

ASK = "ask 1 BTC kraken coinbase bitcoin key K"


def store_of(world: TransferWorld, path: Path) -> SqlStore:
    """Return a store that has all that the world went through."""
    store = a_run(f"sqlite:///{path}")
    store.commit([Record(envelope=envelope, outcome=outcome) for envelope, outcome in world.log])
    return store


def next_world(store: SqlStore, now_ns: int) -> TransferWorld:
    """Return the world of the next process, with what the store gives back."""
    world = TransferWorld(epoch=2)
    world.now_ns = now_ns
    for stored in store.own_transfers(START_NS):
        world.give(restored_transfer(stored))
    return world


KILLED_AFTER = {
    "the intent": [ASK],
    "the request left": [ASK, "sent"],
    "a lost answer": [ASK, "sent", "unknown"],
}


@pytest.mark.parametrize("moment", KILLED_AFTER)
def test_what_may_have_left_is_unknown_and_looked_for(moment: str, tmp_path: Path) -> None:
    """Never send it again: call it unknown, ask both ends, and find it in the source's history."""
    first = TransferWorld()
    for line in KILLED_AFTER[moment]:
        first.line(line)
    with_store = store_of(first, tmp_path / "s.sqlite")
    second = next_world(with_store, first.now_ns)
    with_store.close()

    assert TransferState.UNKNOWN is second.transfer.state
    assert ["kraken", "coinbase"] == second.asked
    play(
        second,
        f"""
{ASK}                                             -> refused transfer_repeated
kraken withdrawal W1 1 fee 0.001 done tx X        -> unknown > confirmed
coinbase deposit D1 1 done tx X                   -> confirmed > credited
""",
    )
    assert not any(isinstance(c, SubmitTransfer) for _, outcome in second.log for c in outcome.commands)


def test_one_that_never_left_is_stuck_and_not_forgotten(tmp_path: Path) -> None:
    """Call a person at the quantile when no history has it."""
    first = TransferWorld()
    first.line(ASK)
    with_store = store_of(first, tmp_path / "s.sqlite")
    second = next_world(with_store, first.now_ns)
    with_store.close()

    assert ["alert transfer_overdue", "unknown > stuck"] == [
        word for word in second.line("wait 481min") if "caps" not in word
    ]
    assert Decimal(20) == second.counted()


def test_a_credited_one_is_not_booked_again(tmp_path: Path) -> None:
    """Take the venues' retelling of an ended transfer as old news, and still know the key of whoever asked."""
    first = TransferWorld()
    lines = [
        ASK,
        "sent",
        "accepted W1",
        "kraken withdrawal W1 1 fee 0.001 done tx X",
        "coinbase deposit D1 1 done tx X",
    ]
    for line in lines:
        first.line(line)
    with_store = store_of(first, tmp_path / "s.sqlite")
    second = next_world(with_store, first.now_ns)
    with_store.close()

    play(
        second,
        f"""
kraken withdrawal W1 1 fee 0.001 done tx X        ->
coinbase deposit D1 1 done tx X                   ->
{ASK}                                             -> refused transfer_repeated
""",
    )
    assert TransferState.CREDITED is second.transfer.state


def test_projections_can_be_derived_again(tmp_path: Path) -> None:
    """Come to the same transfers from the journal alone, and find nothing wrong."""
    world = TransferWorld()
    for line in (ASK, "sent", "accepted W1", "kraken withdrawal W1 1 fee 0.001 pending tx X"):
        world.line(line)
    store = store_of(world, tmp_path / "s.sqlite")
    before = store.own_transfers()
    store.end_run()
    store.rebuild()
    begin(store)

    assert before == store.own_transfers()
    assert () == store.verify()
    assert ["requested", "requested", "accepted", "broadcast"] == [one.news.after.value for one in before[0].life]
    store.close()
