"""The life of our own transfers, by evidence: nothing here is ended by silence, and nothing is ever sent again.

Rules of this file:
- A transfer moves on what the venues' histories say: the source's withdrawal, the target's deposit. What is unknown is
  looked for there by id, by transaction, else by what was intended (asset, network, address, quantity, time).
- Every coin is counted once: in the source's total, in flight, or in the target's total. Reports and snapshots come in
  any order; how they are reconciled is said in transit.py.
- A deposit that fits no intent (much too small) and names a transaction that no source has told yet may still be ours:
  it is set aside until the sources have told theirs, and counted meanwhile as if it were (as transit.py explains balances).
- Credited for less than was sent, by no more than `fee_max`, is a hidden fee, named and done. By more, the rest stays
  counted as in flight, and a person is called.
- Later than the quantile of its route is STUCK: a person is called, and what depends on it stops. Any news sets it going.
- An end is left only for STUCK, by news that undoes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from arbot.domain.commands import CancelTimer, RequestTransfers, Severity, SubmitTransfer
from arbot.domain.decisions import Reason, TransferMoved, TransferRefused
from arbot.domain.errors import ensure
from arbot.domain.events import (
    MovementState,
    NetworksReported,
    TransferAccepted,
    TransferOutcomeUnknown,
    TransferRejected,
    TransferReported,
    TransferRequested,
    TransferRestored,
    TransferSent,
)
from arbot.domain.ids import VenueId
from arbot.domain.transfer import (
    TRANSFER_LIFE,
    Network,
    TransferCredit,
    TransferId,
    TransferState,
    TypicalFee,
)
from arbot.domain.units import ONE, ZERO, ceil_to_step, fmt
from arbot.engine import delays, transit
from arbot.engine.risk.plan import Breach
from arbot.engine.risk.transfers import Request, judge_transfer
from arbot.engine.state import State, Transfer
from arbot.engine.step import Step

NS_PER_S = 1_000_000_000
MINUTE_NS = 60 * NS_PER_S
EARLY_NS = 60 * NS_PER_S  # a venue's clock may be behind ours by so much
ENDED_KEPT = 500  # ended transfers that late news can still be about
CONFIRM_WITHIN_NS = 15 * MINUTE_NS  # a large one that was refused waits so long for its second yes
FEE_LOOK_NS = 60 * MINUTE_NS  # the running median of a fee moves once in this time
FEE_QTY_STEP = Decimal("1E-12")
FEE_STEP = Decimal("0.01")  # of itself: a spike of days does not become the new normal

_RANK = {
    state: rank
    for rank, state in enumerate(
        (
            TransferState.REQUESTED,
            TransferState.UNKNOWN,
            TransferState.ACCEPTED,
            TransferState.BROADCAST,
            TransferState.CONFIRMED,
            TransferState.CREDITED,
        )
    )
}
"""How far a transfer has come; news of an earlier stage changes no state."""


def timer_key(transfer: Transfer) -> str:
    """Return the key of the timer that looks after a transfer."""
    return f"transfer:{transfer.id}"


# --- beginning -------------------------------------------------------------------------------------------------------


def request(state: State, step: Step, event: TransferRequested) -> None:
    """Begin a transfer that every rule allows, or refuse it with the numbers."""
    known = state.transfer_keys.get(event.request_key) if event.request_key else None
    if known is not None:
        was = state.transfers[known].state
        _refuse(step, event, Breach(Reason.TRANSFER_REPEATED), f"{known} is {was} and was asked for with the same key")
        return
    name = TransferId(f"{state.epoch}-t{state.next_transfer}")
    verdict = judge_transfer(Request(state, event, name))
    if isinstance(verdict, Breach):
        if verdict.reason is Reason.CONFIRMATION_NEEDED:
            state.unconfirmed[event.request_key] = (transit.terms_of(event), state.now_ns + CONFIRM_WITHIN_NS)
        _refuse(step, event, verdict)
        return
    state.next_transfer += 1
    intent = verdict.intent
    transfer = Transfer(intent, TransferState.REQUESTED, state.now_ns, state.now_ns, qty_sent=intent.qty)
    _keep(state, transfer)
    state.unconfirmed.pop(event.request_key, None)
    step.command(SubmitTransfer(approved=verdict))
    _tell(step, transfer, transfer.state, event.reason)
    _look_later(state, step, transfer)


def _refuse(step: Step, event: TransferRequested, breach: Breach, detail: str = "") -> None:
    step.decide(
        TransferRefused(
            source=event.source,
            target=event.target,
            asset=event.asset,
            network=event.network,
            qty=event.qty,
            reason=breach.reason,
            value=breach.value,
            limit=breach.limit,
            detail=detail,
        )
    )


def _keep(state: State, transfer: Transfer) -> None:
    state.transfers[transfer.id] = transfer
    if transfer.intent.request_key:
        state.transfer_keys[transfer.intent.request_key] = transfer.id
    if not (transfer.state.is_terminal and transfer.is_settled):
        state.unsettled[transfer.id] = transfer
    ended = [one for one in state.transfers if one not in state.unsettled]
    for old in ended[: max(len(ended) - ENDED_KEPT, 0)]:
        state.transfer_keys.pop(state.transfers.pop(old).intent.request_key, None)


# --- what became of the request --------------------------------------------------------------------------------------


def answered(
    state: State,
    step: Step,
    event: TransferSent | TransferAccepted | TransferRejected | TransferOutcomeUnknown,
) -> None:
    """Take in what our own shell or the source's answer says of a request."""
    transfer = state.transfers.get(event.transfer)
    if transfer is None:
        return
    _take_answer(state, step, transfer, event)
    _decide_unclaimed(state, step)


