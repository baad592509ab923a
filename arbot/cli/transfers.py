"""`arbot transfers`: ask the daemon to move money between venues, and see what became of it.

`list` and `show` read the store beside a daemon that may be writing to it, so they work without one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbot.cli import parsing
from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.engine.delays import Delay
    from arbot.ports import StoredTransfer
    from arbot.settings.model import Settings

app = typer.Typer(name="transfers", help="Money under way between venues.", no_args_is_help=True)
NS_PER_MINUTE = 60_000_000_000
_NEEDS_YES = "confirmation_needed"


def register(root: typer.Typer) -> None:
    """Add the commands to the command line."""
    root.add_typer(app)


@app.command(context_settings={"ignore_unknown_options": True})  # so that -1 is a quantity, and refused as one
def request(  # noqa: PLR0917 - one per option
    source: Annotated[str, typer.Argument(help="Venue that sends.")],
    target: Annotated[str, typer.Argument(help="Venue that receives.")],
    asset: Annotated[str, typer.Argument(help="Asset, such as BTC.")],
    qty: Annotated[str, typer.Argument(help="What should arrive, in the asset.")],
    network: Annotated[str, typer.Option("--network", help="The registry's name of the chain or rail.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is written into the journal.")] = "",
    config: ConfigOption = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Say yes beforehand; a large one is asked for all the same.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Move money between two venues: asks before anything leaves, and once more about a large sum."""
    from arbot.cli.client import Client
    from arbot.domain.errors import Mistake, UserError
    from arbot.domain.units import parse_decimal

    settings = settings_of(config)
    mistakes = [
        Mistake(name, f"there is no venue {venue!r}", f"use one of {', '.join(settings.venues)}")
        for name, venue in (("source", source), ("target", target))
        if venue not in settings.venues
    ]
    if source == target:
        mistakes.append(Mistake("target", f"{target} is the source too", "name two venues"))
    if network not in (known := settings.engine_config().registry.networks):
        mistakes.append(Mistake("--network", f"there is no network {network!r}", f"use one of {', '.join(known)}"))
    try:
        if parse_decimal(qty) <= 0:
            mistakes.append(Mistake("qty", f"{qty} is not above zero", "write what should arrive, such as 0.25"))
    except ValueError as error:
        mistakes.append(Mistake("qty", str(error), "write a plain number such as 0.25"))
    if mistakes:
        raise UserError(*mistakes)
    client = Client.find(settings.run.state_dir)
    what = f"{qty} {asset} from {source} to {target} over {network}"
    if not (confirm or typer.confirm(f"Send {what}?", default=False, err=True)):
        raise typer.Exit(ExitCode.REFUSED)
    wish: dict[str, Any] = {
        "source": source,
        "target": target,
        "asset": asset,
        "network": network,
        "qty": qty,
        "reason": reason,
    }
    wish["request_key"] = secrets.token_hex(8)  # the same for both questions: one transfer comes of it, or none
    answer = client.request_transfer(**wish)
    if answer.get("reason") == _NEEDS_YES:
        worth, limit = Decimal(answer["value"]), Decimal(answer["limit"])
        question = f"It is worth {worth:,.2f} {settings.run.ccy}, above {limit:,.2f}. Really send {what}?"
        if not typer.confirm(question, default=False, err=True):
            raise typer.Exit(ExitCode.REFUSED)
        answer = client.request_transfer(**wish, is_confirmed=True)
    say(to_json(answer) if as_json else _answered(answer, what))
    if "reason" in answer:
        raise typer.Exit(ExitCode.REFUSED)


def _answered(answer: dict[str, Any], what: str) -> str:
    from arbot.cli.refusals import refused

    if "reason" in answer:
        return refused(answer)
    return f"begun as {answer['transfer']}: {what}; look at it with `arbot transfers show {answer['transfer']}`"


