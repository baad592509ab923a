"""The paper gateway: it walks the real book, takes what it takes, and is never kinder than the book."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.commands import CancelOrder, QueryOrder
from arbot.domain.events import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    TradePrinted,
)
from arbot.domain.ids import ArbId, Asset, ClientOrderId, InstrumentId, VenueId
from arbot.domain.instrument import Balance, FeeRate, Instrument, InstrumentStatus
from arbot.domain.order import Approved, Liquidity, OrderIntent, OrderState, Purpose, Side, TimeInForce
from arbot.engine.market_view import BookState, Level
from arbot.ports import Gateway
from arbot.sim.paper import PaperGateway

VENUE = VenueId("kraken")
ID = InstrumentId("BTC/USD@kraken")
BTC, USD = Asset("BTC"), Asset("USD")
D = Decimal

INSTRUMENT = Instrument(
    id=ID,
    venue=VENUE,
    symbol="BTC/USD",
    venue_symbol="XXBTZUSD",
    base=BTC,
    quote=USD,
    tick_size=D("0.1"),
    qty_step=D("0.001"),
    price_decimals=1,
    qty_decimals=8,
    qty_min=D("0.001"),
    notional_min=D("0.5"),
    qty_max=D(50),
)


class FakeClock:
    """A clock that sleeping moves, and that runs what is due meanwhile."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000_000
        self.while_asleep = lambda: None

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1_000_000_000)
        self.while_asleep()


class FakeMarket:
    """Books written down by hand."""

    def __init__(self, bids=(), asks=(), is_valid=True) -> None:
        self.sides = {Side.BUY: asks, Side.SELL: bids}
        self.is_valid = is_valid

    def state(self, instrument):
        return BookState(self.is_valid, 1, 1)

    def best(self, instrument, side):
        return next(iter(self.levels(instrument, side, 1)), None)

    def levels(self, instrument, side, depth):
        return tuple(Level(D(price), D(qty)) for price, qty in self.sides[side][:depth])


def world(*, asks=(("100.0", "1"), ("100.5", "2")), bids=(("99.5", "1"), ("99.0", "2")), usd="100000", btc="100", **kw):
    clock, market = FakeClock(), FakeMarket(bids, asks, kw.pop("is_valid", True))
    gateway = PaperGateway(
        venue=VENUE,
        market=market,
        clock=clock,
        instruments=(kw.pop("instrument", INSTRUMENT),),
        fees=(FeeRate(instrument=ID, maker=D("0.0025"), taker=D("0.004")),),
        balances=(Balance(asset=USD, total=D(usd)), Balance(asset=BTC, total=D(btc))),
        latency_ms=50,
        **kw,
    )
    return gateway, market, clock


def order(number=1, side=Side.BUY, qty="1", price="101", tif=TimeInForce.IOC, deadline_ns=2_000_000_000_000):
    intent = OrderIntent(
        client_order_id=ClientOrderId(f"ab{number:013d}"),
        arb_id=ArbId("1-1"),
        purpose=Purpose.LEG,
        venue=VENUE,
        instrument=ID,
        symbol="BTC/USD",
        base=BTC,
        quote=USD,
        side=side,
        qty=D(qty),
        limit_price=D(price),
        tif=tif,
        fee_rate=D("0.004"),
        decided_ts_ns=1,
        deadline_ns=deadline_ns,
    )
    return Approved(intent, ("test",))


def fills_of(events):
    return [(event.fill.price, event.fill.qty) for event in events if isinstance(event, OrderFilled)]


def query(approved):
    intent = approved.intent
    return QueryOrder(
        client_order_id=intent.client_order_id, venue=VENUE, instrument=ID, venue_order_id=None, since_ns=0
    )


async def balances_of(gateway):
    return {balance.asset: balance.total for balance in await gateway.fetch_balances()}


