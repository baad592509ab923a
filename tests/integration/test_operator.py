"""The operator's commands against a real daemon: a demo in a process of its own, spoken to by the command line."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.observe.catalogue import CATALOGUE

ARBOT = (sys.executable, "-c", "from arbot.cli.main import main; main()")
START_S, STOP_S, POLL_S = 90, 60, 0.1


class Desk:
    """A running demo and the folder it was started in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*ARBOT, "demo", "--seed", "11", "--json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ARBOT, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=90, check=False
        )

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json").stdout)

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        told = json.loads((self.folder / "state/demo/daemon.json").read_text())
        request = urllib.request.Request(told["url"] + path, headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_until_trading(self) -> None:
        for _ in range(int(START_S / POLL_S)):
            assert self.process.poll() is None, self.process.communicate()
            if (self.folder / "state/demo/daemon.json").exists() and self.get("/readyz")[0] == 200:
                return
            time.sleep(POLL_S)
        pytest.fail("the demo was not ready in time")

    def stop(self) -> tuple[int, dict[str, Any], str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=STOP_S)
        return self.process.returncode, json.loads(out), err


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    running = Desk(tmp_path_factory.mktemp("desk"))
    try:
        running.wait_until_trading()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


def test_the_commands_of_an_operator_take_hold(desk: Desk) -> None:
    """Pause, resume, halt, flatten, kill and unkill each show in the status; the end is clean and the ledger verifies."""
    assert desk.status()["may_open"] is True
    assert desk.run("pause", "--reason", "lunch").returncode == ExitCode.OK
    assert "paused" in desk.status()["reasons"]
    assert desk.run("resume").returncode == ExitCode.OK
    assert desk.status()["may_open"] is True

    halted = desk.run("halt", "--json")
    assert (halted.returncode, json.loads(halted.stdout)["orders_live"]) == (ExitCode.OK, 0)
    assert desk.run("flatten").returncode == ExitCode.OK
    assert desk.status()["arbs_open"] == []
    assert desk.run("resume").returncode == ExitCode.OK

    assert desk.run("kill", "--reason", "drill").returncode == ExitCode.OK
    assert (desk.status()["killed"], desk.status()["may_open"]) == (True, False)
    assert desk.get("/readyz")[0] == 503
    assert "killed: first `arbot unkill --reason TEXT`" in desk.run("resume").stderr
    assert desk.run("unkill", "--reason", "drill over").returncode == ExitCode.OK
    time.sleep(1)  # longer than the daemon's watch over the switch in the store
    assert desk.status()["killed"] is False

    for verb, place, told in (("quarantine", "nowhere", "kraken"), ("release", "coinbase", "not held by hand")):
        refused = desk.run(verb, place, "--reason", "drill")
        assert (refused.returncode, told in refused.stderr) == (ExitCode.FAILURE, True)
    assert desk.run("quarantine", "coinbase", "--reason", "an alert").returncode == ExitCode.OK
    assert "venue_quarantined" in desk.status()["reasons"]
    assert "an alert" in desk.run("status").stdout
    assert desk.run("release", "coinbase", "--reason", "a false one").returncode == ExitCode.OK
    assert "venue_quarantined" not in desk.status()["reasons"]

    refused = desk.run("reset-limit", "bogus", "--reason", "x")
    assert (refused.returncode, "loss_day" in refused.stderr) == (ExitCode.FAILURE, True)
    refused = desk.run("ledger", "adjust", "nowhere", "BTC", "1", "--reason", "x")
    assert (refused.returncode, "kraken" in refused.stderr) == (ExitCode.FAILURE, True)

    table = desk.run("status").stdout
    assert "kraken" in table
    assert "coinbase" in table

    status, text = desk.get("/metrics")
    assert status == 200
    assert all(f"# HELP {name}" in text for name in CATALOGUE)
    assert len(text.splitlines()) < 3_000
    assert desk.get("/livez")[0] == 200
    assert desk.get("/status", Host="evil.example")[0] == 421
    token = desk.folder / "state/demo/operator.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    secret = token.read_text()

    code, told, err = desk.stop()
    assert (code, told["open_orders"], told["ledger_matches_venues"]) == (ExitCode.OK, 0, True)
    assert secret not in err
    assert not token.exists()
    assert desk.run("status").returncode == ExitCode.NOT_RUNNING
    assert desk.run("ledger", "verify").returncode == ExitCode.OK
