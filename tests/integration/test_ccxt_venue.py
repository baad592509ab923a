"""Any other exchange through ccxt: verdicts from the raw answer, books as integers, and streams that never die silently."""

import json
import logging
from contextlib import asynccontextmanager
from decimal import Decimal

import ccxt.pro
import pytest
import pytest_asyncio

from arbot.domain.errors import InvariantBroken, VenueRefused
from arbot.domain.events import (
    BookInvalidated,
    FeedConnected,
    FeedDisconnected,
    OrderAccepted,
    OrderRejected,
    RejectCode,
    RequestOutcomeUnknown,
    Stream,
)
from arbot.domain.ids import VenueId
from arbot.domain.instrument import InstrumentStatus
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.ports import Credentials, Secret, VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.sim.faults import parse_fault
from arbot.sim.listing import instruments_of
from arbot.sim.serve import SimOptions, VenueOptions, serve
from arbot.venues import ccxt_terms
from arbot.venues.ccxt_feed import BookBroken, check_order, guard, levels_of
from arbot.venues.ccxt_venue import make_client
from arbot.venues.factory import make_feed, make_gateway
from tests.support.loopback import Bench, running, until
from tests.support.orders import NAME, approved, query
from tests.support.scripted_venue import FAULTS, ScriptedVenue, serving

BITSTAMP = VenueId("bitstamp")
BUY = "/api/v2/buy/btcusd/"
MARKET = {
    "name": "BTC/USD",
    "market_symbol": "btcusd",
    "base_currency": "BTC",
    "base_decimals": 8,
    "counter_currency": "USD",
    "counter_decimals": 1,
    "minimum_order_value": "10",
    "trading": "Enabled",
    "description": "Bitcoin / U.S. dollar",
    "market_type": "SPOT",
}
PLACED = {"id": "1234", "market": "BTC/USD", "type": "0", "price": "65010.3", "amount": "0.5", "client_order_id": NAME}


def config(url="http://127.0.0.1:1", adapter="ccxt:bitstamp", **more):
    return VenueConfig(
        venue=BITSTAMP, adapter=adapter, symbols=("BTC/USD",), rest_url=url, request_timeout_ms=400, **more
    )


@pytest_asyncio.fixture
async def venue():
    script = ScriptedVenue()
    script.script = {"/api/v2/markets/": [MARKET], BUY: PLACED}
    async with serving(script):
        yield script


@pytest_asyncio.fixture
async def gateway(venue):
    gateway = make_gateway(config(venue.url), Credentials(Secret("K"), Secret("S")), SystemClock())
    await gateway.load_instruments()
    yield gateway
    await gateway.close()


def now():
    return SystemClock().now_ns()


async def test_order_leaves_in_the_exchanges_own_words(venue, gateway):
    """Our name, texts for numbers, and immediate-or-cancel as this exchange spells it."""
    events = await gateway.submit(approved(BITSTAMP, now()))
    assert events == (OrderAccepted(client_order_id=NAME, venue_order_id="1234"),)
    (fields,) = venue.fields(BUY)
    assert Decimal(fields.pop("amount")) == Decimal("0.5")
    assert fields == {"price": "65010.3", "client_order_id": NAME, "ioc_order": "true"}


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_after_the_request_is_unknown_and_never_repeated(venue, gateway, name):
    """Whatever the wire does, the answer is unknown and the order was transmitted exactly once."""
    venue.faults[BUY] = name
    (event,) = await gateway.submit(approved(BITSTAMP, now()))
    assert isinstance(event, RequestOutcomeUnknown)
    assert (event.request, len(venue.bodies(BUY)), len(venue.bodies("/elsewhere"))) == ("submit", 1, 0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({**PLACED, "client_order_id": ""}, OrderAccepted),
        ({**PLACED, "client_order_id": "somebody-elses"}, RequestOutcomeUnknown),
        ({**PLACED, "id": ""}, RequestOutcomeUnknown),
        ({**PLACED, "id": None}, RequestOutcomeUnknown),
        ({}, RequestOutcomeUnknown),
        ([], RequestOutcomeUnknown),
        (
            {
                "status": "error",
                "reason": {"__all__": ["You have only 1 USD available. Check your account balance for details."]},
            },
            OrderRejected,
        ),
        ({"status": "error", "reason": {"__all__": ["Minimum order size is 10.0 USD."]}}, OrderRejected),
        ({"status": "error", "reason": "Invalid signature", "code": "API0005"}, OrderRejected),
        ({"status": "error", "reason": {"__all__": ["Client order id has been used already."]}}, RequestOutcomeUnknown),
        ({"status": "error", "reason": "Internal error", "code": "500"}, RequestOutcomeUnknown),
    ],
)
async def test_answers(venue, gateway, answer, expected):
    """Accepted only with an id and not under another's name; rejected only by a class on the list."""
    venue.script[BUY] = answer
    (event,) = await gateway.submit(approved(BITSTAMP, now()))
    assert type(event) is expected


