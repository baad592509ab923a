"""What a pretend venue looks at before it takes an order: the same for paper and for replays.

A check is a pure function of the order, its instrument and the time; the first that refuses is the answer. Products are
exact: 60 digits hold any three numbers of a venue.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from decimal import Decimal
from typing import NamedTuple

from arbot.domain.events import RejectCode
from arbot.domain.ids import Asset, InstrumentId
from arbot.domain.instrument import Instrument
from arbot.domain.order import OrderIntent, Side, TimeInForce
from arbot.domain.units import ONE, WIDE, fmt, is_multiple
from arbot.engine.market_view import Level, MarketView

_DEPTHS = (4, 16, 64, 256, 1_024, 8_192)
"""A book is read so far at first, and deeper only for those who walk on; the last is deeper than any arb would walk."""


class Refusal(NamedTuple):
    """Why an order is not taken."""

    code: RejectCode
    detail: str


def first_refusal(
    intent: OrderIntent, instrument: Instrument, now_ns: int, tifs: Container[TimeInForce]
) -> Refusal | None:
    """Return why a venue that trades `tifs` refuses this order at `now_ns`, or None; funds are not looked at."""
    if intent.tif not in tifs:
        return Refusal(RejectCode.OTHER, f"{intent.tif} is not traded here")
    refusals = (check(intent, instrument, now_ns) for check in _CHECKS)
    return next((refusal for refusal in refusals if refusal is not None), None)


def worst_cost(intent: OrderIntent, qty: Decimal, rate: Decimal) -> tuple[Asset, Decimal]:
    """Return what `qty` of the order may cost at the worst, fee included: the asset that pays, and how much of it."""
    if intent.side is Side.BUY:
        return intent.quote, product(qty, intent.limit_price, ONE + rate)
    return intent.base, qty


def missing_funds(intent: OrderIntent, rate: Decimal, available: Callable[[Asset], Decimal]) -> Refusal | None:
    """Return why the account cannot pay the worst case of the order."""
    asset, needed = worst_cost(intent, intent.qty, rate)
    held = available(asset)
    if needed <= held:
        return None
    return Refusal(RejectCode.INSUFFICIENT_FUNDS, f"needs {fmt(needed)} {asset}, has {fmt(held)}")


def product(*factors: Decimal) -> Decimal:
    """Return the exact product."""
    result = ONE
    for factor in factors:
        result = WIDE.multiply(result, factor)
    return result


def levels_of(market: MarketView, instrument: InstrumentId, side: Side) -> Iterator[Level]:
    """Yield the levels one meets when trading on `side`, best first, reading no more of the book than is asked for."""
    start = 0
    for depth in _DEPTHS:
        levels = market.levels(instrument, side, depth)
        yield from levels[start:]
        if len(levels) < depth:
            return
        start = depth


def is_within(price: Decimal, limit_price: Decimal, side: Side) -> bool:
    """Return whether somebody who trades on `side` up to `limit_price` accepts `price`."""
    return price <= limit_price if side is Side.BUY else price >= limit_price


def _check_deadline(intent: OrderIntent, _instrument: Instrument, now_ns: int) -> Refusal | None:
    if now_ns <= intent.deadline_ns:
        return None
    return Refusal(RejectCode.DEADLINE, f"arrived {now_ns - intent.deadline_ns} ns after its deadline")


def _check_status(_intent: OrderIntent, instrument: Instrument, _now_ns: int) -> Refusal | None:
    return None if instrument.takes_ioc else Refusal(RejectCode.MARKET_CLOSED, instrument.status.value)


def _check_step(intent: OrderIntent, instrument: Instrument, _now_ns: int) -> Refusal | None:
    if intent.qty > 0 and is_multiple(intent.qty, instrument.qty_step):
        return None
    return Refusal(RejectCode.INVALID_STEP, f"{fmt(intent.qty)} is no multiple of {fmt(instrument.qty_step)}")


def _check_price(intent: OrderIntent, instrument: Instrument, _now_ns: int) -> Refusal | None:
    if intent.limit_price > 0 and is_multiple(intent.limit_price, instrument.tick_size):
        return None
    return Refusal(RejectCode.INVALID_PRICE, f"{fmt(intent.limit_price)} is no multiple of {fmt(instrument.tick_size)}")


def _check_size(intent: OrderIntent, instrument: Instrument, _now_ns: int) -> Refusal | None:
    if intent.qty < instrument.qty_min or intent.notional < instrument.notional_min:
        return Refusal(RejectCode.BELOW_MINIMUM, f"{fmt(intent.qty)} worth {fmt(intent.notional)} is too small")
    if 0 < instrument.qty_max < intent.qty:
        return Refusal(RejectCode.OTHER, f"{fmt(intent.qty)} is above the maximum {fmt(instrument.qty_max)}")
    return None


_Check = Callable[[OrderIntent, Instrument, int], Refusal | None]
_CHECKS: tuple[_Check, ...] = (_check_deadline, _check_status, _check_step, _check_price, _check_size)
