"""The progress of long work on stderr: a bar with units per second and time left, or one line a phase without a terminal.

Rules: nothing goes to stdout; a terminal is drawn to at most UPDATES_PER_S times a second however often the work speaks; a
log or a pipe gets a line when a phase is over, and nothing while it runs. Use it in a `with`: the bar goes when it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from arbot.runtime.clock import SystemClock

UPDATES_PER_S = 10
NS_PER_S = 1_000_000_000


class Bar:
    """A backtest.progress.Progress for people."""

    def __init__(
        self, stream: TextIO | None = None, now_ns: Callable[[], int] | None = None, unit: str = "rows"
    ) -> None:
        self._stream = stream or sys.stderr
        self._now_ns = now_ns or SystemClock().now_ns
        self._unit = unit
        self._is_shown = self._stream.isatty()
        self._what, self._total, self._done = "", 0, 0
        self._began_ns = self._drawn_ns = 0
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            _Rate(self._per_s),
            TimeRemainingColumn(compact=True),
            console=Console(file=self._stream),
            auto_refresh=False,
            transient=True,
            disable=not self._is_shown,
            get_time=lambda: self._now_ns() / NS_PER_S,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self._bar.stop()

    def start(self, what: str, total: int) -> None:
        """Begin a phase of `total` units, ending the one before; 0 when nobody knows how many there are."""
        self._finish()
        self._what, self._total, self._done = what, total, 0
        self._began_ns = self._drawn_ns = self._now_ns()
        self._task = self._bar.add_task(what, total=total or None)
        self._bar.refresh()

    def advance(self, done: int) -> None:
        """Take note that `done` units of the phase are done in all."""
        self._done = done
        now_ns = self._now_ns()
        if self._is_shown and self._task is not None and (now_ns - self._drawn_ns) * UPDATES_PER_S >= NS_PER_S:
            self._drawn_ns = now_ns
            self._bar.update(self._task, completed=done, refresh=True)

    def _finish(self) -> None:
        """End a phase: its bar goes, its line stays."""
        if not self._what:
            return
        seconds = (self._now_ns() - self._began_ns) / NS_PER_S
        line = f"{self._what}: {self._done:,} {self._unit} in {seconds:.1f} s"
        line += f", {self._per_s()}" if seconds > 0 else ""
        if self._task is not None:
            self._bar.remove_task(self._task)
        if self._is_shown:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        self._what, self._task = "", None

    def _per_s(self) -> str:
        passed_ns = self._now_ns() - self._began_ns
        rate = self._done * NS_PER_S / passed_ns if passed_ns > 0 else 0.0
        return f"{rate / 1e6:.1f} M {self._unit}/s" if rate >= 1e6 else f"{rate:,.0f} {self._unit}/s"


class _Rate(ProgressColumn):
    """Units per second since the phase began."""

    def __init__(self, per_s: Callable[[], str]) -> None:
        super().__init__()
        self._per_s_text = per_s

    def render(self, task: Task) -> Text:  # noqa: ARG002 - the bar knows only one task
        """Return the rate."""
        return Text(self._per_s_text(), style="progress.data.speed")
