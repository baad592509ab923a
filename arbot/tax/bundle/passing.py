"""The one pass over a history: every line goes through the country's run, and what belongs to the year to the writers.

Rules of this file:
- All lines are fed from the beginning, since lots carry over; only slices sold inside the year are handed on.
- Nothing is kept but what the writers keep: a slice is seen once. Slices are handed on when some thousand lines have
  passed, since writing many at a time costs less.
- The state of lots is taken three times: at the year's beginning, at its end, and at the end of history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from arbot.domain.history import Placed
from arbot.ledger.lots.words import LotRun, Remaining, Slice

FLUSH_LINES = 1024


class Span(msgspec.Struct, frozen=True):
    """A tax year as instants: from `start_ns` on, before `end_ns`."""

    start_ns: int
    end_ns: int


class Writer(Protocol):
    """Somebody who hears what happens in the year."""

    def line(self, placed: Placed, slices: Sequence[Slice]) -> None:
        """Hear a line of the year and the year's slices that it made known."""
        ...


@runtime_checkable
class Advancing(Protocol):
    """A run in which time can pass without a line: what is on its way arrives."""

    def advance(self, ts_ns: int) -> None:
        """Let time pass up to an instant."""
        ...


class Marks(msgspec.Struct):
    """What the pass saw on its way."""

    lines: int = 0
    lines_in_year: int = 0
    slices: int = 0
    last_ns: int = 0  # of the last line of history
    at_start: list[Remaining] = []
    at_end: list[Remaining] = []
    at_last: list[Remaining] = []

    def goes_beyond(self, span: Span) -> bool:
        """Return whether history has lines after the year."""
        return self.last_ns >= span.end_ns


def run_pass(
    lines: Iterable[Placed],
    run: LotRun,
    span: Span,
    *,
    by_line: Sequence[Writer],
    by_slice: Sequence[Callable[[Sequence[Slice]], None]],
    every_line: Sequence[Callable[[Placed], None]] = (),
    every_slice: Sequence[Callable[[Slice], None]] = (),
    flush: Callable[[], None],
) -> Marks:
    """Feed every line and return what was seen. `every_line` and `every_slice` hear other years too."""
    marks = Marks()
    feed, start_ns, end_ns = run.feed, span.start_ns, span.end_ns
    hear_line = [writer.line for writer in by_line]
    is_before = is_within = True
    count = within = sold = ts_ns = 0
    waiting: list[Slice] = []
    for placed in lines:
        ts_ns = placed.ts_ns
        count += 1
        if is_within and ts_ns >= start_ns:
            if is_before:
                marks.at_start, is_before = _left(run, start_ns), False
            if ts_ns >= end_ns:
                marks.at_end, is_within = _left(run, end_ns), False
        slices: Sequence[Slice] = feed(placed)
        if slices:
            for hear_slice in every_slice:
                for one in slices:
                    hear_slice(one)
            slices = [one for one in slices if start_ns <= one.sold_ns < end_ns]
            waiting += slices
        for hear_any in every_line:
            hear_any(placed)
        if start_ns <= ts_ns < end_ns:
            within += 1
            for hear_both in hear_line:
                hear_both(placed, slices)
        if not count % FLUSH_LINES:
            sold += _handed_on(waiting, by_slice)
            flush()
    if is_before:
        marks.at_start = _left(run, start_ns)
    if is_within:
        marks.at_end = _left(run, end_ns)
    last = run.finish()
    for hear_slice in every_slice:
        for one in last:
            hear_slice(one)
    waiting += [one for one in last if start_ns <= one.sold_ns < end_ns]
    sold += _handed_on(waiting, by_slice)
    marks.at_last = run.remaining()
    marks.lines, marks.lines_in_year, marks.slices, marks.last_ns = count, within, sold, ts_ns
    return marks


def _handed_on(waiting: list[Slice], by_slice: Sequence[Callable[[Sequence[Slice]], None]]) -> int:
    """Hand on the slices that wait, and return how many they were."""
    handed = tuple(waiting)
    waiting.clear()
    if handed:
        for hear in by_slice:
            hear(handed)
    return len(handed)


def _left(run: LotRun, before_ns: int) -> list[Remaining]:
    """Return the lots at the last moment before an instant."""
    if isinstance(run, Advancing):
        run.advance(before_ns - 1)
    return run.remaining()
