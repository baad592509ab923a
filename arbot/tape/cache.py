"""Keeps the merged columns of tapes as plain arrays, so that later runs map them instead of decoding.

An entry is a folder named by a digest of what it was made from: the tapes' files (name, size, time of change), their
order, and the formats. It is written beside and renamed, so that a half-written one is never found; it holds one .npy a
column and `about.json`. A damaged or short entry is made again. The least recently used go when all take too much.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from arbot.market.stream import IS_LAST, Rows
from arbot.tape.catalogue import Dataset
from arbot.tape.merge import CHUNK_ROWS, merged, streams
from arbot.tape.schema import FORMAT

CACHE_FORMAT = 1
CACHE_FOLDER = ".cache"
BYTES_MAX = 64 << 30
_ABOUT = "about.json"
_TEMPORARY = ".making-"
_LOCK = ".lock"  # held while an entry is being made: what is not held was left by a killed process
_TAIL = 4096  # rows looked through at a time for the end of a message


class _About(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry says about itself. `check` is a digest over pieces of its columns."""

    key: str
    rows: int
    check: str


class MappedRows:
    """The merged rows of tapes, mapped from disk: memory is only taken for what is being read."""

    def __init__(self, columns: Sequence[np.memmap]) -> None:
        self._columns = columns
        self.rows = Rows(*map(np.asarray, columns))

    def __len__(self) -> int:
        return len(self.rows)

    def chunks(self, chunk_rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield views of about `chunk_rows` rows, whole messages each: as many more as the last message needs."""
        first = 0
        while first < len(self.rows):
            stop = self._end_of_message(min(first + chunk_rows, len(self.rows)))
            yield self.rows.part(first, stop)
            self._give_back(first, stop)
            first = stop

    def _give_back(self, first: int, stop: int) -> None:
        """Take rows that were read off this process's memory; whoever looks at them again maps them again."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        for column in self._columns:
            mapped: mmap.mmap = column._mmap  # noqa: SLF001 - numpy offers no other way to it
            ahead = column.offset % mmap.ALLOCATIONGRANULARITY
            begin = (ahead + first * column.itemsize) // mmap.PAGESIZE * mmap.PAGESIZE
            end = (ahead + stop * column.itemsize) // mmap.PAGESIZE * mmap.PAGESIZE
            if end > begin:
                mapped.madvise(mmap.MADV_DONTNEED, begin, end - begin)

    def _end_of_message(self, stop: int) -> int:
        """Return the first end of a message at or after row `stop`."""
        is_last = self.rows.tag[stop - 1 : stop + _TAIL] & IS_LAST
        while not is_last.any():
            stop += _TAIL
            is_last = self.rows.tag[stop - 1 : stop + _TAIL] & IS_LAST
        return stop + int(np.argmax(is_last != 0))


def cached(
    datasets: Sequence[Dataset],
    folder: Path,
    *,
    build: bool,
    bytes_max: int = BYTES_MAX,
    progress: Callable[[int], None] | None = None,
) -> MappedRows | None:
    """Return the rows of datasets from the cache; with `build` they are put there if they are not, else None.

    `progress` is told the rows done. None, too, when the disk or `bytes_max` has no room, and for tapes of which damaged
    parts were left out: read the tapes themselves.
    Raises: UserError for damaged tapes.
    """
    if any(part.follows_damage for dataset in datasets for part in dataset.parts):
        return None
    key = digest(datasets)
    entry = folder / key
    found = _open(entry, key)
    if found is not None or not build:
        return found
    rows = sum(stream.rows for stream in streams(datasets))
    need = 8 * len(Rows._fields) * rows
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(entry, ignore_errors=True)
    _make_room(folder, bytes_max - need)
    if need > bytes_max or need > shutil.disk_usage(folder).free:
        return None
    _build(datasets, entry, key, rows, progress or (lambda _: None))
    return _open(entry, key)


def digest(datasets: Sequence[Dataset]) -> str:
    """Return what names an entry: other files, another order or another format make another one."""
    told = [
        [
            [stream.instrument.id, stream.number],
            [
                [str(part.path.name), part.bytes, part.mtime_ns, part.rows, part.first_ts_ns]
                for dataset in stream.datasets
                for part in dataset.parts
            ],
        ]
        for stream in streams(datasets)
    ]
    return hashlib.sha256(msgspec.json.encode([CACHE_FORMAT, FORMAT, told])).hexdigest()[:32]


def _open(entry: Path, key: str) -> MappedRows | None:
    """Return a whole entry, marked as used, or None."""
    try:
        about = msgspec.json.decode((entry / _ABOUT).read_bytes(), type=_About)
        columns = [np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in Rows._fields]
    except (OSError, ValueError, EOFError, msgspec.DecodeError):
        return None  # there is none, or it is damaged: the caller makes it again
    is_right = all(column.dtype == np.int64 and column.shape == (about.rows,) for column in columns)
    if about.key != key or not is_right or about.check != _check(Rows(*columns)):
        return None
    with contextlib.suppress(OSError):  # a cache on a read-only disk is used all the same
        os.utime(entry)
    return MappedRows(columns)


def _build(datasets: Sequence[Dataset], entry: Path, key: str, count: int, progress: Callable[[int], None]) -> None:
    made = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=entry.parent))
    lock = (made / _LOCK).open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        files = [(made / f"{name}.npy").open("wb") for name in Rows._fields]
        try:
            for file in files:
                header = {"descr": "<i8", "fortran_order": False, "shape": (count,)}
                np.lib.format.write_array_header_1_0(file, header)
            done = 0
            for rows in merged(datasets):
                for file, column in zip(files, rows, strict=True):
                    file.write(column.data)
                done += len(rows)
                progress(done)
        finally:
            for file in files:
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave zeros under a right name
                file.close()
        check = _check(Rows(*(np.load(made / f"{name}.npy", mmap_mode="r") for name in Rows._fields)))
        (made / _ABOUT).write_bytes(msgspec.json.encode(_About(key=key, rows=count, check=check)))
        (made / _LOCK).unlink()
        with contextlib.suppress(OSError):  # another process was quicker: its entry is as good
            made.rename(entry)
    finally:
        lock.close()
        shutil.rmtree(made, ignore_errors=True)


def _check(rows: Rows) -> str:
    """Return a digest over the first, middle and last rows: tells a torn file, not every flipped bit."""
    made = hashlib.sha256()
    count = len(rows)
    for column in rows:
        for first in (0, max(0, count // 2 - 256), max(0, count - 512)):
            made.update(np.ascontiguousarray(column[first : first + 512]).data)
    return made.hexdigest()[:32]


def _make_room(folder: Path, bytes_max: int) -> None:
    """Delete the least recently used entries until the rest takes no more than `bytes_max`."""
    for path in folder.glob(f"{_TEMPORARY}*/{_LOCK}"):
        _sweep(path)
    entries = [path for path in folder.iterdir() if path.is_dir() and (path / _ABOUT).exists()]
    entries.sort(key=lambda path: path.stat().st_mtime_ns)
    sizes = [sum(file.stat().st_size for file in path.iterdir()) for path in entries]
    total = sum(sizes)
    for path, size in zip(entries, sizes, strict=True):
        if total <= bytes_max:
            break
        shutil.rmtree(path, ignore_errors=True)
        total -= size


def _sweep(lock: Path) -> None:
    """Delete what a killed process left of an entry."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
    except OSError:
        return  # it is being made right now, or gone
