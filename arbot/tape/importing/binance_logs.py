"""Raw websocket logs of Binance, one `<local time> <JSON>` per line, as hftbacktest's collector writes them.

Three formats read the same files: the book, the best quotes, the trade prints. The snapshot of the book is a line among
the others (`lastUpdateId`), fetched by REST after the first changes; the venue's rule joins the two. Sources: Binance's
"how to manage a local order book correctly" for spot and for futures, 2026-11, confirmed on recorded logs of all three.

- Changes before the snapshot L wait. Dropped as old: u <= L on spot, u < L on futures.
- The first one applied must have U <= L+1 <= u on spot, U <= L <= u on futures. All that waited become known when the
  snapshot did, and carry its time.
- From then on U = u of the last + 1 on spot, pu = u of the last on futures. A break ends the book (CLEAR, `seq_gap`)
  until a snapshot that joins.

The book goes on from file to file of an import: the next day's log has no snapshot of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from arbot.market.stream import Kind
from arbot.tape.importing.binance import future_of, series_of
from arbot.tape.importing.blocks import blocks_of, cut_finding
from arbot.tape.importing.contract import Batch, BookBatch, Format, SeriesKey, Severity, Source
from arbot.tape.importing.tally import Tally
from arbot.tape.importing.tardis import by_day
from arbot.tape.importing.text import refused
from arbot.tape.importing.times import to_ns
from arbot.tape.schema import Content, Market

WAITING_MAX = 200_000  # changes that wait for a snapshot; the oldest go first
_HEAD = 160  # bytes of a line in which its stream is named
MS = 1_000_000

Levels = list[tuple[str, str]]


class Change(msgspec.Struct, gc=False):
    """A depthUpdate; `pu` stands on futures only."""

    s: str
    E: int
    U: int
    u: int
    b: Levels
    a: Levels
    pu: int = -1


class Snapshot(msgspec.Struct, gc=False):
    """The answer of REST /depth."""

    lastUpdateId: int  # noqa: N815 - the venue's name
    bids: Levels
    asks: Levels
    E: int = 0


class Quote(msgspec.Struct, gc=False):
    """A bookTicker; spot has no time."""

    s: str
    u: int
    b: str
    B: str
    a: str
    A: str
    E: int = 0


class Print(msgspec.Struct, gc=False):
    """A trade; `M` stands on spot only, m: the buyer was the maker."""

    s: str
    E: int
    p: str
    q: str
    m: bool
    M: bool | None = None


class FramedChange(msgspec.Struct, gc=False):
    """A change as a combined stream sends it."""

    data: Change


class FramedQuote(msgspec.Struct, gc=False):
    """A best quote as a combined stream sends it."""

    data: Quote


class FramedPrint(msgspec.Struct, gc=False):
    """A trade print as a combined stream sends it."""

    data: Print


class Line(NamedTuple):
    """A line of the log: its number, when it was received, and what came."""

    row: int
    recv_ts_ns: int
    payload: bytes


_SNAPSHOT = b'"lastUpdateId"'
_FRAME = b'{"stream"'
_DEPTH = re.compile(rb'"depthUpdate"|"lastUpdateId"')
_TICKER = re.compile(rb'@bookTicker|"bookTicker"')
_PRINT = re.compile(rb'"e":"trade"')

Decode = Callable[[bytes], Any]


def lines_of(source: Source, marks: re.Pattern[bytes]) -> Iterator[list[Line]]:
    """Yield the lines that carry a mark, a block at a time; the others are counted as another stream.

    Raises: Refused for a line that is not a time and a JSON object, and for a change of the unit of time.
    """
    for block in blocks_of(source):
        lines = block.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if block.is_unended and not lines[-1].rstrip().endswith(b"}"):
            lines.pop()
            source.rows_read += 1
            source.drop("cut_last_line")
            source.find(cut_finding(source, block.first_line + len(lines)))
        if not lines:
            continue
        source.rows_read += len(lines)
        recv = to_ns(_stamps(source, lines, block.first_line), "local time", source, block.first_line).tolist()
        wanted = [
            Line(block.first_line + at, recv[at], line[line.index(b" ") + 1 :])
            for at, line in enumerate(lines)
            if marks.search(line, 0, _HEAD)
        ]
        if len(wanted) < len(lines):
            source.drop("another_stream", len(lines) - len(wanted))
        yield wanted


def _stamps(source: Source, lines: list[bytes], first_line: int) -> NDArray[np.int64]:
    """Return the local times. Raises: Refused for the first line that is not a time and a JSON object."""
    try:
        if all([line.endswith((b"}", b"}\r")) for line in lines]):  # noqa: C419 - a list is quicker
            return np.array([int(line[: line.index(b" {")]) for line in lines], np.int64)
    except (ValueError, OverflowError):
        pass  # named below
    wrong = (at for at, line in enumerate(lines) if not re.fullmatch(rb"\d{1,19} \{.*\}\s*", line, re.DOTALL))
    at = next(wrong, 0)
    raise refused(
        source, f"not a time and a JSON object: {lines[at][:60]!r}", "mend or remove the line", first_line + at
    )


def _decoder(plain: type, framed: type) -> Decode:
    """Return what decodes a line of a single stream or of a combined one."""
    decode_plain: Decode = msgspec.json.Decoder(plain).decode
    decode_framed: Decode = msgspec.json.Decoder(framed).decode
    return lambda data: decode_framed(data).data if data.startswith(_FRAME) else decode_plain(data)


def _decoded(source: Source, line: Line, decode: Decode) -> Any:
    """Return what a line carries. Raises: Refused."""
    try:
        return decode(line.payload)
    except msgspec.DecodeError as error:
        raise refused(source, f"not what Binance sends ({error})", "mend or remove the line", line.row) from error


class Message(NamedTuple):
    """When a message became known, and what it is."""

    recv_ts_ns: int
    venue_ts_ns: int
    kind: Kind


class _Out:
    """Messages of one series on their way into a batch."""

    def __init__(self, series: SeriesKey, content: Content, depth: int = 0) -> None:
        self.series = series
        self._content = content
        self._depth = depth
        self._start()

    def _start(self) -> None:
        self._recv: list[int] = []
        self._venue: list[int] = []
        self._kind: list[int] = []
        self._counts: list[int] = []  # of bids, asks, and rows of neither side: three a message
        self._numbers: list[str] = []  # price, quantity, price, quantity ...
        self._first_row = 0

    def add(self, row: int, message: Message, bids: Levels, asks: Levels) -> None:
        """Add a message; one without levels is a sign of life."""
        kind = message.kind
        if not bids and not asks:
            self._numbers += ("0", "0")
            self._counts += (0, 0, 1)
            kind = Kind.ALIVE if kind == Kind.DELTA else kind
        else:
            self._numbers += chain.from_iterable(bids)
            self._numbers += chain.from_iterable(asks)
            self._counts += (len(bids), len(asks), 0)
        self._first_row = self._first_row or row
        self._recv.append(message.recv_ts_ns)
        self._venue.append(message.venue_ts_ns)
        self._kind.append(kind)

    def batches(self) -> Iterator[BookBatch]:
        """Yield what was added since the last time."""
        if not self._recv:
            return
        counts = np.array(self._counts, np.int64)
        rows = counts.reshape(-1, 3).sum(axis=1)
        numbers = np.array(self._numbers, object)
        is_last = np.zeros(len(numbers) // 2, np.bool_)
        is_last[np.cumsum(rows) - 1] = True
        yield BookBatch(
            series=self.series,
            content=self._content,
            depth=self._depth,
            recv_ts_ns=np.repeat(np.array(self._recv, np.int64), rows),
            venue_ts_ns=np.repeat(np.array(self._venue, np.int64), rows),
            kind=np.repeat(np.array(self._kind, np.int8), rows),
            is_last=is_last,
            side=np.repeat(np.tile(np.array([1, -1, 0], np.int8), len(rows)), counts),
            price=numbers[::2],
            qty=numbers[1::2],
            first_row=self._first_row,
        )
        self._start()


class _Book:
    """The book of one series over all its files: what waits, and where the sequence stands."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Line, Change]] = []
        self.spare: tuple[Line, Snapshot] | None = None  # came while the book was whole; of this file only
        self.snapshot_id = 0
        self.last_id = -1  # u of the last change; -1 until the first one has joined
        self.is_valid = False

    def joins(self, change: Change, snapshot_id: int) -> bool:
        """Return whether a change is the first after a snapshot."""
        return change.U <= snapshot_id + (change.pu < 0) <= change.u

    def is_old(self, change: Change, snapshot_id: int) -> bool:
        """Return whether a snapshot has a change in it."""
        return change.u < snapshot_id + (change.pu < 0)

    def follows(self, change: Change) -> bool:
        """Return whether a change is the next one."""
        return change.pu == self.last_id if change.pu >= 0 else self.last_id == change.U - 1


