"""What the rules judge: a proposed arb with everything they may look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.decisions import Reason
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import FeeRate, Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO, floor_to_step
from arbot.engine.detector import reach
from arbot.engine.sizing import limit_price
from arbot.engine.state import State
from arbot.engine.strategy import Proposal


class Leg(NamedTuple):
    """One order of a plan; `price` is the worst acceptable and on the venue's tick."""

    instrument: Instrument
    side: Side
    price: Decimal
    fee: FeeRate


@dataclass(slots=True, eq=False)
class Plan:
    """A proposal with its instruments and fees looked up; prices are on the venues' ticks. Never changed once judged.

    With a conversion the legs have unlike quotes: the conversion's base is the foreign one, its quote the home one.
    What every rule asks for is laid out once: the legs that leave together (the buying one, the selling one, the conversion
    if there is one), their instruments, and their venues, each once.
    """

    state: State
    proposal: Proposal
    buy: Instrument
    sell: Instrument
    fee_buy: FeeRate
    fee_sell: FeeRate
    buy_price: Decimal
    sell_price: Decimal
    conversion: Leg | None = None
    maker: Side | None = None  # the leg that rests, whose fee here is the maker's; None: both take

    legs: tuple[Leg, ...] = field(init=False)
    instruments: tuple[Instrument, ...] = field(init=False)
    venues: tuple[VenueId, ...] = field(init=False)
    is_light: bool = field(init=False, default=False)  # found by `risk.budget`: its legs fit wherever they stand

    def __post_init__(self) -> None:
        """Lay out the legs."""
        buy, sell, turned = self.buy, self.sell, self.conversion
        legs = (Leg(buy, Side.BUY, self.buy_price, self.fee_buy), Leg(sell, Side.SELL, self.sell_price, self.fee_sell))
        if turned is None:
            self.legs, self.instruments = legs, (buy, sell)
            self.venues = (buy.venue, sell.venue) if buy.venue != sell.venue else (buy.venue,)
        else:
            self.legs, self.instruments = (*legs, turned), (buy, sell, turned.instrument)
            self.venues = tuple(dict.fromkeys(one.venue for one in self.instruments))

    @property
    def home(self) -> Asset:
        """The quote in which the profit lies."""
        return self.buy.quote if self.conversion is None else self.conversion.instrument.quote

    @property
    def foreign_leg(self) -> Leg | None:
        """The leg quoted in the foreign asset: the one that the conversion pays for, or whose proceeds it turns."""
        if self.conversion is None:
            return None
        return self.legs[0 if self.conversion.side is Side.BUY else 1]

    def foreign_unit_most(self) -> Decimal:
        """Return the most of the foreign quote that one unit of base can make the conversion move, its fee included."""
        leg = self.foreign_leg
        if leg is None:
            return ZERO
        if leg.side is Side.BUY:
            return leg.price * (ONE + max(leg.fee.taker, ZERO))
        touch = self.state.market.best(leg.instrument.id, Side.SELL)
        return (leg.price if touch is None else max(touch.price, leg.price)) * (ONE - leg.fee.taker)

    def foreign_qty(self, qty: Decimal) -> Decimal:
        """Return how much the conversion has to move for `qty` base, on its step, rounded down; zero without one.

        It is what the leg will move at the prices its book shows now, not at the worst acceptable: what those differ by
        would be left over from every arb. What a fill at other prices leaves is a residual and worked off.
        """
        leg, conversion = self.foreign_leg, self.conversion
        if leg is None or conversion is None:
            return ZERO
        levels = self.state.market.levels(leg.instrument.id, leg.side, self.state.config.execution.depth_max)
        got, value, _ = reach(levels, leg.side, qty, leg.price)
        value += (qty - got) * leg.price
        moved = value * (ONE + leg.side.sign * leg.fee.taker)
        return floor_to_step(moved, conversion.instrument.qty_step)


class Breach(NamedTuple):
    """A rule that says no, with what it measured against what it allows."""

    reason: Reason
    value: Decimal = ZERO
    limit: Decimal = ZERO


def planned(state: State, proposal: Proposal) -> Plan | Breach:
    """Look up what a proposal names. Legs of unlike quotes need a conversion between just these, and every leg a fee."""
    buy, sell = state.instruments[proposal.buy], state.instruments[proposal.sell]
    fee_buy, fee_sell = state.fees.get(buy.id), state.fees.get(sell.id)
    wanted = proposal.conversion
    if wanted is None:
        is_closed, conversion = buy.quote == sell.quote, None
    else:
        turning = state.instruments[wanted.instrument]
        foreign, home = (buy.quote, sell.quote) if wanted.side is Side.BUY else (sell.quote, buy.quote)
        is_closed = (turning.base, turning.quote) == (foreign, home)
        fee = state.fees.get(turning.id)
        if fee is None:
            return Breach(Reason.FEE_UNKNOWN)
        conversion = Leg(turning, wanted.side, limit_price(turning, wanted.side, wanted.price), fee)
    if buy.base != sell.base or not is_closed:
        return Breach(Reason.QUOTE_MISMATCH)
    if fee_buy is None or fee_sell is None:
        return Breach(Reason.FEE_UNKNOWN)
    prices = limit_price(buy, Side.BUY, proposal.buy_price), limit_price(sell, Side.SELL, proposal.sell_price)
    return Plan(state, proposal, buy, sell, fee_buy, fee_sell, *prices, conversion)
