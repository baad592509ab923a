"""The three gateways against the pretend venues: from instruments to an order whose fills tie with the venue's truth."""

from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from arbot.domain.events import (
    CancelRejected,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
)
from arbot.domain.ids import ClientOrderId, OrderName, VenueId, client_order_id
from arbot.domain.order import Liquidity, OrderState, Side, TimeInForce
from arbot.domain.units import floor_to_step
from arbot.ports import Credentials, Secret, VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.sim.serve import SimOptions, VenueOptions, serve
from arbot.venues.factory import make_gateway
from tests.support.orders import NAME, S, approved, cancel, query

ADAPTERS = {"kraken": "kraken", "coinbase": "coinbase", "bitstamp": "ccxt:bitstamp"}
SECOND = client_order_id(OrderName(1, 2, 0, 0))
everywhere = pytest.mark.parametrize("name", ADAPTERS)


class World:
    """One pretend venue, our gateway to it, and an order that would fill there."""

    def __init__(self, name, server, clock, gateway, config):
        self.name, self.server, self.clock, self.gateway, self.config = name, server, clock, gateway, config
        self.venue = server.venues[name]

    def order(self, qty="0.01", side=Side.BUY, slip="0.02", client=NAME, **changes):
        """Return an order that meets the book far beyond its best price, or rests far behind it (negative slip)."""
        instrument = self.gateway._instruments[f"BTC/USD@{self.name}"]
        level = self.venue.top("BTC/USD", Side.SELL if side is Side.BUY else Side.BUY, 1)[0]
        best = self.venue.price("BTC/USD", level[0])
        price = floor_to_step(best * (1 + side.sign * Decimal(slip)), instrument.tick_size)
        return approved(
            self.name,
            self.clock.now_ns(),
            client,
            side=side,
            qty=Decimal(qty),
            limit_price=price,
            **changes,
        )

    def total(self, asset):
        """Return what the venue itself says it owes us."""
        return self.venue.balances("main")[asset].total


@asynccontextmanager
async def world(name, **options):
    clock = SystemClock()
    served = SimOptions(venues=(VenueOptions(name=name, flavour=name, rate_tier="unmetered"),), **options)
    async with serve(served, clock) as server:
        one = server.running[name]
        config = VenueConfig(
            venue=VenueId(name),
            adapter=ADAPTERS[name],
            symbols=("BTC/USD", "ETH/USD"),
            tier="pro",
            request_timeout_ms=1_500,
            **one.urls,
        )
        gateway = make_gateway(config, Credentials(Secret(one.keys.key), Secret(one.keys.secret)), clock)
        try:
            await gateway.load_instruments()
            yield World(name, server, clock, gateway, config)
        finally:
            await gateway.close()


@everywhere
async def test_reference_data(name):
    """Instruments, fees, balances, time and permissions come through the real protocol."""
    async with world(name) as at:
        instruments = await at.gateway.load_instruments()
        for one in instruments:
            listed = at.venue.instruments[one.symbol]
            assert (one.tick_size, one.qty_step) == (listed.tick_size, listed.qty_step)
            assert (one.venue_symbol, one.status) == (listed.venue_symbol, listed.status)
        fees = {fee.instrument: (fee.maker, fee.taker) for fee in await at.gateway.fetch_fees()}
        tier = at.venue.tier("main", at.clock.now_ns())[1]
        assert fees == {one.id: (tier.maker, tier.taker) for one in instruments}
        held = {balance.asset: balance.total for balance in await at.gateway.fetch_balances()}
        assert {asset: held[asset] for asset in ("BTC", "USD")} == {asset: at.total(asset) for asset in ("BTC", "USD")}
        assert abs(await at.gateway.fetch_time_ns() - at.clock.now_ns()) < 1.1 * S
        permissions = await at.gateway.fetch_permissions()
        assert (permissions.can_trade, permissions.can_withdraw) == (True, False)


@everywhere
async def test_order_fills_and_every_satoshi_is_accounted_for(name):
    """Accepted under our name, reported filled, and the fills explain the venue's balances exactly."""
    async with world(name) as at:
        before = {asset: at.total(asset) for asset in ("BTC", "USD")}
        (event,) = await at.gateway.submit(at.order())
        assert isinstance(event, OrderAccepted)
        *filled, report = await at.gateway.query(query(name, at.clock.now_ns(), venue_order_id=event.venue_order_id))
        assert (report.state, report.filled_qty) == (OrderState.FILLED, Decimal("0.01"))
        assert all(isinstance(one, OrderFilled) for one in filled)
        assert {one.fill.client_order_id for one in filled} == {NAME}
        after = {asset: at.total(asset) for asset in ("BTC", "USD")}
        assert sum(one.fill.base_delta for one in filled) == after["BTC"] - before["BTC"]
        assert sum(one.fill.quote_delta for one in filled) == after["USD"] - before["USD"]
        fills = await at.gateway.fetch_fills(at.clock.now_ns() - 60 * S)
        assert {fill.trade_id for fill in fills} == {one.fill.trade_id for one in filled}
        assert set(fills) == {one.fill for one in filled}


@everywhere
async def test_order_is_found_by_our_name_alone(name):
    """Without the venue's id, as after an answer that was lost."""
    async with world(name) as at:
        await at.gateway.submit(at.order(side=Side.SELL))
        for memory in ("_order_ids", "_names", "_orders"):
            if hasattr(at.gateway, memory):
                getattr(at.gateway, memory).clear()
        *filled, report = await at.gateway.query(query(name, at.clock.now_ns()))
        assert (report.state, report.filled_qty) == (OrderState.FILLED, Decimal("0.01"))
        assert sum(one.fill.qty for one in filled) == Decimal("0.01")


