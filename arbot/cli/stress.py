"""`arbot stress`: play real disasters through the live engine, and say what each would have cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, shown, tell, tell_first_compile, to_json
from arbot.cli.where import ConfigOption, JsonOption

if TYPE_CHECKING:
    from arbot.backtest.stress.play import Choice

NameArgument = Annotated[str, typer.Argument(help="A disaster of backtests/disasters, quiet-month, or all.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Write stress.html and stress.json.", show_default=False)]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Plays at the same time.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Do not play without every single protection.")]
FolderOption = Annotated[Path, typer.Option("--folder", help="Where the disasters are.")]
WriteExpectedOption = Annotated[
    bool, typer.Option("--write-expected", help="Keep the numbers for the table of the guide.")
]


def stress_command(  # noqa: PLR0917 - one per option
    name: NameArgument = "all",
    config: ConfigOption = None,
    out: OutOption = None,
    jobs: JobsOption = 2,
    quick: QuickOption = False,
    folder: FolderOption = Path("backtests/disasters"),
    write_expected: WriteExpectedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Play disasters with every protection on and with each one off."""
    tell_first_compile()
    from arbot.backtest.stress.quiet import quiet
    from arbot.backtest.stress.run import ALL, chosen, count, stress
    from arbot.backtest.stress.table import QUIET, lines, month_lines, month_summary, summary, within_budget
    from arbot.cli.progress import Bar

    choice = _choice(config)
    files = [] if name == QUIET else chosen(name, folder.resolve())
    month = quiet(choice) if name in (ALL, QUIET) else None
    tolds = []
    with Bar(unit="plays") as bar:
        bar.start("stress", count(files, each=not quick))
        done = 0

        def advance(plays: int) -> None:
            nonlocal done
            done += plays
            bar.advance(done)

        for told in stress(files, choice, each=not quick, jobs=jobs, progress=advance):
            tolds.append(told)
            if not as_json:
                for line in lines(told):
                    say(line)
    if month is not None and not as_json:
        for line in month_lines(month):
            say(line)
    result = {"disasters": tolds, "quiet_month": month}
    if as_json:
        say(to_json(result))
    if out is not None:
        from arbot.backtest.stress.report import page

        out.mkdir(parents=True, exist_ok=True)
        (out / "stress.json").write_text(to_json(result), encoding="utf-8")
        (out / "stress.html").write_text(page(tolds, month), encoding="utf-8")
        tell(f"report: {shown((out / 'stress.html').resolve())}")
    if write_expected:
        file = folder / "expected.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        made = {told.name: summary(told) for told in tolds} | ({} if month is None else {QUIET: month_summary(month)})
        kept = dict(sorted({**before, **made}.items()))
        file.write_text(f"{json.dumps(kept, indent=1)}\n", encoding="utf-8")
    if not within_budget(tolds):
        tell("a disaster cost more than its budget with every protection on")
        raise typer.Exit(ExitCode.FAILURE)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stress")(stress_command)


def _choice(config: Path | None) -> Choice:
    """Return the numbers of a config file, or those that arbot ships."""
    from arbot.backtest.stress.play import Choice
    from arbot.settings.load import load

    if config is None:
        return Choice(folder=Path.cwd())
    settings = load(config)
    return Choice(limits=settings.engine_config(), params=settings.strategy.params, folder=config.parent.resolve())
