"""`arbot sweep`: many settings on one tape, ranked on one part of it and shown beside the part that was held out."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, shown, tell, to_json
from arbot.cli.parsing import pairs
from arbot.cli.where import ConfigOption, JsonOption

if TYPE_CHECKING:
    from arbot.backtest.stock import Stock
    from arbot.backtest.sweep import Asked, Swept, Tools
    from arbot.backtest.sweep_engine import OpenStock
    from arbot.backtest.sweep_space import Base, Measured, Point
    from arbot.backtest.sweep_workers import Workers
    from arbot.domain.ids import VenueId
    from arbot.settings.model import Settings

CSV_FILE = "sweep.csv"
_FIGURES = ("net", "edge", "slippage", "unwinds", "fees", "drawdown", "arbs", "missed", "one_sided", "stranded")


def sweep_command(  # noqa: PLR0917 - one per option
    tapes: Annotated[list[Path], typer.Argument(help="Catalogues, folders or files of recorded data.")],
    config: ConfigOption = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            help="key=value,value: a key of the config and what to try; may be given several times. With --random also "
            "key=low..high, or key=log:low..high.",
            show_default=False,
        ),
    ] = None,
    random: Annotated[
        int | None,
        typer.Option("--random", min=1, help="Draw so many settings instead of all combinations.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")] = 7,
    hold_out: Annotated[
        float, typer.Option("--hold-out", min=0.0, max=0.9, help="Share of the time, at its end, not to choose by.")
    ] = 0.3,
    verify: Annotated[int, typer.Option("--verify", min=0, help="So many of the best are replayed in full.")] = 3,
    top: Annotated[int, typer.Option("--top", min=1, help="Settings shown; all are in the CSV.")] = 10,
    out: Annotated[Path, typer.Option("--out", help="Folder of results; a rerun goes on with it.")] = Path("sweep"),
    mapping: Annotated[
        str | None, typer.Option("--map", help="Who plays whom: kraken=bitfinex.", show_default=False)
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes for full replays; all cores.", show_default=False)
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Of a Dask cluster: tcp://host:port.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try many settings on one tape, and show whether the best would have been the best on data not chosen by."""
    from arbot.backtest.sweep import sweep
    from arbot.backtest.sweep_space import draws, parse_axes, points, read_base, shares_scan
    from arbot.backtest.sweep_space import grid as combine
    from arbot.backtest.sweep_store import SweepStore
    from arbot.backtest.sweep_workers import Dask, Processes
    from arbot.cli.progress import Bar
    from arbot.domain.errors import Mistake, UserError

    if not grid:
        raise UserError(Mistake("--grid", "nothing is varied", "give --grid strategy.edge_net_bps_min=1,2,5"))
    workers: Workers = Dask(scheduler) if scheduler else Processes(jobs or os.cpu_count() or 1)
    base = read_base(config, Path.cwd())
    axes = parse_axes(grid, is_random=random is not None)
    combinations = draws(axes, random, seed) if random is not None else combine(axes)
    asked_points = points(base, axes, combinations)
    settings = [point.settings for point in asked_points]
    measured = _measured(settings)
    open_stock = _opener(tapes, mapping, out)
    stock = open_stock(settings[0])
    store = SweepStore(out)
    with Bar(unit="settings") as bar:
        asked = _asked(
            asked_points,
            settings,
            stock,
            hold_out=hold_out,
            seed=seed,
            verify=verify,
            shares=shares_scan(settings[0], axes),
        )
        try:
            swept = sweep(asked, stock, store, _tools(base, stock, measured, open_stock, workers), bar)
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


def _measured(settings: list[Settings]) -> Measured:
    """Return the answer times of every venue that a setting wants measured. Raises: UserError."""
    from arbot.backtest.measured import answer_times
    from arbot.backtest.scenario import measured_venues
    from arbot.runtime.clock import SystemClock

    wanted: dict[VenueId, None] = dict.fromkeys(venue for one in settings for venue in measured_venues(one))
    first = settings[0]
    now_ns = SystemClock().now_ns
    return answer_times(first.store_url(), list(wanted), now_ns=now_ns, run_id=first.backtest.latency_run)


