"""Whoever watches a run is kept apart from it: metrics, page, log and messages may fail, and trading goes on, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from arbot.api.page import page
from arbot.cli.views import live_view
from arbot.domain.events import OperatorRequested, Verb
from arbot.journal.store import SqlStore
from arbot.runtime.daemon import Daemon, Service
from arbot.runtime.operating import KillUnwritten, operate
from arbot.runtime.recording import Recording
from arbot.settings.defaults import demo
from tests.integration.test_daemon_paper import wire
from tests.support.loopback import until


def broken(*_: Any) -> None:
    raise ZeroDivisionError("a bug")


@asynccontextmanager
async def paged(path: Path, services: tuple[Service, ...] = ()) -> AsyncIterator[Daemon]:
    """Run a daemon with its page for the length of the block, then end it."""
    settings = demo(path, {"http": {"port": 0}})
    settings.run.state_dir.mkdir(parents=True)
    daemon = Daemon(msgspec.structs.replace(wire(path).wiring, services=(page(settings), *services)))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(daemon.run())
        try:
            await until(lambda: daemon.page_url)
            yield daemon
        finally:
            daemon.supervisor.stop("the test is over")
            await task
            daemon.wiring.store.close()


def token_of(path: Path) -> str:
    return next(path.rglob("operator.token")).read_text()


async def state(daemon: Daemon) -> dict[str, Any]:
    async with ClientSession() as session, session.get(f"{daemon.page_url}/api/state") as answer:
        told: dict[str, Any] = await answer.json()
        return told


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("arbot.observe.collect.Collector.observe", "Collector"),
        ("arbot.observe.recent.Recent.observe", "Recent"),
        ("arbot.observe.summary.Summary.observe", "Summary"),
        ("arbot.observe.live_log.LiveLog.observe", "LiveLog"),
        ("arbot.observe.watch.narrate", "broken"),
    ],
)
async def test_an_observer_that_fails_stops_nothing_and_is_told(
    place: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders go on, the exception is counted, one alert names who lacks something, and the run ends clean."""
    monkeypatch.setattr(place, broken)
    async with paged(tmp_path) as daemon:
        await until(lambda: daemon.sequencer.order_steps > 20)
        assert {name: "ZeroDivisionError"} == daemon.onlookers.impaired
        assert b'arbot_exceptions_total{task="observer"} 0' not in await daemon.metrics()
        shown = await state(daemon)
        assert [name] == shown["run"]["impaired"]
        assert (name,) == (await daemon.look()).impaired
        told = [one["text"] for one in shown["alerts"] if one["code"] == "observer_failed"]
        assert told in ([], [f"{name}: ZeroDivisionError; what it shows may lack something until the next start"])
        assert () == daemon.problems_live()
    assert daemon.ending is not None
    assert daemon.ending.is_clean


async def test_an_edge_that_goes_is_told_without_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timer of opportunities, called with books and not with steps, is kept apart as well."""
    monkeypatch.setattr("arbot.observe.collect.lifetimes.Lifetimes.gone", broken)
    async with paged(tmp_path) as daemon:
        await until(lambda: "Lifetimes" in daemon.onlookers.impaired)
        steps = daemon.sequencer.order_steps
        await until(lambda: daemon.sequencer.order_steps > steps)
    assert daemon.ending is not None
    assert daemon.ending.is_clean


async def test_an_alert_that_cannot_be_shown_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not when it is the alert about a failing observer that fails."""
    monkeypatch.setattr("arbot.observe.collect.Collector.alerted", broken)
    monkeypatch.setattr("arbot.observe.live_log.LiveLog.alerted", broken)
    async with paged(tmp_path) as daemon:
        monkeypatch.setattr("arbot.observe.collect.lifetimes.Lifetimes._end", broken)
        await until(lambda: {"Collector", "_Live"} <= daemon.onlookers.impaired.keys())
        steps = daemon.sequencer.order_steps
        await until(lambda: daemon.sequencer.order_steps > steps)
    assert daemon.ending is not None
    assert daemon.ending.is_clean


