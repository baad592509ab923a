"""Making one thing for many who ask at the same time."""

from __future__ import annotations

import asyncio

import pytest

from arbot.observe.shared import Shared


class Maker:
    """Makes when it is let go; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.asked += 1
        number, error = self.asked, self.error
        await self.go.wait()
        if error is not None:
            raise error
        return number


def asking(shared: Shared[int], make: Maker, count: int) -> list[asyncio.Future[int]]:
    return [asyncio.ensure_future(shared.get(make)) for _ in range(count)]  # noqa: TID251 - a test of concurrency


async def test_all_who_ask_meanwhile_get_the_same() -> None:
    """Ten askers at the same time cost one making; the next one after it makes anew."""
    shared, make = Shared[int](), Maker()
    waiting = asking(shared, make, 10)
    await asyncio.sleep(0)
    make.go.set()
    assert [1] * 10 == await asyncio.gather(*waiting)
    assert await shared.get(make) == 2


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    """When the first asker is cancelled another makes it, and when a later one is, nobody notices."""
    shared, make = Shared[int](), Maker()
    first, second, third = asking(shared, make, 3)
    await asyncio.sleep(0)
    first.cancel()
    third.cancel()
    await asyncio.sleep(0)
    make.go.set()
    assert await second == 2
    assert first.cancelled()
    assert third.cancelled()


async def test_a_failure_is_told_to_whom_it_happened() -> None:
    """The maker's error reaches the one who made; the other makes for itself."""
    shared, make = Shared[int](), Maker()
    make.error = ValueError("no")
    first, second = asking(shared, make, 2)
    await asyncio.sleep(0)
    make.error = None
    make.go.set()
    with pytest.raises(ValueError, match="no"):
        await first
    assert await second == 2
