"""A market played from recorded order books, one file per recorded venue: `<venue>_<coin>_orderbooks.jsonl.gz`.

Every line is one ccxt order-book dict: `symbol`, `bids`, `asks` (best first), `timestamp` in ms. Levels have two items
or three (Kraken adds seconds, others a count): only price and size are read. Numbers are taken as the text stands in
the file, then laid on the sim venue's grid: bids down to a tick, asks up, sizes down to a step, so rounding never makes
an edge. Only levels that changed from one recorded book to the next are set again: what a customer consumed stays
consumed until then. The recorder's clock is whole seconds for some venues, so order across venues is known to 1-2 s.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ZERO, ceil_to_step, floor_to_step
from arbot.sim.faults import MS
from arbot.sim.venue import SimVenue

SUFFIX = "_orderbooks.jsonl.gz"
Levels = dict[tuple[Side, int], int]


class RecordedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which recording, who plays whom, how fast, and whether it starts again at its end.

    `mapping` goes from a sim venue to the recorded venue whose books it shows.
    """

    directory: Path
    mapping: dict[str, str]
    speed: Decimal = Decimal(1)
    loop: bool = False


class RecordedBook(msgspec.Struct, frozen=True):
    """One recorded book of one venue."""

    ts_ms: int
    symbol: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


def recorded_venues(directory: Path) -> tuple[str, ...]:
    """Return the venues recorded in a directory. Raises: UserError when it holds no recording."""
    names = sorted({path.name.split("_")[0] for path in directory.glob(f"*{SUFFIX}")})
    if not names:
        raise UserError(
            Mistake("market", f"no *{SUFFIX} in {directory}", "give a directory of recorded books, or a seed"),
        )
    return tuple(names)


def read_books(directory: Path, venue: str) -> tuple[RecordedBook, ...]:
    """Return all books of a recorded venue by time. Raises: UserError."""
    paths = sorted(directory.glob(f"{venue}_*{SUFFIX}"))
    if not paths:
        known = ", ".join(recorded_venues(directory))
        raise UserError(Mistake("market", f"{venue} is not recorded in {directory}", f"map to one of {known}"))
    books: list[RecordedBook] = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    books.append(_read_book(line))
                except (ValueError, KeyError, TypeError, IndexError) as error:
                    raise UserError(
                        Mistake(f"{path.name}:{number}", f"not an order book: {error!r}", "mend or drop the line"),
                    ) from error
    return tuple(sorted(books, key=lambda book: book.ts_ms))


def _read_book(line: str) -> RecordedBook:
    row = json.loads(line, parse_float=Decimal, parse_int=Decimal)
    return RecordedBook(
        ts_ms=int(row["timestamp"]),
        symbol=str(row["symbol"]),
        bids=tuple((level[0], level[1]) for level in row["bids"]),
        asks=tuple((level[0], level[1]) for level in row["asks"]),
    )


def symbols_of(spec: RecordedSpec) -> tuple[str, ...]:
    """Return the symbols the mapped venues show. Raises: UserError when they do not show the same ones."""
    shown = {
        venue: {book.symbol for book in read_books(spec.directory, there)} for venue, there in spec.mapping.items()
    }
    if len({frozenset(symbols) for symbols in shown.values()}) != 1:
        told = "; ".join(f"{venue} as {spec.mapping[venue]}: {', '.join(sorted(one))}" for venue, one in shown.items())
        raise UserError(Mistake("market", f"recorded symbols differ ({told})", "map to venues with the same symbol"))
    return tuple(sorted(next(iter(shown.values()))))


def on_grid(book: RecordedBook, instrument: Instrument) -> Levels:
    """Return a recorded book in the instrument's integers: bids down, asks up, sizes down; equal prices are summed."""
    levels: Levels = {}
    for side, rows in ((Side.BUY, book.bids), (Side.SELL, book.asks)):
        to_grid = floor_to_step if side is Side.BUY else ceil_to_step
        for price, size in rows:
            if price <= ZERO or size <= ZERO:
                continue
            ticks = int(to_grid(price, instrument.tick_size).scaleb(instrument.price_decimals))
            lots = int(floor_to_step(size, instrument.qty_step).scaleb(instrument.qty_decimals))
            if ticks > 0 and lots > 0:
                levels[side, ticks] = levels.get((side, ticks), 0) + lots
    return levels


