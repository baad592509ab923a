"""Coinbase's streams: `level2`, `heartbeats` (and `market_trades`) on the public host, `user` on the private one.

Sources: docs.cdp.coinbase.com advanced-trade websocket overview and channels, read 2026-11. One channel a message;
`heartbeats` keeps quiet channels open. A JWT lives 120 s and each authenticated message carries its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET

from arbot.domain.events import Stream
from arbot.domain.ids import InstrumentId
from arbot.domain.instrument import Instrument
from arbot.market.books import Books
from arbot.ports import VenueConfig
from arbot.venues.codec import StreamStats
from arbot.venues.coinbase.codec import CoinbaseAccountCodec, CoinbaseMarketCodec
from arbot.venues.coinbase.wire import WS_PRIVATE_URL, WS_PUBLIC_URL, SubscribeRequest
from arbot.venues.feed import FeedPorts, VenueFeed

BOOK_DEPTH = 0  # the venue streams whole books


class CoinbaseFeed(VenueFeed):
    """Coinbase's market and account streams."""

    def __init__(
        self,
        config: VenueConfig,
        instruments: Sequence[Instrument],
        books: Books,
        ports: FeedPorts,
        *,
        ws_jwt: Callable[[], str] | None,
        with_trades: bool = False,
    ) -> None:
        """Follow `instruments`, whose books are in `books` at `BOOK_DEPTH`.

        `ws_jwt` signs a token; without it (paper) there is no account stream. `with_trades` adds trade prints.
        """
        super().__init__(config, ports)
        stats = StreamStats()
        market = _Market(CoinbaseMarketCodec(instruments, books, stats), with_trades=with_trades)
        self._add(Stream.MARKET, config.ws_public_url or WS_PUBLIC_URL, market, stats)
        if ws_jwt is not None:
            stats = StreamStats()
            products = tuple(instrument.venue_symbol for instrument in instruments)
            account = _Account(CoinbaseAccountCodec(stats), products, ws_jwt)
            self._add(Stream.ACCOUNT, config.ws_private_url or WS_PRIVATE_URL, account, stats)


class _Market:
    """The public connection as a session sees it."""

    def __init__(self, codec: CoinbaseMarketCodec, *, with_trades: bool) -> None:
        self.codec = codec
        self._followed = codec.followed
        self._with_trades = with_trades

    async def opening(self) -> Sequence[bytes]:
        products = tuple(self._followed.by_symbol)
        channels = ("level2", "heartbeats", *(("market_trades",) if self._with_trades else ()))
        return [_request("subscribe", channel, products) for channel in channels]

    def awaited(self) -> frozenset[tuple[str, str]]:
        channels = ("level2", "market_trades") if self._with_trades else ("level2",)
        per_product = {(channel, product) for channel in channels for product in self._followed.by_symbol}
        return frozenset(per_product | {("heartbeats", "")})

    def instrument_of(self, symbol: str) -> InstrumentId | None:
        return self._followed.instrument_of(symbol)

    def unbuilt(self) -> tuple[InstrumentId, ...]:
        return self._followed.unbuilt()

    def rebuilding(self, instrument: InstrumentId) -> Sequence[bytes]:
        self._followed.drop(instrument)
        products = (self._followed.symbol_of(instrument),)
        return [_request("unsubscribe", "level2", products), _request("subscribe", "level2", products)]

    def ping(self) -> bytes:
        return b""


class _Account:
    """The private connection as a session sees it."""

    def __init__(self, codec: CoinbaseAccountCodec, products: tuple[str, ...], ws_jwt: Callable[[], str]) -> None:
        self.codec = codec
        self._products = products
        self._ws_jwt = ws_jwt

    async def opening(self) -> Sequence[bytes]:
        return [_request("subscribe", channel, self._products, self._ws_jwt()) for channel in ("heartbeats", "user")]

    def awaited(self) -> frozenset[tuple[str, str]]:
        return frozenset({("heartbeats", ""), ("user", "")})

    def instrument_of(self, _symbol: str) -> InstrumentId | None:
        return None

    def unbuilt(self) -> tuple[InstrumentId, ...]:
        return ()

    def rebuilding(self, _instrument: InstrumentId) -> Sequence[bytes]:
        return ()

    def ping(self) -> bytes:
        return b""


def _request(
    method: Literal["subscribe", "unsubscribe"], channel: str, products: tuple[str, ...], jwt: str = ""
) -> bytes:
    return msgspec.json.encode(SubscribeRequest(type=method, channel=channel, product_ids=products, jwt=jwt or UNSET))