def _take_answer(
    state: State,
    step: Step,
    transfer: Transfer,
    event: TransferSent | TransferAccepted | TransferRejected | TransferOutcomeUnknown,
) -> None:
    before = transfer.state
    match event:
        case TransferSent():
            if not transfer.sent_ts_ns:
                transfer.sent_ts_ns = state.now_ns
                _tell(step, transfer, before, "sent")
                _look_later(state, step, transfer)
        case TransferAccepted():
            transfer.venue_transfer_id = transfer.venue_transfer_id or event.venue_transfer_id
            _advance(state, step, transfer, TransferState.ACCEPTED, "the source took it")
        case TransferRejected():
            _rejected(state, step, transfer, event)
        case TransferOutcomeUnknown():
            if _RANK.get(before, 0) == 0 and not before.is_terminal and before is not TransferState.STUCK:
                step.alert(
                    Severity.WARNING, "transfer_unknown", f"{_words(transfer)}: no usable answer: {event.detail}"
                )
                _move(state, step, transfer, TransferState.UNKNOWN, event.detail)
                _ask(step, transfer)


def _rejected(state: State, step: Step, transfer: Transfer, event: TransferRejected) -> None:
    """End a transfer that never began; one that its source's history has is not ended by an answer."""
    if transfer.state.is_terminal:
        return
    if transfer.venue_transfer_id or transfer.tx_id or transfer.is_listed:
        step.alert(Severity.CRITICAL, "transfer_doubt", f"{_words(transfer)}: called refused, and listed by its source")
        _ask(step, transfer)
        return
    transit.forget(transfer)
    code = event.reason or "transfer_rejected"
    step.alert(Severity.CRITICAL if event.reason else Severity.WARNING, code, f"{_words(transfer)}: {event.detail}")
    _move(state, step, transfer, TransferState.FAILED, event.detail)
    transfer.is_debit_settled = transfer.is_credit_settled = True
    state.unsettled.pop(transfer.id, None)


# --- what the venues' histories say ----------------------------------------------------------------------------------


def reported(state: State, step: Step, report: TransferReported) -> None:
    """Take in a line of a venue's history: of a transfer of ours, or of somebody's else."""
    if report.qty < 0:
        transfer = _of_withdrawal(state, report)
        if transfer is not None:
            _withdrawn(state, step, transfer, report)
    else:
        transfer = _of_deposit(state, report)
        if transfer is not None:
            _decide_unclaimed(state, step, but=transfer)
            _deposited(state, step, transfer, report)
        else:
            transfer = _returned_one(state, report)
            if transfer is not None and report.state is MovementState.DONE:
                _returned(state, step, transfer, f"came back as {report.transfer_id}", report.qty)
    if transfer is None:
        if _may_be_claimed(state, report):
            state.unclaimed[report.venue, report.transfer_id] = report
        else:
            state.unclaimed.pop((report.venue, report.transfer_id), None)
            transit.not_ours(state, report)
    _decide_unclaimed(state, step)


