"""The page under attack: foreign web pages, odd bytes, slow and greedy clients, guessers; over real sockets on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from arbot.api.app import BODY_BYTES_MAX, Desk
from arbot.api.assets import load_assets
from arbot.api.connections import Connections
from arbot.api.guard import FAILURES_MAX, HEADERS, Counts, hostname
from arbot.api.server import LOOPBACK_NAMES, serve
from arbot.api.stream import Stream
from tests.support.loopback import until

TOKEN = "a-token-for-the-owner-alone"
BEARER = f"Authorization: Bearer {TOKEN}\r\n"
NEXT = "HTTP/1.1 "


@dataclass
class Door:
    """A page with nothing behind it but a list of what was let through."""

    url: str = ""
    asked: list[Any] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    faults: list[dict[str, Any]] = field(default_factory=list)  # that reached the loop's own handler
    section: bytes = b'{"pnl_run":1.50}'
    now_ns: int = 1_700_000_000_000_000_000

    def __post_init__(self) -> None:
        self.stream = Stream(self._slices, now_ns=self._tick, sleep=asyncio.sleep)
        self.connections = Connections(self.counts, connections_max=8, idle_s=0.4)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def desk(self) -> Desk:
        async def nothing() -> dict[str, str]:
            return {}

        async def metrics() -> bytes:
            return b"arbot_events_total 1.0\n" * 100_000

        return Desk(
            status=nothing,
            risk=nothing,
            metrics=metrics,
            problems_live=tuple,
            problems_ready=tuple,
            operate=self.asked.append,
            adjust=self.asked.append,
            transfer=self.asked.append,
            close=self.asked.append,
            order_lots=self.asked.append,
            pick_lots=self.asked.append,
            now_ns=lambda: self.now_ns,
            token=TOKEN,
            hosts=LOOPBACK_NAMES,
            stream=self.stream,
            assets=load_assets(),
            counts=self.counts,
        )

    def _slices(self) -> Iterator[tuple[str, str, bytes]]:
        yield "money", "", self.section

    def _tick(self) -> int:
        self.now_ns += 1_000_000_000
        return self.now_ns


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: door.faults.append(context))
    async with serve(door.desk(), bind="127.0.0.1", port=unused_port(), connections=door.connections) as door.url:
        yield door
    assert [] == door.faults  # it would have ended the run


@asynccontextmanager
async def talk(door: Door) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(door: Door, request: str | bytes, seconds: float = 3.0) -> str:
    """Return all that is said to these bytes until the connection is closed or nothing comes any more."""
    raw = request.encode() if isinstance(request, str) else request
    held = b""
    async with talk(door) as (reader, writer):
        writer.write(raw)
        try:
            async with asyncio.timeout(seconds):
                while piece := await reader.read(65_536):
                    held += piece
        except (TimeoutError, ConnectionError):
            pass
    return held.decode(errors="replace")


def get(path: str = "/status", headers: str = "", host: str = "127.0.0.1", method: str = "GET") -> str:
    return f"{method} {path} {NEXT.strip()}\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"


def post(body: str | bytes, path: str = "/operator", headers: str = BEARER) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Connection: close\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1]) if answer else 0


KILL = json.dumps({"verb": "kill", "actor": "owner"})


# --- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8787",
        "localhost.evil.example",
        "evil@127.0.0.1",
        "127.0.0.1@evil.example",
        "[::1].evil.example",
        "[::1]evil:80",
        "127.0.0.1:80@evil.example",
        "127.0.0.1:x",
        "127.0.0.1:",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0.0.0.0",  # noqa: S104 - it is sent, not bound
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost.",
        "",
    ],
)
async def test_a_name_that_is_not_ours_gets_nothing(host: str, door: Door) -> None:
    """Whatever a rebound name is spelled like, reading and asking are 421, the right token or not."""
    for request in (get("/status", host=host), get("/api/events", host=host)):
        assert 421 == status(await said(door, request))
    asking = post(KILL).replace(b"Host: 127.0.0.1", f"Host: {host}".encode())
    assert 421 == status(await said(door, asking))
    assert [] == door.asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:8787", "[::1]:8787"])
def test_our_own_names_are_known(host: str) -> None:
    """Loopback by name and by both addresses, with a port or without."""
    assert hostname(host) in LOOPBACK_NAMES


async def test_two_hosts_are_no_request(door: Door) -> None:
    """Nobody has to guess which one counts."""
    assert 400 == status(await said(door, "GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n"))


@pytest.mark.parametrize(
    "headers",
    [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1:1\r\n",
        "Origin: http://127.0.0.1.evil.example\r\n",
        "Origin: file://\r\n",
        "Origin: http://[\r\n",
        "Origin: \r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
        "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n",
        "Sec-Fetch-Site: strange\r\n",
    ],
)
@pytest.mark.parametrize("path", ["/status", "/api/state", "/api/events", "/metrics", "/assets/app.js"])
async def test_a_foreign_web_page_reads_nothing(path: str, headers: str, door: Door) -> None:
    """fetch, EventSource, script and image of another origin are refused, and nothing allows a foreign origin to read."""
    answer = await said(door, get(path, headers))
    assert 403 == status(answer)
    assert "access-control" not in answer.lower()


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_a_foreign_web_page_asks_for_nothing(origin: str, door: Door) -> None:
    """A form, a fetch with the token, and the question of a browser beforehand are refused alike."""
    for headers in (f"Origin: {origin}\r\n", f"Origin: {origin}\r\nContent-Type: text/plain\r\n"):
        assert 403 == status(await said(door, post(KILL, headers=BEARER + headers)))
    preflight = get("/operator", f"Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n", method="OPTIONS")
    assert 403 == status(await said(door, preflight))
    assert [] == door.asked


async def test_a_token_in_the_address_or_a_cookie_opens_nothing(door: Door) -> None:
    """Only the header counts: an address ends up in histories and logs."""
    for request in (
        post(KILL, f"/operator?token={TOKEN}", ""),
        post(KILL, f"/operator?access_token={TOKEN}", f"Cookie: token={TOKEN}\r\n"),
        post(json.dumps({"verb": "kill", "token": TOKEN}), headers=""),
    ):
        assert 401 == status(await said(door, request))
    assert "set-cookie" not in (await said(door, get("/"))).lower()


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/%2e%2e/app.py",
        "/assets/..%2fapp.py",
        "/assets/..%5capp.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/vendor/../../token.py",
        "/assets/app.js%00.html",
        "/assets/app.js/",
        "/assets/vendor/",
        "/assets/vendor/vendor.toml",
        "/assets/",
        "/assets",
        "/assets/App.js",
        "//assets/app.js",
    ],
)
async def test_nothing_but_the_files_of_the_page_is_served(path: str, door: Door) -> None:
    """No spelling of a path leads out of the folder, or lists it."""
    assert status(await said(door, get(path))) in (400, 404)


async def test_no_method_but_ours_does_anything(door: Door) -> None:
    """Whatever the verb of HTTP, what only reads is not written to and the other way round."""
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "POST", "PROPFIND"):
        assert status(await said(door, get("/status", BEARER, method=method))) in (400, 405)
    for method in ("GET", "HEAD", "PUT"):
        assert 405 == status(await said(door, get("/operator", BEARER, method=method)))
    assert [] == door.asked


# --- what is no request ----------------------------------------------------------------------------------------------

STRANGE = [
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"<script>alert(1)</script> / HTTP/1.1\r\n\r\n",
    b"GET http://[::1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://a:99999/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT [ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: <script>\r\n\r\n",
    b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"POST /operator HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /operator HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /operator HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BEARER.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /operator HTTP/1.1\r\nHost: 127.0.0.1\r\n" + BEARER.encode() + b"X: \x01\r\n\r\n",
]


@pytest.mark.parametrize("raw", STRANGE)
async def test_what_is_no_request_is_refused_without_an_echo(
    raw: bytes, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of it comes back, nothing of it is in the log (a token may be in it), and the answer has all its headers."""
    caplog.set_level(logging.DEBUG)
    answer = await said(door, raw)
    assert status(answer) in (400, 417)
    for name, value in HEADERS.items():
        assert f"{name}: {value}" in answer
    assert "Cache-Control: no-store" in answer
    for text in ("script>", TOKEN, "99999", "aaaa"):
        assert text not in answer.partition("\r\n\r\n")[2]
        assert text not in caplog.text
    assert "Traceback" not in caplog.text
    assert 1 == sum(count for (route, _), count in door.counts.requests.items() if route == "other") or "417" in answer


