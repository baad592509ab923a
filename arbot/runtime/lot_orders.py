"""Which lots go first, put into the journal before the order leaves: by the configuration, or by a person.

Rules of this file:
- The configured method is recorded at the start of a run when it is another than the configuration recorded last (FIFO
  before the first time). An order of a person holds until the configuration itself changes.
- What cannot count is refused, not recorded: a pick of a disposal that is known already, or of nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import LotOrderRecorded, LotsPicked
from arbot.domain.history import IN_TRANSIT, LotMethod
from arbot.journal.money import is_told
from arbot.journal.store import Access, SqlStore
from arbot.runtime.alone import record_alone, record_in
from arbot.runtime.clock import SystemClock
from arbot.settings.model import Settings

CONFIG = "config"
HELD = "assets:"  # before the name of an account in the books
_ASSET = re.compile(r"[A-Z0-9]+", re.ASCII)


def order_to_record(store: SqlStore, method: LotMethod) -> LotOrderRecorded | None:
    """Return the standing order that a run with this configuration has to record first, or None. Raises: BodyRefused."""
    recorded = LotMethod.FIFO
    for entry in store.iter_journal_back((LotOrderRecorded.__name__,)):
        event = entry.record.envelope.event
        if isinstance(event, LotOrderRecorded) and event.actor == CONFIG:
            recorded = event.method
            break
    return None if method is recorded else LotOrderRecorded(method=method, actor=CONFIG)


def record_choice(settings: Settings, chosen: LotOrderRecorded | LotsPicked) -> None:
    """Journal a choice of lots in a run of its own. Raises: UserError, also while a daemon runs."""
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        wrong = mistakes_of(chosen, store, (*settings.venues, *settings.tax.custody))
    finally:
        store.close()
    if wrong:
        raise UserError(*wrong)
    record_alone(settings, chosen, "lots", "lots chosen")


def record_choice_in(url: str, chosen: LotOrderRecorded | LotsPicked, accounts: Collection[str]) -> None:
    """Journal a choice of lots in a ledger file; `accounts` are known besides its own. Raises: UserError."""
    store = SqlStore.open(url, now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        wrong = mistakes_of(chosen, store, (*accounts, *own_accounts(store)))
    finally:
        store.close()
    if wrong:
        raise UserError(*wrong)
    record_in(url, chosen, "lots", "lots chosen")


def own_accounts(store: SqlStore) -> list[str]:
    """Return the accounts that have ever held something in a ledger, sorted."""
    named = {account.removeprefix(HELD) for account, _, _ in store.all_balances() if account.startswith(HELD)}
    return sorted(named - {IN_TRANSIT})


def mistakes_of(chosen: LotOrderRecorded | LotsPicked, store: SqlStore, accounts: Collection[str]) -> list[Mistake]:
    """Return why a choice could not count; empty when it may be recorded."""
    if isinstance(chosen, LotOrderRecorded):
        return _mistakes_of_order(chosen, accounts)
    wrong = []
    if not chosen.lots:
        wrong.append(Mistake("LOT=QTY", "no lot is named", "name each lot with its quantity, such as kraken:T1=0.5"))
    names = [one.lot for one in chosen.lots]
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    wrong += [Mistake(name, "is named twice", "name each lot once, with all that goes of it") for name in twice]
    nothing = [one for one in chosen.lots if not one.qty.is_finite() or one.qty <= 0]
    wrong += [Mistake(one.lot, f"{one.qty} units is nothing", "give a quantity above zero") for one in nothing]
    if is_told(store, chosen.disposal):
        remedy = "a pick counts only when it is in the books no later than the disposal; the standing order holds for this one"
        wrong.append(Mistake(chosen.disposal, "has happened already", remedy))
    return wrong


def _mistakes_of_order(order: LotOrderRecorded, accounts: Collection[str]) -> list[Mistake]:
    wrong = []
    if order.method is LotMethod.AVERAGE:
        remedy = "choose fifo, lifo, hifo or lofo; countries that pool do so by themselves"
        wrong.append(Mistake("METHOD", "average cost is no order of lots", remedy))
    if order.venue and order.venue not in accounts:
        known = ", ".join(accounts)
        wrong.append(
            Mistake("--venue", f"{order.venue!r} is not known", f"name one of {known}, or list it in [tax.custody]")
        )
    if order.asset and not _ASSET.fullmatch(order.asset):
        wrong.append(Mistake("--asset", f"{order.asset!r} is not an asset", "write it in capitals, such as BTC"))
    return wrong
