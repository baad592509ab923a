"""`arbot tax figures`: the tax year so far in a few numbers, as the daemon counts them for its metrics."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from arbot.cli.output import say, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

_CENT = Decimal("0.01")


def register(app: typer.Typer) -> None:
    """Add the command to `arbot tax`."""
    app.command(name="figures")(figures)


def figures(
    country: Annotated[
        str | None, typer.Option("--country", help="Whose rules: us, uk, de, ca, au; else the config's.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="Ledger file or store URL instead of the config's.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count open lots, the gain of this tax year, and what has no price or no lot. For a glance, not for filing."""
    from arbot.cli.tax import history_at
    from arbot.runtime.clock import SystemClock
    from arbot.tax.figures import figures as count

    has_terms = config is not None or ledger is None
    rules = country or (settings_of(config).tax.country if has_terms else "us")
    with history_at(config, ledger) as history:
        counted = count(history, rules, SystemClock().now_ns())
    if as_json:
        say(to_json(counted))
        return
    say(f"tax year {counted.year}, {counted.country}: {counted.lines} lines of history")
    say(f"gain, short term     {counted.gain_short.quantize(_CENT):,} {counted.ccy}")
    say(f"gain, long term      {counted.gain_long.quantize(_CENT):,} {counted.ccy}")
    say(f"lots that are open   {', '.join(f'{asset} {count}' for asset, count in counted.open_lots.items()) or 'none'}")
    say(f"events without price {counted.unpriced}")
    lacking = ", ".join(f"{asset} {qty:f}" for asset, qty in counted.unmatched.items())
    say(f"units without a lot  {lacking or 'none'}")
