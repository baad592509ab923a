"""The sequencer gives events one order and lets no order leave before its intent is on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from arbot.domain.commands import Command, SetTimer, SubmitOrder
from arbot.domain.decisions import OpportunityDeclined, Outcome, Reason
from arbot.domain.errors import InvariantBroken
from arbot.domain.events import (
    BooksMoved,
    ClockSkewMeasured,
    Envelope,
    Event,
    OperatorRequested,
    OrderFilled,
    StandingRestored,
    TimerFired,
    Verb,
)
from arbot.domain.ids import ArbId, Asset, ClientOrderId, InstrumentId, VenueId
from arbot.domain.order import Approved, Fill, OrderIntent, Purpose, Side, TimeInForce
from arbot.domain.units import ZERO
from arbot.market.screen import APPARENT, CLEARS, QUIET
from arbot.ports import Record
from arbot.runtime.clock import VirtualClock
from arbot.runtime.sequencer import BURST_MAX, FLUSH_S, Sequencer
from tests.support.accounting import a_fill

BUY, SELL = InstrumentId("BTC/USD@one"), InstrumentId("BTC/USD@two")


def approved(name: str, venue: str, side: Side) -> Approved:
    return Approved(
        OrderIntent(
            client_order_id=ClientOrderId(name),
            arb_id=ArbId("1-1"),
            purpose=Purpose.LEG,
            venue=VenueId(venue),
            instrument=InstrumentId(f"BTC/USD@{venue}"),
            symbol="BTC/USD",
            base=Asset("BTC"),
            quote=Asset("USD"),
            side=side,
            qty=Decimal(1),
            limit_price=Decimal(100),
            tif=TimeInForce.IOC,
            fee_rate=ZERO,
            decided_ts_ns=1,
            deadline_ns=2,
        ),
        ("all",),
    )


LEGS = (
    SubmitOrder(approved=approved("ab1", "one", Side.BUY)),
    SubmitOrder(approved=approved("ab2", "two", Side.SELL)),
)
STANDING = StandingRestored(
    killed=False,
    paused=False,
    latched=(),
    day="2026-01-01",
    realised_day=ZERO,
    realised_total=ZERO,
    realised_peak=ZERO,
)


class World:
    """A sequencer whose every neighbour writes what it saw into one list."""

    def __init__(self, answer: Callable[[Event], Outcome] = lambda _: Outcome()) -> None:
        self.seen: list[tuple[str, object]] = []
        self.looks: dict[int, int] = {}
        self.known: set[str] = set()
        self.booked: set[str] = set()
        self.clock = VirtualClock()
        self.answer = answer
        self.now_standing = STANDING
        self.broken: list[Exception] = []
        self.commit_error: Exception | None = None
        self.books: dict[InstrumentId, None] = {}
        self.on_dispatch: Callable[[Sequence[Command]], None] = lambda _: None
        self.sequencer = Sequencer(
            clock=self.clock,
            engine=self,
            ledger=self,
            store=self,  # type: ignore[arg-type]
            screen=self,
            dispatch=self.dispatch,
            observe=lambda envelope, _: self.seen.append(("observed", type(envelope.event).__name__)),
            broken=self.broken.append,
            edges=self,
        )

    def gone(self, instrument: InstrumentId, ts_ns: int) -> None:
        self.seen.append(("gone", (instrument, ts_ns)))

    def step(self, envelope: Envelope) -> Outcome:
        self.seen.append(("stepped", (envelope.seq, type(envelope.event).__name__)))
        self.stamp = envelope.ts_ns
        return self.answer(envelope.event)

    def standing(self) -> StandingRestored:
        return self.now_standing

    def apply(self, envelope: Envelope, decisions: tuple) -> tuple:
        return ()

    def commit(self, records: Sequence[Record]) -> None:
        if self.commit_error:
            raise self.commit_error
        self.seen.append(("committed", tuple(record.envelope.seq for record in records)))

    def knows(self, client_order_id: ClientOrderId) -> bool:
        return client_order_id in self.known

    def is_booked(self, fill: Fill) -> bool:
        return fill.trade_id in self.booked

    def screen(self, index: int) -> int:
        return self.looks.get(index, CLEARS)

    def instrument(self, index: int) -> InstrumentId:
        return InstrumentId(f"S{index}@v")

    def recv_ts_ns(self, index: int) -> int:
        return self.clock.now_ns()

    def dispatch(self, commands: Sequence[Command]) -> None:
        if commands:
            self.seen.append(("dispatched", tuple(type(command).__name__ for command in commands)))
            self.on_dispatch(commands)
            self.seen.append(("handed over", len(commands)))

    def only(self, *words: str) -> list[tuple[str, object]]:
        return [entry for entry in self.seen if entry[0] in words]


def skew() -> ClockSkewMeasured:
    return ClockSkewMeasured(venue=VenueId("one"), skew_ms=1, rtt_ms=1)


def test_both_intents_are_one_commit_before_either_leaves():
    """Both legs' intents reach the disk in one commit, and only then are the orders handed out."""
    world = World(lambda event: Outcome(LEGS) if isinstance(event, BooksMoved) else Outcome())
    world.sequencer.submit((BooksMoved(instruments=(BUY, SELL)),))
    assert world.only("committed", "dispatched") == [
        ("committed", (1,)),
        ("dispatched", ("SubmitOrder", "SubmitOrder")),
    ]


