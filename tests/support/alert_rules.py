"""The alert rules, their tests and their runbooks as values, and what a reader of them may ask.

Pure functions; `series_missing` is also for a check against the page of a live daemon.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as promql
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "prometheus" / "rules"
TESTS = ROOT / "config" / "prometheus" / "tests"
RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation")
SEVERITIES = ("page", "warn", "none")


class Rule(NamedTuple):
    """One alert as it stands in its file."""

    file: str
    name: str
    expr: str
    body: Mapping[str, Any]

    @property
    def severity(self) -> str:
        """Return how soon a person has to look."""
        return str(self.body["labels"]["severity"])

    @property
    def annotations(self) -> Mapping[str, str]:
        """Return what a person is told."""
        return dict(self.body["annotations"])


class Expectation(NamedTuple):
    """One moment of a promtool test: which alerts are expected to fire then."""

    alert: str
    at: str
    alerts: tuple[Mapping[str, Any], ...]


def rules(folder: Path = RULES) -> list[Rule]:
    """Return every alert of a folder of rule files."""
    return [
        Rule(path.name, one["alert"], one["expr"], one)
        for path in sorted(folder.glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for one in group["rules"]
        if "alert" in one
    ]


def expectations(folder: Path = TESTS) -> list[Expectation]:
    """Return every moment that the promtool tests of a folder look at."""
    return [
        Expectation(one["alertname"], str(one["eval_time"]), tuple(one["exp_alerts"]))
        for path in sorted(folder.glob("*.yml"))
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for one in test["alert_rule_test"]
    ]


def selectors(expr: str) -> list[promql.VectorSelector]:
    """Return what an expression selects. Raises: ValueError when it is no PromQL."""
    found: list[promql.VectorSelector] = []

    def note(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(promql.parse(expr), note)
    return found


def labels_told(text: str) -> set[str]:
    """Return the labels that a template of Prometheus fills in."""
    return set(re.findall(r"\$labels\.(\w+)", text))


def series_missing(exposition: str, found: Iterable[Rule]) -> list[str]:
    """Return a line for each selector of a rule that no series of a scrape matches: that alert could not fire.

    What only Prometheus makes (`up`) is passed over; job and instance are its labels, too.
    """
    series: dict[str, list[Mapping[str, str]]] = {}
    for one in text_string_to_metric_families(exposition):
        for sample in one.samples:
            series.setdefault(sample.name, []).append(sample.labels)
    return [
        f"{rule.name}: {selector.prettify()}"
        for rule in found
        for selector in selectors(rule.expr)
        if selector.name != "up" and not any(_is_matched(selector, one) for one in series.get(selector.name or "", ()))
    ]


def _is_matched(selector: promql.VectorSelector, labels: Mapping[str, str]) -> bool:
    return all(
        _agrees(one, labels.get(one.name, ""))
        for one in selector.matchers.matchers
        if one.name not in {"job", "instance"}
    )


def _agrees(matcher: promql.Matcher, value: str) -> bool:
    is_same = value == matcher.value
    if matcher.op in (promql.MatchOp.Re, promql.MatchOp.NotRe):
        is_same = re.fullmatch(matcher.value, value) is not None
    return is_same == (matcher.op in (promql.MatchOp.Equal, promql.MatchOp.Re))


# --- runbooks ---------------------------------------------------------------------------------------------------------


def headings(text: str) -> list[str]:
    """Return the second-level headings of a page."""
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def commands(text: str) -> Iterator[str]:
    """Yield every `arbot ...` command that a page quotes, in backticks or indented."""
    for quoted in re.findall(r"`([^`\n]+)`|^ {4}(\S.*)$", text, re.MULTILINE):
        for part in re.split(r"\s[|&]+\s|\s>\s\S+|;\s", next(filter(None, quoted))):
            if re.match(r"arbot [a-z]", part):
                yield part.strip()


def command_problem(root: Any, command: str) -> str:
    """Return what a command line asks that the program does not know; nothing when it would be understood.

    `root` is what typer's get_command makes; whose class that is differs by typer's version.
    """
    at, rest = root, shlex.split(command)[1:]
    while hasattr(at, "commands") and rest and not rest[0].startswith("-"):
        child = at.commands.get(rest[0])
        if child is None:
            return f"{command}: no command {rest[0]}"
        at, rest = child, rest[1:]
    if hasattr(at, "commands"):
        return f"{command}: which of {', '.join(at.commands)}?"
    options = {name: one for one in at.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")}
    given: list[str] = []
    used: set[str] = set()
    while rest:
        word, _, _ = rest.pop(0).partition("=")
        if not word.startswith("-"):
            given.append(word)
        elif word not in options:
            return f"{command}: no option {word}"
        else:
            used.add(options[word].name or "")
            if not getattr(options[word], "is_flag", False) and rest:
                rest.pop(0)
    places = [one for one in at.params if one.param_type_name == "argument"]
    most = len(given) if any(one.nargs == -1 for one in places) else len(places)
    if not sum(1 for one in places if one.required) <= len(given) <= most:
        return f"{command}: takes {len(places)} words, has {len(given)}"
    lacking = [
        one.opts[0] for one in at.params if one.param_type_name == "option" and one.required and one.name not in used
    ]
    return f"{command}: needs {', '.join(lacking)}" if lacking else ""