class _Depth:
    """One log of one market: a snapshot does not say whose it is, so a log with two symbols is refused."""

    def __init__(self, source: Source, tally: Tally) -> None:
        self._source = source
        self._tally = tally
        self._books: dict[SeriesKey, _Book] = source.shared.setdefault("binance books", {})
        self._early: tuple[Line, Snapshot] | None = None  # a snapshot before the first change
        self._out: _Out | None = None
        self._book = _Book()

    def take(self, line: Line, event: Change | Snapshot) -> None:
        """Take a line of the log."""
        if isinstance(event, Change):
            if self._out is None:
                self._begin(event)
            self._change(line, event, line.recv_ts_ns)
        elif self._out is not None:
            self._snapshot(line, event)
        else:
            if self._early is not None:
                self._source.drop("snapshot_not_needed")
            self._early = (line, event)

    def batches(self) -> Iterator[BookBatch]:
        """Yield what became known since the last time."""
        for batch in self._out.batches() if self._out else ():
            self._tally.rows(batch.series, batch.recv_ts_ns[batch.is_last])
            yield batch

    def end(self) -> Iterator[BookBatch]:
        """Give up what waits for a snapshot that this file does not have."""
        book = self._book
        if self._early is not None:
            self._source.drop("snapshot_not_needed")
        if book.waiting:
            self._source.drop("no_snapshot", len(book.waiting))
            detail = "changes of the book were dropped: no snapshot in the log joins them"
            remedy = "import the log together with those before it, from the one with a snapshot on"
            self._note("delta_before_snapshot", Severity.ERROR, detail, [line for line, _ in book.waiting], remedy)
        book.waiting, book.spare = [], None
        yield from self.batches()

    def _begin(self, change: Change) -> None:
        market = Market.SPOT if change.pu < 0 else future_of(change.s)
        self._out = _Out(series_of(self._source, change.s, market), Content.BOOK)
        self._book = self._books.setdefault(self._out.series, self._book)
        if self._early is not None:
            (line, snapshot), self._early = self._early, None
            self._snapshot(line, snapshot)

    def _snapshot(self, line: Line, snapshot: Snapshot) -> None:
        """Start a book that has none; one that is whole keeps the snapshot for the next break."""
        if not self._book.is_valid or self._book.last_id < 0:
            self._start(line, snapshot)
            return
        self._source.drop("snapshot_not_needed")
        self._book.spare = (line, snapshot)

    def _start(self, line: Line, snapshot: Snapshot) -> None:
        """Join a snapshot and the changes that wait, if they join."""
        book, known = self._book, snapshot.lastUpdateId
        waiting, book.waiting = book.waiting, []
        fresh = [(at, change) for at, change in waiting if not book.is_old(change, known)]
        self._source.drop("old", len(waiting) - len(fresh)) if len(waiting) > len(fresh) else None
        if fresh and not book.joins(fresh[0][1], known):
            book.waiting = fresh
            self._source.drop("snapshot_without_bridge")
            detail = f"snapshot {known} does not join the changes around it, which begin at {fresh[0][1].U}"
            self._note(
                "delta_before_snapshot", Severity.ERROR, detail, [line], "the log lacks changes: record it again"
            )
            return
        if waiting:
            detail = (
                f"changes came before snapshot {known} in line {line.row}; they waited for it, and the one in line "
                f"{fresh[0][0].row} joined it"
                if fresh
                else f"changes came before snapshot {known} in line {line.row}, all of them older"
            )
            self._note("delta_before_snapshot", Severity.INFO, detail, [at for at, _ in waiting])
        book.is_valid, book.snapshot_id, book.last_id = True, known, -1
        self._add(line, Message(line.recv_ts_ns, snapshot.E * MS, Kind.SNAPSHOT), snapshot.bids, snapshot.asks)
        for at, change in fresh:
            self._change(at, change, line.recv_ts_ns)

    def _change(self, line: Line, change: Change, recv_ts_ns: int) -> None:
        """Apply a change, or let it wait, or end the book with it."""
        book = self._book
        if self._out is not None and change.s != self._out.series.native:
            what = f"{change.s} stands in a log of {self._out.series.native}, and snapshots do not say whose they are"
            raise refused(self._source, what, "split the log by symbol", line.row)
        if not book.is_valid:
            book.waiting.append((line, change))
            if len(book.waiting) > WAITING_MAX:
                del book.waiting[0]
                self._source.drop("no_snapshot")
        elif book.is_old(change, book.snapshot_id) if book.last_id < 0 else change.u <= book.last_id:
            self._source.drop("old")
        elif book.last_id < 0 and not book.joins(change, book.snapshot_id):
            detail = f"the change after snapshot {book.snapshot_id} begins at {change.U}: those between are missing"
            self._note(
                "delta_before_snapshot", Severity.ERROR, detail, [line], "the log lacks changes: record it again"
            )
            self._break(line, change, recv_ts_ns)
        elif book.last_id >= 0 and not book.follows(change):
            before = change.pu if change.pu >= 0 else change.U - 1
            detail = f"changes are missing: after {book.last_id} comes one that follows {before}"
            self._note("seq_gap", Severity.ERROR, detail, [line], "the book is empty from there to the next snapshot")
            self._break(line, change, recv_ts_ns)
        else:
            self._add(line, Message(recv_ts_ns, change.E * MS, Kind.DELTA), change.b, change.a)
            book.last_id = change.u

    def _break(self, line: Line, change: Change, recv_ts_ns: int) -> None:
        """Drop the book; a snapshot that came before the break may join what comes after it."""
        book = self._book
        self._add(line, Message(recv_ts_ns, change.E * MS, Kind.CLEAR), [], [])
        book.is_valid, book.last_id = False, -1
        book.waiting = [(line, change)]
        if book.spare is not None and book.joins(change, book.spare[1].lastUpdateId):
            (_, snapshot), book.spare = book.spare, None
            self._source.drop("snapshot_not_needed", -1)  # it is, now
            self._start(line, snapshot)

    def _add(self, line: Line, message: Message, bids: Levels, asks: Levels) -> None:
        if self._out is not None:
            self._out.add(line.row, message, bids, asks)

    def _note(self, code: str, severity: Severity, detail: str, lines: list[Line], remedy: str = "") -> None:
        series = None if self._out is None else self._out.series
        stamps = np.array([line.recv_ts_ns for line in lines], np.int64)
        self._tally.note(code, severity, series, f"{detail} (from line {lines[0].row} on)", remedy=remedy, ts_ns=stamps)


