"""The routes and who may pass. It knows no engine: what it shows and does comes in as plain callables.

Rules: GET reads and never changes anything; a POST needs the bearer token of a file that only the owner can
read; a request with a strange Host (DNS rebinding) or from a browser page (Origin, Sec-Fetch-Site) is refused before
anything else; there are no cookies, no CORS, nothing of a request is echoed, and keys never pass through here.

    GET  /livez     200, or 503 with what has stopped (restart me)
    GET  /readyz    200, or 503 with what is missing (do not count on me yet)
    GET  /status    JSON of observe.status.Status
    GET  /risk      JSON of observe.risk.RiskView
    GET  /metrics   Prometheus text
    POST /operator  {"verb": ..., "reason": ..., "argument": ..., "actor": ...}
    POST /transfer  {"source": ..., "target": ..., "asset": ..., "network": ..., "qty": "0.1", "request_key": ..., ...}
    POST /transfer/close  {"transfer": ..., "reason": ..., "actor": ...}
    POST /adjust    {"venue": ..., "asset": ..., "qty": "0.1", "reason": ..., "actor": ...}
    POST /tax/order {"method": "hifo", "venue": "", "asset": "", "is_told_to_broker": false, "actor": ...}
    POST /tax/pick  {"disposal": ..., "lots": [{"lot": ..., "qty": "0.1"}], "is_told_to_broker": false, "actor": ...}
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from arbot.domain.events import Verb
from arbot.domain.history import LotMethod, PickedLot

BODY_BYTES_MAX = 4_096
TEXT_CHARS_MAX = 300
FAILURES_MAX = 10  # wrong tokens per minute before nobody is listened to for a while
_MINUTE_NS = 60_000_000_000
NEEDS_REASON = (Verb.UNKILL, Verb.RESET_LIMIT, Verb.QUARANTINE, Verb.RELEASE)
NEEDS_ARGUMENT = {
    Verb.RESET_LIMIT: "the name of the limit",
    Verb.QUARANTINE: "the name of the venue",
    Verb.RELEASE: "the name of the venue",
}
_PROMETHEUS = {"Content-Type": CONTENT_TYPE_LATEST}


Asked = TypeVar("Asked", "Request", "Adjustment", "TransferWish", "Closing", "LotOrder", "LotPick")


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator asks for. `argument` names the limit for reset_limit, the venue for quarantine and release."""

    verb: Verb
    reason: str = ""
    argument: str = ""
    actor: str = "operator"


class Adjustment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A difference between ledger and venue that a person explains; `qty` is what the ledger lacks."""

    venue: str
    asset: str
    qty: str
    reason: str
    actor: str = "operator"


class TransferWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money that somebody wants moved. The same `request_key` asks for the same transfer; `is_confirmed` is the second yes."""

    source: str
    target: str
    asset: str
    network: str
    qty: str
    request_key: str
    is_confirmed: bool = False
    reason: str = ""
    actor: str = "operator"


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's word that a transfer never began: no history of either venue has it, and their support says so."""

    transfer: str
    reason: str
    actor: str = "operator"


class LotOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which units go first from now on; an empty `venue` or `asset` is all."""

    method: LotMethod
    venue: str = ""
    asset: str = ""
    is_told_to_broker: bool = False
    actor: str = "operator"


class LotPick(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Units named for one disposal that is yet to come: by the id its line, its order or its transfer will have."""

    disposal: str
    lots: tuple[PickedLot, ...]
    is_told_to_broker: bool = False
    actor: str = "operator"


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is given. `problems_*` return what is wrong, nothing when all is well.

    `operate`, `adjust` and `transfer` are durable and applied when they return (`transfer` returns what came of it: begun or
    refused, with the numbers); they raise ValueError with a text for the user when
    the request makes no sense.
    """

    status: Callable[[], Any]
    risk: Callable[[], Any]
    metrics: Callable[[], Awaitable[bytes]]
    problems_live: Callable[[], tuple[str, ...]]
    problems_ready: Callable[[], tuple[str, ...]]
    operate: Callable[[Request], None]
    adjust: Callable[[Adjustment], None]
    transfer: Callable[[TransferWish], Any]
    close: Callable[[Closing], None]
    order_lots: Callable[[LotOrder], None]
    pick_lots: Callable[[LotPick], None]
    now_ns: Callable[[], int]
    token: str
    hosts: frozenset[str]  # names under which we may be addressed, without port


def build_app(desk: Desk) -> web.Application:
    """Return the application."""
    app = web.Application(middlewares=[_guard(desk)], client_max_size=BODY_BYTES_MAX)
    failures: deque[int] = deque(maxlen=FAILURES_MAX)

    async def status(_request: web.Request) -> web.Response:
        return _json(200, desk.status())

    async def risk(_request: web.Request) -> web.Response:
        return _json(200, desk.risk())

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await desk.metrics(), headers=_PROMETHEUS)

    async def livez(_request: web.Request) -> web.Response:
        return _health(desk.problems_live())

    async def readyz(_request: web.Request) -> web.Response:
        return _health(desk.problems_ready())

    def post(kind: type[Asked], act: Callable[[Asked], Any]) -> Handler:
        async def posted(request: web.Request) -> web.Response:
            now_ns = desk.now_ns()
            if len(failures) == FAILURES_MAX and now_ns - failures[0] < _MINUTE_NS:
                return _refusal(429, "too many wrong tokens; wait a minute")
            if not _knows_token(request, desk.token):
                failures.append(now_ns)
                return _refusal(401, "the token is missing or wrong")
            try:
                asked = msgspec.json.decode(await request.read(), type=kind)
                _check(asked)
                answer = act(asked)
            except (msgspec.DecodeError, ValueError) as error:
                return _refusal(400, str(error))
            return _json(200, {"done": asked} if answer is None else {"done": asked, "answer": answer})

        return posted

    for path, read in (
        ("/status", status),
        ("/risk", risk),
        ("/metrics", metrics),
        ("/livez", livez),
        ("/readyz", readyz),
    ):
        app.router.add_get(path, read)
    app.router.add_post("/operator", post(Request, desk.operate))
    app.router.add_post("/adjust", post(Adjustment, desk.adjust))
    app.router.add_post("/transfer", post(TransferWish, desk.transfer))
    app.router.add_post("/transfer/close", post(Closing, desk.close))
    app.router.add_post("/tax/order", post(LotOrder, desk.order_lots))
    app.router.add_post("/tax/pick", post(LotPick, desk.pick_lots))
    return app


def _guard(desk: Desk) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _hostname(request.headers.get("Host", "")) not in desk.hosts:
            return _refusal(421, "this is not a name under which arbot may be asked")
        if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return _refusal(403, "web pages may not ask")
        try:
            response = await handler(request)
        except web.HTTPException as error:  # unknown path, wrong method, body too large: told without echo
            return _refusal(error.status, error.reason)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return guard


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _knows_token(request: web.Request, token: str) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    return hmac.compare_digest(given.encode(), token.encode()) and kind == "Bearer"


def _check(asked: Request | Adjustment | TransferWish | Closing | LotOrder | LotPick) -> None:
    """Refuse what cannot be carried out. Raises: ValueError."""
    if isinstance(asked, Request | Adjustment | Closing):
        needs_reason = not isinstance(asked, Request) or asked.verb in NEEDS_REASON
        if needs_reason and not asked.reason.strip():
            raise ValueError("a reason is needed")
    if isinstance(asked, Request) and asked.verb in NEEDS_ARGUMENT and not asked.argument:
        raise ValueError(f"{asked.verb.value} needs {NEEDS_ARGUMENT[asked.verb]} as its argument")
    if isinstance(asked, TransferWish) and not asked.request_key:
        raise ValueError("a request_key is needed, so that a repetition is known as one")
    texts = (text for text in msgspec.structs.astuple(asked) if isinstance(text, str))
    if max(map(len, texts)) > TEXT_CHARS_MAX:
        raise ValueError(f"texts may have {TEXT_CHARS_MAX} characters")


def _health(problems: tuple[str, ...]) -> web.Response:
    return _json(503 if problems else 200, {"ok": not problems, "problems": problems})


def _refusal(status: int, why: str) -> web.Response:
    return _json(status, {"error": why})


def _json(status: int, value: Any) -> web.Response:
    return web.Response(status=status, body=_ENCODER.encode(value), content_type="application/json")


_ENCODER = msgspec.json.Encoder(decimal_format="number")
