"""What came of one raw frame, in numbers cheap enough for the hot path.

A venue's `book_frames` module parses and applies the common book frames in one compiled call and answers with a plain
tuple `(status, book)`:

- `status`: a FrameStatus as int;
- `book`: index of the book in Books, or -1 when the frame names none that we know.

How a codec uses it: try the compiled path first; on NOT_RECOGNISED nothing was applied and the frame goes to the typed
decoder, which ends in Books.apply_snapshot / apply_update, the integrity check, and Books.validate.
"""

from __future__ import annotations

from enum import IntEnum

from numba import types

from arbot.market import sides
from arbot.market.compiled import compiled
from arbot.market.layout import ASKS, BIDS, CAPACITY, SYNCED, Words

FrameResult = tuple[int, int]


class FrameStatus(IntEnum):
    """What came of a frame. Only APPLIED changed a book for good; the others say what the caller owes.

    `nothing applied` is literal: not one level, not one time stamp.
    """

    APPLIED = 0
    """Applied and checked."""
    NOT_RECOGNISED = 1
    """Another message type, another layout, a symbol we do not follow: nothing applied, give it to the typed decoder."""
    CHECKSUM_MISMATCH = 2
    """Applied, and the venue's checksum differs: the book was dropped. Resync this instrument."""
    CROSSED = 3
    """Applied, and best bid >= best ask: the book was dropped. Resync this instrument."""
    SEQUENCE_GAP = 4
    """The sequence number is not the expected one: nothing applied. The whole connection is suspect."""
    BAD_NUMBER = 5
    """A price of zero, or digits finer than the instrument's decimals: nothing applied. Drop the book and resync."""
    NO_SNAPSHOT = 6
    """An update for a book that has no snapshot (yet, or since it was dropped): nothing applied, nothing wrong."""


NEED_WORKSPACE = -1  # inside the parsers: the workspace is too small for the frame; nothing applied
NEED_ROOM = -2  # inside the parsers: the book is too small for the frame; nothing applied, third number = levels


_APPLIED, _NO_SNAPSHOT = int(FrameStatus.APPLIED), int(FrameStatus.NO_SNAPSHOT)
_i8, _mem = types.int64, types.int64[::1]


@compiled(_i8(_mem, _i8, _mem, _i8, _i8, types.boolean, _i8, _i8))
def place(  # noqa: PLR0917
    mem: Words, head: int, work: Words, first: int, count: int, is_snapshot: bool, venue_ts_ns: int, recv_ts_ns: int
) -> int:
    """Put the `count` levels of a frame from `work[first:]` into a book, as a snapshot or one after the other.

    Returns APPLIED with the book still unchecked, or NEED_ROOM or NO_SNAPSHOT with nothing applied.
    """
    if is_snapshot:
        if min(mem[head + BIDS + CAPACITY], mem[head + ASKS + CAPACITY]) < count:
            return NEED_ROOM
        sides.snapshot(mem, head, work, first, count, venue_ts_ns, recv_ts_ns)
        return _APPLIED
    if mem[head + SYNCED] == 0:
        return _NO_SNAPSHOT
    if not sides.has_room(mem, head, count):
        return NEED_ROOM
    sides.update(mem, head, work, first, count, venue_ts_ns, recv_ts_ns)
    return _APPLIED


def frame_levels_max(frame_bytes: int, level_bytes_min: int) -> int:
    """Return how many levels a frame of that size can hold, and never less than a usual frame has."""
    return 1024 + frame_bytes // level_bytes_min