def _opener(tapes: list[Path], mapping: str | None, out: Path) -> OpenStock:
    """Return how a process opens the tape: from raw columns that the first reading leaves in the folder of results."""
    from functools import partial

    from arbot.backtest.tapes import Allowances, open_stock

    return partial(
        open_stock,
        [tape.resolve() for tape in tapes],
        mapping=pairs(mapping, "--map") if mapping else {},
        allowances=Allowances(),
        cache_dir=(out / "columns").resolve(),
    )


def _asked(
    points: tuple[Point, ...],
    settings: list[Settings],
    stock: Stock,
    *,
    hold_out: float,
    seed: int,
    verify: int,
    shares: bool,
) -> Asked:
    from arbot import __version__
    from arbot.backtest.sweep import Asked
    from arbot.backtest.sweep_parts import span_of, split
    from arbot.backtest.sweep_space import digest_of
    from arbot.market.compiled import CACHE_FOLDER

    return Asked(
        points=points,
        digests=tuple(map(digest_of, settings)),
        parts=split(span_of(stock), hold_out),
        shares_scan=shares,
        seed=seed,
        code_version=f"{__version__} {Path(CACHE_FOLDER).name}",
        verify=verify,
    )


def _tools(base: Base, stock: Stock, measured: Measured, open_stock: OpenStock, workers: Workers) -> Tools:
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


# --- showing it -----------------------------------------------------------------------------------------------------------


def write_csv(swept: Swept, path: Path) -> None:
    """Write every setting with all its figures, the best of the tuned part first."""
    keys = list(swept.ranked[0].values)
    has_held_out = len(swept.parts) > 1
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        held = ["rank_held_out", *(f"held_out_{name}" for name in _FIGURES)] if has_held_out else []
        writer.writerow(["rank", *keys, *(f"tuned_{name}" for name in _FIGURES), *held])
        for one in swept.ranked:
            row = [one.rank, *one.values.values(), *(getattr(one.tuned, name) for name in _FIGURES)]
            if has_held_out:
                row += [one.rank_held_out, *(getattr(one.held_out, name) for name in _FIGURES)]
            writer.writerow(row)


def show(swept: Swept, top: int) -> None:
    """Print the best settings, the check against full replays, and what the held-out part says."""
    from rich.console import Console
    from rich.table import Table

    has_held_out = len(swept.parts) > 1
    table = Table(box=None, pad_edge=False)
    titles = ["#", *_headings(list(swept.ranked[0].values)), "net", "arbs", "missed"]
    titles += ["held out: net", "arbs", "rank"] if has_held_out else []
    for title in titles:
        table.add_column(title, justify="right", overflow="fold")
    for one in swept.ranked[:top]:
        row = [str(one.rank), *one.values.values(), f"{one.tuned.net:.2f}", str(one.tuned.arbs), str(one.tuned.missed)]
        if has_held_out:
            row += [f"{one.held_out.net:.2f}", str(one.held_out.arbs), str(one.rank_held_out)]
        table.add_row(*row)
    console = Console(highlight=False)
    console.print(table)
    if swept.checked:
        check = Table(box=None, pad_edge=False)
        for title in ("#", "part", "one pass: net", "arbs", "full replay: net", "arbs", "difference"):
            check.add_column(title, justify="left" if title == "part" else "right")
        ranks = {one.number: one.rank for one in swept.ranked}
        for found in swept.checked:
            kernel, engine = found.kernel, found.engine
            figures = [f"{kernel.net:.2f}", str(kernel.arbs), f"{engine.net:.2f}", str(engine.arbs)]
            part = found.part.replace("_", " ")
            check.add_row(str(ranks[found.number]), part, *figures, f"{found.net_error:+.2f}")
        say("")
        console.print(check)
    say("")
    say(swept.verdict)


def _headings(keys: list[str]) -> list[str]:
    """Return keys as short as they are unlike one another."""
    for words in range(1, max(key.count(".") for key in keys) + 1):
        short = [".".join(key.split(".")[-words:]) for key in keys]
        if len(set(short)) == len(keys):
            return short
    return keys
