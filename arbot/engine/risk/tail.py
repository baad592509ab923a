"""What the tail of a route costs: the part of the edge that has to pay for the steamroller.

A penny is worth picking up when it pays for its part of the steamroller: besides fees and the strategy's minimum an edge has
to cover, per unit of notional,

    tail = sum over legs of P(the leg fails) x E[cost of closing the other] + tail_price x worst marginal stress loss

The first is learned (`evidence`), the second is the price of using a budget that other arbs could use. `tail_price` is what a
unit of stress loss costs for as long as an arb is open. The default of 0.001: the disasters of 2017 to 2025 that this is built
on hold about a dozen hours in which prices gapped within the seconds of an arb, in 8.5 years: 12 / 74,500 = 0.00016 of all
hours; times 6, because losing 5 % at once costs more than the same in pennies (an assumption). A gap of 500 bps then
asks for half a basis point. All of it is a function of evidence, registry and config alone, so it is kept until one is learned.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.order import Side
from arbot.domain.units import ONE, WIDE, ZERO, rate_to_bps
from arbot.engine.risk.evidence import belief
from arbot.engine.risk.stress import Leg, marginals, worst
from arbot.engine.state import State

GRAIN_BPS = Decimal("0.0001")


class Listed(Protocol):
    """Of an instrument, what its tail depends on."""

    @property
    def id(self) -> InstrumentId:
        """Its name."""
        ...

    @property
    def venue(self) -> VenueId:
        """Where it is traded."""
        ...

    @property
    def base(self) -> Asset:
        """What is traded."""
        ...

    @property
    def quote(self) -> Asset:
        """What it is paid in."""
        ...


def tail_bps(state: State, *legs: tuple[Listed, Side]) -> Decimal:
    """Return what the tail of an arb of these legs costs in bps of its notional, to four decimals."""
    key = tuple((instrument.id, side) for instrument, side in legs)
    known = state.tails.get(key)
    if known is None:
        with decimal.localcontext(WIDE):  # whoever asks: a page that is looked at must not leave other digits behind
            known = state.tails[key] = _tail_bps(state, legs)
    return known


def route_tail_bps(state: State, buy: Listed, sell: Listed) -> Decimal:
    """Return the tail of a plain arb between two instruments: asked for every route of every look, so kept by itself."""
    key = (buy.id, sell.id)
    known = state.route_tails.get(key)
    if known is None:
        known = state.route_tails[key] = tail_bps(state, (buy, Side.BUY), (sell, Side.SELL))
    return known


def _tail_bps(state: State, legs: Sequence[tuple[Listed, Side]]) -> Decimal:
    beliefs = [belief(state, instrument.id) for instrument, _ in legs]
    failing = sum((one.fail * one.unwind_bps for one in beliefs), ZERO)
    unit = worst(marginals(state, [leg_of(instrument, side, ONE) for instrument, side in legs]))
    return (failing + state.config.risk.tail_price * rate_to_bps(unit)).quantize(GRAIN_BPS)


def leg_of(instrument: Listed, side: Side, value: Decimal) -> Leg:
    """Return a leg as the stress scenarios see it: what it brings, and its value."""
    return Leg(instrument.venue, side, instrument.base if side is Side.BUY else instrument.quote, value)
