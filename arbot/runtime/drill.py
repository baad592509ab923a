"""Trip every limit once, on the pretend venues, and keep the evidence: a limit that never tripped is a hope.

Each exercise is a row of EXERCISES (drill_table.py): the demo's settings with one thing changed (a limit so tight that the
pretend market must meet it, a fault of the venues, a request of the operator), and what has to come of it. It is run as
the demo is: the simulator as a process of its own, the real wire protocols, the whole daemon on a fresh state. The first
decision that is the one expected is the evidence; without it in time the exercise has failed.

Nothing here knows a limit by name: the table does.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from arbot.domain.commands import RaiseAlert
from arbot.domain.decisions import Outcome
from arbot.domain.errors import UserError
from arbot.domain.events import Envelope, TransferRequested, Verb
from arbot.domain.units import fmt
from arbot.runtime.clock import NS_PER_S, SystemClock
from arbot.runtime.daemon import Daemon
from arbot.runtime.modes import Options, run_daemon
from arbot.runtime.sim_process import SimProcess, sim_options
from arbot.settings.defaults import demo
from arbot.settings.model import Settings
from arbot.sim.market import SeededSpec

BUSY = SeededSpec(jumps_per_minute=60.0)  # the pretend market offers an arb about every second
NO_STORE = "sqlite://"
SEEN_MAX = 8  # kinds of decisions told of an exercise that did not trip
_ROUTINE_FIELDS = ("buy", "sell", "arb_id", "venue", "transfer", "asset")


class Deed(NamedTuple):
    """What is done during an exercise, `after_s` seconds after the daemon began to trade."""

    after_s: float
    verb: Verb | None = None
    argument: str = ""  # of the verb
    transfer: TransferRequested | None = None
    lever: str = ""  # of the simulator
    body: Mapping[str, Any] = {}


class Exercise(NamedTuple):
    """One limit and how it is made to trip.

    `limit` is the limit's or reason's name; `how` says it in words; `changes` are laid over the demo's settings; `expect`
    finds the decision that proves it. `seconds` is the time it is given before it has failed.
    """

    limit: str
    how: str
    expect: Callable[[object], bool]
    changes: Mapping[str, Mapping[str, Any]] = {}
    faults: tuple[str, ...] = ()
    deeds: tuple[Deed, ...] = ()
    files: Mapping[str, str] = {}  # written beside the settings, for those that name a file
    seconds: float = 45.0


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an exercise. `after_s` counts from when arbs could be opened, -1 when nothing came.

    Of one that did not trip `instead` says what happened: decisions by how often, and what ended the daemon if something did.
    """

    limit: str
    how: str
    tripped: bool
    after_s: float
    decision: str = ""  # its type
    numbers: str = ""  # value against limit, and whom it is about
    instead: str = ""
    alerts: tuple[str, ...] = ()


class _Watcher:
    """Watches a daemon for the decision an exercise is about, does its deeds, and drains it when it came."""

    def __init__(self, exercise: Exercise, clock: SystemClock, process: SimProcess) -> None:
        self._exercise = exercise
        self._process = process
        self._clock = clock
        self._began_ns = 0
        self._daemon: Daemon
        self._alerts: list[str] = []
        self._seen: Counter[str] = Counter()
        self._found: Evidence | None = None

    @asynccontextmanager
    async def __call__(self, daemon: Daemon) -> AsyncIterator[None]:
        """Be a service of the daemon for as long as it runs."""
        self._daemon = daemon
        daemon.observers.append(self._observe)
        for number, deed in enumerate(self._exercise.deeds):
            daemon.supervisor.spawn(self._do(deed), f"deed:{number}")
        yield

    def evidence(self, failure: str) -> Evidence:
        """Return what was found; nothing counts when the daemon ended against its will."""
        if self._found is not None and not failure:
            return self._found
        seen = [f"{count} {what}" for what, count in self._seen.most_common(SEEN_MAX)]
        told = [*seen, failure] if failure else seen
        instead = ", ".join(told) or "nothing was decided"
        if not self._began_ns:
            instead = f"no arb could ever be opened: {', '.join(self._daemon.engine.blocked_by)}; {instead}"
        return _untripped(self._exercise, instead, tuple(self._alerts))

    async def _do(self, deed: Deed) -> None:
        while not self._began_ns:
            await self._clock.sleep(0.1)
        await self._clock.sleep(deed.after_s)
        if deed.verb is not None:
            self._daemon.request(deed.verb, "drill", self._exercise.how, deed.argument)
        if deed.transfer is not None:
            self._daemon.sequencer.submit((deed.transfer,))
        if deed.lever:
            await self._process.pull(deed.lever, deed.body)

    def _observe(self, envelope: Envelope, outcome: Outcome) -> None:
        if not self._began_ns and not any(True for _ in self._daemon.engine.blocked_by):
            self._began_ns = envelope.ts_ns
        for command in outcome.commands:
            if isinstance(command, RaiseAlert):
                self._alerts.append(f"{command.severity.value} {command.code}: {command.text}")
        self._seen.update(_what(one) for one in outcome.decisions)
        if self._found is not None:
            return
        decision = next((one for one in outcome.decisions if self._exercise.expect(one)), None)
        if decision is None:
            return
        after_ns = envelope.ts_ns - (self._began_ns or envelope.ts_ns)
        self._found = Evidence(
            limit=self._exercise.limit,
            how=self._exercise.how,
            tripped=True,
            after_s=round(after_ns / NS_PER_S, 1),
            decision=type(decision).__name__,
            numbers=numbers_of(decision),
            alerts=tuple(self._alerts),
        )
        self._clock.call_later(0.0, lambda: self._daemon.drain("drill", "the evidence is there"))


