"""Serves the page on a loopback port for as long as the context is open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from arbot.api.app import Desk, build_app
from arbot.domain.errors import Mistake, UserError

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_CLOSE_S = 1.0


@asynccontextmanager
async def serve(desk: Desk, *, bind: str, port: int) -> AsyncIterator[str]:
    """Listen, yield the base URL (port 0 becomes the port that was free), and close. Raises: UserError."""
    runner = web.AppRunner(build_app(desk), access_log=None, handle_signals=False, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, bind, port)
            await site.start()
        except OSError as error:
            raise UserError(
                Mistake(
                    "http.port", f"{bind}:{port} cannot be used: {error.strerror}", "set http.port = 0 for a free one"
                )
            ) from error
        taken = runner.addresses[0][1]
        yield f"http://[{bind}]:{taken}" if ":" in bind else f"http://{bind}:{taken}"
    finally:
        await runner.cleanup()
