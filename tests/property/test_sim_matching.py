"""The pretend venue under random histories: nothing is made or lost, priority and limits hold, a seed repeats itself."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.order import Liquidity, Side, TimeInForce
from arbot.sim import chance
from arbot.sim.fees import KRAKEN_TIERS
from arbot.sim.listing import instruments_of
from arbot.sim.market import SeededMarket, SeededSpec
from arbot.sim.model import BookChanged, OrderRejected, OrderRequest, OrderStatus, OrderType, OrderUnknown
from arbot.sim.venue import KRAKEN_POLICY, SimVenue

BTC = "BTC/USD"
MS = 1_000_000
FIRST = {"USD": Decimal(200_000), "BTC": Decimal(3)}


def new_venue() -> SimVenue:
    venue = SimVenue(
        "kraken", instruments_of("kraken", "kraken", (BTC,)), KRAKEN_TIERS, chance.stream(1, "v"), KRAKEN_POLICY
    )
    venue.open_account("one", FIRST, 0)
    venue.open_account("two", FIRST, 0, Decimal(3_000_000))
    return venue


ticks = st.integers(649_900, 650_100)
lots = st.integers(10_000, 200_000_000)
side = st.sampled_from(Side)
who = st.sampled_from(["one", "two"])
order = st.tuples(
    st.just("order"),
    who,
    side,
    ticks,
    lots,
    st.sampled_from(TimeInForce),
    st.booleans(),
    st.sampled_from(["limit", "limit", "limit", "market"]),
)
action = st.one_of(
    order,
    order,
    st.tuples(st.just("level"), side, ticks, st.integers(0, 300_000_000)),
    st.tuples(st.just("trade"), side, lots),
    st.tuples(st.just("cancel"), who, st.integers(0, 50)),
    st.tuples(st.just("amend"), who, st.integers(0, 50), ticks, lots),
)


class History:
    """Applies actions and keeps the book as a listener sees it."""

    def __init__(self) -> None:
        self.venue = new_venue()
        self.seen: dict[tuple[Side, int], int] = {}
        self.venue.listen(self._listen)
        self.now_ns = 0
        self.amended: set[str] = set()  # their fills kept to limits that are gone

    def _listen(self, events) -> None:
        for event in events:
            if isinstance(event, BookChanged):
                for at_side, price, total in event.levels:
                    self.seen[at_side, price] = total

    def apply(self, one) -> None:
        """Do one action; refusals are part of life."""
        self.now_ns += MS
        try:
            getattr(self, f"_{one[0]}")(*one[1:])
        except (OrderRejected, OrderUnknown):
            return

    def _order(self, name, at_side, price, qty, tif, post_only, kind) -> None:
        request = OrderRequest(
            account=name,
            symbol=BTC,
            side=at_side,
            qty=self.venue.qty(BTC, qty),
            price=None if kind == "market" else self.venue.price(BTC, price),
            type=OrderType(kind),
            tif=tif,
            post_only=post_only,
        )
        best = self.venue.best(BTC, at_side.opposite)
        before = len(self.venue.fills(name))
        placed = self.venue.submit(request, self.now_ns)
        mine = [fill for fill in self.venue.fills(name)[before:] if fill.order_id == placed.order_id]
        if mine:
            assert self.venue.price(BTC, best) == mine[0].price  # best price first
            prices = [fill.price * at_side.sign for fill in mine]
            assert sorted(prices) == prices  # and then only worse ones
        if tif is TimeInForce.FOK:
            assert placed.filled_lots in (0, placed.qty_lots)
        if tif is not TimeInForce.GTC or kind == "market":
            assert not placed.is_open

    def _level(self, at_side, price, total) -> None:
        self.venue.set_market(BTC, [(at_side, price, total)], self.now_ns)

    def _trade(self, at_side, total) -> None:
        self.venue.market_trade(BTC, at_side, total, self.now_ns)

    def _cancel(self, name, at) -> None:
        mine = self.venue.open_orders(name)
        if mine:
            self.venue.cancel(name, mine[at % len(mine)].order_id, self.now_ns)

    def _amend(self, name, at, price, qty) -> None:
        mine = self.venue.open_orders(name)
        if mine:
            self.amended.add(mine[at % len(mine)].order_id)
            self.venue.amend(
                name,
                mine[at % len(mine)].order_id,
                self.now_ns,
                price=self.venue.price(BTC, price),
                qty=self.venue.qty(BTC, qty),
            )


@settings(max_examples=150, deadline=None)
@given(st.lists(action, max_size=40))
def test_nothing_is_made_or_lost(actions):
    """After every action assets sum to zero, holds match open orders, the book is not crossed, no fill beats its limit."""
    history = History()
    for one in actions:
        history.apply(one)
        history.venue.check_invariants()
    for name in ("one", "two"):
        for done in history.venue.orders(name):
            assert sum((fill.qty for fill in done.fills), Decimal(0)) == done.filled_qty
            assert done.filled_lots <= done.qty_lots
            for fill in done.fills:
                if done.request.type is OrderType.LIMIT and done.order_id not in history.amended:
                    assert (done.request.price - fill.price) * done.side.sign >= 0
        expected = dict(FIRST)
        for fill in history.venue.fills(name):
            expected["BTC"] += fill.qty * fill.side.sign
            expected["USD"] -= fill.price * fill.qty * fill.side.sign + fill.fee
        assert expected == {asset: one.total for asset, one in history.venue.balances(name).items()}


@settings(max_examples=100, deadline=None)
@given(st.lists(action, max_size=40))
def test_listeners_see_the_whole_book(actions):
    """The book rebuilt from the events alone equals the venue's own."""
    history = History()
    for one in actions:
        history.apply(one)
    for at_side in Side:
        told = {price: total for (where, price), total in history.seen.items() if where is at_side and total}
        assert dict(history.venue.top(BTC, at_side, 10**6)) == told


