"""What a reader of a foreign format hands over, and what it may say on the way.

A reader is a generator: `read(source, options) -> Iterator[Batch]`. It streams, in the file's own order, in batches of
bounded size, and never invents: what it cannot read with certainty it drops with a Finding, or refuses with Refused,
which names file and row. Numbers stay as the file wrote them (text, or float64 where the file stores floats) until
`importing/run.py` lays them on ticks and steps. FORMATS in `importing/formats.py` is the table of readers.

Rules: facts of 2026-11 on the vendors' formats, each with its source, stand in the readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from arbot.domain.errors import UserError
from arbot.tape.schema import Content, Market

Numbers = NDArray[Any]
"""Prices or quantities as the file has them: an object array of str, a float64 array, or an array of strings of pyarrow."""


class Severity(StrEnum):
    """ERROR blocks a backtest unless overridden, WARN is printed with every report, INFO is listed."""

    ERROR = "error"
    WARN = "warn"
    INFO = "info"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something about the data that a reader of results must know. Codes: docs/guide/data.md."""

    code: str
    severity: Severity
    series: str  # "BTC/USD@kraken", a pair "A|B", or "" for a whole file
    detail: str  # one sentence with the worst example
    file: str = ""
    count: int = 0
    share: float = 0.0  # of the rows, or of time; 0 when it has no meaning
    first_ts_ns: int = 0
    last_ts_ns: int = 0
    remedy: str = ""  # what to do about it, as a command or an option where there is one


class Refused(UserError):
    """A file cannot be imported as it stands: a Mistake says file and row, what is wrong, and what to do."""


class SeriesKey(msgspec.Struct, frozen=True, order=True):
    """One market of the source. `symbol` is BASE/QUOTE; `venue` in small letters; `native` as the source wrote it."""

    venue: str
    symbol: str
    native: str
    market: Market = Market.SPOT
    contract_size: str = ""


class BookBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one series, whole messages only, in file order; the words are market/stream.py's.

    Times in ns, 0 = the source gives none (at least one of the two is given). `kind` int8, `is_last` bool, `side` int8.
    `first_row` is the number of the first row in the file (1 = the first data row), for messages to people.
    """

    series: SeriesKey
    content: Content
    depth: int
    recv_ts_ns: NDArray[np.int64]
    venue_ts_ns: NDArray[np.int64]
    kind: NDArray[np.int8]
    is_last: NDArray[np.bool_]
    side: NDArray[np.int8]
    price: Numbers
    qty: Numbers
    first_row: int = 0
    is_row_per_level: bool = False  # a row here is a row of the file; otherwise a whole message is (CLEAR never is)


class BarBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Bars of one series; `bar_ns` is their length and `start_ts_ns` the start of each."""

    series: SeriesKey
    bar_ns: int
    start_ts_ns: NDArray[np.int64]
    open: Numbers
    high: Numbers
    low: Numbers
    close: Numbers
    volume: Numbers
    first_row: int = 0


Batch = BookBatch | BarBatch


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the person said on the command line; empty means "not said", and a reader that needs it refuses."""

    venue: str = ""
    symbol: str = ""
    market: Market | None = None
    contract_size: str = ""
    columns: Mapping[str, str] = msgspec.field(default_factory=dict)  # ours -> the file's, for plain CSV
    day: str = ""  # YYYY-MM-DD, for formats whose rows carry a time of day and whose name says no date
    tick: str = ""
    step: str = ""


class Source:
    """One file being read: counts what went in and what was dropped, and collects findings.

    A reader adds every data row it saw to `rows_read` and every one it did not hand over to `dropped[reason]`.
    """

    def __init__(
        self, path: Path, options: Options, progress: Callable[[int], None], shared: dict[str, Any] | None = None
    ) -> None:
        self.path = path
        self.shared = {} if shared is None else shared  # what readers of one import leave to the next file, by name
        self.options = options
        self.progress = progress  # call with the bytes of the file consumed so far
        self.rows_read = 0
        self.dropped: dict[str, int] = {}
        self.findings: list[Finding] = []

    def drop(self, reason: str, count: int = 1) -> None:
        """Count rows that are not handed over."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def find(self, finding: Finding) -> None:
        """Say something about the data."""
        self.findings.append(finding)


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of formats."""

    name: str  # as given to --format
    about: str
    read: Callable[[Source], Iterator[Batch]]
    files: tuple[str, ...]  # glob patterns that a folder is searched with
    ordered: Callable[[list[Path]], list[Path]] = sorted  # several files of one series, oldest first
    is_in_order_received: bool = False  # rows stand as they came: a clock that stepped back is lifted, rows never move


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file: rows_read = rows_kept + sum(dropped)."""

    file: str
    sha256: str
    bytes: int
    rows_read: int
    rows_kept: int
    dropped: dict[str, int]


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `arbot data import` leaves in <catalogue>/imports/, and prints with --json."""

    format: str
    files: tuple[FileReport, ...]
    series: tuple[str, ...]
    findings: tuple[Finding, ...]
