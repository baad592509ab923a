"""Tidies a catalogue that a recorder filled: one part a day instead of one a minute, and nothing left of killed writers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arbot.cli.output import say, shown, to_json
from arbot.cli.where import JsonOption


def compact_command(
    tape: Annotated[Path, typer.Argument(help="Catalogue of recorded data.")],
    today_too: Annotated[
        bool, typer.Option("--today-too", help="Also the newest day of each instrument: only when nothing records.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make one file of the many of each finished day, and remove what killed writers left open; loses no row."""
    from arbot.tape.catalogue import Catalogue
    from arbot.tape.writer import compact

    catalogue = Catalogue(tape)
    datasets = catalogue.datasets()
    newest: dict[tuple[str, str], str] = {}
    for dataset in datasets:
        key = (dataset.venue, dataset.symbol)
        newest[key] = max(newest.get(key, ""), dataset.day)
    finished = [one for one in datasets if today_too or one.day < newest[one.venue, one.symbol]]
    before = sum(len(dataset.parts) for dataset in finished)
    for dataset in finished:
        compact(dataset)
    left = catalogue.left_open() if today_too else ()
    for path in left:
        path.unlink()
    if as_json:
        say(to_json({"days": len(finished), "parts_before": before, "parts": len(finished), "left_open": len(left)}))
    else:
        say(
            f"{len(finished)} days of {len(newest)} instruments in {shown(tape.resolve())}: {before} parts made one a day"
        )
        if left:
            say(f"{len(left)} files that killed writers left open were removed")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compact")(compact_command)
