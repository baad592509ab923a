"""Unmodified ccxt moves money between pretend venues: withdrawals, addresses, histories and status, over loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import ccxt.async_support as ccxt
import pytest

from tests.support.treasury_world import ADDRESSES, treasury_world

WAIT_S = 15
URLS = {
    "kraken": lambda url: {"public": url, "private": url},
    "coinbase": lambda url: {"rest": url},
    "bitstamp": lambda url: {"public": url, "private": url},
}
PARAMS = {
    "kraken": {"key": "to-coinbase"},
    "coinbase": {"network": "bitcoin", "idem": "5f0c9c1e-1f0e-4f6b-9a53-0d7c9a7e2b11"},
    "bitstamp": {"network": "bitcoin"},
}


@asynccontextmanager
async def clients(*names, **options):
    """Serve venues and give an unmodified ccxt client of each."""
    async with treasury_world(*names, **options) as at:
        made = {}
        for name, one in at.server.describe()["venues"].items():
            made[name] = getattr(ccxt, name)(
                {
                    "apiKey": one["key"],
                    "secret": one["secret"],
                    "enableRateLimit": False,
                    "urls": {"api": URLS[name](one["rest_url"])},
                }
            )
        try:
            for client in made.values():
                await client.load_markets()
            yield at, made
        finally:
            for client in made.values():
                await client.close()


async def until_ok(fetch, count=1):
    """Return the rows as soon as there are so many and all are done."""
    async with asyncio.timeout(WAIT_S):
        while True:
            rows = await fetch()
            if len(rows) == count and {"ok"} == {row["status"] for row in rows}:
                return rows
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("source", "target"), [("kraken", "coinbase"), ("coinbase", "kraken"), ("bitstamp", "coinbase")]
)
async def test_a_withdrawal_arrives(source, target):
    """What ccxt withdraws at one venue ccxt sees as a deposit at the other, under the same transaction."""
    async with clients(source, target) as (at, made):
        before = at.total(target)
        await made[source].withdraw("BTC", "0.5", ADDRESSES[target], params=PARAMS[source])
        (deposit,) = await until_ok(lambda: made[target].fetch_deposits("BTC"))
        (withdrawal,) = await until_ok(lambda: made[source].fetch_withdrawals("BTC"))
        arrived = 0.4998 if source == "kraken" else 0.5  # Kraken's amount includes its fee
        assert (arrived, arrived) == (deposit["amount"], withdrawal["amount"])
        if target == "kraken":
            assert withdrawal["txid"] == deposit["txid"]
        assert f"{arrived}" == str((at.total(target) - before).normalize())


async def test_addresses():
    """Every venue tells ccxt its deposit address."""
    async with clients("kraken", "coinbase", "bitstamp") as (_, made):
        kraken = await made["kraken"].fetch_deposit_address("BTC")
        coinbase = await made["coinbase"].fetch_deposit_addresses_by_network("BTC")
        bitstamp = await made["bitstamp"].fetch_deposit_address("BTC")
        (only,) = coinbase.values()
        assert list(ADDRESSES.values()) == [kraken["address"], only["address"], bitstamp["address"]]


async def test_status_turns_to_maintenance():
    """fetch_status sees maintenance while it lasts, and orders are refused meanwhile."""
    async with clients("kraken") as (at, made):
        assert "ok" == (await made["kraken"].fetch_status())["status"]
        at.server.venues["kraken"].system_status = "maintenance"
        assert "maintenance" == (await made["kraken"].fetch_status())["status"]
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await made["kraken"].withdraw("BTC", "0.5", ADDRESSES["coinbase"], params=PARAMS["kraken"])
        assert 0 == at.sent("kraken")


async def test_closed_wallets_are_refused():
    """A closed wallet takes no withdrawal at any venue."""
    async with clients("kraken", "coinbase", "bitstamp") as (at, made):
        at.arm("wallet-closed:asset=BTC,network=bitcoin")
        await asyncio.sleep(0.05)
        for name, client in made.items():
            with pytest.raises(ccxt.ExchangeError):
                await client.withdraw("BTC", "0.5", ADDRESSES["coinbase"], params=PARAMS[name])
            assert 0 == at.sent(name)
