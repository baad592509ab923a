"""Feeds against a loopback venue that cuts, stalls, floods, refuses and talks nonsense."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import msgspec
import pytest
from aiohttp import web

from arbot.domain.errors import InvariantBroken, VenueUnavailable
from arbot.domain.events import BookFault, BookInvalidated, FeedConnected, FeedDisconnected, OrderFilled, Stream
from arbot.domain.ids import VenueId, VenueOrderId
from arbot.market.books import Books
from arbot.ports import VenueConfig
from arbot.venues.codec import DropReason, FetchFills
from arbot.venues.coinbase.feed import BOOK_DEPTH, CoinbaseFeed
from arbot.venues.feed import VenueFeed
from arbot.venues.kraken.feed import KrakenFeed, book_depth
from tests.support.loopback import Bench, Line, running, serving, serving_app, until
from tests.support.streams import (
    OURS,
    coinbase_frame,
    coinbase_levels,
    coinbase_order,
    compact,
    kraken_ack,
    kraken_crc,
    kraken_frame,
    kraken_row,
    make_instrument,
)

BIDS = [(f"{65_000 - i}.0", "0.50000000") for i in range(10)]
ASKS = [(f"{65_001 + i}.0", "0.25000000") for i in range(10)]
HEARTBEAT = b'{"channel":"heartbeat"}'
SNAPSHOTS = {
    symbol: kraken_frame("snapshot", kraken_row(symbol, BIDS, ASKS, kraken_crc(BIDS, ASKS), ""))
    for symbol in ("BTC/USD", "ETH/USD")
}
WRONG = kraken_frame("update", kraken_row("BTC/USD", BIDS[:1], [], 1))


class Kraken:
    """A feed of two Kraken books and what it is plugged into."""

    venue = "kraken"
    price_decimals = 1

    def __init__(self, url: str, **options: Any) -> None:
        config = VenueConfig(
            venue=VenueId(self.venue),
            adapter=self.venue,
            symbols=("BTC/USD", "ETH/USD"),
            book_depth=10,
            ws_public_url=url,
            ws_private_url=options.pop("private_url", url),
            request_timeout_ms=options.pop("timeout_ms", 2_000),
            frame_age_ms_max=options.pop("frame_age_ms_max", 5_000),
        )
        self.bench = Bench()
        self.books = Books()
        self.instruments = [make_instrument(self.venue, symbol, self.price_decimals, 8) for symbol in config.symbols]
        for instrument in self.instruments:
            self.books.add(instrument, self.depth(config))
        self.feed = self.make(config, **options)

    def depth(self, config: VenueConfig) -> int:
        """Return how many levels a side the books keep."""
        return book_depth(config)

    def make(self, config: VenueConfig, **options: Any) -> VenueFeed:
        """Return the feed."""
        options.setdefault("ws_token", None)
        return KrakenFeed(config, self.instruments, self.books, self.bench.ports(), **options)

    @property
    def valid(self) -> tuple[bool, ...]:
        """Which books may be traded on."""
        return tuple(self.books.state(instrument.id).is_valid for instrument in self.instruments)

    def stats(self, stream: Stream = Stream.MARKET) -> Any:
        """Return the counters of a stream."""
        return self.feed.stats[stream]

    def faults(self) -> list[tuple[str, BookFault]]:
        """Return which books were dropped and why."""
        return [(event.instrument, event.fault) for event in self.bench.told(BookInvalidated)]


async def kraken_open(line: Line) -> None:
    """Answer the opening of a market connection as Kraken does."""
    request = await line.request()
    assert {"channel": "book", "symbol": ["BTC/USD", "ETH/USD"], "depth": 10} == request["params"]
    await line.send(b'{"channel":"status","type":"update","data":[{"system":"online","version":"2.0.10"}]}')
    await line.send(*(kraken_ack("book", symbol) for symbol in SNAPSHOTS), *SNAPSHOTS.values())


async def test_a_feed_subscribes_builds_its_books_and_says_so():
    """Both books are tradable, the sink heard of each, the recorder's hook saw every frame."""

    async def script(line: Line) -> None:
        await kraken_open(line)
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url)
        async with running(kraken.feed):
            await until(lambda: kraken.bench.told(FeedConnected) and kraken.valid == (True, True))
    assert [FeedConnected(venue=VenueId("kraken"), stream=Stream.MARKET)] == kraken.bench.sink.events
    assert {0, 1} == set(kraken.bench.sink.moved)
    assert 5 == len(kraken.bench.teed) == kraken.stats().frames
    assert sum(map(len, kraken.bench.teed)) == kraken.stats().bytes


