"""`arbot drill`: trip every limit once on the pretend venues and print the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell, tell_first_compile, to_json
from arbot.cli.where import JsonOption

if TYPE_CHECKING:
    from arbot.runtime.drill import Evidence


def drill_command(
    limit: Annotated[
        list[str] | None, typer.Option("--limit", help="Only this one; may be given several times.", show_default=False)
    ] = None,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=16, help="Exercises side by side.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Trip every limit once, against pretend venues in their real protocols, and print what tripped and by how much.

    Each exercise is a demo of its own with one thing changed. Exit code 1 when a limit did not trip.
    """
    tell_first_compile()
    import contextlib
    import io
    import sys

    from arbot.runtime.drill import drill
    from arbot.runtime.drill_table import EXERCISES, NOT_DRILLED
    from arbot.runtime.modes import run

    known = [exercise.limit for exercise in EXERCISES]
    unknown = [name for name in limit or () if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"no exercise for {', '.join(unknown)}; known: {', '.join(known)}", param_hint="--limit"
        )
    chosen = [exercise for exercise in EXERCISES if not limit or exercise.limit in limit]
    real, log = sys.stderr, io.StringIO()
    done = 0

    def told(evidence: Evidence) -> None:
        nonlocal done
        done += 1
        real.write(f"{done:3}/{len(chosen)} {_line(evidence)}\n")
        real.flush()

    with contextlib.redirect_stderr(log):  # what goes wrong on purpose would be hundreds of lines of alerts
        found = run(drill(chosen, at_once=at_once, told=told))
    failed = [evidence for evidence in found if not evidence.tripped]
    if as_json:
        say(to_json({"exercises": found, "not_drilled": dict(NOT_DRILLED)}))
    else:
        say(f"{len(found) - len(failed)} of {len(found)} limits tripped")
        if not limit:
            for name, why in NOT_DRILLED.items():
                say(f"not drilled: {name}: {why}")
    if failed:
        tell(log.getvalue())
        tell("did not trip: " + ", ".join(evidence.limit for evidence in failed))
        raise typer.Exit(ExitCode.FAILURE)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drill")(drill_command)


def _line(evidence: Evidence) -> str:
    if not evidence.tripped:
        return f"{evidence.limit:20} DID NOT TRIP  ({evidence.how}): {evidence.instead}"
    return f"{evidence.limit:20} {evidence.after_s:5.1f} s  {evidence.decision}: {evidence.numbers}  ({evidence.how})"
