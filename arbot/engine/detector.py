"""Where an edge is: routes of an asset, and how far two books can be walked before fees eat it.

edge_gross_bps = (bid - ask) / ask and edge_net_bps = (bid * (1 - fee_sell) - ask * (1 + fee_buy)) / ask, both in bps of
the buying price. Exact Decimals; the compiled screen in `market` has already said that a look is worth it.
Of a triangle both prices are first brought into the home quote, at what the conversion's book gives for that quantity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.decisions import OpportunityDeclined, Reason
from arbot.domain.ids import Asset, InstrumentId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, bps_to_rate, div, share_bps
from arbot.engine.market_view import Level
from arbot.engine.risk.tail import route_tail_bps
from arbot.engine.state import State
from arbot.engine.strategy import Conversion, Proposal, Triangle

SHALLOW = 4  # levels looked at first


class Detector:
    """The engine's side of a strategy's Context: reads the state, changes nothing."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._routes: dict[InstrumentId, tuple[tuple[Instrument, Instrument], ...]] = {}
        self._triangles: tuple[Triangle, ...] = ()
        self._triangles_of: dict[InstrumentId, tuple[int, ...]] = {}

    def rebuild(self) -> None:
        """Lay out routes and triangles anew after instruments changed: per base asset, every ordered pair of venues."""
        alike: dict[Asset, list[Instrument]] = {}
        for one in self._state.instruments.values():
            alike.setdefault(one.base, []).append(one)
        self._routes = {
            one.id: tuple(
                route for other in alike[one.base] if other.venue != one.venue for route in ((one, other), (other, one))
            )
            for one in self._state.instruments.values()
        }
        self._triangles = tuple(_triangles(alike))
        places: dict[InstrumentId, list[int]] = {}
        for place, triangle in enumerate(self._triangles):
            for one in triangle[:3]:
                places.setdefault(one.id, []).append(place)
        self._triangles_of = {instrument: tuple(mine) for instrument, mine in places.items()}

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

    def triangles(self, changed: Sequence[InstrumentId]) -> Iterator[Triangle]:
        """Yield each triangle that has a changed book in it once, in a fixed order."""
        if len(changed) == 1:
            places: Sequence[int] = self._triangles_of.get(changed[0], ())
        else:
            places = sorted({place for one in changed for place in self._triangles_of.get(one, ())})
        return (self._triangles[place] for place in places)

    def levels(self, instrument: InstrumentId, side: Side, depth: int = 0) -> tuple[Level, ...]:
        """Return the first `depth` levels met when trading on `side`, best first; 0: as deep as the policy walks."""
        return self._state.market.levels(instrument, side, depth or self._state.config.execution.depth_max)

    def fee(self, instrument: InstrumentId) -> FeeRate | None:
        """Return our fees at the present tier, or None when the venue has not told them."""
        return self._state.fees.get(instrument)

    def opportunity(
        self, buy: Instrument, sell: Instrument, edge_net_bps_min: Decimal
    ) -> Proposal | OpportunityDeclined | None:
        """Walk both books until the marginal unit no longer clears `edge_net_bps_min` after both taker fees and its tail."""
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
        needed_bps = edge_net_bps_min + route_tail_bps(self._state, buy, sell)
        factors = (ONE + fee_buy.taker + bps_to_rate(needed_bps), ONE - fee_sell.taker)
        walked = self._walk(buy.id, sell.id, *factors)
        if walked is None:
            net = bid.price * factors[1] - ask.price * (ONE + fee_buy.taker)
            edge = share_bps(net, ask.price)
            if edge >= edge_net_bps_min:
                return _declined(buy, sell, Reason.TAIL_UNPAID, value=edge, limit=needed_bps, edge_net_bps=edge)
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

    def round_trip(self, triangle: Triangle, edge_net_bps_min: Decimal) -> Proposal | OpportunityDeclined | None:
        """Walk three books until the marginal unit no longer clears `edge_net_bps_min` after three taker fees."""
        market = self._state.market
        buy, sell, conversion, side = triangle
        ask, bid, turn = (
            market.best(buy.id, Side.BUY),
            market.best(sell.id, Side.SELL),
            market.best(conversion.id, side),
        )
        if ask is None or bid is None or turn is None:
            return None
        is_buy = side is Side.BUY
        if (bid.price <= ask.price * turn.price) if is_buy else (bid.price * turn.price <= ask.price):
            return None
        fees = self.fee(buy.id), self.fee(sell.id), self.fee(conversion.id)
        if fees[0] is None or fees[1] is None or fees[2] is None:
            return _declined(buy, sell, Reason.FEE_UNKNOWN, conversion=conversion.id)
        if not all(market.state(one.id).is_valid for one in triangle[:3]):
            return _declined(buy, sell, Reason.BOOK_NOT_TRADABLE, conversion=conversion.id)
        factors = Factors(
            buy=ONE + fees[0].taker,
            sell=ONE - fees[1].taker,
            turn=ONE + side.sign * fees[2].taker,
            edge_min=bps_to_rate(edge_net_bps_min),
        )
        walked = self._walk_round(triangle, factors)
        if walked is None:
            unit = round_unit(ask.price, bid.price, turn.price, side, factors)
            edge = share_bps(unit.net, unit.cost)
            return _declined(
                buy,
                sell,
                Reason.NO_EDGE,
                value=edge,
                limit=edge_net_bps_min,
                edge_net_bps=edge,
                conversion=conversion.id,
            )
        return Proposal(
            buy=buy.id,
            sell=sell.id,
            qty=walked.qty,
            buy_price=walked.buy_price,
            sell_price=walked.sell_price,
            edge_gross_bps=share_bps(walked.proceeds - walked.cost, walked.cost),
            edge_net_bps=share_bps(walked.net, walked.cost),
            conversion=Conversion(
                instrument=conversion.id, side=side, qty=walked.foreign_qty, price=walked.conversion_price
            ),
        )

    def _walk_round(self, triangle: Triangle, factors: Factors) -> Walked | None:
        market, depth_max = self._state.market, self._state.config.execution.depth_max
        depth = min(SHALLOW, depth_max)
        while True:
            asks = market.levels(triangle.buy.id, Side.BUY, depth)
            bids = market.levels(triangle.sell.id, Side.SELL, depth)
            turns = market.levels(triangle.conversion.id, triangle.side, depth)
            walked = walk_round(asks, bids, turns, triangle.side, factors)
            if walked is None or depth == depth_max:
                return walked
            worst = (walked.buy_price, walked.sell_price, walked.conversion_price)
            if all(price != side[-1].price for price, side in zip(worst, (asks, bids, turns), strict=True)):
                return walked
            depth = depth_max

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


