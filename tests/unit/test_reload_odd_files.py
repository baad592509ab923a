"""A config file that is replaced while the daemon runs, whatever lies there at that moment."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from arbot.runtime.clock import SystemClock
from arbot.runtime.reload import Reloader, reloadable
from arbot.runtime.service_manager import ServiceManager
from arbot.runtime.supervisor import Supervisor
from arbot.settings.defaults import demo
from arbot.settings.load import load
from tests.support.loopback import until

ODD = {
    "half written": b'[run]\nname = "t',
    "empty": b"",
    "not text": b"\xff\xfe\x00[run]",
    "deep": b"x = " + b"[" * 20_000,
    "a lone surrogate": b'[run]\nname = "\\ud800"',
    "large": b"#" * 1_000_001,
}


@pytest.mark.parametrize("what", [*ODD, "gone", "a folder"])
async def test_an_odd_file_changes_nothing(what: str, tmp_path: Path) -> None:
    """It is a mistake that is told: nothing is applied, and nothing is raised."""
    file = tmp_path / "arbot.toml"
    if what in ODD:
        file.write_bytes(ODD[what])
    elif what == "a folder":
        file.mkdir()
    settings = demo(tmp_path)
    reloader = Reloader(partial(load, file, {}), settings, SystemClock().now_ns)
    came = await reloader.reload()
    assert (False, True) == (came.is_good, bool(came.mistakes))
    assert reloader.settings is settings


async def test_a_bug_in_reading_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no mistake of the file's is logged and counted, and the next reload is answered."""
    monkeypatch.setattr("arbot.runtime.supervisor.RESTART_S", (0.01,))
    faults = [ZeroDivisionError()]

    def read(*_: object) -> object:
        if faults:
            raise faults.pop()
        return settings

    monkeypatch.setattr("arbot.runtime.reload.load", read)
    settings = demo(tmp_path)
    settings.run.state_dir.mkdir(parents=True)

    class Run:
        """As much of a daemon as a reload needs."""

        class wiring:  # noqa: N801
            clock = SystemClock()

        supervisor = Supervisor(wiring.clock)
        numbers: list[object] = []  # noqa: RUF012

    before = signal.getsignal(signal.SIGHUP)
    try:
        async with reloadable(tmp_path / "x.toml", {}, settings, ServiceManager())(Run()) as reloader:  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: Run.supervisor.restarts["reload"] == 1)
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: reloader.last.number == 1)
            assert reloader.last.is_good
            assert Run.supervisor.failure is None
    finally:
        signal.signal(signal.SIGHUP, before)
        await Run.supervisor.close()
