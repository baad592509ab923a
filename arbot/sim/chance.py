"""Seeded chance and the identifiers venues make from it.

Every consumer owns a stream named for it, so that asking one more number here never shifts the numbers there.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def stream(seed: int, *names: str) -> random.Random:
    """Return the random stream of that name: the same seed and names give the same numbers in any process."""
    return random.Random("/".join((str(seed), *names)))


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(_BASE32, k=count))


def kraken_id(first: str) -> Callable[[random.Random], str]:
    """Return a maker of Kraken ids such as OQ7YTR-4KD2A-XP55LM, with `first` as the leading letter (O, T, L)."""

    def make(rng: random.Random) -> str:
        return f"{first}{_letters(rng, 5)}-{_letters(rng, 5)}-{_letters(rng, 6)}"

    return make


def uuid_id(rng: random.Random) -> str:
    """Return a version 4 UUID drawn from `rng`."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def number_id(rng: random.Random) -> str:
    """Return a sixteen digit number as text."""
    return str(rng.randrange(10**15, 10**16))


def word(rng: random.Random, count: int) -> str:
    """Return `count` letters and digits: tokens, keys, references."""
    return "".join(rng.choices(_ALPHANUMERIC, k=count))
