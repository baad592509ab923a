"""Do rounding, walking and sizing hold for every number?"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from arbot.domain.book import Level
from arbot.domain.decisions import Reason
from arbot.domain.ids import OrderName, client_order_id, parse_client_order_id
from arbot.domain.order import Side
from arbot.domain.units import ONE, ceil_to_step, common_step, floor_to_step, fmt, is_multiple
from arbot.engine.config import ExecutionPolicy
from arbot.engine.detector import reach, walk
from arbot.engine.sizing import Bound, joint_step, least_qty, limit_price, size
from arbot.engine.strategy import Proposal
from tests.support.engine_world import World, an_instrument

numbers = st.decimals("0.00000001", "1000000", allow_nan=False, allow_infinity=False, places=8)
steps = st.sampled_from([Decimal(s) for s in ("0.00000001", "0.0001", "0.025", "0.01", "0.5", "1", "5", "100")])


@st.composite
def sides(draw: st.DrawFn, *, falling: bool) -> list[Level]:
    """Draw one side of a book, best first."""
    prices = draw(st.lists(st.integers(900, 1100), unique=True, max_size=8))
    return [
        Level(Decimal(price) / 10, Decimal(draw(st.integers(1, 50))) / 10) for price in sorted(prices, reverse=falling)
    ]


@given(numbers, steps)
def test_rounding_stays_within_a_step(number: Decimal, step: Decimal) -> None:
    """Round to a multiple, in the named direction, by less than one step."""
    low, high = floor_to_step(number, step), ceil_to_step(number, step)

    assert is_multiple(low, step)
    assert is_multiple(high, step)
    assert low <= number <= high
    assert high - low in (0, step)


@given(steps, steps)
def test_common_step_is_the_least_common_multiple(one: Decimal, other: Decimal) -> None:
    """Give a multiple of both steps, and no smaller number is one."""
    step = common_step(one, other)
    candidates = [one * n for n in range(1, min(int(step / one), 2000))]

    assert is_multiple(step, one)
    assert is_multiple(step, other)
    assert not any(is_multiple(candidate, other) for candidate in candidates)


@given(numbers)
def test_text_of_a_number_is_plain_and_exact(number: Decimal) -> None:
    """Write no exponent and lose no digit."""
    text = fmt(number)

    assert number == Decimal(text)
    assert "E" not in text


@given(sides(falling=False), sides(falling=True), st.integers(0, 200))
def test_walk_takes_all_that_clears_and_nothing_else(asks: list[Level], bids: list[Level], min_bps: int) -> None:
    """Take exactly the units whose marginal edge clears, compared with buying and selling one tenth at a time."""
    factor = ONE + Decimal(min_bps) / 10_000
    units = Decimal("0.1")
    buys = [level.price for level in asks for _ in range(int(level.qty / units))]
    sells = [level.price for level in bids for _ in range(int(level.qty / units))]
    pairs = [(buy, sell) for buy, sell in zip(buys, sells, strict=False)]
    clearing = 0
    for buy, sell in pairs:
        if sell < buy * factor:
            break
        clearing += 1
    walked = walk(asks, bids, factor, ONE)

    if not clearing:
        assert walked is None
        return
    assert walked is not None
    qty, cost, proceeds, buy_price, sell_price = walked
    assert clearing * units == qty
    assert sum(buy for buy, _ in pairs[:clearing]) * units == cost
    assert sum(sell for _, sell in pairs[:clearing]) * units == proceeds
    assert pairs[clearing - 1] == (buy_price, sell_price)


@given(sides(falling=False), numbers, numbers)
def test_reach_never_pays_more_than_the_cap(asks: list[Level], qty: Decimal, cap: Decimal) -> None:
    """Meet no more than asked, at no worse a price than the cap."""
    got, value, worst = reach(asks, Side.BUY, qty, cap)

    assert got <= qty
    assert value <= got * cap
    assert worst <= cap


@given(numbers, steps, steps, numbers, numbers)
def test_size_fits_both_venues_and_every_bound(
    bound: Decimal, buy_step: Decimal, sell_step: Decimal, minimum: Decimal, price: Decimal
) -> None:
    """Give zero, or a quantity on both steps, above both minimums and within the tightest bound."""
    buy = an_instrument("kraken", qty_step=buy_step, qty_min=buy_step, notional_min=minimum)
    sell = an_instrument("coinbase", qty_step=sell_step, qty_min=sell_step)
    bounds = [Bound(bound, Reason.NET_DELTA), Bound(bound * 2, Reason.INVENTORY)]
    qty, tightest = size(buy, sell, price, price, bounds)

    assert tightest.reason is Reason.NET_DELTA
    assert is_multiple(qty, joint_step(buy, sell))
    assert qty == 0 or max(least_qty(buy, price), least_qty(sell, price)) <= qty <= bound
    assert qty == 0 or qty * price >= minimum


@given(numbers, st.sampled_from(list(Side)))
def test_limit_price_is_never_worse(price: Decimal, side: Side) -> None:
    """Round to the tick in our favour."""
    limit = limit_price(an_instrument("kraken"), side, price)

    assert (limit <= price) if side is Side.BUY else (limit >= price)


@given(st.integers(0, 36**4 - 1), st.integers(0, 36**6 - 1), st.integers(0, 9), st.integers(0, 36**2 - 1))
def test_order_names_come_back(epoch: int, arb: int, leg: int, attempt: int) -> None:
    """Fit in Kraken's eighteen characters and say what they name."""
    name = OrderName(epoch, arb, leg, attempt)
    text = client_order_id(name)

    assert name == parse_client_order_id(text)
    assert len(text) <= 18
    assert text.isascii()


@given(sides(falling=False), sides(falling=True), st.integers(1, 8))
def test_looking_at_the_first_levels_first_changes_nothing(asks: list[Level], bids: list[Level], depth: int) -> None:
    """Find the same opportunity as a walk over all allowed levels at once."""
    world = World(execution=ExecutionPolicy(depth_max=depth), fee="0")
    buy, sell = world.instruments.values()
    for instrument, those in ((buy, {Side.BUY: tuple(asks)}), (sell, {Side.SELL: tuple(bids)})):
        world.market.books[instrument.id] = those
        world.market.valid[instrument.id] = True
    found = world.engine._detector.opportunity(buy, sell, Decimal(2))
    walked = walk(asks[:depth], bids[:depth], ONE + Decimal("0.0002"), ONE)

    assert (walked is None) == (not isinstance(found, Proposal))
    if isinstance(found, Proposal):
        assert walked is not None
        assert (walked[0], walked[3], walked[4]) == (found.qty, found.buy_price, found.sell_price)