def test_oldest_order_of_a_price_fills_first():
    """At one price the market's earlier quantity goes first, then the customers by age."""
    venue = new_venue()
    venue.set_market(BTC, [(Side.BUY, 650_000, 100)], 1)
    first = venue.submit(limit("one", Side.BUY, "65000", "0.001"), 2)
    second = venue.submit(limit("two", Side.BUY, "65000", "0.001"), 3)
    venue.set_market(BTC, [(Side.BUY, 650_000, 500)], 4)  # the market's rise queues behind both
    assert 100 == venue.market_trade(BTC, Side.SELL, 100, 5)
    assert (0, 0) == (first.filled_lots, second.filled_lots)
    venue.market_trade(BTC, Side.SELL, 150_000, 6)
    assert (100_000, 50_000) == (first.filled_lots, second.filled_lots)
    assert {Liquidity.MAKER} == {fill.liquidity for fill in first.fills + second.fills}


def test_market_through_a_resting_order_fills_it_as_maker_at_its_price():
    """When the market's offer comes down to a resting bid, the bid fills at its own price with the maker fee."""
    venue = new_venue()
    resting = venue.submit(limit("two", Side.BUY, "65000", "1"), 2)
    venue.set_market(BTC, [(Side.SELL, 649_900, 40_000_000)], 3)
    assert [(Decimal("65000.0"), Decimal("0.40000000"))] == [(one.price, one.qty) for one in resting.fills]
    assert resting.cost * venue.tier("two", 3)[1].maker == resting.fee
    assert [] == venue.top(BTC, Side.SELL, 5)


def test_consumed_depth_stays_consumed():
    """What a customer took is gone until the market sets that level again."""
    venue = new_venue()
    venue.set_market(BTC, [(Side.SELL, 650_000, 10_000_000), (Side.SELL, 650_100, 10_000_000)], 1)
    venue.submit(limit("one", Side.BUY, "65000", "0.1", TimeInForce.IOC), 2)
    venue.set_market(BTC, [(Side.SELL, 650_100, 20_000_000)], 3)
    assert [(650_100, 20_000_000)] == venue.top(BTC, Side.SELL, 5)
    venue.set_market(BTC, [(Side.SELL, 650_000, 5)], 4)
    assert (650_000, 5) == venue.top(BTC, Side.SELL, 5)[0]


def test_a_partial_fill_releases_what_it_used():
    """An open buy holds what its rest can cost at most, fee included: no more, and not the price improvement."""
    venue = new_venue()
    venue.set_market(BTC, [(Side.SELL, 640_000, 50_000_000)], 1)
    rate = venue.tier("one", 2)[1].taker  # the fill below moves the account to a better tier
    resting = venue.submit(limit("one", Side.BUY, "65000", "1"), 2)
    worst = Decimal(65_000) * Decimal("0.5") * (1 + rate)
    assert worst <= resting.hold <= worst + Decimal("0.0001")
    assert FIRST["USD"] - resting.cost - resting.fee - resting.hold == venue.accounts.get("one").available("USD")


def test_own_orders_never_trade_with_each_other():
    """An order that would meet one of the same account is cancelled instead."""
    venue = new_venue()
    resting = venue.submit(limit("one", Side.SELL, "65000", "0.1"), 1)
    taker = venue.submit(limit("one", Side.BUY, "65000", "0.1"), 2)
    assert (OrderStatus.OPEN, OrderStatus.CANCELED, []) == (resting.status, taker.status, taker.fills)


def limit(name, at_side, price, qty, tif=TimeInForce.GTC) -> OrderRequest:
    return OrderRequest(account=name, symbol=BTC, side=at_side, qty=Decimal(qty), price=Decimal(price), tif=tif)


def play(seed: int, seconds: int, step_ms: int) -> list[tuple]:
    venue = new_venue()
    told = []
    venue.listen(lambda events: told.extend(event for event in events if isinstance(event, BookChanged)))
    spec = SeededSpec(prices={"BTC": 65_000.0})
    market = SeededMarket({"kraken": venue}, lambda name: chance.stream(seed, name), spec)
    market.start(0)
    for at in range(0, seconds * 1000, step_ms):
        market.advance(at * MS)
    venue.check_invariants()
    return [one.levels for one in told]


def test_a_seed_gives_one_market_whatever_the_timer():
    """The same seed gives the same books when stepped often or seldom; another seed gives others."""
    often, seldom = play(7, 5, 5), play(7, 5, 50)
    assert len(seldom) > 150
    assert seldom == often[: len(seldom)]
    assert often != play(8, 5, 5)
