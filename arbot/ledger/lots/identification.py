"""Which identification of units counts: what was recorded where, and in time.

Rules of this file (26 CFR 1.1012-1(j)(2)-(4); Notice 2026-20; Rev. Proc. 2024-28 sections 4-6; read November 2026):
- COUNTS says which record counts. A pick must be there no later than the disposal, a standing order before it.
- A pick goes before a standing order. A standing order holds until another of its scope replaces it. Our reading, where the
  texts are silent: an order for an account and an asset goes before one for an account, that before one for an asset, and
  that before one for all.
- Until a global allocation of 2025 is carried out, a pick is void from 2025 on; standing orders count. Our reading: for
  every asset.
- What an order of ours said of its own units goes before standing orders. It was durable before the order left, so it is in
  time by cause, whatever the clocks of the venue say; from 2027 on a broker does not know of it, and it does not count.
- Where nothing counts, the policy's own method holds: FIFO by law, another one only in a what-if.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final, NamedTuple

from arbot.domain.history import LotMethod, format_ts
from arbot.ledger.lots.policy import AllocationKind, Custody, LotPolicy, Pick, StandingOrder

BROKER_YEAR: Final = 2027
"""From this year on a broker has to be told; before, the books are enough (Notice 2026-20 sections 3.03, 4.02)."""

ALLOCATION_YEAR: Final = 2025

_BOOKS, _TOLD = "recorded_ns", "told_broker_ns"

COUNTS: Final[dict[tuple[Custody, bool], tuple[str, ...]]] = {
    (Custody.SELF, False): (_BOOKS,),
    (Custody.SELF, True): (_BOOKS,),
    (Custody.BROKER, False): (_BOOKS, _TOLD),
    (Custody.BROKER, True): (_TOLD,),
}
"""(who keeps the units, is it 2027 or later) -> the records of which one is enough."""

_SINCE_EVER: Final = -(1 << 63)


class InForce(NamedTuple):
    """The method that chooses units, and when its order was recorded; 0 where no order does."""

    method: LotMethod
    identified_ns: int


class Identification:
    """Who chooses units, for one policy. `year_begin_ns` gives the instant at which a local year begins."""

    def __init__(self, policy: LotPolicy, year_begin_ns: Callable[[int], int]) -> None:
        self._policy = policy
        self._by_order = policy.by_order
        self._broker_ns = year_begin_ns(BROKER_YEAR)
        self._allocation_ns = year_begin_ns(ALLOCATION_YEAR)
        self._methods = sorted((year_begin_ns(year), method) for year, method in policy.method_by_year.items())
        self._timelines: dict[tuple[str, str], tuple[list[int], list[InForce]]] = {}

    def of(self, event: str, account: str, asset: str, ts_ns: int) -> InForce:
        """Return the method for the units of one disposal or transfer: what its own order said, else what is in force."""
        own = self._by_order.get(event) or self._by_order.get(event.removesuffix(":fee")) if self._by_order else None
        if own is not None and any(self._stamps(own, account, ts_ns)):
            return InForce(own.method, own.recorded_ns)
        return self.order(account, asset, ts_ns)

    def order(self, account: str, asset: str, ts_ns: int) -> InForce:
        """Return the method in force for units of an asset at an account at an instant."""
        timeline = self._timelines.get((account, asset))
        starts, found = self._timeline(account, asset) if timeline is None else timeline
        return found[-1] if ts_ns >= starts[-1] else found[bisect_right(starts, ts_ns) - 1]

    def picked(self, pick: Pick, account: str, ts_ns: int) -> tuple[Pick, int]:
        """Return the newest pick that counts for a disposal at `ts_ns`, and when it was made; 0 if none does."""
        for one in (pick, *pick.before):
            if picked_ns := self.picked_ns(one, account, ts_ns):
                return one, picked_ns
        return pick, 0

    def picked_ns(self, pick: Pick, account: str, ts_ns: int) -> int:
        """Return when a pick for a disposal at `ts_ns` was made, 0 if it does not count."""
        if self._is_allocation_open(ts_ns):
            return 0
        return min((at for at in self._stamps(pick, account, ts_ns) if 0 < at <= ts_ns), default=0)

    def why_void(self, account: str, ts_ns: int) -> str:
        """Return in words what a pick for a disposal at `ts_ns` lacks."""
        if self._is_allocation_open(ts_ns):
            return f"the global allocation of 2025 was {self._carried_out()}"
        needed = COUNTS[self._custody(account), ts_ns >= self._broker_ns]
        where = " nor told to the broker" if len(needed) > 1 else ""
        return (
            "it was not told to the broker by then" if needed == (_TOLD,) else f"it was not in the books{where} by then"
        )

    def _is_allocation_open(self, ts_ns: int) -> bool:
        policy = self._policy
        if policy.allocation is not AllocationKind.GLOBAL or ts_ns < self._allocation_ns:
            return False
        return not policy.allocation_completed_ns or ts_ns < policy.allocation_completed_ns

    def _carried_out(self) -> str:
        completed_ns = self._policy.allocation_completed_ns
        return f"carried out only at {format_ts(completed_ns)}" if completed_ns else "not carried out by then"

    def _custody(self, account: str) -> Custody:
        """Return who keeps an account: as set for it, or for its venue ("binance" for "binance.sub1")."""
        custody = self._policy.custody
        return custody.get(account) or custody.get(account.split(".", maxsplit=1)[0]) or self._policy.custody_default

    def _stamps(self, record: Pick | StandingOrder, account: str, ts_ns: int) -> list[int]:
        return [getattr(record, name) for name in COUNTS[self._custody(account), ts_ns >= self._broker_ns]]

    def _timeline(self, account: str, asset: str) -> tuple[list[int], list[InForce]]:
        """Draw once from when on which method holds: it can change only just after a record, and where a year begins."""
        orders = [each for each in self._policy.orders if each.account in {"", account} and each.asset in {"", asset}]
        changes = {_SINCE_EVER, self._broker_ns, *(begins for begins, _ in self._methods)}
        changes.update(at + 1 for each in orders for at in (each.recorded_ns, each.told_broker_ns) if at)
        starts = sorted(changes)
        timeline = starts, [self._at(orders, account, start) for start in starts]
        self._timelines[account, asset] = timeline
        return timeline

    def _at(self, orders: list[StandingOrder], account: str, ts_ns: int) -> InForce:
        best: tuple[bool, bool, int, int] | None = None
        for index, order in enumerate(orders):
            since = min((at for at in self._stamps(order, account, ts_ns) if 0 < at < ts_ns), default=0)
            rank = bool(order.account), bool(order.asset), since, index
            if since and (best is None or rank > best):
                best = rank
        if best is not None:
            return InForce(orders[best[3]].method, best[2])
        began = [method for begins, method in self._methods if begins <= ts_ns]
        return InForce(began[-1] if began else self._policy.method, 0)
