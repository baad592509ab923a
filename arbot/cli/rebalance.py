"""Where money should lie, and the cheapest way to get it there: `arbot rebalance plan`.

Transfers are handed to the running daemon, which judges each by its own rules; trades are told as instructions, because
the daemon opens arbs by strategy only. Nothing is handed over without a yes for each, and a second one for a large one.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbot.cli.errors import NotRunning
from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell, to_json
from arbot.cli.refusals import refused
from arbot.cli.where import ConfigOption, JsonOption, settings_of
from arbot.domain.decisions import Reason

if TYPE_CHECKING:
    from arbot.cli.client import Client
    from arbot.observe.status import Status
    from arbot.settings.model import Settings
    from arbot.treasury.answer import Plan
    from arbot.treasury.problem import Situation, Target
    from arbot.treasury.steps import Step

NEEDS_YES = Reason.CONFIRMATION_NEEDED.value

app = typer.Typer(name="rebalance", help="Where money should lie, and the cheapest way there.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `plan` a command of its own: typer folds a group of one."""


@app.command()
def plan(
    config: ConfigOption = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Plan for the situation in this TOML or JSON file instead.", show_default=False),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="What must lie at a venue, such as kraken:BTC=1.5; may be given several times.",
            show_default=False,
        ),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Hand the transfers to the running daemon, after a yes for each.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the cheapest way to put money in its place, and the price of every other: transfer, convert, trade back, wait."""
    from arbot.domain.errors import Mistake, UserError
    from arbot.treasury.plan import make

    targets = _targets(target or [])
    if source is not None:
        if execute:
            raise UserError(
                Mistake("--execute", "a plan made from a file is about no account", "leave out --from, or --execute")
            )
        made = make(_with_targets(_read(source), targets))
    else:
        settings = settings_of(config)
        client = _client(settings, needed=execute)
        made = make(_gathered(settings, client, targets))
    if as_json:
        say(to_json(made))
    else:
        _print(made)
    if execute and client is not None:
        _carry_out(made, client)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app)


def _print(made: Plan) -> None:
    from arbot.treasury.words import told

    for line in told(made):
        say(line)


def _targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Return what --target asks for. Raises: UserError with every mistake."""
    from arbot.domain.errors import Mistake, UserError
    from arbot.domain.units import parse_decimal
    from arbot.treasury.problem import Target

    found, mistakes = [], []
    for text in texts:
        place, _, number = text.partition("=")
        venue, _, asset = place.partition(":")
        try:
            qty = parse_decimal(number)
        except ValueError:
            qty = None
        if venue and asset and qty is not None:
            found.append(Target(venue=venue, asset=asset, qty=qty))
        else:
            mistakes.append(Mistake(f"--target {text}", "it is not VENUE:ASSET=QTY", "write it as kraken:BTC=1.5"))
    if mistakes:
        raise UserError(*mistakes)
    return tuple(found)


def _with_targets(situation: Situation, targets: tuple[Target, ...]) -> Situation:
    import msgspec

    return msgspec.structs.replace(situation, targets=(*situation.targets, *targets))


def _read(path: Path) -> Situation:
    from arbot.treasury.files import read

    return read(path)


def _client(settings: Settings, *, needed: bool) -> Client | None:
    """Return the daemon's client, or None when none runs. Raises: NotRunning when one is needed."""
    from arbot.cli.client import Client

    try:
        return Client.find(settings.run.state_dir)
    except NotRunning:
        if needed:
            raise
        return None


def _gathered(settings: Settings, client: Client | None, targets: tuple[Target, ...]) -> Situation:
    from arbot.cli.stores import existing_store
    from arbot.runtime.clock import SystemClock
    from arbot.treasury.gather import gather

    with existing_store(settings) as store:
        status = _status(client) if client is not None else None
        return gather(settings, store, status, targets=targets, now_ns=SystemClock().now_ns())


def _status(client: Client) -> Status:
    import msgspec

    from arbot.observe.status import Status

    return msgspec.json.decode(client.status(), type=Status)


def _carry_out(made: Plan, client: Client) -> None:
    """Ask about each transfer, twice about a large one, and hand it over; tell what a person has to do."""
    from arbot.treasury.steps import Action
    from arbot.treasury.words import step_told

    trades = [step for step in made.steps if step.action is not Action.SEND]
    sends = [step for step in made.steps if step.action is Action.SEND]
    for step in trades:
        tell(f"by hand: {step.number}  {step_told(made, step)}")
    if trades:
        tell("arbot places no trade of a plan: the daemon opens arbs by its strategy only. The trades above are yours.")
    if not sends:
        tell("there is nothing to hand to the daemon: the plan sends nothing")
    answers = [_asked(made, client, step) for step in sends]
    if "refused" in answers:
        raise typer.Exit(ExitCode.REFUSED)


def _asked(made: Plan, client: Client, step: Step) -> str:
    """Return what became of one transfer: "begun", "refused", "left out" by the person, or "waits" for trades."""
    from arbot.treasury.words import step_told

    tell(f"{step.number}  {step_told(made, step)}")
    if not step.is_funded:
        tell("    not handed over: trades of the plan have to bring the money first; do them, then plan again")
        return "waits"
    if not typer.confirm("    hand it to the daemon?", default=False, err=True):
        return "left out"
    answer = _request(client, step, is_confirmed=False)
    if answer.get("reason") == NEEDS_YES:
        worth, limit = Decimal(answer["value"]), Decimal(answer["limit"])
        question = f"    it is worth {worth:,.2f}, above {limit:,.2f}. Really send it?"
        if not typer.confirm(question, default=False, err=True):
            return "left out"
        answer = _request(client, step, is_confirmed=True)
    if "reason" in answer:
        tell("    " + refused(answer).replace("\n", "\n    "))
        return "refused"
    tell(f"    begun as {answer['transfer']}: `arbot transfers show {answer['transfer']}`")
    return "begun"


def _request(client: Client, step: Step, *, is_confirmed: bool) -> dict[str, Any]:
    from arbot.domain.units import fmt

    return client.request_transfer(
        source=step.venue,
        target=step.target,
        asset=step.asset,
        network=step.network,
        qty=fmt(step.qty),
        request_key=step.request_key,
        is_confirmed=is_confirmed,
        reason="rebalance plan",
    )
