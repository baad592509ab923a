"""Kraken's book checksum from integers: CRC-32 of the decimal texts of the best ten asks, then the best ten bids.

Rule: docs.kraken.com/exchange/guides/websockets/book-checksum-v2, read 2026-11-20. A level hashes as the digits of its
price followed by the digits of its quantity, without point and leading zeros, which is the decimal text of the integers
kept here. Digits are made eight at a time inside one 64-bit word, written to the scratch text at the head of `mem`, and
the CRC takes eight bytes at a time.
"""

from __future__ import annotations

import numpy as np
from numba import types

from arbot.market.compiled import compiled
from arbot.market.layout import ASKS, BIDS, CAPACITY, END, KEYS, START, TEXT, Words
from arbot.market.raw import put_word, trailing_zeros, word_at_byte

_LEVELS = 10
_POLYNOMIAL = 0xEDB88320
_EIGHT_DIGITS = 10**8
_SIXTEEN_DIGITS = 10**16
_ASCII_ZEROS = 0x3030303030303030


def _tables() -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """Return the eight tables of 256 words with which CRC-32 takes eight bytes at a time, one after the other."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        tables[0, byte] = crc
    for table in range(1, 8):
        for byte in range(256):
            before = int(tables[table - 1, byte])
            tables[table, byte] = before >> 8 ^ int(tables[0, before & 0xFF])
    return tables.ravel()


_TABLES = _tables()
_u8 = types.uint64
_i8 = types.int64


@compiled(_u8(_u8))
def digits_word(number: np.uint64) -> np.uint64:
    """Return eight decimal digits of `number` < 10**8, one in each byte, the most significant in the lowest byte."""
    four = number // np.uint64(10_000)
    word = four | (number - four * np.uint64(10_000)) << np.uint64(32)
    # divide each half by 100, then each quarter by 10, by multiplication with a rounded reciprocal
    two = (word * np.uint64(10486) >> np.uint64(20)) & np.uint64(0x0000007F0000007F)
    word = two | (word - two * np.uint64(100)) << np.uint64(16)
    one = (word * np.uint64(103) >> np.uint64(10)) & np.uint64(0x000F000F000F000F)
    return one | (word - one * np.uint64(10)) << np.uint64(8)


@compiled(_u8(_u8, _u8))
def crc_word(crc: np.uint64, word: np.uint64) -> np.uint64:
    """Take eight bytes, first byte lowest, into a CRC-32 in progress."""
    word ^= crc
    byte = np.uint64(0xFF)
    return np.uint64(
        _TABLES[np.uint64(1792) + (word & byte)]
        ^ _TABLES[np.uint64(1536) + (word >> np.uint64(8) & byte)]
        ^ _TABLES[np.uint64(1280) + (word >> np.uint64(16) & byte)]
        ^ _TABLES[np.uint64(1024) + (word >> np.uint64(24) & byte)]
        ^ _TABLES[np.uint64(768) + (word >> np.uint64(32) & byte)]
        ^ _TABLES[np.uint64(512) + (word >> np.uint64(40) & byte)]
        ^ _TABLES[np.uint64(256) + (word >> np.uint64(48) & byte)]
        ^ _TABLES[word >> np.uint64(56)]
    )


@compiled(_i8(types.int64[::1], _i8, _i8))
def write_number(mem: Words, at: int, number: int) -> int:
    """Write the decimal text of 0 < number < 10**16 at byte `at` of `mem` and return the byte after it. No branches."""
    zeros = np.uint64(_ASCII_ZEROS)
    seven = np.uint64(7)
    whole = np.uint64(number) // np.uint64(_EIGHT_DIGITS)
    rest = np.uint64(number) - whole * np.uint64(_EIGHT_DIGITS)
    high = digits_word(whole)
    low = digits_word(rest)
    # the leading zeros of a word of digits are its lowest bytes; a word of zeros has 64 of them
    skipped = trailing_zeros(high) >> np.uint64(3)
    put_word(mem, at, (high | zeros) >> ((skipped & seven) * np.uint64(8)))
    at += np.int64(np.uint64(8) - skipped)  # type: ignore[assignment]
    skipped = trailing_zeros(low) >> np.uint64(3) if whole == np.uint64(0) else np.uint64(0)
    put_word(mem, at, (low | zeros) >> ((skipped & seven) * np.uint64(8)))
    return at + np.int64(np.uint64(8) - skipped)  # type: ignore[return-value]


@compiled(_i8(types.int64[::1], _i8))
def checksum(mem: Words, head: int) -> int:
    """Return Kraken's checksum of the book as it stands; a side with fewer than ten levels contributes what it has."""
    first = at = 8 * TEXT
    for side in (head + ASKS, head + BIDS):
        capacity = mem[side + CAPACITY]
        best = mem[side + KEYS] + mem[side + END] - 1
        for level in range(best, best - min(_LEVELS, mem[side + END] - mem[side + START]), -1):
            for number in (abs(mem[level]), mem[level + capacity]):
                if number >= _SIXTEEN_DIGITS:
                    at = write_number(mem, at, number // _SIXTEEN_DIGITS)
                    rest = number % _SIXTEEN_DIGITS
                    put_word(mem, at, digits_word(np.uint64(rest // _EIGHT_DIGITS)) | np.uint64(_ASCII_ZEROS))
                    put_word(mem, at + 8, digits_word(np.uint64(rest % _EIGHT_DIGITS)) | np.uint64(_ASCII_ZEROS))
                    at += 16
                else:
                    at = write_number(mem, at, number)
    crc = np.uint64(0xFFFFFFFF)
    while first + 8 <= at:
        crc = crc_word(crc, word_at_byte(mem, first))
        first += 8
    pending = word_at_byte(mem, first)
    for _ in range(at - first):
        crc = np.uint64(_TABLES[(crc ^ pending) & np.uint64(0xFF)]) ^ crc >> np.uint64(8)
        pending >>= np.uint64(8)
    return np.int64(crc ^ np.uint64(0xFFFFFFFF))  # type: ignore[return-value]
