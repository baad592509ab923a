"""A venue that ends no order and refuses every cancel is asked without end, and never without a pause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from arbot.domain.commands import CancelOrder, QueryOrder, RaiseAlert, SetTimer
from arbot.domain.decisions import ArbClosed, ArbStranded
from arbot.domain.events import CancelRejected, Event, OrderCanceled, OrderStatusReported, TimerFired
from arbot.domain.ids import VenueId, VenueOrderId
from arbot.domain.order import OrderIntent, OrderState
from arbot.engine.orders import QUERIES_BEFORE_ALERT
from tests.support.engine_world import MS, World

KRAKEN = VenueId("kraken")
RTT_NS = 10 * MS
MINUTE_NS = 60_000 * MS
PER_MINUTE = (
    60_000 // 3_000
)  # looks at an arb whose orders will not end, one a leg deadline; the back-off's 5 s are within
BOUNDS = {"QueryOrder": PER_MINUTE, "CancelOrder": 2 * PER_MINUTE, "SetTimer": 4 * PER_MINUTE}  # a minute

Answer = Callable[[World, OrderIntent], Event]


def refuses(_: World, intent: OrderIntent) -> Event:
    """Refuse a cancel."""
    return CancelRejected(client_order_id=intent.client_order_id, detail="cannot cancel now")


def still_open(world: World, intent: OrderIntent) -> Event:
    """Say that an order is open and has filled nothing."""
    return reported(world, intent, OrderState.OPEN)


def over_without_its_fill(world: World, intent: OrderIntent) -> Event:
    """Say that an order was filled in full, of which no fill ever comes."""
    return reported(world, intent, OrderState.FILLED)


def reported(world: World, intent: OrderIntent, state: OrderState) -> Event:
    """Return a venue's word on an order."""
    return OrderStatusReported(
        client_order_id=intent.client_order_id,
        state=state,
        venue_order_id=VenueOrderId("V1"),
        filled_qty=intent.qty if state is OrderState.FILLED else intent.qty - intent.qty,
        asked_ts_ns=world.now_ns,
    )


class Stubborn:
    """Kraken answers every cancel and every question after a round trip; what was sent to it is counted by minute."""

    def __init__(self, on_cancel: Answer, on_query: Answer) -> None:
        self.world = World()
        self.answers = {CancelOrder: on_cancel, QueryOrder: on_query}
        self.sent: Counter[tuple[str, int]] = Counter()
        self.due: list[tuple[int, Event]] = []
        self.began_ns = self.world.now_ns
        self.world.line("kraken book bid 100.0x2 ask 100.1x2")
        self.world.line("coinbase book bid 101.0x1 ask 101.2x3")
        self.world.line("coinbase expired")
        self.world.line("kraken sent")
        self.world.line("kraken accepted")
        (self.intent,) = [one for one in self.world.intents if one.venue == KRAKEN]

    def play(self, minutes: int) -> None:
        """Let time pass, answers and timers in their order."""
        until = self.world.now_ns + minutes * MINUTE_NS
        while True:
            timers = [(at, TimerFired(key=key)) for key, at in self.world.timers.items()]
            at, event = min([*self.due, *timers], key=lambda one: one[0], default=(until, None))
            if event is None or at >= until:
                break
            if isinstance(event, TimerFired):
                del self.world.timers[event.key]
            else:
                self.due.remove((at, event))
            self.world.now_ns = max(at, self.world.now_ns)
            self.give(event)
        self.world.now_ns = until

    def give(self, event: Event) -> None:
        """Step the engine, and answer what it sends to kraken."""
        self.world.give(event)
        minute = (self.world.now_ns - self.began_ns) // MINUTE_NS
        for command in self.world.log[-1][1].commands:
            name = type(command).__name__
            if isinstance(command, CancelOrder | QueryOrder) and command.venue == KRAKEN:
                self.sent[name, minute] += 1
                self.due.append((self.world.now_ns + RTT_NS, self.answers[type(command)](self.world, self.intent)))
            elif isinstance(command, SetTimer) and self.intent.client_order_id in command.key:
                self.sent[name, minute] += 1
        assert self.sent.total() < 10_000, f"a storm: {self.sent}"

    def alerts(self) -> list[str]:
        """Return the codes of all alerts."""
        return [one.code for _, said in self.world.log for one in said.commands if isinstance(one, RaiseAlert)]


STORIES: dict[str, tuple[Answer, Answer]] = {
    "every cancel is refused, and the order stays open": (refuses, still_open),
    "every cancel is refused, and the fill of a filled order never comes": (refuses, over_without_its_fill),
}


@pytest.mark.parametrize("name", STORIES)
def test_it_is_asked_without_end_and_never_without_a_pause(name: str) -> None:
    """Ask and cancel a few times at once, then at each look at the arb; tell a person once, and keep one timer."""
    venue = Stubborn(*STORIES[name])
    venue.play(15)

    for kind, bound in BOUNDS.items():
        counts = [venue.sent[kind, minute] for minute in range(15)]
        assert counts[0] <= bound + QUERIES_BEFORE_ALERT, (kind, counts)
        assert max(counts[1:]) <= bound, (kind, counts)
        assert min(counts) > 0, (kind, counts)
    assert 1 == venue.alerts().count("order_unknown")
    assert 1 == sum(1 for key in venue.world.timers if venue.intent.client_order_id in key)


def test_when_a_cancel_works_at_last_the_arb_ends() -> None:
    """Go on cancelling meanwhile, end the arb with the cancel that works, and ask nothing more."""
    venue = Stubborn(refuses, still_open)
    venue.play(5)
    venue.answers[CancelOrder] = lambda _, intent: OrderCanceled(
        client_order_id=intent.client_order_id, filled_qty=intent.qty - intent.qty
    )
    venue.play(1)
    ends = [one for _, said in venue.world.log for one in said.decisions if isinstance(one, ArbClosed | ArbStranded)]
    before = venue.sent.total()
    venue.play(5)

    assert [True] == [one.missed for one in ends if isinstance(one, ArbClosed)]
    assert before == venue.sent.total()
