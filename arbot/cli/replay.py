"""`arbot replay`: run a recorded run of the daemon again and say where it first comes out otherwise."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell, tell_first_compile, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.backtest.rerun import Divergence

NS_PER_S = 1_000_000_000


def replay(
    run: Annotated[str, typer.Option("--run", help="The run, as the journal names it; 'last' is the newest.")],
    config: ConfigOption = None,
    tape: Annotated[
        Path | None, typer.Option("--tape", help="Folder of the tape; without it, the config's.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recorded run of the daemon again: commands and the state at the end have to be equal."""
    tell_first_compile()
    settings = settings_of(config)
    from arbot.backtest.rerun import rerun
    from arbot.backtest.run_tape import RunTape, find_run
    from arbot.journal.store import Access, SqlStore
    from arbot.runtime.clock import SystemClock
    from arbot.runtime.strategy_loader import load_strategy
    from arbot.settings.show import digest_of_decisions
    from arbot.venues.factory import book_depth

    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        stored = find_run(store, run)
        is_config_same = stored.config_digest == digest_of_decisions(settings)
        if not is_config_same:
            tell("the limits, execution, strategy, symbols or venues of this config are not those the run had")
        result = rerun(
            stored.run_id,
            store.iter_run(stored.epoch),
            RunTape([(tape or settings.tape.dir).resolve()], stored.run_id),
            settings.engine_config(),
            load_strategy(settings.strategy.name, settings.strategy.params, Path.cwd()),
            {one.venue: book_depth(one) for one in settings.venue_configs()},
        )
    finally:
        store.close()
    if as_json:
        say(to_json({"is_equal": result.is_equal, "is_config_same": is_config_same, "rerun": result}))
    elif result.divergence is None:
        say(f"equal: {result.steps} steps, {result.commands} commands, {result.rows:,} rows of market data")
        if result.steps_unchecked:
            say(
                f"then the tape ends: {result.steps_unchecked} later steps of the run, which was killed, cannot be checked"
            )
        say(f"digest {result.digest}" if result.digest else "no digest: the run did not end in good order")
    else:
        for line in told(result.divergence):
            say(line)
    if not result.is_equal:
        raise typer.Exit(ExitCode.FAILURE)


def told(divergence: Divergence) -> list[str]:
    """Return a divergence in lines for people."""
    at = dt.datetime.fromtimestamp(divergence.ts_ns // NS_PER_S, dt.UTC).isoformat().removesuffix("+00:00")
    lines = [
        f"first divergence, in {divergence.what}: event {divergence.seq} at {at}.{divergence.ts_ns % NS_PER_S:09d} UTC",
        f"  event     {divergence.event}",
    ]
    for name, texts in (("expected", divergence.expected), ("got", divergence.got)):
        lines += [f"  {name:9} {text}" for text in texts or ("nothing",)]
    return lines


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay)
