"""Edges between venues at the touch: of every route, or, where there are too many to tell, of the best one of each market.

Routes grow with the square of the venues: 20 venues with 50 symbols have 19,000, and a look at all of them takes a fifth of
a second. Above ROUTES_MAX one route a market is told, found by one look at each book. Fees that were not told count as zero,
and the reason says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from arbot.domain.book import Level
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, div, share_bps
from arbot.engine.state import State
from arbot.observe.catalogue.opportunities import ROUTES_MAX
from arbot.observe.recent import Recent


class EdgeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One route at the touch, and why it was last declined ("" = not looked at or taken)."""

    symbol: str
    buy: str
    sell: str
    edge_gross_bps: Decimal
    edge_net_bps: Decimal
    fees_bps: Decimal
    qty: Decimal
    reason: str


class _Offer(NamedTuple):
    """A book with both sides and our taker rate there."""

    instrument: Instrument
    bid: Level
    ask: Level
    rate: Decimal


def routes_count(listed: Iterable[tuple[str, str]]) -> int:
    """Return how many routes there are between instruments given as (venue, base): those of one base at two venues."""
    by_base: Counter[str] = Counter()
    at_venue: Counter[tuple[str, str]] = Counter()
    for venue, base in listed:
        by_base[base] += 1
        at_venue[venue, base] += 1
    return sum(count**2 for count in by_base.values()) - sum(count**2 for count in at_venue.values())


def has_routes_to_tell(state: State) -> bool:
    """Return whether every route can be told, or only the best of each market."""
    return routes_count((one.venue, one.base) for one in state.instruments.values()) <= ROUTES_MAX


def edges_told(state: State, recent: Recent) -> Iterator[EdgeLine]:
    """Yield every route while there are few, else the best of each market."""
    return edge_lines(state, recent) if has_routes_to_tell(state) else best_edges(state, recent)


def edge_lines(state: State, recent: Recent) -> Iterator[EdgeLine]:
    """Yield every route whose two books have both sides, with its edge at the touch.

    Between unlike quotes the edge is what it would be if one could be turned into the other at the mid of a live book;
    without such a book it is the bare ratio of the prices. Either way the reason says that nobody trades it like that.
    """
    by_base: dict[str, list[Instrument]] = {}
    for one in state.instruments.values():
        by_base.setdefault(one.base, []).append(one)
    for buy in tuple(state.instruments.values()):
        for sell in by_base[buy.base]:
            if buy.venue == sell.venue:
                continue
            ask, bid = state.market.best(buy.id, Side.BUY), state.market.best(sell.id, Side.SELL)
            if ask is not None and bid is not None:
                yield _edge(state, recent, (buy, ask), (sell, bid))


def best_routes(state: State) -> Iterator[tuple[tuple[Instrument, Level], tuple[Instrument, Level]]]:
    """Yield of each base and quote the route with the best net edge: where to buy at what, and where to sell at what.

    One look at each book: for any place to buy at, the best to sell at is one of the two that bring most.
    """
    for ids in tuple(state.markets.values()):
        listed = [state.instruments[one] for one in ids if one in state.instruments]
        offers = [offer for one in listed if (offer := _offer(state, one)) is not None]
        dear = sorted(offers, key=lambda one: one.bid.price * (ONE - one.rate), reverse=True)[:2]
        routes = [(buy, next((one for one in dear if one is not buy), buy)) for buy in offers]
        routes = [route for route in routes if route[0].instrument.venue != route[1].instrument.venue]
        if routes:
            buy, sell = max(routes, key=_net)
            yield (buy.instrument, buy.ask), (sell.instrument, sell.bid)


def best_edges(state: State, recent: Recent) -> Iterator[EdgeLine]:
    """Yield of each base and quote the route with the best net edge."""
    for buy, sell in best_routes(state):
        yield _edge(state, recent, buy, sell)


def _net(route: tuple[_Offer, _Offer]) -> Decimal:
    buy, sell = route
    return div(sell.bid.price * (ONE - sell.rate), buy.ask.price) - buy.rate


def _offer(state: State, instrument: Instrument) -> _Offer | None:
    bid, ask = state.market.best(instrument.id, Side.SELL), state.market.best(instrument.id, Side.BUY)
    if bid is None or ask is None:
        return None
    return _Offer(instrument, bid, ask, _taker(state, instrument))


def _taker(state: State, instrument: Instrument) -> Decimal:
    fee = state.fees.get(instrument.id)
    return ZERO if fee is None else fee.taker


def _edge(
    state: State, recent: Recent, buying: tuple[Instrument, Level], selling: tuple[Instrument, Level]
) -> EdgeLine:
    (buy, ask), (sell, bid) = buying, selling
    rate_buy, rate_sell = _taker(state, buy), _taker(state, sell)
    reason, symbol, paid, got = recent.reason(buy.id, sell.id), buy.symbol, ask.price, bid.price
    if buy.quote != sell.quote:
        reason, symbol = "quote_mismatch", f"{buy.symbol} to {sell.symbol}"
        rates = (state.rate(buy.quote), state.rate(sell.quote))
        paid, got = (paid * rates[0], got * rates[1]) if rates[0] and rates[1] else (paid, got)
    elif buy.id not in state.fees or sell.id not in state.fees:
        reason = "fee_unknown"
    return EdgeLine(
        symbol=symbol,
        buy=buy.venue,
        sell=sell.venue,
        edge_gross_bps=share_bps(got - paid, paid),
        edge_net_bps=share_bps(got * (ONE - rate_sell) - paid * (ONE + rate_buy), paid),
        fees_bps=(rate_buy + rate_sell).scaleb(4),
        qty=min(ask.qty, bid.qty),
        reason=reason,
    )
