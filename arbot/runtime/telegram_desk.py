"""Operator verbs from a Telegram chat: a service of the daemon that listens while it serves.

Rules:
- Who may ask for what is decided in notify/verbs.py; what is asked is done by the function that the page uses.
- Updates are asked for with an offset, so each is told once; those obeyed are also kept in a file, so that none is obeyed
  twice when the process dies before Telegram knows that it was taken. Verbs that stop something are obeyed first and
  written down then; those that start something the other way round.
- Listening is one kept task, answering another: a chat that cannot be written to holds up no verb.
- A stranger gets no answer. He is counted, and named in the log once a minute.
"""

from __future__ import annotations

import asyncio
import secrets as chance
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import structlog

from arbot.domain.events import Verb
from arbot.domain.units import fmt
from arbot.notify.channels import Bot, Refused, Unreached, spoken
from arbot.notify.verbs import AT_ONCE, CONFIRM, STATUS, VERBS, Asked, Desk, Update
from arbot.observe import logs
from arbot.ports import Secret
from arbot.runtime.clock import NS_PER_S
from arbot.runtime.daemon import Daemon
from arbot.runtime.operating import KillUnwritten, operate
from arbot.runtime.state_dir import write_private
from arbot.settings.model import Notify

POLL_S = 25
ANSWER_S = 10.0
ANSWERS_MAX = 50  # that wait to be sent; of more the oldest go
WAITS_S = (1.0, 2.0, 5.0, 15.0, 30.0)
SEEN_MAX = 200  # updates that are remembered
SEEN_FILE = "telegram.json"
STRANGER_LOG_NS = 60 * NS_PER_S
_log = structlog.get_logger("arbot.telegram")


