"""What the gates on venues, money and transfers have to look at, worked out once per version of the state.

Most of the time there is nothing: no venue in quarantine, no maintenance near, everything able to leave. Then each of these
gates is done with one comparison. What time alone can change (a window comes near, a venue has been silent for too long)
bounds how long the calm is good for: a look at books depends on the state and the time, and on no earlier look.
"""

from __future__ import annotations

from typing import NamedTuple

from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import TransferState
from arbot.engine.health import is_quarantined, next_window, silent_after_ns
from arbot.engine.state import State, Transfer

S = 1_000_000_000
FOR_EVER_NS = 2**62


class Calm(NamedTuple):
    """Before `venues_ns` every venue is well, before `money_ns` all but `locked` can leave; `stuck` is by route."""

    version: int
    venues_ns: int
    money_ns: int
    locked: dict[tuple[VenueId, Asset], None]
    stuck: dict[tuple[VenueId, VenueId, Asset], Transfer]


def calm_of(state: State) -> Calm:
    """Return what this version of the state leaves to look at."""
    kept = state.calm
    if kept is not None and kept.version == state.version:
        return kept
    locked = {
        (venue, asset): None
        for venue, known in state.health.items()
        for asset, rails in known.rails.items()
        if not rails.open
    }
    stuck: dict[tuple[VenueId, VenueId, Asset], Transfer] = {}
    for one in state.unsettled.values():
        if one.state is TransferState.STUCK:
            stuck.setdefault((one.source, one.target, one.asset), one)
    state.calm = Calm(state.version, _venues_ns(state), _money_ns(state), locked, stuck)
    return state.calm


def _venues_ns(state: State) -> int:
    """Return until when no venue is in quarantine or near a maintenance."""
    if any(is_quarantined(state, venue) for venue in state.config.venues):
        return 0
    windows = [window for venue in state.config.venues if (window := next_window(state, venue)) is not None]
    begins_ns = min((window.from_ns for window in windows), default=FOR_EVER_NS)
    return begins_ns - state.config.health.maintenance_lead_s * S + 1


def _money_ns(state: State) -> int:
    """Return until when no venue's word on what can leave it is too old; 0 where a word is required of all."""
    if state.config.health.require_network_status:
        return 0
    told = [rails.ts_ns for known in state.health.values() for rails in known.rails.values()]
    return silent_after_ns(state, min(told)) if told else FOR_EVER_NS
