"""The scanner: walks recorded rows through the books and stops where somebody could act.

It stops before the next message once that would lie behind a due time; after a message on a book that some unmuted
route clears (a *candidate*); after a message on a watched book; and when Python has to make room. Everything between
is compiled and touches nothing but the arrays.

A route is an ordered (buy, sell) pair of books of one base and quote on different venues. It is *open* while the touch
clears both taker fees and the minimum net edge (screen.clears: errs on the side of open). Routes are looked at again
only when a touch in them changed, so that a message deep in a book costs no more than its own levels; a message on a
book with an open route is a candidate whether or not the touch changed, because depth counts too. A muted route is one
at which the engine has said that it will not open an arb before a given time whatever the books say.

A paced strategy wants to be asked whatever routes do: then every message is noted at its book (`moved`), and it is a
candidate when the time for the next look has come, or when it changes the touch of a book that an order of ours
depends on (`quote`).

Other than live, a crossed book is kept and merely not valid: a recording cannot be asked for a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numba import types

from arbot.market import sides
from arbot.market.books import Books
from arbot.market.compiled import compiled, uniform
from arbot.market.layout import (
    ASKS,
    BIDS,
    CAPACITY,
    EDGE_MIN_PPT,
    END,
    HEAD_WIDTH,
    HEADS,
    KEYS,
    NEXT,
    PRICE_UNIT,
    QUOTE,
    RECV_TS,
    START,
    SYNCED,
    TAKER_PPT,
    VALID,
    VENUE,
    VENUE_TS,
    Words,
)
from arbot.market.screen import clears
from arbot.market.stream import BOOK_SHIFT, IS_LAST, KIND_MASK, Kind, Rows

# why the scan stopped
CHUNK_ENDED, DUE, CANDIDATE, WATCHED, NEED_ROOM, WINDOWS_FULL = 0, 1, 2, 3, 4, 5

# globals
_AT = 0  # next row of the chunk
_FIRST = 1  # first row of the message that stopped the scan
_MESSAGES = 2
_CANDIDATES = 3
_CROSSED = 4  # messages that left their book crossed
_ONE_SIDED = 5
_ORPHANS = 6  # deltas for a book without a snapshot
_MUTED = 7  # messages that would have been candidates but for the mute
_TAKEN_END = 8  # entries in the table of what we took
_WINDOWS_END = 9
_GATE_OFF = 10  # 1 = every message is a candidate
_ALL_MUTED_UNTIL = 11  # no route can do anything before this time
_TAKEN_AT = 12  # where the tables begin
_WINDOWS_AT = 13
_BOOK = 14  # book of the message that stopped the scan
_IS_INSIDE = 15  # 1 = a message was left half-way, to make room
_PUTS = 16  # 1 = the rows of that message go into the book
_PACED = 17  # 1 = every message is noted, and those from _LOOK_AT on are candidates
_LOOK_AT = 18
_TOUCHED = 19  # 1 = the message that stopped the scan changed its book's touch
_GLOBALS = 24

# words of a book
_SLOT = 0  # its place among the books of its base
_RING = 1  # how many those are
_ROUTES_AT = 2  # where its base's routes lie: (buy slot * ring + sell slot) * _ROUTE
_TOUCH_BID = 3
_TOUCH_ASK = 4
_TOUCH_VALID = 5
_OPEN = 6  # open routes this book is in
_WATCH = 7
_TAKEN = 8  # entries of this book in the table of what we took
_MOVED = 9  # 1 = there was a message since a paced look last asked
_QUOTED = 10  # 1 = an order of ours depends on its touch
_BOOK_WORDS = 12

# words of a route
_MUTED_UNTIL = 0
_SINCE = 1  # when it opened; 0 = it is not open
_PEAK = 2  # best net edge since, in PPT of the buying price
_BEST = 3  # best net edge there ever was, open or not; UNSEEN before both books were valid at once
_BEST_AT = 4  # when that was
_ROUTE = 5

_TAKEN_MAX = 1024
_TAKEN_WORDS = 4  # book, key, quantity as recorded, quantity we took of it
_WINDOWS_MAX = 4096
_WINDOWS_ROOM = 128  # more than one message can close: twice the venues of a base
_WINDOW_WORDS = 5  # buy book, sell book, start, end, peak
_ROOM = 1024  # levels that room is made for at a time
NEVER = 2**62
UNSEEN = -(2**62)

_SNAPSHOT, _DELTA, _TRADE, _CLEAR, _ALIVE = (int(kind) for kind in Kind)
_PPT = 1e-12
_i8 = types.int64
_words = types.int64[::1]
_column = types.Array(types.int64, 1, "C", readonly=True)  # may be mapped from a file


@compiled(types.float64(_words, _i8, _i8))
def _touch(mem: Words, head: int, side: int) -> float:
    """Return the best price of a valid book's side as a float, in quote."""
    at = mem[head + side + KEYS] + mem[head + side + END] - 1
    return float(abs(mem[np.uint64(at)])) / float(mem[head + PRICE_UNIT])


