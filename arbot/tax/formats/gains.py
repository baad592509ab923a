"""Writes slices as gains: one row each, in the order in which they became known."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import TextIO

from arbot.domain.history import Placed
from arbot.ledger.jurisdictions.days import LocalDays
from arbot.ledger.lots.words import LotRun, Slice
from arbot.tax.formats.turbotax import gain


def write_gains(
    file: TextIO, lines: Iterable[Placed], run: LotRun, timezone: str, span: tuple[int, int] | None = None
) -> int:
    """Write what was sold inside the span (all, without one) and return how many rows that are."""
    days = LocalDays(timezone)
    write = csv.writer(file, lineterminator="\n").writerow
    start_ns, end_ns = span or (0, 1 << 63)
    count = 0

    def add(slices: Iterable[Slice]) -> None:
        nonlocal count
        for one in slices:
            if start_ns <= one.sold_ns < end_ns:
                write(gain(one, american_day(days.of(one.acquired_ns)), american_day(days.of(one.sold_ns))))
                count += 1

    for placed in lines:
        add(run.feed(placed))
    add(run.finish())
    return count


@lru_cache(maxsize=65_536)
def american_day(day: int) -> str:
    """Return a day as MM/DD/YYYY."""
    return date.fromordinal(day).strftime("%m/%d/%Y")
