"""A Telegram Bot API and a webhook receiver on loopback that do as they are told: answer, refuse, stall, hang, talk garbage.

`Chats` keeps what was sent and hands out updates as Telegram does: an update is told until an offset beyond it was asked
for. A fault of `faults` is met once each, in their order, by the next request to that path; `always` is met every time.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.loopback import serving_app

TOKEN = "123456789:AAE-a_long_made_up_token_of_a_bot_0"
CHAT, USER, STRANGER = -1001, 77, 666
HANG_S = 60.0


class Chats:
    """What the pretend services were sent, and how they behave."""

    def __init__(self) -> None:
        self.url = ""
        self.sent: list[dict[str, Any]] = []  # of sendMessage
        self.posts: list[tuple[dict[str, str], bytes]] = []  # of the webhook: headers and body
        self.asked: list[dict[str, Any]] = []  # of getUpdates
        self.faults: dict[str, deque[str]] = defaultdict(deque)  # by path: webhook, sendMessage, getUpdates
        self.always: dict[str, str] = {}
        self.tries: list[str] = []
        self._updates: list[dict[str, Any]] = []
        self._number = 500
        self._news = asyncio.Event()

    def say(self, text: str, date: int, *, chat: int = CHAT, user: int = USER, **more: Any) -> int:
        """Have somebody write to the bot; return the number of the update."""
        self._number += 1
        message = {"message_id": self._number, "date": date, "chat": {"id": chat}, "from": {"id": user}, "text": text}
        self.tell({"update_id": self._number, "message": message | more})
        return self._number

    def tell(self, update: Any) -> None:
        """Hand out an update as it is."""
        self._updates.append(update)
        self._news.set()

    def texts(self, chat: int = CHAT) -> list[str]:
        """Return what the bot has written to a chat."""
        return [one["text"] for one in self.sent if one["chat_id"] == chat]

    def documents(self) -> list[dict[str, Any]]:
        """Return what the webhook was given."""
        return [json.loads(body) for _, body in self.posts]

    async def updates(self, offset: int, seconds: float) -> list[Any]:
        """Return what was not confirmed, waiting for news for a while."""
        self._updates = [one for one in self._updates if one.get("update_id", offset) >= offset]
        if not self._updates and seconds:
            self._news.clear()
            try:
                async with asyncio.timeout(min(seconds, 5)):
                    await self._news.wait()
            except TimeoutError:
                return []
        told = list(self._updates)
        self._updates = [one for one in told if "update_id" in one]  # what has no number cannot be confirmed
        return told


@asynccontextmanager
async def chatting() -> AsyncIterator[Chats]:
    """Serve both on a free port of loopback."""
    chats = Chats()
    app = web.Application()

    async def bot(request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != TOKEN:
            return _no(401, "Unauthorized")
        asked = await request.json()
        if (fault := await _fault(chats, method, request)) is not None:
            return fault
        if method == "sendMessage":
            chats.sent.append(asked)
            return web.json_response({"ok": True, "result": {"message_id": len(chats.sent)}})
        chats.asked.append(asked)
        return web.json_response({"ok": True, "result": await chats.updates(asked["offset"], asked["timeout"])})

    async def hook(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if (fault := await _fault(chats, "webhook", request)) is not None:
            return fault
        chats.posts.append((dict(request.headers), body))
        return web.Response(status=204)

    app.router.add_post("/bot{token}/{method}", bot)
    app.router.add_post("/hook/{secret}", hook)
    async with serving_app(app) as port:
        chats.url = f"http://127.0.0.1:{port}"
        yield chats


async def _fault(chats: Chats, path: str, request: web.Request) -> web.StreamResponse | None:
    chats.tries.append(path)
    fault = chats.faults[path].popleft() if chats.faults[path] else chats.always.get(path, "")
    name, _, detail = fault.partition(":")
    if not name:
        return None
    if name == "hang":
        await asyncio.sleep(HANG_S)
    if name == "garbage":
        return web.Response(body=b"\xff<html>not json", status=200)
    if name == "cut" and request.transport is not None:
        request.transport.close()
        return web.Response()
    if name == "429":
        headers = {"Retry-After": detail}
        told = {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests",
            "parameters": {"retry_after": int(detail)},
        }
        return web.json_response(told, status=429, headers=headers)
    return _no(int(name), detail or "Bad Request")


def _no(status: int, words: str) -> web.Response:
    return web.json_response({"ok": False, "error_code": status, "description": words}, status=status)


def write_secret(path: Path, text: str, mode: int = 0o600) -> str:
    """Write a file of that mode and return its path."""
    path.touch(mode=0o600)
    path.write_text(text)
    path.chmod(mode)
    return str(path)