@app.command()
def close(
    transfer: Annotated[str, typer.Argument(help="Its id, as `list` prints it.")],
    reason: Annotated[str, typer.Option("--reason", help="Who said that it never began.", callback=parsing.reason)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a transfer that never began, once both venues' support says so. One that a history has cannot be ended."""
    from arbot.cli.client import Client

    Client.find(settings_of(config).run.state_dir).close_transfer(transfer, reason)
    facts = {"transfer": transfer, "state": "failed", "reason": reason}
    say(to_json(facts) if as_json else f"{transfer} is failed: {reason}")


@app.command(name="list")
def listed(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
) -> None:
    """Print transfers under way, oldest first."""
    from arbot.cli.stores import existing_store

    settings = settings_of(config)
    with existing_store(settings) as store:
        stored = store.own_transfers()
    rows = [_row(one) for one in stored if every or not one.life[-1].news.after.is_terminal]
    if as_json:
        say(to_json(rows))
        return
    for row in rows:
        say(_line(row))
    if not rows:
        tell("nothing is under way" if not every else "there never was a transfer")


@app.command()
def show(
    transfer: Annotated[str, typer.Argument(help="Its id, as `list` prints it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the life of one transfer, and how long its route usually takes."""
    from arbot.cli.stores import existing_store
    from arbot.domain.errors import Mistake, UserError

    settings = settings_of(config)
    with existing_store(settings) as store:
        found = next((one for one in store.own_transfers() if one.intent.transfer == transfer), None)
        standing = store.standing()
    if found is None:
        raise UserError(
            Mistake("transfer", f"there is none named {transfer!r}", "look at `arbot transfers list --all`")
        )
    law = _law(settings, found, () if standing is None else standing.delays)
    row = _row(found) | _quantiles(settings, law, found)
    life = [_step(at, news) for at, news in ((one.ts_ns, one.news) for one in found.life)]
    if as_json:
        say(to_json(row | {"life": life}))
        return
    say(_line(row))
    for step in life:
        move = step["after"] if step["before"] == step["after"] else f"{step['before']} -> {step['after']}"
        say("  ".join(text for text in (step["at"], move, step["detail"]) if text))
    for text in _words(row):
        say(text)


def _row(one: StoredTransfer) -> dict[str, Any]:
    from arbot.runtime.clock import SystemClock

    intent, news = one.intent, one.life[-1].news
    ended_ns = one.life[-1].ts_ns if news.after.is_terminal else SystemClock().now_ns()
    return {
        "transfer": intent.transfer,
        "source": intent.source,
        "target": intent.target,
        "asset": intent.asset,
        "network": intent.network,
        "qty": intent.qty,
        "state": news.after.value,
        "minutes": (ended_ns - (news.sent_ts_ns or intent.requested_ts_ns)) // NS_PER_MINUTE,
        "venue_transfer_id": news.venue_transfer_id,
        "tx_id": news.tx_id,
        "is_listed": news.is_listed,
        "qty_sent": news.qty_sent,
        "fee_paid": news.fee_paid,
        "qty_credited": sum((credit.qty for credit in news.credits), Decimal(0)),
        "qty_lost": news.qty_lost,
        "actor": intent.actor,
    }


def _law(settings: Settings, one: StoredTransfer, delays: tuple[Any, ...]) -> Delay:
    from arbot.engine.delays import prior, updated

    config, intent = settings.engine_config(), one.intent
    route = (intent.source, intent.asset, intent.network)
    seen = next((delay for delay in delays if (delay.source, delay.asset, delay.network) == route), None)
    return updated(prior(config.registry.network(intent.network)), config.transfers.limits.prior_weight, seen)


def _quantiles(settings: Settings, law: Delay, one: StoredTransfer) -> dict[str, Any]:
    """Return what the route takes in minutes, and how much this one is over what is allowed."""
    from arbot.engine.delays import MEDIAN

    limit = settings.engine_config().transfers.limits.overdue_quantile
    overdue_min = law.quantile_ns(limit) // NS_PER_MINUTE
    minutes = _row(one)["minutes"]
    return {
        "minutes_p50": law.quantile_ns(MEDIAN) // NS_PER_MINUTE,
        "overdue_quantile": limit,
        "minutes_overdue_at": overdue_min,
        "minutes_overdue": max(minutes - overdue_min, 0),
        "share_faster": law.share_within(minutes * NS_PER_MINUTE),
    }


def _step(ts_ns: int, news: Any) -> dict[str, str]:
    at = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {"at": at, "before": news.before.value, "after": news.after.value, "detail": news.detail}


def _line(row: dict[str, Any]) -> str:
    from arbot.domain.units import fmt

    route = f"{row['source']} -> {row['target']} over {row['network']}"
    part = f", {fmt(row['qty_credited'])} of it credited" if 0 < row["qty_credited"] < row["qty"] else ""
    return f"{row['transfer']}  {fmt(row['qty'])} {row['asset']}  {route}  {row['state']}{part}  {row['minutes']} min"


def _words(row: dict[str, Any]) -> Iterator[str]:
    from arbot.domain.units import fmt

    yield f"venue id {row['venue_transfer_id'] or 'not told'}, transaction {row['tx_id'] or 'not told'}"
    if row["is_listed"]:
        sent = f"sent {fmt(row['qty_sent'])}, fee {fmt(row['fee_paid'])}"
    elif row["state"] == "failed":
        sent = "nothing left the source"
    else:
        sent = "what was sent and its fee: not told by the source's history yet"
    yield f"{sent}; credited {fmt(row['qty_credited'])}, lost {fmt(row['qty_lost'])}"
    usual = (
        f"half of this route take less than {row['minutes_p50']} min, {fmt(row['overdue_quantile'] * 100)} % less than"
    )
    late = f"; {row['minutes_overdue']} min overdue" if row["minutes_overdue"] else ""
    yield f"{usual} {row['minutes_overdue_at']} min; {fmt(row['share_faster'] * 100)} % are faster than this one{late}"
    if row["state"] == "stuck":
        yield f"ask the support of {row['source']} and {row['target']} with these ids; never send a second one"
