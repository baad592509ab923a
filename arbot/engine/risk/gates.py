"""Rules that answer yes or no. They fail closed: what is not known is a no. The order of GATES is the order of reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.engine.risk.budget import plan_tail_bps
from arbot.engine.risk.health import money_can_leave, no_maintenance, pegs_hold, venues_healthy
from arbot.engine.risk.news import not_news
from arbot.engine.risk.plan import Breach, Plan
from arbot.engine.risk.transfers import transfer_overdue
from arbot.engine.state import State, VenueState

Gate = Callable[[Plan], Breach | None]

MINUTE_NS = 60_000_000_000
ORDERS_KEPT_FOR_HEDGES = 2  # of the order rate per venue: an arb may not use up what its hedge would need


def blocks(state: State) -> Iterator[Reason]:
    """Yield every reason for which no arb at all may be opened now; the first is the one reported."""
    standing = state.standing
    if standing.killed:
        yield Reason.KILLED
    for limit in standing.latched:
        yield Reason(limit)
    if standing.draining:
        yield Reason.DRAINING
    if standing.paused or standing.halted:
        yield Reason.PAUSED
    if state.stranded_arbs():
        yield Reason.STRANDED


def may_open(plan: Plan) -> Breach | None:
    """Refuse any arb while killed, latched, draining, paused, or while a stranded arb waits for a person."""
    return next((Breach(reason) for reason in blocks(plan.state)), None)


def venues_ready(plan: Plan) -> Breach | None:
    """Require of every leg's venue: streams up, balances told, reconciled without a difference."""
    for venue in _venues(plan):
        if not (venue.is_market_up and venue.is_account_up and venue.has_balances):
            return Breach(Reason.VENUE_NOT_READY)
        if not venue.is_reconciled:
            return Breach(Reason.NOT_RECONCILED, Decimal(len(venue.differences)))
    return None


def instruments_open(plan: Plan) -> Breach | None:
    """Require that every leg's venue takes IOC orders for its instrument now."""
    return None if all(one.takes_ioc for one in plan.instruments) else Breach(Reason.INSTRUMENT_CLOSED)


def clock_skew(plan: Plan) -> Breach | None:
    """Require that each venue's clock was measured and is within `clock_skew_ms_max` of ours."""
    limit = plan.state.config.limits.clock_skew_ms_max
    for venue in _venues(plan):
        if venue.skew_ms is None or abs(venue.skew_ms) > limit:
            return Breach(Reason.CLOCK_SKEW, Decimal(abs(venue.skew_ms or 0)), Decimal(limit))
    return None


def books_valid(plan: Plan) -> Breach | None:
    """Require that the books of all legs passed their integrity checks and are not crossed."""
    market = plan.state.market
    valid = all(market.state(one.id).is_valid for one in plan.instruments)
    return None if valid else Breach(Reason.BOOK_NOT_TRADABLE)


def book_age_recv(plan: Plan) -> Breach | None:
    """Require that all legs' streams showed life within `book_age_recv_ms_max`."""
    return _age(plan, 0, plan.state.config.limits.book_age_recv_ms_max, Reason.BOOK_AGE_RECV)


def book_age_venue(plan: Plan) -> Breach | None:
    """Require that all legs' books changed within `book_age_venue_ms_max` by the venue's own clock, skew removed."""
    return _age(plan, 1, plan.state.config.limits.book_age_venue_ms_max, Reason.BOOK_AGE_VENUE)


def book_skew(plan: Plan) -> Breach | None:
    """Require that the legs' books were received within `book_skew_ms_max` of one another."""
    market, limit = plan.state.market, plan.state.config.limits.book_skew_ms_max
    received = [market.state(one.id).recv_ts_ns for one in plan.instruments]
    apart_ms = (max(received) - min(received)) // 1_000_000
    return Breach(Reason.BOOK_SKEW, Decimal(apart_ms), Decimal(limit)) if apart_ms > limit else None


def too_good_to_be_true(plan: Plan) -> Breach | None:
    """Refuse an edge above `edge_gross_bps_max`: bad data or news, not an opportunity."""
    edge, limit = plan.proposal.edge_gross_bps, plan.state.config.limits.edge_gross_bps_max
    return Breach(Reason.TOO_GOOD_TO_BE_TRUE, edge, limit) if edge > limit else None


