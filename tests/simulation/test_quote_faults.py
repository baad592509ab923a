"""Does a quote ever leave us naked in silence? Seeded faults around resting orders, compared with the venues' truth."""

from __future__ import annotations

import os

import pytest

from arbot.engine.engine import Engine
from strategies.maker_taker import MakerTaker
from tests.support.engine_world import FakeMarket
from tests.support.faulty_venues import problems
from tests.support.quoted_venues import PARAMS, QuotedWorld

SEEDS = int(os.environ.get("ARBOT_SEEDS_QUOTES", "10"))


@pytest.mark.parametrize("block", range(3))
def test_quotes_agree_with_the_venues_after_any_faults(block: int) -> None:
    """End every order, know every fill, and leave nothing naked unless it is stranded and said so."""
    failed = []
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        world = QuotedWorld(seed)
        world.chaos_then_rest(10)
        failed += [f"seed {seed}: {problem}" for problem in (*problems(world), *world.broken)]

    assert failed == []


def test_quotes_rest_fill_and_race() -> None:
    """See each thing happen that the test above is about, or it proves nothing."""
    seen: dict[str, int] = {}
    for seed in range(12):
        world = QuotedWorld(seed)
        world.chaos_then_rest(10)
        seen = {name: seen.get(name, 0) + count for name, count in world.counts.items()}

    assert [name for name, count in seen.items() if not count] == []


def test_no_two_orders_of_ours_ever_rest_in_one_place() -> None:
    """Place the next order of a place only after the last is proven ended."""
    doubles = []
    for seed in range(8):
        world = QuotedWorld(seed)
        world.chaos_then_rest(10)
        doubles.append(world.doubles)

    assert doubles == [0] * 8


def test_replaying_the_journal_without_idle_looks_gives_the_same_digest() -> None:
    """Leave out every look that did nothing: what rests, and all else, comes out the same."""
    world = QuotedWorld(5)
    world.chaos_then_rest(10)
    market = FakeMarket()
    engine = Engine(world.engine.state.config, MakerTaker(PARAMS), market)
    left_out = 0
    for (envelope, outcome), books in zip(world.log, world.books_log, strict=True):
        if type(envelope.event).__name__ == "BooksMoved" and not outcome.commands:
            left_out += 1
            continue
        market.books, market.valid, market.recv, market.venue = books

        assert outcome == engine.step(envelope)
    assert left_out > 10
    assert engine.digest() == world.engine.digest()