async def test_time_in_force_that_the_venue_would_not_see_never_leaves(venue, gateway, monkeypatch):
    """An exchange that ignores ccxt's unified word would let the order rest: that is found before sending."""
    monkeypatch.setattr(ccxt_terms, "TIME_IN_FORCE_UNIFIED", {tif: {} for tif in ccxt_terms.TIME_IN_FORCE_UNIFIED})
    monkeypatch.setattr(ccxt_terms, "TIME_IN_FORCE", {})
    with pytest.raises(InvariantBroken, match="not the one that was approved"):
        await gateway.submit(approved(BITSTAMP, now()))
    assert venue.bodies(BUY) == []


async def test_name_that_the_adapter_drops_never_leaves(venue, gateway, monkeypatch):
    """An adapter that replaces our client order id is found before sending."""
    monkeypatch.setattr(ccxt_terms, "CLIENT_ID_UNIFIED", "tag")
    sign = gateway.exchange.sign

    def forgetful(path, *arguments, **more):
        request = sign(path, *arguments, **more)
        return {**request, "body": (request["body"] or "").replace(NAME, "ccxt-0001")}

    monkeypatch.setattr(gateway.exchange, "sign", forgetful)
    with pytest.raises(InvariantBroken, match="not the one that was approved"):
        await gateway.submit(approved(BITSTAMP, now()))
    assert venue.bodies(BUY) == []


async def test_late_order_never_leaves(venue, gateway):
    """What waited too long is refused by ourselves, with certainty."""
    (event,) = await gateway.submit(approved(BITSTAMP, now(), deadline_ns=now() - 1))
    assert (event.code, venue.bodies(BUY)) == (RejectCode.DEADLINE, [])


async def test_halted_market(venue, gateway):
    """A market that is switched off is halted."""
    venue.script["/api/v2/markets/"] = [{**MARKET, "trading": "Disabled"}]
    gateway.exchange.options["fetchMarkets"] = {}
    assert (await gateway.load_instruments())[0].status == InstrumentStatus.HALTED


def test_unknown_exchange_is_refused():
    """A name that ccxt does not know is told as such."""
    with pytest.raises(VenueRefused, match="knows no exchange"):
        make_gateway(config(adapter="ccxt:mtgox"), None, SystemClock())


@pytest.mark.parametrize("name", ["bitstamp", "kraken", "coinbase", "gemini", "bitfinex"])
def test_every_url_is_redirected(name):
    """With configured hosts no URL of the exchange itself remains."""
    made = make_client(
        config(
            "http://127.0.0.1:7",
            adapter=f"ccxt:{name}",
            ws_public_url="ws://127.0.0.1:8",
            ws_private_url="ws://127.0.0.1:9",
        ),
        None,
    )
    told = json.dumps(made.urls["api"]).replace("https://{hostname}", "")
    assert "https://" not in told
    assert "wss://" not in told


def instrument():
    return instruments_of("bitstamp", "bitstamp", ("BTC/USD",))[0]


def test_levels_become_exact_integers():
    """Floats that stand for multiples of a step become those multiples."""
    one = instrument()
    step = 10.0**-one.price_decimals
    found = levels_of([[65010 + step, 0.00000001, 7], [65010.0, 12345.12345678]], one)
    assert found.tolist() == [
        [65010 * 10**one.price_decimals + 1, 1],
        [65010 * 10**one.price_decimals, 1234512345678],
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [[65010.0, -1.0]],
        [[0.0, 1.0]],
        [[float("nan"), 1.0]],
        [[float("inf"), 1.0]],
        [[65010.000004, 1.0]],
        [[65010.0]],
        [[65010.0, None]],
        [["x", 1.0]],
        [[1e30, 1.0]],
    ],
)
def test_level_that_cannot_be_is_refused(rows):
    """Negative, missing, endless and off-grid numbers drop the book."""
    with pytest.raises(BookBroken):
        levels_of(rows, instrument())


def test_levels_out_of_order_are_refused():
    """Ccxt's sides are sorted; when they are not, its book is not to be used."""
    one = instrument()
    good = levels_of([[65010.0, 1.0], [65009.0, 1.0]], one)
    check_order(one, good, good[::-1])
    with pytest.raises(BookBroken, match="out of order"):
        check_order(one, good[::-1], good[::-1])
    with pytest.raises(BookBroken, match="out of order"):
        check_order(one, good, good)


def test_guard_turns_a_failing_handler_into_a_failing_connection():
    """Without it the stream would end without a word: here the waiter is told."""
    exchange, told, seen = ccxt.pro.bitstamp(), [], []

    class Client:
        def on_error(self, error):
            told.append(error)

    def broken(_client, _message):
        raise KeyError("asks")

    exchange.handle_message = broken
    guard(exchange, lambda: seen.append(1))
    exchange.handle_message(Client(), {})
    assert (len(seen), type(told[0])) == (1, ccxt.NetworkError)


