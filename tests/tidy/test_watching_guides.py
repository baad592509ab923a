"""What the guides tell people to type about watching fits the files they type it at."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_way_without_containers_leaves_no_name_of_a_container() -> None:
    """The substitution of the guide turns every target of the shipped Prometheus config into one of this machine."""
    guide = (ROOT / "docs/guide/alerts.md").read_text("utf-8")
    (script,) = re.findall(r"^sed '(.+)' config/prometheus/prometheus.yml", guide, re.MULTILINE)
    config = (ROOT / "config/prometheus/prometheus.yml").read_text("utf-8")
    for old, new in re.findall(r"s/([^/]+)/([^/]+)/", script):
        assert old in config
        config = config.replace(old, new)
    plain = yaml.safe_load(config)
    groups = [*plain["alerting"]["alertmanagers"], *plain["scrape_configs"]]
    targets = {target for group in groups for one in group["static_configs"] for target in one["targets"]}
    assert {"127.0.0.1:8787", "127.0.0.1:9093", "localhost:9090"} == targets


def test_every_guide_can_be_reached() -> None:
    """The README links to every guide about watching."""
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in ("page", "grafana", "alerts", "notifications", "metrics", "operations"):
        assert f"docs/guide/{name}.md" in readme
    assert "docs/runbooks/README.md" in readme
