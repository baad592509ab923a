"""Take pictures of the dashboards, drawn with Grafana's own panel components in Debian's Chromium: no Grafana server is there.

    make dashboard-pictures
    make dashboard-pictures PICTURES="--prometheus http://127.0.0.1:9090 --minutes 60 --folder /tmp"

Without --prometheus a demo is watched: the real daemon trades on pretend venues, a real Prometheus scrapes it as often as
config/prometheus says and evaluates the rules as they are. It is left alone first (the pictures named normal); then orders
are refused, books get wrong checksums, and at last the streams of one venue fall silent (those named fault). Nine minutes.
Needs Debian's packages prometheus, prometheus-alertmanager and chromium, and Node.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from playwright.async_api import Browser, async_playwright

from arbot.sim.market import SeededSpec
from tests.support.alert_chain import Pace, alert_chain, missing, served
from tests.support.browser import FLAGS
from tests.support.daemon_world import Desk
from tests.support.observed_desk import TRANSFER, address_of, listening, looking, observed

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DASHBOARDS = ROOT / "config" / "grafana" / "dashboards"
PICTURES = ROOT / "docs" / "guide" / "pictures"
INTER = HERE / "node_modules" / "@fontsource" / "inter" / "files"
OF_GRAFANA = {
    "Inter-Regular.woff2": INTER / "inter-latin-400-normal.woff2",
    "Inter-Medium.woff2": INTER / "inter-latin-500-normal.woff2",
    "info-circle.svg": HERE / "info-circle.svg",
}
"""What its components expect a Grafana to serve under /public."""
SCRAPE_S = 5  # as config/prometheus/prometheus.yml has it, and the datasource of config/grafana
PACE = Pace(factor=1.0, for_s_max=3_600.0, range_s_min=0.0, every=f"{SCRAPE_S}s")  # the rules as they are
DRAW_MS = 60_000.0  # bound of drawing one dashboard
SETTLE_MS = 1_500.0  # for the fonts and the last layout
VIEWPORT = {"width": 1500, "height": 900}

CALM_S = 240.0
FAULTY = "kraken"
FAULT_MINUTES = 6.0
FAULTS = (
    (75.0, ("leg2-reject:rate=0.5", f"bad-checksum:venue={FAULTY},at_ms=0,every_ms=6000")),
    (125.0, (f"ws-stall:venue={FAULTY},at_ms=0,every_ms=0,ms=600000",)),
)
"""For how long, and what is armed then, beside what is armed already."""


class Camera(NamedTuple):
    """What takes pictures: a browser before the built viewer, which is served at `url`."""

    browser: Browser
    url: str
    folder: Path
    mode: str
    boards: Sequence[str]

    async def take(self, minutes: float, name: str, venue: str = "") -> None:
        """Take a picture of each dashboard as it is now, and say what its page complained of; `venue` is looked at alone."""
        until_s = int(time.time())  # noqa: TID251 - Prometheus' own clock
        span = {"from": int(until_s - 60 * minutes), "until": until_s, "scrape": SCRAPE_S, "mode": self.mode}
        for board in self.boards:
            narrowed = {"venue": venue} if venue and board == "arbot-venue" else {}
            page = await self.browser.new_page(viewport=VIEWPORT)
            complaints: list[str] = []
            page.on("console", lambda said, to=complaints: to.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error, to=complaints: to.append(str(error)))
            await page.goto(f"{self.url}/index.html?{urlencode(span | narrowed | {'board': board})}")
            drawn = page.locator("#drawn")
            try:
                await drawn.wait_for(timeout=DRAW_MS)
            finally:
                if complaints:
                    print(f"{board}: {complaints}", file=sys.stderr)
            await page.wait_for_timeout(SETTLE_MS)
            picture = await _shrunk(await drawn.screenshot())
            path = self.folder / f"{board.replace('arbot-', 'grafana-')}{name}.png"
            path.write_bytes(picture)
            print(f"{path}: {len(picture) // 1024} KiB", flush=True)
            await page.close()


async def _shrunk(picture: bytes) -> bytes:
    """Return the picture with fewer colours."""
    node = await asyncio.create_subprocess_exec(
        "node", str(HERE / "shrink.js"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await node.communicate(picture)
    if node.returncode:
        raise RuntimeError("shrink.js failed: see above")
    return told


@asynccontextmanager
async def viewing(prometheus: str) -> AsyncIterator[str]:
    """Serve the built viewer, the dashboards, and Prometheus' questions passed on; yield the address."""
    async with aiohttp.ClientSession() as session:

        async def ask(request: web.Request) -> web.Response:
            async with session.get(prometheus + request.path, params=request.query) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)

        async def look(request: web.Request) -> web.FileResponse:
            path = OF_GRAFANA.get(request.path.rpartition("/")[2])
            if path is None:
                raise web.HTTPNotFound
            return web.FileResponse(path)

        app = web.Application()
        app.router.add_get("/public/{path:.*}", look)
        app.router.add_get("/api/v1/{path:.*}", ask)
        app.router.add_static("/dashboards", DASHBOARDS)
        app.router.add_static("/", HERE / "dist")
        async with served(app) as address:
            yield f"http://{address}"


