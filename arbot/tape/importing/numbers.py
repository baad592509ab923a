"""Turns prices and quantities, as files have them, into exact integers at a number of decimals.

Text is read digit by digit in compiled code; a float64 column first becomes the shortest text that names each value,
which is what was written before some program made a float of it. No float arithmetic touches a number.

What is not exact is never silent. A number is *artefact* when it has 15 digits or more and is within one part in 10**14
of a number of 12 digits (22325.509999999995), in 10**15 of one of 13, or in 10**16 of one of 14, with at least three
digits fewer: the trace of a calculation in floats. `Laid` says
which numbers were rounded, which of those were no artefacts, and which do not fit into 18 digits.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numba import types
from numpy.typing import NDArray

from arbot.market.compiled import compiled

DIGITS_MAX = 18  # of a laid number: what the books take
PLACES_MAX = 32  # digits after the point that are told apart
ODD_SHARE_MAX = 0.01  # of numbers that may be rounded without being artefacts

_OK, _MISSING, _ODD, _NOISY = range(4)
_NOISY_DIGITS = 15
_POWERS = np.array([10**power for power in range(DIGITS_MAX + 1)], np.int64)
_MISSING_WORDS = frozenset({"", "nan", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity", "n/a"})

_Bytes = types.Array(types.uint8, 1, "C", readonly=True)
_Offsets = types.Array(types.int64, 1, "C", readonly=True)
_Powers = types.Array(types.int64, 1, "C", readonly=True)


class Parsed(NamedTuple):
    """Numbers as mantissa * 10**-places, without zeros at the end of the fraction.

    For noisy numbers `clean` and `clean_places` name the number without its noise; for others they repeat the first two.
    """

    mantissa: NDArray[np.int64]
    places: NDArray[np.int64]
    clean: NDArray[np.int64]
    clean_places: NDArray[np.int64]
    is_missing: NDArray[np.bool_]
    is_bad: NDArray[np.bool_]  # neither a number nor a word for a missing one
    is_long: NDArray[np.bool_]  # 15 digits or more, and not artefact

    def __len__(self) -> int:  # of the numbers, not of the tuple
        return len(self.mantissa)


class Laid(NamedTuple):
    """Integers at the decimals asked for; missing, bad and too big numbers are 0."""

    values: NDArray[np.int64]
    is_rounded: NDArray[np.bool_]
    is_odd: NDArray[np.bool_]  # rounded though no artefact
    is_too_big: NDArray[np.bool_]


class Usage(NamedTuple):
    """How many numbers need how many decimals, as histograms over 0..PLACES_MAX."""

    plain: NDArray[np.int64]  # exact text, and artefacts by what they were before their noise
    long: NDArray[np.int64]  # 15 digits or more, and no artefact
    artefacts: int = 0

    def __add__(self, other: object) -> Usage:
        """Return both together."""
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(self.plain + other.plain, self.long + other.long, self.artefacts + other.artefacts)

    @property
    def decimals(self) -> int:
        """How many decimals hold every plain number exactly."""
        used = np.flatnonzero(self.plain)
        return int(used[-1]) if len(used) else 0

    def odd_share(self, decimals: int) -> float:
        """Return which share of the numbers would be rounded at `decimals` though they are no artefacts."""
        total = int(self.plain.sum() + self.long.sum())
        over = int(self.plain[decimals + 1 :].sum() + self.long[decimals + 1 :].sum())
        return over / total if total else 0.0


NO_USAGE = Usage(np.zeros(PLACES_MAX + 1, np.int64), np.zeros(PLACES_MAX + 1, np.int64))


def parse(numbers: Any) -> Parsed:
    """Read numbers: an object array of text, a float64 or integer array, or strings of pyarrow or polars."""
    if isinstance(numbers, np.ndarray) and numbers.dtype.kind in "iu":
        values = numbers.astype(np.int64)
        none, no = np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_)
        return Parsed(values, none, values, none, no, no, no)
    data, offsets, texts = _flat(numbers)
    size = len(offsets) - 1
    mantissa, places, clean, clean_places = (np.zeros(size, np.int64) for _ in range(4))
    state = np.zeros(size, np.int8)
    _read(data, offsets, _POWERS, mantissa, places, clean, clean_places, state)
    is_missing, is_bad = state == _MISSING, np.zeros(size, np.bool_)
    is_noisy = state == _NOISY
    is_long = is_noisy & (places == clean_places)
    for index in np.flatnonzero(state == _ODD):
        _read_odd(
            texts[int(index)], int(index), Parsed(mantissa, places, clean, clean_places, is_missing, is_bad, is_long)
        )
    return Parsed(mantissa, places, clean, clean_places, is_missing, is_bad, is_long)


def usage(parsed: Parsed) -> Usage:
    """Return the histogram of decimals that the numbers need."""
    told = ~(parsed.is_missing | parsed.is_bad)
    plain, long = told & ~parsed.is_long, told & parsed.is_long
    return Usage(
        np.bincount(parsed.clean_places[plain].clip(0, PLACES_MAX), minlength=PLACES_MAX + 1),
        np.bincount(parsed.places[long].clip(0, PLACES_MAX), minlength=PLACES_MAX + 1),
        int(np.count_nonzero(plain & (parsed.places != parsed.clean_places))),
    )


def decimals_used(numbers: Any) -> Usage:
    """Return the histogram of decimals that numbers need, as a file has them."""
    return usage(parse(numbers))


def lay(parsed: Parsed, decimals: int, multiple: int = 1) -> Laid:
    """Return the numbers as integers at `decimals`, on multiples of `multiple`; halves go away from zero.

    A number that fits is taken as it stands, even when it looks like an artefact.
    """
    artefact = (parsed.places > decimals) & (parsed.clean_places <= decimals)
    mantissa = np.where(artefact, parsed.clean, parsed.mantissa)
    places = np.where(artefact, parsed.clean_places, parsed.places)
    missing = decimals - places
    grow = _POWERS[missing.clip(0, DIGITS_MAX)]
    shrink = _POWERS[(-missing).clip(0, DIGITS_MAX)]
    size = np.abs(mantissa)
    is_too_big = (size > (_POWERS[DIGITS_MAX] - 1) // grow) | ((missing > DIGITS_MAX) & (size > 0))
    values = np.where(is_too_big, 0, size) * np.where(is_too_big, 1, grow)
    is_odd = missing < 0
    values = np.where(is_odd, _half_up(values, shrink), values)
    values = np.where(-missing > DIGITS_MAX, 0, values)  # smaller than anything that could be written
    if multiple > 1:
        on_tick = _half_up(values, np.full(len(values), multiple, np.int64)) * multiple
        is_odd = is_odd | (on_tick != values)
        values = on_tick
    return Laid(np.where(mantissa < 0, -values, values), artefact | is_odd, is_odd, is_too_big)


def _half_up(values: NDArray[np.int64], unit: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return values / unit, halves up; values are not below zero."""
    whole, rest = np.divmod(values, unit)
    halves: NDArray[np.int64] = whole + (rest >= unit - rest)
    return halves


