"""Are the dashboards what the code makes, would each panel have something to show, and is every metric looked at?"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from arbot.observe.catalogue import CATALOGUE
from arbot.observe.catalogue.words import Metric
from dashboards import __main__ as command
from tests.support import dashboard_check as check
from tests.support import promql

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "config" / "grafana" / "dashboards"
RULES = ROOT / "config" / "prometheus" / "rules"
RUNBOOKS = ROOT / "docs" / "runbooks"
COMMANDS = ROOT / "docs" / "guide" / "commands.md"
UIDS = ["arbot-engine", "arbot-execution", "arbot-overview", "arbot-treasury", "arbot-venue"]
STATS_OF_A_GLANCE = 8


def on_disk() -> list[check.Dashboard]:
    """Return the dashboards as they are in the repository."""
    return check.load(FOLDER)


def asked(dashboards: list[check.Dashboard]) -> list[str]:
    """Return every expression with values for its variables."""
    return [check.substituted(query.expr, check.VALUES) for one in dashboards for query in check.queries(one)]


def rules() -> Iterator[dict[str, Any]]:
    """Yield every rule of Prometheus."""
    for path in sorted(RULES.glob("*.y*ml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def unwatched_and_overwatched(catalogue: dict[str, Metric], used: set[str]) -> list[str]:
    """Return a sentence for each metric that nobody looks at, or that is looked at though it says it is not."""
    said = [
        f"{name}: no panel and no rule uses it, and no `unwatched` says why"
        for name, metric in catalogue.items()
        if name not in used and not metric.unwatched
    ]
    return said + [f"{name}: is used, so its `unwatched` is not true" for name in used if catalogue[name].unwatched]


def test_the_files_are_what_the_code_makes() -> None:
    """Make every file anew, to the same bytes."""
    assert command.differing(FOLDER) == []
    assert sorted(dashboard.body["uid"] for dashboard in on_disk()) == UIDS


def test_a_changed_missing_or_foreign_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 and name each file that differs."""
    assert command.main(["--folder", str(tmp_path)]) == 0
    assert command.main(["--folder", str(tmp_path), "--check"]) == 0
    changed = tmp_path / "arbot-venue.json"
    changed.write_text(changed.read_text(encoding="utf-8").replace("Book age", "Age of books"), encoding="utf-8")
    (tmp_path / "arbot-engine.json").unlink()
    (tmp_path / "mine.json").write_text("{}", encoding="utf-8")

    assert command.main(["--folder", str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().err
    assert "arbot-venue.json: differs" in said
    assert "arbot-engine.json: is missing" in said
    assert "mine.json: no dashboard makes this file" in said


def test_nothing_is_wrong_with_the_dashboards() -> None:
    """Find no unknown metric or label, no overlap, no dead link, no key that Grafana's model has not."""
    assert check.problems(on_disk(), CATALOGUE) == []


def test_the_first_row_answers_at_a_glance() -> None:
    """Begin every dashboard with one row of eight equal numbers."""
    for dashboard in on_disk():
        first = [panel for panel in check.panels(dashboard) if panel["gridPos"]["y"] == 1]

        assert {(panel["type"], panel["gridPos"]["w"], panel["gridPos"]["h"]) for panel in first} == {("stat", 3, 4)}
        assert len(first) == STATS_OF_A_GLANCE


def test_every_metric_is_looked_at() -> None:
    """Have a panel, a rule or a stated reason for every metric of the catalogue; never both a use and a reason."""
    used = check.metrics_used([*asked(on_disk()), *(rule["expr"] for rule in rules())], CATALOGUE)

    assert unwatched_and_overwatched(CATALOGUE, used) == []


def test_a_metric_nobody_looks_at_is_found() -> None:
    """Name a metric without a use, and one whose reason is not true."""
    orphan = Metric("arbot_orphan", "gauge", "-", (), "Of nobody.")
    excused = Metric("arbot_excused", "gauge", "-", (), "Of nobody, with a reason.", unwatched="the page shows it")

    assert unwatched_and_overwatched({"arbot_orphan": orphan, "arbot_excused": excused}, set()) == [
        "arbot_orphan: no panel and no rule uses it, and no `unwatched` says why"
    ]
    assert unwatched_and_overwatched({"arbot_excused": excused}, {"arbot_excused"}) == [
        "arbot_excused: is used, so its `unwatched` is not true"
    ]


def test_runbooks_that_panels_name_exist() -> None:
    """Name only alerts there are, and runbooks that can be opened."""
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    named = {
        name
        for dashboard in on_disk()
        for panel in check.panels(dashboard)
        for name in re.findall(r"docs/runbooks/(\w+)\.md", panel["description"])
    }

    assert sorted(named - alerts) == []
    assert sorted(name for name in named if not (RUNBOOKS / f"{name}.md").exists()) == []


def test_commands_that_panels_name_exist() -> None:
    """Quote only commands that the guide lists."""
    known = set(re.findall(r"^\| `arbot ([a-z][a-z -]*)", COMMANDS.read_text(encoding="utf-8"), flags=re.MULTILINE))
    known = {" ".join(word for word in one.split() if not word.startswith("-")) for one in known}
    quoted = {
        command
        for dashboard in on_disk()
        for panel in check.panels(dashboard)
        for command in re.findall(r"`arbot ([a-z][a-z -]*)`", panel["description"])
    }

    assert "ledger verify" in quoted
    assert sorted(quoted - known) == []


Fault = Callable[[dict[str, Any]], None]


def panel_of(body: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the first panel of a kind."""
    return next(panel for panel in body["panels"] if panel["type"] == kind)


def asks(expr: str) -> Fault:
    """Return a fault: the first number asks this."""

    def plant(body: dict[str, Any]) -> None:
        panel_of(body, "stat")["targets"][0]["expr"] = expr

    return plant


def sets(kind: str, path: str, value: Any) -> Fault:
    """Return a fault: the value at a dotted path of the first panel of a kind."""

    def plant(body: dict[str, Any]) -> None:
        node = panel_of(body, kind)
        *way, last = path.split(".")
        for step in way:
            node = node[int(step)] if step.isdigit() else node[step]
        node[int(last) if last.isdigit() else last] = value

    return plant


FAULTS: dict[str, tuple[Fault, str]] = {
    "no PromQL": (asks("sum by (arbot_equity"), "is no PromQL"),
    "unknown metric": (asks("arbot_equitty"), "the catalogue has no metric arbot_equitty"),
    "no metric": (asks('{job="arbot"}'), "selects without the name of a metric"),
    "unknown label": (asks('arbot_equity{venue="kraken"}'), "arbot_equity has no label venue"),
    "unknown group": (asks("sum by (venue) (arbot_equity)"), "groups by venue, which nothing inside has"),
    "unknown match": (asks("arbot_equity / on (venue) arbot_equity"), "groups by venue, which nothing inside has"),
    "unknown state": (asks('arbot_venue_state{arbot_venue_state="lively"}'), "has no state lively"),
    "bare histogram": (asks("arbot_fill_ratio"), "is a histogram"),
    "sum of signed values": (asks("rate(arbot_slippage_ratio_sum[5m])"), "has no _sum"),
    "bucket of a gauge": (asks("arbot_equity_bucket"), "the catalogue has no metric arbot_equity_bucket"),
    "rate of a gauge": (asks("rate(arbot_equity[5m])"), "is a gauge and may fall"),
    "delta of a counter": (asks("delta(arbot_fills_total[5m])"), "only grows"),
    "dead legend": (sets("timeseries", "targets.0.legendFormat", "{{planet}}"), "the legend names planet"),
    "legend without a place": (sets("timeseries", "options.legend", {"showLegend": True}), "legend has no place"),
    "dead column": (sets("table", "transformations.1.options.renameByName", {"planet": "Planet"}), "no column planet"),
    "dead override": (sets("table", "fieldConfig.overrides.0.matcher.options", "Planet"), "which is no column"),
    "overlap": (sets("timeseries", "gridPos.x", 1), "lies over"),
    "too wide": (sets("timeseries", "gridPos.w", 25), "does not fit on the grid"),
    "same id": (sets("timeseries", "id", 2), "panels have the id 2"),
    "no unit": (sets("timeseries", "fieldConfig.defaults.unit", None), "has no unit"),
    "unknown unit": (sets("timeseries", "fieldConfig.defaults.unit", "furlong"), "is no unit Grafana knows"),
    "nothing said": (sets("timeseries", "description", ""), "does not say what is good"),
    "nothing asked": (sets("timeseries", "targets", []), "asks for nothing"),
    "undefined variable": (asks('arbot_equity{job="$jobb"}'), "uses the variable jobb, which is not defined"),
    "unused variable": (
        lambda body: body["templating"]["list"].append({"type": "textbox", "name": "spare", "query": ""}),
        "no panel uses the variable spare",
    ),
    "variable twice": (
        lambda body: body["templating"]["list"].append(copy.deepcopy(body["templating"]["list"][1])),
        "variable job is there twice",
    ),
    "variable of nothing": (
        lambda body: body["templating"]["list"][1].update(query="label_values(arbot_equity, planet)"),
        "has no label planet",
    ),
    "variable of everything": (
        lambda body: body["templating"]["list"][1].update(query="label_values(job)"),
        "asks every series there is",
    ),
    "annotation": (
        lambda body: body["annotations"]["list"][0].update(expr="arbot_begun"),
        "annotation Restarts: the catalogue has no metric arbot_begun",
    ),
    "dead link": (
        sets("timeseries", "fieldConfig.defaults.links", [{"title": "x", "url": "/d/arbot-planet/x"}]),
        "links to arbot-planet, which is no dashboard",
    ),
    "link with a wrong variable": (
        sets("timeseries", "fieldConfig.defaults.links", [{"title": "x", "url": "/d/arbot-venue/x?var-planet=1"}]),
        "hands planet to arbot-venue, which has no such variable",
    ),
    "dead tag": (lambda body: body["links"][0].update(tags=["planets"]), "there are none"),
    "unknown key": (sets("timeseries", "options.legends", {}), "options.legends: Grafana's model has no such key"),
    "unknown value": (sets("stat", "options.colorMode", "shiny"), "'shiny' is not among"),
    "no uid": (lambda body: body.pop("uid"), "has no uid"),
    "editable": (lambda body: body.update(editable=True), "is editable"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_planted_fault_is_found(kind: str) -> None:
    """Find each kind of fault in a dashboard that had none."""
    plant, said = FAULTS[kind]
    venue = next(one for one in on_disk() if one.body["uid"] == "arbot-venue")
    plant(venue.body)

    found = check.problems([venue], CATALOGUE)

    assert any(said in sentence and sentence.startswith(venue.name) for sentence in found), found


def test_two_dashboards_of_one_uid_are_found() -> None:
    """Say which uid is there twice."""
    dashboards = on_disk()

    found = check.problems([*dashboards, dashboards[0]], CATALOGUE)

    assert found == [f"{dashboards[0].body['uid']}: two dashboards have this uid"]


def test_labels_that_come_out_are_known() -> None:
    """Follow labels through aggregations, quantiles and the choice of the largest."""
    out = {
        expr: promql.labels_out(expr, CATALOGUE) - promql.TARGET
        for expr in (
            "sum(arbot_open_orders)",
            "topk(3, arbot_open_orders)",
            "sum without (side) (arbot_orders_total)",
            "histogram_quantile(0.9, sum by (le, venue) (rate(arbot_order_ack_seconds_bucket[5m])))",
            "arbot_mode",
        )
    }

    assert list(out.values()) == [set(), {"venue"}, {"venue", "outcome"}, {"venue"}, {"arbot_mode"}]


def test_provisioning_fits_the_dashboards() -> None:
    """Provision one datasource that cannot be edited, and the folder that holds the dashboards."""
    provisioning = ROOT / "config" / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))
    provider = yaml.safe_load((provisioning / "dashboards" / "arbot.yaml").read_text(encoding="utf-8"))["providers"][0]

    assert [(one["uid"], one["url"], one["editable"]) for one in source["datasources"]] == [
        ("arbot-prometheus", "http://prometheus:9090", False)
    ]
    assert (provider["disableDeletion"], provider["allowUiUpdates"]) == (True, False)
    assert json.loads(json.dumps(provider["options"])) == {"path": "/etc/grafana/dashboards"}
