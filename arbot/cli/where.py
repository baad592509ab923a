"""Which run a command is about: the config file named by -c or ARBOT_CONFIG, else the demo of the current folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from arbot.settings.model import Settings
    from arbot.settings.rules import Rule

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="ARBOT_CONFIG",
        help="Config file; without it, the demo of this folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def settings_of(
    config: Path | None, overrides: dict[str, dict[str, object]] | None = None, rules: Sequence[Rule] = ()
) -> Settings:
    """Return the settings of the file, or of the built-in demo. `rules` are asked instead of the usual. Raises: UserError."""
    from arbot.settings.defaults import demo
    from arbot.settings.load import load
    from arbot.settings.rules import RULES

    if config is None:
        return demo(Path.cwd(), overrides)
    return load(config, overrides, rules or RULES)