def read_depth(source: Source) -> Iterator[Batch]:
    """Read the book of a log."""
    tally = Tally(source)
    depth = _Depth(source, tally)
    changes, snapshots = _decoder(Change, FramedChange), msgspec.json.Decoder(Snapshot).decode
    for lines in lines_of(source, _DEPTH):
        for line in lines:
            is_snapshot = _SNAPSHOT in line.payload[:_HEAD]
            depth.take(line, _decoded(source, line, snapshots if is_snapshot else changes))
        yield from depth.batches()
    yield from depth.end()
    tally.tell()


class _Stream(NamedTuple):
    """A stream in which every line stands for itself."""

    marks: re.Pattern[bytes]
    decode: Decode
    content: Content
    add: Callable[[_Out, Line, Any], None]


def _by_symbol(source: Source, stream: _Stream) -> Iterator[Batch]:
    tally = Tally(source)
    outs: dict[str, _Out] = {}
    depth = 1 if stream.content == Content.QUOTES else 0
    for lines in lines_of(source, stream.marks):
        for line in lines:
            event = _decoded(source, line, stream.decode)
            if event.s not in outs:
                outs[event.s] = _Out(series_of(source, event.s, _market(event)), stream.content, depth)
            stream.add(outs[event.s], line, event)
        for out in outs.values():
            for batch in out.batches():
                tally.rows(batch.series, batch.recv_ts_ns[batch.is_last])
                yield batch
    tally.tell()


