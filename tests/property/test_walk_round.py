"""Does the walk over three books find what trying out finds?"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from arbot.domain.book import Level
from arbot.domain.order import Side
from arbot.engine.detector import Factors, round_unit, walk_round

CENT = Decimal("0.01")
CRUMB = Decimal("1e-40")
quantities = st.integers(1, 50).map(lambda n: Decimal(n) / 10)


def books(side: Side, middle: int) -> st.SearchStrategy[tuple[Level, ...]]:
    """Return books around a middle, best first: asks rise, bids fall."""
    step = 1 if side is Side.BUY else -1
    return st.lists(st.tuples(st.integers(0, 5), quantities), min_size=1, max_size=5).map(
        lambda rows: tuple(
            Level((middle + step * sum(gap for gap, _ in rows[: n + 1])) * CENT, qty) for n, (_, qty) in enumerate(rows)
        )
    )


fees = st.integers(-5, 30).map(lambda bps: Decimal(bps) / 10_000)


@st.composite
def rounds(draw: st.DrawFn) -> tuple[tuple[Level, ...], tuple[Level, ...], tuple[Level, ...], Side, Factors]:
    """Return three books near to balance, and what fees make of them."""
    side = draw(st.sampled_from(list(Side)))
    buy, sell = (500, 1010) if side is Side.BUY else (1000, 505)
    asks = draw(books(Side.BUY, draw(st.integers(buy - 8, buy + 8))))
    bids = draw(books(Side.SELL, draw(st.integers(sell - 8, sell + 8))))
    turns = draw(books(side, draw(st.integers(197, 203))))
    factors = Factors(
        1 + draw(fees), 1 - draw(fees), 1 + side.sign * draw(fees), Decimal(draw(st.integers(1, 40))) / 10_000
    )
    return asks, bids, turns, side, factors


@given(rounds())
def test_walk_is_the_sum_of_its_levels(case: tuple) -> None:
    """Use of each book at most what it offers, best levels first, and stop where the next unit no longer clears."""
    asks, bids, turns, side, factors = case
    walked = walk_round(*case)
    first = round_unit(asks[0].price, bids[0].price, turns[0].price, side, factors)
    if walked is None:
        assert first.net < first.cost * factors.edge_min
        return

    def used(levels: tuple[Level, ...], worst: Decimal, qty: Decimal) -> None:
        offered = sum((one.qty for one in levels if (one.price - worst) * order(levels) <= 0), Decimal(0))
        better = sum((one.qty for one in levels if (one.price - worst) * order(levels) < 0), Decimal(0))
        assert better - CRUMB <= qty <= offered + CRUMB

    def order(levels: tuple[Level, ...]) -> int:
        return -1 if levels is bids or (levels is turns and side is Side.SELL) else 1

    used(asks, walked.buy_price, walked.qty)
    used(bids, walked.sell_price, walked.qty)
    used(turns, walked.conversion_price, walked.foreign_qty)
    last = round_unit(walked.buy_price, walked.sell_price, walked.conversion_price, side, factors)
    assert last.net >= last.cost * factors.edge_min
    assert walked.net >= walked.cost * factors.edge_min - CRUMB


@given(rounds(), st.integers(1, 20).map(lambda n: Decimal(n) / 100))
def test_walk_finds_what_small_steps_find(case: tuple, step: Decimal) -> None:
    """Come to the quantity that taking tiny steps of all three books comes to, within one step a level."""
    asks, bids, turns, side, factors = case
    walked = walk_round(*case)
    taken = foreign = Decimal(0)

    def price_at(levels: tuple[Level, ...], done: Decimal) -> Decimal | None:
        for level in levels:
            if done < level.qty:
                return level.price
            done -= level.qty
        return None

    while True:
        prices = price_at(asks, taken), price_at(bids, taken), price_at(turns, foreign)
        if prices[0] is None or prices[1] is None or prices[2] is None:
            break
        unit = round_unit(prices[0], prices[1], prices[2], side, factors)
        if unit.net < unit.cost * factors.edge_min:
            break
        taken, foreign = taken + step, foreign + step * unit.foreign_qty

    assert abs(taken - (walked.qty if walked else 0)) <= step * 16
