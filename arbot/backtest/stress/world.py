"""The world of a disaster as rows: prices of every asset, books of every venue, and what each thing was worth when.

A local price is the world's price of the base x the venue's premium x a gap / what the quote is worth. Noise is a seeded
Brownian bridge: it is zero at every given point. Books are shown step by step, each as a whole, all venues within a
millisecond; outside [[fine]] times only in short sessions, so that weeks take a second. Floats end here: books are integers.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec
import numpy as np
from numpy.typing import NDArray

from arbot.backtest.stock import Listed, Made
from arbot.backtest.stress.file import Asset as AssetFile
from arbot.backtest.stress.file import Disaster, Event, Point, Venue
from arbot.domain.ids import Asset, VenueId, instrument_id
from arbot.domain.instrument import Instrument
from arbot.market.stream import BOOK_SHIFT, IS_LAST, Kind, Rows

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
YEAR_NS = 365.25 * 86_400 * NS_PER_S
LEVELS = 6  # a side
STREAM_NS = 20_000  # one book after the other, so that messages of all come at moments of their own
VENUE_NS = 5 * NS_PER_MS  # from the venue's clock to ours
DIGITS = 6  # of a price
CROSSED_BY = 0.004
LEAST_NOTIONAL = Decimal(5)

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


class World:
    """All prices of one disaster. Make it once; `stock` feeds replays, `worth` values what they end with."""

    def __init__(self, disaster: Disaster) -> None:
        self.disaster = disaster
        self.times = _times(disaster)
        self._chance = {name: _chance(disaster, name) for name in disaster.assets}
        self.prices = {name: self._price(name, asset) for name, asset in disaster.assets.items()}
        self.prices[disaster.ccy] = np.ones(len(self.times))
        self.listed = tuple(
            Listed(self._instrument(name, symbol), 0)
            for name, venue in disaster.venues.items()
            for symbol in venue.symbols
        )

    def stock(self, until_ns: int | None = None) -> Made:
        """Return the books as what a replay is fed with: all, or those before a moment."""
        rows = self._rows()
        if until_ns is not None:
            rows = Rows(*(column[rows.recv_ts_ns < until_ns] for column in rows))
        return Made(self.listed, len(rows), f"disaster {self.disaster.name}", lambda: iter([rows]))

    def worth(self, asset: str, ts_ns: int) -> float:
        """Return what one unit is worth in the world (not at one venue) at a moment, in the reporting currency."""
        at = int(np.searchsorted(self.times, ts_ns, side="right")) - 1
        return float(self.prices[asset][max(at, 0)])

    def local(self, venue: str, symbol: str) -> Floats:
        """Return the mid prices of a book at all times."""
        terms = self.disaster.venues[venue]
        base, _, quote = symbol.partition("/")
        mids = self.prices[base] * self._gaps(venue, base) / self.prices[terms.merges.get(quote, quote)]
        if base in terms.premium:
            mids = mids * _along(self.times, terms.premium[base], is_jumping=False)
        return np.asarray(mids)

    def paths(self, points: int) -> Iterator[tuple[str, list[tuple[int, float]]]]:
        """Yield every asset's price, and that at each venue where it differs, with 100 at the start, for a picture."""
        shown = np.unique(np.linspace(0, len(self.times) - 1, points).astype(np.int64))
        lines = {name: self.prices[name] for name in self.disaster.assets}
        for name, venue in self.disaster.venues.items():
            for symbol in venue.symbols:
                base, _, quote = symbol.partition("/")
                if base in venue.premium or quote in venue.merges:
                    there = self.prices[base] / self.prices[venue.merges.get(quote, quote)]
                    if base in venue.premium:
                        there = there * _along(self.times, venue.premium[base], is_jumping=False)
                    lines[f"{base} at {name}"] = np.asarray(there)
        for label, prices in lines.items():
            scaled = (prices[shown] / prices[0] * 100).round(3)
            yield label, list(zip(self.times[shown].tolist(), scaled.tolist(), strict=True))

    # --- prices -------------------------------------------------------------------------------------------------------

    def _price(self, name: str, asset: AssetFile) -> Floats:
        logs = np.log(_along(self.times, asset.price, is_jumping=asset.jumps))
        sigma = float(asset.volatility)
        if sigma:
            gaps_ns = np.diff(self.times, prepend=self.times[0])
            steps = self._chance[name].standard_normal(len(self.times)) * np.sqrt(gaps_ns / YEAR_NS)
            walk = sigma * np.cumsum(steps)
            knots = np.array([ts for ts, _ in asset.price], np.int64)
            logs = logs + walk - np.interp(self.times, knots, np.interp(knots, self.times, walk))
        return np.exp(logs)

    def _gaps(self, venue: str, base: str) -> Floats:
        """Return the factor of ordinary and of ordered gaps."""
        pennies, chance = self.disaster.pennies, self._chance[venue]
        factors = np.ones(len(self.times))
        opens = np.flatnonzero(chance.random(len(self.times)) < float(pennies.chance))
        sizes = chance.uniform(float(pennies.bps_min), float(pennies.bps_max), len(opens)) / 10_000
        signs = chance.choice((-1.0, 1.0), len(opens))
        for at, size, sign in zip(opens.tolist(), sizes.tolist(), signs.tolist(), strict=True):
            factors[at : at + pennies.steps] = 1 + sign * size
        for gap in self.disaster.gaps:
            if gap.venue == venue and gap.asset == base:
                is_in = (self.times >= gap.at) & (self.times < gap.until)
                factors[is_in] = 1 + float(gap.bps) / 10_000
        return factors

    def _instrument(self, venue: str, symbol: str) -> Instrument:
        base, _, quote = symbol.partition("/")
        terms = self.disaster.venues[venue]
        typical = float(np.median(self.prices[base]) / np.median(self.prices[terms.merges.get(quote, quote)]))
        decimals = max(0, DIGITS - 1 - math.floor(math.log10(typical)))
        qty_decimals = max(0, math.ceil(math.log10(typical)) + 1)
        return Instrument(
            id=instrument_id(symbol, venue),
            venue=VenueId(venue),
            symbol=symbol,
            venue_symbol=symbol,
            base=Asset(base),
            quote=Asset(quote),
            tick_size=Decimal(1).scaleb(-decimals),
            qty_step=Decimal(1).scaleb(-qty_decimals),
            price_decimals=decimals,
            qty_decimals=qty_decimals,
            qty_min=Decimal(1).scaleb(-qty_decimals),
            notional_min=LEAST_NOTIONAL,
        )

    # --- books --------------------------------------------------------------------------------------------------------

    def _rows(self) -> Rows:
        self._chance |= {
            name: _chance(self.disaster, name) for name in self.disaster.venues
        }  # every time the same gaps
        parts = [self._stream(number, listed.instrument) for number, listed in enumerate(self.listed)]
        whole = Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        order = np.argsort(whole.recv_ts_ns, kind="stable")
        return Rows(*(column[order] for column in whole))

    def _stream(self, number: int, instrument: Instrument) -> Rows:
        """Return all snapshots of one book, and a sign that drops it where its venue goes."""
        venue = self.disaster.venues[instrument.venue]
        recv = self.times + number * STREAM_NS
        told = recv - VENUE_NS
        mids = self.local(instrument.venue, instrument.symbol)
        is_crossed = np.zeros(len(recv), np.bool_)
        is_gone = np.zeros(len(recv), np.bool_)
        for event in self._events(instrument.venue):
            inside = (self.times >= event.at) & (self.times < (event.until or np.iinfo(np.int64).max))
            if event.kind == "venue_down":
                is_gone |= inside
            elif event.kind == "book_crossed":
                is_crossed |= inside
            elif event.kind == "book_frozen" and inside.any():
                first = int(np.argmax(inside))
                mids, told = np.where(inside, mids[first], mids), np.where(inside, told[first], told)
        keys, qtys = self._levels(instrument, venue, mids, is_crossed)
        count = keys.shape[1]
        tags = np.full((len(recv), count), number << BOOK_SHIFT | Kind.SNAPSHOT, np.int64)
        tags[:, -1] |= IS_LAST
        shown = Rows(
            *(
                column[~is_gone].ravel()
                for column in (np.repeat(recv[:, None], count, 1), np.repeat(told[:, None], count, 1), keys, qtys, tags)
            )
        )
        went = np.flatnonzero(is_gone & ~np.roll(is_gone, 1)) if is_gone.any() else np.empty(0, np.int64)
        nothing = np.zeros(len(went), np.int64)
        cleared = np.full(len(went), number << BOOK_SHIFT | Kind.CLEAR | IS_LAST, np.int64)
        dropped = Rows(recv[went], told[went], nothing, nothing, cleared)
        return Rows(*(np.concatenate(pair) for pair in zip(shown, dropped, strict=True)))

    def _levels(
        self, instrument: Instrument, venue: Venue, mids: Floats, is_crossed: NDArray[np.bool_]
    ) -> tuple[Times, Times]:
        """Return keys and quantities of all steps, bids and then asks, best first."""
        wide = 1.0 if venue.spread is None else _along(self.times, venue.spread, is_jumping=True)
        deep = 1.0 if venue.depth is None else _along(self.times, venue.depth, is_jumping=True)
        half = np.where(is_crossed, -CROSSED_BY, float(venue.spread_bps) / 20_000 * np.asarray(wide))
        rank = (
            np.arange(LEVELS) * float(venue.level_bps) / 10_000 * np.broadcast_to(np.asarray(wide), mids.shape)[:, None]
        )
        unit = 10.0**instrument.price_decimals
        bids = np.maximum(np.floor(mids[:, None] * (1 - half[:, None] - rank) * unit), 1) - np.arange(LEVELS) * 0
        asks = np.ceil(mids[:, None] * (1 + half[:, None] + rank) * unit)
        bids, asks = _apart(bids, -1), _apart(asks, 1)
        worth = self.prices[venue.merges.get(instrument.quote, instrument.quote)]
        qty = float(venue.level_notional) * deep / (mids * worth) * 10.0**instrument.qty_decimals
        qtys = np.repeat(np.maximum(np.rint(qty), 1).astype(np.int64)[:, None], 2 * LEVELS, 1)
        return np.concatenate([bids, -asks], axis=1).astype(np.int64), qtys

    def _events(self, venue: str) -> Iterator[Event]:
        return (event for event in self.disaster.events if venue in event.places())


