"""What a replay is fed with: the streams of some tapes that the settings ask for, as merged chunks of rows.

Streams are chosen by venue and symbol of the config; `mapping` says which recorded venue plays which of ours, so that
the instrument of a stream gets our venue's name. A stream that cannot be traded against is refused, never used silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from arbot.domain.ids import VenueId, instrument_id
from arbot.domain.instrument import Instrument
from arbot.market.stream import Rows


class Stock(Protocol):
    """Merged rows of several streams; book n of the rows is `streams[n]`. `chunks` may be called again and again."""

    @property
    def streams(self) -> tuple[Listed, ...]:
        """Return whose rows these are, in the order of the books."""
        ...

    @property
    def rows(self) -> int:
        """Return how many rows there are in all."""
        ...

    @property
    def key(self) -> str:
        """Return a digest of what the rows are made of."""
        ...

    def chunks(self) -> Iterator[Rows]:
        """Yield all rows in order, whole messages only."""
        ...

    def repaired(self) -> tuple[str, ...]:
        """Return what was left out as damaged the last time all rows were read, in words."""
        ...


class Listed(msgspec.Struct, frozen=True):
    """An instrument as it is traded in the replay, and how many levels a side its book keeps (0 = all)."""

    instrument: Instrument
    depth: int


class Made(msgspec.Struct, frozen=True):
    """A Stock of rows that are there already, or that are made anew for every replay."""

    streams: tuple[Listed, ...]
    rows: int
    key: str
    make: Callable[[], Iterator[Rows]]

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows."""
        return self.make()

    def repaired(self) -> tuple[str, ...]:
        """Return nothing: made rows are whole."""
        return ()


def plain(symbol: str) -> str:
    """Return a symbol without what it settles in: ("BTC/USDT:USDT") -> "BTC/USDT"."""
    return symbol.partition(":")[0]


def played_by(instrument: Instrument, venue: str) -> Instrument:
    """Return an instrument as if `venue` had listed it, under its plain symbol."""
    symbol = plain(instrument.symbol)
    return msgspec.structs.replace(instrument, venue=VenueId(venue), symbol=symbol, id=instrument_id(symbol, venue))