async def test_garbage_reaches_neither_the_run_nor_the_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Hundreds of broken requests later the page answers, and the loop's handler, which ends a run, was never asked."""
    chance = random.Random(6)
    for _ in range(300):
        raw = bytearray(chance.choice(STRANGE))
        for _ in range(chance.randint(1, 6)):
            raw[chance.randrange(len(raw))] = chance.choice(b"\r\n\0[]:/%? \xff\x80a")
        await said(door, bytes(raw), 0.01)
    assert 200 == status(await said(door, get()))
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 4_000,
        b'{"verb":' * 400,
        b'{"verb": "kill", "verb": "resume", "x": 1}',
        b"\xff\xfe",
        b'{"verb": "withdraw"}',
        b'{"verb": "kill", "is_confirmed": "yes"}',
        json.dumps({"verb": "kill", "reason": "x" * 400}).encode(),
        b"",
    ],
)
async def test_a_senseless_body_is_refused(body: bytes, door: Door) -> None:
    """Deep, broken, strange or too long: 400 with all headers, and nothing has moved."""
    assert 400 == status(await said(door, post(body)))
    assert [] == door.asked


async def test_a_body_that_unpacks_to_much_is_refused(door: Door) -> None:
    """A few bytes that become megabytes are not unpacked to the end; broken ones are no error inside."""
    bomb = gzip.compress(b" " * 3_000_000)
    assert len(bomb) < BODY_BYTES_MAX
    for body in (bomb, b"abcd"):
        answer = await said(door, post(body, headers=BEARER + "Content-Encoding: gzip\r\n"))
        assert status(answer) in (400, 413)
    assert status(await said(door, post(b" " * 100_000))) == 413
    assert [] == door.asked


