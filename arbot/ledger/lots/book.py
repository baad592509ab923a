"""The lot book: which lots are where, which a disposal takes, and what is on its way.

Rules of this file:
- Lots never mix between accounts. In a pool (history before 2025, or a what-if) they are one heap per asset.
- A transfer carries id, basis, time and sequence. What is on its way cannot be sold; at one instant arrivals come first.
- Picks go first where they count, then the method in force (identification.py). An effect that names a lot takes that lot by
  rule, which nobody had to identify. A pick may name more than one disposal takes: the first named go.
- Units that have no lot are refused: an open item, no slice for them, and nothing of them moves on. Whatever other accounts
  hold is out of reach, and no basis is ever assumed.
- Proceeds are shared as basis is (parcels.py): the last piece of a disposal takes what is left of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from heapq import heappop, heappush
from typing import Final

from arbot.domain.errors import ensure
from arbot.domain.history import IN_TRANSIT, NS_PER_S, LotMethod
from arbot.domain.units import EXACT
from arbot.ledger.lots import refusals
from arbot.ledger.lots.changeover import ChangeOver
from arbot.ledger.lots.identification import ALLOCATION_YEAR, Identification
from arbot.ledger.lots.parcels import ENTRIES, Parcel, Parcels, Piece, share
from arbot.ledger.lots.policy import LotPolicy, Pool
from arbot.ledger.lots.refusals import Leaving
from arbot.ledger.lots.words import Acquire, Dispose, LotEffect, OpenItem, Remaining, Remove, Send, Slice

EVERYWHERE: Final = "*"
"""The account of lots in a pool over all accounts."""

PICK: Final = "pick"
"""The method of units that were named for one disposal."""

_subtract = EXACT.subtract

_NAMES: Final = {method: method.value for method in ENTRIES}

_Taken = list[tuple[list[Piece], str, int]]
"""Pieces with what chose them: a method or "pick", and when that was recorded."""


def utc_year_begin_ns(year: int) -> int:
    """Return the instant at which a year begins in UTC."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S