@compiled(types.void(_words, _i8, _i8, types.boolean, types.float64, _i8))
def _set_route(state: Words, buy: int, sell: int, is_open: bool, edge: float, now_ns: int) -> None:  # noqa: PLR0917
    """Open, keep, or close a route that was looked at; a closed one leaves a window behind."""
    buy_book = _GLOBALS + buy * _BOOK_WORDS
    sell_book = _GLOBALS + sell * _BOOK_WORDS
    route = state[buy_book + _ROUTES_AT] + _ROUTE * (
        state[buy_book + _SLOT] * state[buy_book + _RING] + state[sell_book + _SLOT]
    )
    peak = np.int64(edge * 1e12)
    if edge != 0.0 and peak > state[route + _BEST]:
        state[route + _BEST] = peak
        state[route + _BEST_AT] = now_ns
    if is_open:
        if state[route + _SINCE] == 0:
            state[route + _SINCE] = now_ns
            state[route + _PEAK] = peak
            state[buy_book + _OPEN] += 1
            state[sell_book + _OPEN] += 1
        elif peak > state[route + _PEAK]:
            state[route + _PEAK] = peak
    elif state[route + _SINCE] != 0:
        at = state[_WINDOWS_AT] + state[_WINDOWS_END] * _WINDOW_WORDS
        state[at] = buy
        state[at + 1] = sell
        state[at + 2] = state[route + _SINCE]
        state[at + 3] = now_ns
        state[at + 4] = state[route + _PEAK]
        state[_WINDOWS_END] += 1
        state[route + _SINCE] = 0
        state[buy_book + _OPEN] -= 1
        state[sell_book + _OPEN] -= 1


@compiled(types.void(_words, _words, _i8, _i8))
def _review(mem: Words, state: Words, index: int, now_ns: int) -> None:
    """Look at every route with this book in it, because its touch changed."""
    head = HEADS + index * HEAD_WIDTH
    is_valid = mem[head + VALID] == 1
    edge_min = float(mem[EDGE_MIN_PPT]) * _PPT
    rate = float(mem[head + TAKER_PPT]) * _PPT
    bid = ask = 0.0
    if is_valid:
        bid, ask = _touch(mem, head, BIDS), _touch(mem, head, ASKS)
    other_index = mem[head + NEXT]
    while other_index != index:
        other = HEADS + other_index * HEAD_WIDTH
        if mem[other + VENUE] != mem[head + VENUE] and mem[other + QUOTE] == mem[head + QUOTE]:
            if is_valid and mem[other + VALID] == 1:
                other_bid, other_ask = _touch(mem, other, BIDS), _touch(mem, other, ASKS)
                other_rate = float(mem[other + TAKER_PPT]) * _PPT
                edge = (other_bid * (1.0 - other_rate) - ask * (1.0 + rate)) / ask
                is_open = clears(ask, rate, other_bid, other_rate, edge_min)
                _set_route(state, index, other_index, is_open, edge, now_ns)
                edge = (bid * (1.0 - rate) - other_ask * (1.0 + other_rate)) / other_ask
                is_open = clears(other_ask, other_rate, bid, rate, edge_min)
                _set_route(state, other_index, index, is_open, edge, now_ns)
            else:
                _set_route(state, index, other_index, False, 0.0, now_ns)
                _set_route(state, other_index, index, False, 0.0, now_ns)
        other_index = mem[other + NEXT]


@compiled(types.boolean(_words, _i8, _i8))
def _is_candidate(state: Words, index: int, now_ns: int) -> bool:
    """Return whether an open route of this book is not muted."""
    book = _GLOBALS + index * _BOOK_WORDS
    ring, slot, routes = state[book + _RING], state[book + _SLOT], state[book + _ROUTES_AT]
    for other in range(ring):
        for route in (routes + _ROUTE * (slot * ring + other), routes + _ROUTE * (other * ring + slot)):
            if state[route + _SINCE] != 0 and state[route + _MUTED_UNTIL] <= now_ns:
                return True
    return False


