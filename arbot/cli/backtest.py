"""`arbot backtest`: replay tapes through the engine under three assumptions, and say what it came to."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, shown, tell, to_json
from arbot.cli.parsing import pairs
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.backtest.result import Result
    from arbot.backtest.run import Plan
    from arbot.settings.model import Settings

TapesArgument = Annotated[
    list[Path], typer.Argument(help="Catalogues, folders or files of recorded data; or one folder with a run.toml.")
]


def backtest_command(  # noqa: PLR0917 - one per option
    tapes: TapesArgument,
    config: ConfigOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write report.html, result.json, arbs and fills.", show_default=False)
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="naive, realistic or pessimistic only; may be repeated.", show_default=False),
    ] = None,
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", help="Trade this instead of the config's.", show_default=False)
    ] = None,
    mapping: Annotated[
        str | None, typer.Option("--map", help="Who plays whom: kraken=bitfinex.", show_default=False)
    ] = None,
    first: Annotated[
        str, typer.Option("--from", help="Trade from this UTC time on; earlier data fills the books.")
    ] = "",
    last: Annotated[str, typer.Option("--to", help="Stop at this UTC time, such as 2026-01-05T12:00.")] = "",
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep raw columns beside the tape.")] = True,
    inspect: Annotated[
        bool, typer.Option("--inspect/--no-inspect", help="Look for faults in the data first; errors refuse.")
    ] = True,
    despite_errors: Annotated[
        bool, typer.Option("--despite-errors", help="Go on in spite of errors found in the data; the report says so.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Leave out damaged rows and files, with a count.")] = False,
    assume_qty: Annotated[
        str, typer.Option("--assume-qty", help="Base quantity to pretend where no size was recorded.")
    ] = "0",
    bars: Annotated[
        bool, typer.Option("--i-know-bars-are-not-executable", help="Fill against bars all the same.")
    ] = False,
    derivatives: Annotated[
        bool, typer.Option("--derivatives-as-spot", help="Treat futures and perpetuals as if they were spot.")
    ] = False,
    like_run: Annotated[
        str | None,
        typer.Option("--like-run", help="Set the model beside what this recorded run really did.", show_default=False),
    ] = None,
    write_expected: Annotated[
        bool, typer.Option("--write-expected", help="Of a run.toml: keep what came of it as what is expected.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Replay recorded books through the daemon's own engine, risk, executor and ledger."""
    from arbot.backtest.named import is_named
    from arbot.backtest.tapes import Allowances
    from arbot.domain.units import parse_decimal

    if len(tapes) == 1 and is_named(tapes[0]):
        _named(tapes[0], out=out, writes=write_expected, as_json=as_json)
        return
    settings = settings_of(config, {"run": {"symbols": symbol}} if symbol else None)
    if like_run is not None:
        from arbot.cli.like_run import compare

        compare(settings, like_run, tapes, as_json=as_json)
        return
    allowances = Allowances(
        bars=bars,
        derivatives=derivatives,
        assume_qty=parse_decimal(assume_qty) if assume_qty else Decimal(0),
        repair=repair,
        last_ts_ns=_time(last, "--to") if last else 1 << 62,
    )
    planned = _plan(
        settings,
        tapes,
        allowances,
        pairs(mapping, "--map") if mapping else {},
        scenarios=scenario or [],
        first_ts_ns=_time(first, "--from") if first else 0,
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
    allowances: object,
    mapping: dict[str, str],
    *,
    scenarios: list[str],
    first_ts_ns: int,
    uses_cache: bool,
    inspects: bool,
    despite_errors: bool,
) -> Plan:
    from arbot.backtest.checked import warned
    from arbot.backtest.run import plan
    from arbot.backtest.tapes import Allowances, open_stock

    assert isinstance(allowances, Allowances)  # noqa: S101 - typed loosely so that --help stays quick
    cache_dir = _cache_dir(tapes) if uses_cache and not allowances.repair else None
    stock = open_stock(
        [tape.resolve() for tape in tapes], settings, mapping=mapping, allowances=allowances, cache_dir=cache_dir
    )
    found = warned(stock, tapes, cache_dir=cache_dir, is_wanted=inspects, goes_on=despite_errors)
    return plan(
        settings,
        stock,
        chosen=_scenarios(scenarios),
        tapes=[tape.name for tape in tapes],
        warnings=[*stock.warnings, *found],
        first_ts_ns=first_ts_ns,
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


def _cache_dir(tapes: list[Path]) -> Path:
    """Return where raw columns are kept: in the first catalogue, or beside the first file."""
    first = tapes[0].resolve()
    return (first if first.is_dir() else first.parent) / ".cache"


def _time(text: str, option: str) -> int:
    """Return a UTC time as ns. Raises: typer.BadParameter."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a time: {error}", param_hint=option) from error
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000_000
