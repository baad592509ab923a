"""Any other exchange's streams through ccxt.pro: books copied into compiled books, orders as a reason to ask REST.

ccxt.pro ends a socket's receive loop silently when a message handler raises, keeps stale books readable, and dials again
only when somebody watches. Against that: `guard` makes every failure of a handler the failure of the connection; our own
watchdog counts the age of the last message; one task per stream lives as long as the connection; and when any part of a
connection fails, all of it is closed, its books are dropped, and the next dial waits a jittered, growing time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn

import ccxt.async_support as ccxt
import numpy as np

from arbot.domain.errors import ArbotError, InvariantBroken, VenueError
from arbot.domain.events import BookFault, BookInvalidated, Event, FeedConnected, FeedDisconnected, Stream
from arbot.domain.ids import VenueOrderId
from arbot.domain.instrument import Instrument
from arbot.market.books import INT_MAX, Books, Levels
from arbot.ports import VenueConfig
from arbot.venues.ccxt_venue import CcxtGateway, make_client
from arbot.venues.codec import FIRST, DropReason, FetchFills, ResyncReason, StreamStats, clip
from arbot.venues.feed import FeedPorts

BACKOFF_S_MIN = 0.25
BACKOFF_S_MAX = 30.0
BEAT_S = 5.0
SNAPSHOT_S_MAX = 30.0  # some exchanges only send differences, and ccxt takes a while to fetch what they differ from
OFF_GRID_MAX = 1e-6  # of one integer step: above the rounding of a float, below any further digit a venue would send
ORDER_ENDS = frozenset({"closed", "canceled", "expired", "rejected"})


class BookBroken(ArbotError):
    """A book as ccxt keeps it cannot be right."""

    def __init__(self, instrument: Instrument, fault: BookFault, detail: str) -> None:
        super().__init__(f"{instrument.id}: {detail}")
        self.instrument = instrument
        self.fault = fault
        self.detail = detail


class _Dropped(Exception):
    """One connection is over."""

    def __init__(self, reason: DropReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


def weigh(exchange: Any, on_bytes: Callable[[int], None]) -> None:
    """Tell `on_bytes` the size of what each websocket message carries, as it comes from the socket."""
    client_of, known = exchange.client, set()

    def client(url: str) -> Any:
        made = client_of(url)
        if id(made) not in known:
            known.add(id(made))
            handle = made.handle_message

            def weighed(message: Any) -> None:
                on_bytes(len(message.data) if isinstance(message.data, str | bytes) else 0)
                handle(message)

            made.handle_message = weighed
        return made

    exchange.client = client


def guard(exchange: Any, on_message: Callable[[], None], on_unread: Callable[[], None] = lambda: None) -> None:
    """Make an exception in a message handler reject every waiter and drop the socket, instead of silence for ever.

    `on_message` is told of every message before it is handled, `on_unread` of one that could not be.

    Has to be called before the first `watch_...`, because the handler is bound when a socket is made.
    """
    handle = exchange.handle_message

    def guarded(client: Any, message: Any) -> None:
        on_message()
        try:
            handle(client, message)
        # whoever watches is told, and the stream is built anew
        except Exception as error:  # noqa: BLE001
            on_unread()
            client.on_error(ccxt.NetworkError(f"message handler: {type(error).__name__}: {error}"))

    exchange.handle_message = guarded


class CcxtFeed:
    """The market stream of an exchange and, with a gateway, its account stream. Implements ports.Feed."""

    def __init__(
        self,
        config: VenueConfig,
        instruments: Sequence[Instrument],
        books: Books,
        ports: FeedPorts,
        gateway: CcxtGateway | None,
    ) -> None:
        self.venue = config.venue
        self.stats: Mapping[Stream, StreamStats] = {Stream.MARKET: StreamStats()}
        self._config = config
        self._instruments = {one.id: one for one in instruments}
        self._books = books
        self._ports = ports
        self._gateway = gateway
        self._resyncing: set[str] = set()
        self._lost_by: dict[Stream, str] = {}  # how the last connection of each stream ended
        if gateway is not None:
            self.stats = {**self.stats, Stream.ACCOUNT: StreamStats()}

    async def run(self) -> None:
        """Keep both streams up for ever; ends only by cancellation, or by a bug behind the sink."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(Stream.MARKET, self._follow_market))
            if self._gateway is not None:
                tasks.create_task(self._keep(Stream.ACCOUNT, self._follow_account))

    def resync(self, instrument: str) -> None:
        """Build one book anew. ccxt offers no way to do that for one alone: the market connection is renewed."""
        self._resyncing.add(instrument)

    # --- one connection after the other ------------------------------------------------------------------------------

    async def _keep(self, stream: Stream, follow: Callable[[Any, asyncio.TaskGroup], None]) -> NoReturn:
        stats, clock, attempt = self.stats[stream], self._ports.clock, 0
        while True:
            started_ns = clock.now_ns()
            connects = stats.connects
            self._ports.beat(stream, 0)
            dropped = await self._live_once(stream, follow)
            if stats.connects > connects:
                self._lost_by[stream] = dropped.reason
            stats.drops[dropped.reason] = stats.drops.get(dropped.reason, 0) + 1
            was_stable = clock.now_ns() - started_ns > BACKOFF_S_MAX * 1e9
            attempt = 0 if was_stable else min(attempt + 1, 16)
            events: list[Event] = []
            if stream is Stream.MARKET:
                events += self._drop_books()
            self._ports.sink.submit(
                [*events, FeedDisconnected(venue=self.venue, stream=stream, reason=str(dropped)[:200])]
            )
            pause_s = min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2**attempt)
            self._ports.beat(stream, pause_s)
            await clock.sleep(pause_s * self._ports.chance.uniform(0.5, 1.0))

    async def _live_once(self, stream: Stream, follow: Callable[[Any, asyncio.TaskGroup], None]) -> _Dropped:
        """Make an instance, watch everything, and return what ended it."""
        stats = self.stats[stream]
        is_market = stream is Stream.MARKET
        # books are sorted by ccxt and need its floats; whatever is about money comes as text
        exchange = make_client(self._config, None) if is_market else self._private_client()
        connects = stats.connects

        def heard() -> None:
            if stats.connects == connects:  # ccxt dials by itself: the first message is the sign that it has
                self._count_connected(stream, stats)
            stats.frames += 1
            stats.last_alive_ns = self._ports.clock.now_ns()

        def unread() -> None:
            stats.parse_errors += 1

        def weighed(size: int) -> None:
            stats.bytes += size

        guard(exchange, heard, unread)
        weigh(exchange, weighed)
        stats.last_alive_ns = self._ports.clock.now_ns()
        dropped = _Dropped(DropReason.CLOSED)
        try:
            async with asyncio.TaskGroup() as tasks:
                follow(exchange, tasks)
        except* (InvariantBroken, AssertionError):
            raise
        except* _Dropped as group:
            dropped = _sole(group, _Dropped)
        except* BookBroken as group:
            broken = _sole(group, BookBroken)
            self._invalidate(broken)
            dropped = _Dropped(DropReason.MALFORMED, str(broken))
        except* (ccxt.BaseError, VenueError, OSError, TimeoutError) as group:
            cause = _sole(group, Exception)
            dropped = _Dropped(DropReason.CLOSED, f"{type(cause).__name__} {clip(cause)}")
        finally:
            await exchange.close()
        return dropped

    def _private_client(self) -> Any:
        gateway = self._gateway
        if gateway is None:
            raise InvariantBroken("an account stream without a gateway")
        return gateway.make_stream_client()

    def _count_connected(self, stream: Stream, stats: StreamStats) -> None:
        """Count a connection by how the one before was lost, and the books that have to be built anew for it."""
        lost_by = self._lost_by.get(stream, FIRST)
        stats.connected(lost_by)
        if stream is Stream.MARKET and lost_by != FIRST:
            reason = ResyncReason.STALE if lost_by == DropReason.REFUSED else ResyncReason.RECONNECT
            stats.rebuilt(reason, len(self._instruments))

    # --- market ------------------------------------------------------------------------------------------------------

    def _follow_market(self, exchange: Any, tasks: asyncio.TaskGroup) -> None:
        built: set[str] = set()
        self._resyncing.clear()
        for instrument in self._instruments.values():
            tasks.create_task(self._follow_book(exchange, instrument, built))
        tasks.create_task(self._watch_age(built))

    async def _follow_book(self, exchange: Any, instrument: Instrument, built: set[str]) -> NoReturn:
        index = self._books.index(instrument.id)
        depth = self._config.book_depth
        while True:
            book = await _watched(exchange.watch_order_book(instrument.symbol))
            recv_ts_ns = self._ports.clock.now_ns()
            bids, asks = (levels_of(book[side][:depth], instrument) for side in ("bids", "asks"))
            check_order(instrument, bids, asks)
            venue_ts_ns = int(book.get("timestamp") or 0) * 1_000_000
            self._books.apply_snapshot(index, bids, asks, venue_ts_ns, recv_ts_ns)
            if not self._books.validate(index) and len(bids) and len(asks):
                raise BookBroken(instrument, BookFault.CROSSED, "crossed")
            if instrument.id not in built:
                built.add(instrument.id)
                if len(built) == len(self._instruments):
                    self._ports.sink.submit((FeedConnected(venue=self.venue, stream=Stream.MARKET),))
            self._ports.sink.book_moved(index)

    async def _watch_age(self, built: set[str]) -> NoReturn:
        """End the connection when it is silent, when a book never comes, or when somebody wants a book anew."""
        clock, stats = self._ports.clock, self.stats[Stream.MARKET]
        age_s_max = self._config.frame_age_ms_max / 1000
        started_ns = clock.now_ns()
        while True:
            self._ports.beat(Stream.MARKET, age_s_max / 4)
            await clock.sleep(age_s_max / 4)
            now_ns = clock.now_ns()
            if self._resyncing:
                raise _Dropped(DropReason.REFUSED, f"asked to build {', '.join(sorted(self._resyncing))} anew")
            if (now_ns - stats.last_alive_ns) / 1e9 > age_s_max:
                raise _Dropped(DropReason.SILENT, f"no message for {age_s_max:g} s")
            if len(built) < len(self._instruments) and (now_ns - started_ns) / 1e9 > SNAPSHOT_S_MAX:
                missing = sorted(set(self._instruments) - built)
                raise _Dropped(DropReason.ACK_TIMEOUT, f"no book of {', '.join(missing)}")

    def _drop_books(self) -> list[Event]:
        events: list[Event] = []
        for instrument in self._instruments.values():
            index = self._books.index(instrument.id)
            if self._books.is_synced(index):
                self._books.invalidate(index)
                events.append(BookInvalidated(instrument=instrument.id, fault=BookFault.DISCONNECTED))
        return events

    def _invalidate(self, broken: BookBroken) -> None:
        self._books.invalidate(self._books.index(broken.instrument.id))
        told = BookInvalidated(instrument=broken.instrument.id, fault=broken.fault, detail=broken.detail)
        self._ports.sink.submit((told,))

    # --- account -----------------------------------------------------------------------------------------------------

    def _follow_account(self, exchange: Any, tasks: asyncio.TaskGroup) -> None:
        tasks.create_task(self._announce_account())
        tasks.create_task(self._beat())
        for instrument in self._instruments.values():
            tasks.create_task(self._follow_orders(exchange, instrument))

    async def _beat(self) -> NoReturn:
        while True:
            self._ports.beat(Stream.ACCOUNT, BEAT_S)
            await self._ports.clock.sleep(BEAT_S)

    async def _announce_account(self) -> None:
        await self._ports.on_account_reconnected()
        self._ports.sink.submit((FeedConnected(venue=self.venue, stream=Stream.ACCOUNT),))

    async def _follow_orders(self, exchange: Any, instrument: Instrument) -> None:
        """Ask REST about every order of ours that a stream says has ended or traded; REST alone books fills.

        An exchange without such a stream is covered by polling alone.
        """
        if exchange.has.get("watchOrders") is True:
            while True:
                for order in await _watched(exchange.watch_orders(instrument.symbol)):
                    if order.get("status") in ORDER_ENDS and order.get("id"):
                        await self._ask_after(str(order["id"]), instrument)
        elif exchange.has.get("watchMyTrades") is True:
            while True:
                for trade in await _watched(exchange.watch_my_trades(instrument.symbol)):
                    if trade.get("order"):
                        await self._ask_after(str(trade["order"]), instrument)
        else:
            await asyncio.Event().wait()

    async def _ask_after(self, order_id: str, instrument: Instrument) -> None:
        if self._gateway is None:
            return
        name = await self._gateway.client_id_of(order_id, instrument.symbol)
        if name is not None:
            self._ports.fetch_fills(FetchFills(client_order_id=name, venue_order_id=VenueOrderId(order_id)))


