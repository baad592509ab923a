"""Maker-taker: rest an order on one venue at a price from which its fills, hedged at once on another, leave an edge.

Parameters ([strategy.params]), bps of the buying price, after the maker fee there and the taker fee here:
    edge_net_bps_min     a quote is pulled when its hedge would leave less
    edge_margin_bps      it is placed where the hedge, at the book of now, leaves this much more than that
    move_bps             it stays while the price wanted now is no further from it
    notional             of one quote, in the quote asset
    sides                "both", "buy" or "sell", of the resting order
    makers, hedges       venues to rest and to hedge on: names with commas between them; empty: every venue
    look_ms              it looks at the books at most this often

The quantity is cut to what the hedge book shows; the engine's limits and balances cut it further. A price that would
take is put one tick behind the other side, never in front of more than the edge allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from arbot.domain.decisions import OpportunityDeclined, Reason
from arbot.domain.ids import InstrumentId
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, bps_to_rate, ceil_to_step, div, floor_to_step, share_bps
from arbot.engine.strategy import Context, Params, Quote

DEFAULTS: Mapping[str, object] = {
    "edge_net_bps_min": "2",
    "edge_margin_bps": "2",
    "move_bps": "1",
    "notional": "1000",
    "sides": "both",
    "makers": "",
    "hedges": "",
    "look_ms": "100",
}
SHALLOW = 4  # levels looked at first: most quotes are hedged by them
_SIDES: Mapping[str, tuple[Side, ...]] = {
    "both": (Side.BUY, Side.SELL),
    "buy": (Side.BUY,),
    "sell": (Side.SELL,),
}


class MakerTaker:
    """Quotes both sides of every route it may, the best hedge of each place first."""

    name = "maker_taker"

    def __init__(self, params: Mapping[str, object]) -> None:
        read = Params(params, DEFAULTS)
        self._edge_net_bps_min = read.above_zero("edge_net_bps_min")
        self._margin_bps = read.above_zero("edge_margin_bps")
        self._move_bps = read.above_zero("move_bps")
        self._notional = read.above_zero("notional")
        self._sides = _SIDES[read.one_of("sides", tuple(_SIDES))]
        self._makers, self._hedges = read.names("makers"), read.names("hedges")
        self._look_ms = read.whole("look_ms")
        read.done()

    @property
    def edge_net_bps_min(self) -> Decimal:
        """The least net edge at which a quote may rest."""
        return self._edge_net_bps_min

    @property
    def look_ms(self) -> int:
        """How often books are looked at, at most."""
        return self._look_ms

    def on_books(self, changed: Sequence[InstrumentId], context: Context) -> Iterator[Quote | OpportunityDeclined]:
        """Yield for each place on a changed route the quote wanted there now, the best price of each place first."""
        found: list[Quote] = []
        for buy, sell in context.routes(changed):
            for side in self._sides:
                maker, hedge = (buy, sell) if side is Side.BUY else (sell, buy)
                if self._may(maker, hedge):
                    look = self._quote(context, maker, hedge, side)
                    if isinstance(look, Quote):
                        found.append(look)
                    elif look is not None:
                        yield look
        yield from sorted(found, key=lambda quote: -quote.price * quote.side.sign)

    def _may(self, maker: Instrument, hedge: Instrument) -> bool:
        return (not self._makers or maker.venue in self._makers) and (not self._hedges or hedge.venue in self._hedges)

    def _hedge(self, context: Context, hedge: Instrument, side: Side) -> tuple[Decimal, Decimal]:
        """Return how much of `notional` the book takes on this side, and what that comes to in quote."""
        qty = value = ZERO
        for depth in (SHALLOW, 0):
            qty = value = ZERO
            for level in context.levels(hedge.id, side, depth):
                step = min(level.qty, div(self._notional, level.price) - qty)
                if step <= 0:
                    return qty, value
                qty, value = qty + step, value + step * level.price
        return qty, value

    def _quote(
        self, context: Context, maker: Instrument, hedge: Instrument, side: Side
    ) -> Quote | OpportunityDeclined | None:
        """Return the quote wanted on `maker`: what the hedge brings at the book of now, less fees and edge."""
        buy, sell = (maker, hedge) if side is Side.BUY else (hedge, maker)
        if maker.quote != hedge.quote:
            return OpportunityDeclined(buy=buy.id, sell=sell.id, reason=Reason.QUOTE_MISMATCH)
        fee_maker, fee_hedge = context.fee(maker.id), context.fee(hedge.id)
        if fee_maker is None or fee_hedge is None:
            return OpportunityDeclined(buy=buy.id, sell=sell.id, reason=Reason.FEE_UNKNOWN)
        across = context.levels(maker.id, side, 1)
        qty, value = self._hedge(context, hedge, side.opposite)
        if not qty or not across:
            return None
        average = div(value, qty)
        placed, least = (
            ONE + bps_to_rate(bps) for bps in (self._edge_net_bps_min + self._margin_bps, self._edge_net_bps_min)
        )
        tick_size = maker.tick_size
        if side is Side.BUY:  # average * (1 - fee) - price * (1 + fee) = edge * price
            price = div(average * (ONE - fee_hedge.taker), placed + fee_maker.maker)
            price = floor_to_step(min(price, across[0].price - tick_size), tick_size)
            hedge_price = ceil_to_step(div(price * (least + fee_maker.maker), ONE - fee_hedge.taker), hedge.tick_size)
            net = share_bps(average * (ONE - fee_hedge.taker) - price * (ONE + fee_maker.maker), price or ONE)
        else:  # price * (1 - fee) - average * (1 + fee) = edge * average
            price = div(average * (placed + fee_hedge.taker), ONE - fee_maker.maker)
            price = ceil_to_step(max(price, across[0].price + tick_size), tick_size)
            hedge_price = floor_to_step(div(price * (ONE - fee_maker.maker), least + fee_hedge.taker), hedge.tick_size)
            net = share_bps(price * (ONE - fee_maker.maker) - average * (ONE + fee_hedge.taker), average)
        if price <= 0 or hedge_price <= 0:
            return None
        return Quote(
            maker=maker.id,
            hedge=hedge.id,
            side=side,
            qty=qty,
            price=price,
            hedge_price=hedge_price,
            edge_net_bps=net,
            move_bps=self._move_bps,
        )


strategy = MakerTaker
