"""The life of one order, by evidence; nothing here is closed by silence.

Absence counts only after the venue can no longer match the order and its lists have had time to show it, asked twice,
from two sources (facts of Kraken and Coinbase, read 2026-11; see docs/decisions/0003-orders-end-by-evidence.md).
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.commands import CancelOrder, CancelTimer, QueryOrder, Severity
from arbot.domain.decisions import FillClashed, OrphanFillFound
from arbot.domain.errors import ensure
from arbot.domain.events import OrderStatusReported
from arbot.domain.ids import Asset, VenueOrderId
from arbot.domain.order import ORDER_LIFE, Fill, OrderState
from arbot.domain.units import ZERO
from arbot.engine.state import OrderRecord, State
from arbot.engine.step import Step

ABSENCES_NEEDED = 2
SOURCES_NEEDED = 2
QUERIES_BEFORE_ALERT = 8
MS = 1_000_000


def timer_key(order: OrderRecord) -> str:
    """Return the key of the timer that asks about an order again."""
    return f"order:{order.intent.client_order_id}"


def move(state: State, step: Step, order: OrderRecord, to: OrderState) -> None:
    """Put an order into another state. Raises: InvariantBroken on a step that ORDER_LIFE does not have."""
    if order.state is to:
        return
    ensure(to in ORDER_LIFE[order.state], "order life", order=order.intent.client_order_id, was=order.state, to=to)
    order.state = to
    if to.is_terminal:
        state.live.pop(order.intent.client_order_id, None)
        order.ended_ts_ns = state.now_ns
        step.command(CancelTimer(key=timer_key(order)))


def sent(state: State, step: Step, order: OrderRecord) -> None:
    """Note that the request has left."""
    if order.state is OrderState.INTENDED:
        move(state, step, order, OrderState.SENT)


def accepted(state: State, step: Step, order: OrderRecord, venue_order_id: VenueOrderId) -> None:
    """Note the venue's name for the order; an acceptance that comes after the end changes nothing else."""
    order.venue_order_id = venue_order_id
    if order.is_live and not order.filled_qty:
        sent(state, step, order)
        move(state, step, order, OrderState.OPEN)


def rejected(state: State, step: Step, order: OrderRecord) -> None:
    """End an order that the venue never took; a rejection of an order known to be at the venue is asked about."""
    if not order.is_live:
        return
    if order.filled_qty or order.state in (OrderState.OPEN, OrderState.PART_FILLED):
        query(state, step, order)
        return
    move(state, step, order, OrderState.REJECTED)


def unknown(state: State, step: Step, order: OrderRecord) -> None:
    """Note that a request about the order had no usable answer, and ask."""
    if order.is_live:
        if not order.filled_qty and order.state is not OrderState.OPEN:
            move(state, step, order, OrderState.UNKNOWN)
        query(state, step, order)


def filled(state: State, step: Step, order: OrderRecord, fill: Fill) -> bool:
    """Book a fill once and return whether it was new. A fill after the end is booked all the same and reported."""
    known = order.fills.get(fill.key)
    if known is not None:
        if (known.side, known.qty, known.price) != (fill.side, fill.qty, fill.price):
            step.decide(FillClashed(client_order_id=fill.client_order_id, trade_id=fill.trade_id))
            step.alert(Severity.CRITICAL, "fill_clashed", f"{fill.venue} reports trade {fill.trade_id} in two versions")
            state.standing.halted = True
        return False
    order.fills[fill.key] = fill
    order.filled_qty += -fill.qty if fill.is_reversal else fill.qty
    order.venue_order_id = order.venue_order_id or fill.venue_order_id
    known_venue = state.venue(fill.venue)
    known_venue.last_fill_ts_ns = state.now_ns
    _credit(known_venue.totals, fill)
    if not order.is_live:
        step.decide(
            OrphanFillFound(client_order_id=fill.client_order_id, arb_id=order.intent.arb_id, qty=fill.base_delta)
        )
        return True
    sent(state, step, order)
    if order.filled_qty >= order.intent.qty:
        move(state, step, order, OrderState.FILLED)
    else:
        move(state, step, order, OrderState.PART_FILLED)
        _close_if_complete(state, step, order)
    return True


def _credit(totals: dict[Asset, Decimal], fill: Fill) -> None:
    for asset, delta in ((fill.base, fill.base_delta), (fill.quote, fill.quote_delta)):
        if asset in totals:
            totals[asset] += delta
    if fill.fee.asset not in (fill.base, fill.quote) and fill.fee.asset in totals:
        totals[fill.fee.asset] -= fill.fee.number


def ended(state: State, step: Step, order: OrderRecord, to: OrderState, filled_qty: Decimal) -> None:
    """Note that the venue ended the order after `filled_qty` in all; wait for the fills we have not seen."""
    if not order.is_live:
        return
    sent(state, step, order)
    order.closing_as, order.closing_qty = to, filled_qty
    _close_if_complete(state, step, order)
    if order.is_live:
        _query_or_wait(state, step, order)


