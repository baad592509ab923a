"""The exercises of `arbot drill` cover what can stop an arb, and their settings are valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbot.domain.decisions import ArbClosed, OpportunityDeclined, Reason
from arbot.domain.ids import InstrumentId
from arbot.domain.units import parse_decimal
from arbot.runtime.drill import Exercise, numbers_of, settings_of
from arbot.runtime.drill_table import EXERCISES, NOT_DRILLED, declined


def test_every_reason_is_drilled_or_said_why_not() -> None:
    """A new reason without an exercise, or without a word on why there is none, is found here."""
    drilled = {exercise.limit for exercise in EXERCISES}
    reasons = {reason.value for reason in Reason}

    assert reasons - drilled - set(NOT_DRILLED) == set()
    assert drilled & set(NOT_DRILLED) == set()


def test_exercises_have_names_of_their_own() -> None:
    """No exercise hides another of the same name."""
    names = [exercise.limit for exercise in EXERCISES]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.limit)
def test_an_exercise_changes_the_demo_in_a_valid_way(exercise: Exercise, tmp_path: Path) -> None:
    """Every exercise's settings pass the rules of a config file."""
    settings = settings_of(exercise, tmp_path)

    assert settings.store.url == "sqlite://"
    assert settings.sim.faults == exercise.faults


def test_only_the_decision_asked_for_counts() -> None:
    """A decline for another reason, or another decision, is no evidence."""
    route = {"buy": InstrumentId("BTC/USD@kraken"), "sell": InstrumentId("BTC/USD@coinbase")}
    paused = OpportunityDeclined(**route, reason=Reason.PAUSED)

    assert declined(Reason.PAUSED)(paused)
    assert not declined(Reason.KILLED)(paused)
    assert not declined(Reason.PAUSED)(ArbClosed)


def test_numbers_are_told_against_the_limit() -> None:
    """Evidence names the route, what was measured, and what is allowed."""
    one = OpportunityDeclined(
        buy=InstrumentId("BTC/USD@kraken"), sell=InstrumentId("BTC/USD@coinbase"), reason=Reason.NET_DELTA,
        value=parse_decimal("7.5"), limit=parse_decimal("5"),
    )  # fmt: skip

    assert numbers_of(one) == "BTC/USD@kraken -> BTC/USD@coinbase: 7.5 against 5"
