"""The real command line against pretend venues that live in another process: what a person at a desk has before them.

`Venues` serves Kraken and Coinbase (sim_levers.py) and tells their truth. `Desk` is a folder with a config file and key
files for them; it runs commands, starts daemons, and waits on conditions with a bound. Every command is checked for a
traceback on the terminal, and for its stdout to be JSON alone where JSON was asked for.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from arbot.journal.store import Access, SqlStore
from arbot.runtime.clock import SystemClock
from arbot.sim.market import SeededSpec
from arbot.sim.serve import SimOptions, VenueOptions

ARBOT = (sys.executable, "-c", "from arbot.cli.main import main; main()")
LEVERS = Path(__file__).with_name("sim_levers.py")
WAIT_S, POLL_S, COMMAND_S = 45.0, 0.05, 90.0
LIVELY = SeededSpec(jumps_per_minute=60.0, jump_bps_min=25.0)
"""A market in which a daemon that may trade does so within a second or two."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Return the last line of stdout as JSON, with exact numbers; the lines before must be JSON, too."""
        lines = [json.loads(line, parse_float=Decimal) for line in self.out.splitlines()]
        assert lines, self
        return lines[-1]


def checked(code: int, out: str, err: str) -> Told:
    """Return what was told; fail on a traceback, which no user should ever see."""
    assert "Traceback" not in out + err, out + err
    return Told(code, out, err)


