"""A real browser before the page: Debian's Chromium, driven by Playwright, that notes everything it should not have done.

Under the page's policy no text can be evaluated as a script, so a test waits on locators.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
DARK: dict[str, Any] = DESKTOP | {"color_scheme": "dark"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "light",
}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser; skip where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Looked:
    """One page, and what it did that it should not: errors, requests to others, breaches of its policy."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.faults: list[str] = []
        host = urlsplit(url).netloc
        page.on("console", lambda said: self._note(said.type in ("error", "warning"), f"console: {said.text}"))
        page.on("pageerror", lambda error: self._note(True, f"error: {error}"))
        page.on("request", lambda asked: self._note(not _is_ours(asked.url, host), f"asked for {asked.url}"))
        page.goto(url)

    def _note(self, is_fault: bool, text: str) -> None:
        if is_fault:
            self.faults.append(text)


@contextmanager
def looking(browser: Browser, url: str, **how: Any) -> Iterator[Looked]:
    """Open a page, and fail at the end if it did what it should not."""
    context = browser.new_context(**(how or DESKTOP))
    try:
        looked = Looked(context.new_page(), url)
        yield looked
        assert looked.faults == []
    finally:
        context.close()


def _is_ours(url: str, host: str) -> bool:
    return urlsplit(url).netloc == host
