"""Small tapes made by hand: what the tests of the store share."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from arbot.market.stream import IS_LAST, KIND_MASK, SIDE_UNKNOWN, Kind, Rows
from arbot.tape.schema import Content, TapeMeta
from arbot.tape.writer import TapeWriter
from tests.support.books import an_instrument

START = 1_767_571_200_000_000_000  # 2026-01-05 00:00 UTC


def a_meta(venue="kraken", content=Content.BOOK, **more):
    """Return what a tape of BTC/USD on a venue is."""
    instrument = an_instrument(venue, price_decimals=2)
    return TapeMeta(instrument=instrument, content=content, tick=Decimal("0.01"), step=Decimal("0.00000001"), **more)


def message(ts, kind, *levels, book=0):
    """Return a message as rows: (recv_ts_ns, key, qty, tag) each."""
    levels = levels or ((0, 0),)
    return [
        (ts, key, qty, book << 8 | kind | (IS_LAST if number == len(levels) - 1 else 0))
        for number, (key, qty) in enumerate(levels)
    ]


def as_rows(messages):
    """Return messages as columns; the venue's time is a millisecond before ours."""
    flat = [row for one in messages for row in one]
    ts, key, qty, tag = (np.array(column, np.int64) for column in zip(*flat, strict=True))
    return Rows(ts, np.maximum(ts - 1_000_000, 0), key, qty, tag)


def written(root, messages, meta=None, **options):
    """Write messages as a tape and return its parts."""
    with TapeWriter(root, meta or a_meta(), **options) as writer:
        writer.append_rows(as_rows(messages))
    return writer.paths


def a_few(count=10, step_ns=1_000_000_000, start=START):
    """Return a snapshot and messages of every other kind."""
    made = [message(start, Kind.SNAPSHOT, (100, 5), (99, 6), (-101, 7))]
    for number in range(1, count):
        ts = start + number * step_ns
        made.append(
            (
                message(ts, Kind.DELTA, (100 - number % 3, number), (-101, 0), (-102, 4)),
                message(ts, Kind.TRADE, (101, 2)),
                message(ts, Kind.TRADE | SIDE_UNKNOWN, (101, 2)),
                message(ts, Kind.ALIVE),
                message(ts, Kind.CLEAR),
            )[number % 5]
        )
    return made


def equal(one, other):
    """Return whether two sets of columns are the same."""
    return all(a.tolist() == b.tolist() for a, b in zip(one, other, strict=True))


def together(chunks):
    """Return chunks as one."""
    return Rows(*(np.concatenate(column) for column in zip(*chunks, strict=True)))


__all__ = ["KIND_MASK", "START", "a_few", "a_meta", "as_rows", "equal", "message", "together", "written"]
