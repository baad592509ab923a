"""A whole daemon that tells people and takes verbs from a chat, against pretend Telegram and webhook servers on loopback."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbot.domain.commands import RaiseAlert, Severity, SubmitOrder
from arbot.domain.errors import InvariantBroken
from arbot.domain.events import OperatorRequested, OrderRejected, RejectCode, Verb
from arbot.journal.store import SqlStore
from arbot.observe import logs
from arbot.runtime.clock import SystemClock
from arbot.runtime.daemon import Daemon, Ending
from arbot.runtime.notify_secrets import hide, read_secrets
from arbot.runtime.notifying import Notifying
from arbot.runtime.telegram_desk import SEEN_FILE, TelegramDesk
from arbot.settings.defaults import demo
from arbot.settings.model import Notify, Settings
from tests.integration.test_daemon_paper import VENUES, wire
from tests.support.chat_server import CHAT, STRANGER, TOKEN, USER, Chats, chatting, write_secret
from tests.support.loopback import until

HOOK = "/hook/a-long-secret-in-the-path"


@pytest.fixture
async def chats() -> AsyncIterator[Chats]:
    async with chatting() as served:
        yield served


def configured(path: Path, chats: Chats, **keys: Any) -> Settings:
    """Return settings that tell both servers everything."""
    table = {
        "webhook_url_file": write_secret(path / "webhook.url", chats.url + HOOK),
        "webhook_secret_file": write_secret(path / "webhook.key", "a-key-to-sign-with-000"),
        "telegram_token_file": write_secret(path / "telegram.token", TOKEN),
        "telegram_chat_id": CHAT,
        "telegram_verbs": True,
        "telegram_verb_chats": [CHAT],
        "telegram_verb_users": [USER],
        "telegram_api_url": chats.url,
        "per_minute_max": 60,
    }
    return demo(path, {"notify": table | keys})


@asynccontextmanager
async def running(
    path: Path, settings: Settings, prepare: Callable[[Daemon], None] = lambda _: None
) -> AsyncIterator[Daemon]:
    """Run a daemon with its messages for the length of the block, then end it; `ended` is set by then."""
    table: Notify = settings.notify
    secrets = read_secrets(table)
    plain = wire(path)
    desk = TelegramDesk(table, secrets.telegram_token, path)
    daemon = Daemon(msgspec.structs.replace(plain.wiring, services=(desk,), witnesses=(Notifying(table, secrets),)))
    prepare(daemon)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(daemon.run())
        try:
            yield daemon
        finally:
            daemon.supervisor.stop("the test is over")
            ending: Ending = await task
            assert ending is daemon.ending
            daemon.wiring.store.close()


def now_s(daemon: Daemon) -> int:
    return daemon.wiring.clock.now_ns() // 10**9


def journal(path: Path) -> list[Any]:
    """Return every journaled record."""
    store = SqlStore.open(f"sqlite:///{path / 'arbot.sqlite'}", now_ns=SystemClock().now_ns)
    try:
        return [entry.record for entry in store.iter_journal()]
    finally:
        store.close()


def asked_for(path: Path) -> list[tuple[str, str, str]]:
    """Return what people have asked for, by the journal."""
    events = [record.envelope.event for record in journal(path)]
    return [(one.verb.value, one.actor, one.reason) for one in events if isinstance(one, OperatorRequested)]


async def test_a_kill_over_telegram_stops_trading_for_good(tmp_path: Path, chats: Chats) -> None:
    """Write the switch, send no order after it, answer, tell everybody, and be killed still at the next start."""
    settings = configured(tmp_path, chats)
    async with running(tmp_path, settings) as daemon:
        await until(lambda: daemon.summary.totals(0).arbs_opened)
        chats.say("/kill fire in the house", now_s(daemon) + 1)
        await until(lambda: any(text.startswith("kill: done") for text in chats.texts()))
        assert daemon.wiring.store.is_killed()
        assert daemon.engine.state.standing.killed
        await until(lambda: any(one["code"] == "killed" for one in chats.documents()))

    assert [("kill", f"telegram:{USER}", "fire in the house")] == asked_for(tmp_path)
    records = journal(tmp_path)
    at = next(n for n, one in enumerate(records) if isinstance(one.envelope.event, OperatorRequested))
    assert [] == [c for one in records[at:] for c in one.outcome.commands if isinstance(c, SubmitOrder)]
    told = [one["code"] for one in chats.documents()]
    assert ("started", "ended") == (told[0], told[-1])

    async with running(tmp_path, settings) as again:
        await until(lambda: [one for one in chats.documents() if one["code"] == "started"][1:])
        assert again.engine.state.standing.killed
    started = [one for one in chats.documents() if one["code"] == "started"]
    assert "the kill switch is thrown (arbot unkill)" in started[1]["text"]
    assert 1 == len(asked_for(tmp_path))


async def test_a_restart_obeys_nothing_twice(tmp_path: Path, chats: Chats) -> None:
    """Pass over an update that was obeyed before, even when Telegram tells it again and its time lies ahead of ours."""
    settings = configured(tmp_path, chats)
    async with running(tmp_path, settings) as daemon:
        date = now_s(daemon) + 50
        number = chats.say("pause", date)
        await until(lambda: [text for text in chats.texts() if text.startswith("pause: done")])
    assert [[number, date]] == json.loads((tmp_path / SEEN_FILE).read_text())

    message = {"date": date, "chat": {"id": CHAT}, "from": {"id": USER}, "text": "pause"}
    chats.tell({"update_id": number, "message": message})
    chats.tell({"no": "number"})
    chats.tell({"update_id": number + 1, "message": {"date": "garbage"}})
    async with running(tmp_path, settings) as again:
        chats.say("status", now_s(again) + 1)
        await until(lambda: [text for text in chats.texts() if "opens no arbs: paused" in text][1:])

    assert ["pause"] == [verb for verb, _, _ in asked_for(tmp_path)]


async def test_resume_waits_for_its_confirmation_and_strangers_for_ever(tmp_path: Path, chats: Chats) -> None:
    """Resume only after the number came back; do nothing for a stranger, answer him nothing, and count him."""
    async with running(tmp_path, configured(tmp_path, chats)) as daemon:
        chats.say("kill", now_s(daemon) + 1, chat=STRANGER)
        chats.say("kill", now_s(daemon) + 1, user=STRANGER)
        chats.say("pause", now_s(daemon) + 1)
        await until(lambda: daemon.engine.state.standing.paused)
        chats.say("resume the venue is back", now_s(daemon) + 1)
        await until(lambda: [text for text in chats.texts() if "confirm" in text])
        assert daemon.engine.state.standing.paused
        number = next(text for text in chats.texts() if "confirm" in text).partition("confirm ")[2][:4]
        chats.say(f"confirm {number}", now_s(daemon) + 1)
        await until(lambda: not daemon.engine.state.standing.paused)
        metrics = (await daemon.metrics()).decode()

    assert [] == chats.texts(STRANGER)
    assert 'arbot_control_commands_total{command="kill",outcome="denied"} 2' in metrics
    assert [("pause", f"telegram:{USER}", ""), ("resume", f"telegram:{USER}", "the venue is back")] == asked_for(
        tmp_path
    )


def refuse_hedges(daemon: Daemon) -> None:
    """Have the first venue fill one order and no more, the second none: what was bought cannot be sold."""
    for venue, limit in zip(VENUES, (1, 0), strict=True):
        gateway: Any = daemon.wiring.gateways[venue]
        gateway.submit = limited(gateway.submit, limit)


def limited(submit: Callable[..., Any], limit: int) -> Callable[..., Any]:
    left = [limit]

    async def submitted(approved: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            return await submit(approved)
        name = approved.intent.client_order_id
        return (OrderRejected(client_order_id=name, code=RejectCode.OTHER, detail="the drill"),)

    return submitted


async def test_a_stranded_arb_calls_a_person_while_the_webhook_hangs(
    tmp_path: Path, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bring the message over Telegram although the webhook has never answered, and end in time all the same."""
    monkeypatch.setattr("arbot.runtime.notifying.CLOSE_S", 0.3)
    chats.always["webhook"] = "hang"
    async with running(tmp_path, configured(tmp_path, chats), refuse_hedges) as daemon:
        await until(lambda: [text for text in chats.texts() if "An arb is stranded" in text])
        assert daemon.engine.state.stranded_arbs() == 1
        assert not daemon.supervisor.failure

    text = next(text for text in chats.texts() if "An arb is stranded" in text)
    assert text.startswith("[CRITICAL] test (paper): An arb is stranded: money is unhedged")
    assert "BTC" in text
    assert "Next: arbot status, then arbot flatten" in text
    assert "not in good order" in chats.texts()[-1]
    assert {"webhook"} == {path for path in chats.tries if path == "webhook"}
    assert [] == chats.posts