class Seen:
    """The updates that were obeyed, as (id, time): in a small file, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: deque[tuple[int, int]] = deque(self._load(), maxlen=SEEN_MAX)

    def __contains__(self, mark: tuple[int, int]) -> bool:
        return mark in self._marks

    async def add(self, mark: tuple[int, int]) -> None:
        """Remember an update; it is on the disk when this returns."""
        self._marks.append(mark)
        await asyncio.to_thread(write_private, self._path, msgspec.json.encode(list(self._marks)))

    def _load(self) -> list[tuple[int, int]]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[tuple[int, int]])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:  # what is older than this run is not obeyed in any case
            _log.warning("what was obeyed before cannot be read", file=str(self._path), error=str(error))
            return []


class TelegramDesk:
    """A service of the daemon (Options.services)."""

    def __init__(self, table: Notify, token: Secret, state_dir: Path) -> None:
        self._table = table
        self._token = token
        self._seen_file = state_dir / SEEN_FILE

    def __call__(self, daemon: Daemon) -> AbstractAsyncContextManager[object]:
        """Listen for as long as the context lasts."""
        return self._listening(daemon)

    @asynccontextmanager
    async def _listening(self, daemon: Daemon) -> AsyncIterator[None]:
        table = self._table
        seen = Seen(self._seen_file)
        desk = Desk(
            chats=table.telegram_verb_chats,
            users=table.telegram_verb_users,
            started_ns=daemon.wiring.clock.now_ns(),
            draw_number=lambda: f"{chance.randbelow(10_000):04}",
        )
        async with aiohttp.ClientSession() as session:
            listener = _Listener(daemon, Bot(session, table.telegram_api_url, self._token), desk, seen)
            daemon.numbers.append(listener.numbers)
            tasks = [
                daemon.supervisor.keep(listener.listen, "telegram"),
                daemon.supervisor.keep(listener.speak, "telegram:answers"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                # beside the end of the run: cancelling all waits for no chat
                daemon.supervisor.keep(partial(self._hang_up, listener.offset), "telegram:bye")

    async def _hang_up(self, offset: int) -> None:
        """Let Telegram know what was taken, so that it is not told again at the next start, if there is time for it."""
        if not offset:
            return
        async with aiohttp.ClientSession() as session:
            bot = Bot(session, self._table.telegram_api_url, self._token)
            try:
                await bot.call("getUpdates", {"offset": offset, "timeout": 0, "limit": 1}, ANSWER_S)
            except (Refused, Unreached) as error:
                _log.info("Telegram does not know what was taken", error=logs.redact(str(error)))


class _Listener:
    def __init__(self, daemon: Daemon, bot: Bot, desk: Desk, seen: Seen) -> None:
        self._daemon = daemon
        self._bot = bot
        self._desk = desk
        self._seen = seen
        self._clock = daemon.wiring.clock
        self.offset = 0  # the first update that Telegram is still to tell
        self._answers: deque[tuple[int, str]] = deque(maxlen=ANSWERS_MAX)
        self._has_answers = asyncio.Event()
        self._strangers = 0
        self._strangers_told_ns = 0
        names = (STATUS, CONFIRM, *VERBS, "other")
        self._counts = Counter({(name, outcome): 0 for name in names for outcome in ("refused", "denied")})
        self._counts[STATUS, "done"] = 0

    def numbers(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        return {"arbot_control_commands_total": {labels: float(count) for labels, count in self._counts.items()}}

    async def listen(self) -> None:
        """Take what is sent to the bot, for ever."""
        failures = 0
        while True:
            try:
                updates = await self._bot.call(
                    "getUpdates",
                    {"offset": self.offset, "timeout": POLL_S, "allowed_updates": ["message"]},
                    POLL_S + ANSWER_S,
                )
            except (Refused, Unreached) as error:
                if failures == 0:
                    _log.warning("the bot cannot listen, trying again", error=logs.redact(str(error)))
                wait_s = error.wait_s if isinstance(error, Unreached) else 0.0
                await self._clock.sleep(wait_s or WAITS_S[min(failures, len(WAITS_S) - 1)])
                failures += 1
                continue
            failures, before = 0, self.offset
            for raw in updates if isinstance(updates, list) else ():
                await self._take(raw)
            if updates and self.offset == before:
                await self._clock.sleep(
                    WAITS_S[0]
                )  # nothing in it has a number: it would be told again at once, for ever

    async def speak(self) -> None:
        """Send the answers, for ever. One that does not get through is dropped: the verb was obeyed all the same."""
        while True:
            self._has_answers.clear()
            while self._answers:
                chat_id, text = self._answers.popleft()
                try:
                    await self._bot.call("sendMessage", spoken(chat_id, text), ANSWER_S)
                except (Refused, Unreached) as error:
                    _log.warning("an answer did not get through", error=logs.redact(str(error)))
            await self._has_answers.wait()

    async def _take(self, raw: Any) -> None:
        number = raw.get("update_id") if isinstance(raw, dict) else None
        if not isinstance(number, int):
            _log.warning("an update without a number was passed over")
            return
        self.offset = number + 1  # they come in order; after a quiet week the numbers begin anew anywhere
        try:
            update = msgspec.convert(raw, Update)
        except msgspec.ValidationError as error:
            _log.warning("an update was not understood", error=logs.redact(str(error)))
            return
        if update.mark in self._seen:
            return
        asked = self._desk.take(update, self._clock.now_ns())
        if asked.outcome in ("refused", "denied") or asked.wants_status:
            self._counts[asked.command, asked.outcome] += 1
        if asked.outcome == "denied":
            self._note_stranger(asked)
            return
        if isinstance(asked.verb, Verb):
            await self._obey(asked, asked.verb, update.mark)
        elif asked.wants_status:
            self._say(asked.chat_id, standing(self._daemon))
        elif asked.answer:
            self._say(asked.chat_id, asked.answer)

    async def _obey(self, asked: Asked, verb: Verb, mark: tuple[int, int]) -> None:
        try:
            if verb not in AT_ONCE:
                await self._seen.add(mark)
            operate(self._daemon, verb, asked.actor, asked.reason)
        except KillUnwritten as error:
            self._counts[asked.command, "refused"] += 1
            self._say(asked.chat_id, f"{verb.value}: {error}")
        # whatever it was, the person who asked has to know that it was not done
        except Exception as error:  # noqa: BLE001
            _log.exception("a verb was not carried out", verb=verb.value, actor=asked.actor)
            self._counts[asked.command, "refused"] += 1
            why = logs.redact(f"{type(error).__name__}: {error}")[:500]
            self._say(asked.chat_id, f"{verb.value} was NOT carried out: {why}\nLook at the machine: arbot status")
        else:
            self._say(asked.chat_id, f"{verb.value}: done.\n{standing(self._daemon)}")
        if verb in AT_ONCE:
            await self._seen.add(mark)

    def _say(self, chat_id: int, text: str) -> None:
        self._answers.append((chat_id, text))
        self._has_answers.set()

    def _note_stranger(self, asked: Asked) -> None:
        self._strangers += 1
        now_ns = self._clock.now_ns()
        if now_ns - self._strangers_told_ns >= STRANGER_LOG_NS:
            _log.warning("somebody who may not has written to the bot", who=asked.actor, times=self._strangers)
            self._strangers, self._strangers_told_ns = 0, now_ns


def standing(daemon: Daemon) -> str:
    """Return in a few lines how the run stands, without looking at books: cheap enough for any moment."""
    state = daemon.engine.state
    about, reasons = daemon.wiring, [reason.value for reason in daemon.engine.blocked_by]
    orders = sum(1 for _ in state.live_orders())
    venues = ", ".join(
        f"{name} {'ok' if one.is_market_up and one.is_account_up and one.is_reconciled else 'not ready'}"
        for name, one in state.venues.items()
    )
    unhedged = sum(1 for arb in state.unfinished.values() if arb.unhedged_since_ns)
    known = state.standing
    today, in_all, drawdown = (
        fmt(round(number, 8))
        for number in (known.realised_day, known.realised_total, known.realised_peak - known.realised_total)
    )
    lines = (
        f"{about.run_name} ({about.mode}): "
        + ("opening arbs" if not reasons else f"opens no arbs: {', '.join(reasons)}"),
        "The kill switch is thrown." if state.standing.killed else "",
        f"Open: {state.active_arbs()} arbs, {orders} orders; unhedged {unhedged}, stranded {state.stranded_arbs()}",
        f"Result: today {today}, in all {in_all}, drawdown {drawdown} {state.config.ccy}",
        f"Venues: {venues}",
    )
    return "\n".join(line for line in lines if line)
