"""The proof of the books: `arbot ledger verify`, the anchor kept elsewhere, and what only a person can tell (`openings`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import counted, say, shown, tell, to_json
from arbot.cli.stores import LedgerOption, open_store
from arbot.cli.where import ConfigOption, JsonOption

if TYPE_CHECKING:
    from arbot.ledger.lots.words import OpenItem

SHOWN_MAX = 20
"""Open items that people are shown; --json has all of them."""


def register(app: typer.Typer) -> None:
    """Add the commands to `arbot ledger`."""
    app.command()(verify)
    app.command()(anchor)
    app.command()(openings)


def verify(
    anchor_file: Annotated[
        Path | None,
        typer.Option("--anchor", help="Anchor kept elsewhere: the journal has to continue it.", dir_okay=False),
    ] = None,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the hash chain, that postings sum to zero, every projection, and the venues' newest balances.

    What only a person can tell (a basis, a price, where coins went) is listed too, and is no fault of the books.
    """
    from rich.console import Console

    from arbot.tax.checking import check_books

    with open_store(config, ledger) as store, Console(stderr=True).status("verifying the journal"):
        found = check_books(store, anchor_file)
    if as_json:
        problems = [str(problem) for problem in found.problems]
        say(to_json({"ok": not problems, "entries": found.entries, "problems": problems, "open_items": found.items}))
    else:
        for problem in found.problems:
            say(str(problem))
        told = counted(len(found.problems), "problem") if found.problems else "all hold together"
        say(f"{found.entries} journal entries: {told}")
        _tell_open(found.items)
    if found.problems:
        raise typer.Exit(ExitCode.LEDGER_PROBLEM)


def anchor(
    out: Annotated[Path, typer.Option("--out", help="File to write; keep it on another machine.", dir_okay=False)],
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write down how far the journal has come, to be kept elsewhere: a chain alone does not show that it was rewritten."""
    from arbot.journal.anchor import Anchor, write_anchor
    from arbot.runtime.clock import SystemClock

    with open_store(config, ledger) as store:
        head = store.head()
    made = Anchor(seq=head.seq, hash=head.hash, epoch=head.epoch, ts_ns=SystemClock().now_ns())
    write_anchor(out.absolute(), made)
    say(to_json(made) if as_json else f"journal {made.seq} {made.hash} in {shown(out.absolute())}")


def openings(config: ConfigOption = None, ledger: LedgerOption = None) -> None:
    """Print a line for everything only a person can tell: complete each "?" and "CHECK", then `arbot ledger import` them."""
    from arbot.tax.history import open_history

    with open_store(config, ledger) as store:
        drafts = open_history(store).drafts
    for draft in drafts:
        say(draft)
    tell(f"{counted(len(drafts), 'line')} to complete" if drafts else "nothing is open")


def _tell_open(items: tuple[OpenItem, ...]) -> None:
    for item in items[:SHOWN_MAX]:
        tell(f"open: {item.mistake}")
    if len(items) > SHOWN_MAX:
        tell(f"... and {len(items) - SHOWN_MAX} more open items: --json has all of them")