async def test_a_checksum_mismatch_resyncs_that_symbol_and_no_other():
    """On the same connection the one symbol is unsubscribed and subscribed; the other book stays tradable throughout."""

    async def script(line: Line) -> None:
        await kraken_open(line)
        await line.send(WRONG)
        assert ("unsubscribe", ["BTC/USD"]) == asked(await line.request())
        assert ("subscribe", ["BTC/USD"]) == asked(await line.request())
        await line.send(kraken_ack("book", "BTC/USD"), SNAPSHOTS["BTC/USD"])
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url)
        async with running(kraken.feed):
            await until(lambda: kraken.stats().resyncs and kraken.valid == (True, True))
        assert 1 == len(venue.lines)
    assert [("BTC/USD@kraken", BookFault.CHECKSUM)] == kraken.faults()
    assert (1, 1, {}) == (kraken.stats().resyncs, kraken.stats().checksum_mismatches, kraken.stats().drops)
    assert {"checksum": 1} == kraken.stats().resyncs_for


def asked(request: dict[str, Any]) -> tuple[str, list[str]]:
    """Return what a Kraken request asks for."""
    return request["method"], request["params"]["symbol"]


async def test_the_engine_can_ask_for_one_book_anew():
    """The book is dropped at once and comes back by its snapshot."""

    async def script(line: Line) -> None:
        await kraken_open(line)
        assert ("unsubscribe", ["ETH/USD"]) == asked(await line.request())
        await line.request()
        await line.send(SNAPSHOTS["ETH/USD"])
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url)
        kraken.feed.resync("ETH/USD@kraken")  # not connected: nothing to do
        async with running(kraken.feed):
            await until(lambda: kraken.valid == (True, True))
            kraken.feed.resync("ETH/USD@kraken")
            kraken.feed.resync("ETH/USD@kraken")
            await until(lambda: kraken.stats().resyncs and kraken.valid == (True, True))
    assert (1, {"stale": 1}) == (kraken.stats().resyncs, kraken.stats().resyncs_for)


async def stop(line: Line) -> None:
    """Close the connection."""
    await line.socket.close()


async def stall(line: Line) -> None:
    """Answer pings and say nothing else."""
    while True:
        await line.send(b'{"method":"pong"}')
        await asyncio.sleep(0.02)


async def garble(line: Line) -> None:
    """Send bytes that are no JSON."""
    await line.send(b"\xff\x00 not json")
    await line.hold()


@pytest.mark.parametrize(
    ("fault", "reason", "book_fault"),
    [
        (stop, DropReason.CLOSED, BookFault.DISCONNECTED),
        (stall, DropReason.SILENT, BookFault.DISCONNECTED),
        (garble, DropReason.MALFORMED, BookFault.MALFORMED),
    ],
)
async def test_a_broken_connection_drops_all_books_and_is_dialled_again(fault, reason, book_fault):
    """Every book is invalidated, the loss is told once, and the next connection brings everything back."""

    async def script(line: Line) -> None:
        await kraken_open(line)
        if line.number == 0:
            await fault(line)
        while True:
            await line.send(HEARTBEAT)
            await asyncio.sleep(0.02)

    async with serving(script) as venue:
        kraken = Kraken(venue.url, frame_age_ms_max=400)
        async with running(kraken.feed):
            await until(lambda: len(kraken.bench.told(FeedConnected)) == 2 and kraken.valid == (True, True))
    assert [("BTC/USD@kraken", book_fault), ("ETH/USD@kraken", book_fault)] == kraken.faults()
    (down,) = kraken.bench.told(FeedDisconnected)
    assert str(reason) == down.reason.partition(":")[0]
    assert ({reason: 1}, 2) == (kraken.stats().drops, kraken.stats().connects)
    assert ({"first": 1, reason: 1}, {"reconnect": 2}) == (kraken.stats().connects_after, kraken.stats().resyncs_for)


