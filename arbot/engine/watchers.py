"""What health, pegs and news are told of each journaled event, before and after the engine has taken it in."""

from __future__ import annotations

from arbot.domain.events import (
    AccountSnapshotReceived,
    Event,
    FeedDisconnected,
    InstrumentsLoaded,
    NetworksReported,
    OrderAccepted,
    OrderFilled,
    OrderRejected,
    RequestOutcomeUnknown,
    RunStarted,
    StandingRestored,
    TimerFired,
    TransferReported,
    TransferRestored,
    VenueStatusReported,
)
from arbot.domain.ids import VenueId
from arbot.domain.units import fmt
from arbot.engine import health, pegs
from arbot.engine.risk import news
from arbot.engine.state import State
from arbot.engine.step import Step

SUBMIT = "submit"  # of the requests about an order, the one whose answers are counted


def before(state: State, step: Step, event: Event) -> None:
    """Count answers: whether one is the first on its order can only be told before the order has moved."""
    if isinstance(event, RequestOutcomeUnknown) and event.request != SUBMIT:
        return
    if isinstance(event, OrderAccepted | OrderRejected | RequestOutcomeUnknown | OrderFilled):
        name = event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id
        order = state.orders.get(name)
        if order is not None:
            health.answered(state, step, order, event)


def after(state: State, step: Step, event: Event) -> None:
    """Hand on what the event says of venues, coins and news."""
    match event:
        case RunStarted():
            health.begin(state, step)
        case StandingRestored():
            health.restore(state, event.conduct)
            pegs.restore(state, event.depegged)
            news.restore(state, step, event.news, event.news_blocks)
        case InstrumentsLoaded():
            pegs.watch(state, step)
        case FeedDisconnected():
            health.stream_lost(state, step, event.venue)
        case AccountSnapshotReceived():
            health.balances_told(state, step, event.venue)
        case VenueStatusReported():
            health.status_reported(state, step, event)
        case NetworksReported():
            health.networks_reported(state, step, event)
        case TransferReported():
            health.moved(state, step, event)
            health.weigh_payouts(state, step)
        case TransferRestored():
            health.weigh_payouts(state, step)
        case TimerFired():
            _on_timer(state, step, event.key)
        case _:
            pass  # of no concern to them


def _on_timer(state: State, step: Step, key: str) -> None:
    kind, _, rest = key.partition(":")
    if kind == health.TIMER:
        health.fired(state, step, VenueId(rest))
    elif kind == pegs.TIMER:
        pegs.look(state, step)
    elif kind == news.TIMER:
        news.look(state, step)
    elif state.transfers:
        health.weigh_payouts(state, step)  # a transfer may just have fallen overdue


def lines(state: State) -> list[str]:
    """Return all that is remembered here, canonically, for the digest."""
    told = []
    for venue, known in state.health.items():
        answers = [f"{answer.kind.value}{answer.ack_ms}" for answer in known.answers]
        facts = (known.is_quarantined, known.status.value, known.wait_s, known.since_ns, known.bad_ns, known.probes)
        rails = {asset: tuple(rails) for asset, rails in known.rails.items()}
        told.append(f"health {venue} {facts} {fmt(known.cap_factor)} {known.windows} {rails} {answers}")
        told[-1] += f" {list(known.drops_ts_ns)} {known.held}"
    for coin, peg in state.pegs.items():
        looks = [fmt(worth) for worth in peg.looks]
        told.append(f"peg {coin} {peg.is_known} {peg.is_off} {peg.inside_since_ns} {looks}")
    told += [f"news {buy} {sell} {ts_ns}" for (buy, sell), ts_ns in state.news.items()]
    told += [f"news of {venue} {side.value} {ts_ns}" for (venue, side), ts_ns in state.news_blocks.items()]
    return told
