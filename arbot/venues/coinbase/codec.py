"""Coinbase Advanced Trade's websocket, from bytes to facts: books in sequence, public trades, the account's orders.

Rules of the file: pure but for the books it fills and the counters it raises; see arbot.venues.codec for the contract.
`sequence_num` counts every frame of a connection over all its channels: a gap makes everything on it suspect, a number
seen before is a repetition and ignored. The `user` channel is cumulative and has no trade ids: it never makes a fill,
it only says that there are fills to fetch.
Source: docs.cdp.coinbase.com advanced-trade websocket channels, read 2026-11; first frame 0 and contiguity as recorded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum, auto

import msgspec

from arbot.domain.events import (
    BookFault,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    TradePrinted,
)
from arbot.domain.ids import ClientOrderId, InstrumentId, VenueOrderId, parse_client_order_id
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ZERO
from arbot.market.books import Books
from arbot.market.frames import FrameStatus
from arbot.venues.codec import (
    ALIVE,
    LEVELS_MAX,
    NOTHING,
    ROWS_MAX,
    Action,
    Decoded,
    DropReason,
    FetchFills,
    MalformedFrame,
    Reconnect,
    StreamStats,
    Subscribed,
    SubscriptionRefused,
    all_lost,
    cap_rows,
    clip,
    head_of,
    invalidated,
    joined,
    level_array,
    parsed,
    positive_decimal,
    quantity,
    timestamp_ns,
)
from arbot.venues.coinbase.book_frames import CoinbaseBookFrames
from arbot.venues.coinbase.wire import (
    ErrorFrame,
    Head,
    L2Event,
    L2Frame,
    SubscriptionsFrame,
    TradesFrame,
    UserFrame,
    UserOrder,
)
from arbot.venues.followed import FollowedBooks

ORDERS_MAX = 4_096  # orders whose cumulative quantity is remembered; the oldest are forgotten

_APPLIED = int(FrameStatus.APPLIED)
_LEFT_TO_TYPES = (int(FrameStatus.NOT_RECOGNISED), int(FrameStatus.SEQUENCE_GAP))
_FAULTS = {int(FrameStatus.CROSSED): BookFault.CROSSED, int(FrameStatus.BAD_NUMBER): BookFault.MALFORMED}

_HEAD = msgspec.json.Decoder(Head)
_ERROR = msgspec.json.Decoder(ErrorFrame)
_L2 = msgspec.json.Decoder(L2Frame)
_TRADES = msgspec.json.Decoder(TradesFrame)
_SUBSCRIPTIONS = msgspec.json.Decoder(SubscriptionsFrame)
_USER = msgspec.json.Decoder(UserFrame)


class _Named(msgspec.Struct):
    product_id: str


class _Names(msgspec.Struct):
    """The products of a frame whose other content cannot be read."""

    events: tuple[_Named, ...]


_NAMES = msgspec.json.Decoder(_Names)


class Place(Enum):
    """Where a frame stands in its connection's sequence."""

    NEXT = auto()
    OLD = auto()
    AFTER_GAP = auto()


class FrameCounter:
    """Counts the frames of one connection. The first frame says where counting starts; the venue starts at 0."""

    def __init__(self) -> None:
        self.expected = 0
        self._is_first = True

    def place(self, number: int) -> Place:
        """Return where a frame stands, and count it unless it is old."""
        if not self._is_first and number < self.expected:
            return Place.OLD
        is_gap = not self._is_first and number > self.expected
        self._is_first = False
        self.expected = number + 1
        return Place.AFTER_GAP if is_gap else Place.NEXT


