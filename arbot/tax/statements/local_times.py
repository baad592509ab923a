"""Local times of a statement as instants: one zone for a whole file, and no guess where the clock was put back.

Rules of this file:
- A time that exists twice (clocks put back) or not at all (put forward) is refused, unless the map says which one is meant.
- A time with an offset of its own is taken if the file's other times have one, too, and if it is the offset of the file's
  zone at that instant; without a zone in the map, all offsets must be the same.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from arbot.domain.history import NS_PER_S
from arbot.ledger.history.codes import MIXED_TIME_ZONES, coded
from arbot.tax.statements.column_map import TimeShape
from arbot.tax.statements.common import excerpt

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|UTC|[+-]\d\d:?\d\d)?", re.ASCII)
_UNIX: Final = {"unix_s": 9, "unix_ms": 6}
_UNIX_TEXT = re.compile(r"(\d{1,13})(?:\.(\d{1,9}))?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)


class LocalTimes:
    """Reads the times of one file and remembers which zones it has seen, with the first row of each."""

    __slots__ = ("_shape", "_zone", "digits", "zones")

    def __init__(self, shape: TimeShape, zone: ZoneInfo | None) -> None:
        self._shape = shape
        self._zone = zone
        self.zones: dict[str, int] = {}  # "none" or an offset as written -> first row
        self.digits = 0

    def read(self, text: str, number: int) -> int:
        """Return the instant in ns. Raises: ValueError."""
        if (power := _UNIX.get(self._shape.format)) is not None:
            match = _UNIX_TEXT.fullmatch(text)
            if match is None:
                raise ValueError(f"time {excerpt(text)} is not a number since 1970")
            self.digits = max(self.digits, 9 - power + len(match[2] or ""))
            return int(match[1]) * int(10**power) + int((match[2] or "").ljust(power, "0")[:power])
        local, nanos, offset = self._iso(text) if self._shape.format == "iso" else (self._patterned(text), 0, "")
        self.zones.setdefault(offset or "none", number)
        if offset:
            return self._with_offset(local, offset, text) + nanos
        return self._instant(local, text) + nanos

    def mixed(self) -> dict[str, int]:
        """Return the zones of the file when they do not go together, with the first row of each; else nothing."""
        offsets = self.zones.keys() - {"none"}
        is_mixed = bool(offsets) and ("none" in self.zones or (self._zone is None and len(offsets) > 1))
        return self.zones if is_mixed else {}

    def _iso(self, text: str) -> tuple[datetime, int, str]:
        match = _ISO.fullmatch(text)
        if match is None:
            raise ValueError(f"time {excerpt(text)} is not like 2025-01-31 23:59:59")
        day, minute, second, fraction, offset = match.groups()
        self.digits = max(self.digits, len(fraction or ""))
        try:
            local = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}")
        except ValueError as error:
            raise ValueError(f"time {excerpt(text)} does not exist") from error
        return local, int(fraction.ljust(9, "0")) if fraction else 0, offset or ""

    def _patterned(self, text: str) -> datetime:
        try:
            local = datetime.strptime(text, self._shape.format)  # noqa: DTZ007 - the zone of the map is applied next
        except ValueError as error:
            raise ValueError(f"time {excerpt(text)} is not like {self._shape.format}") from error
        if local.microsecond:
            self.digits = max(self.digits, 6)
        return local

    def _instant(self, local: datetime, text: str) -> int:
        if self._zone is None:
            raise ValueError(f"time {excerpt(text)} has no zone: write [time] zone, or --timezone")
        first, second = (_seconds(local.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
        if _local_of(first, self._zone) != local.replace(microsecond=0):
            raise ValueError(f"time {excerpt(text)} does not exist in {self._zone.key}: clocks were put forward")
        if first != second:
            if not self._shape.fold:
                raise ValueError(
                    f'time {excerpt(text)} exists twice in {self._zone.key}: write fold = "earlier" or "later"'
                )
            first = first if self._shape.fold == "earlier" else second
        return first * NS_PER_S + local.microsecond * 1000

    def _with_offset(self, local: datetime, offset: str, text: str) -> int:
        shift = timedelta(0)
        if match := _OFFSET.fullmatch(offset):
            size = timedelta(hours=int(match[2]), minutes=int(match[3]))
            shift = size if match[1] == "+" else -size
        seconds = _seconds(local.replace(tzinfo=UTC)) - int(shift.total_seconds())
        if self._zone is not None and _local_of(seconds, self._zone) != local:
            what = f"time {excerpt(text)} is not in the zone of the file, {self._zone.key}"
            raise ValueError(coded(what, MIXED_TIME_ZONES))
        return seconds * NS_PER_S


def _seconds(moment: datetime) -> int:
    return timegm(moment.utctimetuple())


def _local_of(seconds: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None, fold=0)
