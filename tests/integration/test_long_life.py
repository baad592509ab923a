"""A daemon that is left alone, as its keeper has it: asked for its health, told to read its config anew, watched, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.runtime.reload import differences
from tests.support.daemon_world import Desk, serving, until

QUICK = "import sys; sys.argv[1:] = ['healthcheck']; from arbot.cli.main import main; main()"


@pytest.fixture(scope="module")
def venues():
    with serving() as served:
        yield served


@pytest.fixture
def desk(tmp_path, venues):
    return Desk(tmp_path, venues)


def test_its_keeper_is_told_and_obeyed(desk, monkeypatch):
    """READY, pings, a healthy answer, a reload that applies what it may, and an end in good order with nothing open."""
    assert ExitCode.NOT_RUNNING == desk.run("healthcheck").code
    monkeypatch.setenv("NOTIFY_SOCKET", str(desk.folder / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    with listening(desk.folder / "notify") as heard, desk.daemon() as daemon:
        daemon.wait_ready()
        assert heard[0].startswith("READY=1|STATUS=")
        alive = desk.run("healthcheck")
        assert (ExitCode.OK, "alive\n") == (alive.code, alive.out)
        assert {"ok": True, "problems": []} == desk.run("healthcheck", "--ready", "--json").json
        until(lambda: "WATCHDOG=1|STATUS=opening arbs" in heard, "a ping that says that it trades")
        reload_by_hand(desk, daemon)
        begun = [number for number, line in enumerate(heard) if line.startswith("RELOADING=1|MONOTONIC_USEC=")]
        assert len(begun) == 3
        assert all("READY=1" in heard[number + 1 : number + 4] for number in begun)
        desk.run("pause")
        paused = desk.run("healthcheck", "--ready")
        assert (ExitCode.FAILURE, "paused\n") == (paused.code, paused.err)
        assert ExitCode.OK == desk.run("healthcheck").code
        daemon.process.send_signal(signal.SIGTERM)
        ended = daemon.finish()
        assert (ExitCode.OK, "drained") == (ended.code, ended.json["ended"])
        until(lambda: heard[-1] == "STOPPING=1|STATUS=ending: drained", "the last word")
    assert not (desk.state / "reload.json").exists()
    desk.assert_nothing_lost()


def reload_by_hand(desk: Desk, daemon) -> None:
    """Reload with mistakes, with what needs a restart, and with what does not; look at answer, metrics and log."""
    text = desk.config.read_text()
    desk.config.write_text(text.replace('log_level = "warning"', 'log_level = "loud"'))
    refused = desk.run("config", "reload")
    assert ExitCode.USAGE == refused.code
    assert '"loud" is not one of the choices' in refused.err
    daemon.process.send_signal(signal.SIGHUP)  # past the command, which had refused it already
    until(lambda: "arbot_config_last_reload_successful 0" in daemon.metrics(), "the metric of a reload that failed")
    assert json.loads((desk.state / "reload.json").read_text())["mistakes"][0].count("loud") == 1
    changed = text.replace('log_level = "warning"', 'log_level = "info"').replace("= 1000\n", "= 900\n", 1)
    assert changed.count("= 900") == 1
    desk.config.write_text(changed)
    done = desk.run("config", "reload", "--json").json
    assert (["run.log_level"], ["limits.notional_per_arb_max"]) == (done["applied"], done["needs_restart"])
    assert "arbot_config_last_reload_successful 1" in daemon.metrics()
    assert "config reloaded" in daemon.err
    again = desk.run("config", "reload")
    assert ("applied: nothing\n", True) == (again.out, "waits for a restart: limits.notional_per_arb_max" in again.err)


@contextmanager
def listening(path: Path) -> Iterator[list[str]]:
    """Give the datagrams that a manager at `path` hears, in order, as they come; a line break is a bar."""
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))

        def listen() -> None:
            while heard[-1:] != ["over"]:
                heard.append(manager.recv(4096).decode().replace("\n", "|"))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield heard
        finally:
            manager.sendto(b"over", str(path))
            thread.join()


def test_a_daemon_that_hangs_is_not_healthy(desk):
    """Stopped by SIGSTOP it answers nobody: the check says so in time and with a code of its own."""
    with desk.daemon() as daemon:
        daemon.wait_ready()
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            told = desk.run("healthcheck", "--timeout", "0.5")
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        assert ExitCode.NOT_RUNNING == told.code
        assert "does not answer" in told.err
        assert ExitCode.OK == desk.run("healthcheck").code
        assert ExitCode.OK == daemon.stop().code


def test_a_reload_needs_a_daemon_that_reads(desk, tmp_path):
    """Without a daemon it is said; a config that cannot be read is told with a remedy."""
    assert ExitCode.NOT_RUNNING == desk.run("config", "reload").code
    broken = tmp_path / "broken.toml"
    broken.write_text("[run\n")
    for command in (("healthcheck",), ("config", "reload")):
        told = desk.run(*command, config=broken)
        assert (ExitCode.USAGE, True) == (told.code, "->" in told.err), told


def test_the_health_check_imports_little():
    """Neither the settings nor numba nor a database is loaded to ask for one answer."""
    code = f"{QUICK.replace('; main()', '')}\nimport atexit\n"
    code += "atexit.register(lambda: print(','.join(m for m in ('arbot.settings', 'numba', 'sqlalchemy', 'aiohttp', 'ccxt') if m in sys.modules)))\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=os.sep)
    assert (ExitCode.NOT_RUNNING, "\n") == (done.returncode, done.stdout), done


def test_differences_name_places_and_never_values():
    """A key changed, a table added, a list changed: each by its dotted name."""
    old = {"run": {"name": "a", "symbols": ("X",)}, "venues": {"kraken": {"key": "secret"}}}
    new = {"run": {"name": "a", "symbols": ("Y",)}, "venues": {"kraken": {"key": "other"}, "two": {"key": "x"}}}
    assert ["run.symbols", "venues.kraken.key", "venues.two"] == list(differences(old, new))
    assert [] == list(differences(new, new))
