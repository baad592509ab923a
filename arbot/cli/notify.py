"""Sends a test message to every channel that a config file names, without a daemon, and says what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import say, tell, to_json
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.settings.model import Settings

app = typer.Typer(name="notify", help="Messages to people.", no_args_is_help=True)


@app.command(name="test")
def send_test(
    config: ConfigOption = None,
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", help="Only this one: webhook, telegram, apprise; may be given several times."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send one test message through each configured channel and say what came back; exit code 1 when one failed."""
    import asyncio

    from arbot.cli.running import set_up_logs

    settings = settings_of(config)
    set_up_logs(settings)
    answers = asyncio.run(_try(settings, channel or []))
    for answer in answers:
        say(to_json(answer) if as_json else f"{answer['channel']:10} {answer['outcome']:8} {answer['answer']}")
    if any(answer["outcome"] != "sent" for answer in answers):
        tell("not everything got through; the lines above say why")
        raise typer.Exit(ExitCode.FAILURE)


async def _try(settings: Settings, wanted: list[str]) -> list[dict[str, Any]]:
    """Return what each wanted channel said. Raises: UserError for secrets that cannot be used, and for unknown channels."""
    import aiohttp

    from arbot import __version__
    from arbot.domain.commands import Severity
    from arbot.domain.errors import Mistake, UserError
    from arbot.notify.channels import Undelivered
    from arbot.notify.message import Kind, Message, Sender
    from arbot.runtime.clock import SystemClock
    from arbot.runtime.notify_secrets import hide, read_secrets
    from arbot.runtime.notifying import make_channels

    secrets, clock = read_secrets(settings.notify), SystemClock()
    hide(secrets, settings, clock)
    sender = Sender(run_name=settings.run.name, mode=settings.run.mode.value, version=__version__)
    message = Message(
        kind=Kind.TEST,
        code="test",
        severity=Severity.INFO,
        title="a test of this channel",
        text="If you can read this, messages of arbot reach you here.",
        ts_ns=clock.now_ns(),
        id=f"test-{clock.now_ns()}",
    )
    async with aiohttp.ClientSession() as session:
        channels = make_channels(settings.notify, secrets, session, sender, clock)
        if not channels:
            todo = "set webhook_url_file, telegram_token_file or apprise_urls_file in [notify]"
            raise UserError(Mistake("notify", "no channel is configured", todo))
        if unknown := [name for name in wanted if name not in channels]:
            todo = f"those configured are {', '.join(channels)}"
            raise UserError(Mistake("--channel", f"{', '.join(unknown)} is not configured", todo))
        answers = []
        for name in wanted or channels:
            try:
                outcome, answer = "sent", await channels[name].send(message)
            except Undelivered as error:
                outcome, answer = "failed", str(error)
            answers.append({"channel": name, "outcome": outcome, "answer": answer})
        return answers
