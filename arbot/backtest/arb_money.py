"""The money of one arb, taken apart: what was promised, what prices did to it, what residuals cost, what venues charged.

Let b and s be what the buying and the selling leg filled, B and S the average prices the decision saw for the arb's
whole quantity, and h = min(b, s). Orders that reduced a residual (hedge, unwind, flush, flatten) are compared with one
price `ref`: what the leg in excess had cost (B if b > s, S if s > b, their middle if equal). In quote:

    edge      h * (S - B)
    slippage  b * B - paid by the buying leg  +  received by the selling leg - s * S
    unwinds   (received - paid) by reducing orders  -  ref * (quantity sold - quantity bought by them)

Together they are the cash the arb brought plus `carried * ref`, where `carried` is the base it left behind: checked for
every arb. A flush has no legs: its `ref` is the mid of its venue's book when its first order was decided. B, S and the
rate of a foreign quote are rounded once to 20 significant digits; everything after that is exact.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from arbot.backtest.marks import HALF
from arbot.domain.errors import ensure
from arbot.domain.ids import InstrumentId, VenueId
from arbot.domain.order import Fill, Purpose, Side
from arbot.domain.units import EXACT, ONE, ZERO


@dataclass(slots=True)
class Flow:
    """What orders of one kind and side came to: base filled, and its value in quote."""

    qty: Decimal = ZERO
    value: Decimal = ZERO

    def add(self, fill: Fill) -> None:
        """Count a fill; a reversal takes itself back."""
        sign = -ONE if fill.is_reversal else ONE
        self.qty = EXACT.add(self.qty, EXACT.multiply(sign, fill.qty))
        self.value = EXACT.add(self.value, EXACT.multiply(sign, EXACT.multiply(fill.qty, fill.price)))


class Parts(NamedTuple):
    """Money in the reporting currency; `carried` in base, `ref` the value of one unit of it."""

    edge: Decimal
    slippage: Decimal
    unwinds: Decimal
    carried: Decimal
    ref: Decimal


@dataclass(slots=True)
class ArbMoney:
    """One arb, or one flush, while it is followed. `rate` is the value of one unit of quote when it was decided."""

    arb_id: str
    buy: InstrumentId
    sell: InstrumentId
    buy_venue: VenueId
    sell_venue: VenueId
    symbol: str
    opened_ts_ns: int
    qty: Decimal
    buy_average: Decimal
    sell_average: Decimal
    rate: Decimal
    edge_gross_bps: Decimal = ZERO
    edge_net_bps: Decimal = ZERO
    is_flush: bool = False
    state: str = "open"
    closed_ts_ns: int = 0
    unhedged_ms: int = 0
    unhedged_since_ns: int = 0
    rejects: int = 0
    fees: Decimal = ZERO  # in the reporting currency, each at the rate of its moment
    base_net: Decimal = ZERO  # by fills, fees in base taken off: what the engine calls the residual
    ordered: Decimal = ZERO  # value of both legs at their limit prices, in quote
    filled: Decimal = ZERO  # of that, at the same prices
    counted: Decimal = ZERO  # net profit already in the running total
    legs: dict[Side, Flow] = field(default_factory=lambda: {Side.BUY: Flow(), Side.SELL: Flow()})
    reducing: dict[Side, Flow] = field(default_factory=lambda: {Side.BUY: Flow(), Side.SELL: Flow()})
    base_at: dict[VenueId, Decimal] = field(default_factory=dict)  # base bought less sold, by venue

    def add(self, fill: Fill, purpose: str, limit_price: Decimal) -> None:
        """Count a fill of one of its orders. Its fee is counted by whoever can value it."""
        flows = self.legs if purpose == Purpose.LEG else self.reducing
        flows[fill.side].add(fill)
        sign = -ONE if fill.is_reversal else ONE
        if purpose == Purpose.LEG:
            self.filled = EXACT.add(self.filled, EXACT.multiply(sign, EXACT.multiply(fill.qty, limit_price)))
        self.base_net = EXACT.add(self.base_net, fill.base_delta)
        moved = EXACT.multiply(EXACT.multiply(sign, Decimal(fill.side.sign)), fill.qty)
        self.base_at[fill.venue] = EXACT.add(self.base_at.get(fill.venue, ZERO), moved)

    def parts(self) -> Parts:
        """Take the arb apart; see the module text. Raises: InvariantBroken when the parts are not the whole."""
        with decimal.localcontext(EXACT):
            buy, sell = self.legs[Side.BUY], self.legs[Side.SELL]
            bought, sold = self.reducing[Side.BUY], self.reducing[Side.SELL]
            excess = buy.qty - sell.qty
            middle = (self.buy_average + self.sell_average) * HALF
            ref = self.buy_average if excess > 0 else self.sell_average if excess < 0 else middle
            edge = min(buy.qty, sell.qty) * (self.sell_average - self.buy_average)
            slippage = buy.qty * self.buy_average - buy.value + sell.value - sell.qty * self.sell_average
            unwinds = sold.value - bought.value - ref * (sold.qty - bought.qty)
            carried = excess + bought.qty - sold.qty
            cash = sell.value + sold.value - buy.value - bought.value
            ensure(
                cash + carried * ref == edge + slippage + unwinds, "an arb's parts are not its cash", arb=self.arb_id
            )
            rate = self.rate
            return Parts(edge * rate, slippage * rate, unwinds * rate, carried, ref * rate)

    def net(self) -> Decimal:
        """Return what it earned after fees, in the reporting currency."""
        parts = self.parts()
        with decimal.localcontext(EXACT):
            return parts.edge + parts.slippage + parts.unwinds - self.fees

    @property
    def volume(self) -> Decimal:
        """Value of all its fills, in the reporting currency."""
        with decimal.localcontext(EXACT):
            flows = (*self.legs.values(), *self.reducing.values())
            return sum((flow.value for flow in flows), ZERO) * self.rate
