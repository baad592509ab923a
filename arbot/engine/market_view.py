"""How the engine looks at books, without knowing how they are kept. `market.Books` offers this live and in backtests."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from arbot.domain.ids import InstrumentId
from arbot.domain.order import Side


class Level(NamedTuple):
    """A price (quote per base) and the quantity (base) offered at it."""

    price: Decimal
    qty: Decimal


class BookState(NamedTuple):
    """How far a book can be trusted.

    `is_valid`: snapshot received, integrity checked (checksum, sequence), both sides present, bid < ask.
    `recv_ts_ns`: our time of the last sign of life on the book's own stream (data or heartbeat); 0 = never.
    `venue_ts_ns`: the venue's time of the book's last change; 0 = the venue gives none.
    """

    is_valid: bool
    recv_ts_ns: int
    venue_ts_ns: int


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
