"""Every fault of the simulator, hit over the wire: what the customer sees, what the venue knows, what the counter says."""

import asyncio
import base64
import json
import zlib

import aiohttp
import ccxt
import msgspec
import pytest

from arbot.domain.errors import UserError
from arbot.domain.ids import OrderName, client_order_id
from arbot.sim.chance import stream
from arbot.sim.faults import DEFAULTS, FaultName, FaultPlan, parse_fault
from arbot.sim.wire.auth_kraken import sign
from tests.support.sim_world import BTC, KRAKEN, SteppedClock, kraken_options, kraken_world, raw_socket

WAIT_S = 10


async def order(client, name="ab0001", **params):
    """Send an order that rests far below the market."""
    return await client.create_order(BTC, "limit", "buy", 0.01, 60000, {"clientOrderId": name, **params})


def venue_orders(server):
    return [one.client_order_id for one in server.venues["kraken"].orders("main")]


AFTER_ACCEPT = [
    ("timeout-after-accept:rate=1,ms=2000", ccxt.RequestTimeout),
    ("http-502-after-accept:rate=1", ccxt.ExchangeNotAvailable),
    ("cut-after-accept:rate=1", ccxt.ExchangeNotAvailable),
]


@pytest.mark.parametrize(("fault", "error"), AFTER_ACCEPT)
async def test_the_venue_has_the_order_and_the_customer_no_answer(fault, error):
    """After-accept faults: the call fails without an answer, the order is open, and the hit is counted."""
    async with kraken_world(kraken_options(faults=(fault,))) as (server, client):
        await client.load_markets()
        client.timeout = 300
        with pytest.raises(error):
            await order(client)
        assert ["ab0001"] == venue_orders(server)
        assert {f"{fault.split(':')[0]}@kraken": 1} == server.faults.hits()


async def test_a_late_answer_comes():
    """The answer of a timed-out order leaves the venue in the end, for those who still listen."""
    async with kraken_world(kraken_options(faults=("timeout-after-accept:rate=1,ms=200",))) as (server, client):
        await client.load_markets()
        assert (await order(client))["id"] == server.venues["kraken"].orders("main")[0].order_id


async def test_a_lost_request_never_arrives():
    """A lost order is unknown to the venue; the customer sees the same broken connection as after an accept."""
    async with kraken_world(kraken_options(faults=("request-lost:rate=1,count=1",))) as (server, client):
        await client.load_markets()
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await order(client)
        assert [] == venue_orders(server)
        assert (await order(client))["id"]


async def test_a_lost_cancel_leaves_the_order_open():
    """A lost cancel changes nothing at the venue."""
    async with kraken_world(kraken_options(faults=("cancel-lost:rate=1,count=1",))) as (server, client):
        await client.load_markets()
        placed = await order(client)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.cancel_order(placed["id"])
        assert server.venues["kraken"].open_orders("main")


async def test_a_hidden_order_is_listed_later():
    """Queries do not show a hidden order, or its id, until its time is over."""
    clock = SteppedClock()
    async with kraken_world(kraken_options(faults=("hide-order:rate=1,ms=60000",)), clock) as (_, client):
        await client.load_markets()
        placed = await order(client)
        assert [] == await client.fetch_open_orders()
        clock.ahead_ns += 61 * 10**9
        assert [placed["id"]] == [one["id"] for one in await client.fetch_open_orders()]


async def test_latency_delays_requests():
    """A slow way in is counted per request."""
    async with kraken_world(kraken_options(faults=("latency:ms=20,count=2",))) as (server, client):
        await client.load_markets()
        assert {"latency@kraken": 2} == server.faults.hits()


