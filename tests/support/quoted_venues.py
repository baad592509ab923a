"""Faulty venues on which orders rest: filled bit by bit by others, cancelled in a race with the next fill.

Beside the faults of any order: a fill just before the cancel that is told after the end, and streams that are lost. Two
promises are checked as it goes: no arb is hedged for more than has filled, and what rests towards a lost venue is pulled.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.commands import CancelOrder
from arbot.domain.events import (
    CancelRejected,
    FeedConnected,
    FeedDisconnected,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    RejectCode,
    Stream,
)
from arbot.domain.ids import ArbId, ClientOrderId, VenueOrderId
from arbot.domain.order import OrderIntent, OrderState
from strategies.maker_taker import MakerTaker
from tests.support.engine_world import MS
from tests.support.faulty_venues import FaultyWorld, VenueOrder

PARAMS = {"notional": "200", "edge_net_bps_min": "5", "edge_margin_bps": "20", "move_bps": "10", "look_ms": "100"}
QUOTE_FAULTS = ("fill_after_end", "stream_lost")
AT_VENUE = (OrderState.OPEN, OrderState.PART_FILLED)


class QuotedWorld(FaultyWorld):
    """Quotes on every venue, hedged on the others; a step of quantity is small enough to leave residuals below it."""

    def __init__(self, seed: int) -> None:
        self.counts = dict.fromkeys(("rested", "filled", "cancelled", "raced", "would_take", "after_end", "lost"), 0)
        self.doubles = 0  # orders that came to rest where another of ours still did
        self.broken: list[str] = []  # promises that did not hold on the way
        self.asked: dict[ClientOrderId, None] = {}  # orders whose end was asked for
        super().__init__(seed, MakerTaker(PARAMS))
        self.rates |= {fault: self.rng.choice((0.0, 0.1, 0.3)) for fault in QUOTE_FAULTS}
        self.hits |= dict.fromkeys(QUOTE_FAULTS, 0)
        self.after(500, self.lose_a_stream)

    def _do(self, command: object) -> list[str]:
        if isinstance(command, CancelOrder):
            self.asked[command.client_order_id] = None
        return super()._do(command)

    def lose_a_stream(self) -> None:
        """Lose a stream of a venue for a while: whatever rests there, or would be hedged there, has to go at once."""
        if self.healed:
            return
        self.after(self.rng.uniform(300, 900), self.lose_a_stream)
        if not self.strikes("stream_lost"):
            return
        venue, stream = self.rng.choice(self.config_venues()), self.rng.choice(tuple(Stream))
        self.give(FeedDisconnected(venue=venue, stream=stream, reason="lost"))
        self.after(self.rng.uniform(200, 2000), lambda: self.give(FeedConnected(venue=venue, stream=stream)))
        state = self.engine.state
        for arb, order in state.quotes():
            if venue in (state.instruments[arb.buy].venue, state.instruments[arb.sell].venue):
                self.counts["lost"] += 1
                if order.state in AT_VENUE and order.intent.client_order_id not in self.asked:
                    self.broken.append(f"{order.intent.client_order_id} rests on though {venue} {stream} is lost")

    def match(self, intent: OrderIntent, *, answer: bool) -> None:
        """Rest what is to rest; the other orders are as before."""
        if not intent.tif.rests:
            super().match(intent, answer=answer)
            self.check_hedged_once(intent.arb_id)
            return
        mine = intent.client_order_id
        if self.rng.random() < 0.05:
            self.counts["would_take"] += 1
            self.later(1, OrderRejected(client_order_id=mine, code=RejectCode.POST_ONLY_WOULD_TAKE, detail="no"))
            return
        place = (intent.instrument, intent.side)
        self.doubles += any(
            (one.intent.instrument, one.intent.side) == place and one.intent.tif.rests and one.state is OrderState.OPEN
            for one in self.truth.values()
        )
        order = self.truth[mine] = VenueOrder(intent, VenueOrderId(f"V-{mine}"))
        order.visible_ns = self.now_ns + (int(self.rng.uniform(0, 5000)) * MS if self.strikes("hidden") else 0)
        self.counts["rested"] += 1
        if answer:
            self.later(self.rng.uniform(0, 5), OrderAccepted(client_order_id=mine, venue_order_id=order.id))
        self.after(self.rng.uniform(50, 3000), lambda: self.take_some(order))

    def check_hedged_once(self, arb: ArbId) -> None:
        """Note an arb whose orders that do not rest have done more than undo what its resting one did."""
        rested = worked = Decimal(0)
        for order in self.truth.values():
            if order.intent.arb_id == arb:
                moved = sum((fill.base_delta for fill in order.fills), Decimal(0))
                rested, worked = (rested + moved, worked) if order.intent.tif.rests else (rested, worked + moved)
        if rested and (rested + worked) * rested < 0:
            self.broken.append(f"{arb}: {rested} filled and {worked} came of hedging it")

    def take_some(self, order: VenueOrder) -> None:
        """Let somebody trade against a resting order, if it still rests, and perhaps again later."""
        if order.state is not OrderState.OPEN or self.healed:
            return
        left = order.intent.qty - order.filled
        qty = min(left, Decimal(self.rng.choice(("0.01", "0.05", "0.1", "0.3", "5"))))
        fill = self.make_fill(order.intent, order.id, qty)
        order.fills.append(fill)
        self.counts["filled"] += 1
        if order.filled == order.intent.qty:
            order.state = OrderState.FILLED
        else:
            self.after(self.rng.uniform(1, 1500), lambda: self.take_some(order))
        if self.strikes("stream_silent"):
            return
        wait = 3000 if self.strikes("cancel_overtakes_fill") else self.rng.uniform(0, 20)
        self.later(wait, OrderFilled(fill=fill))
        if self.strikes("dup_fill"):
            self.later(self.rng.uniform(0, 40_000), OrderFilled(fill=fill))

    def cancel(self, mine: ClientOrderId) -> None:
        """End a resting order; what filled on the way there has filled."""
        order = self.truth.get(mine)
        if order is None or not order.intent.tif.rests or self.strikes("lost_request"):
            return
        if order.state is not OrderState.OPEN:
            self.counts["raced"] += 1
            self.later(1, CancelRejected(client_order_id=mine, detail="it has ended"))
            return
        filled, order.state = order.filled, OrderState.CANCELED
        self.counts["cancelled"] += 1
        if self.strikes("fill_after_end"):  # the venue's left hand: it says the order ended without its last fill
            self.counts["after_end"] += 1
            fill = self.make_fill(order.intent, order.id, min(order.intent.qty - filled, Decimal("0.3")))
            order.fills.append(fill)
            self.later(0, OrderCanceled(client_order_id=mine, filled_qty=filled))
            self.later(self.rng.uniform(100, 5000), OrderFilled(fill=fill))
            return
        if not self.strikes("stream_silent"):
            self.later(self.rng.uniform(0, 25), OrderCanceled(client_order_id=mine, filled_qty=order.filled))
