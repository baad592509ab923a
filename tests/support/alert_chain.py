"""The real way of an alert: a Prometheus that scrapes, an Alertmanager that routes, and somebody who is told.

Rules, routes and inhibitions are those of config/; only addresses and durations differ, so that minutes become seconds.
Needs the binaries of Debian's packages prometheus and prometheus-alertmanager: `missing()` says which one is not there.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml
from aiohttp import web

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "config" / "prometheus"
ALERTMANAGER = ROOT / "config" / "alertmanager" / "alertmanager.yml"
HOST = "127.0.0.1"
START_S = 15.0  # bound of waiting for a server; reached only by a failing test
STEP_S = 0.1  # between two looks
TARGETS_S = 8.0  # a Prometheus that has just begun knows its targets after five seconds: until then all is absent
LOST_S = 3.0  # on a busy machine a scrape or two come too late: that is not yet a daemon that is down
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_WAITS = ("group_wait", "group_interval", "repeat_interval")


class Pace(NamedTuple):
    """How time is made short. Ranges stay wide enough for four samples; `ages` is for thresholds that are compared with time()."""

    factor: float = 0.02  # of `for` and `keep_firing_for`, ranges and offsets: a minute is 1.2 s
    for_s_max: float = 3.0
    range_s_min: float = 4.0
    ages: float = 1.0
    waits: float = 0.02  # of Alertmanager's waits for a group
    every: str = "1s"  # scrapes and evaluations


class Told(NamedTuple):
    """One alert in one message, as it reached somebody."""

    receiver: str
    status: str  # firing or resolved
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the alert's name."""
        return self.labels["alertname"]


class Chain:
    """A running chain. `told` is everything that reached somebody, oldest first."""

    def __init__(self, session: aiohttp.ClientSession, prometheus: str, alertmanager: str, targets: Path) -> None:
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self.targets = targets
        self.told: list[Told] = []
        self._session = session
        self._news = asyncio.Event()

    async def firing(self, name: str, *, within_s: float, **labels: str) -> Told:
        """Wait until somebody is told that the alert fires, and return what was said. Raises: AssertionError with what was heard."""
        return await self._heard(name, "firing", labels, within_s)

    async def resolved(self, name: str, *, within_s: float, **labels: str) -> Told:
        """Wait until somebody is told that the alert is over, and return what was said. Raises: AssertionError."""
        return await self._heard(name, "resolved", labels, within_s)

    async def pending_or_firing(self) -> list[dict[str, Any]]:
        """Return the alerts as Prometheus has them now: labels, state, value."""
        async with self._session.get(f"{self.prometheus}/api/v1/alerts") as answer:
            return list((await answer.json())["data"]["alerts"])

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query. Raises: AssertionError with Prometheus' own words."""
        async with self._session.get(f"{self.prometheus}/api/v1/query", params={"query": expression}) as answer:
            body = await answer.json()
        assert body["status"] == "success", f"{expression}: {body.get('error')}"
        return list(body["data"]["result"])

    def aim(self, *targets: str) -> None:
        """Let Prometheus scrape these targets (host:port) from now on; none: the job has no target."""
        new = self.targets.with_suffix(".new")
        new.write_text(json.dumps([{"targets": list(targets)}]), encoding="utf-8")
        new.replace(self.targets)

    def forget(self) -> None:
        """Forget what was told so far."""
        self.told.clear()

    async def hear(self, request: web.Request) -> web.Response:
        """Take one message of Alertmanager's."""
        body = await request.json()
        for one in body["alerts"]:
            self.told.append(Told(request.match_info["receiver"], one["status"], one["labels"], one["annotations"]))
        self._news.set()
        return web.Response()

    async def _heard(self, name: str, status: str, labels: Mapping[str, str], within_s: float) -> Told:
        try:
            async with asyncio.timeout(within_s):
                while True:
                    self._news.clear()
                    for one in self.told:
                        if (one.name, one.status) == (name, status) and labels.items() <= one.labels.items():
                            return one
                    await self._news.wait()
        except TimeoutError:
            heard = sorted({(one.name, one.status) for one in self.told})
            now = [(one["labels"]["alertname"], one["state"]) for one in await self.pending_or_firing()]
            raise AssertionError(f"{name} {status} not told within {within_s} s; told {heard}, now {now}") from None


def missing() -> str:
    """Return why the chain cannot be run here, empty when it can."""
    for binary, package in (("prometheus", "prometheus"), ("prometheus-alertmanager", "prometheus-alertmanager")):
        if shutil.which(binary) is None:
            return f"no {binary}: install Debian's package {package}"
    return ""


