"""What a command's exit code says. Scripts rely on it: codes are added, never changed. docs/guide/commands.md repeats it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    REFUSED = 3
    NOT_RUNNING = 4
    LEDGER_PROBLEM = 5
    LEFT_OPEN = 6
    OPEN_ITEMS = 7
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "Done.",
    ExitCode.FAILURE: "It failed: a venue could not be reached, an invariant broke, the daemon refused. stderr says what.",
    ExitCode.USAGE: "A mistake in the command line or the config file. Every mistake is listed with its remedy.",
    ExitCode.REFUSED: "The start-up check refused to start: a lock is closed, a key may do too much, another daemon runs.",
    ExitCode.NOT_RUNNING: "The command needs a running daemon, and none runs in that state folder.",
    ExitCode.LEDGER_PROBLEM: "The ledger or the journal does not hold together, or differs from the venues.",
    ExitCode.LEFT_OPEN: "The run ended with an arb stranded, an order open or an order unknown. A person has to look.",
    ExitCode.OPEN_ITEMS: "A tax report was refused: items of the history are open. Each is listed with its remedy; nothing was written.",
    ExitCode.INTERRUPTED: "Ctrl-C ended a command that holds nothing open (scan, status).",
}


def as_markdown() -> str:
    """Return the table as it stands in the docs."""
    rows = [f"| {code.value} | {MEANINGS[code]} |" for code in ExitCode]
    return "\n".join(["| code | meaning |", "|---:|---|", *rows])