class CoinbaseMarketCodec:
    """Reads the public connection: books, trades and heartbeats."""

    def __init__(self, instruments: Sequence[Instrument], books: Books, stats: StreamStats) -> None:
        """Read for these instruments into `books`, where they must already have their index."""
        self._stats = stats
        self.followed = FollowedBooks(books, {instrument.venue_symbol: instrument for instrument in instruments}, stats)
        self._frames = CoinbaseBookFrames(books, self.followed.symbols)
        self._sequence = FrameCounter()
        self._readers: dict[str, Callable[[bytes, int], Decoded]] = {
            "l2_data": self._l2,
            "market_trades": self._trades,
            "heartbeats": self._heartbeat,
            "subscriptions": lambda frame, _: _subscriptions(frame),
        }

    def reset(self) -> tuple[InstrumentId, ...]:
        """Forget the connection, drop its books, and return the instruments of those that had been built."""
        self._sequence = FrameCounter()
        return self.followed.drop_all()

    def decode(self, frame: bytes, recv_ts_ns: int) -> Decoded:
        """Return what the frame means, after applying it to the books. Never raises."""
        self._stats.frames += 1
        self._stats.bytes += len(frame)
        sequence = self._sequence
        status, book = self._frames.apply(frame, recv_ts_ns, sequence.expected)
        if status not in _LEFT_TO_TYPES:
            sequence.place(sequence.expected)
            return self.followed.moved[book] if status == _APPLIED else self._not_applied(status, book)
        try:
            return self._typed(frame, recv_ts_ns)
        except MalformedFrame as error:
            self._stats.parse_errors += 1
            return all_lost(self.followed.drop_all(), clip(error))

    def _typed(self, frame: bytes, recv_ts_ns: int) -> Decoded:
        """Read a frame of any kind. Raises: MalformedFrame when it might have concerned any book."""
        head = head_of(frame, _HEAD)
        if head is None or not head.channel:
            return _error(frame, head, self._stats)
        place = self._sequence.place(_numbered(head))
        if place is Place.OLD:
            self._stats.updates_ignored += 1
            return NOTHING
        if place is Place.AFTER_GAP:
            self._stats.sequence_gaps += 1
            detail = f"frames before {head.sequence_num} are missing"
            return Decoded(
                events=invalidated(self.followed.drop_all(), BookFault.SEQUENCE_GAP, detail),
                actions=(Reconnect(reason=DropReason.SEQUENCE_GAP, detail=detail),),
            )
        reader = self._readers.get(head.channel)
        if reader is None:
            self._stats.unknown_messages += 1
            return NOTHING
        return reader(frame, recv_ts_ns)

    # --- channels ----------------------------------------------------------------------------------------------------

    def _l2(self, frame: bytes, recv_ts_ns: int) -> Decoded:
        try:
            events = parsed(frame, _L2).events
            cap_rows(events, ROWS_MAX)
        except MalformedFrame as error:
            return self._l2_lost(frame, error)
        return joined([self._event(event, recv_ts_ns) for event in events])

    def _event(self, event: L2Event, recv_ts_ns: int) -> Decoded:
        """Apply one book of a message, all of it, and then check it."""
        books, stats = self.followed.books, self._stats
        if event.product_id not in self.followed.by_symbol:
            stats.unknown_messages += 1
            return ALIVE
        instrument, book = self.followed.by_symbol[event.product_id]
        is_snapshot = event.type == "snapshot"
        if not is_snapshot and not books.is_synced(book):
            stats.updates_ignored += 1
            return ALIVE
        if not is_snapshot and not event.updates:
            return ALIVE
        try:
            cap_rows(event.updates, LEVELS_MAX)
            bids, asks = (
                level_array(
                    ((update.price_level, update.new_quantity) for update in event.updates if update.side == side),
                    instrument,
                )
                for side in ("bid", "offer")
            )
            times = {update.event_time for update in event.updates}
            venue_ts_ns = max(map(timestamp_ns, times), default=0)
            apply = books.apply_snapshot if is_snapshot else books.apply_update
            apply(book, bids, asks, venue_ts_ns, recv_ts_ns)
        except ValueError as error:  # MalformedFrame, or a number that books do not take
            return self.followed.fault(book, BookFault.MALFORMED, clip(error))
        if not books.validate(book) and not books.is_synced(book):
            return self.followed.fault(book, BookFault.CROSSED)
        return self.followed.moved[book]

    def _l2_lost(self, frame: bytes, error: MalformedFrame) -> Decoded:
        """Drop the books an unreadable book frame names. Raises: MalformedFrame when not even that can be read."""
        try:
            products = {event.product_id for event in parsed(frame, _NAMES).events}
        except MalformedFrame:
            raise error from None
        books = (self.followed.by_symbol[product][1] for product in sorted(products & self.followed.by_symbol.keys()))
        return joined([self.followed.fault(book, BookFault.MALFORMED, clip(error)) for book in books])

    def _trades(self, frame: bytes, _recv_ts_ns: int) -> Decoded:
        """Read new trades, oldest first. The snapshot is old news and comes again after every reconnect: left out."""
        try:
            trades = [row for event in parsed(frame, _TRADES).events if event.type == "update" for row in event.trades]
            cap_rows(trades, ROWS_MAX)
            prints = tuple(
                TradePrinted(
                    instrument=self.followed.by_symbol[row.product_id][0].id,
                    price=positive_decimal(row.price),
                    qty=positive_decimal(row.size),
                    taker_side=Side(row.side.lower()).opposite,
                    trade_id=row.trade_id,
                    venue_ts_ns=timestamp_ns(row.time),
                )
                for row in reversed(trades)
                if row.product_id in self.followed.by_symbol
            )
        except MalformedFrame:  # a print is news, not state: counted, and nothing depends on it
            self._stats.parse_errors += 1
            return ALIVE
        return Decoded(events=prints, is_alive=True)

    def _heartbeat(self, _frame: bytes, recv_ts_ns: int) -> Decoded:
        self.followed.mark_alive(recv_ts_ns)
        return ALIVE

    # --- books -------------------------------------------------------------------------------------------------------

    def _not_applied(self, status: int, book: int) -> Decoded:
        """Say what the compiled path found wrong with a book."""
        if status not in _FAULTS:  # an update before the snapshot, or since the book was dropped
            self._stats.updates_ignored += 1
            return ALIVE
        return self.followed.fault(book, _FAULTS[status])