async def test_a_buy_walks_the_asks_at_their_own_prices():
    """A buy takes the best ask first, then the next, each at its own price, and ends filled."""
    gateway, _, _ = world()
    events = await gateway.submit(order(qty="2.5"))
    assert [OrderAccepted, OrderFilled, OrderFilled] == [type(event) for event in events]
    assert [(D("100.0"), D(1)), (D("100.5"), D("1.5"))] == fills_of(events)


async def test_the_remainder_of_an_ioc_expires():
    """What the book cannot fill within the limit expires, with the filled quantity said."""
    gateway, _, _ = world()
    events = await gateway.submit(order(qty="2", price="100.0"))
    assert [(D("100.0"), D(1))] == fills_of(events)
    assert (
        OrderExpired(client_order_id=order().intent.client_order_id, filled_qty=D(1), reason="immediate or cancel")
        == events[-1]
    )


async def test_a_sell_meets_the_bids():
    """A sell takes the best bid first and never sells below its limit."""
    gateway, _, _ = world()
    events = await gateway.submit(order(side=Side.SELL, qty="3", price="99.2"))
    assert [(D("99.5"), D(1))] == fills_of(events)


async def test_fees_and_balances_are_exact():
    """The fee is quantity x price x rate in quote to the last digit, and balances move by fills and fees only."""
    gateway, _, _ = world(asks=(("65010.1", "0.123"),), instrument=INSTRUMENT)
    events = await gateway.submit(order(qty="0.123", price="65010.1"))
    cost = D("0.123") * D("65010.1")
    assert cost * D("0.004") == events[1].fill.fee.number
    assert {BTC: D(100) + D("0.123"), USD: D(100000) - cost - cost * D("0.004")} == await balances_of(gateway)


async def test_taken_depth_stays_taken_until_the_venue_adds_to_it():
    """A second order finds what the first left; only an increase of the level brings new quantity."""
    gateway, market, _ = world(asks=(("100.0", "1"),))
    await gateway.submit(order(1, qty="0.7", price="100"))
    assert [(D("100.0"), D("0.3"))] == fills_of(await gateway.submit(order(2, qty="1", price="100")))
    assert [] == fills_of(await gateway.submit(order(3, qty="1", price="100")))
    market.sides[Side.BUY] = (("100.0", "0.9"),)
    assert [] == fills_of(await gateway.submit(order(4, qty="1", price="100")))
    market.sides[Side.BUY] = (("100.0", "1.1"),)
    assert [(D("100.0"), D("0.2"))] == fills_of(await gateway.submit(order(5, qty="1", price="100")))
    market.sides[Side.BUY] = (("100.1", "1"),)
    assert [] == fills_of(await gateway.submit(order(6, qty="1", price="100")))
    market.sides[Side.BUY] = (("100.0", "1"),)
    assert [(D("100.0"), D(1))] == fills_of(await gateway.submit(order(7, qty="1", price="100")))


async def test_the_order_meets_the_book_of_its_arrival():
    """A price that is gone when the order arrives is not filled."""
    gateway, market, clock = world()
    clock.while_asleep = lambda: market.sides.update({Side.BUY: (("102.0", "5"),)})
    events = await gateway.submit(order(price="101"))
    assert [OrderAccepted, OrderExpired] == [type(event) for event in events]


async def test_fill_or_kill_takes_all_or_nothing():
    """A fill-or-kill order that cannot be filled whole takes nothing from the book."""
    gateway, _, _ = world(asks=(("100.0", "1"),))
    assert [] == fills_of(await gateway.submit(order(1, qty="2", tif=TimeInForce.FOK)))
    assert [(D("100.0"), D(1))] == fills_of(await gateway.submit(order(2, qty="1", tif=TimeInForce.FOK)))


async def test_a_book_that_cannot_be_trusted_fills_nothing():
    """On an invalid book the order expires unfilled."""
    gateway, _, _ = world(is_valid=False)
    assert [OrderAccepted, OrderExpired] == [type(event) for event in await gateway.submit(order())]