@compiled(types.void(_words, _i8, _i8))
def _forget_taken(state: Words, index: int, key: int) -> None:
    """Drop what we took of a level, because the recording has set it again."""
    table = state[_TAKEN_AT]
    for entry in range(state[_TAKEN_END]):
        at = table + entry * _TAKEN_WORDS
        if state[at] == index and state[at + 1] == key:
            last = table + (state[_TAKEN_END] - 1) * _TAKEN_WORDS
            for word in range(_TAKEN_WORDS):
                state[at + word] = state[last + word]
            state[_TAKEN_END] -= 1
            state[_GLOBALS + index * _BOOK_WORDS + _TAKEN] -= 1
            return


@compiled(_i8(_words, _i8, _i8))
def _qty_at(mem: Words, side: int, key: int) -> int:
    """Return the quantity at a key of a side, 0 when there is no such level."""
    keys = mem[side + KEYS]
    high = keys + mem[side + END]
    at = sides.find(mem, keys + mem[side + START], high, key)
    return mem[at + mem[side + CAPACITY]] if at < high and mem[at] == key else 0


@compiled(types.void(_words, _words, _i8))
def _take_again(mem: Words, state: Words, index: int) -> None:
    """After a snapshot take what we took of the levels that it shows unchanged; the others were refreshed."""
    head = HEADS + index * HEAD_WIDTH
    table = state[_TAKEN_AT]
    entry = 0
    while entry < state[_TAKEN_END]:
        at = table + entry * _TAKEN_WORDS
        key = state[at + 1]
        if state[at] == index:
            side = head + BIDS if key > 0 else head + ASKS
            if _qty_at(mem, side, key) != state[at + 2]:
                _forget_taken(state, index, key)
                continue
            sides.put(mem, side, key, state[at + 2] - state[at + 3])
        entry += 1


@compiled(types.boolean(_words, _words, _i8, _i8, _i8))
def take(mem: Words, state: Words, index: int, key: int, qty: int) -> bool:
    """Take `qty` out of a level until the recording sets it again. False when the table is full or the level too small."""
    head = HEADS + index * HEAD_WIDTH
    side = head + BIDS if key > 0 else head + ASKS
    there = _qty_at(mem, side, key)
    if there < qty or state[_TAKEN_END] == _TAKEN_MAX:
        return False
    table = state[_TAKEN_AT]
    found = -1
    for entry in range(state[_TAKEN_END]):
        at = table + entry * _TAKEN_WORDS
        if state[at] == index and state[at + 1] == key:
            found = at
    if found < 0:
        found = table + state[_TAKEN_END] * _TAKEN_WORDS
        state[found] = index
        state[found + 1] = key
        state[found + 2] = there
        state[found + 3] = 0
        state[_TAKEN_END] += 1
        state[_GLOBALS + index * _BOOK_WORDS + _TAKEN] += 1
    state[found + 3] += qty
    sides.put(mem, side, key, there - qty)
    if there == qty:  # the side may be empty now, and the book one-sided
        sides.check(mem, head)
    # routes reviewed meanwhile saw the book without it: its next message has to be looked at, whatever its touch is
    state[_GLOBALS + index * _BOOK_WORDS + _TOUCH_VALID] = -1
    return True


@compiled(_i8(_words, _words, _i8), inline=True)
def _open_message(mem: Words, state: Words, tag: int) -> int:
    """Begin a message; return whether its rows go into the book."""
    kind = tag & KIND_MASK
    head = HEADS + (tag >> BOOK_SHIFT) * HEAD_WIDTH
    if kind == _DELTA and mem[head + SYNCED] != 0:
        return 1
    if kind == _SNAPSHOT:
        sides.clear(mem, head)
        mem[head + SYNCED] = 1
        return 1
    state[_ORPHANS] += kind == _DELTA
    return 0