class Factors(NamedTuple):
    """What fees make of prices, and the least net edge as a fraction of the buying price."""

    buy: Decimal
    sell: Decimal
    turn: Decimal
    edge_min: Decimal


class Unit(NamedTuple):
    """One unit of base taken round, in the home quote: cost and proceeds before fees, what is left after them.

    `foreign_qty` is what of the foreign quote the conversion has to move for it, the leg's own fee included.
    """

    cost: Decimal
    proceeds: Decimal
    net: Decimal
    foreign_qty: Decimal


class Walked(NamedTuple):
    """How far three books go together, and at which worst prices."""

    qty: Decimal
    cost: Decimal
    proceeds: Decimal
    net: Decimal
    foreign_qty: Decimal
    buy_price: Decimal
    sell_price: Decimal
    conversion_price: Decimal


def round_unit(ask: Decimal, bid: Decimal, turn: Decimal, side: Side, factors: Factors) -> Unit:
    """Return what one unit of base comes to that is bought at `ask`, sold at `bid`, with the foreign quote at `turn`."""
    if side is Side.BUY:
        foreign_qty = ask * factors.buy
        return Unit(ask * turn, bid, bid * factors.sell - foreign_qty * turn * factors.turn, foreign_qty)
    foreign_qty = bid * factors.sell
    return Unit(ask, bid * turn, foreign_qty * turn * factors.turn - ask * factors.buy, foreign_qty)


def walk_round(
    asks: Sequence[Level], bids: Sequence[Level], turns: Sequence[Level], side: Side, factors: Factors
) -> Walked | None:
    """Match asks, bids and conversions while a unit leaves `edge_min` of its buying price; None when none does.

    Quantities are divided where the conversion's level ends first: that is exact to 60 digits and rounded by the sizing.
    """
    qty = cost = proceeds = net = foreign_qty = ZERO
    worst: tuple[Decimal, Decimal, Decimal] | None = None
    sides = (asks, bids, turns)
    at = [0, 0, 0]
    left = [side_of[0].qty if side_of else ZERO for side_of in sides]
    while all(place < len(side_of) for place, side_of in zip(at, sides, strict=True)):
        prices = (asks[at[0]].price, bids[at[1]].price, turns[at[2]].price)
        unit = round_unit(*prices, side, factors)
        if unit.net < unit.cost * factors.edge_min:
            break
        offered = (left[0], left[1], div(left[2], unit.foreign_qty))
        step = min(offered)
        qty, cost, proceeds = qty + step, cost + step * unit.cost, proceeds + step * unit.proceeds
        net, foreign_qty = net + step * unit.net, foreign_qty + step * unit.foreign_qty
        worst = prices
        used = (step, step, step * unit.foreign_qty)
        for number, side_of in enumerate(sides):
            left[number] -= used[number]
            if offered[number] == step:  # not by what is left: a divided quantity leaves a crumb
                at[number] += 1
                left[number] = side_of[at[number]].qty if at[number] < len(side_of) else ZERO
    return None if worst is None else Walked(qty, cost, proceeds, net, foreign_qty, *worst)


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
    conversion: InstrumentId | None = None,
) -> OpportunityDeclined:
    return OpportunityDeclined(
        buy=buy.id,
        sell=sell.id,
        reason=reason,
        value=value,
        limit=limit,
        edge_net_bps=edge_net_bps,
        conversion=conversion,
    )


def _triangles(alike: Mapping[Asset, Sequence[Instrument]]) -> Iterator[Triangle]:
    """Yield every triangle: two instruments of one base and unlike quotes, and one that trades one quote for the other."""
    for listed in alike.values():
        for buy in listed:
            for sell in listed:
                if buy.quote == sell.quote:
                    continue
                for foreign, home, side in ((buy.quote, sell.quote, Side.BUY), (sell.quote, buy.quote, Side.SELL)):
                    for conversion in alike.get(foreign, ()):
                        if conversion.quote == home:
                            yield Triangle(buy, sell, conversion, side)
