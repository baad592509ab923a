"""Customer accounts of a pretend venue: balances with holds, ledger rows, API keys. Every movement has two ends.

The counterparts are the CROWD (the synthetic market), FEES (the venue's income) and OUTSIDE (deposits, withdrawals,
opening balances). Over all of them every asset sums to zero at every moment; `Accounts.check` proves it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.units import ZERO
from arbot.sim.fees import Volume
from arbot.sim.model import LedgerKind, LedgerRow, SimBalance

CROWD, FEES, OUTSIDE = "#crowd", "#fees", "#outside"


class ApiKey(msgspec.Struct, kw_only=True):
    """A key of an account. `secret` is in the venue's own form; `nonce_last` is the high-water mark the venue keeps.

    `permissions` are the venue's own words; wires check them per call. `nonce_window` relaxes the nonce rule.
    """

    key: str
    secret: str
    account: str
    permissions: frozenset[str]
    name: str = "arbot"
    nonce_last: int = 0
    nonce_window: int = 0
    created_ns: int = 0
    ip_allowlist: tuple[str, ...] = ()


class Account:
    """One customer's money."""

    def __init__(self, name: str, volume_opening: Decimal) -> None:
        self.name = name
        self.totals: dict[str, Decimal] = {}
        self.holds: dict[str, Decimal] = {}
        self.ledger: list[LedgerRow] = []
        self.volume = Volume(volume_opening)

    def available(self, asset: str) -> Decimal:
        """Return what can be spent."""
        return self.totals.get(asset, ZERO) - self.holds.get(asset, ZERO)

    def balances(self) -> dict[str, SimBalance]:
        """Return every asset the account ever held."""
        return {asset: SimBalance(total, self.holds.get(asset, ZERO)) for asset, total in sorted(self.totals.items())}

    def change_hold(self, asset: str, change: Decimal) -> None:
        """Reserve more (positive) or release (negative)."""
        hold = self.holds.get(asset, ZERO) + change
        ensure(hold >= 0, "hold below zero", account=self.name, asset=asset, hold=hold)
        self.holds[asset] = hold
        ensure(hold <= self.totals.get(asset, ZERO), "more held than owned", account=self.name, asset=asset, hold=hold)


class Accounts:
    """All accounts of one venue and the three counterparts."""

    def __init__(self, rng: random.Random, ledger_id: Callable[[random.Random], str]) -> None:
        self._rng = rng
        self._ledger_id = ledger_id
        self._by_name: dict[str, Account] = {}
        self._counterparts: dict[tuple[str, str], Decimal] = {}
        self.keys: dict[str, ApiKey] = {}

    def open(self, name: str, volume_opening: Decimal = ZERO) -> Account:
        """Open an account whose 30-day volume starts at `volume_opening` (which sets its fee tier)."""
        ensure(name not in self._by_name and not name.startswith("#"), "account exists", account=name)
        account = Account(name, volume_opening)
        self._by_name[name] = account
        return account

    def get(self, name: str) -> Account:
        """Return an account that exists."""
        ensure(name in self._by_name, "no such account", account=name)
        return self._by_name[name]

    def names(self) -> tuple[str, ...]:
        """Return the accounts, in the order they were opened."""
        return tuple(self._by_name)

    def add_key(self, key: ApiKey) -> ApiKey:
        """Register a key."""
        self.get(key.account)
        self.keys[key.key] = key
        return key

    def move(
        self,
        name: str,
        asset: str,
        amount: Decimal,
        *,
        kind: LedgerKind,
        reference: str,
        counterpart: str,
        now_ns: int,
        fee: Decimal = ZERO,
    ) -> LedgerRow:
        """Change a balance by `amount - fee`, against `counterpart` and FEES, and write the ledger row.

        Raises: InvariantBroken when the balance would fall below zero (spot accounts do not borrow).
        """
        account = self.get(name)
        total = account.totals.get(asset, ZERO) + amount - fee
        ensure(total >= 0, "balance below zero", account=name, asset=asset, total=total)
        account.totals[asset] = total
        self._counter(counterpart, asset, -amount)
        self._counter(FEES, asset, fee)
        row = LedgerRow(
            ledger_id=self._ledger_id(self._rng),
            reference=reference,
            account=name,
            asset=asset,
            kind=kind,
            amount=amount,
            fee=fee,
            balance=total,
            ts_ns=now_ns,
        )
        account.ledger.append(row)
        return row

    def _counter(self, counterpart: str, asset: str, change: Decimal) -> None:
        key = (counterpart, asset)
        self._counterparts[key] = self._counterparts.get(key, ZERO) + change

    def check(self) -> None:
        """Prove that nothing was made or lost. Raises: InvariantBroken."""
        sums: dict[str, Decimal] = {}
        for account in self._by_name.values():
            booked: dict[str, Decimal] = {}
            for row in account.ledger:
                booked[row.asset] = booked.get(row.asset, ZERO) + row.amount - row.fee
            for asset, total in account.totals.items():
                ensure(booked.get(asset, ZERO) == total, "ledger and balance differ", account=account.name, asset=asset)
                hold = account.holds.get(asset, ZERO)
                ensure(0 <= hold <= total, "hold outside balance", account=account.name, asset=asset, hold=hold)
                sums[asset] = sums.get(asset, ZERO) + total
        for (_, asset), number in self._counterparts.items():
            sums[asset] = sums.get(asset, ZERO) + number
        ensure(all(total == 0 for total in sums.values()), "assets do not sum to zero", sums=sums)
