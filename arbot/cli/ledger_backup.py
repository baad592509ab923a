"""Copies of the ledger that were proved, and their way back: `arbot ledger backup` and `arbot ledger restore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arbot.cli.exit_codes import ExitCode
from arbot.cli.output import counted, say, shown, tell, to_json
from arbot.cli.stores import LedgerOption, ledger_url, open_store
from arbot.cli.where import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from arbot.settings.model import Settings


def register(app: typer.Typer) -> None:
    """Add the commands to `arbot ledger`."""
    app.command()(backup)
    app.command()(restore)


def backup(
    out: Annotated[Path, typer.Option("--out", help="File to write, or a folder: the file is then named by its time.")],
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=1, help="Remove all but so many, the newest, from the folder.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the ledger into one file while the daemon runs, prove the copy, and write its digest and its anchor beside it.

    Exit code 5 when ledger or copy do not hold together: no backup is left then, and every fault is told.
    """
    from rich.console import Console

    from arbot.domain.errors import Mistake, UserError
    from arbot.journal.backup import back_up, demand_same_journal, kept, rotate
    from arbot.runtime.clock import SystemClock

    to = out.absolute()
    if keep is not None and not to.is_dir():
        raise UserError(Mistake(str(out), "--keep needs a folder to look after", "name a folder that exists"))
    ts_ns = SystemClock().now_ns()
    path = to / f"ledger-{_stamp(ts_ns)}.sqlite" if to.is_dir() else to
    with _telling(), open_store(config, ledger) as store, Console(stderr=True).status("copying and proving"):
        if keep is not None:
            demand_same_journal(store, to)
        made = back_up(store, path, ts_ns=ts_ns)
        gone = [] if keep is None else rotate(to, keep)
    if as_json:
        say(to_json({**_plain(made), "removed": [str(one) for one in gone], "kept": len(kept(path.parent))}))
        return
    say(f"{made.sha256}  {shown(path)}")
    tell(f"proved to journal entry {made.seq}; keep the file, its .sha256 and its .anchor on another machine, too")
    if gone:
        tell(f"removed {counted(len(gone), 'older backup')}")


def restore(
    file: Annotated[Path, typer.Argument(help="What `arbot ledger backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also when a ledger is there; it is kept beside under another name.")
    ] = False,
    config: ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of the ledger, into SQLite or PostgreSQL. No daemon may run; nothing is lost.

    The backup is proved before and after. A kill switch that was thrown stays thrown. Exit code 5 when the backup does
    not hold together: nothing is changed then.
    """
    from rich.console import Console

    from arbot.journal.restore import restore as put_back
    from arbot.runtime.clock import SystemClock

    ts_ns = SystemClock().now_ns()
    settings = None if ledger else settings_of(config)
    url = ledger_url(ledger) if ledger else settings.store_url()  # type: ignore[union-attr]
    with _telling(), _nobody_in(settings), Console(stderr=True).status("proving and restoring"):
        done = put_back(file.absolute(), url, may_replace=replace, ts_ns=ts_ns, stamp=_stamp(ts_ns))
    if not done.has_digest:
        tell(f"{shown(file.absolute())} has no .sha256 beside it: it was proved by its own journal alone")
    if as_json:
        facts = {"safety": done.safety, "is_killed": done.is_killed, "has_digest": done.has_digest}
        say(to_json({**_plain(done.copy), **facts}))
        return
    say(f"restored {shown(file.absolute())}: the journal ends at {done.copy.seq} {done.copy.hash}")
    if done.safety:
        tell(f"what was there before is {shown(Path(done.safety))}")
    tell("what venues did since the backup is asked of them at the next start; compare with `arbot ledger gaps`")
    if done.is_killed:
        tell("the kill switch is thrown: `arbot unkill --reason TEXT` when you have looked")


def _plain(copy: object) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(copy)
    return plain


def _stamp(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")


@contextmanager
def _nobody_in(settings: Settings | None) -> Iterator[None]:
    """Keep daemons out of the state folder meanwhile. Raises: UserError when one is in it."""
    from arbot.runtime.state_dir import StateDir

    if settings is None:
        yield
        return
    with StateDir(settings.run.state_dir):
        yield


@contextmanager
def _telling() -> Iterator[None]:
    """Tell what does not hold together, line by line."""
    from arbot.journal.backup import CopyUnsound

    try:
        yield
    except CopyUnsound as error:
        tell(f"{error.what} does not hold together; nothing was changed:")
        for problem in error.problems:
            tell(f"  {problem}")
        raise typer.Exit(ExitCode.LEDGER_PROBLEM) from error
