"""The token that opens the operator's door: one's own from a file, or a new one for every run.

It is read once, at the start, and shown to nobody: not in a log, not on the page, not in an address.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arbot.domain.errors import Mistake, UserError
from arbot.runtime.state_dir import write_private
from arbot.settings.model import Settings
from arbot.venues.credentials import is_handed_over

TOKEN_FILE = "operator.token"  # noqa: S105 - the name of the file
CHARS_MIN = 24  # of one's own: what keeps guessers out is the length, for the door never shuts the owner out
_BYTES_MAX = 4_096
_WHERE = "http.token_file"


@contextmanager
def operator_token(state_dir: Path, own: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield the token and the file where others find it; a new one goes with the run. Raises: UserError."""
    if own is not None:
        yield read_token(own), own
        return
    token = secrets.token_urlsafe(32)
    file = write_private(state_dir / TOKEN_FILE, token.encode())
    try:
        yield token, file
    finally:
        file.unlink(missing_ok=True)


def token_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Yield what is wrong with the token's file, for `arbot config check`."""
    try:
        if settings.http.token_file is not None:
            read_token(settings.http.token_file)
    except UserError as error:
        yield from error.mistakes


def read_token(path: Path) -> str:
    """Return the token that a file holds. Raises: UserError naming what to mend; the token is never shown."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe is not waited for
    except OSError as error:
        raise UserError(
            Mistake(_WHERE, f"{path}: {error.strerror}", "create it: `openssl rand -hex 32`, then chmod 600")
        ) from error
    facts = os.fstat(descriptor)  # of the file that is open, so it cannot be swapped between check and read
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise UserError(Mistake(_WHERE, f"{path} is not a regular file", "point it at a text file"))
    with os.fdopen(descriptor, "rb") as file:
        if facts.st_mode & 0o177 and not is_handed_over(path, facts, os.environ):
            raise UserError(
                Mistake(_WHERE, f"{path}: mode {stat.S_IMODE(facts.st_mode):04o} lets others in", f"chmod 600 {path}")
            )
        text = file.read(_BYTES_MAX).decode("ascii", errors="replace").strip()
    if len(text) < CHARS_MIN or not all(33 <= ord(letter) <= 126 for letter in text):
        raise UserError(
            Mistake(
                _WHERE,
                f"{path} holds no token: at least {CHARS_MIN} letters, digits and signs, no space",
                "`openssl rand -hex 32` makes one",
            )
        )
    return text
