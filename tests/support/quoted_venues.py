"""Faulty venues on which orders rest: filled bit by bit by others, and cancelled in a race with the next fill."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.events import CancelRejected, OrderAccepted, OrderCanceled, OrderFilled, OrderRejected, RejectCode
from arbot.domain.ids import ClientOrderId, VenueOrderId
from arbot.domain.order import OrderIntent, OrderState
from strategies.maker_taker import MakerTaker
from tests.support.engine_world import MS
from tests.support.faulty_venues import FaultyWorld, VenueOrder

PARAMS = {"notional": "200", "edge_net_bps_min": "5", "edge_margin_bps": "20", "move_bps": "10", "look_ms": "100"}


class QuotedWorld(FaultyWorld):
    """Quotes on every venue, hedged on the others; a step of quantity is small enough to leave residuals below it."""

    def __init__(self, seed: int) -> None:
        self.counts = dict.fromkeys(("rested", "filled", "cancelled", "raced", "would_take"), 0)
        self.doubles = 0  # orders that came to rest where another of ours still did
        super().__init__(seed, MakerTaker(PARAMS))

    def match(self, intent: OrderIntent, *, answer: bool) -> None:
        """Rest what is to rest; the other orders are as before."""
        if not intent.tif.rests:
            super().match(intent, answer=answer)
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
        order.state = OrderState.CANCELED
        self.counts["cancelled"] += 1
        if not self.strikes("stream_silent"):
            self.later(self.rng.uniform(0, 25), OrderCanceled(client_order_id=mine, filled_qty=order.filled))
