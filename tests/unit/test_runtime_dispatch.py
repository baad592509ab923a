"""Dispatch sends both legs at once, never leaves a request without an end, and sends nothing once halted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from arbot.domain.commands import CancelAllOrders, QueryOrder, RaiseAlert, ResyncBook, SetTimer, StopRun, SubmitOrder
from arbot.domain.errors import VenueUnavailable
from arbot.domain.events import Event, OrderAccepted, OrderRejected, OrderSent, RequestOutcomeUnknown, TimerFired
from arbot.domain.ids import ClientOrderId, InstrumentId, VenueId, VenueOrderId
from arbot.domain.order import Approved, Side
from arbot.runtime.clock import SystemClock, VirtualClock
from arbot.runtime.dispatch import CANCEL_ALL_WAITS_S, Dispatch
from arbot.runtime.supervisor import Supervisor
from tests.unit.test_runtime_sequencer import approved


class FakeGateway:
    """A venue that notes what reached it and answers when told to."""

    def __init__(self, venue: str, arrived: list[str]) -> None:
        self.venue = VenueId(venue)
        self.arrived = arrived
        self.answer = asyncio.Event()
        self.left = [0]
        self.error: Exception | None = None

    async def submit(self, order: Approved) -> tuple[Event, ...]:
        self.arrived.append(f"submit {order.intent.client_order_id}")
        await self.answer.wait()
        if self.error:
            raise self.error
        return (OrderAccepted(client_order_id=order.intent.client_order_id, venue_order_id=VenueOrderId("v1")),)

    async def cancel_all(self) -> int:
        left = self.left.pop(0)
        if left < 0:
            raise VenueUnavailable(self.venue, "down")
        return left

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        raise VenueUnavailable(self.venue, "down")


class FakeSink:
    """Keeps the events, in one list with what reached the venues."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen
        self.events: list[Event] = []

    def submit(self, events: Sequence[Event]) -> None:
        for event in events:
            self.events.append(event)
            self.seen.append(f"{type(event).__name__} {getattr(event, 'client_order_id', '')}".strip())


class World:
    """A dispatch between two fake venues and a fake sink."""

    def __init__(self, clock=None) -> None:
        self.seen: list[str] = []
        self.alerts: list[RaiseAlert] = []
        self.clock = clock or SystemClock()
        self.supervisor = Supervisor(self.clock)
        self.gateways = {VenueId(name): FakeGateway(name, self.seen) for name in ("one", "two")}
        self.sink = FakeSink(self.seen)
        self.dispatch = Dispatch(
            clock=self.clock, gateways=self.gateways, supervisor=self.supervisor, alert=self.alerts.append
        )
        self.dispatch.connect(self.sink, {}, self.catch_up_transfers)

    async def catch_up_transfers(self, venue: VenueId) -> None:
        """Note that a venue's history was asked for."""
        self.seen.append(f"transfers {venue}")


LEGS = (
    SubmitOrder(approved=approved("ab1", "one", Side.BUY)),
    SubmitOrder(approved=approved("ab2", "two", Side.SELL)),
)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_both_legs_are_on_their_way_before_either_is_answered():
    """OrderSent comes before each request, and the second leg does not wait for the first."""
    world = World()
    world.dispatch(LEGS)
    await turns()
    assert world.seen == ["OrderSent ab1", "OrderSent ab2", "submit ab1", "submit ab2"]
    for gateway in world.gateways.values():
        gateway.answer.set()
    await turns()
    assert world.seen[4:] == ["OrderAccepted ab1", "OrderAccepted ab2"]
    await world.supervisor.close()


async def test_a_cancelled_request_ends_as_unknown():
    """Closing the run in the middle of a request tells the engine that its outcome is unknown."""
    world = World()
    world.dispatch(LEGS[:1])
    await turns()
    await world.supervisor.close()
    assert [type(event) for event in world.sink.events] == [OrderSent, RequestOutcomeUnknown]


