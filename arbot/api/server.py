"""Serves the page on a loopback port for as long as the context is open."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from arbot.api.app import Desk, build_app
from arbot.api.connections import Connection, Connections
from arbot.domain.errors import Mistake, UserError

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_CLOSE_S = 1.0
_OF_THE_PORT = {
    errno.EADDRINUSE: "end what listens there (`ss -ltnp` names it), or set another port; 0 takes any that is free",
    errno.EACCES: "set a port above 1023; 0 takes any that is free",
}


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
                    "http.port" if (error.errno or 0) in _OF_THE_PORT else "http.bind",
                    f"{bind}:{port} cannot be used: {_why(error)}",
                    _OF_THE_PORT.get(error.errno or 0, "name an address of this machine; 127.0.0.1 is always one"),
                )
            ) from error
        taken = listening.sockets[0].getsockname()[1]
        try:
            yield f"http://[{bind}]:{taken}" if ":" in bind else f"http://{bind}:{taken}"
        finally:
            listening.close()
    finally:
        await runner.cleanup()


def _why(error: OSError) -> str:
    """Return what the system says, out of the sentence that asyncio makes of it."""
    number = error.errno or 0
    return (
        os.strerror(number) if number in errno.errorcode else str(error.strerror)
    )  # below zero: of names, not in the table
