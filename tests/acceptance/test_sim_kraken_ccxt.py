"""Unmodified ccxt.pro against the pretend Kraken: every call arbot or its users make, over loopback."""

import asyncio
import zlib
from decimal import Decimal

import ccxt
import pytest
import pytest_asyncio

from arbot.domain.order import Side
from tests.support.sim_world import BTC, kraken_world

WAIT_S = 10


@pytest_asyncio.fixture
async def world():
    async with kraken_world() as pair:
        await pair[1].load_markets()
        yield pair


async def within(awaitable):
    async with asyncio.timeout(WAIT_S):
        return await awaitable


def touch(server, side, symbol=BTC):
    """Return the best price one meets when trading on `side`."""
    venue = server.venues["kraken"]
    return venue.price(symbol, venue.best(symbol, side.opposite))


async def buy_now(server, client, name="ab0001", amount=0.01):
    """Buy with an IOC limit half a percent above the touch."""
    price = (touch(server, Side.BUY) * Decimal("1.005")).quantize(Decimal("0.1"))
    params = {"clientOrderId": name, "timeInForce": "IOC"}
    return await client.create_order(BTC, "limit", "buy", amount, str(price), params)


async def test_markets_carry_steps_and_minimums(world):
    """load_markets sees the pairs with the real venue's precision and minimums."""
    market = world[1].markets[BTC]
    assert ("XXBTZUSD", "XBT/USD", 0.1, 1e-8, 0.00005, 0.5) == (
        market["id"],
        market["wsId"],
        market["precision"]["price"],
        market["precision"]["amount"],
        market["limits"]["amount"]["min"],
        market["limits"]["cost"]["min"],
    )


async def test_time_and_status(world):
    """The venue tells its time and that it is up."""
    server, client = world
    assert abs(await client.fetch_time() * 1_000_000 - server.truth()["now_ns"]) < 5 * 10**9
    assert "ok" == (await client.fetch_status())["status"]


async def test_fetch_order_book_is_the_venues_book(world):
    """The REST book has the levels of the matching engine."""
    server, client = world
    book = await client.fetch_order_book(BTC, 10)
    assert 10 == len(book["bids"]) == len(book["asks"])
    assert book["bids"][0][0] < book["asks"][0][0]
    assert abs(Decimal(str(book["asks"][0][0])) / touch(server, Side.BUY) - 1) < Decimal("0.01")


async def test_watch_order_book_verifies_every_checksum(world):
    """A client that keeps the book by ccxt's rules finds the venue's checksum on every message, at two depths."""
    _, client = world
    verified = 0
    inner = client.handle_message

    def check(socket, message):
        nonlocal verified
        inner(socket, message)
        if message.get("channel") == "book":
            book = client.orderbooks[BTC]
            text = "".join(token(level) for side in ("asks", "bids") for level in book[side][:10])
            assert message["data"][0]["checksum"] == zlib.crc32(text.encode())
            verified += 1

    client.handle_message = check
    while verified < 200:
        await within(client.watch_order_book(BTC, 10))
    assert 10 == len(client.orderbooks[BTC]["bids"])


def token(level):
    """Return a level as the checksum rule writes it, from ccxt's floats."""
    return f"{round(level[0] * 10)}{round(level[1] * 10**8)}"


async def test_watch_trades_and_ticker(world):
    """Public trades and tickers arrive; the taker's side is told."""
    _, client = world
    trades = await within(client.watch_trades(BTC))
    assert trades[0]["side"] in ("buy", "sell")
    assert (await within(client.watch_ticker(BTC)))["bid"] > 0


