"""`arbot data inspect`: what recorded data is worth, as a table, as JSON, and as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from arbot.cli.findings import finding_lines
from arbot.cli.output import say, tell, tell_first_compile, to_json
from arbot.cli.where import JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from arbot.tape.importing.contract import Finding
    from arbot.tape.inspect.pairs import PairStats
    from arbot.tape.inspect.report import Inspection

FRESH_S_MIN = 0.1
PAIRS_SHOWN = 40
PLAIN_WIDTH = 200  # columns when the output is no terminal
COLUMN_GAP = 3
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def inspect_command(  # noqa: PLR0917 - one per option
    paths: Annotated[list[Path], typer.Argument(help="Folders of recorded or imported data, or single files.")],
    fresh: Annotated[
        str, typer.Option("--fresh", help="A quote older than this counts as gone: 5s, 500ms, 3m.")
    ] = "5s",
    pairs: Annotated[
        str, typer.Option("--pairs", help="same-quote, or all: also pairs of unlike quotes or with a future.")
    ] = "same-quote",
    gap: Annotated[str, typer.Option("--gap", help="A longer step without a message is a gap.")] = "60s",
    html: Annotated[Path | None, typer.Option("--html", help="Write a page to look at.", show_default=False)] = None,
    remove_crossed: Annotated[
        bool, typer.Option("--remove-crossed", help="Compare as if rows with bid above ask had never come.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show coverage, faults, and the edge between venues. Exit status 0 clean, 1 warnings, 2 errors in the data."""
    tell_first_compile()
    options_told = _options(fresh, pairs, gap, removes_crossed=remove_crossed)
    from arbot.tape.inspect.findings import exit_status
    from arbot.tape.inspect.load import load
    from arbot.tape.inspect.report import inspect

    loaded = load(paths)
    with _Bar() as bar:
        looked = inspect(loaded.datasets, loaded.imports, options_told, bar, loaded.damage)
    if html is not None:
        from arbot.tape.inspect.page import page

        html.write_text(page(looked, ", ".join(path.name or str(path) for path in paths)), encoding="utf-8")
        tell(f"wrote {html}")
    if as_json:
        say(to_json(looked.inspection))
    else:
        show(looked.inspection)
    raise typer.Exit(exit_status(looked.inspection.findings))


def seconds(text: str, where: str, least_s: float) -> float:
    """Return a length of time such as 5s, 500ms or 3m in seconds; a bare number is seconds. Raises: UserError."""
    from arbot.domain.errors import Mistake, UserError

    word = text.strip()
    unit = next((name for name in ("ms", "s", "m", "h") if word.endswith(name)), "")
    try:
        value = float(word.removesuffix(unit)) * _UNITS_S[unit or "s"]
    except ValueError as error:
        raise UserError(Mistake(where, f"{text!r} is no length of time", "write 5s, 500ms or 3m")) from error
    if not least_s <= value < 10**7:
        raise UserError(Mistake(where, f"{text} is out of range", f"give {least_s:g}s or more"))
    return value


def _options(fresh: str, pairs: str, gap: str, *, removes_crossed: bool) -> Any:
    from arbot.domain.errors import Mistake, UserError
    from arbot.tape.inspect.report import Options

    if pairs not in ("same-quote", "all"):
        raise UserError(Mistake("--pairs", f"{pairs!r} is neither same-quote nor all", "give one of the two"))
    return Options(
        fresh_s=seconds(fresh, "--fresh", FRESH_S_MIN),
        is_every_pair=pairs == "all",
        removes_crossed=removes_crossed,
        gap_s=seconds(gap, "--gap", 1.0),
    )