def test_no_order_leaves_when_the_commit_fails():
    """A store that cannot write lets no order out and stops the sequencer for good."""
    world = World(lambda _: Outcome(LEGS))
    world.commit_error = OSError("disk full")
    with pytest.raises(OSError, match="disk full"):
        world.sequencer.submit((BooksMoved(instruments=(BUY,)),))
    assert world.only("dispatched") == []
    assert world.broken == [world.commit_error]
    assert world.sequencer.commit_errors == 1
    with pytest.raises(InvariantBroken):
        world.sequencer.submit((skew(),))


def test_a_step_that_raises_stops_everything_behind_it():
    """After a step raised, no later event of the same batch is decided."""

    def answer(_: Event) -> Outcome:
        raise InvariantBroken("planted")

    world = World(answer)
    with pytest.raises(InvariantBroken, match="planted"):
        world.sequencer.submit((skew(), skew()))
    assert world.only("stepped") == [("stepped", (1, "ClockSkewMeasured"))]
    assert len(world.broken) == 1


def test_what_a_step_causes_is_queued_not_recursed():
    """An event submitted while an event is handled is handled after it, in the order it came."""
    world = World(lambda event: Outcome((SetTimer(key="k", at_ns=1),)) if event == skew() else Outcome())
    world.on_dispatch = lambda _: world.sequencer.submit((TimerFired(key="k"),))
    world.sequencer.submit((skew(), OperatorRequested(verb=Verb.PAUSE, actor="t")))
    assert world.only("stepped", "handed over") == [
        ("stepped", (1, "ClockSkewMeasured")),
        ("handed over", 1),
        ("stepped", (2, "OperatorRequested")),
        ("stepped", (3, "TimerFired")),
    ]


def test_stamps_never_go_back():
    """When the clock is set back the stamp stays where it was."""
    world = World()
    world.sequencer.submit((skew(),))
    before = world.stamp
    world.clock._now_ns -= 3_600_000_000_000
    world.sequencer.submit((skew(),))
    assert world.stamp == before


def test_routine_events_are_flushed_together_soon():
    """What need not be durable at once is written within FLUSH_S, in one commit, in order."""
    world = World()
    world.sequencer.submit((skew(),))
    world.sequencer.submit((skew(),))
    assert world.only("committed") == []
    world.clock.advance(FLUSH_S)
    assert world.only("committed") == [("committed", (1, 2))]


