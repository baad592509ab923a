"""Makes tapes of any size from a seed: one pretend market, quoted by several venues that differ a little.

The stream is like that of two large venues: about 1100 rows a second, one third from the first venue; 2.8 rows a message;
of the rows 2.4 % prints and 19 % deletes; 70 % near the top, 82 % within rank 12, 7 % beyond rank 100. Other venues' mids
are the first one's times (1 + a basis that returns to its mean + jumps that decay), so that for about one message in a
thousand there is an edge beyond taker fees of 10 and 15 bps, in windows of 5 to 800 ms. A cross rate is the quotient of two
of the other mids, so that going round three books earns only what venues add. Every venue and symbol opens with
one snapshot. Same spec, same columns, to the byte, on every machine, however they are cut into chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from arbot.domain.errors import Mistake, UserError
from arbot.domain.ids import Asset, VenueId, instrument_id
from arbot.domain.instrument import Instrument
from arbot.domain.units import div, floor_to_step
from arbot.market.layout import CAPACITY, END, KEYS, START
from arbot.market.stream import Column, Rows
from arbot.tape import generate_kernel as kernel
from arbot.tape.schema import Content, TapeMeta
from arbot.tape.writer import TapeWriter

VENUES_MAX = 10
SYMBOLS_MAX = 200
LEVELS_MAX = 10_000
CHUNK_ROWS = 1 << 20
ROWS_PER_S = 550.0  # of one venue and symbol
START_TS_NS = 1_767_571_200_000_000_000  # 2026-01-05 00:00 UTC

_VENUES = ("kraken", "coinbase", "bitstamp", "gemini")
_SYMBOLS = (
    ("BTC", "60000.00"), ("ETH", "3000.00"), ("SOL", "150.000"), ("XRP", "2.00000"), ("DOGE", "0.200000"),
    ("ADA", "0.700000"), ("LTC", "90.000"), ("LINK", "18.0000"), ("AVAX", "30.0000"), ("DOT", "5.00000"),
    ("BCH", "450.000"), ("UNI", "9.00000"), ("XLM", "0.300000"), ("ATOM", "6.00000"),
)  # fmt: skip
_BY_NAME_ONLY = (("USDT", "0.99950"), ("USDC", "0.99990"))  # made when `bases` names them
_CROSS_DIGITS = 6  # significant digits of a cross rate's tick
_QTY_DECIMALS = 8
_GAP = 1.7e-5  # mean distance of two levels, as a share of the price
_VOLATILITY = 2.5e-5  # of the mid, a square root of a second
_BASIS_SD = 1.5e-4
_BASIS_TAU_NS = 60e9
_JUMP = 2.8e-3  # from here on an edge is left after 10 and 15 bps of fees and both half spreads
_WINDOW_MS = (5, 800)
_ROWS_PER_EVENT = 3.0
_TRADE_SHARE = 0.072  # of the events
_PAIR_SHARE = 0.165  # of the changes
_MORE_ROWS = 1.72  # mean number of changes beyond the first
_NOTIONAL = (40, 20_000)  # of a level, in quote


class FaultKind(IntEnum):
    """What can be wrong with a feed. The first four end with a snapshot."""

    GAP_IN_SEQUENCE = kernel.GAP_IN_SEQUENCE  # the book is dropped
    CROSSED = kernel.CROSSED  # a bid `amount` ticks above the best ask, and nothing more
    FROZEN = kernel.FROZEN  # the same best bid again and again
    SILENT = kernel.SILENT
    WHOLE_SECONDS = kernel.WHOLE_SECONDS  # the venue's clock has no fractions
    CLOCK_BEHIND = kernel.CLOCK_BEHIND  # ours is `amount` ns behind the venue's
    DUPLICATES = kernel.DUPLICATES  # every message comes twice


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault to plant into one venue and symbol (numbers from 0), from `first_s` to `last_s` of the tape."""

    kind: FaultKind
    venue: int = 0
    symbol: int = 0
    first_s: float = 0.0
    last_s: float = 1e9
    amount: int = 0


class TapeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to make. A tape ends with the first message at or after `rows`; empty tuples and zeros mean the usual."""

    rows: int
    seed: int = 1
    venues: int = 2
    symbols: int = 1
    bases: tuple[str, ...] = ()  # which symbols, in USD; empty: the first `symbols` of the list
    crosses: tuple[str, ...] = ()  # further symbols between two of them: "ETH/BTC"
    shares: tuple[float, ...] = ()  # of the rows, by venue: the first has half of what each other has
    levels: tuple[int, ...] = ()  # a side, by venue: 100, 1000, 100, 1000 ...
    rows_per_s: float = 0.0  # of all together
    opportunity_share: float = 0.001  # of the messages
    start_ts_ns: int = START_TS_NS
    faults: tuple[Fault, ...] = ()


def metas(spec: TapeSpec) -> tuple[TapeMeta, ...]:
    """Return what each stream is, symbol by symbol and within a symbol venue by venue. Raises: UserError."""
    _check(spec)
    return tuple(
        TapeMeta(
            instrument=(made := _instrument(spec, symbol, venue)),
            content=Content.BOOK,
            tick=made.tick_size,
            step=made.qty_step,
            depth=_levels(spec)[venue],
            source="generated",
            venue_symbol=made.venue_symbol,
        )
        for symbol in range(_symbols(spec))
        for venue in range(spec.venues)
    )


def generate_rows(spec: TapeSpec) -> tuple[Rows, tuple[TapeMeta, ...]]:
    """Return the whole merged tape in memory, and what its streams are: tags count them in this order."""
    made = metas(spec)
    world = _World(spec, spec.rows)
    count = world.run(spec.rows)
    return Rows(*(column[:count] for column in world.out)), made


def generate_chunks(spec: TapeSpec, chunk_rows: int = CHUNK_ROWS) -> Iterator[Rows]:
    """Yield the merged tape in chunks of about `chunk_rows`, whole messages each. A chunk is overwritten by the next."""
    _check(spec)
    world = _World(spec, min(chunk_rows, spec.rows))
    left = spec.rows
    while left > 0:
        count = world.run(left)
        left -= count
        yield Rows(*(column[:count] for column in world.out))


def generate(spec: TapeSpec, chunk_rows: int = CHUNK_ROWS) -> Iterator[tuple[int, Rows]]:
    """Yield (stream, its next rows) for all streams of one chunk after the other; see metas for which stream is which."""
    streams = spec.venues * _symbols(spec)
    for rows in generate_chunks(spec, chunk_rows):
        stream = rows.tag >> 8
        order = np.argsort(stream, kind="stable")
        stops = np.cumsum(np.bincount(stream, minlength=streams))
        first = 0
        for number, stop in enumerate(stops.tolist()):
            if stop > first:
                yield number, Rows(*(column[order[first:stop]] for column in rows))
            first = stop


def write_generated(spec: TapeSpec, root: Path, progress: Callable[[int], None]) -> int:
    """Write a tape into a catalogue, in bounded memory, and return its rows; `progress` is told the rows done."""
    with ExitStack() as stack:
        writers = [stack.enter_context(TapeWriter(root, meta)) for meta in metas(spec)]
        done = 0
        for number, rows in generate(spec, _chunk_rows(len(writers))):
            writers[number].append_rows(rows)
            done += len(rows)
            progress(done)
    return done


def _chunk_rows(streams: int) -> int:
    """Return how many rows to make at a time: each stream's share is to be worth a call."""
    return min(max(CHUNK_ROWS, 2048 * streams), 1 << 22)


