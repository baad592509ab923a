"""Carry out commands: the only caller of gateways about orders.

Rules:
- By the time a SubmitOrder arrives here its intent is durable (sequencer.py).
- OrderSent is given to the engine before the request can leave; both legs are on their way before either is answered.
- A request about an order never ends in silence: cancelled half-way, or broken by an error nobody foresaw, it is
  RequestOutcomeUnknown before anything else happens. Only the end of the run cancels one, after waiting for it.
- Once `halt_submits` is called no order leaves, whatever the engine says; cancels and queries go on.
- A withdrawal is asked for after its target gave out, just now, the very address that the allow list has: any other
  answer, or none, and nothing leaves. It too is never asked for twice, and never ends in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from arbot.domain.commands import (
    CancelAllOrders,
    CancelOrder,
    CancelTimer,
    Command,
    QueryOrder,
    RaiseAlert,
    RequestAccountSnapshot,
    RequestTransfers,
    ResyncBook,
    SetTimer,
    Severity,
    StopRun,
    SubmitOrder,
    SubmitTransfer,
)
from arbot.domain.decisions import Reason
from arbot.domain.errors import VenueError
from arbot.domain.events import (
    AccountSnapshotReceived,
    Event,
    OrderRejected,
    OrderSent,
    RejectCode,
    RequestOutcomeUnknown,
    TransferOutcomeUnknown,
    TransferRejected,
    TransferSent,
)
from arbot.domain.ids import VenueId
from arbot.domain.order import Approved
from arbot.domain.transfer import ApprovedTransfer, TransferIntent
from arbot.ports import Account, EventSink, Feed
from arbot.runtime.clock import Scheduler
from arbot.runtime.supervisor import Supervisor
from arbot.runtime.timers import Timers

CANCEL_ALL_WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0)  # a venue's rate limit passes in that time
_log = structlog.get_logger("arbot.dispatch")


class Dispatch:
    """Takes what the engine wants and makes it happen."""

    def __init__(
        self,
        *,
        clock: Scheduler,
        gateways: Mapping[VenueId, Account],
        supervisor: Supervisor,
        alert: Callable[[RaiseAlert], None],
    ) -> None:
        self._clock = clock
        self._gateways = gateways
        self._supervisor = supervisor
        self._alert = alert
        self._are_submits_halted = False
        self._cancelling: dict[VenueId, asyncio.Future[int]] = {}
        self._feeds: Mapping[VenueId, Feed] = {}
        self._asking: set[VenueId] = set()  # whose deposits and withdrawals are being fetched
        self._sink: EventSink
        self.timers = Timers(clock, lambda fired: self._sink.submit((fired,)))
        self._table: dict[type[Any], Callable[[Any], None]] = {
            SubmitOrder: self._submit_order,
            CancelOrder: lambda command: self._ask(command, "cancel", self._gateways[command.venue].cancel),
            QueryOrder: lambda command: self._ask(command, "query", self._gateways[command.venue].query),
            CancelAllOrders: lambda command: self._spawn(self.cancel_all(command.venue), f"cancel-all:{command.venue}"),
            RequestAccountSnapshot: lambda command: self._spawn(
                self._snapshot(command.venue), f"snapshot:{command.venue}"
            ),
            SubmitTransfer: self._submit_transfer,
            RequestTransfers: self._request_transfers,
            ResyncBook: self._resync,
            SetTimer: self.timers.set,
            CancelTimer: self.timers.cancel,
            RaiseAlert: lambda _: None,  # the observers have told it with the outcome
            StopRun: lambda command: supervisor.stop(command.reason),
        }

    def connect(
        self, sink: EventSink, feeds: Mapping[VenueId, Feed], catch_up_transfers: Callable[[VenueId], Awaitable[None]]
    ) -> None:
        """Say where answers go, whose books can be resynchronised, and what hands on news of a venue's transfers; once."""
        self._sink = sink
        self._feeds = feeds
        self._catch_up_transfers = catch_up_transfers

    def __call__(self, commands: Sequence[Command]) -> None:
        """Start every command; nothing here waits."""
        for command in commands:
            self._table[type(command)](command)

    def halt_submits(self) -> None:
        """Let no order leave from now on."""
        self._are_submits_halted = True

    async def cancel_all(self, venue: VenueId) -> int:
        """Cancel all our orders at a venue until none is left; return how many are left after the last try, -1 unknown.

        Whoever asks while it is under way waits for the same answer: the venue's allowance is for cancels, not for echoes.
        """
        running = self._cancelling.get(venue)
        if running is not None:
            return await asyncio.shield(running)
        self._cancelling[venue] = answer = asyncio.get_running_loop().create_future()
        left = -1
        try:
            left = await self._cancel_all(venue)
        finally:
            del self._cancelling[venue]
            answer.set_result(left)
        return left

    async def _cancel_all(self, venue: VenueId) -> int:
        left = -1
        for wait_s in CANCEL_ALL_WAITS_S:
            try:
                left = await self._gateways[venue].cancel_all()
            except VenueError as error:
                _log.warning("cancel all failed", venue=venue, error=error.detail)
            if left == 0:
                return 0
            await self._clock.sleep(wait_s)
        text = f"{venue}: {'unknown how many' if left < 0 else left} orders open after cancelling all"
        self._alert(RaiseAlert(severity=Severity.CRITICAL, code="orders_open", text=text))
        return left

    def _submit_order(self, command: SubmitOrder) -> None:
        intent = command.approved.intent
        if self._are_submits_halted:
            self._sink.submit(
                (
                    OrderRejected(
                        client_order_id=intent.client_order_id, code=RejectCode.OTHER, detail="halted, never sent"
                    ),
                )
            )
            return
        self._sink.submit((OrderSent(client_order_id=intent.client_order_id),))
        self._spawn(self._submit(command.approved), f"submit:{intent.client_order_id}")

    async def _submit(self, approved: Approved) -> None:
        client_order_id = approved.intent.client_order_id
        try:
            events = await self._gateways[approved.intent.venue].submit(approved)
        except BaseException as error:  # cancelled, or a bug: in both cases the order may be at the venue
            self._unknown(client_order_id, "submit", f"{type(error).__name__}: {error}")
            raise
        self._sink.submit(events)

    def _unknown(self, client_order_id: Any, request: str, detail: str) -> None:
        self._sink.submit((RequestOutcomeUnknown(client_order_id=client_order_id, request=request, detail=detail),))

    # --- transfers ------------------------------------------------------------------------------------------------------

    def _submit_transfer(self, command: SubmitTransfer) -> None:
        self._spawn(self._transfer(command.approved), f"submit:{command.approved.intent.transfer}")

    async def _transfer(self, approved: ApprovedTransfer) -> None:
        """Withdraw, if the target still takes deposits at the address that was allowed."""
        intent = approved.intent
        try:
            obstacle = await self._address_differs(intent)
        except BaseException as error:  # cancelled, or a bug: nothing has left yet, and the engine is told so
            self._never_sent(intent, f"{type(error).__name__}: {error}")
            raise
        if self._are_submits_halted:
            self._never_sent(intent, "halted")
            return
        if obstacle:
            self._never_sent(intent, obstacle, Reason.ADDRESS_CHANGED)
            return
        self._sink.submit((TransferSent(transfer=intent.transfer),))
        try:
            events = await self._gateways[intent.source].withdraw(approved)
        except BaseException as error:  # cancelled, or a bug: in both cases the venue may have begun
            detail = f"{type(error).__name__}: {error}"
            self._sink.submit((TransferOutcomeUnknown(transfer=intent.transfer, detail=detail),))
            raise
        self._sink.submit(events)

    async def _address_differs(self, intent: TransferIntent) -> str:
        """Return how the target's own word differs from the allow list, nothing when it does not."""
        place = f"{intent.asset} over {intent.network}"
        try:
            told = await self._gateways[intent.target].fetch_deposit_address(intent.asset, intent.network)
        except VenueError as error:
            return f"{intent.target} does not say where it takes {place}: {error.detail}"
        if (told.address, told.tag) == (intent.address, intent.tag):
            return ""
        allowed, given = (
            f"{address} {tag}".strip() for address, tag in ((intent.address, intent.tag), (told.address, told.tag))
        )
        return f"{intent.target} takes {place} at {given}, and the allow list has {allowed}"

    def _never_sent(self, intent: TransferIntent, detail: str, reason: str = "") -> None:
        rejected = TransferRejected(transfer=intent.transfer, detail=f"{detail}; never sent", reason=reason)
        self._sink.submit((rejected,))

    def _request_transfers(self, command: RequestTransfers) -> None:
        if command.venue not in self._asking:
            self._asking.add(command.venue)
            self._spawn(self._fetch_transfers(command.venue), f"transfers:{command.venue}")

    async def _fetch_transfers(self, venue: VenueId) -> None:
        try:
            await self._catch_up_transfers(venue)
        except VenueError as error:
            _log.warning("transfers not asked for", venue=venue, error=error.detail)
        finally:
            self._asking.discard(venue)

    def _ask(self, command: CancelOrder | QueryOrder, name: str, call: Callable[[Any], Any]) -> None:
        async def ask() -> None:
            try:
                events: tuple[Event, ...] = await call(command)
            except VenueError as error:
                _log.warning(f"{name} failed", venue=command.venue, order=command.client_order_id, error=error.detail)
                return
            self._sink.submit(events)

        self._spawn(ask(), f"{name}:{command.client_order_id}")

    async def _snapshot(self, venue: VenueId) -> None:
        try:
            balances = await self._gateways[venue].fetch_balances()
        except VenueError as error:
            _log.warning("snapshot failed", venue=venue, error=error.detail)
            return
        self._sink.submit((AccountSnapshotReceived(venue=venue, balances=balances),))

    def _resync(self, command: ResyncBook) -> None:
        self._feeds[VenueId(command.instrument.rpartition("@")[2])].resync(command.instrument)

    def _spawn(self, work: Any, name: str) -> None:
        self._supervisor.spawn(work, name)
