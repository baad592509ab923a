"""Every alert has words of its own, and every command in them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import typer.main

from arbot.cli.main import app
from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.decisions import Reason
from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import Verb
from arbot.notify.message import Kind, Message, Sender, body, digest, document, headline
from arbot.notify.teller import _DOES, _TOLD_OTHERWISE, ended, failing, message_of
from arbot.notify.words import ALERTS

ROOT = Path(__file__).resolve().parents[2]
FROM_DATA = {Reason.ADDRESS_CHANGED.value, "closed_by_hand"}  # a rejected transfer's reason becomes the code


def codes() -> set[str]:
    """Return the code of every alert that the engine and the shell write out."""
    found = set(FROM_DATA)
    for path in [*(ROOT / "arbot" / "engine").rglob("*.py"), *(ROOT / "arbot" / "runtime").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            words = [keyword.value for keyword in node.keywords if name == "RaiseAlert" and keyword.arg == "code"]
            words += node.args[1:2] if name == "alert" else []
            words += node.args[2:3] if name == "_doubt" and path.name == "pollers.py" else []
            found |= {one.value for one in words if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def test_every_alert_has_words() -> None:
    """Have a row for each code that is raised, and none for a code that is not; `transfer_rejected` is a default."""
    assert len(codes()) > 25
    assert sorted(ALERTS) == sorted(codes() | {"transfer_rejected"})


def test_every_command_that_is_named_exists() -> None:
    """Find each `arbot ...` of the words among the commands."""
    top = typer.main.get_command(app)
    texts = (
        [row.todo for row in ALERTS.values()]
        + [todo for _, todo in _DOES.values()]
        + [row.does for row in ALERTS.values()]
    )
    named = {tuple(found) for text in texts for found in re.findall(r"\barbot ([a-z-]+)(?: ([a-z]+))?", text)}
    dead = []
    for first, second in named:
        command = top.commands.get(first)  # type: ignore[attr-defined]
        if first in {"has", "opens"}:
            continue
        is_group = hasattr(command, "commands")
        if command is None or (is_group and second not in command.commands):
            dead.append((first, second))

    assert len(named) > 10
    assert [] == dead


def test_every_verb_is_told() -> None:
    """Have words for each verb, but for those that are told by what comes of them."""
    assert set(Verb) == {*_DOES, *_TOLD_OTHERWISE}


def test_a_code_nobody_knows_is_told_all_the_same() -> None:
    """Tell an unknown critical code by its own name."""
    told = message_of(RaiseAlert(severity=Severity.CRITICAL, code="moon_fell", text="it did"))

    assert (Kind.FAILURE, "Moon fell", "it did") == (told.kind, told.title, told.text)


def test_a_message_says_what_where_and_what_next() -> None:
    """Show the whole text of a stranded arb as a person gets it."""
    alert = RaiseAlert(
        severity=Severity.CRITICAL, code="arb_stranded", text="arb 1-7 is stranded with 0.2 BTC: no book"
    )
    told = message_of(alert, 1_700_000_000_000_000_000)

    assert (
        "[CRITICAL] desk (live): An arb is stranded: money is unhedged\n"
        "2023-11-14 22:13:20 UTC\n"
        "arb 1-7 is stranded with 0.2 BTC: no book\n"
        "Now: Hedging has spent its limits, so it has stopped. No new arbs are opened.\n"
        "Next: arbot status, then arbot flatten"
    ) == f"{headline(told, Sender(run_name='desk', mode='live', version='1'))}\n{body(told)}"


def test_a_digest_names_some_and_counts_the_rest() -> None:
    """Show six titles of nine more, and say that three have no line."""
    many = [
        Message(kind=Kind.ORDER, code="o", severity=Severity.WARNING, title="An order", text=f"number {number}")
        for number in range(10)
    ]
    lines = body(digest(many)).splitlines()

    assert "And 9 more:" in lines
    assert "- and 3 not shown here; the log has them" in lines


def test_an_end_is_in_order_only_when_nothing_is_left() -> None:
    """Call an end clean with nothing open, and critical when an order may be."""
    clean = ended(reason="drained", failure=False, open_orders=0, stranded=0, unknown=0)
    dirty = ended(reason="drained", failure=False, open_orders=-1, stranded=0, unknown=0)

    assert (Severity.INFO, Severity.CRITICAL) == (clean.severity, dirty.severity)
    assert "nobody can say how many orders are open" in dirty.text


def test_a_mistake_to_mend_comes_with_its_remedy() -> None:
    """Tell a key that a venue refuses by what is wrong and what to do, not by a traceback."""
    error = UserError(Mistake("venues.kraken", "the venue refused us: EAPI:Invalid key", "check the key file"))
    told = failing(error, "venue:kraken failed: UserError: ...")

    assert ("venues.kraken: the venue refused us: EAPI:Invalid key", "check the key file; then start it again") == (
        told.text,
        told.todo,
    )


def test_the_document_holds_every_field_of_the_guide() -> None:
    """Name each key of the webhook's document in the guide."""
    told = message_of(RaiseAlert(severity=Severity.INFO, code="repegged", text="USDC"))
    guide = (ROOT / "docs" / "guide" / "notifications.md").read_text(encoding="utf-8")

    assert [] == [
        key for key in document(told, Sender(run_name="r", mode="m", version="v")) if f"| `{key}` |" not in guide
    ]
