"""Come back after any end of the last process: restore, ask, compare, and only then trade.

Every step may be cut off and done again; a crash during recovery is as boring as any other. The order is: what outlived
the process, then the orders of arbs that were not flat, then per venue its key, its instruments, the fate of those
orders, the fills since the newest one booked, open orders with our prefix, transfers, and last the balances, exactly.
A venue that cannot be reached is tried again for ever and nothing is traded there meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from arbot.domain.errors import InstrumentUnknown, Mistake, UserError, VenueRefused, VenueUnavailable
from arbot.domain.events import ReconciliationEnded, RunStarted
from arbot.ports import EventSink, KeyPermissions, Store
from arbot.runtime.reconcile import TRANSFERS_LOOKBACK_NS, Reconciler, Report, restored_event, restored_transfer

RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # after a call that failed; the venue may be counting our calls
RECHECK_S = (2.0, 4.0, 8.0, 15.0)  # between two comparisons that did not end well

T = TypeVar("T")
_log = structlog.get_logger("arbot.recover")


def restore(store: Store, sink: EventSink, started: RunStarted, started_ns: int) -> None:
    """Tell the engine what outlived the last run, of the new one, of every order of an arb that is not flat, and of transfers.

    Of transfers all that may still be told anew: those that have not ended, and those of the time that histories are asked for.

    The standing goes first: any step before it would write a standing that has forgotten the old one.
    """
    standing = store.standing()
    if standing is not None:
        sink.submit((standing,))
    sink.submit((started,))
    for order in store.unsettled_orders():
        sink.submit((restored_event(order),))
    for transfer in store.own_transfers(started_ns - TRANSFERS_LOOKBACK_NS):
        sink.submit((restored_transfer(transfer),))


async def recover_venue(
    reconciler: Reconciler, *, allow_withdraw: bool, beat: Callable[[float], None] = lambda _quiet_s: None
) -> None:
    """Bring one venue to where it may be traded, however long that takes. Raises: UserError for a key that will not do.

    A call that fails is made again by itself: what was learned before it stays learned, since calls are counted.
    `beat` is told that the task lives, and for how many seconds it is going to be quiet.
    """

    async def know_the_key() -> None:
        permissions = await reconciler.gateway.fetch_permissions()
        check_permissions(reconciler.venue, permissions, allow_withdraw=allow_withdraw)

    for call in (
        know_the_key,
        reconciler.measure_skew,
        reconciler.learn_instruments,
        reconciler.query_unsettled,
        reconciler.catch_up_fills,
        reconciler.cancel_strays,
        reconciler.catch_up_transfers,
    ):
        await _insist(reconciler, call, beat)
    attempt = 0
    while not _is_equal(reconciler, await _insist(reconciler, reconciler.compare, beat)):
        wait_s = RECHECK_S[min(attempt, len(RECHECK_S) - 1)]
        beat(wait_s)
        await reconciler.wait(wait_s)
        attempt += 1


async def _insist(reconciler: Reconciler, call: Callable[[], Awaitable[T]], beat: Callable[[float], None]) -> T:
    attempt = 0
    while True:
        beat(RETRY_S[min(attempt, len(RETRY_S) - 1)])  # the wait below may follow
        try:
            return await call()
        except VenueUnavailable as error:
            _log.warning("venue cannot be reached, trying again", venue=reconciler.venue, error=error.detail)
            await reconciler.clock.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1
        except VenueRefused as error:
            raise refusal(error) from error


def refusal(error: VenueRefused) -> UserError:
    """Return what a person has to mend when a venue says no at the start."""
    where = f"venues.{error.venue}"
    if isinstance(error, InstrumentUnknown):
        remedy = f"take it out of run.symbols, or give [{where}] symbols of its own"
        return UserError(Mistake(f"{where}.symbols", f"the venue has {error.detail}", remedy))
    remedy = "check the key file, its permissions at the venue, and the clock of this machine"
    return UserError(Mistake(where, f"the venue refused us: {error.detail}", remedy))


def _is_equal(reconciler: Reconciler, report: Report) -> bool:
    if report.is_known:
        reconciler.conclude(report)
        return not report.differences
    waiting = ", ".join(order.intent.client_order_id for order in reconciler.unsettled())
    _log.warning("orders of the last run are still unresolved", venue=reconciler.venue, orders=waiting)
    detail = (f"orders unresolved: {waiting}",)
    reconciler.submit(ReconciliationEnded(venue=reconciler.venue, differences=1, detail=detail))
    return False


def check_permissions(venue: str, permissions: KeyPermissions, *, allow_withdraw: bool) -> None:
    """Refuse a key that cannot trade, or that could take the money away. Raises: UserError."""
    mistakes = []
    if not permissions.can_trade:
        mistakes.append(Mistake(f"venues.{venue}.key_file", "the key may not trade", "give it the permission to trade"))
    if permissions.can_withdraw and not allow_withdraw:
        mistakes.append(
            Mistake(
                f"venues.{venue}.key_file",
                "the key can withdraw money",
                "make a key that can only query and trade, or set transfers.enabled = true",
            )
        )
    if mistakes:
        raise UserError(*mistakes)

    for warning in permissions.warnings:
        _log.warning("key", venue=venue, warning=warning)
