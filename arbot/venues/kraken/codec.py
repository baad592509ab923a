"""Kraken's websocket v2, from bytes to facts: books with checksums, public trades, and the account's executions.

Rules of the file: pure but for the books it fills and the counters it raises; see arbot.venues.codec for the contract.
A book is applied level by level in array order, truncated, and then checked against the message's checksum; without a
checksum (the thin first snapshot) it is kept but not tradable. Every row of a message counts.
Sources: docs.kraken.com spot-websocket-v2 `book`, `trade`, `executions`, and the book checksum guide, read 2026-11.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from arbot.domain.events import (
    BookFault,
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    TradePrinted,
)
from arbot.domain.ids import (
    Asset,
    ClientOrderId,
    InstrumentId,
    TradeId,
    VenueId,
    VenueOrderId,
    instrument_id,
    parse_client_order_id,
)
from arbot.domain.instrument import Instrument
from arbot.domain.order import Fill, Liquidity, Side
from arbot.domain.units import ZERO, Amount
from arbot.market.books import Books, Levels
from arbot.market.frames import FrameResult, FrameStatus
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
    Resync,
    ResyncReason,
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
    plain_decimal,
    positive_decimal,
    quantity,
    text_of,
    timestamp_ns,
)
from arbot.venues.followed import FollowedBooks
from arbot.venues.kraken.book_frames import KrakenBookFrames
from arbot.venues.kraken.treasury import status_report
from arbot.venues.kraken.wire import (
    Answer,
    BookFrame,
    BookLevel,
    BookRow,
    ExecutionRow,
    ExecutionsFrame,
    Head,
    StatusFrame,
    TradeFrame,
)

MARK_ALIVE_NS = 100_000_000  # any data frame proves the whole connection alive; noted this often
ORDERS_MAX = 4_096  # orders remembered for rows that lack a name or a symbol; the oldest are forgotten
OPEN_SYSTEMS = ("online", "limit_only")  # engine states in which an IOC limit order is taken

_APPLIED = int(FrameStatus.APPLIED)
_NOT_RECOGNISED = int(FrameStatus.NOT_RECOGNISED)
_LEFT_TO_TYPES: FrameResult = (_NOT_RECOGNISED, -1)
_FAULTS = {
    int(FrameStatus.CHECKSUM_MISMATCH): BookFault.CHECKSUM,
    int(FrameStatus.CROSSED): BookFault.CROSSED,
    int(FrameStatus.BAD_NUMBER): BookFault.MALFORMED,
}

_HEAD = msgspec.json.Decoder(Head)
_ANSWER = msgspec.json.Decoder(Answer)
_STATUS = msgspec.json.Decoder(StatusFrame)
_BOOK = msgspec.json.Decoder(BookFrame)
_TRADE = msgspec.json.Decoder(TradeFrame)
_EXECUTIONS = msgspec.json.Decoder(ExecutionsFrame)


class _Named(msgspec.Struct):
    symbol: str


class _Names(msgspec.Struct):
    """The symbols of a frame whose other content cannot be read."""

    data: tuple[_Named, ...]


_NAMES = msgspec.json.Decoder(_Names)


class KrakenMarketCodec:
    """Reads the public connection: books and trades."""

    def __init__(self, instruments: Sequence[Instrument], books: Books, stats: StreamStats) -> None:
        """Read for these instruments into `books`, where they must already have their index."""
        self._stats = stats
        self._venue = instruments[0].venue if instruments else VenueId("kraken")
        self.followed = FollowedBooks(books, {instrument.symbol: instrument for instrument in instruments}, stats)
        self._frames = KrakenBookFrames(books, self.followed.symbols)
        self._marked_ns = 0
        self._is_closed = False
        self._readers: dict[str, Callable[[bytes, int], Decoded]] = {
            "book": self._book,
            "trade": self._trade,
            "heartbeat": self._heartbeat,
            "status": self._status,
        }

    def reset(self) -> tuple[InstrumentId, ...]:
        """Forget the connection, drop its books, and return the instruments of those that had been built."""
        self._is_closed = False
        return self.followed.drop_all()

    def decode(self, frame: bytes, recv_ts_ns: int) -> Decoded:
        """Return what the frame means, after applying it to the books. Never raises."""
        self._stats.frames += 1
        self._stats.bytes += len(frame)
        status, book = _LEFT_TO_TYPES if self._is_closed else self._frames.apply(frame, recv_ts_ns)
        if status == _APPLIED:
            decoded = self.followed.moved[book]
        elif status != _NOT_RECOGNISED:
            decoded = self._not_applied(status, book)
        else:
            try:
                decoded = self._typed(frame, recv_ts_ns)
            except MalformedFrame as error:
                self._stats.parse_errors += 1
                decoded = all_lost(self.followed.drop_all(), clip(error))
        if decoded.is_alive and recv_ts_ns - self._marked_ns >= MARK_ALIVE_NS:
            self._marked_ns = recv_ts_ns
            self.followed.mark_alive(recv_ts_ns)
        return decoded

    def _not_applied(self, status: int, book: int) -> Decoded:
        """Say what the compiled path found wrong with a book."""
        if status not in _FAULTS:  # an update before the snapshot, or since the book was dropped
            self._stats.updates_ignored += 1
            return ALIVE
        fault = _FAULTS[status]
        return self.followed.fault(book, fault)

    def _typed(self, frame: bytes, recv_ts_ns: int) -> Decoded:
        """Read a frame of any kind. Raises: MalformedFrame when it might have concerned any book."""
        head = head_of(frame, _HEAD)
        if head is not None and head.channel in self._readers:
            return self._readers[head.channel](frame, recv_ts_ns)
        return _answer(frame, head, self._stats)

    # --- channels ----------------------------------------------------------------------------------------------------

    def _book(self, frame: bytes, recv_ts_ns: int) -> Decoded:
        try:
            book_frame = parsed(frame, _BOOK)
            cap_rows(book_frame.data, ROWS_MAX)
        except MalformedFrame as error:
            return self._book_lost(frame, error)
        is_snapshot = book_frame.type == "snapshot"
        parts = [
            self._row(row, recv_ts_ns, is_snapshot=is_snapshot)
            for row in book_frame.data
            if row.symbol in self.followed.by_symbol or self._count_unknown()
        ]
        return joined(parts) if len(parts) != 1 else parts[0]

    def _row(self, row: BookRow, recv_ts_ns: int, *, is_snapshot: bool) -> Decoded:
        """Apply one book of a message, all of it, and then check it."""
        books, stats = self.followed.books, self._stats
        instrument, book = self.followed.by_symbol[row.symbol]
        if self._is_closed or not (is_snapshot or books.is_synced(book)):
            stats.updates_ignored += 1
            return ALIVE
        try:
            bids, asks = _levels(row.bids, instrument), _levels(row.asks, instrument)
            venue_ts_ns = 0 if row.timestamp is UNSET else timestamp_ns(row.timestamp)
            if is_snapshot:
                books.apply_snapshot(book, bids, asks, venue_ts_ns, recv_ts_ns)
            elif row.checksum is UNSET:
                raise MalformedFrame("update without a checksum")
            else:
                books.apply_update(book, bids, asks, venue_ts_ns, recv_ts_ns)
        except ValueError as error:  # MalformedFrame, or a number that books do not take
            return self.followed.fault(book, BookFault.MALFORMED, clip(error))
        if row.checksum is not UNSET:
            computed = books.checksum(book)
            if computed != row.checksum:
                return self.followed.fault(book, BookFault.CHECKSUM, f"computed {computed}, told {row.checksum}")
            books.confirm(book)
            if not books.validate(book) and not books.is_synced(book):
                return self.followed.fault(book, BookFault.CROSSED)
        return self.followed.moved[book]

    def _count_unknown(self) -> bool:
        self._stats.unknown_messages += 1
        return False

    def _book_lost(self, frame: bytes, error: MalformedFrame) -> Decoded:
        """Drop the books an unreadable book frame names. Raises: MalformedFrame when not even that can be read."""
        try:
            symbols = {row.symbol for row in parsed(frame, _NAMES).data}
        except MalformedFrame:
            raise error from None
        books = (self.followed.by_symbol[symbol][1] for symbol in sorted(symbols & self.followed.by_symbol.keys()))
        return joined([self.followed.fault(book, BookFault.MALFORMED, clip(error)) for book in books])

    def _trade(self, frame: bytes, _recv_ts_ns: int) -> Decoded:
        try:
            trades = parsed(frame, _TRADE)
            cap_rows(trades.data, ROWS_MAX)
            prints = tuple(
                TradePrinted(
                    instrument=self.followed.by_symbol[row.symbol][0].id,
                    price=positive_decimal(text_of(row.price)),
                    qty=positive_decimal(text_of(row.qty)),
                    taker_side=Side(row.side),
                    trade_id=str(row.trade_id),
                    venue_ts_ns=timestamp_ns(row.timestamp),
                )
                for row in trades.data
                if row.symbol in self.followed.by_symbol
            )
        except MalformedFrame:  # a print is news, not state: counted, and nothing depends on it
            self._stats.parse_errors += 1
            return ALIVE
        return Decoded(events=prints, is_alive=True)

    def _heartbeat(self, _frame: bytes, recv_ts_ns: int) -> Decoded:
        self.followed.mark_alive(recv_ts_ns)
        return ALIVE

    def _status(self, frame: bytes, _recv_ts_ns: int) -> Decoded:
        """Drop all books while the matching engine takes no orders of ours, and build them anew when it does."""
        rows = parsed(frame, _STATUS).data
        if not rows:
            return NOTHING
        system = clip(rows[-1].system)
        was_closed, self._is_closed = self._is_closed, system not in OPEN_SYSTEMS
        if self._is_closed:
            dropped = invalidated(self.followed.drop_all(), BookFault.REFUSED, f"trading engine is {system}")
            return Decoded(events=(*dropped, status_report(self._venue, system)))
        if was_closed:
            resyncs = tuple(
                Resync(instrument=instrument, reason=ResyncReason.REFUSED) for instrument in self.followed.unbuilt()
            )
            return Decoded(events=(status_report(self._venue, system),), actions=resyncs)
        return NOTHING


@dataclass(slots=True)
class _KnownOrder:
    """What earlier rows said of one of our orders."""

    client_order_id: ClientOrderId
    symbol: str = ""
    side: str = ""
    filled: Decimal = ZERO
    exec_ids: set[str] = field(default_factory=set)


class KrakenAccountCodec:
    """Reads the private connection: what happened to our orders. Rows of orders that are not ours are only counted.

    Orders are remembered across connections, since terminal rows may lack the name they were given. A row that comes
    twice gives its event twice: whoever books fills does it by (venue, order, trade id).
    """

    def __init__(self, venue: VenueId, stats: StreamStats) -> None:
        self._venue = venue
        self._stats = stats
        self._orders: OrderedDict[str, _KnownOrder] = OrderedDict()
        self._sequence = -1  # of the last frame; -1 = none on this connection
        self._readers: dict[str, Callable[[_KnownOrder, ExecutionRow], tuple[list[Event], list[Action]]]] = {
            "pending_new": self._accepted,
            "new": self._accepted,
            "amended": self._accepted,
            "restated": self._accepted,
            "iceberg_refill": self._accepted,
            "status": self._accepted,
            "trade": self._traded,
            "filled": self._ended,
            "canceled": self._ended,
            "expired": self._ended,
        }

    def reset(self) -> tuple[InstrumentId, ...]:
        """Forget the connection's sequence; there are no books here."""
        self._sequence = -1
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
        if head is not None and head.channel == "executions":
            return self._executions(parsed(frame, _EXECUTIONS))
        if head is not None and head.channel == "heartbeat":
            return ALIVE
        if head is not None and head.channel == "status":
            return NOTHING
        return _answer(frame, head, self._stats)

    def _executions(self, frame: ExecutionsFrame) -> Decoded:
        cap_rows(frame.data, ROWS_MAX)
        events: list[Event] = []
        actions: list[Action] = []
        for row in frame.data:
            try:
                found, wanted = self._row(row)
            except MalformedFrame as error:  # the other rows are good news all the same
                self._stats.parse_errors += 1
                actions.append(Reconnect(reason=DropReason.MALFORMED, detail=f"{row.exec_type}: {clip(error)}"))
                continue
            events += found
            actions += wanted
        if self._is_gap(frame):
            self._stats.sequence_gaps += 1
            actions.append(Reconnect(reason=DropReason.SEQUENCE_GAP, detail=f"{self._sequence} then {frame.sequence}"))
        self._sequence = max(self._sequence, frame.sequence)
        return Decoded(events=tuple(events), actions=tuple(actions), is_alive=True)

    def _is_gap(self, frame: ExecutionsFrame) -> bool:
        """Return whether frames are missing before this one. The first has to be a snapshot; an old one is a replay."""
        if self._sequence < 0:
            return frame.type != "snapshot"
        return frame.sequence > self._sequence + 1

    def _row(self, row: ExecutionRow) -> tuple[list[Event], list[Action]]:
        known = self._known(row)
        if known is None:
            self._stats.foreign_rows += 1
            return [], []
        reader = self._readers.get(row.exec_type)
        if reader is None:
            self._stats.unknown_messages += 1
            return [], []
        return reader(known, row)

    def _known(self, row: ExecutionRow) -> _KnownOrder | None:
        """Return what is known of the row's order, or None when it is not ours."""
        known = self._orders.get(row.order_id)
        if known is None:
            if row.cl_ord_id is UNSET or parse_client_order_id(row.cl_ord_id) is None:
                return None
            known = self._orders[row.order_id] = _KnownOrder(ClientOrderId(row.cl_ord_id))
            if len(self._orders) > ORDERS_MAX:
                self._orders.popitem(last=False)
        known.symbol = known.symbol if row.symbol is UNSET else row.symbol
        known.side = known.side if row.side is UNSET else row.side
        return known

    def _accepted(self, known: _KnownOrder, row: ExecutionRow) -> tuple[list[Event], list[Action]]:
        if row.order_status in ("filled", "canceled", "expired"):  # said in passing: not taken for an end, but asked
            return [], [_fetch(known, row)]
        return [OrderAccepted(client_order_id=known.client_order_id, venue_order_id=VenueOrderId(row.order_id))], []

    def _traded(self, known: _KnownOrder, row: ExecutionRow) -> tuple[list[Event], list[Action]]:
        base, _, quote = known.symbol.partition("/")
        if not (base and quote and known.side):
            raise MalformedFrame("trade of an order without symbol or side")
        if row.exec_id is UNSET or not row.exec_id or row.liquidity_ind is UNSET or row.fees is UNSET:
            raise MalformedFrame("trade without exec_id, liquidity_ind or fees")
        fees: dict[str, Decimal] = {}
        for fee in row.fees:
            fees[fee.asset] = fees.get(fee.asset, ZERO) + plain_decimal(text_of(fee.qty))
        qty = positive_decimal(_number(row.last_qty, "last_qty"))
        price = positive_decimal(_number(row.last_price, "last_price"))
        venue_ts_ns = 0 if row.timestamp is UNSET else timestamp_ns(row.timestamp)
        if len(fees) > 1:  # one Fill carries one fee: REST tells how the venue books it
            return [], [_fetch(known, row)]
        asset, charged = next(iter(fees.items()), (quote, ZERO))
        if row.exec_id not in known.exec_ids:
            known.exec_ids.add(row.exec_id)
            known.filled += qty
        fill = Fill(
            venue=self._venue,
            instrument=instrument_id(known.symbol, self._venue),
            base=Asset(base),
            quote=Asset(quote),
            client_order_id=known.client_order_id,
            venue_order_id=VenueOrderId(row.order_id),
            trade_id=TradeId(row.exec_id),
            side=Side(known.side),
            qty=qty,
            price=price,
            fee=Amount(charged, Asset(asset)),
            liquidity=Liquidity.TAKER if row.liquidity_ind == "t" else Liquidity.MAKER,
            venue_ts_ns=venue_ts_ns,
        )
        return [OrderFilled(fill=fill)], []

    def _ended(self, known: _KnownOrder, row: ExecutionRow) -> tuple[list[Event], list[Action]]:
        """Read the end of an order. `filled` needs no event, the fills say it; missing fills are asked for."""
        filled_qty = quantity(_number(row.cum_qty, "cum_qty"))
        reason = clip(row.reason or row.cancel_reason or "")
        name = known.client_order_id
        events: dict[str, list[Event]] = {
            "filled": [],
            "canceled": [OrderCanceled(client_order_id=name, filled_qty=filled_qty, reason=reason)],
            "expired": [OrderExpired(client_order_id=name, filled_qty=filled_qty, reason=reason)],
        }
        return events[row.exec_type], [_fetch(known, row)] if filled_qty > known.filled else []


