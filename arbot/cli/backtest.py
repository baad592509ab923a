"""`arbot backtest`: replay tapes through the engine under three assumptions, and say what it came to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, shown, tell, tell_first_compile, to_json
from arbot.cli.tape_options import (
    AssumeQtyOption,
    BarsOption,
    CacheOption,
    DerivativesOption,
    DespiteErrorsOption,
    FromOption,
    InspectOption,
    MapOption,
    RepairOption,
    SymbolOption,
    ToOption,
    allowances,
    cache_dir_of,
    mapping_of,
)
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.backtest.result import Result
    from arbot.backtest.run import Plan
    from arbot.backtest.tapes import Allowances
    from arbot.settings.model import Settings

TapesArgument = Annotated[
    list[Path], typer.Argument(help="Catalogues, folders or files of recorded data; or one folder with a run.toml.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write report.html, result.json, arbs and fills.", show_default=False)
]
ScenarioOption = Annotated[
    list[str] | None,
    typer.Option("--scenario", help="naive, realistic or pessimistic only; may be repeated.", show_default=False),
]
LikeRunOption = Annotated[
    str | None,
    typer.Option(
        "--like-run",
        help="Set the model beside what this recorded run really did; 'last' is the newest.",
        show_default=False,
    ),
]
WriteExpectedOption = Annotated[
    bool, typer.Option("--write-expected", help="Of a run.toml: keep what came of it as what is expected.")
]


def backtest_command(  # noqa: PLR0917 - one per option
    tapes: TapesArgument,
    config: ConfigOption = None,
    out: OutOption = None,
    scenario: ScenarioOption = None,
    symbol: SymbolOption = None,
    mapping: MapOption = None,
    first: FromOption = "",
    last: ToOption = "",
    cache: CacheOption = True,
    inspect: InspectOption = True,
    despite_errors: DespiteErrorsOption = False,
    repair: RepairOption = False,
    assume_qty: AssumeQtyOption = "0",
    bars: BarsOption = False,
    derivatives: DerivativesOption = False,
    like_run: LikeRunOption = None,
    write_expected: WriteExpectedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replay recorded books through the daemon's own engine, risk, executor and ledger."""
    tell_first_compile()
    from arbot.backtest.named import is_named

    if len(tapes) == 1 and is_named(tapes[0]):
        _named(tapes[0], out=out, writes=write_expected, as_json=as_json)
        return
    settings = settings_of(config, {"run": {"symbols": symbol}} if symbol else None)
    if like_run is not None:
        from arbot.cli.like_run import compare

        compare(settings, like_run, tapes, as_json=as_json)
        return
    planned = _plan(
        settings,
        tapes,
        allowances(bars=bars, derivatives=derivatives, assume_qty=assume_qty, repair=repair, first=first, last=last),
        mapping_of(mapping),
        scenarios=scenario or [],
        uses_cache=cache,
        inspects=inspect,
        despite_errors=despite_errors,
    )
    _tell(_run(planned), out, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest")(backtest_command)


def _plan(
    settings: Settings,
    tapes: list[Path],
    allowed: Allowances,
    mapping: dict[str, str],
    *,
    scenarios: list[str],
    uses_cache: bool,
    inspects: bool,
    despite_errors: bool,
) -> Plan:
    from arbot.backtest.checked import warned
    from arbot.backtest.run import plan
    from arbot.backtest.tapes import open_stock

    cache_dir = cache_dir_of(tapes) if uses_cache and not allowed.repair else None
    stock = open_stock(
        [tape.resolve() for tape in tapes], settings, mapping=mapping, allowances=allowed, cache_dir=cache_dir
    )
    found = warned(stock, tapes, cache_dir=cache_dir, is_wanted=inspects, goes_on=despite_errors)
    return plan(
        settings,
        stock,
        chosen=_scenarios(scenarios),
        tapes=[tape.name for tape in tapes],
        warnings=[*stock.warnings, *found],
        first_ts_ns=allowed.first_ts_ns,
    )


def _run(planned: Plan) -> Result:
    from arbot.backtest.run import run
    from arbot.cli.progress import Bar

    with Bar() as bar:
        return run(planned, bar)


def _tell(result: Result, out: Path | None, *, as_json: bool) -> None:
    """Print a result, and write its files where they were asked for."""
    from arbot.backtest.words import summary_lines

    if out is not None:
        from arbot.backtest.export import write_result

        files = write_result(result, out)
        tell(f"wrote {', '.join(file.name for file in files)} to {shown(out.resolve())}")
    if as_json:
        say(to_json(result))
    else:
        for line in summary_lines(result):
            say(line)


def _named(folder: Path, *, out: Path | None, writes: bool, as_json: bool) -> None:
    """Run a named backtest and hold it against what is expected of it."""
    from arbot.backtest import named

    result = _run(named.named_plan(folder))
    _tell(result, out, as_json=as_json)
    if writes:
        tell(f"wrote {shown(named.write_expected(folder, result).resolve())}")
        return
    wrong = named.differences(folder, result)
    for line in wrong:
        tell(line)
    tell(f"{folder.name}: {'as expected' if not wrong else f'{len(wrong)} statistics are not as expected'}")
    if wrong:
        raise typer.Exit(ExitCode.FAILURE)


def _scenarios(names: list[str]) -> tuple:  # type: ignore[type-arg]
    from arbot.backtest.result import Scenario

    known = [one.value for one in Scenario]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is none of {', '.join(known)}", param_hint="--scenario")
    return tuple(Scenario(name) for name in names) or tuple(Scenario)
