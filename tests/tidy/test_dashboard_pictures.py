"""Are the dashboards' pictures there and small, and can the viewer that makes them draw every panel?"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support import dashboard_check as check

ROOT = Path(__file__).resolve().parents[2]
VIEWER = ROOT / "tools" / "dashboard-viewer"
GUIDE = ROOT / "docs" / "guide" / "grafana.md"
BOARDS = check.load(ROOT / "config" / "grafana" / "dashboards")
BYTES_MAX = 250_000
PALETTE = 3  # the colour type of a PNG, in the 26th byte


def test_every_dashboard_is_shown_calm_and_with_faults() -> None:
    """Link two pictures of each dashboard in the guide, and have no other."""
    linked = set(re.findall(r"\(pictures/(grafana-[\w-]+\.png)\)", GUIDE.read_text(encoding="utf-8")))
    wanted = {
        f"{Path(board.name).stem.replace('arbot-', 'grafana-')}-{how}.png"
        for board in BOARDS
        for how in ("normal", "fault")
    }

    assert wanted == linked
    assert wanted == {path.name for path in (GUIDE.parent / "pictures").glob("grafana-*.png")}


def test_pictures_are_small() -> None:
    """Keep each below a quarter of a megabyte, with few colours."""
    for path in sorted((GUIDE.parent / "pictures").glob("grafana-*.png")):
        picture = path.read_bytes()

        assert (path.name, PALETTE) == (path.name, picture[25])
        assert len(picture) <= BYTES_MAX, path.name


def test_the_viewer_draws_every_kind_of_panel() -> None:
    """Have a component for each kind that a dashboard uses."""
    used = {panel["type"] for board in BOARDS for panel in check.panels(board)}
    source = (VIEWER / "src" / "panels.jsx").read_text(encoding="utf-8")
    table = source.partition("const DRAWN = {")[2].partition("\n};")[0]
    drawn = set(re.findall(r"^  '?([\w-]+)'?:", table, flags=re.MULTILINE))

    assert used == drawn


def test_the_viewer_names_exact_versions() -> None:
    """Pin every package it asks for, since there is no lock file."""
    package = json.loads((VIEWER / "package.json").read_text(encoding="utf-8"))

    loose = {name: version for name, version in package["dependencies"].items() if not re.fullmatch(r"[\d.]+", version)}
    assert loose == {}
