"""Images of a store's files as a power cut would leave them: every fill that was acknowledged is in each of them.

A writer that never stops is frozen at random moments, between and inside its commits; its files are copied as they are. What
the write-ahead log got after the last acknowledgement is torn off, zeroed or turned to noise: nothing promised that it was
on disk. Up to there every byte was synced before the commit returned, which is what `synchronous = FULL` is for.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from arbot.journal.store import Access
from tests.support.stores import a_store

ROOT = Path(__file__).resolve().parents[2]
IMAGES = int(os.environ.get("ARBOT_TEST_IMAGES", "8"))  # more in a soak
FRAME = 4_096 + 24  # bytes of one page in the log

WRITER = """
import os, sys
from tests.support import store_writer

def say(seq):
    print(seq, os.stat(sys.argv[2]).st_size, flush=True)

store_writer.say = say
store_writer.main()
"""


class Acknowledged(NamedTuple):
    """The journal number that a commit returned with, and how long the log was then."""

    seq: int
    log_size: int


class Image(NamedTuple):
    """A copy of the files, and what had been acknowledged before it was made."""

    path: Path
    before: Acknowledged

    @property
    def log(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")


class FrozenWriter:
    """A process that commits fills like a daemon and can be stopped at any instruction."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "arbot.db"
        self._folder = folder
        self._log = folder / "arbot.db-wal"
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, f"sqlite:///{self.path}", str(self._log)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.heard = Acknowledged(0, 0)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._count = 0

    def _listen(self) -> None:
        for line in self._process.stdout:
            if line.endswith("\n"):  # the last one may be cut off by our kill
                self.heard = Acknowledged(*map(int, line.split()))

    def image(self) -> Image:
        """Freeze the writer, copy its files, and let it go on."""
        os.kill(self._process.pid, signal.SIGSTOP)
        while _state(self._process.pid) != "T":
            _pause(0.001)
        before = self.heard  # at least this was said
        folder = self._folder / str(self._count)
        folder.mkdir()
        self._count += 1
        for path in (self.path, self._log):
            shutil.copyfile(path, folder / path.name)
        os.kill(self._process.pid, signal.SIGCONT)
        return Image(folder / self.path.name, before)

    def close(self) -> None:
        """End the writer."""
        self._process.kill()
        self._process.wait(30)
        self._listener.join(5)
        self._process.stdout.close()


@contextmanager
def a_writer(folder: Path) -> Iterator[FrozenWriter]:
    writer = FrozenWriter(folder)
    try:
        for _ in range(3_000):
            if writer.heard.seq >= 4:
                break
            _pause(0.01)
        yield writer
    finally:
        writer.close()


def torn(image: Image, chance: random.Random) -> str:
    """Spoil what stands in a copied log behind the last acknowledgement; return how."""
    size, whole = image.before.log_size, image.log.stat().st_size
    if whole <= size:
        return "nothing to spoil"
    way = chance.choice(("cut", "zeros", "noise"))
    with image.log.open("r+b") as log:
        if way == "cut":
            log.truncate(chance.randint(size, whole))
        else:
            log.seek(size)
            log.write(bytes(whole - size) if way == "zeros" else chance.randbytes(whole - size))
    return way


def test_every_acknowledged_fill_is_in_every_later_image(tmp_path):
    """Whatever moment the power goes, the store opens, verifies, and has all that was said to be on disk."""
    chance = random.Random(11)
    with a_writer(tmp_path) as writer:
        images = []
        for _ in range(IMAGES):
            _pause(chance.uniform(0.002, 0.06))
            images.append(writer.image())
    assert images[-1].before.seq > images[0].before.seq, "the writer must have gone on between the images"
    for image in images:
        torn(image, chance)
        with closing(a_store(f"sqlite:///{image.path}", access=Access.READ)) as store:
            assert image.before.seq <= store.head().seq
            assert () == _unsound(store)
            booked = [entry.record.envelope.event.fill for entry in store.iter_journal(kinds=("OrderFilled",))]
            assert booked == [found.fill for found in store.trades()]


def test_what_was_promised_is_needed(tmp_path):
    """A log that lost one page of what was acknowledged has lost the last commit: the tearing above would show a loss."""
    with a_writer(tmp_path) as writer:
        image = writer.image()
    if image.log.stat().st_size > 900 * FRAME:
        pytest.skip("the machine was so slow to look that the log was started anew")
    with image.log.open("r+b") as log:
        log.truncate(image.before.log_size - FRAME)
    with closing(a_store(f"sqlite:///{image.path}", access=Access.READ)) as store:
        assert store.head().seq < image.before.seq


def _unsound(store) -> tuple:
    return tuple(problem for problem in store.verify() if "anchor" not in problem.what)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
