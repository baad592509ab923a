"""The naive twin of the sweep's kernel: one setting, dictionaries for books, a sorted list of what falls due, plain Python."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from arbot.backtest.stock import Listed
from arbot.backtest.sweep_pass import Candidate, Part
from arbot.domain.ids import VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.units import common_step
from arbot.market.stream import IS_LAST, KIND_MASK, Kind, Rows

MS = 1_000_000
MINUTE, DAY = 60_000 * MS, 86_400_000 * MS


@dataclass
class Book:
    """One book: integer price -> integer quantity."""

    one: Instrument
    depth: int
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    synced: bool = False
    recv: int = 0
    venue: int = 0

    def side(self, is_buy: bool) -> list[tuple[int, int]]:
        """Return what a buyer, or a seller, meets, best first."""
        levels = self.asks if is_buy else self.bids
        return sorted(levels.items(), reverse=not is_buy)

    @property
    def unit(self) -> float:
        return 10.0**-self.one.price_decimals

    @property
    def valid(self) -> bool:
        return bool(self.synced and self.bids and self.asks and max(self.bids) < min(self.asks))

    @property
    def mid(self) -> float:
        return (max(self.bids) + min(self.asks)) * 0.5 * self.unit if self.valid else 0.0

    def apply(self, kind: int, rows: Sequence[tuple[int, int]], recv: int, venue: int) -> bool:
        """Take a message in; return whether it left levels that may be looked at."""
        if kind == Kind.ALIVE and self.synced:
            self.recv = recv
        if kind == Kind.CLEAR:
            self.bids, self.asks, self.synced = {}, {}, False
        if kind == Kind.SNAPSHOT:
            self.bids, self.asks, self.synced = {}, {}, True
        if kind not in (Kind.SNAPSHOT, Kind.DELTA) or not self.synced:
            return False
        for key, qty in rows:
            levels = self.bids if key > 0 else self.asks
            levels.pop(abs(key), None)
            if qty:
                levels[abs(key)] = qty
        if self.depth:
            self.bids = dict(self.side(is_buy=False)[: self.depth])
            self.asks = dict(self.side(is_buy=True)[: self.depth])
        self.recv, self.venue = recv, venue or recv
        return self.valid

    def least(self, price: int) -> int:
        """Return the least order at a price, in the book's own units."""
        step = round(self.one.qty_step.scaleb(self.one.qty_decimals))
        least = max(round(self.one.qty_min.scaleb(self.one.qty_decimals)), step)
        if self.one.notional_min > 0 and price > 0:
            wanted = float(self.one.notional_min) / (price * self.unit) / 10.0**-self.one.qty_decimals
            least = max(least, math.ceil(wanted))
        return -(-least // step) * step

    @property
    def tick(self) -> int:
        return round(self.one.tick_size.scaleb(self.one.price_decimals))


@dataclass
class Route:
    """Buy on one book, sell on another; quantities in units of 10**-decimals."""

    buy: int
    sell: int
    decimals: int
    step: int


@dataclass
class Arb:
    """One arb under way."""

    route: int
    qty: int
    price: tuple[int, int]  # at the buying book, at the selling book
    mean: tuple[float, float]  # what the decision saw: of the buying, of the selling book
    held: list[tuple[tuple[str, str], float]]
    busy: list[int]
    moved: list[int] = field(default_factory=lambda: [0, 0])  # bought, sold
    legs: list[int] = field(default_factory=lambda: [0, 0])
    tries: dict[int, int] = field(default_factory=dict)
    waiting: int = 2
    known: int = 0
    one_sided: int = 0
    cash: float = 0.0
    fees: float = 0.0
    unwinds: float = 0.0
    volume: float = 0.0


class SweepTwin:
    """A setting's whole life on a tape; `scores` gives what it came to on each part."""

    def __init__(self, streams: Sequence[Listed], setting: Candidate) -> None:
        self.setting = setting
        self.limits, self.policy = setting.config.limits, setting.config.execution
        self.books = [Book(listed.instrument, listed.depth) for listed in streams]
        self.taker = [float(setting.taker[book.one.id]) for book in self.books]
        self.edge_min = float(setting.edge_net_bps_min.scaleb(-4))
        self.routes = []
        for buy, one in enumerate(self.books):
            for sell, other in enumerate(self.books):
                if (
                    one.one.base == other.one.base
                    and one.one.quote == other.one.quote
                    and one.one.venue != other.one.venue
                ):
                    decimals = max(one.one.qty_decimals, other.one.qty_decimals)
                    step = round(common_step(one.one.qty_step, other.one.qty_step).scaleb(decimals))
                    self.routes.append(Route(buy, sell, decimals, step))
        self.begin()

    def begin(self) -> None:
        """Set the account to its beginning."""
        self.total = {
            (venue, asset): float(qty) for venue, held in self.setting.balances.items() for asset, qty in held.items()
        }
        self.reserved = dict.fromkeys(self.total, 0.0)
        self.due: list[tuple[int, int, str, Arb, tuple[int, bool, int, int] | None]] = []
        self.number = 0
        self.arbs: list[Arb] = []
        self.busy = [0] * len(self.books)
        self.cool = dict.fromkeys(range(len(self.routes)), 0)
        self.sent: dict[str, list[int]] = {}
        self.stopped = False
        self.is_ending = False
        self.day, self.day_net = 0, 0.0
        self.peak = 0.0
        self.sums = dict.fromkeys(
            [
                "net",
                "edge",
                "unwinds",
                "fees",
                "volume",
                "drawdown",
                "equity_min",
                "looks",
                "arbs",
                "full",
                "one_sided",
                "missed",
                "stranded",
                "cut",
                "orders",
            ],
            0.0,
        )

    def scores(self, rows: Rows, parts: Sequence[Part]) -> Iterator[dict[str, float]]:
        """Yield what each part came to."""
        left = list(parts)
        for ts, venue_ts, b, kind, levels in messages(rows):
            while left and ts >= left[0].stop_ts_ns:
                yield self.end()
                left.pop(0)
            if not left:
                return
            self.settle(ts - 1)
            is_seen = self.books[b].apply(kind, levels, ts, venue_ts)
            if is_seen and ts >= left[0].first_ts_ns:
                self.look(b, ts)
        for _ in left:
            yield self.end()

    def end(self) -> dict[str, float]:
        """End a part and begin the next."""
        self.is_ending = True
        self.settle(2**62)
        sums = self.sums | {"stopped": self.stopped}
        self.begin()
        return sums

    # --- deciding -----------------------------------------------------------------------------------------------------

    def look(self, b: int, now: int) -> None:
        """Try every route of a book that clears at the touch, the widest first."""
        found = []
        for number, route in enumerate(self.routes):
            one, other = self.books[route.buy], self.books[route.sell]
            if b not in (route.buy, route.sell) or not (one.valid and other.valid):
                continue
            ratio = (max(other.bids) * other.unit) / (min(one.asks) * one.unit)
            if ratio >= (1.0 + self.taker[route.buy] + self.edge_min) / (1.0 - self.taker[route.sell]):
                found.append((-ratio, number))
        for _, number in sorted(found):
            self.sums["looks"] += 1
            self.try_open(number, now)

    def is_fresh(self, b: int, now: int) -> bool:
        book = self.books[b]
        ages = (now - book.recv) // MS, (now - book.venue) // MS
        return (
            book.valid and ages[0] <= self.limits.book_age_recv_ms_max and ages[1] <= self.limits.book_age_venue_ms_max
        )

    def has_order_rate(self, b: int, now: int, limit: int) -> bool:
        sent = self.sent.get(self.books[b].one.venue, [])
        return sum(ts > now - MINUTE for ts in sent) < limit

    def try_open(self, number: int, now: int) -> None:
        """Open an arb on a route unless something forbids it."""
        route = self.routes[number]
        one, other = self.books[route.buy], self.books[route.sell]
        if self.stopped or len(self.arbs) >= self.limits.arbs_open_max or now < self.cool[number]:
            return
        if self.busy[route.buy] or self.busy[route.sell]:
            return
        if not (self.is_fresh(route.buy, now) and self.is_fresh(route.sell, now)):
            return
        if abs(one.recv - other.recv) // MS > self.limits.book_skew_ms_max:
            return
        limit = self.limits.orders_per_minute_max - 2
        if not (self.has_order_rate(route.buy, now, limit) and self.has_order_rate(route.sell, now, limit)):
            return
        walked = self.walk(route)
        if walked is None:
            return
        most, ask, bid, gross = walked
        if gross > float(self.limits.edge_gross_bps_max.scaleb(-4)):
            return
        buy_price, sell_price = ask // one.tick * one.tick, -(-bid // other.tick) * other.tick
        qty = self.sized(route, most, buy_price, sell_price)
        if not qty:
            return
        base = qty * 10.0**-route.decimals
        _, paid = self.take(route, route.buy, True, ask, qty, self.policy.depth_max)
        _, earned = self.take(route, route.sell, False, bid, qty, self.policy.depth_max)
        held = [
            ((one.one.venue, one.one.quote), base * buy_price * one.unit * (1.0 + max(self.taker[route.buy], 0.0))),
            ((other.one.venue, other.one.base), base),
        ]
        arb = Arb(number, qty, (buy_price, sell_price), (paid / base, earned / base), held, [route.buy, route.sell])
        for account, amount in held:
            self.reserved[account] += amount
        self.arbs.append(arb)
        self.sums["arbs"] += 1
        self.send(arb, route.buy, "leg", (route.buy, True, buy_price, qty), now)
        self.send(arb, route.sell, "leg", (route.sell, False, sell_price, qty), now)

    def walk(self, route: Route) -> tuple[int, int, int, float] | None:
        """Return (quantity, worst ask, worst bid, gross edge) of all that clears."""
        one, other = self.books[route.buy], self.books[route.sell]
        depth = self.policy.depth_max
        asks = [[price, qty * 10 ** (route.decimals - one.one.qty_decimals)] for price, qty in one.side(True)[:depth]]
        bids = [
            [price, qty * 10 ** (route.decimals - other.one.qty_decimals)] for price, qty in other.side(False)[:depth]
        ]
        qty, cost, proceeds, worst = 0, 0.0, 0.0, (0, 0)
        while asks and bids:
            ask, bid = asks[0][0] * one.unit, bids[0][0] * other.unit
            if bid * (1.0 - self.taker[route.sell]) < ask * (1.0 + self.taker[route.buy] + self.edge_min):
                break
            step = min(asks[0][1], bids[0][1])
            qty += step
            cost += step * 10.0**-route.decimals * ask
            proceeds += step * 10.0**-route.decimals * bid
            worst = asks[0][0], bids[0][0]
            for side in (asks, bids):
                side[0][1] -= step
                if not side[0][1]:
                    side.pop(0)
        return (qty, *worst, (proceeds - cost) / cost) if qty else None

    def sized(self, route: Route, qty: int, buy_price: int, sell_price: int) -> int:
        """Return what the caps leave."""
        one, other = self.books[route.buy], self.books[route.sell]
        buy, sell = buy_price * one.unit, sell_price * other.unit
        price = max(buy, sell)
        base, quote = (one.one.venue, one.one.base), (one.one.venue, one.one.quote)
        sold = (other.one.venue, other.one.base)
        most = min(
            float(min(self.limits.notional_per_arb_max, self.limits.net_delta_notional_max)) / price,
            (float(self.limits.inventory_notional_max) - self.total[base] * price) / price,
            (self.total[quote] - self.reserved[quote]) / (buy * (1.0 + max(self.taker[route.buy], 0.0))),
            self.total[sold] - self.reserved[sold],
        )
        if most <= 0:
            return 0
        steps = most / 10.0**-route.decimals
        qty = min(qty, int(steps)) if steps < qty else qty
        factors = [10 ** (route.decimals - book.one.qty_decimals) for book in (one, other)]
        for book, factor in zip((one, other), factors, strict=True):
            if book.one.qty_max > 0:
                qty = min(qty, round(book.one.qty_max.scaleb(book.one.qty_decimals)) * factor)
        qty = qty // route.step * route.step
        least = max(one.least(buy_price) * factors[0], other.least(sell_price) * factors[1])
        return qty if qty >= least else 0

    def take(self, route: Route, b: int, is_buy: bool, price: int, qty: int, depth: int | None) -> tuple[int, float]:
        """Return (quantity, value) that an order meets."""
        book = self.books[b]
        factor = 10 ** (route.decimals - book.one.qty_decimals)
        got, value = 0, 0.0
        for level, there in book.side(is_buy)[:depth]:
            if (level > price if is_buy else level < price) or got == qty:
                break
            step = min(there * factor, qty - got)
            got += step
            value += step * 10.0**-route.decimals * (level * book.unit)
        return got, value

    # --- carrying out -------------------------------------------------------------------------------------------------

    def push(self, ts: int, what: str, arb: Arb, order: tuple[int, bool, int, int] | None) -> None:
        self.number += 1
        self.due.append((ts, self.number, what, arb, order))

    def send(self, arb: Arb, b: int, what: str, order: tuple[int, bool, int, int], now: int) -> None:
        venue = self.books[b].one.venue
        self.sent.setdefault(venue, []).append(now)
        self.busy[b] += 1
        self.sums["orders"] += 1
        self.push(now + self.drawn(self.setting.request_ns, venue), what, arb, order)

    def drawn(self, latencies: Mapping[VenueId, tuple[int, ...]], venue: VenueId) -> int:
        """Return the latency whose turn it is at a venue."""
        listed = latencies.get(venue, (0,))
        return listed[(len(self.sent[venue]) - 1) % len(listed)]

    def settle(self, until: int) -> None:
        """Do what falls due."""
        while self.due:
            first = min(self.due, key=lambda entry: entry[:2])
            if first[0] > until:
                return
            self.due.remove(first)
            ts, _, what, arb, order = first
            if order is not None:
                self.arrive(arb, what, order, ts)
            else:
                self.answered(arb, ts)

    def arrive(self, arb: Arb, what: str, order: tuple[int, bool, int, int], now: int) -> None:
        """Fill an order."""
        b, is_buy, price, qty = order
        route, book = self.routes[arb.route], self.books[b]
        got, value = self.take(route, b, is_buy, price, qty, None)
        fee, base, sign = value * self.taker[b], got * 10.0**-route.decimals, 1 if is_buy else -1
        arb.cash -= sign * value + fee
        arb.fees += fee
        arb.volume += value
        self.total[book.one.venue, book.one.base] += sign * base
        self.total[book.one.venue, book.one.quote] -= sign * value + fee
        arb.moved[0 if is_buy else 1] += got
        if what == "leg":
            arb.legs[0 if is_buy else 1] = got
        else:
            arb.unwinds -= sign * (value - base * arb.mean[1 if is_buy else 0])
        arb.waiting -= 1
        arb.known = max(arb.known, now + self.drawn(self.setting.answer_ns, book.one.venue))
        if not arb.waiting:
            self.push(arb.known, "answered", arb, None)

    def answered(self, arb: Arb, now: int) -> None:
        """Go on with an arb of which everything sent is known."""
        route = self.routes[arb.route]
        for b in arb.busy:
            self.busy[b] -= 1
        for account, amount in arb.held:
            self.reserved[account] -= amount
        arb.busy, arb.held = [], []
        one, other = self.books[route.buy], self.books[route.sell]
        price = min(arb.price[0] * one.unit, arb.price[1] * other.unit)
        least = min(
            book.least(int(price / book.unit)) * 10 ** (route.decimals - book.one.qty_decimals) for book in (one, other)
        )
        left = arb.moved[0] - arb.moved[1]
        if abs(left) < least:
            self.close(arb, now, "flat")
            return
        if not arb.one_sided:
            arb.one_sided = now
            self.sums["one_sided"] += 1
        if self.is_ending:
            self.close(arb, now, "cut")
        elif (
            sum(arb.tries.values()) >= self.policy.hedge_tries_max
            or now - arb.one_sided > self.policy.hedge_seconds_max * 1000 * MS
        ):
            self.close(arb, now, "stranded")
        else:
            is_buy = left < 0
            second, first = (route.buy, route.sell) if is_buy else (route.sell, route.buy)
            for b in sorted((second, first), key=lambda b: arb.tries.get(b, 0)):
                if self.propose(arb, b, b == first, is_buy, abs(left), now):
                    return
            self.push(now + self.policy.hedge_retry_ms * MS, "again", arb, None)

    def propose(self, arb: Arb, b: int, is_first: bool, is_buy: bool, left: int, now: int) -> bool:
        """Send an order against a residual if this book allows one."""
        route, book = self.routes[arb.route], self.books[b]
        if not self.is_fresh(b, now) or not self.has_order_rate(b, now, self.limits.orders_per_minute_max):
            return False
        sign = 1.0 if is_buy else -1.0
        own = arb.price[0] if is_buy else arb.price[1]
        reference = book.side(is_buy)[0][0] if is_first else own
        cap = reference * (1.0 + sign * float(self.policy.hedge_slippage_bps.scaleb(-4))) / book.tick
        price = int(math.floor(cap + 1e-9) if is_buy else math.ceil(cap - 1e-9)) * book.tick
        if price <= 0:
            return False
        got, _ = self.take(route, b, is_buy, price, left, self.policy.depth_max)
        limit, fee, unit = price * book.unit, self.taker[b], 10.0**-route.decimals
        account = book.one.venue, book.one.quote if is_buy else book.one.base
        afford = self.total[account] - self.reserved[account]
        if is_buy:
            afford /= limit * (1.0 + max(fee, 0.0))
        factor = 10 ** (route.decimals - book.one.qty_decimals)
        step = round(book.one.qty_step.scaleb(book.one.qty_decimals))
        qty = int(min(float(got), max(afford, 0.0) / unit)) // factor
        if book.one.qty_max > 0:
            qty = min(qty, round(book.one.qty_max.scaleb(book.one.qty_decimals)))
        qty = qty // step * step
        if qty <= 0 or qty < book.least(price):
            return False
        base = qty * factor * unit
        entry = arb.price[1] * self.books[route.sell].unit if is_buy else arb.price[0] * self.books[route.buy].unit
        if base * ((limit - entry) * sign + limit * fee) > float(self.policy.hedge_loss_max):
            return False
        arb.held = [(account, base * limit * (1.0 + max(fee, 0.0)) if is_buy else base)]
        self.reserved[account] += arb.held[0][1]
        arb.busy = [b]
        arb.tries[b] = arb.tries.get(b, 0) + 1
        arb.waiting = 1
        self.send(arb, b, "work", (b, is_buy, price, qty * factor), now)
        return True

    def close(self, arb: Arb, now: int, how: str) -> None:
        """Count an arb's money."""
        route, sums = self.routes[arb.route], self.sums
        own = (arb.price[0] * self.books[route.buy].unit + arb.price[1] * self.books[route.sell].unit) * 0.5
        market = 0.0 if how == "flat" else self.books[route.buy].mid
        unit = 10.0**-route.decimals
        net = arb.cash + (arb.moved[0] - arb.moved[1]) * unit * (market or own)
        sums["net"] += net
        sums["fees"] += arb.fees
        sums["unwinds"] += arb.unwinds
        sums["volume"] += arb.volume
        sums["edge"] += min(arb.legs) * unit * (arb.mean[1] - arb.mean[0])
        sums["full"] += arb.legs == [arb.qty, arb.qty]
        sums["missed"] += arb.legs == [0, 0]
        if how != "flat":
            sums[how] += 1
        if now // DAY != self.day:
            self.day, self.day_net = now // DAY, 0.0
        self.day_net += net
        self.peak = max(self.peak, sums["net"])
        sums["drawdown"] = max(sums["drawdown"], self.peak - sums["net"])
        sums["equity_min"] = min(sums["equity_min"], sums["net"])
        is_lost = -self.day_net >= float(self.limits.loss_day_max)
        is_down = self.peak - sums["net"] >= float(self.limits.drawdown_max)
        self.stopped |= how == "stranded" or is_lost or is_down
        self.cool[arb.route] = now + self.policy.cool_down_ms * MS
        self.arbs.remove(arb)


def messages(rows: Rows) -> Iterator[tuple[int, int, int, int, list[tuple[int, int]]]]:
    """Yield (receive time, venue time, book, kind, levels) of each message."""
    levels: list[tuple[int, int]] = []
    for recv, venue, key, qty, tag in zip(*(column.tolist() for column in rows), strict=True):
        if not levels:
            begun = venue
        levels.append((key, qty))
        if tag & IS_LAST:
            yield recv, begun, tag >> 8, tag & KIND_MASK, levels
            levels = []
