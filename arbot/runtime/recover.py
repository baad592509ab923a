"""Come back after any end of the last process: restore, ask, compare, and only then trade.

Every step may be cut off and done again; a crash during recovery is as boring as any other. The order is: what outlived
the process, then the orders of arbs that were not flat, then per venue its key, its instruments, the fate of those
orders, the fills since the newest one booked, open orders with our prefix, transfers, and last the balances, exactly.
A venue that cannot be reached is tried again for ever and nothing is traded there meanwhile.
"""

from __future__ import annotations

import structlog

from arbot.domain.errors import InstrumentUnknown, Mistake, UserError, VenueRefused, VenueUnavailable
from arbot.domain.events import ReconciliationEnded, RunStarted
from arbot.ports import EventSink, KeyPermissions, Store
from arbot.runtime.reconcile import Reconciler, Report, restored_event

RETRY_S = (0.5, 1.0, 2.0, 5.0)
RECHECK_S = 2.0

_log = structlog.get_logger("arbot.recover")


def restore(store: Store, sink: EventSink, started: RunStarted) -> None:
    """Tell the engine what outlived the last run, of the new one, and of every order of an arb that is not flat.

    The standing goes first: any step before it would write a standing that has forgotten the old one.
    """
    standing = store.standing()
    if standing is not None:
        sink.submit((standing,))
    sink.submit((started,))
    for order in store.unsettled_orders():
        sink.submit((restored_event(order),))


async def recover_venue(reconciler: Reconciler, *, allow_withdraw: bool) -> None:
    """Bring one venue to where it may be traded, however long that takes. Raises: UserError for a key that will not do."""
    attempt = 0
    warned: tuple[str, ...] = ()
    while True:
        try:
            permissions = await reconciler.gateway.fetch_permissions()
            check_permissions(reconciler.venue, permissions, allow_withdraw=allow_withdraw)
            warned = _warn(reconciler.venue, permissions, warned)
            report = await _once(reconciler)
        except VenueUnavailable as error:
            _log.warning("venue cannot be reached, trying again", venue=reconciler.venue, error=error.detail)
            await reconciler.clock.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
        except VenueRefused as error:
            raise refusal(error) from error
        else:
            if report.is_known and not report.differences:
                return
            await reconciler.wait(RECHECK_S)
        attempt += 1


def refusal(error: VenueRefused) -> UserError:
    """Return what a person has to mend when a venue says no at the start."""
    where = f"venues.{error.venue}"
    if isinstance(error, InstrumentUnknown):
        remedy = f"take it out of run.symbols, or give [{where}] symbols of its own"
        return UserError(Mistake(f"{where}.symbols", f"the venue has {error.detail}", remedy))
    remedy = "check the key file, its permissions at the venue, and the clock of this machine"
    return UserError(Mistake(where, f"the venue refused us: {error.detail}", remedy))


async def _once(reconciler: Reconciler) -> Report:
    await reconciler.measure_skew()
    await reconciler.learn_instruments()
    await reconciler.query_unsettled()
    await reconciler.catch_up_fills()
    await reconciler.cancel_strays()
    await reconciler.catch_up_transfers()
    report = await reconciler.compare()
    if report.is_known:
        reconciler.conclude(report)
    else:
        waiting = tuple(order.intent.client_order_id for order in reconciler.unsettled())
        _log.warning("orders of the last run are still unresolved", venue=reconciler.venue, orders=waiting)
        reconciler.submit(
            ReconciliationEnded(venue=reconciler.venue, differences=1, detail=(f"orders unresolved: {waiting}",))
        )
    return report


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


def _warn(venue: str, permissions: KeyPermissions, warned: tuple[str, ...]) -> tuple[str, ...]:
    """Say what is new among the warnings and return all of them."""
    for warning in permissions.warnings:
        if warning not in warned:
            _log.warning("key", venue=venue, warning=warning)
    return permissions.warnings
