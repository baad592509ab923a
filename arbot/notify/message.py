"""A message to a person: what happened, what arbot does now, and what to type next; and the texts it becomes.

A venue's words are part of it, so control and formatting characters are escaped and its length is bounded before it
leaves: nothing a venue says can forge a line, turn text around, or fill a channel.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from arbot.domain.commands import Severity

TEXT_CHARS_MAX = 1_200  # of what happened; with the other lines a message stays below Telegram's 4,096 units
LINES_MAX = 6  # of a digest that stand with their titles; the rest is counted
SCHEMA = 1  # of the webhook's document; it grows by new keys only
_NS_PER_S = 1_000_000_000


class Kind(StrEnum):
    """What a message is about: what `notify.events` chooses from."""

    START = "start"
    SHUTDOWN = "shutdown"
    FAILURE = "failure"
    KILL = "kill"
    LIMIT = "limit"
    STRANDED = "stranded"
    ORDER = "order"
    LEDGER = "ledger"
    VENUE = "venue"
    PEG = "peg"
    TRANSFER = "transfer"
    OPERATOR = "operator"
    SUMMARY = "summary"
    WARNING = "warning"
    TEST = "test"


CHOICES = tuple(kind for kind in Kind if kind not in (Kind.SUMMARY, Kind.TEST))
"""What `notify.events` may name: a summary is asked for by its hour, a test by its command."""

MONEY_CRITICAL = tuple(kind for kind in CHOICES if kind is not Kind.WARNING)
"""What is told unless the file says otherwise."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What one person has to know.

    `text` says what happened, where and how much; `does` what arbot does about it; `todo` is the next command, or what to
    look at. `code` names the occasion for machines. Within `notify.dedupe_s` the same code and text are told once.
    """

    kind: Kind
    code: str
    severity: Severity
    title: str
    text: str
    does: str = ""
    todo: str = ""
    ts_ns: int = 0
    id: str = ""  # the same for every channel and every try: a receiver knows a repetition by it
    repeats: int = 0  # how often it was held back since it was told last
    more: tuple[str, ...] = ()  # titles of messages that go with this one, for there were too many
    more_count: int = 0  # of those, with the ones that have no line here
    undelivered: int = 0  # messages before this one that never got through here

    @property
    def key(self) -> tuple[str, str]:
        """What two messages have in common of which one is enough."""
        return self.code, self.text

    @property
    def is_critical(self) -> bool:
        """Whether it may not be dropped for one that is not."""
        return self.severity is Severity.CRITICAL


def escaped(text: str) -> str:
    """Return the text with everything that moves a cursor, hides or turns text around written out; newlines stay."""
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(
        one if one == "\n" or unicodedata.category(one) not in _UNSEEN else f"\\u{ord(one):04x}" for one in text
    )


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def cleaned(message: Message, redact: Callable[[str], str]) -> Message:
    """Return the message as it may leave: without secrets, escaped, of bounded length."""

    def clean(text: str) -> str:
        text = escaped(redact(text))
        return text if len(text) <= TEXT_CHARS_MAX else f"{text[: TEXT_CHARS_MAX - 1]}…"

    return msgspec.structs.replace(
        message,
        title=clean(message.title).replace("\n", " ")[:120],
        text=clean(message.text),
        does=clean(message.does)[:300],
        todo=clean(message.todo)[:300],
        more=tuple(clean(title).replace("\n", " ")[:220] for title in message.more),
    )


def digest(messages: list[Message]) -> Message:
    """Return one message for many: the first of the most severe in full, the others as titles, the rest as a number."""
    rank = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
    first, *others = sorted(messages, key=lambda one: rank[one.severity])  # stable: the oldest of its severity leads
    if not others:
        return first
    titles = list(dict.fromkeys(f"{one.title}: {one.text.splitlines()[0][:100] if one.text else ''}" for one in others))
    return msgspec.structs.replace(
        first,
        more=tuple(titles[:LINES_MAX]),
        more_count=len(others),
    )


def moment(ts_ns: int) -> str:
    """Return a time as people read it, in UTC."""
    return datetime.fromtimestamp(ts_ns // _NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Whose messages they are: a person may have several of them on one phone."""

    run_name: str
    mode: str
    version: str


def headline(message: Message, sender: Sender) -> str:
    """Return the first line."""
    return f"[{message.severity.value.upper()}] {sender.run_name} ({sender.mode}): {message.title}"


def body(message: Message) -> str:
    """Return all lines but the first."""
    unseen = message.more_count - len(message.more)
    lines = (
        moment(message.ts_ns),
        message.text,
        f"Now: {message.does}" if message.does else "",
        f"Next: {message.todo}" if message.todo else "",
        f"It happened {message.repeats} more times since it was told last." if message.repeats else "",
        f"And {message.more_count} more:" if message.more_count else "",
        *(f"- {title}" for title in message.more),
        f"- and {unseen} not shown here; the log has them" if message.more and unseen > 0 else "",
        f"{message.undelivered} earlier messages did not get through here; the log names them."
        if message.undelivered
        else "",
    )
    return "\n".join(line for line in lines if line)


def document(message: Message, sender: Sender) -> dict[str, Any]:
    """Return the object that a webhook is given; docs/guide/notifications.md describes it."""
    return {
        "schema": SCHEMA,
        "id": message.id,
        "ts": datetime.fromtimestamp(message.ts_ns // _NS_PER_S, UTC).isoformat(),
        "run": sender.run_name,
        "mode": sender.mode,
        "version": sender.version,
        "kind": message.kind.value,
        "code": message.code,
        "severity": message.severity.value,
        "title": message.title,
        "text": message.text,
        "does": message.does,
        "todo": message.todo,
        "repeats": message.repeats,
        "more": list(message.more),
        "more_count": message.more_count,
        "undelivered": message.undelivered,
    }
