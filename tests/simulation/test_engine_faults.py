"""Does the core survive? Seeded faults around the real engine, compared with the venues' own truth at rest."""

from __future__ import annotations

import decimal
import os
import subprocess
import sys

import pytest

from arbot.engine.engine import Engine
from strategies.cross_venue import CrossVenue
from tests.support.engine_world import FakeMarket
from tests.support.faulty_venues import FAULTS, FaultyWorld, problems

SEEDS = int(os.environ.get("ARBOT_SEEDS_ENGINE", "60"))


@pytest.mark.parametrize("block", range(4))
def test_engine_agrees_with_the_venues_after_any_faults(block: int) -> None:
    """End every order, know every fill, and leave nothing naked unless it is stranded and said so."""
    failed = []
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        world = FaultyWorld(seed)
        world.chaos_then_rest()
        failed += [f"seed {seed}: {problem}" for problem in problems(world)]

    assert failed == []


def test_every_fault_strikes() -> None:
    """Hit every fault of the swarm at least once over the seeds, or the run above proves nothing."""
    hits = dict.fromkeys(FAULTS, 0)
    for seed in range(25):
        world = FaultyWorld(seed)
        world.chaos_then_rest(10)
        for fault, count in world.hits.items():
            hits[fault] += count

    assert [fault for fault, count in hits.items() if not count] == []


@pytest.mark.parametrize("ambient", [decimal.Context(), decimal.Context(prec=9, rounding=decimal.ROUND_UP)])
def test_replay_gives_the_same_outcomes_and_digest(ambient: decimal.Context) -> None:
    """Give the recorded envelopes and books to a fresh engine: every outcome and the digest are the same.

    Also under another ambient decimal context: libraries change it, ccxt its rounding when it is imported.
    """
    world = FaultyWorld(7)
    world.chaos_then_rest(10)
    market = FakeMarket()
    with decimal.localcontext(ambient):
        engine = Engine(world.engine.state.config, CrossVenue({"edge_net_bps_min": "2"}), market)
        for (envelope, outcome), books in zip(world.log, world.books_log, strict=True):
            market.books, market.valid, market.recv, market.venue = books

            assert outcome == engine.step(envelope)
        assert engine.digest() == world.engine.digest()


def test_digest_is_the_same_in_another_process() -> None:
    """Reach the same digest in two processes with different hash seeds."""
    program = (
        "from tests.support.faulty_venues import FaultyWorld\n"
        "w = FaultyWorld(11); w.chaos_then_rest(10); print(w.engine.digest())"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    digests = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env=os.environ | {"PYTHONHASHSEED": seed}, check=True,
            capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip

    assert digests[0] == digests[1]
    assert len(digests[0].strip()) == 64
