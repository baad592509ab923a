"""Do the named backtests still give what they gave, to the last order?"""

from __future__ import annotations

from pathlib import Path

import pytest

from arbot.backtest import named
from arbot.backtest.run import run

FOLDER = Path(__file__).resolve().parents[2] / "backtests"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/run.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_named_backtest_gives_what_is_expected(name: str) -> None:
    """Generate its tape, replay it three times, and compare statistics and the hash of all orders and fills."""
    assert named.differences(FOLDER / name, run(named.named_plan(FOLDER / name))) == []


def test_there_are_named_backtests() -> None:
    """Find the folders at all, so that an empty list cannot pass."""
    assert len(NAMES) >= 3


def test_a_difference_is_told_by_its_place() -> None:
    """Name the statistic that is not as expected, with both values."""
    expected = {"columns": {"naive": {"arbs": 2}}}

    assert named.compare("", expected, {"columns": {"naive": {"arbs": 3}}}) == ["columns.naive.arbs: expected 2, got 3"]
