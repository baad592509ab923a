"""The page: who may ask, what GET shows, and that only a token moves anything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from arbot.api.app import Adjustment, Desk, LotOrder, LotPick, Request, TransferWish, build_app
from arbot.api.assets import Asset
from arbot.api.guard import FAILURES_MAX, Counts
from arbot.api.server import LOOPBACK_NAMES, serve
from arbot.api.stream import Stream
from arbot.domain.errors import UserError
from arbot.domain.events import Verb
from arbot.domain.history import LotMethod, PickedLot

TOKEN = "t0ken-of-the-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PAUSE = {"verb": "pause", "reason": "lunch", "actor": "me"}


@dataclass
class Daemon:
    """What the page is in front of, as far as the page can tell."""

    asked: list[Request | Adjustment] = field(default_factory=list)
    dead: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    now_ns: int = 1_700_000_000_000_000_000
    counts: Counts = field(default_factory=Counts)
    is_read_only: bool = False
    sections: dict[tuple[str, str], bytes] = field(default_factory=lambda: {("money", ""): b'{"pnl_run":1.50}'})

    def __post_init__(self) -> None:
        self.stream = Stream(self._slices, now_ns=lambda: self.now_ns, sleep=asyncio.sleep, clients_max=2)

    def _slices(self) -> Iterator[tuple[str, str, bytes]]:
        yield "", "", b""  # a pause
        for (name, inner), body in self.sections.items():
            yield name, inner, body

    def desk(self) -> Desk:
        async def status() -> dict[str, Decimal]:
            return {"pnl": Decimal("1.50")}

        async def risk() -> dict[str, Decimal]:
            return {"capital": Decimal("2.50")}

        async def metrics() -> bytes:
            return b"arbot_events_total 1.0\n"

        return Desk(
            status=status,
            risk=risk,
            metrics=metrics,
            problems_live=lambda: self.dead,
            problems_ready=lambda: self.unready,
            operate=self._take,
            adjust=self._take,
            transfer=self._take,
            close=self._take,
            order_lots=self._take,
            pick_lots=self._take,
            now_ns=lambda: self.now_ns,
            token=TOKEN,
            hosts=LOOPBACK_NAMES | {"arbot.vpn.example"},
            stream=self.stream,
            assets={
                "index.html": Asset(b"<!doctype html>", "text/html", "e1"),
                "app.js": Asset(b"1;", "text/javascript", "e2"),
            },
            counts=self.counts,
            is_read_only=self.is_read_only,
        )

    def _take(self, asked: Request | Adjustment) -> None:
        if isinstance(asked, Adjustment) and asked.venue != "kraken":
            raise ValueError("there is no such venue")
        self.asked.append(asked)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(build_app(daemon.desk()), host="127.0.0.1")) as client:
        yield client


async def test_status_is_exact_json(client: TestClient[Any, Any]) -> None:
    """Money in the status keeps its digits."""
    answer = await client.get("/status")
    assert (answer.status, await answer.text()) == (200, '{"pnl":1.50}')
    assert answer.headers["Cache-Control"] == "no-store"


async def test_metrics_are_served_as_prometheus_text(client: TestClient[Any, Any]) -> None:
    """The type says what the text is."""
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain"
    assert "arbot_events_total" in await answer.text()


async def test_health_is_told_by_status_code(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """Well is 200, unwell is 503 with what is wrong."""
    assert (await client.get("/livez")).status == 200
    daemon.dead, daemon.unready = ("gc: silent",), ("paused",)
    for path, problem in (("/livez", "gc: silent"), ("/readyz", "paused")):
        answer = await client.get(path)
        assert (answer.status, (await answer.json())["problems"]) == (503, [problem])


async def test_the_token_opens_the_door(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """With the token a request arrives whole."""
    answer = await client.post("/operator", json=PAUSE, headers=BEARER)
    assert answer.status == 200
    assert daemon.asked == [Request(verb=Verb.PAUSE, reason="lunch", actor="me")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer ünïcode"},
        {"Cookie": f"token={TOKEN}"},
    ],
)
async def test_without_the_token_nothing_moves(
    headers: dict[str, str], client: TestClient[Any, Any], daemon: Daemon
) -> None:
    """A missing, wrong or otherwise carried token is refused."""
    answer = await client.post("/operator", json=PAUSE, headers=headers)
    assert (answer.status, daemon.asked) == (401, [])
    assert TOKEN not in await answer.text()


async def test_guessing_is_cut_short_for_a_while(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """After too many wrong tokens in a minute even the right one has to wait, and then works again."""
    for _ in range(FAILURES_MAX):
        assert (await client.post("/operator", json=PAUSE)).status == 401
    assert (await client.post("/operator", json=PAUSE, headers=BEARER)).status == 429
    daemon.now_ns += 61_000_000_000
    assert (await client.post("/operator", json=PAUSE, headers=BEARER)).status == 200


@pytest.mark.parametrize("path", ["/status", "/metrics", "/livez", "/operator"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "evil.example:8787"])
async def test_a_strange_host_name_is_refused(path: str, host: str, client: TestClient[Any, Any]) -> None:
    """A page that had its name point to us (DNS rebinding) gets nothing, token or not."""
    answer = await client.request("POST" if path == "/operator" else "GET", path, headers={**BEARER, "Host": host})
    assert answer.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "localhost:8787", "127.0.0.1:1", "[::1]:8787"])
async def test_loopback_names_are_fine(host: str, client: TestClient[Any, Any]) -> None:
    """Each name of this machine, with or without port, may be used."""
    assert (await client.get("/livez", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_web_pages_are_refused(headers: dict[str, str], client: TestClient[Any, Any], daemon: Daemon) -> None:
    """A browser's cross-site request is refused even with the token."""
    answer = await client.post("/operator", json=PAUSE, headers={**BEARER, **headers})
    assert (answer.status, daemon.asked) == (403, [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"verb": "explode"}',
        b'{"verb": "pause", "key": 1}',
        b'{"verb": "unkill"}',
        b'{"verb": "unkill", "reason": "  "}',
        b'{"verb": "reset_limit", "reason": "x"}',
        b'{"verb": "pause", "reason": "' + b"x" * 400 + b'"}',
    ],
)
async def test_a_senseless_request_is_refused(body: bytes, client: TestClient[Any, Any], daemon: Daemon) -> None:
    """What is not one of our requests, or lacks what its verb needs, changes nothing."""
    answer = await client.post("/operator", data=body, headers=BEARER)
    assert (answer.status, daemon.asked) == (400, [])


