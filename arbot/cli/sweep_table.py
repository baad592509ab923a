"""What a sweep came to, for people: a table of the best settings, the check against full replays, and a CSV of everything."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from arbot.cli.output import say

if TYPE_CHECKING:
    from rich.table import Table

    from arbot.backtest.sweep import Swept

FIGURES = ("net", "edge", "slippage", "unwinds", "fees", "drawdown", "arbs", "missed", "one_sided", "stranded")
NS_PER_S = 1_000_000_000


def write_csv(swept: Swept, path: Path) -> None:
    """Write every setting with all its figures, the best of the tuned part first."""
    keys = list(swept.ranked[0].values)
    has_held_out = len(swept.parts) > 1
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        held = ["rank_held_out", *(f"held_out_{name}" for name in FIGURES)] if has_held_out else []
        writer.writerow(["rank", *keys, *(f"tuned_{name}" for name in FIGURES), *held])
        for one in swept.ranked:
            row = [one.rank, *one.values.values(), *(getattr(one.tuned, name) for name in FIGURES)]
            if has_held_out:
                row += [one.rank_held_out, *(getattr(one.held_out, name) for name in FIGURES)]
            writer.writerow(row)


def show(swept: Swept, top: int) -> None:
    """Print the best settings, the check against full replays, and what the held-out part says."""
    from rich.console import Console

    console = Console(highlight=False)
    for part in swept.parts:
        seconds = (part.stop_ts_ns - part.first_ts_ns) // NS_PER_S
        say(f"{_words(part.name):9} {_utc(part.first_ts_ns)} to {_utc(part.stop_ts_ns)} UTC, {seconds:,} s")
    by = "one compiled pass, an approximation" if swept.judge == "kernel" else "full replays"
    say(f"{swept.settings} settings judged by {by}; net profit of arbs in {swept.ccy}, best of the tuned part first")
    say("")
    console.print(_ranking(swept, top))
    if swept.checked:
        say("")
        say("The best replayed in full. Where the two differ the full replay counts:")
        console.print(_check(swept))
    for warning in swept.warnings:
        say(f"warning: {warning}")
    say("")
    say(swept.verdict)


def _ranking(swept: Swept, top: int) -> Table:
    from rich.table import Table

    has_held_out = len(swept.parts) > 1
    table = Table(box=None, pad_edge=False)
    titles = ["#", *_headings(list(swept.ranked[0].values)), "net", "arbs", "missed"]
    titles += ["held out: net", "arbs", "#"] if has_held_out else []
    rows = []
    for one in swept.ranked[:top]:
        row = [str(one.rank), *one.values.values(), f"{one.tuned.net:,.2f}", str(one.tuned.arbs), str(one.tuned.missed)]
        if has_held_out:
            row += [f"{one.held_out.net:,.2f}", str(one.held_out.arbs), str(one.rank_held_out)]
        rows.append(row)
    for title, cells in zip(titles, zip(*rows, strict=True), strict=True):
        # on a narrow terminal titles are folded, never figures
        table.add_column(title, justify="right", overflow="fold", min_width=max(map(len, cells)))
    for row in rows:
        table.add_row(*row)
    return table


def _check(swept: Swept) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("#", "part", "one pass: net", "arbs", "full replay: net", "arbs", "difference"):
        table.add_column(title, justify="left" if title == "part" else "right")
    ranks = {one.number: one.rank for one in swept.ranked}
    for found in swept.checked:
        kernel, engine = found.kernel, found.engine
        figures = [f"{kernel.net:,.2f}", str(kernel.arbs), f"{engine.net:,.2f}", str(engine.arbs)]
        table.add_row(str(ranks[found.number]), _words(found.part), *figures, f"{found.net_error:+,.2f}")
    return table


def _headings(keys: list[str]) -> list[str]:
    """Return keys as short as they are unlike one another."""
    for words in range(1, max(key.count(".") for key in keys) + 1):
        short = [".".join(key.split(".")[-words:]) for key in keys]
        if len(set(short)) == len(keys):
            return short
    return keys


def _words(name: str) -> str:
    return name.replace("_", " ")


def _utc(ts_ns: int) -> str:
    return dt.datetime.fromtimestamp(ts_ns // NS_PER_S, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
