"""One websocket connection that is kept up for ever; both venues use it, for market data and for the account.

Rules of the file: from socket to sink is a plain call (receive, stamp, decode, submit), no queue between. Whatever
goes wrong on a connection ends as one DropReason, the books of the stream are invalidated in the same step, and the
next dial waits for a jittered, growing delay and for the dial budget. Only cancellation and our own bugs end `run`.
Certificates are verified, redirects refused, environment proxies and compression not used.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NoReturn, Protocol

import aiohttp
import msgspec

from arbot.domain.errors import VenueError
from arbot.domain.events import BookFault, BookInvalidated, Event, FeedConnected, FeedDisconnected, Stream
from arbot.domain.ids import InstrumentId, VenueId
from arbot.ports import Clock, EventSink, VenueConfig
from arbot.venues.codec import (
    FIRST,
    FRAME_BYTES_MAX,
    Codec,
    DropReason,
    FetchFills,
    Reconnect,
    Resync,
    ResyncReason,
    StreamStats,
    Subscribed,
    SubscriptionRefused,
    clip,
)

Tee = Callable[[Stream, bytes, int], None]
"""Sees every raw frame with its receive time before it is decoded: the recorder's hook."""

Beat = Callable[[float], None]
"""Takes a sign of life of a stream's own loop, with how many seconds it may be silent from now on of its own accord."""

NS_PER_S = 1_000_000_000
RETRY_AFTER_S_MAX = 300  # a venue may ask for a pause, not for our silence


class SessionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Waits and budgets of one connection, in seconds.

    `stable_s`: a connection that lived this long starts the back-off anew. `dials_max` per `dials_window_s` is what we
    allow ourselves under any fault; Kraken bans an address at about 150 dials in ten minutes.
    """

    connect_timeout_s: float = 5.0
    ack_timeout_s: float = 5.0
    frame_age_s_max: float = 5.0
    ping_interval_s: float = 15.0
    backoff_s_min: float = 0.25
    backoff_s_max: float = 30.0
    stable_s: float = 10.0
    dials_max: int = 60
    dials_window_s: float = 600.0
    refused_retry_s: float = 30.0


def policy_of(config: VenueConfig) -> SessionPolicy:
    """Return the policy with the timeouts of a configured venue."""
    timeout_s = config.request_timeout_ms / 1000
    return SessionPolicy(
        connect_timeout_s=timeout_s, ack_timeout_s=timeout_s, frame_age_s_max=config.frame_age_ms_max / 1000
    )


class Dialect(Protocol):
    """What a session has to know of a venue's protocol: what to say, and who understands the answers."""

    @property
    def codec(self) -> Codec:
        """Return the reader of this connection's frames."""
        ...

    async def opening(self) -> Sequence[bytes]:
        """Return the requests that subscribe to everything, with fresh credentials. Raises: VenueError."""
        ...

    def awaited(self) -> frozenset[tuple[str, str]]:
        """Return the (channel, symbol) pairs the venue has to confirm after the opening."""
        ...

    def instrument_of(self, symbol: str) -> InstrumentId | None:
        """Return the instrument of a wire symbol, or None when we do not follow it."""
        ...

    def unbuilt(self) -> tuple[InstrumentId, ...]:
        """Return the instruments whose books have no snapshot yet."""
        ...

    def rebuilding(self, instrument: InstrumentId) -> Sequence[bytes]:
        """Drop one book and return the requests that bring its snapshot again."""
        ...

    def ping(self) -> bytes:
        """Return the application's ping, or nothing when the protocol has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What one stream of one venue is connected to.

    `on_connected` is awaited after the subscriptions are confirmed and before FeedConnected is told; when it raises
    VenueError the connection is given up and tried again. `fetch_fills` must not block.
    """

    venue: VenueId
    stream: Stream
    url: str
    dialect: Dialect
    sink: EventSink
    clock: Clock
    chance: Random
    stats: StreamStats
    policy: SessionPolicy
    on_connected: Callable[[], Awaitable[None]] | None = None
    fetch_fills: Callable[[FetchFills], None] | None = None
    tee: Tee | None = None
    beat: Beat = lambda _quiet_s: None


