"""The columns of recorded market data as compiled code walks them: what a row is, and how rows make a message.

A *row* is one level, one trade print, or one sign on a book. A *message* is a run of rows that became known together:
only the last has IS_LAST, and nobody ever sees a book between two rows of one message. Rows stand in the order in which
we received them (`recv_ts_ns` never falls). Columns, all int64 and of one length:

    recv_ts_ns   our clock                         venue_ts_ns  the venue's clock, 0 = it gave none
    key          the price in ticks, above zero for bids and buyers' prints, below zero for asks and sellers' prints
    qty          in steps; 0 removes a level (never in a SNAPSHOT, except for quotes whose size nobody recorded)
    tag          book << 8 | flags << 4 | kind     `book` counts the streams that were merged, from 0

What a message of each kind does to the book it names:

    SNAPSHOT  replaces it               DELTA  sets levels one after the other; ignored while the book has no snapshot
    TRADE     nothing                   CLEAR  drops it until the next SNAPSHOT (key and qty are 0)
    ALIVE     is a sign of life such as a heartbeat: its age counts from here (key and qty are 0)
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]


class Kind(IntEnum):
    """What a row is."""

    SNAPSHOT = 1
    DELTA = 2
    TRADE = 3
    CLEAR = 4
    ALIVE = 5


KIND_MASK = 0x0F
IS_LAST = 0x10  # the last row of its message
SIDE_UNKNOWN = (
    0x20  # a trade print whose taker nobody recorded; its key is above zero, and its qty 0 if that is unknown too
)
BOOK_SHIFT = 8


class Rows(NamedTuple):
    """Columns of equal length; see the module text."""

    recv_ts_ns: Column
    venue_ts_ns: Column
    key: Column
    qty: Column
    tag: Column

    def __len__(self) -> int:  # of the rows, not of the tuple
        return len(self.recv_ts_ns)

    def having(self, **columns: Column) -> Rows:
        """Return the rows with other columns in place of their own."""
        return Rows(**{**self._asdict(), **columns})

    def part(self, first: int, stop: int) -> Rows:
        """Return the rows [first, stop), without copying."""
        return Rows(*(column[first:stop] for column in self))


def empty_rows(count: int) -> Rows:
    """Return columns for `count` rows, not initialised."""
    return Rows(*(np.empty(count, np.int64) for _ in Rows._fields))
