"""The sweep's compiled kernel against its naive twin, over random tapes and random settings."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.backtest.sweep_pass import Part, judge
from arbot.market.stream import IS_LAST
from tests.support.sweep_tapes import START_NS, a_candidate, a_stock, random_rows, three_streams
from tests.support.sweep_twin import SweepTwin

STREAMS = three_streams()
seeds = st.integers(0, 2**32 - 1)


def two_parts(rows):
    cut = int(rows.recv_ts_ns[len(rows) * 2 // 3])
    return (
        Part(name="tuned", first_ts_ns=START_NS, stop_ts_ns=cut),
        Part(name="held_out", first_ts_ns=cut, stop_ts_ns=2**62),
    )


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_kernel_equals_twin(seed):
    """Every count is the twin's and every sum is but for rounding, on both parts, for many settings in one pass."""
    rng = Random(seed)
    rows = random_rows(rng, STREAMS, 300)
    candidates = [a_candidate(rng, STREAMS) for _ in range(6)]
    parts = two_parts(rows)
    scores = judge(a_stock(STREAMS, rows), candidates, parts)
    for number, candidate in enumerate(candidates):
        for part, expected in zip(parts, SweepTwin(STREAMS, candidate).scores(rows, parts), strict=True):
            score = scores[part.name][number]
            found = {name: getattr(score, name) for name in expected}
            assert pytest.approx(expected, rel=1e-9, abs=1e-7) == found
            assert pytest.approx(score.net + score.fees, abs=1e-7) == score.edge + score.slippage + score.unwinds


@settings(max_examples=10, deadline=None)
@given(seed=seeds, data=st.data())
def test_one_pass_equals_many(seed, data):
    """Settings judged together come to exactly what each comes to alone, however the rows are cut into chunks."""
    rng = Random(seed)
    rows = random_rows(rng, STREAMS, 300)
    candidates = [a_candidate(rng, STREAMS) for _ in range(5)]
    parts = two_parts(rows)
    starts = np.flatnonzero(rows.tag & IS_LAST)[:-1] + 1
    cuts = tuple(sorted(data.draw(st.sets(st.sampled_from(starts.tolist()), max_size=4))))
    together = judge(a_stock(STREAMS, rows, cuts), candidates, parts)
    for number, candidate in enumerate(candidates):
        alone = judge(a_stock(STREAMS, rows), [candidate], parts)
        assert {name: listed[0] for name, listed in alone.items()} == {
            name: listed[number] for name, listed in together.items()
        }


def test_random_tapes_reach_every_end():
    """The tapes of these tests make settings that fill, miss, work residuals, strand, are cut and are stopped."""
    rng = Random(5)
    seen = dict.fromkeys(("looks", "arbs", "full", "one_sided", "missed", "stranded", "cut", "stopped"), 0)
    for _ in range(20):
        rows = random_rows(rng, STREAMS, 300)
        candidates = [a_candidate(rng, STREAMS) for _ in range(20)]
        for listed in judge(a_stock(STREAMS, rows), candidates, two_parts(rows)).values():
            for score in listed:
                for name in seen:
                    seen[name] += getattr(score, name)
    assert min(seen.values()) > 0, seen