async def test_a_subscription_without_an_answer_is_a_failure():
    """Silence on a request is noticed by its timeout although other frames keep coming."""

    async def script(line: Line) -> None:
        if line.number == 0:
            await line.send(kraken_ack("book", "BTC/USD"))
            while True:
                await line.send(HEARTBEAT)
                await asyncio.sleep(0.02)
        await kraken_open(line)
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url, timeout_ms=200)
        async with running(kraken.feed):
            await until(lambda: kraken.valid == (True, True))
    assert {DropReason.ACK_TIMEOUT: 1} == kraken.stats().drops
    assert "book ETH/USD" in kraken.bench.told(FeedDisconnected)[0].reason


async def test_a_book_whose_snapshot_never_came_is_asked_for_again():
    """A confirmed subscription without data costs that book a resync."""

    async def script(line: Line) -> None:
        await line.request()
        await line.send(*(kraken_ack("book", symbol) for symbol in SNAPSHOTS), SNAPSHOTS["ETH/USD"])
        assert ("unsubscribe", ["BTC/USD"]) == asked(await line.request())
        await line.request()
        await line.send(SNAPSHOTS["BTC/USD"])
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url, timeout_ms=200)
        async with running(kraken.feed):
            await until(lambda: kraken.valid == (True, True))
    assert {} == kraken.stats().drops


async def test_a_refused_symbol_costs_that_symbol_only():
    """The refusal is told as a book that is not there; the other book trades."""

    async def script(line: Line) -> None:
        await line.request()
        refusal = {"error": "Currency pair not supported BTC/USD", "method": "subscribe", "success": False}
        await line.send(compact({**refusal, "symbol": "BTC/USD"}), kraken_ack("book", "ETH/USD"), SNAPSHOTS["ETH/USD"])
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url)
        async with running(kraken.feed):
            await until(lambda: kraken.bench.told(FeedConnected) and kraken.valid == (False, True))
    assert [("BTC/USD@kraken", BookFault.REFUSED)] == kraken.faults()
    assert ({}, 1) == (kraken.stats().drops, kraken.stats().refusals)


async def test_a_book_that_comes_although_it_was_refused_is_kept():
    """The second look after a refusal finds the book there and leaves it alone."""

    async def script(line: Line) -> None:
        await line.request()
        refusal = {"error": "Already subscribed", "method": "subscribe", "success": False, "symbol": "BTC/USD"}
        await line.send(compact(refusal), kraken_ack("book", "ETH/USD"), *SNAPSHOTS.values())
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url)
        session = kraken.feed._sessions[Stream.MARKET]
        policy = msgspec.structs.replace(session.wiring.policy, refused_retry_s=0.05)
        session.wiring = replace(session.wiring, policy=policy)
        async with running(kraken.feed):
            await until(lambda: kraken.valid == (True, True))
            connection = session._connection
            await until(lambda: not connection._rebuilding)
        assert 1 == len(venue.lines[0].requests)
    assert (0, (True, True)) == (kraken.stats().resyncs, kraken.valid)


async def test_a_flood_is_decoded_to_the_last_frame():
    """Twenty thousand frames in a burst, one of them odd, are all counted and end in the right book."""
    count = 20_000
    deep = [*BIDS[:9], BIDS[9]]
    frames = []
    for turn in range(2):
        deep[9] = (BIDS[9][0], f"{turn + 1}.00000000")
        frames.append(kraken_frame("update", kraken_row("BTC/USD", [deep[9]], [], kraken_crc(deep, ASKS))))

    async def script(line: Line) -> None:
        await kraken_open(line)
        await line.send(b'{"channel":"candles"}')
        for number in range(count):
            await line.send(frames[number % 2])
        await line.hold()

    async with serving(script) as venue:
        kraken = Kraken(venue.url)
        async with running(kraken.feed):
            await until(lambda: kraken.stats().frames == count + 6)
    assert Counter({0: count + 1, 1: 1}) == Counter(kraken.bench.sink.moved)
    assert ((True, True), 1, {}) == (kraken.valid, kraken.stats().unknown_messages, kraken.stats().drops)


