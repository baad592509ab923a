"""Timers the engine asked for. A timer that falls due becomes TimerFired; setting a key again moves it."""

from __future__ import annotations

from collections.abc import Callable

from arbot.domain.commands import CancelTimer, SetTimer
from arbot.domain.events import TimerFired
from arbot.runtime.clock import NS_PER_S, Handle, Scheduler


class Timers:
    """The timers that are running, by key."""

    def __init__(self, clock: Scheduler, fire: Callable[[TimerFired], None]) -> None:
        self._clock = clock
        self._fire = fire
        self._running: dict[str, Handle] = {}

    def set(self, command: SetTimer) -> None:
        """Start or move a timer; one that lies in the past fires on the next turn of the loop."""
        self.cancel(CancelTimer(key=command.key))
        seconds = (command.at_ns - self._clock.now_ns()) / NS_PER_S
        self._running[command.key] = self._clock.call_later(seconds, lambda: self._due(command))

    def cancel(self, command: CancelTimer) -> None:
        """Forget a timer; unknown keys are fine."""
        handle = self._running.pop(command.key, None)
        if handle is not None:
            handle.cancel()

    def clear(self) -> None:
        """Forget them all."""
        for handle in self._running.values():
            handle.cancel()
        self._running.clear()

    def _due(self, command: SetTimer) -> None:
        remaining_ns = command.at_ns - self._clock.now_ns()
        if remaining_ns > 0:  # the loop's clock is coarser than ours: never tell the engine early
            self._running[command.key] = self._clock.call_later(remaining_ns / NS_PER_S, lambda: self._due(command))
            return
        self._running.pop(command.key, None)
        self._fire(TimerFired(key=command.key))
