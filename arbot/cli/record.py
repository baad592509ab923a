"""`arbot record`: the public streams of a config's venues to a tape, without keys and without trading."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, shown, tell, tell_first_compile, tell_mistakes, to_json
from arbot.cli.running import DurationOption, set_up_logs
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from arbot.runtime.daemon import Daemon
    from arbot.runtime.recording import Recording

FRAME_S = 1.0
LINE_S = 5.0  # where there is no terminal


def record(
    config: ConfigOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the tape; without it, the config's.", show_default=False)
    ] = None,
    duration: DurationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record the books and trade prints of all venues until Ctrl-C. Needs no key, sends no order."""
    tell_first_compile()
    settings = settings_of(config)
    from arbot.domain.errors import UserError
    from arbot.runtime.modes import Options, run, run_record
    from arbot.runtime.recording import Recording

    set_up_logs(settings)
    table = settings.tape
    recording = Recording(
        (out or table.dir).resolve(), rotate_s=table.rotate_s, with_trades=table.with_trades, is_the_purpose=True
    )
    options = Options(duration_s=duration, services=(_View(recording).service,))
    try:
        ending = run(run_record(settings, options, recording))
    except UserError as error:
        tell_mistakes(error)
        raise typer.Exit(ExitCode.REFUSED) from error
    document = summary(recording)
    if as_json:
        say(to_json(document))
    else:
        for name, value in document.items():
            say(f"{name:24} {value}")
    if ending.failure is not None:
        tell(f"the recording failed: {ending.reason}")
        raise typer.Exit(ExitCode.FAILURE)
    if document["messages_lost"]:
        tell(f"{document['messages_lost']} messages were not recorded: the tape has a CLEAR where they are missing")


def summary(recording: Recording) -> dict[str, Any]:
    """Return what a recording came to, as `--json` prints it."""
    recorder = recording.recorder
    counts = None if recorder is None else recorder.counts
    return {
        "tape": shown(recording.root),
        "books": counts.books if counts else 0,
        "rows": counts.rows if counts else 0,
        "parts": counts.parts if counts else 0,
        "bytes": counts.bytes if counts else 0,
        "messages_lost": counts.messages_lost if counts else 0,
        "prints_refused": counts.prints_refused if counts else 0,
        "times_raised": counts.times_raised if counts else 0,
    }


class _View:
    """Shows how the recording goes on: a line in place on a terminal, elsewhere one after another on stderr."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._rows = 0
        self._seen_ns = 0

    def service(self, daemon: Daemon) -> AbstractAsyncContextManager[object]:
        """Draw for as long as the context lasts."""
        return self._shown(daemon)

    @asynccontextmanager
    async def _shown(self, daemon: Daemon) -> AsyncIterator[None]:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        clock = daemon.wiring.clock
        self._seen_ns = clock.now_ns()
        live = Live(console=console, auto_refresh=False) if console.is_terminal else None

        async def draw() -> None:
            while True:
                await clock.sleep(FRAME_S if live else LINE_S)
                line = self._line(clock.now_ns())
                if live:
                    live.update(_drawn(line, daemon), refresh=True)
                else:
                    tell(line)

        task = daemon.supervisor.spawn(draw(), "view", is_endless=True)
        if live:
            live.start()
        try:
            yield
        finally:
            task.cancel()
            if live:
                live.stop()

    def _line(self, now_ns: int) -> str:
        told = summary(self._recording)
        rate = (told["rows"] - self._rows) * 1e9 / max(1, now_ns - self._seen_ns)
        self._rows, self._seen_ns = told["rows"], now_ns
        lost = f", {told['messages_lost']} messages LOST" if told["messages_lost"] else ""
        return (
            f"{told['books']} books, {told['rows']:,} rows ({rate:,.0f}/s), {told['parts']} parts, "
            f"{told['bytes']:,} bytes in {told['tape']}{lost}"
        )


def _drawn(line: str, daemon: Daemon) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from arbot.observe.table import scan_table

    return Group(Text(line, style="bold"), scan_table(daemon.status()))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("record")(record)
