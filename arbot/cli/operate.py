"""What an operator says to a running daemon: status, pause, resume, halt, flatten, kill, unkill, reset-limit, quarantine, release.

`kill` writes the switch to the store first and then tells the daemon, so it works whether or not one is running, and a
daemon that does not answer finds it within half a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbot.cli import parsing
from arbot.cli.errors import DaemonRefused, NotAnswering, NotRunning
from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption, Place, place_of
from arbot.domain.errors import ArbotError

if TYPE_CHECKING:
    from arbot.cli.client import Client
    from arbot.observe.status import Status

WAIT_S = 60.0
_POLL_S = 0.2
_FIRST = {
    "killed": "`arbot unkill --reason TEXT`, when you have looked",
    "stranded": "`arbot flatten`, or wait for its fills",
    "loss_day": "`arbot reset-limit loss_day --reason TEXT`",
    "drawdown": "`arbot reset-limit drawdown --reason TEXT`",
}  # what `resume` does not open, and only a person does
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is written into the journal.")]
NeededReason = Annotated[
    str, typer.Option("--reason", help="Why; it is written into the journal.", callback=parsing.reason)
]


def status(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep the table up until Ctrl-C.")] = False,
) -> None:
    """Show how the run stands: books, edges, arbs, money, limits, and why it does not trade if it does not."""
    place = place_of(config)
    try:
        client = _client(place)
        if as_json:
            say(client.status().decode())
        else:
            _show(client, watch=watch)
    except NotAnswering:
        raise  # told as such: what the store knows could be taken for how things stand
    except NotRunning:
        _status_when_down(place, as_json=as_json)
        raise typer.Exit(ExitCode.NOT_RUNNING) from None


def pause(config: ConfigOption = None, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Open no new arbs; what is open is finished. `resume` takes it back."""
    _operate(config, "pause", reason=reason, as_json=as_json)