def _chance(disaster: Disaster, name: str) -> np.random.Generator:
    """Return the chance of an asset or venue: the same whatever else there is."""
    return np.random.default_rng([disaster.seed, zlib.crc32(name.encode())])


def _apart(prices: Floats, sign: int) -> Floats:
    """Return levels at least one tick from one another, the worse ones moved away."""
    ticks = np.arange(prices.shape[1]) * sign
    moved = np.maximum.accumulate(sign * (prices - ticks), axis=1) * sign + ticks
    return np.asarray(np.maximum(moved, 1))


def _along(times: Times, points: Sequence[Point], *, is_jumping: bool) -> Floats:
    """Return a path at these times: even in the logarithm between points, or the last point's number."""
    moments = np.array([ts for ts, _ in points], np.int64)
    numbers = np.array([float(number) for _, number in points])
    if is_jumping:
        return np.asarray(numbers[np.maximum(np.searchsorted(moments, times, side="right") - 1, 0)])
    return np.asarray(np.exp(np.interp(times, moments, np.log(numbers))))


def _times(disaster: Disaster) -> Times:
    """Return every moment at which books are shown."""
    grid = disaster.grid
    starts = np.arange(disaster.first, disaster.last, grid.every_s * NS_PER_S, dtype=np.int64)
    session = np.arange(0, grid.length_s * NS_PER_S, grid.step_ms * NS_PER_MS, dtype=np.int64)
    parts = [(starts[:, None] + session).ravel()]
    for fine in disaster.fine:
        last = min(fine.until, disaster.last)
        coarse = parts[0]
        parts[0] = coarse[(coarse < fine.at) | (coarse >= last)]
        parts.append(np.arange(fine.at, last, fine.step_ms * NS_PER_MS, dtype=np.int64))
    times = np.unique(np.concatenate(parts))
    return times[times < disaster.last]


def digest(disaster: Disaster) -> str:
    """Return a short name of what a world is made of."""
    return f"{zlib.crc32(msgspec.json.encode(disaster.model_dump(mode='json'))):08x}"
