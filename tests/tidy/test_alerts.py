"""Can every alert fire, is it told to a person in words that help, and is it tested?"""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from arbot.cli.main import app
from arbot.domain.decisions import Reason
from arbot.observe.catalogue import CATALOGUE
from tests.support.alert_chain import seconds_of
from tests.support.alert_rules import (
    HEADINGS,
    ROOT,
    RUNBOOKS,
    SEVERITIES,
    Rule,
    command_problem,
    commands,
    expectations,
    headings,
    labels_told,
    rules,
    selectors,
    series_missing,
)
from tests.support.promql import expression_problems, family, labels_out

RULES = rules()
BY_NAME = {rule.name: rule for rule in RULES}
MOMENTS = expectations()
PAGES = [path for path in sorted(RUNBOOKS.glob("*.md")) if path.stem != "README"]
PROGRAM = get_command(app)
DASHBOARDS = {"arbot-overview", "arbot-venue", "arbot-execution", "arbot-treasury", "arbot-engine"}
ENDLESS = {"Watchdog"}  # never quiet
WITHOUT_SERIES = {"ArbotDown", "ArbotAbsent", "Watchdog"}  # they do not end when a daemon hangs
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


@each_rule
def test_an_alert_says_what_is_wrong_and_how_soon(rule: Rule) -> None:
    """Have a severity, one line a stranger understands, what it means, and the name of its runbook."""
    told = rule.annotations

    assert rule.severity in SEVERITIES
    assert {"summary", "description", "runbook_url"} == set(told)
    assert told["runbook_url"].endswith(rule.name)
    assert "\n" not in told["summary"]
    assert told["summary"].endswith(".")
    assert rule.name in ENDLESS | {"ArbotAbsent"} or "$labels.instance" in told["summary"]


@each_rule
def test_an_alert_asks_for_what_there_is(rule: Rule) -> None:
    """Select metrics of the catalogue by labels they have, keep job and instance, and tell only labels that are left."""
    out = labels_out(rule.expr, CATALOGUE)

    assert [] == expression_problems(rule.expr, CATALOGUE)
    assert rule.name in {"ArbotAbsent", "Watchdog"} or {"job", "instance"} <= out
    assert labels_told("".join(rule.annotations.values())) <= out


@each_rule
def test_an_alert_asks_for_bounds_there_are(rule: Rule) -> None:
    """Name buckets as Prometheus writes their bounds, and only bounds that the catalogue has."""
    for selector in selectors(rule.expr):
        metric = family(selector.name or "", CATALOGUE)
        for matcher in selector.matchers.matchers:
            if matcher.name == "le" and metric is not None:
                assert matcher.value in {repr(float(bound)) for bound in metric.buckets}


def test_an_alert_about_blocks_names_reasons_there_are() -> None:
    """Know every reason for which trading may be blocked that a rule names."""
    named = {
        word
        for rule in RULES
        for selector in selectors(rule.expr)
        if selector.name == "arbot_trading_blocked"
        for matcher in selector.matchers.matchers
        for word in matcher.value.split("|")
    }

    assert {"stranded"} < named <= {reason.value for reason in Reason}


@each_rule
def test_an_alert_outlives_the_silence_of_a_daemon(rule: Rule) -> None:
    """Keep firing for longer than ArbotDown takes to fire: a daemon that hangs mends nothing."""
    kept_s = seconds_of(rule.body.get("keep_firing_for", "0s"))

    assert (rule.name in WITHOUT_SERIES) == (kept_s == 0)
    assert rule.name in WITHOUT_SERIES or kept_s > seconds_of(BY_NAME["ArbotDown"].body["for"])


@each_rule
def test_an_alert_is_seen_to_fire_and_to_be_quiet(rule: Rule) -> None:
    """Have a promtool test with a moment at which it fires and one at which it does not."""
    moments = [one for one in MOMENTS if one.alert == rule.name]

    assert any(one.alerts for one in moments)
    assert rule.name in ENDLESS or any(not one.alerts for one in moments)


def test_promtool_tests_are_about_alerts_there_are() -> None:
    """Test no alert that is gone: it would be quiet for ever."""
    assert set() == {one.alert for one in MOMENTS} - BY_NAME.keys()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """Have one page per alert, called like it."""
    assert sorted(BY_NAME) == [path.stem for path in PAGES]


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_runbook_says_what_to_do(name: str) -> None:
    """Have the four headings, a severity that is the rule's, something to type or to look at, and an end."""
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")

    assert list(HEADINGS) == headings(text)
    assert f"# {name}\n" == text.splitlines(keepends=True)[0]
    assert f"Severity {BY_NAME[name].severity}" in text
    assert f"rules/{BY_NAME[name].file}" in text
    assert "\nOver when: " in text
    assert len(text.splitlines()) <= 45  # read at three in the morning
    assert set(re.findall(r"\barbot-[a-z]+\b", text)) <= DASHBOARDS
    assert set(re.findall(r"\brunbooks? (Arbot\w+)", text)) <= BY_NAME.keys()


PAGES_WITH_COMMANDS = [*PAGES, RUNBOOKS / "README.md", ROOT / "docs" / "guide" / "alerts.md"]


@pytest.mark.parametrize("path", PAGES_WITH_COMMANDS, ids=lambda path: path.stem)
def test_commands_of_a_runbook_are_understood(path: object) -> None:
    """Quote no command, option or number of words that arbot would refuse."""
    text = (ROOT / str(path)).read_text(encoding="utf-8")

    assert [] == [problem for one in commands(text) if (problem := command_problem(PROGRAM, one))]


@pytest.mark.parametrize("path", PAGES_WITH_COMMANDS[-2:], ids=lambda path: path.stem)
def test_tables_of_alerts_are_complete(path: object) -> None:
    """List every alert with its severity, and no other."""
    text = (ROOT / str(path)).read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| \[(\w+)\]\([^)]*\) \| (\w+) \|", text, re.MULTILINE))

    assert {rule.name: rule.severity for rule in RULES} == listed


# --- the checks see ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("arbot pause", ""),
        ('arbot unkill --reason "..."', ""),
        ("arbot transfers request SOURCE TARGET ASSET QTY --network N", ""),
        ("arbot stop", "no command stop"),
        ("arbot pause --why now", "no option --why"),
        ("arbot ledger", "which of"),
        ("arbot quarantine", "takes 1 words, has 0"),
        ("arbot quarantine VENUE", "needs --reason"),
    ],
)
def test_a_wrong_command_is_found(command: str, told: str) -> None:
    """Tell what is wrong with a command line, and nothing where all is well."""
    problem = command_problem(PROGRAM, command)

    assert told in problem
    assert bool(told) == bool(problem)


def test_series_that_are_not_there_are_found() -> None:
    """Name the selector of a rule that no series of a scrape matches."""
    rule = Rule("x.yml", "X", 'increase(a_total{outcome="bad"}[5m]) > 0 and on (job) up == 1', {})
    scrape = '# TYPE a_total counter\na_total{outcome="ok"} 1\n'

    assert ['X: a_total{outcome="bad"}'] == series_missing(scrape, [rule])
    assert [] == series_missing(scrape + 'a_total{outcome="bad"} 0\n', [rule])
