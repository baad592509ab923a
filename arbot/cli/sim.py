"""The pretend venues by themselves, for trying any client against them: real protocols, signatures checked, no money."""

from __future__ import annotations

import asyncio
import signal
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.output import say, tell, to_json
from arbot.cli.where import JsonOption

if TYPE_CHECKING:
    from arbot.sim.serve import SimOptions

app = typer.Typer(name="sim", help="Pretend venues on loopback, in their real protocols.", no_args_is_help=True)


@app.callback()
def sim() -> None:
    """Pretend venues on loopback, in their real protocols."""


@app.command()
def serve(  # noqa: PLR0917 - one per option
    venues: Annotated[
        str, typer.Option("--venues", help="Which, with a port if it matters: kraken=9001,coinbase.")
    ] = "kraken,coinbase",
    symbol: Annotated[list[str] | None, typer.Option("--symbol", help="Listed; may be repeated.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the market, the ids and the faults.")] = 7,
    market: Annotated[Path | None, typer.Option("--market", help="Folder of recorded books instead of a seed.")] = None,
    mapping: Annotated[str, typer.Option("--map", help="Which recorded venue plays which: kraken=kraken.")] = "",
    speed: Annotated[str, typer.Option("--speed", help="Of a recorded market against the clock.")] = "1",
    loop: Annotated[bool, typer.Option("--loop", help="Start a recorded market again at its end.")] = False,
    latency_ms: Annotated[int, typer.Option("--latency-ms", min=0, help="From a request to the venue.")] = 20,
    fault: Annotated[list[str] | None, typer.Option("--fault", help="name or name:key=value; may be repeated.")] = None,
    admin_port: Annotated[int, typer.Option("--admin-port", min=0, help="Of the endpoint that tells the truth.")] = 0,
    duration: Annotated[float | None, typer.Option("--duration", min=0.1, help="Stop after this many seconds.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Serve pretend venues until Ctrl-C. With --json one line says where, with which keys, and what the market is."""
    from arbot.cli.parsing import pairs
    from arbot.domain.units import parse_decimal
    from arbot.sim.latency import Latency
    from arbot.sim.serve import SimOptions, VenueOptions

    ports = pairs(venues, "--venues", needs_value=False)
    given: dict[str, object] = {"symbols": tuple(symbol)} if symbol else {}
    try:
        factor: Decimal = parse_decimal(speed)
        served = tuple(
            VenueOptions(name=name, flavour=name, port=int(port) if port else 0) for name, port in ports.items()
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    options = SimOptions(
        seed=seed,
        venues=served,
        recorded=market.resolve() if market else None,
        mapping=pairs(mapping, "--map"),
        speed=factor,
        loop=loop,
        latency=Latency(request_ms=latency_ms),
        faults=tuple(fault or ()),
        admin_port=admin_port,
        **given,  # type: ignore[arg-type]
    )
    asyncio.run(_serve(options, duration, as_json=as_json))


async def _serve(options: SimOptions, duration_s: float | None, *, as_json: bool) -> None:
    from arbot.runtime.clock import SystemClock
    from arbot.sim.serve import serve as serving

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    clock = SystemClock()
    async with serving(options, clock) as server:
        told = server.describe()
        if as_json:
            say(to_json(told))
        else:
            _describe(told)
        if duration_s is not None:
            clock.call_later(duration_s, stopping.set)
        await stopping.wait()


def _describe(told: dict[str, object]) -> None:
    """Say where the venues are; keys are for --json, since they are long."""
    venues = told["venues"]
    if isinstance(venues, dict):
        for name, venue in venues.items():
            say(f"{name:10} {venue['rest_url']}  {', '.join(venue['symbols'])}")
    say(f"{'admin':10} {told['admin_url']}/truth")
    tell("Ctrl-C ends it; --json prints keys and websocket addresses")
