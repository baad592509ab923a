"""Reads a situation from a file, TOML or JSON, in the words of `problem.Situation`: to try a plan without venues or daemon.

Numbers are exact: TOML numbers and texts become Decimal, JSON numbers too. Unknown keys are refused.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.treasury.problem import Situation

_READERS: dict[str, Callable[[str], Any]] = {
    ".toml": lambda text: tomllib.loads(text, parse_float=Decimal),
    ".json": lambda text: json.loads(text, parse_float=Decimal),
}


def read(path: Path) -> Situation:
    """Return the situation in a file. Raises: UserError."""
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UserError(Mistake(str(path), "it is neither .toml nor .json", "name the file by what is in it"))
    try:
        document = reader(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(Mistake(str(path), f"cannot be read: {error.strerror}", "name a file you can read")) from error
    except ValueError as error:  # both readers' mistakes, and text that is not UTF-8
        raise UserError(Mistake(str(path), f"not valid {path.suffix[1:].upper()}: {error}", "mend it")) from error
    try:
        return msgspec.convert(document, Situation)
    except msgspec.ValidationError as error:
        raise UserError(
            Mistake(str(path), str(error), "use the keys of docs/guide/rebalance.md, with numbers or texts in quotes")
        ) from error
