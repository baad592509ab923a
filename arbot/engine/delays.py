"""How long transfers take: a log-logistic law per route, from the registry's two numbers and our own transfers.

Rules of this file:
- The law is chosen for its tail, which falls as a power of the delay: a Gaussian, and still a lognormal, with the same
  middle gives a week-long jam a probability of nothing. Its quantiles have a closed form, so they are exact.
- ln(delay) has a mean and a variance. The prior counts as `prior_weight` transfers with the registry's p50 and p99; our own
  are added as the normal-inverse-gamma rule adds them. Without any, the quantiles are the registry's own.
- All numbers are Decimal, logs kept to twelve places: a replay comes to the same on every machine.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import NetworkEntry
from arbot.domain.transfer import DelayEvidence, Network
from arbot.domain.units import ONE, WIDE, ZERO, div
from arbot.engine.state import State

NS_PER_S = 1_000_000_000
P99 = Decimal("0.99")
MEDIAN = Decimal("0.5")
_LOG_STEP = Decimal("1E-12")
_VARIANCE_OF_UNIT = Decimal("3.289868133696452872944830333")  # pi squared / 3: of the logistic law with scale 1
_SPREAD_MIN = Decimal("1.01")  # p99 over p50, at least: a law without any spread has no quantiles


class Delay(NamedTuple):
    """A log-logistic law: `median_s` in seconds, and the scale of ln(delay)."""

    median_s: Decimal
    scale: Decimal

    def quantile_ns(self, share: Decimal) -> int:
        """Return the delay that this share (0 to 1, both excluded) of transfers stays below, in ns, rounded up."""
        odds = WIDE.ln(div(share, ONE - share))
        seconds = WIDE.multiply(self.median_s, WIDE.exp(WIDE.multiply(self.scale, odds)))
        return int((seconds * NS_PER_S).to_integral_value(rounding=ROUND_CEILING))

    def share_within(self, delay_ns: int) -> Decimal:
        """Return the share of transfers that take no longer than this, to four places."""
        if delay_ns <= 0:
            return ZERO
        ratio = div(Decimal(delay_ns), self.median_s * NS_PER_S)
        odds = WIDE.exp(div(WIDE.ln(ratio), self.scale))
        return WIDE.quantize(div(odds, ONE + odds), Decimal("0.0001"))


def prior(entry: NetworkEntry) -> Delay:
    """Return the law with the registry's two quantiles."""
    p50, p99 = entry.minutes_p50, max(entry.minutes_p99, entry.minutes_p50 * _SPREAD_MIN)
    return Delay(p50 * 60, div(WIDE.ln(div(p99, p50)), WIDE.ln(Decimal(99))))


def updated(before: Delay, weight: Decimal, seen: DelayEvidence | None) -> Delay:
    """Return the law after our own transfers; `weight` is how many transfers the prior counts for."""
    if seen is None or not seen.count:
        return before
    log_prior, count = WIDE.ln(before.median_s), Decimal(seen.count)
    whole = weight + count
    apart = seen.log_mean - log_prior
    mean = log_prior + div(count * apart, whole)
    squares = weight * before.scale * before.scale * _VARIANCE_OF_UNIT + seen.log_squares
    squares += div(weight * count * apart * apart, whole)
    return Delay(WIDE.exp(mean), WIDE.sqrt(div(squares, whole * _VARIANCE_OF_UNIT)))


def added(seen: DelayEvidence | None, source: VenueId, asset: Asset, network: Network, delay_ns: int) -> DelayEvidence:
    """Return the evidence with one more transfer in it."""
    log = WIDE.ln(div(Decimal(max(delay_ns, NS_PER_S // 1000)), Decimal(NS_PER_S)))
    count, mean, squares = (seen.count, seen.log_mean, seen.log_squares) if seen is not None else (0, ZERO, ZERO)
    apart = log - mean
    mean += div(apart, Decimal(count + 1))
    return DelayEvidence(
        source=source,
        asset=asset,
        network=network,
        count=count + 1,
        log_mean=WIDE.quantize(mean, _LOG_STEP),
        log_squares=WIDE.quantize(squares + apart * (log - mean), _LOG_STEP),
    )


def route_delay(state: State, source: VenueId, asset: Asset, network: Network) -> Delay:
    """Return what is believed now of transfers of an asset from a venue over a network."""
    before = prior(state.config.registry.network(network))
    weight = state.config.transfers.limits.prior_weight
    return updated(before, weight, state.delays.get((source, asset, network)))
