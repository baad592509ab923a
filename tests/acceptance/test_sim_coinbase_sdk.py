"""The venue's own Python SDK works against the pretend Coinbase: REST over TLS, and its websocket client.

The SDK wants websockets < 14, which another SDK in the tests' environment cannot have: where it is missing, or the
library is newer, these tests are skipped and say so.
"""

from __future__ import annotations

import asyncio
import json

import pytest
import pytest_asyncio

from arbot.sim.wire.coinbase_rest import Limits
from arbot.sim.wire.tls import server_context, write_certificate
from tests.support.coinbase_world import SteppedClock, coinbase_world

rest = pytest.importorskip("coinbase.rest", reason="coinbase-advanced-py is not installed")
WAIT_S = 20


def _runs_websockets() -> bool:
    import websockets

    return int(websockets.__version__.split(".", maxsplit=1)[0]) < 14


@pytest_asyncio.fixture
async def world(tmp_path, monkeypatch):
    files = write_certificate(tmp_path, SteppedClock().now_ns())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.certificate))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with coinbase_world(Limits(30, 10), server_context(files)) as world:
        yield world


def client_of(world, key, **more):
    return rest.RESTClient(
        api_key=key.name, api_secret=key.secret, base_url=world.url.removeprefix("https://"), timeout=WAIT_S, **more
    )


@pytest.mark.parametrize("which", ["key", "ed_key"])
async def test_rest_over_tls(world, which):
    """Orders, fills, accounts, fees and permissions work with EC and Ed25519 keys over a self-made certificate."""
    client = client_of(world, getattr(world, which), rate_limit_headers=True)

    def work():
        told = {}
        told["permissions"] = client.get_api_key_permissions().to_dict()
        told["fees"] = client.get_transaction_summary().to_dict()["fee_tier"]["taker_fee_rate"]
        told["product"] = client.get_product("BTC-USD").to_dict()["base_increment"]
        told["products"] = len(client.get_public_products()["products"])
        told["book"] = client.get_product_book("BTC-USD", limit=1).to_dict()["pricebook"]["asks"]
        told["best"] = len(client.get_best_bid_ask(product_ids=["BTC-USD"])["pricebooks"])
        placed = client.limit_order_ioc_buy("sdk-1", "BTC-USD", "0.1", "65010").to_dict()
        order_id = placed["success_response"]["order_id"]
        told["order"] = client.get_order(order_id).to_dict()["order"]["status"]
        told["listed"] = [one["client_order_id"] for one in client.list_orders(product_ids=["BTC-USD"])["orders"]]
        told["fills"] = [one["price"] for one in client.get_fills(order_ids=[order_id])["fills"]]
        resting = client.limit_order_gtc_sell("sdk-2", "BTC-USD", "0.1", "70000", post_only=True).to_dict()
        ids = [resting["success_response"]["order_id"]]
        told["canceled"] = [one["success"] for one in client.cancel_orders(ids)["results"]]
        told["market"] = client.market_order_buy("sdk-3", "BTC-USD", quote_size="100")["success"]
        told["fok"] = client.limit_order_fok_sell("sdk-4", "BTC-USD", "0.1", "64990")["success"]
        told["preview"] = client.preview_limit_order_ioc_buy("BTC-USD", "0.1", "65010")["errs"]
        told["accounts"] = [one["currency"] for one in client.get_accounts()["accounts"]]
        told["portfolios"] = len(client.get_portfolios()["portfolios"])
        told["time"] = client.get_unix_time().to_dict()["epoch_seconds"]
        told["left"] = client.get_accounts(limit=1).to_dict().get("rate_limit_remaining")
        return told

    told = await asyncio.to_thread(work)
    assert told.pop("permissions")["can_trade"]
    assert int(told.pop("time")) == pytest.approx(world.now // 10**9, abs=30)
    assert 0 <= int(told.pop("left")) < 30
    assert {
        "fees": "0.004",
        "product": "0.00000001",
        "products": 2,
        "book": [{"price": "65010", "size": "0.5"}],
        "best": 1,
        "order": "FILLED",
        "listed": ["sdk-1"],
        "fills": ["65010"],
        "canceled": [True],
        "market": True,
        "fok": True,
        "preview": [],
        "accounts": ["BTC", "ETH", "USD"],
        "portfolios": 1,
    } == told


async def test_refusals_over_tls(world):
    """A key without the scope is told so in the words the SDK looks for; a wrong secret is a 401."""
    from requests.exceptions import HTTPError

    reader = client_of(world, world.read_key)
    with pytest.raises(HTTPError, match="Missing Required Scopes"):
        await asyncio.to_thread(reader.limit_order_ioc_buy, "x", "BTC-USD", "0.1", "65010")
    wrong = rest.RESTClient(
        api_key=world.key.name, api_secret=world.read_key.secret, base_url=world.url.removeprefix("https://")
    )
    with pytest.raises(HTTPError, match="401"):
        await asyncio.to_thread(wrong.get_accounts)


async def test_websocket():
    """The SDK's websocket client parses books, trades, heartbeats and our orders, numbered without a gap."""
    pytest.importorskip("websockets")
    if not _runs_websockets():
        pytest.skip("the SDK's websocket client needs websockets < 14")
    from coinbase.websocket import WSClient
    from coinbase.websocket.types.websocket_response import WebsocketResponse

    async with coinbase_world() as world:
        loop = asyncio.get_running_loop()
        frames: asyncio.Queue[str] = asyncio.Queue()
        client = WSClient(
            api_key=world.key.name,
            api_secret=world.key.secret,
            base_url=world.ws_url,
            on_message=lambda message: loop.call_soon_threadsafe(frames.put_nowait, message),
            retry=False,
        )
        await asyncio.to_thread(client.open)
        try:
            await asyncio.to_thread(
                client.subscribe, ["BTC-USD"], ["level2", "market_trades", "ticker", "user", "heartbeats"]
            )
            seen, numbers, placed = set(), [], False
            async with asyncio.timeout(WAIT_S):
                while not {"l2_data", "market_trades", "ticker", "user", "heartbeats", "subscriptions"} <= seen:
                    response = WebsocketResponse(json.loads(await frames.get()))
                    seen.add(response.channel)
                    numbers.append(response.sequence_num)
                    if not placed and "user" in seen:
                        placed = True
                        world.venue.submit(_order(), world.now)
            assert list(range(len(numbers))) == numbers
        finally:
            await asyncio.to_thread(client.close)


def _order():
    from decimal import Decimal

    from arbot.domain.order import Side, TimeInForce
    from arbot.sim.model import OrderRequest

    return OrderRequest(
        account="main",
        symbol="BTC/USD",
        side=Side.BUY,
        qty=Decimal("0.1"),
        price=Decimal(65010),
        tif=TimeInForce.IOC,
        client_order_id="sdk-ws",
    )