def levels_of(rows: Sequence[Sequence[float]], instrument: Instrument) -> Levels:
    """Return ccxt's levels as integers at the instrument's decimals. Raises: BookBroken when one is off the grid."""
    if not rows:
        return np.empty((0, 2), np.int64)
    try:
        told = np.array([row[:2] for row in rows], np.float64)
    except (TypeError, ValueError) as error:
        raise BookBroken(instrument, BookFault.MALFORMED, f"unreadable level: {error}") from error
    if told.shape != (len(rows), 2) or not np.isfinite(told).all():
        raise BookBroken(instrument, BookFault.MALFORMED, "a level is not two numbers")
    exact = told * np.array([10.0**instrument.price_decimals, 10.0**instrument.qty_decimals])
    whole = np.rint(exact)
    if (whole <= 0).any() or (whole >= INT_MAX).any():
        raise BookBroken(instrument, BookFault.MALFORMED, "a level is out of range")
    # beyond 2**53 a float cannot hold a single unit, so the tolerance grows with the number
    if (np.abs(exact - whole) > np.maximum(OFF_GRID_MAX, exact * 1e-15)).any():
        raise BookBroken(instrument, BookFault.MALFORMED, "a level is finer than the instrument's decimals")
    levels: Levels = whole.astype(np.int64)
    return levels


def check_order(instrument: Instrument, bids: Levels, asks: Levels) -> None:
    """Raise BookBroken unless bids strictly fall and asks strictly rise from the best."""
    if (np.diff(bids[:, 0]) >= 0).any() or (np.diff(asks[:, 0]) <= 0).any():
        raise BookBroken(instrument, BookFault.MALFORMED, "levels out of order")


async def _watched(watch: Awaitable[Any]) -> Any:
    """Return what ccxt.pro says next; whatever goes wrong inside it is the end of the connection, not of the daemon."""
    try:
        return await watch
    except Exception as error:  # the session that keeps the stream up is told
        raise _Dropped(DropReason.CLOSED, f"{type(error).__name__} {clip(error)}") from error


def _sole(group: BaseExceptionGroup[Any], kind: type[Any]) -> Any:
    """Return the first exception of a kind inside a group."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return _sole(error, kind)
        if isinstance(error, kind):
            return error
    raise InvariantBroken("an exception group without the exception it was caught for")
