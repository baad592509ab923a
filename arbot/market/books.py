"""All order books of the process, kept by compiled code in one integer array; Decimals come out where somebody looks.

Rules: a book that was touched is not valid until it was checked (`validate`, or the frame path's own check); a dropped
book has no levels and takes no updates until the next snapshot; one writer, no lock.

Live, a venue's codec feeds it in two ways. The compiled frame parsers (`venues.*.book_frames`) do everything in one call
on raw bytes. What they do not recognise goes through the typed decoder and then:

    books.apply_snapshot(i, level_array(bids, instrument), level_array(asks, instrument), venue_ts_ns, recv_ts_ns)
    books.apply_update(i, bids, asks, venue_ts_ns, recv_ts_ns)     # False: there is no snapshot to update
    if books.checksum(i) != told: books.invalidate(i)              # Kraken
    elif not books.validate(i): ...                                # crossed or one-sided; see validate
    books.screen(i)                                                # screen.QUIET, APPARENT or CLEARS

Implements engine.market_view.MarketView.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

import numpy as np
from numba import types
from numpy.typing import NDArray

from arbot.domain.book import BookState, Level
from arbot.domain.errors import ensure
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import bps_to_rate
from arbot.market import crc32, screen, sides, tee
from arbot.market.compiled import compiled
from arbot.market.layout import (
    ASKS,
    BIDS,
    CAPACITY,
    CHECKSUMS,
    DELAY,
    DEPTH,
    EDGE_MIN_PPT,
    END,
    HEAD_WIDTH,
    HEADS,
    NEXT,
    PPT_DECIMALS,
    PRICE_DECIMALS,
    PRICE_UNIT,
    QTY_DECIMALS,
    QUOTE,
    RECV_TS,
    START,
    SYNCED,
    TAKER_PPT,
    TEE_AT,
    TEE_DAY,
    TEE_END,
    TEE_LOST,
    TEE_LOST_TS,
    TEE_RECV_TS,
    TEE_SEQ,
    TEE_START,
    UPDATES,
    VALID,
    VENUE,
    VENUE_TS,
    Words,
)

Levels = NDArray[np.int64]
"""Pairs (price, qty) as integers at the instrument's decimals, shape (n, 2), C-contiguous."""

BOOKS_MAX_FIRST = 64  # heads reserved at first; doubled when spent
WHOLE_BOOK_CAPACITY = (
    131_072  # words per column of a whole book; Coinbase BTC-USD has 46,000 levels. Pages come when used
)
INT_MAX = 10**18  # prices and quantities as integers stay below this

_HELD = ((BIDS, END, 1), (BIDS, START, -1), (ASKS, END, 1), (ASKS, START, -1))  # sums to the levels of a book
_UNKNOWN = BookState(is_valid=False, recv_ts_ns=0, venue_ts_ns=0)
_mem = types.int64[::1]
_i8 = types.int64


@compiled(types.boolean(_mem, _i8, _mem, _i8, _i8))
def _snapshot(mem: Words, head: int, source: Words, venue_ts_ns: int, recv_ts_ns: int) -> bool:
    count = source.size // 2
    if mem[head + BIDS + CAPACITY] < count:
        return False
    sides.snapshot(mem, head, source, 0, count, venue_ts_ns, recv_ts_ns)
    return True


@compiled(types.boolean(_mem, _i8, _mem, _i8, _i8))
def _update(mem: Words, head: int, source: Words, venue_ts_ns: int, recv_ts_ns: int) -> bool:
    count = source.size // 2
    if not sides.has_room(mem, head, count):
        return False
    sides.update(mem, head, source, 0, count, venue_ts_ns, recv_ts_ns)
    return True


def level_array(levels: Iterable[tuple[Decimal, Decimal]], instrument: Instrument) -> Levels:
    """Return (price, qty) pairs as the integers that books take.

    Raises: ValueError when a number is negative, too large, or finer than the instrument's decimals; a zero price too.
    """
    pairs = [(scaled(price, instrument.price_decimals), scaled(qty, instrument.qty_decimals)) for price, qty in levels]
    if any(price == 0 for price, _ in pairs):
        raise ValueError("price of zero")
    return np.array(pairs, np.int64).reshape(-1, 2)


