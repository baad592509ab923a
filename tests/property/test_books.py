"""The compiled book against its naive twin, over random streams."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.order import Side
from arbot.market.books import Books, level_array
from tests.support.books import Pair, Twin, an_instrument

PRICE_DECIMALS, QTY_DECIMALS = 1, 8
INSTRUMENT = an_instrument("kraken", price_decimals=PRICE_DECIMALS, qty_decimals=QTY_DECIMALS)

# few prices, so that levels are replaced, removed twice and repeated in one message
prices = st.integers(1, 400).map(lambda ticks: Decimal(ticks).scaleb(-PRICE_DECIMALS))
far_prices = st.one_of(prices, st.integers(1, 10**15).map(lambda ticks: Decimal(ticks).scaleb(-PRICE_DECIMALS)))
qtys = st.one_of(st.just(Decimal(0)), st.integers(1, 10**17).map(lambda lots: Decimal(lots).scaleb(-QTY_DECIMALS)))
sides = st.lists(st.tuples(far_prices, qtys), max_size=60)
messages = st.lists(st.tuples(st.sampled_from(["update", "update", "update", "snapshot"]), sides, sides), max_size=12)


def as_pairs(levels: tuple) -> list[Pair]:
    return [tuple(level) for level in levels]


@settings(max_examples=150, deadline=None)
@given(depth=st.sampled_from([0, 10, 25]), messages=messages)
def test_book_equals_twin(depth, messages):
    """After every message book and twin hold the same levels, the same checksum, and agree whether the book is whole."""
    books, twin = Books(), Twin(depth)
    index = books.add(INSTRUMENT, depth)
    books.apply_snapshot(index, level_array([], INSTRUMENT), level_array([], INSTRUMENT), 0, 1)
    for number, (kind, bids, asks) in enumerate(messages, 2):
        ours = level_array(bids, INSTRUMENT), level_array(asks, INSTRUMENT)
        if kind == "snapshot":
            books.apply_snapshot(index, *ours, number, number)
            twin.snapshot(bids, asks)
        else:
            assert books.apply_update(index, *ours, number, number)
            twin.update(bids, asks)
        assert twin.best_bids() == as_pairs(books.levels(INSTRUMENT.id, Side.SELL, 1_000))
        assert twin.best_asks() == as_pairs(books.levels(INSTRUMENT.id, Side.BUY, 1_000))
        assert twin.checksum(PRICE_DECIMALS, QTY_DECIMALS) == books.checksum(index)
        assert (False, number, number) == books.state(INSTRUMENT.id)
        assert twin.is_whole == books.validate(index)
        assert books.is_synced(index) != twin.is_crossed
        if twin.is_crossed:
            assert books.levels(INSTRUMENT.id, Side.BUY, 1) == ()
            twin.snapshot([], [])
            books.apply_snapshot(index, level_array([], INSTRUMENT), level_array([], INSTRUMENT), 0, 1)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.sampled_from([0, 10, 100, 1000]))
def test_long_drift_keeps_books_equal(seed, depth):
    """A market that wanders for thousands of levels up and down never runs out of room nor out of order."""
    chance = np.random.default_rng(seed)
    books, twin = Books(), Twin(depth)
    index = books.add(INSTRUMENT, depth)
    middle = 50_000
    books.apply_snapshot(index, level_array([], INSTRUMENT), level_array([], INSTRUMENT), 0, 1)
    for step in range(150):
        middle += int(chance.integers(-300, 300)) + (150 if seed % 2 else -150)
        middle = max(middle, 2_000)
        offsets = chance.geometric(0.02, size=(2, 30))
        lots = chance.integers(0, 4, size=(2, 30))
        bids, asks = (
            [
                (Decimal(middle - sign * int(ticks)).scaleb(-1), Decimal(int(lot)))
                for ticks, lot in zip(offsets[row], lots[row], strict=True)
            ]
            for row, sign in ((0, 1), (1, -1))
        )
        bids += [(price, Decimal(0)) for price in twin.bids if price >= Decimal(middle).scaleb(-1)]
        asks += [(price, Decimal(0)) for price in twin.asks if price <= Decimal(middle).scaleb(-1)]
        books.apply_update(index, level_array(bids, INSTRUMENT), level_array(asks, INSTRUMENT), step, step)
        twin.update(bids, asks)
        assert books.validate(index) == twin.is_whole
    assert twin.best_bids() == as_pairs(books.levels(INSTRUMENT.id, Side.SELL, 100_000))
    assert twin.best_asks() == as_pairs(books.levels(INSTRUMENT.id, Side.BUY, 100_000))