def _flat(numbers: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64], pa.Array]:
    """Return the text of numbers in one run of bytes, where each begins, and the texts one by one."""
    if isinstance(numbers, np.ndarray) and numbers.dtype.kind == "f":
        numbers = pl.Series(numbers).cast(pl.String)
    if isinstance(numbers, pl.Series):
        numbers = numbers.to_arrow()
    elif isinstance(numbers, np.ndarray | list):
        numbers = pa.array(numbers, pa.large_string())
    if isinstance(numbers, pa.ChunkedArray):
        numbers = numbers.combine_chunks()
    if numbers.type != pa.large_string() and numbers.type != pa.string():
        numbers = numbers.cast(pa.large_string())
    wide = np.int64 if numbers.type == pa.large_string() else np.int32
    _, starts, data = numbers.buffers()
    size = len(numbers)
    if size == 0 or starts is None:
        return np.zeros(1, np.uint8), np.zeros(size + 1, np.int64), numbers
    offsets = np.frombuffer(starts, wide)[numbers.offset : numbers.offset + size + 1].astype(np.int64)
    raw = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return raw, offsets, numbers


def _read_odd(text: Any, index: int, into: Parsed) -> None:
    """Read a number the compiled code leaves alone: an exponent, more than 18 digits, a word."""
    word = (text.as_py() or "").strip()
    if word.lower() in _MISSING_WORDS:
        into.is_missing[index] = True
        return
    try:
        sign, digits, exponent = Decimal(word).as_tuple()
    except InvalidOperation:
        into.is_bad[index] = True
        return
    if not isinstance(exponent, int):
        into.is_missing[index] = True  # a spelling of NaN or infinity
        return
    number = int("".join(map(str, digits)))
    while number and exponent < 0 and number % 10 == 0:
        number, exponent = number // 10, exponent + 1
    if exponent > 0:
        number, exponent = number * 10**exponent if exponent <= DIGITS_MAX else 10**DIGITS_MAX, 0
    is_long = len(str(number)) >= _NOISY_DIGITS and exponent < 0
    while len(str(number)) > DIGITS_MAX and exponent < 0:  # what is cut off here is below any decimals asked for
        number, exponent = number // 10, exponent + 1
    into.mantissa[index] = into.clean[index] = min(number, 2**63 - 1) * (-1 if sign else 1)
    into.places[index] = into.clean_places[index] = -exponent if number else 0
    into.is_long[index] = is_long


