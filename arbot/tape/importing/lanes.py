"""The second look at the files: a lane takes the batches of one series and makes rows of the tape of them.

Nothing is changed without a count: rounded numbers, dropped rows, rows that were moved.

Rows without a price above zero, or without a quantity, are dropped (`zero_price`): the row of the file, so the whole
message where a message is a row. Rows out of time order are sorted, stably, within what the survey saw; where rows stand
as they were received a clock that stepped back is lifted instead, because there the order of rows is the truth.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from arbot.domain.errors import Mistake
from arbot.market.stream import Kind
from arbot.tape.importing.contract import BarBatch, BookBatch, Finding, Refused, Severity, Source
from arbot.tape.importing.numbers import ODD_SHARE_MAX, Laid, lay
from arbot.tape.importing.survey import Scale, Survey, numbers_of
from arbot.tape.schema import Clocks, Content

HELD_ROWS_MAX = 4_000_000  # rows that may wait for an earlier one
_SIGNS = (Kind.CLEAR, Kind.ALIVE)
_LIMIT = np.iinfo(np.int64).max


class Rows(NamedTuple):
    """Rows as a part of the tape has them."""

    recv_ts_ns: NDArray[np.int64]
    venue_ts_ns: NDArray[np.int64]
    kind: NDArray[np.int8]
    is_last: NDArray[np.bool_]
    side: NDArray[np.int8]
    price: NDArray[np.int64]
    qty: NDArray[np.int64]

    def picked(self, which: Any) -> Rows:
        """Return some of the rows, by mask, order or slice."""
        return Rows(*(column[which] for column in self))


class RowSink(Protocol):
    """Where rows of a book go: TapeWriter, or nothing on a dry run."""

    def append(  # noqa: PLR0917 - the columns of a part
        self,
        recv_ts_ns: NDArray[np.int64],
        venue_ts_ns: NDArray[np.int64],
        seq: NDArray[np.int64],
        kind: NDArray[np.int8],
        is_last: NDArray[np.bool_],
        side: NDArray[np.int8],
        price: NDArray[np.int64],
        qty: NDArray[np.int64],
        /,
    ) -> None:
        """Add rows."""

    def close(self) -> None:
        """Make what was added durable."""


class BarSink(Protocol):
    """Where bars go: BarsWriter, or nothing on a dry run."""

    def append(  # noqa: PLR0917 - the columns of a part
        self,
        start_ts_ns: NDArray[np.int64],
        open: NDArray[np.int64],  # noqa: A002 - the field's word
        high: NDArray[np.int64],
        low: NDArray[np.int64],
        close: NDArray[np.int64],
        volume: NDArray[np.int64],
        /,
    ) -> None:
        """Add bars."""

    def close(self) -> None:
        """Make what was added durable."""


class Counted:
    """Counts one fault of a series, with its first example and its window."""

    def __init__(self) -> None:
        self.count = 0
        self.example = ""
        self.first_ts_ns = 0
        self.last_ts_ns = 0

    def add(self, count: int, ts_ns: NDArray[np.int64], example: str) -> None:
        """Add rows with the fault."""
        self.count += count
        self.example = self.example or example
        first, last = int(ts_ns.min()), int(ts_ns.max())
        self.first_ts_ns = min(self.first_ts_ns, first) if self.first_ts_ns else first
        self.last_ts_ns = max(self.last_ts_ns, last)


class _Lane:
    """What lanes of books and of bars share: scales and counts."""

    def __init__(self, survey: Survey, price: Scale, qty: Scale) -> None:
        self.survey = survey
        self.price = price
        self.qty = qty
        self.faults: dict[str, Counted] = {}
        self.numbers = 0
        self.odd = 0

    def fault(self, code: str, count: int, ts_ns: NDArray[np.int64], example: str) -> None:
        """Count a fault."""
        if count:
            self.faults.setdefault(code, Counted()).add(count, ts_ns, example)

    def lay(self, batch: BookBatch | BarBatch, column: str, scale: Scale, source: Source) -> tuple[Laid, Any]:
        """Return a column as integers and which are missing. Raises: Refused for a number of more than 18 digits."""
        numbers = getattr(batch, column)
        parsed = numbers_of(numbers, column, batch, source)
        laid = lay(parsed, scale.decimals, scale.multiple)
        if laid.is_too_big.any():
            at = int(np.flatnonzero(laid.is_too_big)[0])
            text = str(numbers[at])
            raise Refused(
                Mistake(
                    f"{source.path}, {self.survey.name}",
                    f"{column} {text} has more than 18 digits at {scale.decimals} decimals (first row {batch.first_row})",
                    "say coarser steps with --tick and --step, or remove the row",
                )
            )
        return laid, parsed.is_missing

    def count_rounded(self, laid: Laid, ts_ns: NDArray[np.int64], column: str, numbers: Any, scale: Scale) -> None:
        """Count numbers that were rounded."""
        self.numbers += len(laid.values)
        odd = laid.is_odd
        for fault, where in (("float_artefact", laid.is_rounded & ~odd), ("rounded", laid.is_rounded & odd)):
            rounded = np.flatnonzero(where)
            if len(rounded):
                at = int(rounded[0])
                text = f"{column} {numbers[at]!s} was laid on {int(laid.values[at])} x 10^-{scale.decimals}"
                self.fault(fault, len(rounded), ts_ns[rounded], text)
            self.odd += (
                0 if column == "volume" else int(np.count_nonzero(laid.is_odd))
            )  # nothing is filled from volumes

    def check_rounded(self) -> None:
        """Refuse a series in which more than artefacts had to be rounded."""
        if self.odd > ODD_SHARE_MAX * self.numbers:
            raise Refused(
                Mistake(
                    self.survey.name,
                    f"{self.odd} of {self.numbers} numbers do not lie on {self.price.unit:f} and {self.qty.unit:f}",
                    "say the true --tick and --step",
                )
            )


class BookLane(_Lane):
    """Rows of one series on their way to the tape."""

    def __init__(self, survey: Survey, price: Scale, qty: Scale, sink: RowSink, *, is_lifted: bool) -> None:
        super().__init__(survey, price, qty)
        self._sink = sink
        self.is_lifted = is_lifted
        self._held: list[Rows] = []
        self._newest_ns = 0
        self._last_print = np.zeros(1, np.uint64)
        self.messages = 0

    def take(self, batch: BookBatch, source: Source) -> int:
        """Write a batch, or hold it back, and return how many rows of the file it kept."""
        price, no_price = self.lay(batch, "price", self.price, source)
        qty, no_qty = self.lay(batch, "qty", self.qty, source)
        is_sign = np.isin(batch.kind, _SIGNS)
        laid = (np.where(is_sign, 0, values) for values in (price.values, qty.values))
        rows = Rows(*self._clocks(batch), batch.kind, batch.is_last, batch.side, *laid)
        self.count_rounded(price, rows.recv_ts_ns, "price", batch.price, self.price)
        self.count_rounded(qty, rows.recv_ts_ns, "quantity", batch.qty, self.qty)
        is_bad = ~is_sign & (no_price | no_qty | (rows.price <= 0) | (rows.qty < 0))
        if is_bad.any():
            rows = self._without_bad(rows, is_bad, batch, source)
        kept = rows.is_last if not batch.is_row_per_level else np.ones(len(rows.kind), np.bool_)
        count = int(np.count_nonzero(kept & (rows.kind != Kind.CLEAR)))
        rows = self._without_empty_levels(rows, source, is_row_per_level=batch.is_row_per_level)
        if batch.is_row_per_level:
            count = int(np.count_nonzero(rows.kind != Kind.CLEAR))
        self._look(rows)
        self._put(rows)
        return count

    def close(self) -> None:
        """Write what was held back."""
        self.check_rounded()
        self._release(_LIMIT)
        self._sink.close()

    def _clocks(self, batch: BookBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self.survey.clocks == Clocks.VENUE_ONLY:
            return batch.venue_ts_ns, batch.venue_ts_ns
        if self.survey.clocks == Clocks.RECV_ONLY:
            return batch.recv_ts_ns, np.zeros(len(batch.recv_ts_ns), np.int64)
        return batch.recv_ts_ns, batch.venue_ts_ns

    def _without_bad(self, rows: Rows, is_bad: NDArray[np.bool_], batch: BookBatch, source: Source) -> Rows:
        """Drop rows that are no levels; the whole message where that is the row of the file."""
        number = _message_numbers(rows.is_last)
        at = int(np.flatnonzero(is_bad)[0])
        example = f"price {batch.price[at]!s}, quantity {batch.qty[at]!s}"
        if not batch.is_row_per_level:
            is_bad = np.isin(number, number[is_bad])
        lost = int(np.count_nonzero(is_bad if batch.is_row_per_level else is_bad & rows.is_last))
        source.drop("zero_price", lost)
        self.fault("zero_price", lost, rows.recv_ts_ns[is_bad], example)
        return _closed(rows.picked(~is_bad), number[~is_bad])

    def _without_empty_levels(self, rows: Rows, source: Source, *, is_row_per_level: bool) -> Rows:
        """Leave out levels of a snapshot whose quantity is 0: they are not there. Unsized quotes have no other."""
        if self.survey.content == Content.UNSIZED_QUOTES:
            return rows
        is_empty = (rows.kind == Kind.SNAPSHOT) & (rows.qty == 0)
        if not is_empty.any():
            return rows
        number = _message_numbers(rows.is_last)
        alone = ~np.isin(number, number[~is_empty])  # nothing is left of the message: the book is empty
        if is_row_per_level:
            source.drop("empty_level", int(np.count_nonzero(is_empty)))
        first = np.flatnonzero(alone & _is_first(number))
        kind, side, price = rows.kind.copy(), rows.side.copy(), rows.price.copy()
        kind[first], side[first], price[first] = Kind.CLEAR, 0, 0
        keep = ~is_empty
        keep[first] = True
        return _closed(Rows(*rows[:2], kind, rows.is_last, side, price, rows.qty).picked(keep), number[keep])

    def _look(self, rows: Rows) -> None:
        """Count messages, those that repeat the one before in every field, and snapshots with levels out of order."""
        if not len(rows.kind):
            return
        number = _message_numbers(rows.is_last)
        starts = np.flatnonzero(_is_first(number))
        self.messages += len(starts)
        prints = np.add.reduceat(_prints(rows, np.arange(len(number)) - starts[number]), starts)
        same = np.flatnonzero(prints == np.concatenate((self._last_print, prints[:-1])))
        self._last_print = prints[-1:]
        if self.survey.content != Content.TRADES:  # two equal prints at one time are two trades
            self.fault("repeat", len(same), rows.recv_ts_ns[starts[same]], "") if len(same) else None
        if self.survey.depth:
            self._look_at_levels(rows, number)

    def _look_at_levels(self, rows: Rows, number: NDArray[np.int64]) -> None:
        for side in (1, -1):
            at = np.flatnonzero((rows.kind == Kind.SNAPSHOT) & (rows.side == side))
            price, of = rows.price[at] * side, number[at]
            wrong = np.flatnonzero((of[1:] == of[:-1]) & (price[1:] >= price[:-1]))
            if len(wrong):
                here = at[wrong[0] + 1]
                text = f"a level at {int(rows.price[here])} stands behind {int(rows.price[at[wrong[0]]])}, in ticks"
                self.fault("level_shape", len(np.unique(of[wrong])), rows.recv_ts_ns[at[wrong]], text)

    def _put(self, rows: Rows) -> None:
        """Write rows in time order, holding back what an earlier row may still come before."""
        if not len(rows.kind):
            return
        if self.is_lifted or not self.survey.late:
            lifted = np.maximum(np.maximum.accumulate(rows.recv_ts_ns), self._newest_ns)
            self._newest_ns = int(lifted[-1])
            self._write(rows._replace(recv_ts_ns=lifted))
            return
        self._held.append(rows)
        self._newest_ns = max(self._newest_ns, int(rows.recv_ts_ns.max()))
        self._release(self._newest_ns - self.survey.held_ns)
        waiting = sum(len(part.kind) for part in self._held)
        if waiting > HELD_ROWS_MAX:
            raise Refused(
                Mistake(
                    self.survey.first_late,
                    f"{self.survey.name}: a message stands {self.survey.held_ns / 1e9:.3f} s behind its place, and {waiting} "
                    "rows would have to wait for it (order)",
                    "sort the file by the time of receipt, or import the files one at a time",
                )
            )

    def _release(self, until_ns: int) -> None:
        """Write the held rows that are older than a time."""
        if not self._held:
            return
        rows = Rows(*(np.concatenate(columns) for columns in zip(*self._held, strict=True)))
        rows = rows.picked(np.argsort(rows.recv_ts_ns, kind="stable"))
        ready = len(rows.recv_ts_ns) if until_ns == _LIMIT else int(np.searchsorted(rows.recv_ts_ns, until_ns))
        self._write(rows.picked(slice(0, ready)))
        self._held = [rows.picked(slice(ready, None))]

    def _write(self, rows: Rows) -> None:
        if len(rows.kind):
            seq = np.zeros(len(rows.kind), np.int64)
            self._sink.append(rows.recv_ts_ns, rows.venue_ts_ns, seq, *rows[2:])


class BarLane(_Lane):
    """Bars of one series on their way to the tape."""

    def __init__(self, survey: Survey, price: Scale, qty: Scale, sink: BarSink) -> None:
        super().__init__(survey, price, qty)
        self._sink = sink
        self._last = np.full(1, -1, np.int64)

    def take(self, batch: BarBatch, source: Source) -> int:
        """Write bars and return how many were kept. Raises: Refused for bars out of order."""
        start = batch.start_ts_ns
        is_bad = np.zeros(len(start), np.bool_)
        columns = []
        for name in ("open", "high", "low", "close", "volume"):
            scale = self.qty if name == "volume" else self.price
            laid, is_missing = self.lay(batch, name, scale, source)
            self.count_rounded(laid, start, name, getattr(batch, name), scale)
            is_bad |= is_missing | ((laid.values < 0) if name == "volume" else (laid.values <= 0))
            columns.append(laid.values)
        if is_bad.any():
            lost = int(np.count_nonzero(is_bad))
            source.drop("zero_price", lost)
            self.fault("zero_price", lost, start[is_bad], f"close {batch.close[int(np.flatnonzero(is_bad)[0])]!s}")
        keep = ~is_bad
        keep &= self._dropped("bar_shape", keep & ~_is_bar(columns), start, source)
        if self.survey.late:
            raise Refused(
                Mistake(self.survey.first_late, "bars are out of time order (order)", "sort the file by time")
            )
        keep &= self._dropped("same_bar", keep & (start == np.concatenate((self._last, start[:-1]))), start, source)
        self._last = start[-1:]
        if keep.any():
            self._sink.append(start[keep], *(column[keep] for column in columns))
        return int(np.count_nonzero(keep))

    def _dropped(self, fault: str, is_bad: NDArray[np.bool_], start: NDArray[np.int64], source: Source) -> Any:
        """Drop bars with a fault, and return which others there are."""
        count = int(np.count_nonzero(is_bad))
        if count:
            source.drop(fault, count)
            self.fault(fault, count, start[is_bad], "")
        return ~is_bad

    def close(self) -> None:
        """Make the bars durable."""
        self.check_rounded()
        self._sink.close()


Lane = BookLane | BarLane

_SAID: dict[str, tuple[str, Severity, str, str]] = {
    "float_artefact": (
        "float_artefact", Severity.INFO, "numbers lost the noise of binary floats", "say --tick and --step if these are not the market's",
    ),
    "rounded": (
        "float_artefact", Severity.WARN, "numbers were rounded", "say --tick and --step if these are not the market's",
    ),
    "zero_price": (
        "zero_price", Severity.ERROR, "rows without a price or quantity were dropped", "ask the source why polls failed",
    ),
    "level_shape": (
        "level_shape", Severity.ERROR, "snapshots have levels out of order or twice", "do not trade against this series",
    ),
    "bar_shape": (
        "bar_shape", Severity.ERROR, "bars whose low or high does not bound their open and close were dropped", "",
    ),
    "same_bar": ("order", Severity.WARN, "bars start when the one before does; the first was kept", ""),
    "repeat": ("order", Severity.INFO, "messages repeat the one before in every field; they were kept", ""),
}  # fmt: skip
"""Fault -> (code, severity, what it says, remedy)."""


def findings_of(lane: Lane) -> list[Finding]:
    """Return what must be said about a series after its last row."""
    survey = lane.survey
    said = Finding(code="tick", severity=Severity.INFO, series=survey.name, detail="", count=survey.rows)
    detail = f"prices are laid on {lane.price.unit:f}, quantities on {lane.qty.unit:f}"
    found = [msgspec.structs.replace(said, detail=detail, remedy="say --tick and --step if the market's are others")]
    found += _clock_findings(survey)
    if survey.late:
        done = "their clock was lifted" if isinstance(lane, BookLane) and lane.is_lifted else "they were sorted"
        detail = f"{survey.late} messages stood out of time order, by up to {survey.held_ns / 1e9:.3f} s; {done}"
        share = survey.late / survey.messages
        found.append(
            msgspec.structs.replace(
                said, code="order", severity=Severity.WARN, detail=detail, count=survey.late, share=share
            )
        )
    for fault, counted in lane.faults.items():
        code, severity, what, remedy = _SAID[fault]
        share = counted.count / max(lane.numbers if code == "float_artefact" else survey.rows, 1)
        detail = f"{counted.count} {what}{f', such as {counted.example}' if counted.example else ''}"
        found.append(
            Finding(
                code=code,
                severity=severity,
                series=survey.name,
                detail=detail,
                count=counted.count,
                share=share,
                first_ts_ns=counted.first_ts_ns,
                last_ts_ns=counted.last_ts_ns,
                remedy=remedy,
            )
        )
    return found


def _clock_findings(survey: Survey) -> list[Finding]:
    """Return what must be said when a series of a book has one clock only."""
    if survey.content == Content.BARS or survey.clocks == Clocks.BOTH:
        return []
    if survey.clocks == Clocks.VENUE_ONLY:
        detail = "nobody noted when the rows were received: the venue's time stands for it, and delays are unknown"
        code, severity = "no_receive_time", Severity.WARN
    else:
        equal = survey.clocks_same and survey.venue_missing < survey.rows
        detail = f"the rows have no time of the venue{' (it equals the time of receipt)' if equal else ''}"
        code, severity = "no_exchange_time", Severity.INFO
    return [Finding(code=code, severity=severity, series=survey.name, detail=detail, count=survey.rows, share=1.0)]


def _message_numbers(is_last: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each row the number of its message."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(is_last[:-1], dtype=np.int64)))[: len(is_last)]


def _is_bar(columns: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Return which bars have a low and a high that bound their open and close."""
    begin, high, low, end, _ = columns
    fits: NDArray[np.bool_] = (low <= np.minimum(begin, end)) & (high >= np.maximum(begin, end))
    return fits


def _is_first(number: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows begin a message."""
    return np.concatenate((np.ones(1, np.bool_), number[1:] != number[:-1]))[: len(number)]


def _closed(rows: Rows, number: NDArray[np.int64]) -> Rows:
    """Return rows in which the last of each message says so."""
    return rows._replace(is_last=np.concatenate((number[1:] != number[:-1], np.ones(1, np.bool_)))[: len(number)])


def _prints(rows: Rows, place: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a number for each row that differs, but for one chance in 2**64, when a field or its place differs."""
    mixed = np.zeros(len(rows.kind), np.uint64)
    for column in (rows.recv_ts_ns, rows.venue_ts_ns, rows.kind, rows.side, rows.price, rows.qty, place):
        mixed = (mixed ^ column.astype(np.int64).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