@asynccontextmanager
async def live(**options):
    """Serve a pretend Bitstamp and follow it."""
    clock = SystemClock()
    server_options = SimOptions(
        venues=(VenueOptions(name="bitstamp", flavour="bitstamp"),), symbols=("BTC/USD",), **options
    )
    async with serve(server_options, clock) as server:
        one = server.running["bitstamp"]
        settings = VenueConfig(
            venue=BITSTAMP, adapter="ccxt:bitstamp", symbols=("BTC/USD",), frame_age_ms_max=2_000, **one.urls
        )
        gateway = make_gateway(settings, Credentials(Secret(one.keys.key), Secret(one.keys.secret)), clock)
        try:
            instruments = await gateway.load_instruments()
            bench, books = Bench(), Books()
            books.add(instruments[0], settings.book_depth)
            feed = make_feed(settings, instruments, books, bench.ports(), gateway)
            async with running(feed):
                yield server, gateway, feed, books, bench, instruments[0]
        finally:
            await gateway.close()


async def test_third_venue_runs_through_it():
    """Books come up, an order fills, and the stream's word makes REST be asked for the fills."""
    async with live() as (server, gateway, feed, books, bench, one):
        await until(lambda: {event.stream for event in bench.told(FeedConnected)} == set(Stream))
        await until(lambda: books.state(one.id).is_valid)
        venue = server.venues["bitstamp"]
        await until(
            lambda: (
                books.best(one.id, Side.BUY).price == venue.price("BTC/USD", venue.top("BTC/USD", Side.SELL, 1)[0][0])
            )
        )
        limit_price = (books.best(one.id, Side.BUY).price * Decimal("1.01")).quantize(one.tick_size)
        (event,) = await gateway.submit(approved("bitstamp", now(), qty=Decimal("0.01"), limit_price=limit_price))
        assert isinstance(event, OrderAccepted)
        await until(lambda: NAME in {wanted.client_order_id for wanted in bench.wanted})
        *filled, report = await gateway.query(query("bitstamp", now(), venue_order_id=event.venue_order_id))
        assert sum(one.fill.qty for one in filled) == report.filled_qty == Decimal("0.01")
        market = feed.stats[Stream.MARKET]
        assert (1, {"first": 1}) == (market.connects, market.connects_after)
        assert (True, True) == (market.frames > 0, market.bytes > market.frames)


async def test_cut_stream_drops_the_books_and_comes_back():
    """After a cut the book is invalid at once, said so, and built anew."""
    async with live(faults=("ws-cut:at_ms=1500,every_ms=60000,count=1,venue=bitstamp",)) as (
        _,
        _,
        feed,
        books,
        bench,
        one,
    ):
        await until(lambda: bench.told(FeedDisconnected))
        await until(lambda: feed.stats[Stream.MARKET].connects > 1 or feed.stats[Stream.ACCOUNT].connects > 1)
        await until(lambda: books.state(one.id).is_valid)


async def test_silent_stream_is_given_up():
    """A socket that stays open and says nothing is noticed by the age of its last message."""
    async with live() as (server, _, feed, books, bench, one):
        await until(lambda: books.state(one.id).is_valid)
        stall = parse_fault("ws-stall:at_ms=0,every_ms=60000,count=1,ms=30000,venue=bitstamp")
        server.faults.arm([stall], SystemClock().now_ns())
        await until(lambda: "silent" in feed.stats[Stream.MARKET].drops)
        assert [event.instrument for event in bench.told(BookInvalidated)][:1] == [one.id]


async def test_wanted_book_is_built_anew():
    """Whoever asks for a book gets one from a new connection."""
    async with live() as (_, _, feed, books, _, one):
        await until(lambda: books.state(one.id).is_valid)
        feed.resync(one.id)
        await until(lambda: feed.stats[Stream.MARKET].connects == 2)
        await until(lambda: books.state(one.id).is_valid)
        market = feed.stats[Stream.MARKET]
        assert ({"first": 1, "refused": 1}, {"stale": 1}) == (market.connects_after, market.resyncs_for)


async def test_libraries_do_not_log_requests(venue, caplog):
    """Even with everything at DEBUG, no key, signature or token of a call is logged."""
    with caplog.at_level(logging.DEBUG):
        gateway = make_gateway(
            config(venue.url), Credentials(Secret("CANARYKEY"), Secret("CANARYSECRET")), SystemClock()
        )
        await gateway.load_instruments()
        await gateway.submit(approved(BITSTAMP, now()))
        await gateway.close()
        assert not logging.getLogger("ccxt.base.exchange").isEnabledFor(logging.DEBUG)
    assert "CANARY" not in caplog.text
    assert "X-Auth" not in caplog.text