_i8s = types.int64[::1]


@compiled(types.void(_Bytes, _Offsets, _Powers, _i8s, _i8s, _i8s, _i8s, types.int8[::1]))
def _read(data, offsets, powers, mantissa, places, clean, clean_places, state):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0917
    """Read plain numbers; what is unusual is marked ODD, an empty text MISSING, 15 digits and more NOISY."""
    for index in range(len(offsets) - 1):
        at, end = offsets[index], offsets[index + 1]
        if at == end:
            state[index] = 1
            continue
        is_negative = data[at] == 45
        if is_negative or data[at] == 43:
            at += 1
        number, digits, fraction, zeros, seen = 0, 0, 0, 0, 0
        has_point, is_odd = False, False
        while at < end:
            digit = np.int64(data[at]) - 48
            at += 1
            if digit == -2 and not has_point:
                has_point = True
                continue
            if digit < 0 or digit > 9:
                is_odd = True
                break
            seen += 1
            if has_point and digit == 0:  # only counts when another digit follows
                zeros += 1
                continue
            if has_point:
                grown = digits + zeros + 1 if number > 0 else 1
                if (number > 0 and grown > 18) or fraction + zeros > 30:
                    is_odd = True
                    break
                if number > 0:
                    number *= powers[zeros + 1]
                number += digit
                fraction += zeros + 1
                digits, zeros = grown, 0
            else:
                number = number * 10 + digit
                digits += 1 if number > 0 else 0
                if digits > 18:
                    is_odd = True
                    break
        if is_odd or seen == 0:
            state[index] = 2
            continue
        short, short_places = number, fraction
        if digits >= 15 and fraction > 0:
            state[index] = 3
            for kept in range(12, digits - 2):  # the coarser the number, the more noise is believed
                drop = min(digits - kept, fraction)
                unit = powers[drop]
                rounded = (number + unit // 2) // unit
                if abs(number - rounded * unit) > number // powers[kept + 2]:
                    continue
                left = fraction - drop
                while left > 0 and rounded % 10 == 0:
                    rounded //= 10
                    left -= 1
                short, short_places = rounded, left
                break
        mantissa[index] = -number if is_negative else number
        places[index] = fraction
        clean[index] = -short if is_negative else short
        clean_places[index] = short_places
