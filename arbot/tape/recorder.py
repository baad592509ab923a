"""Write what the books take in to a tape while everything goes on: drain the tee, hand it to a thread, never wait.

Rules:
- The loop only copies: splitting, compressing and writing is one thread's work. It opens, fills and closes every part.
- What is waiting for the disk is bounded. When the disk is slower than the feeds, or the tee overflows between two
  drains, messages are dropped, counted and logged, and the tape says so: a CLEAR of every book at the first lost
  message and, as soon as there is room again, a SNAPSHOT of what the book is by then.
- Every `rotate_s` all open parts are finished, of quiet books too: that is what a kill loses at most.
- Rows bear the number of the last event before them, so that journal and tape replay in the order of things.
- A disk that fails ends the recording, not the process: `failure` says why, and `run` raises it.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import structlog

from arbot.domain.decisions import Outcome
from arbot.domain.errors import ArbotError
from arbot.domain.events import Envelope, TradePrinted
from arbot.domain.order import Side
from arbot.market.books import Books, scaled
from arbot.market.stream import Column
from arbot.market.tee import Drained, rows_of
from arbot.tape.schema import Content, TapeMeta
from arbot.tape.writer import TapeWriter

DRAIN_S = 0.1
WAITS_MAX = 10_000  # waiting times kept for whoever asks after them
TEE_WORDS = 1 << 21
TEE_WORDS_MAX = 1 << 25
WAITING_WORDS_MAX = 1 << 25  # on their way to the disk: 256 MiB
NS_PER_S = 1_000_000_000
_NEVER_S = 86_400.0  # parts end when told, and at midnight
_DRAIN_ABOVE = 0.5  # of the tee, without waiting for the next turn

_log = structlog.get_logger("arbot.tape")


class _Mark(Enum):
    """What the thread is told between the messages."""

    ROTATE = "rotate"
    STOP = "stop"


@dataclass(slots=True)
class _Written:
    """One book's writer, with the time of its last row and how many of its parts are counted."""

    writer: TapeWriter
    last_ts_ns: int = 0
    parts: int = 0


class TapeFailed(ArbotError):
    """The tape cannot be written any more."""


class Counts(msgspec.Struct, kw_only=True):
    """What a recording has come to. Read on the loop, so that a few of the newest rows may be missing."""

    books: int = 0
    rows: int = 0  # written, or held for the open parts
    parts: int = 0  # finished
    bytes: int = 0  # of finished parts
    messages_lost: int = 0
    prints_refused: int = 0  # trade prints of nothing, or finer than the instrument's decimals
    times_raised: int = 0  # rows whose time fell behind the one before, and bear that one's


