"""Unmodified ccxt.pro trades on the pretend Coinbase: every call a gateway would make, over loopback."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import ccxt
import pytest
import pytest_asyncio

from arbot.domain.order import Side
from arbot.sim.faults import Fault, FaultName
from arbot.sim.wire.coinbase_rest import Limits
from arbot.sim.wire.tls import server_context, write_certificate
from tests.support.coinbase_world import ROOMY, SteppedClock, coinbase_world

BTC = "BTC/USD"
WAIT_S = 10


@pytest_asyncio.fixture
async def world():
    async with coinbase_world() as world:
        yield world


@pytest_asyncio.fixture
async def client(world):
    client = world.ccxt()
    yield client
    await client.close()


def ioc(name: str, **more):
    return {"client_order_id": name, "timeInForce": "IOC", **more}


async def test_load_markets(client):
    """Markets come with the venue's steps, minimums and the account's own fee rates."""
    markets = await client.load_markets()
    market = markets[BTC]
    assert {BTC, "ETH/USD"} == set(markets)
    assert (0.01, 1e-8, 0.004, 0.0025) == (
        market["precision"]["price"],
        market["precision"]["amount"],
        market["taker"],
        market["maker"],
    )
    assert ("BTC-USD", True, 1.0) == (market["id"], market["active"], market["limits"]["cost"]["min"])


async def test_time_by_both_methods(world, client):
    """The venue's clock can be asked through v2 and v3."""
    for method in ("v2PublicGetTime", "v3PublicGetBrokerageTime"):
        assert abs(await client.fetch_time({"method": method}) - world.now // 10**6) < 5_000


async def test_order_book(client):
    """The book is what the venue holds, best levels first, cut at the asked depth."""
    book = await client.fetch_order_book(BTC)
    assert ([[64990.0, 1.0], [64980.0, 2.0]], [[65010.0, 0.5], [65020.0, 2.0]]) == (book["bids"], book["asks"])
    assert 1 == len((await client.fetch_order_book(BTC, 1))["asks"])


async def test_public_trades_name_the_maker(world, client):
    """Public trades come newest first from the venue and ccxt reads the side as the venue gives it."""
    world.trade(BTC, Side.BUY, "0.1")
    world.trade(BTC, Side.SELL, "0.2")
    trades = await client.fetch_trades(BTC)
    assert [("sell", 65010.0, 0.1), ("buy", 64990.0, 0.2)] == [(t["side"], t["price"], t["amount"]) for t in trades]


async def test_an_ioc_fills_at_the_book_and_the_rest_is_cancelled(client):
    """An IOC takes what its limit allows at the book's prices; the order and its fills agree."""
    placed = await client.create_order(BTC, "limit", "buy", 1, 65010, ioc("one"))
    order = await client.fetch_order(placed["id"])
    assert ("one", "canceled", 0.5, 65010.0) == (
        order["clientOrderId"],
        order["status"],
        order["filled"],
        order["average"],
    )
    (fill,) = await client.fetch_my_trades(BTC)
    assert (order["id"], 65010.0, 0.5, "taker") == (fill["order"], fill["price"], fill["amount"], fill["takerOrMaker"])
    assert {"cost": 0.5 * 65010 * 0.004, "currency": "USD"} == fill["fee"]


async def test_a_repeated_client_order_id_executes_once(world, client):
    """The same order sent again is the same order; another under its name is refused and trades nothing."""
    first = await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("same"))
    again = await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("same"))
    assert first["id"] == again["id"]
    with pytest.raises(ccxt.ExchangeError, match="DUPLICATE_CLIENT_ORDER_ID"):
        await client.create_order(BTC, "limit", "buy", 0.2, 65010, ioc("same"))
    assert 1 == len(world.venue.fills("main"))


@pytest.mark.parametrize(
    ("arguments", "params", "status", "filled"),
    [
        (("limit", "buy", 0.1, 60000), {}, "open", 0.0),
        (("limit", "buy", 0.1, 60000), {"postOnly": True}, "open", 0.0),
        (("limit", "buy", 0.1, 65010), {"timeInForce": "FOK"}, "closed", 0.1),
        (("limit", "buy", 9, 65010), {"timeInForce": "FOK"}, "canceled", 0.0),
        (("market", "sell", 0.25), {}, "closed", 0.25),
        (("market", "buy", 0.1, 65010), {}, "closed", 0.09960159),
    ],
)
async def test_every_kind_of_order(client, arguments, params, status, filled):
    """GTC, post-only, FOK and market orders (by size and by cost) end as the book and their kind say."""
    if arguments[2] == 9:
        arguments = (*arguments[:2], 1.2, arguments[3])
    placed = await client.create_order(BTC, *arguments, params=params)
    order = await client.fetch_order(placed["id"])
    assert (status, filled) == (order["status"], order["filled"])


