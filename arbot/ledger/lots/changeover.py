"""The end of the pool over all accounts: at the start of 2025 its lots are put into accounts, as allocated.

Rules of this file (Rev. Proc. 2024-28 sections 4-6, read November 2026):
- Allocated lots replace the pool's, asset by asset. They have to equal it in quantity and basis exactly, and in quantity
  what each account held; coins on their way count for the account they go to.
- Our reading: where all units of an asset are in one account there is nothing to choose, and no line is needed.
- What does not match is an open item. The run then goes on with the pool's own lots, earliest first, accounts by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from arbot.domain.history import LotMethod
from arbot.domain.units import EXACT, ZERO, fmt
from arbot.ledger.lots import refusals
from arbot.ledger.lots.parcels import Parcel, Parcels
from arbot.ledger.lots.words import Acquire, LotEffect, OpenItem, Send

Coming = tuple[int | None, str, str, Decimal]
"""(arrives_ns, to, asset, qty) of units on their way while lots were in one pool."""


class ChangeOver:
    """What has to be known of a pool in order to end it: units by account, units on their way, allocated lots."""

    def __init__(self) -> None:
        self._units: dict[tuple[str, str], Decimal] = {}
        self._coming: list[Coming] = []
        self._allocated: dict[str, list[Acquire]] = {}

    def __bool__(self) -> bool:
        """Say whether anything was allocated."""
        return bool(self._allocated)

    def see(self, effect: LotEffect) -> None:
        """Count the units that an effect brings to an account or takes from it."""
        if isinstance(effect, Acquire):
            self._count(effect.account, effect.asset, effect.qty)
            return
        self._count(effect.account, effect.asset, effect.qty.copy_negate())
        if isinstance(effect, Send):
            self._coming.append((effect.arrives_ns, effect.to, effect.asset, effect.qty))

    def allocate(self, effect: Acquire) -> None:
        """Note an allocated lot."""
        self._allocated.setdefault(effect.asset, []).append(effect)

    def arrive(self, ts_ns: int) -> None:
        """Count the units that have arrived by an instant."""
        still: list[Coming] = []
        for coming in self._coming:
            arrives_ns, to, asset, qty = coming
            if arrives_ns is not None and arrives_ns <= ts_ns:
                self._count(to, asset, qty)
            else:
                still.append(coming)
        self._coming = still

    def coming(self) -> list[Coming]:
        """Return what is on its way, in the order it left."""
        return self._coming

    def spread(self, asset: str, pool: Parcels, items: list[OpenItem]) -> Iterator[tuple[str, Parcel | Acquire]]:
        """Yield (account, lot) of what an asset's pool becomes: allocated lots, else its own parcels."""
        units = self._by_account(asset)
        allocated = self._allocated.get(asset, [])
        told = _differences(pool, units, allocated)
        if not told:
            yield from ((effect.account, effect) for effect in allocated)
            return
        if allocated or len(units) > 1:
            items.append(refusals.allocation_differs(asset, told))
        yield from _earliest_first(pool, units)

    def assets(self) -> list[str]:
        """Return the assets that were allocated."""
        return sorted(self._allocated)

    def _by_account(self, asset: str) -> dict[str, Decimal]:
        """Return the units of an asset by account, by name; those on their way are where they go."""
        units = {account: qty for (account, held), qty in self._units.items() if held == asset}
        for _, to, moved, qty in self._coming:
            if moved == asset:
                units[to] = EXACT.add(units.get(to, ZERO), qty)
        return {account: units[account] for account in sorted(units) if units[account]}

    def _count(self, account: str, asset: str, qty: Decimal) -> None:
        key = account, asset
        self._units[key] = EXACT.add(self._units.get(key, ZERO), qty)


def _differences(pool: Parcels, units: dict[str, Decimal], allocated: list[Acquire]) -> str:
    """Return in words how allocated lots differ from the pool and from what accounts hold; "" when they do not."""
    basis = ZERO
    for parcel in pool:
        basis = EXACT.add(basis, parcel.basis)
    given, by_account = ZERO, dict.fromkeys(units, ZERO)
    qty = ZERO
    for effect in allocated:
        qty, given = EXACT.add(qty, effect.qty), EXACT.add(given, effect.basis)
        by_account[effect.account] = EXACT.add(by_account.get(effect.account, ZERO), effect.qty)
    told = []
    if (qty, given) != (pool.held(), basis):
        told.append(
            f"it held {fmt(pool.held())} with basis {fmt(basis)}, allocated are {fmt(qty)} with basis {fmt(given)}"
        )
    for account in sorted(by_account):
        held = units.get(account, ZERO)
        if held != by_account[account]:
            told.append(f"{account} holds {fmt(held)}, allocated are {fmt(by_account[account])}")
    return "; ".join(told)


def _earliest_first(pool: Parcels, units: dict[str, Decimal]) -> Iterator[tuple[str, Parcel]]:
    for account, qty in units.items():
        if qty > 0:
            pieces, _ = pool.take(qty, LotMethod.FIFO)
            for parcel, part, basis in pieces:
                yield account, parcel.part(part, basis)
