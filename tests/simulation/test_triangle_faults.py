"""Do arbs of three legs survive? Seeded faults on every leg, compared with the venues' own truth at rest."""

from __future__ import annotations

import os

import pytest

from arbot.domain.decisions import ArbClosed, ArbOpened
from arbot.engine.engine import Engine
from strategies.triangular import Triangular
from tests.support.engine_world import FakeMarket
from tests.support.faulty_triangles import FaultyTriangles, problems
from tests.support.faulty_venues import FAULTS

SEEDS = int(os.environ.get("ARBOT_SEEDS_TRIANGLES", "4"))


@pytest.mark.parametrize("block", range(4))
def test_engine_agrees_with_the_venues_after_any_faults(block: int) -> None:
    """End every order and leave neither asset naked, to the last unit, unless it is stranded and said so."""
    failed = []
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        world = FaultyTriangles(seed)
        world.chaos_then_rest(6)
        failed += [f"seed {seed}: {problem}" for problem in problems(world)]

    assert [] == failed


def test_every_fault_strikes_and_arbs_are_opened_in_both_directions() -> None:
    """Hit every fault on arbs that buy and on arbs that sell their foreign quote, or the run above proves nothing."""
    hits, sides, closed = dict.fromkeys(FAULTS, 0), set(), 0
    for seed in range(8):
        world = FaultyTriangles(seed)
        world.chaos_then_rest(5)
        decisions = [d for _, outcome in world.log for d in outcome.decisions]
        sides |= {d.conversion.side for d in decisions if isinstance(d, ArbOpened) and d.conversion}
        closed += sum(isinstance(d, ArbClosed) and not d.is_flush for d in decisions)
        for fault, count in world.hits.items():
            hits[fault] += count

    assert [] == [fault for fault, count in hits.items() if not count]
    assert {"buy", "sell"} == sides
    assert closed > 30


def test_replay_gives_the_same_outcomes_and_digest() -> None:
    """Give the recorded envelopes and books to a fresh engine: every outcome and the digest are the same."""
    world = FaultyTriangles(3)
    world.chaos_then_rest(5)
    market = FakeMarket()
    engine = Engine(world.engine.state.config, Triangular({"across": True}), market)
    for (envelope, outcome), books in zip(world.log, world.books_log, strict=True):
        market.books, market.valid, market.recv, market.venue = books

        assert outcome == engine.step(envelope)
    assert world.engine.digest() == engine.digest()