class _World:
    """The arrays of the compiled half."""

    def __init__(self, spec: TapeSpec, rows: int) -> None:
        streams = spec.venues * _symbols(spec)
        levels = _levels(spec)
        self.message_max = 9 * max(levels) + 256  # a jump over a whole book, twice
        self.out = np.empty((kernel.OUT_WIDTH, rows + self.message_max), np.int64)
        self.world = np.zeros(kernel.WORLD_WIDTH, np.int64)
        self.world[kernel.NOW] = spec.start_ts_ns
        self.world[kernel.RNG] = spec.seed
        self.symbols = np.array([_symbol_numbers(spec, symbol) for symbol in range(_symbols(spec))], np.float64)
        self.feeds = np.zeros((streams, kernel.FEED_WIDTH), np.float64)
        rate = spec.rows_per_s or ROWS_PER_S * streams
        shares = _shares(spec)
        self.rules = _rules(rate)
        self.tables, ranks = _tables(levels)
        self.streams = np.zeros((streams, kernel.STREAM_WIDTH), np.int64)
        self.mem = self._lay_out(spec, levels)
        jump_p32 = _jump_p32(spec, rate, shares[0])
        for number in range(streams):
            symbol, venue = divmod(number, spec.venues)
            self.streams[number, kernel.SYMBOL] = symbol
            self.streams[number, kernel.LEVELS] = levels[venue]
            self.streams[number, kernel.RANKS] = ranks[levels[venue]]
            self.streams[number, kernel.LATENCY_NS] = 10_000_000 + 7_000_000 * venue
            self.streams[number, kernel.JUMP_P32] = jump_p32 if venue else -1
        edges = np.cumsum(np.tile(np.asarray(shares), _symbols(spec))) / _symbols(spec)
        slots = (np.arange(1 << kernel.PICK_BITS) + 0.5) / (1 << kernel.PICK_BITS)
        self.picks = np.minimum(np.searchsorted(edges, slots), streams - 1).astype(np.int64)
        self.faults = _fault_table(spec)

    def run(self, wanted: int) -> int:
        """Fill the output from its start; return how many rows."""
        arrays = (self.mem, self.out, self.world, self.streams, self.feeds, self.symbols, self.rules, self.tables)
        return int(kernel.run(*arrays, self.picks, self.faults, wanted, self.message_max))

    def _lay_out(self, spec: TapeSpec, levels: tuple[int, ...]) -> Column:
        """Return room for all books, and tell the streams where theirs are."""
        heads = 8 * len(self.streams)
        capacities = [2 * levels[number % spec.venues] + 64 for number in range(len(self.streams))]
        mem = np.zeros(heads + 4 * sum(capacities), np.int64)
        keys = heads
        for number, capacity in enumerate(capacities):
            for side, column in ((8 * number, kernel.BIDS), (8 * number + 4, kernel.ASKS)):
                self.streams[number, column] = side
                mem[side + KEYS], mem[side + CAPACITY] = keys, capacity
                mem[side + START] = mem[side + END] = capacity // 2
                keys += 2 * capacity
        return mem


def _rules(rows_per_s: float) -> Any:
    rules = np.zeros(kernel.RULES_WIDTH, np.float64)
    rules[kernel.EVENT_NS] = 1e9 * _ROWS_PER_EVENT / rows_per_s
    rules[kernel.VOLATILITY] = _VOLATILITY / math.sqrt(1e9)
    rules[kernel.BASIS_SD] = _BASIS_SD
    rules[kernel.BASIS_TAU_NS] = _BASIS_TAU_NS
    rules[kernel.JUMP_FIRST] = _JUMP
    rules[kernel.TRADE_P32] = int(_TRADE_SHARE * 2**32)
    rules[kernel.PAIR_P32] = int(_PAIR_SHARE * 2**32)
    return rules


def _jump_p32(spec: TapeSpec, rows_per_s: float, first_share: float) -> int:
    """Return the chance of a jump at a message, in 2**-32, at which windows cover `opportunity_share` of the messages."""
    first, last = _WINDOW_MS
    window_s = (last - first) / math.log(last / first) / 1e3
    others = rows_per_s / _ROWS_PER_EVENT / _symbols(spec) * (1.0 - first_share)
    covered = 1.0 + window_s * others  # messages of the others in a window
    return min(int(spec.opportunity_share / covered * 2**32), 2**32 - 1)