def tail_paid(plan: Plan) -> Breach | None:
    """Require that the edge of legs that leave together covers their tail, whichever strategy proposed them.

    A quote has one leg at a time: its review asks for its minimum edge as long as it rests.
    """
    if plan.maker is not None:
        return None
    edge, tail = plan.proposal.edge_net_bps, plan_tail_bps(plan)
    return Breach(Reason.TAIL_UNPAID, edge, tail) if edge < tail else None


def priced(plan: Plan) -> Breach | None:
    """Require a valid book that values base and quotes in the reporting currency: limits in money mean nothing without."""
    assets = dict.fromkeys((plan.buy.base, plan.buy.quote, plan.sell.quote))
    known = all(plan.state.is_priced(asset) for asset in assets)
    return None if known else Breach(Reason.PRICE_UNKNOWN)


def cool_down(plan: Plan) -> Breach | None:
    """Let the route rest after an arb, and while an order of ours is at work on one of its books: its depth would count twice."""
    now, until = plan.state.now_ns, plan.state.cool_until_ns.get((plan.buy.id, plan.sell.id), 0)
    if now < until:
        return Breach(Reason.COOL_DOWN, Decimal((until - now) // 1_000_000))
    ours = [one.id for one in plan.instruments]
    at_work = (
        o for o in plan.state.live_orders() if plan.maker is None or not o.is_resting
    )  # quotes see to each other
    return Breach(Reason.COOL_DOWN) if any(o.intent.instrument in ours for o in at_work) else None


def arbs_open(plan: Plan) -> Breach | None:
    """Require that fewer than `arbs_open_max` arbs are under way."""
    count, limit = plan.state.active_arbs(), plan.state.config.limits.arbs_open_max
    return Breach(Reason.ARBS_OPEN, Decimal(count), Decimal(limit)) if count >= limit else None


def order_rate(plan: Plan) -> Breach | None:
    """Require that each venue's orders of the last minute leave room for its legs and for the hedges they may need."""
    limit = plan.state.config.limits.orders_per_minute_max
    for name in plan.venues:
        legs = sum(1 for one in plan.instruments if one.venue == name)
        count = orders_in_last_minute(plan.state.venue(name), plan.state.now_ns)
        if count + legs + ORDERS_KEPT_FOR_HEDGES > limit:
            return Breach(Reason.ORDER_RATE, Decimal(count), Decimal(limit))
    return None


def rate_budget(plan: Plan) -> Breach | None:
    """Require room in the venues' own rate limits for a leg, its hedge and a cancel, before the first leg leaves."""
    limited = plan.state.rate_limited
    return Breach(Reason.RATE_BUDGET) if any(one.id in limited for one in plan.instruments) else None


GATES: tuple[Gate, ...] = (
    may_open,
    venues_ready,
    venues_healthy,
    no_maintenance,
    instruments_open,
    books_valid,
    book_age_recv,
    book_age_venue,
    book_skew,
    clock_skew,
    too_good_to_be_true,
    tail_paid,
    priced,
    pegs_hold,
    money_can_leave,
    transfer_overdue,
    not_news,
    cool_down,
    arbs_open,
    order_rate,
    rate_budget,
)


def orders_in_last_minute(venue: VenueState, now_ns: int) -> int:
    """Return how many orders were decided for a venue in the last minute, forgetting older ones."""
    sent = venue.orders_sent_ts_ns
    while sent and sent[0] <= now_ns - MINUTE_NS:
        sent.popleft()
    return len(sent)


def _venues(plan: Plan) -> tuple[VenueState, ...]:
    return tuple(plan.state.venue(venue) for venue in plan.venues)


def _age(plan: Plan, which: int, limit_ms: int, reason: Reason) -> Breach | None:
    for instrument in plan.instruments:
        age_ms = plan.state.book_age_ms(instrument)[which]
        if age_ms < 0 or age_ms > limit_ms:
            return Breach(reason, Decimal(age_ms), Decimal(limit_ms))
    return None
