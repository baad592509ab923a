"""The one entry serves every flavour of venue, plain or under TLS, to unmodified ccxt.pro clients."""

from __future__ import annotations

import asyncio

import ccxt.pro
import pytest

from arbot.runtime.clock import SystemClock
from arbot.sim.serve import SimOptions, VenueOptions, serve

WAIT_S = 30


def client_of(name, told, **more):
    rest, ws = told["rest_url"], told["ws_public_url"]
    api = {"bitstamp": {"public": rest, "private": rest, "ws": ws}, "coinbase": {"rest": rest, "ws": ws}}[name]
    return getattr(ccxt.pro, name)(
        {"apiKey": told["key"], "secret": told["secret"], "enableRateLimit": False, "urls": {"api": api}, **more}
    )


@pytest.mark.parametrize("name", ["bitstamp", "coinbase"])
@pytest.mark.parametrize("is_secure", [False, True])
async def test_a_served_venue_streams_and_trades(name, is_secure, tmp_path):
    """Books and prints stream from the seeded market, an order fills, and the venue's own sums stay whole."""
    options = SimOptions(venues=(VenueOptions(name=name, flavour=name),), tls_directory=tmp_path if is_secure else None)
    async with serve(options, SystemClock()) as server:
        told = server.describe()
        client = client_of(name, told["venues"][name], **({"cafile": told["certificate"]} if is_secure else {}))
        try:
            async with asyncio.timeout(WAIT_S):
                book = await client.watch_order_book("BTC/USD")
                limit = round(book["asks"][0][0] * 1.01)
                flags = {"ioc_order": True} if name == "bitstamp" else {"timeInForce": "IOC"}
                placed = await client.create_order("BTC/USD", "limit", "buy", 0.01, limit, flags)
                order = await client.fetch_order(placed["id"], "BTC/USD")
                assert ("closed", 0.01) == (order["status"], order["filled"])
                fills = await client.fetch_my_trades("BTC/USD")
                assert 0.01 == pytest.approx(sum(fill["amount"] for fill in fills))
        finally:
            await client.close()
        assert is_secure == told["venues"][name]["rest_url"].startswith("https://")
        server.truth()
