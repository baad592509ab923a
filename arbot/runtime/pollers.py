"""Ask each venue periodically for what its streams may have lost: time, fills, open orders, transfers, balances, fees.

The gateways pace these calls (asyncio-throttle) below the venue's own limit, so that they never crowd out a hedge. What
polling finds enters as the same events the streams give; finding the same fill twice is normal and books nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from arbot.domain.errors import VenueRefused, VenueUnavailable
from arbot.domain.events import ReconciliationEnded
from arbot.runtime.reconcile import Reconciler

SLOW_EVERY = 20  # rounds between two readings of instruments and fees

_log = structlog.get_logger("arbot.pollers")


async def poll_venue(
    reconciler: Reconciler,
    *,
    interval_ms: int,
    beat: Callable[[str], None],
) -> None:
    """Poll one venue for ever. A venue that says no stops trading there until it says yes again."""
    was_equal = True
    number = 0
    while True:
        await reconciler.wait(interval_ms / 1000)
        number += 1
        try:
            was_equal = await _round(reconciler, was_equal=was_equal, is_slow=number % SLOW_EVERY == 0)
        except VenueUnavailable as error:
            _log.warning("polling failed", venue=reconciler.venue, error=error.detail)
        except VenueRefused as error:
            _log.error("the venue says no", venue=reconciler.venue, error=error.detail)
            was_equal = False
            detail = (f"{reconciler.venue} refuses us: {error.detail}",)
            reconciler.submit(ReconciliationEnded(venue=reconciler.venue, differences=1, detail=detail))
        beat(f"poll:{reconciler.venue}")


async def _round(reconciler: Reconciler, *, was_equal: bool, is_slow: bool) -> bool:
    calls: list[Callable[[], Awaitable[None]]] = [
        reconciler.measure_skew,
        reconciler.catch_up_fills,
        reconciler.adopt_or_cancel,
        reconciler.catch_up_transfers,
        *((reconciler.learn_instruments,) if is_slow else ()),
    ]
    for call in calls:
        await call()
    report = await reconciler.compare()
    if report.is_known and (report.differences or not was_equal):
        reconciler.conclude(report)
    return not report.differences if report.is_known else was_equal
