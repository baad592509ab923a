"""Serves pretend venues on loopback: each at its own port, as venues have their own hosts, and the admin paths at one.

A row of WIRES says how a flavour of venue is mounted and where its addresses are; adding a protocol adds a row.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiohttp import web

from arbot.domain.errors import Mistake, UserError, ensure
from arbot.sim.accounts import ApiKey
from arbot.sim.wire import auth_kraken, bitstamp, coinbase, kraken
from arbot.sim.wire.auth_coinbase import Keyring, es256_key, key_name
from arbot.sim.wire.coinbase_rest import Limits as CoinbaseLimits
from arbot.sim.wire.desk import Desk

HOST = "127.0.0.1"


class KeyPair(NamedTuple):
    """What a customer is given."""

    key: str
    secret: str


class WireOptions(NamedTuple):
    """How a wire behaves. `can_withdraw` is a permission of the customer's key."""

    rate_tier: str = "intermediate"
    rows_grouped_share: float = 0.0
    can_withdraw: bool = False


class Wire(NamedTuple):
    """One protocol: `mount` adds the routes and returns a key of the account; `urls` builds the addresses."""

    mount: Callable[[web.Application, Desk, random.Random, str, WireOptions], KeyPair]
    urls: Callable[[str], Mapping[str, str]]


def _mount_kraken(app: web.Application, desk: Desk, rng: random.Random, account: str, options: WireOptions) -> KeyPair:
    permissions = auth_kraken.TRADE_PERMISSIONS
    if options.can_withdraw:
        permissions |= auth_kraken.TRANSFER_PERMISSIONS
    key: ApiKey = desk.venue.add_key(auth_kraken.new_key(rng, account, permissions, desk.now_ns()))
    kraken.mount(app, desk, rng, rate_tier=options.rate_tier, rows_grouped_share=options.rows_grouped_share)
    return KeyPair(key.key, key.secret)


def _mount_coinbase(
    app: web.Application, desk: Desk, rng: random.Random, account: str, options: WireOptions
) -> KeyPair:
    key = es256_key(account, key_name(rng), can_transfer=options.can_withdraw)
    roomy = CoinbaseLimits(private_per_s=100_000, public_per_s=100_000) if options.rate_tier == "unmetered" else None
    app.add_routes(coinbase.routes(desk, Keyring((key,)), roomy))
    return KeyPair(key.name, key.secret)


def _mount_bitstamp(
    app: web.Application, desk: Desk, rng: random.Random, account: str, options: WireOptions
) -> KeyPair:
    key = desk.venue.add_key(bitstamp.new_key(rng, account, can_withdraw=options.can_withdraw))
    app.add_routes(bitstamp.routes(desk, rng))
    return KeyPair(key.key, key.secret)


WIRES: dict[str, Wire] = {
    "kraken": Wire(
        _mount_kraken,
        lambda host: {
            "rest_url": f"http://{host}",
            "ws_public_url": f"ws://{host}{kraken.WS_PUBLIC_PATH}",
            "ws_private_url": f"ws://{host}{kraken.WS_PRIVATE_PATH}",
        },
    ),
    "coinbase": Wire(
        _mount_coinbase,
        lambda host: {
            "rest_url": f"http://{host}",
            "ws_public_url": f"ws://{host}{coinbase.WS_PATH}",
            "ws_private_url": f"ws://{host}{coinbase.WS_PATH}",
        },
    ),
    "bitstamp": Wire(
        _mount_bitstamp,
        lambda host: {
            "rest_url": f"http://{host}/api",
            "ws_public_url": f"ws://{host}{bitstamp.WS_PATH}",
            "ws_private_url": f"ws://{host}{bitstamp.WS_PATH}",
        },
    ),
}


class Site:
    """One application at one port."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)

    async def start(self, port: int = 0, context: ssl.SSLContext | None = None) -> str:
        """Listen (port 0: any free one), under TLS when a context is given, and return host:port.

        Raises: UserError when the port is taken.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port, ssl_context=context).start()
        except OSError as error:
            told = f"cannot listen on {HOST}:{port} ({error.strerror})"
            raise UserError(Mistake("port", told, "leave it out for any free one")) from error
        addresses = self._runner.addresses
        ensure(addresses, "server has no address")
        return f"{HOST}:{addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and drop every connection: to its customers the venue is down."""
        await self._runner.cleanup()
