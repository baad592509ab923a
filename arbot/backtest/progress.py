"""How long work tells how far it is, without knowing who watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What long work calls. The command line shows a bar with events/s and time left; tests show nothing."""

    def start(self, what: str, total: int) -> None:
        """Begin a phase of `total` units (rows, files, settings; 0 = nobody knows)."""
        ...

    def advance(self, done: int) -> None:
        """Say how many units of the phase are done in all."""
        ...


class Silent:
    """A Progress that shows nothing."""

    def start(self, what: str, total: int) -> None:
        """Show nothing."""

    def advance(self, done: int) -> None:
        """Show nothing."""
