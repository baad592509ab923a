"""Golden cases of the tax rules, read where they lie: the folder ARBOT_TAX_GOLDEN, by default beside the repository.

Tests that need them are skipped with a word about that folder where it is absent.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

GOLDEN = Path(os.environ.get("ARBOT_TAX_GOLDEN") or Path(__file__).resolve().parents[3] / "shared" / "tax" / "golden")
ABSENT = f"no golden tax cases at {GOLDEN.name}: set ARBOT_TAX_GOLDEN to the folder that holds us-account.json"


def golden_cases(*kinds: str, jurisdiction: str = "") -> list:
    """Return the cases of these kinds as parameters named by case id; one skipped parameter when there are none here.

    `jurisdiction` keeps those whose own one contains it: "US", "UK", "CA".
    """
    cases = [
        pytest.param(case, id=case["id"])
        for path in sorted(GOLDEN.glob("*.json"))
        for case in json.loads(path.read_text("utf-8"))["cases"]
        if case["kind"] in kinds and jurisdiction in case["jurisdiction"]
    ]
    return cases or [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=ABSENT))]


def golden_file(name: str) -> Path:
    """Return the path of a file beside the cases; skip the test when it is not here."""
    path = GOLDEN / name
    if not path.is_file():
        pytest.skip(ABSENT)
    return path


def golden_lines(name: str) -> list[dict]:
    """Return the objects of a canonical JSONL file beside the cases; skip the test when it is not here."""
    return [json.loads(line) for line in golden_file(name).read_text("utf-8").splitlines()]
