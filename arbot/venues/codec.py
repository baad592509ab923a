"""What every sans-IO codec shares: its answer, its counters, and how text becomes numbers and times.

Rules of the file: `decode` of a codec never raises and never waits; whatever a frame holds, the answer is a `Decoded`.
Inside a codec the one exception is MalformedFrame, which `decode` turns into facts (BookInvalidated) and wishes
(Resync, Reconnect). Numbers are read from their text, digit by digit: no exponent, no sign where none belongs, no
more decimals than the instrument has, nothing that does not fit an int64.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec
import numpy as np

from arbot.domain.events import BookFault, BookInvalidated, Event
from arbot.domain.ids import ClientOrderId, InstrumentId, VenueOrderId
from arbot.domain.instrument import Instrument
from arbot.domain.units import DIGITS_MAX
from arbot.market.books import Levels

FRAME_BYTES_MAX = 16 << 20  # Coinbase's largest snapshot seen is 5 MB
LEVELS_MAX = 200_000  # levels in one message; Coinbase's largest snapshot seen has 46,000
ROWS_MAX = 10_000  # rows of any other message
INT64_MAX = (1 << 63) - 1
UNREADABLE = (ValueError, RecursionError)  # what msgspec raises: DecodeError and UnicodeDecodeError are ValueErrors

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_ANYTHING = msgspec.json.Decoder()
_DETAIL_CHARS_MAX = 120


class MalformedFrame(ValueError):
    """A frame, or a part of it, is not what the venue's protocol says. Never leaves a codec's `decode`."""


class DropReason(StrEnum):
    """Why a connection was, or has to be, given up. Also the key by which reconnects are counted."""

    CONNECT_FAILED = "connect_failed"
    CLOSED = "closed"
    SILENT = "silent"
    ACK_TIMEOUT = "ack_timeout"
    REFUSED = "refused"
    SEQUENCE_GAP = "sequence_gap"
    MALFORMED = "malformed"


FIRST = "first"
"""What the connections of a stream are counted under that nothing was lost before."""


class ResyncReason(StrEnum):
    """Why a book is asked for anew."""

    GAP = "gap"
    CHECKSUM = "checksum"
    CROSSED = "crossed"
    MALFORMED = "malformed"
    MISSING = "missing"  # its snapshot never came
    STALE = "stale"  # it was silent while others of its venue moved
    REFUSED = "refused"  # the venue refused it, or traded nothing for a while
    RECONNECT = "reconnect"


class _Action(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass


class Subscribed(_Action, frozen=True, kw_only=True):
    """The venue confirmed a subscription. `symbol` is empty for channels without symbols."""

    channel: str
    symbol: str = ""


class SubscriptionRefused(_Action, frozen=True, kw_only=True):
    """The venue refused a request; channel and symbol are empty when it does not say which."""

    detail: str
    channel: str = ""
    symbol: str = ""


class Resync(_Action, frozen=True, kw_only=True):
    """One book has to be built anew; the others on the connection are good."""

    instrument: InstrumentId
    reason: ResyncReason


class Reconnect(_Action, frozen=True, kw_only=True):
    """Nothing on this connection can be trusted any more."""

    reason: DropReason
    detail: str = ""


class FetchFills(_Action, frozen=True, kw_only=True):
    """The venue's stream says that more was executed than it told us fills of: ask REST for this order's fills."""

    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId


Action = Subscribed | SubscriptionRefused | Resync | Reconnect | FetchFills


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """All that one frame meant.

    `moved` are indexes of compiled books that changed. `is_alive` says that the venue's own stream speaks (data or
    heartbeat): answers to our pings and requests are no sign of that.
    """

    events: tuple[Event, ...] = ()
    moved: tuple[int, ...] = ()
    actions: tuple[Action, ...] = ()
    is_alive: bool = False


NOTHING = Decoded()
ALIVE = Decoded(is_alive=True)


class Codec(Protocol):
    """One connection's protocol state. `reset` starts a new connection; `decode` reads its next frame."""

    def reset(self) -> tuple[InstrumentId, ...]:
        """Forget the connection, drop its books, and return the instruments of those that had been built."""
        ...

    def decode(self, frame: bytes, recv_ts_ns: int) -> Decoded:
        """Return what the frame means. Never raises."""
        ...


def joined(parts: Sequence[Decoded]) -> Decoded:
    """Return the answers to the parts of one frame as one; a frame without parts we follow is a sign of life."""
    return Decoded(
        events=tuple(event for part in parts for event in part.events),
        moved=tuple(book for part in parts for book in part.moved),
        actions=tuple(action for part in parts for action in part.actions),
        is_alive=True,
    )


def all_lost(dropped: Sequence[InstrumentId], detail: str) -> Decoded:
    """Answer to a frame that might have been about anything: nothing on the connection is trusted any more."""
    return Decoded(
        events=invalidated(dropped, BookFault.MALFORMED, detail),
        actions=(Reconnect(reason=DropReason.MALFORMED, detail=detail),),
    )


def invalidated(instruments: Sequence[InstrumentId], fault: BookFault, detail: str) -> tuple[Event, ...]:
    """Return one BookInvalidated for each."""
    return tuple(BookInvalidated(instrument=instrument, fault=fault, detail=detail) for instrument in instruments)


