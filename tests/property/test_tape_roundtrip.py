"""What goes onto tapes comes off them, in the order of time, whatever the sizes and the cuts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.market.stream import Kind
from arbot.tape.cache import cached
from arbot.tape.catalogue import open_tapes
from arbot.tape.merge import merged
from arbot.tape.writer import compact
from tests.support.tapes import START, a_meta, as_rows, equal, message, together, written

DAY_NS = 86_400_000_000_000
LEVEL = st.tuples(st.integers(1, 10**17).flatmap(lambda key: st.sampled_from([key, -key])), st.integers(1, 10**17))


@st.composite
def recordings(draw):
    """Return messages of one stream in the order of time, some at one time, some a day apart."""
    ts, made = START, []
    for _ in range(draw(st.integers(1, 8))):
        ts += draw(st.sampled_from([0, 1, 7, 1_000_000_000, DAY_NS // 2]))
        kind = draw(st.sampled_from([Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE, Kind.CLEAR, Kind.ALIVE]))
        levels = draw(st.lists(LEVEL, min_size=1, max_size=9)) if kind <= Kind.TRADE else ()
        made.append(message(ts, kind, *levels))
    return made


@settings(max_examples=12, deadline=None)
@given(
    tapes=st.lists(recordings(), min_size=1, max_size=3),
    rotate_s=st.sampled_from([0.5, 60.0, 1e5]),
    rows_max=st.sampled_from([1, 5, 1000]),
    chunk_rows=st.sampled_from([1, 4, 1000]),
    is_compacted=st.booleans(),
)
def test_merged_tapes_are_the_messages_in_order(tapes, rotate_s, rows_max, chunk_rows, is_compacted):
    """Merging equals sorting all messages by time, stably by stream; the cache holds the same; parts keep their bounds."""
    root = Path(tempfile.mkdtemp())
    try:
        for number, messages in enumerate(tapes):
            written(root, messages, a_meta(f"v{number}"), rotate_s=rotate_s, rows_max=rows_max)
        datasets = open_tapes([root])
        for dataset in datasets:
            assert len({(ts // DAY_NS) for part in dataset.parts for ts in (part.first_ts_ns, part.last_ts_ns)}) == 1
            if is_compacted:
                compact(dataset)
        datasets = open_tapes([root])
        assert not is_compacted or all(len(dataset.parts) == 1 for dataset in datasets)
        numbered = [
            [(ts, key, qty, tag | number << 8) for ts, key, qty, tag in one]
            for number, messages in enumerate(tapes)
            for one in messages
        ]
        expected = as_rows(sorted(numbered, key=lambda one: one[0][0]))
        chunks = list(merged(datasets, chunk_rows=chunk_rows))
        assert equal(expected, together(chunks))
        assert all(chunk.tag[-1] & 0x10 for chunk in chunks)
        mapped = cached(datasets, root / ".cache", build=True)
        assert equal(expected, together(mapped.chunks(chunk_rows)))
    finally:
        shutil.rmtree(root)
