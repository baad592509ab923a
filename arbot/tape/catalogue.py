"""What there is on a tape, from the footers alone: no data is read here.

A dataset is one venue, symbol, content and UTC day; its parts follow one another and never overlap. A part that was
compacted names the parts it stands for (`REPLACES_KEY`), and those are not listed even while they still lie there: the
compaction died between its rename and its deletes. What a killed writer left open is listed, and never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from arbot.domain.errors import Mistake, UserError
from arbot.domain.instrument import InstrumentStatus
from arbot.domain.units import ZERO
from arbot.tape.schema import FORMAT, META_KEY, Content, TapeMeta, decode_meta

REPLACES_KEY = b"arbot.replaces"
SUFFIX = ".parquet"
OPEN_SUFFIX = ".open"
TIME_COLUMNS = ("recv_ts_ns", "start_ts_ns")
_NEW_TAPE = "import or record it again, or leave out what is damaged with --repair"
_names = msgspec.json.Decoder(tuple[str, ...])


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file. Times are the first and last of its rows."""

    path: Path
    meta: TapeMeta
    rows: int
    bytes: int
    mtime_ns: int
    groups: tuple[int, ...]  # rows of each row group
    first_ts_ns: int
    last_ts_ns: int
    replaces: tuple[str, ...] = ()  # names in the same folder
    follows_damage: bool = False  # a part before it was left out: what it changes is unknown until its next snapshot


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """One venue, symbol, content and day. `meta` is the newest part's; `parts` are in the order of time."""

    venue: str
    symbol: str
    day: str  # YYYY-MM-DD
    meta: TapeMeta
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Return how many rows it has."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Return what it takes on disk."""
        return sum(part.bytes for part in self.parts)

    @property
    def first_ts_ns(self) -> int:
        """Return the time of the first row."""
        return self.parts[0].first_ts_ns

    @property
    def last_ts_ns(self) -> int:
        """Return the time of the last row."""
        return self.parts[-1].last_ts_ns


