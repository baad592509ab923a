"""Kraken's book checksum from integers: CRC-32 of the decimal texts of the best ten asks, then the best ten bids.

Rule: docs.kraken.com/exchange/guides/websockets/book-checksum-v2, read 2026-11-20. A level hashes as the digits of its
price followed by the digits of its quantity, without point and leading zeros, which is the decimal text of the integers
kept here. Digits are made eight at a time inside one 64-bit word, and the CRC takes eight bytes at a time.
"""

from __future__ import annotations

import numpy as np
from numba import types

from arbot.market.compiled import compiled
from arbot.market.layout import ASKS, BIDS, CAPACITY, END, KEYS, START, Words

_LEVELS = 10
_POLYNOMIAL = 0xEDB88320
_EIGHT_DIGITS = 100_000_000


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
        _TABLES[1792 + np.intp(word & byte)]
        ^ _TABLES[1536 + np.intp(word >> np.uint64(8) & byte)]
        ^ _TABLES[1280 + np.intp(word >> np.uint64(16) & byte)]
        ^ _TABLES[1024 + np.intp(word >> np.uint64(24) & byte)]
        ^ _TABLES[768 + np.intp(word >> np.uint64(32) & byte)]
        ^ _TABLES[512 + np.intp(word >> np.uint64(40) & byte)]
        ^ _TABLES[256 + np.intp(word >> np.uint64(48) & byte)]
        ^ _TABLES[np.intp(word >> np.uint64(56))]
    )


_State = tuple[np.uint64, np.uint64, np.uint64]
_state = types.UniTuple(_u8, 3)


@compiled(_state(_u8, _u8, _u8, _u8, _u8))
def append(crc: np.uint64, pending: np.uint64, held: np.uint64, word: np.uint64, count: np.uint64) -> _State:
    """Append `count` (1 to 8) low bytes of `word` to a text of which `held` bytes wait in `pending`."""
    eight = np.uint64(8)
    pending |= word << (held * eight)
    if held + count >= eight:
        crc = crc_word(crc, pending)
        taken = eight - held
        pending = np.uint64(0) if taken == eight else word >> (taken * eight)
        held = held + count - eight
        return crc, pending, held
    return crc, pending, held + count


@compiled(_u8(_u8))
def count_digits(number: np.uint64) -> np.uint64:
    """Return how many decimal digits a number < 10**8 has; 1 for zero."""
    return np.uint64(
        1
        + (number >= np.uint64(10))
        + (number >= np.uint64(100))
        + (number >= np.uint64(1_000))
        + (number >= np.uint64(10_000))
        + (number >= np.uint64(100_000))
        + (number >= np.uint64(1_000_000))
        + (number >= np.uint64(10_000_000))
    )


@compiled(_state(_u8, _u8, _u8, _u8))
def append_number(crc: np.uint64, pending: np.uint64, held: np.uint64, number: np.uint64) -> _State:
    """Append the decimal text of a number below 2**63."""
    ascii_zeros = np.uint64(0x3030303030303030)
    eight = np.uint64(8)
    base = np.uint64(_EIGHT_DIGITS)
    whole = number // base
    low = number - whole * base
    if whole == np.uint64(0):
        count = count_digits(low)
        word = (digits_word(low) | ascii_zeros) >> ((eight - count) * eight)
        return append(crc, pending, held, word, count)
    if whole >= base:
        top = whole // base
        whole -= top * base
        count = count_digits(top)
        word = (digits_word(top) | ascii_zeros) >> ((eight - count) * eight)
        crc, pending, held = append(crc, pending, held, word, count)
        crc, pending, held = append(crc, pending, held, digits_word(whole) | ascii_zeros, eight)
    else:
        count = count_digits(whole)
        word = (digits_word(whole) | ascii_zeros) >> ((eight - count) * eight)
        crc, pending, held = append(crc, pending, held, word, count)
    return append(crc, pending, held, digits_word(low) | ascii_zeros, eight)


@compiled(_i8(types.int64[::1], _i8))
def checksum(mem: Words, head: int) -> int:
    """Return Kraken's checksum of the book as it stands; a side with fewer than ten levels contributes what it has."""
    crc = np.uint64(0xFFFFFFFF)
    pending = np.uint64(0)
    held = np.uint64(0)
    for side in (head + ASKS, head + BIDS):
        keys = mem[side + KEYS]
        capacity = mem[side + CAPACITY]
        end = mem[side + END]
        for rank in range(min(_LEVELS, end - mem[side + START])):
            at = keys + end - 1 - rank
            crc, pending, held = append_number(crc, pending, held, np.uint64(abs(mem[at])))
            crc, pending, held = append_number(crc, pending, held, np.uint64(mem[at + capacity]))
    for _ in range(np.intp(held)):
        low = np.intp((crc ^ pending) & np.uint64(0xFF))
        crc = np.uint64(_TABLES[low]) ^ crc >> np.uint64(8)
        pending >>= np.uint64(8)
    return np.int64(crc ^ np.uint64(0xFFFFFFFF))