async def test_many_requests_in_one_go_are_answered_one_by_one(door: Door) -> None:
    """Pipelined questions get one answer each; a refused one among them opens nothing for the next."""
    one = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    foreign = "GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    answer = await said(door, one * 20 + foreign + one, 1.0)
    assert [200] * 20 + [421, 200] == [int(part[:3]) for part in answer.split(NEXT)[1:]]


# --- the slow and the greedy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [b"", b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
async def test_who_never_finishes_a_request_is_let_go(begun: bytes, door: Door) -> None:
    """A connection without a whole request ends after its time, whatever has come of one."""
    async with talk(door) as (reader, writer):
        writer.write(begun)
        async with asyncio.timeout(3):
            assert b"" == await reader.read()
    await until(lambda: not len(door.connections))


async def test_a_body_that_never_comes_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the right token and a slow hand: 408 after the time for a body."""
    monkeypatch.setattr("arbot.api.app.BODY_S", 0.2)
    head = f"POST /operator HTTP/1.1\r\nHost: 127.0.0.1\r\n{BEARER}Content-Length: 50\r\n\r\n{{"
    assert 408 == status(await said(door, head, 1.0))


async def test_there_is_a_place_for_the_owner_among_idlers(door: Door) -> None:
    """However many connections others hold, there are never more than so many, and the owner's request is answered."""
    idlers = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(30)]
    await until(lambda: len(door.connections) > 0)
    assert len(door.connections) <= 8
    assert 200 == status(await said(door, post(KILL)))
    assert 1 == len(door.asked)
    for _, writer in idlers:
        writer.transport.abort()


async def test_who_takes_no_answer_is_let_go(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes asked for and not read are not kept for ever."""
    monkeypatch.setattr("arbot.api.connections.SEND_S", 0.3)
    async with talk(door) as (_, writer):
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 4)
        await until(lambda: len(door.connections) == 1)
        await until(lambda: not len(door.connections))
    assert 200 == status(await said(door, get()))


async def test_pages_that_never_read_neither_hold_the_others_nor_stay(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their places come back after a while; what is kept for each is a set of names, not a queue."""
    monkeypatch.setattr("arbot.api.stream.SEND_S", 0.2)
    monkeypatch.setattr("arbot.api.connections.SEND_S", 0.2)
    door.section = b'"' + b"x" * 8_000_000 + b'"'
    async with talk(door) as (_, first), talk(door) as (_, second):
        for writer in (first, second):
            writer.write(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await until(lambda: door.stream.clients == 2)
        assert 200 == status(await said(door, get("/livez")))
        await until(lambda: door.stream.clients == 0)
        await until(lambda: not len(door.connections))


async def test_a_hundred_pages_are_sixteen() -> None:
    """Those beyond the limit are told 503, those within are served, and kill goes through all the while."""
    door = Door()
    door.connections = Connections(door.counts, connections_max=64)
    async with serve(door.desk(), bind="127.0.0.1", port=0, connections=door.connections) as door.url:
        pages = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(100)]
        for _, writer in pages:
            writer.write(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await until(lambda: door.stream.clients == 16)
        assert len(door.connections) <= 64
        assert 200 == status(await said(door, post(KILL)))
        assert 16 == door.stream.clients
        for _, writer in pages:
            writer.transport.abort()
        await until(lambda: door.stream.clients == 0)


async def test_guessers_keep_nobody_out(door: Door) -> None:
    """While others guess as fast as they can, they are told to wait, and the owner kills at the first try."""
    for _ in range(2 * FAILURES_MAX):
        await said(door, post(KILL, headers="Authorization: Bearer guess\r\n"))
    assert 429 == status(await said(door, post(KILL, headers="Authorization: Bearer guess\r\n")))
    assert 200 == status(await said(door, post(KILL)))
    assert 1 == len(door.asked)
    assert 2 * FAILURES_MAX + 1 == door.counts.commands["operator", "denied"]
