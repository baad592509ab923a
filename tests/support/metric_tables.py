"""Tables of the metrics for the guide: every family by group, its buckets, its labels, and where it is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml

from arbot.observe.catalogue import CATALOGUE, GROUPS
from arbot.observe.catalogue.words import LABELS, Metric

CONFIG = Path(__file__).resolve().parents[2] / "config"
_NAME = re.compile(r"\b(arbot_\w+)")
_SUFFIX = re.compile(r"_(bucket|sum|count)$")


@cache
def _places() -> dict[str, tuple[str, ...]]:
    """Return by metric the dashboards and rules that use it, in order, each once."""
    places: dict[str, dict[str, None]] = {}
    for where, text in (*_dashboards(), *_rules()):
        for found in _NAME.findall(text):
            name = found if found in CATALOGUE else _SUFFIX.sub("", found)
            places.setdefault(name, {})[where] = None
    return {name: tuple(those) for name, those in places.items()}


def _dashboards() -> Iterator[tuple[str, str]]:
    for path in sorted((CONFIG / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        yield f"`{board['uid']}`", path.read_text(encoding="utf-8")


def _rules() -> Iterator[tuple[str, str]]:
    for path in sorted((CONFIG / "prometheus" / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                yield rule.get("alert") or f"`{rule['record']}`", rule["expr"]


def seen_in(metric: Metric) -> tuple[str, ...]:
    """Return the dashboards, alerts and recorded series that a metric is used in."""
    return _places().get(metric.name, ())


def families() -> str:
    """Return every family, a table a group."""
    parts = []
    for group, rows in GROUPS.items():
        lines = [
            f"### {group}",
            "",
            "| metric | type | unit | labels | what it is | seen in |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            labels = ", ".join(f"`{label}`" for label in (*row.labels, *([row.name] if row.states else ())))
            seen = ", ".join(seen_in(row)) or f"nowhere: {row.unwatched}"
            kind, unit = row.kind, "" if row.unit == "-" else row.unit
            lines.append(f"| `{row.name}` | {kind} | {unit} | {labels} | {_cell(row.help)} | {_cell(seen)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def labels() -> str:
    """Return every label with its values."""
    lines = ["| label | values |", "|---|---|"]
    return "\n".join(lines + [f"| `{label}` | {_cell(values)} |" for label, values in LABELS.items()])


def buckets() -> str:
    """Return the bounds of every histogram, those with the same bounds together."""
    by_bounds: dict[tuple[float, ...], list[str]] = {}
    for metric in CATALOGUE.values():
        if metric.kind == "histogram":
            by_bounds.setdefault(metric.buckets, []).append(f"`{metric.name}`")
    lines = ["| upper bounds | histograms |", "|---|---|"]
    return "\n".join(
        lines
        + [f"| {', '.join(f'{one:g}' for one in bounds)} | {', '.join(names)} |" for bounds, names in by_bounds.items()]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
