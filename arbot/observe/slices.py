"""Long looks in slices: a look is a generator that yields after about a millisecond and returns what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from typing import TypeVar

Seen = TypeVar("Seen")
Line = TypeVar("Line")

Look = Generator[None, None, Seen]


def at_once(look: Look[Seen]) -> Seen:
    """Return what a look sees, holding the loop until it is over: for a run of a few venues, and where there is no loop."""
    while True:
        try:
            next(look)
        except StopIteration as done:
            seen: Seen = done.value
            return seen


async def in_slices(look: Look[Seen]) -> Seen:
    """Return what a look sees, letting the loop turn to something else between its slices."""
    while True:
        try:
            next(look)
        except StopIteration as done:
            seen: Seen = done.value
            return seen
        await asyncio.sleep(0)


def gathered(lines: Iterable[Line], lines_a_slice: int) -> Look[tuple[Line, ...]]:
    """Look at every line, so many in a slice."""
    seen = []
    for line in lines:
        seen.append(line)
        if len(seen) % lines_a_slice == 0:
            yield
    return tuple(seen)
