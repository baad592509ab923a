"""The recorder: what is on the tape afterwards, and what happens when the disk is slow, broken, or the tee too small."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from arbot.backtest.run_tape import read_part
from arbot.domain.decisions import Outcome
from arbot.domain.events import Envelope, TradePrinted
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.market.books import Books
from arbot.market.retell import retell
from arbot.market.stream import IS_LAST, KIND_MASK, Kind
from arbot.tape import recorder
from arbot.tape.recorder import Recorder, TapeFailed
from arbot.tape.schema import TapeMeta
from arbot.tape.writer import TapeWriter
from tests.support.books import an_instrument

ONE, OTHER = (an_instrument(venue, price_decimals=2, qty_decimals=4) for venue in ("kraken", "coinbase"))
START_NS = 1_790_000_000_000_000_000
MS = 1_000_000


class World:
    """Two books, a clock that is told the time, and a recorder of them."""

    def __init__(self, root: Path, **options: object) -> None:
        self.root = root
        self.books = Books()
        for instrument in (ONE, OTHER):
            self.books.add(instrument, 10)
        self.now_ns = START_NS
        self.recorder = Recorder(self.books, root, rotate_s=1, run_id="r", now_ns=lambda: self.now_ns, **options)  # type: ignore[arg-type]

    def snapshot(self, index: int, middle: int = 100) -> None:
        """Give a book two levels a side."""
        self.now_ns += MS
        bids, asks = (np.array([[middle + s, 5], [middle + 2 * s, 6]], np.int64) for s in (-1, 1))
        self.books.apply_snapshot(index, bids, asks, self.now_ns - MS, self.now_ns)

    def update(self, index: int, price: int, qty: int) -> None:
        """Set one bid."""
        self.now_ns += MS
        self.books.apply_update(
            index, np.array([[price, qty]], np.int64), np.empty((0, 2), np.int64), self.now_ns - MS, self.now_ns
        )

    def end(self) -> None:
        """Stop, and wait for the disk."""
        self.recorder.stop()
        self.recorder.join()


def parts(root: Path, instrument: Instrument) -> list[Path]:
    return sorted((root / instrument.venue).glob("*/*/*.parquet"))


def rows(root: Path, instrument: Instrument) -> list[tuple[int, ...]]:
    """Return (kind, key, qty, is last, seq) of all rows of an instrument's tape."""
    told = []
    for part in parts(root, instrument):
        read, seq = read_part(part)
        for row in range(len(read)):
            tag = int(read.tag[row])
            told.append(
                (tag & KIND_MASK, int(read.key[row]), int(read.qty[row]), int(bool(tag & IS_LAST)), int(seq[row]))
            )
    return told


def book_of(root: Path, instrument: Instrument) -> list[object]:
    """Return the book that a tape comes to."""
    books = Books()
    index = books.add(instrument, 10)
    for part in parts(root, instrument):
        read, _ = read_part(part)
        retell(books, index, read, 0, len(read))
    return levels(books, instrument)


def levels(books: Books, instrument: Instrument) -> list[object]:
    return [books.levels(instrument.id, side, 10) for side in Side]


def test_the_tape_has_what_the_books_took_in_with_the_events_before_it(tmp_path: Path):
    """Books that are there at the start are written whole; then updates, drops and prints, each with its event number."""
    world = World(tmp_path)
    world.snapshot(0)
    world.recorder.start(seq=3)
    world.update(0, 98, 7)
    price, qty = Decimal("1.02"), Decimal("0.5")
    event = TradePrinted(
        instrument=ONE.id, price=price, qty=qty, taker_side=Side.SELL, trade_id="t", venue_ts_ns=START_NS
    )
    world.recorder.observe(Envelope(9, world.now_ns, event), Outcome())
    world.books.invalidate(0)
    world.end()
    assert rows(tmp_path, ONE) == [
        (Kind.SNAPSHOT, 99, 5, 0, 3),
        (Kind.SNAPSHOT, 98, 6, 0, 3),
        (Kind.SNAPSHOT, -101, 5, 0, 3),
        (Kind.SNAPSHOT, -102, 6, 1, 3),
        (Kind.DELTA, 98, 7, 1, 3),
        (Kind.TRADE, -102, 5_000, 1, 9),
        (Kind.CLEAR, 0, 0, 1, 9),
    ]
    assert parts(tmp_path, OTHER) == []


def test_a_print_finer_than_the_instrument_is_refused_and_counted(tmp_path: Path):
    """A trade print that does not fit the integers of the tape is left out, and the recording goes on."""
    world = World(tmp_path)
    world.recorder.start()
    event = TradePrinted(
        instrument=ONE.id, price=Decimal("1.001"), qty=Decimal(1), taker_side=Side.BUY, trade_id="t", venue_ts_ns=0
    )
    world.recorder.observe(Envelope(1, START_NS, event), Outcome())
    world.snapshot(0)
    world.end()
    assert world.recorder.counts.prints_refused == 1
    assert [row[0] for row in rows(tmp_path, ONE)] == [Kind.SNAPSHOT] * 4


