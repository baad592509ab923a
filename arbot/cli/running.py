"""The commands that run something for a while: demo, run, scan. They wire the table and the page beside the runtime."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.lasting import lasting
from arbot.cli.output import say, shown, tell, tell_first_compile, tell_mistakes, to_json
from arbot.cli.parsing import pairs
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.runtime.daemon import Service
    from arbot.runtime.modes import Report
    from arbot.settings.model import Settings

REACH_S = 10.0  # beyond its duration, for the instruments to be asked for

DurationOption = Annotated[
    float | None, typer.Option("--duration", min=0.1, help="Stop after this many seconds.", show_default=False)
]

RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record",
        help="Write the market data to a tape in this folder, for `arbot replay` and `arbot backtest`.",
        show_default=False,
    ),
]


def demo(  # noqa: PLR0917 - one per option
    config: ConfigOption = None,
    duration: DurationOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of the pretend market.", show_default=False)
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            help="Make the pretend venues misbehave: leg2-reject, timeout-after-accept, ws-cut, latency and more; "
            "'name:key=value' sets details; may be given several times.",
            show_default=False,
        ),
    ] = None,
    market: Annotated[
        Path | None, typer.Option("--market", help="Folder of recorded books to play.", show_default=False)
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            "--map", help="Which recorded venue plays which: kraken=kraken,coinbase=bitfinex.", show_default=False
        ),
    ] = None,
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", help="Trade this instead of the config's.", show_default=False)
    ] = None,
    speed: Annotated[
        str | None, typer.Option("--speed", help="Of a recorded market against the clock.", show_default=False)
    ] = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trade on pretend Kraken and Coinbase on this machine: no key, no network, every byte in the real protocols."""
    tell_first_compile()
    sim: dict[str, object] = {
        "seed": seed,
        "faults": fault,
        "market": market.resolve() if market else None,
        "map": pairs(mapping, "--map") if mapping else None,
        "speed": speed,
    }
    overrides = {"sim": _given(sim), "run": _given({"symbols": symbol}), **_taped(record)}
    settings = settings_of(config, overrides)
    from arbot.runtime.modes import Options, run, run_demo

    set_up_logs(settings)
    services = _services(settings, with_table=True, on_stderr=as_json)
    options = Options(duration_s=duration, services=(*services, *lasting(settings, config, overrides)))
    report = _refusing(lambda: run(run_demo(settings, options)))
    _tell_tape(settings, config)
    _finish(report, as_json=as_json)