def resume(config: ConfigOption = None, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Open arbs again after pause or halt."""
    _operate(config, "resume", reason=reason, as_json=as_json)


def halt(config: ConfigOption = None, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Cancel every order, verify that none is open, and open nothing until resume."""
    _operate(config, "halt", reason=reason, as_json=as_json, until=_no_orders, awaited="every order to be gone")


def flatten(config: ConfigOption = None, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Bring every open residual to zero, and open nothing until resume."""
    _operate(
        config, "flatten", reason=reason, as_json=as_json, until=_nothing_open, awaited="every residual to be flat"
    )


def kill(config: ConfigOption = None, reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Throw the kill switch: no order leaves, now or after any restart, until unkill. Works when no daemon runs."""
    place = place_of(config)
    try:
        _throw(place, killed=True, reason=reason)
    except ArbotError as why:  # a full disk, say: told here, unless a daemon runs that can write it
        _kill_unwritten(place, reason, why, as_json=as_json)
        return
    try:
        _client(place).operate("kill", reason=reason)
        daemon = "told"
    except (NotAnswering, DaemonRefused) as error:
        daemon = f"not told ({error}); it finds the switch in the store"
    except NotRunning:
        daemon = "none runs; the next one finds the switch in the store"
    _report({"verb": "kill", "killed": True, "daemon": daemon}, f"killed; daemon: {daemon}", as_json=as_json)


def unkill(reason: NeededReason, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take the kill switch back. A reason is needed; trading stays paused until `arbot resume`."""
    place = place_of(config)
    try:
        _client(place).operate("unkill", reason=reason)
        daemon = "told; it stays paused until `arbot resume`"
    except NotAnswering as error:
        _throw(place, killed=False, reason=reason)
        daemon = f"not told ({error}); it stays killed until it is started again"
    except NotRunning:
        _throw(place, killed=False, reason=reason)
        daemon = "not running"
    _report({"verb": "unkill", "killed": False, "daemon": daemon}, f"not killed; daemon: {daemon}", as_json=as_json)


def reset_limit(
    name: Annotated[str, typer.Argument(help="The limit that latched: loss_day or drawdown.")],
    reason: NeededReason,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release a limit that latched. A reason is needed."""
    _operate(config, "reset_limit", reason=reason, argument=name, as_json=as_json)


VenueArgument = Annotated[str, typer.Argument(help="The venue, by its name in the config.")]


def quarantine(
    venue: VenueArgument, reason: NeededReason, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Give a venue no new arbs and no money until `release`: at the first rumour, before anybody is sure.

    What is open there is finished. Its resting quotes are pulled, its caps are zero. It survives restarts.
    """
    _operate(config, "quarantine", reason=reason, argument=venue, as_json=as_json)


def release(
    venue: VenueArgument, reason: NeededReason, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Let a venue out that `quarantine` held; its caps come back with each withdrawal seen to work from then on."""
    _operate(config, "release", reason=reason, argument=venue, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("status", status),
        ("pause", pause),
        ("resume", resume),
        ("halt", halt),
        ("flatten", flatten),
        ("kill", kill),
        ("unkill", unkill),
        ("reset-limit", reset_limit),
        ("quarantine", quarantine),
        ("release", release),
    ):
        app.command(name)(command)


def _client(place: Place) -> Client:
    from arbot.cli.client import Client

    return Client.find(place.state_dir)


def _operate(
    config: Path | None,
    verb: str,
    *,
    reason: str,
    as_json: bool,
    argument: str = "",
    until: Callable[[Status], bool] | None = None,
    awaited: str = "",
) -> None:
    client = _client(place_of(config))
    client.operate(verb, reason=reason, argument=argument)
    reached = until is None or _wait(client, until, awaited)
    current = _status(client)
    live = sum(sum(counts.values()) for counts in current.orders_live.values())
    facts = {"verb": verb, "reached": reached, "orders_live": live, "arbs_open": len(current.arbs_open)}
    trading = "opening arbs" if current.may_open else "not opening arbs: " + ", ".join(current.reasons)
    _report(facts, f"{verb}: {trading}; {live} orders live, {len(current.arbs_open)} arbs open", as_json=as_json)
    if verb == "resume":
        for why in filter(_FIRST.__contains__, current.reasons):
            tell(f"{why.replace('_', ' ')}: first {_FIRST[why]}")
    if not reached:
        tell(f"waited {WAIT_S:g} s for {awaited}; look at `arbot status`")
        raise typer.Exit(ExitCode.LEFT_OPEN)


def _wait(client: Client, until: Callable[[Status], bool], awaited: str) -> bool:
    from rich.console import Console

    with Console(stderr=True).status(f"waiting for {awaited}"):
        for _ in range(int(WAIT_S / _POLL_S)):
            if until(_status(client)):
                return True
            time.sleep(_POLL_S)
    return False


def _no_orders(current: Status) -> bool:
    return not any(any(counts.values()) for counts in current.orders_live.values())


def _nothing_open(current: Status) -> bool:
    return _no_orders(current) and not current.arbs_open


def _status(client: Client) -> Status:
    import msgspec

    from arbot.observe.status import Status

    return msgspec.json.decode(client.status(), type=Status)


def _show(client: Client, *, watch: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from arbot.observe.table import live_table

    console = Console(markup=False)
    if not watch:
        console.print(live_table(_status(client)))
        return
    with Live(live_table(_status(client)), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(_POLL_S)
            live.update(live_table(_status(client)), refresh=True)


def _status_when_down(place: Place, *, as_json: bool) -> None:
    """Say what the store knows when nobody runs."""
    from arbot.cli.stores import store_at
    from arbot.domain.errors import UserError

    try:
        with store_at(place.store_url) as store:
            standing, killed = store.standing(), store.is_killed()
            unsettled = len(store.unsettled_orders())
    except UserError as error:
        raise NotRunning(f"{place.state_dir}, nor did one ever") from error
    facts: dict[str, Any] = {
        "running": False,
        "killed": killed,
        "paused": standing.paused if standing else False,
        "latched": standing.latched if standing else (),
        "orders_unsettled": unsettled,
        "realised_total": standing.realised_total if standing else 0,
    }
    words = ", ".join(f"{name} {value}" for name, value in facts.items() if name != "running")
    _report(facts, f"no daemon runs in {place.state_dir}; the store says: {words}", as_json=as_json)


def _throw(place: Place, *, killed: bool, reason: str) -> None:
    from arbot.cli.client import user
    from arbot.cli.stores import store_at

    with store_at(place.store_url) as store:
        store.set_killed(killed, actor=user(), reason=reason)


def _kill_unwritten(place: Place, reason: str, why: ArbotError, *, as_json: bool) -> None:
    """Stop the daemon that runs although the switch could not be written from here. Raises: `why` when that failed, too."""
    try:
        _client(place).operate("kill", reason=reason)
    except ArbotError as error:
        if isinstance(error, NotAnswering | DaemonRefused):
            tell(f"daemon: {error}")
        raise why from error
    _report(
        {"verb": "kill", "killed": True, "daemon": "told"},
        f"killed; daemon: told, and it wrote the switch, which could not be written from here: {why}",
        as_json=as_json,
    )


def _report(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    say(to_json(facts) if as_json else text)
