"""Coming back asks the venue before anything is believed, finds what was missed once, and trades only when all is equal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from arbot.domain.commands import CancelOrder, QueryOrder, RaiseAlert
from arbot.domain.errors import UserError, VenueRefused, VenueUnavailable
from arbot.domain.events import (
    AccountSnapshotReceived,
    Envelope,
    Event,
    OrderFilled,
    OrderRestored,
    OrderStatusReported,
    ReconciliationEnded,
    RunStarted,
    StandingRestored,
)
from arbot.domain.ids import Asset, ClientOrderId, InstrumentId, RunId, TradeId, VenueId, VenueOrderId
from arbot.domain.instrument import Balance
from arbot.domain.order import Fill, Liquidity, OrderState, Side
from arbot.domain.units import ZERO, Amount
from arbot.ledger.posting import Ledger
from arbot.ports import KeyPermissions, OpenOrder, StoredOrder
from arbot.runtime.clock import VirtualClock
from arbot.runtime.pollers import poll_venue
from arbot.runtime.reconcile import Reconciler
from arbot.runtime.recover import recover_venue, restore
from tests.unit.test_runtime_sequencer import STANDING, approved

VENUE = VenueId("one")
OLD = "ab0001000001101"  # epoch 1
FOREIGN = "ab0009000001101"


def order(name: str, state: OrderState, fills: tuple[Fill, ...] = ()) -> StoredOrder:
    return StoredOrder(
        intent=approved(name, "one", Side.BUY).intent, state=state, venue_order_id=VenueOrderId("v1"), fills=fills
    )


def fill(name: str = OLD, trade: str = "t1") -> Fill:
    return Fill(
        venue=VENUE,
        instrument=InstrumentId("BTC/USD@one"),
        base=Asset("BTC"),
        quote=Asset("USD"),
        client_order_id=ClientOrderId(name),
        venue_order_id=VenueOrderId("v1"),
        trade_id=TradeId(trade),
        side=Side.BUY,
        qty=Decimal(1),
        price=Decimal(100),
        fee=Amount(Decimal("0.4"), Asset("USD")),
        liquidity=Liquidity.TAKER,
        venue_ts_ns=5,
    )


class World:
    """A venue, a store and a ledger in memory, with the sink that keeps them in step as the sequencer would."""

    def __init__(self) -> None:
        self.venue = VENUE
        self.clock = VirtualClock()
        self.ledger = Ledger()
        self.orders: dict[str, StoredOrder] = {}
        self.kept_standing: StandingRestored | None = None
        self.cursor = 0
        self.events: list[Event] = []
        self.alerts: list[RaiseAlert] = []
        self.steps = 0
        self.truth = {"BTC": Decimal(2), "USD": Decimal(1000)}
        self.venue_fills: list[Fill] = []
        self.venue_open: list[OpenOrder] = []
        self.answers: dict[str, tuple[Event, ...]] = {}
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.errors: list[Exception] = []
        self.permissions = KeyPermissions(can_trade=True, can_withdraw=False, account="a", raw=())
        self.on_balances: Callable[[], None] = lambda: None
        self.reconciler = Reconciler(
            gateway=self,  # type: ignore[arg-type]
            sink=self,  # type: ignore[arg-type]
            store=self,  # type: ignore[arg-type]
            ledger=self.ledger,
            clock=self.clock,
            order_steps=lambda: self.steps,
            alert=self.alerts.append,
        )

    # sink
    def submit(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, OrderFilled) and self.ledger.is_booked(event.fill):
                continue
            self.events.append(event)
            self.ledger.apply(Envelope(len(self.events), self.clock.now_ns(), event))
            if isinstance(event, OrderFilled):
                before = self.orders[event.fill.client_order_id]
                self.orders[event.fill.client_order_id] = StoredOrder(
                    intent=before.intent,
                    state=before.state,
                    venue_order_id=before.venue_order_id,
                    fills=(*before.fills, event.fill),
                )
            if isinstance(event, OrderStatusReported) and event.state.is_terminal:
                before = self.orders[event.client_order_id]
                self.orders[event.client_order_id] = StoredOrder(
                    intent=before.intent, state=event.state, venue_order_id=before.venue_order_id, fills=before.fills
                )

    # store
    def standing(self) -> StandingRestored | None:
        return self.kept_standing

    def unsettled_orders(self) -> tuple[StoredOrder, ...]:
        return tuple(order for order in self.orders.values() if not order.state.is_terminal)

    def own_transfers(self, since_ns: int) -> tuple:
        return ()

    def order(self, name: str) -> StoredOrder | None:
        return self.orders.get(name)

    def fill_cursor_ns(self, venue: str) -> int:
        return self.cursor

    # gateway
    async def fetch_permissions(self) -> KeyPermissions:
        if self.errors:
            raise self.errors.pop(0)
        return self.permissions

    async def load_instruments(self) -> tuple:
        return ()

    async def fetch_fees(self) -> tuple:
        return ()

    async def fetch_time_ns(self) -> int:
        return self.clock.now_ns()

    async def fetch_fills(self, since_ns: int) -> tuple[Fill, ...]:
        return tuple(self.venue_fills)

    async def fetch_transfers(self, since_ns: int) -> tuple:
        return ()

    async def fetch_open_orders(self) -> tuple[OpenOrder, ...]:
        return tuple(self.venue_open)

    async def fetch_balances(self) -> tuple[Balance, ...]:
        if self.errors:
            raise self.errors.pop(0)
        self.on_balances()
        return tuple(Balance(asset=Asset(asset), total=total) for asset, total in self.truth.items())

    async def query(self, command: QueryOrder) -> tuple[Event, ...]:
        self.asked.append(command.client_order_id)
        return self.answers.get(command.client_order_id, ())

    async def cancel(self, command: CancelOrder) -> tuple[Event, ...]:
        self.cancelled.append(command.client_order_id)
        return ()

    async def recover(self, seconds: float = 3) -> None:
        task = asyncio.get_running_loop().create_task(recover_venue(self.reconciler, allow_withdraw=False))
        await self.clock.run_for(seconds, 0.1)
        if task.done():
            task.result()
        else:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def poll(self, seconds: float, then: Callable[[], None] = lambda: None, more: float = 0) -> None:
        """Poll once a second for a while; then something happens, and polling goes on for `more` seconds."""
        work = poll_venue(self.reconciler, interval_ms=1_000, beat=lambda _: None)
        task = asyncio.get_running_loop().create_task(work)
        await self.clock.run_for(seconds, 0.1)
        then()
        await self.clock.run_for(more, 0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


def filled_status(name: str = OLD) -> OrderStatusReported:
    return OrderStatusReported(
        client_order_id=ClientOrderId(name),
        state=OrderState.FILLED,
        venue_order_id=VenueOrderId("v1"),
        filled_qty=Decimal(1),
    )


async def test_a_venue_that_cannot_be_asked_twice_is_not_traded_until_it_can():
    """Streams may live while REST is gone: no arb is opened until a round succeeds again, and then one may be."""
    world = World()
    await world.reconciler.compare()
    world.errors = [VenueUnavailable("one", "no answer") for _ in range(3)]
    await world.poll(8.0)
    assert [(event.differences, event.detail) for event in world.of(ReconciliationEnded)] == [
        (1, ("one: cannot be asked: no answer",)),
        (0, ()),
    ]


async def test_one_failed_round_changes_nothing():
    """A hiccup between two good rounds is not told to the engine."""
    world = World()
    await world.reconciler.compare()
    world.errors = [VenueUnavailable("one", "no answer")]
    await world.poll(4.5)
    assert world.of(ReconciliationEnded) == []


async def test_a_market_without_a_quiet_moment_is_not_traded_until_there_was_one():
    """When orders never rest, balances cannot be compared: after four rounds no arb is opened until they could be."""
    world = World()
    await world.reconciler.compare()
    world.orders[OLD] = order(OLD, OrderState.OPEN)
    told: list[int] = []

    def rest() -> None:
        told.extend(event.differences for event in world.of(ReconciliationEnded))
        world.orders[OLD] = order(OLD, OrderState.CANCELED)

    await world.poll(14.0, rest, 5.0)
    assert told == [1]
    assert [event.differences for event in world.of(ReconciliationEnded)] == [1, 0]


async def test_a_new_store_opens_with_what_the_venue_holds():
    """On the first start the snapshot becomes the opening balances and trading may begin."""
    world = World()
    await world.recover()
    assert world.ledger.balance("assets:one", Asset("USD")) == 1000
    assert world.of(ReconciliationEnded) == [ReconciliationEnded(venue=VENUE, differences=0)]


def test_what_outlived_the_process_comes_first():
    """The standing, then the run, then the orders: before anything is asked of a venue."""
    world = World()
    world.kept_standing = STANDING
    world.orders[OLD] = order(OLD, OrderState.SENT)
    started = RunStarted(run_id=RunId("r"), epoch=2, code_version="1", config_digest="d", mode="demo")
    restore(world, world, started, 0)
    assert [type(event) for event in world.events] == [StandingRestored, RunStarted, OrderRestored]


async def test_an_order_found_filled_is_booked_once_and_then_balances_are_equal():
    """An order in doubt that had filled: its fill is booked from the query, not again from the history."""
    world = World()
    await world.reconciler.compare()
    world.orders[OLD] = order(OLD, OrderState.SENT)
    world.truth = {"BTC": Decimal(3), "USD": Decimal("899.6")}
    world.venue_fills = [fill()]
    world.cursor = 1
    world.answers[OLD] = (OrderFilled(fill=fill()), filled_status())
    await world.recover()
    assert len(world.of(OrderFilled)) == 1
    assert world.of(ReconciliationEnded)[-1].differences == 0


async def test_an_order_that_stays_unknown_blocks_trading():
    """While nobody can say what became of an order, reconciliation does not end well."""
    world = World()
    world.orders[OLD] = order(OLD, OrderState.UNKNOWN)
    await world.recover(8)
    assert [event.differences for event in world.of(ReconciliationEnded)] == [1, 1]
    assert world.asked == [OLD]


async def test_a_missed_fill_of_a_settled_order_is_found():
    """A fill that came after its order had ended is handed on once: the engine takes it for the orphan it is."""
    world = World()
    await world.reconciler.compare()
    world.orders[OLD] = order(OLD, OrderState.CANCELED)
    world.truth = {"BTC": Decimal(3), "USD": Decimal("899.6")}
    world.venue_fills = [fill()]
    world.cursor = 1
    await world.recover()
    await world.recover()
    relevant = [type(event) for event in world.events if isinstance(event, OrderRestored | OrderFilled)]
    assert relevant == [OrderFilled]
    assert world.of(ReconciliationEnded)[-1].differences == 0


async def test_an_open_order_without_intent_is_cancelled():
    """Our prefix but no intent: it is cancelled and a person is told; orders of others are left alone."""
    world = World()
    world.venue_open = [
        OpenOrder(
            client_order_id=ClientOrderId(name) if name else None,
            venue_order_id=VenueOrderId("v9"),
            instrument="BTC/USD@one",
            filled_qty=ZERO,
            state=OrderState.OPEN,
        )
        for name in (FOREIGN, None)
    ]
    await world.recover()
    assert world.cancelled == [FOREIGN]
    assert [alert.code for alert in world.alerts] == ["order_stray"]


async def test_a_difference_names_the_command_that_settles_it_and_blocks_trading():
    """Ledger and venue differ by 12.34 USD: said exactly, with its command, and trading does not begin."""
    world = World()
    await world.reconciler.compare()
    world.truth["USD"] += Decimal("12.34")
    await world.recover()
    ended = world.of(ReconciliationEnded)[-1]
    assert ended.differences == 1
    assert ended.detail == (
        'one USD: ledger 1000, venue 1012.34; settle with: arbot ledger adjust one USD 12.34 --reason "..."',
    )


async def test_balances_that_move_while_they_are_read_say_nothing():
    """A snapshot during which an order moved is thrown away and taken again."""
    world = World()
    moves = [1, 1]
    reads: list[int] = []

    def move() -> None:
        reads.append(world.steps)
        world.steps += moves.pop() if moves else 0

    world.on_balances = move
    await world.recover()
    assert reads == [0, 1, 2]
    assert len(world.of(AccountSnapshotReceived)) == 1
    assert world.of(ReconciliationEnded) == [ReconciliationEnded(venue=VENUE, differences=0)]


async def test_a_venue_that_is_down_is_tried_again():
    """Connection failures at start are waited out; no verdict is given meanwhile."""
    world = World()
    world.errors = [VenueUnavailable("one", "down"), VenueUnavailable("one", "down")]
    await world.recover(1.0)
    assert world.events == []
    await world.recover(5)
    assert world.of(ReconciliationEnded) == [ReconciliationEnded(venue=VENUE, differences=0)]


@pytest.mark.parametrize(("trade", "withdraw", "told"), [(True, True, "can withdraw"), (False, False, "may not trade")])
async def test_a_key_that_will_not_do_is_refused(trade: bool, withdraw: bool, told: str):
    """A key that can take money away, or cannot trade, ends the start with a message."""
    world = World()
    world.permissions = KeyPermissions(can_trade=trade, can_withdraw=withdraw, account="a", raw=())
    with pytest.raises(UserError, match=told):
        await world.recover()


async def test_a_wrong_key_is_the_users_to_mend():
    """A venue that refuses the key ends the start with what to check."""
    world = World()
    world.errors = [VenueRefused("one", "EAPI:Invalid key")]
    with pytest.raises(UserError, match="EAPI:Invalid key"):
        await world.recover()


async def test_recovering_twice_is_as_recovering_once():
    """A second recovery books nothing again."""
    world = World()
    await world.recover()
    before = world.ledger.balances()
    await world.recover()
    assert world.ledger.balances() == before


async def test_polling_finds_a_difference_and_its_end():
    """A difference seen by two snapshots stops trading; when it is explained trading resumes."""
    world = World()
    await world.recover()
    world.events.clear()
    beats: list[str] = []
    task = asyncio.get_running_loop().create_task(poll_venue(world.reconciler, interval_ms=1000, beat=beats.append))
    world.truth["USD"] += 1
    await world.clock.run_for(2, 0.1)
    assert [event.differences for event in world.of(ReconciliationEnded)] == [1]
    world.truth["USD"] -= 1
    await world.clock.run_for(4, 0.1)
    assert world.of(ReconciliationEnded)[-1].differences == 0
    assert beats
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
