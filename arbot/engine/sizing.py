"""How much: a quantity that both venues accept, no larger than any bound, and the bound that decided."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.decisions import Reason
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ZERO, ceil_to_step, common_step, floor_to_step


class Bound(NamedTuple):
    """The most quantity (base) that a rule leaves, and the measured value against its limit, in the rule's unit."""

    qty_max: Decimal
    reason: Reason
    value: Decimal = ZERO
    limit: Decimal = ZERO


def joint_step(buy: Instrument, sell: Instrument) -> Decimal:
    """Return the smallest quantity step that both venues accept."""
    return common_step(buy.qty_step, sell.qty_step)


def least_qty(instrument: Instrument, price: Decimal) -> Decimal:
    """Return the smallest quantity the venue takes at this price: its base minimum and its quote minimum, in steps."""
    least = max(instrument.qty_min, instrument.qty_step)
    if instrument.notional_min > 0 and price > 0:
        least = max(least, ceil_to_step(instrument.notional_min / price, instrument.qty_step))
    return ceil_to_step(least, instrument.qty_step)


def size(
    buy: Instrument, sell: Instrument, buy_price: Decimal, sell_price: Decimal, bounds: Sequence[Bound]
) -> tuple[Decimal, Bound]:
    """Return (quantity, the bound that decided it); the quantity is zero when less than both minimums would remain."""
    tightest = min(bounds, key=lambda bound: bound.qty_max)
    qty = floor_to_step(max(tightest.qty_max, ZERO), joint_step(buy, sell))
    least = max(least_qty(buy, buy_price), least_qty(sell, sell_price))
    return (qty if qty >= least else ZERO), tightest


def limit_price(instrument: Instrument, side: Side, price: Decimal) -> Decimal:
    """Return the price on the venue's tick that is never worse than `price`: a buy rounds down, a sell up."""
    return (floor_to_step if side is Side.BUY else ceil_to_step)(price, instrument.tick_size)


def tradable(instrument: Instrument, qty: Decimal, price: Decimal) -> Decimal:
    """Return as much of `qty` as the venue takes in one order at this price, zero when that is below its minimums."""
    if instrument.qty_max > 0:
        qty = min(qty, instrument.qty_max)
    qty = floor_to_step(qty, instrument.qty_step)
    return qty if qty >= least_qty(instrument, price) else ZERO
