"""Reading raw frames in compiled code: literals, numbers, times and symbols, strictly.

Every function takes the frame and a position and returns the position after what it read, or NO (-1) when what stands
there is not exactly what was asked for. Strict means: plain digits with at most one point, no sign, no exponent, no
leading zero, no white space, a real date, UTC. Whatever is legal but unusual is left to the typed decoder.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.market.compiled import compiled, uniform
from arbot.market.layout import Words
from arbot.market.raw import byte_at, word_at

NO = -1
TOO_FINE = -2  # digits beyond the instrument's decimals that are not zero
DIGITS_MAX = 18  # of a price or quantity as integer: below 10**18
FRACTION_MAX = 24  # digits after the point that are looked at
SYMBOL_WORDS = 3  # a symbol has at most 24 bytes
SLOT_WIDTH = SYMBOL_WORDS + 1  # the words of the symbol and the index of its book
TABLE = 1  # first word of the hash table in a workspace
_SYMBOL_BYTES = 8 * SYMBOL_WORDS

_NS = 1_000_000_000
_POWERS = np.array([10**power for power in range(DIGITS_MAX + 1)], np.int64)
_DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365], np.int64)

Frame = types.Bytes(types.uint8, 1, "C", readonly=True)
_i8 = types.int64
_pair = uniform(types.int64, 2)


def literal(text: str) -> NDArray[np.uint8]:
    """Return text in the form in which compiled code compares it."""
    return np.frombuffer(text.encode(), np.uint8)


@compiled(_i8(Frame, _i8, types.Array(types.uint8, 1, "C", readonly=True)))
def expect(data: bytes, at: int, wanted: NDArray[np.uint8]) -> int:
    """Read exactly `wanted`."""
    if at + wanted.size > len(data):
        return NO
    size = wanted.size
    wrong = np.uint64(0)
    if size >= 8:
        offset = 0
        while offset + 8 <= size:
            wrong |= word_at(data, at + offset) ^ word_at(wanted, offset)
            offset += 8
        wrong |= word_at(data, at + size - 8) ^ word_at(wanted, size - 8)
    else:
        for offset in range(size):
            wrong |= np.uint64(byte_at(data, at + offset) ^ byte_at(wanted, offset))
    return at + size if wrong == np.uint64(0) else NO


@compiled(types.boolean(Frame, _i8, _i8, _i8))
def repeats(data: bytes, at: int, before: int, size: int) -> bool:
    """Return whether the `size` >= 8 bytes at `at` are those at `before`, which were read already."""
    if at + size > len(data):
        return False
    wrong = word_at(data, at + size - 8) ^ word_at(data, before + size - 8)
    for offset in range(0, size - 8, 8):
        wrong |= word_at(data, at + offset) ^ word_at(data, before + offset)
    return bool(wrong == np.uint64(0))


@compiled(_pair(Frame, _i8, _i8))
def number(data: bytes, at: int, decimals: int) -> tuple[int, int]:
    """Read a number as integer at `decimals` and return (value, position after it); value is NO or TOO_FINE else."""
    size = len(data)
    first = at
    value = 0
    while at < size:
        digit = byte_at(data, at) - 48
        if digit < 0 or digit > 9:
            break
        value = value * 10 + digit
        at += 1
    whole = at - first
    if whole == 0 or whole + decimals > DIGITS_MAX or (whole > 1 and byte_at(data, first) == 48):
        return NO, at
    places = 0
    too_fine = False
    if at < size and byte_at(data, at) == 46:
        at += 1
        first = at
        while at < size:
            digit = byte_at(data, at) - 48
            if digit < 0 or digit > 9:
                break
            if at - first < decimals:
                value = value * 10 + digit
            elif digit != 0:
                too_fine = True
            at += 1
        places = at - first
        if places == 0 or places > FRACTION_MAX:
            return NO, at
    if too_fine:
        return TOO_FINE, at
    if places < decimals:
        value *= _POWERS[decimals - places]
    return value, at


@compiled(_pair(Frame, _i8))
def integer(data: bytes, at: int) -> tuple[int, int]:
    """Read a whole number without sign, of at most 18 digits, and return (value, position after it)."""
    size = len(data)
    first = at
    value = 0
    while at < size:
        digit = byte_at(data, at) - 48
        if digit < 0 or digit > 9:
            break
        value = value * 10 + digit
        at += 1
    count = at - first
    if count == 0 or count > DIGITS_MAX or (count > 1 and byte_at(data, first) == 48):
        return NO, at
    return value, at


@compiled(_i8(Frame, _i8, _i8))
def digits(data: bytes, at: int, count: int) -> int:
    """Return the value of exactly `count` digits, or a negative number; the caller has checked that they are there."""
    value = 0
    bad = 0
    for offset in range(count):
        digit = byte_at(data, at + offset) - 48
        bad |= digit | (9 - digit)
        value = value * 10 + digit
    return value if bad >= 0 else NO


@compiled(_pair(Frame, _i8))
def timestamp(data: bytes, at: int) -> tuple[int, int]:
    """Read an RFC 3339 time in UTC, such as 2026-11-20T09:30:01.000001Z, as (ns since the epoch, position after it)."""
    size = len(data)
    if at + 20 > size:
        return NO, at
    if (
        byte_at(data, at + 4) != 45
        or byte_at(data, at + 7) != 45
        or byte_at(data, at + 10) != 84
        or byte_at(data, at + 13) != 58
        or byte_at(data, at + 16) != 58
    ):
        return NO, at
    year = digits(data, at, 4)
    month = digits(data, at + 5, 2)
    day = digits(data, at + 8, 2)
    hour = digits(data, at + 11, 2)
    minute = digits(data, at + 14, 2)
    second = digits(data, at + 17, 2)
    if min(year, month, day, hour, minute, second) < 0:
        return NO, at
    if year < 1970 or year > 2199 or month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 59:
        return NO, at
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    days_in_month = _DAYS_BEFORE[month] - _DAYS_BEFORE[month - 1] + (leap and month == 2)
    if day > days_in_month:
        return NO, at
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 - 719_162
    days += _DAYS_BEFORE[month - 1] + (leap and month > 2) + day - 1
    ns = (((days * 24 + hour) * 60 + minute) * 60 + second) * _NS
    at += 19
    if byte_at(data, at) == 46:
        at += 1
        first = at
        fraction = 0
        while at < size and at - first < 10:
            digit = byte_at(data, at) - 48
            if digit < 0 or digit > 9:
                break
            fraction = fraction * 10 + digit
            at += 1
        places = at - first
        if places == 0 or places > 9:
            return NO, at
        ns += fraction * _POWERS[9 - places]
    if at >= size or byte_at(data, at) != 90:
        return NO, at
    return ns, at + 1


def workspace(symbols: Iterable[tuple[str, int]], levels_max: int) -> Words:
    """Return the array a frame parser works with: a hash table of symbols, then room for `levels_max` parsed levels.

    Word 0 holds the words of the table, which is at most half full. A symbol of more than 24 bytes, or with anything but
    printable ASCII, is left out: its frames are never recognised.
    """
    known = [(text.encode(), index) for text, index in symbols]
    size = 4
    while size < 2 * len(known):
        size *= 2
    words = size * SLOT_WIDTH
    work = np.empty(TABLE + words + 2 * levels_max, np.int64)
    work[0] = words
    table = work[TABLE : TABLE + words]
    table[:] = 0
    table[SYMBOL_WORDS::SLOT_WIDTH] = NO
    for raw, index in known:
        if not 0 < len(raw) <= _SYMBOL_BYTES or not all(0x21 <= byte < 0x7F and byte not in b'"\\' for byte in raw):
            continue
        key = np.frombuffer(raw.ljust(_SYMBOL_BYTES, b"\0"), "<i8")
        slot = int(slot_of(key[0], key[1], key[2], size))
        while table[slot * SLOT_WIDTH + SYMBOL_WORDS] != NO:
            slot = (slot + 1) % size
        table[slot * SLOT_WIDTH : slot * SLOT_WIDTH + SYMBOL_WORDS] = key
        table[slot * SLOT_WIDTH + SYMBOL_WORDS] = index
    return work


@compiled(_i8(_i8, _i8, _i8, _i8))
def slot_of(one: int, two: int, three: int, size: int) -> int:
    """Return where in a table of `size` slots (a power of two) the search for a symbol begins."""
    mixed = (one ^ (two * 31) ^ (three * 1023)) * 0x2545F4914F6CDD1D
    return (mixed >> 32) & (size - 1)


@compiled(_pair(Frame, _i8, types.int64[::1]))
def symbol(data: bytes, at: int, work: Words) -> tuple[int, int]:
    """Read a known symbol up to the closing quote and return (index of its book, position after the quote)."""
    size = len(data)
    one = two = three = 0
    count = 0
    while at < size and byte_at(data, at) != 34:
        if count >= _SYMBOL_BYTES:
            return NO, at
        byte = byte_at(data, at) << (8 * (count & 7))
        if count < 8:
            one |= byte
        elif count < 16:
            two |= byte
        else:
            three |= byte
        count += 1
        at += 1
    if at >= size:
        return NO, at
    slots = work[0] // SLOT_WIDTH
    slot = slot_of(one, two, three, slots)
    while True:
        word = TABLE + slot * SLOT_WIDTH
        index = work[word + SYMBOL_WORDS]
        if index == NO:
            return NO, at
        if work[word] == one and work[word + 1] == two and work[word + 2] == three:
            return index, at + 1
        slot = (slot + 1) & (slots - 1)
