"""What the books of account say: balances, trades, and whether everything holds together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from arbot.cli import ledger_backup, ledger_history, ledger_proof, parsing
from arbot.cli.output import say, tell, to_json
from arbot.cli.stores import LedgerOption, open_store
from arbot.cli.where import ConfigOption, JsonOption, settings_of

app = typer.Typer(name="ledger", help="Balances, trades, history and their proof.", no_args_is_help=True)
ledger_history.register(app)
ledger_proof.register(app)
ledger_backup.register(app)


@app.command()
def balances(config: ConfigOption = None, ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """Print the sum of every ledger account by asset."""
    from arbot.domain.units import fmt

    with open_store(config, ledger) as store:
        rows = store.all_balances()
    if as_json:
        say(to_json([{"account": account, "asset": asset, "number": number} for account, asset, number in rows]))
        return
    _table(("account", "asset", ">number"), [(account, asset, fmt(number)) for account, asset, number in rows])


@app.command()
def trades(
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest.")] = 50,
) -> None:
    """Print the newest fills of arbot itself, oldest first."""
    from arbot.domain.units import fmt

    with open_store(config, ledger) as store:
        rows = store.trades(limit=limit)
    if as_json:
        say(to_json(rows))
        return
    if not rows:
        tell("arbot itself has no fills here; what was imported is in `arbot ledger export`")
        return
    _table(
        ("time UTC", "venue", "instrument", "side", ">qty", ">price", ">fee", "fee in", "trade id"),
        [
            (
                _utc(row.fill.venue_ts_ns),
                row.fill.venue,
                row.fill.instrument,
                row.fill.side.value,
                fmt(row.fill.qty),
                fmt(row.fill.price),
                fmt(row.fill.fee.number),
                row.fill.fee.asset,
                row.fill.trade_id,
            )
            for row in rows
        ],
    )


@app.command(context_settings={"ignore_unknown_options": True})
def adjust(  # noqa: PLR0917 - one per option
    venue: Annotated[str, typer.Argument(help="Venue of the config.")],
    asset: Annotated[str, typer.Argument(help="Asset, such as BTC.")],
    qty: Annotated[str, typer.Argument(help="What the ledger lacks; negative when it has too much.")],
    reason: Annotated[str, typer.Option("--reason", help="What explains the difference.", callback=parsing.reason)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Book a difference between ledger and venue whose cause you know. A running daemon compares again at once."""
    from arbot.cli.client import Client, user
    from arbot.cli.errors import NotRunning
    from arbot.domain.errors import Mistake, UserError
    from arbot.domain.events import AdjustmentRecorded
    from arbot.domain.ids import VenueId
    from arbot.domain.units import parse_decimal

    settings = settings_of(config)
    try:
        number = parse_decimal(qty)
    except ValueError as error:
        raise UserError(Mistake("qty", str(error), "write a plain number such as -0.25")) from error
    try:
        Client.find(settings.run.state_dir).adjust(venue=venue, asset=asset, qty=qty, reason=reason)
    except NotRunning:
        from arbot.cli.stores import existing_store
        from arbot.runtime.adjust import record_adjustment

        with existing_store(settings):  # a store is not made for an adjustment
            pass
        adjustment = AdjustmentRecorded(venue=VenueId(venue), asset=asset, qty=number, reason=reason, actor=user())
        record_adjustment(settings, adjustment)
    facts = {"venue": venue, "asset": asset, "qty": qty, "reason": reason}
    say(to_json(facts) if as_json else f"booked {qty} {asset} at {venue}: {reason}")


def _utc(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print columns as wide as they need to be: money is never cut off. A name beginning with > aligns right."""
    cells = [tuple(column.lstrip(">") for column in columns), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            cell.rjust(width) if column.startswith(">") else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        say("  ".join(padded).rstrip())