async def test_a_page_that_cannot_be_built_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """View and curve are begun anew; whoever looks meanwhile is told 500 without the error's text, and may still kill."""
    monkeypatch.setattr("arbot.runtime.supervisor.RESTART_S", (0.05,))
    monkeypatch.setattr("arbot.api.page.sections", broken)
    monkeypatch.setattr("arbot.observe.live.Rates.refresh", broken)
    async with paged(tmp_path) as daemon, ClientSession() as session:
        await until(lambda: daemon.supervisor.restarts["curve"] > 1)
        for path in ("/api/state", "/api/events"):
            async with session.get(daemon.page_url + path) as answer:
                assert (500, True) == (answer.status, "Content-Security-Policy" in answer.headers)
                assert "bug" not in await answer.text()
        bearer = {"Authorization": f"Bearer {token_of(tmp_path)}"}
        kill = {"verb": "kill", "actor": "me"}
        async with session.post(daemon.page_url + "/operator", json=kill, headers=bearer) as answer:
            assert 200 == answer.status
        assert daemon.engine.state.standing.killed
    assert daemon.ending is not None
    assert daemon.ending.is_clean


async def test_a_table_that_cannot_be_drawn_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed terminal, or a bug in drawing: the run goes on; only where drawing is its purpose it ends."""
    monkeypatch.setattr("arbot.cli.views.PLAIN_FRAME_S", 0.05)
    table = live_view(broken, on_stderr=False)
    async with paged(tmp_path, services=(table,)) as daemon:
        await until(lambda: daemon.supervisor.restarts["table"])
        steps = daemon.sequencer.order_steps
        await until(lambda: daemon.sequencer.order_steps > steps)
    assert daemon.ending is not None
    assert daemon.ending.is_clean


async def test_a_drawing_that_is_the_purpose_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads `arbot scan` any more: it ends."""
    monkeypatch.setattr("arbot.cli.views.PLAIN_FRAME_S", 0.05)
    async with paged(tmp_path, services=(live_view(broken, on_stderr=False, is_the_purpose=True),)) as daemon:
        await until(lambda: daemon.supervisor.failure is not None)


async def test_a_venue_on_paper_that_fails_does_end_the_run(tmp_path: Path) -> None:
    """What trading depends on is not kept apart: a partner's mistake stops everything."""
    async with paged(tmp_path) as daemon:
        daemon.partners.append(broken)
        await until(lambda: daemon.supervisor.failure is not None)
    assert isinstance(daemon.supervisor.failure, ZeroDivisionError)


async def test_a_kill_that_cannot_be_written_stops_trading_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk does not keep anybody waiting: no order leaves, all are cancelled, the run ends, and the person is told."""
    async with paged(tmp_path) as daemon:
        await until(lambda: daemon.sequencer.order_steps > 5)

        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(SqlStore, "set_killed", full)
        monkeypatch.setattr(SqlStore, "commit", full)
        with pytest.raises(KillUnwritten, match="NOTHING KEEPS IT FROM TRADING"):
            operate(daemon, Verb.KILL, "me", "fire")
        steps = daemon.sequencer.order_steps
        await until(lambda: daemon.ending is not None)
        assert steps == daemon.sequencer.order_steps
    assert daemon.ending is not None
    assert 0 == daemon.ending.open_orders
    assert isinstance(daemon.ending.failure, OSError)


async def test_a_kill_of_a_run_that_is_breaking_is_written(tmp_path: Path) -> None:
    """When the sequencer is broken already the switch outlives the process all the same, and nobody is told an error."""
    async with paged(tmp_path) as daemon:
        daemon.sequencer.is_broken = True
        operate(daemon, Verb.KILL, "me", "fire")
        assert daemon.wiring.store.is_killed()
        daemon.sequencer.is_broken = False
        asked = [
            entry.record.envelope.event.verb
            for entry in daemon.wiring.store.iter_journal()
            if isinstance(entry.record.envelope.event, OperatorRequested)
        ]
        assert Verb.KILL not in asked


@pytest.mark.parametrize("is_the_purpose", [False, True])
async def test_a_recorder_that_fails_ends_only_a_run_that_records(
    is_the_purpose: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside trading a bug in it is told and trading goes on; where the tape is the purpose the run ends."""
    recording = Recording(tmp_path / "tape", rotate_s=60, with_trades=False, is_the_purpose=is_the_purpose)
    monkeypatch.setattr("arbot.tape.recorder.Recorder.run", broken)
    async with paged(tmp_path, services=(recording,)) as daemon:
        if is_the_purpose:
            await until(lambda: daemon.supervisor.failure is not None)
        else:
            await until(lambda: daemon.sequencer.order_steps > 20)
            assert daemon.supervisor.failure is None
