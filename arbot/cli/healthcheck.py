"""`arbot healthcheck`: whether the daemon lives, for a container's health check. It imports little, to be done in no time."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from arbot.cli.errors import NotRunning, pageless, silent
from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell
from arbot.cli.where import ConfigOption, JsonOption, bare_place

if TYPE_CHECKING:
    from arbot.runtime.state_dir import DaemonInfo


def healthcheck(
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether arbs would be opened now, not only whether it lives.")
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the answer.")] = 5.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the running daemon whether it is healthy: exit code 0 if so, 1 if something has stopped, 4 if none runs.

    A venue that is down is no fault of arbot's health: only --ready counts it.
    """
    from arbot.runtime.state_dir import read_daemon

    state_dir = bare_place(config).state_dir
    info = read_daemon(state_dir)
    if info is None:
        raise NotRunning(str(state_dir))
    if not info.url:
        raise pageless(state_dir)
    status, body = _asked(info, "/readyz" if ready else "/livez", timeout)
    if as_json:
        say(body)
    if status == http.HTTPStatus.OK:
        if not as_json:
            say("ready" if ready else "alive")
        return
    for problem in _problems(body):
        tell(problem)
    raise typer.Exit(ExitCode.FAILURE)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("healthcheck")(healthcheck)


def _asked(info: DaemonInfo, path: str, timeout_s: float) -> tuple[int, str]:
    """Return status and text of the answer. Raises: NotAnswering."""
    parts = urlsplit(info.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise silent(info.pid, info.url, error) from error
    finally:
        connection.close()


def _problems(body: str) -> list[str]:
    try:
        return [str(problem) for problem in json.loads(body)["problems"]]
    except (ValueError, KeyError, TypeError):
        return [body[:500]]