def _may_be_claimed(state: State, report: TransferReported, but: Transfer | None = None) -> bool:
    """Return whether a deposit may be of a transfer whose source has not told its transaction yet."""
    return report.qty > 0 and bool(report.tx_id) and report.state is not MovementState.FAILED and any(
        one is not but and one.target == report.venue and one.asset == report.asset and one.sent_ts_ns
        and not one.tx_id and not one.state.is_terminal and _is_same_way(one, report)
        for one in state.unsettled.values()
    )  # fmt: skip


def _decide_unclaimed(state: State, step: Step, but: Transfer | None = None) -> None:
    """Give each deposit that was set aside to the transfer with its transaction, or to others once none can have it.

    `but` is a transfer that is about to be given another deposit.
    """
    for key, report in list(state.unclaimed.items()):
        transfer = next((one for one in _towards(state, report) if one.tx_id == report.tx_id), None)
        if transfer is None and _may_be_claimed(state, report, but):
            continue
        del state.unclaimed[key]
        if transfer is None:
            transit.not_ours(state, report)
        else:
            _deposited(state, step, transfer, report)


def _withdrawn(state: State, step: Step, transfer: Transfer, report: TransferReported) -> None:
    before, had_tx, before_fee = _facts(transfer), transfer.tx_id, transfer.fee_paid
    transfer.venue_transfer_id = report.transfer_id
    if report.state is MovementState.FAILED:
        if not transfer.state.is_terminal:
            _returned(state, step, transfer, "failed at its source")
        elif transfer.state is TransferState.CREDITED:
            _doubt(state, step, transfer, "its source calls it failed after the target had credited it")
        return
    if transfer.state is TransferState.FAILED and report.state is MovementState.PENDING:
        return  # told before it failed
    if report.tx_id and had_tx and report.tx_id != had_tx:
        step.alert(Severity.INFO, "transfer_tx_replaced", f"{_words(transfer)}: {had_tx} became {report.tx_id}")
    transfer.tx_id = report.tx_id or had_tx
    transfer.is_listed = True
    transfer.qty_sent, transfer.fee_paid = -report.qty, report.fee
    if abs(transfer.qty_sent - transfer.intent.qty) > transfer.intent.fee_max:
        text = f"{_words(transfer)}: its source sends {fmt(transfer.qty_sent)}"
        step.alert(Severity.CRITICAL, "transfer_amount", text)
    if transfer.fee_paid > max(before_fee, transfer.intent.fee_max):
        text = f"{_words(transfer)}: a fee of {fmt(transfer.fee_paid)}, {fmt(transfer.intent.fee_max)} was allowed"
        step.alert(Severity.CRITICAL, "transfer_fee_above", text)
    transfer.debit_told_ns = state.now_ns
    transit.debit(state, transfer, transfer.qty_sent + transfer.fee_paid)
    if transfer.state is TransferState.FAILED:
        _doubt(state, step, transfer, "called failed, and under way after all")
        return
    is_done, has_tx = report.state is MovementState.DONE, bool(transfer.tx_id)
    to = TransferState.CONFIRMED if is_done else TransferState.BROADCAST if has_tx else TransferState.ACCEPTED
    if is_done:
        _learn_fee(state, transfer)
    if not _advance(state, step, transfer, to, "", is_news=transfer.tx_id != had_tx) and before != _facts(transfer):
        _tell(step, transfer, transfer.state, "more is known")


def _deposited(state: State, step: Step, transfer: Transfer, report: TransferReported) -> None:
    had = transfer.credits.get(report.transfer_id)
    transfer.tx_id = transfer.tx_id or report.tx_id
    if report.state is MovementState.PENDING:
        _advance(state, step, transfer, TransferState.BROADCAST, f"seen at {transfer.target}")
    elif report.state is MovementState.FAILED:
        if had:
            _uncredited(state, step, transfer, report)
    elif had is None:
        _credited(state, step, transfer, report)