@asynccontextmanager
async def camera(prometheus: str, chosen: argparse.Namespace) -> AsyncIterator[Camera]:
    """Open the viewer in a browser."""
    async with viewing(prometheus) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        yield Camera(browser, url, chosen.folder, chosen.mode, chosen.boards)
        await browser.close()


async def watch_demo(chosen: argparse.Namespace) -> None:
    """Start a demo and a Prometheus; take the pictures named normal, then those named fault."""
    with (
        tempfile.TemporaryDirectory() as place,
        listening() as (webhook, _),
        observed(Path(place), webhook, market=SeededSpec()) as desk,
        desk.daemon() as daemon,
    ):
        await asyncio.to_thread(daemon.wait, lambda status: status["may_open"], "a reason to trade")
        async with alert_chain(Path(place) / "chain", address_of(daemon), pace=PACE) as chain:
            with looking(daemon):
                await _photographed(desk, chain.prometheus, chosen)
        await asyncio.to_thread(daemon.stop)


async def _photographed(desk: Desk, prometheus: str, chosen: argparse.Namespace) -> None:
    async with camera(prometheus, chosen) as one:
        print(f"the demo is left alone for {CALM_S / 60:g} minutes, then come the faults; {prometheus}", flush=True)
        await asyncio.sleep(CALM_S / 2)
        asked = await asyncio.to_thread(desk.run, *TRANSFER)
        if asked.code:
            raise RuntimeError(f"no transfer: {asked}")
        await asyncio.sleep(CALM_S / 2)
        await one.take(CALM_S / 60, "-normal")
        for lasting_s, faults in FAULTS:
            await asyncio.to_thread(desk.venues.fault, *faults)
            await asyncio.sleep(lasting_s)
        await one.take(FAULT_MINUTES, "-fault", venue=FAULTY)


def _lacking() -> str:
    """Return what is missing to take pictures, empty when nothing is."""
    if not (HERE / "dist" / "index.html").exists():
        return "the viewer is not built: make dashboard-pictures builds it"
    for binary in ("chromium", "node"):
        if shutil.which(binary) is None:
            return f"no {binary}: apt-get install {binary.replace('node', 'nodejs')}"
    return ""


async def main(arguments: Sequence[str]) -> int:
    """Take the pictures that were asked for; return 0, or 1 when something is missing."""
    boards = sorted(path.stem for path in DASHBOARDS.glob("*.json"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prometheus", metavar="URL", help="draw what this one knows, instead of a demo")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the time shown, with --prometheus")
    parser.add_argument("--folder", type=Path, default=PICTURES, help="where the pictures go")
    parser.add_argument("--mode", choices=("dark", "light"), default="dark")
    parser.add_argument("--boards", nargs="+", choices=boards, default=boards)
    chosen = parser.parse_args(arguments)
    lacking = _lacking() or ("" if chosen.prometheus else missing())
    if lacking:
        print(lacking, file=sys.stderr)
        return 1
    if chosen.prometheus:
        async with camera(chosen.prometheus.rstrip("/"), chosen) as one:
            await one.take(chosen.minutes, "")
    else:
        await watch_demo(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