async def test_a_bug_behind_the_sink_is_not_swallowed():
    """Whatever the engine raises ends the feed: the supervisor has to hear it."""

    def explode(_book: int) -> None:
        raise InvariantBroken("a bug")

    async with serving(kraken_open) as venue:
        kraken = Kraken(venue.url)
        kraken.bench.sink.book_moved = explode  # type: ignore[method-assign]
        with pytest.RaisesGroup(InvariantBroken, flatten_subgroups=True):
            await kraken.feed.run()


# --- Kraken's account ------------------------------------------------------------------------------------------------


EXECUTION = (
    f'{{"order_id":"O1","cl_ord_id":"{OURS}","exec_type":"trade","symbol":"BTC/USD","side":"buy","exec_id":"T1",'
    '"last_qty":0.5,"last_price":65010.1,"liquidity_ind":"t","fees":[{"asset":"USD","qty":1.5}]}'
)
ENDED = '{"order_id":"O1","exec_type":"canceled","cum_qty":0.9}'


def executions(sequence: int, *rows: str, kind: str = "update") -> bytes:
    """Return an executions frame."""
    return f'{{"channel":"executions","type":"{kind}","sequence":{sequence},"data":[{",".join(rows)}]}}'.encode()


async def account_open(line: Line) -> dict[str, Any]:
    """Answer the opening of a Kraken account connection."""
    request = await line.request()
    await line.send(kraken_ack("executions"), executions(1, kind="snapshot"))
    return request["params"]


async def quiet_market(line: Line) -> None:
    """Serve a market connection on which nothing happens."""
    await line.hold()


async def test_each_account_connection_has_a_fresh_token_and_catches_up_before_it_is_up():
    """After a lost frame the stream is dialled again with a new token, and REST is asked before it is said to be up."""
    tokens = iter(["one", "two", "three"])
    used = []

    async def ws_token() -> str:
        return next(tokens)

    async def account(line: Line) -> None:
        params = await account_open(line)
        used.append(params.pop("token"))
        assert {"channel": "executions", "snap_orders": True, "snap_trades": False, "order_status": True} == params
        if line.number == 0:
            await until(lambda: kraken.bench.told(FeedConnected))
            await line.send(executions(3, EXECUTION, ENDED))
        await line.hold()

    async with serving(quiet_market) as market, serving(account) as private:
        kraken = Kraken(market.url, private_url=private.url, ws_token=ws_token)
        async with running(kraken.feed):
            await until(lambda: len(kraken.bench.told(FeedConnected)) == 2)
    assert ["one", "two"] == used
    assert [0, 1] == kraken.bench.caught_up
    assert ["T1"] == [event.fill.trade_id for event in kraken.bench.told(OrderFilled)]
    assert [FetchFills(client_order_id=OURS, venue_order_id=VenueOrderId("O1"))] == kraken.bench.wanted
    assert {DropReason.SEQUENCE_GAP: 1} == kraken.stats(Stream.ACCOUNT).drops
    assert [Stream.ACCOUNT] == [event.stream for event in kraken.bench.told(FeedDisconnected)]


async def test_an_account_stream_is_not_up_while_rest_cannot_be_asked():
    """The connection is given up and tried again until catching up works."""

    async def ws_token() -> str:
        return "token"

    async def account(line: Line) -> None:
        await account_open(line)
        await line.hold()

    async with serving(quiet_market) as market, serving(account) as private:
        kraken = Kraken(market.url, private_url=private.url, ws_token=ws_token)
        kraken.bench.refusals = 2
        async with running(kraken.feed):
            await until(lambda: kraken.bench.told(FeedConnected))
    assert {DropReason.CONNECT_FAILED: 2} == kraken.stats(Stream.ACCOUNT).drops
    assert 3 == kraken.stats(Stream.ACCOUNT).connects
    assert "REST is down" in kraken.bench.told(FeedDisconnected)[0].reason


