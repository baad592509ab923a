"""The routes and who may pass. It knows no engine: what it shows and does comes in as plain callables.

Rules: GET reads and never changes anything; a POST needs the bearer token, unless the page is read-only: then there is none.
Who may ask at all is in guard.py. Nothing of a request is echoed, and keys never pass through here. A browser has to say yes
twice to what opens trading again or trades by itself: `is_confirmed` (409 without it); the command line asks at the terminal.

    GET  /              the page; its files are /assets/<file>
    GET  /api/state     JSON of observe.live.LiveView
    GET  /api/events    the same as server-sent events: everything first, then what changed
    GET  /livez         200, or 503 with what has stopped (restart me)
    GET  /readyz        200, or 503 with what is missing (do not count on me yet)
    GET  /status        JSON of observe.status.Status
    GET  /risk          JSON of observe.risk.RiskView
    GET  /metrics       Prometheus text
    POST /token         {}: whether this token is the right one
    POST /operator      {"verb": ..., "reason": ..., "argument": ..., "actor": ..., "is_confirmed": false}
    POST /transfer      {"source": ..., "target": ..., "asset": ..., "network": ..., "qty": "0.1", "request_key": ..., ...}
    POST /transfer/close  {"transfer": ..., "reason": ..., "actor": ...}
    POST /adjust        {"venue": ..., "asset": ..., "qty": "0.1", "reason": ..., "actor": ...}
    POST /tax/order     {"method": "hifo", "venue": "", "asset": "", "is_told_to_broker": false, "actor": ...}
    POST /tax/pick      {"disposal": ..., "lots": [{"lot": ..., "qty": "0.1"}], "is_told_to_broker": false, "actor": ...}
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST

from arbot.api.assets import INDEX, Asset, Assets
from arbot.api.guard import Counts, TokenDoor, add_headers, guard, refuse
from arbot.api.stream import Stream
from arbot.domain.events import Verb
from arbot.domain.history import LotMethod, PickedLot
from arbot.observe.logs import redact
from arbot.runtime.operating import KillUnwritten

BODY_BYTES_MAX = 4_096
BODY_S = 10.0
TEXT_CHARS_MAX = 300
NEEDS_REASON = (Verb.UNKILL, Verb.RESET_LIMIT, Verb.QUARANTINE, Verb.RELEASE)
NEEDS_ARGUMENT = {
    Verb.RESET_LIMIT: "the name of the limit",
    Verb.QUARANTINE: "the name of the venue",
    Verb.RELEASE: "the name of the venue",
}
NEEDS_CONFIRMATION = {  # from a browser
    Verb.RESUME: "arbs will be opened again",
    Verb.UNKILL: "the kill switch will be taken back; trading stays paused until resume",
    Verb.FLATTEN: "what is open will be traded away at whatever the books give",
    Verb.RESET_LIMIT: "a limit that stopped trading will stop it no longer",
    Verb.RELEASE: "the venue will be traded at again",
}
_PROMETHEUS = {"Content-Type": CONTENT_TYPE_LATEST}
_log = structlog.get_logger("arbot.page")


Asked = TypeVar("Asked", "Request", "Adjustment", "TransferWish", "Closing", "LotOrder", "LotPick", "TokenCheck")


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator asks for. `argument` names the limit for reset_limit, the venue for quarantine and release.

    `is_confirmed` is the second yes that a browser has to give to some verbs.
    """

    verb: Verb
    reason: str = ""
    argument: str = ""
    actor: str = "operator"
    is_confirmed: bool = False


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


class TokenCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing is asked for but whether the token is right."""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is given. `problems_*` return what is wrong, nothing when all is well.

    `operate`, `adjust` and `transfer` are durable and applied when they return (`transfer` returns what came of it: begun or
    refused, with the numbers); they raise ValueError with a text for the user when
    the request makes no sense.
    """

    status: Callable[[], Awaitable[Any]]
    risk: Callable[[], Awaitable[Any]]
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
    stream: Stream
    assets: Assets
    counts: Counts
    is_read_only: bool = False


def build_app(desk: Desk) -> web.Application:
    """Return the application."""
    app = web.Application(middlewares=[guard(desk.hosts, desk.counts)], client_max_size=BODY_BYTES_MAX)
    app.on_response_prepare.append(add_headers)

    async def let_go(_app: web.Application) -> None:
        desk.stream.close()

    app.on_shutdown.append(let_go)
    _add_reads(app, desk)
    _add_page(app, desk)
    door = TokenDoor(desk.token, desk.now_ns)

    def post(path: str, kind: type[Asked], act: Callable[[Asked], Any]) -> None:
        app.router.add_post(path, _posted(desk, door, kind, act))

    post("/token", TokenCheck, lambda _: None)
    post("/operator", Request, desk.operate)
    post("/adjust", Adjustment, desk.adjust)
    post("/transfer", TransferWish, desk.transfer)
    post("/transfer/close", Closing, desk.close)
    post("/tax/order", LotOrder, desk.order_lots)
    post("/tax/pick", LotPick, desk.pick_lots)
    for resource in app.router.resources():
        desk.counts.requests[resource.canonical, "200"] += 0  # known from the start, so that a first one is an increase
    return app


