"""Channels against real servers on loopback: what is sent, what comes back, and that no error holds an address."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator

import aiohttp
import pytest

from arbot.domain.commands import Severity
from arbot.notify.channels import Apprise, Bot, Channel, Refused, Telegram, Undelivered, Unreached, Webhook, spoken
from arbot.notify.message import Kind, Message, Sender
from arbot.ports import Secret
from arbot.runtime.notify_secrets import make_apprise
from tests.support.chat_server import CHAT, TOKEN, Chats, chatting

SENDER = Sender(run_name="desk", mode="paper", version="1.2")
MESSAGE = Message(
    kind=Kind.KILL,
    code="killed",
    severity=Severity.CRITICAL,
    title="A title",
    text="a <b>text</b>",
    ts_ns=10**18,
    id="r-1",
)
PATH, KEY = "/hook/a-long-secret-in-the-path", Secret("a-key-to-sign-with-000")


@pytest.fixture
async def chats() -> AsyncIterator[Chats]:
    async with chatting() as served:
        yield served


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def webhook(chats: Chats, session: aiohttp.ClientSession, key: Secret = KEY, timeout_s: float = 5) -> Webhook:
    return Webhook(session, Secret(chats.url + PATH), key, SENDER, lambda: 10**18 + 5 * 10**9, timeout_s=timeout_s)


def telegram(chats: Chats, session: aiohttp.ClientSession, token: str = TOKEN, timeout_s: float = 5) -> Telegram:
    return Telegram(Bot(session, chats.url, Secret(token)), CHAT, SENDER, timeout_s=timeout_s)


async def test_a_webhook_is_given_a_signed_document(chats: Chats, session: aiohttp.ClientSession) -> None:
    """Post JSON, and a signature over the time and the body as they were sent."""
    assert "204" == await webhook(chats, session).send(MESSAGE)
    headers, body = chats.posts[0]
    wanted = hmac.new(b"a-key-to-sign-with-000", b"1000000005." + body, hashlib.sha256).hexdigest()

    assert f"sha256={wanted}" == headers["X-Arbot-Signature"]
    assert "1000000005" == headers["X-Arbot-Timestamp"]
    told = json.loads(body)
    assert ("r-1", "killed", "critical", "desk", "2001-09-09T01:46:40+00:00") == tuple(
        told[key] for key in ("id", "code", "severity", "run", "ts")
    )


async def test_a_webhook_without_a_key_is_not_signed(chats: Chats, session: aiohttp.ClientSession) -> None:
    """Send no signature when there is nothing to sign with."""
    await webhook(chats, session, Secret("")).send(MESSAGE)

    assert [] == [name for name in chats.posts[0][0] if name.startswith("X-Arbot")]


async def test_telegram_is_given_plain_text(chats: Chats, session: aiohttp.ClientSession) -> None:
    """Send the text as it is, without markup and without looking links up."""
    assert "ok" == await telegram(chats, session).send(MESSAGE)
    sent = chats.sent[0]

    assert {"chat_id", "text", "link_preview_options"} == set(sent)
    assert "[CRITICAL] desk (paper): A title" == sent["text"].splitlines()[0]
    assert "a <b>text</b>" in sent["text"]


async def test_an_astral_text_stays_within_telegrams_bound() -> None:
    """Cut after 4,096 UTF-16 units, never in the middle of a character."""
    text = spoken(CHAT, "\U0001f4a5" * 5_000)["text"]

    assert len(text.encode("utf-16-le")) <= 2 * 4_096
    assert text.endswith("\U0001f4a5…")


@pytest.mark.parametrize(
    ("fault", "kind", "told", "wait_s"),
    [
        ("429:7", Unreached, "status 429", 7.0),
        ("500", Unreached, "status 500", 0.0),
        ("403:Forbidden: bot was blocked by the user", Refused, "bot was blocked by the user", 0.0),
        ("garbage", Unreached, "no JSON", 0.0),
        ("cut", Unreached, "Disconnected", 0.0),
        ("hang", Unreached, "no answer within 0.2 s", 0.0),
    ],
)
async def test_every_fault_of_telegrams_is_told_without_the_token(
    chats: Chats, session: aiohttp.ClientSession, fault: str, kind: type[Undelivered], told: str, wait_s: float
) -> None:
    """Say what happened and how long to wait, and show neither token nor address."""
    chats.faults["sendMessage"].append(fault)
    with pytest.raises(kind, match=told) as raised:
        await telegram(chats, session, timeout_s=0.2 if fault == "hang" else 5).send(MESSAGE)

    assert wait_s == getattr(raised.value, "wait_s", 0.0)
    assert_hidden(raised.value)


@pytest.mark.parametrize(
    ("fault", "kind", "told", "wait_s"),
    [
        ("429:3", Unreached, "status 429", 3.0),
        ("503", Unreached, "status 503", 0.0),
        ("404", Refused, "status 404", 0.0),
        ("cut", Unreached, "Disconnected", 0.0),
        ("hang", Unreached, "no answer within 0.2 s", 0.0),
    ],
)
async def test_every_fault_of_a_webhook_is_told_without_its_address(
    chats: Chats, session: aiohttp.ClientSession, fault: str, kind: type[Undelivered], told: str, wait_s: float
) -> None:
    """Say what happened and how long to wait, and show no part of the address."""
    chats.faults["webhook"].append(fault)
    with pytest.raises(kind, match=told) as raised:
        await webhook(chats, session, timeout_s=0.2 if fault == "hang" else 5).send(MESSAGE)

    assert wait_s == getattr(raised.value, "wait_s", 0.0)
    assert_hidden(raised.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/hook/a-long-secret", "http://[bad/a-long-secret", "https://no.invalid/a-long-secret"]
)
async def test_an_address_that_leads_nowhere_is_not_shown(session: aiohttp.ClientSession, url: str) -> None:
    """Tell that nobody was reached by the kind of error alone."""
    channel: Channel = Webhook(session, Secret(url), KEY, SENDER, lambda: 0, timeout_s=5)
    with pytest.raises(Unreached) as raised:
        await channel.send(MESSAGE)

    assert_hidden(raised.value)
    assert "Error" in str(raised.value) or "URL" in str(raised.value)


async def test_a_wrong_token_is_refused(chats: Chats, session: aiohttp.ClientSession) -> None:
    """Take Telegram's 401 as a no."""
    with pytest.raises(Refused, match="Unauthorized"):
        await telegram(chats, session, "123456789:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB").send(MESSAGE)


