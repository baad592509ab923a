"""History in and out of a ledger: `arbot ledger import` and `arbot ledger export`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from arbot.cli import ledger_gaps
from arbot.cli.output import counted, say, shown, tell, to_json
from arbot.cli.stores import LedgerOption, open_store, writable_store
from arbot.cli.where import ConfigOption, JsonOption

if TYPE_CHECKING:
    from arbot.tax.history import History
    from arbot.tax.importing import ImportReport
    from arbot.tax.statements.booking import StatementReport

AUTO = "auto"
CANONICAL = "jsonl"


class ExportFormat(StrEnum):
    """Forms in which history is written."""

    JSONL = "jsonl"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_file)
    app.command("export")(export)
    app.command("gaps")(ledger_gaps.gaps)


def import_file(  # noqa: PLR0917 - one per option
    file: Annotated[Path, typer.Argument(help="History or statement to import.")],
    format_name: Annotated[
        str, typer.Option("--format", help="auto, jsonl, or a venue's statement: kraken-ledgers, coinbase-fills, csv.")
    ] = AUTO,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a file (jsonl) that leaves a balance below zero.")
    ] = False,
    map_path: Annotated[Path | None, typer.Option("--map", help="What a statement cannot say, as TOML.")] = None,
    prices: Annotated[Path | None, typer.Option("--prices", help="USD prices for a statement, as CSV.")] = None,
    account: Annotated[str, typer.Option("--account", help="Account that a statement is about.")] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="Of a statement's times that name none.")] = "UTC",
    keep_ledger: Annotated[
        bool, typer.Option("--keep-ledger", help="Pass over rows of a statement that the ledger has otherwise.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what a statement would bring.")] = False,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Book the history in a file: all of it, or nothing and every mistake. What is booked already changes nothing."""
    _demand_files(file, map_path, prices)
    name = _format_of(file, format_name, has_map=map_path is not None)
    if name == CANONICAL:
        _refuse_statement_options(
            {
                "--map": map_path,
                "--prices": prices,
                "--account": account,
                "--keep-ledger": keep_ledger,
                "--dry-run": dry_run,
            }
        )
        made = _canonical(file, config, ledger, is_strict=strict)
        for warning in made.warnings:
            tell(f"warning: {warning}")
        _tell(made, as_json=as_json)
        return
    from arbot.tax.statements.booking import import_statement
    from arbot.tax.statements.common import Options

    options = Options(account=account, timezone=timezone, map_path=map_path, prices_path=prices)
    with writable_store(config, ledger) as store:
        report = import_statement(file, store, name, options, is_ledger_kept=keep_ledger, is_dry_run=dry_run)
    _tell(report, report.remarks, as_json=as_json)


def export(
    format_name: Annotated[
        ExportFormat, typer.Option("--format", help="jsonl is imported again; csv is for eyes.")
    ] = ExportFormat.JSONL,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; stdout without it.")] = None,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
) -> None:
    """Write the whole history, imported and arbot's own, in order. The same ledger gives the same bytes."""
    from arbot.tax.history import open_history

    with open_store(config, ledger) as store:
        history = open_history(store)
        with _sink(out) as sink:
            count = _write(history, format_name, sink)
        items = history.open_items()
    lines = counted(count, "line")
    tell(lines if out is None else f"{lines} in {shown(out.absolute())}")
    if items:
        tell(f"{counted(len(items), 'open item')}: until settled this is not the whole history (`arbot ledger verify`)")


def _canonical(file: Path, config: Path | None, ledger: str | None, *, is_strict: bool) -> ImportReport:
    from arbot.tax.importing import import_history
    from arbot.tax.strictness import demand_covered

    with writable_store(config, ledger) as store:
        if is_strict:
            demand_covered(file, store)
        return import_history(file, store)


def _demand_files(*paths: Path | None) -> None:
    """Raise UserError for every file that is named and cannot be read, or has nothing in it."""
    from arbot.domain.errors import Mistake, UserError

    mistakes = []
    for path in paths:
        if path is None:
            continue
        try:
            with path.open("rb") as opened:
                if not opened.read(1):
                    mistakes.append(
                        Mistake(path.name, "is empty", "export it again, and look whether it was saved whole")
                    )
        except OSError as error:
            remedy = "name a file that you can read" if path.exists() else "check the path"
            mistakes.append(Mistake(str(path), f"cannot be read: {error.strerror}", remedy))
    if mistakes:
        raise UserError(*mistakes)


def _format_of(file: Path, asked: str, *, has_map: bool) -> str:
    """Return the format by name, or as the file begins. Raises: UserError."""
    from arbot.domain.errors import Mistake, UserError

    if asked == AUTO:
        with file.open("rb") as opened:
            if opened.read(64).lstrip().startswith(b"{"):
                return CANONICAL  # without reading all of it
        from arbot.tax.statements.formats import detect

        return detect(file, has_map=has_map)
    from arbot.tax.statements.formats import READERS

    known = (AUTO, CANONICAL, *READERS)
    if asked not in known:
        raise UserError(Mistake("--format", f"{asked!r} is not known", f"use one of {', '.join(known)}"))
    return asked


def _refuse_statement_options(given: dict[str, object]) -> None:
    from arbot.domain.errors import Mistake, UserError

    mistakes = [
        Mistake(name, "is for a venue's statement, and this is canonical history", "leave it out")
        for name, value in given.items()
        if value
    ]
    if mistakes:
        raise UserError(*mistakes)


def _tell(report: ImportReport | StatementReport, remarks: Sequence[str] = (), *, as_json: bool) -> None:
    if as_json:
        say(to_json(report))
        return
    say(f"{counted(report.lines, 'line')} of {report.source}: {report.new} new, {report.known} booked before")
    for remark in remarks:
        say(remark)


def _write(history: History, form: ExportFormat, sink: TextIO) -> int:
    from arbot.ledger.history.writing import canonical, write_csv

    if form is ExportFormat.CSV:
        return write_csv((placed.line for placed in history.lines()), sink)
    count = 0
    for placed in history.lines():
        sink.write(f"{canonical(placed.line)}\n")
        count += 1
    return count


@contextmanager
def _sink(out: Path | None) -> Iterator[TextIO]:
    """Open a file that appears whole or not at all, or stdout. Raises: UserError."""
    from arbot.domain.errors import Mistake, UserError

    if out is None:
        yield sys.stdout
        return
    draft = out.with_name(out.name + ".new")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as sink:
            yield sink
        draft.replace(out)
    except OSError as error:
        raise UserError(
            Mistake(str(out), f"cannot be written: {error.strerror}", "name a file in a folder of yours")
        ) from error
    finally:
        draft.unlink(missing_ok=True)