def _credited(state: State, step: Step, transfer: Transfer, report: TransferReported) -> None:
    was_credited = transfer.state is TransferState.CREDITED
    _book_credits(state, transfer, transfer.credits | {report.transfer_id: report.qty})
    transit.debit(state, transfer, max(transfer.debited, min(transfer.qty_credited, transfer.debit_max)))
    short = transfer.qty_sent - transfer.qty_credited
    if was_credited or -short > transfer.intent.fee_max:
        text = f"{_words(transfer)}: {fmt(transfer.qty_credited)} credited in all, {fmt(transfer.qty_sent)} was sent"
        step.alert(Severity.CRITICAL, "transfer_credited_twice", text)
        _tell(step, transfer, transfer.state, "credited more than once")
        if was_credited:
            return
    if short > transfer.intent.fee_max:
        text = f"{_words(transfer)}: {fmt(short)} of {fmt(transfer.qty_sent)} did not arrive and stays in flight"
        step.alert(Severity.CRITICAL, "transfer_short", text)
        if not _stick(state, step, transfer, f"credited {fmt(short)} short"):
            _tell(step, transfer, transfer.state, f"credited {fmt(short)} short")
        return
    transfer.qty_lost = max(short, ZERO)
    if transfer.qty_lost:
        text = f"{_words(transfer)}: a hidden fee of {fmt(transfer.qty_lost)}"
        step.alert(Severity.WARNING, "transfer_fee_hidden", text)
    _learn(state, transfer)
    _move(state, step, transfer, TransferState.CREDITED, f"hidden fee {fmt(short)}" if short > 0 else "")


def _uncredited(state: State, step: Step, transfer: Transfer, report: TransferReported) -> None:
    """Take a credit back that the target took back: a reorganisation, or the second of two."""
    _book_credits(state, transfer, transfer.credits | {report.transfer_id: ZERO})  # remembered: not to be booked again
    text = f"{_words(transfer)}: {transfer.target} took back {report.transfer_id}"
    if transfer.qty_sent - transfer.qty_credited > transfer.intent.fee_max:
        transfer.qty_lost = ZERO
        _doubt(state, step, transfer, f"{transfer.target} took {report.transfer_id} back")
    else:
        step.alert(Severity.WARNING, "transfer_reversed", text)
        _tell(step, transfer, transfer.state, f"{report.transfer_id} taken back")


def _book_credits(state: State, transfer: Transfer, credits_: dict[str, Decimal]) -> None:
    transfer.credits = credits_
    transfer.qty_credited = sum(credits_.values(), ZERO)
    transfer.credit_told_ns, transfer.is_credit_settled = state.now_ns, False
    state.unsettled[transfer.id] = transfer
    transit.see(state, transfer, transfer.qty_credited)


def _returned(state: State, step: Step, transfer: Transfer, why: str, qty: Decimal | None = None) -> None:
    """End a transfer whose money is at its source again."""
    transit.give_back(state, transfer, transfer.debited if qty is None else qty)
    transfer.debit_told_ns, transfer.is_credit_settled = state.now_ns, True
    step.alert(Severity.WARNING, "transfer_returned", f"{_words(transfer)}: {why}")
    _move(state, step, transfer, TransferState.FAILED, why)


def _learn(state: State, transfer: Transfer) -> None:
    route = (transfer.source, transfer.asset, transfer.network)
    took_ns = state.now_ns - (transfer.sent_ts_ns or transfer.requested_ts_ns)
    state.delays[route] = delays.added(state.delays.get(route), *route, took_ns)


def _learn_fee(state: State, transfer: Transfer) -> None:
    """Note what a source that tells no fee took: half way from what was known, as there are few. A fee of 0 may be untold."""
    route = (transfer.source, transfer.asset, transfer.network)
    terms = state.venue(transfer.source).networks.get((transfer.asset, transfer.network))
    if not transfer.fee_paid or (terms is not None and terms.is_told) or transfer.is_fee_learned:
        return
    transfer.is_fee_learned = True
    known = state.network_fees.get(route)
    fee = transfer.fee_paid
    if known is not None and known.is_paid:
        fee = ceil_to_step((known.fee + fee) / 2, FEE_QTY_STEP)
    state.network_fees[route] = TypicalFee(
        venue=transfer.source, asset=transfer.asset, network=transfer.network, fee=fee, is_paid=True
    )


# --- which transfer a line of history is about -----------------------------------------------------------------------


