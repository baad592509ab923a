"""Looks at a config file without running it."""

from __future__ import annotations

from pathlib import Path

import typer

from arbot.cli.output import say, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

app = typer.Typer(name="config", help="Check and show config files.", no_args_is_help=True)


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the file is valid; every mistake comes with its line and remedy (exit code 2)."""
    from arbot.runtime.strategy_loader import load_strategy
    from arbot.settings.show import digest

    settings = settings_of(config)
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
