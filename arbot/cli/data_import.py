"""`arbot data import`: files of a foreign format into a catalogue, with what was read, kept, dropped and found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.findings import finding_lines
from arbot.cli.output import say, tell, tell_first_compile, to_json
from arbot.cli.where import JsonOption

if TYPE_CHECKING:
    from arbot.tape.importing.contract import ImportReport, Options
    from arbot.tape.importing.run import Progress
    from arbot.tape.schema import Market


def import_command(  # noqa: PLR0917 - one per option
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files, or folders to search for files.", show_default=False)
    ] = None,
    format_name: Annotated[str, typer.Option("--format", help="Name of the format; 'list' shows all.")] = "list",
    out: Annotated[
        Path | None, typer.Option("--out", help="Catalogue to write into; made if missing.", show_default=False)
    ] = None,
    venue: Annotated[str, typer.Option("--venue", help="Instead of the one the files name.")] = "",
    symbol: Annotated[str, typer.Option("--symbol", help="BASE/QUOTE, for files that do not say it.")] = "",
    market: Annotated[str, typer.Option("--market", help="spot, linear, inverse or unknown.")] = "",
    contract_size: Annotated[str, typer.Option("--contract-size", help="Of a derivative, such as '10 USD'.")] = "",
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="ours=theirs, for plain CSV; may be given several times.", show_default=False),
    ] = None,
    tick: Annotated[str, typer.Option("--tick", help="Price step of the market; else the numbers show it.")] = "",
    step: Annotated[str, typer.Option("--step", help="Quantity step of the market; else the numbers show it.")] = "",
    day: Annotated[str, typer.Option("--day", help="YYYY-MM-DD, for rows with a time of day only.")] = "",
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Read everything, write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import recorded market data of other programs and vendors: all of the files, or nothing."""
    tell_first_compile()
    from arbot.domain.errors import Mistake, UserError
    from arbot.tape.importing.formats import FORMATS
    from arbot.tape.importing.run import import_files

    if format_name not in FORMATS:
        _list(format_name, as_json=as_json)
        return
    if out is None and not is_dry:
        raise UserError(Mistake("--out", "nowhere to write to", "name a folder: --out tape, or read only: --dry-run"))
    options = _options(
        venue=venue,
        symbol=symbol,
        market=market,
        contract_size=contract_size,
        column=column or [],
        tick=tick,
        step=step,
        day=day,
    )
    with _bar() as progress:
        report = import_files(FORMATS[format_name], paths or [], out or Path(), options, progress, is_dry=is_dry)
    if as_json:
        say(to_json(report))
    else:
        _show(report, is_dry=is_dry)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_command)


def _options(*, market: str, column: list[str], **said: str) -> Options:
    from arbot.domain.errors import Mistake, UserError
    from arbot.tape.importing.contract import Options

    columns = dict(pair.split("=", 1) for pair in column if "=" in pair)
    mistakes = [
        Mistake("--column", f"{pair!r} is not ours=theirs", "write --column bid=BidPrice")
        for pair in column
        if "=" not in pair
    ]
    if mistakes:
        raise UserError(*mistakes)
    return Options(market=_market(market), columns=columns, **said)


def _market(name: str) -> Market | None:
    from arbot.domain.errors import Mistake, UserError
    from arbot.tape.schema import Market

    if not name:
        return None
    if name not in set(Market):
        raise UserError(Mistake("--market", f"{name!r} is unknown", f"one of {', '.join(Market)}"))
    return Market(name)


def _list(name: str, *, as_json: bool) -> None:
    """Show the formats: on stdout when they were asked for, as a mistake otherwise."""
    from arbot.domain.errors import Mistake, UserError
    from arbot.tape.importing.formats import FORMATS

    rows = [{"name": known.name, "about": known.about, "files": list(known.files)} for known in FORMATS.values()]
    if name == "list":
        width = max(map(len, FORMATS))
        say(to_json(rows) if as_json else "\n".join(f"{row['name']:{width}}  {row['about']}" for row in rows))
        return
    raise UserError(Mistake("--format", f"{name!r} is unknown", f"one of {', '.join(FORMATS)}"))


@contextmanager
def _bar() -> Iterator[Progress]:
    """Show a bar over the bytes of all files on stderr, with rows per second; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from arbot.tape.importing.run import Step

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None, rate="")

        def show(step: Step) -> None:
            elapsed = progress.tasks[0].elapsed or 0.0
            rate = f"{step.rows / elapsed:,.0f} rows/s" if elapsed > 0 else ""
            progress.update(task, description=step.doing, completed=step.bytes_done, total=step.bytes_total, rate=rate)

        yield show


def _show(report: ImportReport, *, is_dry: bool) -> None:
    """Print a table of files and what was found."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("file", "read", "kept", "dropped", "because"):
        table.add_column(name, justify="right" if name in {"read", "kept", "dropped"} else "left", overflow="fold")
    for file in report.files:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(file.dropped.items()))
        table.add_row(
            Path(file.file).name, str(file.rows_read), str(file.rows_kept), str(sum(file.dropped.values())), why
        )
    console = Console(highlight=False)
    if report.files:
        console.print(table)
    for line in finding_lines(report.findings):
        say(line)
    done = "would import" if is_dry else "imported" if report.files else "left alone"
    tell(f"{done}: {', '.join(report.series)}")