async def test_apprise_works_in_a_thread_and_never_piles_up() -> None:
    """Leave the loop free while a plug-in blocks, start no second thread meanwhile, and take up again afterwards."""
    release = threading.Event()
    told: list[str] = []

    def notify(title: str, body: str) -> bool:
        release.wait(10)
        told.append(title + body)
        return True

    channel = Apprise(notify, SENDER, timeout_s=0.05)
    with pytest.raises(Unreached, match="no answer"):
        await channel.send(MESSAGE)
    with pytest.raises(Unreached, match="still hangs"):
        await channel.send(MESSAGE)
    release.set()
    for _ in range(500):
        if told:
            break
        await asyncio.sleep(0.002)
    channel._timeout_s = 5
    assert "ok" == await channel.send(MESSAGE)
    assert 2 == len(told)


async def test_the_real_apprise_posts_to_its_services(chats: Chats) -> None:
    """Reach a service over apprise's own plug-in, and say so when one of two does not take it."""
    pytest.importorskip("apprise", reason='apprise is an extra: pip install "arbot[notify]"')
    good = Secret(chats.url.replace("http", "json") + "/hook/one")
    (notify,) = make_apprise([good])

    assert "ok" == await Apprise(notify, SENDER, timeout_s=10).send(MESSAGE)
    assert "A title" in chats.documents()[0]["title"]
    assert "a <b>text</b>" in chats.documents()[0]["message"]
    (both,) = make_apprise([good, Secret("json://127.0.0.1:1/a-long-secret")])
    with pytest.raises(Unreached, match="at least one service") as raised:
        await Apprise(both, SENDER, timeout_s=10).send(MESSAGE)
    assert_hidden(raised.value)


async def test_a_broken_plug_in_is_a_failure_and_no_more() -> None:
    """Tell an exception of a plug-in, and its no, as not delivered."""

    def broken(_title: str, _body: str) -> bool:
        raise RuntimeError("https://a-long-secret")

    for notify in (broken, lambda _title, _body: False):
        with pytest.raises(Unreached) as raised:
            await Apprise(notify, SENDER, timeout_s=5).send(MESSAGE)
        assert_hidden(raised.value)


def assert_hidden(error: BaseException) -> None:
    shown = [
        str(error),
        repr(error),
        str(error.__cause__),
        str(error.__context__ if not error.__suppress_context__ else ""),
    ]

    assert [] == [text for text in shown if "a-long-secret" in text or TOKEN in text or TOKEN.partition(":")[2] in text]