def test_an_urgent_record_takes_the_waiting_ones_with_it():
    """A commit carries everything before it, so the journal has no holes."""
    world = World()
    world.sequencer.submit((skew(), OperatorRequested(verb=Verb.PAUSE, actor="t")))
    assert world.only("committed") == [("committed", (1, 2))]


def test_a_change_of_standing_is_durable_at_once():
    """A latch that trips is on disk before the step's commands leave."""
    world = World()

    def answer(_: Event) -> Outcome:
        world.now_standing = StandingRestored(
            killed=True, paused=False, latched=(), day="d", realised_day=ZERO, realised_total=ZERO, realised_peak=ZERO
        )
        return Outcome((SetTimer(key="k", at_ns=1),))

    world.answer = answer
    world.sequencer.submit((skew(),))
    assert world.only("committed", "dispatched") == [("committed", (1,)), ("dispatched", ("SetTimer",))]


def test_a_burst_is_one_event():
    """Books that move in one burst are given to the engine once, each once, in the order they moved."""
    moved: list[tuple[InstrumentId, ...]] = []
    world = World()
    world.answer = lambda event: moved.append(event.instruments) or Outcome()
    for book in (3, 1, 3):
        world.sequencer.book_moved(book)
    assert moved == []
    world.clock.advance(0)
    assert moved == [("S3@v", "S1@v")]


def test_a_burst_is_capped():
    """A burst that never ends is looked at after BURST_MAX books."""
    world = World()
    for book in range(BURST_MAX):
        world.sequencer.book_moved(book)
    assert world.only("stepped") == [("stepped", (1, "BooksMoved"))]


def test_a_book_the_screen_rejects_wakes_nobody():
    """Nothing is stepped for a book from which no route can clear its costs."""
    world = World()
    world.looks[1] = QUIET
    world.sequencer.book_moved(1)
    world.clock.advance(1)
    assert world.seen == []


def test_an_edge_that_costs_eat_up_is_told_once_while_it_lasts():
    """An apparent edge wakes the engine when it appears, not on every frame, and again after it was gone."""
    world = World()
    for look in (APPARENT, APPARENT, QUIET, APPARENT, CLEARS, CLEARS, APPARENT):
        world.looks[1] = look
        world.sequencer.book_moved(1)
        world.clock.advance(1)
    assert len(world.only("stepped")) == 5


@pytest.mark.parametrize("look", [QUIET, APPARENT])
def test_the_end_of_an_edge_is_told_to_who_waits_for_it(look: int):
    """A book that clears no more is told once it is waited for, by name and time; one that clears, or another, is not."""
    world = World()
    world.books = {InstrumentId("S1@v"): None}
    for book, seen in ((1, CLEARS), (2, look), (1, look)):
        world.looks[book] = seen
        world.sequencer.book_moved(book)
    assert world.only("gone") == [("gone", ("S1@v", world.clock.now_ns()))]


def test_a_booked_fill_of_a_forgotten_order_goes_no_further():
    """An old fill told again is dropped; one of an order the engine knows, or one never booked, is stepped."""
    for is_known, is_booked, steps in ((False, True, 0), (True, True, 1), (False, False, 1)):
        world = World()
        fill = a_fill()
        world.known = {fill.client_order_id} if is_known else set()
        world.booked = {fill.trade_id} if is_booked else set()
        world.sequencer.submit((OrderFilled(fill=fill),))
        assert len(world.only("stepped")) == steps


def test_a_declined_look_at_the_books_is_not_journaled():
    """A BooksMoved that led to declines only is observed but leaves no record."""
    declined = OpportunityDeclined(buy=BUY, sell=SELL, reason=Reason.NO_EDGE)
    world = World(lambda _: Outcome((), (declined,)))
    world.sequencer.submit((BooksMoved(instruments=(BUY,)),))
    world.clock.advance(1)
    assert world.only("committed", "observed") == [("observed", "BooksMoved")]