class Venues:
    """Pretend Kraken and Coinbase in a process of their own."""

    def __init__(self, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(LEVERS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.told: dict[str, Any] = self._say(
            msgspec.json.encode(sim_options(**options), enc_hook=str).decode(),
        )

    def pull(self, lever: str, **how: Any) -> None:
        """Pull a lever of sim_levers.Levers."""
        assert self._say(json.dumps({"lever": lever, **how})) == {}

    def admin(self, path: str, **body: Any) -> dict[str, Any]:
        """Return the answer of an admin path: a POST when there is a body."""
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(self.told["admin_url"] + path, data, timeout=10) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())

    def fault(self, *faults: str) -> None:
        """Arm faults, from now."""
        self.admin("/faults", faults=list(faults))

    def disarm(self) -> None:
        """Disarm every fault."""
        request = urllib.request.Request(self.told["admin_url"] + "/faults", method="DELETE")  # noqa: S310 - loopback
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - loopback

    def hits(self) -> dict[str, int]:
        """Return how often each fault was met."""
        return self.admin("/truth")["faults"]

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Return our account at each venue, as the venue has it."""
        return {name: accounts["main"] for name, accounts in self.admin("/truth")["venues"].items()}

    def orders(self) -> list[dict[str, Any]]:
        """Return every order that reached a venue."""
        return [order for account in self.accounts().values() for order in account["orders"]]

    def fills(self) -> list[tuple[str, str]]:
        """Return every fill, as (order id, trade id), sorted."""
        return sorted((fill["order_id"], fill["trade_id"]) for one in self.accounts().values() for fill in one["fills"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)

    def _say(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def sim_options(**changes: Any) -> SimOptions:
    """Return the options of two lively venues, with changes."""
    venues = tuple(VenueOptions(name=name, flavour=name, rate_tier="unmetered") for name in ("kraken", "coinbase"))
    return SimOptions(**({"venues": venues, "symbols": ("BTC/USD",), "market": LIVELY} | changes))


@contextmanager
def serving(**options: Any) -> Iterator[Venues]:
    """Serve pretend venues for as long as the context lasts."""
    venues = Venues(**options)
    try:
        yield venues
    finally:
        venues.close()


@dataclass
class Desk:
    """A folder with a config file and key files, beside running venues."""

    folder: Path
    venues: Venues
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the key files and the config file."""
        (self.folder / "keys").mkdir(parents=True)
        for name, told in self.venues.told["venues"].items():
            self.write_key(name, key=told["key"], secret=told["secret"])
        self.configure()

    @property
    def config(self) -> Path:
        """The config file."""
        return self.folder / "arbot.toml"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def key_file(self, venue: str) -> Path:
        """Return where the key of a venue is."""
        return self.folder / "keys" / f"{venue}.json"

    def write_key(self, venue: str, text: str | None = None, mode: int = 0o600, **pair: str) -> Path:
        """Write a key file: a text as it is, or a pair."""
        path = self.key_file(venue)
        path.touch(mode=0o600)
        path.write_text(json.dumps(pair) if text is None else text)
        path.chmod(mode)
        return path

    def configure(self, **tables: Mapping[str, Any]) -> None:
        """Write the config anew, with keys replaced table by table (a dotted table as "venues__kraken")."""
        self.tables = self._defaults()
        for name, keys in tables.items():
            self.tables.setdefault(name.replace("__", "."), {}).update(keys)
        self.config.write_text(as_toml(self.tables))

    def run(self, *arguments: str, config: Path | None = None) -> Told:
        """Run a command on this config to its end."""
        done = subprocess.run(
            [*ARBOT, *arguments, "-c", str(config or self.config)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        return checked(done.returncode, done.stdout, done.stderr)

    def assert_nothing_lost(self) -> None:
        """Fail unless ledger and venues agree on every unit and every fill, no order is open, and the journal holds."""
        accounts = self.venues.accounts()
        assert [order for order in self.venues.orders() if order["status"] == "open"] == []
        store = SqlStore.open(f"sqlite:///{self.state}/arbot.sqlite", now_ns=SystemClock().now_ns, access=Access.READ)
        try:
            problems, balances, booked = store.verify(), store.all_balances(), store.trades(limit=10_000)
        finally:
            store.close()
        assert problems == ()
        ours = {(account, asset): number for account, asset, number in balances if account.startswith("assets:")}
        theirs = {
            (f"assets:{venue}", asset): Decimal(held["total"])
            for venue, account in accounts.items()
            for asset, held in account["balances"].items()
        }
        keys = ours.keys() | theirs.keys()
        assert {key: theirs.get(key, 0) for key in keys} == {key: ours.get(key, 0) for key in keys}
        assert self.venues.fills() == sorted((row.fill.venue_order_id, row.fill.trade_id) for row in booked)

    @contextmanager
    def daemon(self, *arguments: str) -> Iterator[Daemon]:
        """Run `arbot run --json` for as long as the context lasts; it is killed if it still lives then."""
        process = subprocess.Popen(
            [*ARBOT, "run", "--json", *arguments, "-c", str(self.config)],
            cwd=self.folder,
            stdout=(self.folder / "out").open("w"),
            stderr=(self.folder / "err").open("w"),
            text=True,
        )
        try:
            yield Daemon(self, process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _defaults(self) -> dict[str, dict[str, Any]]:
        tables: dict[str, dict[str, Any]] = {
            "run": {"name": "t", "mode": "demo", "symbols": ["BTC/USD"], "log_level": "warning"},
            "http": {"port": 0},
            "limits": {"notional_per_arb_max": 1000, "inventory_notional_max": 500000},
            "execution": {"order_deadline_ms": 1500, "visibility_lag_ms": 1000},
        }
        for name, told in self.venues.told["venues"].items():
            urls = {url: told[url] for url in ("rest_url", "ws_public_url", "ws_private_url")}
            tables[f"venues.{name}"] = {
                "adapter": name,
                "key_file": f"keys/{name}.json",
                "tier": "pro",
                "poll_interval_ms": 1000,
                **urls,
            } | ({} if name == "kraken" else {"tier": "intermediate"})
        return tables


class Daemon:
    """A running `arbot run`."""

    def __init__(self, desk: Desk, process: subprocess.Popen[str]) -> None:
        self.desk = desk
        self.process = process

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return (self.desk.folder / "err").read_text()

    def status(self) -> dict[str, Any]:
        """Return what /status says, {} while there is no page."""
        try:
            told = json.loads((self.desk.state / "daemon.json").read_text())
            with urllib.request.urlopen(told["url"] + "/status", timeout=10) as answer:  # noqa: S310 - loopback
                return json.loads(answer.read(), parse_float=Decimal)
        except (OSError, ValueError):
            return {}

    def metrics(self) -> str:
        """Return the text of /metrics."""
        told = json.loads((self.desk.state / "daemon.json").read_text())
        with urllib.request.urlopen(told["url"] + "/metrics", timeout=10) as answer:  # noqa: S310 - loopback
            return answer.read().decode()

    def wait(self, reached: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Return the first status of which `reached` is true. Fails after WAIT_S, or when the daemon has ended."""
        status: dict[str, Any] = {}
        for _ in range(int(WAIT_S / POLL_S)):
            status = self.status()
            if status and reached(status):
                return status
            assert self.process.poll() is None, f"ended while waiting for {what}: {self.finish()}"
            time.sleep(POLL_S)
        raise AssertionError(f"waited {WAIT_S:g} s for {what}: {status}\n{self.err}")

    def wait_ready(self) -> dict[str, Any]:
        """Wait until both venues are up and reconciled and arbs may be opened."""
        return self.wait(is_ready, "both venues")

    def stop(self) -> Told:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        return self.finish()

    def finish(self) -> Told:
        """Wait for its end."""
        code = self.process.wait(timeout=COMMAND_S)
        return checked(code, (self.desk.folder / "out").read_text(), self.err)


def is_ready(status: Mapping[str, Any]) -> bool:
    """Return whether both venues are up and reconciled, with valid books."""
    venues, books = status["venues"], status["books"]
    return (
        len(books) == len(venues)
        and all(one["market_up"] and one["account_up"] and one["reconciled"] for one in venues)
        and all(book["is_valid"] for book in books)
    )


def until(reached: Callable[[], object], what: str) -> None:
    """Wait until something is true of the world. Fails after WAIT_S."""
    for _ in range(int(WAIT_S / POLL_S)):
        if reached():
            return
        time.sleep(POLL_S)
    raise AssertionError(f"waited {WAIT_S:g} s for {what}")


def holds(sample: Callable[[], object], seconds: float) -> bool:
    """Return whether a sample stays as it is for that long."""
    first = sample()
    for _ in range(int(seconds / POLL_S)):
        time.sleep(POLL_S)
        if sample() != first:
            return False
    return True


def declined(status: Mapping[str, Any], reason: str) -> int:
    """Return how often an opportunity was declined for that reason."""
    count: int = status["totals"]["opportunities_declined"].get(reason, 0)
    return count


def as_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return tables of plain values as TOML."""
    return "\n".join(
        "\n".join([f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in keys.items()), ""])
        for name, keys in tables.items()
    )


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
