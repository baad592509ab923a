"""`arbot risk show`: what the risk engine believes, what each disaster would cost, and what every cap has left."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from arbot.cli.output import say, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.observe.risk import RiskView
    from arbot.settings.model import Settings

app = typer.Typer(name="risk", help="What may be lost, and what an edge has to pay for it.", no_args_is_help=True)
CENT, GRAIN = Decimal("0.01"), Decimal("0.0001")


def register(root: typer.Typer) -> None:
    """Add the commands to the command line."""
    root.add_typer(app)


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print evidence, tails, stress losses and exposures: of the running daemon, else of the store."""
    import msgspec

    from arbot.cli.client import Client
    from arbot.cli.errors import NotRunning
    from arbot.observe.risk import RiskView

    settings = settings_of(config)
    try:
        view = msgspec.json.decode(Client.find(settings.run.state_dir).risk(), type=RiskView)
        is_live = True
    except NotRunning:
        view = _from_store(settings)
        is_live = False
    if as_json:
        say(to_json(view))
        return
    if not is_live:
        tell("no daemon runs: this is what its store remembers; exposures and stress losses need its books")
    for line in _told(view, is_live=is_live):
        say(line)


def _from_store(settings: Settings) -> RiskView:
    """Return what outlives a run: evidence, and what follows from it. Raises: UserError without a store."""
    from arbot.cli.stores import existing_store
    from arbot.observe.risk import remembered

    with existing_store(settings) as store:
        standing = store.standing()
    symbols = [(config.venue, symbol) for config in settings.venue_configs() for symbol in config.symbols]
    return remembered(settings.engine_config(), symbols, () if standing is None else standing.evidence)


def _told(view: RiskView, *, is_live: bool) -> list[str]:
    """Return the view in words and columns."""
    lines = ["Legs: what was believed at first, and what our own orders have taught since"]
    lines += _columns(
        (
            "instrument",
            ">legs seen",
            ">P(fail) at first",
            ">now",
            ">unwind bps at first",
            ">now",
            ">ms at first",
            ">now",
        ),
        [
            (
                row.instrument,
                _short(row.legs, CENT),
                _short(row.fail_prior, GRAIN),
                _short(row.fail, GRAIN),
                _short(row.unwind_bps_prior, CENT),
                _short(row.unwind_bps, CENT),
                _short(row.latency_ms_prior, CENT),
                _short(row.latency_ms, CENT),
            )
            for row in view.evidence
        ],
    )
    lines += ["", "Tail: what an edge has to pay on top of fees and the strategy's minimum"]
    lines += _columns((">bps", "buy", "sell"), [(_short(row.tail_bps, GRAIN), row.buy, row.sell) for row in view.tails])
    return lines + _live(view) if is_live else lines


def _live(view: RiskView) -> list[str]:
    ccy = view.ccy
    lines = [
        "",
        f"Capital {_short(view.capital, CENT)} {ccy}; open residuals lose {_short(view.loss_open, CENT)} {ccy} now",
    ]
    if view.unpriced:
        lines.append(f"Held without a price, so nothing is opened: {', '.join(view.unpriced)}")
    lines += ["", "Stress: what each disaster would cost now, and may cost"]
    lines += _columns(
        (f">loss {ccy}", f">budget {ccy}", "scenario", "at", "what happens"),
        [(_short(row.loss, CENT), _short(row.budget, CENT), row.scenario, row.node, row.words) for row in view.stress],
    )
    lines += ["", "Exposure: what stands on each node, and its cap"]
    lines += _columns(
        (f">value {ccy}", f">cap {ccy}", "kind", "node"),
        [
            (_short(row.value, CENT), "none" if row.limit is None else _short(row.limit, CENT), row.kind, row.node)
            for row in view.exposures
        ],
    )
    lines += ["", "Pennies per steamroller: expected profit over stress loss, by pair of venues, since the start"]
    if not view.pennies:
        return [*lines, "no arb was opened"]
    return lines + _columns(
        ("buy at", "sell at", ">arbs", f">expected {ccy}", f">stress loss {ccy}", ">ratio"),
        [
            (
                row.buy_venue,
                row.sell_venue,
                str(row.arbs),
                _short(row.expected, CENT),
                _short(row.stress_loss, CENT),
                _short(row.ratio, GRAIN),
            )
            for row in view.pennies
        ],
    )


def _short(number: Decimal, grain: Decimal) -> str:
    return f"{number.quantize(grain):,f}"


def _columns(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return columns as wide as they need to be; a head beginning with > aligns right."""
    cells = [tuple(head.lstrip(">") for head in heads), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if head.startswith(">") else cell.ljust(width)
            for cell, width, head in zip(row, widths, heads, strict=True)
        ).rstrip()
        for row in cells
    ]