def _of_withdrawal(state: State, report: TransferReported) -> Transfer | None:
    mine = [one for one in state.transfers.values() if one.source == report.venue and one.asset == report.asset]
    named = next((one for one in mine if one.venue_transfer_id == report.transfer_id), None)
    unnamed = (one for one in mine if not one.venue_transfer_id and one.sent_ts_ns and _fits(one, report, ZERO))
    return named or next(unnamed, None)


def _of_deposit(state: State, report: TransferReported) -> Transfer | None:
    mine = _towards(state, report)
    known = next((one for one in mine if report.transfer_id in one.credits), None)
    by_tx = (one for one in mine if report.tx_id and one.tx_id == report.tx_id)
    by_intent = (one for one in mine if not one.qty_credited and not one.state.is_terminal and _fits(one, report, ONE))
    return known or next(by_tx, None) or next((one for one in by_intent if one.sent_ts_ns), None)


def _towards(state: State, report: TransferReported) -> list[Transfer]:
    return [one for one in state.transfers.values() if one.target == report.venue and one.asset == report.asset]


def _returned_one(state: State, report: TransferReported) -> Transfer | None:
    """Return the transfer whose coins this deposit at its own source brings back: by transaction, or a stuck one's."""
    mine: Iterable[Transfer] = (
        one
        for one in state.transfers.values()
        if one.source == report.venue and one.asset == report.asset and not one.state.is_terminal
    )
    for one in mine:
        is_by_tx = bool(report.tx_id) and one.tx_id == report.tx_id
        if is_by_tx or (one.state is TransferState.STUCK and _fits_but_address(one, report, ONE)):
            return one
    return None


def _fits(transfer: Transfer, report: TransferReported, less: Decimal) -> bool:
    """Return whether a line may be about this intent. What the venue does not tell (empty, 0) speaks neither way."""
    intent = transfer.intent
    same = ((report.address, intent.address), (report.tag, intent.tag))
    return _fits_but_address(transfer, report, less) and all(told in ("", ours) for told, ours in same)


def _fits_but_address(transfer: Transfer, report: TransferReported, less: Decimal) -> bool:
    """Compare asset, network, time and quantity; `less` 1 allows only less than was sent, 0 some more as well."""
    qty, room = abs(report.qty), transfer.intent.fee_max
    is_near = transfer.qty_sent - room <= qty <= transfer.qty_sent + room * (ONE - less)
    return is_near and _is_same_way(transfer, report)


def _is_same_way(transfer: Transfer, report: TransferReported) -> bool:
    is_early = 0 < report.venue_ts_ns < transfer.requested_ts_ns - EARLY_NS
    return report.network in ("", transfer.network) and not is_early


# --- late ------------------------------------------------------------------------------------------------------------


def on_timer(state: State, step: Step, name: TransferId) -> None:
    """Look after a transfer: ask both ends, and call it stuck when it is later than its route allows."""
    transfer = state.transfers.get(name)
    if transfer is None or transfer.state.is_terminal:
        return
    if state.now_ns >= transfer.overdue_at_ns and transfer.state is not TransferState.STUCK:
        _overdue(state, step, transfer)
    _ask(step, transfer)
    _look_later(state, step, transfer)


def _overdue(state: State, step: Step, transfer: Transfer) -> None:
    law = delays.route_delay(state, transfer.source, transfer.asset, transfer.network)
    age_ns = state.now_ns - (transfer.sent_ts_ns or transfer.requested_ts_ns)
    quantile = state.config.transfers.limits.overdue_quantile
    text = (
        f"{_words(transfer)}: {_minutes(age_ns)} min under way, {transfer.state} since "
        f"{_minutes(state.now_ns - transfer.since_ns)} min; {fmt(quantile * 100)} % of this route take less than "
        f"{_minutes(law.quantile_ns(quantile))} min, half less than {_minutes(law.quantile_ns(delays.MEDIAN))}. "
        f"Its worth stays counted; no transfer of {transfer.asset} or over {transfer.network} and no arb that needs it "
        f"begins. Look at {transfer.source}'s withdrawal {transfer.venue_transfer_id or '(it gave no id)'} and at "
        f"{transfer.tx_id or 'its page for a transaction id'}; ask their support, never send again: "
        f"arbot transfers show {transfer.id}"
    )
    step.alert(Severity.CRITICAL, "transfer_overdue", text)
    _stick(state, step, transfer, f"overdue after {_minutes(age_ns)} min")