async def test_an_unforeseen_error_is_unknown_and_stops_the_run():
    """A gateway that raises what it must not: the order is unknown and the supervisor fails."""
    world = World()
    world.gateways[VenueId("one")].error = TypeError("odd")
    world.gateways[VenueId("one")].answer.set()
    world.dispatch(LEGS[:1])
    await turns()
    assert [type(event) for event in world.sink.events] == [OrderSent, RequestOutcomeUnknown]
    assert isinstance(world.supervisor.failure, TypeError)
    assert world.supervisor.stopping.is_set()


async def test_nothing_is_sent_once_halted():
    """After halt_submits an order is rejected by ourselves and never reaches the venue."""
    world = World()
    world.dispatch.halt_submits()
    world.dispatch(LEGS)
    await turns()
    assert [type(event) for event in world.sink.events] == [OrderRejected, OrderRejected]
    assert [entry for entry in world.seen if entry.startswith("submit")] == []


async def test_cancel_all_is_repeated_until_none_is_left():
    """A venue that still lists orders, or cannot be asked, is asked again."""
    world = World(VirtualClock())
    world.gateways[VenueId("one")].left = [2, -1, 0]
    world.dispatch((CancelAllOrders(venue=VenueId("one")),))
    await world.clock.run_for(3)
    assert world.gateways[VenueId("one")].left == []
    assert world.alerts == []


async def test_asking_twice_cancels_once():
    """A second request to cancel all, made while the first is under way, shares its answer."""
    world = World(VirtualClock())
    world.gateways[VenueId("one")].left = [1, 0]
    world.dispatch((CancelAllOrders(venue=VenueId("one")), CancelAllOrders(venue=VenueId("one"))))
    await world.clock.run_for(3)
    assert world.gateways[VenueId("one")].left == []
    assert world.supervisor.failure is None


async def test_orders_that_stay_open_raise_an_alert():
    """When cancelling all does not help a person is told, with the number left."""
    world = World(VirtualClock())
    world.gateways[VenueId("one")].left = [1] * len(CANCEL_ALL_WAITS_S)
    world.dispatch((CancelAllOrders(venue=VenueId("one")),))
    await world.clock.run_for(sum(CANCEL_ALL_WAITS_S) + 1)
    assert [alert.code for alert in world.alerts] == ["orders_open"]


async def test_a_venue_that_cannot_be_asked_ends_no_order():
    """A query that fails says nothing to the engine: silence is not evidence."""
    world = World()
    world.dispatch(
        (
            QueryOrder(
                client_order_id=ClientOrderId("ab1"),
                venue=VenueId("one"),
                instrument=InstrumentId("BTC/USD@one"),
                venue_order_id=None,
                since_ns=0,
            ),
        )
    )
    await turns()
    assert world.sink.events == []
    assert world.supervisor.failure is None


async def test_timers_fire_once_and_move_when_set_again():
    """A timer set twice fires once, at the later time."""
    world = World(VirtualClock())
    second = world.clock.now_ns() + 2_000_000_000
    world.dispatch((SetTimer(key="k", at_ns=second - 1_000_000_000), SetTimer(key="k", at_ns=second)))
    world.clock.advance(1.5)
    assert world.sink.events == []
    world.clock.advance(1)
    assert world.sink.events == [TimerFired(key="k")]


async def test_resync_goes_to_the_feed_of_the_venue_and_stop_ends_the_run():
    """ResyncBook reaches the right feed; StopRun stops with the engine's reason."""
    world = World()
    asked: list[str] = []

    class Feed:
        venue = VenueId("two")
        resync = staticmethod(asked.append)

    world.dispatch.connect(world.sink, {VenueId("two"): Feed()}, world.catch_up_transfers)
    world.dispatch((ResyncBook(instrument=InstrumentId("BTC/USD@two")), StopRun(reason="drained")))
    assert (asked, world.supervisor.reason) == (["BTC/USD@two"], "drained")
