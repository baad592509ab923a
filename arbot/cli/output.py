"""How commands speak: JSON and results on stdout, everything meant for eyes only on stderr, mistakes as a list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from arbot.domain.errors import UserError

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def to_json(value: Any) -> str:
    """Return one line of JSON. Decimals are numbers with all their digits: read them with an exact parser."""
    return _ENCODER.encode(value).decode()


def counted(number: int, noun: str) -> str:
    """Return "1 line", "2 lines"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def say(text: str) -> None:
    """Write a result line to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Write a line for the person at the terminal to stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def tell_mistakes(error: UserError) -> None:
    """Write every mistake, numbered when there are several."""
    if len(error.mistakes) > 1:
        tell(f"{len(error.mistakes)} mistakes:")
    for mistake in error.mistakes:
        tell(str(mistake))


def shown(path: Path) -> str:
    """Return a path as short as it can be said from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def tell_first_compile() -> None:
    """Say that the first run after an installation or an update takes longer, before it does."""
    from arbot.market.compiled import CACHE_FOLDER

    if not Path(CACHE_FOLDER).exists():
        tell("compiling for this machine, once: half a minute or so")