async def test_the_second_leg_is_refused_and_the_hedge_is_not():
    """leg2-reject lets the first order of an arb pass, refuses its second venue for funds, and leaves later orders alone."""
    plan = FaultPlan(lambda name: stream(1, name))
    plan.arm([parse_fault("leg2-reject:rate=1")], 0)
    names = [client_order_id(OrderName(1, arb, leg, 0)) for arb in (1, 2) for leg in (0, 1, 2)]
    told = [plan.refuses_leg(venue, name, 0) for venue, name in zip(("a", "b", "c") * 2, names, strict=True)]
    assert [False, True, False] * 2 == told
    async with kraken_world(kraken_options(faults=("leg2-reject:rate=1,venue=kraken",))) as (server, client):
        await client.load_markets()
        with pytest.raises(ccxt.InsufficientFunds):
            await order(client, client_order_id(OrderName(1, 9, 1, 0)))
        await order(client, client_order_id(OrderName(1, 9, 1, 1)))
        assert {"leg2-reject@kraken": 1} == server.faults.hits()


async def frames(socket, count, channel):
    """Return that many texts of a channel (any text when it cannot be read)."""
    found = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return [*found, message.type]
            if message.data.startswith(f'{{"channel":"{channel}"') or not message.data.endswith("}"):
                found.append(message.data)
    return found


async def subscribe(socket, **params):
    await socket.send_json({"method": "subscribe", "params": params})


def broken_books(texts):
    """Return how many messages do not verify for a client that keeps the book by the venue's rules."""
    bids, asks, broken = {}, {}, 0
    for text in texts:
        try:
            data = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError:
            broken += 1
            continue
        (row,) = json.loads(bytes(data["data"]), parse_float=str)
        if '"snapshot"' in text[:60]:
            bids.clear()
            asks.clear()
        for side, rows in ((bids, row["bids"]), (asks, row["asks"])):
            for level in rows:
                price = int(level["price"].replace(".", ""))
                side[price] = int(str(level["qty"]).replace(".", ""))
                if side[price] == 0:
                    del side[price]
        top_asks, top_bids = sorted(asks)[:10], sorted(bids, reverse=True)[:10]
        for side, kept in ((asks, top_asks), (bids, top_bids)):
            for price in set(side) - set(kept):
                del side[price]
        hashed = "".join(
            f"{price}{side[price]}" for side, kept in ((asks, top_asks), (bids, top_bids)) for price in kept
        )
        broken += zlib.crc32(hashed.encode()) != row["checksum"]
    return broken


@pytest.mark.parametrize("name", ["bad-checksum", "seq-gap", "malformed-frame"])
async def test_book_faults_break_the_book_and_nothing_else_does(name):
    """Without faults every checksum verifies; with one, some do not, and the counter says so."""
    async with kraken_world(kraken_options()) as (server, _), raw_socket(server) as socket:
        await subscribe(socket, channel="book", symbol=[BTC], depth=10)
        assert 0 == broken_books(await frames(socket, 80, "book"))
        server.faults.arm([parse_fault(f"{name}:at_ms=0,every_ms=50,count=1")], 0)
        assert broken_books(await frames(socket, 1, "book") + await frames(socket, 60, "book")) >= 1
        assert {f"{name}@kraken": 1} == server.faults.hits()


async def test_a_cut_socket_closes():
    """ws-cut drops the connection without a closing frame."""
    async with kraken_world(kraken_options()) as (server, _), raw_socket(server) as socket:
        await subscribe(socket, channel="book", symbol=[BTC], depth=10)
        await frames(socket, 5, "book")
        server.faults.arm([parse_fault("ws-cut:at_ms=0")], 0)
        assert (await frames(socket, 10_000, "book"))[-1] in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_a_stalled_socket_answers_pings_only():
    """ws-stall keeps data back in order, answers pings meanwhile, and lets everything go afterwards."""
    async with kraken_world(kraken_options()) as (server, _), raw_socket(server) as socket:
        await subscribe(socket, channel="book", symbol=[BTC], depth=10)
        await frames(socket, 5, "book")
        server.faults.arm([parse_fault("ws-stall:at_ms=0,every_ms=60000,ms=700")], 0)
        async with asyncio.timeout(WAIT_S):
            while not server.faults.hits():
                await socket.receive()
            await socket.send_json({"method": "ping", "req_id": 5})
            while True:
                text = (await socket.receive()).data
                if '"pong"' in text:
                    break
        assert json.loads(text)["req_id"] == 5
        assert 20 == len(await frames(socket, 20, "book"))


