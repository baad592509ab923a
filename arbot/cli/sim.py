"""The pretend venues by themselves, for trying any client against them."""

from __future__ import annotations

import typer

app = typer.Typer(name="sim", help="Pretend venues on loopback.", no_args_is_help=True)


@app.callback()
def sim() -> None:
    """Pretend venues on loopback."""
