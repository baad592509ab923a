"""Money that moves in a replay: transfers even out what arbs shifted, once."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from arbot.backtest.funding import Funding, Rebalancing
from arbot.domain.ids import Asset, VenueId
from arbot.domain.units import ZERO
from arbot.sim.latency import FixedDelay

USD = Asset("USD")
HOUR_NS = 3_600_000_000_000


class Purse:
    """An account of dollars."""

    def __init__(self, usd: str) -> None:
        self.usd = Decimal(usd)

    def totals(self) -> dict[Asset, Decimal]:
        """Return the balance."""
        return {USD: self.usd}

    def available(self, _asset: Asset) -> Decimal:
        """Return the balance: nothing is reserved."""
        return self.usd

    def deposit(self, _asset: Asset, qty: Decimal) -> None:
        """Credit."""
        self.usd += qty

    def withdraw(self, _asset: Asset, qty: Decimal) -> None:
        """Debit."""
        self.usd -= qty


class Ground:
    """Three accounts, and a list of calls that wait for their time."""

    def __init__(self, *usd: str) -> None:
        self.venues = {VenueId(name): Purse(one) for name, one in zip(("a", "b", "c"), usd, strict=True)}
        self.now_ns = 0
        self._calls: list[tuple[int, int, Callable[[], None]]] = []

    def after(self, delay_ns: int, call: Callable[[], None]) -> None:
        """Make the call later."""
        self._calls.append((self.now_ns + delay_ns, len(self._calls), call))

    def value(self, _asset: Asset, qty: Decimal) -> Decimal:
        """Return the same: dollars are what is reported in."""
        return qty

    def go_to(self, now_ns: int) -> None:
        """Make every call that is due up to then."""
        while due := sorted(one for one in self._calls if one[0] <= now_ns):
            self._calls.remove(due[0])
            self.now_ns = due[0][0]
            due[0][2]()
        self.now_ns = now_ns


def test_what_is_under_way_from_two_places_is_not_sent_again():
    """Count every transfer that is on its way to a venue, not the last one only."""
    ground = Ground("100", "100", "100")
    rebalancing = Rebalancing(every_ns=HOUR_NS, delay=FixedDelay(ms=10 * 3_600_000), fees={})
    funding = Funding((), rebalancing, random.Random(1))
    funding.begin(ground)
    for name, usd in (("a", "150"), ("b", "150"), ("c", "0")):
        ground.venues[VenueId(name)].usd = Decimal(usd)

    ground.go_to(HOUR_NS)
    assert [(VenueId("c"), USD, Decimal(50))] * 2 == list(funding._under_way.values())
    ground.go_to(5 * HOUR_NS)

    assert {USD: Decimal(100)} == funding.in_transit()
    funding.end()
    assert [Decimal(100)] * 3 == [purse.usd for purse in ground.venues.values()]
    assert ZERO == funding.costs
