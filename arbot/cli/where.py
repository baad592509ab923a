"""Which run a command is about: the config file named by -c or ARBOT_CONFIG, else the demo of the current folder."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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


DEMO_STATE = Path("state", "demo")
PLAIN_STATE = "state"


class Place(NamedTuple):
    """Where a run keeps its state: enough to find its daemon and its kill switch."""

    state_dir: Path
    store_url: str


def place_of(config: Path | None) -> Place:
    """Return where the run of a config is, also when the file has mistakes: nobody has to mend it first to stop a daemon.

    Raises: UserError with all mistakes when the file does not even say where.
    """
    from arbot.cli.output import tell
    from arbot.domain.errors import UserError

    try:
        settings = settings_of(config)
    except UserError as mistaken:
        try:
            place = bare_place(config)
        except UserError:
            raise mistaken from None
        tell(
            f"{config} has mistakes (`arbot config check` lists them); this is about {place.state_dir}, which it names"
        )
        return place
    return Place(settings.run.state_dir, settings.store_url())


def bare_place(config: Path | None) -> Place:
    """Return where the run of a config is, with nothing else of the file looked at. Raises: UserError."""
    from arbot.domain.errors import Mistake, UserError

    try:
        document = {} if config is None else tomllib.loads(config.read_text(encoding="utf-8"))
        named = document.get("run", {}).get("state_dir", PLAIN_STATE)
        state_dir = Path.cwd() / DEMO_STATE if config is None else config.parent.resolve() / Path(named)
        url = str(document.get("store", {}).get("url", ""))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, AttributeError) as error:
        raise UserError(
            Mistake(str(config), f"cannot be read: {error}", "look at it with `arbot config check`")
        ) from error
    return Place(state_dir, url or f"sqlite:///{state_dir / 'arbot.sqlite'}")


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