def scaled(number: Decimal, decimals: int) -> int:
    """Return `number` * 10**decimals. Raises: ValueError when that is negative, not whole, or not below INT_MAX."""
    whole = int(number.scaleb(decimals)) if number.is_finite() and abs(number.adjusted()) < 40 else -1
    if not 0 <= whole < INT_MAX or Decimal(whole).scaleb(-decimals) != number:
        raise ValueError(f"not a level at {decimals} decimals: {number}")
    return whole


class Books:
    """Every book by index and by instrument id. `mem` is the array compiled code works on; see layout.py."""

    def __init__(self) -> None:
        self._instruments: list[Instrument] = []
        self._exponents: list[tuple[int, int]] = []  # of price and quantity
        self._indexes: dict[InstrumentId, int] = {}
        self._venues: dict[VenueId, int] = {}
        self._quotes: dict[Asset, int] = {}
        self._bases: dict[Asset, int] = {}  # base asset -> its newest book
        self._heads_max = BOOKS_MAX_FIRST
        self._tee_words = 0
        self.mem: Words = np.zeros(HEADS + BOOKS_MAX_FIRST * HEAD_WIDTH, np.int64)

    def __len__(self) -> int:
        return len(self._instruments)

    # --- which books there are -----------------------------------------------------------------------------------

    def add(self, instrument: Instrument, depth: int) -> int:
        """Add one empty book, as `add_all` does, and return its index."""
        self.add_all([(instrument, depth)])
        return len(self._instruments) - 1

    def add_all(self, listed: Iterable[tuple[Instrument, int]]) -> None:
        """Add empty books that keep so many levels a side (0 = all), in this order. `mem` is laid out anew once for all.

        Raises: InvariantBroken when an instrument is there already or its decimals do not fit an integer.
        """
        capacities: dict[int, int] = {}
        added: list[tuple[int, int]] = []
        for instrument, depth in listed:
            ensure(instrument.id not in self._indexes, "book added twice", instrument=instrument.id)
            ensure(
                0 <= instrument.price_decimals <= 17 and 0 <= instrument.qty_decimals <= 17 and depth >= 0,
                "a book needs 0 to 17 decimals and a depth of 0 or more",
                instrument=instrument,
                depth=depth,
            )
            index = len(self._instruments)
            self._instruments.append(instrument)
            self._exponents.append((-instrument.price_decimals, -instrument.qty_decimals))
            self._indexes[instrument.id] = index
            capacities[index] = 2 * depth + 1024 if depth else WHOLE_BOOK_CAPACITY
            added.append((index, depth))
        self._lay_out(capacities)
        for index, depth in added:
            self._begin(index, depth)

    def _begin(self, index: int, depth: int) -> None:
        """Write the head of a new book."""
        instrument, head = self._instruments[index], _head(index)
        ring = self._bases.setdefault(instrument.base, index)
        self.mem[head + DEPTH] = depth
        self.mem[head + PRICE_DECIMALS] = instrument.price_decimals
        self.mem[head + QTY_DECIMALS] = instrument.qty_decimals
        self.mem[head + PRICE_UNIT] = 10**instrument.price_decimals
        self.mem[head + VENUE] = self._venues.setdefault(instrument.venue, len(self._venues))
        self.mem[head + QUOTE] = self._quotes.setdefault(instrument.quote, len(self._quotes))
        self.mem[head + NEXT] = self.mem[_head(ring) + NEXT] if ring != index else index
        self.mem[_head(ring) + NEXT] = index
        sides.empty(self.mem, head)

    def index(self, instrument: InstrumentId) -> int:
        """Return the index of a book. Raises: KeyError when there is none."""
        return self._indexes[instrument]

    def instrument(self, index: int) -> Instrument:
        """Return whose book that is."""
        return self._instruments[index]

    def depth(self, index: int) -> int:
        """Return how many levels a side a book keeps, 0 for all."""
        return int(self.mem[_head(index) + DEPTH])

    # --- what comes from the venue -------------------------------------------------------------------------------

    def apply_snapshot(self, index: int, bids: Levels, asks: Levels, venue_ts_ns: int, recv_ts_ns: int) -> None:
        """Replace a book. Any order of levels is right; of a double the last counts, quantity 0 means absent.

        Raises: ValueError when a number is out of range (nothing is applied).
        """
        levels = _signed(bids, asks)
        while not _snapshot(self.mem, _head(index), levels, venue_ts_ns, recv_ts_ns):
            self.grow(index, len(bids) + len(asks))

    def apply_update(self, index: int, bids: Levels, asks: Levels, venue_ts_ns: int, recv_ts_ns: int) -> bool:
        """Put levels in array order, quantity 0 removes, then truncate. False, and nothing done, without a snapshot.

        Raises: ValueError when a number is out of range (nothing is applied).
        """
        levels = _signed(bids, asks)
        if not self.mem[_head(index) + SYNCED]:
            return False
        while not _update(self.mem, _head(index), levels, venue_ts_ns, recv_ts_ns):
            self.grow(index, len(bids) + len(asks))
        return True

    def checksum(self, index: int) -> int:
        """Return Kraken's CRC-32 of the ten best levels of both sides."""
        return int(crc32.checksum(self.mem, _head(index)))

    def confirm(self, index: int) -> None:
        """Count that the venue's checksum of a book was ours."""
        self.mem[_head(index) + CHECKSUMS] += 1

    def validate(self, index: int) -> bool:
        """Declare the integrity of a book checked: valid if it is synced, has both sides, and is not crossed.

        A crossed book is dropped, since it needs a snapshot; a one-sided one may become whole by an update.
        """
        found = sides.check(self.mem, _head(index))
        if found == sides.CROSSED:
            self.invalidate(index)
        return bool(self.mem[_head(index) + VALID])

    def is_synced(self, index: int) -> bool:
        """Return whether a book has had a snapshot since it was last dropped."""
        return bool(self.mem[_head(index) + SYNCED])

    def invalidate(self, index: int) -> None:
        """Drop a book: no levels, and no updates until the next snapshot."""
        sides.clear(self.mem, _head(index))

    def mark_alive(self, index: int, recv_ts_ns: int) -> None:
        """Note a sign of life on the stream of a book, such as a heartbeat; a dropped book is not helped by it."""
        head = _head(index)
        if self.mem[head + SYNCED]:
            self.mem[head + RECV_TS] = recv_ts_ns
            if self.mem[TEE_AT]:
                tee.alive(self.mem, head)

    # --- what the books counted, for whoever watches ------------------------------------------------------------------

    @property
    def updates(self) -> list[int]:
        """How many updates and snapshots each book has taken in, by index; it never falls."""
        return self._word(UPDATES)

    @property
    def confirmations(self) -> list[int]:
        """How many of them the venue's checksum confirmed, by index."""
        return self._word(CHECKSUMS)

    @property
    def delays_ns(self) -> list[int]:
        """Receipt less the venue's time of each book's newest update, by index; DELAY_UNKNOWN where there is none."""
        return self._word(DELAY)

    def _word(self, word: int) -> list[int]:
        found: list[int] = self.mem[HEADS + word : _head(len(self)) : HEAD_WIDTH].tolist()
        return found

    # --- the tee: what the books took in, for whoever records --------------------------------------------------------

    def start_tee(self, words: int) -> None:
        """Take from here on what the books take in, in a region of that many words; with more than before, enlarge it.

        Books that are synced are taken whole at once. Words 0 turn it off, and what was not drained is lost.
        Raises: InvariantBroken for fewer words than before.
        """
        ensure(words == 0 or words >= self._tee_words, "a tee can grow, not shrink", words=words)
        was_on = bool(self.mem[TEE_AT])
        self._tee_words = words
        self._lay_out({})
        if words and not was_on:
            for index in range(len(self)):
                self.mem[_head(index) + TEE_DAY] = 0
            self.renew_tee(0)

    def drain_tee(self) -> tee.Drained:
        """Return what the tee holds, as a copy, and empty it."""
        mem = self.mem
        start, lost, lost_ts_ns = int(mem[TEE_START]), int(mem[TEE_LOST]), int(mem[TEE_LOST_TS])
        words = mem[start : mem[TEE_AT]].copy()
        mem[TEE_AT], mem[TEE_LOST] = start, 0
        return tee.Drained(words, lost, lost_ts_ns)

    def renew_tee(self, lost_ts_ns: int) -> None:
        """Take every book whole, after a CLEAR at `lost_ts_ns`: messages were lost from there on.

        A book that has been silent since has lost none and is passed over. 0: nothing is known of any book yet. The tee
        is enlarged when it has not the room.
        """
        held = sum(
            int(self.mem[_head(index) + side + at]) * sign for index in range(len(self)) for side, at, sign in _HELD
        )
        wanted = 4 * len(self) * tee.HEADER + 2 * held - int(self.mem[TEE_END] - self.mem[TEE_AT])
        if wanted > 0:
            self._tee_words += wanted
            self._lay_out({})
        for index in range(len(self)):
            head = _head(index)
            if self.mem[head + SYNCED] and self.mem[head + RECV_TS] < lost_ts_ns:
                continue
            if lost_ts_ns:
                tee.broken_off(self.mem, head, lost_ts_ns)
            if self.mem[head + SYNCED]:
                tee.whole(self.mem, head)

    def tee_trade(self, index: int, key: int, qty: int, venue_ts_ns: int, recv_ts_ns: int) -> None:
        """Put a trade print into the tee, if it is on: its signed price and its quantity as integers."""
        if self.mem[TEE_AT]:
            tee.printed(self.mem, _head(index), key, qty, recv_ts_ns, venue_ts_ns)

    def tell_tee(self, *, seq: int) -> None:
        """Tell the tee the number of the last event."""
        self.mem[TEE_SEQ] = seq

    def tell_tee_time(self, now_ns: int) -> None:
        """Tell the tee what time it is: nothing more will be received before."""
        self.mem[TEE_RECV_TS] = max(now_ns, int(self.mem[TEE_RECV_TS]))

    @property
    def tee_share(self) -> float:
        """How full the tee is, 1 when messages were lost."""
        mem = self.mem
        return 1.0 if mem[TEE_LOST] else float(mem[TEE_AT] - mem[TEE_START]) / max(1, self._tee_words)

    # --- the screen ----------------------------------------------------------------------------------------------

    def set_taker_rate(self, index: int, rate: Decimal) -> None:
        """Tell the screen our taker rate on a book. Until then it counts as 0, so that the engine wakes and declines."""
        self.mem[_head(index) + TAKER_PPT] = _ppt_floor(rate)

    def set_edge_min(self, bps: Decimal) -> None:
        """Tell the screen the least net edge worth waking for, in bps of the buying price."""
        self.mem[EDGE_MIN_PPT] = _ppt_floor(bps_to_rate(bps))

    def screen(self, index: int) -> int:
        """Return what the best route with this book in it may be at the touch: screen.QUIET, APPARENT or CLEARS.

        CLEARS: both taker fees and the minimum net edge. Never less where the exact numbers say yes; sometimes it is
        CLEARS where they say no.
        """
        look: int = screen.screen(self.mem, index)
        return look

    # --- MarketView ----------------------------------------------------------------------------------------------

    def state(self, instrument: InstrumentId) -> BookState:
        """Return how far the book can be trusted; an unknown instrument is not valid."""
        index = self._indexes.get(instrument)
        if index is None:
            return _UNKNOWN
        valid, recv_ts_ns, venue_ts_ns = self.mem[_head(index) + VALID : _head(index) + VENUE_TS + 1].tolist()
        return BookState(valid == 1, recv_ts_ns, venue_ts_ns)

    def touch(self, index: int) -> tuple[int, int, int]:
        """Return what tells one touch of a book from another: whether it is valid, the best bid and the best ask, scaled."""
        head = _head(index)
        mem = self.mem
        if not mem[head + VALID]:
            return 0, 0, 0
        bid, ask = (int(mem[mem[head + side] + mem[head + side + END] - 1]) for side in (BIDS, ASKS))
        return 1, bid, ask

    def best(self, instrument: InstrumentId, side: Side) -> Level | None:
        """Return the best level one meets when trading on `side` (BUY meets the asks), or None when that side is empty."""
        index = self._indexes.get(instrument)
        if index is None:
            return None
        at = HEADS + index * HEAD_WIDTH + (ASKS if side is Side.BUY else BIDS)
        keys, capacity, start, end = self.mem[at : at + END + 1].tolist()
        if start == end:
            return None
        top = keys + end - 1
        price_exponent, qty_exponent = self._exponents[index]
        price, qty = self.mem.item(top), self.mem.item(top + capacity)
        return Level(Decimal(abs(price)).scaleb(price_exponent), Decimal(qty).scaleb(qty_exponent))

    def levels(self, instrument: InstrumentId, side: Side, depth: int) -> tuple[Level, ...]:
        """Return up to `depth` levels met when trading on `side`, best first."""
        index = self._indexes.get(instrument)
        if index is None or depth <= 0:
            return ()
        at = _head(index) + (ASKS if side is Side.BUY else BIDS)
        keys, capacity, start, end = self.mem[at : at + END + 1].tolist()
        first = keys + max(start, end - depth)
        stop = keys + end
        price_exponent, qty_exponent = self._exponents[index]
        prices = self.mem[first:stop][::-1].tolist()
        qtys = self.mem[first + capacity : stop + capacity][::-1].tolist()
        return tuple(
            [
                Level(Decimal(abs(price)).scaleb(price_exponent), Decimal(qty).scaleb(qty_exponent))
                for price, qty in zip(prices, qtys, strict=True)
            ]
        )

    # --- room ----------------------------------------------------------------------------------------------------

    def grow(self, index: int, count: int) -> None:
        """Make room for `count` more levels on either side of a book. Replaces `mem`."""
        head = _head(index)
        used = max(int(self.mem[head + at + END] - self.mem[head + at + START]) for at in (BIDS, ASKS))
        self._lay_out({index: 2 * (used + count) + 1024})

    def _lay_out(self, capacities: dict[int, int]) -> None:
        """Build `mem` anew with these capacities for these books, keeping all that is in it."""
        old = self.mem
        old_heads_end, heads_end = _head(self._heads_max), _head(self._heads_max)
        while len(self._instruments) > self._heads_max:
            self._heads_max *= 2
            heads_end = _head(self._heads_max)
        wanted = [
            capacities.get(index) or int(old[_head(index) + BIDS + CAPACITY]) for index in range(len(self._instruments))
        ]
        levels_end = heads_end + 4 * sum(wanted)
        mem = np.empty(levels_end + self._tee_words, np.int64)
        mem[:old_heads_end] = old[:old_heads_end]
        mem[old_heads_end:heads_end] = 0
        keys = heads_end
        for index, capacity in enumerate(wanted):
            head = _head(index)
            for side in (head + BIDS, head + ASKS):
                before, old_capacity, start, end = mem[side : side + END + 1].tolist()
                begin = (capacity - (end - start)) // 2
                for old_column, column in ((before, keys), (before + old_capacity, keys + capacity)):
                    mem[column + begin : column + begin + end - start] = old[old_column + start : old_column + end]
                mem[side : side + END + 1] = (keys, capacity, begin, begin + end - start)
                keys += 2 * capacity
        held = old[old[TEE_START] : old[TEE_AT]] if self._tee_words else old[:0]
        mem[levels_end : levels_end + len(held)] = held
        mem[TEE_START], mem[TEE_END] = levels_end, levels_end + self._tee_words
        mem[TEE_AT] = levels_end + len(held) if self._tee_words else 0
        self.mem = mem


