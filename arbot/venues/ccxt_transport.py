"""ccxt on our own HTTP client: one transmission, no redirect, and the raw answer kept for whoever wants to judge it.

ccxt's own `fetch` follows redirects, keeps only the last answer of an instance, and folds every fault into a few
exception classes. This one replaces it on an instance and leaves all of ccxt's parsing as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import ccxt.async_support as ccxt

from arbot.venues.endpoints import CCXT, OTHER
from arbot.venues.rest import Answer, Lost, Request, RestClient


class Record:
    """What one call through ccxt put on the wire and what came back, in order. `check` sees each request before it leaves."""

    def __init__(self, check: Callable[[Request], None] | None) -> None:
        self.check = check
        self.sent: list[Request] = []
        self.replies: list[Answer | Lost] = []


_CALL: ContextVar[str] = ContextVar("ccxt_call", default="")
_RECORD: ContextVar[Record | None] = ContextVar("ccxt_record", default=None)


@contextmanager
def recording(check: Callable[[Request], None] | None = None) -> Iterator[Record]:
    """Collect the transmissions made by this task inside the block."""
    record = Record(check)
    token = _RECORD.set(record)
    try:
        yield record
    finally:
        _RECORD.reset(token)


@contextmanager
def doing(call: str) -> Iterator[None]:
    """Say for which unified call this task transmits inside the block."""
    token = _CALL.set(call)
    try:
        yield
    finally:
        _CALL.reset(token)


def group_now(_url: str) -> str:
    """Return the group of the call under way: an exchange's paths are its own, ccxt's calls are everybody's."""
    return CCXT.get(_CALL.get(), OTHER)


def install(exchange: Any, rest: RestClient) -> None:
    """Let a ccxt instance send through `rest`. Faults of the network become ccxt.ExchangeNotAvailable."""

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        sent_headers = exchange.prepare_request_headers(headers)
        request = Request(method, url, sent_headers, body.encode() if isinstance(body, str) else body)
        record = _RECORD.get()
        if record is not None:
            if record.check is not None:
                record.check(request)
            record.sent.append(request)
        reply = await rest.send(request)
        if record is not None:
            record.replies.append(reply)
        if isinstance(reply, Lost):
            raise ccxt.ExchangeNotAvailable(f"{exchange.id} {method}: {reply.detail}")
        text = reply.body.decode(errors="replace")
        parsed = exchange.parse_json(text)
        exchange.handle_errors(reply.status, "", url, method, {}, text, parsed, sent_headers, body)
        exchange.handle_http_status_code(reply.status, "", url, method, text)
        if not 200 <= reply.status < 300 or parsed is None:
            raise ccxt.ExchangeNotAvailable(f"{exchange.id} {method}: HTTP {reply.status} without usable JSON")
        return parsed

    exchange.fetch = fetch
