"""`arbot sweep`: many settings on one tape, ranked on one part of it and shown beside the part that was held out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, shown, tell, tell_first_compile, to_json
from arbot.cli.tape_options import (
    AssumeQtyOption,
    BarsOption,
    DerivativesOption,
    DespiteErrorsOption,
    FromOption,
    InspectOption,
    MapOption,
    RepairOption,
    SymbolOption,
    TapesArgument,
    ToOption,
    allowances,
    cache_dir_of,
    mapping_of,
)
from arbot.cli.where import ConfigOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from arbot.backtest.sweep import Asked, Tools
    from arbot.backtest.sweep_engine import OpenStock
    from arbot.backtest.sweep_space import Axis, Base, Measured, Point
    from arbot.backtest.sweep_workers import Workers
    from arbot.backtest.tapes import Allowances, TapeStock
    from arbot.domain.ids import VenueId
    from arbot.settings.model import Settings

CSV_FILE = "sweep.csv"

GridOption = Annotated[
    list[str] | None,
    typer.Option(
        "--grid",
        help="key=value,value: a key of the config and what to try; may be given several times. With --random also "
        "key=low..high, or key=log:low..high.",
        show_default=False,
    ),
]
RandomOption = Annotated[
    int | None,
    typer.Option("--random", min=1, help="Draw so many settings instead of all combinations.", show_default=False),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")]
HoldOutOption = Annotated[
    float, typer.Option("--hold-out", min=0.0, max=0.9, help="Share of the time, at its end, not to choose by.")
]
VerifyOption = Annotated[int, typer.Option("--verify", min=0, help="So many of the best are replayed in full.")]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Settings shown; all are in the CSV.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of results; a rerun goes on with it.")]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Processes for full replays; all cores.", show_default=False)
]
SchedulerOption = Annotated[
    str | None, typer.Option("--scheduler", help="Of a Dask cluster: tcp://host:port.", show_default=False)
]


def sweep_command(  # noqa: PLR0917 - one per option
    tapes: TapesArgument,
    config: ConfigOption = None,
    grid: GridOption = None,
    random: RandomOption = None,
    seed: SeedOption = 7,
    hold_out: HoldOutOption = 0.3,
    verify: VerifyOption = 3,
    top: TopOption = 10,
    out: OutOption = Path("sweep"),
    symbol: SymbolOption = None,
    mapping: MapOption = None,
    first: FromOption = "",
    last: ToOption = "",
    inspect: InspectOption = True,
    despite_errors: DespiteErrorsOption = False,
    repair: RepairOption = False,
    assume_qty: AssumeQtyOption = "0",
    bars: BarsOption = False,
    derivatives: DerivativesOption = False,
    jobs: JobsOption = None,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try many settings on one tape, and show whether the best would have been the best on data not chosen by."""
    tell_first_compile()
    from arbot.backtest.checked import warned
    from arbot.backtest.sweep import sweep
    from arbot.backtest.sweep_store import SweepStore
    from arbot.cli.progress import Bar
    from arbot.cli.sweep_table import show, write_csv

    allowed = allowances(
        bars=bars, derivatives=derivatives, assume_qty=assume_qty, repair=repair, first=first, last=last
    )
    base, axes, points = _points(config, symbol, grid or [], random, seed)
    cache_dir = None if repair else cache_dir_of(tapes, (out / "columns").resolve())
    open_stock = _opener(tapes, mapping_of(mapping), allowed, cache_dir)
    stock = open_stock(points[0].settings)
    found = warned(stock, tapes, cache_dir=cache_dir, is_wanted=inspect, goes_on=despite_errors)
    asked = _asked(points, axes, stock, hold_out=hold_out, seed=seed, verify=verify, warnings=(*stock.warnings, *found))
    tools = _tools(base, stock, _measured(points), open_stock, _workers(scheduler, jobs, stock.rows))
    store = SweepStore(out)
    with Bar(unit="settings") as bar:
        try:
            swept = sweep(asked, stock, store, tools, bar)
        except KeyboardInterrupt:
            tell(f"stopped: {len(store)} results are kept in {shown(store.path)}; the same command goes on from there")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    write_csv(swept, out / CSV_FILE)
    if as_json:
        say(to_json(swept))
    else:
        show(swept, top)
    tell(f"all results: {shown((out / CSV_FILE).resolve())}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep")(sweep_command)


# --- putting a sweep together ---------------------------------------------------------------------------------------------


