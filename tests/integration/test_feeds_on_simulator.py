"""Feeds and gateways together against the pretend venues: books, an order, and what the account stream says of it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from decimal import Decimal

import pytest

from arbot.domain.events import FeedConnected, OrderAccepted, OrderCanceled, OrderFilled, Stream
from arbot.domain.ids import VenueId
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.ports import Credentials, Secret, VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.sim.serve import SimOptions, VenueOptions, serve
from arbot.venues.coinbase.feed import BOOK_DEPTH, CoinbaseFeed
from arbot.venues.coinbase.gateway import CoinbaseGateway
from arbot.venues.kraken.feed import KrakenFeed, book_depth
from arbot.venues.kraken.gateway import KrakenGateway
from tests.support.loopback import Bench, running, until
from tests.support.orders import NAME, approved, query

FRAMES = 60  # enough to see the market move


@pytest.mark.parametrize("venue", ["kraken", "coinbase"])
async def test_a_feed_follows_a_pretend_venue_and_tells_what_became_of_an_order(venue):
    """Dozens of frames without one complaint; the order's acceptance and, at Kraken, its fills come by the stream."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serve(SimOptions(venues=(VenueOptions(name=venue, flavour=venue),)), clock)
        )
        one = server.running[venue]
        config = VenueConfig(venue=VenueId(venue), adapter=venue, symbols=("BTC/USD", "ETH/USD"), **one.urls)
        keys = Credentials(Secret(one.keys.key), Secret(one.keys.secret))
        gateway = (KrakenGateway if venue == "kraken" else CoinbaseGateway)(config, keys, clock)
        stack.push_async_callback(gateway.close)
        instruments = await gateway.load_instruments()
        bench, books = Bench(), Books()
        for instrument in instruments:
            books.add(instrument, book_depth(config) if venue == "kraken" else BOOK_DEPTH)
        if isinstance(gateway, KrakenGateway):
            feed = KrakenFeed(config, instruments, books, bench.ports(), ws_token=gateway.ws_token, with_trades=True)
        else:
            feed = CoinbaseFeed(config, instruments, books, bench.ports(), ws_jwt=gateway.ws_jwt, with_trades=True)
        await stack.enter_async_context(running(feed))
        await until(lambda: {event.stream for event in bench.told(FeedConnected)} == set(Stream))
        await until(lambda: all(books.state(instrument.id).is_valid for instrument in instruments))
        ask = books.best(f"BTC/USD@{venue}", Side.BUY)
        assert ask is not None
        limit_price = (ask.price * Decimal("1.001")).quantize(Decimal("0.1"))
        await gateway.submit(approved(venue, clock.now_ns(), qty=Decimal("0.001"), limit_price=limit_price))
        await until(lambda: NAME in {event.client_order_id for event in bench.told(OrderAccepted)})
        if venue == "kraken":
            await until(lambda: sum(event.fill.qty for event in bench.told(OrderFilled)) == Decimal("0.001"))
            assert [] == bench.wanted
        else:
            await until(lambda: [NAME] == [wanted.client_order_id for wanted in bench.wanted])
            assert [] == bench.told(OrderFilled)
            answer = await gateway.query(query(venue, clock.now_ns()))
            assert Decimal("0.001") == sum(event.fill.qty for event in answer if isinstance(event, OrderFilled))
        assert [] == bench.told(OrderCanceled)
        await until(lambda: feed.stats[Stream.MARKET].frames > FRAMES)
        for stats in feed.stats.values():
            assert ({}, 0, 0) == (stats.drops, stats.parse_errors, stats.unknown_messages)
            assert (0, 0, 0) == (stats.checksum_mismatches, stats.sequence_gaps, stats.crossed_books)
            assert (0, 0, 0) == (stats.resyncs, stats.refusals, stats.foreign_rows)