def _stick(state: State, step: Step, transfer: Transfer, why: str) -> bool:
    if transfer.state is TransferState.STUCK:
        return False
    transfer.stuck_from = transfer.state
    _move(state, step, transfer, TransferState.STUCK, why)
    _look_later(state, step, transfer)
    return True


def _doubt(state: State, step: Step, transfer: Transfer, why: str) -> None:
    """Take a transfer out of its end again, or keep it stuck, and call a person."""
    state.unsettled[transfer.id] = transfer
    step.alert(Severity.CRITICAL, "transfer_doubt", f"{_words(transfer)}: {why}; it is counted as in flight again")
    if not _stick(state, step, transfer, why):
        _tell(step, transfer, transfer.state, why)


def _look_later(state: State, step: Step, transfer: Transfer) -> None:
    limits = state.config.transfers.limits
    if not transfer.overdue_at_ns:
        law = delays.route_delay(state, transfer.source, transfer.asset, transfer.network)
        began_ns = transfer.sent_ts_ns or transfer.requested_ts_ns
        transfer.overdue_at_ns = began_ns + law.quantile_ns(limits.overdue_quantile)
    at_ns = state.now_ns + limits.poll_seconds * NS_PER_S
    if transfer.state is not TransferState.STUCK:
        at_ns = min(at_ns, max(transfer.overdue_at_ns, state.now_ns + NS_PER_S))
    step.timer(timer_key(transfer), at_ns)


def _ask(step: Step, transfer: Transfer) -> None:
    for venue in (transfer.source, transfer.target):
        step.command(RequestTransfers(venue=venue))


# --- moving ----------------------------------------------------------------------------------------------------------


def _advance(
    state: State, step: Step, transfer: Transfer, to: TransferState, detail: str, *, is_news: bool = False
) -> bool:
    """Go on to a later stage; a stuck one goes on when it is past where it stuck, or at any other news of it."""
    if transfer.state.is_terminal:
        return False
    at = transfer.stuck_from if transfer.state is TransferState.STUCK else transfer.state
    is_same_stage = transfer.state is TransferState.STUCK and is_news and _RANK[to] == _RANK.get(at, 0)
    if _RANK[to] <= _RANK.get(at, 0) and not is_same_stage:
        return False
    if transfer.state is TransferState.STUCK:  # its clock begins anew: it was seen to move
        law = delays.route_delay(state, transfer.source, transfer.asset, transfer.network)
        transfer.overdue_at_ns = state.now_ns + law.quantile_ns(state.config.transfers.limits.overdue_quantile)
        step.alert(Severity.INFO, "transfer_moves", f"{_words(transfer)}: goes on, {to}")
    _move(state, step, transfer, to, detail)
    _look_later(state, step, transfer)
    return True


def _move(state: State, step: Step, transfer: Transfer, to: TransferState, detail: str) -> None:
    """Put a transfer into another state. Raises: InvariantBroken on a step that TRANSFER_LIFE does not have."""
    before = transfer.state
    ensure(to in TRANSFER_LIFE[before], "transfer life", transfer=transfer.id, was=before, to=to)
    transfer.state, transfer.since_ns = to, state.now_ns
    if to.is_terminal:
        step.command(CancelTimer(key=timer_key(transfer)))
    _tell(step, transfer, before, detail)


def _tell(step: Step, transfer: Transfer, before: TransferState, detail: str) -> None:
    step.decide(
        TransferMoved(
            transfer=transfer.id,
            before=before,
            after=transfer.state,
            detail=detail,
            venue_transfer_id=transfer.venue_transfer_id,
            tx_id=transfer.tx_id,
            sent_ts_ns=transfer.sent_ts_ns,
            is_listed=transfer.is_listed,
            qty_sent=transfer.qty_sent,
            fee_paid=transfer.fee_paid,
            credits=tuple(TransferCredit(deposit, qty) for deposit, qty in transfer.credits.items()),
            qty_lost=transfer.qty_lost,
            since_ns=transfer.since_ns,
            source=transfer.source,
            target=transfer.target,
            asset=transfer.asset,
        )
    )


def _facts(transfer: Transfer) -> tuple[object, ...]:
    return (transfer.venue_transfer_id, transfer.tx_id, transfer.is_listed, transfer.qty_sent, transfer.fee_paid)


