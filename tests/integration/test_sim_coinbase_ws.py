"""The pretend Coinbase's websocket, frame by frame."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal

import aiohttp
import jwt
import pytest
import pytest_asyncio

from arbot.domain.order import Side, TimeInForce
from arbot.sim.faults import Fault, FaultName
from arbot.sim.model import OrderRequest
from arbot.sim.wire import coinbase_ws
from tests.support.coinbase_world import ACCOUNT, coinbase_world

WAIT_S = 10
D = Decimal


class Customer:
    """A socket that keeps every frame it read."""

    def __init__(self, world, socket) -> None:
        self.world = world
        self.socket = socket
        self.frames = []

    async def say(self, kind="subscribe", **more):
        await self.socket.send_json({"type": kind, **more})

    async def next(self):
        async with asyncio.timeout(WAIT_S):
            frame = await self.socket.receive_json()
        self.frames.append(frame)
        return frame

    async def until(self, channel):
        while True:
            frame = await self.next()
            if frame.get("channel") == channel:
                return frame

    def token(self, key=None, **claims):
        key = key or self.world.key
        now_s = self.world.now // 10**9
        whole = {"iss": "cdp", "sub": key.name, "nbf": now_s, "exp": now_s + 120} | claims
        return jwt.encode(whole, key.secret, "ES256", {"kid": key.name, "nonce": "1"})


@pytest_asyncio.fixture
async def world():
    async with coinbase_world() as world:
        yield world


@pytest_asyncio.fixture
async def customer(world):
    async with aiohttp.ClientSession() as session, session.ws_connect(world.ws_url) as socket:
        yield Customer(world, socket)


def buy(world, name, qty="0.2", price="65010", tif=TimeInForce.IOC):
    request = OrderRequest(
        account=ACCOUNT,
        symbol="BTC/USD",
        side=Side.BUY,
        qty=D(qty),
        price=D(price),
        tif=tif,
        client_order_id=name,
    )
    return world.venue.submit(request, world.now)


async def test_the_snapshot_comes_before_the_subscriptions(customer):
    """Subscribing to level2 brings l2_data first, all bids then all offers, and the subscriptions after it."""
    await customer.say(channel="level2", product_ids=["BTC-USD"])
    snapshot, state = await customer.next(), await customer.next()
    (event,) = snapshot["events"]
    rows = [(row["side"], row["price_level"], row["new_quantity"]) for row in event["updates"]]
    assert [("bid", "64990", "1"), ("bid", "64980", "2"), ("offer", "65010", "0.5"), ("offer", "65020", "2")] == rows
    assert ("l2_data", "snapshot", "BTC-USD") == (snapshot["channel"], event["type"], event["product_id"])
    assert ("subscriptions", [{"subscriptions": {"level2": ["BTC-USD"]}}]) == (state["channel"], state["events"])
    assert {"channel", "client_id", "timestamp", "sequence_num", "events"} == set(snapshot)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", snapshot["timestamp"])


async def test_changes_within_a_batch_leave_as_one_frame(world, customer):
    """A level that changes several times within 50 ms is told once, with its last quantity; zero removes."""
    await customer.say(channel="level2", product_ids=["BTC-USD"])
    await customer.until("subscriptions")
    for qty in ("0.1", "0.2", "0.3"):
        world.set_book("BTC/USD", bids=((64990, 1),), asks=((65010, qty),))
    (event,) = (await customer.next())["events"]
    rows = {(row["side"], row["price_level"]): row["new_quantity"] for row in event["updates"]}
    assert "update" == event["type"]
    assert {("bid", "64980"): "0", ("bid", "64990"): "1", ("offer", "65010"): "0.3", ("offer", "65020"): "0"} == rows


async def test_one_sequence_over_all_channels(world, customer):
    """Numbers are contiguous from 0 over every channel of the connection, heartbeats and private rows included."""
    await customer.say(channel="heartbeats")
    await customer.say(channel="user", product_ids=["BTC-USD"], jwt=customer.token())
    for channel in ("level2", "market_trades", "ticker", "ticker_batch"):
        await customer.say(channel=channel, product_ids=["BTC-USD", "ETH-USD"])
    while len([frame for frame in customer.frames if frame["channel"] == "subscriptions"]) < 6:
        await customer.next()
    buy(world, "n1")
    world.trade("ETH/USD", Side.SELL, "1")
    seen = set()
    while not {"l2_data", "market_trades", "ticker", "user", "heartbeats"} <= seen:
        seen.add((await customer.next())["channel"])
    await customer.until("heartbeats")
    await customer.until("heartbeats")
    assert list(range(len(customer.frames))) == [frame["sequence_num"] for frame in customer.frames]
    subscriptions = [frame for frame in customer.frames if frame["channel"] == "subscriptions"][-1]
    assert 6 == len(subscriptions["events"][0]["subscriptions"])


async def test_heartbeats_count_seconds(customer):
    """Heartbeats carry an integer counter without gaps and time as Go prints it."""
    await customer.say(channel="heartbeats")
    beats = [(await customer.until("heartbeats"))["events"][0] for _ in range(2)]
    assert [1, 2] == [beat["heartbeat_counter"] for beat in beats]
    assert re.fullmatch(r"[\d-]{10} [\d:]{8}\.\d{9} \+0000 UTC m=\+\d+\.\d{9}", beats[0]["current_time"])


async def test_trades_are_batched_newest_first_with_the_makers_side(world, customer):
    """Trades of 250 ms come in one frame, the newest first, each with the side of the maker."""
    await customer.say(channel="market_trades", product_ids=["BTC-USD"])
    await customer.until("subscriptions")
    world.trade("BTC/USD", Side.BUY, "0.1")
    world.trade("BTC/USD", Side.SELL, "0.2")
    (event,) = (await customer.next())["events"]
    rows = [(row["side"], row["price"], row["size"]) for row in event["trades"]]
    assert [("BUY", "64990", "0.2"), ("SELL", "65010", "0.1")] == rows
    assert int(event["trades"][0]["trade_id"]) > int(event["trades"][1]["trade_id"])


async def test_the_user_channel_is_cumulative(world, customer):
    """A resting order that fills in two steps is told by growing sums; at its end nothing is left over."""
    order = buy(world, "maker", qty="0.5", price="65000", tif=TimeInForce.GTC)
    await customer.say(channel="user", jwt=customer.token())
    snapshot = (await customer.next())["events"][0]
    assert ("snapshot", ["maker"]) == (snapshot["type"], [row["client_order_id"] for row in snapshot["orders"]])
    await customer.until("subscriptions")
    rows = []
    for qty in ("0.2", "0.1"):
        world.trade("BTC/USD", Side.SELL, qty)
        rows.append((await customer.until("user"))["events"][0]["orders"][0])
    world.venue.cancel(ACCOUNT, order.order_id, world.now)
    rows.append((await customer.until("user"))["events"][0]["orders"][0])
    assert [("0.2", "0.3", "1", "OPEN"), ("0.3", "0.2", "2", "OPEN"), ("0.3", "0", "2", "CANCELLED")] == [
        (row["cumulative_quantity"], row["leaves_quantity"], row["number_of_fills"], row["status"]) for row in rows
    ]
    assert "trade_id" not in rows[0]
    assert all(isinstance(value, str) for value in rows[0].values())
    assert [str(D("0.3") * 65000 * D("0.0025")).rstrip("0").rstrip(".")] == [rows[-1]["total_fees"]]


async def test_a_new_order_is_pending_and_then_what_came_of_it(world, customer):
    """An IOC is told PENDING and then once, with all its fills in one row."""
    await customer.say(channel="user", jwt=customer.token())
    await customer.until("subscriptions")
    buy(world, "ioc", qty="1", price="65015")
    rows = [(await customer.until("user"))["events"][0]["orders"][0] for _ in range(2)]
    assert [("PENDING", "0", "1"), ("CANCELLED", "0.5", "0")] == [
        (row["status"], row["cumulative_quantity"], row["leaves_quantity"]) for row in rows
    ]


async def test_the_snapshot_of_many_open_orders_is_split(world, customer):
    """Open orders come fifty in a frame."""
    for number in range(51):
        buy(world, f"o{number}", qty="0.001", price="60000", tif=TimeInForce.GTC)
    await customer.say(channel="user", jwt=customer.token())
    assert [50, 1] == [len((await customer.next())["events"][0]["orders"]) for _ in range(2)]


async def test_another_accounts_orders_stay_unseen(world, customer):
    """The user channel tells the orders of the token's account and of the asked products only."""
    await customer.say(channel="user", product_ids=["ETH-USD"], jwt=customer.token())
    await customer.until("subscriptions")
    buy(world, "btc")
    other = OrderRequest(
        account="other", symbol="ETH/USD", side=Side.BUY, qty=D("0.001"), price=D(3510), tif=TimeInForce.IOC
    )
    world.venue.submit(other, world.now)
    mine = OrderRequest(
        account=ACCOUNT,
        symbol="ETH/USD",
        side=Side.BUY,
        qty=D("0.01"),
        price=D(3510),
        tif=TimeInForce.IOC,
        client_order_id="mine",
    )
    world.venue.submit(mine, world.now)
    rows = [(await customer.next())["events"][0]["orders"][0]["client_order_id"] for _ in range(2)]
    assert ["mine", "mine"] == rows