def _tables(levels: tuple[int, ...]) -> tuple[Column, dict[int, int]]:
    """Return the tables of chance, and which of them holds the ranks of a book of so many levels."""
    even = [(number + 0.5) / kernel.TABLE for number in range(kernel.TABLE)]
    (window_first, window_last), (notional_first, notional_last) = _WINDOW_MS, _NOTIONAL
    waiting = [-math.log1p(-share) for share in even]
    rows = {
        kernel.WAITS: [round(wait * kernel.WAIT_UNIT) for wait in waiting],
        kernel.SIZES: [round(notional_first * (notional_last / notional_first) ** share) for share in even],
        kernel.COUNTS: [1 + round(wait * _MORE_ROWS) for wait in waiting],
        kernel.WINDOWS_NS: [round(window_first * (window_last / window_first) ** share * 1e6) for share in even],
    }
    ranks: dict[int, int] = {}
    for depth in sorted(set(levels)):
        ranks[depth] = kernel.RANKS_FIRST + len(ranks)
        rows[ranks[depth]] = [_rank(share, depth) for share in even]
    return np.array([rows[row] for row in sorted(rows)], np.int64), ranks


def _rank(share: float, depth: int) -> int:
    """Return the rank below which `share` of the changes fall, beside the changes that follow the mid."""
    edges = [(0.0, 0), (0.74, 4), (0.87, 12), (0.95 if depth > 100 else 1.0, 100), (1.0, max(depth, 101))]
    for (low, first), (high, last) in pairwise(edges):
        if share < high:
            return min(first + int((share - low) / (high - low) * (last - first)), depth - 1)
    return depth - 1


def _symbol_numbers(spec: TapeSpec, symbol: int) -> list[float]:
    numbers = [0.0] * kernel.SYMBOL_WIDTH
    name, price, decimals = _listed(spec, symbol)
    ticks = int(price.scaleb(decimals))
    numbers[kernel.MID] = ticks + 0.25
    numbers[kernel.MID_TS] = spec.start_ts_ns
    numbers[kernel.GAP] = max(2, round(ticks * _GAP))
    numbers[kernel.HALF] = max(0.5, numbers[kernel.GAP] / 4)
    base, quote = name.split("/")
    in_usd = price
    if quote != "USD":
        made = [one.split("/")[0] for one in _names(spec)]
        numbers[kernel.CROSS_BASE], numbers[kernel.CROSS_QUOTE] = made.index(base), made.index(quote)
        (_, base_price, base_decimals), (_, quote_price, quote_decimals) = (
            _listed(spec, made.index(asset)) for asset in (base, quote)
        )
        numbers[kernel.CROSS] = 10.0 ** (decimals - base_decimals + quote_decimals)
        numbers[kernel.MID] = (
            (int(base_price.scaleb(base_decimals)) + 0.25)
            / (int(quote_price.scaleb(quote_decimals)) + 0.25)
            * numbers[kernel.CROSS]
        )
        in_usd = base_price
    numbers[kernel.QTY_UNIT] = int(Decimal(10) ** _QTY_DECIMALS) / int(in_usd.scaleb(6)) * 1e6
    return numbers


def _symbols(spec: TapeSpec) -> int:
    return (len(spec.bases) or spec.symbols) + len(spec.crosses)


def _names(spec: TapeSpec) -> tuple[str, ...]:
    """Return the symbols in the order of their numbers."""
    numbered = [f"C{number:03}" for number in range(spec.symbols)]
    listed = [base for base, _ in _SYMBOLS]
    bases = spec.bases or (*listed[: spec.symbols], *numbered[len(listed) :])
    return (*(f"{base}/USD" for base in bases), *spec.crosses)


def _listed(spec: TapeSpec, symbol: int) -> tuple[str, Decimal, int]:
    """Return name, price and decimals of the price of a symbol by number."""
    name = _names(spec)[symbol]
    base, quote = name.split("/")
    prices = dict((*_SYMBOLS, *_BY_NAME_ONLY))
    if quote == "USD":
        price = Decimal(prices.get(base, f"{1 + symbol * 37 % 500}.00000"))
        return name, price, -int(price.as_tuple().exponent)
    ratio = div(Decimal(prices[base]), Decimal(prices[quote]))
    decimals = max(0, _CROSS_DIGITS - 1 - ratio.adjusted())
    return name, floor_to_step(ratio, Decimal(1).scaleb(-decimals)), decimals


