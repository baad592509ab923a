"""`arbot tax order` and `arbot tax pick`: which lots go, in the books before anything is disposed of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.output import say, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.domain.events import LotOrderRecorded, LotsPicked
    from arbot.domain.history import PickedLot
    from arbot.settings.model import Settings

ToldOption = Annotated[bool, typer.Option("--told-broker", help="The broker was told too; from 2027 on it has to be.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `arbot tax`."""
    app.command()(order)
    app.command()(pick)


def order(  # noqa: PLR0917 - one per option
    method: Annotated[str, typer.Argument(help="fifo, lifo, hifo or lofo.")],
    venue: Annotated[str, typer.Option("--venue", help="For one account only.")] = "",
    asset: Annotated[str, typer.Option("--asset", help="For one asset only.")] = "",
    told_broker: ToldOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which units go first from now on. It counts for disposals after this moment, until another order replaces it."""
    from arbot.cli.client import user
    from arbot.domain.errors import Mistake, UserError
    from arbot.domain.events import LotOrderRecorded
    from arbot.domain.history import LotMethod

    try:
        chosen = LotMethod(method.lower())
    except ValueError as error:
        raise UserError(Mistake("METHOD", f"{method!r} is none", "choose fifo, lifo, hifo or lofo")) from error
    event = LotOrderRecorded(method=chosen, venue=venue, asset=asset, is_told_to_broker=told_broker, actor=user())
    _record(settings_of(config), event)
    _hint(told_broker)
    scope = " ".join(part for part in (asset or "all assets", f"at {venue}" if venue else "everywhere") if part)
    facts = {"method": chosen.value, "venue": venue, "asset": asset, "told_broker": told_broker}
    say(to_json(facts) if as_json else f"from now on {chosen.value} for {scope}")


def pick(
    disposal: Annotated[str, typer.Argument(help="Id that the disposal will have: of its order, line or transfer.")],
    lots: Annotated[list[str], typer.Argument(help="LOT=QTY, one or more, in the order in which they go.")],
    told_broker: ToldOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the units that one coming disposal takes. A pick of what has happened already is refused."""
    from arbot.cli.client import user
    from arbot.domain.events import LotsPicked

    event = LotsPicked(disposal=disposal, lots=_parsed(lots), is_told_to_broker=told_broker, actor=user())
    _record(settings_of(config), event)
    _hint(told_broker)
    facts = {"disposal": disposal, "lots": {one.lot: one.qty for one in event.lots}, "told_broker": told_broker}
    say(to_json(facts) if as_json else f"{disposal} takes {', '.join(lots)}")


def _parsed(texts: list[str]) -> tuple[PickedLot, ...]:
    from arbot.domain.errors import Mistake, UserError
    from arbot.domain.history import PickedLot
    from arbot.domain.units import parse_decimal

    found, wrong = [], []
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            found.append(PickedLot(name, parse_decimal(number)))
        except ValueError as error:
            wrong.append(Mistake(text, str(error), "write LOT=QTY, such as kraken:T1=0.5"))
    if wrong:
        raise UserError(*wrong)
    return tuple(found)


def _record(settings: Settings, event: LotOrderRecorded | LotsPicked) -> None:
    """Have a running daemon record it, else record it in a run of its own."""
    from arbot.cli.client import Client
    from arbot.cli.errors import NotRunning
    from arbot.domain.events import LotOrderRecorded
    from arbot.domain.units import fmt

    try:
        client = Client.find(settings.run.state_dir)
        if isinstance(event, LotOrderRecorded):
            client.order_lots(
                method=event.method.value,
                venue=event.venue,
                asset=event.asset,
                is_told_to_broker=event.is_told_to_broker,
            )
        else:
            lots = [{"lot": one.lot, "qty": fmt(one.qty)} for one in event.lots]
            client.pick_lots(disposal=event.disposal, lots=lots, is_told_to_broker=event.is_told_to_broker)
    except NotRunning:
        from arbot.cli.stores import existing_store
        from arbot.runtime.lot_orders import record_choice

        with existing_store(settings):  # a store is not made for it
            pass
        record_choice(settings, event)


def _hint(told_broker: bool) -> None:
    if not told_broker:
        tell("from 2027 on it counts at a U.S. broker only once the broker is told: --told-broker")
