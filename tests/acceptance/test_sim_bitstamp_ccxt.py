"""Unmodified ccxt.pro trades on the pretend Bitstamp: what a third venue behind ccxt needs."""

from __future__ import annotations

import asyncio
import random
import uuid
from decimal import Decimal

import aiohttp
import ccxt
import ccxt.pro
import pytest
import pytest_asyncio
from aiohttp import web

from arbot.domain.order import Side
from arbot.runtime.clock import SystemClock
from arbot.sim.chance import stream
from arbot.sim.faults import Fault, FaultName, FaultPlan
from arbot.sim.fees import BITSTAMP_TIERS
from arbot.sim.latency import Latency, LatencyModel
from arbot.sim.listing import instruments_of
from arbot.sim.venue import BITSTAMP_POLICY, SimVenue
from arbot.sim.wire.bitstamp import WS_PATH, new_key, routes, user_id
from arbot.sim.wire.desk import Desk

BTC = "BTC/USD"
WAIT_S = 20


class World:
    """One pretend Bitstamp with a book, an account and a key."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        instruments = instruments_of("bitstamp", "bitstamp", (BTC, "ETH/USD"))
        self.venue = SimVenue("bitstamp", instruments, BITSTAMP_TIERS, random.Random(3), BITSTAMP_POLICY)
        self.venue.open_account("main", {"USD": Decimal(100_000), "BTC": Decimal(5)}, self.clock.now_ns())
        self.key = self.venue.add_key(new_key(stream(3, "keys"), "main"))
        self.faults = FaultPlan(lambda name: stream(3, name))
        self.desk = Desk(self.venue, self.clock, self.faults, LatencyModel(Latency(), stream(3, "latency")))
        self.url = ""
        self.offer((64990, 1), (65010, "0.5"), (65020, 2))

    def offer(self, bid, *asks) -> None:
        def scaled(*levels):
            return [
                (self.venue.ticks(BTC, Decimal(price)), self.venue.lots(BTC, Decimal(qty))) for price, qty in levels
            ]

        self.venue.replace_market(BTC, scaled(bid), scaled(*asks), self.clock.now_ns())

    def client(self, **more):
        api = {
            "public": f"{self.url}/api",
            "private": f"{self.url}/api",
            "ws": self.url.replace("http", "ws", 1) + WS_PATH,
        }
        return ccxt.pro.bitstamp(
            {
                "apiKey": self.key.key,
                "secret": self.key.secret,
                "enableRateLimit": False,
                "urls": {"api": api},
                "options": {"watchOrderBook": {"snapshotDelay": 1}},
                **more,
            }
        )


@pytest_asyncio.fixture
async def world():
    world = World()
    app = web.Application()
    app.add_routes(routes(world.desk, stream(3, "tokens")))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield world
    await runner.cleanup()


@pytest_asyncio.fixture
async def client(world):
    client = world.client()
    yield client
    await client.close()


def ioc(name):
    return {"client_order_id": name, "ioc_order": True}


async def within(awaitable):
    async with asyncio.timeout(WAIT_S):
        return await awaitable


async def test_load_markets(client):
    """Markets come with decimals and the minimum order value."""
    market = (await client.load_markets())[BTC]
    assert ("btcusd", 1.0, 1e-8, 10.0, True) == (
        market["id"],
        market["precision"]["price"],
        market["precision"]["amount"],
        market["limits"]["cost"]["min"],
        market["active"],
    )


async def test_order_book_and_trades(world, client):
    """The whole book and the last trades can be asked."""
    world.venue.market_trade(BTC, Side.BUY, world.venue.lots(BTC, Decimal("0.1")), world.clock.now_ns())
    book = await client.fetch_order_book(BTC)
    assert ([[64990.0, 1.0]], [[65010.0, 0.4], [65020.0, 2.0]]) == (book["bids"], book["asks"])
    assert [("buy", 65010.0, 0.1)] == [(t["side"], t["price"], t["amount"]) for t in await client.fetch_trades(BTC)]


async def test_watch_order_book_follows_the_venue(world, client):
    """The client joins the differences with the snapshot and arrives at the venue's book."""
    watching = asyncio.get_running_loop().create_task(client.watch_order_book(BTC))
    async with asyncio.timeout(WAIT_S):
        for number in range(1, 1_000):
            world.offer((64990, number), (65010, "0.5"), (65020, 2))
            done, _ = await asyncio.wait([watching], timeout=0.12)
            if done:
                break
    await watching
    world.offer((64991, 1), (65011, 3))
    while True:
        book = await within(client.watch_order_book(BTC))
        if book["bids"] == [[64991.0, 1.0]]:
            break
    assert [[65011.0, 3.0]] == book["asks"]


