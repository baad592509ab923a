"""Who may pass, before any handler runs, and what every answer says to the browser.

A request is refused that names a strange host (421: DNS rebinding) or that a foreign web page makes (403). Our own page is the
only origin there is. A link on another page may be followed to ours: that is a navigation, whose answer the other page
cannot read. There are no cookies, so a page that is not ours has nothing of the user's to abuse.
"""

from __future__ import annotations

import hmac
import re
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

FAILURES_MAX = 10  # wrong tokens per minute before nobody is listened to for a while
OTHER = "other"  # the route of what we do not have
_MINUTE_NS = 60_000_000_000
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_log = structlog.get_logger("arbot.page")


class Counts:
    """How often which route answered what, and what came of what people asked for. For the metrics."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()  # by route and status
        self.commands: Counter[tuple[str, str]] = Counter()  # by verb and outcome: refused, denied
        self.in_hand: set[object] = set()  # connections of which a request is being answered


class TokenDoor:
    """Compares tokens in constant time. After too many wrong ones a wrong one is told to wait; the right one never is.

    Whoever guesses must not be able to keep the owner from `kill`. What makes guessing hopeless is the length of a token.
    """

    def __init__(self, token: str, now_ns: Callable[[], int]) -> None:
        self._token = token.encode()
        self._now_ns = now_ns
        self._failures: deque[int] = deque(maxlen=FAILURES_MAX)
        self._told_ns = 0

    def refusal(self, request: web.Request) -> web.Response | None:
        """Return why the bearer of this request may not pass; None when it may."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if hmac.compare_digest(given.encode(errors="replace"), self._token) and kind == "Bearer":
            return None
        now_ns = self._now_ns()
        is_flood = len(self._failures) == FAILURES_MAX and now_ns - self._failures[0] < _MINUTE_NS
        self._failures.append(now_ns)
        if not is_flood:
            return refuse(401, "the token is missing or wrong")
        if now_ns - self._told_ns >= _MINUTE_NS:
            self._told_ns = now_ns
            _log.warning("somebody guesses at the token of the page", wrong_a_minute=FAILURES_MAX)
        return refuse(429, "too many wrong tokens; wait a minute")


def guard(hosts: frozenset[str], counts: Counts) -> Any:
    """Return the middleware."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        counts.in_hand.add(request.protocol)
        try:
            response = _stopped(request, hosts) or await _answered(request, handler)
        finally:
            counts.in_hand.discard(request.protocol)
        counts.requests[_route(request), str(response.status)] += 1
        return response

    return guarded


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer its headers just before it leaves; what may be kept says so itself."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def refuse(status: int, why: str) -> web.Response:
    """Return a refusal in words; nothing of the request is in it."""
    return web.Response(status=status, body=msgspec.json.encode({"error": why}), content_type="application/json")


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:  # unknown path, wrong method, body too large: told without echo
        return refuse(error.status, error.reason)
    except (ConnectionError, TimeoutError):
        raise  # whoever asked has gone
    # a bug of ours in showing something: told in the log and by the status, and the run goes on
    except Exception as error:  # noqa: BLE001
        _log.exception("the page could not answer", route=_route(request), error=type(error).__name__)
        return refuse(500, "an error inside; the log has it")


def _stopped(request: web.Request, hosts: frozenset[str]) -> web.Response | None:
    host = request.headers.get("Host", "")
    if hostname(host) not in hosts:
        return refuse(421, "this is not a name under which arbot may be asked; see [http] hosts")
    origin = request.headers.get("Origin")
    if origin is not None and not _is_own(origin, host):
        return refuse(403, "other web pages may not ask")
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") and not _is_followed_link(request):
        return refuse(403, "other web pages may not ask")
    return None


def _is_own(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == host


def _is_followed_link(request: web.Request) -> bool:
    headers = request.headers
    is_document = headers.get("Sec-Fetch-Dest") == "document" and headers.get("Sec-Fetch-Mode") == "navigate"
    return request.method == "GET" and request.path == "/" and is_document


def hostname(host: str) -> str:
    """Return a Host header without its port; nothing for what is no name with or without a port."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@\[\]]+))(?::[0-9]{1,5})?", host)
    return (found[1] or found[2]) if found else ""


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return OTHER if resource is None else resource.canonical
