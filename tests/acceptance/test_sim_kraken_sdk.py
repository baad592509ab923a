"""Unmodified python-kraken-sdk against the pretend Kraken: signed REST, and its own order book with its own CRC."""

import asyncio
import json
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from tests.support.sim_world import BTC, kraken_options, kraken_world

pytest.importorskip("kraken.spot", reason="python-kraken-sdk is not installed")

REST = """
import json, sys
from kraken.base_api import SpotClient
from kraken.spot import Funding, Market, Trade, User
one = json.loads(sys.argv[1])
SpotClient.URL = one["rest_url"]  # Trade makes a Market of its own
keys = {"key": one["key"], "secret": one["secret"], "url": one["rest_url"]}
trade, user, market, funding = Trade(**keys), User(**keys), Market(url=one["rest_url"]), Funding(**keys)
placed = trade.create_order(ordertype="limit", side="buy", pair="XBTUSD", volume="0.01", price="60000",
                            cl_ord_id="ab7", truncate=True)
found = user.get_open_orders()["open"]
canceled = trade.cancel_order(txid=placed["txid"][0])
done = trade.create_order(ordertype="market", side="sell", pair="XBTUSD", volume="0.001")
print(json.dumps({
    "pairs": sorted(market.get_asset_pairs(pair="BTC/USD")),
    "open": {name: row["cl_ord_id"] for name, row in found.items()},
    "placed": placed["txid"][0],
    "canceled": canceled["count"],
    "balance": user.get_balances()["XXBT"]["balance"],
    "trades": [row["ordertxid"] for row in user.get_trades_history()["trades"].values()],
    "done": done["txid"][0],
    "ledgers": user.get_ledgers_info()["count"],
    "method": funding.get_deposit_methods(asset="XBT")[0]["method"],
}))
"""

BOOK = """
import asyncio, json, sys
from kraken.base_api import SpotClient
from kraken.spot import SpotOrderBookClient
one = json.loads(sys.argv[1])
SpotClient.URL = one["rest_url"]
SpotOrderBookClient.WS_URL = one["ws_public_url"].removesuffix("/v2")
SpotOrderBookClient.AUTH_WS_URL = one["ws_private_url"].removesuffix("/v2")
seen = {"updates": 0, "invalid": 0}

class Book(SpotOrderBookClient):
    async def on_book_update(self, pair, message):
        row = self.get(pair)
        if row is not None and message.get("type") == "update":
            seen["updates"] += 1
            seen["invalid"] += row["valid"] is not True

async def main():
    book = Book(depth=10)
    await book.start()
    await book.add_book(pairs=["BTC/USD"])
    async with asyncio.timeout(40):
        while seen["updates"] < 200:
            await asyncio.sleep(0.05)
    print(json.dumps(seen), flush=True)
    await book.close()

asyncio.run(main())
"""


async def run(server, code):
    """Run a client script in its own process, as its calls block, and return the JSON it prints last."""
    one = json.dumps(server.describe()["venues"]["kraken"])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(code), one, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with killed_at_the_end(process), asyncio.timeout(60):
        out, err = await process.communicate()
    assert out.strip(), err.decode()[-2000:]
    return json.loads(out.decode().strip().splitlines()[-1])


@asynccontextmanager
async def killed_at_the_end(process):
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_rest():
    """Orders, cancels, balances, history, ledger and funding answer as the SDK reads them."""
    async with kraken_world(kraken_options()) as (server, _):
        told = await run(server, REST)
        venue = server.venues["kraken"]
        assert (["BTC/USD"], {told["placed"]: "ab7"}, 1, "Bitcoin") == (
            told["pairs"],
            told["open"],
            told["canceled"],
            told["method"],
        )
        assert venue.balances("main")["BTC"].total == Decimal(told["balance"])
        assert {told["done"]} == {fill.order_id for fill in venue.fills("main")} == set(told["trades"])
        assert len(venue.ledger("main")) == told["ledgers"]


async def test_book():
    """The SDK's own book client verifies every checksum of 200 updates."""
    async with kraken_world(kraken_options(symbols=(BTC,))) as (server, _):
        told = await run(server, BOOK)
        assert told["updates"] >= 200
        assert 0 == told["invalid"]
