"""A large gap between venues is information before it is an opportunity: it is taken once, then the mids have to meet.

Rules:
- An arb at `edge_news_bps` or more may be opened once. Then no arb buys where it bought or sells where it sold, at whatever
  edge, until the mids of its two books are within `mid_news_bps` of one another.
- When half of a venue's instruments are off the others' median the same way, that is one event: one arb in that direction
  at that venue, until they have come back.
- What was taken is remembered in the step that opens the arb, and looked at again by a timer: a look at books changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.events import NewsBlocked, NewsTaken
from arbot.domain.ids import Asset, InstrumentId, VenueId, venue_of
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, div, share_bps
from arbot.engine.risk.plan import Breach, Plan
from arbot.engine.state import State
from arbot.engine.step import Step

TIMER = "news"
MS = 1_000_000


def not_news(plan: Plan) -> Breach | None:
    """Refuse to take the same gap twice; told is how far the mids are apart against how near they have to come, in bps.

    When one level holds nearly all of the walked depth, the words are that one large order pins the price, and told is
    its share against `pin_share`.
    """
    state = plan.state
    for buy, sell in state.news:
        if plan.buy.id == buy or plan.sell.id == sell:
            return _pinned(plan) or Breach(
                Reason.PRICE_IS_NEWS, _gap_bps(state, buy, sell), state.config.news.mid_news_bps
            )
    for leg in plan.legs[:2] if state.news_blocks else ():
        if (leg.instrument.venue, leg.side) in state.news_blocks:
            away = _away_bps(state, leg.instrument.venue, leg.side)
            return Breach(Reason.PRICE_IS_NEWS, max(away, default=ZERO), state.config.news.mid_news_bps)
    return None


def note(state: State, step: Step, plan: Plan) -> None:
    """Remember an arb that is being opened, if its edge is news."""
    policy = state.config.news
    if plan.proposal.edge_gross_bps < policy.edge_news_bps:
        return
    state.news[plan.buy.id, plan.sell.id] = state.now_ns
    for leg in plan.legs[:2]:
        if _is_block(state, leg.instrument.venue, leg.side):
            state.news_blocks[leg.instrument.venue, leg.side] = state.now_ns
    step.timer(TIMER, state.now_ns + policy.news_look_ms * MS)


def taken(state: State) -> tuple[tuple[NewsTaken, ...], tuple[NewsBlocked, ...]]:
    """Return what was taken and has not met since, of instruments and of whole venues, for the store."""
    return (
        tuple(NewsTaken(buy=buy, sell=sell, ts_ns=ts_ns) for (buy, sell), ts_ns in state.news.items()),
        tuple(NewsBlocked(venue=venue, side=side, ts_ns=ts_ns) for (venue, side), ts_ns in state.news_blocks.items()),
    )


def restore(state: State, step: Step, news: Iterable[NewsTaken], blocks: Iterable[NewsBlocked]) -> None:
    """Remember what the last run took, and look at it in time."""
    state.news = {(one.buy, one.sell): one.ts_ns for one in news}
    state.news_blocks = {(one.venue, one.side): one.ts_ns for one in blocks}
    if state.news or state.news_blocks:
        step.timer(TIMER, state.now_ns + state.config.news.news_look_ms * MS)


def look(state: State, step: Step) -> None:
    """Forget what has met since, and look again later at what has not."""
    policy = state.config.news
    listing = dict.fromkeys(one.venue for one in state.instruments.values())
    for buy, sell in list(state.news):
        is_gone = any(one not in state.instruments and venue_of(one) in listing for one in (buy, sell))
        if is_gone or ZERO <= _gap_bps(state, buy, sell) <= policy.mid_news_bps:
            del state.news[buy, sell]
    for venue, side in list(state.news_blocks):
        away = list(_away_bps(state, venue, side))
        if away and max(away) <= policy.mid_news_bps:
            del state.news_blocks[venue, side]
    if state.news or state.news_blocks:
        step.timer(TIMER, state.now_ns + policy.news_look_ms * MS)


def _gap_bps(state: State, buy: InstrumentId, sell: InstrumentId) -> Decimal:
    """Return how far two mids are apart, in bps of the lower one; -1 when a book does not tell."""
    one, other = (_mid(state, state.instruments.get(instrument)) for instrument in (buy, sell))
    return share_bps(abs(one - other), min(one, other)) if one > 0 and other > 0 else -ONE


def _is_block(state: State, venue: VenueId, side: Side) -> bool:
    """Return whether a venue as a whole is off the world: cheap where we would buy, dear where we would sell."""
    policy = state.config.news
    away = list(_away_bps(state, venue, side))
    count = sum(1 for bps in away if bps >= policy.edge_news_bps)
    return count >= policy.block_count_min and div(Decimal(count), Decimal(len(away))) >= policy.block_share


def _away_bps(state: State, venue: VenueId, side: Side) -> Iterator[Decimal]:
    """Yield by how much each instrument of a venue is below (BUY) or above (SELL) the median of the others, in bps."""
    for instrument in state.instruments.values():
        if instrument.venue != venue:
            continue
        others = sorted(
            mid for other in _alike(state, instrument.base) if other.venue != venue and (mid := _mid(state, other)) > 0
        )
        own = _mid(state, instrument)
        if own > 0 and others:
            middle = (others[(len(others) - 1) // 2] + others[len(others) // 2]) / 2
            yield share_bps((middle - own) * side.sign, middle)


def _alike(state: State, base: Asset) -> Iterator[Instrument]:
    return (instrument for instrument in state.instruments.values() if instrument.base == base)


def _mid(state: State, instrument: Instrument | None) -> Decimal:
    """Return the mid of a valid book in the reporting currency, zero when it or its quote has no price."""
    if instrument is None or not state.market.state(instrument.id).is_valid:
        return ZERO
    ask, bid = state.market.best(instrument.id, Side.BUY), state.market.best(instrument.id, Side.SELL)
    unit = state.rate(instrument.quote)
    return ZERO if ask is None or bid is None or unit is None else (ask.price + bid.price) / 2 * unit


def _pinned(plan: Plan) -> Breach | None:
    """Return the refusal in its other words when one of several levels is nearly all that the walk would meet."""
    market, limit = plan.state.market, plan.state.config.news.pin_share
    if plan.proposal.edge_gross_bps < plan.state.config.news.edge_news_bps:
        return None
    for leg in plan.legs[:2]:
        levels = market.levels(leg.instrument.id, leg.side, plan.state.config.execution.depth_max)
        whole = sum((level.qty for level in levels), ZERO)
        if len(levels) > 1 and whole > 0:
            share = div(max(level.qty for level in levels), whole)
            if share > limit:
                return Breach(Reason.PRICE_PINNED, round(share, 4), limit)
    return None