@pytest.mark.parametrize(("fault", "expected"), [("dup-fill:rate=1", 2), ("late-fill:rate=1,ms=300,count=5", 1)])
async def test_private_rows_repeat_or_come_late(fault, expected):
    """dup-fill sends a private frame twice; late-fill sends it after those that follow, and it does arrive."""
    async with kraken_world(kraken_options()) as (server, client), raw_socket(server, "ws_private_url") as socket:
        await client.load_markets()
        token = (await client.privatePostGetWebSocketsToken())["result"]["token"]
        await subscribe(socket, channel="executions", token=token)
        await frames(socket, 1, "executions")
        server.faults.arm([parse_fault(fault)], 0)
        await client.create_order(BTC, "limit", "buy", 0.0001, 70000, {"clientOrderId": "ab1"})
        count = 4 * expected
        rows = [json.loads(text)["data"][0] for text in await frames(socket, count, "executions")]
        assert expected == sum(row["exec_type"] == "trade" for row in rows)


async def test_grouped_rows_come_in_one_frame():
    """When rows are grouped, new, trade and filled of one order share a frame."""
    options = kraken_options(rows_grouped_share=1.0)
    async with kraken_world(options) as (server, client), raw_socket(server, "ws_private_url") as socket:
        await client.load_markets()
        token = (await client.privatePostGetWebSocketsToken())["result"]["token"]
        await subscribe(socket, channel="executions", token=token)
        await frames(socket, 1, "executions")
        await client.create_order(BTC, "limit", "buy", 0.0001, 70000)
        (text,) = await frames(socket, 1, "executions")
        rows = json.loads(text)["data"]
        assert ["pending_new", "new", "trade"] == [row["exec_type"] for row in rows][:3]
        assert "filled" == rows[-1]["exec_type"]


async def private(server, path, nonce, *, secret=None, key=None, **fields):
    """Make a signed call by hand."""
    one = server.describe()["venues"]["kraken"]
    body = "&".join(f"{name}={value}" for name, value in {"nonce": nonce, **fields}.items()).encode()
    headers = {
        "API-Key": key or one["key"],
        "API-Sign": sign(secret or one["secret"], path, str(nonce), body),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(one["rest_url"] + path, data=body, headers=headers) as got,
    ):
        return await got.json()


async def test_signature_of_the_documented_vector():
    """The signature equals one that was computed independently."""
    secret = base64.b64encode(bytes(range(64))).decode()
    body = (
        b"nonce=1700000000000&pair=XXBTZUSD&type=buy&ordertype=limit&volume=0.1&price=65000.1"
        b"&cl_ord_id=arb-000000000001&timeinforce=IOC"
    )
    expected = "MS2u6aZHoxUde9M9EMK2cyQVY4ucgeG/7jbhZ4Q51F8AvEzfOOmeU3CXA5diKG0bpgU2MdE5ndA34stBtdoufw=="
    assert expected == sign(secret, "/0/private/AddOrder", "1700000000000", body)


async def test_wrong_key_signature_and_nonce_are_told_apart():
    """Each mistake of authentication has its own text; nonces rise per key; many mistakes lock the key out."""
    path = "/0/private/BalanceEx"
    async with kraken_world(kraken_options()) as (server, _):
        assert ["EAPI:Invalid key"] == (await private(server, path, 1, key="nobody"))["error"]
        other = base64.b64encode(bytes(64)).decode()
        assert ["EAPI:Invalid signature"] == (await private(server, path, 1, secret=other))["error"]
        assert [] == (await private(server, path, 5))["error"]
        assert ["EAPI:Invalid nonce"] == (await private(server, path, 5))["error"]
        assert ["EGeneral:Unknown method"] == (await private(server, "/0/private/Nothing", 6))["error"]
        for _ in range(15):
            last = await private(server, path, 5)
        assert ["EGeneral:Temporary lockout"] == (await private(server, path, 99))["error"], last


