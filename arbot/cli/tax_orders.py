"""`arbot tax order` and `arbot tax pick`: which lots go, in the books before anything is disposed of.

Rules of this file:
- What a broker has to be told is printed with the choice, for every account that a broker keeps, until it is recorded that
  the broker was told. Whether an account is one is said by [tax.custody]; a ledger file without a configuration has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.output import say, tell, to_json
from arbot.cli.stores import LedgerOption, ledger_url
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
    ledger: LedgerOption = None,
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
    _record(config, ledger, event)
    texts = [] if told_broker else _order_texts(event, config, ledger)
    scope = " ".join(part for part in (asset or "all assets", f"at {venue}" if venue else "everywhere") if part)
    facts = {"method": chosen.value, "venue": venue, "asset": asset, "told_broker": told_broker}
    _tell(facts, f"from now on {chosen.value} for {scope}", texts, as_json=as_json)


def pick(  # noqa: PLR0917 - one per option
    disposal: Annotated[str, typer.Argument(help="Id that the disposal will have: of its order, line or transfer.")],
    lots: Annotated[list[str], typer.Argument(help="LOT=QTY, one or more, in the order in which they go.")],
    told_broker: ToldOption = False,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the units that one coming disposal takes. A pick of what has happened already is refused."""
    from arbot.cli.client import user
    from arbot.domain.events import LotsPicked

    event = LotsPicked(disposal=disposal, lots=_parsed(lots), is_told_to_broker=told_broker, actor=user())
    _record(config, ledger, event)
    texts = [] if told_broker else _pick_texts(event, config, ledger)
    facts = {"disposal": disposal, "lots": {one.lot: one.qty for one in event.lots}, "told_broker": told_broker}
    _tell(facts, f"{disposal} takes {', '.join(lots)}", texts, as_json=as_json)


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


def _record(config: Path | None, ledger: str | None, event: LotOrderRecorded | LotsPicked) -> None:
    """Record a choice in a ledger file; without one in the config's store, by a running daemon if there is one."""
    if ledger is None:
        _record_in_run(settings_of(config), event)
        return
    from arbot.cli.stores import open_store
    from arbot.runtime.lot_orders import record_choice_in

    with open_store(None, ledger):  # a store is not made for it
        pass
    settings = settings_of(config) if config else None
    known = (*settings.venues, *settings.tax.custody) if settings else ()
    record_choice_in(ledger_url(ledger), event, known)


def _record_in_run(settings: Settings, event: LotOrderRecorded | LotsPicked) -> None:
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


# --- what the broker is told -----------------------------------------------------------------------------------------


def _order_texts(event: LotOrderRecorded, config: Path | None, ledger: str | None) -> list[str]:
    """Return the order as each broker has to be told it."""
    from arbot.cli.stores import open_store
    from arbot.ledger.jurisdictions.us.instruction import is_custodial, order_instruction
    from arbot.runtime.lot_orders import own_accounts

    custody, accounts = _custody(config, ledger)
    if event.venue:
        accounts = [event.venue]
    else:
        with open_store(config, ledger) as store:
            accounts = list(dict.fromkeys((*accounts, *own_accounts(store))))
    return [order_instruction(event, account) for account in accounts if is_custodial(account, custody)]


def _pick_texts(event: LotsPicked, config: Path | None, ledger: str | None) -> list[str]:
    """Return the pick as the broker has to be told it; nothing where the disposal's account is no broker's."""
    from arbot.cli.stores import open_store
    from arbot.ledger.jurisdictions.us.instruction import acquisitions, is_custodial, pick_instruction
    from arbot.tax.history import open_history

    custody, _ = _custody(config, ledger)
    if not is_custodial(event.disposal.partition(":")[0], custody):
        return []
    with open_store(config, ledger) as store:
        lines = open_history(store).lines_of([one.lot for one in event.lots])
    return [pick_instruction(event, acquisitions(lines))]


def _custody(config: Path | None, ledger: str | None) -> tuple[dict[str, str], list[str]]:
    """Return who keeps which account, and the accounts that the configuration names."""
    if ledger is not None and config is None:
        return {}, []
    settings = settings_of(config)
    return dict(settings.tax.custody), [*settings.venues, *settings.tax.custody]


def _tell(facts: dict[str, object], words: str, texts: list[str], *, as_json: bool) -> None:
    """Say what was recorded, and what brokers have to be told."""
    if as_json:
        say(to_json(facts | {"broker_instructions": texts}))
        return
    say(words)
    if not texts:
        return
    tell(
        "hand this to each broker: from 2027-01-01 on it counts there only once the broker has it; then record that you did, by"
        " the same command with --told-broker"
    )
    for text in texts:
        say(f"\n{text}")
