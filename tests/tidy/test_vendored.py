"""Are the files of others those that their authors published, and does the page ask for nothing that is not here?"""

from __future__ import annotations

import hashlib
import re
import tomllib

import pytest

from arbot.api.assets import FOLDER, load_assets

VENDOR = FOLDER / "vendor"
PINNED = tomllib.loads((VENDOR / "vendor.toml").read_text(encoding="utf-8"))


def test_every_vendored_file_is_pinned_and_unchanged() -> None:
    """Compare each file with its SHA-256; a file without one, or one without a file, fails."""
    pinned = {name: told for package in PINNED.values() for name, told in package["sha256"].items()}
    found = {path.name: path for path in VENDOR.iterdir() if path.name != "vendor.toml"}
    assert pinned == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}


@pytest.mark.parametrize("package", PINNED)
def test_every_vendored_package_comes_with_its_licence(package: str) -> None:
    """Its text lies beside it, and its version and source are named."""
    assert (VENDOR / f"{package}.LICENSE").read_text(encoding="utf-8").strip()
    assert {"version", "licence", "source", "sha256"} == set(PINNED[package])


def test_the_page_names_only_files_that_are_there() -> None:
    """Every path in the page and every import of a module is one of the files that are served."""
    served = {f"/assets/{name}" for name in load_assets()}
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page))
    modules = list(FOLDER.glob("*.js"))
    imported = {f"/assets/{name}" for path in modules for name in re.findall(r'from "\./([^"]+)"', path.read_text())}
    assert {one for one in named | imported if one not in served} == set()
    assert {f"/assets/{path.name}" for path in modules} - named - imported == set()


def test_our_own_files_need_nothing_a_strict_policy_forbids() -> None:
    """No inline script, style or handler, no markup made of text, no address of another host."""
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org)"
    )
    inline = r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)"
    for path in (one for one in FOLDER.iterdir() if one.is_file()):
        text = path.read_text(encoding="utf-8")
        assert re.findall(forbidden, text) == [], path.name
        if path.suffix == ".html":
            assert re.findall(inline, text) == []
