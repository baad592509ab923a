"""Share matching of the United Kingdom for one token: same day, the next 30 days, the section 104 pool.

Rules of this file (TCGA 1992 s.104, s.105, s.106A; HMRC CRYPTO22200 and 22250-22257):
- All purchases of one day are one purchase, all disposals one disposal; they meet first, whichever came earlier.
- What is left of a disposal meets purchases of days 1 to 30 after it: earliest disposal first, earliest purchase first. A
  day's purchase serves its own day before it serves an earlier disposal.
- The rest leaves the pool at its average cost. What is left of a purchase joins the pool on its day. Units left of a
  purchase mean that no disposal of the 30 days before still waits, so the pool needs no earlier state of itself.
- Inside a day, parts go to the lines in the order of the ledger. The day's sums do not depend on that order.
- Cost of a part = total * part / quantity, multiplied first, to 18 decimals; the last part takes what is left.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from arbot.domain.units import EXACT, ZERO
from arbot.ledger.jurisdictions.days import day_text
from arbot.ledger.lots.parcels import share
from arbot.ledger.lots.words import Dispose, Remove, Slice, Why

WINDOW_DAYS: Final = 30
SAME_DAY: Final = "same-day"
THIRTY_DAY: Final = "30-day"
POOLED: Final = "s104"

_plus, _minus = EXACT.add, EXACT.subtract


class Sold(msgspec.Struct, gc=False):
    """What is left unmatched of one line's disposal."""

    disposal: str
    account: str
    qty: Decimal
    proceeds: Decimal
    day: int
    sold_ns: int
    why: Why
    seq: int
    is_silent: bool = False  # leaves without a disposal


class DaySlice(NamedTuple):
    """A slice and the day its disposal belongs to."""

    day: int
    slice: Slice


class Shortfall(NamedTuple):
    """Units disposed of that were never acquired."""

    disposal: str
    account: str
    qty: Decimal
    asset: str
    day: int


