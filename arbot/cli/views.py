"""What the eye sees while a run goes on: services that draw the daemon's status until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from arbot.cli.output import say, tell, to_json
from arbot.observe.status import Status
from arbot.runtime.daemon import Daemon

FRAME_S = 0.5
PLAIN_FRAME_S = 5.0  # where there is no terminal the table is printed anew, so not as often
LINES_S = 1.0

Draw = Callable[[Status], RenderableType]
View = Callable[[Daemon], AbstractAsyncContextManager[object]]


def live_view(draw: Draw, *, on_stderr: bool, is_the_purpose: bool = False) -> View:
    """Return the service that keeps a drawing of the status up, on a terminal in place, elsewhere one after another.

    A run that trades goes on when its drawing fails; one whose purpose it is ends, as when `head` has seen enough.
    """

    @asynccontextmanager
    async def shown(daemon: Daemon) -> AsyncIterator[None]:
        console = Console(stderr=on_stderr, markup=False)  # a name in brackets is a name
        if on_stderr and not console.is_terminal:  # JSON for a program: nobody looks
            yield
            return
        clock = daemon.wiring.clock

        async def redraw_in_place(live: Live) -> None:
            while True:
                live.update(_with_page(daemon, draw(await daemon.look())), refresh=True)
                await clock.sleep(FRAME_S)

        async def print_again() -> None:
            while True:
                await clock.sleep(PLAIN_FRAME_S)
                console.print(_with_page(daemon, draw(await daemon.look())))

        def begin(make: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
            if is_the_purpose:
                return daemon.supervisor.spawn(make(), "table", is_endless=True)
            return daemon.supervisor.keep(make, "table")

        if console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                task = begin(lambda: redraw_in_place(live))
                try:
                    yield
                finally:
                    task.cancel()
                    live.update(draw(daemon.status()), refresh=True)
        else:
            task = begin(print_again)
            try:
                yield
            finally:
                task.cancel()

    return shown


def page_told() -> View:
    """Return the service that says where the page is, before anything else is shown."""

    @asynccontextmanager
    async def told(daemon: Daemon) -> AsyncIterator[None]:
        tell(f"open {daemon.page_url} in a browser to watch; `arbot status` shows the same here")
        yield

    return told


def _with_page(daemon: Daemon, drawn: RenderableType) -> RenderableType:
    """Put where the page is above a drawing."""
    return Group(Text(f"page  {daemon.page_url}", style="bold"), drawn) if daemon.page_url else drawn


def edge_lines() -> View:
    """Return the service that prints one JSON line a second with every route's edge."""

    @asynccontextmanager
    async def printed(daemon: Daemon) -> AsyncIterator[None]:
        async def print_lines() -> None:
            while True:
                await daemon.wiring.clock.sleep(LINES_S)
                status = await daemon.look()
                say(to_json({"ts_ns": status.ts_ns, "edges": status.edges, "books": status.books}))

        task = daemon.supervisor.spawn(print_lines(), "lines", is_endless=True)
        try:
            yield
        finally:
            task.cancel()

    return printed
