"""One making for all who ask while it is under way, so that slow askers never pile up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Shared(Generic[Made]):
    """Makes a value for the first who asks; who asks meanwhile gets the same one."""

    def __init__(self) -> None:
        self._under_way: asyncio.Future[tuple[Made, ...]] | None = None  # empty when its maker was stopped or failed

    async def get(self, make: Callable[[], Awaitable[Made]]) -> Made:
        """Return what is being made, or make it. Who fails, fails for itself: the others make it anew."""
        while self._under_way is not None:
            for made in await asyncio.shield(self._under_way):
                return made
        under_way = self._under_way = asyncio.get_running_loop().create_future()
        result: tuple[Made, ...] = ()
        try:
            result = (await make(),)
        finally:
            self._under_way = None
            under_way.set_result(result)
        return result[0]
