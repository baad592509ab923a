"""What a venue's own conduct says of it, from journaled events only: whether it may be given new arbs, and how much money.

Rules:
- Quarantine forbids new arbs and nothing else: what is open there is finished, hedged, unwound.
- Answers of orders are counted over a window that forgets. Refusals that are about our order (its funds, size, price) are not
  the venue's fault and are not counted as such. What put a venue into quarantine is judged once: counting begins anew.
- Out again after `recovery_s` in which nothing was wrong and balances were told; each relapse doubles the wait.
- Money: a venue whose withdrawals do not work loses its caps at once (half when slow, all when closed) and gets them back one
  step per withdrawal that was seen to work, ours or a person's. What was never told is no evidence, unless
  `require_network_status` says otherwise; what was told once and then no more counts as closed.
- Anybody may put a venue into quarantine by hand, at the first rumour: its caps are zero until it is released in the same
  way. The rest of its caps then comes back as after closed withdrawals: a person's word does not replace one that works.
- A restart forgives nothing: shrunk caps stay shrunk, and a venue in quarantine has to be well anew for all of its wait.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Iterator
from decimal import Decimal

from arbot.domain.commands import RequestAccountSnapshot, Severity
from arbot.domain.decisions import VenueHealthChanged
from arbot.domain.events import (
    MovementState,
    NetworksReported,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    RejectCode,
    RequestOutcomeUnknown,
    TransferReported,
    VenueConduct,
    VenueStatusReported,
)
from arbot.domain.ids import Asset, VenueId
from arbot.domain.order import OrderState
from arbot.domain.transfer import MaintenanceWindow, TransferState, VenueStatus
from arbot.domain.units import ONE, ZERO, div
from arbot.engine.state import OrderRecord, State
from arbot.engine.step import Step
from arbot.engine.watching import Answer, AnswerKind, Rails, VenueHealth

S = 1_000_000_000
WEEK_NS = 7 * 24 * 3600 * S
TIMER = "health"  # "health:<venue>"
SLOW, CLOSED = Decimal("0.5"), ZERO  # of a venue's caps
STUCK_MEANS_CLOSED = 2  # transfers that do not leave: one may be an accident

NOT_WELL = (VenueStatus.MAINTENANCE, VenueStatus.CANCEL_ONLY, VenueStatus.POST_ONLY, VenueStatus.DOWN)
OUR_DOING = (
    RejectCode.INSUFFICIENT_FUNDS,
    RejectCode.BELOW_MINIMUM,
    RejectCode.INVALID_STEP,
    RejectCode.INVALID_PRICE,
    RejectCode.POST_ONLY_WOULD_TAKE,
)
_UNANSWERED_STATES = (OrderState.INTENDED, OrderState.SENT)
_LOG = decimal.Context(prec=12)  # logarithms are for comparing delays; the same digits on every machine

OrderAnswer = OrderAccepted | OrderRejected | RequestOutcomeUnknown | OrderFilled


# --- what is asked of it -----------------------------------------------------------------------------------------------


def cap_factor(state: State, venue: VenueId) -> Decimal:
    """Return what share of a venue's caps its payouts still earn it: 1 while withdrawals work, 0 when nothing may be added."""
    known = state.health.get(venue)
    return ONE if known is None else min(known.cap_factor, _payouts(state, venue, known))


def is_quarantined(state: State, venue: VenueId) -> bool:
    """Return whether a venue gets no new arbs."""
    known = state.health.get(venue)
    return known is not None and known.is_quarantined


def can_leave(state: State, venue: VenueId, asset: Asset) -> bool:
    """Return whether an asset could leave a venue, as far as the venue told lately."""
    known = state.health.get(venue)
    rails = None if known is None else known.rails.get(asset)
    if rails is None:
        return not state.config.health.require_network_status
    return rails.open > 0 and not _is_silent(state, rails)


