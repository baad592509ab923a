"""Where an edge is: routes of an asset, and how far two books can be walked before fees eat it.

edge_gross_bps = (bid - ask) / ask and edge_net_bps = (bid * (1 - fee_sell) - ask * (1 + fee_buy)) / ask, both in bps of
the buying price. Exact Decimals; the compiled screen in `market` has already said that a look is worth it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from arbot.domain.decisions import OpportunityDeclined, Reason
from arbot.domain.ids import Asset, InstrumentId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, bps_to_rate, share_bps
from arbot.engine.market_view import Level
from arbot.engine.state import State
from arbot.engine.strategy import Proposal

SHALLOW = 4  # levels looked at first


class Detector:
    """The engine's side of a strategy's Context: reads the state, changes nothing."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._routes: dict[InstrumentId, tuple[tuple[Instrument, Instrument], ...]] = {}

    def rebuild(self) -> None:
        """Lay out the routes anew after instruments changed: every ordered pair of venues per base asset."""
        alike: dict[Asset, list[Instrument]] = {}
        for one in self._state.instruments.values():
            alike.setdefault(one.base, []).append(one)
        self._routes = {
            one.id: tuple(
                route for other in alike[one.base] if other.venue != one.venue for route in ((one, other), (other, one))
            )
            for one in self._state.instruments.values()
        }

    @property
    def now_ns(self) -> int:
        """Engine time of this step."""
        return self._state.now_ns

    def routes(self, changed: Sequence[InstrumentId]) -> Iterator[tuple[Instrument, Instrument]]:
        """Yield each (buy, sell) route that has a changed book in it once, in a fixed order."""
        if len(changed) == 1:
            yield from self._routes.get(changed[0], ())
            return
        seen = dict.fromkeys(route for instrument in changed for route in self._route_ids(instrument))
        for buy, sell in seen:
            yield self._state.instruments[buy], self._state.instruments[sell]

    def _route_ids(self, instrument: InstrumentId) -> Iterator[tuple[InstrumentId, InstrumentId]]:
        return ((buy.id, sell.id) for buy, sell in self._routes.get(instrument, ()))

    def levels(self, instrument: InstrumentId, side: Side) -> tuple[Level, ...]:
        """Return the levels met when trading on `side`, best first, as deep as the policy walks."""
        return self._state.market.levels(instrument, side, self._state.config.execution.depth_max)

    def fee(self, instrument: InstrumentId) -> FeeRate | None:
        """Return our fees at the present tier, or None when the venue has not told them."""
        return self._state.fees.get(instrument)

    def opportunity(
        self, buy: Instrument, sell: Instrument, edge_net_bps_min: Decimal
    ) -> Proposal | OpportunityDeclined | None:
        """Walk both books until the marginal unit no longer clears `edge_net_bps_min` after both taker fees."""
        market = self._state.market
        ask, bid = market.best(buy.id, Side.BUY), market.best(sell.id, Side.SELL)
        if ask is None or bid is None or bid.price <= ask.price:
            return None
        if buy.quote != sell.quote:
            return _declined(buy, sell, Reason.QUOTE_MISMATCH, edge_net_bps=share_bps(bid.price - ask.price, ask.price))
        fee_buy, fee_sell = self.fee(buy.id), self.fee(sell.id)
        if fee_buy is None or fee_sell is None:
            return _declined(buy, sell, Reason.FEE_UNKNOWN)
        if not (market.state(buy.id).is_valid and market.state(sell.id).is_valid):
            return _declined(buy, sell, Reason.BOOK_NOT_TRADABLE)
        factors = (ONE + fee_buy.taker + bps_to_rate(edge_net_bps_min), ONE - fee_sell.taker)
        walked = self._walk(buy.id, sell.id, *factors)
        if walked is None:
            net = bid.price * factors[1] - ask.price * (ONE + fee_buy.taker)
            edge = share_bps(net, ask.price)
            return _declined(buy, sell, Reason.NO_EDGE, value=edge, limit=edge_net_bps_min, edge_net_bps=edge)
        qty, cost, proceeds, buy_price, sell_price = walked
        return Proposal(
            buy=buy.id,
            sell=sell.id,
            qty=qty,
            buy_price=buy_price,
            sell_price=sell_price,
            edge_gross_bps=share_bps(proceeds - cost, cost),
            edge_net_bps=share_bps(proceeds * factors[1] - cost * (ONE + fee_buy.taker), cost),
        )

    def _walk(
        self, buy: InstrumentId, sell: InstrumentId, ask_factor: Decimal, bid_factor: Decimal
    ) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal] | None:
        """Walk the first levels, and as deep as the policy allows only when those did not end it: most edges are thin."""
        market, depth_max = self._state.market, self._state.config.execution.depth_max
        depth = min(SHALLOW, depth_max)
        while True:
            asks, bids = market.levels(buy, Side.BUY, depth), market.levels(sell, Side.SELL, depth)
            walked = walk(asks, bids, ask_factor, bid_factor)
            ended = walked is None or (walked[3] != asks[-1].price and walked[4] != bids[-1].price)
            if ended or depth == depth_max:
                return walked
            depth = depth_max


def walk(
    asks: Sequence[Level], bids: Sequence[Level], ask_factor: Decimal, bid_factor: Decimal
) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal] | None:
    """Match asks against bids while bid * bid_factor >= ask * ask_factor.

    Returns (qty in base, cost and proceeds in quote before fees, worst ask used, worst bid used), None when nothing clears.
    """
    qty = cost = proceeds = buy_price = sell_price = ZERO
    ask_at = bid_at = 0
    ask_used = bid_used = ZERO
    while ask_at < len(asks) and bid_at < len(bids):
        ask, bid = asks[ask_at], bids[bid_at]
        if bid.price * bid_factor < ask.price * ask_factor:
            break
        step = min(ask.qty - ask_used, bid.qty - bid_used)
        qty, cost, proceeds = qty + step, cost + step * ask.price, proceeds + step * bid.price
        buy_price, sell_price = ask.price, bid.price
        ask_used, bid_used = ask_used + step, bid_used + step
        if ask_used == ask.qty:
            ask_at, ask_used = ask_at + 1, ZERO
        if bid_used == bid.qty:
            bid_at, bid_used = bid_at + 1, ZERO
    return (qty, cost, proceeds, buy_price, sell_price) if qty else None


def reach(levels: Sequence[Level], side: Side, qty: Decimal, price_cap: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """Return (quantity, quote value, worst price) that trading `qty` on `side` meets no worse than `price_cap`."""
    got = value = ZERO
    worst = price_cap
    for level in levels:
        if (level.price > price_cap) if side is Side.BUY else (level.price < price_cap):
            break
        step = min(level.qty, qty - got)
        got, value, worst = got + step, value + step * level.price, level.price
        if got == qty:
            break
    return got, value, worst


def _declined(
    buy: Instrument,
    sell: Instrument,
    reason: Reason,
    *,
    value: Decimal = ZERO,
    limit: Decimal = ZERO,
    edge_net_bps: Decimal = ZERO,
) -> OpportunityDeclined:
    return OpportunityDeclined(
        buy=buy.id, sell=sell.id, reason=reason, value=value, limit=limit, edge_net_bps=edge_net_bps
    )
