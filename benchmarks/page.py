"""What a page that is left open costs a browser: 20 venues with 50 instruments each, all books moving.

The page is the real one, served over a world at its largest (watched_page.py), in Debian's Chromium. Told are the share of a
core that the page's process takes and of that its main thread, ms of main thread a message, tasks that held it for more than
50 ms, bytes a second, and the memory and nodes at the end of each part, after a collection: what grows would show there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.async_api import CDPSession, Page, async_playwright
from watched_page import WatchedPage
from watched_world import PAIRS, VENUES, World

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
SIZES = {"light": (1280, 900, "light"), "phone": (390, 844, "light"), "dark": (1280, 900, "dark")}
_WATCH = """
window.longMs = []; window.beats = 0;
new PerformanceObserver((list) => list.getEntries().forEach((one) => window.longMs.push(one.duration)))
  .observe({ type: "longtask", buffered: true });
const Real = window.EventSource;
window.EventSource = class extends Real {
  constructor(...args) { super(...args); this.addEventListener("message", () => { window.beats += 1; }); }
};
"""


async def numbers(session: CDPSession) -> dict[str, float]:
    """Return the browser's own counters of a page."""
    told = await session.send("Performance.getMetrics")
    return {one["name"]: one["value"] for one in told["metrics"]}


async def renderer_s(session: CDPSession) -> float:
    """Return the processor time of the process that draws pages."""
    told = await session.send("SystemInfo.getProcessInfo")
    return max(one["cpuTime"] for one in told["processInfo"] if one["type"] == "renderer")


async def measured(page: Page, whole: CDPSession, seconds: float) -> dict[str, Any]:
    """Watch a page for so long."""
    session = await page.context.new_cdp_session(page)
    for name in ("Performance", "Network", "HeapProfiler"):
        await session.send(f"{name}.enable")
    received = [0]
    session.on("Network.dataReceived", lambda told: received.__setitem__(0, received[0] + told["dataLength"]))
    await page.evaluate("window.longMs.length = 0; window.beats = 0")
    before, cpu_s = await numbers(session), await renderer_s(whole)
    await asyncio.sleep(seconds)
    after, cpu_s = await numbers(session), await renderer_s(whole) - cpu_s
    long_ms, messages = await page.evaluate("[window.longMs, window.beats]")
    await session.send("HeapProfiler.collectGarbage")
    kept = await numbers(session)
    main_s = after["TaskDuration"] - before["TaskDuration"]
    parts = {
        name: round(after[f"{name}Duration"] - before[f"{name}Duration"], 2)
        for name in ("Script", "RecalcStyle", "Layout")
    }
    return {
        "core_percent": round(100 * cpu_s / seconds, 1),
        "main_percent": round(100 * main_s / seconds, 1),
        "main_ms_a_message": round(1e3 * main_s / max(messages, 1), 1),
        "messages_a_second": round(messages / seconds, 2),
        "of_main_s": parts,
        "long_tasks": [round(ms) for ms in long_ms],
        "kb_a_second": round(received[0] / seconds / 1e3, 1),
        "heap_mb": round(kept["JSHeapUsedSize"] / 1e6, 1),
        "nodes": round(kept["Nodes"]),
    }


async def run(seconds: float, parts: int, venues: int, pairs: int, pictures: str) -> None:
    """Measure and print."""
    watched = WatchedPage(World(venues=venues, pairs=pairs))
    async with watched.served() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        whole = await browser.new_browser_cdp_session()
        for name, (width, height, colours) in SIZES.items():
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=colours,
                bypass_csp=True,  # type: ignore[arg-type]
            )
            page = await context.new_page()
            await page.add_init_script(_WATCH)
            await page.goto(url)
            await page.locator("#sec-books tbody tr").first.wait_for()
            await asyncio.sleep(3)
            if pictures:
                await page.screenshot(path=Path(pictures) / f"size-{name}.png", full_page=True)
            for _ in range(parts if name == "light" else 1):
                print(json.dumps({"view": name, **await measured(page, whole, seconds)}), flush=True)
            if name == "light":
                for more in await page.locator("button.more:visible").all():
                    await more.click()
                print(json.dumps({"view": "light, all rows", **await measured(page, whole, seconds)}), flush=True)
            await context.close()
        await browser.close()


def main() -> None:
    """Read what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part")
    parser.add_argument("--parts", type=int, default=3, help="how many parts the page stays open for")
    parser.add_argument("--venues", type=int, default=VENUES)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--pictures", default="", help="a folder for pictures of the page")
    asked = parser.parse_args()
    if shutil.which("chromium") is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    asyncio.run(run(asked.seconds, asked.parts, asked.venues, asked.pairs, asked.pictures))


if __name__ == "__main__":
    main()