@compiled(types.boolean(_words, _words, _i8, _i8), inline=True)
def _has_changed(mem: Words, state: Words, head: int, book: int) -> bool:
    """Validate a book after a message; return whether its touch, or whether it can be trusted, has changed."""
    bids, asks = head + BIDS, head + ASKS
    bids_end, asks_end = mem[np.uint64(bids + END)], mem[np.uint64(asks + END)]
    valid = bid = ask = 0
    if mem[np.uint64(head + SYNCED)] == 0:
        pass
    elif bids_end == mem[np.uint64(bids + START)] or asks_end == mem[np.uint64(asks + START)]:
        state[_ONE_SIDED] += 1
    else:
        bid = mem[np.uint64(mem[np.uint64(bids + KEYS)] + bids_end - 1)]
        ask = mem[np.uint64(mem[np.uint64(asks + KEYS)] + asks_end - 1)]
        if bid < -ask:
            valid = 1
        else:
            state[_CROSSED] += 1
            bid = ask = 0
    mem[np.uint64(head + VALID)] = valid
    at = np.uint64(book)
    if bid == state[at + _TOUCH_BID] and ask == state[at + _TOUCH_ASK] and valid == state[at + _TOUCH_VALID]:
        return False
    state[book + _TOUCH_BID], state[book + _TOUCH_ASK], state[book + _TOUCH_VALID] = bid, ask, valid
    return True


@compiled(types.boolean(_words, _words, _i8, _i8, _i8), inline=True)
def _close_message(mem: Words, state: Words, tag: int, venue_ts_ns: int, now_ns: int) -> bool:
    """End a message: the book may be looked at again. Return whether the engine has to."""
    kind = tag & KIND_MASK
    index = tag >> BOOK_SHIFT
    head = HEADS + index * HEAD_WIDTH
    book = _GLOBALS + index * _BOOK_WORDS
    if kind == _CLEAR:
        sides.clear(mem, head)
    elif mem[head + SYNCED] != 0:
        mem[head + RECV_TS] = now_ns
        if kind != _ALIVE:
            mem[head + VENUE_TS] = venue_ts_ns if venue_ts_ns != 0 else now_ns
            sides.truncate(mem, head)
            if kind == _SNAPSHOT and state[book + _TAKEN] != 0:
                _take_again(mem, state, index)
    is_touched = _has_changed(mem, state, head, book)
    if is_touched:
        _review(mem, state, index, now_ns)
    if state[_PACED] != 0:
        state[book + _MOVED] = 1
        state[_TOUCHED] = is_touched
    if state[_GATE_OFF] != 0:
        return True
    if state[_PACED] != 0:
        is_due = max(state[_LOOK_AT], state[_ALL_MUTED_UNTIL]) <= now_ns
        return bool(is_due or (is_touched and state[book + _QUOTED] != 0))
    if state[book + _OPEN] == 0:
        return False
    wakes = bool(state[_ALL_MUTED_UNTIL] <= now_ns and _is_candidate(state, index, now_ns))
    state[_MUTED] += not wakes
    return wakes


@compiled(_i8(_words, _words, *uniform(_column, 5), _i8))
def _scan(  # noqa: PLR0917
    mem: Words, state: Words, recv: Words, venue: Words, keys: Words, qtys: Words, tags: Words, due_ns: int
) -> int:
    """Apply messages until there is a reason to stop; return it. See Scanner."""
    rows = len(tags)
    at = state[_AT]
    is_inside = state[_IS_INSIDE]  # a message was left half-way, to make room
    while at < rows:
        tag = tags[np.uint64(at)]
        book = _GLOBALS + (tag >> BOOK_SHIFT) * _BOOK_WORDS
        if is_inside == 0:
            if recv[np.uint64(at)] > due_ns:
                state[_AT] = at
                return DUE
            if state[_WINDOWS_END] > _WINDOWS_MAX - _WINDOWS_ROOM:
                state[_AT] = at
                return WINDOWS_FULL
            state[_FIRST] = at
            state[_PUTS] = _open_message(mem, state, tag)
        is_inside = 0
        if state[_PUTS] != 0:
            head = HEADS + (tag >> BOOK_SHIFT) * HEAD_WIDTH
            has_taken = state[book + _TAKEN] != 0 and tag & KIND_MASK == _DELTA
            while True:
                key = keys[np.uint64(at)]
                side = head + BIDS if key > 0 else head + ASKS
                if mem[np.uint64(side + END)] - mem[np.uint64(side + START)] == mem[np.uint64(side + CAPACITY)]:
                    state[_AT], state[_BOOK], state[_IS_INSIDE] = at, tag >> BOOK_SHIFT, 1
                    return NEED_ROOM
                if has_taken:
                    _forget_taken(state, tag >> BOOK_SHIFT, key)
                sides.put(mem, side, key, qtys[np.uint64(at)])
                if tags[np.uint64(at)] & IS_LAST != 0:
                    break
                at += 1
        else:
            while tags[np.uint64(at)] & IS_LAST == 0:
                at += 1
        state[_MESSAGES] += 1
        wakes = False
        if tag & KIND_MASK != _TRADE:
            wakes = _close_message(mem, state, tag, venue[np.uint64(at)], recv[np.uint64(at)])
        at += 1
        if wakes or state[book + _WATCH] != 0:
            state[_CANDIDATES] += wakes
            state[_AT], state[_BOOK], state[_IS_INSIDE] = at, tag >> BOOK_SHIFT, 0
            return CANDIDATE if wakes else WATCHED
    state[_AT], state[_IS_INSIDE] = at, 0
    return CHUNK_ENDED


