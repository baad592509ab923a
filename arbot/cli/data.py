"""`arbot data`: recorded market data: import it, look at it, make it up, tidy it."""

from __future__ import annotations

import typer

from arbot.cli import data_compact, data_generate, data_import, data_inspect

app = typer.Typer(
    name="data", help="Recorded market data: import foreign formats, look for faults, generate.", no_args_is_help=True
)
data_import.register(app)
data_inspect.register(app)
data_generate.register(app)
data_compact.register(app)