@dataclass(slots=True)
class StreamStats:
    """Counts of one stream since the process started; `observe` reads them, nobody resets them."""

    frames: int = 0
    bytes: int = 0
    connects: int = 0
    connects_after: dict[str, int] = field(default_factory=dict)  # the same by DropReason of the one before, or FIRST
    drops: dict[str, int] = field(default_factory=dict)  # by DropReason
    parse_errors: int = 0
    checksum_mismatches: int = 0
    sequence_gaps: int = 0
    crossed_books: int = 0
    resyncs: int = 0  # of single books, on a connection that is good
    resyncs_for: dict[str, int] = field(default_factory=dict)  # books asked for anew in any way, by ResyncReason
    refusals: int = 0
    unknown_messages: int = 0
    updates_ignored: int = 0  # for books that wait for their snapshot
    foreign_rows: int = 0  # orders of this account that are not ours
    last_alive_ns: int = 0

    def connected(self, lost_by: str) -> None:
        """Count a connection by how the one before was lost."""
        self.connects += 1
        self.connects_after[lost_by] = self.connects_after.get(lost_by, 0) + 1

    def rebuilt(self, reason: ResyncReason, books: int) -> None:
        """Count books that were asked for anew."""
        self.resyncs_for[reason] = self.resyncs_for.get(reason, 0) + books


_COUNTERS = {
    BookFault.CHECKSUM: "checksum_mismatches",
    BookFault.SEQUENCE_GAP: "sequence_gaps",
    BookFault.CROSSED: "crossed_books",
    BookFault.MALFORMED: "parse_errors",
}


def count_fault(stats: StreamStats, fault: BookFault) -> None:
    """Count what was found wrong with a book."""
    setattr(stats, _COUNTERS[fault], getattr(stats, _COUNTERS[fault]) + 1)


def clip(detail: object) -> str:
    """Return the text, cut to what belongs in an event or a log line."""
    return str(detail)[:_DETAIL_CHARS_MAX]


def parsed(frame: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the frame as a struct. Raises: MalformedFrame."""
    try:
        return decoder.decode(frame)
    except UNREADABLE as error:
        raise MalformedFrame(clip(error)) from error


def head_of(frame: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Return what a frame says it is, or None for good JSON of another shape. Raises: MalformedFrame."""
    if len(frame) > FRAME_BYTES_MAX:
        raise MalformedFrame(f"{len(frame)} bytes, at most {FRAME_BYTES_MAX} are sane")
    try:
        return decoder.decode(frame)
    except msgspec.ValidationError:
        parsed(frame, _ANYTHING)
        return None
    except UNREADABLE as error:
        raise MalformedFrame(clip(error)) from error


def text_of(raw: msgspec.Raw) -> str:
    """Return the text of a bare JSON number. Raises: MalformedFrame when it is anything else."""
    text = bytes(raw)
    if not text or text[0] not in b"-0123456789":
        raise MalformedFrame(f"not a bare number: {clip(text)}")
    return text.decode("ascii", "replace")


def level_array(pairs: Iterable[tuple[str, str]], instrument: Instrument) -> Levels:
    """Return (price, qty) texts as the integers that books take. Raises: MalformedFrame."""
    price_decimals, qty_decimals = instrument.price_decimals, instrument.qty_decimals
    levels = [(scaled(price, price_decimals), scaled(qty, qty_decimals)) for price, qty in pairs]
    return np.array(levels, np.int64).reshape(-1, 2)


def scaled(text: str, decimals: int) -> int:
    """Return a plain non-negative number as an integer count of 10**-decimals, exactly: ("0.010", 3) -> 10.

    Raises: MalformedFrame on a sign, an exponent, a digit beyond `decimals` that is not zero, or more than an int64.
    """
    whole, point, fraction = text.partition(".")
    if not whole or (point and not fraction):
        raise MalformedFrame(f"not a plain number: {clip(text)}")
    digits = whole + fraction[:decimals].ljust(decimals, "0")
    beyond = fraction[decimals:]
    if not (digits.isascii() and digits.isdigit()) or beyond.strip("0"):
        raise MalformedFrame(f"not a plain number of at most {decimals} decimals: {clip(text)}")
    if len(digits) > DIGITS_MAX or (count := int(digits)) > INT64_MAX:
        raise MalformedFrame(f"too large: {clip(text)}")
    return count


def plain_decimal(text: str) -> Decimal:
    """Return a number written with digits and at most one point and a minus sign, exactly. Raises: MalformedFrame."""
    whole, point, fraction = text.removeprefix("-").partition(".")
    digits = whole + fraction
    if not whole or (point and not fraction) or len(digits) > DIGITS_MAX:
        raise MalformedFrame(f"not a plain number: {clip(text)}")
    if not (digits.isascii() and digits.isdigit()):
        raise MalformedFrame(f"not a plain number: {clip(text)}")
    return Decimal(text)


def positive_decimal(text: str) -> Decimal:
    """Return a plain number above zero. Raises: MalformedFrame."""
    value = plain_decimal(text)
    if value <= 0:
        raise MalformedFrame(f"not above zero: {clip(text)}")
    return value


def quantity(text: str) -> Decimal:
    """Return a plain number that is zero or more. Raises: MalformedFrame."""
    value = plain_decimal(text)
    if value < 0:
        raise MalformedFrame(f"negative: {clip(text)}")
    return value


def timestamp_ns(text: str) -> int:
    """Return ns since the epoch of an RFC 3339 time in UTC with up to nine decimals. Raises: MalformedFrame."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or len(seconds) != 19 or len(fraction) > 9:
        raise MalformedFrame(f"not a UTC time: {clip(text)}")
    nanos = fraction.ljust(9, "0")
    if not (nanos.isascii() and nanos.isdigit()):
        raise MalformedFrame(f"not a UTC time: {clip(text)}")
    try:
        moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedFrame(f"not a UTC time: {clip(text)}") from error
    return (moment - _EPOCH) // _SECOND * 1_000_000_000 + int(nanos)


def cap_rows(rows: Sized, most: int) -> None:
    """Raise MalformedFrame when there are more rows than a sane message holds."""
    if len(rows) > most:
        raise MalformedFrame(f"{len(rows)} rows, at most {most} are sane")
