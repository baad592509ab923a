"""The books one market connection fills: by wire symbol, with what a codec does to them besides applying levels."""

from __future__ import annotations

from collections.abc import Mapping

from arbot.domain.events import BookFault, BookInvalidated
from arbot.domain.ids import InstrumentId
from arbot.domain.instrument import Instrument
from arbot.market.books import Books
from arbot.venues.codec import Decoded, Resync, ResyncReason, StreamStats, count_fault

_REASONS = {
    BookFault.CHECKSUM: ResyncReason.CHECKSUM,
    BookFault.CROSSED: ResyncReason.CROSSED,
    BookFault.MALFORMED: ResyncReason.MALFORMED,
}


class FollowedBooks:
    """Instruments by wire symbol, each with the index of its book; `books` must have them already."""

    def __init__(self, books: Books, instruments: Mapping[str, Instrument], stats: StreamStats) -> None:
        self.books = books
        self.by_symbol = {symbol: (known, books.index(known.id)) for symbol, known in instruments.items()}
        self.moved = {book: Decoded(moved=(book,), is_alive=True) for _, book in self.by_symbol.values()}
        self._stats = stats
        self._symbols = {known.id: symbol for symbol, known in instruments.items()}

    @property
    def symbols(self) -> tuple[tuple[str, int], ...]:
        """Return (wire symbol, book) pairs, as the compiled paths want them."""
        return tuple((symbol, book) for symbol, (_, book) in self.by_symbol.items())

    def symbol_of(self, instrument: InstrumentId) -> str:
        """Return the wire symbol of an instrument. Raises: KeyError when it is not followed."""
        return self._symbols[instrument]

    def instrument_of(self, symbol: str) -> InstrumentId | None:
        """Return the instrument of a wire symbol, or None when it is not followed."""
        known = self.by_symbol.get(symbol)
        return known[0].id if known else None

    def unbuilt(self) -> tuple[InstrumentId, ...]:
        """Return the instruments whose books have no snapshot yet."""
        return tuple(known.id for known, book in self.by_symbol.values() if not self.books.is_synced(book))

    def mark_alive(self, recv_ts_ns: int) -> None:
        """Note a sign of life of the whole connection."""
        for _, book in self.by_symbol.values():
            self.books.mark_alive(book, recv_ts_ns)

    def drop(self, instrument: InstrumentId) -> None:
        """Empty one book; updates are ignored until its next snapshot."""
        self.books.invalidate(self.books.index(instrument))

    def drop_all(self) -> tuple[InstrumentId, ...]:
        """Empty all books; return the instruments of those that had been built."""
        built = [(known, book) for known, book in self.by_symbol.values() if self.books.is_synced(book)]
        for _, book in built:
            self.books.invalidate(book)
        return tuple(known.id for known, _ in built)

    def fault(self, book: int, fault: BookFault, detail: str = "") -> Decoded:
        """Count what is wrong with one book, drop it, and ask for it anew."""
        count_fault(self._stats, fault)
        self.books.invalidate(book)
        instrument = self.books.instrument(book).id
        return Decoded(
            events=(BookInvalidated(instrument=instrument, fault=fault, detail=detail),),
            actions=(Resync(instrument=instrument, reason=_REASONS[fault]),),
            is_alive=True,
        )