async def test_an_order_with_an_end_expires(world, client):
    """A GTD order is open until its end and expired afterwards."""
    end = datetime.fromtimestamp(world.now // 10**9, UTC) + timedelta(seconds=60)
    params = {"timeInForce": "GTD", "end_time": end.isoformat()}
    placed = await client.create_order(BTC, "limit", "buy", 0.1, 60000, params)
    assert "open" == (await client.fetch_order(placed["id"]))["status"]
    world.clock.ahead_ns = 90 * 10**9
    client.nonce = lambda: client.milliseconds() + 90_000
    client.seconds = lambda: world.now // 10**9
    assert "canceled" == (await client.fetch_order(placed["id"]))["status"]
    assert "EXPIRED" == (await client.fetch_order(placed["id"]))["info"]["status"]


async def test_preview_takes_nothing(world, client):
    """A preview says what an order would cost and leaves no order."""
    await client.create_order(BTC, "limit", "buy", 1, 65010, {"preview": True})
    order = {"product_id": "BTC-USD", "side": "BUY"}
    for size, told in (("1", []), ("5000", ["PREVIEW_INSUFFICIENT_FUND"])):
        terms = {"sor_limit_ioc": {"base_size": size, "limit_price": "65010"}}
        preview = await client.v3PrivatePostBrokerageOrdersPreview({**order, "order_configuration": terms})
        assert told == preview["errs"]
        assert "65010" == preview["best_ask"]
        assert "65270.04" == preview["order_total"] or size != "1"
    assert [] == world.venue.orders("main")


async def test_holds_and_balances(client):
    """An open order reserves its cost with the fee; v3 shows the hold, v2 does not; a cancel releases it."""
    placed = await client.create_order(BTC, "limit", "buy", 0.5, 60000)
    v3 = await client.fetch_balance({"v3": True})
    hold = 30000 * 1.004
    assert (pytest.approx(hold), pytest.approx(100000 - hold), 100000) == (
        v3["USD"]["used"],
        v3["USD"]["free"],
        v3["USD"]["total"],
    )
    v2 = await client.fetch_balance()
    assert (0, 100000) == (v2["USD"]["used"], v2["USD"]["free"])
    await client.cancel_order(placed["id"])
    assert 0 == (await client.fetch_balance({"v3": True}))["USD"]["used"]
    assert "canceled" == (await client.fetch_order(placed["id"]))["status"]


async def test_lists_of_orders(client):
    """Open, filled and cancelled orders are listed apart, and all of them together without a filter."""
    await client.create_order(BTC, "limit", "buy", 0.1, 60000, {"client_order_id": "rests"})
    await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("fills"))
    await client.create_order("ETH/USD", "limit", "buy", 0.1, 3000, ioc("misses"))
    names = [
        [order["clientOrderId"] for order in await listed]
        for listed in (
            client.fetch_open_orders(BTC),
            client.fetch_closed_orders(BTC),
            client.fetch_canceled_orders("ETH/USD"),
            client.fetch_orders(),
        )
    ]
    assert [["rests"], ["fills"], ["misses"], ["rests", "fills", "misses"]] == names