def _answer(frame: bytes, head: Head | None, stats: StreamStats) -> Decoded:
    """Read an acknowledgement, a refusal or a pong; count anything else."""
    answer = None
    if head is not None and (head.method or head.error):
        try:
            answer = parsed(frame, _ANSWER)
        except MalformedFrame:  # of a request we did not make: a missing acknowledgement is found by its timeout
            stats.parse_errors += 1
    if answer is None:
        stats.unknown_messages += 1
        return NOTHING
    if answer.error or answer.success is False:
        stats.refusals += 1
        if answer.method == "unsubscribe":  # was not subscribed: what we wanted
            return NOTHING
        refused = SubscriptionRefused(detail=clip(answer.error or "refused"), symbol=answer.symbol or "")
        return Decoded(actions=(refused,))
    if answer.method == "subscribe" and answer.result is not UNSET:
        symbol = answer.result.symbol or ""
        return Decoded(actions=(Subscribed(channel=answer.result.channel, symbol=symbol),))
    if answer.method not in ("pong", "unsubscribe"):
        stats.unknown_messages += 1
    return NOTHING


def _levels(levels: Sequence[BookLevel], instrument: Instrument) -> Levels:
    cap_rows(levels, LEVELS_MAX)
    return level_array(((text_of(level.price), text_of(level.qty)) for level in levels), instrument)


def _number(raw: Raw | UnsetType, key: str) -> str:
    if raw is UNSET:
        raise MalformedFrame(f"{key} is missing")
    return text_of(raw)


def _fetch(known: _KnownOrder, row: ExecutionRow) -> FetchFills:
    return FetchFills(client_order_id=known.client_order_id, venue_order_id=VenueOrderId(row.order_id))
