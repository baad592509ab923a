"""A pretend Coinbase on loopback for tests: two books written by hand, one account, keys of every kind."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import ccxt.pro
from aiohttp import web

from arbot.domain.order import Side
from arbot.runtime.clock import SystemClock
from arbot.sim.chance import stream
from arbot.sim.faults import Fault, FaultPlan
from arbot.sim.fees import COINBASE_TIERS
from arbot.sim.latency import Latency, LatencyModel
from arbot.sim.listing import instruments_of
from arbot.sim.venue import COINBASE_POLICY, SimVenue
from arbot.sim.wire.auth_coinbase import CoinbaseKey, Keyring, eddsa_key, es256_key, key_name, legacy_key
from arbot.sim.wire.coinbase import WS_PATH, routes
from arbot.sim.wire.coinbase_rest import Limits
from arbot.sim.wire.desk import Desk

ACCOUNT = "main"
BALANCES = {"USD": Decimal(100_000), "BTC": Decimal(5), "ETH": Decimal(50)}
ROOMY = Limits(private_per_s=10_000, public_per_s=10_000)


class SteppedClock(SystemClock):
    """The system clock, which a test can push ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


class CoinbaseWorld:
    """One venue, its wire, its keys, and where it listens."""

    def __init__(self, limits: Limits = ROOMY) -> None:
        self.clock = SteppedClock()
        rng = random.Random(7)
        self.venue = SimVenue(
            "coinbase",
            instruments_of("coinbase", "coinbase", ("BTC/USD", "ETH/USD")),
            COINBASE_TIERS,
            rng,
            COINBASE_POLICY,
        )
        self.venue.open_account(ACCOUNT, BALANCES, self.now, volume_opening=Decimal(20_000))
        self.venue.open_account("other", {"USD": Decimal(10)}, self.now)
        self.key = es256_key(ACCOUNT, key_name(rng))
        self.withdraw_key = es256_key(ACCOUNT, key_name(rng), can_transfer=True)
        self.read_key = es256_key(ACCOUNT, key_name(rng), can_trade=False)
        self.ed_key = eddsa_key(ACCOUNT, "6c1f2a30-ed25519")
        self.old_key = legacy_key(ACCOUNT, "oldkey0123456789", "oldsecret0123456789")
        self.keys = Keyring((self.key, self.withdraw_key, self.read_key, self.ed_key, self.old_key))
        self.faults = FaultPlan(lambda name: stream(7, name))
        self.desk = Desk(self.venue, self.clock, self.faults, LatencyModel(Latency(), stream(7, "latency")))
        self.limits = limits
        self.url = ""
        self.set_book("BTC/USD", bids=((64990, 1), (64980, 2)), asks=((65010, "0.5"), (65020, 2)))
        self.set_book("ETH/USD", bids=((3490, 10),), asks=((3510, 10),))

    @property
    def now(self) -> int:
        """The venue's time."""
        return self.clock.now_ns()

    @property
    def ws_url(self) -> str:
        """Where the websocket is."""
        return self.url.replace("http", "ws", 1) + WS_PATH

    def set_book(self, symbol: str, bids=(), asks=()) -> None:
        """Make the market's offer exactly these (price, qty)."""
        ticks, lots = self.venue.ticks, self.venue.lots

        def scaled(levels):
            return [(ticks(symbol, Decimal(price)), lots(symbol, Decimal(qty))) for price, qty in levels]

        self.venue.replace_market(symbol, scaled(bids), scaled(asks), self.now)

    def trade(self, symbol: str, side: Side, qty: str) -> None:
        """Let the crowd take something from the book."""
        self.venue.market_trade(symbol, side, self.venue.lots(symbol, Decimal(qty)), self.now)

    def arm(self, fault: Fault) -> None:
        """Add a fault."""
        self.faults.arm([fault], self.now)

    def ccxt(self, key: CoinbaseKey | None = None, **more):
        """Return an unmodified ccxt.pro client of this venue."""
        key = key or self.key
        api = {"rest": self.url, "ws": self.ws_url}
        return ccxt.pro.coinbase(
            {"apiKey": key.name, "secret": key.secret, "enableRateLimit": False, "urls": {"api": api}, **more}
        )


@asynccontextmanager
async def coinbase_world(limits: Limits = ROOMY, ssl_context=None) -> AsyncIterator[CoinbaseWorld]:
    """Serve a pretend Coinbase on a free port of loopback while the context lasts."""
    world = CoinbaseWorld(limits)
    app = web.Application()
    app.add_routes(routes(world.desk, world.keys, world.limits))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
    await site.start()
    port = runner.addresses[0][1]
    world.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}"
    try:
        yield world
    finally:
        await runner.cleanup()
