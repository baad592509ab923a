"""`arbot ledger gaps`: what a venue's statement has and the ledger lacks, the other way round, and where balances break."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, to_json
from arbot.cli.stores import LedgerOption, open_store
from arbot.cli.where import ConfigOption, JsonOption

if TYPE_CHECKING:
    from arbot.tax.statements.common import Statement
    from arbot.tax.statements.gaps import GapReport

AUTO = "auto"
SHOWN_MAX = 20
"""Lines of each sort that people are shown; --json has all of them."""


def gaps(  # noqa: PLR0917 - one per option
    file: Annotated[Path, typer.Argument(help="A venue's statement.", exists=True, dir_okay=False)],
    format_name: Annotated[str, typer.Option("--format", help="auto, kraken-ledgers, coinbase-fills or csv.")] = AUTO,
    map_path: Annotated[
        Path | None, typer.Option("--map", help="What a statement cannot say, as TOML.", exists=True, dir_okay=False)
    ] = None,
    account: Annotated[str, typer.Option("--account", help="Account that the statement is about.")] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="Of the statement's times that name none.")] = "UTC",
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a venue's statement with the ledger, event by event and balance by balance. Nothing is written."""
    from arbot.domain.errors import UserError
    from arbot.tax.history import open_history
    from arbot.tax.statements.common import Options
    from arbot.tax.statements.formats import READERS
    from arbot.tax.statements.gaps import report

    name = _format_of(file, format_name, has_map=map_path is not None)
    statement = READERS[name](file, Options(account=account, timezone=timezone, map_path=map_path))
    if statement.mistakes:
        raise UserError(*statement.mistakes)
    with open_store(config, ledger) as store:
        found = report(statement, (placed.line for placed in open_history(store).lines()))
    say(to_json(_facts(statement, found)) if as_json else _words(statement, found))
    if not found.is_whole:
        raise typer.Exit(ExitCode.LEDGER_PROBLEM)


def _format_of(file: Path, asked: str, *, has_map: bool) -> str:
    """Return the format by name, or as the file begins. Raises: UserError when it is no statement."""
    from arbot.domain.errors import Mistake, UserError
    from arbot.tax.statements.formats import READERS, detect

    name = detect(file, has_map=has_map) if asked == AUTO else asked
    if name not in READERS:
        known = ", ".join((AUTO, *READERS))
        raise UserError(Mistake(file.name, f"{name} is no format of a statement", f"use --format with one of {known}"))
    return name


def _facts(statement: Statement, found: GapReport) -> dict[str, Any]:
    return {
        "source": statement.path.name,
        "first_ts": found.first_ts,
        "last_ts": found.last_ts,
        "agreeing": found.agreeing,
        "missing_in_ledger": [{"where": where, "id": line_id} for where, line_id in found.missing_in_ledger],
        "missing_in_statement": found.missing_in_statement,
        "conflicts": [str(conflict.mistake) for conflict in found.conflicts],
        "diverging": [str(break_) for break_ in found.diverging],
        "passed": statement.passed,
    }


def _words(statement: Statement, found: GapReport) -> str:
    parts = [
        f"{statement.path.name}, {found.first_ts or 'no line'} to {found.last_ts or 'none'}: lines that agree: {found.agreeing}",
        *(f"  {rows} rows without effect: {reason}" for reason, rows in statement.passed.items()),
        *_some("only in the statement", [f"{line_id} ({where})" for where, line_id in found.missing_in_ledger]),
        *_some("only in the ledger", found.missing_in_statement),
        *_some("told differently", [str(conflict.mistake) for conflict in found.conflicts]),
        *_some("balance does not follow", [str(break_) for break_ in found.diverging]),
    ]
    return "\n".join(parts)


def _some(title: str, lines: list[str]) -> list[str]:
    shown = [f"{title}: {line}" for line in lines[:SHOWN_MAX]]
    return shown if len(lines) <= SHOWN_MAX else [*shown, f"{title}: {len(lines) - SHOWN_MAX} more, see --json"]
