"""What one step has produced so far. The one thing the engine's parts write to besides the state."""

from __future__ import annotations

from arbot.domain.commands import Command, RaiseAlert, SetTimer, Severity
from arbot.domain.decisions import Decision, Outcome


class Step:
    """Commands and decisions in the order in which they came about."""

    __slots__ = ("commands", "decisions")

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.decisions: list[Decision] = []

    def command(self, command: Command) -> None:
        """Ask the shell for something."""
        self.commands.append(command)

    def decide(self, decision: Decision) -> None:
        """Record a conclusion."""
        self.decisions.append(decision)

    def timer(self, key: str, at_ns: int) -> None:
        """Ask to be woken."""
        self.commands.append(SetTimer(key=key, at_ns=at_ns))

    def alert(self, severity: Severity, code: str, text: str) -> None:
        """Tell a person."""
        self.commands.append(RaiseAlert(severity=severity, code=code, text=text))

    def outcome(self) -> Outcome:
        """Return all of it."""
        return Outcome(tuple(self.commands), tuple(self.decisions))
