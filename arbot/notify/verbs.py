"""What a person may ask for over a chat, and who: decided from one update of Telegram's, without any input or output.

Rules:
- Only a new text message counts: not an edited one, not a forwarded one, not one sent by a bot or in a channel's name.
- Only from a chat and from a user that are both on the lists; anybody else gets no answer and is counted.
- What was sent before arbot started or more than a minute ago is not obeyed, and said so.
- pause, halt and kill act at once. resume and flatten give out a number that has to come back within a minute from the
  same user in the same chat; any other text takes the question back.
- There is no verb that moves money out of a venue, and none that reads a key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from arbot.domain.events import Verb

AGE_S_MAX = 60
CONFIRM_S = 60
REASON_CHARS_MAX = 200
STATUS = "status"
CONFIRM = "confirm"
AT_ONCE = (Verb.PAUSE, Verb.HALT, Verb.KILL)
CONFIRMED = (Verb.RESUME, Verb.FLATTEN)
VERBS = {verb.value: verb for verb in (*AT_ONCE, *CONFIRMED)}
HELP = "I know: status, pause, halt, kill; and, after a confirmation: resume, flatten. Words after it are the reason."
_NS_PER_S = 1_000_000_000


class _Chat(msgspec.Struct, frozen=True):
    id: int


class _User(msgspec.Struct, frozen=True):
    id: int
    is_bot: bool = False


class _Text(msgspec.Struct, frozen=True):
    date: int
    chat: _Chat
    from_: _User | msgspec.UnsetType = msgspec.field(name="from", default=msgspec.UNSET)
    text: str = ""
    forward_origin: Any = msgspec.UNSET
    forward_date: Any = msgspec.UNSET
    sender_chat: Any = msgspec.UNSET
    via_bot: Any = msgspec.UNSET


class Update(msgspec.Struct, frozen=True):
    """What Telegram tells of one event; `message` is unset for what is not a new message."""

    update_id: int
    message: _Text | msgspec.UnsetType = msgspec.UNSET

    @property
    def mark(self) -> tuple[int, int]:
        """What tells one update from any other: its number, which may begin anew after a quiet week, and its time."""
        return self.update_id, (self.message.date if isinstance(self.message, _Text) else 0)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about one update.

    `answer` goes to `chat_id` when it is not empty; `verb` is to be obeyed first, in the name of `actor`. `outcome` is for
    the counters: done, refused, denied, or empty where nothing was asked. `command` is of a closed set.
    """

    chat_id: int = 0
    answer: str = ""
    verb: Verb | msgspec.UnsetType = msgspec.UNSET
    wants_status: bool = False
    actor: str = ""
    reason: str = ""
    command: str = "other"
    outcome: str = ""


NOTHING = Asked()


class _Question(msgspec.Struct, frozen=True):
    verb: Verb
    reason: str
    number: str
    until_ns: int


class Desk:
    """Who may ask, and what waits for its confirmation."""

    def __init__(
        self, *, chats: tuple[int, ...], users: tuple[int, ...], started_ns: int, draw_number: Callable[[], str]
    ) -> None:
        self._chats = frozenset(chats)
        self._users = frozenset(users)
        self._started_s = started_ns // _NS_PER_S
        self._draw_number = draw_number  # four digits, not to be guessed
        self._questions: dict[tuple[int, int], _Question] = {}

    def take(self, update: Update, now_ns: int) -> Asked:
        """Return what is to be done about an update."""
        message = update.message
        if not isinstance(message, _Text):
            return NOTHING
        command, reason = parsed(message.text)
        name = command if command in (STATUS, CONFIRM, *VERBS) else "other"
        user = message.from_
        who = f"user {user.id if isinstance(user, _User) else 'unknown'} in chat {message.chat.id}"
        denied = Asked(command=name, outcome="denied", actor=who)
        if not isinstance(user, _User) or message.chat.id not in self._chats or user.id not in self._users:
            return denied
        is_own = all(
            one is msgspec.UNSET
            for one in (message.forward_origin, message.forward_date, message.sender_chat, message.via_bot)
        )
        if user.is_bot or not is_own:
            return denied
        if not message.text:
            return NOTHING
        said = Asked(chat_id=message.chat.id, actor=f"telegram:{user.id}", command=name, reason=reason)
        age_s = now_ns // _NS_PER_S - message.date
        if age_s > AGE_S_MAX or message.date < self._started_s:
            why = "before I started" if message.date < self._started_s else f"{age_s} s ago"
            text = f"That was sent {why}, so I have not obeyed it. Send it again if it still holds."
            return msgspec.structs.replace(said, answer=text, outcome="refused")
        question = self._questions.pop((message.chat.id, user.id), None)
        return self._answer(said, question, user.id, now_ns)

    def _answer(self, said: Asked, question: _Question | None, user_id: int, now_ns: int) -> Asked:
        replace = msgspec.structs.replace
        if said.command == STATUS:
            return replace(said, wants_status=True, outcome="done")
        if said.command == CONFIRM:
            if question is None:
                return replace(said, answer="There is nothing to confirm.", outcome="refused")
            if now_ns > question.until_ns or said.reason.split(" ")[0] != question.number:
                why = "That came too late" if now_ns > question.until_ns else "That is not the number"
                return replace(said, answer=f"{why}. Say {question.verb.value} again.", outcome="refused")
            return replace(
                said, verb=question.verb, reason=question.reason, command=question.verb.value, outcome="done"
            )
        verb = VERBS.get(said.command)
        if verb is None:
            return replace(said, answer=HELP, outcome="refused")
        if verb in AT_ONCE:
            return replace(said, verb=verb, outcome="done")
        number = self._draw_number()
        until_ns = now_ns + CONFIRM_S * _NS_PER_S
        self._questions[said.chat_id, user_id] = _Question(verb, said.reason, number, until_ns)
        return replace(said, answer=f"To {verb.value}, send: confirm {number}\nThe number holds for {CONFIRM_S} s.")


def parsed(text: str) -> tuple[str, str]:
    """Return command and reason of a text: "/kill@my_bot fire" is ("kill", "fire")."""
    first, _, rest = " ".join(text.split()).partition(" ")
    return first.removeprefix("/").partition("@")[0].lower(), rest[:REASON_CHARS_MAX]
