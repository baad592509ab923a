"""Delays of transfers: the prior is the registry's, our own transfers move it, the tail stays heavy."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import NetworkEntry
from arbot.domain.transfer import DelayEvidence, Network
from arbot.engine.delays import MEDIAN, P99, Delay, added, prior, updated

MINUTE_NS = 60_000_000_000
ENTRY = NetworkEntry(minutes_p50=Decimal(40), minutes_p99=Decimal(480))
ROUTE = (VenueId("kraken"), Asset("BTC"), Network("bitcoin"))


def learned(*minutes: int) -> Delay:
    """Return the law after transfers that took so long."""
    seen: DelayEvidence | None = None
    for took in minutes:
        seen = added(seen, *ROUTE, took * MINUTE_NS)
    return updated(prior(ENTRY), Decimal(10), seen)


def minutes(law: Delay, share: Decimal) -> int:
    """Return a quantile in whole minutes."""
    return round(law.quantile_ns(share) / MINUTE_NS)


def test_without_transfers_of_our_own_the_registry_holds() -> None:
    """Give back both of the registry's quantiles, and the share that a delay has."""
    law = learned()

    assert (40, 480) == (minutes(law, MEDIAN), minutes(law, P99))
    assert [Decimal("0.5"), Decimal("0.99"), Decimal(0)] == [law.share_within(m * MINUTE_NS) for m in (40, 480, 0)]


def test_the_tail_is_a_power_law() -> None:
    """Ten times rarer is more than three times later: no Gaussian and no lognormal with these quantiles says so."""
    law = learned()

    assert 1675 == minutes(law, Decimal("0.999"))


def test_our_own_transfers_move_it() -> None:
    """Be quicker and surer after quick ones, later after one that took a week, and forget the order they came in."""
    quick = learned(20, 25, 22, 30, 18, 21, 24, 26)
    jammed = learned(20, 25, 22, 30, 18, 21, 24, 7 * 24 * 60)

    assert 31 == minutes(quick, MEDIAN)
    assert minutes(quick, P99) < 480 < minutes(jammed, P99)
    assert minutes(jammed, P99) == minutes(learned(7 * 24 * 60, 24, 21, 18, 30, 22, 25, 20), P99)


def test_a_law_without_spread_is_given_one() -> None:
    """Take a p99 at the p50 as one just above it."""
    law = prior(NetworkEntry(minutes_p50=Decimal(5), minutes_p99=Decimal(5)))

    assert law.quantile_ns(MEDIAN) < law.quantile_ns(P99)
