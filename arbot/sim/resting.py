"""Orders of ours that rest on a recorded book: where they stand in the queue, and what the recording lets them trade.

The recording does not know our orders, so what would have happened to them is inferred, never to our advantage:
- On arrival an order stands behind everything displayed at its price. Displayed quantity that falls below what is
  ahead of it moves it up to that; cancels ahead are not otherwise credited to it.
- A price that the recorded side does not reach down to has an unknown queue: the order has no place until the price is
  seen, and then stands behind all of it.
- A print at its price by a taker of the other side goes to those ahead first, then to the order. A print through its
  price would have met the order first. In no case does it trade more than was printed.
- The opposite side displayed at or through its price would have traded with it, up to what is displayed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.events import Event
from arbot.domain.order import Fill, OrderIntent, OrderState, Side
from arbot.domain.units import ZERO, floor_to_step
from arbot.engine.market_view import Level, MarketView
from arbot.sim.fees import FeeTier
from arbot.sim.order_checks import is_within, levels_of


@dataclass(slots=True, eq=False)
class PlacedOrder:
    """An order as the pretend venue knows it. It pays the rates of the moment it arrived.

    `held` is what it has reserved; `told_ns` is when the newest answer about it reaches us: later ones come no earlier.
    """

    intent: OrderIntent
    tier: FeeTier
    left: Decimal
    state: OrderState = OrderState.OPEN
    fills: list[Fill] = field(default_factory=list)
    answer: tuple[Event, ...] = ()
    told_ns: int = 0
    held: Decimal = ZERO
    has_place: bool = False
    queue_ahead: Decimal = ZERO

    @property
    def filled_qty(self) -> Decimal:
        """What was executed."""
        return self.intent.qty - self.left


class Place(NamedTuple):
    """What is displayed at a price of one side of a book; unless the recorded side reaches that far, nothing is known."""

    is_seen: bool
    displayed: Decimal


def by_priority(orders: Iterable[PlacedOrder]) -> list[PlacedOrder]:
    """Return orders of one side as a venue would serve them: best price first, then the oldest."""
    return sorted(orders, key=lambda order: -order.intent.side.sign * order.intent.limit_price)


def place_of(market: MarketView, intent: OrderIntent) -> Place:
    """Return what is displayed at the order's own price on its own side."""
    side = intent.side.opposite  # those who trade against our side meet it
    for price, qty in levels_of(market, intent.instrument, side):
        if price == intent.limit_price:
            return Place(is_seen=True, displayed=qty)
        if not is_within(price, intent.limit_price, side):
            return Place(is_seen=True, displayed=ZERO)
    return Place(is_seen=False, displayed=ZERO)


def move_up(order: PlacedOrder, place: Place) -> None:
    """Let an order learn its place in the queue, or move up when less is displayed than stood ahead of it."""
    if place.is_seen:
        order.queue_ahead = min(order.queue_ahead, place.displayed) if order.has_place else place.displayed
        order.has_place = True


def printed(order: PlacedOrder, price: Decimal, qty: Decimal, qty_step: Decimal) -> Decimal:
    """Take a print by a taker of the other side and return how much of it the order gets, in whole steps."""
    limit_price = order.intent.limit_price
    if price == limit_price:
        if not order.has_place:
            return ZERO
        reached = max(ZERO, qty - order.queue_ahead)
        order.queue_ahead = max(ZERO, order.queue_ahead - qty)
    elif not is_within(limit_price, price, order.intent.side.opposite):
        return ZERO  # the taker traded at a better price than ours and never came to us
    else:
        reached = qty
        order.queue_ahead, order.has_place = ZERO, True
    return floor_to_step(min(order.left, reached), qty_step)


def crossed(market: MarketView, order: PlacedOrder, qty_step: Decimal) -> list[Level]:
    """Return what the opposite side displays at or through the order's price, as far as the order takes it."""
    wanted, taken = order.left, []
    for price, qty in levels_of(market, order.intent.instrument, order.intent.side):
        if not wanted or not is_within(price, order.intent.limit_price, order.intent.side):
            break
        part = floor_to_step(min(wanted, qty), qty_step)
        if part > 0:
            taken.append(Level(price, part))
            wanted -= part
    return taken


def opposes(order: PlacedOrder, taker_side: Side) -> bool:
    """Return whether a taker of that side trades against the order."""
    return order.intent.side is not taker_side
