"""Units, colours and words of values. A colour that is not calm means that somebody should act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

COUNT = units.Short
MONEY = units.Short  # the currency is a label: it stands in the name of the series
SECONDS = units.Seconds
SHARE = units.PercentUnit
BYTES = units.BytesIEC
BYTES_PER_SECOND = units.BytesPerSecondIEC
WHEN = units.DateTimeFromNow  # of milliseconds
BPS = "suffix:bp"
EACH_SECOND = "suffix:/s"
EACH_MINUTE = "suffix:/min"

Steps = tuple[tuple[float | None, str], ...]
"""From which value on which colour; the first begins at None, without bound."""
Words = tuple[tuple[str, str, str], ...]
"""Value, the word shown for it, its colour."""

QUIET = "#6e7077"  # grey: neither good nor bad
CALM: Steps = ((None, "text"),)
GOOD: Steps = ((None, "green"),)
NONE_EXPECTED: Steps = ((None, "green"), (1, "red"))  # counts of what should not be
SELDOM_EXPECTED: Steps = ((None, "green"), (1, "orange"))  # counts of what deserves a look
ALL_EXPECTED: Steps = ((None, "red"), (0.5, "orange"), (1, "green"))  # shares and flags that should be 1
LIMIT: Steps = ((None, "green"), (0.8, "orange"), (1, "red"))  # use of a limit
PROFIT: Steps = ((None, "red"), (0, "green"))
ZERO_LINE: Steps = ((None, "text"), (0, "green"))

SEVERITY: Words = (("page", "page", "red"), ("warn", "warn", "orange"), ("none", "none", "green"))
UP: Words = (("0", "DOWN", "red"), ("1", "UP", "green"))
ENGAGED: Words = (("0", "off", "green"), ("1", "ENGAGED", "red"))
YES_IS_GOOD: Words = (("0", "no", "red"), ("1", "yes", "green"))
YES_IS_BAD: Words = (("0", "no", "green"), ("1", "yes", "red"))
YES_IS_NOTED: Words = (("0", "no", "green"), ("1", "yes", "orange"))
RECORDS: Words = (("0", "no", QUIET), ("1", "yes", "green"))
LEVEL_COLORS = {"critical": "dark-red", "error": "red", "warning": "orange", "info": "blue", "debug": QUIET}
OPEN_OR_NOT: Words = (("0", "may not open", "orange"), ("1", "may open", "green"))


def thresholds(steps: Steps) -> model.ThresholdsConfig:
    """Return the thresholds of a panel."""
    return model.ThresholdsConfig(
        mode=model.ThresholdsMode.ABSOLUTE, steps=[model.Threshold(value=value, color=color) for value, color in steps]
    )


class Missing(NamedTuple):
    """What a number says, and in which colour, when there is no value."""

    text: str
    color: str


ALARMING = Missing("no data", "purple")  # of what should always be known: Grafana would draw it calm and green
ORDINARY = Missing("none", "text")  # of what needs something to have happened


def mappings(words: Words, missing: Missing | None = None) -> list[model.ValueMapping]:
    """Return words in place of values, and in place of none."""
    listed: list[model.ValueMapping] = []
    if missing is not None:
        said = model.ValueMappingResult(text=missing.text, color=missing.color, index=len(words))
        match = model.SpecialValueMatch.NULL_AND_NAN
        listed.append(model.SpecialValueMap(options=model.DashboardSpecialValueMapOptions(match=match, result=said)))
    if not words:
        return listed
    results = {
        value: model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, text, color) in enumerate(words)
    }
    return [model.ValueMap(options=results), *listed]


def numbered(states: Sequence[str], colors: dict[str, str]) -> Words:
    """Return the words of a stateset's states, each at its number. Raises: KeyError for a state without a colour."""
    return tuple((str(number), state, colors[state]) for number, state in enumerate(states))
