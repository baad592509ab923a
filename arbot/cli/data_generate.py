"""Makes a tape from a seed: for trying things out, for tests, and for benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arbot.cli.output import say, tell_first_compile, to_json
from arbot.cli.where import JsonOption


def generate(  # noqa: PLR0917 - one per option
    out: Annotated[Path, typer.Option("--out", help="Catalogue to write into.")],
    rows: Annotated[int, typer.Option("--rows", min=1, help="It ends with the first message at or after so many.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed and options, same tape.")] = 1,
    venues: Annotated[int, typer.Option("--venues", help="2 to 10.")] = 2,
    symbols: Annotated[int, typer.Option("--symbols", help="1 to 200, each on every venue.")] = 1,
    rows_per_s: Annotated[
        float, typer.Option("--rows-per-s", help="Of all together; 0: 550 of each venue and symbol.")
    ] = 0.0,
    opportunity_share: Annotated[
        float, typer.Option("--opportunities", help="Share of the messages at which an edge is left after fees.")
    ] = 0.001,
    as_json: JsonOption = False,
) -> None:
    """Write a tape of a pretend market, always the same for a seed: books of several venues with small differences."""
    tell_first_compile()
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from arbot.tape.generate import TapeSpec, write_generated

    spec = TapeSpec(
        rows=rows,
        seed=seed,
        venues=venues,
        symbols=symbols,
        rows_per_s=rows_per_s,
        opportunity_share=opportunity_share,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=as_json, transient=True) as bar:
        task = bar.add_task("rows", total=rows)
        made = write_generated(spec, out, lambda done: bar.update(task, completed=min(done, rows)))
    if as_json:
        say(to_json({"out": out, "rows": made, "seed": seed, "venues": venues, "symbols": symbols}))
    else:
        say(f"{made} rows of {symbols} symbols on {venues} venues in {out}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate")(generate)
