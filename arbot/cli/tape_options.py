"""What commands that replay tapes let a person say about them, and how what was said opens the data.

Option texts come in as typed; times without a zone are UTC. Imports stay inside, so that --help is quick.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.parsing import pairs

if TYPE_CHECKING:
    from arbot.backtest.tapes import Allowances

TapesArgument = Annotated[
    list[Path], typer.Argument(help="Catalogues, folders or files of recorded data.", show_default=False)
]
SymbolOption = Annotated[
    list[str] | None, typer.Option("--symbol", help="Trade this instead of the config's.", show_default=False)
]
MapOption = Annotated[str | None, typer.Option("--map", help="Who plays whom: kraken=bitfinex.", show_default=False)]
FromOption = Annotated[str, typer.Option("--from", help="Trade from this UTC time on; earlier data fills the books.")]
ToOption = Annotated[str, typer.Option("--to", help="Stop at this UTC time, such as 2026-01-05T12:00.")]
CacheOption = Annotated[bool, typer.Option("--cache/--no-cache", help="Keep raw columns beside the tape.")]
InspectOption = Annotated[
    bool, typer.Option("--inspect/--no-inspect", help="Look for faults in the data first; errors refuse.")
]
DespiteErrorsOption = Annotated[
    bool, typer.Option("--despite-errors", help="Go on in spite of errors found in the data; the result says so.")
]
RepairOption = Annotated[bool, typer.Option("--repair", help="Leave out damaged rows and files, with a count.")]
AssumeQtyOption = Annotated[
    str, typer.Option("--assume-qty", help="Base quantity to pretend where no size was recorded.")
]
BarsOption = Annotated[bool, typer.Option("--i-know-bars-are-not-executable", help="Fill against bars all the same.")]
DerivativesOption = Annotated[
    bool, typer.Option("--derivatives-as-spot", help="Treat futures and perpetuals as if they were spot.")
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def allowances(*, bars: bool, derivatives: bool, assume_qty: str, repair: bool, first: str, last: str) -> Allowances:
    """Return what was said about the data. Raises: typer.BadParameter."""
    from arbot.backtest.tapes import FOR_EVER_NS, Allowances
    from arbot.domain.units import ZERO, parse_decimal

    try:
        qty = parse_decimal(assume_qty) if assume_qty else ZERO
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--assume-qty") from error
    if qty < 0:
        raise typer.BadParameter(f"{assume_qty} is below zero", param_hint="--assume-qty")
    first_ts_ns = time_ns(first, "--from") if first else 0
    last_ts_ns = time_ns(last, "--to") if last else FOR_EVER_NS
    if last_ts_ns <= first_ts_ns:
        raise typer.BadParameter(f"{last} is not after {first}", param_hint="--to")
    return Allowances(
        bars=bars,
        derivatives=derivatives,
        assume_qty=qty,
        repair=repair,
        first_ts_ns=first_ts_ns,
        last_ts_ns=last_ts_ns,
    )


def mapping_of(text: str | None) -> dict[str, str]:
    """Return which recorded venue plays which of ours. Raises: typer.BadParameter."""
    return pairs(text, "--map") if text else {}


def time_ns(text: str, option: str) -> int:
    """Return a UTC time as ns. Raises: typer.BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a time: {error}", param_hint=option) from error
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // _US * 1_000


def cache_dir_of(tapes: list[Path], otherwise: Path | None = None) -> Path | None:
    """Return where raw columns are kept: in the first catalogue or beside the first file; `otherwise` if none can be."""
    first = tapes[0].resolve()
    folder = first if first.is_dir() else first.parent
    return folder / ".cache" if os.access(folder, os.W_OK) else otherwise
