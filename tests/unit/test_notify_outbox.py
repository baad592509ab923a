"""What waits for a channel: never more than there is room for, never more a minute than allowed, and nothing critical lost first."""

from __future__ import annotations

from arbot.domain.commands import Severity
from arbot.notify.message import Kind, Message
from arbot.notify.outbox import Outbox

S = 1_000_000_000


def message(text: str, severity: Severity = Severity.WARNING) -> Message:
    return Message(kind=Kind.WARNING, code="a", severity=severity, title="a title", text=text)


def taken(box: Outbox, now_ns: int = S) -> list[str]:
    texts = []
    while len(box) and not box.wait_ns(now_ns):
        texts.append(box.take(now_ns)[0].text)
    return texts


def test_the_oldest_that_is_not_critical_goes_when_it_is_full() -> None:
    """Drop the oldest message that is not critical, and count it."""
    box = Outbox(3, 60)
    box.put(message("c1", Severity.CRITICAL), 0)
    box.put(message("w1"), 0)
    box.put(message("w2"), 0)

    assert not box.put(message("c2", Severity.CRITICAL), 0)
    assert 1 == box.dropped
    assert ["c1", "w2", "c2"] == taken(box)


def test_a_message_that_is_not_critical_gives_way_to_critical_ones() -> None:
    """Drop the new one itself when all that wait are critical; among critical ones the oldest goes."""
    box = Outbox(2, 60)
    box.put(message("c1", Severity.CRITICAL), 0)
    box.put(message("c2", Severity.CRITICAL), 0)

    assert not box.put(message("w1"), 0)
    assert not box.put(message("c3", Severity.CRITICAL), 0)
    assert ["c2", "c3"] == taken(box)


def test_the_last_place_of_a_minute_carries_all_that_wait() -> None:
    """Send two alone, the other fifteen as one, the critical one in full, and count those that have no line."""
    box = Outbox(100, 3)
    for number in range(16):
        box.put(message(f"w{number}"), 0)
    box.put(message("fire", Severity.CRITICAL), 0)

    assert ["w0", "w1"] == [box.take(S)[0].text for _ in range(2)]
    last, count, _ = box.take(S)

    assert ("fire", 15, 14, 6) == (last.text, count, last.more_count, len(last.more))
    assert 0 == len(box)


def test_no_more_than_allowed_leave_in_any_minute() -> None:
    """Wait until the first of the minute is a minute old."""
    box = Outbox(100, 2)
    for number in range(5):
        box.put(message(f"w{number}"), 0)
    box.take(S)
    box.take(11 * S)
    box.put(message("late"), 12 * S)

    assert 49 * S == box.wait_ns(12 * S)
    assert 0 == box.wait_ns(61 * S)
    assert "late" == box.take(61 * S)[0].text
    box.put(message("later"), 62 * S)
    assert 9 * S == box.wait_ns(62 * S)


def test_what_was_lost_is_said_with_the_next_that_gets_through() -> None:
    """Tell the number of messages dropped or given up until one was delivered."""
    box = Outbox(1, 60)
    box.put(message("w1"), 0)
    box.put(message("w2"), 0)
    box.lost(2)

    assert 3 == box.take(S)[0].undelivered
    box.delivered()
    box.put(message("w3"), 0)
    assert 0 == box.take(S)[0].undelivered
