"""Turns times, as files have them, into ns since 1970, and finds the unit by the magnitude of each number.

10 digits before the point are seconds, 13 milliseconds, 16 microseconds, 19 nanoseconds (valid from 2001-09 to 2286).
Every row is looked at. A change of unit within a column, in one file or between the files of one import, is refused:
what it means is for a person to say. Texts are ISO 8601 in UTC. An empty field, a word for nothing, and 0 come out as 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from arbot.tape.importing.contract import Source
from arbot.tape.importing.numbers import DIGITS_MAX, Parsed, parse
from arbot.tape.importing.text import refused

UNITS = {10: "seconds", 13: "milliseconds", 16: "microseconds", 19: "nanoseconds"}
"""Digits of a whole number of a time -> its unit."""

DAY_NS = 86_400_000_000_000
_STARTS = np.array([10 ** (digits - 1) for digits in UNITS], np.int64)
_ENDS = np.array([10**10 - 1, 10**13 - 1, 10**16 - 1, 2**63 - 1], np.int64)
_NS_PLACES = np.array([9, 6, 3, 0], np.int64)
_NAMES = tuple(UNITS.values())
_POWERS = np.array([10**power for power in range(DIGITS_MAX + 1)], np.int64)
NO_UNIT = -1
NO_TIME = -2  # a number too small or between two units


class Times(NamedTuple):
    """Times in ns, and which unit each was in: an index into UNITS, NO_UNIT for a missing one, NO_TIME for none."""

    ts_ns: NDArray[np.int64]
    unit: NDArray[np.int64]


def to_ns(values: Any, column: str, source: Source, first_row: int = 1) -> NDArray[np.int64]:
    """Return a column of times in ns, 0 where there is none. `first_row` is the row of the first, for messages.

    Takes whole numbers, seconds with a fraction, or ISO texts: arrays of numpy, polars or pyarrow.
    The unit must be the one that this column had before in the same import. Raises: Refused (finding `unit`).
    """
    iso = _iso(values)
    if iso is not None:
        return _from_iso(iso, column, source, first_row)
    parsed = parse(values)
    times = _read(parsed)
    _refuse_no_times(times.unit, parsed, column, source, first_row)
    _refuse_changes(times.unit, column, source, first_row)
    return times.ts_ns


def to_ns_by_row(values: Any, column: str, source: Source, first_row: int = 1) -> NDArray[np.int64]:
    """Return whole-number times in ns where every row may have its own unit, because the vendor documents a change."""
    parsed = parse(values)
    times = _read(parsed)
    _refuse_no_times(times.unit, parsed, column, source, first_row)
    return times.ts_ns


def _read(parsed: Parsed) -> Times:
    whole = parsed.mantissa // _POWERS[parsed.places.clip(0, DIGITS_MAX)]
    unit = np.searchsorted(_STARTS, whole, side="right") - 1
    is_none = parsed.is_missing | ((parsed.mantissa == 0) & ~parsed.is_bad)
    is_wrong = ~is_none & (parsed.is_bad | (unit < 0) | (whole > _ENDS[unit.clip(0)]))
    is_good = ~(is_none | is_wrong)
    safe = unit.clip(0)
    missing = np.where(is_good, _NS_PLACES[safe] - parsed.places, 0)
    mantissa = np.where(is_good, parsed.mantissa, 0)
    fine = mantissa // _POWERS[(-missing).clip(0, DIGITS_MAX)]  # what is below a nanosecond is cut off
    ts_ns = fine * _POWERS[missing.clip(0, DIGITS_MAX)]
    return Times(ts_ns, np.where(is_none, NO_UNIT, np.where(is_wrong, NO_TIME, unit)))


def _refuse_no_times(unit: NDArray[np.int64], parsed: Parsed, column: str, source: Source, first_row: int) -> None:
    wrong = np.flatnonzero(unit == NO_TIME)
    if len(wrong):
        at = int(wrong[0])
        value = "no number" if parsed.is_bad[at] else f"{parsed.mantissa[at] / 10.0 ** parsed.places[at]:.17g}"
        raise refused(
            source,
            f"{column} is {value}: not a time in seconds, milliseconds, microseconds or nanoseconds since 1970",
            "mend or remove the row, or name the right column",
            first_row + at,
        )


def _refuse_changes(unit: NDArray[np.int64], column: str, source: Source, first_row: int) -> None:
    """Compare with the unit this column had so far; a file is remembered by the name of the first that set it."""
    told = np.flatnonzero(unit >= 0)
    if not len(told):
        return
    known: dict[str, tuple[int, str]] = source.shared.setdefault("units", {})
    wanted, where = known.setdefault(column, (int(unit[told[0]]), source.path.name))
    changed = told[unit[told] != wanted]
    if len(changed):
        at = int(changed[0])
        before = "" if where == source.path.name else f" in {where}"
        raise refused(
            source,
            f"{column} is in {_NAMES[unit[at]]} here and in {_NAMES[wanted]} before{before} (unit)",
            "import files of one unit at a time; a change inside a file means two recorders: split it",
            first_row + at,
        )


def _iso(values: Any) -> pl.Series | None:
    """Return the values as texts if the first one that is there is a date written out."""
    if isinstance(values, np.ndarray):
        if values.dtype != object:
            return None
        texts = pl.Series(values.tolist(), dtype=pl.String)
    elif isinstance(values, pa.Array | pa.ChunkedArray):
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            return None
        first = next((text for text in values[:64].to_pylist() if text), "")
        if "-" not in first[1:]:
            return None
        texts = pl.Series(values)
    elif isinstance(values, pl.Series) and values.dtype == pl.String:
        texts = values
    else:
        return None
    first = next((text for text in texts.head(64) if text), "")
    return texts if "-" in first[1:] else None


def _from_iso(texts: pl.Series, column: str, source: Source, first_row: int) -> NDArray[np.int64]:
    plain = (
        texts.fill_null("")
        .str.strip_chars()
        .str.replace(r"(Z|\+00:?00| ?UTC)$", "")
        .str.replace("T", " ", literal=True)
    )
    with_time = pl.select(pl.when(plain.str.len_bytes() == 10).then(plain + " 00:00:00").otherwise(plain)).to_series()
    ts = with_time.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False).cast(pl.Int64)
    wrong = np.flatnonzero((ts.is_null() & (plain != "")).to_numpy())
    if len(wrong):
        at = int(wrong[0])
        raise refused(
            source,
            f"{column} is {texts[at]!r}: not an ISO time in UTC",
            "convert the column to UTC, such as 2024-08-08T23:54:14.123Z",
            first_row + at,
        )
    return ts.fill_null(0).to_numpy()