async def test_a_refused_token_is_replaced():
    """A refusal of the account subscription costs the connection, and the next one brings another token."""
    tokens = iter(["stale", "good"])

    async def ws_token() -> str:
        return next(tokens)

    async def account(line: Line) -> None:
        request = await line.request()
        if request["params"]["token"] == "stale":
            await line.send(b'{"method":"subscribe","success":false,"error":"ESession:Invalid session"}')
        else:
            await line.send(kraken_ack("executions"), executions(1, kind="snapshot"))
        await line.hold()

    async with serving(quiet_market) as market, serving(account) as private:
        kraken = Kraken(market.url, private_url=private.url, ws_token=ws_token)
        async with running(kraken.feed):
            await until(lambda: kraken.bench.told(FeedConnected))
    assert {DropReason.REFUSED: 1} == kraken.stats(Stream.ACCOUNT).drops


async def test_a_token_that_cannot_be_fetched_is_a_failed_dial():
    """REST being down delays the stream and raises nothing."""
    answers = iter([VenueUnavailable("kraken", "REST is down"), None])

    async def ws_token() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "token"

    async def account(line: Line) -> None:
        await account_open(line)
        await line.hold()

    async with serving(quiet_market) as market, serving(account) as private:
        kraken = Kraken(market.url, private_url=private.url, ws_token=ws_token)
        async with running(kraken.feed):
            await until(lambda: kraken.bench.told(FeedConnected))
        assert 1 == len(private.lines)
    assert {DropReason.CONNECT_FAILED: 1} == kraken.stats(Stream.ACCOUNT).drops


# --- Coinbase --------------------------------------------------------------------------------------------------------


class Coinbase(Kraken):
    """A feed of two Coinbase books and what it is plugged into."""

    venue = "coinbase"
    price_decimals = 2

    def depth(self, config: VenueConfig) -> int:
        """Return that whole books are kept."""
        return BOOK_DEPTH

    def make(self, config: VenueConfig, **options: Any) -> VenueFeed:
        """Return the feed."""
        options.setdefault("ws_jwt", None)
        return CoinbaseFeed(config, self.instruments, self.books, self.bench.ports(), **options)


PRODUCTS = ["BTC-USD", "ETH-USD"]


