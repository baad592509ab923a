"""`arbot tax`: from history to what is filed: the report bundle, and what other modules add beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import counted, say, shown, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.ledger.lots.words import OpenItem
    from arbot.tax.bundle.report import Report
    from arbot.tax.history import History

app = typer.Typer(name="tax", help="Lots, country rules and filing bundles.", no_args_is_help=True)

ACCEPT_HELP = "Go on although CODE is open (CODE:WHERE for one of them); it is written into the bundle. Repeatable."
ITEMS_SHOWN = 20  # in words; JSON has them all


@app.command()
def report(  # noqa: PLR0917 - one per option
    year: Annotated[int, typer.Option("--year", min=2009, max=2200, help="Tax year; the year it begins in.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the bundle: new, or an earlier bundle.")],
    country: Annotated[str, typer.Option("--country", help="Whose rules: us, uk, de, ca, au.")] = "us",
    method: Annotated[
        str | None, typer.Option("--method", help="fifo, lifo, hifo, lofo, where no order is in the books.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="Ledger file or store URL instead of the config's.")
    ] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", help="account, universal or until-2025; the config's without it.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Whose calendar days, such as America/New_York.")
    ] = None,
    whole_dollars: Annotated[bool, typer.Option("--whole-dollars", help="Round every amount to dollars.")] = False,
    rows: Annotated[str, typer.Option("--rows", help="lots: a row per lot; sale: a row per sale and term.")] = "lots",
    form_1099da: Annotated[
        Path | None, typer.Option("--form-1099da", help="What brokers reported, as CSV.", dir_okay=False)
    ] = None,
    form_1099da_map: Annotated[
        Path | None, typer.Option("--form-1099da-map", help="How to read that CSV, as TOML.", dir_okay=False)
    ] = None,
    totals_without_rows: Annotated[
        bool, typer.Option("--totals-without-rows", help="Lines 1a and 8a for sales that need no correction.")
    ] = False,
    wash_sales: Annotated[bool, typer.Option("--wash-sales", help="Add a shadow report; no figure changes.")] = False,
    rate_default: Annotated[
        str | None, typer.Option("--rate-default", help="What one USD is worth in the country's currency, without fx.")
    ] = None,
    transfer_fees_allowable: Annotated[
        bool, typer.Option("--transfer-fees-allowable", help="Not us: the value of a transfer's fee is a cost.")
    ] = False,
    accept: Annotated[list[str] | None, typer.Option("--accept", help=ACCEPT_HELP, metavar="CODE[:WHERE]")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the filing bundle of a tax year. Nothing is written while an item is open that you did not accept."""
    from arbot.tax.bundle.asked import parse_asked
    from arbot.tax.bundle.report import Refused, write_report

    asked = parse_asked(
        country=country,
        year=year,
        method=method,
        pool=pool,
        timezone=timezone,
        is_in_whole_dollars=whole_dollars,
        rows=rows,
        has_wash_sales=wash_sales,
        is_total_enough=totals_without_rows,
        rate_default=rate_default,
        is_transfer_fee_allowable=transfer_fees_allowable,
        accept=tuple(accept or ()),
    )
    try:
        with history_at(config, ledger) as history:
            made = write_report(history, asked, out, form_1099da, form_1099da_map)
    except Refused as refused:
        _tell_refused(refused.items, as_json=as_json)
        for words in refused.idle:
            tell(words)
        raise typer.Exit(ExitCode.OPEN_ITEMS) from refused
    note_made(config, ledger, f"report {country} {year}")
    _tell_made(made, as_json=as_json)


def note_made(config: Path | None, ledger: str | None, what: str) -> None:
    """Leave word for the daemon when something was made of its own ledger."""
    from arbot.runtime.clock import SystemClock
    from arbot.runtime.state_dir import TaxExport, note_tax_export

    if ledger is None:
        folder = settings_of(config).run.state_dir
        note_tax_export(folder, TaxExport(ts_ns=SystemClock().now_ns(), what=what))


@contextmanager
def history_at(config: Path | None, ledger: str | None) -> Iterator[History]:
    """Open the merged history of a ledger file or URL, else of the config's. Raises: UserError when there is none."""
    from arbot.cli.stores import open_store
    from arbot.tax.history import TaxSettings, open_history

    has_terms = config is not None or ledger is None
    terms = settings_of(config).tax if has_terms else TaxSettings()
    with open_store(config, ledger) as store:
        yield open_history(store, terms)


def _tell_refused(items: tuple[OpenItem, ...], *, as_json: bool) -> None:
    """Say every item: as JSON for programs, in words with the remedy for people."""
    if as_json:
        say(to_json({"ok": False, "open_items": items}))
    tell(f"no bundle was written: {counted(len(items), 'open item')}")
    for item in items[:ITEMS_SHOWN]:
        tell(str(item.mistake))
    if len(items) > ITEMS_SHOWN:
        tell(f"... and {len(items) - ITEMS_SHOWN} more: `--json` prints all of them")
    codes = sorted({item.code for item in items})
    tell(f"settle them, or let them pass by name: {' '.join(f'--accept {code}' for code in codes)}")


def _tell_made(made: Report, *, as_json: bool) -> None:
    """Say what was written; warnings go to stderr."""
    for warning in made.told.warnings[:ITEMS_SHOWN]:
        tell(f"warning: {warning}")
    if len(made.told.warnings) > ITEMS_SHOWN:
        tell(f"... and {len(made.told.warnings) - ITEMS_SHOWN} more in {made.out / 'manifest.json'}")
    accepted = made.told.accepted
    if accepted:
        codes = ", ".join(sorted({item.code for item in accepted}))
        tell(f"warning: {counted(len(accepted), 'open item')} accepted by name ({codes}): see open-items.csv")
    if as_json:
        say(to_json({"ok": True, "out": str(made.out), "files": made.files, "told": made.told}))
        return
    for grid in made.told.grids[:1]:
        for row in (grid.header, *grid.rows):
            say("  ".join(row))
    say(f"{len(made.files) + 1} files in {shown(made.out)}: begin with summary.html")