@everywhere
async def test_immediate_or_cancel_never_rests(name):
    """What does not fill at once is gone: the order on the wire said so in the venue's own words."""
    async with world(name) as at:
        (event,) = await at.gateway.submit(at.order(slip="-0.1"))
        assert isinstance(event, OrderAccepted)
        *filled, report = await at.gateway.query(query(name, at.clock.now_ns(), venue_order_id=event.venue_order_id))
        assert (filled, report.state, report.filled_qty) == ([], OrderState.CANCELED, Decimal(0))
        assert await at.gateway.fetch_open_orders() == ()


@everywhere
async def test_lack_of_funds_is_a_rejection(name):
    """The venue's own refusal becomes a code."""
    async with world(name) as at:
        (event,) = await at.gateway.submit(at.order(qty="5", side=Side.SELL))
        assert isinstance(event, OrderRejected)
        assert event.code == RejectCode.INSUFFICIENT_FUNDS


@everywhere
async def test_unknown_order(name):
    """No source lists it: unknown, with at least two sources asked."""
    async with world(name) as at:
        (report,) = await at.gateway.query(query(name, at.clock.now_ns(), SECOND))
        assert isinstance(report, OrderStatusReported)
        assert (report.state, report.venue_order_id) == (OrderState.UNKNOWN, None)
        assert report.sources >= 2


@everywhere
async def test_resting_orders_are_listed_and_cancelled(name):
    """A resting order is listed under our name, cancelled, and then gone; a second cancel is refused."""
    async with world(name) as at:
        (event,) = await at.gateway.submit(at.order(slip="-0.2", tif=TimeInForce.GTC))
        await at.gateway.submit(at.order(slip="-0.2", tif=TimeInForce.GTC, client=SECOND))
        listed = await at.gateway.fetch_open_orders()
        assert {one.client_order_id for one in listed} == {NAME, SECOND}
        reserved = {balance.asset: balance.reserved for balance in await at.gateway.fetch_balances()}
        assert reserved["USD"] > 0
        assert await at.gateway.cancel(cancel(name, venue_order_id=event.venue_order_id)) == ()
        (report,) = await at.gateway.query(query(name, at.clock.now_ns(), venue_order_id=event.venue_order_id))
        assert report.state == OrderState.CANCELED
        (refusal,) = await at.gateway.cancel(cancel(name, venue_order_id=event.venue_order_id))
        assert isinstance(refusal, CancelRejected | RequestOutcomeUnknown)
        assert await at.gateway.cancel_all() == 0
        assert await at.gateway.fetch_open_orders() == ()


@everywhere
async def test_post_only_rests_and_is_filled_as_a_maker(name):
    """It rests, what somebody else takes of it is a maker's fill at its own price, and the rest can be cancelled."""
    async with world(name) as at:
        instrument = at.gateway._instruments[f"BTC/USD@{name}"]
        price = at.venue.price("BTC/USD", at.venue.top("BTC/USD", Side.SELL, 1)[0][0]) - instrument.tick_size
        order = approved(
            name,
            at.clock.now_ns(),
            NAME,
            side=Side.BUY,
            qty=Decimal("0.01"),
            limit_price=price,
            tif=TimeInForce.POST_ONLY,
        )
        (event,) = await at.gateway.submit(order)
        assert isinstance(event, OrderAccepted)
        assert {one.client_order_id for one in await at.gateway.fetch_open_orders()} in ({NAME}, set())
        *_, report = await at.gateway.query(query(name, at.clock.now_ns(), venue_order_id=event.venue_order_id))
        assert report.state in (OrderState.OPEN, OrderState.PART_FILLED, OrderState.FILLED)
        await at.gateway.cancel_all()
        *filled, _ = await at.gateway.query(query(name, at.clock.now_ns(), venue_order_id=event.venue_order_id))
        assert all((one.fill.liquidity, one.fill.price) == (Liquidity.MAKER, price) for one in filled)


@everywhere
async def test_post_only_that_would_take_is_refused(name):
    """The venue's own refusal becomes a code; Bitstamp's text is documented nowhere, so it is in doubt. Nothing is traded."""
    async with world(name) as at:
        before = at.total("BTC")
        (event,) = await at.gateway.submit(at.order(slip="0.01", tif=TimeInForce.POST_ONLY))
        if name == "bitstamp":
            assert isinstance(event, RequestOutcomeUnknown)
        else:
            assert isinstance(event, OrderRejected)
            assert event.code == RejectCode.POST_ONLY_WOULD_TAKE
        assert at.total("BTC") == before


@everywhere
@pytest.mark.parametrize("fault", ["timeout-after-accept", "cut-after-accept", "http-502-after-accept"])
async def test_order_whose_answer_is_lost_is_found_and_never_sent_again(name, fault):
    """Accepted, but the answer never came: unknown, then found by name with all its fills, and only once."""
    async with world(name, faults=(fault,)) as at:
        (event,) = await at.gateway.submit(at.order())
        assert isinstance(event, RequestOutcomeUnknown)
        assert len(at.venue.orders_by_client_id("main", NAME)) == 1
        *filled, report = await at.gateway.query(query(name, at.clock.now_ns()))
        assert (report.state, sum(one.fill.qty for one in filled)) == (OrderState.FILLED, Decimal("0.01"))


def test_names_fit_every_venue():
    """The longest name is within Kraken's eighteen characters."""
    assert len(ClientOrderId(client_order_id(OrderName(36**4 - 1, 36**6 - 1, 35, 36**2 - 1)))) <= 18