def show(found: Inspection) -> None:
    """Print an inspection as tables."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    _series(console, found)
    _bars(console, found)
    _pairs(console, found)
    _findings(found.findings)


def _series(console: Console, found: Inspection) -> None:
    if not found.series:
        return
    _print(
        console,
        "Series",
        (
            "series", ">messages", ">hours", ">step s\nmedian", ">step s\nlargest", ">gaps", ">crossed", ">locked", ">repeats",
            ">spread bps\nmedian", ">spread bps\np99", ">delay\nms",
        ),
        [
            (
                one.name, f"{one.quotes:,}", f"{one.window_h:.3f}", f"{one.step_median_s:.2f}", f"{one.step_max_s:,.1f}",
                str(one.gaps), str(one.crossed), str(one.locked), f"{one.repeats:,}", f"{one.spread_median_bps:.2f}",
                f"{one.spread_p99_bps:.1f}",
                f"{one.lag_ms['p50']:.0f}" if one.clocks.value == "both" and one.has_venue_share > 0 else "-",
            )
            for one in found.series
        ],
        (">hours", ">locked", ">spread bps\np99", ">repeats", ">step s\nlargest", ">delay\nms", ">gaps"),
    )  # fmt: skip


def _bars(console: Console, found: Inspection) -> None:
    if found.bars:
        _print(
            console,
            "Bars (not executable)",
            ("bars", ">rows", ">missing", ">without a trade", ">volume a day"),
            [
                (
                    one.name,
                    f"{one.rows:,}",
                    f"{one.bars_missing:,}",
                    f"{one.zero_volume:,}",
                    f"{one.volume_per_day:,.0f}",
                )
                for one in found.bars
            ],
        )


def _pairs(console: Console, found: Inspection) -> None:
    ordered = sorted(found.pairs, key=lambda one: (-one.above[1].both.time_share, -one.above[0].both.time_share, one.a))
    kinds = {pair.pair_class for pair in ordered}
    rows = []
    for pair in ordered[:PAIRS_SHOWN]:
        mid = "/".join(f"{pair.mid_diff_bps[name]:.1f}" for name in ("p1", "p50", "p99"))
        edge = "/".join(f"{pair.edge_bps[name]:.1f}" for name in ("p50", "p99", "max"))
        above = [
            f"{100 * one.both.time_share:.2f} % {one.both.windows:5,}" if one.both.windows else "-"
            for one in pair.above
        ]
        kind = (pair.pair_class,) if len(kinds) > 1 else ()
        rows.append(
            (_pair_name(pair), *kind, f"{pair.valid_h:.3f}", f"{100 * pair.usable_share:.1f}", mid, edge, *above)
        )
    if rows:
        _print(
            console,
            f"Pairs: quotes at most {found.options.fresh_s:g} s old; share of that time with an edge above, and its windows",
            (
                "A - B", *(("class",) if len(kinds) > 1 else ()), ">hours", ">usable %", ">A above B bps\np1/p50/p99",
                ">edge bps\np50/p99/max", *(f">> {one.above_bps:g} bps" for one in ordered[0].above),
            ),
            rows,
            ("class", ">hours", ">> 100 bps", ">> 50 bps", ">usable %", ">> 25 bps", ">A above B bps\np1/p50/p99"),
        )  # fmt: skip
    if len(ordered) > PAIRS_SHOWN:
        say(f"... and {len(ordered) - PAIRS_SHOWN} pairs with less; --json has all")
    if found.pairs_kept_out:
        told = ", ".join(f"{count} {name}" for name, count in found.pairs_kept_out.items())
        say(f"left out, basis or conversion rather than an edge (--pairs all): {told}\n")


def _pair_name(pair: PairStats) -> str:
    """Return BTC/USD kraken - coinbase for one market on two venues."""
    one, _, venue = pair.a.rpartition("@")
    other, _, other_venue = pair.b.rpartition("@")
    return f"{one} {venue} - {other_venue}" if one == other else f"{pair.a} - {pair.b}"


def _findings(findings: Sequence[Finding]) -> None:
    if not findings:
        say("nothing is wrong with it that could be seen")
        return
    counts = {name: sum(one.severity.value == name for one in findings) for name in ("error", "warn", "info")}
    say(f"Findings: {counts['error']} errors, {counts['warn']} warnings, {counts['info']} remarks\n")
    for line in finding_lines(findings):
        say(line)


def _print(
    console: Console, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()
) -> None:
    """Print a table; a head that begins with > is a column of numbers. Of `spare` as many go as the terminal is too narrow."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    kept = _that_fit(console.width, heads, rows, spare)
    left_out = ", ".join(head.strip("> ").replace("\n", " ") for at, head in enumerate(heads) if at not in kept)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for at in kept:
        is_number = heads[at].startswith(">")
        table.add_column(Text(heads[at].removeprefix(">")), justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        table.add_row(*(Text(row[at]) for at in kept))
    console.print(table)
    if left_out:
        say(f"no room for: {left_out}; --json has all\n")


def _that_fit(width: int, heads: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str]) -> list[int]:
    """Return the columns that a terminal has room for, giving up those of `spare` one after the other."""
    widths = [
        max(len(line) for cell in (head.removeprefix(">"), *(row[at] for row in rows)) for line in cell.split("\n"))
        for at, head in enumerate(heads)
    ]
    kept = list(range(len(heads)))
    for head in spare:
        if sum(widths[at] + COLUMN_GAP for at in kept) <= width:
            break
        if head in heads:
            kept.remove(heads.index(head))
    return kept


class _Bar:
    """A progress bar on stderr, for terminals only."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, disable=not console.is_terminal, transient=True,
        )  # fmt: skip
        self._task: Any = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, what: str, total: int) -> None:
        """Begin a phase."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total or None)

    def advance(self, done: int) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=done)


def register(app: typer.Typer) -> None:
    """Add the command to `arbot data`."""
    app.command("inspect")(inspect_command)
