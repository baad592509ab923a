"""What a hostile or mistaken far end can make of a message: it goes to the address in the file, proved, or nowhere."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from arbot.domain.commands import Severity
from arbot.notify.channels import Bot, Telegram, Undelivered, Webhook
from arbot.notify.message import Kind, Message, Sender
from arbot.ports import Secret

SENDER = Sender(run_name="desk", mode="paper", version="1.2")
MESSAGE = Message(kind=Kind.KILL, code="killed", severity=Severity.CRITICAL, title="t", text="t", ts_ns=10**18, id="1")
TOKEN = "123456:abcdefghijklmnopqrstuvwxyz"
PATH = "/a-long-secret-in-the-path"


class FarEnd:
    """A server that answers every POST alike, and what it was sent."""

    def __init__(self, answer: web.Response | None = None) -> None:
        self.seen: list[web.BaseRequest] = []
        self._answer = answer

    @asynccontextmanager
    async def served(self, **options: object) -> AsyncIterator[str]:
        async def take(request: web.BaseRequest) -> web.StreamResponse:
            self.seen.append(request)
            return web.Response(status=204) if self._answer is None else self._answer

        app = web.Application()
        app.router.add_route("*", "/{any:.*}", take)
        async with TestServer(app, host="127.0.0.1", **options) as server:  # type: ignore[arg-type]
            yield str(server.make_url("/")).rstrip("/")


async def send(url: str) -> str:
    """Send over a webhook and return what came of it."""
    async with aiohttp.ClientSession() as session:
        hook = Webhook(session, Secret(url + PATH), Secret("k" * 20), SENDER, lambda: 10**18, timeout_s=3)
        try:
            return await hook.send(MESSAGE)
        except Undelivered as error:
            return str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_takes_a_message_elsewhere(status: int) -> None:
    """A far end that points elsewhere is told nothing more, and neither is the other place: not the text, not the token."""
    other = FarEnd()
    async with other.served() as elsewhere:
        first = FarEnd(web.Response(status=status, headers={"Location": elsewhere}))
        async with first.served() as url, aiohttp.ClientSession() as session:
            assert f"status {status}" == await send(url)
            with pytest.raises(Undelivered) as caught:
                await Telegram(Bot(session, url, Secret(TOKEN)), 1, SENDER, timeout_s=3).send(MESSAGE)
    assert TOKEN not in str(caught.value)
    assert (2, 0) == (len(first.seen), len(other.seen))


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that somebody set does not send secrets through his machine."""
    proxy, far = FarEnd(), FarEnd()
    async with proxy.served() as middle, far.served() as url:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, middle)
        assert "204" == await send(url)
    assert (0, 1) == (len(proxy.seen), len(far.seen))


async def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    """Nothing is sent to who cannot prove its name, and the error does not tell the address."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt install openssl")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    asked = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(  # noqa: ASYNC221 - before anything listens
        ["openssl", *asked.split(), "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    far = FarEnd()

    async def take(_reader: object, writer: asyncio.StreamWriter) -> None:
        far.seen.append(None)  # type: ignore[arg-type]
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    try:
        told = await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        server.close()
    assert "Certificate" in told
    assert "secret" not in told
    assert [] == far.seen


async def test_a_far_end_without_an_end_is_cut_off() -> None:
    """Megabytes of answer, packed small or not, are not kept."""
    answer = web.Response(body=b" " * 3_000_000, status=200)
    answer.enable_compression(web.ContentCoding.gzip, strategy=0)
    for far in (FarEnd(answer), FarEnd(web.Response(body=b" " * 3_000_000))):
        async with far.served() as url:
            assert "an answer without end" == await send(url)