class CoinbaseAccountCodec:
    """Reads the private connection: what happened to our orders. Orders that are not ours are only counted."""

    def __init__(self, stats: StreamStats) -> None:
        self._stats = stats
        self._filled: OrderedDict[str, Decimal] = OrderedDict()  # cumulative quantity by venue order id
        self._sequence = FrameCounter()

    def reset(self) -> tuple[InstrumentId, ...]:
        """Forget the connection's sequence; there are no books here."""
        self._sequence = FrameCounter()
        return ()

    def decode(self, frame: bytes, _recv_ts_ns: int) -> Decoded:
        """Return what the frame means. Never raises: what cannot be read costs the connection, and REST catches up."""
        self._stats.frames += 1
        self._stats.bytes += len(frame)
        try:
            return self._typed(frame)
        except MalformedFrame as error:
            self._stats.parse_errors += 1
            return all_lost((), clip(error))

    def _typed(self, frame: bytes) -> Decoded:
        head = head_of(frame, _HEAD)
        if head is None or not head.channel:
            return _error(frame, head, self._stats)
        place = self._sequence.place(_numbered(head))
        decoded = self._content(frame, head.channel)
        if place is Place.AFTER_GAP:  # what this frame says is true all the same; what is missing, REST has
            self._stats.sequence_gaps += 1
            gap = Reconnect(reason=DropReason.SEQUENCE_GAP, detail=f"frames before {head.sequence_num} are missing")
            return Decoded(events=decoded.events, actions=(*decoded.actions, gap))
        return decoded

    def _content(self, frame: bytes, channel: str) -> Decoded:
        if channel == "user":
            return self._user(parsed(frame, _USER))
        if channel == "heartbeats":
            return ALIVE
        if channel == "subscriptions":
            return _subscriptions(frame)
        self._stats.unknown_messages += 1
        return NOTHING

    def _user(self, frame: UserFrame) -> Decoded:
        orders = [order for event in frame.events for order in event.orders]
        cap_rows(orders, ROWS_MAX)
        events: list[Event] = []
        actions: list[Action] = []
        for order in orders:
            if parse_client_order_id(order.client_order_id) is None:
                self._stats.foreign_rows += 1
                continue
            try:
                filled_qty = quantity(order.cumulative_quantity)
            except MalformedFrame as error:  # the other orders are good news all the same
                self._stats.parse_errors += 1
                actions.append(Reconnect(reason=DropReason.MALFORMED, detail=f"{order.status}: {clip(error)}"))
                continue
            events += self._state(order, filled_qty)
            if self._is_news(order.order_id, filled_qty):
                actions.append(
                    FetchFills(
                        client_order_id=ClientOrderId(order.client_order_id),
                        venue_order_id=VenueOrderId(order.order_id),
                    )
                )
        return Decoded(events=tuple(events), actions=tuple(actions), is_alive=True)

    def _state(self, order: UserOrder, filled_qty: Decimal) -> tuple[Event, ...]:
        """Return the event of an order's status. FILLED has none: the fills say it once they are fetched."""
        name = ClientOrderId(order.client_order_id)
        match order.status:
            case "PENDING" | "OPEN" | "QUEUED" | "CANCEL_QUEUED" | "EDIT_QUEUED":
                return (OrderAccepted(client_order_id=name, venue_order_id=VenueOrderId(order.order_id)),)
            case "FILLED":
                return ()
            case "CANCELLED":
                return (OrderCanceled(client_order_id=name, filled_qty=filled_qty, reason=clip(order.cancel_reason)),)
            case "EXPIRED":
                return (OrderExpired(client_order_id=name, filled_qty=filled_qty, reason=clip(order.cancel_reason)),)
            case "FAILED":  # the venue named the order and then ended it
                reason = f"failed: {clip(order.reject_reason or order.cancel_reason)}"
                return (OrderCanceled(client_order_id=name, filled_qty=filled_qty, reason=reason),)
            case _:
                self._stats.unknown_messages += 1
                return ()

    def _is_news(self, order_id: str, filled_qty: Decimal) -> bool:
        """Return whether more is filled than was known."""
        known = self._filled.get(order_id, ZERO)
        self._filled[order_id] = max(known, filled_qty)
        if len(self._filled) > ORDERS_MAX:
            self._filled.popitem(last=False)
        return filled_qty > known


def _numbered(head: Head) -> int:
    if head.sequence_num < 0:
        raise MalformedFrame(f"{clip(head.channel)} frame without sequence_num")
    return head.sequence_num


def _subscriptions(frame: bytes) -> Decoded:
    """Read the cumulative list of what is subscribed; a channel is confirmed by itself and for each of its symbols."""
    actions: list[Action] = []
    for event in parsed(frame, _SUBSCRIPTIONS).events:
        for channel, symbols in event.subscriptions.items():
            actions.append(Subscribed(channel=channel))
            actions += [Subscribed(channel=channel, symbol=symbol) for symbol in symbols]
    return Decoded(actions=tuple(actions))


def _error(frame: bytes, head: Head | None, stats: StreamStats) -> Decoded:
    """Read the one frame that is not an envelope; count anything else."""
    if head is None or head.type != "error":
        stats.unknown_messages += 1
        return NOTHING
    stats.refusals += 1
    return Decoded(actions=(SubscriptionRefused(detail=clip(parsed(frame, _ERROR).message)),))