class LotBook:
    """Lots under one policy. Feed effects in order of time; instants never go back."""

    def __init__(
        self,
        policy: LotPolicy,
        year_begin_ns: Callable[[int], int] = utc_year_begin_ns,
        hear_move: Callable[[Send, list[Piece]], None] | None = None,
    ) -> None:
        """`year_begin_ns` gives the instant at which a local year begins; `hear_move` is told which lots set off."""
        methods = [policy.method, *policy.method_by_year.values(), *(order.method for order in policy.orders)]
        methods += {order.method: None for order in policy.by_order.values()}
        ensure(all(method in ENTRIES for method in methods), "a method that keeps no lots", methods=methods)
        self._hear_move = hear_move
        self._who = Identification(policy, year_begin_ns)
        self._picks = policy.picks
        self._pool = policy.pool
        self._is_pooled = policy.pool is not Pool.ACCOUNT
        self._change = ChangeOver() if policy.pool is Pool.UNTIL_2025 else None
        self._change_ns = year_begin_ns(ALLOCATION_YEAR)
        self._places: dict[tuple[str, str], Parcels] = {}
        self._assets_acquired: dict[str, None] = {}
        self._coming: list[tuple[int, int, str, str, list[Parcel]]] = []
        self._lost: list[tuple[str, Parcel]] = []
        self._lots = 0
        self._sent = 0
        self._items: list[OpenItem] = []
        self._notes: list[OpenItem] = []

    def advance(self, ts_ns: int) -> None:
        """Let time pass up to an instant: what arrives by then arrives, and a pool that ends by then is spread."""
        if self._change is not None and ts_ns >= self._change_ns:
            self._end_pool()
        coming = self._coming
        while coming and coming[0][0] <= ts_ns:
            _, _, to, asset, parcels = heappop(coming)
            place = self._place(to, asset)
            for parcel in parcels:
                place.add(parcel)

    def apply(self, effects: Iterable[LotEffect], ts_ns: int, seq: int) -> list[Slice]:
        """Book the effects of one line and return the slices of its disposals. `seq` is the place of the line."""
        if self._change is not None or (self._coming and self._coming[0][0] <= ts_ns):
            self.advance(ts_ns)
        slices: list[Slice] = []
        for effect in effects:
            kind = type(effect)
            if kind is Dispose:
                self._dispose(effect, ts_ns, seq, slices)  # type: ignore[arg-type]
            elif kind is Acquire:
                self._acquire(effect)  # type: ignore[arg-type]
            elif kind is Send:
                self._send(effect, ts_ns)  # type: ignore[arg-type]
            else:
                self._remove(effect, ts_ns)  # type: ignore[arg-type]
            if self._change is not None:
                self._change.see(effect)
        return slices

    def allocate(self, effect: Acquire, ts_ns: int) -> None:
        """Book a lot that a safe-harbour allocation put into an account as of the start of 2025."""
        if self._change is not None:
            self._change.allocate(effect)
        elif self._pool is Pool.UNTIL_2025:
            self._items.append(refusals.allocation_is_late(effect.lot, effect.account, effect.asset, ts_ns))
        elif effect.asset in self._assets_acquired:
            self._items.append(refusals.allocated_twice(effect.lot, effect.account, effect.asset))
        else:
            self.advance(ts_ns)
            self._place(effect.account, effect.asset).add(self._parcel(effect))

    def finish(self) -> None:
        """Take history as complete: every arrival that is known has happened, and an allocation that was told is carried out."""
        if self._change:
            self._end_pool()
        if self._coming:
            self.advance(max(arrives_ns for arrives_ns, *_ in self._coming))

    def remaining(self) -> list[Remaining]:
        """Return what is left, sorted by account, asset, time and lot."""
        found = [
            Remaining(account, asset, parcel.lot, parcel.qty, parcel.basis, parcel.acquired_ns)
            for (account, asset), place in self._places.items()
            for parcel in place
        ]
        moving = {asset: Parcels() for _, _, _, asset, _ in self._coming} | {
            asset: Parcels() for asset, _ in self._lost
        }
        for _, _, _, asset, parcels in self._coming:
            for parcel in parcels:
                moving[asset].add(parcel.part(parcel.qty, parcel.basis))
        for asset, parcel in self._lost:
            moving[asset].add(parcel.part(parcel.qty, parcel.basis))
        found += [
            Remaining(IN_TRANSIT, asset, parcel.lot, parcel.qty, parcel.basis, parcel.acquired_ns)
            for asset, place in moving.items()
            for parcel in place
        ]
        return sorted(found, key=lambda left: (left.account, left.asset, left.acquired_ns, left.lot))

    def open_items(self) -> list[OpenItem]:
        """Return what was refused, in the order it was met."""
        return self._items

    def notes(self) -> list[OpenItem]:
        """Return what is told and blocks nothing, in the order it was met."""
        return self._notes

    def refuse(self, item: OpenItem) -> None:
        """Note an open item found on the way to effects."""
        self._items.append(item)

    def _place(self, account: str, asset: str) -> Parcels:
        key = (EVERYWHERE if self._is_pooled else account, asset)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Parcels()
        return place

    def _parcel(self, effect: Acquire) -> Parcel:
        self._lots += 1
        return Parcel(effect.lot, effect.qty, effect.basis, effect.acquired_ns, self._lots)

    def _acquire(self, effect: Acquire) -> None:
        self._assets_acquired[effect.asset] = None
        self._place(effect.account, effect.asset).add(self._parcel(effect))

    def _dispose(self, effect: Dispose, ts_ns: int, seq: int, slices: list[Slice]) -> None:
        taken, missing = self._take(effect.disposal, effect, ts_ns, effect.lot)
        left = effect.proceeds
        to_come = 0
        if not missing:
            for pieces, _, _ in taken:
                to_come += len(pieces)
        for pieces, method, identified_ns in taken:
            for parcel, qty, basis in pieces:
                to_come -= 1
                if to_come:
                    proceeds = share(effect.proceeds, qty, effect.qty)
                    left = _subtract(left, proceeds)
                else:
                    proceeds = left
                slices.append(
                    Slice(
                        effect.disposal,
                        parcel.lot,
                        effect.asset,
                        effect.account,
                        qty,
                        proceeds,
                        basis,
                        parcel.acquired_ns,
                        ts_ns,
                        effect.why,
                        method,
                        identified_ns,
                        seq,
                    )
                )

    def _send(self, effect: Send, ts_ns: int) -> None:
        if self._is_pooled:
            return
        taken, _ = self._take(effect.transfer, effect, ts_ns)
        pieces = [piece for some, _, _ in taken for piece in some]
        if self._hear_move is not None:
            self._hear_move(effect, pieces)
        self._set_off(effect.to, effect.asset, effect.arrives_ns, pieces, ts_ns)

    def _set_off(self, to: str, asset: str, arrives_ns: int | None, pieces: list[Piece], ts_ns: int) -> None:
        parcels = [parcel.part(qty, basis) for parcel, qty, basis in pieces]
        if arrives_ns is None:
            self._lost += [(asset, parcel) for parcel in parcels]
        elif arrives_ns <= ts_ns:
            place = self._place(to, asset)
            for parcel in parcels:
                place.add(parcel)
        else:
            self._sent += 1
            heappush(self._coming, (arrives_ns, self._sent, to, asset, parcels))

    def _remove(self, effect: Remove, ts_ns: int) -> None:
        self._take(effect.disposal, effect, ts_ns)

    def _take(self, event: str, effect: Leaving, ts_ns: int, lot: str = "") -> tuple[_Taken, Decimal]:
        """Take units by lot, pick, or the method in force; return pieces with what chose them, and what is missing."""
        place = self._place(effect.account, effect.asset)
        method, identified_ns = self._who.of(event, effect.account, effect.asset, ts_ns)
        if lot:
            pieces, missing = place.take_of(lot, effect.qty)
            taken = [(pieces, _NAMES[method], 0)]
        elif event in self._picks:
            taken, missing = self._take_picked(event, effect, ts_ns)
        else:
            pieces, missing = place.take(effect.qty, method)
            taken = [(pieces, _NAMES[method], identified_ns)]
        if missing:
            self._items.append(refusals.units_missing(event, effect, ts_ns, missing))
        return taken, missing

    def _take_picked(self, event: str, effect: Leaving, ts_ns: int) -> tuple[_Taken, Decimal]:
        """Take the units named, as far as the pick counts and they are held; the rest by the method in force."""
        place = self._place(effect.account, effect.asset)
        method, identified_ns = self._who.of(event, effect.account, effect.asset, ts_ns)
        pick, picked_ns = self._who.picked(self._picks[event], effect.account, ts_ns)
        taken: _Taken = []
        left = effect.qty
        if picked_ns:
            for named in pick.lots:
                wanted = min(named.qty, left)
                pieces, missing = place.take_of(named.lot, wanted)
                taken.append((pieces, PICK, picked_ns))
                left = _subtract(left, _subtract(wanted, missing))
                if missing:
                    self._items.append(refusals.lot_not_held(event, effect, ts_ns, named.lot, missing))
        else:
            reason = self._who.why_void(effect.account, ts_ns)
            self._notes.append(refusals.pick_void(event, effect, ts_ns, reason, _NAMES[method]))
        pieces, missing = place.take(left, method)
        return [*taken, (pieces, _NAMES[method], identified_ns)], missing

    def _end_pool(self) -> None:
        """Put the pool's lots into accounts, and set off again what is on its way."""
        change, pools = self._change, self._places
        if change is None:
            return
        change.arrive(self._change_ns)
        self._change, self._is_pooled, self._places = None, False, {}
        for asset in sorted({asset for _, asset in pools} | set(change.assets())):
            for account, lot in change.spread(asset, pools.get((EVERYWHERE, asset), Parcels()), self._items):
                self._place(account, asset).add(self._parcel(lot) if isinstance(lot, Acquire) else lot)
        for arrives_ns, to, asset, qty in change.coming():
            pieces, _ = self._place(to, asset).take(qty, LotMethod.FIFO)
            self._set_off(to, asset, arrives_ns, pieces, self._change_ns)