def _close_if_complete(state: State, step: Step, order: OrderRecord) -> None:
    if order.closing_as is not None and order.filled_qty >= order.closing_qty:
        to = order.closing_as
        if to is OrderState.FILLED and order.filled_qty < order.intent.qty:
            to = OrderState.CANCELED  # the venue calls it done with less than we asked for: book its truth
        move(state, step, order, to)


def reported(state: State, step: Step, order: OrderRecord, report: OrderStatusReported) -> None:
    """Weigh what the venue says of an order when asked."""
    if not order.is_live:
        return
    if report.venue_order_id is not None:
        order.venue_order_id = report.venue_order_id
    if report.state is OrderState.UNKNOWN:
        _absent(state, step, order, report)
    elif report.state.is_terminal:
        ended(state, step, order, report.state, report.filled_qty)
    else:
        sent(state, step, order)
        if not order.filled_qty:
            move(state, step, order, OrderState.OPEN)
        if order.is_resting and not order.is_unwanted:  # where it should be: nothing more to ask
            order.queries = 0
            step.command(CancelTimer(key=timer_key(order)))
            return
        if order.is_resting or state.now_ns > order.intent.deadline_ns:
            order.cancel_ts_ns = state.now_ns
            cancel(step, order)
        ask_later(state, step, order)


def _absent(state: State, step: Step, order: OrderRecord, report: OrderStatusReported) -> None:
    lag_ns = state.config.execution.visibility_lag_ms * MS
    is_evidence = report.sources >= SOURCES_NEEDED and report.asked_ts_ns > order.intent.deadline_ns + lag_ns
    if is_evidence and order.venue_order_id is None and order.filled_qty == ZERO:
        order.absences += 1
        if order.absences >= ABSENCES_NEEDED:
            move(state, step, order, OrderState.EXPIRED)
            return
    ask_later(state, step, order)


def query(state: State, step: Step, order: OrderRecord) -> None:
    """Ask the venue about an order now, and again later if that brings nothing."""
    step.command(
        QueryOrder(
            client_order_id=order.intent.client_order_id,
            venue=order.intent.venue,
            instrument=order.intent.instrument,
            venue_order_id=order.venue_order_id,
            since_ns=order.intent.decided_ts_ns,
        )
    )
    ask_later(state, step, order)


def ask_later(state: State, step: Step, order: OrderRecord) -> None:
    """Set the timer for the next question: the back-off doubles up to its maximum, and never ends."""
    policy = state.config.execution
    wait_ms = min(policy.query_backoff_ms << min(order.queries, 16), policy.query_backoff_ms_max)
    order.queries += 1
    step.timer(timer_key(order), state.now_ns + wait_ms * MS)
    if order.queries == QUERIES_BEFORE_ALERT:
        text = f"{order.intent.venue} does not say what became of order {order.intent.client_order_id}"
        step.alert(Severity.CRITICAL, "order_unknown", text)


def cancel(step: Step, order: OrderRecord) -> None:
    """Ask the venue to cancel."""
    step.command(
        CancelOrder(
            client_order_id=order.intent.client_order_id,
            venue=order.intent.venue,
            instrument=order.intent.instrument,
            venue_order_id=order.venue_order_id,
        )
    )


def cancel_refused(state: State, step: Step, order: OrderRecord) -> None:
    """Ask at once what became of an order that would not be cancelled; when that has been asked often, wait as ever.

    Usually it has just ended. A venue that refuses every cancel would otherwise be asked and cancelled without a pause,
    once more for every question that the timer asks.
    """
    if order.is_live:
        _query_or_wait(state, step, order)


def _query_or_wait(state: State, step: Step, order: OrderRecord) -> None:
    """Ask at once what became of an order, unless that was asked often: each answer would bring the next question."""
    (query if order.queries < QUERIES_BEFORE_ALERT else ask_later)(state, step, order)


def overdue(state: State, step: Step, order: OrderRecord) -> None:
    """Act on a live order past its arb's deadline: cancel what the venue has, and ask about all of it."""
    if order.state in (OrderState.OPEN, OrderState.PART_FILLED):
        cancel(step, order)
    if order.state is not OrderState.UNKNOWN:
        query(state, step, order)


def orphan(state: State, step: Step, fill: Fill) -> None:
    """Note a fill of ours whose order is not known here: its money counts, and a person is told."""
    known = state.venue(fill.venue)
    known.last_fill_ts_ns = state.now_ns
    _credit(known.totals, fill)
    step.decide(OrphanFillFound(client_order_id=fill.client_order_id, arb_id=None, qty=fill.base_delta))
    text = f"{fill.venue} reports a fill of {fill.client_order_id}, an order this run does not know"
    step.alert(Severity.WARNING, "orphan_fill", text)
