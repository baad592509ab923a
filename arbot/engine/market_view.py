"""How the engine looks at books, without knowing how they are kept. `market.Books` offers this live and in backtests."""

from __future__ import annotations

from typing import Protocol

from arbot.domain.book import BookState, Level
from arbot.domain.ids import InstrumentId
from arbot.domain.order import Side

__all__ = ["BookState", "Level", "MarketView"]


class MarketView(Protocol):
    """Books by instrument, best level first."""

    def state(self, instrument: InstrumentId) -> BookState:
        """Return how far the book can be trusted; an unknown instrument is not valid."""
        ...

    def best(self, instrument: InstrumentId, side: Side) -> Level | None:
        """Return the best level one meets when trading on `side` (BUY meets the asks), or None when that side is empty."""
        ...

    def levels(self, instrument: InstrumentId, side: Side, depth: int) -> tuple[Level, ...]:
        """Return up to `depth` levels met when trading on `side`, best first."""
        ...