class Numbered:
    """A connection that numbers what it sends."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.next = 0

    async def send(self, channel: str, *events: Any) -> None:
        """Send the next frame."""
        await self.line.send(coinbase_frame(channel, self.next, *events))
        self.next += 1

    async def snapshot(self, product: str) -> None:
        """Send a whole book."""
        await self.send("l2_data", coinbase_levels(product, "snapshot", [("100.5", "1")], [("100.6", "2")]))

    async def open(self) -> None:
        """Answer the opening of a market connection as Coinbase does: data first, then the confirmation."""
        wanted = [await self.line.request() for _ in range(2)]
        assert [("subscribe", "level2", PRODUCTS), ("subscribe", "heartbeats", PRODUCTS)] == [
            (request["type"], request["channel"], request["product_ids"]) for request in wanted
        ]
        assert not any("jwt" in request for request in wanted)
        for product in PRODUCTS:
            await self.snapshot(product)
        await self.send("subscriptions", {"subscriptions": {"level2": PRODUCTS, "heartbeats": ["heartbeats"]}})


async def test_a_coinbase_gap_costs_the_connection():
    """All books are dropped with the reason, and the next connection brings both back."""

    async def script(line: Line) -> None:
        numbered = Numbered(line)
        await numbered.open()
        if line.number == 0:
            numbered.next += 1
            await numbered.send("l2_data", coinbase_levels("ETH-USD", "update", [("100.1", "1")]))
        await line.hold()

    async with serving(script) as venue:
        coinbase = Coinbase(venue.url)
        async with running(coinbase.feed):
            await until(lambda: len(coinbase.bench.told(FeedConnected)) == 2 and coinbase.valid == (True, True))
    assert [
        ("BTC/USD@coinbase", BookFault.SEQUENCE_GAP),
        ("ETH/USD@coinbase", BookFault.SEQUENCE_GAP),
    ] == coinbase.faults()
    assert ({DropReason.SEQUENCE_GAP: 1}, 1) == (coinbase.stats().drops, coinbase.stats().sequence_gaps)
    assert {"gap": 2} == coinbase.stats().resyncs_for


async def test_a_crossed_coinbase_book_resyncs_that_product_and_no_other():
    """On the same connection the one product is unsubscribed and subscribed."""

    async def script(line: Line) -> None:
        numbered = Numbered(line)
        await numbered.open()
        await numbered.send("l2_data", coinbase_levels("ETH-USD", "update", [("100.6", "1")]))
        for kind in ("unsubscribe", "subscribe"):
            assert {"type": kind, "channel": "level2", "product_ids": ["ETH-USD"]} == await line.request()
        await numbered.snapshot("ETH-USD")
        await line.hold()

    async with serving(script) as venue:
        coinbase = Coinbase(venue.url)
        async with running(coinbase.feed):
            await until(lambda: coinbase.stats().resyncs and coinbase.valid == (True, True))
    assert [("ETH/USD@coinbase", BookFault.CROSSED)] == coinbase.faults()
    assert ({}, 1) == (coinbase.stats().drops, coinbase.stats().connects)
    assert {"crossed": 1} == coinbase.stats().resyncs_for


async def test_each_coinbase_account_message_carries_its_own_jwt():
    """A cumulative order asks for its fills and makes none; an error is answered by a new connection with new tokens."""
    tokens = iter("abcdef")

    async def account(line: Line) -> None:
        used.extend([(await line.request())["jwt"] for _ in range(2)])
        if line.number == 0:
            await line.send(b'{"type":"error","message":"authentication failure"}')
            await line.hold()
        numbered = Numbered(line)
        await numbered.send("user", {"type": "snapshot", "orders": [coinbase_order("OPEN", "0.2")]})
        await numbered.send("subscriptions", {"subscriptions": {"heartbeats": ["heartbeats"], "user": ["some-id"]}})
        await line.hold()

    used: list[str] = []
    async with serving(quiet_market) as market, serving(account) as private:
        coinbase = Coinbase(market.url, private_url=private.url, ws_jwt=lambda: next(tokens))
        async with running(coinbase.feed):
            await until(lambda: coinbase.bench.told(FeedConnected))
    assert ["a", "b", "c", "d"] == used
    assert [0] == coinbase.bench.caught_up
    assert [OURS] == [wanted.client_order_id for wanted in coinbase.bench.wanted]
    assert [] == coinbase.bench.told(OrderFilled)
    assert {DropReason.REFUSED: 1} == coinbase.stats(Stream.ACCOUNT).drops


# --- dialling --------------------------------------------------------------------------------------------------------


async def test_a_redirect_is_refused():
    """The address is what was configured; where a redirect points is never asked."""
    asked_elsewhere = []

    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async def elsewhere(_request: web.Request) -> web.Response:
        asked_elsewhere.append(1)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", redirect)
    app.router.add_get("/elsewhere", elsewhere)
    async with serving_app(app) as port:
        kraken = Kraken(f"ws://127.0.0.1:{port}/")
        async with running(kraken.feed):
            await until(lambda: kraken.stats().drops.get(DropReason.CONNECT_FAILED, 0) >= 2)
    assert [] == asked_elsewhere
    (down,) = kraken.bench.told(FeedDisconnected)
    assert "redirect refused" in down.reason


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path):
    """A wss address is verified: a self-signed venue gets no subscription."""
    async with serving(kraken_open, self_signed(tmp_path)) as venue:
        kraken = Kraken(venue.url)
        async with running(kraken.feed):
            await until(lambda: kraken.stats().drops.get(DropReason.CONNECT_FAILED))
        assert [] == venue.lines
    assert "Certificate" in kraken.bench.told(FeedDisconnected)[0].reason


def self_signed(folder: Any) -> ssl.SSLContext:
    """Return the TLS side of a server with a certificate of its own making."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36_500))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
