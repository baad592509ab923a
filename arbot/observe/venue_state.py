"""Where a venue's connection is, in one word of VENUE_STATES: the first row of RULES that fits.

An announced window explains silence, silence explains everything behind it, and a venue whose books and ledger are not in
order yet is not judged by its conduct.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from arbot.domain.ids import VenueId
from arbot.engine.health import next_window
from arbot.engine.state import State


class Standing(NamedTuple):
    """What the word depends on."""

    is_in_window: bool
    is_market_up: bool
    is_account_up: bool
    is_reconciled: bool
    is_quarantined: bool


RULES: tuple[tuple[str, Callable[[Standing], bool]], ...] = (
    ("maintenance", lambda one: one.is_in_window),
    ("down", lambda one: not one.is_market_up and not one.is_account_up),
    ("connecting", lambda one: not one.is_market_up or not one.is_account_up),
    ("reconciling", lambda one: not one.is_reconciled),
    ("quarantined", lambda one: one.is_quarantined),
    ("live", lambda _: True),
)


def word_of(standing: Standing) -> str:
    """Return the word."""
    return next(word for word, fits in RULES if fits(standing))


def is_in_window(state: State, venue: VenueId) -> bool:
    """Return whether an announced maintenance is under way at a venue."""
    window = next_window(state, venue)
    return window is not None and window.from_ns <= state.now_ns


def venue_state(state: State, venue: VenueId) -> str:
    """Return the word for a configured venue."""
    known, health = state.venues.get(venue), state.health.get(venue)
    return word_of(
        Standing(
            is_in_window=is_in_window(state, venue),
            is_market_up=known is not None and known.is_market_up,
            is_account_up=known is not None and known.is_account_up,
            is_reconciled=known is not None and known.is_reconciled and known.has_balances,
            is_quarantined=health is not None and health.is_quarantined,
        )
    )