class Recorder:
    """One recording: `start`, then `observe` and `run`; in the end `stop` and `join`."""

    def __init__(
        self,
        books: Books,
        root: Path,
        *,
        rotate_s: int,
        run_id: str = "",
        now_ns: Callable[[], int],
        make_writer: Callable[[TapeMeta], TapeWriter] | None = None,
        tee_words: int = TEE_WORDS,
    ) -> None:
        self.root = root
        self.counts = Counts()
        self.failure: Exception | None = None
        self._books = books
        self._run_id = run_id
        self._now_ns = now_ns
        self._rotate_ns = rotate_s * NS_PER_S
        self._rotated_ns = now_ns()
        self._make_writer = make_writer or (lambda meta: TapeWriter(root, meta, rotate_s=_NEVER_S))
        self._written: dict[int, _Written] = {}  # by book; the thread's own
        self._tee_words = tee_words
        self._lost_ts_ns = 0  # when the first message was received that no tape has; 0 = none is missing
        self._waiting: queue.Queue[tuple[int, Drained | _Mark]] = queue.Queue()  # with when it was given
        self._waits_ns: deque[int] = deque(maxlen=WAITS_MAX)  # of what the thread has taken and nobody has asked after
        self._words_given = self._words_taken = 0
        self._thread = threading.Thread(target=self._write_all, name="tape", daemon=True)
        self._is_stopped = False

    # --- on the loop --------------------------------------------------------------------------------------------------

    def start(self, seq: int = 0) -> None:
        """Begin: books that are synced are written whole. `seq` is the number of the last event so far."""
        self._books.tell_tee(seq=seq)
        self._books.start_tee(self._tee_words)
        self._thread.start()

    def observe(self, envelope: Envelope, _outcome: Outcome) -> None:
        """Take over one step: its number, and the trade it may be about."""
        self._books.tell_tee(seq=envelope.seq)
        if isinstance(envelope.event, TradePrinted):
            self._print(envelope.event, envelope.ts_ns)

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Drain for ever. Raises: TapeFailed when the disk has failed."""
        while True:
            await sleep(DRAIN_S)
            self.drain()
            if self.failure is not None:
                raise TapeFailed(f"{self.root}: {self.failure}") from self.failure

    def drain(self, *, is_last: bool = False) -> None:
        """Hand what the books took in to the writing thread, or drop it when that has too much to do.

        The last time it is taken whatever waits: the tape ends with the books as they are.
        """
        if self._is_stopped:
            return
        drained = self._books.drain_tee()
        now_ns = self._now_ns()
        self._books.tell_tee_time(now_ns)
        waiting = self._words_given - self._words_taken
        has_room = is_last or waiting + drained.words.size <= WAITING_WORDS_MAX
        if has_room and not self._lost_ts_ns:
            self._hand_over(drained)
        elif drained.words.size:
            self._lose(_messages(drained), int(drained.words[1]), "the disk is slower than the feeds")
        if drained.lost:
            self._lose(drained.lost, drained.lost_ts_ns, "more came between two drains than the tee holds")
            self._tee_words = min(2 * self._tee_words, TEE_WORDS_MAX)
            self._books.start_tee(self._tee_words)
        if has_room and self._lost_ts_ns:
            since_ns, self._lost_ts_ns = self._lost_ts_ns, 0
            self._books.renew_tee(since_ns)
        if now_ns - self._rotated_ns >= self._rotate_ns:
            self._rotated_ns = now_ns
            self._waiting.put((now_ns, _Mark.ROTATE))

    @property
    def is_recording(self) -> bool:
        """Whether what the books take in still reaches the tape."""
        return self.failure is None and not self._is_stopped

    @property
    def waiting(self) -> int:
        """How many portions are on their way to the disk and not yet taken up."""
        return self._waiting.qsize()

    def take_waits_ns(self) -> Iterator[int]:
        """Yield how long each portion waited that was taken up since this was last asked."""
        while self._waits_ns:
            yield self._waits_ns.popleft()

    def stop(self) -> None:
        """Hand over what there is and turn the tee off; `join` then waits for the disk."""
        if not self._is_stopped:
            for _ in range(2):  # the second time for what was renewed after a loss
                self.drain(is_last=True)
            self._is_stopped = True
            self._books.start_tee(0)
            self._waiting.put((self._now_ns(), _Mark.STOP))

    def join(self) -> None:
        """Wait until everything is written and every part is closed. Call it after `stop`, from a thread if on a loop."""
        self._thread.join()

    def _hand_over(self, drained: Drained) -> None:
        if drained.words.size:
            self._words_given += drained.words.size
            self._waiting.put((self._now_ns(), drained))

    def _lose(self, messages: int, since_ns: int, why: str) -> None:
        self.counts.messages_lost += messages
        if not self._lost_ts_ns:
            self._lost_ts_ns = since_ns
            _log.warning("market data not recorded", messages=messages, why=why)

    def _print(self, event: TradePrinted, recv_ts_ns: int) -> None:
        books = self._books
        index = books.index(event.instrument)
        instrument = books.instrument(index)
        try:
            price, qty = scaled(event.price, instrument.price_decimals), scaled(event.qty, instrument.qty_decimals)
        except ValueError:
            price = qty = 0
        if not price or not qty:
            self.counts.prints_refused += 1
            return
        key = price if event.taker_side is Side.BUY else -price
        books.tee_trade(index, key, qty, event.venue_ts_ns, recv_ts_ns)
        if books.tee_share > _DRAIN_ABOVE:
            self.drain()

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while True:
            given_ns, given = self._waiting.get()
            self._waits_ns.append(self._now_ns() - given_ns)
            if isinstance(given, Drained):
                self._try(partial(self._write, given))
                self._words_taken += given.words.size
            elif given is _Mark.STOP:
                break
            else:
                self._rotate()
        self._rotate()

    def _try(self, work: Callable[[], None]) -> None:
        if self.failure is None:
            try:
                work()
            # whatever it is, `run` and `failure` tell it, and the tape ends here
            except Exception as error:  # noqa: BLE001
                self.failure = error

    def _rotate(self) -> None:
        for written in self._written.values():
            self._try(written.writer.rotate)
            new = written.writer.paths[written.parts :]
            written.parts += len(new)
            self.counts.parts += len(new)
            self.counts.bytes += sum(path.stat().st_size for path in new)

    def _write(self, drained: Drained) -> None:
        rows = rows_of(drained.words)
        rows = rows[:, np.argsort(rows[0], kind="stable")]
        starts = np.flatnonzero(np.diff(rows[0], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], rows.shape[1]], strict=True):
            index = int(rows[0, start])
            if index not in self._written:
                self._written[index] = _Written(self._make_writer(self._meta(index)))
                self.counts.books = len(self._written)
            self._append(self._written[index], rows[1:, start:stop])
            self.counts.rows += int(stop - start)

    def _append(self, written: _Written, rows: Column) -> None:
        kind, recv_ts_ns, venue_ts_ns, seq, key, qty, is_last = rows
        rising = np.maximum.accumulate(np.maximum(recv_ts_ns, written.last_ts_ns))
        self.counts.times_raised += int(np.count_nonzero(rising != recv_ts_ns))
        written.last_ts_ns = int(rising[-1])
        side = np.sign(key).astype(np.int8)
        written.writer.append(
            rising, venue_ts_ns, seq, kind.astype(np.int8), is_last.astype(np.bool_), side, np.abs(key), qty
        )

    def _meta(self, index: int) -> TapeMeta:
        instrument = self._books.instrument(index)
        return TapeMeta(
            instrument=instrument,
            content=Content.BOOK,
            tick=Decimal(1).scaleb(-instrument.price_decimals),
            step=Decimal(1).scaleb(-instrument.qty_decimals),
            depth=self._books.depth(index),
            source="recorded",
            venue_symbol=instrument.venue_symbol,
            run_id=self._run_id,
        )


def _messages(drained: Drained) -> int:
    rows = rows_of(drained.words)
    return int(rows[7].sum())
