"""The page before a real browser and a real daemon: what a person at a desk sees, and may do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import DARK, DESKTOP, PHONE, Looked, chromium, looking
from tests.support.daemon_world import Daemon, Desk, Venues, serving, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.timeout(240)
SOON_MS = 20_000  # for what the market has to bring about
SEEN_MS = 2_000  # within which a fault has to be seen
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def venues(browser: Browser) -> Iterator[Venues]:
    del browser  # without one there is nothing to serve for
    with serving() as venues:
        yield venues


@pytest.fixture(scope="module")
def daemon(venues: Venues, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    desk = Desk(tmp_path_factory.mktemp("page") / "desk", venues)
    with desk.daemon() as daemon:
        daemon.wait_ready()
        yield daemon


@pytest.fixture
def url(daemon: Daemon) -> str:
    return told(daemon)["url"]


def told(daemon: Daemon) -> dict[str, str]:
    return json.loads((daemon.desk.state / "daemon.json").read_text())


def token(daemon: Daemon) -> str:
    return Path(told(daemon)["token_file"]).read_text()


def wait_for(place: Locator, text: str, ms: int = SOON_MS) -> None:
    """Wait until a place shows a text. Fails after `ms`."""
    place.filter(has_text=text).wait_for(timeout=ms)


def banner(looked: Looked) -> Locator:
    return looked.page.locator("#banner")


def test_it_lives(browser: Browser, url: str, daemon: Daemon) -> None:
    """It says that it trades, P&L and closed arbs come by themselves, every book is there, nothing is asked of others."""
    daemon.wait(lambda status: status["totals"]["arbs_flat"] > 0, "an arb")
    with looking(browser, url) as looked:
        page = looked.page
        wait_for(banner(looked), "Trading")
        page.locator("#sec-closed tbody tr").first.wait_for(timeout=SOON_MS)
        page.locator("#curve canvas").wait_for()
        assert page.locator("#sec-books tbody tr").count() == 2
        assert "USD" in page.locator("#tile-pnl dd").first.inner_text()
        heard = page.locator("#heard").inner_text()
        page.locator("#heard").filter(has_not_text=heard).wait_for()  # the next message is here
        assert re.search(r"^arbot_sse_clients [1-9]", daemon.metrics(), re.MULTILINE)


@pytest.mark.parametrize("how", [DESKTOP, DARK, PHONE], ids=["light", "dark", "phone"])
def test_it_is_accessible(how: dict[str, Any], browser: Browser, url: str) -> None:
    """axe-core finds no serious fault on the page and in its dialogs, and no width makes the page scroll sideways."""
    axe_of = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install -e .[dev]")
    context = browser.new_context(bypass_csp=True, **how)  # axe is a script from elsewhere: ours forbids those
    try:
        page = context.new_page()
        page.goto(url)
        wait_for(page.locator("#banner"), "ading")
        page.locator("#sec-limits tbody tr").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for opener in ("", "?", "o", "k"):
            if opener:
                page.keyboard.press(opener)
                page.locator("dialog[open]").wait_for()
            found = axe_of.Axe().run(page).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in GRAVE] == []
            page.keyboard.press("Escape")
            page.locator("dialog[open]").wait_for(state="detached")
    finally:
        context.close()


def test_a_fault_is_seen_within_two_seconds(browser: Browser, url: str, venues: Venues, daemon: Daemon) -> None:
    """A venue that goes away is named in the banner, in its tile, its row and its book; and it is told when it is back."""
    daemon.wait_ready()
    with looking(browser, url) as looked:
        page = looked.page
        wait_for(banner(looked), "Trading")
        try:
            venues.pull("down", venue="coinbase")
            wait_for(banner(looked), "Not trading: coinbase", SEEN_MS)
            wait_for(page.locator("#tile-venues"), "1 of 2", SEEN_MS)
            wait_for(page.locator("#sec-venues tbody tr", has_text="coinbase"), "down", SEEN_MS)
            wait_for(page.locator("#sec-books tbody tr", has_text="coinbase"), "not valid", SEEN_MS)
        finally:
            venues.pull("up", venue="coinbase")
        wait_for(page.locator("#tile-venues"), "2 of 2", 60_000)


def test_a_wrong_token_is_refused_and_the_right_one_accepted(browser: Browser, url: str, daemon: Daemon) -> None:
    """Wrong: told so, and nothing happens. Right: pause and resume work, and the banner says who paused."""
    with looking(browser, url) as looked:
        page = looked.page
        wait_for(banner(looked), "ading")
        page.locator("#open-panel").click()
        page.locator("#token").fill("not the token")
        page.get_by_role("button", name="Use token").click()
        wait_for(page.locator("#token-answer"), "missing or wrong")
        looked.faults[:] = [one for one in looked.faults if "401" not in one]  # a browser logs every refusal
        page.locator("#token").fill(token(daemon))
        page.get_by_role("button", name="Use token").click()
        wait_for(page.locator("#token-answer"), "The token is right")
        for verb, word in (("pause", "paused"), ("resume", "Trading")):
            page.locator(f"#verbs [data-verb={verb}]").click()
            page.locator("#confirm-reason").fill("lunch")
            page.locator("#confirm-yes").click()
            wait_for(page.locator("#answer"), "done")
            wait_for(banner(looked), word)
        assert token(daemon) not in page.content()


def test_kill_needs_the_keyboard_alone_and_a_yes(browser: Browser, url: str, daemon: Daemon) -> None:
    """K asks, Escape does nothing; k, token, reason, Enter kills for good, until somebody takes it back here."""
    with looking(browser, url) as looked:
        page = looked.page
        press = page.keyboard.press
        wait_for(banner(looked), "ading")
        press("k")
        wait_for(page.locator("#confirm-title"), "Kill")
        press("Escape")
        page.locator("#confirm[open]").wait_for(state="detached")
        assert not daemon.status()["killed"]
        press("k")
        page.keyboard.type(token(daemon))
        press("Tab")
        page.keyboard.type("fire drill")
        press("Enter")
        wait_for(banner(looked), "KILLED by page")
        assert daemon.status()["killed"]
        assert "fire drill" in banner(looked).inner_text()
        for verb in ("unkill", "resume"):
            press("o")
            page.locator(f"#verbs [data-verb={verb}]").focus()
            press("Enter")
            page.keyboard.type("drill over")
            press("Enter")
            wait_for(page.locator("#answer"), "done")
            press("Escape")
        until(lambda: not daemon.status()["killed"], "the kill to be taken back")
        wait_for(banner(looked), "Trading")


def test_who_killed_before_this_run_is_told(browser: Browser, venues: Venues, tmp_path: Path) -> None:
    """A kill outlives the daemon, and so do its author and reason; whoever opens the page after a restart reads them."""
    desk = Desk(tmp_path / "desk", venues)
    with desk.daemon() as daemon:
        daemon.wait(lambda status: status["books"], "books")
        assert desk.run("kill", "--reason", "odd prices").code == 0
    with desk.daemon() as daemon:
        daemon.wait(lambda status: status["killed"], "the kill switch")
        with looking(browser, told(daemon)["url"]) as looked:
            wait_for(banner(looked), "KILLED by")
            assert "odd prices" in banner(looked).inner_text()
            assert "before this run" in banner(looked).inner_text()


def test_a_daemon_that_has_gone_is_told(browser: Browser, venues: Venues, tmp_path: Path) -> None:
    """Once the stream ends the page counts the seconds without data; what it shows is called old."""
    desk = Desk(tmp_path / "desk", venues)
    with desk.daemon() as daemon:
        daemon.wait(lambda status: status["books"], "books")
        context = browser.new_context()
        page = context.new_page()
        page.goto(told(daemon)["url"])
        wait_for(page.locator("#sec-books"), "kraken")
        daemon.stop()
        wait_for(page.locator("#banner"), "No data for")
        assert "as it last was" in page.locator("#banner").inner_text()
        context.close()
