"""systemd is told the truth by datagrams: ready once, alive only while every task beats, and no word that could stop trading."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from arbot.domain.errors import InvariantBroken
from arbot.runtime.clock import VirtualClock
from arbot.runtime.daemon import Daemon
from arbot.runtime.service_manager import ServiceManager, reloading, watched
from arbot.runtime.supervisor import SILENT_S_MAX, Supervisor


class Bare(Daemon):
    """A daemon with no parts but those that say how it is."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.wiring = SimpleNamespace(clock=self.clock)
        self.supervisor = Supervisor(self.clock)
        self.sequencer = SimpleNamespace(is_broken=False)
        self.engine = SimpleNamespace(blocked_by=())


@pytest.fixture
def heard(tmp_path: Path):
    """Give the address of a manager's socket and a function that returns what came, a datagram a line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)

        def take() -> list[str]:
            found = []
            while True:
                try:
                    found.append(listener.recv(4096).decode().replace("\n", " | "))
                except BlockingIOError:
                    return found

        yield SimpleNamespace(address=str(tmp_path / "notify"), take=take)


async def beating(daemon: Bare, names: tuple[str, ...]) -> None:
    """Beat for these tasks for ever."""
    while True:
        for name in names:
            daemon.supervisor.beat(name)
        await daemon.clock.sleep(1)


async def test_it_is_ready_then_alive_then_stopping(heard):
    """READY comes first and once, pings at half of the allowed time, STOPPING with the reason at the end."""
    daemon, manager = Bare(), ServiceManager(heard.address, watchdog_s=4.0)
    async with watched(manager)(daemon):
        assert ["READY=1 | STATUS=opening arbs"] == heard.take()
        await daemon.clock.run_for(6.5, step_s=0.5)
        assert ["WATCHDOG=1 | STATUS=opening arbs"] * 4 == heard.take()
        daemon.supervisor.stop("drained")
    assert ["STOPPING=1 | STATUS=ending: drained"] == heard.take()
    await daemon.supervisor.close()


async def test_a_task_that_stalls_stops_the_pings(heard):
    """While the gc task is silent for too long nothing feeds the watchdog, though the loop turns; it comes back with the task."""
    daemon, manager = Bare(), ServiceManager(heard.address, watchdog_s=4.0)
    lag = daemon.supervisor.spawn(beating(daemon, ("lag", "kill-switch")), "lag")
    daemon.supervisor.beat("gc")
    async with watched(manager)(daemon):
        await daemon.clock.run_for(SILENT_S_MAX - 2, step_s=0.5)
        assert all("WATCHDOG=1" in line for line in heard.take()[1:])
        await daemon.clock.run_for(4, step_s=0.5)
        heard.take()
        await daemon.clock.run_for(10, step_s=0.5)
        silent = heard.take()
        assert len(silent) == 5
        assert [] == [line for line in silent if "WATCHDOG" in line]
        assert "STATUS=not opening arbs: gc: silent for" in silent[0]
        daemon.supervisor.beat("gc")
        await daemon.clock.run_for(2, step_s=0.5)
        assert "WATCHDOG=1" in heard.take()[-1]
    lag.cancel()
    await daemon.supervisor.close()


@pytest.mark.parametrize("fault", ["sequencer", "task"])
async def test_what_only_a_restart_mends_stops_the_pings(heard, fault):
    """A broken sequencer or a failed task is not kept alive."""
    daemon, manager = Bare(), ServiceManager(heard.address, watchdog_s=4.0)
    if fault == "sequencer":
        daemon.sequencer.is_broken = True
    else:
        daemon.supervisor.fail(InvariantBroken("planted"), "feed")
    async with watched(manager)(daemon):
        await daemon.clock.run_for(5, step_s=0.5)
        assert [] == [line for line in heard.take() if "WATCHDOG" in line]
    await daemon.supervisor.close()


def test_the_environment_says_who_listens(heard):
    """The watchdog is ours only when it names our process; without a socket everything is silence."""
    named = {"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}
    assert [30.0, 0.0] == [ServiceManager.of(named, pid).watchdog_s for pid in (7, 8)]
    assert ServiceManager.of({"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "soon"}, 7).watchdog_s == 0
    nobody = ServiceManager.of({}, 7)
    assert not nobody.is_there
    nobody.say("READY=1")
    assert [] == heard.take()


async def test_nobody_listening_is_no_reason_to_stop(tmp_path):
    """A manager whose socket is gone costs a line in the log."""
    daemon = Bare()
    async with watched(ServiceManager(str(tmp_path / "gone"), watchdog_s=1.0))(daemon):
        await daemon.clock.run_for(2, step_s=0.5)
    assert daemon.supervisor.failure is None
    await daemon.supervisor.close()


def test_an_abstract_socket_and_a_manager_that_never_reads():
    """An address with @ is in the abstract space; a full queue is passed over and never waited for."""
    name = f"@arbot-test-{id(object())}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name[1:]}")
        manager = ServiceManager(name)
        for _ in range(5_000):
            manager.say("STATUS=x")
        assert b"STATUS=x" == listener.recv(100)
        manager.close()
        assert not manager.is_there


def test_a_reload_carries_the_time_of_the_machine(heard):
    """RELOADING comes with microseconds of the monotonic clock, and a line break in a text makes no second line."""
    manager = ServiceManager(heard.address)
    reloading(manager, 5_000_123_456)
    manager.say("STATUS=one\nREADY=1")
    assert ["RELOADING=1 | MONOTONIC_USEC=5000123", "STATUS=one READY=1"] == heard.take()
