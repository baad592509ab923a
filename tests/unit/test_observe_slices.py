"""Looks in slices: the same seen, with the loop free in between."""

from __future__ import annotations

import asyncio

from arbot.observe.slices import Look, at_once, gathered, in_slices


def test_a_look_at_once_is_the_whole_look() -> None:
    """All lines are gathered in their order, whatever the slices."""
    assert at_once(gathered(iter(range(7)), 3)) == tuple(range(7))


async def test_the_loop_turns_between_slices() -> None:
    """Something else runs once for every slice but the last."""
    turns: list[int] = []

    def looked() -> Look[str]:
        for number in range(3):
            asyncio.get_running_loop().call_soon(turns.append, number)
            yield
            assert number in turns
        return "seen"

    assert await in_slices(looked()) == "seen"
    assert turns == [0, 1, 2]