async def repeat(times, call):
    for _ in range(times):
        await call()


async def test_call_counter_and_engine_counter_refuse_and_recover():
    """Over the call counter and over the engine's threshold the venue says so, and forgets with time."""
    clock = SteppedClock()
    venue = msgspec.structs.replace(KRAKEN, rate_tier="starter")
    async with kraken_world(kraken_options(venues=(venue,)), clock) as (server, client):
        await client.load_markets()
        with pytest.raises(ccxt.DDoSProtection, match="EAPI:Rate limit exceeded"):
            await repeat(16, client.fetch_balance)
        clock.ahead_ns += 60 * 10**9
        await client.fetch_balance()

        async def add_and_cancel():
            await client.cancel_order((await order(client))["id"])

        with pytest.raises(ccxt.DDoSProtection, match="EOrder:Rate limit exceeded"):
            await repeat(30, add_and_cancel)
        clock.ahead_ns += 300 * 10**9
        assert (await order(client))["id"]
        assert server.venues["kraken"].open_orders("main")


async def test_an_expired_token_is_refused():
    """A websocket token must be used within 15 minutes; an unknown one never works."""
    clock = SteppedClock()
    async with kraken_world(kraken_options(), clock) as (server, client):
        token = (await client.privatePostGetWebSocketsToken())["result"]["token"]
        clock.ahead_ns += 901 * 10**9
        async with raw_socket(server, "ws_private_url") as socket:
            for bad in (token, "nonsense"):
                await subscribe(socket, channel="executions", token=bad)
                async with asyncio.timeout(WAIT_S):
                    while '"success":false' not in (text := (await socket.receive()).data):
                        pass
                assert "ESession:Invalid session" == json.loads(text)["error"]


async def test_subscribe_mistakes_are_answered():
    """An unknown pair, depth, channel or method gets a refusal; acks of a good pair come before its snapshot."""
    async with kraken_world(kraken_options()) as (server, _), raw_socket(server) as socket:
        await subscribe(socket, channel="book", symbol=["XXX/USD", BTC], depth=10)
        await subscribe(socket, channel="book", symbol=[BTC], depth=7)
        await subscribe(socket, channel="executions", token="x")
        await socket.send_str("[1,")
        texts = []
        async with asyncio.timeout(WAIT_S):
            while sum('"success":false' in text for text in texts) < 4:
                texts.append((await socket.receive()).data)
        refusals = [json.loads(text)["error"] for text in texts if '"success":false' in text]
        assert [
            "Currency pair not supported XXX/USD",
            "Book depth not supported",
            "Channel not supported",
            "Malformed request",
        ] == refusals
        texts += await frames(socket, 1, "book")
        ack = next(at for at, text in enumerate(texts) if '"success":true' in text)
        snapshot = next(at for at, text in enumerate(texts) if '"type":"snapshot"' in text)
        assert ack < snapshot
        assert '"channel":"status"' in texts[0]


def test_every_fault_has_a_default_and_a_hit_here():
    """No fault exists without a default; bad texts are told with what would do."""
    assert set(FaultName) == set(DEFAULTS)
    for text in ("no-such", "ws-cut:rate=2", "ws-cut:rate", "ws-cut:colour=red", "ws-cut:ms=-1"):
        with pytest.raises(UserError):
            parse_fault(text)
    assert (0.5, 3, "kraken") == (
        (fault := parse_fault("leg2-reject:venue=kraken,count=3")).rate,
        fault.count,
        fault.venue,
    )
