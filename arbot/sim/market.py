"""A market made from a seed: what the crowd offers and does at every pretend venue.

One common price per asset walks at random; a cross rate is the quotient of two, so that going round earns nothing but for
what venues add to it. Each venue quotes it with a slow mean-reverting basis and, several
times a minute, a jump that decays within fractions of a second: those are the opportunities. Customers who trade
against a jump shorten it. Books follow the quoted price by small messages with the mix of a real feed (rows per
message, share of deletes, of trades, of updates near the top). The dynamics run on a fixed grid of time, so that a
seed gives the same market however irregular the timer is. Chance is float, books are integers; no money is counted here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Protocol

import msgspec

from arbot.domain.order import Liquidity, Side
from arbot.sim.faults import MS
from arbot.sim.model import Execution, SimEvent
from arbot.sim.venue import SimVenue

BPS = 1e-4
COARSE_BPS = 0.5  # of the price: with a tick above this a book's levels lie side by side
NS_PER_S = 1_000_000_000
CATCH_UP_NS = NS_PER_S  # after a longer pause the market skips ahead instead of replaying the pause


class Market(Protocol):
    """What moves the books of the venues."""

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will come."""
        ...

    def start(self, now_ns: int) -> None:
        """Build the first books."""
        ...

    def advance(self, now_ns: int) -> None:
        """Do all that is due."""
        ...

    def shock(self, base: str, bps: float, now_ns: int, *, venue: str = "", half_life_ms: int = 0) -> None:
        """Gap the price of `base` by so many basis points, everywhere or at one venue."""
        ...

    def describe(self) -> dict[str, object]:
        """Return what this market is, for people."""
        ...


class SeededSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a seeded market. Defaults are a busy hour of a large pair.

    `jump_bps_min` plus an exponential of mean `jump_bps_mean` is the size of a jump; `jump_half_life_ms` is the median
    of its half-life. `impact_notional` is how much a customer has to trade against a jump to take 63 % of it away.
    """

    prices: dict[str, float] = msgspec.field(
        default_factory=lambda: {"BTC": 65_000.0, "ETH": 3_200.0, "DOGE": 0.18},
    )
    quote_rates: dict[str, float] = msgspec.field(
        default_factory=lambda: {"USD": 1.0, "USDT": 0.9995, "USDC": 0.9999}
    )  # of what does not walk: its price where it is the base
    volatility_bps: float = 1.0  # standard deviation of one second
    basis_bps: float = 2.0  # standard deviation
    basis_half_life_s: float = 60.0
    jumps_per_minute: float = 8.0  # per venue and instrument
    jump_bps_min: float = 20.0
    jump_bps_mean: float = 20.0
    jump_half_life_ms: float = 400.0
    impact_notional: float = 8_000.0
    half_spread_bps: float = 0.3
    levels: int = 110  # per side
    level_notional: float = 5_000.0  # median, near the top
    messages_per_s: float = 40.0  # per venue and instrument
    rows_per_message: float = 2.8
    delete_share: float = 0.19
    trade_share: float = 0.024


class SeededMarket:
    """The crowd at several venues."""

    def __init__(
        self, venues: Mapping[str, SimVenue], rng_of: Callable[[str], random.Random], spec: SeededSpec | None = None
    ) -> None:
        self.spec = spec or SeededSpec()
        self._price_rng = rng_of("market/common")
        self._prices = dict(self.spec.prices)
        self._rates = dict(self.spec.quote_rates)
        self._quotes = [
            _Quote(venue, symbol, self.spec, rng_of(f"market/{name}/{symbol}"))
            for name, venue in venues.items()
            for symbol in venue.instruments
        ]
        # the quotes take turns, so that messages are spread over time
        self._turn_ns = int(NS_PER_S / self.spec.messages_per_s) // len(self._quotes)
        self._turn = 0
        self._next_ns = 0
        for venue in venues.values():
            venue.listen(partial(self._traded, venue.name))

    @property
    def is_ended(self) -> bool:
        """A seeded market never ends."""
        return False

    def start(self, now_ns: int) -> None:
        """Build the first books."""
        for quote in self._quotes:
            quote.build(self._price_of(quote), now_ns)
        self._next_ns = now_ns + self._turn_ns

    def advance(self, now_ns: int) -> None:
        """Step the grid up to now."""
        if now_ns - self._next_ns > CATCH_UP_NS:
            self._next_ns = now_ns
        while self._next_ns <= now_ns:
            self._step(self._next_ns, now_ns)
            self._next_ns += self._turn_ns

    def shock(self, base: str, bps: float, now_ns: int, *, venue: str = "", half_life_ms: int = 0) -> None:
        """Gap the price: everywhere for good, or at one venue as a jump of that half-life (zero: a minute)."""
        if not venue:
            worths = self._prices if base in self._prices else self._rates
            worths[base] *= 1 + bps * BPS
        for quote in self._quotes:
            if quote.base == base and quote.venue.name == venue:
                quote.jump(bps, half_life_ms or 60_000)
        for quote in self._quotes:
            if base in (quote.base, quote.quote):
                quote.step(self._price_of(quote), 0.0, now_ns)

    def describe(self) -> dict[str, object]:
        """Return the spec."""
        return {"kind": "seeded", **msgspec.structs.asdict(self.spec)}

    def _price_of(self, quote: _Quote) -> float:
        return self._value(quote.base) / self._value(quote.quote)

    def _value(self, asset: str) -> float:
        return self._prices[asset] if asset in self._prices else self._rates[asset]

    def _step(self, at_ns: int, now_ns: int) -> None:
        seconds = self._turn_ns / NS_PER_S
        deviation = self.spec.volatility_bps * BPS * math.sqrt(seconds)
        for base in self._prices:
            self._prices[base] *= math.exp(self._price_rng.gauss(0.0, deviation))
        quote = self._quotes[self._turn % len(self._quotes)]
        self._turn += 1
        quote.grid_ns = at_ns
        quote.step(self._price_of(quote), seconds * len(self._quotes), now_ns)

    def _traded(self, venue: str, events: Sequence[SimEvent]) -> None:
        for event in events:
            if isinstance(event, Execution) and event.fill and event.fill.liquidity is Liquidity.TAKER:
                for quote in self._quotes:
                    if quote.venue.name == venue and quote.symbol == event.fill.symbol:
                        quote.traded(event.fill.side, event.fill.cost, event.ts_ns)


class _Quote:
    """One venue's quoting of one instrument."""

    def __init__(self, venue: SimVenue, symbol: str, spec: SeededSpec, rng: random.Random) -> None:
        self.venue = venue
        self.symbol = symbol
        self._spec = spec
        self._rng = rng
        instrument = venue.instruments[symbol]
        self.base, self.quote = str(instrument.base), str(instrument.quote)
        self._tick = venue.ticks(symbol, instrument.tick_size)  # one price step, in the wire's last decimal
        self._scale = 10**instrument.price_decimals
        self._lot = venue.lots(symbol, instrument.qty_step)
        self._lots_per_unit = 10**instrument.qty_decimals
        self._quote_value = spec.prices.get(self.quote, 1.0)  # what the spec's notionals are told in, per quote, about
        self._basis_bps = rng.gauss(0.0, spec.basis_bps)
        self._jumps: list[tuple[float, float]] = []  # (bps left, half-life in seconds)
        self._quiet_until_ns = {Side.BUY: 0, Side.SELL: 0}
        self.grid_ns = 0  # the grid's time of the present step

    # --- the quoted price -----------------------------------------------------------------------------------------

    def jump(self, bps: float, half_life_ms: float) -> None:
        """Dislocate this venue's price."""
        self._jumps.append((bps, half_life_ms / 1000))

    def traded(self, side: Side, cost: Decimal, now_ns: int) -> None:
        """Answer a customer's trade: the jump it went against shrinks, and that side refills slowly."""
        left = math.exp(-int(float(cost) * self._quote_value) / self._spec.impact_notional)
        against = 1 if side is Side.SELL else -1
        self._jumps = [(bps * left if bps * against > 0 else bps, half_life) for bps, half_life in self._jumps]
        self._quiet_until_ns[side.opposite] = now_ns + int(self._rng.uniform(50, 250)) * MS

    def _move(self, seconds: float) -> None:
        spec = self._spec
        if seconds <= 0:
            return
        pull = 0.5 ** (seconds / spec.basis_half_life_s)
        self._basis_bps = self._basis_bps * pull + self._rng.gauss(0.0, spec.basis_bps * math.sqrt(1 - pull * pull))
        decayed = ((bps * 0.5 ** (seconds / half_life), half_life) for bps, half_life in self._jumps)
        self._jumps = [jump for jump in decayed if abs(jump[0]) > 0.05]
        if self._rng.random() < spec.jumps_per_minute / 60 * seconds:
            size = spec.jump_bps_min + self._rng.expovariate(1 / spec.jump_bps_mean)
            half_life_ms = min(1_500.0, spec.jump_half_life_ms * math.exp(self._rng.gauss(0.0, 0.6)))
            self.jump(size if self._rng.random() < 0.5 else -size, half_life_ms)

    def _touch(self, common: float) -> tuple[int, int]:
        """Return the best bid and ask the crowd aims at, in ticks of the wire."""
        away_bps = self._basis_bps + sum(bps for bps, _ in self._jumps)
        mid = common * (1 + away_bps * BPS) * self._scale
        half = mid * self._spec.half_spread_bps * BPS
        bid = math.floor((mid - half) / self._tick) * self._tick
        ask = math.ceil((mid + half) / self._tick) * self._tick
        return bid, max(ask, bid + self._tick)

    # --- the book -------------------------------------------------------------------------------------------------

    def build(self, common: float, now_ns: int) -> None:
        """Offer a full book at once."""
        bid, ask = self._touch(common)
        sides: dict[Side, list[tuple[int, int]]] = {}
        for side, touch in ((Side.BUY, bid), (Side.SELL, ask)):
            levels = {touch: self._lots(touch, 0.0)}
            while len(levels) < self._spec.levels:
                price, distance = self._place(side, touch, self._rng.random())
                while self._tick > touch * COARSE_BPS * BPS and price in levels:
                    price -= self._tick * side.sign  # else a full book would take for ever to draw
                levels[price] = self._lots(price, distance)
            sides[side] = list(levels.items())
        self.venue.replace_market(self.symbol, sides[Side.BUY], sides[Side.SELL], now_ns)

    def step(self, common: float, seconds: float, now_ns: int) -> None:
        """Let `seconds` pass for the price and send one message, sometimes a trade with it."""
        self._move(seconds)
        bid, ask = self._touch(common)
        rows: dict[tuple[Side, int], int] = {}
        for side, touch in ((Side.BUY, bid), (Side.SELL, ask)):
            self._follow(side, touch, rows)
        for _ in range(self._row_count()):
            side = Side.BUY if self._rng.random() < 0.5 else Side.SELL
            self._change(side, bid if side is Side.BUY else ask, rows)
        if rows:
            self.venue.set_market(self.symbol, [(side, price, lots) for (side, price), lots in rows.items()], now_ns)
        if self._rng.random() < self._spec.trade_share:
            self._trade(now_ns)

    def _follow(self, side: Side, touch: int, rows: dict[tuple[Side, int], int]) -> None:
        """Withdraw what is better than the touch, and quote the touch again where a gap opened."""
        half = self.venue.top(self.symbol, side, self._spec.levels)
        sign = side.sign
        better = [price for price, _ in half if (price - touch) * sign > 0]
        for price in better:
            if self.venue.market_lots(self.symbol, side, price):
                rows[side, price] = 0
        kept = half[len(better) :]
        gap = abs(touch - kept[0][0]) if kept else touch
        allowed = max(self._tick, int(touch * self._spec.half_spread_bps * BPS * 2))
        if gap > allowed and self.grid_ns >= self._quiet_until_ns[side]:
            rows[side, touch] = self._lots(touch, 0.0)
            for _ in range(2 if gap > allowed * 5 else 0):
                price, distance = self._place(side, touch, 0.3)
                rows[side, price] = self._lots(price, distance)

    def _change(self, side: Side, touch: int, rows: dict[tuple[Side, int], int]) -> None:
        """Change one level: mostly near the top; about a fifth are deletes."""
        half = self.venue.market_top(self.symbol, side, self._spec.levels * 2)
        usable = [price for price, _ in half if (price - touch) * side.sign <= 0]
        draw = self._rng.random()
        if len(usable) > self._spec.levels:
            rows[side, usable[-1]] = 0
        elif usable and self._rng.random() < self._spec.delete_share and len(usable) > self._spec.levels // 2:
            rows[side, self._ranked(usable, draw)] = 0
        elif usable and len(usable) >= self._spec.levels * 0.9 and self._rng.random() < 0.6:
            price = self._ranked(usable, draw)
            rows[side, price] = self._lots(price, abs(price - touch) / touch / BPS)
        elif self.grid_ns >= self._quiet_until_ns[side]:
            price, distance = self._place(side, touch, draw)
            rows[side, price] = self._lots(price, distance)

    def _ranked(self, prices: list[int], draw: float) -> int:
        """Pick a level: 70 % within rank 6, 12 % to rank 12, most of the rest to rank 100."""
        bounds = ((0.70, 0, 6), (0.82, 6, 12), (0.94, 12, 100), (1.0, 100, len(prices)))
        low, high = next((low, high) for share, low, high in bounds if draw <= share)
        low, high = min(low, len(prices) - 1), min(max(high, 1), len(prices))
        return prices[self._rng.randrange(low, max(high, low + 1))]

    def _place(self, side: Side, touch: int, draw: float) -> tuple[int, float]:
        """Return a price at or behind the touch, and its distance in bps."""
        mean_bps = 1.5 if draw < 0.7 else 6.0 if draw < 0.82 else 20.0
        distance = self._rng.expovariate(1 / mean_bps)
        ticks = round(touch * distance * BPS / self._tick) * self._tick
        return touch - ticks * side.sign, distance

    def _lots(self, price: int, distance_bps: float) -> int:
        """Return a quantity: log-normal by value, larger further away; a tenth are round numbers."""
        value = self._spec.level_notional * (1 + distance_bps / 10) * math.exp(self._rng.gauss(0.0, 0.8))
        value /= self._quote_value
        units = value * self._scale / price
        if self._rng.random() < 0.1:
            step = 10.0 ** math.floor(math.log10(units))
            units = max(1, round(units / step)) * step
        count: int = round(units * self._lots_per_unit / self._lot)
        return max(1, count) * self._lot

    def _row_count(self) -> int:
        return 1 + min(int(self._rng.expovariate(1 / max(0.1, self._spec.rows_per_message - 1.5))), 20)

    def _trade(self, now_ns: int) -> None:
        side = Side.BUY if self._rng.random() < 0.5 else Side.SELL
        best = self.venue.top(self.symbol, side.opposite, 1)
        if best:
            price, lots = best[0]
            share = min(1.0, self._rng.expovariate(3.0))
            wanted = max(1, round(lots * share / self._lot)) * self._lot
            self.venue.market_trade(self.symbol, side, wanted, now_ns, limit=price)
