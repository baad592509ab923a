"""One HTTP transmission, and every way it can end, as values.

Rules: a request is sent once (aiohttp may repeat a GET on a connection it finds closed, never a POST); redirects are not followed; proxies of the environment are ignored; the body is read to
its end or the answer is lost; nothing larger than `body_bytes_max` is kept. An error of the network never raises.
Every request is told to `note`, by group and class of answer; one that was cancelled has no answer and is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import aiohttp
import msgspec
import yarl

from arbot.ports import Clock
from arbot.venues.endpoints import OTHER, GroupOf

BODY_BYTES_MAX = 32 * 1024 * 1024  # Kraken's list of all pairs is about 2 MB
ORDER_BODY_BYTES_MAX = 256 * 1024
KEEPALIVE_S = 15  # shorter than what venues keep idle connections for, so that fewer requests meet a closed one
AGENT = "arbot"
LIMITED, TIMEOUT, LOST = "429", "timeout", "lost"
LIMITED_BODY_BYTES_MAX = 512  # an answer that complains of too many requests says little else

Note = Callable[[str, str, int], None]
"""Takes a request: its endpoint's group, the class of its answer (2xx, 3xx, 4xx, 429, 5xx, timeout, lost), and ns."""


def unheard(_endpoint: str, _status: str, _duration_ns: int) -> None:
    """Take note of nothing."""


class Answer(msgspec.Struct, frozen=True):
    """A complete answer: status and the whole body, decompressed. `date` is the server's Date header, or empty."""

    status: int
    body: bytes
    date: str = ""


class Lost(msgspec.Struct, frozen=True):
    """No complete answer; whether the request arrived is not known."""

    detail: str


class Request(msgspec.Struct, frozen=True):
    """What leaves: the signed bytes are sent exactly as they are here."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class RestClient:
    """One connection pool to one venue."""

    def __init__(
        self,
        timeout_ms: int,
        clock: Clock,
        *,
        group_of: GroupOf = lambda _url: OTHER,
        limited_texts: tuple[bytes, ...] = (),
        note: Note = unheard,
    ) -> None:
        """Open nothing yet. `limited_texts`: by these a venue complains of too many requests under another status."""
        self._clock = clock
        self._group_of = group_of
        self._limited_texts = limited_texts
        self._note = note
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000, sock_connect=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, body_bytes_max: int = BODY_BYTES_MAX) -> Answer | Lost:
        """Transmit once and return the answer, or Lost with what went wrong. Cancelling leaves the outcome unknown."""
        began_ns = self._clock.now_ns()
        reply, status = await self._send(request, body_bytes_max)
        self._note(self._group_of(request.url), status, self._clock.now_ns() - began_ns)
        return reply

    async def _send(self, request: Request, body_bytes_max: int) -> tuple[Answer | Lost, str]:
        """Return what came of a request, and its class."""
        try:
            async with self._open().request(
                request.method,
                yarl.URL(request.url, encoded=True),
                data=request.body,
                headers=dict(request.headers),
                allow_redirects=False,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(65_536):
                    body += chunk
                    if len(body) > body_bytes_max:
                        response.close()
                        return Lost(f"HTTP {response.status}: body larger than {body_bytes_max} bytes"), LOST
                answer = Answer(response.status, bytes(body), response.headers.get("Date", ""))
                return answer, self._class_of(answer)
        except TimeoutError:
            return Lost(f"no answer within {self._timeout.total} s"), TIMEOUT
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            return Lost(f"{type(error).__name__}: {error}"), LOST

    def _class_of(self, answer: Answer) -> str:
        is_short = len(answer.body) <= LIMITED_BODY_BYTES_MAX
        if answer.status == 429 or (is_short and any(text in answer.body for text in self._limited_texts)):
            return LIMITED
        return f"{answer.status // 100}xx"

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_S, limit=16),
                trust_env=False,
                headers={"User-Agent": AGENT},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