def _posted(desk: Desk, door: TokenDoor, kind: type[Asked], act: Callable[[Asked], Any]) -> Handler:
    """Return the handler of one kind of request."""

    async def posted(request: web.Request) -> web.Response:
        command, denial = request.path.strip("/"), _denial(request, desk, door)
        if denial is not None:
            desk.counts.commands[command, "denied"] += 1
            return denial
        try:
            asked = msgspec.json.decode(await _body(request), type=kind)
            command = asked.verb.value if isinstance(asked, Request) else command
            _check(asked)
            unsaid = _unconfirmed(request, asked)
            if unsaid:
                return refuse(409, f"{unsaid}: ask again with is_confirmed")
            answer = act(asked)
        except (msgspec.DecodeError, ValueError) as error:
            desk.counts.commands[command, "refused"] += 1
            return refuse(400, str(error))
        except web.HTTPException:
            raise
        except KillUnwritten as error:
            desk.counts.commands[command, "refused"] += 1
            return refuse(503, str(error))
        # whatever it was, the one who asked has to know that it was not done; everybody else reads it in the log
        except Exception as error:  # noqa: BLE001
            desk.counts.commands[command, "refused"] += 1
            _log.exception("not carried out", command=command, error=type(error).__name__)
            why = redact(f"{type(error).__name__}: {error}")[:TEXT_CHARS_MAX]
            return refuse(503, f"it may NOT have been carried out ({why}); look at `arbot status` and the log")
        return _json(200, {"done": asked} if answer is None else {"done": asked, "answer": answer})

    return posted


async def _body(request: web.Request) -> bytes:
    """Return what was sent, if it comes whole and in time."""
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (web.RequestPayloadError, zlib.error):
        raise web.HTTPBadRequest from None


def _denial(request: web.Request, desk: Desk, door: TokenDoor) -> web.Response | None:
    """Return why nobody is listened to, or None."""
    if desk.is_read_only:
        return refuse(403, "this page is read-only ([http] read_only); use the command line where arbot runs")
    return door.refusal(request)


def _unconfirmed(request: web.Request, asked: msgspec.Struct) -> str:
    """Return what a browser has not yet said yes to a second time, or nothing."""
    if not isinstance(asked, Request) or asked.is_confirmed or "Origin" not in request.headers:
        return ""
    return NEEDS_CONFIRMATION.get(asked.verb, "")


def _add_page(app: web.Application, desk: Desk) -> None:
    """Add the page, its files, and what it follows."""

    def sent(request: web.Request, asset: Asset) -> web.Response:
        headers = {"ETag": f'"{asset.etag}"', "Cache-Control": "no-cache"}  # asked again each time, sent when changed
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8", headers=headers)

    async def index(request: web.Request) -> web.Response:
        return sent(request, desk.assets[INDEX])

    async def file(request: web.Request) -> web.Response:
        asset = desk.assets.get(request.match_info["file"])
        return refuse(404, "Not Found") if asset is None else sent(request, asset)

    async def state(_request: web.Request) -> web.Response:
        return web.Response(body=await desk.stream.state(), content_type="application/json")

    async def events(request: web.Request) -> web.StreamResponse:
        streamed = await desk.stream.events(request)
        return (
            refuse(503, "as many pages as there may be are open, or the daemon is ending")
            if streamed is None
            else streamed
        )

    for path, read in (("/", index), ("/assets/{file:.+}", file), ("/api/state", state), ("/api/events", events)):
        app.router.add_get(path, read, allow_head=path == "/")


def _add_reads(app: web.Application, desk: Desk) -> None:
    """Add what programs read."""

    async def status(_request: web.Request) -> web.Response:
        return _json(200, await desk.status())

    async def risk(_request: web.Request) -> web.Response:
        return _json(200, await desk.risk())

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await desk.metrics(), headers=_PROMETHEUS)

    async def livez(_request: web.Request) -> web.Response:
        return _health(desk.problems_live())

    async def readyz(_request: web.Request) -> web.Response:
        return _health(desk.problems_ready())

    for path, read in (
        ("/status", status),
        ("/risk", risk),
        ("/metrics", metrics),
        ("/livez", livez),
        ("/readyz", readyz),
    ):
        app.router.add_get(path, read)


def _check(asked: msgspec.Struct) -> None:
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
    if max(map(len, texts), default=0) > TEXT_CHARS_MAX:
        raise ValueError(f"texts may have {TEXT_CHARS_MAX} characters")


def _health(problems: tuple[str, ...]) -> web.Response:
    return _json(503 if problems else 200, {"ok": not problems, "problems": problems})


def _json(status: int, value: Any) -> web.Response:
    return web.Response(status=status, body=_ENCODER.encode(value), content_type="application/json")


_ENCODER = msgspec.json.Encoder(decimal_format="number")
