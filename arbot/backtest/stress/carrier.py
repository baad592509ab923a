"""Transfers between the pretend venues of a disaster: what leaves one on the way to another, and when it is there.

Rules:
- A request is answered like an order: taken or refused by a word, or not at all by a venue that is gone.
- What was taken waits at its source first (longer where withdrawals are slow) and is the source's to lose; then it is on
  the network, nobody's to lose, and slower while that is jammed. A closed target credits it once it opens.
- Every venue tells its terms when they change and every POLL_NS: what may leave, what may come, and the fee.
Delays are drawn by the network's own quantiles from the scenario's seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Protocol

import msgspec

from arbot.backtest.stress.file import Disaster, NetworkFile
from arbot.domain.errors import ensure
from arbot.domain.events import (
    Event,
    MovementState,
    NetworksReported,
    TransferAccepted,
    TransferOutcomeUnknown,
    TransferRejected,
    TransferReported,
    TransferSent,
)
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import ApprovedTransfer, Network, NetworkTerms, TransferIntent
from arbot.domain.units import ZERO
from arbot.sim.latency import LognormalDelay
from arbot.sim.replayed import ReplayedVenue

NS_PER_MINUTE = 60_000_000_000
POLL_NS = 30 * NS_PER_MINUTE
ANSWER_NS = 200_000_000
GIVE_UP_NS = 10_000_000_000
AT_SOURCE_NS = 5 * NS_PER_MINUTE  # assumption: a withdrawal is looked at for so long before it is broadcast
LOOK_NS = NS_PER_MINUTE  # a closed target is looked at again after this


class Ground(Protocol):
    """What carrying needs of a replay."""

    @property
    def venues(self) -> Mapping[VenueId, ReplayedVenue]:
        """Return the pretend venues."""
        ...

    def now_ns(self) -> int:
        """Return the time."""
        ...

    def at(self, ts_ns: int, call: Callable[[], None]) -> None:
        """Make the call then."""
        ...

    def tell(self, events: tuple[Event, ...]) -> None:
        """Give the engine events."""
        ...


class Parcel(msgspec.Struct, kw_only=True):
    """One transfer that its source has taken. `step` counts the plans made for it: older ones are void."""

    intent: TransferIntent
    number: int
    fee: Decimal
    network_ns: int  # how long it takes on an open network
    sent_ns: int
    due_ns: int = 0
    is_out: bool = False  # on the network
    is_there: bool = False
    step: int = 0
    told: str = ""  # what its source told of it last
    is_credit_told: bool = False


class Carrier:
    """All transfers of one play."""

    def __init__(self, disaster: Disaster, chance: Random, *, tells_closures: bool = True) -> None:
        self._disaster = disaster
        self._chance = chance
        self._tells_closures = tells_closures
        self._ground: Ground
        self.parcels: list[Parcel] = []
        self._closed: set[tuple[VenueId, Asset, str, str]] = set()  # venue, asset, network, what
        self._slow: dict[VenueId, float] = {}
        self._jam: dict[str, float] = {}
        self._charge: dict[str, Decimal] = {}

    def begin(self, ground: Ground) -> None:
        """Tell everybody's terms now and from time to time."""
        self._ground = ground
        if self._disaster.networks:
            self._poll()

    def _poll(self) -> None:
        for venue in self._ground.venues:
            self.tell_terms(venue)
        self._ground.at(self._ground.now_ns() + POLL_NS, self._poll)

    # --- terms --------------------------------------------------------------------------------------------------------

    def change(self, venue: VenueId, asset: str, network: str, what: str, *, is_open: bool) -> None:
        """Open or close a venue's deposits or withdrawals, of one asset and network or of all, and have it told."""
        for name, terms in self._disaster.networks.items():
            if asset in ("", terms.asset) and network in ("", name):
                key = (venue, Asset(terms.asset), name, what)
                (self._closed.discard if is_open else self._closed.add)(key)
        self.tell_terms(venue)

    def is_open(self, venue: VenueId, asset: str, network: str, what: str) -> bool:
        """Return whether that can be done now."""
        return (venue, Asset(asset), network, what) not in self._closed

    def fee(self, network: str) -> Decimal:
        """Return what a transfer costs now."""
        return self._disaster.networks[network].fee * self._charge.get(network, Decimal(1))

    def tell_terms(self, venue: VenueId) -> None:
        """Tell what a venue takes and gives out, unless it is gone."""
        pretend = self._ground.venues[venue]
        if pretend.faults.is_gone:
            return
        held = pretend.totals()
        told = tuple(
            NetworkTerms(
                asset=Asset(terms.asset),
                network=Network(name),
                can_deposit=not self._tells_closures or self.is_open(venue, terms.asset, name, "can_deposit"),
                can_withdraw=not self._tells_closures or self.is_open(venue, terms.asset, name, "can_withdraw"),
                fee=self.fee(name),
            )
            for name, terms in self._disaster.networks.items()
            if terms.asset in held
        )
        if told:
            self._ground.tell((NetworksReported(venue=venue, networks=told),))

    def slow(self, venue: VenueId, factor: float) -> None:
        """Make withdrawals wait longer at a venue, those that wait already included."""
        before, self._slow[venue] = self._slow.get(venue, 1.0), factor
        for parcel in self.parcels:
            if not parcel.is_out and parcel.intent.source == venue:
                self._stretch(parcel, factor / before, self._leave)

    def charge(self, network: str, factor: Decimal) -> None:
        """Change a network's fee, and have it told."""
        self._charge[network] = factor
        for venue in self._ground.venues:
            self.tell_terms(venue)

    def jam(self, network: str, factor: float) -> None:
        """Slow a network down, what is on it included."""
        before, self._jam[network] = self._jam.get(network, 1.0), factor
        for parcel in self.parcels:
            if parcel.is_out and not parcel.is_there and parcel.intent.network == network:
                self._stretch(parcel, factor / before, self._arrive)

    # --- one transfer -------------------------------------------------------------------------------------------------

    def submit(self, approved: ApprovedTransfer) -> None:
        """Send a request to the source venue."""
        intent, ground = approved.intent, self._ground
        ground.tell((TransferSent(transfer=intent.transfer),))
        if ground.venues[intent.source].faults.is_gone:
            unknown = TransferOutcomeUnknown(transfer=intent.transfer, detail="no answer")
            ground.at(ground.now_ns() + GIVE_UP_NS, lambda: ground.tell((unknown,)))
            return
        ground.at(ground.now_ns() + ANSWER_NS, lambda: self._answer(intent))

    def _answer(self, intent: TransferIntent) -> None:
        ground, source = self._ground, self._ground.venues[intent.source]
        fee = self.fee(intent.network)
        refusal = ""
        if not self.is_open(intent.source, intent.asset, intent.network, "can_withdraw"):
            refusal = "withdrawals are suspended"
        elif source.available(intent.asset) < intent.qty + fee:
            refusal = "insufficient funds"
        if refusal:
            ground.tell((TransferRejected(transfer=intent.transfer, detail=refusal),))
            return
        terms = self._disaster.networks[intent.network]
        parcel = Parcel(
            intent=intent,
            number=len(self.parcels) + 1,
            fee=fee,
            network_ns=_delay(terms).draw_ns(self._chance),
            sent_ns=ground.now_ns(),
        )
        self.parcels.append(parcel)
        source.move(intent.asset, -(intent.qty + fee))
        ground.tell((TransferAccepted(transfer=intent.transfer, venue_transfer_id=_name(parcel)),))
        self._report(parcel, MovementState.PENDING)
        self._plan(parcel, round(AT_SOURCE_NS * self._slow.get(intent.source, 1.0)), self._leave)

    def _leave(self, parcel: Parcel) -> None:
        """Put a transfer on its network, once its source lets it go."""
        intent = parcel.intent
        is_gone = self._ground.venues[intent.source].faults.is_gone
        if is_gone or not self.is_open(intent.source, intent.asset, intent.network, "can_withdraw"):
            self._plan(parcel, LOOK_NS, self._leave)
            return
        parcel.is_out = True
        self._report(parcel, MovementState.DONE)
        self._plan(parcel, round(parcel.network_ns * self._jam.get(intent.network, 1.0)), self._arrive)

    def _arrive(self, parcel: Parcel) -> None:
        intent = parcel.intent
        target = self._ground.venues[intent.target]
        if target.faults.is_gone or not self.is_open(intent.target, intent.asset, intent.network, "can_deposit"):
            self._plan(parcel, LOOK_NS, self._arrive)
            return
        parcel.is_there = True
        target.move(intent.asset, intent.qty)
        self._credit(parcel)

    def _plan(self, parcel: Parcel, delay_ns: int, call: Callable[[Parcel], None]) -> None:
        parcel.step += 1
        parcel.due_ns = self._ground.now_ns() + delay_ns
        step = parcel.step
        self._ground.at(parcel.due_ns, lambda: call(parcel) if parcel.step == step else None)

    def _stretch(self, parcel: Parcel, factor: float, call: Callable[[Parcel], None]) -> None:
        ensure(factor > 0, "a delay needs a factor above zero", factor=factor)
        self._plan(parcel, round(max(0, parcel.due_ns - self._ground.now_ns()) * factor), call)

    # --- what is told -------------------------------------------------------------------------------------------------

    def report(self, venue: VenueId) -> None:
        """Tell what a venue could not tell when it happened; repeating what was told would change nothing."""
        for parcel in self.parcels:
            if parcel.intent.source == venue:
                self._report(parcel, MovementState.DONE if parcel.is_out else MovementState.PENDING)
            elif parcel.intent.target == venue and parcel.is_there:
                self._credit(parcel)

    def _report(self, parcel: Parcel, state: MovementState) -> None:
        intent = parcel.intent
        if not self._ground.venues[intent.source].faults.is_gone and parcel.told != state:
            parcel.told = state
            self._ground.tell((self._seen(parcel, intent.source, -intent.qty, parcel.fee, state),))

    def _credit(self, parcel: Parcel) -> None:
        target = self._ground.venues[parcel.intent.target]
        if not target.faults.is_gone and not parcel.is_credit_told:
            parcel.is_credit_told = True
            seen = self._seen(parcel, parcel.intent.target, parcel.intent.qty, ZERO, MovementState.DONE)
            self._ground.tell((seen, target.snapshot()))

    def _seen(
        self, parcel: Parcel, venue: VenueId, qty: Decimal, fee: Decimal, state: MovementState
    ) -> TransferReported:
        intent = parcel.intent
        return TransferReported(
            venue=venue,
            transfer_id=_name(parcel) if venue == intent.source else f"in-{_name(parcel)}",
            asset=intent.asset,
            qty=qty,
            fee=fee,
            state=state,
            venue_ts_ns=parcel.sent_ns if venue == intent.source else parcel.due_ns,
            network=intent.network,
            address=intent.address,
            tag=intent.tag,
            tx_id=f"tx-{parcel.number}" if parcel.is_out else "",
        )

    def at_source(self) -> list[Parcel]:
        """Return what a venue has taken off the balance and not let go."""
        return [parcel for parcel in self.parcels if not parcel.is_out]

    def on_network(self) -> list[Parcel]:
        """Return what is between two venues."""
        return [parcel for parcel in self.parcels if parcel.is_out and not parcel.is_there]


def _name(parcel: Parcel) -> str:
    return f"w{parcel.number}"


def _delay(terms: NetworkFile) -> LognormalDelay:
    return LognormalDelay(
        p50_ms=float(terms.minutes_p50) * 60_000,
        p99_ms=max(float(terms.minutes_p99), float(terms.minutes_p50)) * 60_000,
    )