def test_a_tee_that_overflows_leaves_a_clear_and_a_fresh_snapshot(tmp_path: Path):
    """What found no room is counted; the tape says where it is missing, and ends with the book as it is."""
    world = World(tmp_path, tee_words=60)
    world.recorder.start()
    for index in (0, 1):
        world.snapshot(index)
    for qty in range(1, 20):
        world.update(0, 97, qty)
    world.recorder.drain()
    world.update(0, 96, 1)
    world.end()
    kinds = [row[0] for row in rows(tmp_path, ONE)]
    at = kinds.index(Kind.CLEAR)
    assert world.recorder.counts.messages_lost > 10
    assert set(kinds[:at]) == {Kind.SNAPSHOT, Kind.DELTA}
    assert kinds[at + 1 :] == [Kind.SNAPSHOT] * 5 + [Kind.DELTA]
    assert book_of(tmp_path, ONE) == levels(world.books, ONE)
    assert Kind.CLEAR not in [row[0] for row in rows(tmp_path, OTHER)]  # it was silent: nothing of it is missing
    assert book_of(tmp_path, OTHER) == levels(world.books, OTHER)


def test_a_disk_slower_than_the_feeds_loses_messages_and_never_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While the writing thread hangs, draining goes on, drops what is too much, and mends the tape when it can."""
    monkeypatch.setattr(recorder, "WAITING_WORDS_MAX", 100)
    may_write = threading.Event()

    class SlowWriter(TapeWriter):
        def append(self, *columns: np.ndarray) -> None:
            may_write.wait()
            super().append(*columns)

    world = World(tmp_path, make_writer=lambda meta: SlowWriter(tmp_path, meta))
    world.recorder.start()
    world.snapshot(0)
    for qty in range(1, 31):
        world.update(0, 97, qty)
        world.recorder.drain()
    lost = world.recorder.counts.messages_lost
    may_write.set()
    world.end()
    assert 10 < lost < 30
    assert Kind.CLEAR in [row[0] for row in rows(tmp_path, ONE)]
    assert world.recorder.failure is None


async def test_a_disk_that_fails_ends_the_recording_and_says_why(tmp_path: Path):
    """The first error of the writer is what `run` raises; the books go on."""

    class BrokenWriter(TapeWriter):
        def append(self, *_columns: np.ndarray) -> None:
            raise OSError(28, "No space left on device")

    def make_writer(meta: TapeMeta) -> TapeWriter:
        return BrokenWriter(tmp_path, meta)

    world = World(tmp_path, make_writer=make_writer)
    world.recorder.start()
    world.snapshot(0)

    async def turn(_seconds: float) -> None:
        world.update(0, 97, 1)

    with pytest.raises(TapeFailed, match="No space left on device"):
        await world.recorder.run(turn)
    assert not world.recorder.is_recording
    world.end()
    world.update(0, 97, 2)
    assert world.books.is_synced(0)


def test_parts_of_quiet_books_are_finished_too(tmp_path: Path):
    """A book that moved once is readable after `rotate_s`, without waiting for its next message."""
    world = World(tmp_path)
    world.recorder.start()
    world.snapshot(0)
    world.recorder.drain()
    world.now_ns += 1_000 * MS
    world.snapshot(1)
    world.recorder.drain()
    finished = threading.Event()
    world.recorder._waiting.put((0, finished.set))  # type: ignore[arg-type]
    finished.wait(5)
    counts = world.recorder.counts
    told = (
        counts.parts,
        len(parts(tmp_path, ONE)),
        counts.bytes == sum(p.stat().st_size for p in tmp_path.rglob("*.parquet")),
    )
    world.end()
    assert told == (2, 1, True)


def test_portions_that_waited_tell_for_how_long(tmp_path: Path):
    """Each portion handed to the disk says once how long it lay; those not yet taken up are counted as waiting."""
    gate = threading.Event()
    world = World(tmp_path)
    world.recorder._waiting.put((world.now_ns, gate.wait))  # type: ignore[arg-type]
    world.recorder._rotate = gate.wait  # type: ignore[method-assign,assignment]
    world.snapshot(0)
    world.recorder.start()
    world.snapshot(1)
    world.recorder.drain()
    assert world.recorder.waiting >= 1
    world.now_ns += 300 * MS
    gate.set()
    world.end()
    waits_ns = list(world.recorder.take_waits_ns())
    assert (0, []) == (world.recorder.waiting, list(world.recorder.take_waits_ns()))
    assert 300 * MS <= max(waits_ns) <= 310 * MS
