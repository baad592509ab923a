"""The first of the two looks at the files: what must be known before a row can be written.

How many decimals a series uses, which clocks it has, which days it covers, and how far its rows are out of order: all
of that stands in the metadata of the first part, or decides whether there may be one at all.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from arbot.domain.errors import Mistake
from arbot.market.stream import Kind
from arbot.tape.importing.contract import BarBatch, Batch, BookBatch, Format, Options, Refused, SeriesKey, Source
from arbot.tape.importing.markets import name_of
from arbot.tape.importing.numbers import DIGITS_MAX, NO_USAGE, ODD_SHARE_MAX, Parsed, Usage, parse, usage
from arbot.tape.importing.times import DAY_NS
from arbot.tape.schema import Clocks, Content

LATE_SHARE_MAX = 0.001  # of the messages may stand out of order
SAME_SHARE_MIN = 0.99  # equal clocks in more rows than this are one clock


class Survey:
    """What is known of one series after the first look."""

    def __init__(self, batch: Batch) -> None:
        self.series: SeriesKey = batch.series
        self.content = batch.content if isinstance(batch, BookBatch) else Content.BARS
        self.depth = batch.depth if isinstance(batch, BookBatch) else 0
        self.bar_ns = batch.bar_ns if isinstance(batch, BarBatch) else 0
        self.price = NO_USAGE
        self.qty = NO_USAGE
        self.rows = 0
        self.signs = 0  # of them CLEAR: of readers, not of files
        self.messages = 0
        self.recv_missing = 0
        self.venue_missing = 0
        self.clocks_same = 0
        self.days: set[int] = set()
        self.late = 0
        self.held_ns = 0  # how much later than its place a message came, at most
        self.first_late = ""
        self._newest_ns = 0

    @property
    def name(self) -> str:
        """The series as findings name it."""
        return name_of(self.series)

    @property
    def clocks(self) -> Clocks:
        """Which clocks the series has."""
        if self.recv_missing == self.rows:
            return Clocks.VENUE_ONLY
        if self.venue_missing == self.rows or self.clocks_same > SAME_SHARE_MIN * self.rows:
            return Clocks.RECV_ONLY
        return Clocks.BOTH

    def take(self, batch: Batch, source: Source) -> None:
        """Look at a batch. Raises: Refused for what is no number, for a row without a time, for two kinds of content."""
        if isinstance(batch, BarBatch):
            self._take_bars(batch, source)
            return
        if batch.content != self.content:
            what = f"{self.name} comes as {self.content} and as {batch.content} in one import"
            raise Refused(Mistake(str(source.path), what, "import each into a folder of its own"))
        self.depth = max(self.depth, batch.depth) if self.depth and batch.depth else 0  # 0 is deeper than any number
        self.price += usage(numbers_of(batch.price, "price", batch, source))
        self.qty += usage(numbers_of(batch.qty, "quantity", batch, source))
        self.rows += len(batch.kind)
        self.signs += int(np.count_nonzero(batch.kind == Kind.CLEAR))
        is_recv_missing, is_venue_missing = batch.recv_ts_ns == 0, batch.venue_ts_ns == 0
        self.recv_missing += int(np.count_nonzero(is_recv_missing))
        self.venue_missing += int(np.count_nonzero(is_venue_missing))
        self.clocks_same += int(np.count_nonzero((batch.recv_ts_ns == batch.venue_ts_ns) & ~is_venue_missing))
        if np.any(is_recv_missing & is_venue_missing):
            at = int(np.flatnonzero(is_recv_missing & is_venue_missing)[0])
            raise Refused(Mistake(_where(source, batch, at), "the row has no time", "remove the row"))
        ts_ns = np.where(is_recv_missing, batch.venue_ts_ns, batch.recv_ts_ns)
        self._take_times(ts_ns[batch.is_last], batch, source, np.flatnonzero(batch.is_last))

    def _take_bars(self, batch: BarBatch, source: Source) -> None:
        if batch.bar_ns != self.bar_ns or self.content != Content.BARS:
            what = f"{self.name} has bars of two lengths, or something else beside bars, in one import"
            raise Refused(Mistake(str(source.path), what, "import each into a folder of its own"))
        for name in ("open", "high", "low", "close"):
            self.price += usage(numbers_of(getattr(batch, name), name, batch, source))
        self.qty += usage(numbers_of(batch.volume, "volume", batch, source))
        self.rows += len(batch.start_ts_ns)
        self._take_times(batch.start_ts_ns, batch, source, np.arange(len(batch.start_ts_ns)))

    def _take_times(self, ts_ns: NDArray[np.int64], batch: Batch, source: Source, rows: NDArray[np.int64]) -> None:
        if not len(ts_ns):
            return
        self.messages += len(ts_ns)
        self.days.update(np.unique(ts_ns // DAY_NS).tolist())
        newest = np.maximum(np.maximum.accumulate(ts_ns), self._newest_ns)
        late = np.flatnonzero(ts_ns < newest)
        if len(late):
            self.late += len(late)
            self.held_ns = max(self.held_ns, int((newest - ts_ns).max()))
            self.first_late = self.first_late or _where(source, batch, int(rows[late[0]]))
        self._newest_ns = int(newest[-1])


def check(survey: Survey, format: Format) -> None:  # noqa: A002 - the word of the command line
    """Refuse a series that is too much out of order, or whose rows have two kinds of clocks."""
    if survey.messages and survey.late > LATE_SHARE_MAX * survey.messages:
        raise Refused(
            Mistake(
                survey.first_late,
                f"{survey.name}: {survey.late} of {survey.messages} messages are out of time order, by up to "
                f"{survey.held_ns / 1e9:.3f} s; {format.name} sorts no more than {LATE_SHARE_MAX:.1%} (order)",
                "sort the file by the time of receipt, or give files that overlap one at a time",
            )
        )
    if 0 < survey.recv_missing < survey.rows:
        what = (
            f"{survey.name}: {survey.recv_missing} of {survey.rows} rows have no time of receipt, the others have one"
        )
        raise Refused(Mistake(survey.name, what, "import the files with and without it apart"))


class Scale:
    """How numbers of one kind become integers: at `decimals`, on multiples of `multiple` units."""

    def __init__(self, decimals: int, unit: Decimal) -> None:
        self.decimals = decimals
        self.unit = unit  # what an order must be a multiple of
        self.multiple = int(unit.scaleb(decimals))


def scale_of(used: Usage, said: str, option: str, survey: Survey) -> Scale:
    """Return the scale that was said, or that the numbers show. Raises: Refused when too many would be rounded."""
    unit = unit_of(said, option) if said else Decimal(1).scaleb(-used.decimals)
    exponent = unit.as_tuple().exponent
    decimals = max(-exponent, 0) if isinstance(exponent, int) else 0
    share = used.odd_share(decimals)
    is_volume = survey.content == Content.BARS and option == "--step"  # sums of floats, and nothing is filled from them
    if (share > ODD_SHARE_MAX and not is_volume) or decimals > DIGITS_MAX:
        raise Refused(
            Mistake(
                survey.name,
                f"{share:.1%} of the numbers need more than the {decimals} decimals of {option} {unit:f}",
                f"say the true {option} of the market; finer numbers would be changed",
            )
        )
    return Scale(decimals, unit)


def unit_of(said: str, option: str) -> Decimal:
    """Return a --tick or --step. Raises: Refused for what is not a number above zero."""
    try:
        unit = Decimal(said).normalize()
    except InvalidOperation:
        unit = Decimal(0)
    if not unit.is_finite() or unit <= 0:
        raise Refused(Mistake(option, f"{said!r} is not a number above zero", f"write {option} 0.05"))
    return unit.quantize(Decimal(1)) if unit == unit.to_integral_value() else unit


def numbers_of(numbers: object, column: str, batch: Batch, source: Source) -> Parsed:
    """Return a column as read. Raises: Refused, naming the row, for what is neither a number nor a word for none."""
    parsed = parse(numbers)
    bad = np.flatnonzero(parsed.is_bad)
    if len(bad):
        at = int(bad[0])
        text = numbers[at]  # type: ignore[index]
        raise Refused(
            Mistake(_where(source, batch, at), f"{column} {text!s} is not a number", "mend or remove the row")
        )
    return parsed


def _where(source: Source, batch: Batch, at: int) -> str:
    """Return file and row of row `at` of a batch; exact where a row of the batch is one of the file."""
    if not batch.first_row:
        return str(source.path)
    if isinstance(batch, BookBatch) and not batch.is_row_per_level:
        at = int(np.count_nonzero(batch.is_last[:at]))
    return f"{source.path}, row {batch.first_row + at}"


def options_checked(options: Options) -> None:
    """Refuse what cannot be meant, before a file is opened."""
    for said, option in ((options.tick, "--tick"), (options.step, "--step")):
        if said:
            unit_of(said, option)
