"""Where a venue's connection is, in one word of VENUE_STATES: the first row of RULES that fits.

A maintenance explains silence, silence explains everything behind it, and a venue whose books and ledger are not in
order yet is not judged by its conduct.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from arbot.domain.ids import VenueId
from arbot.domain.transfer import VenueStatus
from arbot.engine.health import next_window
from arbot.engine.state import State


class Standing(NamedTuple):
    """What the word depends on."""

    is_in_maintenance: bool
    is_market_up: bool
    is_account_up: bool
    is_reconciled: bool
    is_quarantined: bool


RULES: tuple[tuple[str, Callable[[Standing], bool]], ...] = (
    ("maintenance", lambda one: one.is_in_maintenance),
    ("down", lambda one: not one.is_market_up and not one.is_account_up),
    ("connecting", lambda one: not one.is_market_up or not one.is_account_up),
    ("reconciling", lambda one: not one.is_reconciled),
    ("quarantined", lambda one: one.is_quarantined),
    ("live", lambda _: True),
)


def word_of(standing: Standing) -> str:
    """Return the word."""
    return next(word for word, fits in RULES if fits(standing))


def is_in_maintenance(state: State, venue: VenueId) -> bool:
    """Return whether an announced maintenance is under way at a venue, or one that it only says it is in."""
    window, health = next_window(state, venue), state.health.get(venue)
    is_announced = window is not None and window.from_ns <= state.now_ns
    return is_announced or (health is not None and health.status is VenueStatus.MAINTENANCE)


def venue_state(state: State, venue: VenueId) -> str:
    """Return the word for a configured venue."""
    known, health = state.venues.get(venue), state.health.get(venue)
    return word_of(
        Standing(
            is_in_maintenance=is_in_maintenance(state, venue),
            is_market_up=known is not None and known.is_market_up,
            is_account_up=known is not None and known.is_account_up,
            is_reconciled=known is not None and known.is_reconciled and known.has_balances,
            is_quarantined=health is not None and health.is_quarantined,
        )
    )