def warm_up() -> None:
    """Call every compiled function once, on a book that is thrown away. They were compiled, or loaded, at import.

    Spares the first real frames the milliseconds that first calls take; venues' frame parsers do the same when made.
    """
    books = Books()
    unit = Decimal(1)
    for venue in ("one", "other"):
        instrument = Instrument(
            id=InstrumentId(venue),
            venue=VenueId(venue),
            symbol="",
            venue_symbol="",
            base=Asset(""),
            quote=Asset(""),
            tick_size=unit,
            qty_step=unit,
            price_decimals=0,
            qty_decimals=0,
        )
        index = books.add(instrument, 10)
        bids, asks = level_array([(unit, unit)], instrument), level_array([(unit + unit, unit)], instrument)
        books.apply_snapshot(index, bids, asks, 0, 0)
        books.apply_update(index, bids, asks, 0, 0)
        books.checksum(index)
        books.validate(index)
        books.screen(index)
        books.invalidate(index)


def _head(index: int) -> int:
    return HEADS + index * HEAD_WIDTH


def _signed(bids: Levels, asks: Levels) -> Words:
    """Return pairs (signed key, qty), bids first. Raises: ValueError when a number is out of range."""
    levels = np.concatenate((bids.reshape(-1, 2), asks.reshape(-1, 2)))
    if levels.size and (levels[:, 0].min() <= 0 or levels[:, 1].min() < 0 or levels.max() >= INT_MAX):
        raise ValueError("price not above zero, negative quantity, or number too large")
    levels[len(bids) :, 0] *= -1
    return levels.ravel()


def _ppt_floor(rate: Decimal) -> int:
    whole = rate.scaleb(PPT_DECIMALS)
    ensure(whole.is_finite() and abs(whole) < INT_MAX, "rate out of range", rate=rate)
    return int(whole.to_integral_value(ROUND_FLOOR))
