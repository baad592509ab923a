"""Which classes serve which adapter: "kraken", "coinbase", or "ccxt:<exchange>"."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from arbot.domain.errors import ensure
from arbot.domain.instrument import Instrument
from arbot.market.books import Books
from arbot.ports import Account, Clock, Credentials, Gateway, VenueConfig
from arbot.venues.ccxt_feed import CcxtFeed
from arbot.venues.ccxt_venue import CcxtGateway
from arbot.venues.coinbase.feed import BOOK_DEPTH as COINBASE_BOOK_DEPTH
from arbot.venues.coinbase.feed import CoinbaseFeed
from arbot.venues.coinbase.gateway import CoinbaseGateway
from arbot.venues.feed import FeedPorts
from arbot.venues.kraken.feed import KrakenFeed
from arbot.venues.kraken.feed import book_depth as kraken_book_depth
from arbot.venues.kraken.gateway import KrakenGateway
from arbot.venues.nonce import NonceMark
from arbot.venues.rest import Note, unheard

CHATTY_LOGGERS = ("ccxt", "aiohttp")


def make_gateway(
    config: VenueConfig,
    credentials: Credentials | None,
    clock: Clock,
    *,
    nonce_mark: NonceMark | None = None,
    note: Note = unheard,
) -> Account:
    """Return the gateway of a venue; without credentials it serves public data and refuses the rest.

    `nonce_mark` remembers nonces where a venue wants them to rise for ever (Kraken). `note` is told of every request.
    """
    pin_library_loggers()
    match config.adapter:
        case "kraken":
            return KrakenGateway(config, credentials, clock, nonce_mark=nonce_mark, note=note)
        case "coinbase":
            return CoinbaseGateway(config, credentials, clock, note=note)
    ensure(config.adapter.startswith("ccxt:"), "unknown adapter", adapter=config.adapter, venue=config.venue)
    return CcxtGateway(config, credentials, clock, note=note)


def make_feed(
    config: VenueConfig,
    instruments: Sequence[Instrument],
    books: Books,
    ports: FeedPorts,
    gateway: Gateway | None,
    *,
    with_trades: bool = False,
) -> KrakenFeed | CoinbaseFeed | CcxtFeed:
    """Return the feed of a venue; without a gateway (paper) it has no account stream. `books` hold `instruments` already.

    Trade prints come from Kraken and Coinbase only.
    """
    match config.adapter:
        case "kraken":
            ensure(gateway is None or isinstance(gateway, KrakenGateway), "another venue's gateway", venue=config.venue)
            token = gateway.ws_token if isinstance(gateway, KrakenGateway) else None
            return KrakenFeed(config, instruments, books, ports, ws_token=token, with_trades=with_trades)
        case "coinbase":
            ensure(
                gateway is None or isinstance(gateway, CoinbaseGateway), "another venue's gateway", venue=config.venue
            )
            jwt = gateway.ws_jwt if isinstance(gateway, CoinbaseGateway) else None
            return CoinbaseFeed(config, instruments, books, ports, ws_jwt=jwt, with_trades=with_trades)
    ensure(config.adapter.startswith("ccxt:"), "unknown adapter", adapter=config.adapter, venue=config.venue)
    ensure(gateway is None or isinstance(gateway, CcxtGateway), "another venue's gateway", venue=config.venue)
    return CcxtFeed(config, instruments, books, ports, gateway if isinstance(gateway, CcxtGateway) else None)


def book_depth(config: VenueConfig) -> int:
    """Return how many levels a side the books of a venue have to keep, 0 for all of them."""
    match config.adapter:
        case "kraken":
            return kraken_book_depth(config)
        case "coinbase":
            return COINBASE_BOOK_DEPTH
    return config.book_depth


def pin_library_loggers() -> None:
    """Keep the client libraries from logging requests: at DEBUG ccxt prints keys, signatures and tokens."""
    for name in CHATTY_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, logger.level))