def _words(transfer: Transfer) -> str:
    intent = transfer.intent
    route = f"{intent.source} to {intent.target} over {intent.network}"
    return f"transfer {intent.transfer}, {fmt(intent.qty)} {intent.asset} from {route}"


def _minutes(ns: int) -> str:
    return str(ns // MINUTE_NS)


# --- restart, and what venues say of their networks ------------------------------------------------------------------


def restore(state: State, step: Step, event: TransferRestored) -> None:
    """Put a transfer of an earlier run back. One that may have left without an answer is unknown, and is looked for."""
    intent = event.intent
    transfer = Transfer(
        intent,
        event.state,
        event.since_ns or intent.requested_ts_ns,
        intent.requested_ts_ns,
        venue_transfer_id=event.venue_transfer_id,
        tx_id=event.tx_id,
        sent_ts_ns=event.sent_ts_ns or intent.requested_ts_ns,  # it may have left before that was written down
        is_listed=event.is_listed,
        is_fee_learned=event.state in (TransferState.CONFIRMED, TransferState.CREDITED),
        qty_sent=event.qty_sent or intent.qty,
        fee_paid=event.fee_paid,
        credits={credit.deposit: credit.qty for credit in event.credits},
        qty_credited=event.qty_credited,
    )
    transit.take_up(state, transfer)
    _keep(state, transfer)
    if transfer.state is TransferState.REQUESTED:
        _move(state, step, transfer, TransferState.UNKNOWN, "the process ended before an answer came")
    if transfer.state is TransferState.STUCK:
        named, listed = bool(transfer.venue_transfer_id), transfer.tx_id or transfer.is_listed
        transfer.stuck_from = (
            TransferState.BROADCAST if listed else TransferState.ACCEPTED if named else TransferState.UNKNOWN
        )
    if not transfer.state.is_terminal:
        _ask(step, transfer)
        _look_later(state, step, transfer)


def networks_reported(state: State, event: NetworksReported) -> None:
    """Note what a venue takes and gives out now, and move the running medians of its fees."""
    known = state.venue(event.venue)
    known.networks = {(terms.asset, terms.network): terms for terms in event.networks}
    known.networks_ts_ns = state.now_ns
    for terms in event.networks:
        if not terms.is_told:
            continue
        route = (event.venue, terms.asset, Network(terms.network))
        typical, looked_ns = state.network_fees.get(route), state.network_fees_ts_ns.get(route, 0)
        if typical is None or not typical.fee or typical.is_paid:
            fee = terms.fee
        elif state.now_ns - looked_ns < FEE_LOOK_NS:
            continue
        else:
            step = typical.fee * FEE_STEP
            fee = min(terms.fee, typical.fee + step) if terms.fee > typical.fee else max(terms.fee, typical.fee - step)
        state.network_fees_ts_ns[route] = state.now_ns
        state.network_fees[route] = TypicalFee(venue=event.venue, asset=terms.asset, network=terms.network, fee=fee)


def stuck(state: State) -> tuple[Transfer, ...]:
    """Return the transfers that are later than their routes allow."""
    return tuple(one for one in state.unsettled.values() if one.state is TransferState.STUCK)


def waiting(state: State, venue: VenueId) -> bool:
    """Return whether something is under way from or to a venue: its history is then worth asking for more often."""
    return any(venue in (one.source, one.target) for one in state.unsettled.values())


def digest_lines(state: State) -> Iterator[str]:
    """Yield what is known of transfers and networks in a canonical writing, for the digest."""
    for one in state.transfers.values():
        counted = " ".join(map(fmt, (one.debited, one.seen, one.qty_sent, one.fee_paid, one.qty_lost)))
        facts = (one.state.value, one.venue_transfer_id, one.tx_id, one.is_listed, one.is_settled, one.overdue_at_ns)
        yield f"transfer {one.id} {facts} {counted} {sorted(one.credits)}"
    for venue_id, deposit in state.unclaimed:
        yield f"unclaimed {venue_id} {deposit} {state.unclaimed[venue_id, deposit].state}"
    for name, venue in state.venues.items():
        for terms in venue.networks.values():
            is_open = (terms.can_withdraw, terms.can_deposit, terms.is_told)
            yield f"network {name} {terms.asset} {terms.network} {is_open} {fmt(terms.fee)} {fmt(terms.qty_min)}"
