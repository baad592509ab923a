"""The page: who may ask, what GET shows, and that only a token moves anything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
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
from arbot.api.token import operator_token, read_token
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


async def test_guessing_is_cut_short_and_locks_nobody_out(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """After too many wrong tokens in a minute a wrong one has to wait; the right one opens the door all the while."""
    for _ in range(FAILURES_MAX):
        assert (await client.post("/operator", json=PAUSE)).status == 401
    for _ in range(3):
        assert (await client.post("/operator", json=PAUSE)).status == 429
        assert (await client.post("/operator", json=PAUSE, headers=BEARER)).status == 200
    daemon.now_ns += 61_000_000_000
    assert (await client.post("/operator", json=PAUSE)).status == 401


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


# --- the live page ---------------------------------------------------------------------------------------------------


async def read_event(answer: Any) -> dict[str, Any]:
    """Return the next event of a stream."""
    while True:
        line = await asyncio.wait_for(answer.content.readline(), 5)
        assert line, "the stream has ended"
        if line.startswith(b"data: "):
            return msgspec.json.decode(line[6:])


async def test_the_page_and_its_files_are_sent_with_their_hash(client: TestClient[Any, Any]) -> None:
    """Whoever has the file already gets 304; what is not one of ours does not exist, however it is asked for."""
    page = await client.get("/")
    assert (page.status, page.content_type, await page.text()) == (200, "text/html", "<!doctype html>")
    script = await client.get("/assets/app.js")
    again = await client.get("/assets/app.js", headers={"If-None-Match": script.headers["ETag"]})
    assert (script.content_type, again.status, await again.read()) == ("text/javascript", 304, b"")
    for path in ("/assets/none.js", "/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/"):
        assert (await client.get(path)).status == 404


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/api/state", "/status", "/nothing"])
async def test_every_answer_tells_the_browser_what_it_may_do(path: str, client: TestClient[Any, Any]) -> None:
    """Nothing from elsewhere, nothing inline, no frame, no referrer."""
    headers = (await client.get(path)).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["Referrer-Policy"], headers["X-Content-Type-Options"]) == ("no-referrer", "nosniff")
    assert (headers["Cross-Origin-Opener-Policy"], headers["Cross-Origin-Resource-Policy"]) == (
        "same-origin",
        "same-origin",
    )


async def test_the_state_is_one_object_of_all_sections(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """Sections of a venue each are put together; the digits of money stay."""
    daemon.sections = {("money", ""): b'{"pnl_run":1.50}', ("books", "kraken"): b"[1]", ("books", 'a"b'): b"[2]"}
    answer = await client.get("/api/state")
    assert await answer.text() == '{"money":{"pnl_run":1.50},"books":{"kraken":[1],"a\\"b":[2]}}'


async def test_a_page_hears_everything_first_and_then_what_changed(
    client: TestClient[Any, Any], daemon: Daemon
) -> None:
    """The second event holds the changed section alone, and the headers are there from the start."""
    daemon.sections[("books", "kraken")] = b"[1]"
    async with client.get("/api/events") as answer:
        assert (answer.content_type, answer.headers["Cache-Control"]) == ("text/event-stream", "no-store")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert await read_event(answer) == {"money": {"pnl_run": 1.5}, "books": {"kraken": [1]}}
        daemon.sections[("books", "kraken")] = b"[2]"
        daemon.now_ns += 1_000_000_000
        await client.get("/api/state")
        assert await read_event(answer) == {"books": {"kraken": [2]}}
    assert daemon.stream.clients <= 1


async def test_a_view_is_built_once_a_period_whoever_asks(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """A second question within half a second is answered from what is known."""
    assert await (await client.get("/api/state")).text() == '{"money":{"pnl_run":1.50}}'
    daemon.sections[("money", "")] = b"2"
    assert await (await client.get("/api/state")).text() == '{"money":{"pnl_run":1.50}}'
    daemon.now_ns += 500_000_000
    assert await (await client.get("/api/state")).text() == '{"money":2}'


async def test_nothing_is_built_while_nobody_looks() -> None:
    """Without a page the task only sleeps."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)
        if len(slept) > 3:
            raise asyncio.CancelledError

    built: list[int] = []
    stream = Stream(lambda: iter(built.append(1) or ()), now_ns=lambda: 0, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        await stream.run()
    assert (slept, built) == ([0.5] * 4, [])


async def test_a_page_too_many_is_told_so(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """Beyond the limit a page gets 503 and tries again by itself; those that are there go on."""
    async with client.get("/api/events") as one, client.get("/api/events") as other:
        await read_event(one)
        await read_event(other)
        assert (await client.get("/api/events")).status == 503
    assert daemon.counts.requests["/api/events", "503"] == 1


async def test_the_streams_end_with_the_daemon(daemon: Daemon) -> None:
    """Closing does not wait for pages: their streams end, and the next one is refused."""
    async with TestClient(TestServer(build_app(daemon.desk()), host="127.0.0.1")) as client:
        async with client.get("/api/events") as answer:
            await read_event(answer)
            daemon.stream.close()
            assert (await asyncio.wait_for(answer.content.read(), 5)).strip() == b""
        assert (await client.get("/api/events")).status == 503


async def test_a_slow_page_is_sent_the_last_state_once(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """What changed five times before a page took it is sent once, as it is then; nobody waits for the page."""
    async with client.get("/api/events") as answer:
        await read_event(answer)
        (page,) = daemon.stream._clients
        page.is_awaited.set = lambda: None  # type: ignore[method-assign] # as if its task had no turn
        for number in range(1, 6):
            daemon.sections["money", ""] = str(number).encode()
            daemon.now_ns += 1_000_000_000
            await daemon.stream.state()
        del page.is_awaited.set
        page.is_awaited.set()
        assert (await read_event(answer), daemon.stream.conflated) == ({"money": 5}, 4)


async def test_our_own_page_may_ask_and_no_other(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """The origin has to be the very host and port that was asked; a link from elsewhere may lead to the page only."""
    own = str(client.make_url("/")).rstrip("/")
    fetched = {"Origin": own, "Sec-Fetch-Site": "same-origin"}
    assert (await client.post("/operator", json=PAUSE, headers={**BEARER, **fetched})).status == 200
    for origin in ("http://127.0.0.1:1", own.replace("127.0.0.1", "localhost"), "file://", "http://[", own + ".evil"):
        assert (await client.post("/operator", json=PAUSE, headers={**BEARER, "Origin": origin})).status == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await client.get("/", headers=link)).status == 200
    assert (await client.get("/status", headers=link)).status == 403
    assert (await client.get("/", headers={**link, "Sec-Fetch-Dest": "iframe"})).status == 403
    assert len(daemon.asked) == 1


async def test_a_name_of_the_config_may_be_used(client: TestClient[Any, Any]) -> None:
    """[http] hosts names what else we may be called, with any port."""
    for host in ("arbot.vpn.example", "arbot.vpn.example:9"):
        assert (await client.get("/livez", headers={"Host": host})).status == 200


async def test_a_read_only_page_refuses_whoever_asks(daemon: Daemon) -> None:
    """With [http] read_only there is no door: the right token is refused like none, and reading goes on."""
    daemon.is_read_only = True
    async with TestClient(TestServer(build_app(daemon.desk()), host="127.0.0.1")) as client:
        for path in ("/operator", "/adjust", "/transfer", "/transfer/close", "/tax/order", "/tax/pick", "/token"):
            assert (await client.post(path, json=PAUSE, headers=BEARER)).status == 403
        assert ((await client.get("/status")).status, daemon.asked) == (200, [])


@pytest.mark.parametrize(("verb", "status"), [("resume", 409), ("unkill", 409), ("flatten", 409), ("kill", 200)])
async def test_a_browser_says_yes_twice_to_what_trades(
    verb: str, status: int, client: TestClient[Any, Any], daemon: Daemon
) -> None:
    """From a page resume, unkill and flatten need is_confirmed; kill never does; the command line has asked already."""
    own = {**BEARER, "Origin": str(client.make_url("/")).rstrip("/")}
    asked = {"verb": verb, "reason": "r"}
    answer = await client.post("/operator", json=asked, headers=own)
    assert (answer.status, len(daemon.asked)) == (status, int(status == 200))
    assert (await client.post("/operator", json=asked | {"is_confirmed": True}, headers=own)).status == 200
    assert (await client.post("/operator", json=asked, headers=BEARER)).status == 200


async def test_a_token_can_be_tried_without_asking_for_anything(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """The right one is 200, a wrong one 401, and nothing has moved."""
    assert (await client.post("/token", json={}, headers=BEARER)).status == 200
    assert (await client.post("/token", json={})).status == 401
    assert daemon.asked == []


async def test_requests_and_refusals_are_counted_by_closed_names(client: TestClient[Any, Any], daemon: Daemon) -> None:
    """Whatever is asked for, the names of routes and verbs are ours, never the caller's."""
    await client.get("/assets/app.js")
    await client.get("/some/where")
    await client.post("/operator", json=PAUSE)
    await client.post("/operator", json={"verb": "unkill"}, headers=BEARER)
    await client.get("/livez", headers={"Host": "evil.example"})
    assert {
        ("/assets/{file}", "200"),
        ("other", "404"),
        ("/operator", "401"),
        ("/operator", "400"),
        ("/livez", "421"),
    } == {
        *+daemon.counts.requests  # those above zero
    }
    assert daemon.counts.requests["/metrics", "200"] == 0
    assert dict(daemon.counts.commands) == {("operator", "denied"): 1, ("unkill", "refused"): 1}


@pytest.mark.parametrize(
    ("bind", "where", "words", "remedy"),
    [
        ("127.0.0.1", "http.port", "Address already in use", "`ss -ltnp` names it"),
        ("203.0.113.9", "http.bind", "Cannot assign requested address", "name an address of this machine"),
        ("no such.name", "http.bind", "not known", "name an address of this machine"),
    ],
)
async def test_an_address_that_cannot_be_had_is_told(
    bind: str, where: str, words: str, remedy: str, daemon: Daemon
) -> None:
    """Say whether it is the port or the address that has to change, and in which way."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as told:
            async with serve(daemon.desk(), bind=bind, port=port):
                pass
    (mistake,) = told.value.mistakes
    assert mistake.where == where
    assert mistake.what.startswith(f"{bind}:{port} cannot be used: ")
    assert words in mistake.what
    assert remedy in mistake.remedy


def test_an_own_token_is_taken_from_a_private_file_only(tmp_path: Path) -> None:
    """Mode 0600 and long enough; each other case is told with its remedy, and the token itself never."""
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text("a" * 32 + "\n")
    with operator_token(tmp_path, file) as (token, where):
        assert (token, where) == ("a" * 32, file)
    assert file.exists()
    file.chmod(0o640)
    with pytest.raises(UserError, match="lets others in"):
        read_token(file)
    file.chmod(0o600)
    for text in ("short", "b" * 30 + " c", ""):
        file.write_text(text)
        with pytest.raises(UserError, match="holds no token") as told:
            read_token(file)
        assert "bbb" not in str(told.value)
    with pytest.raises(UserError, match=r"http\.token_file"):
        read_token(tmp_path / "none")


def test_a_token_that_the_service_manager_hands_over_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In systemd's own folder mode 0440 is that of an access list, which names our service alone."""
    file = tmp_path / "token"
    file.write_text("a" * 32)
    file.chmod(0o440)
    tmp_path.chmod(0o550)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_token(file) == "a" * 32


def test_a_token_of_the_run_goes_with_the_run(tmp_path: Path) -> None:
    """Without a file of one's own a new token lies in the state folder, for us alone, for as long as the run lasts."""
    with operator_token(tmp_path, None) as (token, where):
        assert (where.read_text(), where.stat().st_mode & 0o777) == (token, 0o600)
    assert not where.exists()


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