async def test_a_broken_invariant_is_told_before_the_end(tmp_path: Path, chats: Chats) -> None:
    """Tell the failure at once, and the end as one that is not in good order."""
    async with running(tmp_path, configured(tmp_path, chats)) as daemon:
        await until(lambda: [one for one in chats.documents() if one["code"] == "started"])
        daemon.supervisor.fail(InvariantBroken("two and two"), "arithmetic")
        await until(lambda: [one for one in chats.documents() if one["code"] == "ended"])

    told = {one["code"]: one for one in chats.documents()}
    assert "arithmetic failed: InvariantBroken: two and two" in told["failure"]["text"]
    assert ("critical", "critical") == (told["failure"]["severity"], told["ended"]["severity"])


async def test_a_kill_that_cannot_be_written_stops_trading_and_is_told(tmp_path: Path, chats: Chats) -> None:
    """Stop at once when the switch could not be written, and tell that nothing will remember it after a restart."""

    def break_it(daemon: Daemon) -> None:
        def set_killed(*_: Any, **__: Any) -> None:
            raise RuntimeError("the disk is full")

        store: Any = daemon.wiring.store
        store.set_killed = set_killed

    async with running(tmp_path, configured(tmp_path, chats), break_it) as daemon:
        chats.say("kill", now_s(daemon) + 1)
        await until(lambda: daemon.ending is not None)
        assert "the kill switch failed: RuntimeError: the disk is full" == daemon.supervisor.reason
    assert any(one["code"] == "failure" and "the kill switch failed" in one["text"] for one in chats.documents())


