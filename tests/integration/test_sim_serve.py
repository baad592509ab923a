"""The served simulator as a whole: what it prints, its truth and levers, its market, and an orderly end."""

import asyncio
import json
import os
from decimal import Decimal
from pathlib import Path

import aiohttp
import msgspec
import pytest

from arbot.domain.errors import UserError
from arbot.domain.order import Side
from arbot.runtime.clock import SystemClock
from arbot.sim import chance
from arbot.sim.listing import FLAVOURS, instruments_of
from arbot.sim.market import SeededMarket
from arbot.sim.serve import SimOptions, VenueOptions, serve
from arbot.sim.venue import SimVenue
from tests.support.sim_world import BTC, ccxt_kraken

MS = 1_000_000
DATA = Path(os.environ.get("ARBOT_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
RECORDED = DATA / "l2-snapshots" / "ccxt13-doge-20240408"
THREE = (
    VenueOptions(name="kraken", flavour="kraken"),
    VenueOptions(name="coinbase", flavour="coinbase"),
    VenueOptions(name="bitstamp", flavour="bitstamp"),
)


async def call(server, method, path, **body):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, server.admin_url + path, json=body or None) as answer,
    ):
        return answer.status, await answer.json()


async def test_description_is_one_json_line_with_addresses_keys_and_market():
    """What is printed is JSON and is enough to reach every venue; no two servers share a port."""
    async with serve(SimOptions(venues=THREE), SystemClock()) as one, serve(SimOptions(), SystemClock()) as other:
        told = json.loads(json.dumps(one.describe()))
        assert ["kraken", "coinbase", "bitstamp"] == list(told["venues"])
        for venue in told["venues"].values():
            assert venue["rest_url"].startswith("http://127.0.0.1:")
            assert venue["ws_public_url"].startswith("ws://127.0.0.1:")
            assert venue["key"]
            assert venue["secret"]
        assert "seeded" == told["market"]["kind"]
        assert one.admin_url != other.admin_url


async def test_truth_is_the_venues_own_and_survives_json():
    """GET /truth shows balances with holds, orders and fills of an account after a trade, as exact texts."""
    async with serve(SimOptions(rows_grouped_share=0.0), SystemClock()) as server:
        client = ccxt_kraken(server)
        try:
            await client.load_markets()
            await client.create_order(BTC, "market", "buy", 0.01)
            await client.create_order(BTC, "limit", "buy", 0.02, 50000, {"clientOrderId": "ab1"})
            status, told = await call(server, "GET", "/truth")
        finally:
            await client.close()
        account = told["venues"]["kraken"]["main"]
        fills = account["fills"]
        spent = sum(Decimal(one["price"]) * Decimal(one["qty"]) + Decimal(one["fee"]) for one in fills)
        assert 200 == status
        assert Decimal(100_000) - spent == Decimal(account["balances"]["USD"]["total"])
        assert Decimal("2.01") == Decimal(account["balances"]["BTC"]["total"])
        assert Decimal(account["balances"]["USD"]["hold"]) >= Decimal(1000)
        assert [("filled", ""), ("open", "ab1")] == [(o["status"], o["client_order_id"]) for o in account["orders"]]


async def test_levers_work_and_mistakes_are_answered():
    """Faults, shocks, adjustments, status and freeze act; each mistake is a 400 with a remedy and changes nothing."""
    async with serve(SimOptions(), SystemClock()) as server:
        venue = server.venues["kraken"]
        before = venue.price(BTC, venue.best(BTC, Side.BUY))
        assert 200 == (await call(server, "POST", "/shock", base="BTC", bps=-500))[0]
        after = venue.price(BTC, venue.best(BTC, Side.BUY))
        assert Decimal("-0.07") < after / before - 1 < Decimal("-0.03")
        await call(server, "POST", "/adjust", venue="kraken", asset="USD", amount="0.5")
        assert Decimal("100000.5") == venue.balances("main")["USD"].total
        _, told = await call(server, "POST", "/faults", faults=["ws-cut:count=1", {"name": "latency", "ms": 5}])
        assert ["ws-cut", "latency"] == [one["name"] for one in told["armed"]]
        assert [] == (await call(server, "DELETE", "/faults"))[1]["armed"]
        await call(server, "POST", "/status", venue="kraken", symbol=BTC, status="cancel_only")
        assert "cancel_only" == venue.status(BTC)
        await call(server, "POST", "/freeze", venue="kraken", frozen=True)
        assert venue.withdrawals_frozen
        await call(server, "POST", "/system", venue="kraken", status="maintenance")
        assert "maintenance" == venue.status_word()
        await call(server, "POST", "/wallet", venue="kraken", asset="BTC", network="bitcoin", deposits=False)
        assert (False, True) == (venue.takes("BTC", "bitcoin"), venue.takes("ETH", "ethereum"))
        _, told = await call(server, "POST", "/rotate", venue="kraken", asset="BTC", network="bitcoin")
        assert "sim-kraken-btc-bitcoin-main-1" == told["address"] == venue.deposit_address("main", "BTC", "bitcoin")
        for path, body in (
            ("/faults", {"faults": ["nonsense"]}),
            ("/faults", {"faults": ["ws-cut:venue=nowhere"]}),
            ("/shock", {"base": "BTC", "bps": 1, "venue": "nowhere"}),
            ("/shock", {"base": "XYZ", "bps": 1}),
            ("/adjust", {"venue": "kraken", "asset": "USD", "amount": "NaN"}),
            ("/status", {"venue": "kraken", "symbol": "X/Y", "status": "halted"}),
            ("/system", {"venue": "kraken", "status": "asleep"}),
            ("/faults", {"faults": ["congestion:factor=0"]}),
        ):
            status, told = await call(server, "POST", path, **body)
            assert 400 == status, path
            assert told["error"]


