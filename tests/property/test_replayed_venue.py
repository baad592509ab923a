"""The pretend venue of a replay under random books, orders, prints, cancels and transfers."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.events import OrderFilled, TransferReported
from arbot.domain.order import Side, TimeInForce
from arbot.sim.fees import tiers
from arbot.sim.latency import LognormalDelay
from arbot.sim.venue_model import FeeSchedule, RateLimit
from tests.support.replay_world import BTC, ID, USD, Market, ReplayWorld, cancel, name_of, order

D = Decimal
OPENING = {USD: D(1000), BTC: D(5)}

quantities = st.integers(1, 3_000).map(lambda steps: D(steps).scaleb(-3))
dusty = st.integers(1, 300_000_000).map(lambda units: D(units).scaleb(-8))  # books hold finer numbers than orders may
prices = st.integers(980, 1_020).map(lambda ticks: D(ticks).scaleb(-1))
sides = st.sampled_from(Side)

ACTIONS = st.one_of(
    st.tuples(st.just("book"), st.integers(985, 1_015), st.lists(dusty, min_size=1, max_size=4), st.integers(1, 3)),
    st.tuples(st.just("order"), sides, quantities, prices, st.sampled_from(TimeInForce)),
    st.tuples(st.just("print"), prices, dusty, sides),
    st.tuples(st.just("cancel"), st.integers(0, 10)),
    st.tuples(st.just("transfer"), st.sampled_from([USD, BTC]), quantities, st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 200)),
)
MODELS = st.fixed_dictionaries(
    {
        "depth_share": st.sampled_from([D(1), D("0.5"), D("0.37")]),
        "rival_share": st.sampled_from([0.0, 0.3]),
        "reject_share": st.sampled_from([0.0, 0.2]),
        "timeout_share": st.sampled_from([0.0, 0.2]),
        "limit": st.sampled_from([None, RateLimit(per_second=D(5), burst=4)]),
        "request": st.just(LognormalDelay(p50_ms=20, p99_ms=150)),
        "answer": st.just(LognormalDelay(p50_ms=10, p99_ms=90)),
        "fees": st.sampled_from(
            [
                FeeSchedule(tiers=tiers((0, "25", "40"), (500, "20", "35"))),
                FeeSchedule(tiers=tiers((0, "-2", "7"))),
                FeeSchedule(tiers=tiers((0, "30", "10"))),
            ]
        ),
    }
)


class Played(ReplayWorld):
    """Plays actions, and looks after each that nothing impossible happened."""

    def __init__(self, model, seed) -> None:
        super().__init__(market=Market(), usd=str(OPENING[USD]), btc=str(OPENING[BTC]), seed=seed, **model)
        self.orders = {}
        self.moved = dict.fromkeys(OPENING, D(0))
        self.printed: dict[str, Decimal] = {}

    def play(self, action) -> None:
        getattr(self, f"do_{action[0]}")(*action[1:])
        self.pass_ms(7)
        totals = self.venue.totals()
        reserved = {balance.asset: balance.reserved for balance in self.venue.snapshot().balances}
        for asset, total in totals.items():
            assert 0 <= reserved[asset] <= total
            assert self.venue.available(asset) == total - reserved[asset]

    def do_book(self, middle, qtys, width) -> None:
        bids = [(str(D(middle - width - n).scaleb(-1)), str(qty)) for n, qty in enumerate(qtys)]
        asks = [(str(D(middle + width + n).scaleb(-1)), str(qty)) for n, qty in enumerate(reversed(qtys))]
        self.market.write(bids, asks)
        self.venue.on_book(ID)

    def do_order(self, side, qty, price, tif) -> None:
        number = len(self.orders)
        approved = order(number, side=side, qty=str(qty), price=str(price), tif=tif)
        self.orders[name_of(number)] = approved.intent
        self.venue.submit(approved)

    def do_print(self, price, qty, side) -> None:
        self.venue.on_trade(ID, price, qty, side)

    def do_cancel(self, number) -> None:
        self.venue.cancel(cancel(number))

    def do_transfer(self, asset, qty, is_in) -> None:
        if is_in:
            self.venue.deposit(asset, qty)
        elif self.venue.available(asset) >= qty:
            self.venue.withdraw(asset, qty)

    def do_wait(self, count) -> None:
        self.pass_ms(count)

    def all_fills(self):
        """Return every fill, those of lost answers too."""
        return [fill for placed in self.venue._orders.values() for fill in placed.fills]


@settings(max_examples=150, deadline=None)
@given(model=MODELS, seed=st.integers(0, 1_000), actions=st.lists(ACTIONS, max_size=40))
def test_money_is_conserved_and_limits_hold(model, seed, actions):
    """Balances are opening, fills and transfers to the last digit, never below zero; no fill is beyond its limit or its order."""
    world = Played(model, seed)
    for action in actions:
        world.play(action)
    world.pass_ms(10_000)
    with localcontext() as context:
        context.prec = 100
        expected = dict(OPENING)
        filled: dict[str, Decimal] = {}
        for fill in world.all_fills():
            intent = world.orders[fill.client_order_id]
            assert (fill.price - intent.limit_price) * intent.side.sign <= 0
            assert fill.qty > 0
            assert fill.qty % D("0.001") == 0
            filled[fill.client_order_id] = filled.get(fill.client_order_id, D(0)) + fill.qty
            expected[BTC] += fill.base_delta
            expected[USD] += fill.quote_delta
        for report in (event for event in world.events() if isinstance(event, TransferReported)):
            expected[report.asset] += report.qty
        assert expected == world.venue.totals()
    assert all(qty <= world.orders[name].qty for name, qty in filled.items())
    told = [event.fill for event in world.events() if isinstance(event, OrderFilled)]
    assert len(told) == len({fill.key for fill in told})


@settings(max_examples=100, deadline=None)
@given(
    model=MODELS,
    seed=st.integers(0, 1_000),
    wanted=st.lists(st.tuples(sides, quantities, prices, st.sampled_from(TimeInForce)), max_size=12),
    prints=st.lists(st.tuples(prices, dusty, sides), max_size=8),
)
def test_no_more_is_traded_than_was_shown_or_printed(model, seed, wanted, prints):
    """On one book that nobody writes anew, all orders together get at most what it showed plus what was printed."""
    world = Played(model, seed)
    shown = {side: sum(levels.values()) for side, levels in world.market.sides.items()}
    for one in wanted:
        world.play(("order", *one))
    world.pass_ms(500)
    for one in prints:
        world.play(("print", *one))
    world.pass_ms(500)
    for side in Side:
        got = sum(fill.qty for fill in world.all_fills() if fill.side is side)
        printed = sum(qty for _, qty, taker_side in prints if taker_side is side.opposite)
        assert got <= shown[side] + printed


@settings(max_examples=40, deadline=None)
@given(model=MODELS, seed=st.integers(0, 1_000), actions=st.lists(ACTIONS, max_size=25))
def test_the_same_seed_plays_the_same(model, seed, actions):
    """Two venues with one model, seed and history tell the same at the same times."""
    worlds = [Played(model, seed) for _ in range(2)]
    for world in worlds:
        for action in actions:
            world.play(action)
        world.pass_ms(10_000)
    assert worlds[0].told == worlds[1].told
