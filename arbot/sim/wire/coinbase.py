"""The pretend Coinbase as routes of an aiohttp application: REST under its own paths, the websocket on one path."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from arbot.sim.wire.auth_coinbase import Keyring
from arbot.sim.wire.coinbase_rest import CoinbaseRest, Limits, request_kind
from arbot.sim.wire.coinbase_ws import serve_websocket
from arbot.sim.wire.desk import Answer, Desk

WS_PATH = "/cws"


def routes(desk: Desk, keys: Keyring, limits: Limits | None = None) -> Iterable[web.AbstractRouteDef]:
    """Return the routes of one pretend Coinbase. The venue's websocket host has no path; WS_PATH stands for it."""
    rest = CoinbaseRest(desk, keys, limits)

    async def serve_rest(request: web.Request) -> web.StreamResponse:
        body = await request.read()

        def work() -> Answer:
            reply = rest.handle(
                request.method,
                request.path_qs,
                request.headers,
                body,
                now_ns=desk.now_ns(),
                peer=request.remote or "",
            )
            response = web.Response(
                status=reply.status, body=reply.body, content_type=reply.content_type, headers=reply.headers
            )
            return Answer(response, accepted=reply.accepted)

        return await desk.answer(request, request_kind(request.method, request.path), work)

    async def serve_ws(request: web.Request) -> web.StreamResponse:
        return await serve_websocket(request, desk, keys)

    return (
        web.route("*", "/api/v3/{tail:.*}", serve_rest),
        web.route("*", "/v2/{tail:.*}", serve_rest),
        web.get(WS_PATH, serve_ws),
    )