def test_impossible_options_are_told_together():
    """Every mistake in the options is found at once, each with what to do."""
    venues = (VenueOptions(name="a", flavour="kraken"), VenueOptions(name="b", flavour="nyse"))
    options = SimOptions(venues=venues, symbols=("ABC/USD",), mapping={"c": "x"}, faults=("nope", "ws-cut:venue=z"))

    async def start():
        async with serve(options, SystemClock()):
            pass

    with pytest.raises(UserError) as caught:
        asyncio.run(start())
    assert 5 == len(caught.value.mistakes)


async def test_a_port_that_is_taken_is_told():
    """A fixed port in use ends with a message, not with a trace."""
    async with serve(SimOptions(), SystemClock()) as server:
        port = int(server.running["kraken"].urls["rest_url"].rsplit(":", 1)[1])
        again = SimOptions(venues=(VenueOptions(name="kraken", flavour="kraken", port=port),))
        with pytest.raises(UserError, match="cannot listen"):
            async with serve(again, SystemClock()):
                pass


async def test_recorded_books_reach_a_client():
    """With a recording the venues list its symbol and show its books through the real protocol."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recorded books at {RECORDED}: set ARBOT_DATA")
    async with serve(SimOptions(recorded=RECORDED, speed=Decimal(100)), SystemClock()) as server:
        client = ccxt_kraken(server)
        try:
            assert ["DOGE/USD"] == list(await client.load_markets())
            async with asyncio.timeout(10):
                book = await client.watch_order_book("DOGE/USD", 10)
                first = book["bids"][0][0]
                while (await client.watch_order_book("DOGE/USD", 10))["bids"][0][0] == first:
                    pass
        finally:
            await client.close()
        assert 0.1 < first < 0.3
        assert {"kraken": "kraken", "coinbase": "bitfinex"} == server.describe()["market"]["mapping"]


def test_opportunities_come_in_windows_and_customers_close_them():
    """In two minutes of a seed a taker route clears real fees in several windows, mostly of 50 to 2000 ms."""
    venues = {}
    for name in ("kraken", "coinbase"):
        flavour = FLAVOURS[name]
        venues[name] = SimVenue(
            name, instruments_of(name, name, (BTC,)), flavour.tiers, chance.stream(7, name), flavour.policy
        )
    market = SeededMarket(venues, lambda name: chance.stream(7, name), prices_of_btc())
    market.start(0)
    windows, opened = [], {}
    for at_ms in range(0, 120_000, 10):
        market.advance(at_ms * MS)
        for buy, sell in (("kraken", "coinbase"), ("coinbase", "kraken")):
            ask = venues[buy].price(BTC, venues[buy].best(BTC, Side.SELL))
            bid = venues[sell].price(BTC, venues[sell].best(BTC, Side.BUY))
            if bid / ask - 1 > Decimal("0.0024"):
                opened.setdefault(buy, at_ms)
            elif buy in opened:
                windows.append(at_ms - opened.pop(buy))
    assert len(windows) >= 8
    assert sum(50 <= one <= 2_000 for one in windows) >= len(windows) / 2


def prices_of_btc():
    return msgspec.structs.replace(SimOptions().market, prices={"BTC": 65_000.0})