class Session:
    """Keeps one stream of one venue connected and passes on what it says."""

    def __init__(self, wiring: Wiring) -> None:
        """Describe the session; nothing is dialled before `run`."""
        self.wiring = wiring
        self._dials: deque[int] = deque()
        self._attempt = 0
        self._retry_after_s = 0.0
        self._was_told_down = False
        self._connection: _Connection | None = None
        self._lost_by: str = FIRST  # how the last connection ended; a dial that failed was none

    async def run(self) -> None:
        """Stay connected for ever. Ends by cancellation only; bugs of the sink pass through."""
        connector = aiohttp.TCPConnector(limit=1, force_close=True)
        async with aiohttp.ClientSession(connector=connector, middlewares=(_refuse_redirects,)) as http:
            while True:
                await self._await_budget()
                self.wiring.beat(self.wiring.policy.connect_timeout_s)
                await self._live_once(http)
                await self._rest(self._next_delay_s())

    def resync(self, instrument: InstrumentId) -> None:
        """Ask for one book anew; without a connection there is nothing to do, since the next one builds them all."""
        if self._connection is not None:
            self._connection.rebuild(instrument, ResyncReason.STALE)

    async def _rest(self, seconds: float) -> None:
        self.wiring.beat(seconds)
        await self.wiring.clock.sleep(seconds)

    async def _live_once(self, http: aiohttp.ClientSession) -> None:
        """Dial, subscribe and read until something ends it, and tell what that was."""
        try:
            requests = await self.wiring.dialect.opening()
            socket = await self._dial(http)
        except VenueError as error:
            self._fall(_Dropped(DropReason.CONNECT_FAILED, clip(error)))
            return
        except _Dropped as dropped:
            self._fall(dropped)
            return
        self._count_connected()
        started_ns = self.wiring.clock.now_ns()
        try:
            dropped = await self._serve(socket, requests)
            self._lost_by = dropped.reason
            self._fall(dropped)  # before the goodbye, which may take its time
        finally:
            self._connection = None
            await socket.close()
        if self.wiring.clock.now_ns() - started_ns >= self.wiring.policy.stable_s * NS_PER_S:
            self._attempt = 0

    def _count_connected(self) -> None:
        """Count a connection by how the one before was lost, and the books that have to be built anew for it."""
        stats, lost_by = self.wiring.stats, self._lost_by
        stats.connected(lost_by)
        if lost_by != FIRST:
            reason = ResyncReason.GAP if lost_by == DropReason.SEQUENCE_GAP else ResyncReason.RECONNECT
            stats.rebuilt(reason, len(self.wiring.dialect.unbuilt()))

    async def _dial(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse[bool]:
        """Return an open socket. Raises: _Dropped."""
        self._retry_after_s = 0.0
        try:
            async with asyncio.timeout(self.wiring.policy.connect_timeout_s):
                return await http.ws_connect(
                    self.wiring.url,
                    max_msg_size=FRAME_BYTES_MAX,
                    decode_text=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=0.5),
                )
        except aiohttp.WSServerHandshakeError as error:
            self._retry_after_s = _retry_after_s(error)
            raise _Dropped(DropReason.CONNECT_FAILED, f"status {error.status}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            detail = f"{type(error).__name__} {clip(error)}".strip()
            raise _Dropped(DropReason.CONNECT_FAILED, detail) from error

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse[bool], requests: Sequence[bytes]) -> _Dropped:
        """Run everything that belongs to one open socket until the first of it gives up."""
        dropped = _Dropped(DropReason.CLOSED)
        try:
            async with asyncio.TaskGroup() as tasks:
                connection = _Connection(self.wiring, socket, tasks, self._tell_up)
                self._connection = connection
                for work in (connection.read, connection.watch, connection.check_acks, connection.announce):
                    tasks.create_task(work())
                if self.wiring.dialect.ping():
                    tasks.create_task(connection.ping())
                for request in requests:
                    await connection.send(request)
        except* _Dropped as group:
            dropped = _first(group)
        return dropped

    def _fall(self, dropped: _Dropped) -> None:
        """Invalidate what the lost connection carried and say so, once."""
        drops = self.wiring.stats.drops
        drops[dropped.reason] = drops.get(dropped.reason, 0) + 1
        events: list[Event] = [
            BookInvalidated(instrument=instrument, fault=BookFault.DISCONNECTED, detail=dropped.reason)
            for instrument in self.wiring.dialect.codec.reset()
        ]
        if not self._was_told_down:
            self._was_told_down = True
            events.append(FeedDisconnected(venue=self.wiring.venue, stream=self.wiring.stream, reason=str(dropped)))
        if events:
            self.wiring.sink.submit(events)

    def _tell_up(self) -> None:
        self._was_told_down = False
        self.wiring.sink.submit((FeedConnected(venue=self.wiring.venue, stream=self.wiring.stream),))

    def _next_delay_s(self) -> float:
        """Return the wait before the next dial: doubled each time, cut at the cap, between half and all of it."""
        policy = self.wiring.policy
        whole_s = min(policy.backoff_s_max, policy.backoff_s_min * (1 << self._attempt))
        self._attempt = min(self._attempt + 1, 32)
        return max(self._retry_after_s, whole_s * self.wiring.chance.uniform(0.5, 1.0))

    async def _await_budget(self) -> None:
        """Wait until the window of the dial budget has room, and take a place in it."""
        window_ns = int(self.wiring.policy.dials_window_s * NS_PER_S)
        now_ns = self.wiring.clock.now_ns()
        if len(self._dials) >= self.wiring.policy.dials_max:
            free_ns = self._dials.popleft() + window_ns
            if free_ns > now_ns:
                await self._rest((free_ns - now_ns) / NS_PER_S)
        self._dials.append(self.wiring.clock.now_ns())


