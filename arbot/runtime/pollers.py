"""Ask each venue periodically for what its streams may have lost, and what none tells: its status and networks.

Every private call costs of the venue's allowance, which hedges and queries need more (Kraken's counter sinks by one in
two or three seconds): so a round asks for the time and the balances only, for fills when orders moved since the last
round, and for the rest now and then; balances that differ bring everything at once. The gateways pace these calls
(asyncio-throttle). What polling finds enters as the same events the streams give; the same fill twice books nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from arbot.domain.commands import RaiseAlert, Severity
from arbot.domain.errors import VenueRefused, VenueUnavailable
from arbot.domain.events import ReconciliationEnded
from arbot.runtime.reconcile import Reconciler

ORDERS_EVERY = 4  # rounds between two readings of open orders and transfers, and of the venue's status
SLOW_EVERY = 20  # rounds between two readings of instruments and fees, and of networks
RESTLESS_MAX = 4  # rounds without one quiet moment to compare balances in; then no arb is opened until there was one

UNREACHABLE_MAX = 2  # rounds that failed in a row; then no arb is opened until one succeeded

_log = structlog.get_logger("arbot.pollers")


async def poll_venue(
    reconciler: Reconciler,
    *,
    interval_ms: int,
    beat: Callable[[float], None],
) -> None:
    """Poll one venue for ever. A venue that says no stops trading there until it says yes again.

    `beat` is told that the task lives, and for how many seconds it is going to be quiet.
    """
    was_equal = True
    number = order_steps = restless = unreachable = 0
    while True:
        beat(interval_ms / 1000)
        await reconciler.wait(interval_ms / 1000)
        number += 1
        calls = _due(reconciler, number, has_moved=order_steps != reconciler.order_steps())
        order_steps = reconciler.order_steps()
        try:
            for call in calls:
                beat(0)
                await call()
            report = await reconciler.compare()
            if report.is_known and (report.differences or not was_equal):
                reconciler.conclude(report)
            was_equal = not report.differences if report.is_known else was_equal
            unreachable, restless = 0, 0 if report.is_known else restless + 1
            if restless == RESTLESS_MAX:
                was_equal = False
                why = "orders never rested, so balances could not be compared; waiting for it"
                _doubt(reconciler, why, "venue_restless", Severity.WARNING)
        except VenueUnavailable as error:
            _log.warning("polling failed", venue=reconciler.venue, error=error.detail)
            unreachable += 1
            if unreachable == UNREACHABLE_MAX:  # streams may live on: orders and queries would find nobody
                was_equal = False
                _doubt(reconciler, f"cannot be asked: {error.detail}", "venue_unreachable", Severity.WARNING)
        except VenueRefused as error:
            _log.error("the venue says no", venue=reconciler.venue, error=error.detail)
            was_equal = False
            _doubt(reconciler, f"refuses us: {error.detail}", "venue_refuses", Severity.CRITICAL)


def _doubt(reconciler: Reconciler, why: str, code: str, severity: Severity) -> None:
    """Have no arb opened at the venue until a comparison ends well, and call a person."""
    text = f"{reconciler.venue}: {why}"
    reconciler.submit(ReconciliationEnded(venue=reconciler.venue, differences=1, detail=(text,)))
    reconciler.alert(RaiseAlert(severity=severity, code=code, text=text))


def _due(reconciler: Reconciler, number: int, *, has_moved: bool) -> tuple[Callable[[], Awaitable[None]], ...]:
    return (
        reconciler.measure_skew,
        *((reconciler.catch_up_fills,) if has_moved else ()),
        *((reconciler.cancel_strays, reconciler.catch_up_transfers) if number % ORDERS_EVERY == 0 else ()),
        *((reconciler.learn_status,) if number % ORDERS_EVERY == 1 else ()),
        *((reconciler.learn_instruments,) if number % SLOW_EVERY == 0 else ()),
        *((reconciler.learn_networks,) if number % SLOW_EVERY == 1 else ()),
    )