@pytest.mark.parametrize(
    ("approved", "code"),
    [
        (order(tif=TimeInForce.GTC), RejectCode.OTHER),
        (order(deadline_ns=1), RejectCode.DEADLINE),
        (order(qty="0.0005"), RejectCode.INVALID_STEP),
        (order(price="100.05"), RejectCode.INVALID_PRICE),
        (order(qty="0.001", price="100"), RejectCode.BELOW_MINIMUM),
        (order(qty="51"), RejectCode.OTHER),
        (order(qty="11"), RejectCode.INSUFFICIENT_FUNDS),
        (order(side=Side.SELL, qty="11", price="99"), RejectCode.INSUFFICIENT_FUNDS),
    ],
)
async def test_what_a_venue_would_refuse_is_refused(approved, code):
    """Wrong steps, sizes, deadlines and orders the account cannot pay are rejected and change nothing."""
    gateway, _, _ = world(usd="1000", btc="10")
    (event,) = await gateway.submit(approved)
    assert (OrderRejected, code) == (type(event), event.code)
    assert {BTC: D(10), USD: D(1000)} == await balances_of(gateway)


async def test_a_halted_instrument_refuses():
    """An instrument that takes no IOC orders now refuses them."""
    halted = Instrument(
        **{f: getattr(INSTRUMENT, f) for f in INSTRUMENT.__struct_fields__} | {"status": InstrumentStatus.HALTED}
    )
    gateway, _, _ = world(instrument=halted)
    (event,) = await gateway.submit(order())
    assert RejectCode.MARKET_CLOSED == event.code


async def test_the_same_order_twice_trades_once():
    """A repeated client order id gets the first answer, and the balances move once."""
    gateway, _, _ = world()
    first = await gateway.submit(order())
    after_first = await balances_of(gateway)
    assert first == await gateway.submit(order())
    assert after_first == await balances_of(gateway)


async def test_a_query_tells_fills_and_end():
    """A query returns the fills followed by the state; an order never seen was never in the pretend account."""
    gateway, _, _ = world()
    submitted = await gateway.submit(order(qty="5", price="100.5"))
    *fills, status = await gateway.query(query(order()))
    assert [event for event in submitted if isinstance(event, OrderFilled)] == fills
    assert (OrderStatusReported, OrderState.EXPIRED, D(3)) == (type(status), status.state, status.filled_qty)
    (never,) = await gateway.query(query(order(99)))
    assert (OrderState.REJECTED, D(0)) == (never.state, never.filled_qty)


async def test_nothing_rests_and_nothing_is_withdrawn():
    """There are no open orders, no cancels and no transfers, and the key can only trade."""
    gateway, _, clock = world()
    cancel = CancelOrder(client_order_id=ClientOrderId("x"), venue=VENUE, instrument=ID, venue_order_id=None)
    assert [CancelRejected] == [type(event) for event in await gateway.cancel(cancel)]
    assert (0, (), ()) == (
        await gateway.cancel_all(),
        await gateway.fetch_open_orders(),
        await gateway.fetch_transfers(0),
    )
    assert (True, False) == (
        (await gateway.fetch_permissions()).can_trade,
        (await gateway.fetch_permissions()).can_withdraw,
    )
    assert clock.now_ns() == await gateway.fetch_time_ns()
    typed: Gateway = gateway
    await typed.close()


async def test_fills_since_a_time():
    """Fill history starts at the asked time and is oldest first."""
    gateway, _, _ = world()
    await gateway.submit(order(1, qty="0.5"))
    (later,) = [e.fill for e in await gateway.submit(order(2, qty="0.2")) if isinstance(e, OrderFilled)]
    assert (later,) == await gateway.fetch_fills(later.venue_ts_ns)
    assert 2 == len(await gateway.fetch_fills(0))


_levels = st.lists(
    st.tuples(st.integers(900, 1100), st.integers(1, 3000)), min_size=1, max_size=8, unique_by=lambda x: x[0]
)


