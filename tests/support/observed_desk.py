"""A demo in which everything happens that a dashboard shows: trades, transfers, stablecoins, faults, messages, a tape, a page.

`observed` starts the venues and a desk configured for it; `exercise` does what a market and a person would have done in a
week. What is not done here, no panel can be checked to show.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from arbot.sim.market import SeededSpec
from arbot.sim.model import RegisteredAddress
from arbot.sim.serve import VenueOptions
from tests.support.daemon_world import LIVELY, Daemon, Desk, serving, until

SYMBOLS = ("BTC/USD", "BTC/USDT", "USDT/USD")
HELD = {"USD": Decimal(100_000), "BTC": Decimal(2), "USDT": Decimal(100_000)}
ALLOW = [
    {"venue": "coinbase", "address": "sim-coinbase-btc-bitcoin-main", "key": "coinbase-btc"},
    {"venue": "kraken", "address": "sim-kraken-btc-bitcoin-main", "fee_max": "0.001"},
]
TRANSFER = ("transfers", "request", "kraken", "coinbase", "BTC", "0.05", "--network", "bitcoin", "--confirm", "--json")


class _Listener(http.server.BaseHTTPRequestHandler):
    """Takes every message and says nothing."""

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.told.append(body.decode())  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """Serve a webhook; yield its address and what it is told."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    server.told = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/told", server.told  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def _venues() -> tuple[VenueOptions, ...]:
    registered = RegisteredAddress(asset="BTC", key=ALLOW[0]["key"], address=ALLOW[0]["address"], fee=Decimal("0.0002"))
    return tuple(
        VenueOptions(
            name=name,
            flavour=name,
            balances=HELD,
            rate_tier="unmetered",
            can_withdraw=True,
            withdraw_keys=(registered,) if name == "kraken" else (),
        )
        for name in ("kraken", "coinbase")
    )


@contextmanager
def observed(folder: Path, webhook: str, *, market: SeededSpec = LIVELY, **tables: dict[str, Any]) -> Iterator[Desk]:
    """Serve venues and yield a desk whose daemon does everything; `tables` are laid over its config."""
    with serving(venues=_venues(), symbols=SYMBOLS, market=market, chain_speed=600) as venues:
        desk = Desk(folder / "desk", venues)
        address = desk.folder / "keys" / "webhook"
        address.touch(mode=0o600)
        address.write_text(webhook)
        transfers = {"enabled": True, "confirm_above": "50000", "poll_seconds": 3}
        desk.configure(
            **{
                "run": {"symbols": list(SYMBOLS)},
                "limits": {"notional_per_arb_max": 2000, "inventory_notional_max": 500000},
                "transfers": transfers
                | {"allow": [row | {"asset": "BTC", "network": "bitcoin"} for row in ALLOW]}
                | {"transit_network_max": "500000", "transit_total_max": "500000"},
                "notify": {"webhook_url_file": "keys/webhook", "dedupe_s": 1},
                "tape": {"record": True, "dir": "tape"},
                **tables,
            }
        )
        yield desk


def address_of(daemon: Daemon) -> str:
    """Return host:port of a daemon's page."""
    told = json.loads((daemon.desk.state / "daemon.json").read_text())
    return str(told["url"]).removeprefix("http://")


def ask(daemon: Daemon, verb: str) -> None:
    """Ask the daemon for something, as the page does."""
    told = json.loads((daemon.desk.state / "daemon.json").read_text())
    request = urllib.request.Request(  # noqa: S310 - loopback
        told["url"] + "/operator",
        json.dumps({"verb": verb, "reason": "drill"}).encode(),
        {"Authorization": f"Bearer {Path(told['token_file']).read_text()}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        assert answer.status == http.HTTPStatus.OK


def exercise(daemon: Daemon, is_kill_seen: Callable[[], object]) -> None:
    """Let happen what a dashboard is to show. Fails when something of it does not happen."""
    desk, venues = daemon.desk, daemon.desk.venues
    daemon.wait(lambda status: status["totals"]["arbs_flat"] >= 3, "trades")
    ask(daemon, "pause")
    daemon.wait(lambda status: not status["arbs_open"], "the arbs under way to end")  # or a kill would strand one
    ask(daemon, "kill")
    until(is_kill_seen, "the kill to be scraped")
    ask(daemon, "unkill")
    ask(daemon, "resume")
    os.kill(daemon.process.pid, signal.SIGHUP)
    asked = desk.run(*TRANSFER)
    assert asked.code == 0, asked
    venues.fault("bad-checksum:venue=kraken,rate=0.2,at_ms=0,every_ms=500,count=4")
    venues.fault("leg2-reject:rate=0.5,at_ms=0,count=3", "ws-cut:venue=coinbase,at_ms=1000,every_ms=60000")
    before = daemon.status()["totals"]["arbs_flat"]
    daemon.wait(lambda status: status["totals"]["arbs_flat"] >= before + 3, "trades after the faults")
    venues.disarm()
    until(lambda: any(one["count"] == 0 for one in daemon.status().get("transit", ())), "the transfer's arrival")


@contextmanager
def looking(daemon: Daemon) -> Iterator[None]:
    """Keep a live page open."""
    stop = threading.Event()

    def look() -> None:
        with urllib.request.urlopen(f"http://{address_of(daemon)}/api/events", timeout=30) as stream:
            while not stop.is_set() and stream.readline():
                pass

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
