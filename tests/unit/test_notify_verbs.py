"""Who may ask for what over a chat: decided from what Telegram tells, with time and chance handed in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from arbot.domain.events import Verb
from arbot.notify.verbs import Asked, Desk, Update, parsed
from tests.support.chat_server import CHAT, STRANGER, USER

START_S = 1_800_000_000


class Talk:
    """A desk and the messages to it."""

    def __init__(self) -> None:
        self.desk = Desk(chats=(CHAT,), users=(USER, 78), started_ns=START_S * 10**9, draw_number=lambda: "0042")
        self.number = 0

    def say(
        self, text: str, *, at_s: float = 10, age_s: int = 0, chat: int = CHAT, user: int = USER, **more: Any
    ) -> Asked:
        self.number += 1
        date = START_S + int(at_s) - age_s
        message = {
            "date": date,
            "chat": {"id": chat, "type": "group"},
            "from": {"id": user, "is_bot": False},
            "text": text,
        }
        update = msgspec.convert({"update_id": self.number, "message": message | more}, Update)
        return self.desk.take(update, int((START_S + at_s) * 10**9))


@pytest.mark.parametrize("verb", ["pause", "halt", "kill"])
def test_what_stops_acts_at_once(verb: str) -> None:
    """Obey pause, halt and kill with the first message, with the user's name and his reason."""
    asked = Talk().say(f"/{verb}@my_bot  the venue\nis odd")

    assert (Verb(verb), f"telegram:{USER}", "the venue is odd", "done") == (
        asked.verb,
        asked.actor,
        asked.reason,
        asked.outcome,
    )


@pytest.mark.parametrize("verb", ["resume", "flatten"])
def test_what_starts_needs_its_number_back(verb: str) -> None:
    """Give a number out, and obey with the reason of the first message once it comes back."""
    talk = Talk()
    question = talk.say(f"{verb.upper()} all is well")

    assert "confirm 0042" in question.answer
    assert msgspec.UNSET is question.verb
    answer = talk.say("confirm 0042", at_s=69)
    assert (Verb(verb), "all is well", verb) == (answer.verb, answer.reason, answer.command)
    assert "nothing to confirm" in talk.say("confirm 0042", at_s=70).answer


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("resume", "confirm 0043"), "not the number"),
        (("resume", "confirm 0043", "confirm 0042"), "nothing to confirm"),
        (("resume", "status", "confirm 0042"), "nothing to confirm"),
        (("confirm 0042",), "nothing to confirm"),
        (("resume", "confirm"), "not the number"),
    ],
)
def test_a_wrong_confirmation_does_nothing(texts: tuple[str, ...], told: str) -> None:
    """Take the question back with the first text that is not its answer."""
    talk = Talk()
    asked = [talk.say(text) for text in texts]

    assert told in asked[-1].answer
    assert {msgspec.UNSET} == {one.verb for one in asked}


def test_a_confirmation_has_a_minute() -> None:
    """Refuse it after 60 s."""
    talk = Talk()
    talk.say("resume", at_s=10)
    late = talk.say("confirm 0042", at_s=70.5)

    assert ("refused", msgspec.UNSET) == (late.outcome, late.verb)


def test_nobody_confirms_for_another() -> None:
    """Keep a question for the user who was asked."""
    talk = Talk()
    talk.say("flatten")

    assert "nothing to confirm" in talk.say("confirm 0042", user=78).answer
    assert Verb.FLATTEN is talk.say("confirm 0042").verb


@pytest.mark.parametrize(
    "more",
    [
        {"chat": STRANGER},
        {"user": STRANGER},
        {"chat": STRANGER, "user": STRANGER},
        {"forward_origin": {"type": "user"}},
        {"forward_date": 1},
        {"sender_chat": {"id": CHAT}},
        {"via_bot": {"id": 1}},
        {"from": {"id": USER, "is_bot": True}},
    ],
)
def test_strangers_are_not_answered(more: dict[str, Any]) -> None:
    """Do nothing for who is not on both lists or does not speak for himself, and count it."""
    asked = Talk().say("kill", **more)

    assert ("denied", "", 0, msgspec.UNSET) == (asked.outcome, asked.answer, asked.chat_id, asked.verb)


def test_old_messages_are_not_obeyed() -> None:
    """Refuse what was sent before the start or more than a minute ago, and say so."""
    talk = Talk()

    assert "before I started" in talk.say("kill", at_s=10, age_s=11).answer
    assert "61 s ago" in talk.say("kill", at_s=100, age_s=61).answer
    assert Verb.KILL is talk.say("kill", at_s=100, age_s=60).verb


@pytest.mark.parametrize(
    "text", ["unkill", "withdraw 1 BTC", "drain", "reset_limit drawdown", "quarantine kraken", "hello", "/"]
)
def test_nothing_else_is_done(text: str) -> None:
    """Answer with what is known."""
    asked = Talk().say(text)

    assert (msgspec.UNSET, "other", "refused") == (asked.verb, asked.command, asked.outcome)
    assert asked.answer.startswith("I know: status")


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1},
        {"update_id": 1, "edited_message": {"text": "kill"}},
        {"update_id": 1, "message": {"date": START_S + 9, "chat": {"id": CHAT}, "from": {"id": USER}, "sticker": {}}},
    ],
)
def test_what_is_no_text_is_passed_over(update: dict[str, Any]) -> None:
    """Do nothing about edits, stickers and whatever Telegram invents."""
    assert Asked(outcome="") == Talk().desk.take(msgspec.convert(update, Update), (START_S + 10) * 10**9)


def test_a_message_without_a_sender_is_a_strangers() -> None:
    """Refuse a post of a channel, which has no user."""
    message = {"date": START_S + 9, "chat": {"id": CHAT}, "text": "kill"}
    asked = Talk().desk.take(msgspec.convert({"update_id": 1, "message": message}, Update), (START_S + 10) * 10**9)

    assert "denied" == asked.outcome


def test_a_number_does_not_outlive_the_run() -> None:
    """Nothing is to be confirmed after a restart between question and number, and a number is good for one try."""
    asked, restarted = Talk(), Talk()
    asked.say("resume")

    assert "nothing to confirm" in restarted.say("confirm 0042").answer
    for guess in ("0000", "0042"):
        assert msgspec.UNSET is asked.say(f"confirm {guess}").verb


def test_words_are_taken_apart() -> None:
    """Split command and reason whatever the blanks."""
    assert [("kill", ""), ("", ""), ("kill", "a b")] == [parsed("/KILL@bot"), parsed(" "), parsed(" Kill   a\tb ")]
