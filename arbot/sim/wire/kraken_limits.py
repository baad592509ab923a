"""Kraken's two counters: REST calls per key, and the matching engine's per account and pair. Both leak.

Numbers: docs.kraken.com spot REST rate limits and trading rate limits, read 2025-11. The row "unmetered" is ours: for
tests that ask more than any account may.
"""

from __future__ import annotations

import msgspec

from arbot.sim.wire.auth_kraken import KrakenRefused

NS_PER_S = 1_000_000_000
LOCKOUT_ERRORS = 15  # so many refused calls within a minute lock the key out
LOCKOUT_SECONDS = 900
PUBLIC_BURST, PUBLIC_PER_S = 30, 1.0


class Tier(msgspec.Struct, frozen=True):
    """Limits of one verification level: call counter maximum and decay per second, engine threshold and decay."""

    calls_max: float
    calls_decay: float
    engine_max: float
    engine_decay: float


TIERS = {
    "starter": Tier(15, 0.33, 60, 1.0),
    "intermediate": Tier(20, 0.5, 125, 2.34),
    "pro": Tier(20, 1.0, 180, 3.75),
    "unmetered": Tier(1e9, 1e9, 1e9, 1e9),
}

# age of the order below which a cancel or an amend costs so much
CANCEL_COSTS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
AMEND_COSTS = ((5, 3), (10, 2), (15, 1))


def cost_by_age(costs: tuple[tuple[int, int], ...], age_ns: int) -> int:
    """Return what touching an order of that age adds to the engine's counter."""
    return next((cost for seconds, cost in costs if age_ns < seconds * NS_PER_S), 0)


class Leaky:
    """A counter that falls by `decay` per second."""

    def __init__(self, maximum: float, decay: float) -> None:
        self._maximum = maximum
        self._decay = decay
        self._level = 0.0
        self._at_ns = 0

    def level(self, now_ns: int) -> float:
        """Return the counter now."""
        self._level = max(0.0, self._level - (now_ns - self._at_ns) / NS_PER_S * self._decay)
        self._at_ns = now_ns
        return self._level

    def add(self, cost: float, now_ns: int) -> bool:
        """Count; return False when that is over the maximum (it counts all the same)."""
        self._level = self.level(now_ns) + cost
        return self._level <= self._maximum


class Limits:
    """All counters of one venue."""

    def __init__(self, tier: str) -> None:
        self.tier = TIERS[tier]
        self._metered = tier != "unmetered"
        self._calls: dict[str, Leaky] = {}
        self._engine: dict[tuple[str, str], Leaky] = {}
        self._public: dict[str, Leaky] = {}
        self._errors: dict[str, list[int]] = {}
        self._locked_until_ns: dict[str, int] = {}

    def public_call(self, address: str, now_ns: int) -> None:
        """Count a public call of an address. Raises: KrakenRefused."""
        counter = self._public.setdefault(address, Leaky(PUBLIC_BURST, PUBLIC_PER_S))
        if self._metered and not counter.add(1, now_ns):
            raise KrakenRefused("EGeneral:Too many requests")

    def private_call(self, key: str, cost: int, now_ns: int) -> None:
        """Count a private call. Raises: KrakenRefused."""
        counter = self._calls.setdefault(key, Leaky(self.tier.calls_max, self.tier.calls_decay))
        if not counter.add(cost, now_ns):
            raise KrakenRefused("EAPI:Rate limit exceeded")

    def check_lockout(self, key: str, now_ns: int) -> None:
        """Refuse a key that is locked out. Raises: KrakenRefused."""
        if now_ns < self._locked_until_ns.get(key, 0):
            raise KrakenRefused("EGeneral:Temporary lockout")

    def refused(self, key: str, now_ns: int) -> None:
        """Count a refused call (bad signature, bad nonce, over the limit): too many of them lock the key out."""
        recent = [at for at in self._errors.get(key, ()) if at > now_ns - 60 * NS_PER_S]
        recent.append(now_ns)
        self._errors[key] = recent
        if len(recent) >= LOCKOUT_ERRORS:
            self._locked_until_ns[key] = now_ns + LOCKOUT_SECONDS * NS_PER_S
            self._errors[key] = []

    def engine(self, account: str, symbol: str, cost: int, now_ns: int) -> None:
        """Count a transaction at the matching engine; cancels are counted, never refused. Raises: KrakenRefused."""
        if not self._engine_counter(account, symbol).add(cost, now_ns):
            raise KrakenRefused("EOrder:Rate limit exceeded")

    def engine_cancel(self, account: str, symbol: str, age_ns: int, now_ns: int) -> None:
        """Count a cancel by the age of its order."""
        self._engine_counter(account, symbol).add(cost_by_age(CANCEL_COSTS, age_ns), now_ns)

    def _engine_counter(self, account: str, symbol: str) -> Leaky:
        return self._engine.setdefault((account, symbol), Leaky(self.tier.engine_max, self.tier.engine_decay))
