"""Whether dashboards would work: pure functions over their JSON, for the tidy test and for a check against a live daemon.

A dashboard that asks for a metric nobody has draws an empty panel and nobody is told; here somebody is. The classic model
(version 1) is checked.
"""

from __future__ import annotations

import enum
import functools
import json
import re
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

from arbot.observe.catalogue.words import Metric
from tests.support import promql

VALUES: dict[str, str] = {
    "datasource": "arbot-prometheus",
    "job": "arbot",
    "instance": ".+",
    "venue": ".+",
    "pair": ".+",
    "strategy": ".+",
    "__interval": "15s",
    "__rate_interval": "1m",
    "__range": "1h",
}
"""What stands for each variable where nothing else is said."""

BUILT_IN = frozenset(name for name in VALUES if name.startswith("__")) | {
    "__url_time_range",
    "__field",
    "__value",
    "__all",
}
UNITS = frozenset(value for value in vars(units).values() if isinstance(value, str))
MOST_WIDE = 24
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:[.:][^}]*)?\}|(\w+))")
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_QUESTION = re.compile(r"^label_values\((?:(?P<expr>.+),\s*)?(?P<label>\w+)\)$")


class Dashboard(NamedTuple):
    """A dashboard's file name and what is in it."""

    name: str
    body: dict[str, Any]


class Query(NamedTuple):
    """One PromQL expression with its variables, and where it stands. `label` is set where only its values are asked for."""

    where: str
    expr: str
    label: str = ""


def load(folder: Path) -> list[Dashboard]:
    """Return every dashboard of a folder, by name."""
    return [
        Dashboard(path.name, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))
    ]


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Return every panel that is not a row, those inside of folded rows too."""
    return [panel for panel in _all_panels(dashboard) if panel["type"] != "row"]


def colored(dashboard: Dashboard) -> set[str]:
    """Return the names of series that have a colour of their own: each is the value of a label."""
    return {
        override["matcher"]["options"]
        for panel in panels(dashboard)
        for override in panel["fieldConfig"].get("overrides", [])
        if panel["type"] == "timeseries"
    }


def queries(dashboard: Dashboard) -> list[Query]:
    """Return every expression of panels, variables and annotations."""
    found = [
        Query(f"{dashboard.name}: {panel['title']} ({target['refId']})", target["expr"])
        for panel in panels(dashboard)
        for target in panel.get("targets", [])
    ]
    for variable in _variables(dashboard):
        if variable["type"] == "query":
            asked = _QUESTION.match(variable["query"])
            where = f"{dashboard.name}: variable {variable['name']}"
            found.append(
                Query(where, asked["expr"] or "", asked["label"]) if asked else Query(where, variable["query"])
            )
    notes = dashboard.body.get("annotations", {}).get("list", [])
    found += [Query(f"{dashboard.name}: annotation {note['name']}", note["expr"]) for note in notes if "expr" in note]
    return found


def substituted(expr: str, values: Mapping[str, str]) -> str:
    """Return the expression with every variable's value. Raises: KeyError for a variable without one."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expr)


def metrics_used(exprs: Iterable[str], catalogue: Mapping[str, Metric]) -> set[str]:
    """Return the catalogue's metrics that expressions ask for; those with variables have their values."""
    names = set().union(*(promql.metrics_of(expr) for expr in exprs))
    return {metric.name for name in names if (metric := promql.family(name, catalogue)) is not None}


def problems(dashboards: Sequence[Dashboard], catalogue: Mapping[str, Metric]) -> list[str]:
    """Return a sentence for everything that is wrong, with the file and the panel; empty when nothing is."""
    plugins.register_default_plugins()
    found = [f"{uid}: two dashboards have this uid" for uid, n in Counter(_uids(dashboards)).items() if n > 1]
    for dashboard in dashboards:
        for check in (_queries, _legends, _columns, _grid, _ids, _units, _said, _names, _model):
            found += [f"{dashboard.name}: {sentence}" for sentence in check(dashboard, catalogue)]
        found += [f"{dashboard.name}: {sentence}" for sentence in _links(dashboard, dashboards)]
    return found


