"""The settings of the page: which names it takes, and what it refuses in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbot.domain.errors import UserError
from arbot.settings.defaults import demo


@pytest.mark.parametrize("host", ["arbot", "desk.example.org", "10.0.0.7", "fd00::7"])
def test_a_plain_name_or_address_is_taken(host: str, tmp_path: Path) -> None:
    """What a Host header may hold without its port."""
    assert demo(tmp_path, {"http": {"hosts": [host]}}).http.hosts == (host,)


@pytest.mark.parametrize("host", ["", "http://arbot", "arbot:8787", "*", "a b", ".arbot", "arbot/"])
def test_anything_else_is_refused_with_its_place(host: str, tmp_path: Path) -> None:
    """A scheme, a port, a wildcard or nothing: refused, told where."""
    with pytest.raises(UserError, match=r"http\.hosts"):
        demo(tmp_path, {"http": {"hosts": [host]}})


def test_a_token_file_counts_from_the_config(tmp_path: Path) -> None:
    """A relative path is beside the file that names it."""
    assert demo(tmp_path, {"http": {"token_file": "t"}}).http.token_file == (tmp_path / "t").resolve()
