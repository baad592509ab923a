"""`arbot tax export`: history and gains as files for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import counted, say, shown, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption

if TYPE_CHECKING:
    from arbot.ledger.lots.words import OpenItem
    from arbot.tax.formats.exporting import Exported

ITEMS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command to `arbot tax`."""
    app.command(name="export")(export)


def export(  # noqa: PLR0917 - one per option
    format_: Annotated[str, typer.Option("--format", help="Program to write for; `list` names them.")],
    out: Annotated[Path | None, typer.Option("--out", help="File, or folder for a file per account.")] = None,
    year: Annotated[int | None, typer.Option("--year", min=2009, max=2200, help="Only this year.")] = None,
    country: Annotated[str, typer.Option("--country", help="Whose rules, for gains and lots: us.")] = "us",
    method: Annotated[str | None, typer.Option("--method", help="fifo, lifo, hifo, lofo, for gains and lots.")] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", help="account, universal or until-2025; the config's without it.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Whose calendar days, such as America/New_York.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="Ledger file or store URL instead of the config's.")
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", help="Go on although CODE is open. Repeatable.", metavar="CODE[:WHERE]"),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write history or gains for another tax program. What its format cannot say is told, never dropped in silence."""
    from arbot.tax.formats.tables import FORMATS

    if format_ == "list":
        for name, known in FORMATS.items():
            say(f"{name:<22} .{known.suffix:<10} {known.title}")
        return
    from arbot.cli.tax import history_at, note_made
    from arbot.domain.errors import Mistake, UserError
    from arbot.tax.bundle.asked import parse_asked
    from arbot.tax.bundle.report import Refused
    from arbot.tax.formats.exporting import Wanted, check
    from arbot.tax.formats.exporting import export as make

    if out is None:
        raise UserError(Mistake("--out", "is missing", "name the file or folder to write, such as --out koinly.csv"))
    asked = parse_asked(
        country=country, year=year or 0, method=method, pool=pool, timezone=timezone, accept=tuple(accept or ())
    )
    wanted = Wanted(format=format_, out=out, year=year, asked=asked)
    check(wanted)
    try:
        with history_at(config, ledger) as history:
            made = make(history, wanted)
    except Refused as refused:
        _tell_open("nothing was written", refused.items, as_json=as_json)
        for words in refused.idle:
            tell(words)
        raise typer.Exit(ExitCode.OPEN_ITEMS) from refused
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UserError(Mistake(f"--out {out}", what, "name a place you may write to")) from error
    note_made(config, ledger, f"export {format_}")
    _tell_made(made, as_json=as_json)


def _tell_open(what: str, items: tuple[OpenItem, ...] | list[OpenItem], *, as_json: bool) -> None:
    if as_json:
        say(to_json({"ok": False, "open_items": items}))
    _list_open(f"{what}: {counted(len(items), 'open item')}", items)
    codes = sorted({item.code for item in items})
    tell(f"settle them, or let them pass by name: {' '.join(f'--accept {code}' for code in codes)}")


def _list_open(what: str, items: Sequence[OpenItem]) -> None:
    tell(what)
    for item in items[:ITEMS_SHOWN]:
        tell(str(item.mistake))
    if len(items) > ITEMS_SHOWN:
        tell(f"... and {len(items) - ITEMS_SHOWN} more: `--json` prints all of them")


def _open_words(made: Exported) -> str:
    count = (
        "1 item of the history is" if len(made.open_items) == 1 else f"{len(made.open_items)} items of the history are"
    )
    return f"{count} open, and the file is only as good as they are"


def _tell_made(made: Exported, *, as_json: bool) -> None:
    for warning in made.warnings:
        tell(f"warning: {warning}")
    for loss in made.losses:
        tell(str(loss))
    if made.open_items:
        _list_open(f"warning: {_open_words(made)}", made.open_items)
    if as_json:
        files = [{"path": str(one.path), "rows": one.rows} for one in made.files]
        losses = [{"code": one.code, "count": one.count, "first": one.first} for one in made.losses]
        say(to_json({"ok": True, "files": files, "losses": losses, "open_items": made.open_items}))
        return
    for one in made.files:
        say(f"{shown(one.path)}: {counted(one.rows, 'row')}")