@asynccontextmanager
async def alert_chain(
    folder: Path, target: str, *, pace: Pace | None = None, replace: Mapping[str, str] | None = None
) -> AsyncIterator[Chain]:
    """Run Prometheus and Alertmanager on the rules and routes of config/ against the daemon at `target` (host:port).

    All files go to `folder`. `replace` changes texts in expressions, such as {"> 60": "> 3"}.
    """
    pace = pace or Pace()
    async with aiohttp.ClientSession() as session:
        prometheus_port, alertmanager_port = free_ports(2)
        chain = Chain(
            session, f"http://{HOST}:{prometheus_port}", f"http://{HOST}:{alertmanager_port}", folder / "targets.json"
        )
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a moment of a test
        chain.aim(target)
        async with _listener(chain) as listener:
            scaled_rules(PROMETHEUS / "rules", folder / "rules", pace, replace or {})
            config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
            _write(
                folder / "prometheus.yml", local_prometheus(config, chain.targets, f"{HOST}:{alertmanager_port}", pace)
            )
            routes = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
            _write(folder / "alertmanager.yml", local_alertmanager(routes, listener, pace))
            async with (
                _server(
                    session,
                    "prometheus-alertmanager",
                    chain.alertmanager,
                    folder,
                    f"--config.file={folder / 'alertmanager.yml'}",
                    f"--storage.path={folder / 'alertmanager'}",
                    f"--web.listen-address={HOST}:{alertmanager_port}",
                    "--cluster.listen-address=",
                ),
                _server(
                    session,
                    "prometheus",
                    chain.prometheus,
                    folder,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'prometheus'}",
                    f"--web.listen-address={HOST}:{prometheus_port}",
                    "--log.level=warn",
                    "--rules.alert.resend-delay=1s",  # what fired before Alertmanager was found is told again soon
                ),
            ):
                yield chain


# --- the same rules, sooner -------------------------------------------------------------------------------------------


def scaled_rules(source: Path, target: Path, pace: Pace, replace: Mapping[str, str]) -> None:
    """Write the rule files of `source` into `target` with every duration made short."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.yml")):
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in rules["groups"]:
            for rule in group["rules"]:
                for key in {"for", "keep_firing_for"} & rule.keys():
                    short_s = min(seconds_of(rule[key]) * pace.factor, pace.for_s_max)
                    rule[key] = _told_s(max(short_s, _least_s(rule["expr"])))
                rule["expr"] = _scaled(rule["expr"], pace, replace)
        _write(target / path.name, rules)


def _least_s(expression: str) -> float:
    """Return how long a rule about the target itself has to hold before it is believed."""
    if expression.startswith("absent("):
        return TARGETS_S
    return LOST_S if expression.startswith("up{") else 0.0


def _scaled(expression: str, pace: Pace, replace: Mapping[str, str]) -> str:
    def shorter(found: re.Match[str]) -> str:
        return found[1] + _told_s(max(seconds_of(found[2]) * pace.factor, pace.range_s_min))

    for old, new in replace.items():
        expression = expression.replace(old, new)
    if "time()" in expression:
        expression = re.sub(r"> (\d+)\b", lambda found: f"> {float(found[1]) * pace.ages:g}", expression)
    return re.sub(r"(\[|offset )(\d+(?:ms|[smhd]))\b", shorter, expression)


def seconds_of(duration: str) -> float:
    """Return a duration of Prometheus in seconds."""
    return sum(float(number) * _UNITS_S[unit] for number, unit in re.findall(r"(\d+)(ms|[smhd])", duration))


def _told_s(seconds: float) -> str:
    return f"{max(1, round(seconds * 1_000))}ms"


# --- the same config, here --------------------------------------------------------------------------------------------


def local_prometheus(config: dict[str, Any], targets: Path, alertmanager: str, pace: Pace) -> dict[str, Any]:
    """Return Prometheus' own config with other addresses, and everything as often as `pace` says."""
    config["global"] = {"scrape_interval": pace.every, "scrape_timeout": pace.every, "evaluation_interval": pace.every}
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    config["scrape_configs"] = [one for one in config["scrape_configs"] if one["job_name"] == "arbot"]
    job = config["scrape_configs"][0]
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": [str(targets)], "refresh_interval": pace.every}]
    return config


def local_alertmanager(config: dict[str, Any], listener: str, pace: Pace) -> dict[str, Any]:
    """Return Alertmanager's own config with every receiver replaced by `listener`/NAME, and with short waits."""

    def hurry(route: dict[str, Any]) -> None:
        for wait in set(_WAITS) & route.keys():
            least_s = 0.0 if wait == "group_wait" else 1.0
            route[wait] = _told_s(max(least_s, seconds_of(route[wait]) * pace.waits))
        for child in route.get("routes", ()):
            hurry(child)

    hurry(config["route"])
    config["receivers"] = [
        {
            "name": one["name"],
            "webhook_configs": [
                {
                    "url": f"{listener}/{one['name']}",
                    "send_resolved": all(hook.get("send_resolved", True) for hook in one["webhook_configs"]),
                }
            ],
        }
        for one in config["receivers"]
    ]
    config["templates"] = []
    return config


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


# --- processes --------------------------------------------------------------------------------------------------------


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody has now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@asynccontextmanager
async def _listener(chain: Chain) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{receiver}", chain.hear)
    async with served(app) as address:
        yield f"http://{address}"


@asynccontextmanager
async def served(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    """Serve an application on loopback; yields host:port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        host, bound = runner.addresses[0][:2]
        yield f"{host}:{bound}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _server(
    session: aiohttp.ClientSession, binary: str, url: str, folder: Path, *arguments: str
) -> AsyncIterator[None]:
    log = folder / f"{binary}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(binary, *arguments, stdout=out, stderr=out)
    try:
        await _until(lambda: _is_ready(session, url), process, log)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), START_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _until(look: Callable[[], Any], process: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(START_S):
            while not await look():
                assert process.returncode is None, _said(log)
                await asyncio.sleep(STEP_S)
    except TimeoutError:
        raise AssertionError(f"not ready: {_said(log)}") from None


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False