async def test_an_order_is_watched_from_new_to_filled(world):
    """watch_orders tells of an IOC order, raw rows carry our id, and the fill equals the venue's own."""
    server, client = world
    rows = []
    inner = client.handle_message

    def keep(socket, message):
        if message.get("channel") == "executions" and message["type"] == "update":
            rows.extend(message["data"])
        inner(socket, message)

    client.handle_message = keep
    async with asyncio.TaskGroup() as group:
        orders, trades = group.create_task(client.watch_orders()), group.create_task(client.watch_my_trades())
        await within(until(lambda: any(one.subscriptions for one in client.clients.values())))
        await asyncio.sleep(0.2)  # the subscribe is under way: let the venue take it
        order = await buy_now(server, client)
        assert order["id"] == (await within(orders))[0]["id"]
        assert order["id"] == (await within(trades))[0]["order"]
    await within(until(lambda: any(row["exec_type"] == "filled" for row in rows)))
    fill = server.venues["kraken"].fills("main")[0]
    kinds = [row["exec_type"] for row in rows]
    assert ["pending_new", "new", "trade"] == kinds[:3]
    assert {"ab0001"} == {row["cl_ord_id"] for row in rows}
    trade = next(row for row in rows if row["exec_type"] == "trade")
    assert (fill.trade_id, str(fill.fee.normalize())) == (trade["exec_id"], str(Decimal(str(trade["fees"][0]["qty"]))))
    assert not {"symbol", "side"} & set(rows[-1])


async def until(condition):
    while not condition():  # noqa: ASYNC110 - the condition is not ours to signal
        await asyncio.sleep(0.01)


async def test_create_fetch_cancel(world):
    """A resting order is open, found by our id, cancelled once, and then unknown."""
    server, client = world
    order = await client.create_order(BTC, "limit", "buy", 0.25, 59000.1, {"clientOrderId": "ab0002", "postOnly": True})
    found = await client.fetch_open_orders(BTC, params={"clientOrderId": "ab0002"})
    assert [(order["id"], "ab0002", "open", 0.25)] == [
        (o["id"], o["clientOrderId"], o["status"], o["amount"]) for o in found
    ]
    held = (await client.fetch_balance())["USD"]["used"]
    assert float(server.venues["kraken"].balances("main")["USD"].hold) == pytest.approx(held)
    assert held > 0.25 * 59000.1
    await client.cancel_order(order["id"], BTC)
    assert "canceled" == (await client.fetch_order(order["id"], BTC))["status"]
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(order["id"], BTC)
    assert 0.0 == (await client.fetch_balance())["USD"]["used"]


async def test_cancel_all_and_the_dead_man_switch(world):
    """CancelAll empties the account; an armed switch fires when its time is over."""
    server, client = world
    for price in (59000.1, 59000.2):
        await client.create_order(BTC, "limit", "buy", 0.01, price)
    await client.cancel_all_orders()
    assert [] == await client.fetch_open_orders()
    await client.create_order(BTC, "limit", "buy", 0.01, 59000.1)
    await client.cancel_all_orders_after(1000)
    venue = server.venues["kraken"]
    await within(until(lambda: not venue.open_orders("main")))
    assert "Cancel all after" == venue.orders("main")[-1].reason


async def test_history_equals_the_venues_fills(world):
    """Closed orders, my trades, trading fee and ledger say what the venue did."""
    server, client = world
    order = await buy_now(server, client, amount=0.3)
    venue = server.venues["kraken"]
    (closed,) = await client.fetch_closed_orders(params={"clientOrderId": "ab0001"})
    assert (order["id"], "closed", 0.3) == (closed["id"], closed["status"], closed["filled"])
    trades = await client.fetch_my_trades(BTC)
    assert {fill.trade_id: (float(fill.price), float(fill.qty), float(fill.fee)) for fill in venue.fills("main")} == {
        one["id"]: (one["price"], one["amount"], one["fee"]["cost"]) for one in trades
    }
    assert 0.001 == (await client.fetch_trading_fee(BTC))["taker"]
    ledger = await client.fetch_ledger()
    assert {row.ledger_id for row in venue.ledger("main")} == {one["id"] for one in ledger}


