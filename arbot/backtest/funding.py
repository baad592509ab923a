"""Money that moves in a replay: deposits from outside, and transfers between venues that even out what arbs shifted.

A rebalance looks at each asset: what a venue has above its share of the opening balances goes to those below theirs.
It leaves at once, is nowhere for a drawn time, and arrives less the network fee. Moves smaller than `share_min` of all
there is of the asset are not made. Transfers that have not arrived when the tape ends arrive then: the fee is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Protocol

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.events import Event, TransferRejected
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import ApprovedTransfer
from arbot.domain.units import ZERO, floor_to_step
from arbot.sim.latency import Delay

IN_TRANSIT = VenueId("in transit")
SHARE_MIN = Decimal("0.05")
STEP = Decimal("0.00000001")  # what networks carry at the finest


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """Money from outside, so many ns after the start of the tape."""

    after_ns: int
    venue: VenueId
    asset: Asset
    qty: Decimal


class Rebalancing(msgspec.Struct, frozen=True, kw_only=True):
    """How often balances are evened out, how long that takes, and what the network takes per transfer of an asset."""

    every_ns: int
    delay: Delay
    fees: Mapping[Asset, Decimal]


class Purse(Protocol):
    """What moving money needs of a pretend venue."""

    def totals(self) -> dict[Asset, Decimal]:
        """Return all balances."""
        ...

    def available(self, asset: Asset) -> Decimal:
        """Return what is not reserved."""
        ...

    def deposit(self, asset: Asset, qty: Decimal) -> None:
        """Credit money from outside."""
        ...

    def withdraw(self, asset: Asset, qty: Decimal) -> None:
        """Debit money that leaves."""
        ...


class Ground(Protocol):
    """What moving money needs of a replay."""

    @property
    def venues(self) -> Mapping[VenueId, Purse]:
        """Return the pretend venues."""
        ...

    def after(self, delay_ns: int, call: Callable[[], None]) -> None:
        """Make the call later."""
        ...

    def value(self, asset: Asset, qty: Decimal) -> Decimal:
        """Return what that is worth now in the reporting currency."""
        ...

    def tell(self, events: tuple[Event, ...]) -> None:
        """Give the engine events now."""
        ...


class Funding:
    """All movements of one replay. `paid_in` and `costs` are in the reporting currency, at the time of each movement."""

    def __init__(self, deposits: tuple[Deposit, ...], rebalancing: Rebalancing | None, chance: Random) -> None:
        self._deposits = deposits
        self._rebalancing = rebalancing
        self._chance = chance
        self._opening: dict[Asset, dict[VenueId, Decimal]] = {}
        self._under_way: dict[int, tuple[VenueId, Asset, Decimal]] = {}
        self._count = 0
        self._ground: Ground
        self.paid_in = ZERO
        self.costs = ZERO

    def begin(self, ground: Ground) -> None:
        """Plan every movement; the opening balances are the shares that rebalancing goes back to."""
        self._ground = ground
        for venue, purse in ground.venues.items():
            for asset, total in purse.totals().items():
                self._opening.setdefault(asset, {})[venue] = total
        for deposit in self._deposits:
            ground.after(deposit.after_ns, lambda one=deposit: self._pay_in(one))  # type: ignore[misc]
        if self._rebalancing is not None:
            ground.after(self._rebalancing.every_ns, self._rebalance)

    def end(self) -> None:
        """Let arrive what is under way, and move nothing more."""
        self._rebalancing = None
        for number in tuple(self._under_way):
            self._arrive(number)

    def submit(self, approved: ApprovedTransfer) -> None:
        """Carry out a transfer that the engine decided on: here there are no networks, and so none is taken."""
        never = TransferRejected(transfer=approved.intent.transfer, detail="this replay has no networks, never sent")
        self._ground.tell((never,))

    def report(self, venue: VenueId) -> None:
        """Tell what a venue's history has of such transfers: nothing."""

    def in_transit(self) -> dict[Asset, Decimal]:
        """Return what has left one venue and not yet reached another, fees off."""
        sums: dict[Asset, Decimal] = {}
        for _, asset, qty in self._under_way.values():
            sums[asset] = sums.get(asset, ZERO) + qty
        return sums

    def _pay_in(self, deposit: Deposit) -> None:
        self._ground.venues[deposit.venue].deposit(deposit.asset, deposit.qty)
        self.paid_in += self._ground.value(deposit.asset, deposit.qty)

    def _rebalance(self) -> None:
        if self._rebalancing is None:
            return
        for source, target, asset, qty in tuple(self._moves()):
            fee = self._rebalancing.fees.get(asset, ZERO)
            if qty <= fee:
                continue
            self._ground.venues[source].withdraw(asset, qty)
            self.costs += self._ground.value(asset, fee)
            self._count += 1
            number = self._count
            self._under_way[number] = (target, asset, qty - fee)
            delay_ns = self._rebalancing.delay.draw_ns(self._chance)
            self._ground.after(delay_ns, lambda number=number: self._arrive(number))  # type: ignore[misc]
        self._ground.after(self._rebalancing.every_ns, self._rebalance)

    def _arrive(self, number: int) -> None:
        movement = self._under_way.pop(number, None)
        if movement is not None:
            target, asset, qty = movement
            self._ground.venues[target].deposit(asset, qty)

    def _moves(self) -> Iterator[tuple[VenueId, VenueId, Asset, Decimal]]:
        """Yield (from, to, asset, quantity): the largest surplus fills the largest gap first."""
        coming: dict[tuple[VenueId, Asset], Decimal] = {}
        for target, asset, qty in self._under_way.values():  # several may be under way to one place
            coming[target, asset] = coming.get((target, asset), ZERO) + qty
        for asset, opening in self._opening.items():
            whole = sum(opening.values(), ZERO)
            held = {
                venue: self._ground.venues[venue].totals().get(asset, ZERO) + coming.get((venue, asset), ZERO)
                for venue in opening
            }
            now = sum(held.values(), ZERO)
            if whole <= 0 or now <= 0:
                continue
            gaps = {venue: floor_to_step(now * opening[venue] / whole - held[venue], STEP) for venue in opening}
            while True:
                source, target = min(gaps, key=lambda venue: gaps[venue]), max(gaps, key=lambda venue: gaps[venue])
                free = self._ground.venues[source].available(asset)
                qty = min(-gaps[source], gaps[target], floor_to_step(free, STEP))
                if qty < SHARE_MIN * now:
                    break
                ensure(qty > 0, "a transfer of nothing", asset=asset)
                gaps[source] += qty
                gaps[target] -= qty
                yield source, target, asset, qty