async def test_who_cannot_prove_it_is_refused(world, customer):
    """`user` without a token, with an expired one or a wrong signature is an error frame, and the socket lives on."""
    now_s = world.now // 10**9
    wrong = customer.token(world.read_key, sub=world.key.name)
    for more in ({}, {"jwt": customer.token(nbf=now_s - 300, exp=now_s - 180)}, {"jwt": wrong}, {"jwt": "x.y.z"}):
        await customer.say(channel="user", product_ids=["BTC-USD"], **more)
        assert {"type": "error", "message": "authentication failure"} == await customer.next()
    await customer.say(channel="level2", product_ids=["BTC-USD"])
    assert 0 == (await customer.next())["sequence_num"]


@pytest.mark.parametrize(
    "text",
    [
        "rubbish",
        "[]",
        '{"type":"hello"}',
        '{"type":"subscribe","channel":"full","product_ids":["BTC-USD"]}',
        '{"type":"subscribe","channel":"level2","product_ids":["NO-NO"]}',
        '{"type":"subscribe","channel":"level2"}',
        '{"type":"subscribe","channel":["level2"]}',
    ],
)
async def test_bad_frames_are_answered(customer, text):
    """What is not understood is answered with an error frame and changes nothing."""
    await customer.socket.send_str(text)
    assert "error" == (await customer.next())["type"]