async def test_balances_and_fees(client):
    """Balances show what open orders reserve; fees are told in percent, which ccxt passes through."""
    await client.create_order(BTC, "limit", "buy", 0.5, 60000)
    balance = await client.fetch_balance()
    assert (pytest.approx(30000 * 1.004), 100000.0, 5.0) == (
        balance["USD"]["used"],
        balance["USD"]["total"],
        balance["BTC"]["free"],
    )
    fees = await client.fetch_trading_fees()
    assert (0.3, 0.4) == (fees[BTC]["maker"], fees[BTC]["taker"])


async def test_an_ioc_and_what_became_of_it(client):
    """An IOC fills at the book; it is found by id and by our own name, with fills and exact fees."""
    placed = await client.create_order(BTC, "limit", "buy", 1, 65010, ioc("ours"))
    assert ("ours", BTC) == (placed["clientOrderId"], placed["symbol"])
    by_id = await client.fetch_order(placed["id"], BTC)
    by_name = await client.fetch_order(None, BTC, {"client_order_id": "ours"})
    assert by_id["info"] == by_name["info"]
    assert ("canceled", 0.5, 65010.0) == (by_id["status"], by_id["filled"], by_id["average"])
    assert "0.5" == by_id["info"]["amount_remaining"]
    (fill,) = await client.fetch_my_trades(BTC)
    assert (placed["id"], "buy", 65010.0, 0.5) == (fill["order"], fill["side"], fill["price"], fill["amount"])
    assert {"cost": pytest.approx(0.5 * 65010 * 0.004), "currency": "USD"} == fill["fee"]
    assert [fill["id"]] == [one["id"] for one in await client.fetch_my_trades()]


async def test_open_orders_and_cancel(client):
    """A resting order is listed open under our name until it is cancelled; a second cancel finds nothing."""
    placed = await client.create_order(BTC, "limit", "sell", 0.5, 70000, {"client_order_id": "rests"})
    (listed,) = await client.fetch_open_orders(BTC)
    assert (placed["id"], "rests", 0.5, "sell") == (
        listed["id"],
        listed["clientOrderId"],
        listed["amount"],
        listed["side"],
    )
    await client.cancel_order(placed["id"])
    assert [] == await client.fetch_open_orders(BTC)
    assert "canceled" == (await client.fetch_order(placed["id"], BTC))["status"]
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(placed["id"])
    for _ in range(2):
        await client.create_order(BTC, "limit", "sell", 0.1, 70000)
    assert 2 == len(await client.cancel_all_orders())


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("buy", 5, 64000, {}), ccxt.InsufficientFunds, "You have only 100000 USD available"),
        (("sell", 6, 66000, {}), ccxt.InsufficientFunds, "You have only 5 BTC available"),
        (("buy", 0.0001, 60000, {}), ccxt.InvalidOrder, "Minimum order size is 10 USD"),
        (("buy", 0.1, 65010, {"moc_order": True}), ccxt.ExchangeError, "Maker-or-cancel"),
    ],
)
async def test_refused_orders(world, client, arguments, error, told):
    """A refusal is told in the venue's words and leaves nothing behind."""
    side, amount, price, params = arguments
    with pytest.raises(error, match=told):
        await client.create_order(BTC, "limit", side, amount, price, params)
    assert [] == world.venue.orders("main")


async def test_a_client_order_id_is_used_once(world, client):
    """A repeated client order id is refused and executes nothing, also after the first has ended."""
    await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("once"))
    with pytest.raises(ccxt.ExchangeError, match="used already"):
        await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("once"))
    assert 1 == len(world.venue.fills("main"))


