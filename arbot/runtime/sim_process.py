"""The simulator as a process of its own, so that neither its work nor its garbage is measured as the daemon's.

    parent -> child   one line of JSON on stdin: SimOptions. The child lives exactly as long as stdin stays open, so it
                      cannot outlive its parent, however that ends.
    child -> parent   one line of JSON on stdout: SimServer.describe().

Run as `python -m arbot.runtime.sim_process`. Keys reach the daemon the way a person's do: in files of mode 0600.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from arbot.domain.errors import InvariantBroken, Mistake, UserError
from arbot.domain.units import ZERO, parse_decimal
from arbot.runtime.clock import SystemClock
from arbot.runtime.state_dir import write_private
from arbot.settings.model import Settings
from arbot.sim.latency import Latency
from arbot.sim.listing import WITHDRAWAL_FEES
from arbot.sim.model import RegisteredAddress
from arbot.sim.serve import SimOptions, VenueOptions, serve

START_S = 30.0
STOP_S = 5.0
LINE_BYTES_MAX = 1 << 20
HTTP_OK = 200


def sim_options(settings: Settings) -> SimOptions:
    """Return what the simulator is told by a demo's settings."""
    return SimOptions(
        seed=settings.sim.seed,
        venues=tuple(
            VenueOptions(
                name=name,
                flavour=venue.adapter.removeprefix("ccxt:"),
                balances=dict(settings.paper.venues[name].balances),
                rates_bps=settings.paper.venues[name].rates_bps(),
                rate_tier=venue.tier,
                can_withdraw=settings.transfers.enabled,
                withdraw_keys=_registered(settings, name),
            )
            for name, venue in settings.venues.items()
        ),
        symbols=settings.run.symbols,
        recorded=settings.sim.market,
        mapping=dict(settings.sim.map),
        speed=settings.sim.speed,
        latency=Latency(request_ms=settings.sim.latency_ms),
        faults=settings.sim.faults,
        chain_speed=float(settings.sim.chain_speed),
    )


def _registered(settings: Settings, source: str) -> tuple[RegisteredAddress, ...]:
    """Return what the account at a pretend venue has registered: the allow-listed addresses elsewhere that have a key."""
    return tuple(
        RegisteredAddress(
            asset=row.asset,
            key=row.key,
            address=row.address,
            fee=WITHDRAWAL_FEES.get(row.asset, ZERO),
            network=row.network,
            tag=row.tag,
        )
        for row in settings.transfers.allow
        if row.key and row.venue != source
    )


class SimProcess:
    """Runs pretend venues for a demo. `options` replace those that follow from the settings."""

    def __init__(self, settings: Settings, options: SimOptions | None = None) -> None:
        self._settings = settings
        self._options = options or sim_options(settings)
        self._folder = tempfile.TemporaryDirectory(prefix="arbot-demo-")
        self._told: dict[str, Any] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start the child and wait until it serves. Raises: UserError when it cannot."""
        options = msgspec.json.encode(self._options, enc_hook=str)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "arbot.runtime.sim_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            start_new_session=True,  # Ctrl-C is for the daemon, which ends us in its turn
        )
        try:
            async with asyncio.timeout(START_S):
                _writer(self._process).write(options + b"\n")
                line = await _reader(self._process).readline()
            self._told = _told(line)
        except BaseException:  # whatever it was, the caller is told; the simulator must not outlive us
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child and forget the keys."""
        await self._stop()

    def settings(self) -> Settings:
        """Return the demo's settings, pointed at the running simulator."""
        venues = {}
        for name, venue in self._settings.venues.items():
            told = self._told["venues"][name]
            key_file = write_private(
                Path(self._folder.name, f"{name}.json"),
                msgspec.json.encode({"key": told["key"], "secret": told["secret"]}),
            )
            urls = {url: told[url] for url in ("rest_url", "ws_public_url", "ws_private_url") if url in told}
            venues[name] = venue.model_copy(
                update={"key_file": key_file, "symbols": tuple(told["symbols"]), "tier": venue.tier, **urls}
            )
        return self._settings.model_copy(update={"venues": venues})

    async def truth(self) -> dict[str, dict[str, Decimal]]:
        """Return what each venue holds for us, by asset, from the simulator's own books."""
        return {
            name: {asset: parse_decimal(balance["total"]) for asset, balance in account["balances"].items()}
            for name, account in (await self.books()).items()
        }

    async def books(self) -> dict[str, dict[str, Any]]:
        """Return our account at each venue as the simulator has it: balances, orders, fills, transfers."""
        return {name: accounts["main"] for name, accounts in (await self._ask())["venues"].items()}

    async def fault_hits(self) -> dict[str, Any]:
        """Return how often each fault has been met."""
        hits: dict[str, Any] = (await self._ask())["faults"]
        return hits

    async def pull(self, lever: str, body: Mapping[str, object]) -> None:
        """Pull a lever of the simulator (sim/wire/admin.py). Raises: UserError with what it says against it."""
        url = f"{self._told['admin_url']}/{lever}"
        async with aiohttp.ClientSession() as http, http.post(url, json=dict(body)) as response:
            if response.status != HTTP_OK:
                raise UserError(Mistake(f"sim/{lever}", await response.text(), "see `arbot sim serve --help`"))

    async def _ask(self) -> dict[str, Any]:
        async with aiohttp.ClientSession() as http, http.get(f"{self._told['admin_url']}/truth") as response:
            told: dict[str, Any] = msgspec.json.decode(await response.read())
        if "venues" not in told:
            raise InvariantBroken(f"the simulator's own books do not hold together: {told}")
        return told

    async def _stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            _writer(self._process).close()
            try:
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._folder.cleanup()


def _told(line: bytes) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(line or b'{"error": "it ended at once"}')
    if "error" in told:
        raise UserError(Mistake("sim", str(told["error"]), "see `arbot sim serve --help`"))
    return told


def _writer(process: asyncio.subprocess.Process) -> asyncio.StreamWriter:
    if process.stdin is None:
        raise InvariantBroken("the simulator was started without stdin")
    return process.stdin


def _reader(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise InvariantBroken("the simulator was started without stdout")
    return process.stdout


async def _child() -> None:
    options = msgspec.json.decode(
        sys.stdin.buffer.readline(), type=SimOptions, dec_hook=lambda kind, value: kind(value)
    )
    try:
        async with serve(options, SystemClock()) as server:
            _say(server.describe())
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    except UserError as error:
        _say({"error": str(error)})


def _say(told: object) -> None:
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_child())
