"""A pretend Kraken (and company) on loopback for tests, and unmodified clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp
import ccxt.pro

from arbot.runtime.clock import SystemClock
from arbot.sim.market import SeededSpec
from arbot.sim.model import RegisteredAddress
from arbot.sim.serve import SimOptions, SimServer, VenueOptions, serve

BTC = "BTC/USD"
KRAKEN = VenueOptions(
    name="kraken",
    flavour="kraken",
    rate_tier="unmetered",
    can_withdraw=True,
    withdraw_keys=(RegisteredAddress(asset="BTC", key="cb-btc", address="bc1qexample", fee=Decimal("0.0002")),),
)
LIVELY = SeededSpec(messages_per_s=120.0, trade_share=0.2)


def kraken_options(**changes) -> SimOptions:
    """Return one metered-free Kraken with a lively market; private rows one per frame, as ccxt.pro needs them."""
    return SimOptions(**({"venues": (KRAKEN,), "symbols": (BTC, "ETH/USD"), "market": LIVELY} | quiet() | changes))


def quiet() -> dict:
    """Return the options of a stream without grouped rows."""
    return {"rows_grouped_share": 0.0}


class SteppedClock(SystemClock):
    """The system clock, which a test can push ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ns = 0

    def now_ns(self) -> int:
        """Return the time, pushed ahead."""
        return super().now_ns() + self.ahead_ns


def ccxt_kraken(server: SimServer, **more) -> ccxt.pro.kraken:
    """Return an unmodified ccxt.pro client of the pretend Kraken."""
    one = server.describe()["venues"]["kraken"]
    api = {
        "public": one["rest_url"],
        "private": one["rest_url"],
        "ws": {
            "public": one["ws_public_url"],
            "private": one["ws_private_url"],
            "publicV2": one["ws_public_url"],
            "privateV2": one["ws_private_url"],
        },
    }
    return ccxt.pro.kraken(
        {"apiKey": one["key"], "secret": one["secret"], "enableRateLimit": False, "urls": {"api": api}, **more}
    )


@asynccontextmanager
async def kraken_world(
    options: SimOptions | None = None, clock=None
) -> AsyncIterator[tuple[SimServer, ccxt.pro.kraken]]:
    """Serve a pretend Kraken and a ccxt.pro client of it."""
    async with serve(options or kraken_options(), clock or SystemClock()) as server:
        client = ccxt_kraken(server)
        try:
            yield server, client
        finally:
            await client.close()


@asynccontextmanager
async def raw_socket(server: SimServer, url: str = "ws_public_url") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open a bare websocket to the pretend Kraken."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(server.describe()["venues"]["kraken"][url]) as socket,
    ):
        yield socket
