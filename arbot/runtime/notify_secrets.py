"""The secrets of [notify], read from their files: addresses, tokens, a key to sign with. They are shown nowhere.

Everything that is wrong is found at once, here for the start of a run and for `arbot config check` alike.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.redact import redactor
from arbot.observe import logs
from arbot.ports import Clock, Secret
from arbot.settings.model import Notify, Settings
from arbot.settings.rules import RULES, Rule, is_safe_address
from arbot.venues.credentials import read_private

EMPTY = Secret("")
PIECE_CHARS_MIN = 12  # shorter pieces of an address are ordinary words


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What the channels need; an empty one is not configured."""

    webhook_url: Secret = EMPTY
    webhook_key: Secret = EMPTY
    telegram_token: Secret = EMPTY
    apprise_urls: tuple[Secret, ...] = ()

    def texts(self) -> list[str]:
        """Return everything that may appear nowhere: addresses whole, and each piece of them that could be a secret."""
        whole = [one.reveal() for one in (self.webhook_url, self.webhook_key, self.telegram_token, *self.apprise_urls)]
        hosts = {_host(text) for text in whole}
        pieces = {
            piece for text in whole for piece in re.split(r"[/?&=:@#,;\s]+", text) if len(piece) >= PIECE_CHARS_MIN
        }
        return [*filter(None, whole), *sorted(pieces - hosts)]


def read_secrets(table: Notify) -> Secrets:
    """Return the secrets of the configured channels. Raises: UserError with everything that is wrong with them."""
    texts: dict[str, str] = {}
    mistakes: list[Mistake] = []
    files = {
        "webhook_url_file": table.webhook_url_file,
        "webhook_secret_file": table.webhook_secret_file,
        "telegram_token_file": table.telegram_token_file,
        "apprise_urls_file": table.apprise_urls_file,
    }
    for key, path in files.items():
        if path is None:
            continue
        try:
            texts[key] = _read(key, path)
            mistakes.extend(Mistake(f"notify.{key}", f"{path}: {what}", todo) for what, todo in _WRONG[key](texts[key]))
        except UserError as error:
            mistakes.extend(Mistake(f"notify.{key}", f"{one.where}: {one.what}", one.remedy) for one in error.mistakes)
    if mistakes:
        raise UserError(*mistakes)
    return Secrets(
        webhook_url=Secret(texts.get("webhook_url_file", "")),
        webhook_key=Secret(texts.get("webhook_secret_file", "")),
        telegram_token=Secret(texts.get("telegram_token_file", "")),
        apprise_urls=tuple(Secret(line) for line in _lines(texts.get("apprise_urls_file", ""))),
    )


def hide(known: Secrets, settings: Settings, clock: Clock) -> None:
    """Blot these secrets out of everything that is logged from now on."""
    logs.set_up(
        now_ns=clock.now_ns,
        redact=redactor(known.texts()),
        as_json=settings.run.log_format == "json",
        level=settings.run.log_level,
    )


def _mistakes(settings: Settings) -> Iterator[Mistake]:
    try:
        read_secrets(settings.notify)
    except UserError as error:
        yield from error.mistakes


CHECKED = (*RULES, Rule(("notify",), _mistakes))
"""The rules of a config file and of the files that [notify] names. Commands that must always work ask RULES only."""


def _read(key: str, path: Path) -> str:
    try:
        return read_private(path, os.getuid(), setting=key).decode().strip()
    except UnicodeDecodeError as error:
        raise UserError(Mistake(str(path), "it is not UTF-8 text", "write it anew")) from error


def _wrong_url(text: str) -> Iterator[tuple[str, str]]:
    if len(text.split()) != 1 or not is_safe_address(text):
        yield "it does not hold one https address", "write the address alone; http is for loopback only"


def _wrong_key(text: str) -> Iterator[tuple[str, str]]:
    if len(text) < 16:
        yield "it holds fewer than 16 characters", "write a long random text, the same as the receiver has"


def _wrong_token(text: str) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(r"\d{3,20}:[A-Za-z0-9_-]{20,100}", text):
        yield "it does not hold the token of a bot", "paste what BotFather gave, such as 123456:ABC..."


def _wrong_apprise(text: str) -> Iterator[tuple[str, str]]:
    if importlib.util.find_spec("apprise") is None:
        yield "apprise is not installed", 'install it: pip install "arbot[notify]"'
        return
    if not _lines(text):
        yield "it holds no address", "write an apprise address a line"
    for number, line in enumerate(_lines(text), start=1):
        if not make_apprise([Secret(line)]):
            yield f"address {number} is none that apprise knows", "mend it after apprise's list of services"


_WRONG: dict[str, Callable[[str], Iterator[tuple[str, str]]]] = {
    "webhook_url_file": _wrong_url,
    "webhook_secret_file": _wrong_key,
    "telegram_token_file": _wrong_token,
    "apprise_urls_file": _wrong_apprise,
}


def make_apprise(urls: list[Secret] | tuple[Secret, ...]) -> list[Callable[[str, str], bool]]:
    """Return what sends (title, body) to all of the addresses, in a list; an empty one when apprise refuses an address."""
    import logging  # noqa: PLC0415 - with the one below

    import apprise  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra: only where configured

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # at lower levels it writes addresses
    services = apprise.Apprise()
    for url in urls:
        if not services.add(url.reveal()):
            return []
    return [lambda title, body: bool(services.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT))]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _host(text: str) -> str:
    found = re.match(r"[a-z+]+://(?:[^/@]*@)?([^/:?#]+)", text)
    return found[1] if found else ""
