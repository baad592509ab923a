"""The summary of a day for people: trades, what they earned, fees, what lies where, and how often something was wrong.

It is counted from what happens and read from the engine's state; the time of day is UTC. What was told is counted anew.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal

from arbot.domain.commands import Severity
from arbot.domain.decisions import ArbClosed, ArbStranded, Outcome
from arbot.domain.events import Envelope
from arbot.domain.ids import ArbId, Asset
from arbot.domain.units import ZERO, fmt
from arbot.engine.state import State
from arbot.notify.message import Kind, Message
from arbot.runtime.clock import NS_PER_S

DAY_S = 86_400
ASSETS_MAX = 12  # with a line each


def seconds_until(at: str, now_ns: int) -> float:
    """Return how long it is until that time of day ("06:00", UTC), a whole day when it is now."""
    hour, minute = (int(part) for part in at.split(":"))
    since_midnight_ns = now_ns % (DAY_S * NS_PER_S)
    left_ns = (hour * 3600 + minute * 60) * NS_PER_S - since_midnight_ns
    return (left_ns if left_ns > 0 else left_ns + DAY_S * NS_PER_S) / NS_PER_S


class Day:
    """What has happened since the last summary."""

    def __init__(self, state: State, alerts: Counter[str], now_ns: int) -> None:
        self._state = state
        self._alerts = alerts
        self._since_ns = now_ns
        self._realised = state.standing.realised_total
        self._is_first = True
        self._closed: dict[ArbId, Decimal] = {}  # the fees of each arb as counted last: one reopened closes again
        self._before: dict[ArbId, Decimal] = {}  # the same of the day before
        self._fees: defaultdict[Asset, Decimal] = defaultdict(lambda: ZERO)
        self._trades = self._missed = self._stranded = 0

    def observe(self, _envelope: Envelope, outcome: Outcome) -> None:
        """Count one step."""
        if self._is_first:  # what outlived the last run is known with the first event
            self._realised, self._is_first = self._state.standing.realised_total, False
        for decision in outcome.decisions:
            if isinstance(decision, ArbClosed):
                self._count(decision)
            elif isinstance(decision, ArbStranded):
                self._stranded += 1

    def take(self, now_ns: int) -> Message:
        """Return the summary and begin anew."""
        state, ccy = self._state, self._state.config.ccy
        net = state.standing.realised_total - self._realised
        hours = (now_ns - self._since_ns) / (3600 * NS_PER_S)
        fees = ", ".join(f"{_told(number)} {asset}" for asset, number in sorted(self._fees.items())) or f"0 {ccy}"
        told = ", ".join(f"{self._alerts[one.value]} {one.value}" for one in Severity)
        lines = (
            f"The last {hours:.1f} h: {self._trades} arbs closed, {self._missed} missed, {self._stranded} stranded.",
            f"Net result {_told(net)} {ccy}, fees {fees}; since the beginning {_told(state.standing.realised_total)} {ccy}.",
            f"Alerts: {told}.",
            *self._inventory(),
        )
        self._begin(now_ns)
        return Message(
            kind=Kind.SUMMARY,
            code="daily_summary",
            severity=Severity.INFO,
            title=f"the day: {_told(net)} {ccy} net",
            text="\n".join(lines),
            ts_ns=now_ns,
        )

    def _count(self, closed: ArbClosed) -> None:
        had = self._closed.get(closed.arb_id, self._before.get(closed.arb_id))
        if had is None and not closed.is_flush:
            self._missed += closed.missed
            self._trades += not closed.missed
        arb = self._state.arbs.get(closed.arb_id)
        if arb is not None:
            self._fees[arb.quote] += closed.fees - (had or ZERO)
        self._closed[closed.arb_id] = closed.fees

    def _inventory(self) -> list[str]:
        venues = self._state.venues
        assets = dict.fromkeys(asset for venue in venues.values() for asset, total in venue.totals.items() if total)
        lines = []
        for asset in list(assets)[:ASSETS_MAX]:
            held = {name: venue.totals.get(asset, ZERO) for name, venue in venues.items()}
            parts = ", ".join(f"{name} {_told(total)}" for name, total in held.items() if total)
            lines.append(f"{asset}: {_told(sum(held.values(), ZERO))} ({parts})")
        more = len(assets) - ASSETS_MAX
        return [*lines, f"and {more} more assets"] if more > 0 else lines

    def _begin(self, now_ns: int) -> None:
        self._since_ns, self._realised = now_ns, self._state.standing.realised_total
        self._before, self._closed = self._closed, {}
        self._fees.clear()
        self._alerts.clear()
        self._trades = self._missed = self._stranded = 0


def _told(number: Decimal) -> str:
    """Return a number as a person reads it: eight digits after the point at most."""
    return fmt(round(number, 8))
