"""Average cost and superficial losses of Canada for one coin.

Rules of this file (secondary sources, as of 2026-11-22):
- Identical property has one average cost; a disposal leaves the average as it is.
- A loss is superficial when the coin was also bought from 30 days before to 30 days after the sale and is still held at the
  end of those days. Denied = loss * min(S, P, B) / S, with S units sold, P bought in the window, B held at its end. It is
  added to the cost of what is left; where nothing is left yet, to the next purchase.
- Every sale is judged by itself; whether purchases count for several sales is not in the facts. (Our reading.)
- A sale is settled when its 30 days are over: how much is denied depends on quantities alone, so one pass in order suffices.
- Cost of a part = cost * part / quantity, multiplied first, to 18 decimals; whoever takes all takes all that is left.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.units import EXACT, ZERO
from arbot.ledger.lots.parcels import share
from arbot.ledger.lots.words import Dispose, Remove, Slice

WINDOW_DAYS: Final = 30
AVERAGE: Final = "average"

_plus, _minus = EXACT.add, EXACT.subtract


class Settled(NamedTuple):
    """A slice, the day of its disposal, how much of its loss was denied, and the units that were never acquired."""

    day: int
    slice: Slice | None
    denied: Decimal
    missing: Decimal
    effect: Dispose


class _Bought(msgspec.Struct, frozen=True, gc=False):
    day: int
    ts_ns: int
    qty: Decimal
    cost: Decimal


class _Sold(msgspec.Struct, frozen=True, gc=False):
    day: int
    ts_ns: int
    effect: Dispose | Remove
    seq: int


class CoinAverage:
    """The pool of one coin and the events whose 30 days are not over."""

    __slots__ = (
        "asset",
        "bought_by_day",
        "carried",
        "cost",
        "held",
        "held_ends",
        "pool_ns",
        "qty",
        "sold_day_last",
        "waiting",
    )

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.qty = self.cost = ZERO
        self.carried = ZERO  # denied while nothing was held
        self.pool_ns = 0
        self.held = ZERO  # with everything heard, settled or not
        self.held_ends: deque[tuple[int, Decimal]] = deque()  # (day, held at its end)
        self.bought_by_day: dict[int, Decimal] = {}
        self.sold_day_last = -WINDOW_DAYS - 1
        self.waiting: deque[_Bought | _Sold] = deque()

    def acquire(self, day: int, ts_ns: int, qty: Decimal, cost: Decimal, *, bought_day: int | None = None) -> None:
        """Hear a purchase; `bought_day` when it was made on an earlier day than it came into history."""
        on = day if bought_day is None else bought_day
        self.bought_by_day[on] = _plus(self.bought_by_day.get(on, ZERO), qty)
        self._hold(day, qty)
        self.waiting.append(_Bought(day, ts_ns, qty, cost))

    def dispose(self, day: int, ts_ns: int, effect: Dispose | Remove, seq: int) -> None:
        """Hear a disposal, or units that leave without one."""
        self.sold_day_last = day
        self._hold(day, -effect.qty)
        self.waiting.append(_Sold(day, ts_ns, effect, seq))

    def settle(self, today: int | None, out: list[Settled]) -> None:
        """Settle every event whose 30 days were over when `today` began; None is the end of history."""
        waiting = self.waiting
        while waiting and (today is None or waiting[0].day + WINDOW_DAYS < today):
            event = waiting.popleft()
            if type(event) is _Bought:
                self._settle_bought(event)
            elif type(event) is _Sold:
                self._settle_sold(event, out)

    def copy(self) -> CoinAverage:
        """Return the same state, to be carried on without touching this one."""
        twin = CoinAverage(self.asset)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.held_ends, twin.waiting = self.held_ends.copy(), self.waiting.copy()
        return twin

    def _hold(self, day: int, change: Decimal) -> None:
        self.held = _plus(self.held, change)
        if self.held_ends and self.held_ends[-1][0] == day:
            self.held_ends.pop()
        self.held_ends.append((day, self.held))

    def _held_at_end_of(self, day: int) -> Decimal:
        """Return what was held then; days are asked in order."""
        ends = self.held_ends
        while len(ends) > 1 and ends[1][0] <= day:
            ends.popleft()
        return max(ends[0][1], ZERO)

    def _settle_bought(self, event: _Bought) -> None:
        if not self.qty:
            self.pool_ns = event.ts_ns
        self.qty = _plus(self.qty, event.qty)
        self.cost = _plus(self.cost, _plus(event.cost, self.carried))
        self.carried = ZERO

    def _settle_sold(self, event: _Sold, out: list[Settled]) -> None:
        effect, day = event.effect, event.day
        qty = min(effect.qty, self.qty)
        missing = _minus(effect.qty, qty)
        cost = share(self.cost, qty, self.qty)
        self.qty, self.cost = _minus(self.qty, qty), _minus(self.cost, cost)
        if type(effect) is not Dispose:
            return
        if not qty:
            out.append(Settled(day, None, ZERO, missing, effect))
            return
        proceeds = share(effect.proceeds, qty, effect.qty)
        denied = ZERO
        if proceeds < cost:
            window = range(day - WINDOW_DAYS, day + WINDOW_DAYS + 1)
            bought = sum((self.bought_by_day.get(each, ZERO) for each in window), ZERO)
            again = min(qty, bought, self._held_at_end_of(day + WINDOW_DAYS))
            denied = share(_minus(cost, proceeds), again, qty)
            if self.qty:
                self.cost = _plus(self.cost, denied)
            else:
                self.carried = _plus(self.carried, denied)
        basis = _minus(cost, denied)
        part = Slice(
            effect.disposal, f"{self.asset}:acb", self.asset, effect.account, qty, proceeds, basis,
            self.pool_ns, event.ts_ns, effect.why, AVERAGE, 0, event.seq,
        )  # fmt: skip
        out.append(Settled(day, part, denied, missing, effect))