class RecordedMarket:
    """Plays the recording. Starts at the first moment at which every mapped venue has a book."""

    def __init__(self, venues: Mapping[str, SimVenue], spec: RecordedSpec) -> None:
        self.spec = spec
        self._venues = {name: venues[name] for name in spec.mapping}
        self._books = {name: read_books(spec.directory, there) for name, there in spec.mapping.items()}
        self._first_ms = max(books[0].ts_ms for books in self._books.values())
        self._last_ms = max(books[-1].ts_ms for books in self._books.values())
        self._next: dict[str, int] = {}
        self._shown: dict[tuple[str, str], Levels] = {}
        self._started_ns = 0
        self._shift: dict[tuple[str, str], Decimal] = {}
        self._is_ended = False

    @property
    def is_ended(self) -> bool:
        """Whether the last recorded book is out and the recording does not loop."""
        return self._is_ended

    def start(self, now_ns: int) -> None:
        """Show each venue's book of the first common moment."""
        self._started_ns = now_ns
        self._next = dict.fromkeys(self._books, 0)
        self.advance(now_ns)

    def advance(self, now_ns: int) -> None:
        """Show every book whose time has come."""
        if self._is_ended:
            return
        at_ms = self._first_ms + int((now_ns - self._started_ns) * self.spec.speed) // MS
        for name, books in self._books.items():
            at = self._next[name]
            while at < len(books) and books[at].ts_ms <= at_ms:
                at += 1
                # of several that are due only the last of each symbol shows: nobody could have seen the others
                if at == len(books) or books[at].ts_ms > at_ms or books[at].symbol != books[at - 1].symbol:
                    self._show(name, books[at - 1], now_ns)
            self._next[name] = at
        if at_ms > self._last_ms:
            if self.spec.loop:
                self.start(now_ns)
            else:
                self._is_ended = True

    def shock(self, base: str, bps: float, now_ns: int, *, venue: str = "", half_life_ms: int = 0) -> None:
        """Shift the recorded prices of `base` by so many bps from now on. A recording has no decay: it must be zero."""
        if half_life_ms:
            raise UserError(Mistake("shock", "a recorded market cannot decay a shock", "leave half_life_ms out"))
        for name, sim in self._venues.items():
            for symbol, instrument in sim.instruments.items():
                if instrument.base == base and venue in ("", name):
                    factor = self._shift.get((name, symbol), Decimal(1))
                    self._shift[name, symbol] = factor * (1 + Decimal(str(bps)).scaleb(-4))
                    shown = [book for book in self._books[name][: self._next[name]] if book.symbol == symbol]
                    if shown:
                        self._show(name, shown[-1], now_ns)

    def describe(self) -> dict[str, object]:
        """Return what is played."""
        return {
            "kind": "recorded",
            "directory": str(self.spec.directory),
            "mapping": self.spec.mapping,
            "speed": str(self.spec.speed),
            "loop": self.spec.loop,
            "books": {name: len(books) for name, books in self._books.items()},
            "seconds": (self._last_ms - self._first_ms) / 1000,
        }

    def _show(self, name: str, book: RecordedBook, now_ns: int) -> None:
        venue = self._venues[name]
        if book.symbol not in venue.instruments:
            return
        factor = self._shift.get((name, book.symbol))
        if factor is not None:
            book = msgspec.structs.replace(
                book,
                bids=tuple((price * factor, size) for price, size in book.bids),
                asks=tuple((price * factor, size) for price, size in book.asks),
            )
        levels = on_grid(book, venue.instruments[book.symbol])
        before = self._shown.get((name, book.symbol), {})
        changes = [(side, ticks, 0) for side, ticks in before if (side, ticks) not in levels]
        changes += [(*place, lots) for place, lots in levels.items() if before.get(place) != lots]
        self._shown[name, book.symbol] = levels
        if changes:
            venue.set_market(book.symbol, changes, now_ns)
