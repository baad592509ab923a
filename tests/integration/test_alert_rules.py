"""Prometheus' and Alertmanager's own tools on config/: what they would refuse at the start, they refuse here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.alert_chain import ALERTMANAGER, PROMETHEUS, ROOT

FROM_FILES = (0, 26)  # amtool of this version on knows secrets in files

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: install Debian's package prometheus"
)
needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="no amtool: install Debian's package prometheus-alertmanager"
)


def run(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what it said and how it ended."""
    return subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)


@needs_promtool
def test_prometheus_takes_its_config() -> None:
    """Find nothing wrong in the config and in every file of rules, duplicates included."""
    checked = run("promtool", "check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")

    assert 0 == checked.returncode, checked.stdout + checked.stderr
    assert f"{len(list((PROMETHEUS / 'rules').glob('*.yml')))} rule files found" in checked.stdout


@needs_promtool
@pytest.mark.parametrize("path", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path: Path) -> None:
    """Fire beyond the threshold with these words, stay quiet just below it and before its time, and end."""
    tested = run("promtool", "test", "rules", path, cwd=path.parent)

    assert 0 == tested.returncode, tested.stdout + tested.stderr


FAULTS = {
    "a threshold": ("safety", "> 10) and", "> 30) and"),
    "a time it must last": ("safety", "        for: 30s", "        for: 45s"),
    "a label": ("venue", 'outcome="mismatch"', 'outcome="mismatched"'),
    "a word": ("engine", "was full and dropped", "dropped"),
    "a condition": ("venue", "unless on (job, instance, venue) arbot_venue_maintenance == 1", ""),
    "what keeps it firing": ("treasury", "        keep_firing_for: 2m\n", ""),
    "how soon": ("safety", "severity: page", "severity: warn"),
}


@needs_promtool
@pytest.mark.parametrize("fault", FAULTS)
def test_a_changed_rule_is_noticed(fault: str, tmp_path: Path) -> None:
    """Fail the test of a file of rules in which one thing was changed."""
    name, old, new = FAULTS[fault]
    rules = (PROMETHEUS / "rules" / f"{name}.yml").read_text(encoding="utf-8")
    assert old in rules
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "rules" / f"{name}.yml").write_text(rules.replace(old, new), encoding="utf-8")
    shutil.copy(PROMETHEUS / "tests" / f"{name}_test.yml", tmp_path / "tests")

    tested = run("promtool", "test", "rules", f"{name}_test.yml", cwd=tmp_path / "tests")

    assert "FAILED" in tested.stdout + tested.stderr
    assert 0 != tested.returncode


@needs_amtool
@pytest.mark.parametrize("is_telegram", [False, True], ids=["as shipped", "with telegram"])
def test_alertmanager_takes_its_config(is_telegram: bool, tmp_path: Path) -> None:
    """Find nothing wrong in routes, inhibitions, receivers and templates, also when the comments are taken off."""
    checked = run("amtool", "check-config", routes(tmp_path, is_telegram=is_telegram))

    assert 0 == checked.returncode, checked.stdout + checked.stderr
    assert "1 templates" in checked.stdout
    assert "3 receivers" in checked.stdout


@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=page alertname=ArbotDown", "page"),
        ("severity=warn alertname=ArbotBookStale venue=kraken", "warn"),
        ("severity=none alertname=Watchdog", "dead-mans-switch"),
        ("alertname=Nameless", "page"),
    ],
)
def test_an_alert_takes_its_way(labels: str, receiver: str, tmp_path: Path) -> None:
    """Lead pages, warnings and the watchdog to where they belong, and what has no severity to a person."""
    routed = run("amtool", "config", "routes", "test", f"--config.file={routes(tmp_path)}", *labels.split())

    assert (0, receiver) == (routed.returncode, routed.stdout.strip())


@needs_amtool
def test_a_broken_route_is_noticed(tmp_path: Path) -> None:
    """Refuse a route to a receiver that is not there."""
    path = routes(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("receiver: warn", "receiver: nobody"), encoding="utf-8")

    assert 0 != run("amtool", "check-config", path).returncode


@needs_amtool
def test_a_message_does_not_call_silence_good_news(tmp_path: Path) -> None:
    """Say what to do about what fires, and of what is over only that it is no longer seen."""
    alerts = [
        {
            "status": status,
            "labels": {"alertname": name, "severity": "page"},
            "annotations": {"summary": f"{name} <b>it</b>.", "description": "So.", "runbook_url": f"docs/{name}"},
        }
        for status, name in (("firing", "ArbotDown"), ("resolved", "ArbotDrawdown"))
    ]
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"receiver": "page", "status": "firing", "alerts": alerts}), encoding="utf-8")
    glob = f"--template.glob={ALERTMANAGER.parent / 'templates' / '*.tmpl'}"
    text = '--template.text={{ template "arbot.text" . }}'

    said = run("amtool", "template", "render", glob, text, f"--template.data={data}").stdout.splitlines()

    assert ["NOW: ArbotDown <b>it</b>.", "So.", "What to do: docs/ArbotDown.md"] == said[:3]
    assert 'No longer seen (not yet "all is well": ask `arbot status`):' == said[3]
    assert "- ArbotDrawdown: ArbotDrawdown <b>it</b>." == said[4]


def test_inhibitions_name_alerts_there_are() -> None:
    """Hold back, and for the sake of, alerts that exist: a name that is gone would inhibit nothing."""
    names = {
        one["alert"]
        for path in (PROMETHEUS / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for one in group["rules"]
    }

    assert set(re.findall(r"\b(Arbot\w+)", ALERTMANAGER.read_text(encoding="utf-8"))) - {"ArbotDown"} < names


def test_secrets_stay_outside() -> None:
    """Keep every file of secrets but its instructions out of git, and tell of each that the config names."""
    folder = ALERTMANAGER.parent / "secrets"
    config = ALERTMANAGER.read_text(encoding="utf-8")
    named = set(re.findall(r"secrets/([a-z-]+)", config))

    assert {"*", "!.gitignore", "!README.md"} <= set((folder / ".gitignore").read_text(encoding="utf-8").splitlines())
    assert {"page-url", "warn-url", "watchdog-url", "telegram-token"} == named
    assert all(f"`{name}`" in (folder / "README.md").read_text(encoding="utf-8") for name in named)
    assert not re.search(r"^\s*(url|bot_token|api_key|password):", config, re.MULTILINE)


def routes(folder: Path, *, is_telegram: bool = False) -> Path:
    """Return the shipped config in `folder`, for the amtool there is: an older one is given secrets in the text."""
    text = ALERTMANAGER.read_text(encoding="utf-8")
    if is_telegram:
        text = text.replace("#telegram", "")
    told = run("amtool", "--version")
    version = re.search(r"version (\d+)\.(\d+)", told.stdout + told.stderr)
    if version is not None and (int(version[1]), int(version[2])) < FROM_FILES:
        text = re.sub(r"url_file: secrets/\S+", "url: http://127.0.0.1/", text)
        text = re.sub(r"bot_token_file: secrets/\S+", "bot_token: '1:a'", text)
    shutil.copytree(ALERTMANAGER.parent / "templates", folder / "templates")
    (folder / "alertmanager.yml").write_text(text, encoding="utf-8")
    return folder / "alertmanager.yml"
