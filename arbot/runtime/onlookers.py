"""Those who watch a run, kept away from it: what one of them does wrong is counted and told, and trading goes on.

One that raised is shown the next step all the same, for most of what it shows may still be right. But something is missing in
it from then on, and nobody may take that for the truth: `impaired` names it until the next start, and people are told once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.ids import InstrumentId

OBSERVER = "observer"  # what their exceptions are counted under
_log = structlog.get_logger("arbot.onlookers")


class Edges(Protocol):
    """Who wants to know when an edge is gone (sequencer.Edges)."""

    @property
    def books(self) -> Mapping[InstrumentId, object]:
        """The books that have one."""
        ...

    def gone(self, instrument: InstrumentId, ts_ns: int) -> None:
        """Take over that a book has none any more."""
        ...


class Onlookers:
    """Shows things to those who watch. `impaired` holds by name what has gone wrong in them."""

    def __init__(self, exceptions: Counter[str], alert: Callable[[RaiseAlert], None]) -> None:
        self._exceptions = exceptions
        self._alert = alert
        self.impaired: dict[str, str] = {}
        exceptions[OBSERVER] += 0  # known from the start

    def show(self, watch: Callable[..., object], *things: Any) -> None:
        """Have somebody look at something; it never raises."""
        try:
            watch(*things)
        # trading does not depend on who watches it: told to people, in the log and in the metrics
        except Exception as error:  # noqa: BLE001
            self._note(watch, error)

    def guarded(self, edges: Edges) -> Edges:
        """Return the same edges, told like everybody who watches."""
        return _Guarded(edges, self)

    def _note(self, watch: Callable[..., object], error: Exception) -> None:
        self._exceptions[OBSERVER] += 1
        name = name_of(watch)
        if name in self.impaired:
            return
        self.impaired[name] = type(error).__name__
        _log.error("an observer has failed; trading goes on", observer=name, exc_info=error)
        text = f"{name}: {type(error).__name__}; what it shows may lack something until the next start"
        self._alert(RaiseAlert(severity=Severity.WARNING, code="observer_failed", text=text))


class _Guarded:
    def __init__(self, edges: Edges, onlookers: Onlookers) -> None:
        self.books = edges.books  # the very one: it is looked at with every book that moves
        self._gone = edges.gone
        self._onlookers = onlookers

    def gone(self, instrument: InstrumentId, ts_ns: int) -> None:
        self._onlookers.show(self._gone, instrument, ts_ns)


def name_of(watch: Callable[..., object]) -> str:
    """Return what one who watches is called: its class, or the module of a function."""
    owner = getattr(watch, "__self__", None)
    return type(owner).__name__ if owner is not None else str(getattr(watch, "__qualname__", type(watch).__name__))