def _points(
    config: Path | None, symbols: list[str] | None, grid: list[str], random: int | None, seed: int
) -> tuple[Base, tuple[Axis, ...], tuple[Point, ...]]:
    """Return what is varied, along which axes, and every setting. Raises: UserError."""
    from arbot.backtest.sweep_space import draws, parse_axes, points, read_base
    from arbot.backtest.sweep_space import grid as combine
    from arbot.domain.errors import Mistake, UserError

    if not grid:
        raise UserError(Mistake("--grid", "nothing is varied", "give --grid strategy.edge_net_bps_min=1,2,5"))
    base = read_base(config, Path.cwd())
    if symbols:
        base.document.setdefault("run", {})["symbols"] = symbols
    axes = parse_axes(grid, is_random=random is not None)
    return base, axes, points(base, axes, draws(axes, random, seed) if random is not None else combine(axes))


def _workers(scheduler: str | None, jobs: int | None, rows: int) -> Workers:
    from arbot.backtest.sweep_workers import Dask, Processes

    return Dask(scheduler) if scheduler else Processes(jobs or os.cpu_count() or 1, rows)


def _measured(points: tuple[Point, ...]) -> Measured:
    """Return the answer times of every venue that a setting wants measured. Raises: UserError."""
    from arbot.backtest.measured import answer_times
    from arbot.backtest.scenario import measured_venues
    from arbot.runtime.clock import SystemClock

    settings = [point.settings for point in points]
    wanted: dict[VenueId, None] = dict.fromkeys(venue for one in settings for venue in measured_venues(one))
    first = settings[0]
    now_ns = SystemClock().now_ns
    return answer_times(first.store_url(), list(wanted), now_ns=now_ns, run_id=first.backtest.latency_run)


def _opener(
    tapes: list[Path], mapping: dict[str, str], allowed: Allowances, cache_dir: Path | None
) -> Callable[[Settings], TapeStock]:
    """Return how a process opens the tape: from raw columns, which the first reading leaves in `cache_dir`."""
    from functools import partial

    from arbot.backtest.tapes import open_stock

    paths = [tape.resolve() for tape in tapes]
    return partial(open_stock, paths, mapping=mapping, allowances=allowed, cache_dir=cache_dir)


def _asked(
    points: tuple[Point, ...],
    axes: tuple[Axis, ...],
    stock: TapeStock,
    *,
    hold_out: float,
    seed: int,
    verify: int,
    warnings: tuple[str, ...],
) -> Asked:
    """Return what the sweep is about. Raises: UserError when the tape has nothing in the time asked for."""
    from arbot.backtest.sweep import Asked
    from arbot.backtest.sweep_parts import span_of, split
    from arbot.backtest.sweep_space import digest_of, shares_scan
    from arbot.domain.errors import Mistake, UserError

    first_ts_ns, last_ts_ns = span_of(stock)
    first_ts_ns = max(first_ts_ns, stock.allowances.first_ts_ns)
    if last_ts_ns <= first_ts_ns:
        raise UserError(Mistake("the tape", "it has no rows in the time asked for", "choose other --from and --to"))
    return Asked(
        points=points,
        digests=tuple(digest_of(point.settings) for point in points),
        parts=split((first_ts_ns, last_ts_ns), hold_out),
        shares_scan=shares_scan(points[0].settings, axes),
        ccy=points[0].settings.run.ccy,
        seed=seed,
        code_version=_code_version(),
        verify=verify,
        warnings=(*warnings, *stock.repaired()),  # it was just read to its end
    )


def _code_version() -> str:
    """Return the version with a digest of the sources on which results depend: kept ones of other code are not used."""
    import hashlib

    import arbot

    digest = hashlib.sha256()
    root = Path(arbot.__file__).parent
    for part in ("backtest", "domain", "engine", "ledger", "market", "sim", "tape"):
        for source in sorted((root / part).rglob("*.py")):
            digest.update(source.read_bytes())
    return f"{arbot.__version__} {digest.hexdigest()[:16]}"


def _tools(base: Base, stock: TapeStock, measured: Measured, open_stock: OpenStock, workers: Workers) -> Tools:
    from functools import partial

    from arbot.backtest.sweep import Tools
    from arbot.backtest.sweep_engine import evaluate
    from arbot.backtest.sweep_space import candidate
    from arbot.runtime.strategy_loader import load_strategy

    return Tools(
        candidate=lambda point: candidate(point.settings, stock.streams, measured, load_strategy, base.folder),
        evaluate=partial(evaluate, folder=base.folder, open_stock=open_stock, measured=measured),
        workers=workers,
    )
