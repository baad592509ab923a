"""The ways to a person: a webhook, a Telegram chat, whatever apprise knows. Each sends one message or says why not.

An error never holds an address: addresses here are secrets. It names what happened by its kind alone. A channel that was
not reached is tried again (Unreached, which may know for how long to wait); one that was answered with a no is not
(Refused).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import msgspec

from arbot.domain.errors import ArbotError
from arbot.notify.message import Message, Sender, body, document, escaped, headline
from arbot.ports import Secret

CHANNELS = ("webhook", "telegram", "apprise")
ANSWER_BYTES_MAX = 1_000_000  # a hundred updates of Telegram's are well below
_TRY_AGAIN = frozenset({408, 425, 429})
_WAIT_S_MAX = 3_600.0


class Undelivered(ArbotError):
    """A message did not get through; the text says why, without any address."""


class Refused(Undelivered):
    """The other side has answered, and the answer is no: the same message is not sent again."""


class Unreached(Undelivered):
    """No usable answer came. `wait_s` is how long the other side asks us to wait, 0 when it did not say."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = min(max(wait_s, 0.0), _WAIT_S_MAX)


class Channel(Protocol):
    """One way to a person."""

    async def send(self, message: Message) -> str:
        """Send it and return what the other side said, in a word. Raises: Refused, Unreached."""
        ...


async def post(
    session: aiohttp.ClientSession, url: Secret, data: bytes, headers: dict[str, str], timeout_s: float
) -> tuple[int, str, bytes]:
    """Return status, Retry-After and body of the answer to a POST. Raises: Unreached."""
    try:
        async with (
            asyncio.timeout(timeout_s),
            session.post(url.reveal(), data=data, headers=headers, allow_redirects=False) as answer,
        ):
            held = bytearray()
            async for piece in answer.content.iter_chunked(65_536):
                held += piece
                if len(held) > ANSWER_BYTES_MAX:
                    raise Unreached("an answer without end")
            return answer.status, answer.headers.get("Retry-After", ""), bytes(held)
    except TimeoutError:
        raise Unreached(f"no answer within {timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or ""  # never the error's own text: it may hold the address
        raise Unreached(f"{type(error).__name__} {why}".strip()) from None


class Webhook:
    """Posts a JSON document; with a secret, signed so that the receiver knows the sender and the time."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: Secret,
        secret: Secret,
        sender: Sender,
        now_ns: Callable[[], int],
        *,
        timeout_s: float,
    ) -> None:
        self._session = session
        self._url = url
        self._secret = secret
        self._sender = sender
        self._now_ns = now_ns
        self._timeout_s = timeout_s

    async def send(self, message: Message) -> str:
        """Post the message. Raises: Refused, Unreached."""
        data = msgspec.json.encode(document(message, self._sender))
        headers = {"Content-Type": "application/json", "User-Agent": f"arbot/{self._sender.version}"}
        if self._secret.reveal():
            seconds = str(self._now_ns() // 1_000_000_000)
            headers["X-Arbot-Timestamp"] = seconds
            headers["X-Arbot-Signature"] = f"sha256={signature(self._secret, seconds, data)}"
        status, wait, _ = await post(self._session, self._url, data, headers, self._timeout_s)
        if 200 <= status < 300:
            return str(status)
        if status in _TRY_AGAIN or status >= 500:
            raise Unreached(f"status {status}", float(wait) if wait.isdecimal() else 0.0)
        raise Refused(f"status {status}")


def signature(secret: Secret, seconds: str, data: bytes) -> str:
    """Return the HMAC-SHA256, in hex, of the time (Unix seconds, as sent), a dot and the body."""
    return hmac.new(secret.reveal().encode(), seconds.encode() + b"." + data, hashlib.sha256).hexdigest()


class Bot:
    """Calls of Telegram's Bot API."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str, token: Secret) -> None:
        self._session = session
        self._base = f"{api_url.rstrip('/')}/bot"
        self._token = token

    async def call(self, method: str, asked: dict[str, Any], timeout_s: float) -> Any:
        """Return the `result` of a call. Raises: Refused with Telegram's words, Unreached."""
        url = Secret(f"{self._base}{self._token.reveal()}/{method}")
        data = msgspec.json.encode(asked)
        status, _, answer = await post(self._session, url, data, {"Content-Type": "application/json"}, timeout_s)
        try:
            told = msgspec.json.decode(answer, type=dict[str, Any])
        except msgspec.DecodeError:
            raise Unreached(f"status {status}, and no JSON") from None
        if status == 200 and told.get("ok") is True:
            return told.get("result")
        words = escaped(str(told.get("description", "")))[:200]
        parameters = told.get("parameters")
        wait_s = parameters.get("retry_after", 0) if isinstance(parameters, dict) else 0
        if status in _TRY_AGAIN or status == 409 or status >= 500:
            raise Unreached(f"status {status}: {words}", wait_s if isinstance(wait_s, int | float) else 0.0)
        raise Refused(f"status {status}: {words}")


class Telegram:
    """Writes to one chat, as plain text: nothing in it is markup, and no link of a venue's is looked up."""

    def __init__(self, bot: Bot, chat_id: int, sender: Sender, *, timeout_s: float) -> None:
        self._bot = bot
        self._chat_id = chat_id
        self._sender = sender
        self._timeout_s = timeout_s

    async def send(self, message: Message) -> str:
        """Send the message. Raises: Refused, Unreached."""
        text = f"{headline(message, self._sender)}\n{body(message)}"
        await self._bot.call("sendMessage", spoken(self._chat_id, text), self._timeout_s)
        return "ok"


def spoken(chat_id: int, text: str) -> dict[str, Any]:
    """Return the request for a message of plain text, within Telegram's 4,096 UTF-16 units."""
    raw = text.encode("utf-16-le")
    if len(raw) > 2 * 4_096:
        text = raw[: 2 * 4_095].decode("utf-16-le", errors="ignore") + "…"
    return {"chat_id": chat_id, "text": text, "link_preview_options": {"is_disabled": True}}


class Apprise:
    """Hands messages to the apprise library, in a thread of its own: it may block there and holds up nothing else."""

    def __init__(self, notify: Callable[[str, str], bool], sender: Sender, *, timeout_s: float) -> None:
        self._notify = notify  # (title, body) -> did all of them take it
        self._sender = sender
        self._timeout_s = timeout_s
        self._thread: threading.Thread | None = None

    async def send(self, message: Message) -> str:
        """Send the message. Raises: Unreached, also while an earlier one still hangs."""
        if self._thread is not None and self._thread.is_alive():
            raise Unreached("an earlier message still hangs")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def settle(*, is_sent: bool) -> None:
            if not done.done():
                done.set_result(is_sent)

        def work() -> None:
            try:
                is_sent = self._notify(headline(message, self._sender), body(message))
            # any of a hundred plug-ins: told as a failure of this channel
            except Exception:  # noqa: BLE001
                is_sent = False
            with suppress(RuntimeError):  # the run has ended meanwhile: nobody waits for the answer any more
                loop.call_soon_threadsafe(lambda: settle(is_sent=is_sent))

        # Not the loop's executor: the loop waits for that at its end, and this may hang.
        self._thread = threading.Thread(target=work, name="apprise", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(self._timeout_s):
                is_sent = await done
        except TimeoutError:
            raise Unreached(f"no answer within {self._timeout_s:g} s") from None
        if not is_sent:
            raise Unreached("at least one service did not take it")
        return "ok"
