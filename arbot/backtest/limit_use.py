"""How near the risk limits a replay came, from what was decided and filled; as `arbot status` measures them live.

Limits that bound one arb (its notional, its books' ages) are not here: they fill no further over time. Shares are floats:
they are drawn, not decided upon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.ids import VenueId
from arbot.domain.units import ZERO, div
from arbot.engine.config import RiskLimits

MINUTE_NS = 60_000_000_000
DAY_NS = 86_400_000_000_000


class LimitUse:
    """Follows the measures that go up and down; `take` returns the most since it was asked last."""

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self._sent: dict[VenueId, deque[int]] = {}
        self._peaks: dict[str, Decimal] = {}
        self._day = -1
        self._realised_day = ZERO
        self._realised = ZERO
        self._realised_peak = ZERO

    @property
    def realised(self) -> Decimal:
        """Net profit of closed arbs since the start."""
        return self._realised

    def ordered(self, venue: VenueId, ts_ns: int) -> None:
        """Count an order towards its venue's orders of the last minute."""
        sent = self._sent.setdefault(venue, deque())
        while sent and sent[0] <= ts_ns - MINUTE_NS:
            sent.popleft()
        sent.append(ts_ns)
        self._note(Reason.ORDER_RATE, Decimal(len(sent)), Decimal(self._limits.orders_per_minute_max))

    def open_arbs(self, count: int) -> None:
        """Note how many arbs are under way."""
        self._note(Reason.ARBS_OPEN, Decimal(count), Decimal(self._limits.arbs_open_max))

    def net_delta(self, value: Decimal) -> None:
        """Note the value of base bought less sold over all venues."""
        self._note(Reason.NET_DELTA, abs(value), self._limits.net_delta_notional_max)

    def closed(self, net: Decimal, ts_ns: int) -> None:
        """Count the result of an arb that ended into its UTC day and the total."""
        if ts_ns // DAY_NS != self._day:
            self._day, self._realised_day = ts_ns // DAY_NS, ZERO
        self._realised_day += net
        self._realised += net
        self._realised_peak = max(self._realised_peak, self._realised)

    def take(self, value_by_venue: Mapping[str, Decimal], held_max: Decimal) -> dict[str, float]:
        """Return the share of each limit: the most since the last time for what comes and goes, else as it is now.

        `held_max` is the largest value of one asset, other than the reporting currency, at one venue.
        """
        limits = self._limits
        whole = sum(value_by_venue.values(), ZERO)
        share = div(max(value_by_venue.values()), whole) if whole > 0 else ZERO
        self._note(Reason.INVENTORY, held_max, limits.inventory_notional_max)
        self._note(Reason.COUNTERPARTY_SHARE, share, limits.counterparty_share_max)
        self._note(Reason.LOSS_DAY, max(-self._realised_day, ZERO), limits.loss_day_max)
        self._note(Reason.DRAWDOWN, self._realised_peak - self._realised, limits.drawdown_max)
        peaks, self._peaks = self._peaks, {}
        return {limit: round(float(peak), 4) for limit, peak in sorted(peaks.items())}

    def _note(self, limit: Reason, value: Decimal, bound: Decimal) -> None:
        self._peaks[limit.value] = max(self._peaks.get(limit.value, ZERO), div(value, bound))
