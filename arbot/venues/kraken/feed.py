"""Kraken's streams: `book` (and `trade`) on the public host, `executions` on the private one.

Sources: docs.kraken.com spot-websocket-v2 and "websocket token", read 2026-11. The token is fetched anew for every
connection: it has to be used within 15 minutes and then lives as long as the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from arbot.domain.events import Stream
from arbot.domain.ids import InstrumentId
from arbot.domain.instrument import Instrument
from arbot.market.books import Books
from arbot.ports import VenueConfig
from arbot.venues.codec import StreamStats
from arbot.venues.feed import FeedPorts, VenueFeed
from arbot.venues.kraken.codec import KrakenAccountCodec, KrakenMarketCodec
from arbot.venues.kraken.wire import (
    BOOK_DEPTHS,
    WS_PRIVATE_URL,
    WS_PUBLIC_URL,
    Method,
    PingRequest,
    SubscribeParams,
    SubscribeRequest,
)

_PING = msgspec.json.encode(PingRequest(method="ping"))


def book_depth(config: VenueConfig) -> int:
    """Return the depth to subscribe to and to keep: the smallest the venue offers that holds what was configured."""
    return next((depth for depth in BOOK_DEPTHS if depth >= config.book_depth), BOOK_DEPTHS[-1])


class KrakenFeed(VenueFeed):
    """Kraken's market and account streams."""

    def __init__(
        self,
        config: VenueConfig,
        instruments: Sequence[Instrument],
        books: Books,
        ports: FeedPorts,
        *,
        ws_token: Callable[[], Awaitable[str]] | None,
        with_trades: bool = False,
    ) -> None:
        """Follow `instruments`, whose books are in `books` at `book_depth(config)`.

        `ws_token` fetches a token by REST; without it (paper) there is no account stream. `with_trades` adds trade prints.
        """
        super().__init__(config, ports)
        stats = StreamStats()
        market = _Market(KrakenMarketCodec(instruments, books, stats), book_depth(config), with_trades=with_trades)
        self._add(Stream.MARKET, config.ws_public_url or WS_PUBLIC_URL, market, stats)
        if ws_token is not None:
            stats = StreamStats()
            account = _Account(KrakenAccountCodec(config.venue, stats), ws_token)
            self._add(Stream.ACCOUNT, config.ws_private_url or WS_PRIVATE_URL, account, stats)


class _Market:
    """The public connection as a session sees it."""

    def __init__(self, codec: KrakenMarketCodec, depth: int, *, with_trades: bool) -> None:
        self.codec = codec
        self._followed = codec.followed
        self._depth = depth
        self._with_trades = with_trades

    async def opening(self) -> Sequence[bytes]:
        symbols = tuple(self._followed.by_symbol)
        requests = [self._book_request("subscribe", symbols)]
        if self._with_trades:
            params = SubscribeParams(channel="trade", symbol=symbols, snapshot=False)
            requests.append(msgspec.json.encode(SubscribeRequest(method="subscribe", params=params)))
        return requests

    def awaited(self) -> frozenset[tuple[str, str]]:
        channels = ("book", "trade") if self._with_trades else ("book",)
        return frozenset((channel, symbol) for channel in channels for symbol in self._followed.by_symbol)

    def instrument_of(self, symbol: str) -> InstrumentId | None:
        return self._followed.instrument_of(symbol)

    def unbuilt(self) -> tuple[InstrumentId, ...]:
        return self._followed.unbuilt()

    def rebuilding(self, instrument: InstrumentId) -> Sequence[bytes]:
        self._followed.drop(instrument)
        symbols = (self._followed.symbol_of(instrument),)
        return [self._book_request("unsubscribe", symbols), self._book_request("subscribe", symbols)]

    def ping(self) -> bytes:
        return _PING

    def _book_request(self, method: Method, symbols: tuple[str, ...]) -> bytes:
        params = SubscribeParams(channel="book", symbol=symbols, depth=self._depth)
        return msgspec.json.encode(SubscribeRequest(method=method, params=params))


class _Account:
    """The private connection as a session sees it. Old fills are left to REST, which knows where we stopped."""

    def __init__(self, codec: KrakenAccountCodec, ws_token: Callable[[], Awaitable[str]]) -> None:
        self.codec = codec
        self._ws_token = ws_token

    async def opening(self) -> Sequence[bytes]:
        params = SubscribeParams(
            channel="executions", token=await self._ws_token(), snap_orders=True, snap_trades=False, order_status=True
        )
        return [msgspec.json.encode(SubscribeRequest(method="subscribe", params=params))]

    def awaited(self) -> frozenset[tuple[str, str]]:
        return frozenset({("executions", "")})

    def instrument_of(self, _symbol: str) -> InstrumentId | None:
        return None

    def unbuilt(self) -> tuple[InstrumentId, ...]:
        return ()

    def rebuilding(self, _instrument: InstrumentId) -> Sequence[bytes]:
        return ()

    def ping(self) -> bytes:
        return _PING
