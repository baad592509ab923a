"""Who may pass, before any handler runs, and what every answer says to the browser.

A request is refused that names a strange host (421: DNS rebinding) or that a foreign web page makes (403). Our own page is the
only origin there is. A link on another page may be followed to ours: that is a navigation, whose answer the other page
cannot read. There are no cookies, so a page that is not ours has nothing of the user's to abuse.
"""

from __future__ import annotations

import hmac
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
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


class Counts:
    """How often which route answered what, and what came of what people asked for. For the metrics."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()  # by route and status
        self.commands: Counter[tuple[str, str]] = Counter()  # by verb and outcome: refused, denied


class TokenDoor:
    """Compares tokens in constant time, and stops listening for a while after too many wrong ones."""

    def __init__(self, token: str, now_ns: Callable[[], int]) -> None:
        self._token = token.encode()
        self._now_ns = now_ns
        self._failures: deque[int] = deque(maxlen=FAILURES_MAX)

    def refusal(self, request: web.Request) -> web.Response | None:
        """Return why the bearer of this request may not pass; None when it may."""
        now_ns = self._now_ns()
        if len(self._failures) == FAILURES_MAX and now_ns - self._failures[0] < _MINUTE_NS:
            return refuse(429, "too many wrong tokens; wait a minute")
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if hmac.compare_digest(given.encode(errors="replace"), self._token) and kind == "Bearer":
            return None
        self._failures.append(now_ns)
        return refuse(401, "the token is missing or wrong")


def guard(hosts: frozenset[str], counts: Counts) -> Any:
    """Return the middleware."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = _stopped(request, hosts) or await _answered(request, handler)
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
    """Return a Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return OTHER if resource is None else resource.canonical