async def test_a_verb_that_fails_is_said_to_have_failed(tmp_path: Path, chats: Chats) -> None:
    """Answer that a pause was not carried out, and obey the next one."""

    def break_once(daemon: Daemon) -> None:
        first = [True]
        real = daemon.request

        def request(verb: Verb, *more: Any) -> None:
            if verb is Verb.PAUSE and first and first.pop():
                raise RuntimeError("the disk is full")
            real(verb, *more)

        broken: Any = daemon
        broken.request = request

    async with running(tmp_path, configured(tmp_path, chats), break_once) as daemon:
        chats.say("pause", now_s(daemon) + 1)
        await until(lambda: [text for text in chats.texts() if "pause was NOT carried out" in text])
        assert not daemon.engine.state.standing.paused
        chats.say("pause", now_s(daemon) + 1)
        await until(lambda: daemon.engine.state.standing.paused)
        assert daemon.supervisor.failure is None


async def test_what_cannot_be_remembered_is_not_begun_and_that_is_said(
    tmp_path: Path, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refuse a resume in words when the file against a second obeying cannot be written, and obey a kill all the same."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    async with running(tmp_path, configured(tmp_path, chats)) as daemon:
        daemon.request(Verb.PAUSE, "a person")
        monkeypatch.setattr("arbot.runtime.telegram_desk.write_private", full)
        monkeypatch.setattr("arbot.runtime.telegram_desk.chance.randbelow", lambda _: 42)
        chats.say("resume", now_s(daemon) + 1)
        await until(lambda: [text for text in chats.texts() if "confirm 0042" in text])
        chats.say("confirm 0042", now_s(daemon) + 1)
        await until(lambda: [text for text in chats.texts() if "resume was NOT carried out" in text])
        assert daemon.engine.state.standing.paused
        chats.say("kill", now_s(daemon) + 1)
        await until(lambda: daemon.engine.state.standing.killed)


async def test_a_chat_that_hangs_does_not_delay_the_end(
    tmp_path: Path, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel all and write the end down while Telegram answers nothing any more."""
    monkeypatch.setattr("arbot.runtime.notifying.CLOSE_S", 0.2)
    settings = configured(tmp_path, chats, webhook_url_file=None, webhook_secret_file=None)
    async with running(tmp_path, settings) as daemon:
        chats.say("status", now_s(daemon) + 1)
        await until(lambda: [text for text in chats.texts() if "Venues:" in text])
        chats.always |= {"sendMessage": "hang", "getUpdates": "hang"}

    assert daemon.ending is not None
    assert daemon.ending.is_clean
    assert {"telegram", "notify"} <= set(daemon.supervisor.restarts)
    assert 0 == daemon.supervisor.restarts.total()


async def test_a_mistake_in_telling_stops_nothing(
    tmp_path: Path, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go on trading when no message can be made of a step or of an alert."""

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    async with running(tmp_path, configured(tmp_path, chats)) as daemon:
        monkeypatch.setattr("arbot.notify.teller.message_of", broken)
        monkeypatch.setattr("arbot.notify.teller.Teller.observe", broken)
        await until(lambda: daemon.summary.totals(0).arbs_opened)
        for tell in daemon.alert_observers:
            tell(RaiseAlert(severity=Severity.CRITICAL, code="orders_open", text="one"))
        opened = daemon.summary.totals(0).arbs_opened
        await until(lambda: daemon.summary.totals(0).arbs_opened > opened)

    assert daemon.ending is not None
    assert daemon.ending.is_clean


async def test_no_secret_reaches_a_log_a_message_or_a_chat(
    tmp_path: Path, chats: Chats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Search everything that was written for the token and the address, with every fault on the way and the log at debug."""
    monkeypatch.setattr("arbot.runtime.telegram_desk.WAITS_S", (0.05,))
    monkeypatch.setattr("arbot.notify.notifier.RETRY_S", (0.05,))
    settings = configured(tmp_path, chats)
    for path, faults in {
        "webhook": ("500", "cut", "404"),
        "sendMessage": ("429:1", "garbage", "403:no"),
        "getUpdates": ("409:Conflict", "garbage", "cut"),
    }.items():
        chats.faults[path].extend(faults)
    clock, stream = SystemClock(), io.StringIO()
    logs.set_up(now_ns=clock.now_ns, redact=lambda text: text, as_json=True, level="debug", stream=stream)
    hide(read_secrets(settings.notify), settings, clock)
    logs.set_up(now_ns=clock.now_ns, redact=lambda text: text, as_json=True, level="debug", stream=stream)
    async with running(tmp_path, settings) as daemon:
        await until(lambda: daemon.summary.totals(0).arbs_opened)
        daemon.request(Verb.PAUSE, "a person", f"see {chats.url + HOOK} and {TOKEN}")
        await until(
            lambda: not any(chats.faults.values()) and "a person asked for pause" in json.dumps(chats.documents())
        )
        chats.say(f"halt {TOKEN}", now_s(daemon) + 1)
        await until(lambda: [text for text in chats.texts() if text.startswith("halt: done")])

    written = stream.getvalue() + json.dumps(chats.documents()) + json.dumps(chats.sent)
    assert "a person asked for pause" in written
    assert "the bot cannot listen" in written
    for secret in (TOKEN, TOKEN.partition(":")[2], "a-long-secret-in-the-path", "a-key-to-sign-with-000"):
        assert secret not in written