class Catalogue:
    """A folder of datasets."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def datasets(
        self,
        *,
        venues: Sequence[str] = (),
        symbols: Sequence[str] = (),
        first_day: str = "",
        last_day: str = "9999-12-31",
    ) -> tuple[Dataset, ...]:
        """Return what is there, by venue, symbol, content and day; empty filters let everything pass. Raises: UserError."""
        return tuple(
            dataset
            for dataset in open_tapes([self.path])
            if (not venues or dataset.venue in venues)
            and (not symbols or dataset.symbol in symbols)
            and first_day <= dataset.day <= last_day
        )

    def left_open(self) -> tuple[Path, ...]:
        """Return what killed writers left: up to the last seconds of a recording, unreadable, safe to delete."""
        return tuple(sorted(self.path.rglob(f".*{OPEN_SUFFIX}")))


def open_tapes(paths: Iterable[Path], damaged: dict[Path, str] | None = None) -> tuple[Dataset, ...]:
    """Return the datasets of catalogues, folders of one and single files, in the order given.

    With `damaged` given, files that cannot be read are put there with the reason, and left out; a book is cleared there.
    Raises: UserError naming each file that is no tape, is unreadable, or does not fit the others.
    """
    mistakes: list[Mistake] = []
    parts: dict[Path, Part] = {}
    for path in paths:
        files = _files(path)
        if not files:
            what = "has no tape in it" if path.exists() else "does not exist"
            mistakes.append(Mistake(str(path), what, "name a catalogue, a folder of one, or a .parquet file"))
        for file in files:
            if file in parts:
                continue
            found = _part(file)
            if isinstance(found, Part):
                parts[file] = found
            elif damaged is not None:
                damaged[file] = found.what
            else:
                mistakes.append(found)
    datasets = _grouped(_marked(_standing(parts.values()), damaged or {}), mistakes)
    if mistakes:
        raise UserError(*mistakes)
    return datasets


def day_of(ts_ns: int) -> str:
    """Return the UTC day of a time as YYYY-MM-DD."""
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d")


def read_part_footer(path: Path) -> Part:
    """Return what a file says about itself. Raises: UserError naming it."""
    found = _part(path)
    if isinstance(found, Mistake):
        raise UserError(found)
    return found


def _files(path: Path) -> list[Path]:
    """Return the parts at a path, hidden files and folders left out."""
    if path.is_file():
        return [path.resolve()]
    root = path.resolve()
    return sorted(
        file
        for file in root.rglob(f"*{SUFFIX}")
        if not any(name.startswith(".") for name in file.relative_to(root).parts)
    )


def _part(path: Path) -> Part | Mistake:
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        return Mistake(str(path), f"cannot be read as Parquet: {_first_line(error)}", _NEW_TAPE)
    told: dict[bytes, bytes] = footer.metadata or {}
    if META_KEY not in told:
        return Mistake(
            str(path),
            "is Parquet, but not a tape: it says nothing about venue and instrument",
            "run `arbot data import` on it",
        )
    try:
        meta = decode_meta(told[META_KEY])
        replaces = _names.decode(told[REPLACES_KEY]) if REPLACES_KEY in told else ()
    except msgspec.DecodeError as error:
        return Mistake(str(path), f"says nothing we understand about itself: {error}", _NEW_TAPE)
    if meta.format != FORMAT:
        return Mistake(
            str(path),
            f"is of format {meta.format}; this version reads {FORMAT}",
            "use the version that wrote it, or import the data again",
        )
    spans = _spans(footer)
    if not spans:
        return Mistake(str(path), "has no rows, or its footer does not say of which times", _NEW_TAPE)
    status = path.stat()
    return Part(
        path=path,
        meta=meta,
        rows=footer.num_rows,
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        groups=tuple(footer.row_group(group).num_rows for group in range(footer.num_row_groups)),
        first_ts_ns=min(first for first, _ in spans),
        last_ts_ns=max(last for _, last in spans),
        replaces=replaces,
    )


def _spans(footer: Any) -> list[tuple[int, int]]:
    """Return the first and last time of each row group; nothing when a group does not say."""
    column = next((number for number, name in enumerate(footer.schema.names) if name in TIME_COLUMNS), None)
    if column is None:
        return []
    statistics = [footer.row_group(group).column(column).statistics for group in range(footer.num_row_groups)]
    if any(known is None or not known.has_min_max for known in statistics):
        return []
    return [(known.min, known.max) for known in statistics]


def _standing(parts: Iterable[Part]) -> list[Part]:
    """Return the parts that no other one replaces."""
    every = list(parts)
    gone = {part.path.with_name(name) for part in every for name in part.replaces if name != part.path.name}
    return [part for part in every if part.path not in gone]


def _marked(parts: list[Part], damaged: Iterable[Path]) -> list[Part]:
    """Return the parts, those marked that come next after one of the same kind that was left out."""
    marked = set()
    for gone in damaged:
        after = [
            part.path
            for part in parts
            if part.path.parent.parent == gone.parent.parent
            and part.path > gone
            and part.path.suffixes == gone.suffixes
        ]
        marked |= {min(after)} if after else set()
    return [msgspec.structs.replace(part, follows_damage=part.path in marked) for part in parts]


def _grouped(parts: list[Part], mistakes: list[Mistake]) -> tuple[Dataset, ...]:
    groups: dict[tuple[str, str, str, str], list[Part]] = {}
    for part in parts:
        instrument = part.meta.instrument
        key = (instrument.venue, instrument.symbol, part.meta.content.value, day_of(part.first_ts_ns))
        groups.setdefault(key, []).append(part)
    datasets = []
    for (venue, symbol, _, day), members in groups.items():
        members.sort(key=lambda part: (part.first_ts_ns, part.path.name))
        mistakes += _misfits(members)
        datasets.append(Dataset(venue=venue, symbol=symbol, day=day, meta=members[-1].meta, parts=tuple(members)))
    return tuple(datasets)


def _misfits(parts: list[Part]) -> list[Mistake]:
    """Return what keeps parts from being one dataset."""
    found = []
    for before, after in pairwise(parts):
        if lasting(before.meta) != lasting(after.meta):
            found.append(
                Mistake(
                    str(after.path),
                    f"describes its instrument otherwise than {before.path.name} of the same day",
                    "replay them apart, or import the data again",
                )
            )
        if after.first_ts_ns <= before.last_ts_ns and after.meta.content is not Content.BARS:
            found.append(
                Mistake(
                    str(after.path),
                    f"begins before {before.path} ends: two recordings of one instrument at once",
                    "leave one of them out",
                )
            )
    return found


def lasting(meta: TapeMeta) -> TapeMeta:
    """Return the metadata without what may change from one recording to the next: source, run, status, minimums."""
    same = msgspec.structs.replace(
        meta.instrument, status=InstrumentStatus.ONLINE, qty_min=ZERO, notional_min=ZERO, qty_max=ZERO
    )
    return msgspec.structs.replace(meta, instrument=same, source="", run_id="")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