def run_command(  # noqa: PLR0917 - one per option
    config: ConfigOption = None,
    live: Annotated[bool, typer.Option("--live", help="Trade with real money (the first of three locks).")] = False,
    duration: DurationOption = None,
    table: Annotated[bool, typer.Option("--table", help="Show the live table instead of only the log.")] = False,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the daemon of a config file. Paper unless the file says live, and then only with --live."""
    tell_first_compile()
    if config is None:
        raise typer.BadParameter("name a config file; `arbot demo` needs none", param_hint="--config")
    settings = settings_of(config, _taped(record))
    from arbot.runtime.modes import Options, run, run_daemon

    set_up_logs(settings)
    services = _services(settings, with_table=table, on_stderr=as_json)
    services = (*services, *lasting(settings, config, _taped(record)))
    options = Options(is_live=live, duration_s=duration, services=services)
    report = _refusing(lambda: run(run_daemon(settings, options)))
    _tell_tape(settings, config)
    _finish(report, as_json=as_json)


def scan(
    symbols: Annotated[list[str], typer.Argument(help="Such as BTC/USD; several are fine.")],
    venues: Annotated[
        str, typer.Option("--venues", help="kraken, coinbase, or any exchange ccxt knows.")
    ] = "kraken,coinbase",
    duration: DurationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch the public books of venues for edges. Needs no key, keeps no state, sends no order."""
    tell_first_compile()
    from arbot.settings.load import parse

    document = scan_document(symbols, [name.strip() for name in venues.split(",") if name.strip()])
    settings = parse(document, base=Path.cwd(), source="arbot scan")
    set_up_logs(settings)
    from arbot.cli.views import edge_lines, live_view
    from arbot.observe.table import scan_table
    from arbot.runtime.modes import Options, run, run_scan

    view = edge_lines() if as_json else live_view(scan_table, on_stderr=False, is_the_purpose=True)
    work = run_scan(settings, Options(duration_s=duration, services=(view,)))
    _refusing(lambda: run(_within(work, duration)))


async def _within(work: Coroutine[Any, Any, None], duration: float | None) -> None:
    """Do the work, but do not wait for ever for venues that cannot be reached. Raises: VenueUnavailable."""
    import asyncio

    from arbot.domain.errors import VenueUnavailable

    try:
        async with asyncio.timeout(duration + REACH_S if duration is not None else None):
            await work
    except TimeoutError as error:
        raise VenueUnavailable("scan", "a venue could not be reached in time; the lines above say which") from error


def scan_document(symbols: list[str], venues: list[str]) -> dict[str, Any]:
    """Return the config of a scan: venues by name, fees of a small account, nothing that could trade."""
    fees = {"kraken": (25, 40), "coinbase": (40, 60)}
    quotes = {symbol.partition("/")[2] for symbol in symbols}
    return {
        "run": {
            "name": "scan",
            "mode": "paper",
            "symbols": symbols,
            "ccy": min(quotes),
            "log_level": "warning",
        },
        "http": {"enabled": False},
        "venues": {name: {"adapter": name if name in fees else f"ccxt:{name}"} for name in venues},
        "paper": {
            "venues": {
                name: {
                    "balances": dict.fromkeys(quotes, 0),
                    "maker_bps": fees.get(name, (25, 25))[0],
                    "taker_bps": fees.get(name, (25, 25))[1],
                }
                for name in venues
            }
        },
    }


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("demo")(demo)
    app.command("run")(run_command)
    app.command("scan")(scan)


def _services(settings: Settings, *, with_table: bool, on_stderr: bool) -> tuple[Service, ...]:
    from arbot.api.page import page
    from arbot.cli.views import live_view, page_told
    from arbot.observe.table import live_table
    from arbot.runtime.tax_count import counting

    served = (
        (page(settings), page_told(), counting(settings)) if settings.http.enabled else ()
    )  # who asks, asks the page
    return (*served, live_view(live_table, on_stderr=on_stderr)) if with_table else served


def set_up_logs(settings: Settings) -> None:
    """Log from here on; API keys join what is blotted out when the runtime reads them. A crash leaves no core behind."""
    import resource

    from sqlalchemy.engine import make_url

    from arbot.domain.redact import redactor
    from arbot.observe import logs
    from arbot.runtime.clock import SystemClock

    password = make_url(settings.store_url()).password
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # memory holds keys
    logs.set_up(
        now_ns=SystemClock().now_ns,
        redact=redactor([str(password)] if password else []),
        as_json=settings.run.log_format == "json",
        level=settings.run.log_level,
    )


def _refusing(work: Any) -> Any:
    """Run; a mistake found after the config was read is a refusal to start, told as a list."""
    from arbot.domain.errors import UserError

    try:
        return work()
    except UserError as error:
        tell_mistakes(error)
        raise typer.Exit(ExitCode.REFUSED) from error


def _finish(report: Report, *, as_json: bool) -> None:
    document = report.as_document()
    if as_json:
        say(to_json(document))
    else:
        for name, value in document.items():
            say(f"{name:24} {to_json(value) if isinstance(value, dict) else value}")
    if report.ending.failure is not None:
        tell(f"the run failed: {report.ending.reason}")
        tell(
            "    -> mend that, then `arbot ledger verify`; the next start asks every venue what happened before it trades"
        )
        raise typer.Exit(ExitCode.FAILURE)
    if report.ending.open_orders or report.totals.arbs_stranded or report.totals.orders_unknown:
        tell("something is left open: `arbot status` and the log say what")
        raise typer.Exit(ExitCode.LEFT_OPEN)
    if report.ledger_matches_venues is False:
        tell("the ledger differs from the venues: `arbot ledger balances` shows ours")
        raise typer.Exit(ExitCode.LEDGER_PROBLEM)


def _given(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _taped(folder: Path | None) -> dict[str, dict[str, object]]:
    """Return what turns recording on, into that folder."""
    return {} if folder is None else {"tape": {"record": True, "dir": folder.resolve()}}


def _tell_tape(settings: Settings, config: Path | None) -> None:
    """Say where the run was recorded, and what can be done with it."""
    if settings.tape.record:
        tape = shown(settings.tape.dir)
        again = f" -c {shown(config.resolve())}" if config else ""
        tell(
            f"recorded to {tape}; run it again with `arbot replay --run last --tape {tape}{again}`, "
            f"or set the model beside it with `arbot backtest {tape} --like-run last{again}`"
        )