class _Dropped(Exception):
    """One connection is over."""

    def __init__(self, reason: DropReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


class _Connection:
    """What lives exactly as long as one open socket."""

    def __init__(
        self,
        wiring: Wiring,
        socket: aiohttp.ClientWebSocketResponse[bool],
        tasks: asyncio.TaskGroup,
        tell_up: Callable[[], None],
    ) -> None:
        self._wiring = wiring
        self._socket = socket
        self._tasks = tasks
        self._tell_up = tell_up
        self._clock = wiring.clock
        self._dialect = wiring.dialect
        self._policy = wiring.policy
        self._stats = wiring.stats
        self._awaited = set(self._dialect.awaited())
        self._acked = asyncio.Event()
        self._rebuilding: set[InstrumentId] = set()
        self._started_ns = self._clock.now_ns()
        self._actions: dict[type, Callable[..., None]] = {
            Subscribed: self._on_subscribed,
            SubscriptionRefused: self._on_refused,
            Resync: self._on_resync,
            Reconnect: self._on_reconnect,
            FetchFills: self._on_fetch_fills,
        }

    async def send(self, request: bytes) -> None:
        """Send one request. A dying socket is noticed by the reader."""
        try:
            await self._socket.send_frame(request, aiohttp.WSMsgType.TEXT)
        except (aiohttp.ClientError, OSError) as error:
            raise _Dropped(DropReason.CLOSED, f"send: {clip(error)}") from error

    async def read(self) -> NoReturn:
        """Take frame after frame until the socket ends."""
        receive, take = self._socket.receive, self._take
        data = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        while True:
            message = await receive()
            if message.type in data:
                take(message.data)
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise _Dropped(DropReason.MALFORMED, clip(message.data))
            else:
                raise _Dropped(DropReason.CLOSED, f"code {self._socket.close_code}")

    def _take(self, frame: bytes) -> None:
        wiring = self._wiring
        recv_ts_ns = self._clock.now_ns()
        if wiring.tee is not None:
            wiring.tee(wiring.stream, frame, recv_ts_ns)
        decoded = wiring.dialect.codec.decode(frame, recv_ts_ns)
        if decoded.is_alive:
            self._stats.last_alive_ns = recv_ts_ns
        if decoded.events:
            wiring.sink.submit(decoded.events)
        for book in decoded.moved:
            wiring.sink.book_moved(book)
        for action in decoded.actions:
            self._actions[type(action)](action)

    async def watch(self) -> NoReturn:
        """Give the connection up when the venue's own stream has been silent for too long."""
        limit_s = self._policy.frame_age_s_max
        while True:
            self._wiring.beat(limit_s / 4)
            await self._clock.sleep(limit_s / 4)
            since_ns = max(self._stats.last_alive_ns, self._started_ns)
            if self._clock.now_ns() - since_ns > limit_s * NS_PER_S:
                raise _Dropped(DropReason.SILENT, f"no data or heartbeat for {limit_s:g} s")

    async def check_acks(self) -> None:
        """Give the connection up when a subscription stays unanswered; rebuild books whose snapshot never came."""
        self._check_all_acked()
        await self._clock.sleep(self._policy.ack_timeout_s)
        if self._awaited:
            missing = ", ".join(sorted(" ".join(pair).strip() for pair in self._awaited))
            raise _Dropped(DropReason.ACK_TIMEOUT, clip(missing))
        for instrument in self._dialect.unbuilt():
            self.rebuild(instrument, ResyncReason.MISSING)

    async def announce(self) -> None:
        """Once all is confirmed: let the runtime catch up by REST, then say that the stream is up."""
        await self._acked.wait()
        on_connected = self._wiring.on_connected
        if on_connected is not None:
            try:
                await on_connected()
            except VenueError as error:
                raise _Dropped(DropReason.CONNECT_FAILED, f"catching up: {clip(error)}") from error
        self._tell_up()

    async def ping(self) -> NoReturn:
        """Keep the venue from closing a quiet connection."""
        while True:
            await self._clock.sleep(self._policy.ping_interval_s)
            await self.send(self._dialect.ping())

    def rebuild(self, instrument: InstrumentId, reason: ResyncReason, delay_s: float = 0.0) -> None:
        """Have one book built anew, unless that is under way."""
        if instrument not in self._rebuilding:
            self._rebuilding.add(instrument)
            self._tasks.create_task(self._rebuild(instrument, reason, delay_s))

    async def _rebuild(self, instrument: InstrumentId, reason: ResyncReason, delay_s: float) -> None:
        """Ask until the snapshot is there: a book costs the venue at most one request per acknowledgement timeout."""
        try:
            while True:
                await self._clock.sleep(delay_s)
                if delay_s and instrument not in self._dialect.unbuilt():  # it came by itself meanwhile
                    return
                self._stats.resyncs += 1
                self._stats.rebuilt(reason, 1)
                for request in self._dialect.rebuilding(instrument):
                    await self.send(request)
                await self._clock.sleep(self._policy.ack_timeout_s)
                if instrument not in self._dialect.unbuilt():
                    return
                delay_s = self._policy.refused_retry_s * self._wiring.chance.uniform(0.5, 1.0)
                reason = ResyncReason.MISSING
        finally:
            self._rebuilding.discard(instrument)

    # --- what a codec may wish ---------------------------------------------------------------------------------------

    def _on_subscribed(self, action: Subscribed) -> None:
        self._awaited.discard((action.channel, action.symbol))
        self._check_all_acked()

    def _on_refused(self, action: SubscriptionRefused) -> None:
        """Give up the symbol that was refused; when it is not named, and some are awaited, the connection."""
        instrument = self._dialect.instrument_of(action.symbol)
        if instrument is not None:
            self._awaited = {pair for pair in self._awaited if pair[1] != action.symbol}
            event = BookInvalidated(instrument=instrument, fault=BookFault.REFUSED, detail=action.detail)
            self._wiring.sink.submit((event,))
            self.rebuild(instrument, ResyncReason.REFUSED, self._policy.refused_retry_s)
            self._check_all_acked()
        elif self._awaited:
            raise _Dropped(DropReason.REFUSED, action.detail)

    def _on_resync(self, action: Resync) -> None:
        self.rebuild(action.instrument, action.reason)

    def _on_reconnect(self, action: Reconnect) -> None:
        raise _Dropped(action.reason, action.detail)

    def _on_fetch_fills(self, action: FetchFills) -> None:
        if self._wiring.fetch_fills is not None:
            self._wiring.fetch_fills(action)

    def _check_all_acked(self) -> None:
        if not self._awaited:
            self._acked.set()


def _first(group: BaseExceptionGroup[_Dropped]) -> _Dropped:
    """Return the first cause in a group, however deep."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner if isinstance(inner, _Dropped) else _Dropped(DropReason.CLOSED)


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
) -> aiohttp.ClientResponse:
    """Fail on a redirect: a venue's address is what was configured, and a token must not wander."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise aiohttp.ClientConnectionError(f"redirect refused, status {response.status}")
    return response


def _retry_after_s(error: aiohttp.WSServerHandshakeError) -> float:
    """Return how long the venue asks us to stay away, in whole seconds, or 0."""
    text = error.headers.get("Retry-After", "") if error.headers else ""
    return min(int(text), RETRY_AFTER_S_MAX) if text.isascii() and text.isdigit() else 0
