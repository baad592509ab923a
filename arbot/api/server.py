"""Serves the page on a loopback port for as long as the context is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from arbot.api.app import Desk, build_app
from arbot.api.connections import Connection, Connections
from arbot.domain.errors import Mistake, UserError

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_CLOSE_S = 1.0


@asynccontextmanager
async def serve(desk: Desk, *, bind: str, port: int, connections: Connections | None = None) -> AsyncIterator[str]:
    """Listen, yield the base URL (port 0 becomes the port that was free), and close. Raises: UserError."""
    runner = web.AppRunner(build_app(desk), handle_signals=False, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    server = cast("web.Server", runner.server)  # there since setup
    open_ones = Connections(desk.counts) if connections is None else connections
    loop = asyncio.get_running_loop()
    try:
        try:
            listening = await loop.create_server(lambda: Connection(server, open_ones), bind, port)
        except OSError as error:
            raise UserError(
                Mistake(
                    "http.port", f"{bind}:{port} cannot be used: {error.strerror}", "set http.port = 0 for a free one"
                )
            ) from error
        taken = listening.sockets[0].getsockname()[1]
        try:
            yield f"http://[{bind}]:{taken}" if ":" in bind else f"http://{bind}:{taken}"
        finally:
            listening.close()
    finally:
        await runner.cleanup()
