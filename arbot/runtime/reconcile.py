"""Compare what we believe with what one venue says: orders, fills, transfers, balances.

Rules:
- Only evidence goes to the engine: a fill we missed, a status we asked for, a snapshot taken while nothing was in flight.
- An order of an arb that is not flat was restored and is waited for. Any other open order with our prefix is cancelled.
- Balances are compared exactly, and only while no order of ours may still fill; a snapshot during which anything moved
  says nothing. Two snapshots in a row must differ before a difference is believed.
- Everything here can be done again at any time: fills are identified, states are asked for, nothing is counted up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog

from arbot.domain.commands import CancelOrder, QueryOrder, RaiseAlert, Severity
from arbot.domain.errors import VenueError
from arbot.domain.events import (
    AccountSnapshotReceived,
    ClockSkewMeasured,
    Event,
    FeesLoaded,
    InstrumentsLoaded,
    OrderFilled,
    OrderRestored,
    ReconciliationEnded,
    TransferReported,
    TransferRestored,
)
from arbot.domain.ids import Asset, ClientOrderId, InstrumentId, VenueId, parse_client_order_id
from arbot.domain.instrument import Balance
from arbot.domain.order import Fill, OrderState
from arbot.domain.units import ZERO, fmt
from arbot.ledger.posting import Difference
from arbot.ports import EventSink, Gateway, OpenOrder, Store, StoredOrder, StoredTransfer, Treasury
from arbot.runtime.clock import NS_PER_MS, NS_PER_S, Scheduler

FILLS_OVERLAP_NS = 60 * NS_PER_S  # a venue may list a fill late, under an earlier time than one we have
TRANSFERS_LOOKBACK_NS = 14 * 24 * 3600 * NS_PER_S
QUIET_TRIES = 5
QUIET_PAUSE_S = 0.3

_log = structlog.get_logger("arbot.reconcile")


class Ledger(Protocol):
    """What reconciling needs of the ledger."""

    def compare(self, venue: VenueId, balances: tuple[Balance, ...]) -> tuple[Difference, ...]:
        """Return every asset in which ledger and venue disagree."""
        ...


class Report(msgspec.Struct, frozen=True):
    """What a comparison of balances found. `is_known` is False when nothing quiet enough could be had."""

    is_known: bool
    differences: tuple[Difference, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """Return each difference and the command that settles it."""
        return tuple(settle_line(difference) for difference in self.differences)


UNKNOWN = Report(is_known=False)
AT_REST = (OrderState.OPEN, OrderState.PART_FILLED)


def settle_line(difference: Difference) -> str:
    """Return one difference in words, with the exact command that books it once its cause is understood."""
    lacking = fmt(difference.theirs - difference.ours)
    told = fmt(difference.theirs) if difference.is_listed else "nothing (not listed)"
    return (
        f"{difference.venue} {difference.asset}: ledger {fmt(difference.ours)}, venue {told}; settle with: "
        f'arbot ledger adjust {difference.venue} {difference.asset} {lacking} --reason "..."'
    )


class Reconciler:
    """The comparisons with one venue."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        sink: EventSink,
        store: Store,
        ledger: Ledger,
        clock: Scheduler,
        order_steps: Callable[[], int],
        alert: Callable[[RaiseAlert], None],
        is_awaited: Callable[[Difference], bool] = lambda _: False,
    ) -> None:
        self.venue = gateway.venue
        self.gateway = gateway
        self.clock = clock
        self._sink = sink
        self._store = store
        self._ledger = ledger
        self.order_steps = order_steps
        self.alert = alert
        self._is_awaited = is_awaited  # a transfer of ours, seen in balances and not yet in the history
        self._transfers: dict[tuple[str, bool], TransferReported] = {}  # by id and direction, as told last
        self._assets: tuple[Asset, ...] = ()
        self._woken = asyncio.Event()
        self.equal_ts_ns = 0  # when ledger and venue last agreed; 0: not yet in this run

    def wake(self) -> None:
        """End the present wait between two rounds."""
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Wait that long, or until woken."""
        handle = self.clock.call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            handle.cancel()
        self._woken.clear()

    def submit(self, *events: Event) -> None:
        """Give events to the engine."""
        self._sink.submit(events)

    # --- what the venue is ----------------------------------------------------------------------------------------------

    async def learn_instruments(self) -> None:
        """Load instruments and fees. Raises: VenueError."""
        instruments = await self.gateway.load_instruments()
        self._assets = tuple(dict.fromkeys(asset for one in instruments for asset in (one.base, one.quote)))
        self.submit(InstrumentsLoaded(venue=self.venue, instruments=instruments))
        self.submit(FeesLoaded(venue=self.venue, fees=await self.gateway.fetch_fees()))

    async def learn_status(self) -> None:
        """Ask the venue how it is. One that does not answer this shows it elsewhere: it is noted and no more."""
        if isinstance(self.gateway, Treasury):
            await self._hand_on_word("status", self.gateway.fetch_status())

    async def learn_networks(self) -> None:
        """Ask what can leave the venue. Silence after it has told counts as closed, so a failure is noted and no more."""
        if isinstance(self.gateway, Treasury):
            await self._hand_on_word("networks", self.gateway.fetch_networks(self._assets))

    async def _hand_on_word(self, what: str, asked: Awaitable[Event]) -> None:
        try:
            self.submit(await asked)
        except VenueError as error:
            _log.warning(f"the {what} of a venue could not be had", venue=self.venue, error=error.detail)

    async def measure_skew(self) -> None:
        """Compare the clocks at the middle of a round trip. Raises: VenueError."""
        before_ns = self.clock.now_ns()
        venue_ns = await self.gateway.fetch_time_ns()
        after_ns = self.clock.now_ns()
        self.submit(
            ClockSkewMeasured(
                venue=self.venue,
                skew_ms=(venue_ns - (before_ns + after_ns) // 2) // NS_PER_MS,
                rtt_ms=(after_ns - before_ns) // NS_PER_MS,
            )
        )

    # --- orders and fills -----------------------------------------------------------------------------------------------

    def unsettled(self) -> tuple[StoredOrder, ...]:
        """Return our orders here that may still fill, as far as the store knows."""
        return tuple(
            order
            for order in self._store.unsettled_orders()
            if order.intent.venue == self.venue and not order.state.is_terminal
        )

    async def query_unsettled(self) -> None:
        """Ask after every order that may still fill. Raises: VenueError."""
        for order in self.unsettled():
            await self._query(order)

    async def query_order(self, name: ClientOrderId) -> None:
        """Ask after one order, if it is one of ours. Raises: VenueError."""
        stored = self._store.order(name)
        if stored is not None:
            await self._query(stored)

    async def catch_up_fills(self) -> None:
        """Fetch fills since the newest one booked, with overlap, and hand on those that are missing. Raises: VenueError."""
        since_ns = self._fills_since_ns()
        if since_ns == 0:
            return
        for fill in await self.gateway.fetch_fills(max(0, since_ns - FILLS_OVERLAP_NS)):
            self._hand_on(fill)

    async def catch_up_transfers(self) -> None:
        """Hand on deposits and withdrawals whose state, transaction, amount or fee is news. Raises: VenueError."""
        for transfer in await self.gateway.fetch_transfers(self.clock.now_ns() - TRANSFERS_LOOKBACK_NS):
            key = (transfer.transfer_id, transfer.qty > 0)
            if self._transfers.get(key) != transfer:
                self._transfers[key] = transfer
                self.submit(transfer)

    async def cancel_strays(self) -> None:
        """Cancel open orders with our prefix that we do not wait for; their fills come in as orphans. Raises: VenueError."""
        known = {order.intent.client_order_id for order in self.unsettled()}
        for order in await self.gateway.fetch_open_orders():
            name = order.client_order_id
            if name is None or name in known or parse_client_order_id(name) is None:
                continue
            await self._cancel_stray(order, name)

    # --- balances -------------------------------------------------------------------------------------------------------

    async def compare(self) -> Report:
        """Compare balances twice if need be; hand the snapshot on when it was taken in a quiet moment. Raises: VenueError."""
        report = await self._compare_once()
        if report.differences:
            await self.clock.sleep(QUIET_PAUSE_S)
            await self.catch_up_fills()
            await self.cancel_strays()
            await self.catch_up_transfers()
            report = await self._compare_once()
        if report.is_known and not report.differences:
            self.equal_ts_ns = self.clock.now_ns()
        return report

    def conclude(self, report: Report) -> None:
        """Tell the engine, and a person when something differs."""
        lines = report.lines()
        self.submit(ReconciliationEnded(venue=self.venue, differences=len(lines), detail=lines))
        for line in lines:
            self.alert(RaiseAlert(severity=Severity.CRITICAL, code="ledger_differs", text=line))

    async def _compare_once(self) -> Report:
        for _ in range(QUIET_TRIES):
            steps = self.order_steps()
            under_way = self.unsettled()
            if all(order.intent.tif.rests and order.state in AT_REST for order in under_way):
                balances = await self.gateway.fetch_balances()
                if under_way:  # what rests may fill at any moment: were that in the balances, its news has come by now
                    await self.clock.sleep(QUIET_PAUSE_S)
                if steps == self.order_steps():
                    self.submit(AccountSnapshotReceived(venue=self.venue, balances=balances))
                    found = self._ledger.compare(self.venue, balances)
                    return Report(is_known=True, differences=tuple(one for one in found if not self._is_awaited(one)))
            await self.clock.sleep(QUIET_PAUSE_S)
        return UNKNOWN

    # --- parts ----------------------------------------------------------------------------------------------------------

    def _fills_since_ns(self) -> int:
        unsettled = [order.intent.decided_ts_ns for order in self.unsettled()]
        cursor_ns = self._store.fill_cursor_ns(self.venue)
        return min(filter(None, (cursor_ns, *unsettled)), default=0)

    def _hand_on(self, fill: Fill) -> None:
        """Hand on a fill of an order whose intent is ours; another arbot's on the same account is for a person."""
        if self._store.order(fill.client_order_id) is not None:
            self.submit(OrderFilled(fill=fill))
            return
        text = (
            f"{self.venue}: trade {fill.trade_id} fills {fill.client_order_id}, which has our prefix and no intent here"
        )
        self.alert(RaiseAlert(severity=Severity.CRITICAL, code="fill_unknown", text=text))

    async def _query(self, order: StoredOrder) -> None:
        intent = order.intent
        events = await self.gateway.query(
            QueryOrder(
                client_order_id=intent.client_order_id,
                venue=self.venue,
                instrument=intent.instrument,
                venue_order_id=order.venue_order_id,
                since_ns=intent.decided_ts_ns,
            )
        )
        self.submit(*events)

    async def _cancel_stray(self, order: OpenOrder, name: ClientOrderId) -> None:
        known = "ended for us" if self._store.order(name) is not None else "has no intent in this store"
        text = f"{self.venue}: open order {name} has our prefix but {known}; cancelling it"
        self.alert(RaiseAlert(severity=Severity.WARNING, code="order_stray", text=text))
        await self.gateway.cancel(
            CancelOrder(
                client_order_id=name,
                venue=self.venue,
                instrument=InstrumentId(order.instrument),
                venue_order_id=order.venue_order_id,
            )
        )


def restored_event(stored: StoredOrder) -> OrderRestored:
    """Return the event that puts a stored order back into the engine."""
    return OrderRestored(
        intent=stored.intent, state=stored.state, venue_order_id=stored.venue_order_id, fills=stored.fills
    )


def restored_transfer(stored: StoredTransfer) -> TransferRestored:
    """Return the event that puts a stored transfer back into the engine."""
    news = stored.life[-1].news
    return TransferRestored(
        intent=stored.intent,
        state=news.after,
        venue_transfer_id=news.venue_transfer_id,
        tx_id=news.tx_id,
        qty_credited=sum((credit.qty for credit in news.credits), ZERO),
        since_ns=news.since_ns,
        sent_ts_ns=news.sent_ts_ns,
        is_listed=news.is_listed,
        qty_sent=news.qty_sent,
        fee_paid=news.fee_paid,
        credits=news.credits,
    )
