"""The folder a bundle goes to: the whole bundle or what was there before, never a half.

Rules of this file:
- Files are written to a hidden folder beside the goal; it is renamed when the last of them is complete.
- A folder that is not an earlier bundle, and not empty, is refused: its files could be somebody's.
- Only its owner can open the folder: it says what somebody earned and holds.
- Killed between the two renames, the earlier bundle waits under its hidden name, and the next report puts it back first.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.tax.bundle.sheet import Digest, Sheet

MANIFEST = "manifest.json"
BUNDLE = "arbot tax report"


class Folder:
    """The bundle under way: hands out sheets by name and knows them all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sheets: dict[str, Sheet] = {}

    def sheet(self, name: str, header: str = "") -> Sheet:
        """Return a new file of the bundle; `name` may have a folder before it."""
        sheet = Sheet(self.path / name, header)
        self._sheets[name] = sheet
        return sheet

    def flush(self) -> None:
        """Write what waits in memory."""
        for sheet in self._sheets.values():
            sheet.flush()

    def digests(self) -> dict[str, Digest]:
        """Return what every file holds, by name, sorted."""
        return {name: self._sheets[name].digest() for name in sorted(self._sheets)}


@contextmanager
def put_in_place(goal: Path) -> Iterator[Folder]:
    """Give a folder to write to; it becomes `goal` when the block ends well, and vanishes when it does not.

    Raises: UserError when `goal` holds something else than an earlier bundle, or cannot be written.
    """
    goal = goal.absolute()
    earlier = goal.with_name(f".{goal.name}.earlier")
    check(goal)
    made = _begin(goal, earlier)
    try:
        yield Folder(made)
        if goal.exists():
            goal.rename(earlier)
        made.rename(goal)
    except BaseException:  # whoever called hears of it: it is raised again
        shutil.rmtree(made, ignore_errors=True)
        if earlier.exists():
            _settle(goal, earlier)
        raise
    if earlier.exists():
        shutil.rmtree(earlier)


def check(goal: Path) -> None:
    """Raise UserError when a bundle must not be written there."""
    if not goal.exists():
        return
    if not goal.is_dir():
        raise UserError(Mistake(f"--out {goal}", "is a file", "name a folder that does not exist yet"))
    if any(goal.iterdir()) and not _is_bundle(goal):
        what = "holds files that are no earlier bundle of arbot; they would be lost"
        raise UserError(Mistake(f"--out {goal}", what, "name a folder that does not exist yet, or empty this one"))


def _begin(goal: Path, earlier: Path) -> Path:
    """Settle what an earlier report left there and return a new folder, which only the owner can open."""
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        if earlier.exists():
            _settle(goal, earlier)
        for left in sorted(goal.parent.glob(f".{goal.name}.unfinished-*")):
            shutil.rmtree(left)  # of a report that was killed
        return Path(mkdtemp(prefix=f".{goal.name}.unfinished-", dir=goal.parent))
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise UserError(Mistake(f"--out {goal}", what, "name a folder in a place you may write to")) from error


def _is_bundle(folder: Path) -> bool:
    try:
        found = msgspec.json.decode((folder / MANIFEST).read_bytes())
    except (OSError, msgspec.DecodeError):
        return False
    return isinstance(found, dict) and found.get("bundle") == BUNDLE


def _settle(goal: Path, earlier: Path) -> None:
    """Put an earlier bundle back where a kill left none, or drop it where the new one is complete."""
    if goal.exists():
        shutil.rmtree(earlier)
    else:
        earlier.rename(goal)
