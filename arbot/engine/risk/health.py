"""Rules on venues and coins that are not well: no new arb with a sick venue, with money that cannot leave, with a coin off its peg.

They stop new arbs only. An order that brings a residual down passes by them: an open arb is worked off wherever it can be.
"""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.decisions import Reason
from arbot.domain.ids import Asset
from arbot.domain.instrument import Instrument
from arbot.domain.order import Side
from arbot.domain.units import ONE, ZERO
from arbot.engine import health, pegs
from arbot.engine.risk.calm import calm_of
from arbot.engine.risk.plan import Breach, Plan
from arbot.engine.state import State

S = 1_000_000_000


def venues_healthy(plan: Plan) -> Breach | None:
    """Require that no venue is in quarantine; told are the seconds in it against those it has to be well for."""
    if plan.state.now_ns < calm_of(plan.state).venues_ns:
        return None
    for venue in plan.venues:
        known = plan.state.health.get(venue)
        if known is not None and known.is_quarantined:
            seconds = Decimal((plan.state.now_ns - known.since_ns) // S)
            return Breach(Reason.VENUE_QUARANTINED, seconds, Decimal(known.wait_s))
    return None


def no_maintenance(plan: Plan) -> Breach | None:
    """Require that no venue's maintenance is under way or begins within `maintenance_lead_s`; told are the seconds left."""
    if plan.state.now_ns < calm_of(plan.state).venues_ns:
        return None
    lead_s = plan.state.config.health.maintenance_lead_s
    for venue in plan.venues:
        window = health.next_window(plan.state, venue)
        if window is not None:
            left_s = max(0, window.from_ns - plan.state.now_ns) // S
            if left_s < lead_s:
                return Breach(Reason.MAINTENANCE, Decimal(left_s), Decimal(lead_s))
    return None


def money_can_leave(plan: Plan) -> Breach | None:
    """Require of each leg that what it brings to a venue could leave it again; told are the networks open against one.

    A venue whose money cannot leave does not set prices: its premium pays with what nobody can take home. An arb that
    brings there only what can leave, and takes away what cannot, is let through.
    """
    calm = calm_of(plan.state)
    if not calm.locked and plan.state.now_ns < calm.money_ns:
        return None
    for leg in plan.legs:
        instrument = leg.instrument
        asset = instrument.base if leg.side is Side.BUY else instrument.quote
        if not health.can_leave(plan.state, instrument.venue, asset):
            return Breach(Reason.WITHDRAWALS_CLOSED, ZERO, ONE)
    return None


def pegs_hold(plan: Plan) -> Breach | None:
    """Require that every stablecoin in the arb is measured and within its band, now and by the looks before.

    A gap between books of unlike money, or in books that take a coin off its peg for the real thing, is the coin's
    discount and nobody's profit. Told is the distance from the peg against the band, in bps.
    """
    state = plan.state
    for instrument in plan.instruments if state.pegs else ():
        for coin in (instrument.base, instrument.quote):
            if coin in state.pegs:
                breach = _off_peg(state, coin, Reason.DEPEGGED)
                if breach is not None:
                    return breach
        for coin in _merged(state, instrument):
            breach = _off_peg(state, coin, Reason.MERGED_BOOK)
            if breach is not None:
                return breach
    return None


def _merged(state: State, instrument: Instrument) -> tuple[Asset, ...]:
    """Return the watched coins that a book takes for its own quote."""
    merged = state.config.registry.venue(instrument.venue).merged.get(instrument.quote, ())
    return tuple(coin for coin in merged if coin in state.pegs)


def _off_peg(state: State, coin: Asset, reason: Reason) -> Breach | None:
    policy, known, worth = state.config.pegs, state.pegs[coin], pegs.rate(state, coin)
    if worth is None:
        return Breach(Reason.PRICE_UNKNOWN)
    away_bps = pegs.off_bps(worth)
    limit = policy.peg_return_bps if known.is_off else policy.peg_band_bps
    return Breach(reason, away_bps, limit) if known.is_off or away_bps > limit else None
