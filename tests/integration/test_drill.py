"""`arbot drill` trips limits of every kind on the pretend venues: over sockets, in the venues' protocols, in a process of its own.

A dozen of its exercises by default, side by side; all of them with ARBOT_DRILL=all, which takes some minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.runtime.drill_table import EXERCISES, NOT_DRILLED

ARBOT = (sys.executable, "-c", "from arbot.cli.main import main; main()")
ALL = os.environ.get("ARBOT_DRILL", "") == "all"
OF_EACH_KIND = (
    "notional_per_arb",  # a bound of quantity
    "book_skew",  # what may be believed
    "hedge_loss",  # a fault, and a reducing order that is refused
    "instrument_closed",  # a venue that says no
    "not_reconciled",  # money that nobody explains
    "stress_budget",  # what it could cost
    "tail_unpaid",  # what an edge has to pay
    "custodian_exposure",  # what stands on what
    "price_is_news",
    "venue_quarantined",  # by its conduct
    "quarantine",  # by hand
    "withdrawals_closed",
    "confirmation_needed",  # a transfer that is refused
    "paused",  # a person
)
CHOSEN = tuple(exercise.limit for exercise in EXERCISES) if ALL else OF_EACH_KIND


def drilled(*limits: str) -> dict[str, dict[str, Any]]:
    """Run the command and return its evidence by limit."""
    options = [word for limit in limits for word in ("--limit", limit)]
    command = [*ARBOT, "drill", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-4_000:]
    told = json.loads(done.stdout)
    assert set(NOT_DRILLED) == set(told["not_drilled"])
    return {one["limit"]: one | {"code": done.returncode} for one in told["exercises"]}


@pytest.mark.timeout(900 if ALL else 180)
def test_limits_of_every_kind_trip() -> None:
    """Trip each chosen limit, say by which decision and how soon, and exit with 0."""
    found = drilled(*CHOSEN)

    assert {limit: one["instead"] for limit, one in found.items() if not one["tripped"]} == {}
    assert set(CHOSEN) == set(found)
    assert {0} == {one["code"] for one in found.values()}
    assert all(one["decision"] and one["after_s"] >= 0 for one in found.values())


def test_an_unknown_limit_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit with 2 and list what can be drilled."""
    code = run(["drill", "--limit", "luck"])

    assert (ExitCode.USAGE, True) == (code, "book_skew" in capsys.readouterr().err)
