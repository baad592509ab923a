"""The page of a desk with 20 venues and 50 instruments each, all books moving, before a real browser."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.support.browser import DESKTOP, PHONE, chromium, looking

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

pytestmark = pytest.mark.timeout(240)
SERVER = Path(__file__).parents[2] / "benchmarks" / "watched_page.py"
SOON_MS, SEEN_MS = 20_000, 2_000
BOOKS, MOST = 1_000, 20
ILL = "C25/USD@venue10"  # in the middle of them all


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Desk:
    """The served world; what is written to it makes a book ill, or well again."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        self._input: IO[str] = process.stdin
        self.url = process.stdout.readline().strip()

    def toggle(self, book: str) -> None:
        self._input.write(book + "\n")
        self._input.flush()


@pytest.fixture(scope="module")
def desk(browser: Browser) -> Iterator[Desk]:
    del browser  # without one there is nothing to serve for
    with subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Desk(process)
        finally:
            process.kill()


def rows(place: Locator) -> Locator:
    return place.locator("tbody tr")


@pytest.mark.parametrize("how", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_a_thousand_books_are_the_most_urgent_twenty(how: dict[str, Any], browser: Browser, desk: Desk) -> None:
    """Twenty rows are drawn; the filter finds any other book; all can be shown, and put away again."""
    with looking(browser, desk.url, **how) as looked:
        books = looked.page.locator("#sec-books")
        rows(books).nth(MOST - 1).wait_for(timeout=SOON_MS)
        assert rows(books).count() == MOST
        books.get_by_role("searchbox").fill("c49/usd venue19")
        books.get_by_text("C49/USD").wait_for()
        assert rows(books).count() == 1
        books.get_by_role("searchbox").fill("")
        books.get_by_role("button", name=f"Show all {BOOKS}").click()
        rows(books).nth(BOOKS - 1).wait_for(timeout=SOON_MS)
        last = rows(books).nth(BOOKS - 1)
        last.scroll_into_view_if_needed()
        age = last.locator("td").nth(3).inner_text()
        last.locator("td").nth(3).filter(has_not_text=age).wait_for(timeout=SOON_MS)  # what comes into sight lives
        books.get_by_role("button", name="most urgent").click()
        rows(books).nth(MOST).wait_for(state="detached", timeout=SOON_MS)
        assert looked.page.locator("html").evaluate("e => e.scrollWidth <= innerWidth")


def test_a_fault_among_a_thousand_books_comes_first_within_two_seconds(browser: Browser, desk: Desk) -> None:
    """A book in the middle that is not valid becomes the first row, its venue's row counts it, and it goes back when well."""
    with looking(browser, desk.url) as looked:
        books = looked.page.locator("#sec-books")
        rows(books).nth(MOST - 1).wait_for(timeout=SOON_MS)
        desk.toggle(ILL)
        try:
            first = rows(books).first.filter(has_text="C25/USD").filter(has_text="venue10")
            first.filter(has_text="not valid").wait_for(timeout=SEEN_MS)
            venue = rows(looked.page.locator("#sec-venues")).filter(has_text="venue10")
            venue.filter(has_text="49 of 50").wait_for(timeout=SEEN_MS)
        finally:
            desk.toggle(ILL)
        rows(books).first.filter(has_text="C0/USD").wait_for(timeout=SOON_MS)


def test_a_page_in_a_tab_that_nobody_sees_piles_nothing_up(browser: Browser, desk: Desk) -> None:
    """Messages that come while no frame is drawn ask for one frame, not for one each."""
    context = browser.new_context(**DESKTOP)
    try:
        context.add_init_script(
            "window.asked = 0; const held = []; window.requestAnimationFrame = (call) => { window.asked += 1; held.push(call); };"
            "window.heard = 0; const Real = window.EventSource; window.EventSource = class extends Real {"
            "  constructor(...all) { super(...all); this.addEventListener('message', () => { window.heard += 1; }); } };"
        )
        page = context.new_page()
        page.goto(desk.url)
        while page.evaluate("window.heard") < 4:
            page.wait_for_timeout(100)
        assert page.evaluate("window.asked") == 1
    finally:
        context.close()