async def test_transactions_are_paged(client):
    """Fills come newest first, oldest first on request, and page by page."""
    for number in range(3):
        await client.create_order(BTC, "limit", "sell", 0.01, 64990, ioc(f"t{number}"))
    newest = [row["id"] for row in await client.privatePostUserTransactions()]
    pages = [
        row["id"]
        for offset in range(3)
        for row in await client.privatePostUserTransactions({"limit": 1, "offset": offset})
    ]
    oldest = [row["id"] for row in await client.privatePostUserTransactions({"sort": "asc"})]
    assert (3, newest, newest) == (len(newest), pages, oldest[::-1])


async def test_watch_orders_and_my_trades(client):
    """Our orders and fills arrive on private channels under our own names."""
    await client.load_markets()
    loop = asyncio.get_running_loop()
    watching = [loop.create_task(client.watch_orders(BTC)), loop.create_task(client.watch_my_trades(BTC))]
    number = 0
    async with asyncio.timeout(WAIT_S):
        while not all(task.done() for task in watching):
            await client.create_order(BTC, "limit", "buy", 0.001, 65010, ioc(f"w{number}"))
            number += 1
            await asyncio.wait(watching, timeout=0.1)
    (order, *_), (fill, *_) = watching[0].result(), watching[1].result()
    assert order["clientOrderId"].startswith("w")
    assert (65010.0, 0.001, "buy", "USD") == (fill["price"], fill["amount"], fill["side"], fill["fee"]["currency"])
    stored = {one["clientOrderId"]: one for one in client.orders}
    while "closed" not in {one["status"] for one in stored.values()}:
        stored = {one["clientOrderId"]: one for one in await within(client.watch_orders(BTC))}


async def test_private_channels_need_the_accounts_token(world):
    """A private channel without a token, or of another user, is refused with the venue's code."""
    channel = f"private-my_orders_btcusd-{user_id('main')}"
    async with aiohttp.ClientSession() as session, session.ws_connect(world.url + WS_PATH) as socket:
        for data in ({"channel": channel}, {"channel": channel, "auth": "x"}):
            await socket.send_json({"event": "bts:subscribe", "data": data})
            assert ("bts:error", 4009) == ((answer := await socket.receive_json())["event"], answer["data"]["code"])
        for text in ("rubbish", "[]", '{"event":"bts:subscribe","data":{"channel":"nothing"}}'):
            await socket.send_str(text)
            assert "bts:error" == (await socket.receive_json())["event"]
        await socket.send_json({"event": "bts:heartbeat"})
        assert "success" == (await socket.receive_json())["data"]["status"]
        await socket.send_json({"event": "bts:subscribe", "data": {"channel": "order_book_btcusd"}})
        assert ["bts:subscription_succeeded", "data"] == [(await socket.receive_json())["event"] for _ in range(2)]


@pytest.mark.parametrize(
    ("more", "told"),
    [({"secret": "wrong"}, "API0005|invalid signature"), ({"apiKey": "nobody"}, "API key not found")],
)
async def test_wrong_keys_are_refused(world, more, told):
    """A wrong secret and an unknown key are authentication errors."""
    client = world.client(**more)
    try:
        with pytest.raises(ccxt.AuthenticationError, match=told):
            await client.fetch_balance()
    finally:
        await client.close()


async def test_a_nonce_is_used_once_and_time_must_agree(client):
    """A repeated nonce and a clock that is minutes off are refused."""
    await client.load_markets()
    fixed = str(uuid.uuid4())
    client.uuid = lambda: fixed
    await client.fetch_balance()
    with pytest.raises(ccxt.InvalidNonce):
        await client.fetch_balance()
    now_ms = client.milliseconds()
    client.milliseconds = lambda: now_ms - 600_000
    client.uuid = lambda: str(uuid.uuid4())
    with pytest.raises(ccxt.ExchangeError, match="API0017"):
        await client.fetch_balance()


async def test_a_cut_answer_leaves_the_order(world, client):
    """When the answer is cut after acceptance ccxt knows nothing, and the order is found by its name."""
    await client.load_markets()
    world.faults.arm([Fault(name=FaultName.CUT_AFTER_ACCEPT, count=1)], world.clock.now_ns())
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("cut"))
    assert "closed" == (await client.fetch_order(None, BTC, {"client_order_id": "cut"}))["status"]