def next_window(state: State, venue: VenueId) -> MaintenanceWindow | None:
    """Return the maintenance that is under way at a venue, else the next one known, else None."""
    known, found = state.health.get(venue), None
    windows = known.windows if known is not None else ()
    if state.config.maintenance:
        windows = (*windows, *_configured(state, venue))
    for one in windows:  # asked by a gate at every look: of most venues there are none
        if one.until_ns > state.now_ns and (found is None or one.from_ns < found.from_ns):
            found = one
    return found


def share(health: VenueHealth, kind: AnswerKind) -> Decimal:
    """Return the share of a venue's recent answers that were of this kind; zero when there are none."""
    if not health.answers:
        return ZERO
    return div(Decimal(sum(1 for answer in health.answers if answer.kind is kind)), Decimal(len(health.answers)))


def ack_ms_mean(health: VenueHealth) -> Decimal:
    """Return the geometric mean of a venue's recent answer times, to the ms; zero when there are none."""
    logs = [answer.ack_ln for answer in health.answers if answer.kind is AnswerKind.TAKEN]
    if not logs:
        return ZERO
    return round(_LOG.exp(_LOG.divide(sum(logs, ZERO), Decimal(len(logs)))), 0)


def ack_ms_tail(health: VenueHealth) -> Decimal:
    """Return what one in twenty of a venue's recent answers took longer than, in ms; zero when there are none."""
    taken = sorted(answer.ack_ms for answer in health.answers if answer.kind is AnswerKind.TAKEN)
    return Decimal(taken[(len(taken) * 19 - 1) // 20]) if taken else ZERO


# --- what happens to it ------------------------------------------------------------------------------------------------


def begin(state: State, step: Step) -> None:
    """Take up the maintenance windows of the config, and what the last run left in quarantine, at the start of a run."""
    for venue in state.config.venues:
        if any(_configured(state, venue)) or is_quarantined(state, venue):
            _arm(state, step, venue, _of(state, venue))


def conduct(state: State) -> tuple[VenueConduct, ...]:
    """Return what venues have to earn back, for the store; of a venue that was never at fault nothing."""
    return tuple(
        VenueConduct(
            venue=venue,
            cap_factor=known.cap_factor,
            shrunk_ns=known.shrunk_ns,
            is_quarantined=known.is_quarantined,
            since_ns=known.since_ns,
            wait_s=known.wait_s,
            why=known.why,
            held=known.held,
        )
        for venue, known in state.health.items()
        if known.since_ns or known.shrunk_ns
    )


def restore(state: State, conducts: Iterable[VenueConduct]) -> None:
    """Hold against venues what the last run held against them."""
    for told in conducts:
        known = _of(state, told.venue)
        known.cap_factor, known.shrunk_ns = told.cap_factor, told.shrunk_ns
        known.is_quarantined, known.since_ns = told.is_quarantined, told.since_ns
        known.wait_s, known.why, known.held = told.wait_s, told.why, told.held
        known.bad_ns = state.now_ns  # nobody watched meanwhile


def answered(state: State, step: Step, order: OrderRecord, event: OrderAnswer) -> None:
    """Count the first word on an order that left. To be called before the order takes the event in."""
    if order.state not in _UNANSWERED_STATES:
        return
    match event:
        case OrderAccepted() | OrderFilled():
            ack_ms = max(1, (state.now_ns - order.intent.decided_ts_ns) // 1_000_000)
            answer = Answer(state.now_ns, AnswerKind.TAKEN, ack_ms, round(_LOG.ln(Decimal(ack_ms)), 9))
        case OrderRejected():
            kind = AnswerKind.TAKEN if event.code in OUR_DOING else AnswerKind.REFUSED
            answer = Answer(state.now_ns, kind)
        case RequestOutcomeUnknown():
            answer = Answer(state.now_ns, AnswerKind.NONE)
    known = _of(state, order.intent.venue)
    known.answers.append(answer)
    if known.is_quarantined and answer.kind is not AnswerKind.TAKEN:
        _spoil(state, known)
    _judge(state, step, order.intent.venue, known)


def stream_lost(state: State, step: Step, venue: VenueId) -> None:
    """Count a stream that went down."""
    known = _of(state, venue)
    known.drops_ts_ns.append(state.now_ns)
    if known.is_quarantined:
        _spoil(state, known)
    _judge(state, step, venue, known)


def balances_told(state: State, step: Step, venue: VenueId) -> None:
    """Take an answer about balances for a sign of life."""
    known = state.health.get(venue)
    if known is not None and known.is_quarantined:
        known.probes += 1
        _judge(state, step, venue, known)


def status_reported(state: State, step: Step, event: VenueStatusReported) -> None:
    """Take a venue's word for its own state and its announced maintenance."""
    known = _of(state, event.venue)
    known.status, known.status_detail = event.status, event.detail
    known.windows = tuple(one for one in event.windows if one.until_ns > state.now_ns)
    _judge(state, step, event.venue, known)
    _arm(state, step, event.venue, known)


def networks_reported(state: State, step: Step, event: NetworksReported) -> None:
    """Take a venue's word for what can leave it. An asset it leaves out keeps what was told before, and grows old."""
    known = _of(state, event.venue)
    _shrink(state, step, event.venue, known)  # for the silence before this word
    for asset in dict.fromkeys(terms.asset for terms in event.networks):
        terms = [one for one in event.networks if one.asset == asset]
        known.rails[asset] = Rails(sum(1 for one in terms if one.can_withdraw), len(terms), state.now_ns)
    _shrink(state, step, event.venue, known)


def weigh_payouts(state: State, step: Step) -> None:
    """Take note of venues from which a transfer of ours should have left by now, after transfers moved or fell overdue."""
    for venue in dict.fromkeys(transfer.intent.source for transfer in state.transfers.values()):
        if _stuck(state, venue):
            _shrink(state, step, venue, _of(state, venue))


def moved(state: State, step: Step, event: TransferReported) -> None:
    """Give back one step of a venue's caps for a withdrawal that was seen to work, if nothing speaks against it now.

    Any withdrawal of the account counts, ours or a person's, that is done and was begun after the caps had fallen.
    """
    venue, known = event.venue, state.health.get(event.venue)
    if known is None or known.cap_factor == ONE:
        return
    if event.qty >= 0 or event.state is not MovementState.DONE or event.venue_ts_ns <= known.shrunk_ns:
        return
    allowed = _payouts(state, venue, known)
    raised = min(known.cap_factor + state.config.health.cap_step_share, allowed)
    if raised <= known.cap_factor:
        return
    known.cap_factor = raised
    known.shrunk_ns = event.venue_ts_ns  # it counts once, also when it is told again after a restart
    text = f"{venue}: a withdrawal has left; its caps are back at {known.cap_factor} of what is configured"
    step.alert(Severity.INFO, "caps_returned", text)


def fired(state: State, step: Step, venue: VenueId) -> None:
    """Look at a venue again: a maintenance begins or ends, or it is in quarantine and is asked for a sign of life."""
    known = _of(state, venue)
    _judge(state, step, venue, known)
    if known.is_quarantined:
        step.command(RequestAccountSnapshot(venue=venue))
    _arm(state, step, venue, known)


def hold(state: State, step: Step, venue: VenueId, said: str) -> None:
    """Put a venue into quarantine, with caps of zero, until `release`; a venue that is not ours is not taken note of."""
    if venue not in state.config.venues:
        return
    known = _of(state, venue)
    known.held = said
    _shrink(state, step, venue, known)
    _judge(state, step, venue, known)


def release(state: State, step: Step, venue: VenueId) -> None:
    """Let a venue out that was put into quarantine by hand, at once unless its own conduct keeps it there."""
    known = state.health.get(venue)
    if known is None or not known.held:
        return
    known.held = ""
    _judge(state, step, venue, known)
    if not known.is_quarantined:
        return
    if known.bad_ns:
        causes = tuple(_causes(state, venue, known))
        known.why = causes or (f"released by hand, and not yet well for {known.wait_s} s",)
    else:
        _let_out(state, step, venue, known, "released by hand, and its conduct gave no cause")


# --- judging -----------------------------------------------------------------------------------------------------------


def _of(state: State, venue: VenueId) -> VenueHealth:
    known = state.health.get(venue)
    if known is None:
        known = state.health[venue] = VenueHealth()
    return known


def _spoil(state: State, known: VenueHealth) -> None:
    known.bad_ns, known.probes = state.now_ns, 0


def _judge(state: State, step: Step, venue: VenueId, known: VenueHealth) -> None:
    """Put a venue into quarantine for what is wrong now, or let it out when nothing was wrong for long enough."""
    _forget(state, known)
    causes = tuple(_causes(state, venue, known))
    if causes:
        _spoil(state, known)
    if known.held:
        causes = (f"by hand, {known.held}", *causes)
    if causes:
        if not known.is_quarantined:
            _put_in(state, step, venue, known, causes)
        elif known.held:
            known.why = causes
        return
    link = state.venue(venue)
    policy = state.config.health
    is_over = state.now_ns - known.bad_ns >= known.wait_s * S and known.probes >= policy.probes_min
    if known.is_quarantined and is_over and link.is_market_up and link.is_account_up:
        text = f"nothing wrong for {known.wait_s} s, {known.probes} answers about balances"
        _let_out(state, step, venue, known, text)


def _put_in(state: State, step: Step, venue: VenueId, known: VenueHealth, causes: tuple[str, ...]) -> None:
    policy = state.config.health
    is_relapse = known.wait_s > 0 and not known.held and state.now_ns - known.since_ns < 2 * known.wait_s * S
    known.wait_s = min(known.wait_s * 2, policy.recovery_s_max) if is_relapse else policy.recovery_s
    known.is_quarantined, known.since_ns, known.why = True, state.now_ns, causes
    known.answers.clear()
    known.drops_ts_ns.clear()
    step.decide(VenueHealthChanged(venue=venue, is_quarantined=True, why=causes))
    until = "it is released by hand" if known.held else f"{known.wait_s} s after the last of this"
    text = f"{venue} gets no new arbs until {until}: {'; '.join(causes)}"
    step.alert(Severity.WARNING, "venue_quarantined", text)
    _arm(state, step, venue, known)


def _let_out(state: State, step: Step, venue: VenueId, known: VenueHealth, text: str) -> None:
    known.is_quarantined, known.since_ns, known.why = False, state.now_ns, ()
    step.decide(VenueHealthChanged(venue=venue, is_quarantined=False, why=(text,)))
    step.alert(Severity.INFO, "venue_released", f"{venue} may be given arbs again: {text}")


def _causes(state: State, venue: VenueId, known: VenueHealth) -> Iterator[str]:
    """Yield what is wrong with a venue now, one line a cause, each with its number and its limit."""
    policy = state.config.health
    if known.status in NOT_WELL:
        yield f"it calls itself {known.status.value}" + (f": {known.status_detail}" if known.status_detail else "")
    window = next_window(state, venue)
    if window is not None and window.from_ns <= state.now_ns:
        yield "a maintenance is under way" + (f": {window.reason}" if window.reason else "")
    if len(known.drops_ts_ns) > policy.drops_max:
        yield f"its streams were lost {len(known.drops_ts_ns)} times in {policy.drops_window_s} s ({policy.drops_max})"
    if len(known.answers) < policy.orders_min:
        return
    shares = (
        ("refused", AnswerKind.REFUSED, policy.reject_share_max),
        ("left unanswered", AnswerKind.NONE, policy.unanswered_share_max),
    )
    for word, kind, limit in shares:
        measured = share(known, kind)
        if measured > limit:
            yield f"it {word} {round(measured, 2)} of {len(known.answers)} orders ({limit})"
    for word, ack_ms, limit_ms in (
        ("in the mean", ack_ms_mean(known), policy.ack_ms_mean_max),
        ("in the tail", ack_ms_tail(known), policy.ack_ms_tail_max),
    ):
        if ack_ms > limit_ms:
            yield f"its answers take {ack_ms} ms {word} ({limit_ms})"


def _forget(state: State, known: VenueHealth) -> None:
    policy = state.config.health
    answers, drops = known.answers, known.drops_ts_ns
    while len(answers) > policy.orders_window or (
        answers and answers[0].ts_ns <= state.now_ns - policy.orders_forget_s * S
    ):
        answers.popleft()
    while drops and drops[0] <= state.now_ns - policy.drops_window_s * S:
        drops.popleft()


def _arm(state: State, step: Step, venue: VenueId, known: VenueHealth) -> None:
    """Have the venue looked at again when something may have changed by time alone."""
    window = next_window(state, venue)
    at = [state.now_ns + state.config.health.probe_s * S] if known.is_quarantined else []
    if window is not None:
        at.append(window.from_ns if window.from_ns > state.now_ns else window.until_ns)
    if at:
        step.timer(f"{TIMER}:{venue}", min(at))


def _configured(state: State, venue: VenueId) -> Iterator[MaintenanceWindow]:
    """Yield the windows of the config that are not over; of a weekly one the present or the next time."""
    for rule in state.config.maintenance:
        if rule.venue != venue:
            continue
        is_over = state.now_ns >= rule.until_ns
        weeks = (state.now_ns - rule.until_ns) // WEEK_NS + 1 if rule.is_weekly and is_over else 0
        window = MaintenanceWindow(
            from_ns=rule.from_ns + weeks * WEEK_NS, until_ns=rule.until_ns + weeks * WEEK_NS, reason="as configured"
        )
        if window.until_ns > state.now_ns:
            yield window


# --- money that cannot leave -------------------------------------------------------------------------------------------


def _payouts(state: State, venue: VenueId, known: VenueHealth) -> Decimal:
    """Return what the evidence allows of a venue's caps now, whatever was shrunk before."""
    if known.held:
        return CLOSED
    stuck = _stuck(state, venue)
    heard_ns = state.now_ns - state.config.health.network_silence_s * S
    closed = sum([not rails.open or rails.ts_ns < heard_ns for rails in known.rails.values()])
    if stuck >= STUCK_MEANS_CLOSED or (known.rails and closed == len(known.rails)):
        return CLOSED
    if not known.rails and state.config.health.require_network_status:
        return CLOSED
    is_slow = stuck or (
        closed and div(Decimal(closed), Decimal(len(known.rails))) > state.config.health.closed_share_max
    )
    return SLOW if is_slow else ONE


def _shrink(state: State, step: Step, venue: VenueId, known: VenueHealth) -> None:
    allowed = _payouts(state, venue, known)
    if allowed < known.cap_factor:
        known.cap_factor, known.shrunk_ns = allowed, state.now_ns
        why = "it was put into quarantine by hand" if known.held else "its withdrawals do not work as they should"
        text = f"{venue}: its caps are at {allowed} of what is configured, for {why}; "
        text += "each withdrawal that is seen to work from now on gives back a part"
        step.alert(Severity.WARNING, "caps_shrunk", text)


def _is_silent(state: State, rails: Rails) -> bool:
    return state.now_ns >= silent_after_ns(state, rails.ts_ns)


def silent_after_ns(state: State, ts_ns: int) -> int:
    """Return from when on a word of that time is too old."""
    return ts_ns + state.config.health.network_silence_s * S + 1


def _stuck(state: State, venue: VenueId) -> int:
    """Return how many of our transfers are overdue without a trace on the network: what has one has left the venue."""
    return sum(
        1
        for transfer in state.unsettled.values()
        if transfer.state is TransferState.STUCK and transfer.source == venue and not transfer.tx_id
    )
