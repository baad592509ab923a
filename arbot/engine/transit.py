"""Where a transfer's coins are counted: at the source, in flight or at the target, each coin once, whatever comes first.

Venues tell balances and histories apart, and either may be older than the other. Rules of this file:
- Moving a quantity between a total and what is in flight never changes the sum. `debited` is what the source's total
  lacks for a transfer, `seen` what the target's total has of it; in flight is the rest (state.Transfer.qty).
- A snapshot that differs from our totals is explained by transfers first: what is missing was debited, what is too much
  has arrived, up to what each can account for. Only what is left over is a change of its own.
- A report (of the withdrawal, of the deposit) sets its end to what it says. Older snapshots may still come after it: for
  SETTLE_NS its end is explained by snapshots as before, then a snapshot must contain it and that end is settled.
- Assumed: no snapshot is delivered later than SETTLE_NS after it was taken (requests time out within seconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from arbot.domain.events import MovementState, TransferReported, TransferRequested
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import TransferState
from arbot.domain.units import ZERO
from arbot.engine.state import State, Transfer, TransferTerms

SETTLE_NS = 10_000_000_000


def terms_of(event: TransferRequested) -> TransferTerms:
    """Return what a request asks for, without who asks and why."""
    return event.source, event.target, Asset(event.asset), event.network, event.qty


# --- a report says it ------------------------------------------------------------------------------------------------


def debit(state: State, transfer: Transfer, debited: Decimal) -> None:
    """Take so much in all off the source's total for a transfer."""
    _add(state, transfer.source, transfer.asset, transfer.debited - debited)
    transfer.debited = debited
    transfer.is_debit_settled = False


def see(state: State, transfer: Transfer, seen: Decimal) -> None:
    """Put so much in all into the target's total for a transfer."""
    _add(state, transfer.target, transfer.asset, seen - transfer.seen)
    transfer.seen = seen


def give_back(state: State, transfer: Transfer, qty: Decimal) -> None:
    """Put what came back into the source's total: nothing of it is in flight any more."""
    _add(state, transfer.source, transfer.asset, min(qty, transfer.debited))
    transfer.debited = ZERO
    transfer.is_debit_settled = False


def forget(transfer: Transfer) -> None:
    """Count nothing of a transfer that never began; what a snapshot lacked was lacking for another reason."""
    transfer.debited = ZERO


def take_up(state: State, transfer: Transfer) -> None:
    """Count a restored transfer: what its source had named has left, what its target had credited has arrived.

    The venues tell again what they told, and the first snapshot is taken as it is.
    """
    if transfer.state is TransferState.FAILED:
        transfer.is_debit_settled = transfer.is_credit_settled = True
        return
    if transfer.state is TransferState.CREDITED:
        transfer.debited, transfer.seen = transfer.qty_sent + transfer.fee_paid, transfer.qty_credited
        transfer.qty_lost = max(transfer.qty_sent - transfer.qty_credited, ZERO)
        transfer.is_debit_settled = transfer.is_credit_settled = True
        return
    if transfer.venue_transfer_id or transfer.tx_id or transfer.is_listed:
        debit(state, transfer, transfer.debit_max)
    see(state, transfer, transfer.qty_credited)


def not_ours(state: State, report: TransferReported) -> None:
    """Take back what a snapshot made us count for a transfer of ours, and a report now says to be another movement."""
    if report.state is MovementState.FAILED:
        return
    for one in state.unsettled.values():
        if one.asset != report.asset or report.venue_ts_ns < one.requested_ts_ns:
            continue
        if report.qty < 0 and one.source == report.venue and not one.is_listed:
            one.debited -= min(one.debited, report.fee - report.qty)
        elif report.qty > 0 and one.target == report.venue and report.state is MovementState.DONE:
            one.seen -= min(max(one.seen - one.qty_credited, ZERO), report.qty)
        elif report.qty > 0 and one.source == report.venue and one.is_listed and not one.state.is_terminal:
            one.debited += min(one.debit_max - one.debited, report.qty)


def _add(state: State, venue: VenueId, asset: Asset, delta: Decimal) -> None:
    totals = state.venue(venue).totals
    if asset in totals:
        totals[asset] += delta


