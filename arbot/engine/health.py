"""What a venue's own conduct says of it, from journaled events only: whether it may be given new arbs, and how much money."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.ids import VenueId
from arbot.domain.units import ONE
from arbot.engine.state import State


def cap_factor(state: State, venue: VenueId) -> Decimal:
    """Return what share of a venue's caps its payouts still earn it: 1 while withdrawals work, 0 when nothing may be added."""
    return state.health[venue].cap_factor if venue in state.health else ONE
