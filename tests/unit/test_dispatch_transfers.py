"""A withdrawal leaves once, only to the address that its target still gives out, and never ends in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from arbot.domain.commands import RaiseAlert, RequestTransfers, SubmitTransfer
from arbot.domain.errors import VenueError, VenueUnavailable
from arbot.domain.events import Event, TransferAccepted
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import ApprovedTransfer, DepositAddress, Network, TransferId, TransferIntent
from arbot.runtime.clock import SystemClock
from arbot.runtime.dispatch import Dispatch
from arbot.runtime.supervisor import Supervisor

KRAKEN, COINBASE = VenueId("kraken"), VenueId("coinbase")
APPROVED = ApprovedTransfer(
    TransferIntent(
        transfer=TransferId("1-t1"),
        source=KRAKEN,
        target=COINBASE,
        asset=Asset("BTC"),
        network=Network("bitcoin"),
        address="bc1-ours",
        tag="7",
        qty=Decimal(1),
        requested_ts_ns=1,
        actor="test",
    ),
    ("enabled",),
)


class FakeAccount:
    """A venue that gives out one address and takes withdrawals, or breaks."""

    def __init__(self, venue: VenueId, seen: list[str]) -> None:
        self.venue, self.seen = venue, seen
        self.address, self.tag = "bc1-ours", "7"
        self.error: BaseException | None = None
        self.address_error: BaseException | None = None

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        if self.address_error:
            raise self.address_error
        return DepositAddress(asset=asset, network=network, address=self.address, tag=self.tag)

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        self.seen.append(f"withdraw {approved.intent.qty}")
        if self.error:
            raise self.error
        return (TransferAccepted(transfer=approved.intent.transfer, venue_transfer_id="W1"),)


class World:
    """A dispatch between two fake accounts; what it says and does, in one list."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        clock = SystemClock()
        self.accounts = {venue: FakeAccount(venue, self.seen) for venue in (KRAKEN, COINBASE)}
        self.supervisor = Supervisor(clock)
        alerts: list[RaiseAlert] = []
        self.dispatch = Dispatch(clock=clock, gateways=self.accounts, supervisor=self.supervisor, alert=alerts.append)
        self.dispatch.connect(self, {}, self.catch_up)

    def submit(self, events: Sequence[Event]) -> None:
        """Note events."""
        for event in events:
            reason = f" {event.reason}" if getattr(event, "reason", "") else ""
            self.seen.append(type(event).__name__ + reason)

    async def catch_up(self, venue: VenueId) -> None:
        """Note that a history was asked for, and fail as venues do."""
        self.seen.append(f"history of {venue}")
        raise VenueUnavailable(venue, "down")

    async def run(self, *commands: SubmitTransfer | RequestTransfers) -> list[str]:
        """Carry out commands and return what was seen."""
        self.dispatch(commands)
        for _ in range(10):
            await asyncio.sleep(0)
        return self.seen


async def test_the_intent_leaves_once() -> None:
    """Say that it was sent before it is, and hand on the answer."""
    assert ["TransferSent", "withdraw 1", "TransferAccepted"] == await World().run(SubmitTransfer(approved=APPROVED))


@pytest.mark.parametrize("changed", ["address", "tag"])
async def test_a_rotated_address_stops_it(changed: str) -> None:
    """Send nothing when the target's present address or tag is not the allowed one."""
    world = World()
    setattr(world.accounts[COINBASE], changed, "another")

    assert ["TransferRejected address_changed"] == await world.run(SubmitTransfer(approved=APPROVED))


async def test_no_address_stops_it() -> None:
    """Send nothing when the target does not say its address."""
    world = World()
    world.accounts[COINBASE].address_error = VenueError(COINBASE, "no")

    assert ["TransferRejected address_changed"] == await world.run(SubmitTransfer(approved=APPROVED))


async def test_nothing_leaves_once_submits_are_halted() -> None:
    """Refuse a withdrawal at the end of a run like an order."""
    world = World()
    world.dispatch.halt_submits()

    assert ["TransferRejected"] == await world.run(SubmitTransfer(approved=APPROVED))


async def test_a_broken_request_is_unknown() -> None:
    """Call it unknown when the request breaks half-way, whatever broke it; before that it was never sent."""
    half, early = World(), World()
    half.accounts[KRAKEN].error = RuntimeError("bug")
    early.accounts[COINBASE].address_error = RuntimeError("bug")

    assert ["TransferSent", "withdraw 1", "TransferOutcomeUnknown"] == await half.run(SubmitTransfer(approved=APPROVED))
    assert ["TransferRejected"] == await early.run(SubmitTransfer(approved=APPROVED))


async def test_a_history_is_asked_for_once_at_a_time() -> None:
    """Let a second request join the first, and survive a venue that is down."""
    world = World()
    asked = await world.run(*(RequestTransfers(venue=KRAKEN),) * 2)

    assert ["history of kraken"] == asked
    assert ["history of kraken"] * 2 == await world.run(RequestTransfers(venue=KRAKEN))
