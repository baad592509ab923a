"""The folder in which one daemon keeps its state, and the lock that keeps a second one out.

<state_dir>/arbot.sqlite     journal and projections (unless store.url names another place)
<state_dir>/daemon.json      where the running daemon's page is, and its process id; gone when it has ended
<state_dir>/daemon.lock      held by the running daemon; the lock goes with the process, whatever ends it
<state_dir>/tax-export.json  when a tax report or export was last made of this run's ledger
"""

from __future__ import annotations

import fcntl
import os
import pwd
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from arbot.domain.errors import Mistake, UserError

_LOCK = "daemon.lock"
_DAEMON = "daemon.json"
_TAX_EXPORT = "tax-export.json"


class DaemonInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What other commands need to find the running daemon."""

    pid: int
    mode: str
    url: str
    token_file: str


class StateDir:
    """The folder, locked while the context is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def __enter__(self) -> Self:
        """Create the folder, private to us, and take the lock. Raises: UserError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UserError(
                Mistake("run.state_dir", f"{self.path}: {error.strerror}", "name a folder you can write to")
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = -1
            raise UserError(
                Mistake(
                    "run.state_dir",
                    f"another daemon uses {self.path}",
                    "stop it (arbot status shows it), or name another folder",
                )
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the daemon and give the lock back."""
        (self.path / _DAEMON).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1

    def announce(self, info: DaemonInfo) -> None:
        """Say where this daemon can be reached."""
        write_private(self.path / _DAEMON, msgspec.json.encode(info))


def read_daemon(path: Path) -> DaemonInfo | None:
    """Return who runs in a state folder, or None when nobody does (a file left by a crash does not count).

    Raises: UserError when the folder is not ours to look into, or the daemon's word is damaged.
    """
    try:
        text = (path / _DAEMON).read_bytes()
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError as error:
        raise UserError(
            Mistake("run.state_dir", f"{path}: {error.strerror}", f"give the command as its user: {_sudo(path)}")
        ) from error
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not take each other for the daemon
    except BlockingIOError as held:
        try:
            return msgspec.json.decode(text, type=DaemonInfo)
        except msgspec.MsgspecError:
            raise UserError(
                Mistake(
                    str(path / _DAEMON),
                    "is damaged, and a daemon runs",
                    "stop that one by its process and start it again",
                )
            ) from held
    finally:
        os.close(lock)
    return None


def _sudo(path: Path) -> str:
    """Return how to give a command as the owner of a folder."""
    try:
        uid = path.stat().st_uid
    except OSError:
        return "sudo -u USER arbot ..."
    try:
        return f"sudo -u {pwd.getpwuid(uid).pw_name} arbot ..."
    except KeyError:
        return f"sudo -u '#{uid}' arbot ..."


class TaxExport(msgspec.Struct, frozen=True, kw_only=True):
    """A tax report or export that was made: when, and what it was."""

    ts_ns: int
    what: str


def note_tax_export(path: Path, made: TaxExport) -> None:
    """Leave word in a state folder that one was made; where there is no such folder nobody asks."""
    if path.is_dir():
        write_private(path / _TAX_EXPORT, msgspec.json.encode(made))


def tax_export_ns(path: Path) -> int:
    """Return when the last one was made; 0 when there was none, or its word cannot be read."""
    try:
        return msgspec.json.decode((path / _TAX_EXPORT).read_bytes(), type=TaxExport).ts_ns
    except (OSError, msgspec.MsgspecError):
        return 0


def write_private(path: Path, data: bytes) -> Path:
    """Write a file of mode 0600, all of it or nothing, and return its path."""
    partial = path.with_suffix(path.suffix + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    partial.replace(path)
    return path