async def test_orders_and_fills_are_paged(client):
    """A cursor leads through all orders and all fills, newest first, without gap or repeat."""
    for number in range(5):
        await client.create_order(BTC, "limit", "sell", 0.01, 64980, ioc(f"p{number}"))
    seen, cursor = [], ""
    while True:
        page = await client.v3PrivateGetBrokerageOrdersHistoricalBatch({"limit": 2, "cursor": cursor})
        seen += [order["client_order_id"] for order in page["orders"]]
        cursor = page["cursor"]
        if not page["has_next"]:
            break
    assert ["p4", "p3", "p2", "p1", "p0"] == seen
    fills, cursor = [], ""
    while True:
        page = await client.v3PrivateGetBrokerageOrdersHistoricalFills({"limit": 2, "cursor": cursor})
        fills += [fill["trade_id"] for fill in page["fills"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert (5, 5) == (len(fills), len(set(fills)))
    accounts, cursor = [], ""
    while True:
        page = await client.v3PrivateGetBrokerageAccounts({"limit": 1, "cursor": cursor})
        accounts += [account["currency"] for account in page["accounts"]]
        cursor = page["cursor"]
        if not page["has_next"]:
            break
    assert ["BTC", "ETH", "USD"] == accounts


async def test_filters_of_orders_and_fills(world, client):
    """Orders can be asked by start, product and id; fills by order, trade and time."""
    await client.create_order(BTC, "limit", "sell", 0.01, 64980, ioc("early"))
    since = client.iso8601(world.now // 10**6 + 60_000)
    world.clock.ahead_ns = 120 * 10**9
    client.seconds = lambda: world.now // 10**9
    late = await client.create_order("ETH/USD", "limit", "sell", 0.01, 3000, ioc("late"))
    batch = client.v3PrivateGetBrokerageOrdersHistoricalBatch
    fills = client.v3PrivateGetBrokerageOrdersHistoricalFills
    for params in (
        {"start_date": since},
        {"product_ids": "ETH-USD"},
        {"product_id": "ETH-USD"},
        {"order_ids": late["id"]},
        {"end_date": "2100-01-01T00:00:00Z", "start_date": since},
    ):
        assert ["late"] == [order["client_order_id"] for order in (await batch(params))["orders"]]
    trade_id = (await fills({"order_ids": late["id"]}))["fills"][0]["trade_id"]
    for params in ({"trade_ids": trade_id}, {"product_ids": "ETH-USD"}, {"start_sequence_timestamp": since}):
        assert [trade_id] == [fill["trade_id"] for fill in (await fills(params))["fills"]]
    assert 1 == len(await client.fetch_my_trades("ETH/USD", since=world.now // 10**6 - 1_000))


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ((BTC, "limit", "buy", 5000, 65000), ccxt.InsufficientFunds, "INSUFFICIENT_FUND"),
        ((BTC, "limit", "sell", 6, 66000), ccxt.InsufficientFunds, "INSUFFICIENT_FUND"),
        ((BTC, "limit", "buy", 0.00000002, 65000), ccxt.ExchangeError, "QUOTE_SIZE_TOO_SMALL"),
        ((BTC, "limit", "buy", 0.1, 65010, {"postOnly": True}), ccxt.ExchangeError, "INVALID_LIMIT_PRICE_POST_ONLY"),
        ((BTC, "limit", "buy", 0.1, 60000, {"timeInForce": "GTD", "end_time": "soon"}), ccxt.BadRequest, "end_time"),
    ],
)
async def test_refused_orders(world, client, arguments, error, told):
    """A refusal names the venue's reason and leaves nothing behind."""
    with pytest.raises(error, match=told):
        await client.create_order(*arguments)
    assert [] == world.venue.orders("main")


async def test_a_cancel_of_a_finished_order_is_told(client):
    """Cancelling what is finished is a false result, for ccxt a BadRequest."""
    placed = await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("done"))
    with pytest.raises(ccxt.BadRequest):
        await client.cancel_order(placed["id"])
    answer = await client.v3PrivatePostBrokerageOrdersBatchCancel({"order_ids": [placed["id"]]})
    assert [(False, "UNKNOWN_CANCEL_ORDER")] == [(r["success"], r["failure_reason"]) for r in answer["results"]]


async def test_an_unknown_order_is_not_found(client):
    """Asking for an order that never was is a 404 with the venue's words."""
    with pytest.raises(ccxt.ExchangeError, match="order with this orderID was not found"):
        await client.fetch_order("c72fde0a-c4c4-41b1-81b4-dd86d8d831de")


async def test_fees_permissions_portfolios(client):
    """The account's fee tier, the key's permissions and the portfolio can be asked."""
    fees = await client.fetch_trading_fees()
    assert (0.004, 0.0025) == (fees[BTC]["taker"], fees[BTC]["maker"])
    permissions = await client.v3PrivateGetBrokerageKeyPermissions()
    assert (True, True, False) == (permissions["can_view"], permissions["can_trade"], permissions["can_transfer"])
    (portfolio,) = await client.fetch_portfolios()
    assert permissions["portfolio_uuid"] == portfolio["id"]


async def test_withdrawal_and_its_life(world):
    """A withdrawal leaves the balance with its fee at once, is idempotent by idem, and completes later."""
    client = world.ccxt(world.withdraw_key)
    try:
        sent = [await client.withdraw("BTC", 0.5, "bc1qexample", params={"idem": "x1"}) for _ in range(2)]
        assert (sent[0]["id"], 0.5, "pending") == (sent[1]["id"], sent[0]["amount"], sent[0]["status"])
        balance = await client.fetch_balance({"v3": True})
        assert 5 - 0.5 - 0.0001 == pytest.approx(balance["BTC"]["total"])
        world.clock.ahead_ns = 60 * 10**9
        client.seconds = lambda: world.now // 10**9
        (withdrawal,) = await client.fetch_withdrawals("BTC")
        assert ("ok", 0.5) == (withdrawal["status"], withdrawal["amount"])
        world.venue.deposit("main", "BTC", world.venue.qty(BTC, 10**8), world.now)
        (deposit,) = await client.fetch_deposits("BTC")
        assert ("pending", 1.0) == (deposit["status"], deposit["amount"])
        assert 2 == len(await client.fetch_deposits_withdrawals("BTC"))
        assert ["BTC"] == [a["currency"] for a in (await client.fetch_deposit_addresses_by_network("BTC")).values()]
    finally:
        await client.close()


async def test_a_key_does_only_what_it_may(world, client):
    """A trading key cannot withdraw and a reading key cannot trade."""
    with pytest.raises(ccxt.ExchangeError, match="invalid_scope"):
        await client.withdraw("BTC", 0.5, "bc1qexample")
    reader = world.ccxt(world.read_key)
    try:
        with pytest.raises(ccxt.PermissionDenied):
            await reader.create_order(BTC, "limit", "buy", 0.1, 60000)
        assert [] == await reader.fetch_open_orders(BTC)
    finally:
        await reader.close()


@pytest.mark.parametrize("which", ["ed_key", "old_key"])
async def test_other_kinds_of_keys(world, which):
    """Ed25519 and legacy keys are let in too."""
    client = world.ccxt(getattr(world, which))
    try:
        assert 100_000 == (await client.fetch_balance({"v3": True}))["USD"]["total"]
        placed = await client.create_order(BTC, "limit", "buy", 0.1, 60000)
        assert "open" == (await client.fetch_order(placed["id"]))["status"]
    finally:
        await client.close()


async def test_wrong_keys_and_clocks_are_refused(world):
    """A wrong secret, an unknown key and a clock that is two minutes off are authentication errors."""
    clients = [
        world.ccxt(world.key, secret=world.read_key.secret),
        world.ccxt(world.key, apiKey="organizations/a/apiKeys/b"),
        world.ccxt(world.key),
    ]
    late = clients[2]
    late.seconds = lambda: world.now // 10**9 - 200
    try:
        for client in clients:
            with pytest.raises(ccxt.AuthenticationError):
                await client.v3PrivateGetBrokerageAccounts()
    finally:
        for client in clients:
            await client.close()


async def eight_times(call):
    for _ in range(8):
        await call()


async def test_the_rate_limit():
    """Past the limit the venue answers 429 with its own words, and lets in again when time has passed."""
    async with coinbase_world(Limits(private_per_s=3, public_per_s=2)) as world:
        client = world.ccxt()
        try:
            with pytest.raises(ccxt.RateLimitExceeded, match="rate_limit_exceeded"):
                await eight_times(client.v3PrivateGetBrokerageKeyPermissions)
            assert ("3", "0") == tuple(
                client.last_response_headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining")
            )
            world.clock.ahead_ns = 2 * 10**9
            assert (await client.v3PrivateGetBrokerageKeyPermissions())["can_view"]
            with pytest.raises(ccxt.RateLimitExceeded):
                await eight_times(client.v3PublicGetBrokerageTime)
        finally:
            await client.close()
    assert (30, 10) == (Limits().private_per_s, Limits().public_per_s)
    assert ROOMY.v2_per_hour == Limits().v2_per_hour


@pytest.mark.parametrize("name", [FaultName.HTTP_502_AFTER_ACCEPT, FaultName.CUT_AFTER_ACCEPT, FaultName.REQUEST_LOST])
async def test_faults_of_requests(world, client, name):
    """A broken answer is ExchangeNotAvailable for ccxt, whether the order was taken or lost."""
    await client.load_markets()
    world.arm(Fault(name=name, count=1))
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("maybe"))
    assert (0 if name is FaultName.REQUEST_LOST else 1) == len(world.venue.fills("main"))
    listed = await client.v3PrivateGetBrokerageOrdersHistoricalBatch({"product_ids": "BTC-USD"})
    assert len(world.venue.fills("main")) == len(listed["orders"])


async def test_an_order_can_hide_for_a_while(world, client):
    """Under the fault a fresh order and its fills are not shown until the time has passed."""
    await client.load_markets()
    world.arm(Fault(name=FaultName.HIDE_ORDER, count=1, ms=60_000))
    placed = await client.create_order(BTC, "limit", "buy", 0.1, 65010, ioc("hidden"))
    assert ([], []) == (await client.fetch_orders(BTC), await client.fetch_my_trades(BTC))
    with pytest.raises(ccxt.ExchangeError, match="not found"):
        await client.fetch_order(placed["id"])
    world.clock.ahead_ns = 61 * 10**9
    client.seconds = lambda: world.now // 10**9
    assert 1 == len(await client.fetch_my_trades(BTC))


async def test_over_tls(tmp_path):
    """With the loopback certificate REST and websocket work over TLS, and without it they are refused."""
    files = write_certificate(tmp_path, SteppedClock().now_ns())
    assert 0o600 == files.key.stat().st_mode & 0o777
    async with coinbase_world(ssl_context=server_context(files)) as world:
        trusting, doubting = world.ccxt(cafile=str(files.certificate)), world.ccxt()
        try:
            assert 100_000 == (await trusting.fetch_balance({"v3": True}))["USD"]["total"]
            assert [64990.0, 1.0] == (await within(trusting.watch_order_book(BTC)))["bids"][0]
            with pytest.raises(ccxt.ExchangeNotAvailable):
                await doubting.fetch_time()
        finally:
            await trusting.close()
            await doubting.close()


# --- websocket -------------------------------------------------------------------------------------------------------


async def within(awaitable):
    async with asyncio.timeout(WAIT_S):
        return await awaitable


async def test_watch_order_book_follows_the_venue(world, client):
    """The book of ccxt equals the venue's after the snapshot and after every change."""
    book = await within(client.watch_order_book(BTC))
    assert [[65010.0, 0.5], [65020.0, 2.0]] == book["asks"]
    world.set_book(BTC, bids=((64995, "1.5"),), asks=((65005, "0.25"), (65020, 2)))
    book = await within(client.watch_order_book(BTC))
    assert ([[64995.0, 1.5]], [[65005.0, 0.25], [65020.0, 2.0]]) == (book["bids"], book["asks"])
    both = await within(client.watch_order_book_for_symbols([BTC, "ETH/USD"]))
    assert both["symbol"] in (BTC, "ETH/USD")


async def test_watch_trades_and_ticker(world, client):
    """Public trades and tickers arrive."""
    world.trade(BTC, Side.BUY, "0.1")
    trades = await within(client.watch_trades(BTC))
    assert [(65010.0, 0.1)] == [(trade["price"], trade["amount"]) for trade in trades]
    world.trade(BTC, Side.BUY, "0.2")
    assert [(65010.0, 0.2)] == [(trade["price"], trade["amount"]) for trade in await within(client.watch_trades(BTC))]
    ticker = await within(client.watch_ticker(BTC))
    assert (64990.0, 65010.0, 65010.0) == (ticker["bid"], ticker["ask"], ticker["last"])
    assert BTC in await within(client.watch_tickers([BTC]))


async def test_watch_orders(client):
    """Our orders arrive as cumulative rows under our own names, after a snapshot of the open ones."""
    assert [] == await within(client.watch_orders())
    await client.create_order(BTC, "limit", "buy", 0.2, 65010, ioc("seen"))
    statuses = []
    while "FILLED" not in statuses:
        (order,) = await within(client.watch_orders())
        statuses.append(order["info"]["status"])
    assert ("seen", "0.2", "0", "65010") == (
        order["info"]["client_order_id"],
        order["info"]["cumulative_quantity"],
        order["info"]["leaves_quantity"],
        order["info"]["avg_price"],
    )


async def test_watch_orders_with_a_wrong_key_is_refused(world, client):
    """A subscription to `user` whose token does not verify is answered with the venue's error frame."""
    await client.load_markets()
    client.secret = world.read_key.secret
    errors = []
    inner = client.handle_message

    def guard(socket, message):
        if message.get("type") == "error":
            errors.append(message["message"])
            socket.on_error(ccxt.NetworkError("refused"))
        else:
            inner(socket, message)

    client.handle_message = guard
    with pytest.raises(ccxt.NetworkError):
        await within(client.watch_orders(BTC))
    assert ["authentication failure"] == errors