def numbers_of(decision: object) -> str:
    """Return a decision's numbers and whom it is about, in a line."""
    about = [str(getattr(decision, name)) for name in _ROUTINE_FIELDS if getattr(decision, name, "")]
    text = " -> ".join(about[:2])
    value, limit = getattr(decision, "value", None), getattr(decision, "limit", getattr(decision, "bound", None))
    if value is not None and not isinstance(limit, str):
        text += f": {fmt(value)} against {fmt(limit)}" if limit is not None else f": {fmt(value)}"
    elif value is not None:
        text += f": {fmt(value)} against {fmt(getattr(decision, 'bound', value))}"
    why = getattr(decision, "why", "")
    return f"{text} {'; '.join(why) if isinstance(why, tuple) else why}".strip()


async def drill(
    exercises: Iterable[Exercise],
    *,
    at_once: int,
    told: Callable[[Evidence], None],
) -> tuple[Evidence, ...]:
    """Carry out the exercises, `at_once` of them side by side, and return the evidence of each, in order.

    `told` hears of each as soon as it is there. One that cannot be carried out, or whose daemon ends against its will, has
    not tripped; the others go on.
    """
    room = asyncio.Semaphore(at_once)

    async def one(exercise: Exercise) -> Evidence:
        async with room:
            with tempfile.TemporaryDirectory(prefix="arbot-drill-") as folder:
                try:
                    evidence = await _carry_out(exercise, Path(folder))
                except UserError as error:  # of its settings, or venues that did not start in time: told as its result
                    evidence = _untripped(exercise, str(error), ())
        told(evidence)
        return evidence

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(exercise)) for exercise in exercises]
    return tuple(task.result() for task in tasks)


async def _carry_out(exercise: Exercise, folder: Path) -> Evidence:
    """Run one exercise on venues and a state of its own: what others leave behind would be met here."""
    settings = settings_of(exercise, folder)
    options = msgspec.structs.replace(sim_options(settings), market=BUSY)
    async with SimProcess(settings, options) as process:
        watcher = _Watcher(exercise, SystemClock(), process)
        report = await run_daemon(process.settings(), Options(duration_s=exercise.seconds, services=(watcher,)))
    failure = report.ending.failure
    return watcher.evidence("" if failure is None else f"the daemon ended with {failure!r}")


def _untripped(exercise: Exercise, instead: str, alerts: tuple[str, ...]) -> Evidence:
    return Evidence(limit=exercise.limit, how=exercise.how, tripped=False, after_s=-1.0, instead=instead, alerts=alerts)


def _what(decision: object) -> str:
    """Return a decision's type, and its reason if it has one."""
    reason = getattr(decision, "reason", "")
    return f"{type(decision).__name__} {reason}".strip()


def settings_of(exercise: Exercise, folder: Path) -> Settings:
    """Return the demo's settings as the exercise changes them, its files and state in `folder`. Raises: UserError."""
    for name, text in exercise.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    changes: dict[str, dict[str, Any]] = {
        "store": {"url": NO_STORE},
        "http": {"enabled": False},
        "run": {"state_dir": str(folder), "log_level": "error"},
    }
    for layer in (exercise.changes, {"sim": {"faults": list(exercise.faults)}}):
        for table, values in layer.items():
            changes.setdefault(table, {}).update(values)
    return demo(folder, changes)