def _queries(dashboard: Dashboard, catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for query in queries(dashboard):
        where = query.where.removeprefix(f"{dashboard.name}: ")
        try:
            expr = substituted(query.expr, VALUES)
        except KeyError:
            continue  # _names says which variable it is
        if not expr:
            yield f"{where}: label_values without a metric asks every series there is"
            continue
        for sentence in promql.expression_problems(expr, catalogue):
            yield f"{where}: {sentence}"
        if query.label and query.label not in promql.labels_out(expr, catalogue):
            yield f"{where}: {expr} has no label {query.label}"


def _legends(dashboard: Dashboard, catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for panel in panels(dashboard):
        legend = panel["options"].get("legend", {})
        if legend.get("showLegend") and legend.get("placement") not in {"bottom", "right"}:
            yield f"{panel['title']}: its legend has no place, so Grafana draws nothing"
    for panel, target, labels in _answers(dashboard, catalogue):
        for label in _LEGEND.findall(target.get("legendFormat", "")):
            if label not in labels:
                yield f"{panel['title']} ({target['refId']}): the legend names {label}, which the result has not"


def _columns(dashboard: Dashboard, catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for panel in panels(dashboard):
        titles, sources = {"Value"}, {"Time", "Value"}
        for _, target, labels in _answers(Dashboard(dashboard.name, {"panels": [panel]}), catalogue):
            sources |= labels | {f"Value #{target['refId']}"}
        for step in panel.get("transformations", []):
            named = step["options"]
            for key in ("indexByName", "renameByName", "excludeByName"):
                yield from (f"{panel['title']}: no column {one}" for one in named.get(key, {}) if one not in sources)
            for key in ("rowField", "columnField", "valueField"):
                if named.get(key, "Value") not in sources:
                    yield f"{panel['title']}: no column {named[key]}"
            titles |= set(named.get("renameByName", {}).values())
        for override in panel["fieldConfig"].get("overrides", []):
            matcher = override["matcher"]
            if panel["type"] == "table" and matcher["id"] == "byName" and matcher["options"] not in titles:
                yield f"{panel['title']}: an override is for {matcher['options']}, which is no column"


def _answers(
    dashboard: Dashboard, catalogue: Mapping[str, Metric]
) -> Iterator[tuple[dict[str, Any], dict[str, Any], frozenset[str]]]:
    """Yield panel, target and the labels of its result, where it can be understood."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            try:
                labels = promql.labels_out(substituted(target["expr"], VALUES), catalogue)
            except (KeyError, ValueError):
                continue  # told by _names and _queries
            yield panel, target, labels


def _grid(dashboard: Dashboard, _catalogue: Mapping[str, Metric]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard.body["panels"]:
        place, title = panel["gridPos"], panel["title"]
        if place["w"] < 1 or place["h"] < 1 or place["x"] < 0 or place["x"] + place["w"] > MOST_WIDE:
            yield f"{title}: does not fit on the grid of {MOST_WIDE} columns"
        cells = [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        beneath = {taken[cell] for cell in cells if cell in taken}
        yield from (f"{title}: lies over {other}" for other in sorted(beneath))
        taken |= dict.fromkeys(cells, title)


def _ids(dashboard: Dashboard, _catalogue: Mapping[str, Metric]) -> Iterator[str]:
    counted = Counter(panel["id"] for panel in _all_panels(dashboard))
    yield from (f"{count} panels have the id {number}" for number, count in counted.items() if count > 1)
    if not dashboard.body.get("uid"):
        yield "has no uid: links to it would break"
    if dashboard.body.get("editable", True):
        yield "is editable: what is changed in the browser is lost"


def _units(dashboard: Dashboard, _catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for panel in panels(dashboard):
        field = panel["fieldConfig"]
        overrides = [one for override in field.get("overrides", []) for one in override["properties"]]
        given = [field["defaults"].get("unit"), *(one["value"] for one in overrides if one["id"] == "unit")]
        for unit in given:
            if unit is None:
                yield f"{panel['title']}: has no unit"
            elif unit not in UNITS and not unit.startswith(("suffix:", "prefix:")):
                yield f"{panel['title']}: {unit} is no unit Grafana knows"
        if given[0] == "none" and not field["defaults"].get("mappings"):
            yield f"{panel['title']}: has no unit, and no words for its values"


def _said(dashboard: Dashboard, _catalogue: Mapping[str, Metric]) -> Iterator[str]:
    for panel in panels(dashboard):
        if not panel.get("description"):
            yield f"{panel['title']}: does not say what is good, what is bad, what to do"
        if not panel.get("targets"):
            yield f"{panel['title']}: asks for nothing"


def _names(dashboard: Dashboard, _catalogue: Mapping[str, Metric]) -> Iterator[str]:
    defined = {variable["name"] for variable in _variables(dashboard)}
    counted = Counter(one["name"] for one in _variables(dashboard))
    yield from (f"variable {name} is there twice" for name, count in counted.items() if count > 1)
    text = json.dumps({key: part for key, part in dashboard.body.items() if key != "templating"})
    used_in_panels = _variables_in(text)
    asked = {name for one in _variables(dashboard) for name in _variables_in(str(one.get("query", "")))}
    asked |= {name for one in _variables(dashboard) for name in _variables_in(json.dumps(one.get("datasource", {})))}
    for name in sorted((used_in_panels | asked) - defined - BUILT_IN):
        yield f"uses the variable {name}, which is not defined"
    for name in sorted(defined - used_in_panels):
        yield f"no panel uses the variable {name}"


def _links(dashboard: Dashboard, dashboards: Sequence[Dashboard]) -> Iterator[str]:
    uids = set(_uids(dashboards))
    tags = {tag for one in dashboards for tag in one.body.get("tags", [])}
    named = {one.body.get("uid"): {variable["name"] for variable in _variables(one)} for one in dashboards}
    for link in _found(dashboard.body, "url"):
        led = re.match(r"/d/([\w-]+)", link)
        if led is None:
            continue
        if led[1] not in uids:
            yield f"links to {led[1]}, which is no dashboard"
            continue
        carried = {*re.findall(r"[?&]var-(\w+)=", link), *re.findall(r"\$\{(\w+):queryparam\}", link)}
        yield from (f"hands {name} to {led[1]}, which has no such variable" for name in carried - named[led[1]])
    for link in dashboard.body.get("links", []):
        yield from (f"lists dashboards tagged {tag}: there are none" for tag in link["tags"] if tag not in tags)


def _model(dashboard: Dashboard, _catalogue: Mapping[str, Metric]) -> Iterator[str]:
    """Yield keys the SDK does not know, and values that are not among those it lists."""
    built = model.Dashboard.from_json(dashboard.body)
    again = json.loads(json.dumps(built, cls=JSONEncoder))
    yield from (f"{path}: Grafana's model has no such key" for path in _lost(dashboard.body, again, ""))
    yield from _strange(built, "")


def _lost(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield f"{path}.{key}".lstrip(".")
            else:
                yield from _lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield path
        for place, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from _lost(one, other, f"{path}[{place}]")


def _strange(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, list):
        for place, one in enumerate(node):
            yield from _strange(one, f"{path}[{place}]")
    elif type(node).__module__.startswith("grafana_foundation_sdk.models"):
        hints = _hints(type(node))
        for name, value in vars(node).items():
            yield from _strange(value, f"{path}.{name}".lstrip("."))
            listed = [
                one for one in _alternatives(hints.get(name)) if isinstance(one, type) and issubclass(one, enum.Enum)
            ]
            if listed and value is not None and not any(value in set(one) for one in listed):
                yield f"{path}.{name}: {value!r} is not among {', '.join(str(one.value) for one in listed[0])}".lstrip(
                    "."
                )


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) or (hint,)


def _uids(dashboards: Sequence[Dashboard]) -> list[str]:
    return [dashboard.body.get("uid", "") for dashboard in dashboards]


def _all_panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    for panel in dashboard.body["panels"]:
        yield panel
        yield from panel.get("panels", [])


def _variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    return dashboard.body.get("templating", {}).get("list", [])


def _variables_in(text: str) -> set[str]:
    return {found[0] or found[1] for found in _VARIABLE.findall(text)}


def _found(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key and isinstance(value, str):
                yield value
            else:
                yield from _found(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _found(value, key)