class TokenMatch:
    """The pool of one token, its open day, and the disposals that wait for a purchase."""

    __slots__ = (
        "asset",
        "bought_cost",
        "bought_ns",
        "bought_qty",
        "day",
        "pool_cost",
        "pool_ns",
        "pool_qty",
        "sold",
        "sold_day_last",
        "waiting",
    )

    def __init__(self, asset: str) -> None:
        self.asset = asset
        self.day = 0
        self.bought_qty = self.bought_cost = ZERO
        self.bought_ns = 0
        self.sold: list[Sold] = []
        self.sold_day_last = -WINDOW_DAYS - 1
        self.waiting: deque[Sold] = deque()
        self.pool_qty = self.pool_cost = ZERO
        self.pool_ns = 0  # when the first units came that the pool was built on since it was last empty

    def acquire(self, day: int, ts_ns: int, qty: Decimal, cost: Decimal) -> None:
        """Add to the purchase of the open day."""
        self.day = day
        if not self.bought_qty:
            self.bought_ns = ts_ns
        self.bought_qty = _plus(self.bought_qty, qty)
        self.bought_cost = _plus(self.bought_cost, cost)

    def dispose(self, day: int, ts_ns: int, effect: Dispose, seq: int) -> None:
        """Add to the disposal of the open day."""
        self.day = self.sold_day_last = day
        self.sold.append(
            Sold(effect.disposal, effect.account, effect.qty, effect.proceeds, day, ts_ns, effect.why, seq)
        )

    def remove(self, day: int, ts_ns: int, effect: Remove) -> None:
        """Let units leave as a disposal would, without one: their value is not known."""
        self.day = self.sold_day_last = day
        self.sold.append(
            Sold(effect.disposal, effect.account, effect.qty, ZERO, day, ts_ns, Why.SPEND, 0, is_silent=True)
        )

    def join_pool(self, ts_ns: int, qty: Decimal, cost: Decimal) -> None:
        """Add units straight to the pool: they were acquired before anything that still waits."""
        if not self.pool_qty:
            self.pool_ns = ts_ns
        self.pool_qty = _plus(self.pool_qty, qty)
        self.pool_cost = _plus(self.pool_cost, cost)

    def close_day(self, out: list[DaySlice]) -> None:
        """Match the open day: with itself, then with disposals that wait; what is left waits or joins the pool."""
        for sold in self.sold:
            if self.bought_qty:
                self._take_bought(sold, SAME_DAY, out)
            if sold.qty:
                self.waiting.append(sold)
        self.sold = []
        while self.bought_qty and self.waiting and self.waiting[0].day < self.day:
            self._take_bought(self.waiting[0], THIRTY_DAY, out)
            if not self.waiting[0].qty:
                self.waiting.popleft()
        if self.bought_qty:
            self.join_pool(self.bought_ns, self.bought_qty, self.bought_cost)
            self.bought_qty = self.bought_cost = ZERO

    def expire(self, today: int | None, out: list[DaySlice], short: list[Shortfall]) -> None:
        """Take from the pool what no purchase of `today` or later can meet any more; None is the end of history."""
        waiting = self.waiting
        while waiting and (today is None or waiting[0].day + WINDOW_DAYS < today):
            sold = waiting.popleft()
            qty = min(sold.qty, self.pool_qty)
            if qty:
                cost = share(self.pool_cost, qty, self.pool_qty)
                self.pool_qty = _minus(self.pool_qty, qty)
                self.pool_cost = _minus(self.pool_cost, cost)
                self._part(sold, qty, cost, (f"{self.asset}:pool", self.pool_ns, POOLED), out)
            if sold.qty and not sold.is_silent:
                short.append(Shortfall(sold.disposal, sold.account, sold.qty, self.asset, sold.day))

    def copy(self) -> TokenMatch:
        """Return the same state, to be carried on without touching this one."""
        twin = TokenMatch(self.asset)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.sold = [msgspec.structs.replace(sold) for sold in self.sold]
        twin.waiting = deque(msgspec.structs.replace(sold) for sold in self.waiting)
        return twin

    def _take_bought(self, sold: Sold, method: str, out: list[DaySlice]) -> None:
        bought_qty = self.bought_qty
        if sold.qty < bought_qty:
            qty = sold.qty
            cost = share(self.bought_cost, qty, bought_qty)
        else:
            qty, cost = bought_qty, self.bought_cost
        self.bought_qty = _minus(bought_qty, qty)
        self.bought_cost = _minus(self.bought_cost, cost)
        self._part(sold, qty, cost, (f"{self.asset}:{day_text(self.day)}", self.bought_ns, method), out)

    def _part(
        self, sold: Sold, qty: Decimal, basis: Decimal, source: tuple[str, int, str], out: list[DaySlice]
    ) -> None:
        """Take a part off a disposal and tell it as a slice."""
        lot, acquired_ns, method = source
        proceeds = share(sold.proceeds, qty, sold.qty)
        sold.qty = _minus(sold.qty, qty)
        sold.proceeds = _minus(sold.proceeds, proceeds)
        if sold.is_silent:
            return
        part = Slice(
            sold.disposal, lot, self.asset, sold.account, qty, proceeds, basis,
            acquired_ns, sold.sold_ns, sold.why, method, 0, sold.seq,
        )  # fmt: skip
        out.append(DaySlice(sold.day, part))


class Matching:
    """All tokens of one taxpayer. Days come in order; `turn_to` closes what is over."""

    def __init__(self) -> None:
        self.tokens: dict[str, TokenMatch] = {}
        self.shortfalls: list[Shortfall] = []
        self.today = 0

    def turn_to(self, day: int) -> list[DaySlice]:
        """Begin a day and return the slices that became certain by it. Asking for the same day again does nothing."""
        if day == self.today:
            return []
        self.today = day
        out: list[DaySlice] = []
        for token in self._ordered():
            token.close_day(out)
            token.expire(day, out, self.shortfalls)
        return out

    def token(self, asset: str) -> TokenMatch:
        """Return the match of a token, new when it was never seen."""
        match = self.tokens.get(asset)
        if match is None:
            match = self.tokens[asset] = TokenMatch(asset)
        return match

    def finish(self) -> list[DaySlice]:
        """Return the slices that waited for a purchase: no more will come."""
        out: list[DaySlice] = []
        for token in self._ordered():
            token.close_day(out)
            token.expire(None, out, self.shortfalls)
        return out

    def settled(self) -> list[TokenMatch]:
        """Return every token as it would be if history ended now, in the order of names."""
        twins = [token.copy() for token in self._ordered()]
        for twin in twins:
            twin.close_day([])
            twin.expire(None, [], [])
        return twins

    def _ordered(self) -> list[TokenMatch]:
        return [self.tokens[asset] for asset in sorted(self.tokens)]