async def test_unsubscribe_ends_a_channel(world, customer):
    """After unsubscribing nothing more comes, and the subscriptions are empty."""
    await customer.say(channel="level2", product_ids=["BTC-USD"])
    await customer.until("subscriptions")
    world.set_book("BTC/USD", bids=((64990, 5),), asks=((65010, 1),))
    await customer.say("unsubscribe", channel="level2", product_ids=["BTC-USD"])
    assert [{"subscriptions": {}}] == (await customer.next())["events"]
    await customer.say(channel="heartbeats")
    await customer.until("heartbeats")
    assert not [frame for frame in customer.frames[2:] if frame["channel"] == "l2_data"]


async def test_a_silent_customer_is_dropped(world, monkeypatch):
    """Who does not subscribe in time loses the connection, and so does who is quiet too long without heartbeats."""
    monkeypatch.setattr(coinbase_ws, "SUBSCRIBE_WITHIN_S", 0.05)
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(world.ws_url) as socket, asyncio.timeout(WAIT_S):
            assert aiohttp.WSMsgType.TEXT != (await socket.receive()).type
        async with session.ws_connect(world.ws_url) as socket, asyncio.timeout(WAIT_S):
            await socket.send_str(json.dumps({"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]}))
            assert [0, 1] == [(await socket.receive_json())["sequence_num"] for _ in range(2)]
            world.clock.ahead_ns += 80 * 10**9
            assert aiohttp.WSMsgType.TEXT != (await socket.receive()).type


async def test_a_lost_frame_is_a_gap_in_the_sequence(world, customer):
    """The fault that leaves a frame out shows as a hole in the numbers."""
    await customer.say(channel="level2", product_ids=["BTC-USD"])
    await customer.until("subscriptions")
    world.arm(Fault(name=FaultName.SEQ_GAP, count=1))
    world.set_book("BTC/USD", bids=((64990, 5),), asks=((65010, 1),))
    await asyncio.sleep(2 * coinbase_ws.BOOK_BATCH_S)
    world.set_book("BTC/USD", bids=((64990, 6),), asks=((65010, 1),))
    assert 3 == (await customer.next())["sequence_num"]
