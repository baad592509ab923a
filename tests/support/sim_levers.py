"""Pretend venues in a process of their own, with levers that no customer has. Run by daemon_world.py as a program.

    stdin    first SimOptions as one line of JSON, then one lever a line: {"lever": "ahead", "ms": 5000}
    stdout   SimServer.describe(), then one answer a line: {} or {"error": "..."}

The process ends when stdin does, so it cannot outlive its test.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from arbot.runtime.clock import NS_PER_MS, SystemClock
from arbot.sim.serve import RunningVenue, SimOptions, SimServer, serve
from arbot.sim.wire import auth_coinbase, auth_kraken, server

HOST = "127.0.0.1"
keyrings: list[auth_coinbase.Keyring] = []


class SteppedClock(SystemClock):
    """The system clock, pushed ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_ns = 0

    def now_ns(self) -> int:
        """Return the time, pushed ahead."""
        return super().now_ns() + self.ahead_ns


class KnownKeyring(auth_coinbase.Keyring):
    """A keyring that can be found again."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        keyrings.append(self)


class Levers:
    """What a test can do to running venues."""

    def __init__(self, running: SimServer, clock: SteppedClock) -> None:
        self._running = running
        self._clock = clock
        self.table: Mapping[str, Callable[..., Awaitable[None]]] = {
            "ahead": self.ahead,
            "permissions": self.permissions,
            "tokens": self.tokens,
            "down": self.down,
            "up": self.up,
        }

    async def ahead(self, ms: int) -> None:
        """Let the clocks of all venues be ahead of ours."""
        self._clock.ahead_ns = ms * NS_PER_MS

    async def permissions(self, venue: str, *, trade: bool = True, withdraw: bool = False) -> None:
        """Change what the customer's key may do."""
        one = self._venue(venue)
        if one.options.flavour == "kraken":
            allowed = auth_kraken.TRADE_PERMISSIONS if trade else frozenset({"query-funds", "create-ws-token"})
            one.venue.accounts.keys[one.keys.key].permissions = allowed | (
                auth_kraken.TRANSFER_PERMISSIONS if withdraw else frozenset()
            )
            return
        (ring,) = keyrings
        key = ring._keys[one.keys.key]
        ring.add(msgspec.structs.replace(key, can_trade=trade, can_transfer=withdraw))

    async def tokens(self, venue: str, *, refused: bool) -> None:
        """Refuse every new websocket token (Kraken: as expired) or every JWT (Coinbase: as living too long)."""
        if self._venue(venue).options.flavour == "kraken":
            auth_kraken.TOKEN_SECONDS = -1 if refused else 900
        else:
            auth_coinbase.TOKEN_SECONDS_MAX = 0 if refused else 120

    async def down(self, venue: str) -> None:
        """Refuse connections and drop those there are."""
        runner = self._venue(venue).site._runner
        for site in list(runner.sites):
            await site.stop()
        if runner.server is not None:
            for connection in list(runner.server.connections):
                if connection.transport is not None:
                    connection.transport.abort()

    async def up(self, venue: str) -> None:
        """Take connections again, where they were taken before."""
        port = int(self._venue(venue).urls["rest_url"].rpartition(":")[2])
        await web.TCPSite(self._venue(venue).site._runner, HOST, port, reuse_address=True).start()

    def _venue(self, name: str) -> RunningVenue:
        return self._running.running[name]


async def main() -> None:
    """Serve until stdin ends."""
    server.Keyring = KnownKeyring  # type: ignore[misc]
    loop, clock = asyncio.get_running_loop(), SteppedClock()
    line = await loop.run_in_executor(None, sys.stdin.buffer.readline)
    options = msgspec.json.decode(line, type=SimOptions, dec_hook=lambda kind, value: kind(value))
    async with serve(options, clock) as running:
        levers = Levers(running, clock)
        say(running.describe())
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            asked = msgspec.json.decode(line)
            await levers.table[asked.pop("lever")](**asked)
            say({})


def say(told: object) -> None:
    """Answer with one line."""
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
