"""Where a residual goes: the second venue within a price cap, then any third, then back on the first within a loss.

The order of preference bends to experience: an instrument that was tried for this arb goes behind those that were not,
and a venue in quarantine behind those that are well.

An arb with a conversion has two residuals. Before its base is unwound where it came from, it goes to instruments quoted in
the home asset, because those leave the foreign one alone, and then to those quoted in the foreign one; the other way round
when the foreign one is open such that one order quoted in it brings both down. The foreign asset goes to whatever turns it
into the home quote: where the conversion was meant and at its price first, then anywhere at what the books give, within the
loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Protocol

from arbot.domain.decisions import OrderRefused, ResidualWorked
from arbot.domain.ids import Asset
from arbot.domain.instrument import Instrument
from arbot.domain.order import Approved, OrderIntent, Purpose, Side
from arbot.domain.units import ONE, ZERO, bps_to_rate, is_multiple
from arbot.engine.detector import reach
from arbot.engine.health import is_quarantined
from arbot.engine.risk.approve import Reducing, approve_reducing
from arbot.engine.risk.plan import Breach
from arbot.engine.sizing import limit_price, tradable
from arbot.engine.state import Arb, State
from arbot.engine.step import Step


class MakeIntent(Protocol):
    """How an intent is named and dated: `arbs.make_intent`."""

    def __call__(  # noqa: PLR0917 - the values of an order, in the order one says them
        self,
        state: State,
        arb: Arb,
        instrument: Instrument,
        side: Side,
        qty: Decimal,
        limit_price: Decimal,
        fee_rate: Decimal,
        purpose: Purpose,
    ) -> OrderIntent:
        """Return the intent."""
        ...


def work_residual(  # noqa: PLR0917 - an arb and what is open of it
    state: State, step: Step, arb: Arb, asset: Asset, residuals: Mapping[Asset, Decimal], make_intent: MakeIntent
) -> Approved | None:
    """Return the approved order that brings the residual of `asset` down best, or None when no venue can take it now."""
    residual = residuals[asset]
    side = Side.SELL if residual > 0 else Side.BUY
    for instrument, purpose in _candidates(state, arb, asset, side, residuals):
        order = _propose(state, arb, instrument, side, residual, purpose, make_intent)
        if order is None:
            continue
        verdict = approve_reducing(state, order)
        if isinstance(verdict, Breach):
            step.decide(
                OrderRefused(
                    arb_id=arb.id, purpose=purpose, reason=verdict.reason, value=verdict.value, limit=verdict.limit
                )
            )
            continue
        intent = verdict.intent
        step.decide(
            ResidualWorked(
                arb_id=arb.id,
                client_order_id=intent.client_order_id,
                purpose=purpose,
                instrument=intent.instrument,
                side=side,
                qty=intent.qty,
                limit_price=intent.limit_price,
                is_expected=arb.is_quote and instrument.id == (arb.sell if side is Side.SELL else arb.buy),
            )
        )
        return verdict
    return None


def reducing(state: State, arb: Arb, asset: Asset) -> list[Instrument]:
    """Return the instruments on which an asset of the arb can be brought down: those quoted in its home quote first."""
    listed = state.listed(asset, arb.quote)
    return listed if asset != arb.base or arb.foreign is None else [*listed, *state.listed(asset, arb.foreign)]


def _candidates(
    state: State, arb: Arb, asset: Asset, side: Side, residuals: Mapping[Asset, Decimal]
) -> Iterator[tuple[Instrument, Purpose]]:
    second, first = (arb.sell, arb.buy) if side is Side.SELL else (arb.buy, arb.sell)
    is_back = is_turned = False
    if asset == arb.foreign and arb.conversion is not None:
        second, is_back, is_turned = arb.conversion.instrument, arb.conversion.side is not side, True
    foreign_first = arb.foreign is not None and residuals.get(arb.foreign, ZERO) * side.sign > 0

    def purposes(instrument: Instrument) -> tuple[Purpose, ...]:
        if not is_turned:
            return (Purpose.UNWIND,) if instrument.id == first else (Purpose.HEDGE,)
        is_meant = not is_back and instrument.id == second and instrument.id not in arb.tries_by_instrument
        return (Purpose.HEDGE, Purpose.UNWIND) if is_meant else (Purpose.UNWIND,)

    def preference(instrument: Instrument) -> tuple[int, bool, bool, bool, bool]:
        tried = arb.tries_by_instrument.get(instrument.id, 0)
        if arb.is_quote and instrument.id == second:
            tried = max(tried - 1, 0)  # the try at the hedge price itself
        is_otherwise_quoted = (instrument.quote == arb.foreign) != foreign_first
        bad = is_quarantined(state, instrument.venue)
        is_second = instrument.id == second
        return tried, bad, instrument.id == first and not is_second, is_otherwise_quoted, not is_second

    for instrument in sorted(reducing(state, arb, asset), key=preference):
        if arb.is_flatten:
            yield instrument, Purpose.FLATTEN
        elif arb.is_flush:
            yield instrument, Purpose.FLUSH
        else:
            yield from ((instrument, purpose) for purpose in purposes(instrument))


def _propose(  # noqa: PLR0917 - an order's values
    state: State,
    arb: Arb,
    instrument: Instrument,
    side: Side,
    residual: Decimal,
    purpose: Purpose,
    make_intent: MakeIntent,
) -> Reducing | None:
    """Return what an order on this instrument would do, or None when its book, fee, balance or minimums forbid one."""
    fee = state.fees.get(instrument.id)
    levels = state.market.levels(instrument.id, side, state.config.execution.depth_max)
    if fee is None or not levels or not _is_fresh(state, instrument) or state.meets_own(instrument.id, side):
        return None
    slip = side.sign * bps_to_rate(state.config.execution.hedge_slippage_bps)
    entry, own_price = _arb_prices(arb, instrument, side)
    reference = own_price if purpose is Purpose.HEDGE else levels[0].price
    cap = limit_price(instrument, side, reference * (ONE + slip))
    if cap <= 0:
        return None
    got, _, _ = reach(levels, side, abs(residual), cap)
    if arb.is_quote and purpose is Purpose.HEDGE and not arb.tries_by_instrument:
        exact, _, _ = reach(levels, side, abs(residual), own_price)
        cap = own_price if exact == abs(residual) and is_multiple(own_price, instrument.tick_size) else cap
    asset = instrument.base if side is Side.SELL else instrument.quote
    available = state.available(instrument.venue, asset)
    if available is None:
        return None
    affordable = available if side is Side.SELL else available / (cap * (ONE + max(fee.taker, ZERO)))
    qty = tradable(instrument, min(got, affordable), cap)
    if not qty:
        return None
    in_home = arb.conversion.price if arb.conversion is not None and instrument.quote == arb.foreign else ONE
    loss_worst = qty * ((cap - entry) * side.sign + cap * fee.taker) * in_home
    intent = make_intent(state, arb, instrument, side, qty, cap, fee.taker, purpose)
    return Reducing(intent, instrument, residual, loss_worst)


def _arb_prices(arb: Arb, instrument: Instrument, side: Side) -> tuple[Decimal, Decimal]:
    """Return at what price the residual came in and at what the arb meant to trade this side, in the instrument's quote."""
    if instrument.base == arb.foreign and arb.conversion is not None:
        return arb.conversion.price, arb.conversion.price
    return arb.leg_price(side.opposite, instrument.quote), arb.leg_price(side, instrument.quote)


def _is_fresh(state: State, instrument: Instrument) -> bool:
    age_ms, _ = state.book_age_ms(instrument)
    return state.market.state(instrument.id).is_valid and 0 <= age_ms <= state.config.limits.book_age_recv_ms_max