def awaits(state: State, venue: VenueId, asset: Asset, difference: Decimal) -> bool:
    """Say whether a transfer under way explains that a venue has so much more (or less) than the ledger: news is to come.

    Balances may tell of a debit or a credit before the history does. A stuck transfer explains nothing.
    """
    for one in state.unsettled.values():
        if one.asset != asset or one.state in (TransferState.STUCK, TransferState.FAILED):
            continue
        if one.source == venue and not one.is_listed and one.qty_sent <= -difference <= one.debit_max:
            return True
        least = one.qty_sent - one.intent.fee_max
        if one.target == venue and not one.qty_credited and least <= difference <= one.qty_sent:
            return True
    return False


# --- a snapshot says it ----------------------------------------------------------------------------------------------


def explain(state: State, venue: VenueId, told: Mapping[Asset, Decimal]) -> dict[Asset, Decimal]:
    """Explain a snapshot by the transfers under way from and to a venue, and return the totals to take from it.

    They are the snapshot's own, less what it still has although it was seen to arrive elsewhere.
    """
    known, totals = state.venue(venue), dict(told)
    for asset in dict.fromkeys(one.asset for one in state.unsettled.values() if venue in (one.source, one.target)):
        outgoing = [one for one in state.unsettled.values() if (one.source, one.asset) == (venue, asset)]
        incoming = [one for one in state.unsettled.values() if (one.target, one.asset) == (venue, asset)]
        before = known.totals.get(asset, ZERO)
        before += _settle(state, outgoing, incoming)
        if known.has_balances:
            delta = told.get(asset, ZERO) - before
            if delta < 0:
                _missing(outgoing, incoming, -delta)
            elif delta > 0:
                stale = _surplus(state, outgoing, incoming, delta)
                if stale:
                    totals[asset] -= stale
    for name in [name for name, one in state.unsettled.items() if one.state.is_terminal and one.is_settled]:
        del state.unsettled[name]
    return totals


def _settle(state: State, outgoing: list[Transfer], incoming: list[Transfer]) -> Decimal:
    """Settle the ends whose report every snapshot now contains, and return how that changes our total."""
    change = ZERO
    for one in outgoing:
        if not one.is_debit_settled and 0 < one.debit_told_ns <= state.now_ns - SETTLE_NS:
            final = ZERO if one.state is TransferState.FAILED else one.debit_max if one.is_listed else one.debited
            change += one.debited - final
            one.debited, one.is_debit_settled = final, True
    for one in incoming:
        if not one.is_credit_settled and 0 < one.credit_told_ns <= state.now_ns - SETTLE_NS:
            change += one.qty_credited - one.seen
            one.seen, one.is_credit_settled = one.qty_credited, one.state.is_terminal
            if one.is_credit_settled and not one.debit_told_ns:
                one.debit_told_ns = state.now_ns  # what has arrived has left, whatever its source lists
    return change


def _missing(outgoing: list[Transfer], incoming: list[Transfer], qty: Decimal) -> None:
    """Explain what a snapshot lacks: debits first, then credits it does not know yet, then money not yet returned."""
    for one in outgoing:
        if not one.is_debit_settled and one.state is not TransferState.FAILED:
            part = min(qty, max(one.debit_max - one.debited, ZERO))
            one.debited, qty = one.debited + part, qty - part
    for one in incoming:
        if not one.is_credit_settled:
            part = min(qty, one.seen)
            one.seen, qty = one.seen - part, qty - part
    for one in outgoing:
        if not one.is_debit_settled and one.state is TransferState.FAILED:
            part = min(qty, max(one.debit_max - one.debited, ZERO))
            one.debited, qty = one.debited + part, qty - part


def _surplus(state: State, outgoing: list[Transfer], incoming: list[Transfer], qty: Decimal) -> Decimal:
    """Explain what a snapshot has too much: arrivals first (what has arrived has left), then debits undone.

    Return how much of the rest cannot be: it is known to have left.
    """
    for one in incoming:
        if not one.is_credit_settled and one.state is not TransferState.FAILED:
            part = min(qty, max(one.qty_sent - one.qty_lost, one.qty_credited) - one.seen) if one.sent_ts_ns else ZERO
            one.seen, qty = one.seen + part, qty - part
            if one.debited < one.seen:
                debit(state, one, one.seen)
    for one in outgoing:  # balances may tell of a return before the history does
        if not (one.is_debit_settled and one.state.is_terminal):
            part = min(qty, max(one.debited - one.seen, ZERO))
            one.debited, qty = one.debited - part, qty - part
    left = sum((one.seen for one in outgoing if not one.is_debit_settled), ZERO)
    return min(qty, left)