def _market(event: Quote | Print) -> Market:
    is_spot = event.M is not None if isinstance(event, Print) else not event.E
    return Market.SPOT if is_spot else future_of(event.s)


def _add_quote(out: _Out, line: Line, event: Quote) -> None:
    message = Message(line.recv_ts_ns, event.E * MS, Kind.SNAPSHOT)
    out.add(line.row, message, [(event.b, event.B)], [(event.a, event.A)])


def _add_print(out: _Out, line: Line, event: Print) -> None:
    level = [(event.p, event.q)]
    message = Message(line.recv_ts_ns, event.E * MS, Kind.TRADE)
    out.add(line.row, message, *(([], level) if event.m else (level, [])))


_TICKERS = _Stream(_TICKER, _decoder(Quote, FramedQuote), Content.QUOTES, _add_quote)
_PRINTS = _Stream(_PRINT, _decoder(Print, FramedPrint), Content.TRADES, _add_print)


def read_tickers(source: Source) -> Iterator[Batch]:
    """Read the best quotes of a log."""
    return _by_symbol(source, _TICKERS)


def read_prints(source: Source) -> Iterator[Batch]:
    """Read the trade prints of a log; m says that the buyer was the maker, so that the taker sold."""
    return _by_symbol(source, _PRINTS)


def _formats() -> Iterable[Format]:
    kinds: tuple[tuple[str, str, Callable[[Source], Iterator[Batch]]], ...] = (
        ("depth", "the book, from changes and REST snapshots", read_depth),
        ("ticker", "best quotes", read_tickers),
        ("trades", "trade prints", read_prints),
    )
    for kind, about, read in kinds:
        yield Format(
            name=f"binance-{kind}-log",
            about=f"raw websocket log of Binance, {about}",
            read=read,
            files=("*.gz", "*.log", "*.jsonl", "*.txt"),
            ordered=by_day,
            is_in_order_received=True,
        )


FORMATS = tuple(_formats())
