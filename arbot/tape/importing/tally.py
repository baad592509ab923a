"""Count what a reader met row by row and say it once per kind and series, with the worst or first example.

Rules: a finding is never per row. Series come out in the order in which they were met. The window of a file is followed
here too, because a name that promises other days than the rows hold (`name_window`) is told by every reader.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from arbot.tape.importing.contract import Finding, SeriesKey, Severity, Source
from arbot.tape.importing.markets import market_findings, name_of

DATE = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
NS = 1_000_000_000


def utc(ts_ns: int) -> datetime:
    """Return a time as a datetime, cut to microseconds."""
    return datetime.fromtimestamp(ts_ns // NS, tz=UTC).replace(microsecond=ts_ns % NS // 1000)


class Tally:
    """Findings of one file in the making."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: dict[tuple[str, str], Finding] = {}
        self._met: dict[SeriesKey, int] = {}
        self._first_ns = 0
        self._last_ns = 0

    def rows(self, series: SeriesKey, ts_ns: NDArray[np.int64]) -> None:
        """Follow which series were met, with how many rows of the file and in which window of time."""
        self._met[series] = self._met.get(series, 0) + len(ts_ns)
        if len(ts_ns):
            first, last = int(ts_ns.min()), int(ts_ns.max())
            self._first_ns = first if not self._first_ns else min(self._first_ns, first)
            self._last_ns = max(self._last_ns, last)

    def note(
        self,
        code: str,
        severity: Severity,
        series: SeriesKey | None,
        detail: str,
        *,
        remedy: str = "",
        ts_ns: NDArray[np.int64] | None = None,
    ) -> None:
        """Add rows with a fault; the first detail of a kind is the example. Without times it counts once."""
        name = "" if series is None else name_of(series)
        count = 1 if ts_ns is None else len(ts_ns)
        first, last = (0, 0) if ts_ns is None or not count else (int(ts_ns.min()), int(ts_ns.max()))
        known = self._found.get((code, name))
        if known is None:
            known = Finding(
                code=code,
                severity=severity,
                series=name,
                detail=detail,
                file=str(self._source.path),
                first_ts_ns=first,
                last_ts_ns=last,
                remedy=remedy,
            )
        self._found[code, name] = msgspec.structs.replace(
            known,
            count=known.count + count,
            first_ts_ns=min(known.first_ts_ns, first),
            last_ts_ns=max(known.last_ts_ns, last),
        )

    def tell(self) -> None:
        """Hand all findings to the source; call once, after the last row."""
        for series, rows in self._met.items():
            for finding in market_findings(self._source, series):
                self._source.find(msgspec.structs.replace(finding, count=rows))
        self._tell_mixed()
        self._tell_window()
        rows_of = {name_of(series): rows for series, rows in self._met.items()}
        for (_, name), finding in self._found.items():
            rows = rows_of.get(name, 0)
            self._source.find(msgspec.structs.replace(finding, share=finding.count / rows if rows else 0.0))

    def _tell_mixed(self) -> None:
        if len(self._met) > 1:
            names = ", ".join(name_of(series) for series in list(self._met)[:4])
            detail = (
                f"one file holds {len(self._met)} series, split here: {names}{', ...' if len(self._met) > 4 else ''}"
            )
            self.note("mixed_symbols", Severity.INFO, None, detail)

    def _tell_window(self) -> None:
        named = days_in(self._source.path.name)
        if not named or not self._first_ns:
            return
        first, last = utc(self._first_ns), utc(self._last_ns)
        if first < min(named) or last > max(named) + timedelta(days=1):
            detail = (
                f"the name says {min(named):%Y-%m-%d} to {max(named):%Y-%m-%d}, the rows run from {first:%Y-%m-%d %H:%M} "
                f"to {last:%Y-%m-%d %H:%M}"
            )
            span = np.array([self._first_ns, self._last_ns], np.int64)
            self.note("name_window", Severity.INFO, None, detail, remedy="trust the rows", ts_ns=span)


def days_in(name: str) -> list[datetime]:
    """Return the days written in a file name, leaving out digits that are no date."""
    days = []
    for found in DATE.finditer(name):
        year, month, day = (int(part) for part in found.groups())
        try:
            days.append(datetime(year, month, day, tzinfo=UTC))
        except ValueError:  # 20230230: digits, but no day; nobody needs to know
            continue
    return days
