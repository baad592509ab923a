"""Every request that leaves is counted once, by endpoint and by what came back, over a real socket."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web

from arbot.domain.errors import VenueUnavailable
from arbot.domain.ids import VenueId
from arbot.observe.catalogue.words import ANSWERS
from arbot.ports import Credentials, Secret, VenueConfig
from arbot.runtime.clock import SystemClock
from arbot.runtime.request_counts import RequestCounts
from arbot.sim.serve import SimOptions, VenueOptions, serve
from arbot.venues.endpoints import kraken_group
from arbot.venues.factory import make_gateway
from arbot.venues.kraken.gateway import RATE_LIMIT_MARKS
from arbot.venues.rest import Request, RestClient
from tests.support.orders import approved

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer as the last part of the path says."""
    what = request.path.rpartition("/")[2]
    if what == "hang":
        await asyncio.sleep(5)
    if what == "cut" and request.transport is not None:
        request.transport.abort()
    if what == "limited":
        return web.Response(text='{"error":["EOrder:Rate limit exceeded"]}')
    if what == "long":
        return web.Response(text='{"error":[],"result":"EGeneral:Temporary lockout' + "." * 600 + '"}')
    return web.Response(status=int(what) if what.isdigit() else 200, text="{}")


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/200", "2xx"),
        ("/302", "3xx"),
        ("/404", "4xx"),
        ("/429", "429"),
        ("/limited", "429"),
        ("/long", "2xx"),
        ("/503", "5xx"),
        ("/hang", "timeout"),
        ("/cut", "lost"),
    ],
)
async def test_an_answer_is_counted_by_its_class(path: str, status: str):
    """Each way a request can end has one class; Kraken's complaint counts as 429 whatever its status."""
    counts = RequestCounts()
    async with served() as url:
        note = counts.note_of(VenueId("kraken"))
        client = RestClient(300, SystemClock(), group_of=kraken_group, limited_texts=RATE_LIMIT_MARKS, note=note)
        await client.send(Request("GET", url + path, {}))
        await client.close()
    assert {("kraken", "other", status): 1} == dict(counts.requests)
    assert status in ANSWERS
    assert 1 == counts.durations["kraken", "other"].total


async def test_nobody_listening_is_lost():
    """A refused connection is counted as lost, under the endpoint that was meant."""
    counts = RequestCounts()
    client = RestClient(300, SystemClock(), group_of=kraken_group, note=counts.note_of(VenueId("kraken")))
    await client.send(Request("GET", f"{NOBODY}/0/public/Time", {}))
    await client.close()
    assert {("kraken", "market", "lost"): 1} == dict(counts.requests)


@pytest.mark.parametrize(
    ("name", "adapter"), [("kraken", "kraken"), ("coinbase", "coinbase"), ("bitstamp", "ccxt:bitstamp")]
)
async def test_a_gateway_tells_what_it_asked_for(name: str, adapter: str):
    """Reference data, the account and an order count under their groups; an answer that never came counts as such."""
    counts, clock = RequestCounts(), SystemClock()
    options = SimOptions(
        venues=(VenueOptions(name=name, flavour=name, rate_tier="unmetered"),),
        faults=(f"cut-after-accept:venue={name},count=1",),
    )
    async with serve(options, clock) as server:
        one = server.running[name]
        config = VenueConfig(
            venue=VenueId(name), adapter=adapter, symbols=("BTC/USD",), tier="pro", request_timeout_ms=1_500, **one.urls
        )
        keys = Credentials(Secret(one.keys.key), Secret(one.keys.secret))
        gateway = make_gateway(config, keys, clock, note=counts.note_of(config.venue))
        await gateway.load_instruments()
        await gateway.fetch_balances()
        await gateway.submit(approved(name, clock.now_ns(), qty=Decimal("0.01"), limit_price=Decimal(70_000)))
        used = gateway.limiter.used()  # type: ignore[attr-defined]
        await gateway.close()
    by_group: Counter[tuple[str, str]] = Counter()
    for (venue, group, status), number in counts.requests.items():
        assert name == venue
        by_group[group, status] += number
    assert {("market", "2xx"), ("account", "2xx"), ("orders", "lost")} == set(by_group)
    assert 1 == by_group["orders", "lost"]
    assert all(0 <= share <= 1 for share in used.values())
    assert any(share > 0 for share in used.values())


async def test_a_venue_that_cannot_be_reached_is_counted():
    """What the caller is told as unavailable is counted where it failed."""
    counts = RequestCounts()
    config = VenueConfig(
        venue=VenueId("kraken"), adapter="kraken", symbols=("BTC/USD",), rest_url=NOBODY, request_timeout_ms=300
    )
    gateway = make_gateway(config, None, SystemClock(), note=counts.note_of(config.venue))
    with pytest.raises(VenueUnavailable):
        await gateway.load_instruments()
    await gateway.close()
    assert {("kraken", "market", "lost"): 1} == dict(counts.requests)