class Scanner:
    """A place in a recording, and the books as they stand there. One book per stream, in the order of the streams.

    `run(due_ns)` goes on and returns why it stopped: CHUNK_ENDED (give the next with `feed`), DUE (no message lies
    before or at `due_ns` any more), CANDIDATE or WATCHED (`book` says which; the message is rows `message`).
    """

    def __init__(self, books: Books) -> None:
        self.books = books
        count = len(books)
        rings: dict[str, list[int]] = {}
        for index in range(count):
            rings.setdefault(books.instrument(index).base, []).append(index)
        routes_at = _GLOBALS + count * _BOOK_WORDS
        routes = sum(len(ring) ** 2 for ring in rings.values()) * _ROUTE
        taken_at = routes_at + routes
        windows_at = taken_at + _TAKEN_MAX * _TAKEN_WORDS
        self._state: Words = np.zeros(windows_at + _WINDOWS_MAX * _WINDOW_WORDS, np.int64)
        self._state[_TAKEN_AT], self._state[_WINDOWS_AT] = taken_at, windows_at
        self._state[routes_at:taken_at].reshape(-1, _ROUTE)[:, _BEST] = UNSEEN
        for ring in rings.values():
            for slot, index in enumerate(ring):
                book = _GLOBALS + index * _BOOK_WORDS
                self._state[book + _SLOT] = slot
                self._state[book + _RING] = len(ring)
                self._state[book + _ROUTES_AT] = routes_at
            routes_at += len(ring) ** 2 * _ROUTE
        self._rings = tuple(rings.values())
        self._rows: Rows | None = None
        self._windows: list[Words] = []
        self._muted: list[int] = []

    # --- going on ----------------------------------------------------------------------------------------------------

    def feed(self, rows: Rows) -> None:
        """Give the next chunk: whole messages, not before the last one. Raises: ValueError for a torn message."""
        if len(rows) and not rows.tag[-1] & IS_LAST:
            raise ValueError("the last message of a chunk is not whole")
        self._rows = rows
        self._state[_AT] = self._state[_IS_INSIDE] = 0

    def run(self, due_ns: int) -> int:
        """Apply messages up to and including `due_ns` until there is a reason to stop; return it."""
        rows = self._rows
        if rows is None:
            return CHUNK_ENDED
        while True:
            reason: int = _scan(self.books.mem, self._state, *rows, due_ns)
            if reason == NEED_ROOM:
                self.books.grow(int(self._state[_BOOK]), _ROOM)
            elif reason == WINDOWS_FULL:
                self._drain_windows()
            else:
                return reason

    @property
    def book(self) -> int:
        """The book of the message that stopped the scan."""
        return int(self._state[_BOOK])

    @property
    def message(self) -> Rows:
        """The rows of the message that stopped the scan."""
        if self._rows is None:
            raise ValueError("nothing was fed")
        return self._rows.part(int(self._state[_FIRST]), int(self._state[_AT]))

    @property
    def rows_done(self) -> int:
        """Rows of this chunk that were applied."""
        return int(self._state[_AT])

    # --- what stops it -----------------------------------------------------------------------------------------------

    def wake_always(self) -> None:
        """Make every message a candidate."""
        self._state[_GATE_OFF] = 1

    def pace(self, look_at_ns: int) -> None:
        """From now on make messages candidates for being later than this, whatever their routes are; mutes of all hold."""
        self._state[_PACED], self._state[_LOOK_AT] = 1, look_at_ns

    def quote(self, indexes: Iterable[int]) -> None:
        """Replace the books of which every change at the touch is a candidate, however soon."""
        for index in range(len(self.books)):
            self._state[_GLOBALS + index * _BOOK_WORDS + _QUOTED] = 0
        for index in indexes:
            self._state[_GLOBALS + index * _BOOK_WORDS + _QUOTED] = 1

    @property
    def is_touched(self) -> bool:
        """Whether the message that stopped the scan changed its book's touch; of a paced scan."""
        return bool(self._state[_TOUCHED])

    def take_moved(self) -> list[int]:
        """Return the books that had a message since this was last asked; of a paced scan."""
        flags = self._state[_GLOBALS + _MOVED : _GLOBALS + len(self.books) * _BOOK_WORDS : _BOOK_WORDS]
        moved = [int(index) for index in np.flatnonzero(flags)]
        flags[:] = 0
        return moved

    def watch(self, index: int, *, is_watched: bool) -> None:
        """Stop after each message of a book from now on, or no more."""
        self._state[_GLOBALS + index * _BOOK_WORDS + _WATCH] = is_watched

    def mute(self, all_until_ns: int, routes: Iterable[tuple[int, int, int]]) -> None:
        """Replace all mutes: every route until `all_until_ns`, and each (buy book, sell book) until its own time."""
        self._state[_ALL_MUTED_UNTIL] = all_until_ns
        for at in self._muted:
            self._state[at] = 0
        self._muted.clear()
        for buy, sell, until_ns in routes:
            book = _GLOBALS + buy * _BOOK_WORDS
            slot = int(self._state[_GLOBALS + sell * _BOOK_WORDS + _SLOT])
            route = int(self._state[book + _SLOT] * self._state[book + _RING]) + slot
            at = int(self._state[book + _ROUTES_AT]) + _ROUTE * route + _MUTED_UNTIL
            self._state[at] = until_ns
            self._muted.append(at)

    def review_all(self) -> None:
        """Look at every route again at the next message of either book: fees or the minimum edge have changed."""
        for index in range(len(self.books)):
            self._state[_GLOBALS + index * _BOOK_WORDS + _TOUCH_VALID] = -1

    def take(self, index: int, key: int, qty: int) -> bool:
        """Take a quantity out of the level at `key` until the recording sets it again; False when it is not there."""
        return bool(take(self.books.mem, self._state, index, key, qty))

    # --- what was seen -----------------------------------------------------------------------------------------------

    def windows(self, now_ns: int) -> Words:
        """Return every window so far as rows (buy book, sell book, start, end, peak in PPT); open ones end now."""
        self._drain_windows()
        still = [
            (buy, sell, self._state[route + _SINCE], now_ns, self._state[route + _PEAK])
            for buy, sell, route in self._routes()
            if self._state[route + _SINCE]
        ]
        opened = np.array(still, np.int64).reshape(-1, _WINDOW_WORDS)
        return np.concatenate([*self._windows, opened])

    def best_edges(self) -> list[tuple[int, int, int, int]]:
        """Return (buy book, sell book, best net edge in PPT of the buying price, when) of routes whose books were ever valid."""
        return [
            (buy, sell, int(self._state[route + _BEST]), int(self._state[route + _BEST_AT]))
            for buy, sell, route in self._routes()
            if self._state[route + _BEST] != UNSEEN
        ]

    def _routes(self) -> Iterator[tuple[int, int, int]]:
        """Yield (buy book, sell book, where its words lie) of every ordered pair of books of one base."""
        for ring in self._rings:
            for buy in ring:
                book = _GLOBALS + buy * _BOOK_WORDS
                for slot, sell in enumerate(ring):
                    if sell != buy:
                        at = int(self._state[book + _SLOT] * self._state[book + _RING]) + slot
                        yield buy, sell, int(self._state[book + _ROUTES_AT]) + _ROUTE * at

    def counts(self) -> dict[str, int]:
        """Return messages, candidates, muted, crossed, one_sided and orphans so far."""
        words = {
            "messages": _MESSAGES,
            "candidates": _CANDIDATES,
            "muted": _MUTED,
            "crossed": _CROSSED,
            "one_sided": _ONE_SIDED,
            "orphans": _ORPHANS,
        }
        return {name: int(self._state[at]) for name, at in words.items()}

    def _drain_windows(self) -> None:
        at = int(self._state[_WINDOWS_AT])
        count = int(self._state[_WINDOWS_END])
        self._windows.append(self._state[at : at + count * _WINDOW_WORDS].reshape(-1, _WINDOW_WORDS).copy())
        self._state[_WINDOWS_END] = 0
