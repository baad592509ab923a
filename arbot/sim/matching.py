"""One order book of a pretend venue: price-time priority over the synthetic market and the customers' orders.

A level is a queue of entries in time order; an entry belongs to the market (`owner` None) or to one customer order.
The market sets its own total per level: more is queued at the back, less is taken from the back, so a customer's place
in the queue never improves by the market's cancels alone. What a trade consumed stays consumed until the market sets
that level again. Prices and quantities are integers; the book never looks at accounts or money.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from arbot.domain.errors import ensure
from arbot.domain.order import Side
from arbot.sim.model import SimOrder


class Entry:
    """A place in the queue of a level."""

    __slots__ = ("lots", "owner")

    def __init__(self, owner: SimOrder | None, lots: int) -> None:
        self.owner = owner
        self.lots = lots


class Take:
    """What a taker meets: `lots` of one entry at a price."""

    __slots__ = ("lots", "maker", "price")

    def __init__(self, price: int, lots: int, maker: SimOrder | None) -> None:
        self.price = price
        self.lots = lots
        self.maker = maker


class HalfBook:
    """One side: levels by price, and the prices in rising order."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.levels: dict[int, list[Entry]] = {}
        self.prices: list[int] = []

    def best(self) -> int | None:
        """Return the best price, or None for an empty side."""
        if not self.prices:
            return None
        return self.prices[-1] if self.side is Side.BUY else self.prices[0]

    def best_first(self) -> Iterator[int]:
        """Iterate over prices, best first."""
        return reversed(self.prices) if self.side is Side.BUY else iter(self.prices)

    def total(self, price: int) -> int:
        """Return all lots at a price."""
        return sum(entry.lots for entry in self.levels.get(price, ()))

    def market_lots(self, price: int) -> int:
        """Return the market's own lots at a price."""
        return sum(entry.lots for entry in self.levels.get(price, ()) if entry.owner is None)

    def top(self, depth: int) -> list[tuple[int, int]]:
        """Return up to `depth` levels as (price, lots), best first."""
        prices = self.prices[-depth:][::-1] if self.side is Side.BUY else self.prices[:depth]
        return [(price, self.total(price)) for price in prices]

    def add(self, price: int, entry: Entry) -> None:
        """Queue an entry at the back of its level."""
        queue = self.levels.get(price)
        if queue is None:
            self.levels[price] = [entry]
            insort(self.prices, price)
        else:
            queue.append(entry)

    def set_market(self, price: int, lots: int) -> None:
        """Make the market's total at a price `lots`: queue more at the back, or take away from the back."""
        change = lots - self.market_lots(price)
        if change > 0:
            queue = self.levels.get(price)
            if queue and queue[-1].owner is None:
                queue[-1].lots += change
            else:
                self.add(price, Entry(None, change))
        elif change < 0:
            for entry in reversed(self.levels[price]):
                if entry.owner is None:
                    gone = min(entry.lots, -change)
                    entry.lots -= gone
                    change += gone
                    if change == 0:
                        break
            self.tidy(price)

    def remove_order(self, price: int, order: SimOrder) -> None:
        """Take an order's entry out of its level."""
        queue = self.levels[price]
        self.levels[price] = [entry for entry in queue if entry.owner is not order]
        ensure(len(self.levels[price]) == len(queue) - 1, "order not at its level", order=order.order_id, price=price)
        self.tidy(price)

    def tidy(self, price: int) -> None:
        """Drop empty entries, and the level when none is left."""
        queue = [entry for entry in self.levels[price] if entry.lots > 0]
        if queue:
            self.levels[price] = queue
        else:
            del self.levels[price]
            del self.prices[bisect_left(self.prices, price)]


class MatchingBook:
    """Both sides of one instrument."""

    def __init__(self) -> None:
        self.bids = HalfBook(Side.BUY)
        self.asks = HalfBook(Side.SELL)

    def half(self, side: Side) -> HalfBook:
        """Return the side where orders of `side` rest."""
        return self.bids if side is Side.BUY else self.asks

    def plan(self, side: Side, limit: int | None, lots: int) -> list[Take]:
        """Return what a taker of `side` would meet, best price and oldest entry first, down to its limit price."""
        against = self.half(side.opposite)
        takes: list[Take] = []
        left = lots
        for price in against.best_first():
            if left == 0 or (limit is not None and not crosses(side, limit, price)):
                break
            for entry in against.levels[price]:
                taken = min(entry.lots, left)
                takes.append(Take(price, taken, entry.owner))
                left -= taken
                if left == 0:
                    break
        return takes

    def consume(self, side: Side, takes: Iterable[Take]) -> None:
        """Take planned lots out of the book. The plan must be of this very moment."""
        against = self.half(side.opposite)
        touched = set()
        for take in takes:
            left = take.lots
            for entry in against.levels[take.price]:
                if entry.owner is take.maker and entry.lots > 0:
                    taken = min(entry.lots, left)
                    entry.lots -= taken
                    left -= taken
                    if left == 0:
                        break
            ensure(left == 0, "planned lots are gone", price=take.price, left=left)
            touched.add(take.price)
        for price in touched:
            against.tidy(price)

    def is_crossed(self) -> bool:
        """Return whether the best bid is at or above the best ask."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask


def crosses(side: Side, limit: int, price: int) -> bool:
    """Return whether an order of `side` with `limit` trades against a resting `price`."""
    return price <= limit if side is Side.BUY else price >= limit
