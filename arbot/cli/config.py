"""Looks at a config file without running it, and has a running daemon read it anew."""

from __future__ import annotations

from pathlib import Path

import typer

from arbot.cli.errors import NotRunning, silent
from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

RELOAD_S = 10.0
POLL_S = 0.05

app = typer.Typer(name="config", help="Check and show config files.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the file is valid; every mistake comes with its line and remedy (exit code 2)."""
    from arbot.api.token import token_mistakes
    from arbot.runtime.notify_secrets import CHECKED
    from arbot.runtime.strategy_loader import load_strategy
    from arbot.settings.rules import Rule
    from arbot.settings.show import digest

    settings = settings_of(config, None, (*CHECKED, Rule(("http",), token_mistakes)))
    load_strategy(settings.strategy.name, settings.strategy.params, Path.cwd())
    facts = {
        "valid": True,
        "mode": settings.run.mode.value,
        "venues": list(settings.venues),
        "symbols": list(settings.run.symbols),
        "digest": digest(settings),
    }
    say(
        to_json(facts)
        if as_json
        else f"valid: {facts['mode']} on {', '.join(settings.venues)}, digest {str(facts['digest'])[:12]}"
    )


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the whole configuration, defaults included and passwords masked."""
    from arbot.settings.show import as_document
    from arbot.settings.show import show as as_toml

    settings = settings_of(config)
    say(to_json(as_document(settings)) if as_json else as_toml(settings).rstrip())


@app.command()
def reload(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Have the running daemon read the file anew: what does not touch trading is applied, the rest waits for a restart.

    A file with mistakes is refused with all of them (exit code 2), and the daemon goes on as before.
    """
    import os
    import signal
    import time

    from arbot.domain.errors import Mistake, UserError
    from arbot.runtime.reload import read_report
    from arbot.runtime.state_dir import read_daemon

    state_dir = settings_of(config).run.state_dir
    info, before = read_daemon(state_dir), read_report(state_dir)
    if info is None:
        raise NotRunning(str(state_dir))
    if before is None or before.pid != info.pid:
        why = "it runs in a terminal or without a config file, and does not read one anew"
        raise UserError(Mistake(f"the daemon in {state_dir}", why, "stop it and start it again"))
    os.kill(info.pid, signal.SIGHUP)
    came = before
    for _ in range(int(RELOAD_S / POLL_S)):
        came = read_report(state_dir) or before
        if came.number != before.number:
            break
        time.sleep(POLL_S)
    else:
        raise silent(info.pid, info.url or str(state_dir), f"nothing within {RELOAD_S:g} s")
    if as_json:
        say(to_json(came))
    else:
        say(f"applied: {', '.join(came.applied) or 'nothing'}")
        if came.needs_restart:
            tell(f"waits for a restart: {', '.join(came.needs_restart)}")
        for mistake in came.mistakes:
            tell(mistake)
    if not came.is_good:
        raise typer.Exit(ExitCode.USAGE)
