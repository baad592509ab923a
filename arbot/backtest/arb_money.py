"""The money of one arb, taken apart: what was promised, what prices did to it, what residuals cost, what venues charged.

Let b and s be what the buying and the selling leg filled, B and S the average prices the decision saw for the arb's
whole quantity, and h = min(b, s). Orders that reduced a residual (hedge, unwind, flush, flatten) are compared with one
price `ref`: what the leg in excess had cost (B if b > s, S if s > b, their middle if equal). In quote:

    edge      h * (S - B)
    slippage  b * B - paid by the buying leg  +  received by the selling leg - s * S
    unwinds   (received - paid) by reducing orders  -  ref * (quantity sold - quantity bought by them)

With a conversion one leg is quoted in a foreign asset. Its prices and values are taken at C, the average price of the
conversion's whole quantity in the book the decision saw, home quote per foreign. To slippage comes what the conversion
fetched beyond or short of C, to unwinds what orders that reduced the foreign residual did against C, and to what the arb
left behind `carried_foreign * C`.

Together they are the cash the arb brought plus `carried * ref`, where `carried` is the base it left behind: checked for
every arb. A flush has no legs: its `ref` is the mid of its venue's book when its first order was decided. B, S and the
rate of the home quote, and C, are rounded once to 20 significant digits; everything after that is exact.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from arbot.backtest.marks import HALF
from arbot.domain.errors import ensure
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.order import Fill, Purpose, Side
from arbot.domain.units import EXACT, ONE, ZERO

NO_ASSET = Asset("")


@dataclass(slots=True)
class Flow:
    """What orders of one kind and side came to: base filled, and its value in the home quote."""

    qty: Decimal = ZERO
    value: Decimal = ZERO

    def add(self, qty: Decimal, value: Decimal) -> None:
        """Count a fill; both are negative for a reversal."""
        self.qty = EXACT.add(self.qty, qty)
        self.value = EXACT.add(self.value, value)


def _flows() -> dict[Side, Flow]:
    return {Side.BUY: Flow(), Side.SELL: Flow()}


class Parts(NamedTuple):
    """Money in the reporting currency; `carried` in base, `ref` the value of one unit of it."""

    edge: Decimal
    slippage: Decimal
    unwinds: Decimal
    carried: Decimal
    ref: Decimal


@dataclass(slots=True)
class ArbMoney:
    """One arb, or one flush, while it is followed. `rate` is the value of one unit of home quote when it was decided.

    `buy_average` and `sell_average` are in the home quote. Without a conversion `foreign` is empty.
    """

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
    base: Asset
    home: Asset
    foreign: Asset = NO_ASSET
    conversion_venue: str = ""
    conversion_average: Decimal = ONE  # home quote per foreign
    edge_gross_bps: Decimal = ZERO
    edge_net_bps: Decimal = ZERO
    expected: Decimal = ZERO  # by the decision, if all legs fill at their worst acceptable prices; reporting currency
    stress_loss: Decimal = ZERO  # what it added to the worst disaster; reporting currency
    is_flush: bool = False
    is_quote: bool = False  # one leg rests; hedges are the other
    state: str = "open"
    closed_ts_ns: int = 0
    unhedged_ms: int = 0
    unhedged_since_ns: int = 0
    rejects: int = 0
    fees: Decimal = ZERO  # in the reporting currency, each at the rate of its moment
    base_net: Decimal = ZERO  # by fills, fees in base taken off: what the engine calls the residual
    foreign_net: Decimal = ZERO  # the same of the foreign quote
    ordered: Decimal = ZERO  # value of all legs at their limit prices, in home quote
    filled: Decimal = ZERO  # of that, at the same prices
    counted: Decimal = ZERO  # net profit already in the running total
    legs: dict[Side, Flow] = field(default_factory=_flows)
    reducing: dict[Side, Flow] = field(default_factory=_flows)
    conversion: dict[Side, Flow] = field(default_factory=_flows)  # the third leg
    reducing_foreign: dict[Side, Flow] = field(default_factory=_flows)
    cash: Decimal = ZERO  # of the home quote that came in, fees apart
    foreign_moved: Decimal = ZERO  # of the foreign quote, fees apart

    def home_rate(self, quote: Asset) -> Decimal:
        """Return what one unit of a leg's quote is in the home quote."""
        return self.conversion_average if self.foreign and quote == self.foreign else ONE

    def add(self, fill: Fill, purpose: str, limit_price: Decimal) -> None:
        """Count a fill of one of its orders. Its fee is counted by whoever can value it."""
        is_leg = purpose == Purpose.LEG or (self.is_quote and purpose == Purpose.HEDGE)
        is_turned = bool(self.foreign) and fill.base == self.foreign
        if is_turned:
            flows = self.conversion if is_leg else self.reducing_foreign
        else:
            flows = self.legs if is_leg else self.reducing
        with decimal.localcontext(EXACT):
            qty = -fill.qty if fill.is_reversal else fill.qty
            value, rate = qty * fill.price, self.home_rate(fill.quote)
            flows[fill.side].add(qty, value * rate)
            if is_leg:
                self.filled += qty * limit_price * rate
            if is_turned:
                self.foreign_moved += fill.side.sign * qty
            if self.foreign and fill.quote == self.foreign:
                self.foreign_moved -= fill.side.sign * value
            else:
                self.cash -= fill.side.sign * value
            self.base_net += fill.delta(self.base)
            if self.foreign:
                self.foreign_net += fill.delta(self.foreign)

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
            slippage += self._beyond(self.conversion)
            unwinds += self._beyond(self.reducing_foreign)
            carried = excess + bought.qty - sold.qty
            left = carried * ref + self.foreign_moved * self.conversion_average
            ensure(self.cash + left == edge + slippage + unwinds, "an arb's parts are not its cash", arb=self.arb_id)
            rate = self.rate
            return Parts(edge * rate, slippage * rate, unwinds * rate, carried, ref * rate)

    def _beyond(self, flows: dict[Side, Flow]) -> Decimal:
        """Return what conversions fetched beyond the decision's price."""
        bought, sold = flows[Side.BUY], flows[Side.SELL]
        return sold.value - bought.value - self.conversion_average * (sold.qty - bought.qty)

    def net(self) -> Decimal:
        """Return what it earned after fees, in the reporting currency."""
        parts = self.parts()
        with decimal.localcontext(EXACT):
            return parts.edge + parts.slippage + parts.unwinds - self.fees

    @property
    def volume(self) -> Decimal:
        """Value of all its fills, in the reporting currency."""
        with decimal.localcontext(EXACT):
            kinds = (self.legs, self.reducing, self.conversion, self.reducing_foreign)
            return sum((flow.value for flows in kinds for flow in flows.values()), ZERO) * self.rate