def _instrument(spec: TapeSpec, symbol: int, venue: int) -> Instrument:
    listed, _, decimals = _listed(spec, symbol)
    base, quote = listed.split("/")
    name = _VENUES[venue] if venue < len(_VENUES) else f"venue{venue + 1}"
    return Instrument(
        id=instrument_id(listed, name),
        venue=VenueId(name),
        symbol=listed,
        venue_symbol=f"{base}-{quote}",
        base=Asset(base),
        quote=Asset(quote),
        tick_size=Decimal(1).scaleb(-decimals),
        qty_step=Decimal(1).scaleb(-_QTY_DECIMALS),
        price_decimals=decimals,
        qty_decimals=_QTY_DECIMALS,
        qty_min=Decimal("0.00001"),
        notional_min=Decimal(1) if quote == "USD" else Decimal("0.00002"),
    )


def _quoted(spec: TapeSpec) -> set[str]:
    """Return the bases that are made in USD and have a price by name."""
    priced = {base for base, _ in (*_SYMBOLS, *_BY_NAME_ONLY)}
    return {name.split("/")[0] for name in _names(spec)[: len(_names(spec)) - len(spec.crosses)]} & priced


def _levels(spec: TapeSpec) -> tuple[int, ...]:
    return spec.levels or tuple((100, 1000)[venue % 2] for venue in range(spec.venues))


def _shares(spec: TapeSpec) -> tuple[float, ...]:
    shares = spec.shares or (1.0, *(2.0,) * (spec.venues - 1))
    return tuple(share / sum(shares) for share in shares)


def _fault_table(spec: TapeSpec) -> Column:
    table = np.zeros((len(spec.faults), kernel.FAULT_WIDTH), np.int64)
    for row, fault in zip(table, spec.faults, strict=True):
        row[kernel.F_STREAM] = fault.symbol * spec.venues + fault.venue
        row[kernel.F_KIND] = fault.kind
        row[kernel.F_FIRST_TS] = spec.start_ts_ns + round(fault.first_s * 1e9)
        row[kernel.F_LAST_TS] = spec.start_ts_ns + round(fault.last_s * 1e9)
        row[kernel.F_AMOUNT] = fault.amount
    return table


def _check(spec: TapeSpec) -> None:
    """Raise UserError with every number that cannot be."""
    rules = (
        ("rows", spec.rows >= 1, "needs to be 1 or more"),
        ("seed", 0 <= spec.seed < 2**63, "needs to be 0 or more, below 2**63"),
        ("venues", 2 <= spec.venues <= VENUES_MAX, f"needs to be 2 to {VENUES_MAX}"),
        ("symbols", 1 <= spec.symbols <= SYMBOLS_MAX, f"needs to be 1 to {SYMBOLS_MAX}"),
        (
            "bases",
            set(spec.bases) <= {base for base, _ in (*_SYMBOLS, *_BY_NAME_ONLY)}
            and len(set(spec.bases)) == len(spec.bases),
            "names an asset that has no price here, or one twice",
        ),
        (
            "crosses",
            all(cross.count("/") == 1 and set(cross.split("/")) <= _quoted(spec) for cross in spec.crosses),
            "needs symbols between two bases that are made: ETH/BTC",
        ),
        (
            "shares",
            len(spec.shares) in (0, spec.venues) and all(share > 0 for share in spec.shares),
            "needs one number above 0 a venue",
        ),
        (
            "levels",
            len(spec.levels) in (0, spec.venues) and all(8 <= depth <= LEVELS_MAX for depth in spec.levels),
            f"needs one number a venue, 8 to {LEVELS_MAX}",
        ),
        ("rows_per_s", 0 <= spec.rows_per_s <= 1e7, "needs to be 0 (the usual) to 10000000"),
        ("opportunity_share", 0 <= spec.opportunity_share <= 0.5, "needs to be 0 to 0.5"),
        ("start_ts_ns", 0 < spec.start_ts_ns < 2**62, "needs to be nanoseconds since 1970"),
        (
            "faults",
            all(0 <= fault.venue < spec.venues and 0 <= fault.symbol < _symbols(spec) for fault in spec.faults),
            "names a venue or symbol that is not made",
        ),
    )
    mistakes = [Mistake(name, what, "change it") for name, is_right, what in rules if not is_right]
    if mistakes:
        raise UserError(*mistakes)