@settings(max_examples=60, deadline=None)
@given(
    levels=_levels, orders=st.lists(st.tuples(st.integers(900, 1100), st.integers(20, 4000)), min_size=1, max_size=6)
)
async def test_fills_are_never_better_than_the_book(levels, orders):
    """However orders follow each other, no level gives more than it had and no fill is beyond the limit."""
    asks = tuple((D(tick) / 10, D(qty) / 1000) for tick, qty in sorted(levels))
    gateway, _, _ = world(asks=asks, usd="10000000")
    given_up: dict[Decimal, Decimal] = {}
    for number, (tick, qty) in enumerate(orders):
        limit = D(tick) / 10
        for price, filled in fills_of(await gateway.submit(order(number, qty=D(qty) / 1000, price=limit))):
            assert price <= limit
            given_up[price] = given_up.get(price, D(0)) + filled
    assert all(taken <= dict(asks)[price] for price, taken in given_up.items())


def resting(price="99.5", qty="1", side=Side.BUY, number=1):
    return order(number, side=side, qty=qty, price=price, tif=TimeInForce.POST_ONLY)


def trade_print(price, qty, taker_side=Side.SELL):
    return TradePrinted(instrument=ID, price=D(price), qty=D(qty), taker_side=taker_side, trade_id="t", venue_ts_ns=1)


CANCEL = CancelOrder(client_order_id=ClientOrderId(f"ab{1:013d}"), venue=VENUE, instrument=ID, venue_order_id=None)


async def test_post_only_that_would_take_is_refused():
    """Refuse an order that the other side already offers, and reserve nothing for it."""
    gateway, _, _ = world()
    (event,) = await gateway.submit(resting(price="100.0"))
    assert event.code == RejectCode.POST_ONLY_WOULD_TAKE
    assert [one.reserved for one in await gateway.fetch_balances()] == [0, 0]


async def test_a_resting_order_queues_behind_what_was_there():
    """Give prints to those ahead first; fill at the order's own price and at the maker's rate."""
    gateway, _, _ = world()
    (accepted,) = await gateway.submit(resting())
    assert isinstance(accepted, OrderAccepted)
    assert gateway.on_trade(trade_print("99.5", "0.8")) == ()
    told = gateway.on_trade(trade_print("99.5", "0.5"))
    assert fills_of(told) == [(D("99.5"), D("0.3"))]
    fill = told[0].fill
    assert (fill.liquidity, fill.fee.number) == (Liquidity.MAKER, D("0.3") * D("99.5") * D("0.0025"))
    *filled, status = await gateway.query(query(resting()))
    assert (len(filled), status.state, status.filled_qty) == (1, OrderState.PART_FILLED, D("0.3"))


async def test_a_resting_order_reserves_and_gives_back():
    """Hold price and fee of what rests; a cancel ends it, gives it back and is told."""
    gateway, _, _ = world()
    await gateway.submit(resting())
    held = {one.asset: one.reserved for one in await gateway.fetch_balances()}
    assert held[USD] == D("99.5") * D("1.0025")
    assert [one.client_order_id for one in await gateway.fetch_open_orders()] == [resting().intent.client_order_id]
    (canceled,) = await gateway.cancel(CANCEL)
    assert isinstance(canceled, OrderCanceled)
    assert [one.reserved for one in await gateway.fetch_balances()] == [0, 0]
    (refused,) = await gateway.cancel(CANCEL)
    assert isinstance(refused, CancelRejected)


async def test_a_book_that_crosses_fills_what_it_shows_once():
    """Trade with the other side at the order's price, and not a second time with what was taken already."""
    gateway, market, _ = world()
    await gateway.submit(resting(price="99.8"))
    market.sides[Side.BUY] = (("99.7", "0.4"), ("100.0", "1"))
    assert fills_of(gateway.on_book(ID)) == [(D("99.8"), D("0.4"))]
    assert gateway.on_book(ID) == ()
    assert await gateway.cancel_all() == 0
    assert await gateway.fetch_open_orders() == ()