async def test_orders_over_the_websocket(world):
    """create_order_ws, edit, cancel and cancel-all work, and refusals are told."""
    _, client = world
    order = await within(client.create_order_ws(BTC, "limit", "buy", 0.01, 60000.0, {"clientOrderId": "ab0009"}))
    await within(client.edit_order_ws(order["id"], BTC, "limit", "buy", 0.02, 60001.0))
    (found,) = await client.fetch_open_orders()
    assert (order["id"], 0.02, 60001.0) == (found["id"], found["amount"], found["price"])
    await within(client.cancel_order_ws(order["id"]))
    await within(client.cancel_all_orders_ws())
    with pytest.raises(ccxt.ExchangeError, match="Insufficient funds"):
        await within(client.create_order_ws(BTC, "limit", "buy", 100, 60000.0))


async def test_watch_balance(world):
    """Balance updates follow a trade."""
    server, client = world
    first = await within(client.watch_balance())
    assert 2.0 == first["BTC"]["total"]
    await buy_now(server, client)
    while (await within(client.watch_balance()))["BTC"]["total"] != 2.01:
        pass


async def test_money_in_and_out(world):
    """Addresses, a withdrawal to a registered key, its life, and the refusal of an unknown key."""
    server, client = world
    address = await client.fetch_deposit_address("BTC", {"method": "Bitcoin"})
    assert address["address"].startswith("sim-kraken-btc")
    before = server.venues["kraken"].balances("main")["BTC"].total
    sent = await client.withdraw("BTC", "0.5", "bc1qexample", params={"key": "cb-btc"})
    (row,) = await client.fetch_withdrawals("BTC")
    assert (sent["id"], 0.4998, 0.0002) == (row["id"], row["amount"], row["fee"]["cost"])
    assert before - Decimal("0.5") == server.venues["kraken"].balances("main")["BTC"].total
    with pytest.raises(ccxt.ExchangeError, match="Unknown withdraw key"):
        await client.withdraw("BTC", "0.1", "bc1qother", params={"key": "nobody"})
    server.venues["kraken"].deposit("main", "BTC", Decimal(1), 0)
    assert [1.0] == [one["amount"] for one in await client.fetch_deposits("BTC")]


async def test_key_permissions_are_told(world):
    """GetApiKeyInfo lists what the key may do."""
    info = (await world[1].privatePostGetApiKeyInfo())["result"]
    assert {"modify-trades", "withdraw-funds"} <= set(info["permissions"])


REFUSALS = [
    ("buy", 100, "60000", {}, ccxt.InsufficientFunds, "Insufficient funds"),
    ("buy", 0.00001, "60000", {}, ccxt.InvalidOrder, "Order minimum not met"),
    ("buy", 0.00005, "1000", {}, ccxt.ExchangeError, "Cost minimum not met"),
    ("buy", 0.01, "90000", {"postOnly": True}, ccxt.ExchangeError, "Post only order"),
    ("buy", 0.01, "60000", {"deadline": "2020-01-01T00:00:00Z"}, ccxt.ExchangeError, "Deadline elapsed"),
    ("buy", 0.01, "60000", {"clientOrderId": "ä"}, ccxt.ExchangeError, "cl_ord_id"),
]


@pytest.mark.parametrize(("side", "amount", "price", "params", "error", "text"), REFUSALS)
async def test_refusals_have_the_venues_text(world, side, amount, price, params, error, text):
    """Each refused order raises what the real text raises, and leaves no order and no hold."""
    server, client = world
    with pytest.raises(error, match=text):
        await client.create_order(BTC, "limit", side, amount, price, params)
    assert [] == server.venues["kraken"].orders("main")


async def test_a_client_id_is_unique_among_open_orders_only(world):
    """A second order of the same name is refused while the first is open and taken afterwards."""
    _, client = world
    first = await client.create_order(BTC, "limit", "buy", 0.01, 60000, {"clientOrderId": "ab0003"})
    with pytest.raises(ccxt.ExchangeError, match="cl_ord_id"):
        await client.create_order(BTC, "limit", "buy", 0.01, 60000, {"clientOrderId": "ab0003"})
    await client.cancel_order(first["id"])
    second = await client.create_order(BTC, "limit", "buy", 0.01, 60000, {"clientOrderId": "ab0003"})
    assert first["id"] != second["id"]