async def test_a_huge_body_is_refused(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """More bytes than any request needs are not read."""
    answer = await client.post("/operator", data=b" " * 100_000, headers=BEARER)
    assert (answer.status, daemon.asked) == (413, [])


async def test_an_adjustment_passes_and_its_refusal_is_told(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """A known venue is booked; the desk's own refusal comes back in words."""
    body = {"venue": "kraken", "asset": "BTC", "qty": "-0.1", "reason": "fee"}
    assert (await client.post("/adjust", json=body, headers=BEARER)).status == 200
    assert daemon.asked == [Adjustment(venue="kraken", asset="BTC", qty="-0.1", reason="fee")]
    refused = await client.post("/adjust", json={**body, "venue": "nowhere"}, headers=BEARER)
    assert (refused.status, await refused.json()) == (400, {"error": "there is no such venue"})


async def test_a_choice_of_lots_passes_exact_and_only_with_the_token(
    client: TestClient[Any, Any], daemon: Daemon
) -> None:
    """An order and a pick arrive as they were written; a method that is none is refused, and so is a stranger."""
    pick = {"disposal": "kraken:T1", "lots": [{"lot": "L1", "qty": "0.10"}]}
    assert [200, 200, 400, 401] == [
        (await client.post("/tax/order", json={"method": "hifo", "asset": "BTC"}, headers=BEARER)).status,
        (await client.post("/tax/pick", json=pick, headers=BEARER)).status,
        (await client.post("/tax/order", json={"method": "best"}, headers=BEARER)).status,
        (await client.post("/tax/order", json={"method": "hifo"})).status,
    ]
    assert daemon.asked == [
        LotOrder(method=LotMethod.HIFO, asset="BTC"),
        LotPick(disposal="kraken:T1", lots=(PickedLot("L1", Decimal("0.10")),)),
    ]


async def test_a_transfer_needs_a_key_and_a_token(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """What somebody wants moved passes as it is; without a request_key it is refused, and without the token."""
    wish = {"source": "kraken", "target": "coinbase", "asset": "BTC", "network": "bitcoin", "qty": "1"}
    with_key = wish | {"request_key": "k"}

    assert [401, 400, 400, 200] == [
        (await client.post("/transfer", json=with_key)).status,
        (await client.post("/transfer", json=wish, headers=BEARER)).status,
        (await client.post("/transfer", json=wish | {"request_key": ""}, headers=BEARER)).status,
        (await client.post("/transfer", json=with_key, headers=BEARER)).status,
    ]
    assert [TransferWish(**with_key)] == daemon.asked


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/operator", 405), ("POST", "/status", 405), ("GET", "/x", 404)]
)
async def test_other_routes_do_not_exist(method: str, path: str, status: int, client: TestClient[Any, Any]) -> None:
    """GET never changes anything, POST never reads, and unknown paths are not echoed."""
    answer = await client.request(method, path, headers=BEARER)
    assert answer.status == status
    assert path not in await answer.text()


async def test_port_zero_takes_a_free_port_and_gives_it_back(daemon: Daemon) -> None:
    """The URL that is told answers while the context is open, and not afterwards."""
    async with (
        serve(daemon.desk(), bind="127.0.0.1", port=0) as url,
        ClientSession() as http,
        http.get(f"{url}/livez") as answer,
    ):
        assert msgspec.json.decode(await answer.read()) == {"ok": True, "problems": []}
    port = int(url.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_a_taken_port_is_a_mistake_of_the_config(daemon: Daemon) -> None:
    """A port in use is told with what to do, not with a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match=r"http\.port"):
            async with serve(daemon.desk(), bind="127.0.0.1", port=taken.getsockname()[1]):
                pass
